"""Manipulation functions of the array API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    """Return the shape that arrays of these shapes broadcast to."""
    return broadcast_shapes_of("broadcast_shapes", *(tuple(s) for s in shapes))


def broadcast_arrays(*arrays: GPUArray) -> tuple[GPUArray, ...]:
    """Return the arrays repeated to their common shape."""
    if not arrays:
        return ()
    same_gpu("broadcast_arrays", list(arrays))
    shape = broadcast_shapes_of("broadcast_arrays", *(a.shape for a in arrays))
    return tuple(shapes.broadcast_to(a, shape) for a in arrays)


def broadcast_to(x: GPUArray, /, shape: Sequence[int]) -> GPUArray:
    """Return the array repeated to a shape."""
    return shapes.broadcast_to(x, shape)


def concat(arrays: Sequence[GPUArray], /, *, axis: int | None = 0) -> GPUArray:
    """Join arrays along an axis; None joins them flattened."""
    return shapes.concat(arrays, axis)


def expand_dims(x: GPUArray, /, axis: int | tuple[int, ...] = 0) -> GPUArray:
    """Insert axes of length 1."""
    return shapes.expand_dims(x, axis)


def flip(x: GPUArray, /, *, axis: int | tuple[int, ...] | None = None) -> GPUArray:
    """Reverse the order along axes."""
    return shapes.flip(x, axis)


def moveaxis(x: GPUArray, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> GPUArray:
    """Move axes to other places; the others keep their order."""
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
    """Return the array with its axes in another order."""
    return shapes.permute(x, axes)


def repeat(x: GPUArray, repeats: int | GPUArray, /, *, axis: int | None = None) -> GPUArray:
    """Repeat each element. With an array of counts, of 0 or more, it waits for their sum."""
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
    """Return the elements in another shape; a copy is one that a kernel may write to alone."""
    made = shapes.reshape(x, shape)
    return made.copy() if copy else made


def roll(x: GPUArray, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> GPUArray:
    """Shift elements around, along axes or flattened."""
    return shapes.roll(x, shift, axis)


def squeeze(x: GPUArray, /, axis: int | tuple[int, ...]) -> GPUArray:
    """Remove axes of length 1."""
    return shapes.squeeze(x, axis)


def stack(arrays: Sequence[GPUArray], /, *, axis: int = 0) -> GPUArray:
    """Join arrays along a new axis."""
    return shapes.stack(arrays, axis)


def tile(x: GPUArray, repetitions: tuple[int, ...], /) -> GPUArray:
    """Repeat the array as a whole along each axis."""
    return shapes.tile(x, repetitions)


def unstack(x: GPUArray, /, *, axis: int = 0) -> tuple[GPUArray, ...]:
    """Return the slices along an axis."""
    place = shapes.check_axis(axis, x.ndim)
    before: list[Any] = [slice(None)] * place
    return tuple(x[(*before, i)] for i in range(x.shape[place]))
