"""Indexing as NumPy does it: basic keys are views of the expression, integer arrays are gathers, masks wait for a count."""

from __future__ import annotations

import itertools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import as_node, cast_node, const, iota, lazy, op_node, same_gpu, where
from webgpu_widget.arrays.lazy.host import from_host, host_array
from webgpu_widget.arrays.lazy.node import Node, broadcast_shapes, c_strides, node_of, size_of, view
from webgpu_widget.arrays.lazy.origin import part_of
from webgpu_widget.arrays.lazy.places import nonzero, scatter
from webgpu_widget.arrays.lazy.region import place_of, write_region
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.lazy.shape import broadcast_node, leaf, reshape
from webgpu_widget.arrays.lazy.value import is_array, wrap
from webgpu_widget.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.node import Dim, Shape
    from webgpu_widget.arrays.lazy.runtime import Runtime

Plan = tuple["Shape", "tuple[Dim, ...]"]


def _is_basic(entry: Any) -> bool:
    return entry is None or entry is Ellipsis or isinstance(entry, slice) or _is_int(entry)


def _is_int(entry: Any) -> bool:
    return not isinstance(entry, (bool, np.bool_)) and isinstance(entry, (int, np.integer))


def _expand(key: Any, ndim: int, shape: Shape) -> list[Any]:
    """Return the key as a list with an entry for each axis, and None for new ones.

    An ellipsis of no axes stays beside arrays: what it stands between is apart then, as in NumPy.
    """
    entries = list(key) if isinstance(key, tuple) else [key]
    entries = [e if _is_basic(e) else _as_index(e) for e in entries]
    used = sum(_axes_of(e) for e in entries)
    if used > ndim:
        raise IndexError(f"{used} indices are too many for an array of {ndim} axes, shape {shape}.")
    gaps = [i for i, e in enumerate(entries) if e is Ellipsis]
    if len(gaps) > 1:
        raise IndexError("An index has at most one ellipsis (...).")
    if gaps:
        is_between = 0 < gaps[0] < len(entries) - 1 and not all(map(_is_basic, entries))
        stands_for: list[Any] = [slice(None)] * (ndim - used) or ([Ellipsis] if is_between else [])
        entries[gaps[0] : gaps[0] + 1] = stands_for
    else:
        entries += [slice(None)] * (ndim - used)
    return entries


def _axes_of(entry: Any) -> int:
    if entry is None or entry is Ellipsis:
        return 0
    if not _is_basic(entry) and entry.dtype == np.bool_:
        return int(entry.ndim)
    return 1


def _as_index(entry: Any) -> Any:
    """Return an advanced index as a GPUArray or an ndarray of integers or bools."""
    if is_array(entry):
        if entry.dtype.kind not in "iub":
            raise IndexError(f"Arrays are indexed by integers and bools, not {entry.dtype.name}.")
        if entry.ndim == 0 and entry.dtype.kind in "iu":
            return entry
        return entry
    if isinstance(entry, (list, np.ndarray, bool, np.bool_)):
        array = np.asarray(entry)
        if array.size == 0 and not isinstance(entry, np.ndarray):
            array = array.astype(np.int32)
        if array.dtype.kind in "iub":
            return array
    if hasattr(entry, "__index__"):
        return np.asarray(operator.index(entry))
    raise IndexError(f"{entry!r} is no index: integers, slices, ..., None, and arrays of integers or bools are.")


def basic_plan(shape: Shape, entries: list[Any]) -> Plan:
    """Return shape and dims of a basic index.

    Raises
    ------
    IndexError
        When an integer is out of bounds.
    """
    sides: list[int] = []
    dims: list[Dim] = []
    axis = 0
    for entry in entries:
        if entry is None:
            sides.append(1)
            continue
        side = shape[axis]
        if isinstance(entry, slice):
            start, stop, step = entry.indices(side)
            count = len(range(start, stop, step))
            dims.append((start if count else 0, len(sides), step))
            sides.append(count)
        else:
            index = operator.index(entry)
            if not -side <= index < side:
                raise IndexError(f"Index {index} is out of bounds for axis {axis} of size {side}.")
            dims.append((index % side, -1, 0))
        axis += 1
    return tuple(sides), tuple(dims)


def getitem(x: GPUArray, key: Any) -> GPUArray:
    """Return ``x[key]``; the result is a value of its own, whatever is written to `x` later.

    Indices in a `GPUArray` are not read for their bounds: what is out of them is taken from the nearer end.
    """
    entries = _expand(key, x.ndim, x.shape)
    same_gpu("indexing", [x, *(e for e in entries if is_array(e))])
    if all(_is_basic(e) for e in entries):
        shape, dims = basic_plan(x.shape, entries)
        return part_of(lazy(x._device, view(node_of(x), shape, dims)), x, dims)
    base, advanced, first, split = _advanced(x, entries)
    index, shape = _linear_index(base.shape, advanced, first, split=split)
    runtime = runtime_of(x._device)
    source = leaf(runtime, node_of(base))
    runtime.check_binding(dt.nbytes_stored(base.size, x.dtype), "Indexing by arrays")
    return lazy(x._device, Node("gather", (source, index), shape, x.dtype))


