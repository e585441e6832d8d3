"""The work of a picture before its kernels: choice of the method, reference and table, length of slices."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, Literal, cast

from gmpy2 import mpq

from webgpu_widget.mandelbrot.bla import (
    BLOCK,
    Reference,
    Table,
    limit_blocks,
    merge_steps,
    pack_reference,
    table_of,
)
from webgpu_widget.mandelbrot.numbers import ViewError, decimal_text, log2_abs
from webgpu_widget.mandelbrot.orbit import Orbit, OrbitCache
from webgpu_widget.mandelbrot.view import View
from webgpu_widget.process.fork import Lock

__all__ = [
    "Method",
    "Prepared",
    "Progress",
    "Slices",
    "choose_method",
    "direct_limit",
    "make_table",
    "method_text",
    "orbits",
    "prepare",
    "scaled",
]

Method = Literal["direct", "perturbation", "bla"]
Progress = Callable[[float], None]

DIRECT_BITS = 18 + 1e-6
"""f32 tells a pixel from its neighbours while it is wider than 2**-18 of its coordinates, or as wide: the page's logarithms may differ in their last bits."""
AUTO_BITS = 15 + 1e-6
"""Its counts drift before that, as what an orbit in f32 is off by grows beside a pixel. From 2**-15 on, 14 in 100 are off in a window that is all boundary: there
the exact ones are worth what perturbation and its refining cost, which is many times a direct picture."""
GROUP = 64
TILE = 8
"""Pixels of a workgroup, and the side of a tile of them."""
ROW_GROUPS = 16_384
TURN = {True: 512, False: 2048}
"""Steps of a pixel that perturb.wgsl does on a CPU adapter, and on a GPU, before it looks at its budget again."""
TARGET_S = 0.03
LIMIT_S = 0.05
"""A dispatch aims at 30 ms and is cut when it takes over 50 ms: no watchdog fires, and a page stays alive."""
FIRST_RATE = {True: 2e8, False: 2e10}
"""Steps a second assumed of a CPU adapter, and of a GPU, before anything is measured."""
MOST_STEPS = 1e12
MOST_GROWTH = 8.0
"""How many times as many steps of a pixel a dispatch does than the one before: the next time is estimated, and the estimate may be off."""
PARALLEL = {True: 256, False: 16_384}
"""Pixels that keep a CPU adapter, and a GPU, busy."""
LEAST = {True: 256, False: 64}
"""Steps of a pixel in a dispatch: to begin and end one costs a CPU adapter a hundred."""
BAND_BYTES = 96 * 1024 * 1024

orbits = OrbitCache()
"""Reference orbits of this process."""


