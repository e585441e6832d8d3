"""The work of a picture: choice of the method, parameters of the kernels, slices.

Everything here is a generator of waits, so that the blocking and the async renderer share it: it yields a `Wait`,
and is sent the answer.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources
import math
import struct
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, Literal, Protocol, cast

import numpy as np
from gmpy2 import mpq
from numpy.typing import NDArray

from webgpu_widget.mandelbrot.bla import (
    BLOCK,
    FIRST_LEVEL,
    Reference,
    Scaled,
    Table,
    build_table,
    fine_reference,
    limbs,
    pack_reference,
)
from webgpu_widget.mandelbrot.numbers import ViewError, decimal_text, log2_abs
from webgpu_widget.mandelbrot.orbit import Orbit, OrbitCache
from webgpu_widget.mandelbrot.view import View

__all__ = [
    "Method",
    "Prepared",
    "Progress",
    "Slices",
    "Wait",
    "choose_method",
    "direct_limit",
    "make_kernel",
    "make_refiner",
    "method_text",
    "orbits",
    "prepare",
    "run",
    "scaled",
    "shader",
]

Method = Literal["direct", "perturbation", "bla"]
Progress = Callable[[float], None]

DIRECT_BITS = 18
"""A pixel is iterated directly in f32 while it is wider than 2**-18 of its coordinates."""
GROUP = 64
ROW_GROUPS = 16_384
TARGET_S = 0.03
LIMIT_S = 0.05
"""A dispatch aims at 30 ms and is cut when it takes over 50 ms: no watchdog fires, and a page stays alive."""
FIRST_RATE = {True: 2e8, False: 2e10}
"""Steps a second assumed of a CPU adapter, and of a GPU, before anything is measured."""
BAND_BYTES = 96 * 1024 * 1024

orbits = OrbitCache()
"""Reference orbits of this process."""


@dataclasses.dataclass(frozen=True)
class Wait:
    """What the driver must do: read byte ranges of buffers, or call ``compute`` (in a thread, when it is async)."""

    reads: list[tuple[Any, int, int]] | None = None
    compute: Callable[[], Any] | None = None


Waits = Generator[Wait, Any, Any]


@dataclasses.dataclass
class Slices:
    """How much a dispatch may do, learnt from how long the last ones took.

    Parameters
    ----------
    steps : float
        Steps of all pixels together that a dispatch aims at.
    count : int
        Dispatches so far.
    """

    steps: float
    count: int = 0

    def budget(self, pixels: int) -> int:
        """Steps of one pixel, a multiple of BLOCK."""
        return max(4, min(int(self.steps / max(pixels, 1)) // BLOCK, 2**26)) * BLOCK

    def learn(self, seconds: float, *, full: bool) -> None:
        """Take note of a dispatch; ``full`` when it used its whole budget."""
        self.count += 1
        if seconds > LIMIT_S:
            self.steps *= max(0.1, TARGET_S / seconds)
        elif full and seconds < TARGET_S:
            self.steps *= min(4.0, max(1.2, 0.8 * TARGET_S / max(seconds, 1e-4)))


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A method with what its kernel needs.

    Parameters
    ----------
    method : {"direct", "perturbation", "bla"}
        The method.
    reference, table : Reference and Table, or None
        For the last two.
    offset : tuple of gmpy2.mpq
        The view's centre from the reference point.
    scale : int
        Exponent of the unit that ``offset`` and the step are given in.
    reach : float
        Base-2 logarithm of the largest distance of a pixel from the reference point, rounded up.
    seconds : float
        Time the reference took.
    """

    method: Method
    reference: Reference | None = None
    table: Table | None = None
    offset: tuple[mpq, mpq] = (mpq(0), mpq(0))
    scale: int = 0
    reach: float = 0.0
    seconds: float = 0.0


