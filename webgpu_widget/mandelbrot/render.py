"""`render` and its coroutine twin."""

from __future__ import annotations

import dataclasses
import math
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.device.default import as_device
from webgpu_widget.link.steps import Steps, call, drive, drive_async
from webgpu_widget.mandelbrot import kernels, work
from webgpu_widget.mandelbrot.image import Extra, Image, Stats, edges, jitter
from webgpu_widget.mandelbrot.lines import count_exactly, unresolved
from webgpu_widget.mandelbrot.numbers import ViewError, exact_point
from webgpu_widget.mandelbrot.tile import Tile
from webgpu_widget.mandelbrot.view import MAX_ITER, View, make_view
from webgpu_widget.shown.panel import meter

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.gpu import GPU

__all__ = [
    "Counts",
    "automatic_iterations",
    "render",
    "render_async",
    "render_tile",
    "render_view",
    "render_view_async",
]

MAX_SAMPLES = 256
REFINED = 2.0
"""Pixels that differ from a neighbour by more counts than this are refined."""
_slices: weakref.WeakKeyDictionary[Any, tuple[work.Slices, work.Slices, work.Slices]] = weakref.WeakKeyDictionary()
"""Of each GPU: for direct.wgsl, perturb.wgsl and refine.wgsl, which differ in speed."""
_LONGER_FIRST = 512
"""`work.Slices.first` of longer dispatches: a tile of 256 x 256 is one band with it, and waits for few dispatches instead of few for each of eight bands."""
_PARTS = (1.0, 1 / 4, 1 / 20)
"""Of the first one's speed, before anything was seen."""


def longer_slices(gpu: Device, times: float) -> None:
    """Have a GPU run dispatches that are some times as long, in bands that are larger, where no page has to stay alive beside them. May be called again."""
    for slices, part in zip(_slices_of(gpu, gpu.info.is_fallback), _PARTS, strict=True):
        slices.target_s, slices.limit_s = times * work.TARGET_S, 2 * times * work.LIMIT_S
        slices.floor = times * part * work.FIRST_RATE[gpu.info.is_fallback] * work.TARGET_S
        slices.steps, slices.first = max(slices.steps, slices.floor), _LONGER_FIRST


def _slices_of(gpu: Any, is_fallback: bool) -> tuple[work.Slices, work.Slices, work.Slices]:
    """Return what a GPU has learnt."""
    if gpu not in _slices:
        first = work.FIRST_RATE[is_fallback] * work.TARGET_S
        parallel, least = work.PARALLEL[is_fallback], work.LEAST[is_fallback]
        direct, perturbed, refined = (part * first for part in _PARTS)
        _slices[gpu] = (
            work.Slices(direct, parallel, least),
            work.Slices(perturbed, parallel, least),
            work.Slices(refined, parallel),
        )
    return _slices[gpu]


def automatic_iterations(log2_width: float) -> int:
    """Suggest ``max_iter`` for a width: most of what is seen there escapes within it.

    Parameters
    ----------
    log2_width : float
        Base-2 logarithm of the width.

    Returns
    -------
    int
        The number that the explorer's page takes too: the logarithm is rounded to 2**-16, and from there on
        all is arithmetic that IEEE 754 leaves no choice in.
    """
    depth = max(0.0, 2 - round(log2_width * 65536) / 65536) * 0.30103
    return int(min(MAX_ITER, 256 + 180 * depth + 6 * (depth * math.sqrt(depth))))


