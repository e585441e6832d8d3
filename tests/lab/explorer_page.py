"""The explorer in a bare page of its own, answered by an explorer in this process: what it shows at rest, number by number."""

from __future__ import annotations

import base64
import functools
import pathlib
import queue
import subprocess
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser

import webgpu_widget as wg

JS = pathlib.Path(__file__).parents[2] / "js"
ADDRESS = "http://127.0.0.1:9/explorer"
"""Never asked: the page's text is put in its place. A page of loopback may use WebGPU."""
TRAITS = (
    "center",
    "width",
    "max_iter",
    "auto_iterations",
    "power",
    "julia",
    "palette",
    "_colors",
    "scale",
    "cycle",
    "offset",
    "histogram",
    "height",
)

# A model as anywidget's, whose messages Python fetches, and an explorer whose picture has a size in pixels. Counts are taken down as they come.
_PAGE = """
window.outbox = [];
window.open_explorer = (traits, size) => {
  const heard = new Map();
  const model = {
    get: (name) => traits[name],
    set: (name, value) => { traits[name] = value; },
    save_changes: () => undefined,
    on: (names, act) => heard.set(names, [...(heard.get(names) ?? []), act]),
    off: () => undefined,
    send: (content) => { window.outbox.push(content); },
  };
  window.traits = traits;
  window.inbox = (content, parts) => {
    const buffers = parts.map((text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
    for (const act of heard.get('msg:custom') ?? []) act(content, buffers);
  };
  window.tell = (changes) => {
    Object.assign(traits, changes);
    for (const name of Object.keys(changes)) for (const act of heard.get(`change:${name}`) ?? []) act();
  };
  const place = document.createElement('div');
  document.body.replaceChildren(place);
  const style = document.createElement('style');
  style.textContent = `.wgmb-stage { flex: none !important; min-height: 0 !important; width: ${size[0]}px; height: ${size[1]}px; }`;
  document.head.append(style);
  window.explorer = new Bundle.Explorer(model, place);
};
window.at_rest = () => {
  const root = document.querySelector('.wgmb');
  const frame = window.explorer.progressive.picture.base;
  const text = (array) => { let all = ''; for (const byte of new Uint8Array(array.buffer)) all += String.fromCharCode(byte); return btoa(all); };
  return { state: { ...root.dataset }, note: root.querySelector('.wgmb-note').textContent, size: frame.size, smooth: text(frame.smooth), status: window.traits.status ?? null };
};
"""


@functools.cache
def bundle() -> str:
    """Bundle the explorer's class from its sources."""
    esbuild = [str(JS / "node_modules/.bin/esbuild"), "src/views/mandelbrot/explorer.ts", "--bundle", "--format=iife"]
    flags = ["--global-name=Bundle", "--loader:.css=text", "--log-level=error"]
    return subprocess.run([*esbuild, *flags], cwd=JS, check=True, capture_output=True, text=True).stdout


class ExplorerPage:
    """An explorer in Python, and its page in a browser.

    Parameters
    ----------
    browser : Browser
        Where the page opens.
    size : tuple of int
        Of the picture, in pixels.
    **traits
        Of `MandelbrotExplorer`.
    """

    def __init__(self, browser: Browser, size: tuple[int, int], **traits: Any) -> None:
        self.explorer = wg.MandelbrotExplorer(**traits)
        self._sent: queue.Queue[tuple[Any, list[Any]]] = queue.Queue()
        self.explorer._say = lambda message, buffers: self._sent.put((message, list(buffers)))
        self.page = browser.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.route("**/*", lambda route: route.fulfill(content_type="text/html", body="<!doctype html><body>"))
        self.page.goto(ADDRESS)
        self.page.add_script_tag(content=bundle())
        self.page.add_script_tag(content=_PAGE)
        state = self.explorer.get_state()
        self.page.evaluate(
            "([traits, size]) => open_explorer(traits, size)", [{name: state[name] for name in TRAITS}, size]
        )
        self.answering = True
        self.asked: list[str] = []
        self._unanswered: list[dict[str, Any]] = []

    def turn(self) -> None:
        """Carry messages both ways once."""
        for content in self.page.evaluate("() => window.outbox.splice(0)"):
            self.asked.append(content["kind"])
            if self.answering:
                self.explorer._on_message(self.explorer, content, [])
            else:
                self._unanswered.append(content)
        while not self._sent.empty():
            message, buffers = self._sent.get()
            parts = [base64.b64encode(bytes(buffer)).decode() for buffer in buffers]
            self.page.evaluate("([message, parts]) => inbox(message, parts)", [message, parts])
        self.page.wait_for_timeout(20)

    def answer_late(self) -> None:
        """Answer what was asked while nobody did."""
        self.answering = True
        for content in self._unanswered:
            self.explorer._on_message(self.explorer, content, [])
        self._unanswered = []

    def settle(self, seconds: float = 120, *, refined: bool = True) -> dict[str, Any]:
        """Answer the page until its picture is whole, and refined, and give that."""
        end = time.monotonic() + seconds
        while True:
            self.turn()
            found = self.page.evaluate("() => ({ ...document.querySelector('.wgmb').dataset })")
            assert not self.errors, self.errors
            assert found["state"] != "error", self.page.locator(".wgmb-note").inner_text()
            if found["state"] == "idle" and (found["refined"] or not refined):
                return dict(self.page.evaluate("() => at_rest()"))
            assert time.monotonic() < end, self.page.locator(".wgmb-status").inner_text()

    def smooth(self, seconds: float = 120) -> NDArray[np.float32]:
        """Continuous counts of the picture at rest, (height, width)."""
        found = self.settle(seconds)
        columns, rows = found["size"]
        return np.frombuffer(base64.b64decode(found["smooth"]), np.float32).reshape(rows, columns)

    def tell(self, **traits: Any) -> None:
        """Set traits in Python, and let the page hear of it."""
        with self.explorer.hold_sync():
            for name, value in traits.items():
                setattr(self.explorer, name, value)
        state = self.explorer.get_state()
        self.page.evaluate("(changes) => tell(changes)", {name: state[name] for name in traits})

    def close(self) -> None:
        """Close both."""
        self.page.close()
        self.explorer.close()
