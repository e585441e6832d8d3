"""Where the elements of an array are that are not zero, and writing values to places by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget import shaders
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import cast_node, const, lazy, op_node, same_gpu
from webgpu_widget.arrays.lazy.node import Node, node_of, size_of, view
from webgpu_widget.arrays.lazy.shape import leaf, reshape_node
from webgpu_widget.arrays.lazy.sharing import copied
from webgpu_widget.arrays.lazy.statistics import scan
from webgpu_widget.arrays.lazy.value import wrap
from webgpu_widget.device.limits import SAFE_WORKGROUPS

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.runtime import Runtime


def groups_for(count: int) -> int:
    """Return the workgroups of 64 that walk over elements; each does several where there are more."""
    return max(1, min(SAFE_WORKGROUPS, -(-count // 64)))


def kernel_of(runtime: Runtime, name: str, entry: str = "main") -> Any:
    """Return the pipeline of a shader of arrays."""
    label = name if entry == "main" else f"{name}_{entry}"
    return runtime.pipeline((name, entry), lambda: shaders.load(f"array/{name}"), label, entry)


def blank(runtime: Runtime, shape: tuple[int, ...], dtype: dt.DType) -> Node:
    """Return a leaf whose content is undefined."""
    return Node("leaf", (), shape, dtype, storage=runtime.allocate(size_of(shape), dtype))


def buffers_of(runtime: Runtime, *nodes: Node) -> list[Any]:
    """Return the memory of nodes."""
    return [runtime.buffer(n) for n in nodes]


def flat_nonzero(x: GPUArray) -> Node:
    """Return the linear indices of the elements that are not zero, int32. Waits for their number."""
    runtime = same_gpu("nonzero", [x])
    mask = leaf(runtime, cast_node(reshape_node(runtime, node_of(x), (x.size,)), dt.BOOL))
    if not x.size:
        return blank(runtime, (0,), dt.INT32)
    upto = scan(runtime, leaf(runtime, cast_node(mask, dt.INT32)), 0, "sum")
    count = int(wrap(x._device, view(upto, (), ((x.size - 1, -1, 0),))).item())
    out = blank(runtime, (count,), dt.INT32)
    if count:
        runtime.dispatch(
            kernel_of(runtime, "compress"), buffers_of(runtime, mask, upto, out), [x.size, 0, 0, 0], groups_for(x.size)
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
        x._assign(node_of(wide.astype(np.float16)))
        return
    places, values = leaf(runtime, place), leaf(runtime, value)
    if values.storage is node_of(x).storage:
        values = copied(runtime, values)
    target = x._storage_for_writing()
    count = size_of(places.shape)
    owner = runtime.allocate(x.size, dt.UINT32)
    runtime.clear(owner)
    groups = groups_for(count)
    bound = {0: runtime.buffer(places), 1: owner.buffer}
    runtime.dispatch_bound(kernel_of(runtime, "scatter", "claim"), bound, [count, 0, 0, 0], groups)
    bound |= {2: runtime.buffer(values), 3: target.buffer}
    words = dt.itemsize(x.dtype) // 4
    runtime.dispatch_bound(kernel_of(runtime, "scatter"), bound, [count, words, 0, 0], groups)
