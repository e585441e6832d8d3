"""The expression graph: nodes, the buffers under them, and who reads what.

A node is a value: nothing changes it after it is made, except that it may be *materialised*, when its storage is set and its
inputs are let go. Arrays that the user changes in place (``a[...] = b``, a kernel that binds it read_write) get a storage of
their own first where anyone else still reads the old one: `Node.exclusive` decides, from weak references that readers leave.
"""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy.ops import OPS
from webgpu_widget.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webgpu_widget.arrays.lazy.dtypes import DType
    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.arrays.lazy.value import Value
    from webgpu_widget.device.handles import Buffer

Shape = tuple[int, ...]
Dim = tuple[int, int, int]
"""Where an axis of a view's base gets its index: ``start + step * index[source]``; source -1 means ``start`` alone."""


SERIAL = itertools.count(1)
"""Numbers nodes in the order in which they are made."""


class Storage:
    """A buffer with one array in it, tight and in C order. One of the pool's goes back there when nobody holds it: see `Pool.lend`."""

    __slots__ = ("__weakref__", "buffer", "constant", "home", "nodes", "runtime")

    def __init__(self, runtime: Runtime, buffer: Buffer) -> None:
        self.runtime = runtime
        self.buffer: Buffer | None = buffer
        self.nodes: list[weakref.ref[Node]] = []
        self.home: weakref.ref[Value] | None = None
        """Whose memory it stays, where programs know it: see `webgpu_widget.arrays.lazy.sharing`."""
        self.constant = False
        """Whether it holds host data that a program reads, and nobody may write to it."""

    @property
    def inhabitant(self) -> Value | None:
        """The array whose home it is, while it lives there."""
        array = None if self.home is None else self.home()
        return None if array is None or array._freed or node_of(array).storage is not self else array

    def is_open_to(self, array: Value) -> bool:
        """Whether an array may write here, as far as programs are concerned."""
        return not self.constant and (self.home is None or self.home() is array)

    def free(self) -> None:
        """Give the memory back at once."""
        buffer, self.buffer = self.buffer, None
        if buffer is not None:
            self.runtime.pool.forget(buffer)
            buffer.free()


class Node:
    """One value: materialised (``storage`` is set), or an operation on others.

    ``op`` is ``leaf``, ``const`` (``attr`` is the scalar's bits), ``iota`` (its own linear index, as uint32), ``view``
    (``attr`` is a `Dim` for each axis of its input), ``gather`` (element of input 0, a leaf, at the linear index input 1),
    ``cast``, or a name of `OPS`.
    """

    __slots__ = (
        "__weakref__",
        "attr",
        "dtype",
        "inputs",
        "leaves",
        "op",
        "readers",
        "serial",
        "shape",
        "storage",
        "used",
        "weight",
    )

    def __init__(
        self,
        op: str,
        inputs: tuple[Node, ...],
        shape: Shape,
        dtype: DType,
        attr: Any = None,
        storage: Storage | None = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.shape = shape
        self.dtype = dtype
        self.attr = attr
        self.storage = storage
        self.readers: list[weakref.ref[Any]] = []
        self.used = 0
        self.serial = next(SERIAL)
        if storage is not None:
            self.weight = 0
            self.leaves = 1
            storage.nodes.append(weakref.ref(self))
        else:
            weight = OPS[op].cost if op in OPS else 1
            leaves = 0
            for node in inputs:
                weight += node.weight
                leaves += node.leaves
                node.add_reader(self)
            self.weight = weight
            self.leaves = leaves

    def add_reader(self, reader: Any) -> None:
        """Note that an array or a node needs this value."""
        readers = self.readers
        if len(readers) >= 32 and not len(readers) & (len(readers) - 1):
            readers[:] = [r for r in readers if r() is not None]
        readers.append(weakref.ref(reader))

    def exclusive(self, owner: Any) -> bool:
        """Whether nobody but `owner` reads this materialised value, so that its buffer may be written."""
        if self.storage is None:
            return False
        for ref in self.readers:
            reader = ref()
            if reader is not None and reader is not owner:
                return False
        for ref in self.storage.nodes:
            node = ref()
            if node is not None and node is not self:
                return False
        return True

    def pending_readers(self) -> Iterable[Node]:
        """Return the unmaterialised operations that read this value."""
        for ref in self.readers:
            reader = ref()
            if isinstance(reader, Node) and reader.storage is None:
                yield reader

    def materialised(self, storage: Storage) -> None:
        """Become a leaf."""
        self.storage = storage
        storage.nodes.append(weakref.ref(self))
        self.op = "leaf"
        self.inputs = ()
        self.attr = None
        self.weight = 0
        self.leaves = 1


def node_of(x: Value) -> Node:
    """Return the node behind an array: how it is to be computed, or its memory."""
    return x._node


def broadcast_shapes(what: str, *shapes: Shape) -> Shape:
    """Return the shape to which all broadcast.

    Raises
    ------
    ShapeError
        Where they do not, with the shapes and the rule.
    """
    if len(shapes) == 2:
        a, b = shapes
        if a == b or not b:
            return a
        if not a:
            return b
    elif not shapes:
        return ()
    elif all(s == shapes[0] for s in shapes):
        return shapes[0]
    ndim = max(map(len, shapes))
    result = [1] * ndim
    for shape in shapes:
        lead = ndim - len(shape)
        for i, side in enumerate(shape):
            have = result[lead + i]
            if side in (have, 1):
                continue
            if have != 1:
                raise ShapeError(
                    f"{what}: shapes {' and '.join(map(str, shapes))} do not broadcast. "
                    "Aligned at the right, each pair of sides must be equal, or one of them 1."
                )
            result[lead + i] = side
    return tuple(result)


def size_of(shape: Shape) -> int:
    """Return the number of elements."""
    size = 1
    for side in shape:
        size *= side
    return size


def c_strides(shape: Shape) -> tuple[int, ...]:
    """Return the strides, in elements, of a tight array in C order."""
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * shape[i + 1]
    return tuple(strides)


def view(base: Node, shape: Shape, dims: tuple[Dim, ...]) -> Node:
    """Return a node of `shape` that sees `base` through `dims`, one for each axis of the base."""
    if base.op == "view" and base.storage is None:
        inner = base.inputs[0]
        composed = tuple(
            (start, -1, 0) if source < 0 else _compose(start, step, dims[source]) for start, source, step in base.attr
        )
        return Node("view", (inner,), shape, base.dtype, composed)
    return Node("view", (base,), shape, base.dtype, dims)


def _compose(start: int, step: int, outer: Dim) -> Dim:
    return (start + step * outer[0], outer[1], step * outer[2])


def identity_dims(ndim: int, lead: int = 0) -> tuple[Dim, ...]:
    """Return the dims of a base whose axes are the view's axes ``lead ...``."""
    return tuple((0, lead + i, 1) for i in range(ndim))
