"""Views and copies of another shape: reshape, transpose, broadcast, concat and their like."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import as_node, cast_node, coerce, common_dtype, lazy, same_gpu
from webgpu_widget.arrays.lazy.create import empty
from webgpu_widget.arrays.lazy.node import Node, broadcast_shapes, identity_dims, node_of, size_of, view
from webgpu_widget.arrays.lazy.origin import part_of
from webgpu_widget.arrays.lazy.region import place_of, write_region
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.lazy.value import is_array, wrap
from webgpu_widget.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.node import Dim, Shape, Storage
    from webgpu_widget.arrays.lazy.runtime import Runtime

AxisError = np.exceptions.AxisError


def check_axis(axis: Any, ndim: int, what: str = "axis") -> int:
    """Return an axis counted from the front.

    Raises
    ------
    numpy.exceptions.AxisError
        When there is no such axis.
    """
    if isinstance(axis, (bool, np.bool_)):
        raise TypeError(f"{what} is {axis!r}; it is an integer.")
    index = operator.index(axis)
    if not -ndim <= index < ndim:
        allowed = f"-{ndim} to {ndim - 1} are allowed" if ndim else "it has none"
        raise AxisError(f"{what} {index} is out of bounds for an array of {ndim} axes: {allowed}.")
    return index % ndim


def check_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return axes (None: all; an int; a tuple) counted from the front, in order, each once."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, (tuple, list)):
        axes = tuple(check_axis(a, ndim) for a in axis)
        if len(set(axes)) != len(axes):
            raise ValueError(f"The axes {tuple(axis)} name one axis twice.")
        return tuple(sorted(axes))
    return (check_axis(axis, ndim),)


def is_axis_of_scalar(axis: Any, ndim: int) -> bool:
    """Whether an array without axes is to be taken along its only element, which NumPy allows as axis 0 or -1."""
    return ndim == 0 and isinstance(axis, (int, np.integer)) and axis in (0, -1)


def leaf(runtime: Runtime, node: Node) -> Node:
    """Return a materialised node with the same value, tight and in C order."""
    if node.storage is None:
        runtime.materialise(node)
    return node


def alias(storage: Storage, shape: Shape, like: Node) -> Node:
    """Return a leaf that sees a storage in another shape of the same size."""
    return Node("leaf", (), shape, like.dtype, storage=storage)


def _without_ones(shape: Shape) -> Shape:
    return tuple(s for s in shape if s != 1)


def reshape_node(runtime: Runtime, node: Node, shape: Shape) -> Node:
    """Return a node of another shape with the same elements in C order."""
    if node.shape == shape:
        return node
    if node.op == "const" and node.storage is None:
        return Node("const", (), shape, node.dtype, node.attr)
    if node.storage is None and _without_ones(node.shape) == _without_ones(shape) and node.op != "gather":
        places = iter(i for i, side in enumerate(shape) if side != 1)
        dims: tuple[Dim, ...] = tuple((0, -1, 0) if side == 1 else (0, next(places), 1) for side in node.shape)
        return view(node, shape, dims)
    storage = runtime.materialise(node)
    return alias(storage, shape, node)


def reshape(x: GPUArray, shape: Any) -> GPUArray:
    """Return the elements in another shape; one side may be -1.

    Raises
    ------
    ShapeError
        When the numbers of elements differ.
    """
    runtime = same_gpu("reshape", [x])
    sides = [operator.index(s) for s in ((shape,) if isinstance(shape, (int, np.integer)) else shape)]
    if sides.count(-1) == 1 and all(s >= 0 for s in sides if s != -1):
        rest = size_of(tuple(s for s in sides if s != -1))
        if rest and x.size % rest == 0:
            sides[sides.index(-1)] = x.size // rest
    if any(s < 0 for s in sides) or size_of(tuple(sides)) != x.size:
        raise ShapeError(
            f"reshape: an array of shape {x.shape} has {x.size} elements, which do not make the shape {tuple(shape) if not isinstance(shape, int) else shape}. "
            "The product of the sides must be the same; one of them may be -1."
        )
    return part_of(wrap(x._device, reshape_node(runtime, node_of(x), tuple(sides))), x, None)


def permute(x: GPUArray, axes: Sequence[int]) -> GPUArray:
    """Return the array with its axes in another order (nothing is moved)."""
    same_gpu("transpose", [x])
    order = tuple(check_axis(a, x.ndim) for a in axes)
    if len(order) != x.ndim or len(set(order)) != x.ndim:
        raise ValueError(
            f"permute: the axes {tuple(axes)} are no order of the {x.ndim} axes of an array of shape {x.shape}."
        )
    if order == tuple(range(x.ndim)):
        return part_of(wrap(x._device, node_of(x)), x, None)
    place = {a: i for i, a in enumerate(order)}
    dims = tuple((0, place[i], 1) for i in range(x.ndim))
    return part_of(lazy(x._device, view(node_of(x), tuple(x.shape[a] for a in order), dims)), x, dims)


def expand_dims(x: GPUArray, axis: Any) -> GPUArray:
    """Insert axes of length 1; places are counted in the result."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    ndim = x.ndim + len(axes)
    places = {check_axis(a, ndim) for a in axes}
    if len(places) != len(axes):
        raise ValueError(f"expand_dims: the axes {axes} name one place twice.")
    sides = iter(x.shape)
    shape = tuple(1 if i in places else next(sides) for i in range(ndim))
    return part_of(wrap(x._device, reshape_node(same_gpu("expand_dims", [x]), node_of(x), shape)), x, None)


