"""Creation functions of the array API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import create
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import const, lazy, op_node, same_gpu
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.node import node_of
from webgpu_widget.arrays.lazy.shape import broadcast_to, reshape
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.device.default import as_device, default_device
from webgpu_widget.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.device.device import Device
    from webgpu_widget.gpu import GPU


def device_of(device: GPU | None, *values: Any) -> Device:
    """Return the device meant: `device`, else where the values are, else the default one."""
    if device is not None:
        return as_device(device)
    for value in values:
        if is_array(value):
            return value._device
        if isinstance(value, (list, tuple)):
            for inner in value:
                if is_array(inner):
                    return inner._device
    return default_device()


def asarray(obj: Any, /, *, dtype: Any = None, device: GPU | None = None, copy: bool | None = None) -> GPUArray:
    """Return an array of host data, nested sequences or another array."""
    return create.asarray(device_of(device, obj), obj, dtype, copy=copy)


def from_dlpack(x: Any, /, *, device: GPU | None = None, copy: bool | None = None) -> GPUArray:
    """Return an array of another library's data, through this process's memory; an own array as it is."""
    if is_array(x):
        found = device_of(device, x)
        if found is x._device:
            return x.copy() if copy else x
        return create.asarray(found, x, copy=copy)
    if copy is False:
        raise BufferError("Foreign data cannot be on the GPU without a copy: leave out copy=False.")
    return from_host(device_of(device), np.from_dlpack(x))


def arange(
    start: float, /, stop: float | None = None, step: float = 1, *, dtype: Any = None, device: GPU | None = None
) -> GPUArray:
    """Return evenly spaced values of a half-open interval."""
    return create.arange(device_of(device), start, stop, step, dtype)


def empty(shape: int | Sequence[int], *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array whose values are undefined."""
    return create.empty(device_of(device), shape, dtype)


def zeros(shape: int | Sequence[int], *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array of zeros."""
    return create.full(device_of(device), shape, 0, dt.FLOAT32 if dtype is None else dtype)


def ones(shape: int | Sequence[int], *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array of ones."""
    return create.full(device_of(device), shape, 1, dt.FLOAT32 if dtype is None else dtype)


def full(shape: int | Sequence[int], fill_value: Any, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array with one value everywhere; the dtype is the value's where none is given."""
    return create.full(device_of(device, fill_value), shape, fill_value, dtype)


def empty_like(x: GPUArray, /, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array of x's shape whose values are undefined."""
    return create.empty(device_of(device, x), x.shape, x.dtype if dtype is None else dtype)


def zeros_like(x: GPUArray, /, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return zeros of x's shape."""
    return create.full(device_of(device, x), x.shape, 0, x.dtype if dtype is None else dtype)


def ones_like(x: GPUArray, /, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return ones of x's shape."""
    return create.full(device_of(device, x), x.shape, 1, x.dtype if dtype is None else dtype)


def full_like(x: GPUArray, /, fill_value: Any, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return one value everywhere, in x's shape."""
    return create.full(device_of(device, x), x.shape, fill_value, x.dtype if dtype is None else dtype)


def linspace(
    start: float,
    stop: float,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: GPU | None = None,
    endpoint: bool = True,
) -> GPUArray:
    """Return `num` evenly spaced values; the ends are exact."""
    return create.linspace(device_of(device), start, stop, num, dtype=dtype, endpoint=endpoint)


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: GPU | None = None
) -> GPUArray:
    """Return a matrix with ones on diagonal `k` and zeros elsewhere."""
    return create.eye(device_of(device), n_rows, n_cols, k=k, dtype=dtype)


def meshgrid(*arrays: GPUArray, indexing: str = "xy") -> tuple[GPUArray, ...]:
    """Return coordinate matrices of coordinate vectors."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}.")
    if not arrays:
        return ()
    same_gpu("meshgrid", list(arrays))
    if any(a.ndim != 1 for a in arrays):
        raise ShapeError(f"meshgrid takes 1-D arrays, not shapes {' and '.join(str(a.shape) for a in arrays)}.")
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[:2] = [1, 0]
    shape = tuple(arrays[i].size for i in order)
    lines = [reshape(a, tuple(a.size if i == k else 1 for k in order)) for i, a in enumerate(arrays)]
    return tuple(broadcast_to(line, shape).copy() for line in lines)


def _triangle(x: GPUArray, relation: str, k: int) -> GPUArray:
    if x.ndim < 2:
        raise ShapeError(f"A triangle is of matrices, with at least 2 axes, not of shape {x.shape}.")
    same_gpu("triangle", [x])
    kept = create.diagonal_relation(x.shape[-2:], relation, k)
    return lazy(x._device, op_node("where", kept, node_of(x), const(0, x.dtype)))


def tril(x: GPUArray, /, *, k: int = 0) -> GPUArray:
    """Return the matrices with zeros above diagonal `k`."""
    return _triangle(x, "less_equal", k)


def triu(x: GPUArray, /, *, k: int = 0) -> GPUArray:
    """Return the matrices with zeros below diagonal `k`."""
    return _triangle(x, "greater_equal", k)