def render(
    center: Any = ("-0.75", "0"),
    width: Any = 3,
    size: tuple[int, int] = (800, 600),
    max_iter: int = 1000,
    gpu: GPU | None = None,
    samples: int = 1,
    julia: Any = None,
    power: int = 2,
    *,
    formula: str = "mandelbrot",
    method: str = "auto",
    distance: bool = False,
    refine: bool = True,
    reference: Any = None,
    progress: Callable[[float], None] | bool | None = None,
    timeout: float | None = 30.0,
) -> Image:
    """Compute escape counts of a part of the plane.

    Parameters
    ----------
    center : complex, real, pair of reals, or a gmpy2 or mpmath number
        Middle of the picture; text keeps all its digits.
    width : real
        Width of the picture in the plane.
    size : tuple of int
        (width, height) in pixels.
    max_iter : int
        Most iterations of a pixel.
    gpu : GPU, optional
        Where to compute; `default_gpu` when left out.
    samples : int
        Samples a pixel at edges, where counts of neighbours differ; elsewhere one is enough.
    julia : number, optional
        The constant of a Julia set; then the plane is that of z_0.
    power : int
        2 to 5, of z**power + c.
    formula : {"mandelbrot", "burning_ship"}
        The burning ship exists where f32 resolves the pixels.
    method : {"auto", "direct", "perturbation", "bla"}
        Direct f32, perturbation of a reference orbit with rebasing, or that with bilinear approximation.
        ``auto`` takes direct while a pixel is wider than 2**-15 of its coordinates (at 400 pixels across, to a width of about 0.01), else bla.
        Direct iterates in float32: near the boundary its counts drift from the exact ones, the more the narrower the view. In a window that is all
        boundary that is 1 % of them where a pixel is 2**-9 of its coordinates, 3 % at 2**-11, 14 % at 2**-15; bla is right for all but 0.5 %, and
        takes longer. The burning ship is direct at any width, down to 2**-18.
    distance : bool
        Whether to estimate the distance to the set too.
    refine : bool
        Whether pixels of a perturbed picture that differ from a neighbour by more than two counts are done again with 56-bit
        numbers: there the count hangs on more than f32 holds. It costs about ten times the time of those pixels.
    reference : number, optional
        Reference point of the perturbation; the centre when left out.
    progress : callable or True, optional
        Called with the part that is done, 0 to 1; True shows a bar.
    timeout : float or None
        Seconds of silence of the browser.

    Returns
    -------
    Image
        Counts; `Image.rgba` colours them.

    Raises
    ------
    ViewError
        A number that is not finite, a width that is not positive, a size, count or power out of range, a method that the view does not have.
    DTypeError
        Something that is not a number.

    Notes
    -----
    Pixel (i, j) is the point ``center + ((i + 0.5) / W - 0.5) * width + 1j * (0.5 - (j + 0.5) / H) * width * H / W``.
    The work is cut into dispatches of about 30 ms; Ctrl-C ends it between two of them.

    A refined number has 56 bits for the larger of its two parts, and what is left of them for the smaller one. That is too little where all
    hangs on the smaller: in a row of pixels beside the real axis by less than 2**-46 of a pixel, but not on it, and in the column through the nucleus
    of a copy on the axis that is some 1e14 times smaller than a pixel. Such lines are counted with all digits in Python, some 1e6 steps a second;
    ``image.stats.exact`` tells how many pixels that were. Without ``refine`` ``image.doubtful_row`` names such a row, and so does the image's repr.
    """
    view = make_view(center, width, size, max_iter, power, julia, formula)
    return drive(_picture(view, as_device(gpu), samples, method, distance, refine, reference, progress), timeout)


def render_tile(view: View, tile: Tile, gpu: Device, method: str = "auto", timeout: float | None = 30.0) -> Counts:
    """Compute a part of a picture, with the bits that `render_view` has there.

    Parameters
    ----------
    view : View
        The picture.
    tile : Tile
        The part.
    gpu : GPU
        Where to compute.
    method : str
        As in `render`.
    timeout : float or None
        Seconds of silence of the browser.

    Returns
    -------
    Counts
        Of the tile's pixels.
    """
    return drive(_tile(view, tile, gpu, method), timeout)


