"""Medians and quantiles as NumPy has them; the array API does not name them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import search, statistics
from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy.build import apply, where
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.errors import UnsupportedError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

Axis = int | tuple[int, ...] | None

__all__ = ["median", "nanmedian", "nanquantile", "quantile"]

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _lines(x: GPUArray, axis: Axis) -> tuple[GPUArray, tuple[int, ...], tuple[int, ...]]:
    """Return the values sorted along a new last axis, and the result's shape without and with the axes that go."""
    axes = () if shapes.is_axis_of_scalar(axis, x.ndim) else shapes.check_axes(axis, x.ndim)
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    shape = tuple(x.shape[i] for i in kept)
    flat = shapes.reshape(shapes.permute(x, (*kept, *axes)), (*shape, math.prod(x.shape[i] for i in axes)))
    return search.sort(flat), shape, tuple(1 if i in axes else s for i, s in enumerate(x.shape))


def _places(q: float, counts: Any, method: str) -> tuple[Any, Any, Any]:
    """Return between which places, from 0, a quantile lies, and how far on; for a number of elements or an array of them."""
    place = np.asarray(q * (np.asarray(counts, np.float64) - 1))
    low, high = np.floor(place), np.ceil(place)
    part = place - low
    if method == "lower":
        high, part = low, np.zeros_like(part)
    elif method == "higher":
        low, part = high, np.zeros_like(part)
    elif method == "nearest":
        low = high = np.rint(place)
        part = np.zeros_like(part)
    elif method == "midpoint":
        part = np.where(part > 0, 0.5, 0.0)
    return low, high, part


def _between(low: GPUArray, high: GPUArray, part: Any) -> GPUArray:
    """Return what lies a part of the way between two values, which are alike where there is no way."""
    mixed = apply("add", apply("multiply", low, 1.0 - part), apply("multiply", high, part))
    return where(apply("logical_or", apply("equal", low, high), part == 0), low, mixed)


def _quantiles(
    name: str, a: GPUArray, q: Any, axis: Axis, method: str, *, keepdims: bool, without_nan: bool
) -> GPUArray:
    if is_array(q):
        raise UnsupportedError(f"{name}: q is read before the work is queued; pass numbers of the host, as q.numpy().")
    if method not in _METHODS:
        raise UnsupportedError(
            f"{name}: method is one of {', '.join(_METHODS)}, not {method!r}. For others pass x.numpy()."
        )
    wanted = np.asarray(q, np.float64)
    if wanted.ndim > 1 or not ((wanted >= 0) & (wanted <= 1)).all():
        raise ValueError(f"{name}: q is a number from 0 to 1 or a line of them, not {q!r:.80}.")
    dtype = dt.float_of(a.dtype)
    values, shape, full = _lines(a.astype(dt.FLOAT32), axis)
    length = values.shape[-1]
    if not length or 0 in shape:
        found = [statistics.mean(values, -1, keepdims=False) for _ in wanted.reshape(-1)]
    elif without_nan:
        counts = statistics.total(apply("logical_not", apply("isnan", values)), "sum", -1, None, keepdims=True)
        found = [_by_counts(values, counts, p, method) for p in wanted.reshape(-1).tolist()]
    else:
        found = []
        last = values[..., length - 1]
        for p in wanted.reshape(-1).tolist():
            low, high, part = _places(p, length, method)
            result = _between(values[..., int(low)], values[..., int(high)], float(part))
            found.append(where(apply("isnan", last), math.nan, result))
    results = [shapes.reshape(f, full if keepdims else shape).astype(dtype) for f in found]
    return shapes.stack(results) if wanted.ndim else results[0]


def _by_counts(values: GPUArray, counts: GPUArray, q: float, method: str) -> GPUArray:
    """Return a quantile of lines of different lengths, whose lengths are read: a float32 would not hold the place in long ones."""
    known = counts.numpy()
    low, high, part = _places(q, np.maximum(known, 1), method)
    first, second = (
        search.take_along_axis(values, from_host(values._device, np.asarray(p, np.int32)), -1) for p in (low, high)
    )
    share = from_host(values._device, np.asarray(part, np.float32))
    mixed = apply("add", apply("multiply", first, 1.0 - share), apply("multiply", second, share))
    same = apply("logical_or", apply("equal", first, second), apply("equal", share, 0.0))
    return shapes.squeeze(where(apply("equal", counts, 0), math.nan, where(same, first, mixed)), -1)


def quantile(a: GPUArray, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False) -> GPUArray:
    """Return quantiles along axes, NaN where there is one.

    NumPy's; the array API standard has none.

    Parameters
    ----------
    a : GPUArray
        The values; integers are taken as float32.
    q : float or sequence of float
        From 0 to 1, on the host; of several, the results lie along a new first axis.
    axis : int, tuple of int or None
        Which axes go; None: all.
    method : str
        ``linear``, ``lower``, ``higher``, ``midpoint`` or ``nearest``, as in `numpy.quantile`.
    keepdims : bool
        Whether the axes stay, of length 1.

    Raises
    ------
    ValueError
        For `q` outside 0 to 1.
    UnsupportedError
        For another method, and for `q` on the GPU.

    Examples
    --------
    >>> xp.quantile(xp.asarray([1.0, 2.0, 4.0]), [0.0, 0.25, 1.0])
    GPUArray([1. , 1.5, 4. ], shape=(3,), dtype=float32)
    """
    return _quantiles("quantile", a, q, axis, method, keepdims=keepdims, without_nan=False)


def nanquantile(a: GPUArray, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False) -> GPUArray:
    """Return quantiles of what is no NaN.

    NumPy's; the array API standard has none. It waits for the numbers of those elements.

    Parameters
    ----------
    a : GPUArray
        The values; NaN among them counts for nothing.
    q, axis, method, keepdims
        As in `quantile`.

    Raises
    ------
    ValueError, UnsupportedError
        As `quantile`.

    Examples
    --------
    >>> xp.nanquantile(xp.asarray([1.0, xp.nan, 3.0]), 0.5)
    GPUArray(2., shape=(), dtype=float32)
    """
    return _quantiles("nanquantile", a, q, axis, method, keepdims=keepdims, without_nan=a.dtype.kind == "f")


def median(a: GPUArray, axis: Axis = None, *, keepdims: bool = False) -> GPUArray:
    """Return the middle value, the mean of the middle two of an even number; NaN where there is one.

    NumPy's; the array API standard has none.

    Parameters
    ----------
    a : GPUArray
        The values; integers are taken as float32.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.median(xp.asarray([5.0, 1.0, 2.0]))
    GPUArray(2., shape=(), dtype=float32)
    """
    return _quantiles("median", a, 0.5, axis, "linear", keepdims=keepdims, without_nan=False)


def nanmedian(a: GPUArray, axis: Axis = None, *, keepdims: bool = False) -> GPUArray:
    """Return the middle value of what is no NaN, the mean of the middle two of an even number.

    NumPy's; the array API standard has none. It waits for the numbers of those elements.

    Parameters
    ----------
    a : GPUArray
        The values; NaN among them counts for nothing.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.nanmedian(xp.asarray([5.0, xp.nan, 2.0]))
    GPUArray(3.5, shape=(), dtype=float32)
    """
    return _quantiles("nanmedian", a, 0.5, axis, "linear", keepdims=keepdims, without_nan=a.dtype.kind == "f")
