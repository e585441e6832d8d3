"""NumPy twins of shaders/mandelbrot: the same counts, without slices and blocks.

``direct`` is the twin of direct.wgsl, ``perturb`` of perturb.wgsl (in complex64) and of refine.wgsl (in complex128).
"""

from __future__ import annotations

from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpfr
from numpy.typing import NDArray

from webgpu_widget.mandelbrot.bla import Reference, Scaled
from webgpu_widget.mandelbrot.view import View

__all__ = ["direct", "exact_count", "perturb", "refine", "smooth_count"]

FAR = 256.0


def smooth_count(z: NDArray[np.complex128], n: NDArray[np.int64], power: int = 2) -> NDArray[np.float64]:
    """Continuous count of points with |z_n| > 2**8: the real number at which |z| passes 2**8."""
    return np.asarray(n - np.log(np.log(np.abs(z)) / np.log(FAR)) / np.log(power))


def direct(
    points: NDArray[np.complex128],
    max_iter: int,
    *,
    power: int = 2,
    julia: complex | None = None,
    ship: bool = False,
    dtype: type[np.float32 | np.float64] = np.float32,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Iterate points of the plane.

    Parameters
    ----------
    points : ndarray of complex, (n,)
        c, or z_0 of a Julia set.
    max_iter, power, julia, ship
        As in `render`.
    dtype : type
        Of the real and imaginary parts.

    Returns
    -------
    iterations : ndarray of int64, (n,)
        First n with |z_n| > radius, or max_iter.
    smooth : ndarray of float64, (n,)
        Continuous count, NaN inside.
    distance : ndarray of float64, (n,)
        Exterior distance in the plane, NaN inside.
    """
    x: NDArray[Any] = points.real.astype(dtype)
    y: NDArray[Any] = points.imag.astype(dtype)
    if julia is None:
        cx, cy, x, y = x, y, np.zeros_like(x), np.zeros_like(y)
        slope = np.zeros(len(points), complex)
        radius = 2.0
    else:
        cx, cy = np.full_like(x, julia.real), np.full_like(y, julia.imag)
        slope = np.ones(len(points), complex)
        radius = max(2.0, abs(julia))
    iterations = np.full(len(points), max_iter, np.int64)
    smooth, distance = np.full(len(points), np.nan), np.full(len(points), np.nan)
    live, seen = np.arange(len(points)), np.zeros(len(points), bool)
    for n in range(max_iter + 65):
        size = np.hypot(x.astype(np.float64), y.astype(np.float64))
        crossed = (size > radius) & ~seen[live]
        if n > 0 or julia is not None:
            iterations[live[crossed]] = np.minimum(n, max_iter)
            seen[live[crossed]] = n < max_iter
        done = seen[live] & (size > FAR)
        at = live[done]
        z = x[done].astype(np.float64) + 1j * y[done]
        smooth[at] = smooth_count(z, np.full(len(at), n), power)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance[at] = np.abs(z) * np.log(np.abs(z)) / np.abs(slope[at])
        keep = ~done & (seen[live] | (n < max_iter))
        live, x, y, cx, cy = live[keep], x[keep], y[keep], cx[keep], cy[keep]
        if not len(live):
            break
        full = x.astype(np.float64) + 1j * y
        slope[live] = power * full ** (power - 1) * slope[live] + (julia is None)
        if ship:
            x, y = np.abs(x), np.abs(y)
        u, v = x, y
        for _ in range(power - 1):
            u, v = u * x - v * y, u * y + v * x
        x, y = u + cx, v + cy
    return iterations, smooth, distance


def perturb(
    reference: Reference,
    dc: Scaled,
    max_iter: int,
    *,
    power: int = 2,
    julia: complex | None = None,
    dtype: type[np.complex64 | np.complex128] = np.complex128,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Iterate distances from a reference orbit, rebasing where |z| falls under them.

    Parameters
    ----------
    reference : Reference
        The packed orbit.
    dc : Scaled
        Distance of each pixel from the reference point.
    max_iter, power, julia
        As in `render`.
    dtype : type
        Of mantissas.

    Returns
    -------
    iterations : ndarray of int64, (n,)
        First n with |z_n| > radius, or max_iter.
    smooth : ndarray of float64, (n,)
        Continuous count, NaN inside.
    """

    def rounded(value: Scaled) -> Scaled:
        return Scaled(value.mantissa.astype(dtype).astype(np.complex128), value.exponent)

    count = len(dc.exponent)
    points = rounded(reference.points)
    delta, added = rounded(dc), rounded(dc)
    m = np.full(count, reference.start)
    iterations, smooth = np.full(count, max_iter, np.int64), np.full(count, np.nan)
    live, seen = np.arange(count), np.zeros(count, bool)
    radius = 2.0 if julia is None else max(2.0, abs(julia))
    rest = Scaled.of(np.zeros(len(points.exponent), np.complex128))
    for index, (mantissa, exponent) in reference.near.items():
        rest.mantissa[index], rest.exponent[index] = -mantissa, exponent
    close = np.zeros(len(points.exponent), bool)
    close[list(reference.near)] = True
    for n in range(julia is None, max_iter + 65_536):
        here = Scaled(points.mantissa[m], points.exponent[m])
        z = here + delta
        value = z.mantissa * np.exp2(np.maximum(z.exponent, -1000).astype(np.float64))
        out = np.abs(value) > radius
        at = np.flatnonzero(close[m])
        if len(at):
            # |Z + delta|**2 > R**2, where |Z| is so near R that the sum does not show it: 2 Re(conj(Z) delta) + |delta|**2 > R**2 - |Z|**2
            d, scale = delta.mantissa[at], delta.exponent[at]
            cross = Scaled.of((here.mantissa[at] * d.conj()).real.astype(np.complex128), here.exponent[at] + scale + 1)
            square = Scaled.of((np.abs(d) ** 2).astype(np.complex128), 2 * scale)
            out[at] = (cross + square + Scaled(rest.mantissa[m[at]], rest.exponent[m[at]])).mantissa.real > 0
        crossed = out & ~seen[live]
        iterations[live[crossed]] = np.minimum(n, max_iter)
        seen[live[crossed]] = n < max_iter
        done = seen[live] & (np.abs(value) > FAR)
        smooth[live[done]] = smooth_count(value[done], np.full(int(done.sum()), n), power)
        rebase = (z.log2() < delta.log2()) | ~reference.steps[m]
        delta = Scaled(np.where(rebase, z.mantissa, delta.mantissa), np.where(rebase, z.exponent, delta.exponent))
        m = np.where(rebase, 0, m)
        keep = ~done & (seen[live] | (n < max_iter))
        live, m = live[keep], m[keep]
        delta = Scaled(delta.mantissa[keep], delta.exponent[keep])
        if not len(live):
            break
        here = Scaled(points.mantissa[m], points.exponent[m])
        z = here + delta
        # The slope of the chord from Z to z under the power.
        powers = [(Scaled.of(np.ones(len(m), np.complex128)), Scaled.of(np.ones(len(m), np.complex128)))]
        for _ in range(power - 1):
            powers.append((powers[-1][0] * z, powers[-1][1] * here))
        chord = powers[power - 1][0]
        for k in range(1, power):
            chord = chord + powers[power - 1 - k][0] * powers[k][1]
        delta = chord * delta
        if julia is None:
            delta = delta + Scaled(added.mantissa[live], added.exponent[live])
        delta = rounded(delta)
        m = m + 1
    return iterations, smooth


refine = perturb


def exact_count(view: View, column: int, row: int) -> int:
    """Iterate one pixel of a view of the Mandelbrot set at twice the precision that the view needs.

    Parameters
    ----------
    view : View
        The picture.
    column, row : int
        Of the pixel.

    Returns
    -------
    int
        First n with |z_n| > 2, or max_iter.
    """
    with gmpy2.context(precision=2 * view.precision):
        re, im = (mpfr(part) for part in view.pixel(column, row))
        x = y = mpfr(0)
        square = gmpy2.square
        for n in range(1, view.max_iter + 1):
            cross = x * y
            x = square(x) - square(y) + re
            y = cross + cross + im
            a, b = float(x), float(y)
            # Floats only sort out the clear cases.
            if a * a + b * b > 3.99 and square(x) + square(y) > 4:
                return n
    return view.max_iter