def _advanced(x: GPUArray, entries: list[Any]) -> tuple[GPUArray, dict[int, Node], int, bool]:
    """Return the array with the basic part applied, the index nodes by its axes, their place, and if they are apart."""
    plain: list[Any] = []
    arrays: dict[int, Any] = {}
    places: list[int] = []
    axis = 0
    for position, entry in enumerate(entries):
        if entry is Ellipsis:
            continue
        if _is_basic(entry) and not _is_int(entry):
            plain.append(entry)
            axis += entry is not None
            continue
        places.append(position)
        index = np.asarray(entry) if _is_int(entry) else entry
        if index.dtype == np.bool_:
            for k, side in enumerate(index.shape):
                if x.shape[axis + k] != side:
                    raise IndexError(
                        f"A mask of shape {index.shape} does not fit axes {axis} to {axis + index.ndim - 1} of shape {x.shape}: "
                        f"its side {side} meets {x.shape[axis + k]}."
                    )
            if index.ndim == 0:
                truth = bool(index)
                arrays[len(plain)] = np.zeros(int(truth), np.int32)
                plain.append(None)
                continue
            found = nonzero(index) if is_array(index) else np.nonzero(index)
            for indices in found:
                arrays[len(plain)] = indices
                plain.append(slice(None))
                axis += 1
        else:
            _check_bounds(index, axis, x.shape[axis])
            arrays[len(plain)] = index
            plain.append(slice(None))
            axis += 1
    base = (
        x if all(e == slice(None) for e in plain if e is not None) and None not in plain else getitem(x, tuple(plain))
    )
    nodes: dict[int, Node] = {}
    for place, indices in arrays.items():
        array = indices if is_array(indices) else from_host(x._device, np.asarray(indices).astype(np.int32))
        nodes[place] = _wrapped(node_of(array), base.shape[place])
    split = any(b - a > 1 for a, b in itertools.pairwise(places))
    return base, nodes, min(nodes), split


def _check_bounds(entry: Any, axis: int, side: int) -> None:
    if is_array(entry):
        if entry.size and not side:
            raise IndexError(f"Axis {axis} has no element to index.")
        return
    if entry.size and (int(entry.max()) >= side or int(entry.min()) < -side):
        bad = int(entry.max()) if int(entry.max()) >= side else int(entry.min())
        raise IndexError(f"Index {bad} is out of bounds for axis {axis} of size {side}.")


def _wrapped(node: Node, side: int) -> Node:
    """Return an index node as uint32, counted from the front; what is out of bounds goes to the nearer end."""
    if node.dtype == dt.UINT32:
        return op_node("minimum", node, const(max(0, side - 1), dt.UINT32))
    index = cast_node(node, dt.INT32)
    zero = const(0, dt.INT32)
    front = op_node("where", op_node("less", index, zero), op_node("add", index, const(side, dt.INT32)), index)
    inside = op_node("minimum", op_node("maximum", front, zero), const(max(0, side - 1), dt.INT32))
    return cast_node(inside, dt.UINT32)


def _linear_index(shape: Shape, advanced: dict[int, Node], first: int, *, split: bool) -> tuple[Node, Shape]:
    """Return the linear index into a tight array of `shape`, and the result's shape."""
    together = broadcast_shapes("indexing", *(n.shape for n in advanced.values()))
    rest = [axis for axis in range(len(shape)) if axis not in advanced]
    lead = 0 if split else sum(axis < first for axis in rest)
    sides = (*(shape[a] for a in rest[:lead]), *together, *(shape[a] for a in rest[lead:]))
    strides = c_strides(shape)
    total: Node | None = None

    def add(term: Node) -> None:
        nonlocal total
        total = term if total is None else op_node("add", total, term)

    for axis, node in advanced.items():
        skip = lead + len(together) - len(node.shape)
        dims = tuple((0, -1, 0) if s == 1 else (0, skip + i, 1) for i, s in enumerate(node.shape))
        place = node if node.shape == sides else view(node, sides, dims)
        add(place if strides[axis] == 1 else op_node("multiply", place, const(strides[axis], dt.UINT32)))
    for i, axis in enumerate(rest):
        place = view(iota(shape[axis]), sides, ((0, i if i < lead else i + len(together), 1),))
        add(place if strides[axis] == 1 else op_node("multiply", place, const(strides[axis], dt.UINT32)))
    assert total is not None  # noqa: S101 - there is at least one advanced index
    return broadcast_node(total, sides), sides


def take(x: GPUArray, indices: Any, axis: int) -> GPUArray:
    """Return slices along an axis."""
    key: list[Any] = [slice(None)] * x.ndim
    key[axis] = indices
    return getitem(x, tuple(key))


