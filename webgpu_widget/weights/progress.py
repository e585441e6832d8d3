"""A bar that a person trusts: one over all bytes, as a widget in a notebook and as tqdm in a terminal."""

from __future__ import annotations

import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from webgpu_widget.link import hosts

if TYPE_CHECKING:
    from webgpu_widget.link.hosts import Host
    from webgpu_widget.weights.loader import Weights

__all__ = ["show"]

_INTERVAL_S = 0.1
_ENDED = ("done", "failed", "cancelled")

_ESM = """
function render({ model, el }) {
  const bar = document.createElement("progress");
  const text = document.createElement("span");
  const pause = document.createElement("button");
  const cancel = document.createElement("button");
  const box = document.createElement("div");
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "loading weights");
  box.style.cssText = "display:flex;gap:.6em;align-items:center;font:13px system-ui,sans-serif;flex-wrap:wrap";
  bar.max = 1;
  bar.style.width = "16em";
  cancel.textContent = "Cancel";
  pause.onclick = () => model.send({ action: model.get("state") === "paused" ? "resume" : "pause" });
  cancel.onclick = () => model.send({ action: "cancel" });
  box.append(bar, text, pause, cancel);
  el.append(box);
  const draw = () => {
    const state = model.get("state");
    bar.value = model.get("fraction");
    text.textContent = model.get("text");
    pause.textContent = state === "paused" ? "Resume" : "Pause";
    pause.hidden = cancel.hidden = !(state === "loading" || state === "paused");
  };
  for (const name of ["fraction", "text", "state"]) model.on(`change:${name}`, draw);
  draw();
}
export default { render };
"""


def show(weights: Weights) -> None:
    """Show a bar for a load: a widget in a notebook, tqdm in a terminal, nothing where nobody looks."""
    host = hosts.here()
    if host.has_page:
        _show_widget(weights, host)
    elif sys.stderr.isatty():
        _show_tqdm(weights)


def _show_widget(weights: Weights, host: Host) -> None:
    import anywidget
    import traitlets

    class LoadBar(anywidget.AnyWidget):
        _esm = _ESM
        fraction = traitlets.Float(0.0).tag(sync=True)
        text = traitlets.Unicode("").tag(sync=True)
        state = traitlets.Unicode("loading").tag(sync=True)

        def __repr__(self) -> str:
            return "loading weights"

    bar = LoadBar()
    held = weakref.ref(weights)

    def steer(_widget: Any, content: Any, _buffers: Any) -> None:
        target = held()
        action = content.get("action") if isinstance(content, dict) else None
        if target is not None and action in ("pause", "resume", "cancel"):
            getattr(target, action)()

    bar.on_msg(steer)
    last = [0.0]

    def update() -> None:
        target = held()
        if target is None:
            return
        progress = target.progress
        if progress.state not in _ENDED and time.monotonic() - last[0] < _INTERVAL_S:
            return
        last[0] = time.monotonic()
        with bar.hold_sync():
            bar.fraction, bar.text, bar.state = progress.fraction, str(progress), progress.state

    update()
    weights._driver.listeners.append(update)
    host.show(bar)


def _show_tqdm(weights: Weights) -> None:
    from tqdm import tqdm

    held = weakref.ref(weights)
    bar = tqdm(total=weights.progress.bytes_total, unit="B", unit_scale=True, desc=weights.plan.title)

    def update() -> None:
        target = held()
        if target is None or bar.disable:
            return
        progress = target.progress
        bar.total = progress.bytes_total
        bar.n = progress.bytes_done
        bar.set_postfix_str(f"{progress.stage or progress.state}, {progress.route}", refresh=False)
        bar.refresh() if progress.state in _ENDED else bar.update(0)
        if progress.state in _ENDED:
            bar.close()

    weights._driver.listeners.append(update)
