"""Reductions of arrays: sums, extremes, places, moments and running totals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from webgpu_widget import shaders
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, cast_node, const, op_node, same_gpu, sort_key, where
from webgpu_widget.arrays.lazy.node import Node, node_of, size_of
from webgpu_widget.arrays.lazy.reduce import reduce
from webgpu_widget.arrays.lazy.shape import (
    check_axes,
    check_axis,
    concat,
    is_axis_of_scalar,
    leaf,
    reshape,
    reshape_node,
)
from webgpu_widget.arrays.lazy.value import wrap
from webgpu_widget.device.limits import SAFE_WORKGROUPS
from webgpu_widget.errors import DTypeError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.node import Shape

_EMPTY = {"sum": 0, "mean": math.nan, "prod": 1, "any": False, "all": True}


def _keep(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if i in axes else s for i, s in enumerate(shape))


def _reduced(
    x: GPUArray, kind: str, node: Node, axis: Any, *, keepdims: bool, count: float = 1, dtype: dt.DType | None = None
) -> GPUArray:
    runtime = same_gpu(kind, [x])
    sides = node.shape
    axes = () if is_axis_of_scalar(axis, len(sides)) else check_axes(axis, len(sides))
    shape = _keep(sides, axes) if keepdims else tuple([s for i, s in enumerate(sides) if i not in axes])
    target = dtype or node.dtype
    if 0 in sides and 0 in [sides[a] for a in axes]:
        if kind not in _EMPTY:
            raise ValueError(f"{kind} of no elements (shape {x.shape}, axis {axis}) has no value.")
        return wrap(x._device, const(_EMPTY[kind], target, shape))
    result = reduce(runtime, kind, node, axes, count=count) if axes else node
    return wrap(x._device, reshape_node(runtime, cast_node(result, target), shape))


def total(x: GPUArray, kind: str, axis: Any, dtype: Any, *, keepdims: bool) -> GPUArray:
    """Return the sum or product; bools count as int32."""
    target = (dt.INT32 if x.dtype == dt.BOOL else x.dtype) if dtype is None else dt.check_dtype(dtype, accumulates=True)
    return _reduced(x, kind, cast_node(node_of(x), target), axis, keepdims=keepdims, dtype=target)


def extreme(x: GPUArray, kind: str, axis: Any, *, keepdims: bool) -> GPUArray:
    """Return the largest or smallest values; NaN wins."""
    if x.dtype == dt.COMPLEX64:
        raise DTypeError(f"{kind} is not defined for complex64, which has no order: take it of x.real, or of abs(x).")
    if x.dtype == dt.BOOL:
        return logical(x, "any" if kind == "max" else "all", axis, keepdims=keepdims, what=kind)
    return _reduced(x, kind, node_of(x), axis, keepdims=keepdims, dtype=x.dtype)


def logical(x: GPUArray, kind: str, axis: Any, *, keepdims: bool, what: str = "") -> GPUArray:
    """Return whether any, or all, are true."""
    if what and x.ndim and size_of(tuple(x.shape[a] for a in check_axes(axis, x.ndim))) == 0:
        raise ValueError(f"{what} of no elements (shape {x.shape}, axis {axis}) has no value.")
    return _reduced(x, kind, cast_node(node_of(x), dt.BOOL), axis, keepdims=keepdims)


def place(x: GPUArray, kind: str, axis: Any, *, keepdims: bool) -> GPUArray:
    """Return where the first largest (``max``) or smallest element is, int32; the first NaN where there is one."""
    runtime = same_gpu(f"arg{kind}", [x])
    node = node_of(x)
    if axis is None or is_axis_of_scalar(axis, x.ndim):
        shape = (1,) * x.ndim if keepdims else ()
        axes = tuple(range(x.ndim))
    else:
        axes = (check_axis(axis, x.ndim),)
        shape = _keep(x.shape, axes) if keepdims else tuple(s for i, s in enumerate(x.shape) if i not in axes)
    if size_of(tuple(x.shape[a] for a in axes)) == 0:
        raise ValueError(f"arg{kind} of no elements (shape {x.shape}, axis {axis}) has no value.")
    if not axes:
        return wrap(x._device, const(0, dt.INT32, shape))
    key = sort_key(f"arg{kind}", node)
    if kind == "min":
        key = op_node("bitwise_invert", key)
        if node.dtype.kind == "f":
            key = op_node("where", op_node("isnan", node), const(0xFFFFFFFF, dt.UINT32), key)
    return wrap(x._device, reshape_node(runtime, reduce(runtime, "arg", key, axes), shape))


def mean(x: GPUArray, axis: Any, *, keepdims: bool) -> GPUArray:
    """Return the arithmetic mean; integers are averaged as float32. NaN for no elements."""
    target = dt.float_of(x.dtype)
    count = size_of(tuple(x.shape[a] for a in check_axes(axis, x.ndim)))
    return _reduced(x, "mean", cast_node(node_of(x), target), axis, keepdims=keepdims, count=count or 1, dtype=target)


def variance(x: GPUArray, axis: Any, correction: float, *, keepdims: bool) -> GPUArray:
    """Return the variance, in two passes: the mean first, then the mean square of the distances from it.

    NaN for no elements, and where the correction leaves nothing to divide by.
    """
    axes = check_axes(axis, x.ndim)
    if x.dtype == dt.COMPLEX64:
        raise DTypeError(
            "var and std are not there for complex64: add those of x.real and x.imag (variances; std is the root)."
        )
    target = dt.float_of(x.dtype)
    count = size_of(tuple(x.shape[a] for a in axes))
    rest = count - correction
    if not count:
        return mean(x, axis, keepdims=keepdims)
    # Distances of float16 are taken in float32, as in NumPy: their squares may be beyond float16.
    values = wrap(x._device, cast_node(node_of(x), dt.FLOAT32))
    if count == 1:
        # A value that is subtracted from itself is 0 to some compilers whatever it is.
        square = where(apply("isfinite", values), 0.0, math.nan)
    else:
        square = apply("square", apply("subtract", values, mean(values, axis, keepdims=True)))
    if rest > 0:
        return _reduced(square, "mean", node_of(square), axis, keepdims=keepdims, count=rest, dtype=target)
    result = _reduced(square, "sum", node_of(square), axis, keepdims=keepdims, dtype=target)
    return apply("divide", result, 0.0)


def count_nonzero(x: GPUArray, axis: Any, *, keepdims: bool) -> GPUArray:
    """Return how many elements are not zero, int32."""
    node = cast_node(cast_node(node_of(x), dt.BOOL), dt.INT32)
    return _reduced(x, "sum", node, axis, keepdims=keepdims)


def cumulative(x: GPUArray, kind: str, axis: int | None, dtype: Any, *, include_initial: bool = False) -> GPUArray:
    """Return running sums or products along an axis (1-D arrays need none)."""
    runtime = same_gpu(f"cumulative_{kind}", [x])
    if axis is None:
        if x.ndim > 1:
            raise ValueError(f"cumulative_{kind}: an array of {x.ndim} axes needs axis=.")
        axis = 0
    if is_axis_of_scalar(axis, x.ndim):
        x = reshape(x, (1,))
    at = check_axis(axis, x.ndim)
    target = (dt.INT32 if x.dtype == dt.BOOL else x.dtype) if dtype is None else dt.check_dtype(dtype, accumulates=True)
    if target == dt.BOOL:
        raise DTypeError(f"cumulative_{kind} gives numbers, not bool.")
    wide = dt.FLOAT32 if target == dt.FLOAT16 else target
    source = leaf(runtime, cast_node(node_of(x), wide)) if x.dtype != wide else leaf(runtime, node_of(x))
    result = wrap(x._device, scan(runtime, source, at, kind))
    if wide != target:
        result = result.astype(target)
    if include_initial:
        shape = (*x.shape[:at], 1, *x.shape[at + 1 :])
        result = concat([wrap(x._device, const(0 if kind == "sum" else 1, target, shape)), result], at)
    return result


def scan(runtime: Any, source: Node, axis: int, kind: str) -> Node:
    """Queue a running sum or product of a leaf along an axis; three dispatches, no barrier."""
    shape = source.shape
    storage = runtime.allocate(size_of(shape), source.dtype)
    result = Node("leaf", (), shape, source.dtype, storage=storage)
    if not size_of(shape):
        return result
    outer, length, inner = size_of(shape[:axis]), shape[axis], size_of(shape[axis + 1 :])
    lines = outer * inner
    elem = dt.WGSL_TYPE[source.dtype]
    if source.dtype == dt.COMPLEX64 and kind == "prod":
        raise DTypeError(
            "cumulative_prod is not there for complex64; that of abs(x) and cumulative_sum of the angles are."
        )
    part = max(16, math.isqrt(length))
    if lines >= 4096 or length <= 64:
        part = length
    parts = -(-length // part)
    totals = runtime.allocate(lines * parts, source.dtype)
    words = [lines, length, inner, part, parts]

    def make(entry: str) -> Any:
        return runtime.pipeline(
            ("scan", elem, kind, entry),
            lambda: shaders.specialise("array/scan", alias={"Elem": elem}, const={"PRODUCT": kind == "prod"}),
            f"scan_{entry}",
            entry,
        )

    groups = min(SAFE_WORKGROUPS, -(-lines * parts // 64))
    if parts > 1:
        runtime.dispatch(make("totals"), [runtime.buffer(source), totals.buffer], words, groups)
        runtime.dispatch_bound(make("carry"), {1: totals.buffer}, words, min(SAFE_WORKGROUPS, -(-lines // 64)))
    runtime.dispatch(make("main"), [runtime.buffer(source), totals.buffer, storage.buffer], words, groups)
    return result
