"""Sorting, searching, compressing, scattering, and the sets built on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import (
    as_node,
    cast_node,
    coerce,
    common_dtype,
    const,
    iota,
    lazy,
    op_node,
    same_gpu,
    sort_key,
)
from webgpu_widget.arrays.lazy.indexing import getitem
from webgpu_widget.arrays.lazy.node import Node, node_of, size_of, view
from webgpu_widget.arrays.lazy.places import blank, buffers_of, flat_nonzero, groups_for, kernel_of, scatter
from webgpu_widget.arrays.lazy.shape import check_axis, concat, is_axis_of_scalar, leaf, permute, reshape
from webgpu_widget.arrays.lazy.statistics import scan
from webgpu_widget.arrays.lazy.value import wrap
from webgpu_widget.errors import ShapeError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.runtime import Runtime

_RUN = 8


def sort_keys(runtime: Runtime, keys: Node) -> tuple[Node, Node]:
    """Return uint32 keys sorted along the last axis, and the places they came from (uint32)."""
    shape = keys.shape
    length = shape[-1]
    rows = size_of(shape[:-1])
    out, index = blank(runtime, shape, dt.UINT32), blank(runtime, shape, dt.UINT32)
    if not rows * length:
        return out, index
    a, b, c = buffers_of(runtime, keys, out, index)
    runs = -(-length // _RUN) * rows
    runtime.dispatch_bound(
        kernel_of(runtime, "merge", "runs"), {0: a, 2: b, 3: c}, [rows, length, _RUN, 0], groups_for(runs)
    )
    width = _RUN
    spare_keys, spare_index = (blank(runtime, shape, dt.UINT32) for _ in range(2)) if width < length else (out, index)
    while width < length:
        buffers = buffers_of(runtime, out, index, spare_keys, spare_index)
        runtime.dispatch(kernel_of(runtime, "merge"), buffers, [rows, length, width, 0], groups_for(rows * length))
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
    key = sort_key("a sort", node_of(moved))
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
    keys, wanted = (leaf(runtime, sort_key("searchsorted", as_node(n, dtype))) for n in (a, v))
    out = blank(runtime, wanted.shape, dt.INT32)
    count = size_of(wanted.shape)
    if count:
        words = [a.size, count, int(side == "right"), 0]
        runtime.dispatch(kernel_of(runtime, "search"), buffers_of(runtime, keys, wanted, out), words, groups_for(count))
    return wrap(runtime.device, out)


def unique(x: GPUArray) -> tuple[GPUArray, GPUArray, GPUArray, GPUArray]:
    """Return the distinct values in order, where each is first, for each element which it is, and how often it occurs.

    Each NaN is a value of its own; -0 equals 0. Waits for the number of values.
    """
    runtime = same_gpu("unique", [x])
    device = x._device
    flat = reshape(x, (x.size,)) if x.ndim != 1 else x
    size = x.size
    if not size:
        none = wrap(device, blank(runtime, (0,), dt.INT32))
        return flat, none, reshape(none, x.shape), none
    keys, order = sort_keys(runtime, leaf(runtime, sort_key("a set of unique values", node_of(flat))))
    index = cast_node(order, dt.INT32)
    before = view(keys, (size,), ((-1, 0, 1),))
    first = op_node("equal", iota(size), const(0, dt.UINT32))
    # The key in front of the first one is whatever the clamped load gives: `first` decides there.
    starts = op_node("logical_or", first, op_node("not_equal", keys, before))
    if x.dtype.kind == "f":
        starts = op_node("logical_or", starts, op_node("equal", keys, const(0xFFFFFFFF, dt.UINT32)))
    mask = wrap(device, leaf(runtime, starts))
    where_first = wrap(device, flat_nonzero(mask))
    group = scan(runtime, leaf(runtime, cast_node(node_of(mask), dt.INT32)), 0, "sum")
    inverse = wrap(device, blank(runtime, (size,), dt.INT32))
    scatter(runtime, inverse, index, op_node("subtract", group, const(1, dt.INT32)))
    indices = getitem(wrap(device, index), where_first)
    values = getitem(flat, indices)
    ends = concat([getitem(where_first, slice(1, None)), wrap(device, const(size, dt.INT32, (1,)))], 0)
    counts = ends - where_first
    return values, indices, reshape(inverse, x.shape), counts
