"""What a loss of the page or its device does to the calls that come after it, and to what was under way."""

from __future__ import annotations

import itertools
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from direct import Direct
from fake_page import SQUARE

import webgpu_widget as wg
from webgpu_widget import errors
from webgpu_widget.link import connection as _connection
from webgpu_widget.link import losses, protocol
from webgpu_widget.link.session import Session

X = np.arange(8, dtype=np.float32)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's patience, shortened."""
    for name, value in {"_PING_AFTER_S": 0.1, "_LOST_AFTER_S": 0.4, "_CONTEST_S": 0.2, "_SLICE_S": 0.02}.items():
        monkeypatch.setattr(_connection, name, value)


@pytest.fixture
def way() -> Direct:
    return Direct()


@pytest.fixture
def gpu(way: Direct) -> Iterator[wg.GPU]:
    made = wg.GPU(way)
    made.ready()
    yield made
    made.close()


def reload_page(way: Direct) -> None:
    page = way.pages.pop()
    page.bye(page)
    way.add_page()


def lose_device(way: Direct) -> None:
    way.pages[0].lose_device("someone tripped over the plug")


def drop_links(way: Direct) -> None:
    """The page's browser ended without a word, and nobody has noticed yet."""
    way.pages.pop().dead = True
    way.connection.close_link("comm")
    way.connection.open_link("comm", way.to_pages)
    way.after(0.4, way.add_page)


