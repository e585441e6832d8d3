"""A bar that a person trusts: one over all bytes, as a widget in a notebook and as tqdm in a terminal."""

from __future__ import annotations

import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from webgpu_widget.link import hosts, widgets
from webgpu_widget.shown.panel import Bar

if TYPE_CHECKING:
    from webgpu_widget.link.hosts import Host
    from webgpu_widget.weights.loader import Weights

__all__ = ["show"]

_INTERVAL_S = 0.1
_ENDED = ("done", "failed", "cancelled")


def show(weights: Weights) -> None:
    """Show a bar for a load: a widget in a notebook, tqdm in a terminal, nothing where nobody looks."""
    host = hosts.here()
    if host.has_page:
        _show_widget(weights, host)
    elif sys.stderr.isatty():
        _show_tqdm(weights)


def _show_widget(weights: Weights, host: Host) -> None:
    bar = Bar("loading weights", steerable=True)
    held = weakref.ref(weights)

    def steer(_widget: Any, content: object, _buffers: Any) -> None:
        target = held()
        if target is None or not widgets.STEER.matches(content):
            return
        if content["action"] == "pause":
            target.pause()
        elif content["action"] == "resume":
            target.resume()
        else:
            target.cancel()

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
        bar.tell(progress.fraction, str(progress), progress.state)

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
