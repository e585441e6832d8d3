"""The methods of `GPU` that make arrays: of numbers, and of structs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from webgpu_widget.arrays import creation
from webgpu_widget.arrays.lazy.create import check_shape
from webgpu_widget.arrays.values import refuse_masked
from webgpu_widget.kernels.records import GPURecords, make_records, zero_records

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

__all__ = ["Creation"]


def _structured(dtype: Any) -> np.dtype[Any] | None:
    """Return a dtype with fields; None for all others."""
    if isinstance(dtype, (list, dict)):
        return np.dtype(cast("Any", dtype))
    found = getattr(dtype, "dtype", dtype)
    return found if isinstance(found, np.dtype) and found.names is not None else None


class Creation(creation.Creation):
    """Arrays on this GPU, from host data and from nothing."""

    def array(self, x: Any, dtype: Any = None) -> GPUArray | Any:
        """Copy values to the GPU.

        Parameters
        ----------
        x : array_like
            Python floats become float32, ints int32; arrays keep their dtype. Structured arrays become `GPURecords`, which kernels take for their
            variables of structs.
        dtype : dtype, optional
            To convert to first, in NumPy.

        Returns
        -------
        GPUArray or GPURecords

        Raises
        ------
        DTypeError
            For 64-bit arrays and others that WebGPU has not; nothing is rounded silently.
        ClosedError
            When the GPU is closed.
        """
        if isinstance(x, GPURecords):
            return self._copied(x, dtype)
        wanted = _structured(dtype)
        if wanted is None and isinstance(x, (np.ndarray, np.void)) and x.dtype.names is not None:
            wanted = x.dtype
        if wanted is None:
            return super().array(x, dtype)
        self._device.check_open()
        refuse_masked(x, "gpu.array")
        return make_records(self._device, np.asarray(x, wanted))

    def _copied(self, records: GPURecords, dtype: Any) -> GPURecords:
        wanted = _structured(dtype)
        if records._device is self._device and (wanted is None or wanted == records.dtype):
            return records.copy()
        values = records.numpy()
        return make_records(self._device, values if wanted is None else np.asarray(values, wanted))

    def empty(self, shape: creation.Shape, dtype: Any = np.float32) -> GPUArray | Any:
        """Return an array that is to be written; what is in it is undefined (zeros for a structured dtype).

        Parameters
        ----------
        shape : int or tuple of int
            Lengths of the axes.
        dtype : dtype
            Of the result; `GPURecords` for a structured one.

        Examples
        --------
        >>> gpu.empty((2, 3)).shape
        (2, 3)
        """
        wanted = _structured(dtype)
        return super().empty(shape, dtype) if wanted is None else self._zero_records(shape, wanted)

    def zeros(self, shape: creation.Shape, dtype: Any = np.float32) -> GPUArray | Any:
        """Return an array of zeros.

        Parameters
        ----------
        shape : int or tuple of int
            Lengths of the axes.
        dtype : dtype
            Of the result; `GPURecords` for a structured one.

        Examples
        --------
        >>> gpu.zeros(3)
        GPUArray([0., 0., 0.], shape=(3,), dtype=float32)
        """
        wanted = _structured(dtype)
        return super().zeros(shape, dtype) if wanted is None else self._zero_records(shape, wanted)

    def _zero_records(self, shape: creation.Shape, dtype: np.dtype[Any]) -> GPURecords:
        self._device.check_open()
        return zero_records(self._device, check_shape(shape), dtype)
