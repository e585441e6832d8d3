"""Whose memory a storage is, where arrays share it: what keeps arrays apart beside programs.

A copy or a reshape shares its storage with the array that it came from, until one of them is written. A program of `GPU.record`
names buffers, and each replay comes back to them; so an array that a program reads or writes must have memory of its own, and
keep it. Its storage has a *home*, that array. The rules:

- An array that is older than the program is given memory of its own before the program, when the block first touches it. It lives
  as long as the program: what is written to a view of it must not depend on whether somebody else holds it still.
- Who else sees a storage with a home is a guest: a copy, or an expression that was computed into the home's memory. Guests move
  out when they are written, when the home is written, when the recording ends, and before a replay.
- Arrays that are made in the block are made anew by each replay. Those still held at its end each get a home.
- Host data that is uploaded in the block is constant: whoever writes to it, or still holds it at the end, gets a copy made by the
  program.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from webgpu_widget.arrays.lazy.node import SERIAL, Node, node_of, size_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from webgpu_widget.arrays.lazy.node import Storage
    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.arrays.lazy.value import Value
    from webgpu_widget.device.handles import Buffer


def _seen_by(storage: Storage) -> Iterator[tuple[Node, Value | Node]]:
    """Yield each leaf of a storage with each array and operation that reads it."""
    alive = [node for node in (ref() for ref in storage.nodes) if node is not None]
    storage.nodes[:] = [weakref.ref(node) for node in alive]
    for node in alive:
        for reader in [r for r in (ref() for ref in node.readers) if r is not None]:
            yield node, reader


def move_out(runtime: Runtime, storage: Storage, keep: Value | None) -> None:
    """Give each array that sees a storage, but for one, a copy; those that share it go on to share the copy."""
    copy: Node | None = None
    for node, reader in list(_seen_by(storage)):
        if isinstance(reader, Node) or reader is keep or node_of(reader) is not node or reader._freed:
            continue
        if copy is None:
            copy = copied(runtime, node)
        reader._rebind(Node("leaf", (), node.shape, node.dtype, storage=copy.storage))


def copied(runtime: Runtime, node: Node) -> Node:
    """Return a leaf with a storage of its own and the values of another."""
    fresh = runtime.allocate(size_of(node.shape), node.dtype)
    if size_of(node.shape):
        runtime.copy(node, fresh)
    return Node("leaf", (), node.shape, node.dtype, storage=fresh)


def evict(runtime: Runtime, storage: Storage, keep: Value | None, inside: Container[int] = ()) -> None:
    """Let everyone else who reads a storage have its values, since it will be written.

    Parameters
    ----------
    runtime
        Where.
    storage
        The memory.
    keep
        The array that stays.
    inside
        Ids of operations that stay.
    """
    for _, reader in list(_seen_by(storage)):
        if isinstance(reader, Node) and reader.storage is None and id(reader) not in inside:
            runtime.materialise(reader)
    move_out(runtime, storage, keep)


class Sharing:
    """What a recording and its replays must know of the arrays of a GPU.

    Parameters
    ----------
    runtime
        Of the GPU.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._homes: weakref.WeakSet[Storage] = weakref.WeakSet()
        self._made: list[weakref.ref[Value]] = []
        self._claimed: list[Value] = []
        self._known: set[int] = set()
        self.serial = 0
        """Nodes with a smaller number are older than the program."""

    def settle(self, array: Value, storage: Storage) -> None:
        """Make an array the home of its storage."""
        storage.home = weakref.ref(array)
        self._homes.add(storage)

    def keep(self, array: Value) -> Buffer:
        """Return an array's memory, its own from now on, where it stays whatever is assigned to it: for who looks at it from outside."""
        runtime = self._runtime
        array._check()
        with runtime.lock, runtime.outside():
            storage = runtime.materialise(node_of(array))
            if storage.inhabitant is not array:
                if storage.inhabitant is not None or storage.constant:
                    array._rebind(copied(runtime, node_of(array)))
                    storage = runtime.materialise(node_of(array))
                else:
                    move_out(runtime, storage, array)
                self.settle(array, storage)
            buffer = storage.buffer
            assert buffer is not None  # noqa: S101 - materialised
            buffer.pinned = True
            return buffer

    def begin(self) -> None:
        """Note that a recording begins; guests get memory of their own, and are the home of it when they are touched."""
        self.serial = next(SERIAL)
        self._made.clear()
        self._claimed.clear()
        self._known.clear()
        with self._runtime.outside():
            for storage in list(self._homes):
                if storage.buffer is not None:
                    move_out(self._runtime, storage, storage.inhabitant)

    def made(self, array: Value) -> None:
        """Note an array that is made while a program is recorded."""
        self._made.append(weakref.ref(array))
        self._known.add(id(array))

    def claim(self, arrays: Iterable[Value]) -> None:
        """Give arrays that are older than the program, and touched by it, memory of their own before it."""
        for array in arrays:
            # An id that is used again belongs to an array made in the block, which is known as well.
            if id(array) in self._known:
                continue
            self._known.add(id(array))
            self._claimed.append(array)
            with self._runtime.lock, self._runtime.outside():
                storage = self._runtime.materialise(node_of(array))
                move_out(self._runtime, storage, array)
                self.settle(array, storage)

    def end(self) -> None:
        """Compute, inside the program, the arrays made in it that are still held, each into memory of its own."""
        made, self._made = self._made, []
        for array in [a for a in (ref() for ref in made) if a is not None and not a._freed]:
            runtime = self._runtime
            with runtime.lock:
                storage = runtime.materialise(node_of(array))
                if storage.constant:
                    self._move_constant(array, storage)
                elif storage.home is not None and storage.inhabitant is not array:
                    array._rebind(copied(runtime, node_of(array)))
                self.settle(array, runtime.materialise(node_of(array)))
        self._known.clear()

    def claimed(self) -> list[Value]:
        """Return the arrays that are older than the program and touched by it, and let go of them here."""
        claimed, self._claimed = self._claimed, []
        return claimed

    def _move_constant(self, array: Value, storage: Storage) -> None:
        """Give an array that holds host data memory of its own, filled now and by each replay."""
        runtime, old = self._runtime, node_of(array)
        array._rebind(copied(runtime, old))
        own = node_of(array).storage
        if own is not None and array.size:
            with runtime.outside():
                runtime.copy(Node("leaf", (), old.shape, old.dtype, storage=storage), own)

    def storages_of(self, buffers: Container[Buffer]) -> list[weakref.ref[Storage]]:
        """Return the storages of arrays that a program has to do with, given its buffers."""
        return [weakref.ref(s) for s in self._homes if s.buffer is not None and s.buffer in buffers]

    def before_replay(self, storages: Iterable[weakref.ref[Storage]]) -> None:
        """Let expressions and guests of arrays that a program may change have the values of now."""
        for ref in storages:
            storage = ref()
            if storage is None or storage.buffer is None:
                continue
            home = storage.inhabitant
            with self._runtime.lock:
                evict(self._runtime, storage, home)
            if home is not None:
                home._version += 1
