"""Joining of arrays and taking them apart, by the array API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy import shape as shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray


def concat(arrays: Sequence[GPUArray], /, *, axis: int | None = 0) -> GPUArray:
    """Join arrays along an axis that they have.

    The array API standard's `concat`.

    Parameters
    ----------
    arrays : sequence of GPUArray
        Of one GPU, alike along all other axes; their dtypes are promoted.
    axis : int or None
        The axis; None joins them flattened.

    Raises
    ------
    ShapeError
        When they do not fit.

    Examples
    --------
    >>> xp.concat([xp.asarray([1, 2]), xp.asarray([3])])
    GPUArray([1, 2, 3], shape=(3,), dtype=int32)
    """
    return shapes.concat(arrays, axis)


def stack(arrays: Sequence[GPUArray], /, *, axis: int = 0) -> GPUArray:
    """Join arrays of one shape along a new axis.

    The array API standard's `stack`.

    Parameters
    ----------
    arrays : sequence of GPUArray
        Of one GPU and one shape; their dtypes are promoted.
    axis : int
        Where the new axis is, in the result.

    Raises
    ------
    ShapeError
        When the shapes differ.

    Examples
    --------
    >>> xp.stack([xp.asarray([1, 2]), xp.asarray([3, 4])])
    GPUArray([[1, 2],
              [3, 4]], shape=(2, 2), dtype=int32)
    """
    return shapes.stack(arrays, axis)


def unstack(x: GPUArray, /, *, axis: int = 0) -> tuple[GPUArray, ...]:
    """Return the slices along an axis, one array for each.

    The array API standard's `unstack`.

    Parameters
    ----------
    x : GPUArray
        The values.
    axis : int
        The axis, which the slices have not.

    Examples
    --------
    >>> xp.unstack(xp.asarray([[1, 2], [3, 4]]))[1]
    GPUArray([3, 4], shape=(2,), dtype=int32)
    """
    place = shapes.check_axis(axis, x.ndim)
    before: list[Any] = [slice(None)] * place
    return tuple(x[(*before, i)] for i in range(x.shape[place]))
