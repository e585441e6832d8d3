"""Searching, sorting and indexing functions of the array API. Indices are int32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from webgpu_widget.arrays.lazy import places, search, statistics
from webgpu_widget.arrays.lazy.build import where as _where
from webgpu_widget.arrays.lazy.indexing import take as _take
from webgpu_widget.arrays.lazy.shape import check_axis, is_axis_of_scalar

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray


def argmax(x: GPUArray, /, *, axis: int | None = None, keepdims: bool = False) -> GPUArray:
    """Return where the first largest element is; the first NaN where there is one.

    The array API standard's `argmax`.

    Parameters
    ----------
    x : GPUArray
        Real numbers.
    axis : int or None
        Axis that is searched, counted from the end where negative; the flattened array for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Returns
    -------
    GPUArray
        int32.

    Examples
    --------
    >>> xp.argmax(xp.asarray([1, 7, 7]))
    GPUArray(1, shape=(), dtype=int32)
    """
    return statistics.place(x, "max", axis, keepdims=keepdims)


def argmin(x: GPUArray, /, *, axis: int | None = None, keepdims: bool = False) -> GPUArray:
    """Return where the first smallest element is; the first NaN where there is one.

    The array API standard's `argmin`.

    Parameters
    ----------
    x : GPUArray
        Real numbers.
    axis : int or None
        Axis that is searched, counted from the end where negative; the flattened array for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Returns
    -------
    GPUArray
        int32.

    Examples
    --------
    >>> xp.argmin(xp.asarray([7, 1, 1]))
    GPUArray(1, shape=(), dtype=int32)
    """
    return statistics.place(x, "min", axis, keepdims=keepdims)


def argsort(
    x: GPUArray,
    /,
    *,
    axis: int = -1,
    descending: bool = False,
    stable: bool = True,  # noqa: ARG001 - it always is
) -> GPUArray:
    """Return the places of the elements in order; NaN last.

    The array API standard's `argsort`.

    Parameters
    ----------
    x : GPUArray
        Real numbers.
    axis : int
        Axis along which they are ordered.
    descending : bool
        Largest first; NaN is then first too.
    stable : bool
        Taken for the standard's sake; equal elements keep their order always.

    Returns
    -------
    GPUArray
        int32, of the shape of `x`.

    Examples
    --------
    >>> xp.argsort(xp.asarray([3, 1, 2]))
    GPUArray([1, 2, 0], shape=(3,), dtype=int32)
    """
    return search.argsort(x, axis, descending=descending)


def sort(
    x: GPUArray,
    /,
    *,
    axis: int = -1,
    descending: bool = False,
    stable: bool = True,  # noqa: ARG001 - it always is
) -> GPUArray:
    """Return the elements in order; NaN last.

    The array API standard's `sort`.

    Parameters
    ----------
    x : GPUArray
        Real numbers.
    axis : int
        Axis along which they are ordered.
    descending : bool
        Largest first; NaN is then first too.
    stable : bool
        Taken for the standard's sake; equal elements keep their order always.

    Examples
    --------
    >>> xp.sort(xp.asarray([3, 1, 2]), descending=True)
    GPUArray([3, 2, 1], shape=(3,), dtype=int32)
    """
    return search.sort(x, axis, descending=descending)


def count_nonzero(x: GPUArray, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> GPUArray:
    """Return how many elements are not zero.

    The array API standard's `count_nonzero`.

    Parameters
    ----------
    x : GPUArray
        The values.
    axis : int, tuple of int or None
        Axes that are reduced, counted from the end where negative; all of them for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Returns
    -------
    GPUArray
        int32.

    Examples
    --------
    >>> xp.count_nonzero(xp.asarray([0, 3, 4]))
    GPUArray(2, shape=(), dtype=int32)
    """
    return statistics.count_nonzero(x, axis, keepdims=keepdims)


def nonzero(x: GPUArray, /) -> tuple[GPUArray, ...]:
    """Return the indices of the elements that are not zero.

    The array API standard's `nonzero`; it waits, since the result's shape depends on the values.

    Parameters
    ----------
    x : GPUArray
        The values.

    Returns
    -------
    tuple of GPUArray
        int32, one for each axis.

    Examples
    --------
    >>> xp.nonzero(xp.asarray([0, 3, 4]))[0]
    GPUArray([1, 2], shape=(2,), dtype=int32)
    """
    return places.nonzero(x)


def searchsorted(
    x1: GPUArray, x2: Any, /, *, side: Literal["left", "right"] = "left", sorter: GPUArray | None = None
) -> GPUArray:
    """Return where values belong in a sorted array.

    The array API standard's `searchsorted`.

    Parameters
    ----------
    x1 : GPUArray, (n,)
        Sorted, ascending, unless `sorter` sorts it.
    x2 : GPUArray or scalar
        The values.
    side : {"left", "right"}
        Whether a value's place is before or behind those equal to it.
    sorter : GPUArray, (n,), optional
        Integers that sort `x1`, as `argsort` returns them.

    Returns
    -------
    GPUArray
        int32 from 0 to n, of the shape of `x2`.

    Examples
    --------
    >>> xp.searchsorted(xp.asarray([1, 3, 5]), xp.asarray([0, 3, 9]))
    GPUArray([0, 1, 3], shape=(3,), dtype=int32)
    """
    return search.searchsorted(x1, x2, side, sorter)


def take(x: GPUArray, indices: GPUArray, /, *, axis: int | None = None) -> GPUArray:
    """Return slices along an axis by their indices.

    The array API standard's `take`.

    Parameters
    ----------
    x : GPUArray
        The values.
    indices : GPUArray of integers, (k,)
        Which slices, counted from the end where negative; out of bounds means the nearer end for a `GPUArray`.
    axis : int, optional
        The axis; an array of one axis needs none.

    Raises
    ------
    ValueError
        When `axis` is left out of an array of several axes.

    Examples
    --------
    >>> xp.take(xp.asarray([10, 20, 30]), xp.asarray([2, 0]))
    GPUArray([30, 10], shape=(2,), dtype=int32)
    """
    if axis is None:
        if x.ndim > 1:
            raise ValueError(f"take: an array of {x.ndim} axes needs axis=.")
        axis = 0
    if is_axis_of_scalar(axis, x.ndim):
        x = x.reshape((1,))
    return _take(x, indices, check_axis(axis, x.ndim))


def take_along_axis(x: GPUArray, indices: GPUArray, /, *, axis: int = -1) -> GPUArray:
    """Return the elements at indices along an axis, a line of indices for each line of values.

    The array API standard's `take_along_axis`.

    Parameters
    ----------
    x : GPUArray
        The values.
    indices : GPUArray of integers
        Of as many axes as `x`, which broadcast but for `axis`.
    axis : int
        The axis that they count along.

    Examples
    --------
    >>> xp.take_along_axis(xp.asarray([[10, 20], [30, 40]]), xp.asarray([[1], [0]]))
    GPUArray([[20],
              [30]], shape=(2, 1), dtype=int32)
    """
    return search.take_along_axis(x, indices, axis)


@overload
def where(condition: GPUArray, /) -> tuple[GPUArray, ...]: ...
@overload
def where(condition: GPUArray, x1: Any, x2: Any, /) -> GPUArray: ...
def where(condition: GPUArray, x1: Any = None, x2: Any = None, /) -> GPUArray | tuple[GPUArray, ...]:
    """Return elements of one array where a condition holds, and of another elsewhere.

    The array API standard's `where`; with the condition alone it is `nonzero`, as in NumPy.

    Parameters
    ----------
    condition : GPUArray
        What is not zero counts as true.
    x1, x2 : GPUArray or scalar, optional
        Values where it holds and where it does not; shapes broadcast, dtypes are promoted. Both or neither.

    Raises
    ------
    TypeError
        For one of `x1` and `x2` alone.

    Examples
    --------
    >>> xp.where(xp.asarray([True, False]), xp.asarray([1, 2]), 0)
    GPUArray([1, 0], shape=(2,), dtype=int32)
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise TypeError("where takes a condition alone, or a condition, x1 and x2.")
    return _where(condition, x1, x2)
