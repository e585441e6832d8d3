"""What a loaded tensor is when one ``GPUArray`` cannot be it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget import shaders
from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.link.steps import Steps, drive, drive_async
from webgpu_widget.shaders.uniforms import uniform
from webgpu_widget.weights.convert import GROUP

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from webgpu_widget.gpu import GPU

__all__ = ["QuantizedArray", "SplitArray"]


class QuantizedArray:
    """A matrix in int8 or int4: packed integers, and a scale for each group of 32 along the last axis.

    Parameters
    ----------
    packed : GPUArray
        uint32, (..., last / 4) for int8 and (..., last / 8) for int4; the first element lowest in a word. int8 is signed; int4
        is 0 to 15 and means the value less 8.
    scales : GPUArray
        float32, (..., last / 32). The element is ``scale * q``.
    shape : tuple of int
    bits : int
        8 or 4.
    """

    dtype: str

    def __init__(self, packed: GPUArray, scales: GPUArray, shape: Sequence[int], bits: int) -> None:
        self.packed = packed
        self.scales = scales
        self.shape = tuple(shape)
        self.bits = bits
        self.dtype = f"int{bits}"

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in the browser, scales included."""
        return self.packed.nbytes + self.scales.nbytes

    @property
    def device(self) -> GPU:
        """The GPU that it lives on."""
        return self.packed.device

    def dequantize(self) -> GPUArray:
        """Make the float32 array that this stands for, on the GPU."""
        device = self.packed._device
        queue = device.queue
        out = queue.alloc(self.size * 4, label="dequantized")
        name = f"dequantize_int{self.bits}"
        groups = max(1, math.ceil(self.size / 64))
        x = min(groups, 32768)
        queue.dispatch(
            queue.pipeline(shaders.load(f"weights/{name}"), name),
            [
                (0, 0, self.packed._buffer()),
                (0, 1, self.scales._buffer()),
                (0, 2, out),
                (1, 0, uniform(f"weights/{name}").pack(count=self.size, flag=0, pad0=0, pad1=0)),
            ],
            (x, math.ceil(groups / x), 1),
        )
        return GPUArray(device, out, self.shape, np.float32)

    def numpy(self, timeout: float | None = 30.0) -> npt.NDArray[np.float32]:
        """Read the float32 values back."""
        return drive(self._numpy_steps(), timeout)

    async def numpy_async(self, timeout: float | None = 30.0) -> npt.NDArray[np.float32]:
        """Coroutine twin of `numpy`."""
        return await drive_async(self._numpy_steps(), timeout)

    def _numpy_steps(self) -> Steps[npt.NDArray[np.float32]]:
        return self.dequantize()._numpy_steps()

    def free(self) -> None:
        """Give the memory back."""
        self.packed.free()
        self.scales.free()

    def __repr__(self) -> str:
        return f"QuantizedArray(shape={self.shape}, dtype={self.dtype}, groups of {GROUP})"


class SplitArray:
    """A tensor larger than one binding: rows in several arrays.

    Parameters
    ----------
    parts : sequence of GPUArray or QuantizedArray
        Cut along axis 0.
    shape : tuple of int
        Of the whole.
    """

    def __init__(self, parts: Sequence[GPUArray | QuantizedArray], shape: Sequence[int]) -> None:
        self.parts = tuple(parts)
        self.shape = tuple(shape)
        self.dtype = parts[0].dtype
        self.rows = tuple(part.shape[0] for part in parts)

    @property
    def nbytes(self) -> int:
        """Bytes in the browser."""
        return sum(part.nbytes for part in self.parts)

    @property
    def device(self) -> GPU:
        """The GPU that it lives on."""
        return self.parts[0].device

    def numpy(self, timeout: float | None = 30.0) -> npt.NDArray[Any]:
        """Read the whole back."""
        return drive(self._numpy_steps(), timeout)

    async def numpy_async(self, timeout: float | None = 30.0) -> npt.NDArray[Any]:
        """Coroutine twin of `numpy`."""
        return await drive_async(self._numpy_steps(), timeout)

    def _numpy_steps(self) -> Steps[npt.NDArray[Any]]:
        parts = []
        for part in self.parts:
            parts.append((yield from part._numpy_steps()))  # noqa: PERF401 - no comprehension may yield
        return np.concatenate(parts)

    def free(self) -> None:
        """Give the memory back."""
        for part in self.parts:
            part.free()

    def __repr__(self) -> str:
        return f"SplitArray(shape={self.shape}, dtype={self.dtype}, {len(self.parts)} parts of {self.rows[0]} rows)"
