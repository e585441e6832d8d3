"""What an array is to the package: a node of an expression, or the memory that it became, and how that is read, written and given back.

`GPUArray` adds what users see. This room makes arrays without knowing that class: the one class that is made of `Value` says so itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeGuard

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.assign import assign_in_place
from webgpu_widget.arrays.lazy.node import Node, Storage, size_of
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.lazy.sharing import copied, evict
from webgpu_widget.device.queue import RECORDERS
from webgpu_widget.errors import ClosedError, WebGPUWidgetError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.origin import Link
    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer, Span


class Value:
    """An array on a device; see `GPUArray`."""

    __slots__ = ("__weakref__", "_device", "_freed", "_node", "_origin", "_version")
    _class: ClassVar[type[GPUArray]]

    def __init_subclass__(cls) -> None:
        """Take the first class that is made of this one as that of all arrays."""
        if not hasattr(Value, "_class"):
            Value._class = cls  # type: ignore[assignment] # it is GPUArray, whose module imports this one

    def __init__(self, device: Device, buffer: Buffer, shape: Sequence[int], dtype: Any) -> None:
        storage = Storage(runtime_of(device), buffer)
        self._start(device, Node("leaf", (), tuple(int(n) for n in shape), np.dtype(dtype), storage=storage))

    def _start(self, device: Device, node: Node) -> None:
        self._device = device
        self._node = node
        self._freed = False
        self._version = 0
        self._origin: tuple[Link, ...] | None = None
        node.add_reader(self)
        if RECORDERS:
            device.queue.check_recorders()
            if device.queue.recording:
                runtime_of(device).sharing.made(self)

    @classmethod
    def _of(cls, device: Device, node: Node) -> Self:
        self = cls.__new__(cls)
        self._start(device, node)
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Sides, as in NumPy."""
        return self._node.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The elements' NumPy dtype."""
        return self._node.dtype

    @property
    def size(self) -> int:
        """Number of elements."""
        return size_of(self._node.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._node.shape)

    # ------------------------------------------------------------ memory, for kernels

    def _check(self) -> None:
        if self._freed:
            raise ClosedError(f"The array of shape {self.shape} was freed. Keep a copy() of what is needed later.")

    def _buffer(self) -> Buffer:
        """Return the memory, with all that was asked of it queued before."""
        self._check()
        runtime = runtime_of(self._device)
        runtime.check_open()
        if runtime.recording:
            runtime.sharing.claim([self])
        return runtime.buffer(self._node)

    @property
    def _memory(self) -> Buffer:
        """The memory, for those who drive the queue themselves."""
        return self._buffer()

    def _buffer_for_writing(self) -> Buffer:
        """Return the memory for a kernel that will change it; others that read the old values keep them."""
        links = self._origin
        buffer = self._storage_for_writing().buffer
        self._origin = links
        assert buffer is not None  # noqa: S101 - materialised
        return buffer

    def _storage_for_writing(self) -> Storage:
        self._check()
        runtime = runtime_of(self._device)
        runtime.check_open()
        self._version += 1
        self._origin = None
        with runtime.lock:
            if runtime.recording:
                runtime.sharing.claim([self])
            storage = runtime.materialise(self._node)
            if storage.inhabitant is self:
                evict(runtime, storage, self)
            elif not (storage.is_open_to(self) and self._node.exclusive(self)):
                self._rebind(copied(runtime, self._node))
                storage = runtime.materialise(self._node)
            return storage

    def _rebind(self, node: Node) -> None:
        # In this order: an interrupt between the two leaves a reader too many, and never one that is not known.
        node.add_reader(self)
        self._node = node

    def _assign(self, node: Node) -> None:
        """Take the values of a node of the same shape and dtype."""
        self._check()
        runtime = runtime_of(self._device)
        self._version += 1
        self._origin = None
        if runtime.recording:
            runtime.sharing.claim([self])
        storage = self._node.storage
        if storage is None or not (storage.inhabitant is self or (runtime.recording and storage.is_open_to(self))):
            self._rebind(runtime.admit(node))
            return
        if assign_in_place(runtime, self, node):
            return
        source = node
        if node.storage is None or node.storage is storage:
            source = Node("leaf", (), node.shape, node.dtype, storage=runtime.materialise(node))
        if source.storage is not storage and self.size:
            target = self._storage_for_writing()
            runtime.copy(source, target)

    def free(self) -> None:
        """Give the memory back at once; later use raises `ClosedError`.

        Expressions that were made of the array and not computed yet are computed first.

        Examples
        --------
        >>> x = gpu.array([1.0, 2.0])
        >>> x.free()
        """
        if self._freed:
            return
        storage = self._node.storage
        if storage is not None and storage.buffer is not None:
            runtime = runtime_of(self._device)
            if not self._device.closed:
                for node in [n for n in (r() for r in storage.nodes) if n is not None]:
                    for pending in list(node.pending_readers()):
                        runtime.materialise(pending)
            shared = any(
                reader is not self and not isinstance(reader, Node)
                for node in (r() for r in storage.nodes)
                if node is not None
                for reader in (ref() for ref in node.readers)
                if reader is not None
            )
            # What a program is being made of is kept by it.
            if not shared and not (runtime_of(self._device).recording and storage.buffer.pinned):
                storage.free()
        self._freed = True

    def _spans(self) -> list[Span]:
        size = self.size
        if not size:
            self._check()
            return []
        if self._device.queue.recording:
            raise WebGPUWidgetError(
                "Nothing can be read while gpu.record() records, since nothing has run; read after the with block."
            )
        return [(self._buffer(), 0, dt.nbytes_stored(size, self.dtype))]

    def _from_bytes(self, parts: Sequence[Any]) -> np.ndarray[Any, Any]:
        runtime_of(self._device).pool.tick()
        if not parts:
            return np.empty(self.shape, self.dtype)
        return dt.from_storage(parts[0], self.shape, self.dtype)


def wrap(device: Device, node: Node) -> GPUArray:
    """Return an array for a node."""
    return Value._class._of(device, node)


def is_array(value: object) -> TypeGuard[GPUArray]:
    """Whether the value is a GPUArray."""
    return isinstance(value, Value)
