"""What the browser holds for Python, by number: buffers, textures, pipelines; and recordings on their way there."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webgpu_widget.device.queue import Queue
    from webgpu_widget.kernels.entry import Entry
    from webgpu_widget.link.connection import Request
    from webgpu_widget.link.protocol import CompileResult

Bytes = bytes | bytearray | memoryview
Span = tuple["Buffer", int, int]
"""(buffer, byte offset, size in bytes)"""


class Lease(weakref.ref[Any]):
    """What tells the browser to let something go when the object that stands for it here is collected.

    A ``__del__`` is Python code, which an interrupt may break off, and Python only prints that. This is a reference whose callback is a deque's ``append``.
    """

    __slots__ = ("command", "generation", "handle")

    command: dict[str, Any]
    generation: int
    handle: int


class Buffer:
    """Memory in the browser; given back when this object is collected, or by `free`."""

    __slots__ = ("__weakref__", "_queue", "freed", "generation", "handle", "pinned", "size_bytes")

    def __init__(self, queue: Queue, handle: int, size_bytes: int) -> None:
        self._queue = queue
        self.handle = handle
        self.size_bytes = size_bytes
        self.generation = queue.composing
        self.freed = False
        self.pinned = False
        """Whether a program names it: then it is never used for anything else."""
        queue.lend(self, {"op": "free-buffer", "buffer": handle}, handle)

    def free(self) -> None:
        """Give the memory back once what was queued before has run."""
        if not self.freed:
            self.freed = True
            self._queue.take_back(self.handle)


class Texture:
    """A texture in the browser."""

    __slots__ = ("__weakref__", "_queue", "format", "freed", "generation", "handle", "size")

    def __init__(self, queue: Queue, handle: int, texture_format: str, size: tuple[int, int, int]) -> None:
        self._queue = queue
        self.handle = handle
        self.format = texture_format
        self.size = size
        self.generation = queue.composing
        self.freed = False
        queue.lend(self, {"op": "free-texture", "texture": handle}, handle)

    def free(self) -> None:
        """As `Buffer.free`."""
        if not self.freed:
            self.freed = True
            self._queue.take_back(self.handle)


class Sampler:
    """How a texture is sampled: a description; the engine keeps one sampler of each.

    Parameters
    ----------
    description : dict
        ``filter`` and ``address``, as in `sampler`.
    """

    __slots__ = ("description",)

    def __init__(self, description: dict[str, str]) -> None:
        self.description = description


class Pipeline:
    """WGSL with an entry point and constants, being compiled in the browser; given back when this object is collected."""

    __slots__ = (
        "__weakref__",
        "constants",
        "entry",
        "entry_point",
        "generation",
        "handle",
        "label",
        "request",
        "result",
        "source",
    )

    def __init__(
        self,
        queue: Queue,
        handle: int,
        source: str,
        label: str,
        entry_point: str | None,
        constants: dict[str, float],
    ) -> None:
        self.handle = handle
        self.generation = queue.composing
        self.source = source
        self.label = label
        self.entry_point = entry_point
        self.constants = constants
        self.request: Request | None = None
        self.result: CompileResult | None = None
        self.entry: Entry | None = None
        """What calls need to know of its entry point, from the first call on."""
        queue.lend(self, {"op": "free-pipeline", "pipeline": handle}, handle)


Value = Buffer | Span | Bytes | Texture | Sampler
Arg = tuple[int, int, Value]
"""(group, binding, value); bytes are a uniform's."""


class Recording:
    """Commands on their way to become a program."""

    def __init__(self, thread: int, generation: int) -> None:
        self.thread = thread
        self.generation = generation
        self.commands: list[Any] = []
        self.blob = bytearray()
        self.holds: list[object] = []
        self.buffers: set[Buffer] = set()

    def add(self, command: Any, holds: Iterable[object]) -> None:
        """Add a command, with what it names."""
        self.commands.append(command)
        for item in holds:
            thing = item[0] if isinstance(item, tuple) else item
            if isinstance(thing, Buffer):
                thing.pinned = True
                self.buffers.add(thing)
            else:
                self.holds.append(thing)
