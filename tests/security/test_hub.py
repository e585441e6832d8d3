"""What a stranger gets from the hub without a token, and what a page with one cannot do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pathlib
import socket
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import tornado.httpclient
import tornado.iostream
import tornado.websocket
from stranger import connect, join, leave, speak, token_of, until

import webgpu_widget as wg
from webgpu_widget.link import codec, protocol
from webgpu_widget.link.connection import Connection
from webgpu_widget.link.session import Session
from webgpu_widget.link.transports import _handlers, _hub, _names
from webgpu_widget.link.transports._hub import Hub
from webgpu_widget.link.transports.page import SocketLink

MIB = 1 << 20


class Silent:
    """A transport that offers nothing."""

    name = "silent"
    offer_lane = None

    def __getattr__(self, _name: str) -> Any:
        return lambda *_, **__: None


class Heard:
    """A receiver that keeps what it hears."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.over = False

    def receive(self, message: dict[str, Any], _buffers: object) -> None:
        if message.get("item") == "a" or not isinstance(message.get("instance"), str):
            raise TypeError("what no page says")
        self.messages.append(message)

    def closed(self) -> None:
        self.over = True


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


def memory() -> int:
    return psutil.Process(os.getpid()).memory_info().rss


def status(netloc: str, request: str) -> int:
    answer = speak(netloc, request.replace("\n", "\r\n").encode())
    return int(answer.split(b" ", 2)[1])


# ------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("LOCALHOST", 200),
        ("[::1]:{port}", 200),
        ("evil.example:{port}", 403),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:{port}", 403),
        ("localhost.evil.example", 403),
        ("10.1.2.3:{port}", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
@pytest.mark.parametrize("path", ["/", "/widget.js", "/ws?token={token}", "/file/{name}", "/nothing"])
def test_the_hub_answers_to_its_own_names_alone(
    hub: Hub, tmp_path: pathlib.Path, host: str, code: int, path: str
) -> None:
    """A page whose name was made to resolve here (DNS rebinding) says that name as the host."""
    served = tmp_path / "w.bin"
    served.write_bytes(b"weights")
    name = hub.serve_file(served).split("/file/")[1]
    token = hub.add_endpoint(lambda _: Heard())
    path = path.format(token=token, name=name)
    host = host.format(port=hub.port)
    got = status(hub.netloc, f"GET {path} HTTP/1.1\nHost: {host}\nConnection: close\n\n")
    expected = {"/nothing": 404}.get(path, 400 if path.startswith("/ws") else 200) if code == 200 else 403
    assert got == expected


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://[::1", "file://", "http://127.0.0.1.evil.example", "ftp://localhost"],
)
def test_a_socket_from_a_foreign_page_is_refused(hub: Hub, caplog: pytest.LogCaptureFixture, origin: str) -> None:
    token = hub.add_endpoint(lambda _: Heard())
    for host in (hub.netloc, "evil.example"):
        request = tornado.httpclient.HTTPRequest(
            f"ws://{hub.netloc}/ws?token={token}", headers={"Host": host, "Origin": origin}
        )
        with pytest.raises(tornado.httpclient.HTTPClientError, match="403"):
            asyncio.run(_opened(request))
    # Not even where both say the same foreign name.
    assert token not in caplog.text


async def _opened(request: tornado.httpclient.HTTPRequest) -> None:
    await leave(await tornado.websocket.websocket_connect(request))


@pytest.mark.parametrize(
    ("bound", "host", "answers"),
    [
        ("0.0.0.0", "192.0.2.7:80", True),  # noqa: S104
        ("0.0.0.0", "evil.example", False),  # noqa: S104
        ("0.0.0.0", "localhost", True),  # noqa: S104
        ("::", "[2001:db8::7]:80", True),
        ("::", "evil.example", False),
        ("127.0.0.1", "192.0.2.7", False),
    ],
)
def test_which_names_an_interface_has(hub: Hub, bound: str, host: str, answers: bool) -> None:
    hub.host = bound
    assert hub.answers_to(host) is answers
    for own in _names.own_names():
        assert hub.answers_to(own) is (bound != "127.0.0.1" or _names.is_loopback(own))


# ------------------------------------------------------------ before a token


