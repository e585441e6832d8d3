"""Buffers that arrays gave back, kept for the next array of the same size."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webgpu_widget.arrays.lazy.node import Storage
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.device.queue import Queue

_MOST_BYTES = 256 * 1024 * 1024
"""Idle bytes that are kept, and if that is more, the large buffers that came back last: a fresh buffer is filled with zeros before its first
use, which costs a large array's kernel as much again, and some drivers ten times as much."""
_LARGE_BYTES = 16 * 1024 * 1024
_THREE_BYTES = 1536 * 1024 * 1024
"""Two of the large buffers that came back last are kept whatever they take, the third up to so many bytes of all three."""


class _Lent(weakref.ref[Any]):
    """A storage's buffer, which comes back when the storage is collected: by a callback that is no Python code, since an interrupt would break it off."""

    __slots__ = ("buffer",)

    buffer: Buffer


class Pool:
    """Idle buffers by size.

    Commands run in order, so a buffer may be written again as soon as its last reader is queued. A buffer that no array
    took between two reads goes back to the browser, and all of them do when the memory is asked for.

    Parameters
    ----------
    queue
        Of the GPU.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        # Filled as storages are collected, in any thread at any time: no lock there.
        self._returned: deque[_Lent] = deque()
        self._idle: dict[int, deque[tuple[int, Buffer]]] = {}
        self._age = 0
        self.idle_bytes = 0
        self._last: deque[int] = deque(maxlen=3)
        # Buffers in use are held here, not by their storages alone: garbage in a cycle is finalized as a whole, and a buffer
        # that a dying storage gives back would be freed in the same breath.
        self._lent: dict[Buffer, _Lent] = {}

    def take(self, size_bytes: int) -> Buffer:
        """Return a buffer of the size; what is in it is undefined."""
        self._queue.begin()
        with self._lock:
            self._collect()
            idle = self._idle.get(size_bytes)
            while idle:
                self.idle_bytes -= size_bytes
                buffer = idle.pop()[1]
                # Buffers of a page or device that is gone are of no use.
                if buffer.generation == self._queue.generation:
                    return buffer
        return self._queue.alloc(size_bytes)

    def lend(self, storage: Storage) -> None:
        """Have the buffer of a storage back when nobody holds that any more."""
        if storage.buffer is not None:
            lent = _Lent(storage, self._returned.append)
            lent.buffer = storage.buffer
            self._lent[storage.buffer] = lent

    def give(self, buffer: Buffer) -> None:
        """Take a buffer back that was never lent: whatever uses it is queued."""
        with self._lock:
            self._keep(buffer)

    def _keep(self, buffer: Buffer) -> None:
        if buffer.pinned or buffer.freed:
            return
        self.idle_bytes += buffer.size_bytes
        self._idle.setdefault(buffer.size_bytes, deque()).append((self._age, buffer))
        if buffer.size_bytes >= _LARGE_BYTES:
            self._last.append(buffer.size_bytes)

    def forget(self, buffer: Buffer) -> None:
        """Let go of a buffer that was freed, or belongs to others from now on."""
        self._lent.pop(buffer, None)

    def _collect(self) -> None:
        returned = self._returned
        while returned:
            # An interrupt between two of these steps frees the buffer, or makes them all anew.
            buffer = returned[0].buffer
            if self._lent.pop(buffer, None) is not None:
                self._keep(buffer)
            returned.popleft()
            if self.idle_bytes > _MOST_BYTES:
                self._shrink()

    def _shrink(self) -> None:
        """Give idle buffers back until few enough bytes are left, those of the sizes that came back last at last."""
        last = tuple(self._last)
        most_bytes = max(_MOST_BYTES, sum(last[-2:]), min(sum(last), _THREE_BYTES))
        for size in sorted(self._idle, key=lambda s: (s in last, -s)):
            idle = self._idle[size]
            while idle and self.idle_bytes > most_bytes:
                idle.popleft()[1].free()
                self.idle_bytes -= size
            if not idle:
                del self._idle[size]

    def forked(self) -> None:
        """Let go, in a forked child, of a lock that another thread may have held."""
        self._lock = threading.Lock()

    def tick(self) -> None:
        """Note that values were read: buffers idle since the read before go back."""
        with self._lock:
            self._collect()
            self._drop(self._age)
            self._age += 1

    def trim(self) -> None:
        """Give all idle buffers back to the browser."""
        with self._lock:
            self._collect()
            self._drop(self._age + 1)

    def _drop(self, before: int) -> None:
        for size, idle in list(self._idle.items()):
            while idle and idle[0][0] < before:
                idle.popleft()[1].free()
                self.idle_bytes -= size
            if not idle:
                del self._idle[size]
