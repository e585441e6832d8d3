"""The Mandelbrot set by tiles: each is a `wg.mandelbrot.render` of its own part of the view, around the view's one reference point."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gmpy2
import numpy as np
from numpy.typing import NDArray

from webgpu_widget import errors
from webgpu_widget.cluster.dask import GarbageError
from webgpu_widget.cluster.tasks import Flow, Piece
from webgpu_widget.mandelbrot.image import Image, Stats
from webgpu_widget.mandelbrot.render import longer_slices
from webgpu_widget.mandelbrot.render import render as render_part
from webgpu_widget.mandelbrot.view import View, make_view
from webgpu_widget.mandelbrot.work import choose_method

if TYPE_CHECKING:
    from webgpu_widget.cluster.pool import Cluster
    from webgpu_widget.gpu import GPU

__all__ = ["Tile", "render"]

_COARSE = 12
_COARSE_ITER = 256
_SPOT = 4
_SPOT_ITER = 8
_LONGER = 6.0
"""How much longer a CPU adapter's dispatches are than in a notebook: it has no screen to keep alive, and each ends with a round trip through Python."""
_DOUBLE = -44
"""log2 of the spacing below which doubles near 1 do not tell pixels apart."""

Counts = tuple[NDArray[np.uint32], NDArray[np.float32], Stats]


@dataclass(frozen=True)
class Tile:
    """A rectangle of a picture: its first column and row, width and height, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def where(self) -> tuple[slice, slice]:
        """Its part of an array of the picture's shape."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def tiles(size: tuple[int, int], tile: int) -> list[Tile]:
    """Cut a picture of ``size`` (width, height) into tiles of at most ``tile`` pixels a side."""
    width, height = size
    return [
        Tile(left, top, min(tile, width - left), min(tile, height - top))
        for top in range(0, height, tile)
        for left in range(0, width, tile)
    ]


def points(view: View, columns: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.complex128]:
    """Return pixels' points of the plane in double precision, shape (rows, columns)."""
    re, im = (float(part) for part in view.point)
    step = float(view.spacing)
    x = re + (columns + 0.5 - view.size[0] / 2) * step
    y = im + (view.size[1] / 2 - rows - 0.5) * step
    return np.asarray(x[None, :] + 1j * y[:, None], np.complex128)


def count(c: NDArray[np.complex128], max_iter: int) -> NDArray[np.int64]:
    """Return the first n with abs(z_n) > 2, or ``max_iter``, in double precision."""
    z = np.zeros_like(c)
    counts = np.full(c.shape, max_iter)
    for n in range(1, max_iter + 1):
        z = z * z + c
        left = (np.abs(z) > 2) & (counts == max_iter)
        counts[left] = n
        z[left] = 0
        c = np.where(left, 0, c)
        if not (counts == max_iter).any():
            break
    return counts


