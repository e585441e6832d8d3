"""Creation functions of the array API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import create
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.device.default import as_device, default_device

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
    """Return an array of host data, nested sequences or another array.

    The array API standard's `asarray`.

    Parameters
    ----------
    obj : array_like
        Scalars, nested sequences, NumPy arrays, or a `GPUArray`. Python's floats become float32, its ints int32.
    dtype : dtype, optional
        Of the result; that of `obj` when left out.
    device : GPU, optional
        Where it is made; that of the arrays in `obj`, else `default_gpu`, when left out.
    copy : bool, optional
        True copies always; False raises where a copy is needed, as for all host data; left out, a `GPUArray` that fits is returned itself.

    Raises
    ------
    DTypeError
        For 64-bit arrays and others that WebGPU has not; nothing is rounded silently.
    ValueError
        For ``copy=False`` where a copy is needed.

    Examples
    --------
    >>> xp.asarray([[1, 2], [3, 4]])
    GPUArray([[1, 2],
              [3, 4]], shape=(2, 2), dtype=int32)
    """
    return create.asarray(device_of(device, obj), obj, dtype, copy=copy)


def from_dlpack(x: Any, /, *, device: GPU | None = None, copy: bool | None = None) -> GPUArray:
    """Return an array of another library's data, through this process's memory; an own array as it is.

    The array API standard's `from_dlpack`.

    Parameters
    ----------
    x : object with ``__dlpack__``
        An array of NumPy, PyTorch and the like, in memory that the CPU reads.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.
    copy : bool, optional
        False raises where a copy is needed, as for all foreign data.

    Raises
    ------
    BufferError
        For ``copy=False`` and foreign data.

    Examples
    --------
    >>> xp.from_dlpack(np.arange(3, dtype=np.int32))
    GPUArray([0, 1, 2], shape=(3,), dtype=int32)
    """
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
    """Return evenly spaced values of a half-open interval.

    The array API standard's `arange`.

    Parameters
    ----------
    start : number
        First value; with `start` alone, the values go from 0 to before it.
    stop : number, optional
        End, which is not among the values.
    step : number
        Distance of two values, not 0.
    dtype : dtype, optional
        Of the result; left out, int32 where all three are ints, else float32.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Examples
    --------
    >>> xp.arange(0, 10, 3)
    GPUArray([0, 3, 6, 9], shape=(4,), dtype=int32)
    """
    return create.arange(device_of(device), start, stop, step, dtype)


def empty(shape: int | Sequence[int], *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array whose values are undefined, to be written.

    The array API standard's `empty`.

    Parameters
    ----------
    shape : int or tuple of int
        Lengths of the axes.
    dtype : dtype, optional
        Of the result; float32 when left out.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Examples
    --------
    >>> xp.empty((2, 3)).shape
    (2, 3)
    """
    return create.empty(device_of(device), shape, dtype)


def zeros(shape: int | Sequence[int], *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array of zeros.

    The array API standard's `zeros`.

    Parameters
    ----------
    shape : int or tuple of int
        Lengths of the axes.
    dtype : dtype, optional
        Of the result; float32 when left out.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Examples
    --------
    >>> xp.zeros(3)
    GPUArray([0., 0., 0.], shape=(3,), dtype=float32)
    """
    return create.full(device_of(device), shape, 0, dt.FLOAT32 if dtype is None else dtype)


def ones(shape: int | Sequence[int], *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array of ones.

    The array API standard's `ones`.

    Parameters
    ----------
    shape : int or tuple of int
        Lengths of the axes.
    dtype : dtype, optional
        Of the result; float32 when left out.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Examples
    --------
    >>> xp.ones(3, dtype=xp.int32)
    GPUArray([1, 1, 1], shape=(3,), dtype=int32)
    """
    return create.full(device_of(device), shape, 1, dt.FLOAT32 if dtype is None else dtype)


def full(shape: int | Sequence[int], fill_value: Any, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array with one value everywhere.

    The array API standard's `full`.

    Parameters
    ----------
    shape : int or tuple of int
        Lengths of the axes.
    fill_value : scalar
        The value.
    dtype : dtype, optional
        Of the result; left out, that of the value: bool, int32, float32 or complex64.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Examples
    --------
    >>> xp.full(3, 7)
    GPUArray([7, 7, 7], shape=(3,), dtype=int32)
    """
    return create.full(device_of(device, fill_value), shape, fill_value, dtype)


def empty_like(x: GPUArray, /, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return an array of the shape of another, whose values are undefined.

    The array API standard's `empty_like`.

    Parameters
    ----------
    x : GPUArray
        Gives the shape, and what is left out below.
    dtype : dtype, optional
        Of the result; that of `x` when left out.
    device : GPU, optional
        Where it is made; that of `x` when left out.

    Examples
    --------
    >>> xp.empty_like(xp.zeros((2, 3))).shape
    (2, 3)
    """
    return create.empty(device_of(device, x), x.shape, x.dtype if dtype is None else dtype)


def zeros_like(x: GPUArray, /, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return zeros in the shape of another array.

    The array API standard's `zeros_like`.

    Parameters
    ----------
    x : GPUArray
        Gives the shape, and what is left out below.
    dtype : dtype, optional
        Of the result; that of `x` when left out.
    device : GPU, optional
        Where it is made; that of `x` when left out.

    Examples
    --------
    >>> xp.zeros_like(xp.asarray([3, 4]))
    GPUArray([0, 0], shape=(2,), dtype=int32)
    """
    return create.full(device_of(device, x), x.shape, 0, x.dtype if dtype is None else dtype)


def ones_like(x: GPUArray, /, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return ones in the shape of another array.

    The array API standard's `ones_like`.

    Parameters
    ----------
    x : GPUArray
        Gives the shape, and what is left out below.
    dtype : dtype, optional
        Of the result; that of `x` when left out.
    device : GPU, optional
        Where it is made; that of `x` when left out.

    Examples
    --------
    >>> xp.ones_like(xp.asarray([3, 4]))
    GPUArray([1, 1], shape=(2,), dtype=int32)
    """
    return create.full(device_of(device, x), x.shape, 1, x.dtype if dtype is None else dtype)


def full_like(x: GPUArray, /, fill_value: Any, *, dtype: Any = None, device: GPU | None = None) -> GPUArray:
    """Return one value everywhere, in the shape of another array.

    The array API standard's `full_like`.

    Parameters
    ----------
    x : GPUArray
        Gives the shape, and what is left out below.
    fill_value : scalar
        The value, which must fit the dtype.
    dtype : dtype, optional
        Of the result; that of `x` when left out.
    device : GPU, optional
        Where it is made; that of `x` when left out.

    Examples
    --------
    >>> xp.full_like(xp.asarray([3, 4]), 9)
    GPUArray([9, 9], shape=(2,), dtype=int32)
    """
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
    """Return evenly spaced values of a closed interval; the ends are exact.

    The array API standard's `linspace`.

    Parameters
    ----------
    start, stop : number
        The ends.
    num : int
        How many values, 0 or more.
    dtype : dtype, optional
        Of the result; float32 when left out.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.
    endpoint : bool
        Whether `stop` is the last value; else the values end one step before it.

    Examples
    --------
    >>> xp.linspace(0, 1, 5)
    GPUArray([0.  , 0.25, 0.5 , 0.75, 1.  ], shape=(5,), dtype=float32)
    """
    return create.linspace(device_of(device), start, stop, num, dtype=dtype, endpoint=endpoint)
