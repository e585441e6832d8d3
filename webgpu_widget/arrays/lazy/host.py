"""Data of this process as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.node import Node
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.lazy.value import is_array, wrap
from webgpu_widget.arrays.values import refuse_masked
from webgpu_widget.errors import ShapeError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.dtypes import DType
    from webgpu_widget.device.device import Device


_OF_PYTHON = {"b": dt.BOOL, "i": dt.INT32, "u": dt.INT32, "f": dt.FLOAT32, "c": dt.COMPLEX64}
"""The dtype of Python's numbers, by the kind that NumPy gives them."""


def _host_scalars(value: Any) -> Any:
    """Return nested lists with GPUArrays in them read back."""
    if is_array(value):
        return value.numpy()
    if isinstance(value, (list, tuple)):
        return [_host_scalars(v) for v in value]
    return value


def host_array(value: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """Return host data as a NumPy array of a dtype that arrays can have; Python numbers become int32, float32 and complex64.

    Raises
    ------
    DTypeError
        For what holds no numbers, for NumPy data of 64 bits, when no dtype is given, and for numbers with a fraction where integers are asked for.
    ShapeError
        For lists whose parts differ in length or depth.
    RangeError
        For values that do not fit.
    """
    refuse_masked(value, "an array of the host")
    if isinstance(value, (list, tuple)):
        value = _host_scalars(value)
        from_python = not _has_numpy(value)
    else:
        from_python = isinstance(value, (bool, int, float, complex, range)) and not isinstance(value, np.generic)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{value!r:.80} is no array: its parts differ in length or depth ({error}).") from None
    if from_python and array.dtype.kind == "O" and all(isinstance(item, (int, float)) for item in array.flat):
        # Integers beyond 64 bits.
        array = _of_large(array, dtype)
    if array.dtype.kind in "OSU" and not isinstance(value, (np.ndarray, np.generic)):
        raise dt.DTypeError(
            f"{value!r:.80} of type {type(value).__name__} is no number and no array of numbers. Pass numbers, a list of them (list(x) of what is iterated), "
            "or a NumPy array."
        )
    target = (dtype or _OF_PYTHON.get(array.dtype.kind)) if from_python else dtype
    numbers = from_python or isinstance(value, np.generic) or array.dtype in dt.narrowed.get()
    return dt.converted(array, target or dt.check_dtype(array.dtype), numbers=numbers)


def _of_large(array: np.ndarray[Any, Any], dtype: DType | None) -> np.ndarray[Any, Any]:
    """Return numbers beyond 64 bits as doubles, where floats are asked for or among them; integers do not fit."""
    if dtype is None:
        dtype = dt.FLOAT32 if any(isinstance(item, float) for item in array.flat) else dt.INT32
    if dtype.kind in "iu":
        for item in array.flat:
            dt.fit_scalar(item, dtype)
    return np.array([dt.as_float(item) for item in array.flat]).reshape(array.shape)


def _has_numpy(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_has_numpy(v) for v in value)
    return isinstance(value, (np.ndarray, np.generic))


def from_host(device: Device, value: Any, dtype: Any = None) -> GPUArray:
    """Upload host data."""
    target = None if dtype is None else dt.check_dtype(dtype)
    array = host_array(value, target)
    runtime = runtime_of(device)
    runtime.check_open()
    storage = runtime.upload(dt.to_storage(array), array.dtype) if array.size else runtime.allocate(0, array.dtype)
    return wrap(device, Node("leaf", (), array.shape, array.dtype, storage=storage))
