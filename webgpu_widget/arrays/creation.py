"""The methods of `GPU` that make arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import create, random

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.device.device import Device

Shape = int | Sequence[int]


class Creation:
    """Arrays on this GPU, from host data and from nothing."""

    _device: Device

    def array(self, x: Any, dtype: Any = None) -> GPUArray:
        """Copy values to the GPU.

        Parameters
        ----------
        x : array_like
            Python floats become float32, ints int32; arrays keep their dtype.
        dtype : dtype, optional
            To convert to first, in NumPy.

        Raises
        ------
        DTypeError
            For 64-bit arrays and others that WebGPU has not; nothing is rounded silently.
        ClosedError
            When the GPU is closed.
        """
        return create.asarray(self._device, x, dtype, copy=True if isinstance(x, _array_class()) else None)

    def empty(self, shape: Shape, dtype: Any = np.float32) -> GPUArray:
        """Return an array that is to be written; what is in it is undefined."""
        return create.empty(self._device, shape, dtype)

    def zeros(self, shape: Shape, dtype: Any = np.float32) -> GPUArray:
        """Return an array of zeros."""
        return create.full(self._device, shape, 0, dtype)

    def ones(self, shape: Shape, dtype: Any = np.float32) -> GPUArray:
        """Return an array of ones."""
        return create.full(self._device, shape, 1, dtype)

    def full(self, shape: Shape, fill_value: Any, dtype: Any = np.float32) -> GPUArray:
        """Return an array with one value everywhere."""
        return create.full(self._device, shape, fill_value, dtype)

    def arange(self, start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> GPUArray:
        """Return evenly spaced values from `start` (0 when only one is given) to before `stop`: int32, or float32 for floats."""
        return create.arange(self._device, start, stop, step, dtype)

    def linspace(
        self, start: float, stop: float, num: int = 50, *, endpoint: bool = True, dtype: Any = None
    ) -> GPUArray:
        """Return `num` evenly spaced float32 values; the ends are exact."""
        return create.linspace(self._device, start, stop, num, dtype=dtype, endpoint=endpoint)

    def eye(self, n: int, m: int | None = None, k: int = 0, dtype: Any = np.float32) -> GPUArray:
        """Return a matrix with ones on diagonal `k` and zeros elsewhere."""
        return create.eye(self._device, n, m, k=k, dtype=dtype)

    def random(self, shape: Shape, seed: int = 0) -> GPUArray:
        """Return float32 values uniform on [0, 1): for one seed the same on every adapter. See `webgpu_widget.xp.random` for more."""
        return random.uniform(self._device, shape, seed)


def _array_class() -> type[GPUArray]:
    from webgpu_widget.arrays.array import GPUArray

    return GPUArray
