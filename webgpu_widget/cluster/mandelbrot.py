"""The Mandelbrot set by tiles."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget import errors, shaders
from webgpu_widget.cluster.dask import GarbageError
from webgpu_widget.cluster.tasks import Flow, Piece
from webgpu_widget.reference.cluster import escape

if TYPE_CHECKING:
    from webgpu_widget.cluster.pool import Cluster
    from webgpu_widget.gpu import GPU

__all__ = ["Picture", "Tile", "render"]

_COARSE = 12
_COARSE_ITER = 256
_GROUP = 64
_MAX_GROUPS = 32768


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


@dataclass
class Picture:
    """Escape counts.

    Attributes
    ----------
    iterations : ndarray of uint32, shape (height, width)
        First n with abs(z_n) > 2, or ``max_iter``.
    smooth : ndarray of float32, shape (height, width)
        Continuous count at radius 2**8, NaN inside.
    max_iter : int
        Most iterations.
    """

    iterations: NDArray[np.uint32]
    smooth: NDArray[np.float32]
    max_iter: int

    def rgba(self) -> NDArray[np.uint8]:
        """Return a picture of shape (height, width, 4): a cyclic colour by the logarithm of the count, black inside."""
        return colours(self.smooth)

    def _repr_png_(self) -> bytes:
        from webgpu_widget.cluster.views import png

        return png(self.rgba())


def colours(smooth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn continuous counts into colours."""
    inside = np.isnan(smooth)
    phase = np.log2(np.maximum(np.where(inside, 1, smooth), 1))[..., None] * 1.7 + np.array([0.0, 0.35, 0.7])
    picture = np.full((*smooth.shape, 4), 255, np.uint8)
    picture[..., :3] = (127.5 - 127.5 * np.cos(2 * np.pi * phase)).astype(np.uint8)
    picture[inside, :3] = 0
    return picture


def tiles(size: tuple[int, int], tile: int) -> list[Tile]:
    """Cut a picture of ``size`` (width, height) into tiles of at most ``tile`` pixels a side."""
    width, height = size
    return [
        Tile(left, top, min(tile, width - left), min(tile, height - top))
        for top in range(0, height, tile)
        for left in range(0, width, tile)
    ]


