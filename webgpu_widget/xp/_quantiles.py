"""Medians, quantiles and the statistics that leave NaN out, as NumPy has them; the array API does not name them."""

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

__all__ = [
    "median",
    "nanargmax",
    "nanargmin",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "quantile",
]

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _filled(x: GPUArray, value: float) -> GPUArray:
    return where(apply("isnan", x), value, x) if x.dtype.kind == "f" else x


def _counts(x: GPUArray, axis: Axis, *, keepdims: bool) -> GPUArray:
    """Return how many elements are no NaN, as floats."""
    present = apply("logical_not", apply("isnan", x))
    return statistics.total(present, "sum", axis, None, keepdims=keepdims).astype(dt.FLOAT32)


def nansum(a: GPUArray, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> GPUArray:
    """Return the sum of what is no NaN; 0 where nothing else is.

    NumPy's; the array API standard has none.

    Parameters
    ----------
    a : GPUArray
        The values; NaN among them counts for nothing.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    dtype : dtype, optional
        In which it is summed; that of `a`, and int32 for bools, when left out.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.nansum(xp.asarray([1.0, xp.nan, 3.0]))
    GPUArray(4., shape=(), dtype=float32)
    """
    return statistics.total(_filled(a, 0), "sum", axis, dtype, keepdims=keepdims)


def nanprod(a: GPUArray, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> GPUArray:
    """Return the product of what is no NaN; 1 where nothing else is.

    NumPy's; the array API standard has none.

    Parameters
    ----------
    a : GPUArray
        The values; NaN among them counts for nothing.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    dtype : dtype, optional
        In which it is multiplied; that of `a`, and int32 for bools, when left out.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.nanprod(xp.asarray([2.0, xp.nan, 3.0]))
    GPUArray(6., shape=(), dtype=float32)
    """
    return statistics.total(_filled(a, 1), "prod", axis, dtype, keepdims=keepdims)


def _nan_extreme(kind: str, a: GPUArray, axis: Axis, *, keepdims: bool) -> GPUArray:
    if a.dtype.kind != "f":
        return statistics.extreme(a, kind, axis, keepdims=keepdims)
    least = -math.inf if kind == "max" else math.inf
    nothing = statistics.logical(apply("isnan", a), "all", axis, keepdims=keepdims)
    return where(nothing, math.nan, statistics.extreme(_filled(a, least), kind, axis, keepdims=keepdims))


def nanmax(a: GPUArray, axis: Axis = None, *, keepdims: bool = False) -> GPUArray:
    """Return the largest value that is no NaN; NaN where nothing else is.

    NumPy's; the array API standard has none.

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
    >>> xp.nanmax(xp.asarray([1.0, xp.nan, 3.0]))
    GPUArray(3., shape=(), dtype=float32)
    """
    return _nan_extreme("max", a, axis, keepdims=keepdims)


def nanmin(a: GPUArray, axis: Axis = None, *, keepdims: bool = False) -> GPUArray:
    """Return the smallest value that is no NaN; NaN where nothing else is.

    NumPy's; the array API standard has none.

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
    >>> xp.nanmin(xp.asarray([1.0, xp.nan, 3.0]))
    GPUArray(1., shape=(), dtype=float32)
    """
    return _nan_extreme("min", a, axis, keepdims=keepdims)


def _nan_place(kind: str, a: GPUArray, axis: int | None, *, keepdims: bool) -> GPUArray:
    if a.dtype.kind != "f":
        return statistics.place(a, kind, axis, keepdims=keepdims)
    extreme = _nan_extreme(kind, a, axis, keepdims=True)
    if apply("isnan", extreme).any():
        raise ValueError(
            f"nanarg{kind}: of shape {a.shape} along axis {axis}, there is a part with nothing but NaN, which has no place."
        )
    # Not the place of an infinity that stands for a NaN: that of what equals the extreme, which no NaN does.
    return statistics.place(apply("equal", a, extreme).astype(dt.INT32), "max", axis, keepdims=keepdims)


def nanargmax(a: GPUArray, axis: int | None = None, *, keepdims: bool = False) -> GPUArray:
    """Return where the first largest element is that is no NaN.

    NumPy's; the array API standard has none. It waits, since it raises where there is nothing else.

    Parameters
    ----------
    a : GPUArray
        The values; NaN among them counts for nothing.
    axis : int or None
        Axis that is searched, counted from the end where negative; the flattened array for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Returns
    -------
    GPUArray
        int32.

    Raises
    ------
    ValueError
        Where there is nothing but NaN.

    Examples
    --------
    >>> xp.nanargmax(xp.asarray([1.0, xp.nan, 3.0]))
    GPUArray(2, shape=(), dtype=int32)
    """
    return _nan_place("max", a, axis, keepdims=keepdims)


def nanargmin(a: GPUArray, axis: int | None = None, *, keepdims: bool = False) -> GPUArray:
    """Return where the first smallest element is that is no NaN.

    NumPy's; the array API standard has none. It waits, since it raises where there is nothing else.

    Parameters
    ----------
    a : GPUArray
        The values; NaN among them counts for nothing.
    axis : int or None
        Axis that is searched, counted from the end where negative; the flattened array for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Returns
    -------
    GPUArray
        int32.

    Raises
    ------
    ValueError
        Where there is nothing but NaN.

    Examples
    --------
    >>> xp.nanargmin(xp.asarray([1.0, xp.nan, 3.0]))
    GPUArray(0, shape=(), dtype=int32)
    """
    return _nan_place("min", a, axis, keepdims=keepdims)


def nanmean(a: GPUArray, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False) -> GPUArray:
    """Return the mean of what is no NaN; NaN where nothing else is.

    NumPy's; the array API standard has none.

    Parameters
    ----------
    a : GPUArray
        The values; NaN among them counts for nothing.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    dtype : dtype, optional
        What the values are converted to first, and the result's; integers are averaged as float32.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.nanmean(xp.asarray([1.0, xp.nan, 3.0]))
    GPUArray(2., shape=(), dtype=float32)
    """
    x = a if dtype is None else a.astype(dtype)
    if x.dtype.kind != "f":
        return statistics.mean(x, axis, keepdims=keepdims)
    total = nansum(x.astype(dt.FLOAT32), axis, keepdims=keepdims)
    return apply("divide", total, _counts(x, axis, keepdims=keepdims)).astype(x.dtype)


def nanvar(
    a: GPUArray, axis: Axis = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False, correction: float = 0
) -> GPUArray:
    """Return the variance of what is no NaN, with ``n - ddof`` in the denominator; NaN where that is not positive.

    NumPy's; the array API standard has none.

    Parameters
    ----------
    a : GPUArray
        The values; NaN among them counts for nothing.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    dtype : dtype, optional
        What the values are converted to first, and the result's; of integers it is float32.
    ddof, correction : float
        What is subtracted from the number of elements in the denominator, under NumPy's two names; pass one.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.nanvar(xp.asarray([1.0, xp.nan, 3.0]))
    GPUArray(1., shape=(), dtype=float32)
    """
    x = a if dtype is None else a.astype(dtype)
    rest_of = float(ddof or correction)
    if x.dtype.kind != "f":
        return statistics.variance(x, axis, rest_of, keepdims=keepdims)
    wide = x.astype(dt.FLOAT32)
    squares = _filled(apply("square", wide - nanmean(wide, axis, keepdims=True)), 0)
    # An infinite distance is NaN in NumPy, and not to be left out.
    squares = where(apply("isinf", wide), math.nan, squares)
    rest = _counts(x, axis, keepdims=keepdims) - rest_of
    result = apply("divide", statistics.total(squares, "sum", axis, None, keepdims=keepdims), rest)
    return where(apply("greater", rest, 0.0), result, math.nan).astype(x.dtype)


def nanstd(
    a: GPUArray, axis: Axis = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False, correction: float = 0
) -> GPUArray:
    """Return the standard deviation of what is no NaN, with ``n - ddof`` in the denominator; NaN where that is not positive.

    NumPy's; the array API standard has none.

    Parameters
    ----------
    a : GPUArray
        The values; NaN among them counts for nothing.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    dtype : dtype, optional
        What the values are converted to first, and the result's; of integers it is float32.
    ddof, correction : float
        What is subtracted from the number of elements in the denominator, under NumPy's two names; pass one.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.nanstd(xp.asarray([1.0, xp.nan, 3.0]))
    GPUArray(1., shape=(), dtype=float32)
    """
    return apply("sqrt", nanvar(a, axis, dtype, ddof=ddof, keepdims=keepdims, correction=correction))


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
