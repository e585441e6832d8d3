"""What is shown in a notebook: a table of the browsers, progress, a picture that fills up."""

from __future__ import annotations

import contextlib
import html
import io
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.link import hosts

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
    if progress is False:
        yield lambda _part: None
        return
    if callable(progress):
        report = progress

        def tell(part: float) -> None:
            nonlocal done
            done += part
            report(min(1.0, done / total))

        yield tell
        return
    from tqdm.auto import tqdm

    with tqdm(total=100, desc=unit, unit="%", bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}") as bar:

        def move(part: float) -> None:
            nonlocal done
            done += part
            bar.update(min(100.0, 100 * done / total) - bar.n)

        yield move


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
    """

    def __init__(self, rows: Callable[[], Table]) -> None:
        import ipywidgets

        self._rows = rows
        self.widget = ipywidgets.HTML(rows()._repr_html_())

    def refresh(self) -> None:
        """Show what is so now."""
        text = self._rows()._repr_html_()
        if text != self.widget.value:
            self.widget.value = text


class LivePicture:
    """A picture that fills up as its tiles arrive, shown in the cell that makes it.

    Parameters
    ----------
    size : tuple of int
        (width, height) in pixels; it is shown reduced to 960 pixels at most.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        import ipywidgets

        self._step = max(1, -(-max(size) // _SHOWN))
        self._rgba = np.full((size[1], size[0], 4), (90, 90, 90, 60), np.uint8)
        self._last = 0.0
        self.widget = ipywidgets.Image(value=self._png(), format="png")
        hosts.here().show(self.widget)

    def _png(self) -> bytes:
        return png(np.ascontiguousarray(self._rgba[:: self._step, :: self._step]))

    def add(self, part: Tile, smooth: NDArray[np.float32]) -> None:
        """Put a tile in; the picture is sent four times a second at most."""
        self._rgba[part.where] = colours(smooth)
        now = time.monotonic()
        if now - self._last > _REDRAW_S:
            self._last = now
            self.widget.value = self._png()

    def finish(self) -> None:
        """Send all that is there."""
        self.widget.value = self._png()