@functools.cache
def shader(name: str) -> str:
    """Text of a file of ``shaders/mandelbrot``."""
    return importlib.resources.files("webgpu_widget").joinpath(f"shaders/mandelbrot/{name}.wgsl").read_text("utf-8")


def direct_limit(view: View) -> float:
    """Base-2 logarithm of the smallest pixel that is iterated directly."""
    re, im = view.point
    half = view.spacing * max(view.size) / 2
    return max(log2_abs(abs(re) + half), log2_abs(abs(im) + half), -1.0) - DIRECT_BITS


def choose_method(view: View, method: str = "auto") -> Method:
    """Decide how a view is computed.

    Parameters
    ----------
    view : View
        The view.
    method : {"auto", "direct", "perturbation", "bla"}
        What the user asks for.

    Returns
    -------
    {"direct", "perturbation", "bla"}
        The method.

    Raises
    ------
    ViewError
        The burning ship beyond f32, or an unknown method.
    """
    if method not in {"auto", "direct", "perturbation", "bla"}:
        raise ViewError(f"method is {method!r}; it must be 'auto', 'direct', 'perturbation' or 'bla'")
    fits = view.log2_spacing >= direct_limit(view)
    if view.formula == "burning_ship":
        if method not in {"auto", "direct"}:
            raise ViewError(
                f"method is {method!r}, which the burning ship does not have: |re| and |im| are not differentiable; pass 'direct'"
            )
        if not fits:
            deepest = decimal_text(mpq(2) ** math.ceil(direct_limit(view)) * view.size[0], 3)
            raise ViewError(
                f"width is {view.width}, beyond what f32 resolves here, and the burning ship has no perturbation; "
                f"at this size the width must be at least {deepest}"
            )
        return "direct"
    if method == "auto":
        return "direct" if fits else "bla"
    return method  # type: ignore[return-value]


def method_text(prepared: Prepared, view: View) -> str:
    """Say a method in words, for status lines."""
    if prepared.method == "direct":
        return "direct, f32"
    deep = ", extended exponent" if view.log2_spacing < -120 else ""
    return f"perturbation{' with BLA' if prepared.method == 'bla' else ''}, f32{deep}"