@dataclasses.dataclass
class Slices:
    """How much a dispatch may do, learnt from how long the last ones took.

    Parameters
    ----------
    steps : float
        Steps of all pixels together that a dispatch aims at.
    parallel : int
        Pixels under which a dispatch does not get faster: each has its own thread, and a thread has a speed.
    least : int
        Steps of a pixel in a dispatch, however slow they are.
    count : int
        Dispatches so far.
    target_s, limit_s : float
        Seconds that a dispatch aims at, and after which it is cut.
    floor : float
        Steps of all pixels together that are never gone below: where the time is not the dispatch's but that of a busy machine, shorter ones only add to it.
    first : int
        Steps of a pixel in the first dispatch of a band, which is as large as that makes it.
    doubtful : bool
        Whether the last time was too long and may be that of the result on its way: the next dispatch is to be timed by itself.
    """

    steps: float
    parallel: int = 16_384
    least: int = 4 * BLOCK
    count: int = 0
    target_s: float = TARGET_S
    limit_s: float = LIMIT_S
    floor: float = 0.0
    first: int = 1024
    doubtful: bool = False

    def budget(self, pixels: int, done: int = 0, seconds: float = 0.0) -> int:
        """Give the steps of one pixel, a multiple of BLOCK.

        Parameters
        ----------
        pixels : int
            How many are unfinished.
        done : int
            Steps that each of them has just done in a dispatch; 0 before the first one.
        seconds : float
            How long that dispatch took. None of them takes longer for twice as many steps than twice that, however many the others did.
        """
        steps = self.steps / max(pixels, self.parallel)
        if done:
            steps = max(steps, done * min(MOST_GROWTH, 0.8 * self.target_s / max(seconds, 1e-4)))
        return max(self.least // BLOCK, min(int(steps) // BLOCK, 2**26)) * BLOCK

    def learn(self, seconds: float, before: int, after: int, *, moved: bool = False) -> None:
        """Take note of a dispatch that began with ``before`` unfinished pixels and left ``after``; ``moved`` when the result came along."""
        self.count += 1
        self.doubtful = moved and seconds > self.limit_s
        if self.doubtful:
            return
        if seconds > self.limit_s:
            self.steps = max(self.floor, self.steps * max(0.1, self.target_s / seconds))
        elif seconds < self.target_s and before >= self.parallel and 2 * after > before:
            self.steps = min(MOST_STEPS, self.steps * min(4.0, max(1.2, 0.8 * self.target_s / max(seconds, 1e-4))))


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
    point : tuple of gmpy2.mpq
        The reference point.
    precision : int
        Bits of the orbit.
    length : int or None
        Steps of the orbit; None where it has escaped, and serves any number.
    """

    method: Method
    reference: Reference | None = None
    table: Table | None = None
    offset: tuple[mpq, mpq] = (mpq(0), mpq(0))
    scale: int = 0
    reach: float = 0.0
    seconds: float = 0.0
    point: tuple[mpq, mpq] = (mpq(0), mpq(0))
    precision: int = 0
    length: int | None = None

    @property
    def orbit(self) -> Reference:
        """The reference, of a method that has one."""
        if self.reference is None:
            raise RuntimeError(f"the method {self.method!r} has no reference orbit")
        return self.reference


def direct_limit(view: View, bits: float = DIRECT_BITS) -> float:
    """Base-2 logarithm of the smallest pixel that is as wide as ``2**-bits`` of its coordinates; by default the smallest that f32 tells apart."""
    reach = (abs(part) + view.spacing * side / 2 for part, side in zip(view.point, view.size, strict=True))
    return max(*(log2_abs(part) for part in reach), -1.0) - bits


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
        return "direct" if view.log2_spacing >= direct_limit(view, AUTO_BITS) else "bla"
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
    *,
    near: bool = False,
) -> Prepared:
    """Compute what a view needs before its first pixel.

    Parameters
    ----------
    view : View
        The view.
    method : str
        As in `choose_method`.
    reference : tuple of gmpy2.mpq, optional
        Reference point; the centre when left out: then a view has the same bits whatever was computed before.
    progress : callable, optional
        Called with (steps done, steps wanted) of the orbit; it may raise to stop.
    near : bool
        Whether an orbit from before that serves is as good as the centre's: for who moves about.

    Returns
    -------
    Prepared
        The method, the packed reference and the table.
    """
    chosen = choose_method(view, method)
    if chosen == "direct":
        return Prepared("direct")
    begun = time.perf_counter()
    orbit = orbits.get(view, reference or (None if near else view.point), progress)
    critical = None
    if view.constant is not None:
        critical = orbits.get(view, (mpq(0), mpq(0)), progress)
    bare = _packed(orbit, critical)
    offset = view.point[0] - orbit.point[0], view.point[1] - orbit.point[1]
    reach = (
        max(log2_abs(abs(part) + view.spacing * side / 2) for part, side in zip(offset, view.size, strict=True)) + 0.51
    )
    # One table serves all views of some sizes: radii suffer a little from a larger |dc|, and only where B counts.
    reach = -math.inf if view.julia is not None else 4.0 * math.ceil(reach / 4)
    packed = cast("Reference", _keep(("limits", bare.serial, reach), lambda: limit_blocks(bare, view.power, reach)))
    table = None
    if chosen == "bla":
        table = make_table(packed, view.power, reach)
        if table.levels == 0:
            chosen, table = "perturbation", None
    lengths = [len(one.values) - 1 for one in (orbit, critical) if one is not None and not one.escaped]
    return Prepared(
        method=chosen,
        reference=packed,
        table=table,
        offset=offset,
        scale=math.ceil(view.log2_spacing),
        reach=reach,
        seconds=time.perf_counter() - begun,
        point=orbit.point,
        precision=orbit.precision,
        length=min(lengths, default=None),
    )


_kept: dict[tuple[Any, ...], Any] = {}
_kept_lock = Lock()
KEPT = 12


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


def make_table(reference: Reference, power: int, log2_dc: float, *, fine: bool = False) -> Table:
    """Build a table, or find it, or its levels, among the last few: of an orbit, only the radii depend on the view."""

    def make() -> Table:
        merged = _keep(("levels", reference.base, fine), lambda: merge_steps(reference, power, fine=fine))
        return table_of(merged, log2_dc)

    return cast("Table", _keep(("table", reference.base, log2_dc, fine), make))


def scaled(value: mpq, scale: int) -> float:
    """``value`` in units of 2**scale."""
    return float(value * mpq(2) ** -scale)
