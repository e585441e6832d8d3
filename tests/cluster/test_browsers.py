"""Real browsers: the same bits whoever computes them, blocks from one to the other, and what happens when one ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from fake_browser import until
from numpy.random import Generator

import webgpu_widget as wg
from webgpu_widget.cluster import channels, hub, mandelbrot, matmul
from webgpu_widget.cluster.exchange import Block
from webgpu_widget.link.transports import _chromium

JOIN_S = 120.0
SECRET = "of-our-own-choice"  # noqa: S105
VIEW = {"center": (-0.75, 0.1), "width": 2.5, "size": (192, 128), "max_iter": 300}


def test_a_picture_is_the_same_whoever_computes_it(cluster: wg.Cluster) -> None:
    seen: list[float] = []
    first = cluster.mandelbrot(**VIEW, tile=64, progress=seen.append)
    second = cluster.mandelbrot(**VIEW, tile=64)
    assert np.array_equal(first.iterations, second.iterations)
    assert np.array_equal(first.smooth, second.smooth, equal_nan=True)
    assert all(row.tasks_done > 0 for row in cluster.workers)
    whole = cluster.submit(lambda gpu: wg.mandelbrot.render(**VIEW, gpu=gpu)).result(120)
    assert np.array_equal(first.iterations, whole.iterations)
    assert np.array_equal(first.smooth, whole.smooth, equal_nan=True)
    view = first.view
    exact = mandelbrot.count(mandelbrot.points(view, np.arange(192), np.arange(128)), 300)
    assert (first.iterations == exact).mean() > 0.98
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)
    assert first.stats.samples == 192 * 128


def test_a_deep_picture_keeps_all_digits(cluster: wg.Cluster) -> None:
    view = {
        "center": (
            "-1.74999841099374081749002483162428393452822172335808534616943930976364725846655540417646727085571962736578151132907961927190726789896685696750162524460775546580822744596887978637416593715319388030232414667046419863755743802804780843375",
            "-0.00000000000000165712469295418692325810961981279189026504290127375760405334498110850956047368308707050735960323397389547038231194872482690340369921750514146922400928554011996123112902000856666847088788158433995358406779259404221904755",
        ),
        "width": "1e-12",
        "size": (48, 32),
        "max_iter": 3000,
    }
    whole = cluster.submit(lambda gpu: wg.mandelbrot.render(**view, gpu=gpu)).result(120)
    for tile in (16, 13):
        made = cluster.mandelbrot(**view, tile=tile)
        assert np.array_equal(made.iterations, whole.iterations)
        assert np.array_equal(made.smooth, whole.smooth, equal_nan=True)
        assert made.stats.refined == whole.stats.refined


def test_a_picture_has_the_bits_of_one_gpu_whatever_its_tiles(cluster: wg.Cluster, rng: Generator) -> None:
    spiral = (-0.743643887037151, 0.131825904205330)
    for center, width, max_iter in (
        (-0.75, 3, 1000),
        (spiral, 0.005, 1000),
        (spiral, "1e-6", 800),
        (("0", "1"), "1e-20", 900),
    ):
        size = (int(rng.integers(60, 120)), int(rng.integers(40, 80)))
        view = {"center": center, "width": width, "size": size, "max_iter": max_iter}
        whole = cluster.submit(lambda gpu, view=view: wg.mandelbrot.render(**view, gpu=gpu)).result(120)
        assert whole.method == "direct" or whole.stats.refined > 0
        made = cluster.mandelbrot(**view, tile=int(rng.integers(17, 70)))
        assert np.array_equal(made.iterations, whole.iterations), view
        assert np.array_equal(made.smooth, whole.smooth, equal_nan=True), view


def test_a_product_has_the_bits_of_its_blocks_on_one_gpu(cluster: wg.Cluster, rng: Generator) -> None:
    a, b = rng.standard_normal((150, 200), np.float32), rng.standard_normal((200, 90), np.float32)
    made = cluster.matmul(a, b, block=64)

    def alone(gpu: wg.GPU) -> np.ndarray:
        out = np.zeros((150, 90), np.float32)
        for i in range(0, 150, 64):
            for j in range(0, 90, 64):
                total = wg.matmul(a[i : i + 64, :64], b[:64, j : j + 64], gpu=gpu)
                for k in range(64, 200, 64):
                    total = total + wg.matmul(a[i : i + 64, k : k + 64], b[k : k + 64, j : j + 64], gpu=gpu)
                out[i : i + 64, j : j + 64] = total.numpy()
        return out

    assert np.array_equal(made, cluster.submit(alone).result(120))


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (31, 32, 33), (97, 193, 131)])
def test_a_product_by_blocks(cluster: wg.Cluster, rng: Generator, m: int, k: int, n: int) -> None:
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    made = cluster.matmul(a, b, block=32)
    exact = a.astype(np.float64) @ b
    bound = np.abs(a).astype(np.float64) @ np.abs(b)
    assert made.dtype == np.float32
    assert (np.abs(made - exact) <= 1e-6 * np.sqrt(k) * bound + 1e-12).all()


def test_coroutine_twins_leave_the_loop_free(cluster: wg.Cluster, rng: Generator) -> None:
    a = rng.standard_normal((64, 64), np.float32)

    async def both() -> tuple[int, object, object]:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.005)

        await cluster.wait_async(1)
        turning = asyncio.create_task(turn())
        made = await asyncio.gather(cluster.mandelbrot_async(**VIEW, tile=64), cluster.matmul_async(a, a, block=32))
        turning.cancel()
        return turns, *made

    turns, image, product = asyncio.run(both())
    assert turns > 1
    assert np.array_equal(image.iterations, cluster.mandelbrot(**VIEW, tile=64).iterations)
    assert np.array_equal(product, cluster.matmul(a, a, block=32))
    with pytest.raises(wg.ClusterError, match="browsers are ready"):
        asyncio.run(cluster.wait_async(99, timeout=0.1))


def test_a_block_goes_to_each_browser_once_and_past_the_hub(cluster: wg.Cluster, rng: Generator) -> None:
    a, b = rng.standard_normal((128, 96), np.float32), rng.standard_normal((96, 160), np.float32)
    before = {way: traffic.transfers for way, traffic in cluster._exchange.traffic.items()}
    made = cluster.matmul(a, b, block=32)
    now = {way: traffic.transfers - before[way] for way, traffic in cluster._exchange.traffic.items()}
    blocks = 4 * 3 + 3 * 5
    assert blocks <= now["hub"] + now["peer"] <= 2 * blocks
    assert now["peer"] > 0
    assert [row.peer_bytes_in > 0 for row in cluster.workers] == [True, True]
    cluster._exchange.way = "hub"
    try:
        assert np.array_equal(cluster.matmul(a, b, block=32), made)
    finally:
        cluster._exchange.way = "peer"


def test_large_blocks_arrive_whole_by_every_way(cluster: wg.Cluster, rng: Generator) -> None:
    first, second = cluster._roster.present("ready")
    block = Block("large", rng.standard_normal((1500, 1001), np.float32))
    for member in (first, second):
        copy = cluster._exchange.get(block, member)
        assert np.array_equal(copy.numpy(timeout=60), block.values)
    # From the GPU, where the browser has no bytes of it in memory.
    array = (
        first.gpu.array(block.values) + np.float32(0)
        if hasattr(wg.GPUArray, "__add__")
        else first.gpu.array(block.values)
    )
    moved = cluster._exchange.move(array, second)
    assert moved.device is second.gpu
    assert np.array_equal(moved.numpy(timeout=60), block.values)
    cluster._exchange.release([block])
    assert not block.copies


def test_dask_array_chunks_run_in_browsers(cluster: wg.Cluster) -> None:
    import dask.array as da

    def double(chunk: np.ndarray) -> np.ndarray:
        gpu = wg.default_gpu()
        assert gpu.transport == "page", "the default one would be headless"
        return gpu.array(chunk).numpy() * 2

    values = da.arange(64, chunks=16, dtype=np.float32)
    with cluster.client.as_current():
        assert values.map_blocks(double, dtype=np.float32).sum().compute() == 4032


def test_dask_array_chunks_are_multiplied_in_browsers(cluster: wg.Cluster, rng: Generator) -> None:
    import dask.array as da

    def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return wg.matmul(a, b).numpy()

    a, b = rng.standard_normal((96, 64), np.float32), rng.standard_normal((64, 80), np.float32)
    left, right = da.from_array(a, chunks=(32, 64)), da.from_array(b, chunks=(64, 40))
    done = sum(row.bytes_out for row in cluster.workers)
    with cluster.client.as_current():
        made = da.blockwise(product, "ij", left, "ik", right, "kj", dtype=np.float32, concatenate=True)
        found = (made + 1).compute()
    exact = a.astype(np.float64) @ b + 1
    # 64 products, each rounded once and added with one rounding.
    assert (np.abs(found - exact) <= 64 * 2**-24 * (np.abs(a) @ np.abs(b) + 1)).all()
    assert sum(row.bytes_out for row in cluster.workers) - done >= found.nbytes


@contextlib.contextmanager
def launched(n: int, **options: object) -> Iterator[wg.Cluster]:
    with wg.Cluster(**options) as made:  # type: ignore[arg-type]
        made.launch(n)
        made.wait(n, timeout=JOIN_S)
        yield made


def test_one_browser_has_the_bits_of_two_that_share_the_work(rng: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone it gets several blocks a task, as a GPU does, and keeps none to pass them on."""
    bundles = matmul.bundles
    monkeypatch.setattr(matmul, "bundles", lambda m, n, on_cpu: bundles(m, n, [False] * len(on_cpu)))
    a, b = rng.standard_normal((256, 70), np.float32), rng.standard_normal((70, 256), np.float32)
    with launched(1, exchange="peer") as made:
        alone, picture = made.matmul(a, b, block=32), made.mandelbrot(**VIEW)
        tasks = made.workers[0].tasks_done
        assert tasks == 8 + 1
        made.launch(1)
        made.wait(2, timeout=JOIN_S)
        assert np.array_equal(made.matmul(a, b, block=32), alone)
        shared = made.mandelbrot(**VIEW, tile=48)
        assert sum(row.tasks_done for row in made.workers) - tasks > tasks
        assert made._exchange.traffic["peer"].transfers > 0
    np.testing.assert_allclose(alone, a.astype(float) @ b, rtol=0, atol=71 * 2**-24 * (np.abs(a) @ np.abs(b)).max())
    assert np.array_equal(picture.iterations, shared.iterations)
    assert np.array_equal(picture.smooth, shared.smooth, equal_nan=True)