async def render_async(
    center: Any = ("-0.75", "0"),
    width: Any = 3,
    size: tuple[int, int] = (800, 600),
    max_iter: int = 1000,
    gpu: GPU | None = None,
    samples: int = 1,
    julia: Any = None,
    power: int = 2,
    *,
    formula: str = "mandelbrot",
    method: str = "auto",
    distance: bool = False,
    refine: bool = True,
    reference: Any = None,
    progress: Callable[[float], None] | bool | None = None,
    timeout: float | None = 30.0,
) -> Image:
    """Coroutine twin of `render`; the reference orbit is computed in a thread."""
    view = make_view(center, width, size, max_iter, power, julia, formula)
    steps = _picture(view, as_device(gpu), samples, method, distance, refine, reference, progress)
    return await drive_async(steps, timeout)


def render_view(view: View, gpu: GPU | None = None, **options: Any) -> Image:
    """Compute a `View`, as `render` does.

    Parameters
    ----------
    view : View
        What is computed.
    gpu : GPU, optional
        Where; `default_gpu` when left out.
    **options : object
        What `render` takes besides: samples, method, distance, refine, reference, progress, timeout.

    Returns
    -------
    Image
        Counts, in the kernel.
    """
    return render(**_arguments(view), gpu=gpu, **options)


async def render_view_async(view: View, gpu: GPU | None = None, **options: Any) -> Image:
    """Coroutine twin of `render_view`."""
    return await render_async(**_arguments(view), gpu=gpu, **options)


