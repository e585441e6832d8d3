"""The Mandelbrot set by tiles: each has the bits that `wg.mandelbrot.render` of the whole view has there, whatever its size and whoever computes it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget import errors
from webgpu_widget.cluster.dask import GarbageError
from webgpu_widget.cluster.tasks import Flow, Piece
from webgpu_widget.device.default import as_device
from webgpu_widget.mandelbrot.image import Image, Stats
from webgpu_widget.mandelbrot.render import longer_slices, render_tile
from webgpu_widget.mandelbrot.tile import Tile
from webgpu_widget.mandelbrot.view import View, make_view
from webgpu_widget.mandelbrot.work import choose_method

if TYPE_CHECKING:
    from webgpu_widget.cluster.pool import Cluster
    from webgpu_widget.gpu import GPU

__all__ = ["Tile", "render"]

_SAMPLES = 24576
"""Points that are looked at before the first tile is handed out, of all tiles together: 0.03 s. With a third of them, dear corners are missed, and come last."""
_EFFORT_ITER = 512
_SLOPE_ITER = 240
"""Of them the last, from which the derivative is taken: the square of that stays under 16**240, and so in a double."""
_LOOK = 4
_SETTLED_BITS = 72.0
"""Bits that an orbit closes in by until it is found to repeat: 24 of f32, and up to twice as many steps more until Brent's test holds the right point."""
_SLOWEST_BITS = 0.02
_LEAST_STEPS = 20.0
"""What a pixel costs anyhow."""
_LEAST_SIDE, _MOST_SIDE, _SIDES = 256, 1024, 128
"""Pixels a side of a tile that is chosen here, and what they are multiples of."""
_PIECES = 24
"""For each browser, at least, of equal cost."""
_GUIDED = 4
"""A piece is at most this part of a browser's share of what is left, so that pieces become small towards the end, and no browser waits long for another."""
_BUNDLE = 8
"""Most tiles in a task: what is lost with a browser is not more, and a picture grows before one's eyes."""
_SPOT = 4
_SPOT_ITER = 8
_LONGER = 6.0
"""How much longer a CPU adapter's dispatches are than in a notebook: it has no screen to keep alive, and each ends with a round trip through Python."""
_DOUBLE = -44
"""log2 of the spacing below which doubles near 1 do not tell pixels apart."""

Counts = tuple[NDArray[np.uint32], NDArray[np.float32], Stats]


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


@np.errstate(over="ignore", invalid="ignore")
def effort(c: NDArray[np.complex128], max_iter: int) -> NDArray[np.float64]:
    """Estimate the steps that points of the plane take on a GPU, from a few hundred in double precision.

    An orbit that stays is followed until it repeats itself: its derivative tells how fast it closes in on its cycle. The cardioid and the disc of period 2
    are told by a formula and cost nothing, as in ``direct.wgsl``.

    Parameters
    ----------
    c : ndarray of complex128
        The points.
    max_iter : int
        Most steps.

    Returns
    -------
    ndarray of float64, shape of ``c``
        Steps; those of one point mean little, their mean over a tile says what it costs.
    """
    few = min(max_iter, _EFFORT_ITER)
    x, y2 = c.real - 0.25, c.imag**2
    q = x * x + y2
    steps = np.where((q * (q + x) < 0.25 * y2) | ((c.real + 1) ** 2 + y2 < 0.0625), 0.0, float(max_iter)).ravel()
    left = np.flatnonzero(steps)
    points_left = c.ravel()[left]
    z, slope = np.zeros_like(points_left), np.ones(len(left))
    for n in range(1, few + 1):
        z = z * z + points_left
        squared = z.real**2 + z.imag**2
        if few - n < _SLOPE_ITER:
            slope *= 4 * np.minimum(squared, 4)
        if n % _LOOK == 0 or n == few:
            inside = squared <= 4
            steps[left[~inside]] = n
            left, points_left, z, slope = left[inside], points_left[inside], z[inside], slope[inside]
    if few < max_iter:
        bits = -np.log2(np.maximum(slope, 1e-300)) / (2 * min(few, _SLOPE_ITER))
        steps[left] = np.minimum(max_iter, few + _SETTLED_BITS / np.maximum(bits, _SLOWEST_BITS))
    return steps.reshape(c.shape)