def test_no_body_is_read_without_a_token(hub: Hub) -> None:
    token = hub.add_endpoint(lambda _: Heard())
    before = memory()
    with contextlib.ExitStack() as held:
        for path in ("/", "/widget.js", f"/ws?token={token}", "/file/x", "/nothing"):
            for chunked in (True, False):
                length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {64 * MIB}"
                made = held.enter_context(connect(hub.netloc))
                made.sendall(f"POST {path} HTTP/1.1\r\nHost: {hub.netloc}\r\n{length}\r\n\r\n".encode())
                with contextlib.suppress(OSError):
                    for _ in range(32):
                        made.sendall(b"100000\r\n" + bytes(MIB) + b"\r\n" if chunked else bytes(MIB))
        # Every connection is still open here, and half of its body was sent.
        assert memory() - before < 32 * MIB


def test_long_headers_are_not_read(hub: Hub) -> None:
    before = memory()
    held = []
    for method in ("GET", "POST"):
        for _ in range(8):
            made = connect(hub.netloc)
            held.append(made)
            with contextlib.suppress(OSError):
                made.sendall(f"{method} / HTTP/1.1\r\nHost: {hub.netloc}\r\nX: ".encode())
                for _ in range(16):
                    made.sendall(b"x" * MIB)
    assert memory() - before < 16 * MIB
    for made in held:
        made.settimeout(10)
        with contextlib.suppress(ConnectionError):
            assert made.recv(1) in {b"", b"H"}
        made.close()


def test_a_connection_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hub, "_HEAD_S", 0.5)
    made = Hub()
    try:
        for said in (b"", b"GET / HT", f"GET / HTTP/1.1\r\nHost: {made.netloc}\r\n".encode()):
            with connect(made.netloc) as slow:
                slow.sendall(said)
                begun = time.monotonic()
                assert slow.recv(1) == b""
                assert time.monotonic() - begun < 5
    finally:
        made.close()


def test_strangers_are_counted_and_pages_still_come_in(hub: Hub) -> None:
    heard = Heard()
    token = hub.add_endpoint(lambda _: heard)

    async def crowd() -> None:
        idle = [connect(hub.netloc) for _ in range(2 * _hub.MAX_STRANGERS)]
        page = await join(hub.page_url(token))
        more = [connect(hub.netloc) for _ in range(2 * _hub.MAX_STRANGERS)]
        await page.write_message(codec.encode({"kind": "hello", "instance": "a"}), binary=True)
        await asyncio.sleep(0.5)
        assert heard.messages, "the page that showed its token is no stranger"
        ended = 0
        for one in idle:
            one.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                ended += one.recv(1) == b""
        assert ended >= len(idle) - _hub.MAX_STRANGERS
        assert len(hub._strangers) <= _hub.MAX_STRANGERS
        for one in (*idle, *more):
            one.close()
        await leave(page)

    asyncio.run(crowd())


def test_sockets_with_a_token_are_limited_too(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hub, "MAX_SOCKETS", 3)
    token = hub.add_endpoint(lambda _: Heard())

    async def many() -> list[int | None]:
        opened = [await join(hub.page_url(token)) for _ in range(5)]
        await asyncio.sleep(0.3)
        for one in opened[3:]:
            assert await one.read_message() is None
            one.close()
        codes = [one.close_code for one in opened]
        await leave(*opened[:3])
        return codes

    assert asyncio.run(many()) == [None, None, None, 4003, 4003]
    until(lambda: not hub.sockets)


def test_a_socket_that_never_says_anything_is_closed(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_handlers, "_FIRST_WORD_S", 0.3)
    token = hub.add_endpoint(lambda _: Heard())

    async def wait() -> None:
        silent, spoken = await join(hub.page_url(token)), await join(hub.page_url(token))
        await spoken.write_message(codec.encode({"kind": "hello", "instance": "a"}), binary=True)
        assert await asyncio.wait_for(silent.read_message(), 10) is None
        silent.close()
        assert spoken.close_code is None
        await leave(spoken)

    asyncio.run(wait())


# ------------------------------------------------------------ with a token


def hello(instance: str) -> dict[str, Any]:
    return {
        "kind": "hello",
        "protocol_version": protocol.PROTOCOL_VERSION,
        "instance": instance,
        "session": None,
        "received": 0,
        "host": "page",
        "loopback": True,
    }