def squeeze(x: GPUArray, axis: Any = None) -> GPUArray:
    """Remove axes of length 1."""
    axes = tuple(i for i, s in enumerate(x.shape) if s == 1) if axis is None else check_axes(axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(
                f"squeeze: axis {a} of an array of shape {x.shape} is {x.shape[a]} long; only axes of length 1 go."
            )
    shape = tuple(s for i, s in enumerate(x.shape) if i not in axes)
    return part_of(wrap(x._device, reshape_node(same_gpu("squeeze", [x]), node_of(x), shape)), x, None)


def _broadcast_dims(shape: Shape, target: Shape) -> tuple[Dim, ...]:
    lead = len(target) - len(shape)
    return tuple((0, -1, 0) if s == 1 and target[lead + i] != 1 else (0, lead + i, 1) for i, s in enumerate(shape))


def broadcast_node(node: Node, shape: Shape) -> Node:
    """Return a node of `shape` that repeats `node` (which must broadcast to it)."""
    if node.shape == shape:
        return node
    if node.op == "const" and node.storage is None:
        return Node("const", (), shape, node.dtype, node.attr)
    return view(node, shape, _broadcast_dims(node.shape, shape))


def broadcast_to(x: GPUArray, shape: Any) -> GPUArray:
    """Return the array repeated to a shape (nothing is copied)."""
    same_gpu("broadcast_to", [x])
    target = tuple(operator.index(s) for s in ((shape,) if isinstance(shape, (int, np.integer)) else shape))
    if len(target) < x.ndim or broadcast_shapes("broadcast_to", x.shape, target) != target:
        raise ShapeError(
            f"broadcast_to: shape {x.shape} does not broadcast to {target}. "
            "Aligned at the right, each side must be equal to the target's, or 1."
        )
    return part_of(lazy(x._device, broadcast_node(node_of(x), target)), x, _broadcast_dims(x.shape, target))


def flip(x: GPUArray, axis: Any = None) -> GPUArray:
    """Return the array with the order along axes reversed."""
    axes = check_axes(axis, x.ndim)
    same_gpu("flip", [x])
    dims = tuple((s - 1, i, -1) if i in axes else (0, i, 1) for i, s in enumerate(x.shape))
    return part_of(lazy(x._device, view(node_of(x), x.shape, dims)) if x.ndim else wrap(x._device, node_of(x)), x, dims)


def concat(arrays: Sequence[Any], axis: int | None = 0) -> GPUArray:
    """Join arrays along an axis; None joins them flattened."""
    if not arrays:
        raise ValueError("concat takes at least one array.")
    runtime, values = coerce("concat", tuple(arrays))
    dtype = common_dtype(values)
    nodes = [as_node(v, dtype) for v in values]
    if axis is None:
        nodes = [reshape_node(runtime, n, (size_of(n.shape),)) for n in nodes]
        axis = 0
    ndim = len(nodes[0].shape)
    if ndim == 0:
        raise ShapeError("concat: 0-d arrays have no axis to be joined along. Use stack.")
    axis = check_axis(axis, ndim)
    rest = nodes[0].shape[:axis] + nodes[0].shape[axis + 1 :]
    for n in nodes:
        if len(n.shape) != ndim or n.shape[:axis] + n.shape[axis + 1 :] != rest:
            raise ShapeError(
                f"concat: shapes {' and '.join(str(m.shape) for m in nodes)} do not join along axis {axis}. "
                "All other sides must be equal."
            )
    if dtype == dt.FLOAT16 and not runtime.has_f16:
        joined = concat([wrap(runtime.device, cast_node(n, dt.FLOAT32)) for n in nodes], axis)
        return joined.astype(dtype)
    shape = (*rest[:axis], sum(n.shape[axis] for n in nodes), *rest[axis:])
    storage = runtime.allocate(size_of(shape), dtype)
    start = 0
    for n in nodes:
        dims = tuple((start if i == axis else 0, i, 1) for i in range(ndim))
        write_region(runtime, storage, place_of(shape, dims, n.shape), n)
        start += n.shape[axis]
    return wrap(runtime.device, Node("leaf", (), shape, dtype, storage=storage))


def stack(arrays: Sequence[Any], axis: int = 0) -> GPUArray:
    """Join arrays of one shape along a new axis."""
    if not arrays:
        raise ValueError("stack takes at least one array.")
    _, values = coerce("stack", tuple(arrays))
    shapes = {v.shape for v in values if is_array(v)}
    if len(shapes) != 1:
        raise ShapeError(f"stack: shapes {' and '.join(map(str, shapes))} differ; all must be equal.")
    place = check_axis(axis, values[0].ndim + 1)
    return concat([expand_dims(v, place) for v in values], place)


def roll(x: GPUArray, shift: Any, axis: Any = None) -> GPUArray:
    """Return the array shifted around, along axes or flattened."""
    if axis is None:
        if isinstance(shift, (tuple, list)):
            raise ValueError("roll: several shifts need as many axes.")
        return reshape(roll(reshape(x, (-1,)) if x.size else x, shift, 0), x.shape) if x.size else x.copy()
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    if len(shifts) != len(axes):
        raise ValueError(f"roll: {len(shifts)} shifts do not fit {len(axes)} axes.")
    result = x
    for s, a in zip(shifts, axes, strict=True):
        place = check_axis(a, x.ndim)
        side = x.shape[place]
        by = operator.index(s) % side if side else 0
        if by:
            before: list[Any] = [slice(None)] * x.ndim
            after = list(before)
            before[place] = slice(side - by, None)
            after[place] = slice(None, side - by)
            result = concat([result[tuple(before)], result[tuple(after)]], place)
    return result if result is not x else x.copy()


def repeat_each(x: GPUArray, count: int, axis: int) -> GPUArray:
    """Return each slice along an axis `count` times in a row."""
    place = check_axis(axis, x.ndim)
    if count < 0:
        raise ValueError(f"repeat takes counts of 0 or more, not {count}.")
    wide = expand_dims(x, place + 1)
    shape = (*x.shape[: place + 1], count, *x.shape[place + 1 :])
    side = x.shape[place] * count
    return copy_of(reshape(broadcast_to(wide, shape), (*x.shape[:place], side, *x.shape[place + 1 :])))


def tile(x: GPUArray, repetitions: Sequence[int]) -> GPUArray:
    """Return the array repeated as a whole along each axis."""
    counts = tuple(operator.index(r) for r in repetitions)
    ndim = max(len(counts), x.ndim)
    counts = (1,) * (ndim - len(counts)) + counts
    sides = (1,) * (ndim - x.ndim) + x.shape
    split = tuple(v for side in sides for v in (1, side))
    shape = tuple(v for c, side in zip(counts, sides, strict=True) for v in (c, side))
    target = tuple(c * side for c, side in zip(counts, sides, strict=True))
    if not size_of(target):
        return empty(x._device, target, x.dtype)
    return copy_of(reshape(broadcast_to(reshape(x, split), shape), target))


def diagonal(x: GPUArray, offset: int = 0) -> GPUArray:
    """Return the diagonals of the matrices in the last two axes (nothing is copied)."""
    if x.ndim < 2:
        raise ShapeError(f"diagonal takes at least 2 axes, not shape {x.shape}.")
    rows, cols = x.shape[-2:]
    row, col = max(0, -offset), max(0, offset)
    side = max(0, min(rows - row, cols - col))
    ndim = x.ndim - 2
    dims = (*identity_dims(ndim), (row, ndim, 1), (col, ndim, 1))
    return part_of(lazy(x._device, view(node_of(x), (*x.shape[:-2], side), dims)), x, dims)


def copy_of(x: GPUArray) -> GPUArray:
    """Return an array of its own with the same values; what is written to one is not seen in the other."""
    same_gpu("copy", [x])
    return wrap(x._device, node_of(x))


__all__ = ["AxisError", "DTypeError", "runtime_of"]
