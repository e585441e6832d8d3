"""Lines of pixels whose counts hang on less than 56 bits tell, counted with as many digits as they need.

A number of refine.wgsl is a complex one with one exponent: what is left of 56 bits for its smaller part may be nothing. Nearly everywhere that part
comes back, by far larger, out of the larger one. It does not in two kinds of lines, both of them by an axis that the map keeps: the real one, and for
odd powers the imaginary one.

- A row *beside* the real axis by less than 2**-46 of a pixel, and not on it: how far its points are from the axis is lost, and they are never to leave it.
- Lines *through the nucleus* of a copy that is far smaller than a pixel, for even powers: z comes by 0 as B(x + iy), and its square is real where x = 0, and
  imaginary where x = y or x = -y, but for what B lacks of being all. With that lost, and dc too small to tell beside it, z runs along an axis for ever. So
  a column and two diagonals are concerned where the copy is on the real axis. (Where it is not, B turns them off the pixels.)

A pixel on a nucleus itself never escapes, and 56 bits do not tell it from others where the nucleus is not the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gmpy2
import numpy as np
from gmpy2 import mpc, mpfr, mpq
from numpy.typing import NDArray

from webgpu_widget.mandelbrot.view import View

if TYPE_CHECKING:
    from webgpu_widget.mandelbrot.bla import Reference

__all__ = ["beside_an_axis", "count_exactly", "unresolved"]

_BESIDE = mpq(1, 2**46)
"""Of a pixel: nearer to a line than this, and 56 bits may not tell the two apart."""
_ON = mpq(1, 2**30)
"""Of a pixel: as near to a pixel's middle the points of an orbit tell a nucleus to be."""
_LOST_BITS = 46.0
_GIVEN_BITS = 44
_ONE_COUNTS = 64
"""A slope of more bits does not feel the 1 that each step adds, and one of as many below 1 is that."""
_FAR_SQUARED = 65536.0
_LOOK_EVERY = 256


def beside_an_axis(view: View) -> list[tuple[int, int]]:
    """Find the lines of pixels that lie beside an axis which the map keeps, so near that 56 bits do not tell the two apart, and not on it.

    Parameters
    ----------
    view : View
        The picture.

    Returns
    -------
    list of tuple of int
        (0, row) beside the real axis, (1, column) beside the imaginary one.
    """
    re, im = view.point
    constant = view.constant or (mpq(0), mpq(0))
    found = []
    row = _near(im / view.spacing + mpq(view.size[1] - 1, 2), view.size[1])
    if row is not None and not constant[1]:
        found.append((0, row))
    column = _near(mpq(view.size[0] - 1, 2) - re / view.spacing, view.size[0])
    if column is not None and view.power % 2 and not constant[0]:
        found.append((1, column))
    return found


def _near(place: mpq, count: int) -> int | None:
    """Return the line beside a place that is not on it."""
    line = math.floor(place + mpq(1, 2))
    return line if 0 <= line < count and 0 < abs(place - line) < _BESIDE else None


def _nuclei(view: View, reference: Reference, point: tuple[mpq, mpq]) -> list[tuple[mpq, mpq]]:
    """Find the nuclei, or what a Julia set has in their place, at which 56 bits are lost; in columns and rows from the top left pixel.

    With Z_n near 0, B = dz_n/dc and d from a pixel to half the picture: B d is small, and dc is too small to tell beside (B d)**power.
    """
    columns, rows = view.size
    half = view.log2_spacing + math.log2(max(view.size)) - 1
    offset = [(part - of) / view.spacing for part, of in zip(view.point, point, strict=True)]
    points = reference.points[reference.start :]
    unit = math.ceil(view.log2_spacing)
    rest = 2.0 ** (unit - view.log2_spacing)
    found = []
    slope, scale = 1 + 0j, 0  # B, as slope 2**scale
    for n, (value, exponent) in enumerate(zip(points.mantissa.tolist(), points.exponent.tolist(), strict=True)):
        if slope == 0:
            break  # what begins at 0 in a Julia set
        log2_slope = math.log2(abs(slope)) + scale
        moved = log2_slope + half
        # A Julia set adds nothing on the way, so there is no dc that may tell; what begins at 0 has no other part to lose.
        lost = view.power * moved - half > _LOST_BITS if view.constant is None else n > 0
        if lost and moved < -_LOST_BITS / 2 and (value == 0 or math.log2(abs(value)) + exponent < moved + 1):
            # One of Newton's steps from the reference point to the nucleus, in pixels; exact, since B d is small.
            step = -(value / slope) * math.ldexp(rest, exponent - scale - unit) if value else 0j
            found.append(
                (mpq(step.real) - offset[0] + mpq(columns - 1, 2), offset[1] - mpq(step.imag) + mpq(rows - 1, 2))
            )
        slope = view.power * value ** (view.power - 1) * slope
        scale += exponent * (view.power - 1)
        if view.constant is None and scale < _ONE_COUNTS:
            slope, scale = (slope + math.ldexp(1.0, -scale), scale) if scale > -_ONE_COUNTS else (1 + 0j, 0)
        up = math.frexp(abs(slope))[1]
        slope, scale = slope * 2.0**-up, scale + up
    return found


