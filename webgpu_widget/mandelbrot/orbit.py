"""Reference orbits in gmpy2, kept while they serve."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpfr, mpq
from numpy.typing import NDArray

from webgpu_widget.mandelbrot.numbers import log2_abs
from webgpu_widget.mandelbrot.view import View, to_mpfr
from webgpu_widget.process.fork import Lock, tell_children

__all__ = ["Orbit", "OrbitCache", "compute_orbit"]

CHUNK = 20_000
"""Iterations between two looks at whether to go on."""
REACH_LOG2 = 8.0
"""A kept orbit serves views whose centre is within 2**8 widths of its point."""
_serial = itertools.count(1)
TINY = 2.0**-24
"""Points under this are kept with their exponent: f32 holds their square badly, or not at all."""
TINY_SQUARED = TINY * TINY
NEAR, FAR = 0.999, 1.25
"""Points with |Z|**2 between these parts of the radius' square are kept with their distance from it. An orbit ends past the second: one that leaves
by less than a float tells has neighbours that do not."""


@dataclasses.dataclass
class Orbit:
    """Z_0, Z_1, ... of one point, rounded to complex128.

    Parameters
    ----------
    point : tuple of gmpy2.mpq
        The point that was iterated: c, or z_0 of a Julia set.
    constant : tuple of gmpy2.mpq or None
        The constant of a Julia set.
    power : int
        Exponent of the map.
    precision : int
        Bits of the arithmetic.
    values : ndarray of complex128
        The orbit. It ends with the first |Z|**2 >= 1.25 R**2, when there is one; R is 2, or the size of a Julia set's constant, if larger.
    tiny : dict
        index -> (complex mantissa, binary exponent) of points with |Z| < 2**-24.
    near : dict
        index -> (mantissa, binary exponent) of R**2 - |Z|**2 for points with |Z|**2 from 0.999 R**2 to 1.25 R**2: there the escape of a
        neighbour hangs on less than |Z| as a float tells.
    escaped : bool
        Whether it ends because of where the last point is.
    seconds : float
        Time spent.
    serial : int
        Names it, for those who keep what they made of it.
    """

    point: tuple[mpq, mpq]
    constant: tuple[mpq, mpq] | None
    power: int
    precision: int
    values: NDArray[np.complex128]
    tiny: dict[int, tuple[complex, int]]
    near: dict[int, tuple[float, int]]
    escaped: bool
    seconds: float
    _last: tuple[mpfr, mpfr]
    serial: int = dataclasses.field(default_factory=lambda: next(_serial))

    def serves(
        self, view: View, point: tuple[mpq, mpq], constant: tuple[mpq, mpq] | None, precision: int | None = None
    ) -> bool:
        """Tell whether a view at ``point`` can be iterated from this orbit, extended if need be."""
        if self.power != view.power or self.constant != constant or self.precision < (precision or view.precision):
            return False
        far = max(log2_abs(self.point[0] - point[0]), log2_abs(self.point[1] - point[1]))
        return bool(far <= view.log2_spacing + math.log2(view.size[0]) + REACH_LOG2)

    @functools.cached_property
    def limit(self) -> mpfr:
        """Square of the radius, of the constant as it is iterated: a point that comes to it is not beyond it."""
        if self.constant is None:
            return mpfr(4)
        re, im = (to_mpfr(part, self.precision) for part in self.constant)
        with gmpy2.context(precision=2 * self.precision):
            return max(mpfr(4), gmpy2.square(re) + gmpy2.square(im))

    def mark(self, marked: Marked, done: int) -> None:
        """Keep what floats do not tell of some points; their indices count from ``done``."""
        with gmpy2.context(precision=2 * self.precision):
            for index, re, im in marked:
                left = self.limit - (gmpy2.square(re) + gmpy2.square(im))
                if 2 * left < self.limit:
                    exponent, mantissa = gmpy2.frexp(left)
                    self.near[done + index] = float(mantissa), int(exponent)
                elif re or im:
                    self.tiny[done + index] = _split(re, im)

    def extend(self, length: int, proceed: Callable[[int, int], None] | None = None) -> None:
        """Iterate on until the orbit has ``length`` steps or has escaped.

        Parameters
        ----------
        length : int
            Steps wanted, so ``length + 1`` points.
        proceed : callable, optional
            Called with (steps done, steps wanted) every 20,000 steps; it may raise to stop.
        """
        begun = time.perf_counter()
        parts = [self.values]
        done = len(self.values) - 1
        step = _steps[self.power]
        re, im = self._last
        add_re, add_im = (to_mpfr(part, self.precision) for part in (self.constant or self.point))
        limit = float(self.limit)
        with gmpy2.context(precision=self.precision):
            while done < length and not self.escaped:
                points, marked, re, im, self.escaped = step(re, im, add_re, add_im, min(CHUNK, length - done), limit)
                parts.append(np.array(points, dtype=np.complex128))
                self.mark(marked, done)
                done += len(points)
                if proceed is not None:
                    proceed(done, length)
        self.values = np.concatenate(parts)
        self._last = re, im
        self.seconds += time.perf_counter() - begun


def compute_orbit(
    point: tuple[mpq, mpq],
    length: int,
    precision: int,
    power: int = 2,
    constant: tuple[mpq, mpq] | None = None,
    proceed: Callable[[int, int], None] | None = None,
) -> Orbit:
    """Iterate z**power + c to full precision.

    Parameters
    ----------
    point : tuple of gmpy2.mpq
        c, from z = 0; or z_0 where ``constant`` is given.
    length : int
        Steps.
    precision : int
        Bits.
    power : int
        2 to 5.
    constant : tuple of gmpy2.mpq, optional
        The constant of a Julia set.
    proceed : callable, optional
        As in `Orbit.extend`.

    Returns
    -------
    Orbit
        At most ``length + 1`` points; fewer where it escapes.
    """
    first = point if constant is not None else (mpq(0), mpq(0))
    start = to_mpfr(first[0], precision), to_mpfr(first[1], precision)
    value = complex(float(start[0]), float(start[1]))
    with gmpy2.context(precision=precision):
        size = gmpy2.square(start[0]) + gmpy2.square(start[1])  # a float of it may be 0 where it is not, or 4
        orbit = Orbit(point, constant, power, precision, np.array([value]), {}, {}, False, 0.0, start)
        limit = float(orbit.limit)
        orbit.escaped = bool(size >= FAR * limit)
        if 0 < size < TINY_SQUARED or NEAR * limit < size < FAR * limit:
            orbit.mark([(0, *start)], 0)
    orbit.extend(length, proceed)
    return orbit


class OrbitCache:
    """The last few orbits, each used again for every view that it serves.

    Parameters
    ----------
    capacity : int
        Most orbits kept.
    """

    def __init__(self, capacity: int = 8) -> None:
        self.capacity = capacity
        self.computed = 0
        self._orbits: list[Orbit] = []
        self._lock = Lock()
        tell_children(self)

    def forked(self, parent: int) -> None:  # noqa: ARG002
        """Forget, in a forked child, what another thread may have been in the middle of."""
        self._orbits = []
        tell_children(self)

    def get(
        self,
        view: View,
        point: tuple[mpq, mpq] | None = None,
        proceed: Callable[[int, int], None] | None = None,
        precision: int | None = None,
    ) -> Orbit:
        """Find or compute an orbit for a view.

        Parameters
        ----------
        view : View
            What it must serve.
        point : tuple of gmpy2.mpq, optional
            The reference point, where it must be this one.
        proceed : callable, optional
            As in `Orbit.extend`.
        precision : int, optional
            Bits, where the view's own are too few.

        Returns
        -------
        Orbit
            At least ``view.max_iter`` steps long, or escaped.
        """
        constant = view.constant
        with self._lock:
            wanted = point or view.point
            for orbit in reversed(self._orbits):
                if (point is None or orbit.point == point) and orbit.serves(view, wanted, constant, precision):
                    self._orbits = [*(one for one in self._orbits if one is not orbit), orbit]
                    if not orbit.escaped and len(orbit.values) <= view.max_iter:
                        orbit.extend(view.max_iter, proceed)
                    return orbit
            orbit = compute_orbit(
                wanted, view.max_iter, (precision or view.precision) + 32, view.power, constant, proceed
            )
            self.computed += 1
            self._orbits = [*self._orbits[-self.capacity + 1 :], orbit]
            return orbit

    def clear(self) -> None:
        """Forget all orbits."""
        with self._lock:
            self._orbits = []


def _split(re: mpfr, im: mpfr) -> tuple[complex, int]:
    """Complex mantissa with its larger part in [0.5, 1), and the binary exponent."""
    exponent = max(int(gmpy2.frexp(part)[0]) for part in (re, im) if part)
    return complex(float(gmpy2.mul_2exp(re, -exponent)), float(gmpy2.mul_2exp(im, -exponent))), exponent


Marked = list[tuple[int, mpfr, mpfr]]
_Step = Callable[[mpfr, mpfr, mpfr, mpfr, int, float], tuple[list[complex], Marked, mpfr, mpfr, bool]]


def _step_2(re: mpfr, im: mpfr, add_re: mpfr, add_im: mpfr, count: int, limit: float) -> Any:
    points: list[complex] = []
    marked: Marked = []
    square, append, as_float = gmpy2.square, points.append, float
    near, far = NEAR * limit, FAR * limit
    for _ in range(count):
        cross = re * im
        re = square(re) - square(im) + add_re
        im = cross + cross + add_im
        x, y = as_float(re), as_float(im)
        append(complex(x, y))
        size = x * x + y * y
        if not TINY_SQUARED < size < near:
            if size >= far:
                return points, marked, re, im, True
            marked.append((len(points), re, im))
    return points, marked, re, im, False


def _step_n(power: int) -> _Step:
    def step(re: mpfr, im: mpfr, add_re: mpfr, add_im: mpfr, count: int, limit: float) -> Any:
        points: list[complex] = []
        marked: Marked = []
        near, far = NEAR * limit, FAR * limit
        for _ in range(count):
            w_re, w_im = re, im
            for _ in range(power - 1):
                w_re, w_im = w_re * re - w_im * im, w_re * im + w_im * re
            re, im = w_re + add_re, w_im + add_im
            points.append(complex(float(re), float(im)))
            size = abs(points[-1]) ** 2
            if not TINY_SQUARED < size < near:
                if size >= far:
                    return points, marked, re, im, True
                marked.append((len(points), re, im))
        return points, marked, re, im, False

    return step


_steps: dict[int, _Step] = {2: _step_2, **{power: _step_n(power) for power in (3, 4, 5)}}
