"""Manipulation functions of the array API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy.build import same_gpu
from webgpu_widget.arrays.lazy.create import arange
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.indexing import take as _take
from webgpu_widget.arrays.lazy.node import broadcast_shapes as broadcast_shapes_of
from webgpu_widget.arrays.lazy.search import searchsorted
from webgpu_widget.arrays.lazy.statistics import cumulative
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that arrays of these shapes broadcast to.

    The array API standard's `broadcast_shapes`.

    Parameters
    ----------
    *shapes : tuple of int
        The shapes.

    Raises
    ------
    ShapeError
        When they do not broadcast.

    Examples
    --------
    >>> xp.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    return broadcast_shapes_of("broadcast_shapes", *(tuple(s) for s in shapes))


def broadcast_arrays(*arrays: GPUArray) -> tuple[GPUArray, ...]:
    """Return the arrays repeated to their common shape.

    The array API standard's `broadcast_arrays`.

    Parameters
    ----------
    *arrays : GPUArray
        Arrays of one GPU.

    Raises
    ------
    ShapeError
        When the shapes do not broadcast.

    Examples
    --------
    >>> [a.shape for a in xp.broadcast_arrays(xp.zeros((2, 1)), xp.zeros(3))]
    [(2, 3), (2, 3)]
    """
    if not arrays:
        return ()
    same_gpu("broadcast_arrays", list(arrays))
    shape = broadcast_shapes_of("broadcast_arrays", *(a.shape for a in arrays))
    return tuple(shapes.broadcast_to(a, shape) for a in arrays)


def broadcast_to(x: GPUArray, /, shape: Sequence[int]) -> GPUArray:
    """Return the array repeated to a shape.

    The array API standard's `broadcast_to`.

    Parameters
    ----------
    x : GPUArray
        The values.
    shape : tuple of int
        The shape; each axis of `x` is as long, or 1.

    Raises
    ------
    ShapeError
        When `x` does not broadcast to it.

    Examples
    --------
    >>> xp.broadcast_to(xp.asarray([1, 2]), (2, 2))
    GPUArray([[1, 2],
              [1, 2]], shape=(2, 2), dtype=int32)
    """
    return shapes.broadcast_to(x, shape)


def expand_dims(x: GPUArray, /, axis: int | tuple[int, ...] = 0) -> GPUArray:
    """Insert axes of length 1.

    The array API standard's `expand_dims`.

    Parameters
    ----------
    x : GPUArray
        The values.
    axis : int or tuple of int
        Where the new axes are, in the result.

    Examples
    --------
    >>> xp.expand_dims(xp.zeros(3), axis=1).shape
    (3, 1)
    """
    return shapes.expand_dims(x, axis)


def flip(x: GPUArray, /, *, axis: int | tuple[int, ...] | None = None) -> GPUArray:
    """Reverse the order along axes.

    The array API standard's `flip`.

    Parameters
    ----------
    x : GPUArray
        The values.
    axis : int, tuple of int or None
        Axes that are reversed; all of them for None.

    Examples
    --------
    >>> xp.flip(xp.asarray([1, 2, 3]))
    GPUArray([3, 2, 1], shape=(3,), dtype=int32)
    """
    return shapes.flip(x, axis)


def moveaxis(x: GPUArray, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> GPUArray:
    """Move axes to other places; the others keep their order.

    The array API standard's `moveaxis`.

    Parameters
    ----------
    x : GPUArray
        The values.
    source, destination : int or tuple of int
        Axes of `x`, and where each is in the result.

    Raises
    ------
    ValueError
        When there are not as many places as axes, or one is named twice.

    Examples
    --------
    >>> xp.moveaxis(xp.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    sources = source if isinstance(source, tuple) else (source,)
    targets = destination if isinstance(destination, tuple) else (destination,)
    if len(sources) != len(targets):
        raise ValueError(f"moveaxis: {len(sources)} axes cannot go to {len(targets)} places.")
    start = [shapes.check_axis(a, x.ndim, "source") for a in sources]
    end = [shapes.check_axis(a, x.ndim, "destination") for a in targets]
    if len(set(start)) != len(start) or len(set(end)) != len(end):
        raise ValueError("moveaxis: an axis is named twice.")
    order = [a for a in range(x.ndim) if a not in start]
    for place, axis in sorted(zip(end, start, strict=True)):
        order.insert(place, axis)
    return shapes.permute(x, order)


def permute_dims(x: GPUArray, /, axes: tuple[int, ...]) -> GPUArray:
    """Return the array with its axes in another order; nothing is moved.

    The array API standard's `permute_dims`.

    Parameters
    ----------
    x : GPUArray
        The values.
    axes : tuple of int
        Which axis of `x` each axis of the result is.

    Examples
    --------
    >>> xp.permute_dims(xp.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return shapes.permute(x, axes)


def repeat(x: GPUArray, repeats: int | GPUArray, /, *, axis: int | None = None) -> GPUArray:
    """Repeat each element.

    The array API standard's `repeat`; with an array of counts it waits for their sum, since the result's shape depends on it.

    Parameters
    ----------
    x : GPUArray
        The values.
    repeats : int or GPUArray of integers
        How often each element of the axis stands in the result, 0 or more: one count for all, or one for each.
    axis : int or None
        The axis; the flattened array for None.

    Raises
    ------
    ShapeError
        When there are not as many counts as elements.
    ValueError
        For negative counts.
    DTypeError
        For counts that are no integers.

    Examples
    --------
    >>> xp.repeat(xp.asarray([1, 2]), 2)
    GPUArray([1, 1, 2, 2], shape=(4,), dtype=int32)
    """
    if axis is None:
        x, axis = shapes.reshape(x, (x.size,)), 0
    place = shapes.check_axis(axis, x.ndim)
    if isinstance(repeats, int):
        return shapes.repeat_each(x, repeats, place)
    given = repeats if is_array(repeats) else np.asarray(repeats)
    if given.dtype.kind not in "biu":
        raise DTypeError(f"repeat takes whole numbers, not {given.dtype.name}: {repeats!r:.80}.")
    if not is_array(repeats):
        repeats = from_host(x._device, given, np.int32)
    if repeats.ndim == 0 or repeats.size == 1:
        return shapes.repeat_each(x, int(repeats.item()), place)
    if repeats.shape != (x.shape[place],):
        raise ShapeError(f"repeat: counts of shape {repeats.shape} do not fit axis {place} of shape {x.shape}.")
    if not repeats.size:
        return x
    ends = cumulative(repeats, "sum", 0, None)
    total, least = (int(n) for n in shapes.concat([ends[-1:], repeats.min().reshape(1).astype(ends.dtype)]).numpy())
    if repeats.dtype.kind == "i" and least < 0:
        raise ValueError(f"repeat takes counts of 0 or more, not {least}.")
    places = searchsorted(ends, arange(x._device, 0, total, dtype=ends.dtype), "right")
    return _take(x, places, place)


def reshape(x: GPUArray, /, shape: tuple[int, ...], *, copy: bool | None = None) -> GPUArray:
    """Return the elements in another shape, in C order.

    The array API standard's `reshape`.

    Parameters
    ----------
    x : GPUArray
        The values.
    shape : tuple of int
        The shape, of as many elements; one side may be -1, which is what is left for it.
    copy : bool, optional
        True: an array that a kernel writes to without writing to `x`.

    Raises
    ------
    ShapeError
        When the numbers of elements differ.

    Examples
    --------
    >>> xp.reshape(xp.arange(6), (2, -1))
    GPUArray([[0, 1, 2],
              [3, 4, 5]], shape=(2, 3), dtype=int32)
    """
    made = shapes.reshape(x, shape)
    return made.copy() if copy else made


def roll(x: GPUArray, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> GPUArray:
    """Shift elements along axes; those that leave at one end come in at the other.

    The array API standard's `roll`.

    Parameters
    ----------
    x : GPUArray
        The values.
    shift : int or tuple of int
        By how many places, forward where positive.
    axis : int, tuple of int or None
        Axes, one for each shift; the flattened array for None.

    Examples
    --------
    >>> xp.roll(xp.asarray([1, 2, 3]), 1)
    GPUArray([3, 1, 2], shape=(3,), dtype=int32)
    """
    return shapes.roll(x, shift, axis)


def squeeze(x: GPUArray, /, axis: int | tuple[int, ...]) -> GPUArray:
    """Remove axes of length 1.

    The array API standard's `squeeze`.

    Parameters
    ----------
    x : GPUArray
        The values.
    axis : int or tuple of int
        Axes that go.

    Raises
    ------
    ValueError
        When one of them is longer than 1.

    Examples
    --------
    >>> xp.squeeze(xp.zeros((1, 3)), axis=0).shape
    (3,)
    """
    return shapes.squeeze(x, axis)


def tile(x: GPUArray, repetitions: tuple[int, ...], /) -> GPUArray:
    """Repeat the array as a whole along each axis.

    The array API standard's `tile`.

    Parameters
    ----------
    x : GPUArray
        The values.
    repetitions : tuple of int
        How often along each axis; the shorter of this and the shape is filled up with ones in front.

    Examples
    --------
    >>> xp.tile(xp.asarray([1, 2]), (2, 2))
    GPUArray([[1, 2, 1, 2],
              [1, 2, 1, 2]], shape=(2, 4), dtype=int32)
    """
    return shapes.tile(x, repetitions)