def side_for(size: tuple[int, int], on_cpu: Sequence[bool]) -> int:
    """Choose the side of tiles: what a GPU computes in no time is a round trip through Python, and so are two tiles of it.

    Parameters
    ----------
    size : (int, int)
        Of the picture.
    on_cpu : sequence of bool
        Of each browser, whether a CPU does the work: there even a small tile takes long, and small ones are lost more easily.
    """
    if not on_cpu or any(on_cpu):
        return _LEAST_SIDE
    side = int(math.sqrt(size[0] * size[1] / (_PIECES * len(on_cpu))))
    return min(max(side // _SIDES * _SIDES, _LEAST_SIDE), _MOST_SIDE)


def areas(parts: Sequence[Tile]) -> NDArray[np.float64]:
    """Return the pixels of each tile."""
    return np.array([float(part.width * part.height) for part in parts])


def costs(view: View, parts: list[Tile]) -> NDArray[np.float64]:
    """Estimate the steps of each tile from some of its points; where doubles do not tell pixels apart, by area."""
    if view.log2_spacing < _DOUBLE or view.julia is not None:
        return areas(parts)
    side = int(np.clip(np.sqrt(_SAMPLES / len(parts)), 2, 16))
    middles = (np.arange(side) + 0.5) / side
    re, im = (float(part) for part in view.point)
    x = np.array([part.left + part.width * middles for part in parts]) - view.size[0] / 2
    y = view.size[1] / 2 - np.array([part.top + part.height * middles for part in parts])
    step = float(view.spacing)
    c = (re + x * step)[:, None, :] + 1j * (im + y * step)[:, :, None]
    return np.asarray((effort(c, view.max_iter).mean((1, 2)) + _LEAST_STEPS) * areas(parts), np.float64)


def bundles(estimates: NDArray[np.float64], browsers: int) -> list[list[int]]:
    """Put tiles together to be computed in one task, costly ones alone and first: a task costs Python some milliseconds, however little there is in it.

    Parameters
    ----------
    estimates : ndarray of float64, shape (n,)
        Of each tile, in any unit.
    browsers : int
        How many share the work.

    Returns
    -------
    list of list of int
        Which tiles are in each, dearest first. What is at most a small part of a browser's share of what is left goes into one.

    Notes
    -----
    Guided self-scheduling: C. D. Polychronopoulos, D. J. Kuck, "Guided self-scheduling", IEEE Trans. Computers C-36 (1987).
    """
    left = float(estimates.sum())
    most = left / (_PIECES * max(browsers, 1)) * (1 + 1e-9)
    made: list[list[int]] = []
    filled = 0.0
    for index in np.argsort(-estimates, kind="stable").tolist():
        cost = float(estimates[index])
        if made and filled + cost <= min(most, left / (_GUIDED * max(browsers, 1))) and len(made[-1]) < _BUNDLE:
            made[-1].append(index)
            filled += cost
        else:
            made.append([index])
            filled = cost
        left -= cost
    return made


def compute_tiles(gpu: GPU, view: View, parts: Sequence[Tile], method: str) -> list[Counts]:
    """Compute some tiles in a task; see `compute_tile`."""
    return [compute_tile(gpu, view, part, method) for part in parts]


def compute_tile(gpu: GPU, view: View, part: Tile, method: str) -> Counts:
    """Compute a tile.

    Raises
    ------
    GarbageError
        When what the browser returned cannot be right.
    """
    device = as_device(gpu)
    if device.info.is_fallback:
        longer_slices(device, _LONGER)
    counts = render_tile(view, part, device, method, timeout=120.0)
    check_tile(view, part, counts.iterations, counts.smooth)
    return counts.iterations, counts.smooth, counts.stats


def check_tile(view: View, part: Tile, iterations: NDArray[np.uint32], smooth: NDArray[np.float32]) -> None:
    """Raise when a tile cannot be right: counts out of range, NaN outside, or first steps of orbits that say otherwise."""
    if int(iterations.max(initial=0)) > view.max_iter or int(iterations.min(initial=1)) < 1:
        raise GarbageError(f"a tile has counts out of 1 to {view.max_iter}")
    # A pixel that escapes in the last step counts as max_iter and has a continuous count all the same.
    odd = ~np.isfinite(smooth)
    if odd.any() and (np.isinf(smooth[odd]) | (iterations[odd] != view.max_iter)).any():
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
    tile: int | None = None,
    progress: bool | Callable[[float], None] = False,
    live: Callable[[Tile, NDArray[np.float32]], None] | None = None,
) -> Image:
    """See `Cluster.mandelbrot`."""
    from webgpu_widget.cluster.views import meter

    view = make_view(center, width, size, max_iter)
    members = cluster._roster.present("ready")
    if tile is None:
        tile = side_for(view.size, [member.info is None or member.info.is_fallback for member in members])
    if tile < 1:
        raise errors.ClusterError(f"tile is {tile}; it is a positive number of pixels")
    began = time.monotonic()
    method = choose_method(view)
    parts = tiles(view.size, tile)
    # The order is for browsers that would wait for one another.
    estimates = costs(view, parts) if len(members) > 1 else areas(parts)
    together = bundles(estimates, len(members))
    iterations = np.zeros((view.size[1], view.size[0]), np.uint32)
    smooth = np.zeros((view.size[1], view.size[0]), np.float32)
    stats: list[Stats] = []
    with meter(progress, "tiles", float(estimates.sum())) as advance:

        def arrived(piece: Piece, values: list[Counts]) -> None:
            for index, value in zip(together[piece.index], values, strict=True):
                part = parts[index]
                iterations[part.where], smooth[part.where] = value[:2]
                stats.append(value[2])
                if live is not None:
                    live(part, value[1])
            advance(piece.cost)

        pieces = [
            Piece(i, (view, [parts[index] for index in bundle], method), float(estimates[bundle].sum()))
            for i, bundle in enumerate(together)
        ]
        Flow(cluster, compute_tiles).run(pieces, arrived)
    total = Stats(
        iterations=sum(one.iterations for one in stats),
        seconds=time.monotonic() - began,
        slices=sum(one.slices for one in stats),
        orbit_steps=max(one.orbit_steps for one in stats),
        orbit_seconds=sum(one.orbit_seconds for one in stats),
        table_levels=max(one.table_levels for one in stats),
        refined=sum(one.refined for one in stats),
        samples=sum(one.samples for one in stats),
        exact=sum(one.exact for one in stats),
    )
    return Image(view, method, iterations, smooth, None, total)
