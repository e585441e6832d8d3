"""A bare WebSocket of the same stack: tornado in a thread, the browser's WebSocket, nothing in between."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket

CHUNK = 4 * 1024 * 1024
WINDOW = 2
_JAVASCRIPT = """() => {
  const socket = new WebSocket('ws://127.0.0.1:%d/');
  socket.binaryType = 'arraybuffer';
  let chunk = new ArrayBuffer(%d), left = 0;
  crypto.getRandomValues(new Uint8Array(chunk, 0, 65536));
  socket.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) { socket.send('k'); return; }
    if (data === 'echo') { socket.send('echo'); return; }
    left += Number(data);
    while (left > 0) { left--; socket.send(chunk.slice(0)); }
  };
}"""


class _Handler(tornado.websocket.WebSocketHandler):
    def initialize(self, bare: BareSocket) -> None:
        self.bare = bare

    def check_origin(self, origin: str) -> bool:  # noqa: ARG002
        return True

    def open(self, *_: Any, **__: Any) -> None:
        self.set_nodelay(True)
        self.bare.handler = self
        self.bare.opened.set()

    def on_message(self, message: str | bytes) -> None:
        self.bare.heard(message)


class BareSocket:
    """Measure a bare socket with a page that runs `javascript`."""

    def __init__(self) -> None:
        self.handler: _Handler | None = None
        self.opened = threading.Event()
        self.replies = threading.Semaphore(0)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait(10)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        application = tornado.web.Application(
            [(r"/", _Handler, {"bare": self})], websocket_max_message_size=2 * CHUNK, log_function=lambda _handler: None
        )
        sockets = tornado.netutil.bind_sockets(0, address="127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        tornado.httpserver.HTTPServer(application).add_sockets(sockets)
        self._ready.set()
        await self._stop.wait()

    def javascript(self) -> str:
        return _JAVASCRIPT % (self.port, CHUNK)

    def wait(self) -> None:
        assert self.opened.wait(20), "the page did not open the bare socket"

    def heard(self, _message: str | bytes) -> None:
        self.replies.release()

    def _write(self, message: str | bytes) -> None:
        def write() -> None:
            assert self.handler is not None
            self.handler.write_message(message, binary=isinstance(message, bytes))

        self.loop.call_soon_threadsafe(write)

    def echo_ms(self, count: int) -> float:
        taken = []
        for _ in range(count):
            t = time.perf_counter()
            self._write("echo")
            self.replies.acquire()
            taken.append(1e3 * (time.perf_counter() - t))
        return statistics.median(taken)

    def up(self, mib: int) -> float:
        """MiB/s to the page, a window of chunks without an answer."""
        count = mib * 1024 * 1024 // CHUNK
        chunk = bytes(CHUNK)
        t = time.perf_counter()
        for i in range(count):
            if i >= WINDOW:
                self.replies.acquire()
            self._write(chunk)
        for _ in range(min(WINDOW, count)):
            self.replies.acquire()
        return mib / (time.perf_counter() - t)

    def down(self, mib: int) -> float:
        """MiB/s from the page."""
        count = mib * 1024 * 1024 // CHUNK
        t = time.perf_counter()
        for i in range(count):
            if i >= WINDOW:
                self.replies.acquire()
            self._write("1")
        for _ in range(min(WINDOW, count)):
            self.replies.acquire()
        return mib / (time.perf_counter() - t)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