def test_what_overtakes_is_kept_within_a_bound(rng: Any) -> None:
    """Replies of which the first never comes: neither many, nor large ones, nor such as parse into much."""
    chunk = bytes(protocol.CHUNK_BYTES)
    for message, buffers in (
        ({"kind": "chunk", "id": "r1", "item": 0, "offset": 0, "total": 1}, [chunk]),
        ({"kind": "progress", "id": "r1", "done": 0, "value": {"x": [[]] * 100_000}}, []),
        ({"kind": "result", "id": "r1", "value": {}}, []),
    ):
        session = Session()
        session.receive("ws", hello("a"))
        order = rng.permutation(20_000) + 2 if not buffers and "x" not in str(message)[:90] else range(2, 400)
        for seq in order:
            session.receive("ws", {**message, "instance": "a", "seq": int(seq)}, buffers)
        kept = session._early.values()
        assert len(kept) <= 4096
        assert sum(len(one) for _, held in kept for one in held) <= 8 * protocol.WINDOW_BYTES
        assert sum(len(str(one.get("value"))) for one, _ in kept) <= 8 * protocol.WINDOW_BYTES
        # The first comes after all: those that were kept are dealt with, and the rest is asked for.
        session.receive("ws", {**message, "instance": "a", "seq": 1}, buffers)
        before = session._received
        assert before >= 1
        session.recover()
        asked = [out.message for out in session.take_outgoing() if out.message["kind"] == "resume"]
        assert asked[-1]["received"] == before
        session.receive("ws", {**message, "instance": "a", "seq": before + 1}, buffers)
        assert session._received > before


def test_memory_stays_while_a_page_replies_out_of_order(hub: Hub) -> None:
    connection = Connection(Silent())  # type: ignore[arg-type]
    token = hub.add_endpoint(lambda opened: SocketLink(connection, opened))
    frame = {"kind": "chunk", "instance": "a", "id": "r1", "item": 0, "offset": 0, "total": 1}
    before = memory()

    async def flood() -> None:
        page = await join(hub.page_url(token))
        await page.write_message(codec.encode(hello("a")), binary=True)
        for seq in range(2, 130):
            await page.write_message(codec.encode({**frame, "seq": seq}, [bytes(4 * MIB)]), binary=True)
        await page.write_message(codec.encode({"kind": "bye", "instance": "a"}), binary=True)
        await asyncio.sleep(0.5)
        await leave(page)

    asyncio.run(flood())
    until(lambda: not hub.sockets)
    assert memory() - before < 200 * MIB


