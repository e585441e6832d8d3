"""What an expression looks like, whatever memory it reads and whatever its scalars are: by that its kernels are found again.

Tracing an expression and cutting it into dispatches takes longer than all else that a small operation costs, and a loop asks for the same again and again.
One walk over the nodes tells whether an expression was seen before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from webgpu_widget.arrays.lazy.node import Node, size_of
from webgpu_widget.arrays.lazy.trace import NARROW_RATIO, NARROW_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webgpu_widget.arrays.lazy.node import Storage
    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.arrays.lazy.trace import Trace
    from webgpu_widget.device.handles import Buffer

__all__ = ["Likeness", "Seen", "likeness"]

_MOST = 4096


class Likeness(NamedTuple):
    """An expression, taken apart.

    Parameters
    ----------
    key
        Equal for expressions that the same kernels compute.
    storages
        Whose buffers those read, in the order of the bindings.
    consts
        The bits of their scalars, in the order of the uniform's words.
    """

    key: tuple[object, ...]
    storages: list[Storage]
    consts: list[int]

    @property
    def buffers(self) -> list[Buffer | None]:
        """The memory of the storages; None where that was freed."""
        return [s.buffer for s in self.storages]

    def agrees(self, trace: Trace) -> bool:
        """Whether a trace numbers bindings and scalars in the same way."""
        return trace.consts == self.consts and [*map(id, trace.storages)] == [*map(id, self.storages)]


def likeness(root: Node) -> Likeness | None:
    """Take an expression apart; None where parts of it are to be computed before it or stored beside it.

    The walk is `Trace`'s: inputs from the left, each node once. So bindings and scalars are numbered as there.
    """
    if root.storage is not None:
        return Likeness((root.shape, "", 0, root.dtype, root.shape), [root.storage], [])
    return _walk(root)


def _walk(root: Node) -> Likeness | None:
    """As `likeness`."""
    key: list[object] = [root.shape]
    storages: list[Storage] = []
    consts: list[int] = []
    seen: dict[int, int] = {}
    bindings: dict[int, int] = {}
    scalars: dict[int, int] = {}
    shared: list[Node] = []
    size = size_of(root.shape)
    # Nodes yet to come; the next one is the last.
    stack = [root]
    while stack:
        node = stack.pop()
        number = seen.get(id(node))
        if number is not None:
            key.append(number)
            continue
        seen[id(node)] = len(seen)
        op = node.op
        storage = node.storage
        if storage is not None:
            binding = bindings.setdefault(id(storage), len(storages))
            if binding == len(storages):
                storages.append(storage)
            key += ("", binding, node.dtype, node.shape)
            continue
        if op == "const":
            scalar = scalars.setdefault(node.attr, len(consts))
            if scalar == len(consts):
                consts.append(node.attr)
            key += (op, scalar, node.dtype, node.shape)
            continue
        key += (op, node.attr, node.dtype, node.shape)
        if op not in ("view", "iota"):
            if node.weight >= NARROW_WEIGHT and 0 < size_of(node.shape) * NARROW_RATIO <= size:
                return None
            if node is not root and len(node.readers) > 1:
                shared.append(node)
        inputs = node.inputs
        stack += inputs if len(inputs) == 1 else inputs[::-1]
    for node in shared:
        for ref in node.readers:
            reader = ref()
            if isinstance(reader, Node) and reader.storage is None and id(reader) not in seen:
                return None
    return Likeness(tuple(key), storages, consts)


class Seen:
    """What computed the expressions that a GPU has seen, by their likeness; for as long as the adapter is the same.

    Parameters
    ----------
    runtime
        Of the GPU.
    most_bytes
        Of a buffer: larger ones may have to be bound in parts.
    """

    def __init__(self, runtime: Runtime, most_bytes: int) -> None:
        self._runtime = runtime
        self._most_bytes = most_bytes
        self._found: dict[tuple[object, ...], Any] = {}
        self._on: tuple[object, ...] = ()

    def find(self, key: tuple[object, ...], buffers: Iterable[Buffer | None]) -> Any:
        """Return what was kept for a key; None where nothing was, or where the buffers are not all there to be bound as a whole."""
        found = self._found.get(key)
        if found is None or self._on != self._runtime.traits:
            return None
        for buffer in buffers:
            if buffer is None or buffer.size_bytes > self._most_bytes:
                return None
        return found

    def keep(self, key: tuple[object, ...], found: object) -> None:
        """Keep what computes an expression for others that are like it; no buffer may be in it."""
        on = self._runtime.traits
        if self._on != on or len(self._found) >= _MOST:
            self._found.clear()
            self._on = on
        self._found[key] = found