def costs(view: View, parts: list[Tile]) -> NDArray[np.float64]:
    """Estimate the iterations of each tile from every twelfth pixel, in NumPy; where doubles do not tell pixels apart, by area."""
    areas = np.array([float(part.width * part.height) for part in parts])
    columns, rows = (np.arange(min(_COARSE // 2, n - 1), n, _COARSE) for n in view.size)
    if view.log2_spacing < _DOUBLE or view.julia is not None:
        return areas
    counts = count(points(view, columns, rows), min(view.max_iter, _COARSE_ITER)).astype(np.float64)
    counts[counts >= _COARSE_ITER] = view.max_iter
    means = np.empty(len(parts))
    for i, part in enumerate(parts):
        near_x = np.abs(columns - part.left - part.width / 2) <= max(part.width, _COARSE) / 2
        near_y = np.abs(rows - part.top - part.height / 2) <= max(part.height, _COARSE) / 2
        piece = counts[np.ix_(near_y, near_x)]
        means[i] = piece.mean() if piece.size else counts.mean()
    return np.asarray((means + 2) * areas, np.float64)


def compute_tile(gpu: GPU, view: View, part: Tile, method: str) -> Counts:
    """Compute a tile in a task.

    Raises
    ------
    GarbageError
        When what the browser returned cannot be right.
    """
    re, im = view.point
    step = view.spacing
    center = (
        re + (part.left + part.width / gmpy2.mpq(2) - view.size[0] / gmpy2.mpq(2)) * step,
        im + (view.size[1] / gmpy2.mpq(2) - part.top - part.height / gmpy2.mpq(2)) * step,
    )
    if gpu.info.is_fallback:
        longer_slices(gpu, _LONGER)
    image = render_part(
        center,
        step * part.width,
        (part.width, part.height),
        view.max_iter,
        gpu,
        method=method,
        reference=None if method == "direct" else view.point,
        timeout=120.0,
    )
    check_tile(view, part, image.iterations, image.smooth)
    return image.iterations, image.smooth, image.stats


def check_tile(view: View, part: Tile, iterations: NDArray[np.uint32], smooth: NDArray[np.float32]) -> None:
    """Raise when a tile cannot be right: counts out of range, NaN outside, or first steps of orbits that say otherwise."""
    if int(iterations.max(initial=0)) > view.max_iter or int(iterations.min(initial=1)) < 1:
        raise GarbageError(f"a tile has counts out of 1 to {view.max_iter}")
    # A pixel that escapes in the last step counts as max_iter and has a continuous count all the same.
    if (np.isnan(smooth) & (iterations != view.max_iter)).any() or np.isinf(smooth).any():
        raise GarbageError("a tile has continuous counts that do not fit its counts")
    rows, columns = (np.linspace(0, n - 1, min(_SPOT, n)).astype(int) for n in (part.height, part.width))
    few = min(_SPOT_ITER, view.max_iter)
    # Orbits that leave within a few steps do so on every GPU alike, but for a bare rounding.
    mine = count(points(view, columns + part.left, rows + part.top), few)
    theirs = np.minimum(iterations[np.ix_(rows, columns)].astype(int), few)
    if (np.abs(mine - theirs) > 1).any():
        raise GarbageError("a tile has counts that the first steps of its orbits contradict")


def render(
    cluster: Cluster,
    center: Any = ("-0.75", "0"),
    width: Any = 3,
    size: tuple[int, int] = (800, 600),
    max_iter: int = 1000,
    tile: int = 256,
    progress: bool | Callable[[float], None] = False,
    live: Callable[[Tile, NDArray[np.float32]], None] | None = None,
) -> Image:
    """See `Cluster.mandelbrot`."""
    from webgpu_widget.cluster.views import meter

    view = make_view(center, width, size, max_iter)
    if tile < 1:
        raise errors.ClusterError(f"tile is {tile}; it is a positive number of pixels")
    began = time.monotonic()
    method = choose_method(view)
    parts = tiles(view.size, tile)
    estimates = costs(view, parts)
    iterations = np.zeros((view.size[1], view.size[0]), np.uint32)
    smooth = np.zeros((view.size[1], view.size[0]), np.float32)
    stats: list[Stats] = []
    with meter(progress, "tiles", float(estimates.sum())) as advance:

        def arrived(piece: Piece, value: Counts) -> None:
            part = parts[piece.index]
            iterations[part.where], smooth[part.where] = value[:2]
            stats.append(value[2])
            if live is not None:
                live(part, value[1])
            advance(piece.cost)

        pieces = [Piece(i, (view, part, method), float(estimates[i])) for i, part in enumerate(parts)]
        Flow(cluster, compute_tile).run(pieces, arrived)
    total = Stats(
        iterations=sum(one.iterations for one in stats),
        seconds=time.monotonic() - began,
        slices=sum(one.slices for one in stats),
        orbit_steps=max(one.orbit_steps for one in stats),
        orbit_seconds=sum(one.orbit_seconds for one in stats),
        table_levels=max(one.table_levels for one in stats),
        refined=sum(one.refined for one in stats),
        samples=sum(one.samples for one in stats),
    )
    return Image(view, method, iterations, smooth, None, total)