def test_one_socket_speaks_for_one_page(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection(Silent())  # type: ignore[arg-type]
    token = hub.add_endpoint(lambda opened: SocketLink(connection, opened))

    async def speak_for_others(first: dict[str, Any], then: dict[str, Any]) -> None:
        page = await join(hub.page_url(token))
        for message in (first, then):
            with contextlib.suppress(
                tornado.websocket.WebSocketClosedError, tornado.iostream.StreamClosedError
            ):  # the hub may have closed it after the first
                await page.write_message(codec.encode(message), binary=True)
        while await page.read_message() is not None:
            pass
        page.close()

    asyncio.run(asyncio.wait_for(speak_for_others(hello("a"), hello("b")), 20))
    asyncio.run(asyncio.wait_for(speak_for_others(hello("c"), {"kind": "bye", "instance": "a"}), 20))
    asyncio.run(asyncio.wait_for(speak_for_others({"kind": "ack", "instance": "a", "ack": 9}, {"kind": "ack"}), 20))
    assert caplog.text.count("in another's name") == 3
    assert not connection._session._candidates.keys() & {"b"}
    connection.close()


# ------------------------------------------------------------ what is logged


def frames() -> list[bytes | str]:
    def header(text: bytes) -> bytes:
        return struct.pack("<I", len(text)) + text

    deep = 100_000
    return [
        b"",
        b"x",
        "text",
        header(b'{"message": ' + b"[" * deep + b"]" * deep + b', "buffers": []}'),
        header(b'{"message": {"kind": ["hello"]}, "buffers": []}'),
        header(b'{"message": {"kind": {}}, "buffers": []}'),
        header(b'{"message": {}, "buffers": []}'),
        header(b'{"message": {"kind": "hello", "instance": ["a"]}, "buffers": []}'),
        header(b'{"message": {"kind": "hello", "instance": {"a": 1}}, "buffers": []}'),
        codec.encode({"kind": "chunk", "item": "a"}),
        struct.pack("<I", _handlers.MAX_HEADER_BYTES + 1) + bytes(_handlers.MAX_HEADER_BYTES + 1),
        bytes(_handlers.MAX_FRAME_BYTES + 1),
    ]


@pytest.mark.parametrize("kind", ["heard", "page", "cluster"])
def test_no_log_holds_a_token_whatever_a_page_sends(
    kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with contextlib.ExitStack() as stack:
        if kind == "heard":
            made = Hub()
            stack.callback(made.close)
            url = made.page_url(made.add_endpoint(lambda _: Heard()))
        elif kind == "page":
            gpu = stack.enter_context(contextlib.closing(wg.GPU(transport="page", port=0)))
            url = gpu.url
            with pytest.raises(wg.NoFrontendError) as caught:
                gpu.ready(timeout=0.2)
            said = f"{caught.value!s} {caught.value!r} {gpu!r} {gpu.status} {gpu.get_state()}"
            assert token_of(url) not in said
        else:
            cluster = stack.enter_context(wg.Cluster())
            url = cluster.url
            with pytest.raises(wg.ClusterError) as caught:
                cluster.wait(1, timeout=0.2)
            assert token_of(url) not in f"{caught.value} {cluster!r} {cluster.workers!r}"

        async def send_all() -> None:
            for frame in frames():
                page = await join(url)
                with contextlib.suppress(tornado.websocket.WebSocketClosedError):
                    await page.write_message(frame, binary=isinstance(frame, bytes))
                    assert await asyncio.wait_for(page.read_message(), 20) is None, frame[:60]
                page.close()

        asyncio.run(send_all())
        netloc = urlsplit(url).netloc
        token = token_of(url)
        for path in (
            f"/ws?token={token}&page=%ff",
            f"/ws?token={token}%ff",
            f"/?token={token}%ff",
            f"/file/{token}",
            f"/%ff{token}",
        ):
            for headers in (
                "Origin: http://[::1\r\n",
                "Upgrade: websocket\r\n",
                "Range: bytes=x\r\n",
                "Content-Length: x\r\n",
                "",
            ):
                speak(netloc, f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\nConnection: close\r\n{headers}\r\n".encode())
    said = capfd.readouterr()
    for text in (caplog.text, said.out, said.err):
        assert token not in text
    assert caplog.text.count("socket closed") >= 5


def test_a_receiver_that_fails_is_logged_without_the_address(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Heard):
        def receive(self, message: dict[str, Any], _buffers: object) -> None:
            raise RuntimeError("a fault of ours")

    url = hub.page_url(hub.add_endpoint(lambda _: Broken()))

    async def say() -> int | None:
        page = await join(url)
        await page.write_message(codec.encode(hello("a")), binary=True)
        assert await asyncio.wait_for(page.read_message(), 20) is None
        page.close()
        return page.close_code

    assert asyncio.run(say()) == 1003
    assert "a fault of ours" in caplog.text
    assert token_of(url) not in caplog.text
    assert "tornado" not in {record.name.split(".")[0] for record in caplog.records}


def test_a_query_that_is_no_text_is_refused_as_a_wrong_token(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """tornado's own way to read it answers 400, and logs the value."""
    token = hub.add_endpoint(lambda _: Heard())
    assert status(hub.netloc, f"GET /ws?token={token}%ff HTTP/1.1\nHost: {hub.netloc}\nConnection: close\n\n") == 403
    assert "wrong or missing token" in caplog.text
    assert token not in caplog.text


def test_a_token_that_ends_as_its_socket_opens_says_that_the_gpu_is_closed(
    hub: Hub, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program closes its GPU in another thread than the hub's."""
    heard: list[Heard] = []
    token = hub.add_endpoint(lambda _: heard.append(Heard()) or heard[-1])
    ready = _handlers.SocketHandler.get_websocket_protocol

    def meanwhile(handler: Any) -> Any:
        hub.remove_endpoint(token)
        return ready(handler)

    monkeypatch.setattr(_handlers.SocketHandler, "get_websocket_protocol", meanwhile)

    async def come() -> tuple[int | None, str | None]:
        page = await join(hub.page_url(token))
        assert await asyncio.wait_for(page.read_message(), 20) is None
        page.close()
        return page.close_code, page.close_reason

    assert asyncio.run(come()) == (4003, "this GPU is closed")
    assert not heard
    assert "failed" not in caplog.text


def test_the_same_refusal_fills_no_log(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(50):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://{hub.netloc}/ws?token=wrong", timeout=10)
    assert caplog.text.count("refused") == 1


# ------------------------------------------------------------ open interfaces


def test_a_page_on_an_open_interface_is_warned_of_and_can_be_opened_by_others() -> None:
    with pytest.warns(UserWarning, match=r"the page listens on 0\.0\.0\.0: .*without a certificate"):
        made = wg.GPU(transport="page", host="0.0.0.0")  # noqa: S104
    try:
        parts = urlsplit(made.url)
        address = _names.outward_address()
        assert parts.hostname == (address or "127.0.0.1")
        with socket.create_connection((parts.hostname, parts.port), timeout=10):
            assert "evil" not in parts.netloc
        with pytest.raises(wg.NoFrontendError) as caught:
            made.ready(timeout=0.2)
        assert parts.netloc in str(caught.value)
        assert token_of(made.url) not in str(caught.value)
    finally:
        made.close()


def test_a_page_that_only_this_machine_reaches_is_not_warned_of(recwarn: pytest.WarningsRecorder) -> None:
    for host in ("127.0.0.1", "localhost"):
        wg.GPU(transport="page", host=host).close()
    assert not recwarn.list


# ------------------------------------------------------------ who is no stranger


def test_a_download_goes_on_while_strangers_crowd_in(hub: Hub, tmp_path: pathlib.Path) -> None:
    """Who knows a file's secret name is no stranger, and the system asks after a connection that has shown a secret."""
    served = tmp_path / "weights.bin"
    served.write_bytes(bytes(32 * MIB))
    name = hub.serve_file(served).split("/file/")[1]
    with contextlib.ExitStack() as held:
        download = held.enter_context(connect(hub.netloc))
        download.sendall(f"GET /file/{name} HTTP/1.1\r\nHost: {hub.netloc}\r\nConnection: close\r\n\r\n".encode())
        got = len(download.recv(1024))
        asked_after = [
            stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            for stream in hub._streams
            if stream not in hub._strangers
        ]
        assert asked_after
        assert all(asked_after)
        for _ in range(2 * _hub.MAX_STRANGERS):
            held.enter_context(connect(hub.netloc))
        time.sleep(0.5)
        while piece := download.recv(MIB):
            got += len(piece)
    assert got > 32 * MIB


@pytest.mark.parametrize("size", [_handlers.MAX_FRAME_BYTES + 1, _handlers.MAX_FRAME_BYTES])
def test_a_frame_has_a_largest_size(hub: Hub, size: int) -> None:
    heard = Heard()
    token = hub.add_endpoint(lambda _: heard)

    async def send() -> None:
        page = await join(hub.page_url(token))
        frame = codec.encode({"kind": "hello", "instance": "a"}, [bytes(size - 88)])
        with contextlib.suppress(tornado.websocket.WebSocketClosedError):
            await page.write_message(frame + bytes(size - len(frame)), binary=True)
            await page.write_message(codec.encode({"kind": "hello", "instance": "last"}), binary=True)
        end = time.monotonic() + 20
        over = False
        while not over and not any(one["instance"] == "last" for one in heard.messages):
            assert time.monotonic() < end
            with contextlib.suppress(TimeoutError):
                over = await asyncio.wait_for(page.read_message(), 0.1) is None
        await leave(page)

    asyncio.run(send())
    taken = [one["instance"] for one in heard.messages]
    assert taken == (["a", "last"] if size == _handlers.MAX_FRAME_BYTES else [])


def test_a_header_has_a_largest_size(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    token = hub.add_endpoint(lambda _: heard)

    async def send() -> None:
        page = await join(hub.page_url(token))
        text = "x" * _handlers.MAX_HEADER_BYTES
        await page.write_message(codec.encode({"kind": "hello", "instance": "a", "more": text}), binary=True)
        assert await asyncio.wait_for(page.read_message(), 20) is None
        page.close()

    asyncio.run(send())
    assert not heard.messages
    assert "the frame's header is over" in caplog.text