ENTRIES = {
    "ready": lambda gpu: gpu.ready().vendor == "fake",
    "synchronize": lambda gpu: gpu.synchronize() is None,
    "memory": lambda gpu: gpu._device.queue.request({"op": "get-memory"}) == {},
    "kernel": lambda gpu: gpu.kernel(SQUARE).reflection.entry_points == ("main",),
    "run": lambda gpu: np.array_equal(gpu.run(SQUARE, x=X, y=wg.out(8), threads=8), X * X),
    "array": lambda gpu: np.array_equal(gpu.array(X).numpy(), X),
    "a kernel that is held": lambda gpu: np.array_equal(gpu.held(x=X, y=wg.out(8), threads=8).numpy(), X * X),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("loss", [reload_page, lose_device, drop_links], ids=lambda loss: loss.__name__)
def test_the_call_after_a_loss_is_right_at_the_first_try(gpu: wg.GPU, way: Direct, loss: Any, entry: str) -> None:
    gpu.held = gpu.kernel(SQUARE)
    gpu.run(SQUARE, x=X, y=wg.out(8), threads=8)
    left = gpu.array(X + 1)
    left.numpy()
    loss(way)
    assert ENTRIES[entry](gpu)
    with pytest.raises((wg.DeviceLostError, wg.FrontendLostError), match="is gone from the browser.*Make it again"):
        left.numpy()


def test_a_lost_device_is_told_as_one_also_for_what_was_lost_with_it(gpu: wg.GPU, way: Direct) -> None:
    of_the_first, program = gpu.array(X), gpu.record()
    with program:
        gpu.kernel(SQUARE)(x=of_the_first, y=wg.out(8), threads=8)
    of_the_first.numpy()
    lose_device(way)
    of_the_second = gpu.array(X)
    of_the_second.numpy()
    reload_page(way)
    for use in (of_the_first.numpy, program.replay):
        with pytest.raises(wg.DeviceLostError, match="tripped over the plug"):
            use()
    with pytest.raises(wg.FrontendLostError, match="closed or reloaded"):
        of_the_second.numpy()


def test_commands_composed_for_a_page_that_is_gone_reach_no_other(gpu: wg.GPU, way: Direct) -> None:
    kernel = gpu.kernel(SQUARE)
    y = kernel(x=X, y=wg.out(8), threads=8)
    reload_page(way)
    gpu._device.queue.flush()
    assert gpu._device.queue.request({"op": "service", "name": "none", "params": {}}) == {}, "no error was kept there"
    with pytest.raises(wg.FrontendLostError):
        y.numpy()


def test_work_that_takes_its_page_along_is_not_given_to_the_next_one_for_ever(gpu: wg.GPU, way: Direct) -> None:
    gpu.kernel(SQUARE)
    killed = []

    def fatal(page: Any) -> None:
        def run(command: Any, data: Any) -> None:
            if command["op"] == "dispatch":
                killed.append(page)
                way.pages.remove(page)
                page.bye(page)
                fatal(way.add_page())

        page._command = run

    fatal(way.pages[0])
    with pytest.raises(wg.FrontendLostError):
        gpu.run(SQUARE, x=X, y=wg.out(8), threads=8)
    assert len(killed) == 2


def test_a_page_that_slept_is_asked_to_come_back(gpu: wg.GPU, way: Direct) -> None:
    waiting: list[Any] = []
    way.connection.open_link("comm", lambda message, buffers: waiting.append((message, buffers)))
    with pytest.raises(wg.FrontendLostError, match="has not answered"):
        gpu._device.queue.request({"op": "service", "name": "none", "params": {}})
    way.connection.open_link("comm", way.to_pages)
    for message, buffers in waiting:
        way.to_pages(message, buffers)
    assert np.array_equal(gpu.run(SQUARE, x=X, y=wg.out(8), threads=8, timeout=5), X * X)


def test_whoever_is_given_up_without_a_word_gets_a_roll_call() -> None:
    session = Session()
    hello = {"kind": "hello", "protocol_version": protocol.PROTOCOL_VERSION, "session": None, "received": 0}
    session.receive("ws-1", hello | {"instance": "a"})
    session.take_outgoing()
    session.lose_page("silence")
    assert [(item.link, item.message) for item in session.take_outgoing()] == [("ws-1", {"kind": "roll-call"})]
    session.receive("ws-1", hello | {"instance": "a", "session": session.session, "received": 7})
    assert session.instance == "a"
    assert session.take_outgoing()[0].message["kind"] == "welcome"
    session.receive("ws-1", {"kind": "bye", "instance": "a"})
    assert session.take_outgoing() == []


def test_a_process_that_was_stopped_does_not_blame_the_page(way: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when Python is stopped during a wait: on waking, its clocks say that nobody spoke for a long time."""
    way.start(connection := _connection.Connection(way))
    page = way.pages[0]
    page.delay_s = 0.5
    request = connection.new_request("the work")
    connection.submit([{"op": "synchronize", "id": request.id}], [], [request])
    # Patience for a busy machine, and none for the sleep.
    monkeypatch.setattr(_connection, "_LOST_AFTER_S", 60)
    real, watch, looks, slept = time.monotonic, connection._watch, itertools.count(), [0]
    monkeypatch.setattr(_connection.time, "monotonic", lambda: real() + slept[0])

    def sleep_before_the_third_look(*args: Any) -> None:
        slept[0] = 3600 if next(looks) >= 2 else 0
        watch(*args)

    monkeypatch.setattr(connection, "_watch", sleep_before_the_third_look)
    assert connection.wait(request, timeout=60) == {}
    monkeypatch.undo()
    connection.close()


def test_bytes_on_their_way_are_counted_while_others_send_them(gpu: wg.GPU) -> None:
    """What waits is counted by one thread while the page's acknowledgements take it off in another."""
    failed: list[BaseException] = []
    over = threading.Event()

    def count() -> None:
        try:
            while not over.is_set():
                assert gpu._device.connection.pending_bytes >= 0
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    counting = threading.Thread(target=count)
    counting.start()
    session = gpu._device.connection._session
    data = bytes(1000)
    for _ in range(3000):
        with gpu._device.connection._lock:
            session.submit([{"op": "none"}], [data])
    over.set()
    counting.join()
    assert not failed
    session.lose_page("over")
    assert gpu._device.connection.pending_bytes == 0


def test_a_kernel_that_nobody_holds_goes(gpu: wg.GPU, way: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc

    import fake_page

    from webgpu_widget.device import queue as _queue

    monkeypatch.setattr(_queue, "_KEPT_PIPELINES", 4)
    texts = [f"{SQUARE} // {i}" for i in range(20)]
    monkeypatch.setattr(fake_page, "COMPILED", dict.fromkeys(texts, fake_page.COMPILED[SQUARE]))
    freed: list[int] = []
    page, command = way.pages[0], way.pages[0]._command

    def note(item: Any, data: Any) -> None:
        if item["op"] == "free-pipeline":
            freed.append(item["pipeline"])
        else:
            command(item, data)

    page._command = note
    held = gpu.kernel(texts[0])
    for text in texts[1:]:
        assert gpu.kernel(text).name == "main"
    gc.collect()
    gpu.synchronize()
    assert len(freed) >= 20 - 4 - 1
    assert set(gpu._device.kernels.values()) == {held}
    assert gpu.kernel(texts[0]) is held


def test_errors_of_a_refused_request_say_what_to_do(gpu: wg.GPU, way: Direct) -> None:
    request = gpu._device.queue.connection.new_request("the work")
    gpu._device.queue._requests.append(request)
    lose_device(way)
    gpu.synchronize()
    with pytest.raises(errors.DeviceLostError, match="the work: someone tripped.*run the cells that made it again"):
        request.future.result(0)


def told_after(gpu: wg.GPU) -> float:
    begun = time.monotonic()
    with pytest.raises(wg.FrontendLostError, match="closed or reloaded"):
        gpu.run(SQUARE, x=X, y=wg.out(8), threads=8, timeout=60)
    return time.monotonic() - begun


def leave_in_the_call(way: Direct, comes: Any = None) -> None:
    """The page says goodbye in the middle of the next call; ``comes`` begins the coming of another one."""
    page = way.pages[0]

    def goodbye(*_: Any) -> None:
        if page not in way.pages:
            return
        way.pages.remove(page)
        page.bye(page)
        if comes is not None:
            comes()

    page._command = goodbye


def test_a_page_that_said_goodbye_is_not_waited_for_where_none_is_known_to_come(gpu: wg.GPU, way: Direct) -> None:
    leave_in_the_call(way)
    assert told_after(gpu) < 3


def test_a_page_that_is_known_to_come_serves_the_second_try(
    gpu: wg.GPU, way: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "comes_back", lambda gone_at: time.monotonic() - gone_at < 60)
    leave_in_the_call(way, lambda: way.after(2.5, way.add_page))
    assert np.array_equal(gpu.run(SQUARE, x=X, y=wg.out(8), threads=8, timeout=60), X * X)


def test_a_page_that_broke_off_without_a_word_serves_the_second_try(gpu: wg.GPU, way: Direct) -> None:
    drop_links(way)
    way.pages.clear()
    assert np.array_equal(gpu.run(SQUARE, x=X, y=wg.out(8), threads=8, timeout=60), X * X)
    late = way.pages.pop()
    late.dead = True
    way.connection.close_link("comm")
    way.connection.open_link("comm", way.to_pages)
    way.after(3, way.add_page)
    assert np.array_equal(gpu.run(SQUARE, x=X, y=wg.out(8), threads=8, timeout=60), X * X)


def test_a_page_that_is_given_up_late_has_not_worked_meanwhile(
    gpu: wg.GPU, way: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the page that a person opens after a crash says hello seconds after the call began."""
    monkeypatch.setattr(losses, "_INNOCENT_S", 0.3)
    monkeypatch.setattr(_connection, "_LOST_AFTER_S", 30)
    assert np.array_equal(gpu.run(SQUARE, x=X, y=wg.out(8), threads=8), X * X)
    way.pages.pop().dead = True
    way.after(0.8, way.add_page)
    assert np.array_equal(gpu.run(SQUARE, x=X, y=wg.out(8), threads=8), X * X)


def test_a_page_that_worked_for_long_has_its_work_given_to_no_other(
    gpu: wg.GPU, way: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was heard until it ended: what it worked on may be why."""
    monkeypatch.setattr(losses, "_INNOCENT_S", 0.3)
    gpu.kernel(SQUARE)
    page = way.pages[0]
    page.delay_s, begun = 60, page.batches

    def leave() -> None:
        way.pages.remove(page)
        page.bye(page)
        way.add_page()

    way.after(0.8, leave)
    with pytest.raises(wg.FrontendLostError):
        gpu.run(SQUARE, x=X, y=wg.out(8), threads=8)
    assert page.batches > begun
    assert not way.pages[0].batches


def test_a_hub_knows_of_a_page_that_is_fetched_again() -> None:
    made = wg.GPU(transport="page")
    try:
        transport = made._device.transport
        now = time.monotonic()
        transport._hub.page_fetched_at = now - 100
        assert not transport.comes_back(now)
        with urllib.request.urlopen(made.url.split("?")[0], timeout=10) as page:  # noqa: S310  the test's own server
            assert page.status == 200
        assert transport.comes_back(time.monotonic()), "fetched just before the goodbye"
        assert transport.comes_back(now)
        assert not transport.comes_back(time.monotonic() + 60)
    finally:
        made.close()