def axes(center: complex, width: float, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the real parts of a picture's columns and the imaginary parts of its rows, rounded once."""
    columns, rows = size
    x = center.real + ((np.arange(columns) + 0.5) / columns - 0.5) * width
    y = center.imag + (0.5 - (np.arange(rows) + 0.5) / rows) * width * rows / columns
    return x.astype(np.float32), y.astype(np.float32)


def costs(x: NDArray[np.float32], y: NDArray[np.float32], parts: list[Tile], max_iter: int) -> NDArray[np.float64]:
    """Estimate the iterations of each tile from every twelfth pixel, in NumPy."""
    capped = min(max_iter, _COARSE_ITER)
    estimates = np.empty(len(parts))
    rows = np.unique([part.top for part in parts])
    step = _COARSE
    counts = escape(x[step // 2 :: step], y[step // 2 :: step], capped)[0].astype(np.float64)
    counts[counts >= capped] = max_iter
    if not counts.size or not rows.size:
        return np.array([float(part.width * part.height) for part in parts])
    for i, part in enumerate(parts):
        left, top = part.left // step, part.top // step
        right = max(left + 1, (part.left + part.width) // step)
        bottom = max(top + 1, (part.top + part.height) // step)
        piece = counts[min(top, counts.shape[0] - 1) : bottom, min(left, counts.shape[1] - 1) : right]
        estimates[i] = (piece.mean() + 2) * part.width * part.height
    return estimates


def compute_tile(
    gpu: GPU, x: NDArray[np.float32], y: NDArray[np.float32], max_iter: int
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Compute a tile in a task.

    Raises
    ------
    GarbageError
        When what the browser returned cannot be right.
    """
    shape = (y.size, x.size)
    queue = gpu._queue
    columns, rows = gpu.array(x), gpu.array(y)
    counts, smooth = gpu.empty(shape, np.uint32), gpu.empty(shape)
    groups = -(-x.size * y.size // _GROUP)
    across = min(groups, _MAX_GROUPS)
    pipeline = queue.pipeline(shaders.load("cluster/escape"), "escape")
    queue.dispatch(
        pipeline,
        [
            (0, 0, columns._memory),
            (0, 1, rows._memory),
            (0, 2, counts._memory),
            (0, 3, smooth._memory),
            (1, 0, struct.pack("<4I", x.size, y.size, max_iter, 0)),
        ],
        (across, -(-groups // across), 1),
    )
    spans = [(counts._memory, 0, counts.nbytes), (smooth._memory, 0, smooth.nbytes)]
    first, second = queue.read(spans, 120.0, "a tile of the Mandelbrot set")
    iterations = first.view(np.uint32).reshape(shape)
    values = second.view(np.float32).reshape(shape)
    check_tile(iterations, values, x, y, max_iter)
    return iterations, values


def check_tile(
    iterations: NDArray[np.uint32],
    smooth: NDArray[np.float32],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    max_iter: int,
) -> None:
    """Raise when a tile cannot be right: counts out of range, NaN outside, or pixels that escape at once and do not here."""
    if int(iterations.max(initial=0)) > max_iter or int(iterations.min(initial=1)) < 1:
        raise GarbageError(f"a tile has counts out of 1 to {max_iter}")
    # A pixel that escapes in the last step counts as max_iter and has a continuous count all the same.
    if (np.isnan(smooth) & (iterations != max_iter)).any() or np.isinf(smooth).any():
        raise GarbageError("a tile has continuous counts that do not fit its counts")
    # Orbits that leave within a few steps do so on every GPU alike, but for a bare rounding.
    rows, columns = (
        np.linspace(0, y.size - 1, min(4, y.size)).astype(int),
        np.linspace(0, x.size - 1, min(4, x.size)).astype(int),
    )
    few = min(8, max_iter)
    mine = escape(x[columns], y[rows], few)[0]
    theirs = np.minimum(iterations[np.ix_(rows, columns)], few)
    if (np.abs(mine.astype(int) - theirs.astype(int)) > 1).any():
        raise GarbageError("a tile has counts that the first steps of its orbits contradict")


def render(
    cluster: Cluster,
    center: Any = (-0.75, 0.0),
    width: Any = 3.0,
    size: tuple[int, int] = (800, 600),
    max_iter: int = 1000,
    tile: int = 256,
    progress: bool | Callable[[float], None] = False,
    live: Callable[[Tile, NDArray[np.uint32], NDArray[np.float32]], None] | None = None,
) -> Picture:
    """See `Cluster.mandelbrot`."""
    point = center if isinstance(center, complex) else complex(*(float(part) for part in np.ravel(center)))
    if min(size) < 1 or tile < 1 or max_iter < 1:
        raise errors.ClusterError(f"size {size}, tile {tile} and max_iter {max_iter} are to be positive")
    x, y = axes(point, float(width), size)
    parts = tiles(size, tile)
    estimates = costs(x, y, parts, max_iter)
    iterations = np.zeros((size[1], size[0]), np.uint32)
    smooth = np.zeros((size[1], size[0]), np.float32)
    pieces = [
        Piece(i, (x[part.where[1]], y[part.where[0]], max_iter), float(estimates[i])) for i, part in enumerate(parts)
    ]
    from webgpu_widget.cluster.views import meter

    with meter(progress, "tiles", float(estimates.sum())) as advance:

        def arrived(piece: Piece, value: tuple[NDArray[np.uint32], NDArray[np.float32]]) -> None:
            part = parts[piece.index]
            iterations[part.where], smooth[part.where] = value
            if live is not None:
                live(part, *value)
            advance(piece.cost)

        Flow(cluster, compute_tile).run(pieces, arrived)
    return Picture(iterations, smooth, max_iter)
