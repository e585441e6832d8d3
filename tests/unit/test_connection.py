"""What ends a wait: the reply, silence, a page that goes or never comes, Ctrl-C, close."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from direct import Direct
from fake_page import Message

from webgpu_widget import errors
from webgpu_widget.link import connection as _connection
from webgpu_widget.link.connection import Connection, Request


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's patience, shortened."""
    for name, value in {
        "_PING_AFTER_S": 0.1,
        "_LOST_AFTER_S": 0.4,
        "_CONTEST_S": 0.2,
        "_SLICE_S": 0.02,
        "_GAP_S": 0.1,
    }.items():
        monkeypatch.setattr(_connection, name, value)


@pytest.fixture
def way() -> Iterator[Direct]:
    made = Direct()
    made.start(Connection(made))
    yield made
    made.connection.close()


def ask(way: Direct, op: str = "synchronize") -> Request:
    request = way.connection.new_request("the work")
    way.connection.submit([{"op": op, "id": request.id}], [], [request], "my_kernel")
    return request


def test_a_reply_ends_the_wait(way: Direct) -> None:
    assert way.connection.wait(ask(way)) == {}
    assert way.connection.wait(ask(way, "get-device"))["vendor"] == "fake"
    assert asyncio.run(way.connection.wait_async(ask(way))) == {}


def test_silence_is_a_timeout_that_names_the_kernel_and_resets(way: Direct) -> None:
    way.pages[0].frozen = True
    way.pages[0].working_on = "one of 'spin', 'turn'"
    with pytest.raises(errors.FrontendTimeoutError, match=r"the work.*0\.3 s.*not finished is one of 'spin'") as caught:
        way.connection.wait(ask(way), timeout=0.3)
    assert isinstance(caught.value, TimeoutError)
    assert "my_kernel" not in str(caught.value)
    assert way.pages[0].resets == ["nothing finished for 0.3 s"]
    assert way.connection.wait(ask(way)) == {}


def test_a_gpu_with_nothing_to_do_is_no_kernels_fault(way: Direct) -> None:
    way.pages[0].frozen = True
    with pytest.raises(errors.FrontendTimeoutError, match="the work") as caught:
        way.connection.wait(ask(way), timeout=0.3)
    assert "loop" not in str(caught.value)


def test_progress_starts_the_count_again(way: Direct) -> None:
    page = way.pages[0]
    page.frozen = True
    request = ask(way)
    for i in range(5):
        way.after(0.15 * i, lambda i=i: page._push({"kind": "progress", "id": request.id, "done": i, "value": {}}, []))

    def thaw() -> None:
        page.frozen = False
        page._result(request.id, {"at": "last"})

    way.after(0.7, thaw)
    assert way.connection.wait(request, timeout=0.35) == {"at": "last"}


def test_none_waits_on(way: Direct) -> None:
    way.pages[0].delay_s = 0.6
    assert way.connection.wait(ask(way), timeout=None) == {}


def test_no_page_says_what_to_do() -> None:
    way = Direct(pages=0)
    way.start(Connection(way))
    with pytest.raises(errors.NoFrontendError, match=r"no browser page answered for 0\.2 s\. Open a page"):
        way.connection.wait(ask(way), timeout=0.2)
    assert way.nudges
    way.add_page()
    assert way.connection.wait(ask(way)) == {}
    way.connection.close()


def test_a_browser_that_cannot_come_is_said_at_once() -> None:
    way = Direct(pages=0)
    way.start(Connection(way))
    way.broken = "the browser ended with status 1"
    begun = time.monotonic()
    with pytest.raises(errors.NoFrontendError, match="status 1"):
        way.connection.wait(ask(way), timeout=60)
    assert time.monotonic() - begun < 30
    way.connection.close()


def test_bye_ends_the_wait(way: Direct) -> None:
    page = way.pages[0]
    page.frozen = True
    way.after(0.1, lambda: page.bye(page))
    with pytest.raises(errors.FrontendLostError, match="closed or reloaded"):
        way.connection.wait(ask(way))


def test_a_page_that_says_nothing_at_all_is_given_up(way: Direct) -> None:
    way.pages[0].dead = True
    begun = time.monotonic()
    with pytest.raises(errors.FrontendLostError, match="has not answered"):
        way.connection.wait(ask(way), timeout=60)
    assert time.monotonic() - begun < 30