# ---------------------------------------------------------------- writing


def as_value(x: GPUArray, value: Any) -> Node:
    """Return what is to be written into `x`, in its dtype.

    Raises
    ------
    DTypeError
        When the value is of a higher kind.
    """
    if dt.is_scalar(value):
        kind = dt.scalar_kind(value)
        if "biufc".index(x.dtype.kind) < "bi fc".index(kind):
            raise DTypeError(
                f"The {type(value).__name__} {value!r} does not fit into an array of {x.dtype.name}: convert one of them first."
            )
        return const(value, x.dtype)
    if not is_array(value):
        host = host_array(value, None)
        if host.dtype.kind == x.dtype.kind == "f":
            host = dt.converted(host, x.dtype, numbers=not isinstance(value, np.ndarray))
        value = from_host(x._device, host)
    same_gpu("assignment", [x, value])
    if (
        value.dtype != x.dtype
        and dt.promote(value.dtype, x.dtype) != x.dtype
        and not (value.dtype.kind == x.dtype.kind == "f")
    ):
        raise DTypeError(
            f"{value.dtype.name} cannot be written into an array of {x.dtype.name}: convert it with astype first."
        )
    return as_node(value, x.dtype)


def setitem(x: GPUArray, key: Any, value: Any) -> None:
    """Do ``x[key] = value``."""
    entries = _expand(key, x.ndim, x.shape)
    runtime = same_gpu("assignment", [x, *(e for e in entries if is_array(e))])
    node = as_value(x, value)
    if all(_is_basic(e) for e in entries):
        shape, dims = basic_plan(x.shape, entries)
        node = _fitting(node, shape)
        if shape == x.shape and all(d == (0, i, 1) for i, d in enumerate(dims)):
            x._assign(node)
            return
        _write(runtime, x, dims, node)
        return
    masks = [e for e in entries if not _is_basic(e)]
    if (
        len(masks) == 1
        and masks[0].dtype == np.bool_
        and masks[0].ndim
        and entries[0] is masks[0]
        and all(isinstance(e, slice) and e == slice(None) for e in entries[1:])
        and size_of(node.shape) == 1
    ):
        mask = masks[0] if is_array(masks[0]) else from_host(x._device, masks[0])
        if mask.shape != x.shape[: mask.ndim]:
            raise IndexError(f"A mask of shape {mask.shape} does not fit an array of shape {x.shape}.")
        mask = reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim)))
        single = wrap(x._device, node if not node.shape else node_of(reshape(wrap(x._device, node), ())))
        x._assign(node_of(where(mask, single, x)))
        return
    base, advanced, first, split = _advanced(_positions(x), entries)
    index, shape = _linear_index(base.shape, advanced, first, split=split)
    node = _fitting(node, shape)
    if not size_of(shape):
        return
    target = Node("gather", (leaf(runtime, node_of(base)), index), shape, dt.INT32)
    scatter(runtime, x, target, node)


def _positions(x: GPUArray) -> GPUArray:
    """Return the linear index of each element, as an array of x's shape."""
    node = cast_node(iota(x.size), dt.INT32)
    return reshape(wrap(x._device, node), x.shape)


def _fitting(node: Node, shape: Shape) -> Node:
    lead = node.shape[: max(0, len(node.shape) - len(shape))]
    if any(s != 1 for s in lead) or broadcast_shapes("assignment", node.shape[len(lead) :], shape) != shape:
        raise ShapeError(
            f"A value of shape {node.shape} does not broadcast to the part of shape {shape} that it is assigned to."
        )
    if lead:
        dims = tuple((0, -1, 0) for _ in lead) + tuple(
            (0, i + len(shape) - len(node.shape) + len(lead), 1) for i in range(len(node.shape) - len(lead))
        )
        node = view(node, node.shape[len(lead) :], dims)
    return broadcast_node(node, shape)


def _write(runtime: Runtime, x: GPUArray, dims: tuple[Dim, ...], node: Node) -> None:
    """Write into a part of an array, whose other readers keep what they saw."""
    if not size_of(node.shape):
        return
    if x.dtype == dt.FLOAT16 and not runtime.has_f16:
        wide = x.astype(np.float32)
        _write(runtime, wide, dims, cast_node(node, dt.FLOAT32))
        x._assign(node_of(wide.astype(np.float16)))
        return
    trace_reads = _reads(node, node_of(x))
    if trace_reads:
        runtime.materialise(node)
    write_region(runtime, x._storage_for_writing(), place_of(x.shape, dims, node.shape), node)


def _reads(node: Node, other: Node) -> bool:
    stack, seen = [node], set()
    while stack:
        current = stack.pop()
        if current is other or (other.storage is not None and current.storage is other.storage):
            return True
        if id(current) not in seen:
            seen.add(id(current))
            stack += current.inputs
    return False
