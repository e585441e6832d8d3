"""Statistical and utility functions of the array API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy import statistics
from webgpu_widget.arrays.lazy.build import apply
from webgpu_widget.arrays.lazy.shape import check_axis
from webgpu_widget.arrays.lazy.shape import concat as _concat

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

Axis = int | tuple[int, ...] | None


def all(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return whether all elements are true.

    The array API standard's `all`; True where there are none.

    Parameters
    ----------
    x : GPUArray
        What is not zero counts as true, NaN too.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.all(xp.asarray([True, False]))
    GPUArray(False, shape=(), dtype=bool)
    """
    return statistics.logical(x, "all", axis, keepdims=keepdims)


def any(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return whether any element is true.

    The array API standard's `any`; False where there are none.

    Parameters
    ----------
    x : GPUArray
        What is not zero counts as true, NaN too.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.any(xp.asarray([True, False]))
    GPUArray(True, shape=(), dtype=bool)
    """
    return statistics.logical(x, "any", axis, keepdims=keepdims)


def cumulative_prod(
    x: GPUArray, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> GPUArray:
    """Return running products along an axis.

    The array API standard's `cumulative_prod`; integers modulo 2**32.

    Parameters
    ----------
    x : GPUArray
        The values.
    axis : int, optional
        Axis along which they run; an array of one axis needs none.
    dtype : dtype, optional
        In which it is computed; that of `x`, and int32 for bools, when left out.
    include_initial : bool
        Whether 1 stands before them, which makes the axis longer by one.

    Examples
    --------
    >>> xp.cumulative_prod(xp.asarray([2, 3, 4]))
    GPUArray([ 2,  6, 24], shape=(3,), dtype=int32)
    """
    return statistics.cumulative(x, "prod", axis, dtype, include_initial=include_initial)


def cumulative_sum(
    x: GPUArray, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> GPUArray:
    """Return running sums along an axis.

    The array API standard's `cumulative_sum`; integers modulo 2**32.

    Parameters
    ----------
    x : GPUArray
        The values.
    axis : int, optional
        Axis along which they run; an array of one axis needs none.
    dtype : dtype, optional
        In which it is computed; that of `x`, and int32 for bools, when left out.
    include_initial : bool
        Whether 0 stands before them, which makes the axis longer by one.

    Examples
    --------
    >>> xp.cumulative_sum(xp.asarray([2, 3, 4]), include_initial=True)
    GPUArray([0, 2, 5, 9], shape=(4,), dtype=int32)
    """
    return statistics.cumulative(x, "sum", axis, dtype, include_initial=include_initial)


def max(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return the largest value; NaN where there is one.

    The array API standard's `max`.

    Parameters
    ----------
    x : GPUArray
        Real numbers.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Raises
    ------
    ValueError
        Of no elements.

    Examples
    --------
    >>> xp.max(xp.asarray([[1, 5], [4, 2]]), axis=0)
    GPUArray([4, 5], shape=(2,), dtype=int32)
    """
    return statistics.extreme(x, "max", axis, keepdims=keepdims)


def min(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return the smallest value; NaN where there is one.

    The array API standard's `min`.

    Parameters
    ----------
    x : GPUArray
        Real numbers.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Raises
    ------
    ValueError
        Of no elements.

    Examples
    --------
    >>> xp.min(xp.asarray([[1, 5], [4, 2]]), axis=0)
    GPUArray([1, 2], shape=(2,), dtype=int32)
    """
    return statistics.extreme(x, "min", axis, keepdims=keepdims)


def mean(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:
    """Return the arithmetic mean.

    The array API standard's `mean`.

    Parameters
    ----------
    x : GPUArray
        Numbers; integers are averaged as float32.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.mean(xp.asarray([1.0, 2.0, 6.0]))
    GPUArray(3., shape=(), dtype=float32)
    """
    return statistics.mean(x, axis, keepdims=keepdims)


def prod(x: GPUArray, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> GPUArray:
    """Return the product.

    The array API standard's `prod`; integers modulo 2**32.

    Parameters
    ----------
    x : GPUArray
        The values.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    dtype : dtype, optional
        In which it is computed; that of `x`, and int32 for bools, when left out.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.prod(xp.asarray([2, 3, 4]))
    GPUArray(24, shape=(), dtype=int32)
    """
    return statistics.total(x, "prod", axis, dtype, keepdims=keepdims)


def sum(x: GPUArray, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return the sum.

    The array API standard's `sum`; integers modulo 2**32.

    Parameters
    ----------
    x : GPUArray
        The values.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    dtype : dtype, optional
        In which it is computed; that of `x`, and int32 for bools, when left out.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.sum(xp.asarray([[1, 2], [3, 4]]), axis=1)
    GPUArray([3, 7], shape=(2,), dtype=int32)
    """
    return statistics.total(x, "sum", axis, dtype, keepdims=keepdims)


def var(x: GPUArray, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> GPUArray:
    """Return the variance.

    The array API standard's `var`.

    Parameters
    ----------
    x : GPUArray
        Real numbers; integers are taken as float32.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    correction : float
        What is subtracted from the number of elements in the denominator; 1 for that of a sample.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.var(xp.asarray([1.0, 3.0]))
    GPUArray(1., shape=(), dtype=float32)
    """
    return statistics.variance(x, axis, correction, keepdims=keepdims)


def std(x: GPUArray, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> GPUArray:
    """Return the standard deviation.

    The array API standard's `std`.

    Parameters
    ----------
    x : GPUArray
        Real numbers; integers are taken as float32.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    correction : float
        What is subtracted from the number of elements in the denominator; 1 for that of a sample.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Examples
    --------
    >>> xp.std(xp.asarray([1.0, 3.0]))
    GPUArray(1., shape=(), dtype=float32)
    """
    return apply("sqrt", statistics.variance(x, axis, correction, keepdims=keepdims))


def diff(
    x: GPUArray, /, n: int = 1, axis: int = -1, prepend: GPUArray | None = None, append: GPUArray | None = None
) -> GPUArray:
    """Return the n-th differences of neighbours along an axis.

    The array API standard's `diff`; `n` and `axis` may stand behind `x` too, as in NumPy.

    Parameters
    ----------
    x : GPUArray
        The values; bools differ by exclusive or.
    n : int
        How often differences are taken, 0 or more; each makes the axis shorter by one.
    axis : int
        The axis.
    prepend, append : GPUArray, optional
        Values before and behind `x` along the axis.

    Raises
    ------
    ValueError
        For a negative `n`.

    Examples
    --------
    >>> xp.diff(xp.asarray([1, 4, 9]))
    GPUArray([3, 5], shape=(2,), dtype=int32)
    """
    place = check_axis(axis, x.ndim)
    if n < 0:
        raise ValueError(f"diff takes an order of 0 or more, not {n}.")
    parts = [p for p in (prepend, x, append) if p is not None]
    result = _concat(parts, place) if len(parts) > 1 else x
    after: list[Any] = [slice(None)] * x.ndim
    before = list(after)
    after[place], before[place] = slice(1, None), slice(None, -1)
    for _ in range(n):
        name = "logical_xor" if result.dtype.kind == "b" else "subtract"
        result = apply(name, result[tuple(after)], result[tuple(before)])
    return result