def test_a_second_hello_replaces_a_dead_leader_but_not_a_living_one(way: Direct) -> None:
    leader = way.pages[0]
    second = way.add_page()
    assert second.role == "standby"
    time.sleep(0.3)
    assert way.connection.wait(ask(way)) == {}
    assert second.batches == 0
    leader.dead = True
    second.hello(second)
    with pytest.raises(errors.FrontendLostError, match="another one took over"):
        way.connection.wait(ask(way), timeout=10)
    assert way.connection.wait(ask(way)) == {}
    assert second.batches > 0


def test_a_link_that_comes_back_in_time_loses_nothing(way: Direct) -> None:
    page = way.pages[0]
    page.delay_s = 0.3
    request = ask(way)
    way.connection.close_link("comm")
    page.link_closed(page)

    def again() -> None:
        way.connection.open_link("comm", way.to_pages)
        page.hello(page)

    way.after(0.1, again)
    assert way.connection.wait(request, timeout=5) == {}


def test_a_link_that_does_not_come_back_ends_the_wait(way: Direct) -> None:
    way.pages[0].frozen = True
    request = ask(way)
    way.connection.close_link("comm")
    with pytest.raises(errors.FrontendLostError, match="closed or reloaded"):
        way.connection.wait(request, timeout=5)


def test_a_link_that_raises_is_given_up(way: Direct, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_message: Message, _buffers: Sequence[Any]) -> None:
        raise OSError("no route")

    way.connection.open_link("comm", refuse)
    with pytest.raises(errors.FrontendLostError):
        way.connection.wait(ask(way), timeout=5)
    assert "the link comm failed" in caplog.text


def test_ctrl_c_raises_soon_and_cancels(way: Direct) -> None:
    way.pages[0].frozen = True
    request = ask(way)
    sent_at: list[float] = []

    def press() -> None:
        sent_at.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    way.after(0.3, press)
    with pytest.raises(KeyboardInterrupt):
        way.connection.wait(request)
    assert time.monotonic() - sent_at[0] < 10, "well before the wait's own end"
    assert way.pages[0].cancelled == [request.id]
    with pytest.raises(errors.CancelledError):
        request.future.result(timeout=0)


def test_a_cancelled_task_cancels_in_the_page(way: Direct) -> None:
    way.pages[0].frozen = True
    request = ask(way)

    async def go() -> None:
        task = asyncio.create_task(way.connection.wait_async(request))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    assert way.pages[0].cancelled == [request.id]


def test_close_ends_waits_and_refuses_more(way: Direct) -> None:
    way.pages[0].frozen = True
    request = ask(way)
    way.after(0.1, way.connection.close)
    with pytest.raises(errors.ClosedError, match="this GPU is closed"):
        way.connection.wait(request)
    with pytest.raises(errors.ClosedError, match="make a new one"):
        ask(way)
    assert way.pages[0].role == "closed", "the page was told"
    way.connection.close()


def test_an_error_reply_is_raised_as_its_class(way: Direct) -> None:
    request = way.connection.new_request("k", source="let x = 1")
    command = {"op": "compile", "id": request.id, "pipeline": 1, "source": "let x = 1", "label": "k"}
    way.connection.submit([command], [], [request])
    with pytest.raises(errors.ShaderError):
        way.connection.wait(request)


def test_a_page_of_another_version_is_named() -> None:
    way = Direct(pages=0)
    way.start(Connection(way))
    hello = {"kind": "hello", "protocol_version": 99, "instance": "x", "session": None, "received": 0}
    way.connection.receive("comm", hello)
    with pytest.raises(errors.ProtocolMismatchError, match=r"protocol 99 .* reload the page"):
        way.connection.wait(ask(way), timeout=5)
    way.connection.close()


def test_malformed_messages_are_dropped(way: Direct, caplog: pytest.LogCaptureFixture) -> None:
    for message in ({"kind": "ack"}, {"kind": "hello"}, {"kind": "result", "seq": "x"}, {}):
        way.connection.receive("comm", {**message, "instance": way.pages[0].instance})
    assert "malformed" in caplog.text
    assert way.connection.wait(ask(way)) == {}


def test_threads_share_a_connection(way: Direct) -> None:
    done: list[dict[str, Any]] = []

    def work() -> None:
        done.extend(way.connection.wait(ask(way)) for _ in range(25))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(done) == 200
