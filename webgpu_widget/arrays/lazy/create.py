"""Arrays from host data and from nothing."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import cast_node, const, iota, lazy, op_node
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.node import Node, size_of, view
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.lazy.value import is_array, wrap
from webgpu_widget.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.node import Shape
    from webgpu_widget.device.device import Device


def check_shape(shape: int | Sequence[int]) -> Shape:
    """Return a shape as a tuple of non-negative ints."""
    try:
        sides = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        result = tuple(operator.index(s) for s in sides)
    except TypeError as error:
        raise ShapeError(
            f"The shape is {shape!r:.80}; it is an int or a tuple of ints, so pass int(n) for a number n."
        ) from error
    if any(s < 0 for s in result):
        raise ShapeError(f"The shape {result} has a negative side; sides are 0 or more.")
    return result


def asarray(device: Device, value: Any, dtype: Any = None, *, copy: bool | None = None) -> GPUArray:
    """Return an array of host data, or of another array: itself where nothing changes and `copy` is not True."""
    if not is_array(value):
        if copy is False:
            raise ValueError("Host data cannot be on the GPU without a copy: leave out copy=False.")
        return from_host(device, value, dtype)
    if value._device is not device:
        if copy is False:
            raise ValueError("The array lives on another GPU, and cannot be on this one without a copy.")
        return from_host(device, value.numpy(), dtype)
    target = value.dtype if dtype is None else dt.check_dtype(dtype)
    if target != value.dtype:
        if copy is False:
            raise ValueError(f"{value.dtype.name} cannot become {target.name} without a copy: leave out copy=False.")
        return value.astype(dtype)
    return value.copy() if copy else value


def full(device: Device, shape: int | Sequence[int], value: Any, dtype: Any = None) -> GPUArray:
    """Return an array with one value everywhere."""
    sides = check_shape(shape)
    if is_array(value):
        value = value.item()
    if isinstance(value, np.ndarray) and not value.ndim:
        value = value[()]
    own = dt.default_dtype(value)
    target = own if dtype is None else dt.check_dtype(dtype)
    runtime = runtime_of(device)
    runtime.check_open()
    runtime.check_bytes(dt.nbytes_allocated(size_of(sides), target), f"An array of shape {sides}, {target.name},")
    return wrap(device, const(value, target, sides))


def empty(device: Device, shape: int | Sequence[int], dtype: Any = None) -> GPUArray:
    """Return an array whose values are undefined."""
    sides = check_shape(shape)
    target = dt.FLOAT32 if dtype is None else dt.check_dtype(dtype)
    runtime = runtime_of(device)
    runtime.check_open()
    return wrap(device, Node("leaf", (), sides, target, storage=runtime.allocate(size_of(sides), target)))


def arange(device: Device, start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> GPUArray:
    """Return evenly spaced values of a half-open interval; the length is computed in doubles.

    Raises
    ------
    ValueError
        For a step of 0, and for ends that are not finite.
    RangeError
        For values that the dtype does not have.
    DTypeError
        For a start or step with a fraction where integers are asked for.
    """
    if stop is None:
        start, stop = 0, start
    floats = "f" in {dt.scalar_kind(v) for v in (start, stop, step)}
    start, stop, step = (v.item() if isinstance(v, np.generic) else v for v in (start, stop, step))
    if step == 0:
        raise ValueError("arange takes a step that is not 0.")
    if floats and not all(math.isfinite(dt.as_float(v)) for v in (start, stop, step)):
        raise ValueError(f"arange takes finite numbers, not from {start!r} to {stop!r} by {step!r}.")
    target = (dt.FLOAT32 if floats else dt.INT32) if dtype is None else dt.check_dtype(dtype)
    size = max(0, math.ceil((stop - start) / step)) if floats else max(0, -((start - stop) // step))
    if target.kind in "iu":
        start, step = (dt.whole_number(v, target) for v in (start, step))
    last = start + (size - 1) * step
    if size:
        for end in (start, last):
            dt.fit_scalar(end, target)
    if target.kind == "f" and (floats or max(abs(start), abs(last)) >= 2**31):
        values = start + step * np.arange(size, dtype=np.float64)
        return from_host(device, dt.converted(values, target, numbers=True))
    # Modulo 2**32, as WGSL computes.
    first, by = (const(_wrapped(int(v)), dt.UINT32) for v in (start, step))
    node = op_node("add", op_node("multiply", iota(size), by), first)
    integers = cast_node(node, dt.UINT32 if target == dt.UINT32 else dt.INT32)
    return lazy(device, cast_node(integers, target))


def _wrapped(value: int) -> int:
    return value & 0xFFFFFFFF


def linspace(
    device: Device, start: float, stop: float, num: int, *, dtype: Any = None, endpoint: bool = True
) -> GPUArray:
    """Return `num` evenly spaced values; both ends exact. Integers are rounded down, as in NumPy."""
    target = dt.FLOAT32 if dtype is None else dt.check_dtype(dtype)
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"linspace takes a count of 0 or more, not {num}.")
    count = num if endpoint else num + 1
    values = np.linspace(float(start), float(stop), count, dtype=np.float64)
    if target.kind in "iu":
        values = np.floor(values)
    return from_host(device, dt.converted(values[:num], target, numbers=True))


def eye(device: Device, rows: int, cols: int | None = None, *, k: int = 0, dtype: Any = None) -> GPUArray:
    """Return a matrix with ones on diagonal `k`."""
    cols = rows if cols is None else cols
    target = dt.FLOAT32 if dtype is None else dt.check_dtype(dtype)
    shape = check_shape((rows, cols))
    on = diagonal_relation(shape, "equal", k)
    return lazy(device, cast_node(on, target))


def diagonal_relation(shape: Shape, relation: str, k: int) -> Node:
    """Return the bool node ``column <relation> row + k`` over the last two axes."""
    rows, cols = shape[-2:]
    k = max(-rows - 1, min(cols + 1, operator.index(k)))
    ndim = len(shape)
    row = cast_node(view(iota(rows), shape, ((0, ndim - 2, 1),)), dt.INT32)
    col = cast_node(view(iota(cols), shape, ((0, ndim - 1, 1),)), dt.INT32)
    return op_node(relation, col, op_node("add", row, const(k, dt.INT32)))
