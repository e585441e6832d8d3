"""Structs that stay in the browser's GPU memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer, Span
    from webgpu_widget.link.protocol import TypeInfo

__all__ = ["GPURecords"]


class GPURecords:
    """Structs in the browser's GPU memory: a kernel's output of a struct type.

    ``numpy()`` gives a structured array, or for a single struct a dict.
    """

    def __init__(
        self,
        device: Device,
        buffer: Buffer,
        size_bytes: int,
        unpack: Any,
        shape: tuple[int, ...],
        dtype: np.dtype[Any] | None,
        layout: TypeInfo,
    ) -> None:
        self._device = device
        self._memory = buffer
        self._size_bytes = size_bytes
        self._unpack = unpack
        self.shape = shape
        self.dtype = dtype
        self._layout = layout

    @property
    def size(self) -> int:
        """How many structs there are."""
        return math.prod(self.shape)

    def _buffer(self) -> Buffer:
        return self._memory

    def _spans(self) -> list[Span]:
        return [(self._memory, 0, self._size_bytes)]

    def _from_bytes(self, parts: Sequence[np.ndarray[Any, Any]]) -> Any:
        return self._unpack(parts[0])

    def numpy(self, timeout: float | None = 30.0) -> Any:
        """Return the values: a structured array, or a dict by field name."""
        return self._from_bytes(self._device.queue.read(self._spans(), timeout))

    async def numpy_async(self, timeout: float | None = 30.0) -> Any:
        """Coroutine twin of `numpy`."""
        return self._from_bytes(await self._device.queue.read_async(self._spans(), timeout))

    def free(self) -> None:
        """Give the memory back."""
        self._memory.free()

    def __repr__(self) -> str:
        return f"GPURecords(shape={self.shape}, dtype={self.dtype})"
