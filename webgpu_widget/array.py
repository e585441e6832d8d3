"""Arrays that stay in the browser's GPU memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from webgpu_widget import errors, layout
from webgpu_widget._queue import Buffer, Span

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = ["GPUArray", "GPURecords"]

DTYPES = {np.dtype(name) for name in ("float32", "int32", "uint32", "bool", "float16")}


def stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of the bytes in the browser: bool is stored as uint32."""
    return np.dtype(np.uint32) if dtype.kind == "b" else dtype


def check_dtype(dtype: Any, what: str = "dtype") -> np.dtype[Any]:
    """Return a dtype that a GPUArray can have.

    Raises
    ------
    DTypeError
        For 64-bit numbers and others that WebGPU has not; says what to pass instead.
    """
    try:
        found = np.dtype(dtype)
    except TypeError as error:
        raise errors.DTypeError(f"{what} {dtype!r} is not a dtype") from error
    if found in DTYPES:
        return found
    hint = layout._INSTEAD.get(found.name)
    raise errors.DTypeError(
        f"{what} is {found.name}, which WebGPU does not have; there are float32, int32, uint32, bool and float16"
        + (f": pass {hint}" if hint else "")
    )


class GPUArray:
    """An n-dimensional array in the browser's GPU memory, always in C order.

    Made by `GPU.array` and its like, and by kernels. The memory is given back when the object is collected, and at once by `free`.

    Parameters
    ----------
    gpu : GPU
        Where it lives.
    buffer : Buffer
        Its memory.
    shape : tuple of int
        As in NumPy.
    dtype : numpy.dtype
        float32, int32, uint32, bool (stored as uint32) or float16.
    """

    __array_priority__ = 1000

    def __init__(self, gpu: GPU, buffer: Buffer, shape: Sequence[int], dtype: Any) -> None:
        self._gpu = gpu
        self._memory = buffer
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in the browser (4 per element for bool)."""
        return self.size * stored_dtype(self.dtype).itemsize

    @property
    def device(self) -> GPU:
        """The GPU that it lives on."""
        return self._gpu

    def _buffer(self) -> Buffer:
        """Return the memory, with all that was asked of it queued before."""
        return self._memory

    def _buffer_for_writing(self) -> Buffer:
        """Return the memory for a kernel that will change it."""
        return self._memory

    def _spans(self) -> list[Span]:
        return [(self._buffer(), 0, self.nbytes)] if self.size else []

    def _from_bytes(self, parts: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        if not parts:
            return np.empty(self.shape, self.dtype)
        values = parts[0].view(stored_dtype(self.dtype)).reshape(self.shape)
        return values != 0 if self.dtype == np.bool_ else values

    def numpy(self, timeout: float | None = 30.0) -> np.ndarray[Any, Any]:
        """Return the values, waiting for the work that makes them.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence; None waits for ever.

        Raises
        ------
        ClosedError, FrontendError, DeviceError
            When the array is freed, or the page or device lost.
        """
        spans = self._spans()
        return self._from_bytes(self._gpu._queue.read(spans, timeout) if spans else [])

    async def numpy_async(self, timeout: float | None = 30.0) -> np.ndarray[Any, Any]:
        """Coroutine twin of `numpy`."""
        spans = self._spans()
        return self._from_bytes(await self._gpu._queue.read_async(spans, timeout) if spans else [])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if copy is False:
            raise ValueError("a GPUArray cannot become a NumPy array without a copy: it lives in the browser")
        values = self.numpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    def free(self) -> None:
        """Give the memory back; later use raises `ClosedError`."""
        self._memory.free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __repr__(self) -> str:
        state = "freed, " if self._memory.freed else ""
        return f"GPUArray({state}shape={self.shape}, dtype={self.dtype.name})"


class GPURecords:
    """Structs in the browser's GPU memory: a kernel's output of a struct type.

    ``numpy()`` gives a structured array, or for a single struct a dict.
    """

    def __init__(
        self,
        gpu: GPU,
        buffer: Buffer,
        size_bytes: int,
        unpack: Any,
        shape: tuple[int, ...],
        dtype: np.dtype[Any] | None,
    ) -> None:
        self._gpu = gpu
        self._memory = buffer
        self._size_bytes = size_bytes
        self._unpack = unpack
        self.shape = shape
        self.dtype = dtype

    def _buffer(self) -> Buffer:
        return self._memory

    def _spans(self) -> list[Span]:
        return [(self._memory, 0, self._size_bytes)]

    def _from_bytes(self, parts: Sequence[np.ndarray[Any, Any]]) -> Any:
        return self._unpack(parts[0])

    def numpy(self, timeout: float | None = 30.0) -> Any:
        """Return the values: a structured array, or a dict by field name."""
        return self._from_bytes(self._gpu._queue.read(self._spans(), timeout))

    async def numpy_async(self, timeout: float | None = 30.0) -> Any:
        """Coroutine twin of `numpy`."""
        return self._from_bytes(await self._gpu._queue.read_async(self._spans(), timeout))

    def free(self) -> None:
        """Give the memory back."""
        self._memory.free()

    def __repr__(self) -> str:
        return f"GPURecords(shape={self.shape}, dtype={self.dtype})"