def prepare(
    view: View,
    method: str = "auto",
    reference: tuple[mpq, mpq] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Compute what a view needs before its first pixel.

    Parameters
    ----------
    view : View
        The view.
    method : str
        As in `choose_method`.
    reference : tuple of gmpy2.mpq, optional
        Reference point; by default one from before that serves, or the centre.
    progress : callable, optional
        Called with (steps done, steps wanted) of the orbit; it may raise to stop.

    Returns
    -------
    Prepared
        The method, the packed reference and the table.
    """
    chosen = choose_method(view, method)
    if chosen == "direct":
        return Prepared("direct")
    begun = time.perf_counter()
    orbit = orbits.get(view, reference, progress)
    critical = None
    if view.constant is not None:
        critical = orbits.get(view.replace(julia=None, center=view.julia), view.constant, progress)
    packed = _packed(orbit, critical)
    offset = view.point[0] - orbit.point[0], view.point[1] - orbit.point[1]
    reach = (
        max(log2_abs(abs(part) + view.spacing * side / 2) for part, side in zip(offset, view.size, strict=True)) + 0.51
    )
    # One table serves all views of some sizes: radii suffer a little from a larger |dc|, and only where B counts.
    reach = -math.inf if view.julia is not None else 4.0 * math.ceil(reach / 4)
    table = None
    if chosen == "bla":
        table = _table(packed, view.power, reach)
        if table.levels == 0:
            chosen, table = "perturbation", None
    return Prepared(chosen, packed, table, offset, math.ceil(view.log2_spacing), reach, time.perf_counter() - begun)


_kept: dict[tuple[Any, ...], Any] = {}
_kept_lock = threading.Lock()
KEPT = 8


def _keep(key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """Remember the last few results."""
    with _kept_lock:
        found = _kept.pop(key, None)
    if found is None:
        found = make()
    with _kept_lock:
        _kept[key] = found
        while len(_kept) > KEPT:
            _kept.pop(next(iter(_kept)))
    return found


def _packed(orbit: Orbit, critical: Orbit | None) -> Reference:
    lengths = len(orbit.values), 0 if critical is None else len(critical.values)
    key = ("reference", orbit.serial, 0 if critical is None else critical.serial, *lengths)
    return cast("Reference", _keep(key, lambda: pack_reference(orbit, critical)))


def _table(reference: Reference, power: int, log2_dc: float, *, fine: bool = False) -> Table:
    key = ("table", reference.serial, log2_dc, fine)
    return cast("Table", _keep(key, lambda: build_table(reference, power, log2_dc, fine=fine)))


def scaled(value: mpq, scale: int) -> float:
    """``value`` in units of 2**scale."""
    return float(value * mpq(2) ** -scale)


class Runnable(Protocol):
    """What `run` needs of a kernel.

    Attributes
    ----------
    planes, state_planes : int
        Words of a pixel in the result and in the state.
    list_words : int
        Words of a pixel in the list; 0 for a kernel that takes the whole picture.
    """

    queue: Any
    view: View
    pipeline: Any
    data: list[Any]

    @property
    def planes(self) -> int: ...
    @property
    def state_planes(self) -> int: ...
    @property
    def list_words(self) -> int: ...
    def params(self, first: int, count: int, shift: tuple[float, float], budget: int, *, fresh: bool) -> bytes: ...
    def listing(self, pixels: NDArray[np.uint32], shift: tuple[float, float]) -> NDArray[Any]: ...


@dataclasses.dataclass(frozen=True)
class Kernel:
    """Pipeline and buffers of direct.wgsl or perturb.wgsl for one view."""

    queue: Any
    view: View
    prepared: Prepared
    pipeline: Any
    data: list[Any]
    derivative: bool
    listed: bool

    @property
    def planes(self) -> int:
        """As in `Runnable`."""
        return 3 if self.derivative else 2

    @property
    def state_planes(self) -> int:
        """As in `Runnable`."""
        return (4 if self.prepared.method == "direct" else 6) + (3 if self.derivative else 0)

    @property
    def list_words(self) -> int:
        """As in `Runnable`."""
        return int(self.listed)

    def listing(self, pixels: NDArray[np.uint32], shift: tuple[float, float]) -> NDArray[Any]:  # noqa: ARG002
        """Give the list's words for some pixels."""
        return pixels

    def params(self, first: int, count: int, shift: tuple[float, float], budget: int, *, fresh: bool) -> bytes:
        """Pack the uniform of a dispatch."""
        view, prepared = self.view, self.prepared
        radius = _radius(view)
        head = struct.pack("<4I", *view.size, first, count)
        tail = (radius * radius, view.max_iter, budget, int(fresh), ROW_GROUPS)
        step = scaled(view.spacing, prepared.scale)
        if prepared.method == "direct":
            center = (float(part) for part in view.point)
            julia = (float(part) for part in view.constant or (0, 0))
            return head + struct.pack("<8ff4I4x", *center, step, -step, *shift, *julia, *tail)
        assert prepared.reference is not None
        offsets = prepared.table.offsets if prepared.table else [0]
        return head + struct.pack(
            "<6fif6IiI32I",
            *(scaled(part, prepared.scale) for part in prepared.offset),
            step,
            -step,
            *shift,
            prepared.scale,
            *tail,
            prepared.reference.start,
            len(offsets) - 1,
            prepared.table.highest if prepared.table else -(2**30),
            0,
            *(offsets + [0] * (32 - len(offsets))),
        )


def make_kernel(
    queue: Any,
    view: View,
    prepared: Prepared,
    *,
    derivative: bool = False,
    listed: bool = False,
    shared: Kernel | None = None,
) -> Kernel:
    """Compile the kernel of a view and upload its reference.

    Parameters
    ----------
    queue : Queue
        Where the commands go.
    view, prepared : View and Prepared
        What to draw.
    derivative : bool
        Whether the distance estimate is wanted.
    listed : bool
        Whether the pixels come as a list.
    shared : Kernel, optional
        One of the same view, whose uploaded reference is used.

    Returns
    -------
    Kernel
        Ready for `run`.
    """
    constants: dict[str, float] = {
        "POWER": view.power,
        "JULIA": int(view.julia is not None),
        "DERIVATIVE": int(derivative),
        "LISTED": int(listed),
    }
    if prepared.method == "direct":
        constants["SHIP"] = int(view.formula == "burning_ship")
        return Kernel(
            queue,
            view,
            prepared,
            queue.pipeline(shader("direct"), "mandelbrot direct", None, constants),
            [],
            derivative,
            listed,
        )
    assert prepared.reference is not None
    constants |= {"TABLE": int(prepared.table is not None), "BLOCK": BLOCK, "FIRST_LEVEL": FIRST_LEVEL}
    data: list[Any] = [] if shared is None else shared.data
    for array in (
        ()
        if shared
        else (prepared.reference.packed, prepared.table.packed if prepared.table else np.zeros((1, 8), np.uint32))
    ):
        buffer = queue.alloc(array.nbytes, "mandelbrot reference")
        queue.write(buffer, np.ascontiguousarray(array))
        data.append(buffer)
    pipeline = queue.pipeline(shader("perturb"), "mandelbrot perturb", None, constants)
    return Kernel(queue, view, prepared, pipeline, data, derivative, listed)


@dataclasses.dataclass(frozen=True)
class Refiner:
    """Pipeline and buffers of refine.wgsl for one view."""

    queue: Any
    view: View
    prepared: Prepared
    table: Table | None
    pipeline: Any
    data: list[Any]
    planes: int = 2
    state_planes: int = 11
    list_words: int = 12

    def listing(self, pixels: NDArray[np.uint32], shift: tuple[float, float]) -> NDArray[Any]:
        """Distance of each pixel from the reference point, in limbs."""
        view, prepared = self.view, self.prepared
        width, height = view.size
        step = scaled(view.spacing, prepared.scale)
        re, im = (scaled(part, prepared.scale) for part in prepared.offset)
        column, row = (pixels % width).astype(np.float64), (pixels // width).astype(np.float64)
        points = (
            re + (column + 0.5 - width / 2 + shift[0]) * step + 1j * (im + (height / 2 - 0.5 - row - shift[1]) * step)
        )
        return limbs(Scaled.of(points, prepared.scale))

    def params(self, first: int, count: int, shift: tuple[float, float], budget: int, *, fresh: bool) -> bytes:  # noqa: ARG002
        """Pack the uniform of a dispatch."""
        assert self.prepared.reference is not None
        offsets = self.table.offsets if self.table else [0]
        highest = self.table.highest if self.table else -(2**30)
        radius = _radius(self.view)
        return struct.pack(
            "<7Iif3I32I",
            *(
                count,
                self.view.max_iter,
                budget,
                int(fresh),
                ROW_GROUPS,
                self.prepared.reference.start,
                len(offsets) - 1,
                highest,
                radius * radius,
            ),
            *(0, 0, 0),
            *(offsets + [0] * (32 - len(offsets))),
        )


def make_refiner(queue: Any, view: View, prepared: Prepared) -> Refiner:
    """Compile refine.wgsl for a view that was prepared for perturbation, and upload its reference.

    Parameters
    ----------
    queue : Queue
        Where the commands go.
    view, prepared : View and Prepared
        What to draw.

    Returns
    -------
    Refiner
        Ready for `run` with a list of pixels.
    """
    assert prepared.reference is not None
    table: Table | None = (
        _table(prepared.reference, view.power, prepared.reach, fine=True) if prepared.method == "bla" else None
    )
    if table is not None and table.levels == 0:
        table = None
    constants = {
        "POWER": view.power,
        "JULIA": int(view.julia is not None),
        "TABLE": int(table is not None),
        "FIRST_LEVEL": FIRST_LEVEL,
    }
    data = []
    for array in (fine_reference(prepared.reference), table.packed if table else np.zeros((1, 24), np.uint32)):
        buffer = queue.alloc(array.nbytes, "mandelbrot reference")
        queue.write(buffer, np.ascontiguousarray(array))
        data.append(buffer)
    return Refiner(
        queue, view, prepared, table, queue.pipeline(shader("refine"), "mandelbrot refine", None, constants), data
    )


def _radius(view: View) -> float:
    return 2.0 if view.constant is None else max(2.0, math.hypot(*(float(part) for part in view.constant)))


def run(
    kernel: Runnable,
    slices: Slices,
    pixels: NDArray[np.uint32] | None = None,
    shift: tuple[float, float] = (0.0, 0.0),
    progress: Progress | None = None,
) -> Waits:
    """Compute a picture, or the listed pixels of it, slice by slice.

    Parameters
    ----------
    kernel : Kernel
        What to run.
    slices : Slices
        Kept from picture to picture.
    pixels : ndarray of uint32, optional
        Indices of the pixels wanted, for a kernel that is ``listed``.
    shift : tuple of float
        Of the sample in its pixel, -0.5 to 0.5 each way.
    progress : callable, optional
        Called with the part that is done, 0 to 1.

    Yields
    ------
    Wait
        Bytes to read.

    Returns
    -------
    ndarray of uint32, (2 or 3, pixels)
        The result planes of the shader.
    """
    queue, view = kernel.queue, kernel.view
    total = view.size[0] * view.size[1] if pixels is None else len(pixels)
    planes, state_planes = kernel.planes, kernel.state_planes
    # Few pixels a band where that alone makes a slice short, so that the first budgets need not be tiny.
    band = min(total, BAND_BYTES // (4 * max(state_planes, kernel.list_words)), max(int(slices.steps / 256), 16_384))
    state = queue.alloc(4 * state_planes * band, "mandelbrot state")
    result = queue.alloc(4 * planes * band, "mandelbrot result")
    remaining = queue.alloc(4, "mandelbrot remaining")
    listing = queue.alloc(max(4, 4 * band * kernel.list_words), "mandelbrot list")
    buffers = [listing, *kernel.data, state, result, remaining]
    answer = np.empty((planes, total), np.uint32)
    try:
        for first in range(0, total, band):
            count = min(band, total - first)
            if pixels is not None:
                queue.write(listing, np.ascontiguousarray(kernel.listing(pixels[first : first + count], shift)))
            left, fresh = count, True
            groups = math.ceil(count / GROUP)
            shape = (min(groups, ROW_GROUPS), math.ceil(groups / ROW_GROUPS), 1)
            while left:
                uniform = kernel.params(first, count, shift, slices.budget(left), fresh=fresh)
                queue.clear(remaining, 0, 4)
                queue.dispatch(
                    kernel.pipeline, [*((0, i, buffer) for i, buffer in enumerate(buffers)), (1, 0, uniform)], shape
                )
                begun = time.perf_counter()
                (raw,) = yield Wait(reads=[(remaining, 0, 4)])
                left, fresh = int(np.frombuffer(raw, np.uint32)[0]), False
                slices.learn(time.perf_counter() - begun, full=left > 0)
                if progress is not None:
                    progress((first + count - left) / total)
            (raw,) = yield Wait(reads=[(result, 0, 4 * planes * count)])
            answer[:, first : first + count] = np.frombuffer(raw, np.uint32).reshape(planes, count)
    finally:
        for buffer in (state, result, remaining, listing):
            buffer.free()
    return answer
