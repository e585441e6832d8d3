"""Transforms of arrays: arguments, norms and dtypes of the functions of `webgpu_widget.xp.fft`, and convolution by them."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from webgpu_widget.arrays.fourier.plan import good_length, is_smooth
from webgpu_widget.arrays.fourier.transform import Kind, transform
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, astype, cast_node, coerce, same_gpu
from webgpu_widget.arrays.lazy.indexing import getitem
from webgpu_widget.arrays.lazy.node import node_of
from webgpu_widget.arrays.lazy.shape import check_axis, concat, flip, leaf
from webgpu_widget.arrays.lazy.value import is_array, wrap
from webgpu_widget.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.gpu import GPU

__all__ = ["Mode", "Norm", "along", "axes_of", "fft_convolve", "half_along", "over_axes", "real_along"]

Norm = Literal["backward", "ortho", "forward"] | None
"""None is "backward", as in NumPy."""
Mode = Literal["full", "same", "valid"]
_NORMS = ("backward", "ortho", "forward")
_MODES = ("full", "same", "valid")


def _array(name: str, x: Any) -> GPUArray:
    """Return an operand, uploaded where it is no array yet."""
    runtime, (array,) = coerce(name, (np.asarray(x) if dt.is_scalar(x) else x,))
    return array if is_array(array) else wrap(runtime.device, node_of(array))


def _points(name: str, n: Any, default: int) -> int:
    """Return the number of points of a transform.

    Raises
    ------
    ShapeError
        When there are none.
    """
    points = default if n is None else operator.index(n)
    if points < 1:
        raise ShapeError(f"{name}: a transform of {points} points has no value; there must be 1 or more.")
    return points


def _scale(name: str, norm: str | None, n: int, *, inverse: bool) -> float:
    """Return the factor of the results."""
    norm = norm or "backward"
    if norm not in _NORMS:
        raise ValueError(f"{name}: norm is {', '.join(map(repr, _NORMS))}, not {norm!r}.")
    if norm == "ortho":
        return 1 / math.sqrt(n)
    return 1 / n if (norm == "backward") == inverse else 1.0


def _run(x: GPUArray, axis: int, n: int, kind: Kind, *, inverse: bool, scale: float) -> GPUArray:
    runtime = same_gpu("fft", [x])
    wanted = dt.COMPLEX64 if kind in ("complex", "real") else dt.FLOAT32
    with runtime.lock:
        source = leaf(runtime, cast_node(node_of(x), wanted))
        return wrap(x._device, transform(runtime, source, axis, n, kind, inverse=inverse, scale=scale))


def _part(x: GPUArray, axis: int, start: int | None, stop: int | None) -> GPUArray:
    return getitem(x, (*(slice(None),) * axis, slice(start, stop)))


def along(name: str, x: Any, n: int | None, axis: int, norm: str | None, *, inverse: bool) -> GPUArray:
    """Return the transform along one axis; see `webgpu_widget.xp.fft.fft`."""
    x = _array(name, x)
    axis = check_axis(axis, x.ndim)
    points = _points(name, n, x.shape[axis])
    scale = _scale(name, norm, points, inverse=inverse)
    if x.shape[axis] > points and not is_smooth(points):
        x = _part(x, axis, None, points)
    kind: Kind = "complex" if x.dtype == dt.COMPLEX64 else "widened"
    return _run(x, axis, points, kind, inverse=inverse, scale=scale)


def half_along(name: str, x: Any, n: int | None, axis: int, norm: str | None, *, inverse: bool) -> GPUArray:
    """Return the first half of the spectrum of real numbers along one axis; see `webgpu_widget.xp.fft.rfft`."""
    x = _array(name, x)
    if x.dtype == dt.COMPLEX64:
        raise DTypeError(
            f"{name} takes real numbers, not complex64: use {'ifft' if inverse else 'fft'}, or pass x.real."
        )
    axis = check_axis(axis, x.ndim)
    points = _points(name, n, x.shape[axis])
    if not is_smooth(points):
        whole = along(name, x, points, axis, norm, inverse=inverse)
        return _part(whole, axis, None, points // 2 + 1)
    return _run(x, axis, points, "half", inverse=inverse, scale=_scale(name, norm, points, inverse=inverse))


def real_along(name: str, x: Any, n: int | None, axis: int, norm: str | None, *, inverse: bool) -> GPUArray:
    """Return the real numbers of which half the spectrum is given along one axis; see `webgpu_widget.xp.fft.irfft`."""
    x = _array(name, x)
    axis = check_axis(axis, x.ndim)
    points = _points(name, n, 2 * (x.shape[axis] - 1))
    scale = _scale(name, norm, points, inverse=inverse)
    if is_smooth(points):
        return _run(x, axis, points, "real", inverse=inverse, scale=scale)
    # A large prime factor: the whole spectrum, by Bluestein's convolution. The imaginary part of its first number counts for nothing.
    rows = points // 2 + 1
    given = _part(astype(x, dt.COMPLEX64), axis, None, rows)
    ends = [apply("real", _part(given, axis, None, 1))]
    middle = _part(given, axis, 1, (points + 1) // 2)
    lacking = rows - given.shape[axis]
    whole = [*ends, middle]
    if points % 2 == 0 and not lacking:
        whole.append(apply("real", _part(given, axis, rows - 1, rows)))
    if lacking:
        shape = (*x.shape[:axis], points + 1 - 2 * given.shape[axis], *x.shape[axis + 1 :])
        whole.append(_zeros(x, shape))
    whole.append(flip(apply("conj", middle), axis))
    return apply("real", _run(concat(whole, axis), axis, points, "complex", inverse=inverse, scale=scale))


def _zeros(x: GPUArray, shape: tuple[int, ...]) -> GPUArray:
    from webgpu_widget.arrays.lazy import create

    return create.full(x._device, shape, 0, dt.COMPLEX64)


def axes_of(name: str, x: GPUArray, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int, int]]:
    """Return (axis, points) for each axis of a transform over several.

    Raises
    ------
    numpy.exceptions.AxisError
        For an axis that is not there.
    ValueError
        When an axis is named twice, or there are not as many sizes as axes.
    """
    if axes is None:
        places = list(range(x.ndim)) if s is None else list(range(x.ndim))[x.ndim - len(s) :]
        if s is not None and len(s) > x.ndim:
            raise ShapeError(f"{name}: {len(s)} sizes {tuple(s)} for an array of {x.ndim} axes.")
    else:
        places = [check_axis(axis, x.ndim) for axis in axes]
    if len(set(places)) != len(places):
        raise ShapeError(f"{name}: the axes {tuple(axes or ())} name one axis twice.")
    if s is not None and len(s) != len(places):
        raise ShapeError(f"{name}: {len(s)} sizes {tuple(s)} for {len(places)} axes; there must be as many.")
    sizes = [None] * len(places) if s is None else list(s)
    return [
        (axis, _points(name, None if size == -1 else size, x.shape[axis]))
        for axis, size in zip(places, sizes, strict=True)
    ]


def over_axes(
    name: str, x: Any, s: Sequence[int] | None, axes: Sequence[int] | None, norm: str | None, *, inverse: bool
) -> GPUArray:
    """Return the transform over several axes, the last one first; see `webgpu_widget.xp.fft.fftn`."""
    x = _array(name, x)
    chosen = axes_of(name, x, s, axes)
    if not chosen:
        return astype(x, dt.COMPLEX64)
    for axis, points in reversed(chosen):
        x = along(name, x, points, axis, norm, inverse=inverse)
    return x


# ---------------------------------------------------------------- convolution


def fft_convolve(
    a: Any, b: Any, mode: Mode = "full", *, axes: Sequence[int] | None = None, gpu: GPU | None = None
) -> GPUArray:
    """Return the convolution of two arrays, by products of their Fourier transforms.

    The work grows with the size of the result times its logarithm, whatever the size of the kernel `b`. Real arrays are transformed at half
    the work of complex ones.

    Parameters
    ----------
    a, b : array_like
        float16, float32 or complex64, or bools and integers, which are computed in float32. Of as many axes; those that are not convolved
        broadcast.
    mode : {"full", "same", "valid"}
        As in `scipy.signal.fftconvolve`: ``full``, of sides ``m + n - 1``; ``same``, the middle of it, of the sides of `a`; ``valid``, what
        does not meet an end, of sides ``max(m, n) - min(m, n) + 1``.
    axes : sequence of int, optional
        The axes to convolve along; all.
    gpu : GPU, optional
        Where NumPy operands go.

    Returns
    -------
    GPUArray
        float32, or complex64 where an operand is complex. The error is about ``1e-7 * log2(size)`` of the norms' product, everywhere: beside
        large values small ones drown, which they do not in a sum of products.

    Raises
    ------
    ShapeError
        When the operands have different numbers of axes, do not broadcast, or, for ``valid``, neither holds the other along all axes.
    DTypeError
        For dtypes that the GPU does not have.
    ValueError
        For another mode.

    Examples
    --------
    >>> import numpy as np
    >>> import webgpu_widget as wg
    >>> wg.fft_convolve(np.float32([1, 2, 3]), np.float32([0, 1, 0.5])).numpy().round(3).tolist()
    [0.0, 1.0, 2.5, 4.0, 1.5]
    """
    if mode not in _MODES:
        raise ValueError(f"fft_convolve: mode is {', '.join(map(repr, _MODES))}, not {mode!r}.")
    _, (x, y) = coerce("fft_convolve", tuple(np.asarray(v) if dt.is_scalar(v) else v for v in (a, b)), gpu)
    if x.ndim != y.ndim:
        raise ShapeError(f"fft_convolve: shapes {x.shape} and {y.shape} must have as many axes.")
    if 0 in (*x.shape, *y.shape):
        raise ShapeError(f"fft_convolve: shapes {x.shape} and {y.shape} hold nothing to convolve.")
    places = sorted(axis for axis, _ in axes_of("fft_convolve", x, None, axes))
    for i in range(x.ndim):
        if i not in places and 1 not in (x.shape[i], y.shape[i]) and x.shape[i] != y.shape[i]:
            raise ShapeError(f"fft_convolve: shapes {x.shape} and {y.shape} do not broadcast along axis {i}.")
    if mode == "valid":
        if all(y.shape[i] >= x.shape[i] for i in places):
            x, y = y, x
        elif not all(x.shape[i] >= y.shape[i] for i in places):
            raise ShapeError(
                f"fft_convolve: for 'valid' one of the shapes {x.shape} and {y.shape} must hold the other along all axes {tuple(places)}."
            )
    if not places:
        return apply("multiply", x, y)
    full = [x.shape[i] + y.shape[i] - 1 for i in places]
    sizes = [good_length(side) for side in full]
    whole = _product(x, y, places, sizes)
    starts = {
        "full": [0] * len(places),
        "same": [(y.shape[i] - 1) // 2 for i in places],
        "valid": [y.shape[i] - 1 for i in places],
    }[mode]
    sides = {
        "full": full,
        "same": [x.shape[i] for i in places],
        "valid": [x.shape[i] - y.shape[i] + 1 for i in places],
    }[mode]
    key = [slice(None)] * x.ndim
    for i, start, side in zip(places, starts, sides, strict=True):
        key[i] = slice(start, start + side)
    return getitem(whole, tuple(key))


def _product(x: GPUArray, y: GPUArray, places: list[int], sizes: list[int]) -> GPUArray:
    """Return the cyclic convolution along axes of these sizes."""
    name = "fft_convolve"
    if dt.COMPLEX64 in (x.dtype, y.dtype):
        spectra = [over_axes(name, v, sizes, places, "backward", inverse=False) for v in (x, y)]
        return over_axes(name, apply("multiply", *spectra), sizes, places, "backward", inverse=True)
    spectra = []
    for v in (x, y):
        half = half_along(name, v, sizes[-1], places[-1], "backward", inverse=False)
        if places[:-1]:
            half = over_axes(name, half, sizes[:-1], places[:-1], "backward", inverse=False)
        spectra.append(half)
    product = apply("multiply", *spectra)
    if places[:-1]:
        product = over_axes(name, product, sizes[:-1], places[:-1], "backward", inverse=True)
    return real_along(name, product, sizes[-1], places[-1], "backward", inverse=True)
