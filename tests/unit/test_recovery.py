"""A driver that holds on to work that hung: new browsers have no device that lasts, until it lets go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from direct import Direct
from fake_page import SQUARE, FakePage

import webgpu_widget as wg
from webgpu_widget.link import connection, recovery

X = np.arange(8, dtype=np.float32)


def no_adapter(page: FakePage) -> None:
    """Let a page find no adapter."""
    ask = page._request

    def request(command: dict[str, Any]) -> None:
        if command["op"] == "get-device":
            page._fail(command["id"], "no-adapter", "requestAdapter() found no adapter")
        else:
            ask(command)

    page._request = request


def lost_at_once(page: FakePage) -> None:
    """Let a page lose its device as soon as it has one."""
    ask = page._request

    def request(command: dict[str, Any]) -> None:
        ask(command)
        if command["op"] == "get-device":
            page.lose_device("A valid external Instance reference no longer exists.")

    page._request = request


def lost_at_work(page: FakePage) -> None:
    """Let a page lose its device with the first bytes that go there."""

    def command(item: dict[str, Any], data: Any) -> None:
        page.lose_device("A valid external Instance reference no longer exists.")

    page._command = command


def silent(page: FakePage) -> None:
    """Let a page wait for its device for ever."""
    page.frozen = True


class Started(Direct):
    """Browsers that are started here; each new one does what comes next in ``faults``."""

    starts_pages = True

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Any] = []
        self.starts = 0

    def add_page(self) -> FakePage:
        self.starts += 1
        page = FakePage(self.after)
        page.kind = "comm"
        page.send = lambda message, buffers: self.connection.receive("comm", message, buffers)
        if self.faults:
            self.faults.pop(0)(page)
        self.pages.append(page)
        self.after(0.02, lambda: page.hello(page))
        return page

    def restart(self) -> bool:
        for page in self.pages:
            page.dead = True
        self.pages.clear()
        self.add_page()
        return True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_PING_AFTER_S": 0.1, "_SLICE_S": 0.02, "_LOST_AFTER_S": 5.0}.items():
        monkeypatch.setattr(connection, name, value)
    values = {
        "_FIRST_PAUSE_S": 0.02,
        "_LONGEST_PAUSE_S": 0.05,
        "_SILENCE_S": 0.4,
        "_LETS_GO_S": 60.0,
        "_hung_until": 0.0,
    }
    for name, value in values.items():
        monkeypatch.setattr(recovery, name, value)


@pytest.fixture
def way() -> Started:
    return Started()


@pytest.fixture
def gpu(way: Started) -> Iterator[wg.GPU]:
    made = wg.GPU(way)
    made.ready()
    yield made
    made.close()


def hang(gpu: wg.GPU, way: Started) -> None:
    """Work that does not end, until its browser is killed."""
    way.pages[0].frozen = True
    with pytest.raises(wg.FrontendTimeoutError, match="finished nothing for"):
        gpu.array(X).numpy(timeout=0.3)


FAULTS = [no_adapter, lost_at_once, lost_at_work, silent]
NEXT = {
    "array": lambda gpu: np.array_equal(gpu.array(X).numpy(), X),
    "kernel": lambda gpu: np.array_equal(gpu.kernel(SQUARE)(x=X, y=wg.out(8), threads=8).numpy(), X * X),
    "run": lambda gpu: np.array_equal(gpu.run(SQUARE, x=X, y=wg.out(8), threads=8), X * X),
    "awaited": lambda gpu: np.array_equal(asyncio.run(gpu.run_async(SQUARE, x=X, y=wg.out(8), threads=8)), X * X),
}


@pytest.mark.parametrize("entry", NEXT)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_call_after_a_hang_waits_for_a_device_that_lasts(
    gpu: wg.GPU, way: Started, fault: Any, entry: str, caplog: pytest.LogCaptureFixture
) -> None:
    way.faults = [fault] * 3
    hang(gpu, way)
    with caplog.at_level(logging.WARNING, "webgpu_widget"):
        assert NEXT[entry](gpu)
    assert way.faults == []
    assert "trying another browser in" in caplog.text
    assert "s more at most" in caplog.text


def test_a_device_that_is_lost_again_and_again_is_waited_for_as_well(gpu: wg.GPU, way: Started) -> None:
    way.faults = [no_adapter, lost_at_once]
    lost_at_work(way.pages[0])
    way.pages[0].lose_device("the driver ended it")
    assert NEXT["array"](gpu)
    assert way.starts >= 4


def test_a_gpu_made_after_the_hang_of_another_waits_too(gpu: wg.GPU, way: Started) -> None:
    hang(gpu, way)
    other = Started()
    other.faults = [no_adapter, lost_at_once]
    made = wg.GPU(other)
    try:
        assert made.ready().vendor == "fake"
        assert NEXT["array"](made)
        assert other.starts >= 3
    finally:
        made.close()


def test_a_driver_that_never_lets_go_ends_in_an_error_and_each_call_tries_once_more(
    gpu: wg.GPU, way: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "_LETS_GO_S", 0.3)
    way.faults = [no_adapter] * 1000
    hang(gpu, way)
    with pytest.raises(
        wg.DeviceLostError, match=r"in the 0\.3 s since: .*found no adapter.*each call tries another browser"
    ):
        gpu.array(X)
    starts = way.starts
    with pytest.raises(wg.DeviceLostError, match="found no adapter"):
        gpu.array(X)
    assert way.starts > starts
    way.faults.clear()
    way.restart()
    way.connection._session.lose_page("a new one", left=True)
    with contextlib.suppress(wg.DeviceLostError):  # of the page before, whose loss may be told only now
        assert NEXT["array"](gpu)
    assert NEXT["array"](gpu)


def test_who_never_had_an_adapter_is_told_at_once() -> None:
    way = Started()
    way.faults = [no_adapter] * 10
    gpu = wg.GPU(way)
    begun = time.monotonic()
    with pytest.raises(wg.NoAdapterError, match="found no adapter"):
        gpu.ready()
    assert time.monotonic() - begun < 30
    assert way.starts == 1
    gpu.close()


def test_a_page_that_a_person_opens_proves_nothing() -> None:
    way = Direct()
    gpu = wg.GPU(way)
    gpu.ready()
    way.pages[0].lose_device("someone tripped over the plug")
    assert not gpu._device.connection.in_doubt
    assert NEXT["array"](gpu)
    gpu.close()


def test_the_first_page_that_lasts_is_kept(gpu: wg.GPU, way: Started) -> None:
    hang(gpu, way)
    kept = gpu.array(X + 1)
    starts = way.starts
    assert NEXT["run"](gpu)
    assert np.array_equal(kept.numpy(), X + 1)
    assert way.starts == starts
