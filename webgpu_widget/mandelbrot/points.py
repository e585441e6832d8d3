"""Points worth going to: centres of small copies, and points whose orbit ends in a cycle, to any precision.

The methods are Newton's, and the counting of turns around zero that tells the period of the copy in a disc
(R. Munafo, "Mu-Ency", entries Period and Newton-Raphson zooming; C. Heiland-Allen, "Mandelbrot notebook").
"""

from __future__ import annotations

import math

import gmpy2
from gmpy2 import mpc, mpfr, mpq

from webgpu_widget.mandelbrot.numbers import ViewError, log2_abs

__all__ = ["copy_size", "cycle_point", "find_period", "nucleus"]

Point = tuple[mpq, mpq]
_NEWTON_STEPS = 64


def _precision(log2_size: float) -> int:
    return max(96, math.ceil(-log2_size) + 64)


def _mpc(point: Point, precision: int) -> mpc:
    with gmpy2.context(precision=precision):
        return mpc(mpfr(point[0]), mpfr(point[1]))


def _rational(value: mpc) -> Point:
    return mpq(*value.real.as_integer_ratio()), mpq(*value.imag.as_integer_ratio())


def find_period(center: Point, log2_radius: float, limit: int) -> int:
    """Find the smallest period of a copy of the set whose centre may lie in a disc.

    Parameters
    ----------
    center : tuple of gmpy2.mpq
        Middle of the disc.
    log2_radius : float
        Base-2 logarithm of its radius.
    limit : int
        Largest period looked for.

    Returns
    -------
    int
        The period, or 0 when there is none up to ``limit``.

    Notes
    -----
    The disc's n-th image is near a disc around z_n of radius |dz_n/dc| r; the first that covers 0 tells the period.
    """
    precision = _precision(log2_radius)
    with gmpy2.context(precision=precision):
        c = _mpc(center, precision)
        radius = mpfr(2) ** mpfr(log2_radius)
        z, slope = mpc(0), mpc(0, precision=64)
        for n in range(1, limit + 1):
            slope = mpc(2 * mpc(z, precision=64) * slope + 1, precision=64)
            z = z * z + c
            size = abs(mpc(z, precision=64))
            if size < abs(slope) * radius:
                return n
            if size > 4:
                return 0
    return 0


def nucleus(guess: Point, period: int, log2_size: float) -> Point:
    """Find the centre of a copy: z_period(c) = 0, by Newton's method.

    Parameters
    ----------
    guess : tuple of gmpy2.mpq
        Near it.
    period : int
        Its period.
    log2_size : float
        Base-2 logarithm of the smallest distance that is to be resolved.

    Returns
    -------
    tuple of gmpy2.mpq
        The centre.

    Raises
    ------
    ViewError
        When Newton's method does not settle.
    """
    return _newton(guess, 0, period, log2_size)


def cycle_point(guess: Point, preperiod: int, period: int, log2_size: float) -> Point:
    """Find a Misiurewicz point: z_(preperiod + period)(c) = z_preperiod(c).

    Parameters
    ----------
    guess : tuple of gmpy2.mpq
        Near it.
    preperiod, period : int
        Steps until the cycle begins, and its length.
    log2_size : float
        As in `nucleus`.

    Returns
    -------
    tuple of gmpy2.mpq
        The point.

    Raises
    ------
    ViewError
        When Newton's method does not settle.
    """
    return _newton(guess, preperiod, period, log2_size)


def _newton(guess: Point, preperiod: int, period: int, log2_size: float) -> Point:
    precision = _precision(log2_size)
    with gmpy2.context(precision=precision):
        c = _mpc(guess, precision)
        for _ in range(_NEWTON_STEPS):
            z, slope = mpc(0), mpc(0)
            early, early_slope = z, slope
            for n in range(preperiod + period):
                if n == preperiod:
                    early, early_slope = z, slope
                slope = 2 * z * slope + 1
                z = z * z + c
            step = (z - early) / (slope - early_slope)
            c -= step
            if step == 0 or gmpy2.frexp(abs(step))[0] < log2_size - 32:
                return _rational(c)
    raise ViewError(
        f"Newton's method for preperiod {preperiod} and period {period} did not settle; begin nearer to the point"
    )


def copy_size(center: Point, period: int, log2_size: float) -> tuple[complex, float]:
    """Size and direction of the copy with this centre and period.

    Parameters
    ----------
    center : tuple of gmpy2.mpq
        Its `nucleus`.
    period : int
        Its period.
    log2_size : float
        Rough logarithm of the size, for the precision.

    Returns
    -------
    tuple
        A complex number of absolute value 1 (the whole set lies along 1), and the base-2 logarithm of the scale.
    """
    precision = _precision(log2_size)
    with gmpy2.context(precision=precision):
        c = _mpc(center, precision)
        z, line, sum_ = mpc(0), mpc(1, precision=64), mpc(1, precision=64)
        for _ in range(period - 1):
            z = z * z + c
            line = mpc(2 * mpc(z, precision=64) * line, precision=64)
            sum_ = mpc(sum_ + 1 / line, precision=64)
        size = 1 / (sum_ * line * line)
        scale = log2_abs(mpq(*abs(size).as_integer_ratio()))
        unit = size / abs(size)
        return complex(unit), scale
