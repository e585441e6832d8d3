"""Assigning to an array whose memory a program holds, straight into that memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webgpu_widget.arrays.lazy.launch import held
from webgpu_widget.arrays.lazy.node import Node, c_strides, node_of, size_of
from webgpu_widget.arrays.lazy.program import Gather
from webgpu_widget.arrays.lazy.sharing import evict
from webgpu_widget.arrays.lazy.trace import Trace, narrow_parts

if TYPE_CHECKING:
    from webgpu_widget.arrays.lazy.node import Storage
    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.arrays.lazy.value import Value

_LIGHT = 4


def assign_in_place(runtime: Runtime, x: Value, node: Node) -> bool:
    """Queue computing an expression into an array's own memory, in the program that is recorded.

    Each element may read the array at its own index and nowhere else. Arrays that hold the expression share the memory from then
    on, and get a copy before it is written again, or when the program ends.

    Parameters
    ----------
    runtime
        Where.
    x
        The array; it has a storage that is open to it.
    node
        The expression, of the array's shape and dtype.

    Returns
    -------
    bool
        False, and nothing was written, where it must be computed elsewhere first.
    """
    storage = node_of(x).storage
    if (
        storage is None
        or not runtime.recording
        or node.storage is not None
        or node.serial < runtime.sharing.serial
        or not x.size
    ):
        return False
    for part in narrow_parts(node, size_of(node.shape)):
        runtime.materialise(part)
    inside = _inside(node)
    for part in inside.values():
        # What others read too is computed again for them, which must be cheap, and give the same then.
        again = part.weight <= _LIGHT and not _reads(part, storage)
        if part is not node and not again and _is_read_elsewhere(part, inside):
            return False
    trace = Trace(node.shape)
    number = trace.value(node)
    if any(held(s).size_bytes > runtime.max_binding_bytes for s in (*trace.storages, storage)):
        return False
    if not _reads_own_elements(trace, storage, node):
        return False
    evict(runtime, storage, x, inside)
    if node.storage is not None:
        return False
    runtime.run_elementwise(trace, [number], [node.dtype], [storage])
    node.materialised(storage)
    runtime.sharing.settle(x, storage)
    return True


def _inside(root: Node) -> dict[int, Node]:
    """Return what is not computed yet of an expression, by id."""
    found: dict[int, Node] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        if node.storage is None and id(node) not in found:
            found[id(node)] = node
            stack += node.inputs
    return found


def _reads(root: Node, storage: Storage) -> bool:
    stack, seen = [root], set()
    while stack:
        node = stack.pop()
        if node.storage is storage:
            return True
        if id(node) not in seen:
            seen.add(id(node))
            stack += node.inputs
    return False


def _is_read_elsewhere(node: Node, inside: dict[int, Node]) -> bool:
    for reader in (ref() for ref in node.readers):
        if isinstance(reader, Node):
            if reader.storage is None and id(reader) not in inside:
                return True
        elif reader is not None and node_of(reader) is node:
            return True
    return False


def _reads_own_elements(trace: Trace, storage: Storage, node: Node) -> bool:
    own = next((i for i, s in enumerate(trace.storages) if s is storage), None)
    if own is None:
        return True
    strides = [0 if side <= 1 else s for s, side in zip(c_strides(node.shape), node.shape, strict=True)]
    return (
        trace.dtypes[own] == node.dtype
        and not any(isinstance(i, Gather) and i.binding == own for i in trace.code)
        and all(a.offset == 0 and list(a.strides) == strides for a in trace.accesses if a.binding == own)
    )
