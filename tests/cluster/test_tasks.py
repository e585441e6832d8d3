"""Tasks on fake browsers: what Dask gives, and what a browser that is no good costs."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from distributed import LocalCluster
from fake_browser import FakeBrowser, until

import webgpu_widget as wg
from webgpu_widget.cluster import mandelbrot
from webgpu_widget.cluster.dask import run_on_gpu
from webgpu_widget.cluster.tasks import Flow, Piece
from webgpu_widget.mandelbrot.view import make_view


def echo(gpu: wg.GPU, x: float) -> float:
    return float(gpu.array(np.float32([x])).numpy()[0])


def test_submit_map_and_dependencies(empty: wg.Cluster) -> None:
    for _ in range(2):
        FakeBrowser(empty.url)
    empty.wait(2)
    first = empty.submit(echo, 2.0)
    assert empty.submit(lambda gpu, a, b: echo(gpu, a) + b, first, b=1.0).result(60) == 3.0
    assert empty.client.gather(empty.map(echo, range(10))) == [float(i) for i in range(10)]
    assert sum(row.tasks_done for row in empty.workers) == 12


def test_tasks_have_their_browser_as_default_gpu(empty: wg.Cluster) -> None:
    FakeBrowser(empty.url)
    empty.wait(1)
    assert empty.submit(lambda gpu: wg.default_gpu() is gpu).result(60)
    # Dask's own tasks too.
    assert empty.client.submit(lambda: wg.default_gpu().transport, pure=False).result(60) == "page"


def test_an_array_of_one_browser_is_brought_to_another(empty: wg.Cluster) -> None:
    for _ in range(2):
        FakeBrowser(empty.url)
    empty.wait(2)
    made = empty.submit(lambda gpu: gpu.array(np.arange(5, dtype=np.float32)))
    made.result(60)
    seen = set()
    for worker in empty.client.scheduler_info(n_workers=-1)["workers"]:
        where = empty.client.submit(
            lambda a: (a.device is wg.default_gpu(), a.numpy().tolist()), made, workers=[worker], pure=False
        )
        seen.add(where.result(60)[0])
        here = empty.client.submit(
            run_on_gpu, lambda gpu, a: (a.device is gpu, a.numpy().tolist()), made, workers=[worker], pure=False
        )
        assert here.result(60) == (True, [0, 1, 2, 3, 4])
    assert seen == {True, False}


def test_errors_come_back_and_retries_are_counted(empty: wg.Cluster) -> None:
    FakeBrowser(empty.url)
    empty.wait(1)
    calls: list[int] = []

    def moody(_gpu: wg.GPU) -> int:
        calls.append(1)
        if len(calls) < 3:
            raise wg.ShapeError("not yet")
        return len(calls)

    with pytest.raises(wg.ShapeError, match="not yet"):
        empty.submit(moody).result(60)
    assert empty.submit(moody, retries=3).result(60) == 3
    # The second try is of a new copy of the function, whose list is empty.
    assert empty.workers[0].tasks_failed == 3


def leave_by_argparse(gpu: wg.GPU) -> None:
    argparse.ArgumentParser(prog="a task").parse_args(["--no-such-option"])


def leave(error: BaseException) -> Callable[[wg.GPU], None]:
    def task(gpu: wg.GPU) -> None:
        raise error

    return task


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (lambda gpu: sys.exit(3), r"the task raised SystemExit\(3\)"),
        (leave_by_argparse, r"the task raised SystemExit\(2\)"),
        (leave(KeyboardInterrupt()), r"the task raised KeyboardInterrupt\(\)"),
    ],
    ids=["exit", "argparse", "interrupt"],
)
def test_a_task_that_would_end_the_program_fails_alone(empty: wg.Cluster, task: Any, said: str) -> None:
    FakeBrowser(empty.url)
    empty.wait(1)
    later = [empty.submit(echo, float(i)) for i in range(3)]
    with pytest.raises(wg.ClusterError, match=said):
        empty.submit(task).result(timeout=20)
    assert [future.result(20) for future in later] == [0.0, 1.0, 2.0]
    with pytest.raises(wg.ClusterError, match=said):
        empty.client.submit(task, None, pure=False).result(timeout=20)
    assert empty.submit(echo, 4.0).result(20) == 4.0
    [row] = empty.workers
    assert (row.state, row.tasks_done, row.tasks_failed) == ("ready", 4, 1)


@pytest.mark.parametrize("error", [GeneratorExit(), asyncio.CancelledError(), StopIteration(5)], ids=repr)
def test_other_unusual_exceptions_fail_their_task_alone(empty: wg.Cluster, error: BaseException) -> None:
    FakeBrowser(empty.url)
    empty.wait(1)
    with pytest.raises(wg.ClusterError, match="it only fails the task"):
        empty.submit(leave(error)).result(timeout=20)
    assert empty.submit(echo, 4.0).result(20) == 4.0


TRIES: list[float] = []


def lose_the_device(gpu: wg.GPU, x: float, losses: int) -> float:
    TRIES.append(x)
    if len(TRIES) <= losses:
        raise wg.DeviceLostError("someone tripped over the plug")
    return echo(gpu, x)


@pytest.mark.parametrize("losses", [1, 2])
def test_a_task_whose_device_was_lost_is_tried_once_more(empty: wg.Cluster, losses: int) -> None:
    FakeBrowser(empty.url)
    empty.wait(1)
    TRIES.clear()
    future = empty.submit(lose_the_device, 3.0, losses)
    if losses == 1:
        assert future.result(20) == 3.0
    else:
        with pytest.raises(wg.DeviceLostError, match="plug"):
            future.result(20)
    assert TRIES == [3.0, 3.0]
    assert [(row.tasks_done, row.tasks_failed) for row in empty.workers] == [(1, 0) if losses == 1 else (0, 1)]


@pytest.mark.parametrize("fn", [5, None, "echo", [echo]], ids=["a number", "None", "a name", "a list"])
def test_what_cannot_be_called_is_refused_at_once(empty: wg.Cluster, fn: Any) -> None:
    for submit in (lambda: empty.submit(fn), lambda: empty.map(fn, [1])):
        with pytest.raises(wg.errors.TaskTypeError, match="a task is a function that takes the GPU first") as caught:
            submit()
        assert isinstance(caught.value, TypeError)


def test_cancellation(empty: wg.Cluster) -> None:
    gate = threading.Event()
    FakeBrowser(empty.url, before_read=lambda: gate.wait(30) and None)
    empty.wait(1)
    first = empty.submit(echo, 1.0)
    rest = empty.map(echo, range(5))
    until(lambda: empty.workers[0].state == "working")
    # Until the worker has heard of all, and then until it has heard of their end, too: what Dask has not yet looked at when it is cancelled may run.
    (worker,) = empty._room.workers.values()
    until(lambda: len(worker.state.tasks) == 6)
    empty.client.cancel(rest)
    until(lambda: set(worker.state.tasks) == {first.key})
    gate.set()
    assert first.result(60) == 1.0
    assert all(future.cancelled() for future in rest)
    time.sleep(0.2)
    assert empty.workers[0].tasks_done == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data[:-4], "bytes were asked for"),
        (lambda data: data + b"abcd", "chunks that do not fit"),
        (lambda _: b"", "0 bytes"),
    ],
)
def test_a_browser_that_sends_the_wrong_length_is_dropped(
    empty: wg.Cluster, caplog: pytest.LogCaptureFixture, spoil: object, said: str
) -> None:
    bad = FakeBrowser(empty.url, spoil=spoil)  # type: ignore[arg-type]
    empty.wait(1)
    future = empty.submit(echo, 4.0)
    until(lambda: bad.refused)
    assert said in caplog.text
    assert "is dropped" in caplog.text
    FakeBrowser(empty.url)
    assert future.result(60) == 4.0
    assert [row.state for row in empty.workers] == ["ready", "gone"]
    # It is not let in again.
    again = FakeBrowser(empty.url, after=bad)
    until(again.closed.is_set)
    assert "was dropped from the cluster" in again.refused


@pytest.mark.parametrize("number", [np.nan, np.inf, -1.0, 12345.0])
def test_garbage_in_a_product_is_found_and_done_elsewhere(
    empty: wg.Cluster, caplog: pytest.LogCaptureFixture, number: float
) -> None:
    bad = FakeBrowser(empty.url, spoil=lambda data: np.full(len(data) // 4, number, np.float32).tobytes())
    # The fake runs no shader, so zeros are what it truly computes: right for a product with zeros.
    zeros, some = np.zeros((24, 16), np.float32), np.ones((16, 8), np.float32)
    empty.wait(1)
    timer = threading.Timer(0.5, lambda: FakeBrowser(empty.url))
    timer.start()
    assert np.array_equal(empty.matmul(zeros, some, block=8), np.zeros((24, 8), np.float32))
    until(lambda: bad.refused)
    assert "of a product is wrong" in caplog.text
    timer.join()


def test_garbage_in_a_picture_is_found(empty: wg.Cluster, caplog: pytest.LogCaptureFixture) -> None:
    bad = FakeBrowser(empty.url)
    empty.wait(1)
    view = make_view(-0.5, 3, (8, 8), 50)
    pieces = [Piece(0, (view, mandelbrot.tiles(view.size, 8)[0], "direct"))]
    with pytest.raises(wg.ClusterError, match="no browser is left"):
        Flow(empty, mandelbrot.compute_tile).run(pieces, lambda *_: None, timeout=1.0)
    until(lambda: bad.refused)
    assert "counts out of 1 to 50" in caplog.text


def test_a_result_that_comes_twice_counts_once(empty: wg.Cluster) -> None:
    FakeBrowser(empty.url, twice=True)
    empty.wait(1)
    assert empty.client.gather(empty.map(echo, range(8))) == [float(i) for i in range(8)]
    assert empty.workers[0].tasks_done == 8


def test_browsers_vanish_twenty_times_and_nothing_is_lost_or_counted_twice(empty: wg.Cluster) -> None:
    rng = random.Random(7)  # noqa: S311
    slow = {"before_read": lambda: time.sleep(0.01)}
    crowd = [FakeBrowser(empty.url, **slow) for _ in range(4)]  # type: ignore[arg-type]
    empty.wait(4)
    got: dict[int, float] = {}
    ended = threading.Event()

    def reaper() -> None:
        for turn in range(20):
            if ended.wait(rng.uniform(0.02, 0.2)):
                return
            victim = crowd.pop(rng.randrange(len(crowd)))
            if turn % 2:
                victim.say({"kind": "bye", "instance": victim.instance})
            else:
                victim.close()
            crowd.append(FakeBrowser(empty.url, **slow))  # type: ignore[arg-type]

    def arrived(piece: Piece, value: float) -> None:
        assert piece.index not in got
        got[piece.index] = value

    thread = threading.Thread(target=reaper)
    thread.start()
    Flow(empty, echo).run([Piece(i, (float(i),)) for i in range(400)], arrived)
    ended.set()
    thread.join()
    assert got == {i: float(i) for i in range(400)}


def test_faster_browsers_get_more(empty: wg.Cluster) -> None:
    FakeBrowser(empty.url, before_read=lambda: time.sleep(0.01))
    FakeBrowser(empty.url, before_read=lambda: time.sleep(0.08))
    empty.wait(2)
    Flow(empty, echo).run([Piece(i, (1.0,)) for i in range(60)], lambda *_: None)
    fast, slow = (row.tasks_done for row in empty.workers)
    assert fast > 2 * slow > 0


def test_an_overdue_piece_is_tried_by_an_idle_browser(empty: wg.Cluster) -> None:
    gate = threading.Event()
    stuck = FakeBrowser(empty.url, before_read=lambda: gate.wait(60) and None)
    FakeBrowser(empty.url)
    empty.wait(2)
    flow = Flow(empty, echo)
    got: list[int] = []
    began = time.monotonic()
    flow.run([Piece(i, (1.0,)) for i in range(20)], lambda piece, _: got.append(piece.index))
    assert time.monotonic() - began < 20
    assert sorted(got) == list(range(20))
    assert flow.second_tries >= 1
    assert stuck.reads >= 1
    gate.set()


def test_no_browser_is_said(empty: wg.Cluster) -> None:
    with pytest.raises(wg.ClusterError, match=r"3 pieces are not done.*cluster\.launch"):
        Flow(empty, echo).run([Piece(i, (1.0,)) for i in range(3)], lambda *_: None, timeout=0.5)


def test_a_worker_without_a_browser_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "distributed")
    # Browsers join a scheduler that has other workers too.
    with (
        LocalCluster(
            n_workers=1,
            processes=False,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as plain,
        wg.Cluster(scheduler=plain.scheduler_address) as cluster,
    ):
        FakeBrowser(cluster.url)
        cluster.wait(1)
        assert cluster.submit(echo, 5.0).result(60) == 5.0
        other = next(iter(plain.workers.values())).address
        with pytest.raises(wg.ClusterError, match="has no browser"):
            cluster.client.submit(run_on_gpu, echo, 1.0, workers=[other], pure=False).result(60)
        got: list[float] = []
        Flow(cluster, echo).run([Piece(i, (float(i),)) for i in range(6)], lambda _, value: got.append(value))
        assert sorted(got) == [0, 1, 2, 3, 4, 5]


def test_the_table(empty: wg.Cluster) -> None:
    FakeBrowser(empty.url)
    empty.wait(1)
    empty.submit(echo, 1.0).result(60)
    rows = empty.workers
    html = rows._repr_html_()  # type: ignore[attr-defined]
    assert "<td>browser-1</td><td>test fake (CPU)</td><td>ready</td><td>1</td>" in html
    assert "browser-1" in repr(rows)
    token = empty.url.split("token=")[1]
    for text in (html, repr(rows), repr(empty), json.dumps(empty._repr_mimebundle_()), repr(empty._hub)):
        assert token not in text, "what a saved notebook keeps"
    widget = empty.table()
    FakeBrowser(empty.url)
    empty.wait(2)
    until(lambda: any(cells[0] == "browser-2" for cells in widget.rows))
