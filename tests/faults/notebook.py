"""A notebook's front end with a real page and a real kernel, and no JupyterLab between: comm messages go on as they come, and models live and die as they do there."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import tornado.httpserver
import tornado.web
import tornado.websocket

from webgpu_widget.link import codec

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "kernels"))
from front_end import FrontEnd, Message, Run

__all__ = ["Notebook", "Run"]

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGE = """<!doctype html>
<title>a notebook</title>
<link rel="icon" href="data:,">
<script type="module">
import widget from "./widget.js";
const pad = (n) => Math.ceil(n / 8) * 8;
const socket = new WebSocket(`ws://${location.host}/ws`);
socket.binaryType = "arraybuffer";

function encode(message, buffers) {
  const parts = buffers.map((buffer) => ArrayBuffer.isView(buffer) ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength) : new Uint8Array(buffer));
  const header = new TextEncoder().encode(JSON.stringify({ message, buffers: parts.map((part) => part.byteLength) }));
  const frame = new Uint8Array(parts.reduce((sum, part) => sum + pad(part.byteLength), pad(4 + header.byteLength)));
  new DataView(frame.buffer).setUint32(0, header.byteLength, true);
  frame.set(header, 4);
  let offset = pad(4 + header.byteLength);
  for (const part of parts) { frame.set(part, offset); offset += pad(part.byteLength); }
  return frame;
}

function decode(frame) {
  const length = new DataView(frame).getUint32(0, true);
  const { message, buffers } = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, 4, length)));
  let offset = pad(4 + length);
  return [message, buffers.map((size) => { const view = new DataView(frame, offset, size); offset += pad(size); return view; })];
}

// What anywidget gives a widget of its model.
class Model {
  listeners = new Map();
  constructor(comm, state) { this.comm = comm; this.state = state; }
  get(name) { return this.state[name]; }
  on(name, listener) { this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener]); }
  off(name, listener) { this.listeners.set(name, (this.listeners.get(name) ?? []).filter((one) => one !== listener)); }
  tell(name, ...values) { for (const listener of this.listeners.get(name) ?? []) listener(...values); }
  send(content, _callbacks, buffers) { socket.send(encode({ comm: this.comm, content }, buffers ?? [])); }
}

const models = new Map();
socket.onmessage = ({ data }) => {
  const [message, buffers] = decode(data);
  if (message.kind === "open") {
    const model = new Model(message.comm, message.state);
    models.set(message.comm, model);
    widget.initialize({ model, experimental: {} });
  } else if (message.kind === "message") models.get(message.comm)?.tell("msg:custom", message.content, buffers);
  else if (message.kind === "dead") {
    for (const model of models.values()) model.tell("comm_live_update");
    models.clear();
  }
};
</script>
"""


class _Tab(tornado.websocket.WebSocketHandler):
    """A page that shows the notebook."""

    def initialize(self, notebook: Notebook) -> None:
        self.notebook = notebook

    def open(self) -> None:
        self.set_nodelay(True)
        self.notebook.tabs.add(self)
        for comm, state in self.notebook.models.items():
            self.write_message(codec.encode({"kind": "open", "comm": comm, "state": state}), binary=True)

    def on_message(self, frame: str | bytes) -> None:
        assert isinstance(frame, bytes)
        message, buffers = codec.decode(frame)
        data = {"method": "custom", "content": message["content"]}
        self.notebook.front._do(lambda: self.notebook.front.comm_send(message["comm"], data, buffers))

    def on_close(self) -> None:
        self.notebook.tabs.discard(self)


class _Page(tornado.web.RequestHandler):
    def get(self) -> None:
        self.finish(PAGE)


class _Front(FrontEnd):
    """A front end whose pages are the tabs."""

    notebook: Notebook

    def _opened(self, content: Message) -> None:
        state = content["data"].get("state", {})
        if "gpu_id" in state:
            kept = {name: state.get(name) for name in ("gpu_id", "transport", "status")}
            self.notebook.opened(content["comm_id"], kept)

    def _received(self, channel: str, message: Message) -> None:
        content = message["content"]
        if message["msg_type"] == "comm_msg" and content["data"].get("method") == "custom":
            buffers = [bytes(item) for item in message["buffers"]]
            self.notebook.tell("message", content["comm_id"], buffers, content=content["data"]["content"])
        else:
            super()._received(channel, message)


class Notebook:
    """See the module.

    Parameters
    ----------
    environment : dict of str
        Of the kernel, beside this process's.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self.models: dict[str, Message] = {}
        self.tabs: set[_Tab] = set()
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="notebook server", daemon=True
        )
        self._thread.start()
        assert ready.wait(10)
        path = ":".join(map(str, (ROOT, TESTS, TESTS / "faults")))
        self.front = _Front(ROOT, subshells=False, env={"PYTHONPATH": path, **environment})
        self.front.notebook = self
        # Always copied: else pyzmq keeps a thread and a context for what it has not.
        self.front.client.session.copy_threshold = 2**40

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        static = {"path": str(ROOT / "webgpu_widget" / "static")}
        application = tornado.web.Application(
            [
                (r"/", _Page),
                (r"/ws", _Tab, {"notebook": self}),
                (r"/(widget\.js)", tornado.web.StaticFileHandler, static),
            ],
            log_function=lambda _handler: None,
            websocket_max_message_size=2**28,
        )
        server = application.listen(0, "127.0.0.1")
        self.url = f"http://127.0.0.1:{next(iter(server._sockets.values())).getsockname()[1]}/"
        ready.set()
        await self._over.wait()
        server.stop()
        for tab in list(self.tabs):
            tab.close()
        await server.close_all_connections()

    def _tell(self, frame: bytes) -> None:
        for tab in list(self.tabs):
            with contextlib.suppress(tornado.websocket.WebSocketClosedError):
                tab.write_message(frame, binary=True).add_done_callback(lambda sent: sent.exception())

    def tell(self, kind: str, comm: str = "", buffers: Sequence[bytes] = (), **fields: Any) -> None:
        """Tell every tab."""
        frame = codec.encode({"kind": kind, "comm": comm, **fields}, buffers)
        self._loop.call_soon_threadsafe(self._tell, frame)

    def opened(self, comm: str, state: Message) -> None:
        """Have a model, here and in every tab."""

        def go() -> None:
            self.models[comm] = state
            self._tell(codec.encode({"kind": "open", "comm": comm, "state": state}))

        self._loop.call_soon_threadsafe(go)

    @property
    def kernel_pid(self) -> int:
        """The kernel's process."""
        return int(self.front.manager.provisioner.pid)

    def restart(self, *, now: bool) -> None:
        """Restart the kernel: with ``now`` it is killed, else it is asked to end."""
        self.front.manager.restart_kernel(now=now)
        self._loop.call_soon_threadsafe(self.models.clear)
        self.tell("dead")
        # What a new kernel says first may be missed: its sockets are found again bit by bit.
        end = time.monotonic() + 60
        while not self.front.start("1").done.wait(1):
            assert time.monotonic() < end, "the kernel did not come back"

    def close(self) -> None:
        """End the kernel and the server."""
        self.front.close()
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        assert not self.front.crashes, self.front.crashes
