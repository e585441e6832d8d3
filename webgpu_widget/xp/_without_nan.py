"""The statistics that leave NaN out, as NumPy has them; the array API does not name them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import statistics
from webgpu_widget.arrays.lazy.build import apply, where

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

Axis = int | tuple[int, ...] | None

__all__ = ["nanargmax", "nanargmin", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum", "nanvar"]


def _filled(x: GPUArray, value: float) -> GPUArray:
    return where(apply("isnan", x), value, x) if x.dtype.kind in "fc" else x


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
    if x.dtype.kind not in "fc":
        return statistics.mean(x, axis, keepdims=keepdims)
    total = nansum(x if x.dtype.kind == "c" else x.astype(dt.FLOAT32), axis, keepdims=keepdims)
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
