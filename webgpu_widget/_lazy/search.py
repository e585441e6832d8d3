"""Sorting, searching, compressing, scattering, and the sets built on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget._lazy import dtypes as dt
from webgpu_widget._lazy.build import (
    as_node,
    cast_node,
    coerce,
    common_dtype,
    const,
    iota,
    lazy,
    op_node,
    same_gpu,
    wrap,
)
from webgpu_widget._lazy.library import shader
from webgpu_widget._lazy.node import Node, size_of, view
from webgpu_widget._lazy.shape import check_axis, is_axis_of_scalar, leaf, permute, reshape, reshape_node
from webgpu_widget._lazy.sharing import copied
from webgpu_widget._lazy.statistics import scan
from webgpu_widget.errors import ShapeError

if TYPE_CHECKING:
    from webgpu_widget._lazy.runtime import Runtime
    from webgpu_widget.array import GPUArray

_RUN = 8


def _groups(count: int) -> int:
    return max(1, min(65535, -(-count // 64)))


def _kernel(runtime: Runtime, name: str, entry: str = "main") -> Any:
    label = name if entry == "main" else f"{name}_{entry}"
    return runtime.pipeline((name, entry), lambda: shader(name), label, entry)


def _new(runtime: Runtime, shape: tuple[int, ...], dtype: dt.DType) -> Node:
    return Node("leaf", (), shape, dtype, storage=runtime.allocate(size_of(shape), dtype))


def _buffers(runtime: Runtime, *nodes: Node) -> list[Any]:
    return [runtime.buffer(n) for n in nodes]


def sort_keys(runtime: Runtime, keys: Node) -> tuple[Node, Node]:
    """Return uint32 keys sorted along the last axis, and the places they came from (uint32)."""
    shape = keys.shape
    length = shape[-1]
    rows = size_of(shape[:-1])
    out, index = _new(runtime, shape, dt.UINT32), _new(runtime, shape, dt.UINT32)
    if not rows * length:
        return out, index
    a, b, c = _buffers(runtime, keys, out, index)
    runs = -(-length // _RUN) * rows
    runtime.dispatch_bound(
        _kernel(runtime, "merge", "runs"), {0: a, 2: b, 3: c}, [rows, length, _RUN, 0], _groups(runs)
    )
    width = _RUN
    spare_keys, spare_index = (_new(runtime, shape, dt.UINT32) for _ in range(2)) if width < length else (out, index)
    while width < length:
        buffers = _buffers(runtime, out, index, spare_keys, spare_index)
        runtime.dispatch(_kernel(runtime, "merge"), buffers, [rows, length, width, 0], _groups(rows * length))
        out, index, spare_keys, spare_index = spare_keys, spare_index, out, index
        width *= 2
    return out, index


def argsort(x: GPUArray, axis: int = -1, *, descending: bool = False) -> GPUArray:
    """Return the places of the elements in order, int32; always stable, NaN last (first when descending)."""
    runtime = same_gpu("argsort", [x])
    if is_axis_of_scalar(axis, x.ndim):
        x = reshape(x, (1,))
    at = check_axis(axis, x.ndim)
    order = (*(i for i in range(x.ndim) if i != at), at)
    moved = permute(x, order)
    key = op_node("sort_key", moved._node)
    if descending:
        key = op_node("bitwise_invert", key)
    _, index = sort_keys(runtime, leaf(runtime, key))
    back = tuple(order.index(i) for i in range(x.ndim))
    return permute(lazy(x._device, cast_node(index, dt.INT32)), back)


def sort(x: GPUArray, axis: int = -1, *, descending: bool = False) -> GPUArray:
    """Return the elements in order along an axis."""
    return take_along_axis(x, argsort(x, axis, descending=descending), axis)


def take_along_axis(x: GPUArray, indices: GPUArray, axis: int = -1) -> GPUArray:
    """Return the elements at indices along an axis, which broadcast with the array elsewhere."""
    from webgpu_widget._lazy.indexing import getitem

    at = check_axis(axis, x.ndim)
    if indices.ndim != x.ndim:
        raise ShapeError(
            f"take_along_axis: indices of shape {indices.shape} must have as many axes as shape {x.shape}."
        )
    key: list[Any] = []
    for i in range(x.ndim):
        if i == at:
            key.append(indices)
            continue
        side = x.shape[i]
        if indices.shape[i] not in (1, side) and side != 1:
            raise ShapeError(
                f"take_along_axis: indices of shape {indices.shape} do not broadcast with shape {x.shape} on axis {i}."
            )
        places = wrap(x._device, cast_node(iota(side), dt.INT32))
        key.append(reshape(places, tuple(side if k == i else 1 for k in range(x.ndim))))
    return getitem(x, tuple(key))


def searchsorted(x1: GPUArray, x2: Any, side: str = "left", sorter: GPUArray | None = None) -> GPUArray:
    """Return where values belong in a sorted 1-D array, int32."""
    runtime, (a, v) = coerce("searchsorted", (x1, x2))
    if a.ndim != 1:
        raise ShapeError(f"searchsorted: the sorted array has shape {a.shape}; it must have one axis.")
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side is 'left' or 'right', not {side!r}.")
    if sorter is not None:
        a = a[sorter]
    dtype = common_dtype([a, v])
    keys, wanted = (leaf(runtime, op_node("sort_key", as_node(n, dtype))) for n in (a, v))
    out = _new(runtime, wanted.shape, dt.INT32)
    count = size_of(wanted.shape)
    if count:
        words = [a.size, count, int(side == "right"), 0]
        runtime.dispatch(_kernel(runtime, "search"), _buffers(runtime, keys, wanted, out), words, _groups(count))
    return wrap(runtime.device, out)


def flat_nonzero(x: GPUArray) -> Node:
    """Return the linear indices of the elements that are not zero, int32. Waits for their number."""
    runtime = same_gpu("nonzero", [x])
    mask = leaf(runtime, cast_node(reshape_node(runtime, x._node, (x.size,)), dt.BOOL))
    if not x.size:
        return _new(runtime, (0,), dt.INT32)
    upto = scan(runtime, leaf(runtime, cast_node(mask, dt.INT32)), 0, "sum")
    count = int(wrap(x._device, view(upto, (), ((x.size - 1, -1, 0),))).item())
    out = _new(runtime, (count,), dt.INT32)
    if count:
        runtime.dispatch(
            _kernel(runtime, "compress"), _buffers(runtime, mask, upto, out), [x.size, 0, 0, 0], _groups(x.size)
        )
    return out


def nonzero(x: GPUArray) -> tuple[GPUArray, ...]:
    """Return the indices of the elements that are not zero, an int32 array for each axis. Waits for their number."""
    if x.ndim == 0:
        raise ValueError("nonzero of a 0-d array has no axis to count along; use bool(x).")
    flat = flat_nonzero(x)
    result: list[GPUArray] = []
    rest = flat
    for side in reversed(x.shape[1:]):
        by = const(max(1, side), dt.INT32)
        result.insert(0, lazy(x._device, op_node("remainder", rest, by)))
        rest = op_node("floor_divide", rest, by)
    return (lazy(x._device, rest), *result)


def scatter(runtime: Runtime, x: GPUArray, place: Node, value: Node) -> None:
    """Write values to linear indices (int32, in bounds) of `x`; the last of several for one place stays."""
    if x.dtype == dt.FLOAT16:
        wide = x.astype(np.float32)
        scatter(runtime, wide, place, cast_node(value, dt.FLOAT32))
        x._assign(wide.astype(np.float16)._node)
        return
    places, values = leaf(runtime, place), leaf(runtime, value)
    if values.storage is x._node.storage:
        values = copied(runtime, values)
    target = x._storage_for_writing()
    count = size_of(places.shape)
    owner = runtime.allocate(x.size, dt.UINT32)
    runtime.clear(owner)
    groups = _groups(count)
    bound = {0: runtime.buffer(places), 1: owner.buffer}
    runtime.dispatch_bound(_kernel(runtime, "scatter", "claim"), bound, [count, 0, 0, 0], groups)
    bound |= {2: runtime.buffer(values), 3: target.buffer}
    runtime.dispatch_bound(_kernel(runtime, "scatter"), bound, [count, 0, 0, 0], groups)


def unique(x: GPUArray) -> tuple[GPUArray, GPUArray, GPUArray, GPUArray]:
    """Return the distinct values in order, where each is first, for each element which it is, and how often it occurs.

    Each NaN is a value of its own; -0 equals 0. Waits for the number of values.
    """
    from webgpu_widget._lazy.indexing import getitem
    from webgpu_widget._lazy.shape import concat

    runtime = same_gpu("unique", [x])
    device = x._device
    flat = reshape(x, (x.size,)) if x.ndim != 1 else x
    size = x.size
    if not size:
        none = wrap(device, _new(runtime, (0,), dt.INT32))
        return flat, none, reshape(none, x.shape), none
    keys, order = sort_keys(runtime, leaf(runtime, op_node("sort_key", flat._node)))
    index = cast_node(order, dt.INT32)
    before = view(keys, (size,), ((-1, 0, 1),))
    first = op_node("equal", iota(size), const(0, dt.UINT32))
    # The key in front of the first one is whatever the clamped load gives: `first` decides there.
    starts = op_node("logical_or", first, op_node("not_equal", keys, before))
    if x.dtype.kind == "f":
        starts = op_node("logical_or", starts, op_node("equal", keys, const(0xFFFFFFFF, dt.UINT32)))
    mask = wrap(device, leaf(runtime, starts))
    where_first = wrap(device, flat_nonzero(mask))
    group = scan(runtime, leaf(runtime, cast_node(mask._node, dt.INT32)), 0, "sum")
    inverse = wrap(device, _new(runtime, (size,), dt.INT32))
    scatter(runtime, inverse, index, op_node("subtract", group, const(1, dt.INT32)))
    indices = getitem(wrap(device, index), where_first)
    values = getitem(flat, indices)
    ends = concat([getitem(where_first, slice(1, None)), wrap(device, const(size, dt.INT32, (1,)))], 0)
    counts = ends - where_first
    return values, indices, reshape(inverse, x.shape), counts
