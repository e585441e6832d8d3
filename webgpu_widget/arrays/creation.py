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
        """Return an array that is to be written; what is in it is undefined.

        Parameters
        ----------
        shape : int or tuple of int
            Lengths of the axes.
        dtype : dtype
            Of the result.
        """
        return create.empty(self._device, shape, dtype)

    def zeros(self, shape: Shape, dtype: Any = np.float32) -> GPUArray:
        """Return an array of zeros.

        Parameters
        ----------
        shape : int or tuple of int
            Lengths of the axes.
        dtype : dtype
            Of the result.
        """
        return create.full(self._device, shape, 0, dtype)

    def ones(self, shape: Shape, dtype: Any = np.float32) -> GPUArray:
        """Return an array of ones.

        Parameters
        ----------
        shape : int or tuple of int
            Lengths of the axes.
        dtype : dtype
            Of the result.

        Examples
        --------
        >>> gpu.ones(3)
        GPUArray([1., 1., 1.], shape=(3,), dtype=float32)
        """
        return create.full(self._device, shape, 1, dtype)

    def full(self, shape: Shape, fill_value: Any, dtype: Any = np.float32) -> GPUArray:
        """Return an array with one value everywhere.

        Parameters
        ----------
        shape : int or tuple of int
            Lengths of the axes.
        fill_value : scalar
            The value, which must fit the dtype.
        dtype : dtype
            Of the result.

        Raises
        ------
        DTypeError, RangeError
            When the dtype does not have the value.

        Examples
        --------
        >>> gpu.full(3, 7.0)
        GPUArray([7., 7., 7.], shape=(3,), dtype=float32)
        """
        return create.full(self._device, shape, fill_value, dtype)

    def arange(self, start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> GPUArray:
        """Return evenly spaced values of a half-open interval.

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

        Examples
        --------
        >>> gpu.arange(0, 10, 3)
        GPUArray([0, 3, 6, 9], shape=(4,), dtype=int32)
        """
        return create.arange(self._device, start, stop, step, dtype)

    def linspace(
        self, start: float, stop: float, num: int = 50, *, endpoint: bool = True, dtype: Any = None
    ) -> GPUArray:
        """Return evenly spaced values of a closed interval; the ends are exact.

        Parameters
        ----------
        start, stop : number
            The ends.
        num : int
            How many values, 0 or more.
        endpoint : bool
            Whether `stop` is the last value; else the values end one step before it.
        dtype : dtype, optional
            Of the result; float32 when left out.

        Examples
        --------
        >>> gpu.linspace(0, 1, 5)
        GPUArray([0.  , 0.25, 0.5 , 0.75, 1.  ], shape=(5,), dtype=float32)
        """
        return create.linspace(self._device, start, stop, num, dtype=dtype, endpoint=endpoint)

    def eye(self, n: int, m: int | None = None, k: int = 0, dtype: Any = np.float32) -> GPUArray:
        """Return a matrix with ones on a diagonal and zeros elsewhere.

        Parameters
        ----------
        n : int
            Number of rows.
        m : int, optional
            Number of columns; as many as rows when left out.
        k : int
            Which diagonal: 0 the main one, above it where positive, below it where negative.
        dtype : dtype
            Of the result.

        Examples
        --------
        >>> gpu.eye(2, 3, k=1)
        GPUArray([[0., 1., 0.],
                  [0., 0., 1.]], shape=(2, 3), dtype=float32)
        """
        return create.eye(self._device, n, m, k=k, dtype=dtype)

    def random(self, shape: Shape, seed: int = 0) -> GPUArray:
        """Return float32 values uniform on [0, 1). See `webgpu_widget.xp.random` for more.

        Parameters
        ----------
        shape : int or tuple of int
            Lengths of the axes.
        seed : int
            Any, of which the low 64 bits count; the same seed gives the same values on every adapter.

        Examples
        --------
        >>> gpu.random((2, 3), seed=1).shape
        (2, 3)
        """
        return random.uniform(self._device, shape, seed)


def _array_class() -> type[GPUArray]:
    from webgpu_widget.arrays.array import GPUArray

    return GPUArray
