"""Buffers that arrays gave back, kept for the next array of the same size."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.device.queue import Queue

_MOST_BYTES = 256 * 1024 * 1024
"""Idle bytes that are kept, and if that is more, two buffers of the size that came back last: a fresh buffer is filled with zeros
before its first use, which costs a large array's kernel as much again."""


class Pool:
    """Idle buffers by size.

    Commands run in order, so a buffer may be written again as soon as its last reader is queued. A buffer that no array
    took between two reads goes back to the browser, and all of them do when the memory is asked for.

    Parameters
    ----------
    queue
        Of the GPU.
    returned
        Where storages put their buffers when they are collected; a deque, since that may happen in any thread.
    """

    def __init__(self, queue: Queue, returned: deque[Buffer]) -> None:
        self._queue = queue
        self._returned = returned
        self._idle: dict[int, deque[tuple[int, Buffer]]] = {}
        self._age = 0
        self.idle_bytes = 0
        # Buffers in use are held here, not by their storages alone: garbage in a cycle is finalized as a whole, and a buffer
        # that a dying storage gives back would be freed in the same breath.
        self._held: set[Buffer] = set()

    def take(self, size_bytes: int) -> Buffer:
        """Return a buffer of the size; what is in it is undefined."""
        self._queue.begin()
        self._collect()
        idle = self._idle.get(size_bytes)
        while idle:
            self.idle_bytes -= size_bytes
            buffer = idle.pop()[1]
            # Buffers of a page or device that is gone are of no use.
            if buffer.generation == self._queue.generation:
                self._held.add(buffer)
                return buffer
        fresh = self._queue.alloc(size_bytes)
        self._held.add(fresh)
        return fresh

    def forget(self, buffer: Buffer) -> None:
        """Let go of a buffer that was freed, or belongs to others from now on."""
        self._held.discard(buffer)

    def _collect(self) -> None:
        returned = self._returned
        while returned:
            try:
                buffer = returned.popleft()
            except IndexError:
                return
            self._held.discard(buffer)
            if buffer.pinned or buffer.freed:
                continue
            self._idle.setdefault(buffer.size_bytes, deque()).append((self._age, buffer))
            self.idle_bytes += buffer.size_bytes
            if self.idle_bytes > _MOST_BYTES:
                self._shrink(max(_MOST_BYTES, 2 * buffer.size_bytes), buffer.size_bytes)

    def _shrink(self, most_bytes: int, kept_size: int) -> None:
        """Give idle buffers back until few enough bytes are left, those of one size last."""
        for size in sorted(self._idle, key=lambda s: (s == kept_size, -s)):
            idle = self._idle[size]
            while idle and self.idle_bytes > most_bytes:
                idle.popleft()[1].free()
                self.idle_bytes -= size
            if not idle:
                del self._idle[size]

    def tick(self) -> None:
        """Note that values were read: buffers idle since the read before go back."""
        self._collect()
        self._drop(self._age)
        self._age += 1

    def trim(self) -> None:
        """Give all idle buffers back to the browser."""
        self._collect()
        self._drop(self._age + 1)

    def _drop(self, before: int) -> None:
        for size, idle in list(self._idle.items()):
            while idle and idle[0][0] < before:
                idle.popleft()[1].free()
                self.idle_bytes -= size
            if not idle:
                del self._idle[size]
