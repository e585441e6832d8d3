"""Large arrays on loopback: bare ways of one page, and what the hub's reader of sockets costs beside tornado's own.

    python bench/bodies.py [--mib 64] [--rounds 3] [--reader | --page]

`--page`: a bare page in a Chromium that no debugger listens to (Playwright has the bytes of every frame and body copied once more, as base64). To the GPU: a streamed
`fetch` into memory that is kept and `writeBuffer`, whole or in bodies of 16 and 4 MiB, and a WebSocket; from it: `mapAsync` and a POST, whole or in bodies, and a WebSocket.
`--reader`: another process sends messages of 4 MiB in masked frames of 128 KiB to a hub; the processor time is that of the hub's thread.
What arrives in Python is compared. Figures are medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import queue
import statistics
import struct
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import psutil
import tornado.httpserver
import tornado.netutil
import tornado.web
import tornado.websocket

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from webgpu_widget.link import codec
from webgpu_widget.link.transports import _frames
from webgpu_widget.link.transports._chromium import Browser
from webgpu_widget.link.transports._hub import Hub

CHUNK = 4 << 20
FRAME = 128 << 10

_PAGE = """<!doctype html><title>bare</title><script type="module">
for (;;) {
  const code = await (await fetch('/next')).text();
  let value;
  try { value = await (0, eval)(code); } catch (error) { value = String(error); }
  await fetch('/answer', { method: 'POST', body: JSON.stringify(value) });
}
</script>"""
_WAYS = """(async (N) => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice({ requiredLimits: { maxBufferSize: adapter.limits.maxBufferSize } });
  const big = device.createBuffer({ size: N, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  const each = async (size, way) => {
    const began = performance.now();
    let next = 0;
    await Promise.all([0, 1].map(async () => {
      while (next < N) { const from = next; next += size; await way(from, Math.min(size, N - from)); }
    }));
    await device.queue.onSubmittedWorkDone();
    return performance.now() - began;
  };
  const spare = [], staging = [];
  window.fetched = (size) => each(size, async (from, count) => {
    const reader = (await fetch(`/body?from=${from}&count=${count}`)).body.getReader({ mode: 'byob' });
    let room = spare.pop() ?? new ArrayBuffer(4 << 20), at = 0;
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(room, at));
      room = value.buffer;
      at += value.byteLength;
      if (at && (done || at === room.byteLength)) { device.queue.writeBuffer(big, from, room, 0, at); from += at; at = 0; }
      if (done) break;
    }
    spare.push(room);
  });
  const mapped = async (from, count, size, use) => {
    const i = staging.findIndex((one) => one.size === size);
    const buffer = i < 0 ? device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ }) : staging.splice(i, 1)[0];
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(big, from, buffer, 0, count);
    device.queue.submit([encoder.finish()]);
    await buffer.mapAsync(GPUMapMode.READ, 0, count);
    await use(new Uint8Array(buffer.getMappedRange(0, count)));
    buffer.unmap();
    staging.push(buffer);
  };
  window.posted = (size) => each(size, (from, count) => mapped(from, count, size, async (bytes) => {
    await (await fetch(`/body?from=${from}`, { method: 'POST', body: bytes })).arrayBuffer();
  }));
  const open = () => new Promise((resolve) => {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => resolve(socket);
  });
  window.heard = async (size) => {
    const socket = await open();
    const began = performance.now();
    await new Promise((resolve) => {
      let at = 0;
      socket.onmessage = ({ data }) => {
        device.queue.writeBuffer(big, at, data);
        at += data.byteLength;
        if (at < N) socket.send('more'); else resolve();
      };
      socket.send('more');
      socket.send('more');
    });
    await device.queue.onSubmittedWorkDone();
    socket.close();
    return performance.now() - began;
  };
  window.said = async (size) => {
    const socket = await open();
    const kept = new Uint8Array(size);
    let under = 0, go = () => {};
    socket.onmessage = () => { under--; go(); };
    const began = performance.now();
    const until = async (most) => { while (under > most) await new Promise((resolve) => { go = resolve; }); };
    for (let from = 0; from < N; from += size) {
      await until(1);
      await mapped(from, Math.min(size, N - from), size, (bytes) => kept.set(bytes));
      under++;
      socket.send(kept.subarray(0, Math.min(size, N - from)));
    }
    await until(0);
    socket.close();
    return performance.now() - began;
  };
  return 0;
})"""


class Bare:
    """A page that runs what it is told, and bytes by HTTP and WebSocket."""

    def __init__(self, size: int) -> None:
        self.source = np.random.default_rng().integers(0, 256, size, np.uint8)
        self.target = np.zeros(size, np.uint8)
        self.codes: queue.Queue[str] = queue.Queue()
        self.answers: queue.Queue[Any] = queue.Queue()
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait(10)
        self._browser = Browser(f"http://127.0.0.1:{self.port}/")
        self.run(f"{_WAYS}({size})")

    async def _serve(self) -> None:
        bare = self

        class Page(tornado.web.RequestHandler):
            def get(self) -> None:
                self.set_header("Cross-Origin-Opener-Policy", "same-origin")
                self.set_header("Cross-Origin-Embedder-Policy", "require-corp")
                self.finish(_PAGE)

        class Next(tornado.web.RequestHandler):
            async def get(self) -> None:
                self.finish(await asyncio.to_thread(bare.codes.get))

        class Answer(tornado.web.RequestHandler):
            def post(self) -> None:
                bare.answers.put(json.loads(self.request.body))

        @tornado.web.stream_request_body
        class Body(tornado.web.RequestHandler):
            def prepare(self) -> None:
                self.at = int(self.get_argument("from"))

            async def get(self) -> None:
                count = int(self.get_argument("count"))
                self.set_header("Content-Length", str(count))
                self.set_header("Cache-Control", "no-store")
                self.flush()
                assert self.request.connection is not None
                await self.request.connection.write(memoryview(bare.source)[self.at : self.at + count])  # type: ignore[arg-type]
                self.finish()

            def data_received(self, data: bytes) -> None:
                bare.target[self.at : self.at + len(data)] = np.frombuffer(data, np.uint8)
                self.at += len(data)

            def post(self) -> None:
                self.finish()

        class Socket(tornado.websocket.WebSocketHandler):
            at = 0

            def on_message(self, message: str | bytes) -> None:
                if isinstance(message, str):
                    self.write_message(bare.source[self.at : self.at + CHUNK].tobytes(), binary=True)
                    self.at += CHUNK
                else:
                    bare.target[self.at : self.at + len(message)] = np.frombuffer(message, np.uint8)
                    self.at += len(message)
                    self.write_message("k")

        paths: list[Any] = [("/", Page), ("/next", Next), ("/answer", Answer), ("/body", Body), ("/ws", Socket)]
        application = tornado.web.Application(paths, log_function=lambda _: None, websocket_max_message_size=2 * CHUNK)
        sockets = tornado.netutil.bind_sockets(0, address="127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        tornado.httpserver.HTTPServer(application, max_body_size=1 << 31, max_buffer_size=1 << 31).add_sockets(sockets)
        self._ready.set()
        await asyncio.Event().wait()

    def run(self, code: str) -> float:
        self.codes.put(code)
        value = self.answers.get(timeout=120)
        assert isinstance(value, int | float), value
        return value

    def close(self) -> None:
        self._browser.close()


def bench_page(mib: int, rounds: int) -> None:
    size = mib << 20
    bare = Bare(size)
    whole, body = size, 16 << 20
    ways = {
        "to the GPU, streamed fetch, one body": f"fetched({whole})",
        "to the GPU, streamed fetch, 16 MiB": f"fetched({body})",
        "to the GPU, streamed fetch, 4 MiB": f"fetched({CHUNK})",
        "to the GPU, WebSocket, 4 MiB": f"heard({CHUNK})",
        "from the GPU, POST, one body": f"posted({whole})",
        "from the GPU, POST, 16 MiB": f"posted({body})",
        "from the GPU, POST, 4 MiB": f"posted({CHUNK})",
        "from the GPU, WebSocket, 4 MiB": f"said({CHUNK})",
    }
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, code in ways.items():
            bare.target[:] = 0
            taken = bare.run(code)
            if name.startswith("from") and not np.array_equal(bare.target, bare.source):
                taken = float("nan")
            times.setdefault(name, []).append(1e3 * mib / taken)
    bare.close()
    for name, rates in times.items():
        print(f"{name}: {statistics.median(rates):.0f} MiB/s ({', '.join(f'{rate:.0f}' for rate in rates)})")


class _Counting:
    def __init__(self, expected: bytes) -> None:
        self.expected = np.frombuffer(expected, np.uint8)
        self.place = np.zeros(CHUNK, np.uint8)
        self.count = 0
        self.right = True

    def receive(self, _message: dict[str, Any], buffers: list[memoryview]) -> None:
        self.place[:] = np.frombuffer(buffers[0], np.uint8)
        if self.count == 0:
            self.right = np.array_equal(self.place, self.expected)
        self.count += 1

    def closed(self) -> None:
        pass


def _send(port: int, token: str, count: int) -> None:
    """What the other process does."""
    import socket

    made = socket.create_connection(("127.0.0.1", port))
    made.sendall(
        f"GET /ws?token={token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    made.recv(4096)
    whole = codec.encode({"kind": "x"}, [np.random.default_rng(0).bytes(CHUNK)])
    parts = []
    for at in range(0, len(whole), FRAME):
        piece = np.frombuffer(whole[at : at + FRAME], np.uint8)
        mask = os.urandom(4)
        first = (0x80 if at + FRAME >= len(whole) else 0) | (0 if at else 2)
        parts.append(struct.pack("!BBQ", first, 0x80 | 127, piece.size) + mask)
        parts.append((piece ^ np.resize(np.frombuffer(mask, np.uint8), piece.size)).tobytes())
    stream = b"".join(parts)
    for _ in range(count):
        made.sendall(stream)
    made.recv(1)


def bench_reader(mib: int, rounds: int) -> None:
    frames = _frames.Frames.of
    ours: Any = frames
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, reader in (("tornado's reader", lambda made: made), ("ours", ours)):
            _frames.Frames.of = reader  # type: ignore[method-assign]
            hub = Hub()
            heard = _Counting(np.random.default_rng(0).bytes(CHUNK))
            token = hub.add_endpoint(lambda _, heard=heard: heard)  # type: ignore[misc]
            count = (mib << 20) // CHUNK
            other = subprocess.Popen([sys.executable, __file__, "--send", str(hub.port), token, str(count)])
            while heard.count < count:
                time.sleep(0.01)
            used = next(one for one in psutil.Process().threads() if one.id == hub._thread.native_id)
            found.setdefault(name, []).append(
                1e3 * (used.user_time + used.system_time) / mib if heard.right else float("nan")
            )
            other.terminate()
            other.wait()
            hub.close()
    _frames.Frames.of = frames  # type: ignore[method-assign]
    for name, times in found.items():
        print(
            f"{name}: {statistics.median(times):.2f} ms of the hub's processor time a MiB ({', '.join(f'{one:.2f}' for one in times)})"
        )


def main() -> None:
    if sys.argv[1:2] == ["--send"]:
        _send(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reader", action="store_true")
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    if not arguments.page:
        bench_reader(4 * arguments.mib, arguments.rounds)
    if not arguments.reader:
        bench_page(arguments.mib, arguments.rounds)


if __name__ == "__main__":
    main()
