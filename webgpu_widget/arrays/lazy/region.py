"""Parts of arrays as places to write to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webgpu_widget.arrays.lazy.footprint import Walk
from webgpu_widget.arrays.lazy.node import c_strides, size_of
from webgpu_widget.arrays.lazy.sharing import copied
from webgpu_widget.arrays.lazy.trace import Access, Trace

if TYPE_CHECKING:
    from webgpu_widget.arrays.lazy.node import Dim, Node, Shape, Storage
    from webgpu_widget.arrays.lazy.runtime import Runtime


def place_of(shape: Shape, dims: tuple[Dim, ...], sides: Shape) -> Walk:
    """Return where the elements of a part lie in a tight array of `shape`; `dims` as in `view`, `sides` are the part's."""
    offset, strides = 0, [0] * len(sides)
    for stride, (start, source, step) in zip(c_strides(shape), dims, strict=True):
        offset += stride * start
        if source >= 0:
            strides[source] += stride * step
    return Walk(offset, tuple(strides))


def write_region(runtime: Runtime, target: Storage, place: Walk, value: Node) -> None:
    """Queue storing `value` into a part of a tight array.

    Parameters
    ----------
    target
        The array's memory.
    place
        Where the elements of the value go.
    value
        Of the part's shape and the array's dtype, which is float16 only where buffers may be of f16.
    """
    if size_of(value.shape) == 0:
        return
    trace = Trace(value.shape)
    number = trace.value(value)
    if any(s is target for s in trace.storages):
        # A value that lies in the target itself would be read while it is written.
        value = copied(runtime, value) if runtime.materialise(value) is target else value
        trace = Trace(value.shape)
        number = trace.value(value)
    strides = [0 if side == 1 else s for s, side in zip(place.strides, value.shape, strict=True)]
    runtime.run_elementwise(trace, [number], [value.dtype], [target], Access(-2, place.offset, strides))
