"""Counts and distances of any map by gmpy2, one point at a time, and deep places of every power."""

from __future__ import annotations

import functools
import math

import gmpy2
import numpy as np
from gmpy2 import mpc, mpfr, mpq
from numpy.typing import NDArray

from webgpu_widget.mandelbrot import View
from webgpu_widget.mandelbrot.points import Point

FAR_SQUARED = 2**16


def escape(view: View, column: int, row: int) -> tuple[int, float]:
    """First n outside the radius, or max_iter, and the exterior distance in pixels, NaN where there is none."""
    with gmpy2.context(precision=2 * view.precision):
        point = mpc(*(mpfr(part) for part in view.pixel(column, row)))
        c = point if view.constant is None else mpc(*(mpfr(part) for part in view.constant))
        z, slope, n = (point, mpc(1), 0) if view.constant is not None else (c, mpc(1), 1)
        limit = max(mpfr(4), gmpy2.norm(c)) if view.constant is not None else mpfr(4)
        count = view.max_iter
        while n < view.max_iter or (count < view.max_iter and gmpy2.norm(z) <= FAR_SQUARED):
            squared = gmpy2.norm(z)
            if count == view.max_iter and squared > limit:
                count = n
            if count < view.max_iter and squared > FAR_SQUARED:
                break
            slope = view.power * z ** (view.power - 1) * slope + (view.constant is None)
            z = z**view.power + c
            n += 1
        if count == view.max_iter:
            return count, math.nan
        size = abs(z)
        with_slope = abs(slope) * mpfr(view.spacing)
        return count, float(size * gmpy2.log(size) / with_slope) if with_slope else math.inf


@functools.cache
def escapes(view: View) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """`escape` of all pixels, row by row."""
    found = [escape(view, column, row) for row in range(view.size[1]) for column in range(view.size[0])]
    return np.array([count for count, _ in found]), np.array([distance for _, distance in found])


def tip(power: int) -> complex:
    """A parameter whose critical orbit comes to a repelling fixed point in its second step: c**(power - 1) = w - 1, with w**power = 1."""
    w = np.exp(2j * np.pi * (power // 2) / power)
    return complex((w - 1) ** (1 / (power - 1)))


@functools.cache
def tip_exactly(power: int, bits: int) -> Point:
    """The same, but for ``bits`` bits."""
    with gmpy2.context(precision=bits):
        root = mpc(gmpy2.exp(mpc(0, 2 * gmpy2.const_pi() * (power // 2) / power))) - 1
        if power == 2:
            return mpq(-2), mpq(0)
        c = mpc(tip(power))
        for _ in range(bits.bit_length()):
            c -= (c ** (power - 1) - root) / ((power - 1) * c ** (power - 2))
        return mpq(*c.real.as_integer_ratio()), mpq(*c.imag.as_integer_ratio())


def copy_by_a_tip(power: int, period: int) -> tuple[Point, mpq]:
    """Nucleus and size of a copy of the set near `tip`, by Newton's method; the longer its period, the smaller it is.

    Near 0 the map comes back after a period as A z**power + B dc, so that the copy has size 1 / (\\|A\\|**(1 / (power - 1)) \\|B\\|).
    """
    with gmpy2.context(precision=64 + 14 * period):
        c = mpc(*(mpfr(part) for part in tip_exactly(power, 64 + 14 * period)))
        fixed = c**power + c
        for attempt in range(60):
            z, slope, product = c, mpc(1), mpc(1)
            for _ in range(period - 1):
                product *= power * z ** (power - 1)
                slope = power * z ** (power - 1) * slope + 1
                z = z**power + c
            step = (fixed if attempt == 0 else z) / slope
            c -= step
            if attempt and gmpy2.norm(step) < gmpy2.norm(c) * mpfr(2) ** (-26 * period):
                break
        size = 1 / (abs(product) ** (mpfr(1) / (power - 1)) * abs(slope))
        return (mpq(*c.real.as_integer_ratio()), mpq(*c.imag.as_integer_ratio())), mpq(*size.as_integer_ratio())
