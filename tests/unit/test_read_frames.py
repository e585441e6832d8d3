"""The reader of sockets: what comes in frames of any cut is what was sent, and memory that somebody holds is not used again."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from webgpu_widget.link import codec
from webgpu_widget.link.transports import _frames
from webgpu_widget.link.transports._hub import Hub


class Heard:
    """A receiver that looks at buffers as they come, and holds some of them."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.sums: list[int] = []
        self.held: dict[int, np.ndarray[Any, Any]] = {}
        self.hold: set[int] = set()
        self.over = False

    def receive(self, message: dict[str, Any], buffers: list[memoryview]) -> None:
        array = np.frombuffer(buffers[0], np.uint8)
        if message["number"] in self.hold:
            self.held[message["number"]] = array
        self.sizes.append(array.size)
        self.sums.append(hash(array.tobytes()))

    def closed(self) -> None:
        self.over = True


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


def opened(hub: Hub, token: str) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", hub.port), timeout=20)
    made.sendall(
        f"GET /ws?token={token} HTTP/1.1\r\nHost: {hub.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += made.recv(1)
    assert b" 101 " in answer
    return made


def frame(opcode: int, payload: bytes, rng: np.random.Generator, *, final: bool = True) -> bytes:
    """Mask by the letter of RFC 6455, 5.3: byte i with the mask's byte i mod 4."""
    mask = rng.integers(0, 256, 4, np.uint8)
    masked = np.frombuffer(payload, np.uint8) ^ np.resize(mask, len(payload))
    size = len(payload)
    if size < 126:
        length = struct.pack("B", 0x80 | size)
    elif size < 1 << 16:
        length = struct.pack("!BH", 0x80 | 126, size)
    else:
        length = struct.pack("!BQ", 0x80 | 127, size)
    return bytes([(0x80 if final else 0) | opcode]) + length + mask.tobytes() + masked.tobytes()


def until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("start", range(9))
@pytest.mark.parametrize("size", [0, 1, 3, 7, 8, 9, 64, 1001])
def test_bytes_are_unmasked_wherever_they_lie(rng: np.random.Generator, start: int, size: int) -> None:
    window = _frames.Window(1024)
    before = rng.integers(0, 256, 1024, np.uint8)
    window.bytes[:] = before.tobytes()
    mask = rng.integers(0, 256, 4, np.uint8)
    window.unmask(start, start + size, int.from_bytes(mask.tobytes(), "little"))
    before[start : start + size] ^= np.resize(mask, size)
    assert window.bytes.tobytes() == before.tobytes()


def test_messages_in_frames_of_any_cut_arrive_as_they_were_sent(hub: Hub, rng: np.random.Generator) -> None:
    """Sizes around each form of a frame's length, cut anywhere, with pings in between, written in pieces of any size."""
    heard = Heard()
    made = opened(hub, hub.add_endpoint(lambda _: heard))
    sizes = [0, 1, 40, 125, 126, 127, 65_400, 65_535, 65_536, 70_001, 300_000, 5_000_001, *rng.integers(0, 200_000, 12)]
    payloads = [rng.integers(0, 256, size, np.uint8).tobytes() for size in sizes]
    heard.hold = {4, 8, 11, 15}
    stream = b""
    for number, payload in enumerate(payloads):
        whole = codec.encode({"kind": "x", "number": number}, [payload])
        cuts = [0, *sorted(rng.integers(0, len(whole) + 1, rng.integers(0, 6)).tolist()), len(whole)]
        for at, (begin, end) in enumerate(itertools.pairwise(cuts)):
            stream += frame(2 if at == 0 else 0, whole[begin:end], rng, final=at == len(cuts) - 2)
            if rng.random() < 0.3:
                stream += frame(9, bytes(rng.integers(0, 256, rng.integers(0, 126), np.uint8)), rng)
    made.settimeout(20)
    sent = 0
    while sent < len(stream):
        piece = int(rng.choice([1, 2, 13, 1000, 100_000, 1 << 20]))
        made.sendall(stream[sent : sent + piece])
        sent += piece
    until(lambda: len(heard.sizes) == len(payloads) or heard.over)
    assert heard.sizes == [len(payload) for payload in payloads]
    assert heard.sums == [hash(payload) for payload in payloads]
    for number in heard.hold:
        assert heard.held[number].tobytes() == payloads[number], f"message {number}, which is held, was written over"
    made.close()


def test_the_memory_of_a_message_is_used_for_the_next_one_unless_it_is_held(rng: np.random.Generator) -> None:
    message = _frames.Message()
    data = memoryview(rng.integers(0, 256, 1 << 20, np.uint8))

    def address(*, hold: bool = False) -> tuple[int, object]:
        message.add(data[: 1 << 19])
        message.add(data[1 << 19 :])
        taken = message.take()
        assert taken == data
        array = np.frombuffer(taken, np.uint8)
        found = array.ctypes.data
        held = array if hold else None
        del taken, array
        message.give_back()
        return found, held

    first, _ = address()
    again, held = address(hold=True)
    assert again == first
    other, _ = address()
    assert other != first
    assert isinstance(held, np.ndarray)
    assert held.tobytes() == data.tobytes()


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda rng: frame(0, b"x", rng), id="a continuation of nothing"),
        pytest.param(
            lambda rng: frame(2, b"x", rng, final=False) + frame(2, b"x", rng), id="a message inside a message"
        ),
        pytest.param(lambda rng: frame(9, b"x" * 126, rng), id="a long ping"),
        pytest.param(lambda rng: frame(9, b"x", rng, final=False), id="a ping in parts"),
        pytest.param(lambda rng: frame(0x40 | 2, b"x", rng), id="an extension"),
        pytest.param(lambda rng: frame(3, b"x", rng), id="an unknown kind"),
    ],
)
def test_what_is_no_websocket_ends_the_connection(hub: Hub, rng: np.random.Generator, wrong: Any) -> None:
    heard = Heard()
    made = opened(hub, hub.add_endpoint(lambda _: heard))
    made.sendall(wrong(rng))
    until(lambda: heard.over)
    assert not heard.sizes
    made.close()


def test_parts_of_a_message_have_a_largest_size_together(
    hub: Hub, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado.websocket.WebSocketHandler.max_message_size", 100_000)
    heard = Heard()
    made = opened(hub, hub.add_endpoint(lambda _: heard))
    made.sendall(frame(2, bytes(60_000), rng, final=False) + frame(0, bytes(60_000), rng))
    until(lambda: heard.over)
    assert not heard.sizes
    made.close()


def test_other_connections_have_their_turn_while_one_sends_without_end(hub: Hub, rng: np.random.Generator) -> None:
    heard, other = Heard(), Heard()
    busy, quiet = (opened(hub, hub.add_endpoint(lambda _, one=one: one)) for one in (heard, other))
    many = frame(2, codec.encode({"kind": "x", "number": 0}, [bytes(1 << 20)]), rng)

    async def both() -> None:
        loop = asyncio.get_running_loop()
        stop = False

        def send() -> None:
            while not stop:
                busy.sendall(many)

        sending = loop.run_in_executor(None, send)
        try:
            await asyncio.to_thread(until, lambda: len(heard.sizes) > 2)
            for _ in range(3):
                quiet.sendall(frame(2, codec.encode({"kind": "x", "number": 1}, [b"1"]), rng))
            await asyncio.to_thread(until, lambda: len(other.sizes) == 3)
        finally:
            stop = True
            await sending

    asyncio.run(both())
    busy.close()
    quiet.close()