def _mark_by_nuclei(marked: NDArray[np.bool_], view: View, reference: Reference, point: tuple[mpq, mpq]) -> None:
    """Mark the pixel on a nucleus, and, where that is on the real axis and the power even, the column and the diagonals through it."""
    if max(part.denominator.bit_length() for part in view.point) < _GIVEN_BITS - view.log2_spacing:
        return  # a centre of so few digits comes to no nucleus
    row, column = np.mgrid[: view.size[1], : view.size[0]]
    axis = not point[1] and not view.point[1] and (view.constant is None or not view.constant[1])
    for across, down in _nuclei(view, reference, point):
        upright, level = column == _on(across), row == _on(down)
        marked |= upright & level
        if axis and view.power % 2 == 0:
            # Where z**power is real, or imaginary, but for what is lost.
            marked |= upright | (column - row == _on(across - down)) | (column + row == _on(across + down))


def _on(place: mpq) -> float:
    """Return the whole number that a place is on; NaN where it is on none."""
    whole = math.floor(place + mpq(1, 2))
    return whole if abs(place - whole) <= _ON else math.nan


def unresolved(view: View, reference: Reference, point: tuple[mpq, mpq]) -> NDArray[np.uint32]:
    """Find the pixels that refine.wgsl cannot tell from an axis.

    Parameters
    ----------
    view : View
        The picture.
    reference : Reference
        Of its perturbation.
    point : tuple of gmpy2.mpq
        Its reference point.

    Returns
    -------
    ndarray of uint32, (n,)
        Their indices, row by row, ascending.
    """
    marked = np.zeros((view.size[1], view.size[0]), bool)
    for axis, line in beside_an_axis(view):
        marked[(slice(None), line) if axis else line] = True
    _mark_by_nuclei(marked, view, reference, point)
    return np.flatnonzero(marked).astype(np.uint32)


def count_exactly(
    view: View, pixels: NDArray[np.uint32], go_on: Callable[[], None] | None = None
) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.float32]]:
    """Iterate pixels in gmpy2, with twice the digits that tell pixels apart.

    Parameters
    ----------
    view : View
        The picture.
    pixels : ndarray of uint32, (n,)
        Indices, row by row.
    go_on : callable, optional
        Called now and then; it may raise to stop.

    Returns
    -------
    tuple of ndarray, (n,)
        Counts (uint32), smooth counts and distances (float32), as in `Image`.
    """
    counts = np.full(len(pixels), view.max_iter, np.uint32)
    smooth, distance = (np.full(len(pixels), np.nan, np.float32) for _ in range(2))
    # The other part of a point is as small as the square of its way from the axis.
    given = max((part.denominator.bit_length() for part in (*view.point, *(view.constant or ()))), default=0)
    precision = 2 * max(view.precision, min(given, view.precision + math.ceil(-view.log2_spacing)))
    with gmpy2.context(precision=precision):
        spacing = mpfr(view.spacing)
        constant = None if view.constant is None else mpc(*map(mpfr, view.constant))
        limit = mpfr(4) if constant is None else max(mpfr(4), gmpy2.norm(constant))
        for index, pixel in enumerate(pixels):
            point = mpc(*map(mpfr, view.pixel(int(pixel) % view.size[0], int(pixel) // view.size[0])))
            found = _escape(view, point, constant, limit, go_on)
            if found is not None:
                counts[index], smooth[index], slope, size = found
                distance[index] = float(size * gmpy2.log(size) / (slope * spacing)) if slope else math.inf
    return counts, smooth, distance


def _escape(
    view: View, point: Any, constant: Any, limit: Any, go_on: Callable[[], None] | None
) -> tuple[int, float, Any, Any] | None:
    """Return the count of a point, its smooth count, and the slope and size of z there; None where it does not escape."""
    power = view.power
    c, z, n = (point, point, 1) if constant is None else (constant, point, 0)
    added = 1 if constant is None else 0
    slope = mpc(1, precision=64)
    while gmpy2.norm(z) <= limit:
        if n >= view.max_iter:
            return None
        if go_on is not None and n % _LOOK_EVERY == 0:
            go_on()
        slope = power * mpc(z, precision=64) ** (power - 1) * slope + added
        z = z**power + c
        n += 1
    if n >= view.max_iter:
        return None
    count = n
    while gmpy2.norm(z) <= _FAR_SQUARED:
        slope = power * mpc(z, precision=64) ** (power - 1) * slope + added
        z = z**power + c
        n += 1
    turns = math.log2(float(gmpy2.log2(gmpy2.norm(z))) / 16) / math.log2(power)
    return count, n - turns, abs(slope), abs(z)
