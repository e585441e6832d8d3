"""The explorer in a page of its own, with a model over a WebSocket: for machines on which JupyterLab does not live.

No notebook, no kernel, no comm: what the page and the GPU take is the same, what JupyterLab adds is not there.
"""

from __future__ import annotations

import asyncio
import json
import pathlib
import threading
from typing import Any

import tornado.web
import tornado.websocket
from _devtools import DevToolsPage
from _lab_page import SIZE
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

import webgpu_widget as wg

STATIC = pathlib.Path(wg.__file__).parent / "static"
PAGE = """<!doctype html>
<meta charset="utf-8"><title>explorer</title><link rel="icon" href="data:,">
<main id="app" style="width: 900px"></main>
<script type="module">
import widget from "./static/explorer.js";
const listeners = new Map();
const emit = (name, ...values) => { for (const one of listeners.get(name) ?? []) one(...values); };
const socket = new WebSocket(`ws://${location.host}/ws`);
socket.binaryType = "arraybuffer";
let state, changed = {}, custom, buffers;
const model = {
  get: (name) => state[name],
  set(name, value) { state[name] = value; changed[name] = value; emit(`change:${name}`); },
  save_changes() { socket.send(JSON.stringify({ changed })); changed = {}; },
  send(content) { socket.send(JSON.stringify({ content })); },
  on(names, act) { for (const name of names.split(" ")) listeners.set(name, (listeners.get(name) ?? new Set()).add(act)); },
  off(names, act) { for (const name of names.split(" ")) listeners.get(name)?.delete(act); },
};
socket.onmessage = ({ data }) => {
  if (typeof data !== "string") buffers.push(new DataView(data));
  else {
    const message = JSON.parse(data);
    if (message.state) {
      state = message.state;
      window.go = () => { watch.run = watch.output = performance.now(); widget.render({ model, el: document.getElementById("app") }); };
      return;
    }
    [custom, buffers] = [message, []];
  }
  if (buffers.length === custom.buffers) emit("msg:custom", custom.content, buffers);
};
</script>"""


class _Explorer(wg.MandelbrotExplorer):
    """Sends to a socket."""

    socket: _Socket | None = None

    def send(self, content: dict[str, Any], buffers: Any = None) -> None:
        if self.socket is not None:
            self.socket.loop.call_soon_threadsafe(self.socket.pass_on, content, list(buffers or []))


class _Page(tornado.web.RequestHandler):
    def get(self) -> None:
        self.finish(PAGE)


class _Socket(tornado.websocket.WebSocketHandler):
    def initialize(self, host: BarePage) -> None:
        self.host = host

    def open(self, *_: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.explorer = self.host.shown
        self.explorer.socket = self
        state = {key: value for key, value in self.explorer.get_state().items() if not key.startswith(("_esm", "_css"))}
        self.write_message(json.dumps({"state": state}))

    def pass_on(self, content: dict[str, Any], buffers: list[Any]) -> None:
        self.write_message(json.dumps({"content": content, "buffers": len(buffers)}))
        for buffer in buffers:
            self.write_message(bytes(buffer), binary=True)

    def on_message(self, message: str | bytes) -> None:
        said = json.loads(message)
        if "content" in said:
            self.explorer._on_message(self.explorer, said["content"], [])
        for name, value in said.get("changed", {}).items():
            setattr(self.explorer, name, value)


class BarePage:
    """A server and a browser with one page.

    Parameters
    ----------
    flags : tuple of str
        More of the browser's command line.
    """

    name = "a bare page, NOT JupyterLab"

    def __init__(self, flags: tuple[str, ...] = ()) -> None:
        self.shown: Any = None
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        started.wait()
        self.page = DevToolsPage("about:blank", (SIZE, *flags), timeout=45)

    async def _serve(self, started: threading.Event) -> None:
        routes: list[Any] = [
            ("/", _Page),
            ("/ws", _Socket, {"host": self}),
            ("/static/(.*)", tornado.web.StaticFileHandler, {"path": str(STATIC)}),
        ]
        sockets = bind_sockets(0, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        server = HTTPServer(tornado.web.Application(routes))
        server.add_sockets(sockets)
        started.set()
        await asyncio.Event().wait()

    def explorer(self, watch: str, arguments: dict[str, Any]) -> None:
        """Show an explorer; ``watch`` is evaluated before it."""
        self.shown = _Explorer(**arguments)
        self.shown._look_ahead()
        self.page.command("Page.navigate", url=f"http://127.0.0.1:{self.port}/")
        if not self.page.wait_for("() => window.go !== undefined", timeout=20):
            raise RuntimeError(f"the page has not begun: {self.page.said()}")
        self.page.evaluate(watch)
        self.page.evaluate("() => go()")

    def close(self) -> None:
        """End the browser; the server ends with Python."""
        self.page.close()
