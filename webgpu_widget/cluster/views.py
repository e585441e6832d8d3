"""What is shown in a notebook: a table of the browsers, progress, a picture that fills up."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.link import hosts
from webgpu_widget.shown import panel

if TYPE_CHECKING:
    from webgpu_widget.cluster.mandelbrot import Tile

_SHOWN = 960
_REDRAW_S = 0.25
_COLUMNS = ("browser", "adapter", "state", "tasks", "busy s", "hub in", "hub out", "peers in", "peers out")


def png(rgba: NDArray[np.uint8]) -> bytes:
    """Return a picture of shape (height, width, 4) as a PNG."""
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(rgba).save(target, "PNG")
    return target.getvalue()


def colours(smooth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn continuous counts into colours for a picture that is being made: cyclic by their logarithm, black inside."""
    inside = np.isnan(smooth)
    phase = np.log2(np.maximum(np.where(inside, 1, smooth), 1))[..., None] * 1.7 + np.array([0.0, 0.35, 0.7])
    picture = np.full((*smooth.shape, 4), 255, np.uint8)
    picture[..., :3] = (127.5 - 127.5 * np.cos(2 * np.pi * phase)).astype(np.uint8)
    picture[inside, :3] = 0
    return picture


def size_text(count: float) -> str:
    """Return bytes for a reader: ``12.3 MiB``."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024 or unit == "MiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


@contextlib.contextmanager
def meter(progress: bool | Callable[[float], None], unit: str, total: float) -> Iterator[Callable[[float], None]]:
    """Give a function that is told of finished work, and shows how much of ``total`` it is."""
    done = 0.0
    with panel.meter(progress, unit) as tell:

        def advance(part: float) -> None:
            nonlocal done
            done += part
            tell(min(1.0, done / total))

        yield advance


class Table(list[Any]):
    """Rows of `WorkerInfo` that show as a table."""

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                row.id,
                row.adapter + (" (CPU)" if row.is_fallback else ""),
                row.state + (f": {row.reason}" if row.reason else ""),
                f"{row.tasks_done}" + (f" ({row.tasks_failed} failed)" if row.tasks_failed else ""),
                f"{row.busy_s:.1f}",
                *(size_text(n) for n in (row.bytes_in, row.bytes_out, row.peer_bytes_in, row.peer_bytes_out)),
            )
            for row in self
        ]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>" for cells in self._cells()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        rows = [_COLUMNS, *self._cells()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )


class LiveTable:
    """A table of the browsers that follows the cluster, as a widget.

    Parameters
    ----------
    rows : callable
        Returns the `Table` to show.
    state : callable
        Returns a word on the cluster.
    """

    def __init__(self, rows: Callable[[], Table], state: Callable[[], str]) -> None:
        self._rows, self._state = rows, state
        self.widget = panel.TablePanel("Cluster of browsers", _COLUMNS)
        self.refresh()

    def refresh(self) -> None:
        """Show what is so now."""
        self.widget.tell(self._state(), [list(cells) for cells in self._rows()._cells()])


class LivePicture:
    """A picture that fills up as its tiles arrive, shown in the cell that makes it, and kept in the notebook's file.

    Parameters
    ----------
    size : tuple of int
        (width, height) in pixels; it is shown reduced to 960 pixels at most.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._step = max(1, -(-max(size) // _SHOWN))
        self._size = size
        self._rgba = np.full((size[1], size[0], 4), (90, 90, 90, 60), np.uint8)
        self._last = 0.0
        self._left = size[0] * size[1]
        host = hosts.here()
        self._output = host.display(self._bundle(), {}) if host.has_page else None

    def _bundle(self) -> dict[str, Any]:
        shown = png(np.ascontiguousarray(self._rgba[:: self._step, :: self._step]))
        width, height = self._size
        done = 1 - self._left / (width * height)
        return {
            "image/png": base64.b64encode(shown).decode("ascii"),
            "text/plain": f"a picture of {width} x {height} pixels by the cluster, {done:.0%} done",
        }

    def add(self, part: Tile, smooth: NDArray[np.float32]) -> None:
        """Put a tile in; the picture is sent four times a second at most."""
        self._rgba[part.where] = colours(smooth)
        self._left -= smooth.size
        now = time.monotonic()
        if now - self._last > _REDRAW_S:
            self._last = now
            self.finish()

    def finish(self) -> None:
        """Send all that is there."""
        if self._output is not None:
            self._output.update(self._bundle(), {})
