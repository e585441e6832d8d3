"""The values of an array as text: what repr, str and format show, without ever raising or waiting long."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.errors import CancelledError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.device.device import Device
    from webgpu_widget.link.connection import Request

MOMENT_S = 1.0
"""How long text waits for the values, in all, however busy the page says that it is."""
_WHOLE = 1000
"""More elements are shown by their edges, as in NumPy."""
_EDGE = 3


def _edges(x: GPUArray) -> GPUArray:
    """Return the corners of a large array, one more than NumPy shows, so that it knows that something is left out."""
    for axis, side in enumerate(x.shape):
        if side > 2 * _EDGE + 1:
            before = (slice(None),) * axis
            x = shapes.concat([x[(*before, slice(0, _EDGE + 1))], x[(*before, slice(side - _EDGE, None))]], axis)
    return x


def _unreachable(x: GPUArray) -> bool:
    """Whether it is known beforehand that nothing can be read now."""
    device = x._device
    if x._freed or device.closed or device.known is None or not device.queue.connection.connected:
        return True
    return bool(runtime_of(device).recording or device.queue.composing != device.queue.generation)


def _wait(device: Device, request: Request) -> None:
    """Wait a moment for a request, whatever the page reports meanwhile."""
    connection = device.queue.connection
    late = CancelledError("the values were not there in a moment")
    timer = threading.Timer(MOMENT_S, connection.cancel, (request, late))
    timer.daemon = True
    timer.start()
    try:
        connection.wait(request, MOMENT_S)
    finally:
        timer.cancel()


def values_now(x: GPUArray) -> np.ndarray[Any, Any] | None:
    """Return the values, of a large array its edges, if they can be had in a moment.

    None for what is freed, or while its GPU is gone, closed, not there yet, busy or recording.
    """
    try:
        if _unreachable(x):
            return None
        if not x.size:
            return np.empty(x.shape, x.dtype)
        part = _edges(x) if x.size > _WHOLE else x
        request, parts = x._device.queue.start_read(part._spans(), "values to show")
        _wait(x._device, request)
        return dt.from_storage(parts[0], part.shape, part.dtype)
    except Exception:  # noqa: BLE001 - text is made in debuggers and tracebacks too, where an error would hide another
        return None


def _text(x: GPUArray, values: np.ndarray[Any, Any], **options: Any) -> str:
    cut = x.size > _WHOLE
    return np.array2string(values, threshold=0 if cut else _WHOLE, edgeitems=_EDGE, **options)


def _described(x: GPUArray) -> str:
    state = "freed, " if x._freed else ""
    return f"GPUArray({state}shape={x.shape}, dtype={x.dtype.name})"


def representation(x: GPUArray) -> str:
    """Return what ``repr`` shows: values, shape and dtype, or the last two alone."""
    values = values_now(x)
    if values is None:
        return _described(x)
    start = "GPUArray("
    return f"{start}{_text(x, values, separator=', ', prefix=start)}, shape={x.shape}, dtype={x.dtype.name})"


def plain(x: GPUArray) -> str:
    """Return what ``str`` shows: the values as NumPy shows them."""
    values = values_now(x)
    if values is None:
        return _described(x)
    return str(values[()]) if not x.ndim else _text(x, values)


def formatted(x: GPUArray, spec: str) -> str:
    """Return what ``format`` shows: each value by the format that is given."""
    if not spec:
        return plain(x)
    values = values_now(x)
    if values is None:
        return _described(x)
    if not x.ndim:
        return format(values.item(), spec)
    return _text(x, values, formatter={"all": lambda value: format(value.item(), spec)})