def test_the_hub_steps_in_where_no_channel_opens(
    rng: Generator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(channels, "_OPEN_MS", 1000)
    # What one browser says to the other is lost, as behind a firewall that lets nothing through.
    monkeypatch.setattr(channels.Channels, "_relay", lambda *_: lambda _value: None)
    caplog.set_level("INFO", "webgpu_widget.cluster")
    a, b = rng.standard_normal((64, 64), np.float32), rng.standard_normal((64, 64), np.float32)
    with wg.Cluster(exchange="peer") as made:
        made.launch(2)
        made.wait(2, timeout=JOIN_S)
        first, second = made._roster.present("ready")
        block = Block("one", a)
        for member in (first, second):
            assert np.array_equal(made._exchange.get(block, member).numpy(timeout=60), a)
        np.testing.assert_allclose(made.matmul(a, b, block=16), a @ b, atol=1e-4)
        assert made._exchange.traffic["peer"].transfers == 0
    assert "but the hub" in caplog.text


def test_a_pinned_browser_computes_on_its_cores(rng: Generator) -> None:
    """Also the threads of SwiftShader's scheduler, which put themselves on core 0."""
    last = max(os.sched_getaffinity(0))
    assert last > 0, "one core cannot tell"
    with wg.Cluster() as cluster:
        cluster.launch(1, cores=[[last]])
        cluster.wait(1, JOIN_S)
        a = rng.standard_normal((96, 96), dtype=np.float32)
        product = cluster.submit(lambda gpu: wg.matmul(a, a, gpu=gpu).numpy()).result(60)
        assert np.allclose(product, a @ a, atol=1e-3)
        allowed = []
        for thread in _chromium._session_threads(cluster._launched.browsers[0].pid):
            with contextlib.suppress(ProcessLookupError):
                allowed.append(os.sched_getaffinity(thread))
    assert len(allowed) > 20  # of the browser, its renderer and its GPU process
    assert allowed == [{last}] * len(allowed)


def test_a_browser_that_joins_is_pinned_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[int] = []
    pin = _chromium.Browser.pin
    monkeypatch.setattr(_chromium.Browser, "pin", lambda browser: (pinned.append(browser.pid), pin(browser))[1])
    with wg.Cluster() as cluster:
        cluster.launch(2, cores=[[min(os.sched_getaffinity(0))]] * 2)
        cluster.wait(2, JOIN_S)
        assert sorted(pinned) == sorted(browser.pid for browser in cluster._launched.browsers)


@pytest.mark.long
def test_kill_9_at_random_times(rng: Generator) -> None:
    a, b = rng.standard_normal((192, 96), np.float32), rng.standard_normal((96, 128), np.float32)
    dice = random.Random(int(rng.integers(1 << 30)))  # noqa: S311
    with launched(4, exchange="peer") as made:
        whole = made.mandelbrot(**VIEW, tile=32)
        product = made.matmul(a, b, block=32)
        for turn in range(3):
            victim = made._launched.browsers[turn]
            timer = threading.Timer(dice.uniform(0.01, 0.6), lambda pid: os.killpg(pid, signal.SIGKILL), [victim.pid])
            timer.start()
            again = made.mandelbrot(**VIEW, tile=32)
            assert np.array_equal(again.iterations, whole.iterations)
            assert np.array_equal(again.smooth, whole.smooth, equal_nan=True)
            assert np.array_equal(made.matmul(a, b, block=32), product)
            timer.join()
            until(lambda turn=turn: len(made._roster.present("ready")) == 3 - turn, 90)
        assert [row.state for row in made.workers] == ["ready", "gone", "gone", "gone"]
        made.launch(1)
        made.wait(2, timeout=JOIN_S)
        assert np.array_equal(made.matmul(a, b, block=32), product)


def test_a_browser_that_sleeps_loses_its_tasks_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_PING_AFTER_S", 0.5)
    monkeypatch.setattr(hub, "_SILENT_S", 4.0)
    with launched(2) as made:
        pid = made._launched.browsers[0].pid
        os.killpg(pid, signal.SIGSTOP)
        try:
            made.mandelbrot(**VIEW, tile=32)
            until(lambda: len(made._roster.present()) == 1)
            assert any("asleep" in row.reason for row in made.workers)
        finally:
            os.killpg(pid, signal.SIGCONT)
        made.wait(2, timeout=JOIN_S)
        assert len(made.workers) == 3


def test_the_process_starts_again_and_its_browsers_rejoin() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with wg.Cluster(port=port, token=SECRET) as first:
        # Browsers that people opened: what a cluster launches is admitted by that cluster alone, and ends with its process.
        opened = [_chromium.Browser(first.url) for _ in range(2)]
        first.wait(2, timeout=JOIN_S)
        alone = first.mandelbrot(**VIEW, tile=64)
        # As when the process dies: nobody is told anything.
        first._hub.close()
        with wg.Cluster(port=port, token=SECRET) as second:
            second.wait(2, timeout=JOIN_S)
            again = second.mandelbrot(**VIEW, tile=64)
            assert np.array_equal(again.iterations, alone.iterations)
    for browser in opened:
        browser.close()


@pytest.mark.playwright
def test_the_worker_page_says_what_it_does_and_stops() -> None:
    """A page whose timers are slowed down as in a tab in the background still computes."""
    from playwright.sync_api import Request, sync_playwright

    with (
        wg.Cluster() as made,
        sync_playwright() as playwright,
        contextlib.closing(
            playwright.chromium.launch(executable_path=_chromium.find_browser(), args=_chromium.flags())
        ) as browser,
    ):
        page = browser.new_page()
        page.add_init_script(
            "const soon = setTimeout; globalThis.setTimeout = (f, ms = 0, ...more) => soon(f, Math.max(1000, ms), ...more);"
        )
        asked: list[Request] = []
        page.on("request", lambda request: asked.append(request))  # noqa: PLW0108 - Playwright wants a Python function
        page.goto(made.url)
        made.wait(1, timeout=JOIN_S)
        assert "token" not in page.url
        assert len(asked) >= 2
        assert not any("referer" in request.all_headers() for request in asked)
        began = time.monotonic()
        made.mandelbrot(**VIEW, tile=64)
        assert time.monotonic() - began < 60
        page.get_by_text("browser-1 of a cluster: waiting for work").wait_for()
        page.get_by_text("6 tasks done").wait_for()
        page.get_by_text(re.compile("swiftshader|nvidia", re.IGNORECASE)).first.wait_for()
        page.get_by_role("button", name="Stop computing").click()
        until(lambda: not made._roster.present())
        page.get_by_text("this browser has left the cluster").wait_for()
        page.reload()
        made.wait(1, timeout=JOIN_S)
        assert [row.state for row in made.workers] == ["ready", "gone"]