def _arguments(view: View) -> dict[str, Any]:
    return {name: getattr(view, name) for name in ("center", "width", "size", "max_iter", "julia", "power", "formula")}


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a GPU computed of a picture, or of a tile of it.

    Parameters
    ----------
    iterations, smooth : ndarray of uint32 and of float32, (height, width)
        As in `Image`.
    distance : ndarray of float32 or None
        The same.
    stats : Stats
        What it took, all of it one sample a pixel.
    """

    iterations: NDArray[np.uint32]
    smooth: NDArray[np.float32]
    distance: NDArray[np.float32] | None
    stats: Stats


@dataclasses.dataclass
class _Job:
    """A picture under way on a GPU."""

    gpu: Any
    view: View
    prepared: work.Prepared
    is_fallback: bool
    show: Callable[[float], None] | None
    exact: int = 0

    def __post_init__(self) -> None:
        *of_method, self.fine_slices = _slices_of(self.gpu, self.is_fallback)
        self.slices = of_method[int(self.prepared.method != "direct")]
        self.begun = time.perf_counter()
        self.before = self.slices.count + self.fine_slices.count

    def counts(self, kernel: kernels.Kernel, tile: Tile, *, refine: bool) -> Steps[Counts]:
        """Compute a tile. What is refined depends on neighbours, so where something is, the ones around it are computed as well."""
        prepared = self.prepared
        outer = kernel.tile
        planes = yield from kernels.run(kernel, self.slices, progress=self.show)
        shape = outer.height, outer.width
        iterations, smooth = planes[0].reshape(shape), planes[1].view(np.float32).reshape(shape)
        distance = planes[2].view(np.float32).reshape(shape) if kernel.derivative else None
        within = tile.inside(outer)
        refined = 0
        if refine and prepared.reference is not None:
            pixels = edges(smooth, REFINED)
            pixels = pixels[within.holds(pixels, outer.width)]
            refined = len(pixels)
            if refined:
                refiner = kernels.make_refiner(self.gpu.queue, self.view, prepared, outer)
                again = yield from kernels.run(refiner, self.fine_slices, pixels, progress=self.show)
                iterations.reshape(-1)[pixels] = again[0]
                smooth.reshape(-1)[pixels] = again[1].view(np.float32)
            self.exact = yield from self._resolve(outer, within, iterations, smooth, distance)
        if within.size != outer.size:
            iterations, smooth = iterations[within.where].copy(), smooth[within.where].copy()
        return Counts(
            iterations, smooth, distance, self.stats(int(iterations.sum(dtype=np.int64)), refined, iterations.size)
        )

    def _resolve(
        self,
        outer: Tile,
        within: Tile,
        iterations: NDArray[np.uint32],
        smooth: NDArray[np.float32],
        distance: NDArray[np.float32] | None,
    ) -> Steps[int]:
        """Count with all digits what 56 bits do not tell from an axis; returns how many pixels of the tile that are."""
        view, prepared = self.view, self.prepared
        whole = yield from call(lambda: unresolved(view, prepared.orbit, prepared.point))
        pixels = whole[outer.holds(whole, view.size[0])]
        rows, columns = pixels // view.size[0] - outer.top, pixels % view.size[0] - outer.left
        inner = within.holds(rows * outer.width + columns, outer.width)
        rows, columns, pixels = rows[inner], columns[inner], pixels[inner]
        if len(pixels):
            counts, exact, way = yield from call(lambda: count_exactly(view, pixels))
            iterations[rows, columns], smooth[rows, columns] = counts, exact
            if distance is not None:
                distance[rows, columns] = way
        return len(pixels)

    def stats(self, iterations: int, refined: int, samples: int) -> Stats:
        """Say what it took until now."""
        prepared = self.prepared
        return Stats(
            iterations=iterations,
            seconds=time.perf_counter() - self.begun,
            slices=self.slices.count + self.fine_slices.count - self.before,
            orbit_steps=0 if prepared.reference is None else int(prepared.reference.steps.sum()),
            orbit_seconds=prepared.seconds,
            table_levels=0 if prepared.table is None else prepared.table.levels,
            refined=refined,
            samples=samples,
            exact=self.exact,
        )


def _tile(view: View, tile: Tile, gpu: Device, method: str) -> Steps[Counts]:
    """Compute a tile of a picture."""
    info = yield from gpu.ready_steps()
    prepared = yield from call(lambda: work.prepare(view, method))
    job = _Job(gpu, view, prepared, info.is_fallback, None)
    outer = tile if prepared.reference is None else tile.grown(view.size)
    kernel = kernels.make_kernel(gpu.queue, view, prepared, fallback=job.is_fallback, tile=outer)
    return (yield from job.counts(kernel, tile, refine=True))


def _picture(
    view: View,
    gpu: Device,
    samples: int,
    method: str,
    distance: bool,
    refine: bool,
    reference: Any,
    progress: Callable[[float], None] | bool | None,
) -> Steps[Image]:
    if isinstance(samples, bool) or not hasattr(samples, "__index__") or not 1 <= int(samples) <= MAX_SAMPLES:
        raise ViewError(f"samples is {samples!r}; pass an int from 1 to {MAX_SAMPLES}")
    work.choose_method(view, method)
    point = None if reference is None else exact_point(reference, "reference")
    is_fallback = (yield from gpu.ready_steps()).is_fallback
    with meter(progress, "rendering") as tell:
        prepared = yield from call(lambda: work.prepare(view, method, point))
        job = _Job(gpu, view, prepared, is_fallback, tell if progress else None)
        kernel = kernels.make_kernel(gpu.queue, view, prepared, derivative=distance, fallback=is_fallback)
        counts = yield from job.counts(kernel, kernel.tile, refine=refine)
        total, extra = counts.stats.iterations, None
        if samples > 1:
            pixels = edges(counts.smooth)
            rows = []
            if len(pixels):
                listed = kernels.make_kernel(
                    gpu.queue, view, prepared, listed=True, shared=kernel, fallback=is_fallback
                )
                for sample in range(1, samples):
                    more = yield from kernels.run(listed, job.slices, pixels, jitter(sample))
                    rows.append(more[1].view(np.float32).copy())
                    total += int(more[0].sum(dtype=np.int64))
            extra = Extra(pixels, np.array(rows, np.float32).reshape(samples - 1, len(pixels)))
        computed = counts.iterations.size + (0 if extra is None else extra.smooth.size)
        stats = job.stats(total, counts.stats.refined, computed)
        return Image(view, prepared.method, counts.iterations, counts.smooth, counts.distance, stats, extra)
