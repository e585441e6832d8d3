"""From an expression to the flat program of one kernel: values numbered, loads described by strides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from webgpu_widget.arrays.lazy.dtypes import kind_of
from webgpu_widget.arrays.lazy.node import c_strides, identity_dims, size_of
from webgpu_widget.arrays.lazy.program import Apply, Cast, Const, Gather, Iota, Load

if TYPE_CHECKING:
    from webgpu_widget.arrays.lazy.dtypes import DType
    from webgpu_widget.arrays.lazy.node import Dim, Node, Shape, Storage
    from webgpu_widget.arrays.lazy.program import Instruction

NARROW_WEIGHT = 4
NARROW_RATIO = 8


@dataclass(slots=True)
class Access:
    """How a load finds its element: ``offset + sum(stride * index)``. ``binding`` -1 is the index itself (iota)."""

    binding: int
    offset: int
    strides: list[int]


@dataclass(slots=True)
class Trace:
    """The program of an expression over an index space of some shape."""

    shape: Shape
    code: list[Instruction] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list)
    storages: list[Storage] = field(default_factory=list)
    dtypes: list[DType] = field(default_factory=list)
    consts: list[int] = field(default_factory=list)
    _numbers: dict[object, int] = field(default_factory=dict)
    _memo: dict[tuple[int, tuple[Dim, ...] | None], int] = field(default_factory=dict)
    _loads: dict[object, int] = field(default_factory=dict)
    _bindings: dict[int, int] = field(default_factory=dict)
    _kept: list[Node] = field(default_factory=list)
    nodes: dict[int, Node] = field(default_factory=dict)

    def value(self, node: Node, dims: tuple[Dim, ...] | None = None) -> int:
        """Return the number of the value of `node`, read through `dims` (None: its own shape is the index space's)."""
        memo = (id(node), dims)
        known = self._memo.get(memo)
        if known is not None:
            return known
        self._kept.append(node)
        number = self._value(node, dims)
        self._memo[memo] = number
        if dims is None:
            self.nodes[number] = node
        return number

    def _value(self, node: Node, dims: tuple[Dim, ...] | None) -> int:
        op = node.op
        if node.storage is not None:
            access = self._access(self.bind(node), node.shape, dims)
            return self._emit(Load(access, node.dtype))
        if op == "const":
            index = len(self.consts)
            known = self._loads.setdefault(("const", node.attr), index)
            if known == index:
                self.consts.append(node.attr)
            return self._emit(Const(known, node.dtype))
        if op == "iota":
            return self._emit(Iota(self._access(-1, node.shape, dims)))
        if op == "view":
            base = node.inputs[0]
            outer = dims
            if outer is None:
                inner = node.attr
            else:
                inner = tuple(
                    (start, -1, 0)
                    if source < 0
                    else (start + step * outer[source][0], outer[source][1], step * outer[source][2])
                    for start, source, step in node.attr
                )
            if base.shape == self.shape and inner == identity_dims(len(inner)):
                return self.value(base)
            return self.value(base, inner)
        if op == "gather":
            binding = self.bind(node.inputs[0])
            index = self._input(node, node.inputs[1], dims)
            return self._emit(Gather(binding, node.dtype, index))
        if op == "cast":
            source = node.inputs[0]
            value = self._input(node, source, dims)
            if source.dtype.kind == node.dtype.kind and kind_of(node.dtype) != "h":
                return value
            return self._emit(Cast(source.dtype.kind, kind_of(node.dtype), value))
        values = tuple(self._input(node, n, dims) for n in node.inputs)
        kind = kind_of(node.inputs[-1].dtype)
        return self._emit(Apply(op, kind, values))

    def _input(self, node: Node, source: Node, dims: tuple[Dim, ...] | None) -> int:
        """Return the number of an operand, which broadcasts to its operation's shape."""
        shape = node.shape
        if source.shape == shape:
            return self.value(source, dims)
        lead = len(shape) - len(source.shape)
        if dims is None:
            inner = tuple((0, -1, 0) if side == 1 else (0, lead + i, 1) for i, side in enumerate(source.shape))
        else:
            inner = tuple((0, -1, 0) if side == 1 else dims[lead + i] for i, side in enumerate(source.shape))
        return self.value(source, inner)

    def bind(self, node: Node) -> int:
        """Return the number of the binding of a materialised node."""
        storage = node.storage
        if storage is None:
            msg = f"a {node.op} must be materialised before it is bound"
            raise AssertionError(msg)
        index = self._bindings.setdefault(id(storage), len(self.storages))
        if index == len(self.storages):
            self.storages.append(storage)
            self.dtypes.append(node.dtype)
        return index

    def _access(self, binding: int, shape: Shape, dims: tuple[Dim, ...] | None) -> int:
        strides = c_strides(shape)
        if dims is None:
            offset, mapped = 0, list(strides)
        else:
            offset, mapped = 0, [0] * len(self.shape)
            for stride, (start, source, step) in zip(strides, dims, strict=True):
                offset += stride * start
                if source >= 0:
                    mapped[source] += stride * step
        for i, side in enumerate(self.shape):
            if side <= 1:
                mapped[i] = 0
        key = (binding, offset, *mapped)
        index = self._loads.setdefault(key, len(self.accesses))
        if index == len(self.accesses):
            self.accesses.append(Access(binding, offset, mapped))
        return index

    def _emit(self, instruction: Instruction) -> int:
        number = self._numbers.setdefault(instruction, len(self.code))
        if number == len(self.code):
            self.code.append(instruction)
        return number


def narrow_parts(node: Node, size: int) -> list[Node]:
    """Return operations in an expression that are heavy and much smaller than `size`, to be computed once beforehand.

    What is broadcast would otherwise be computed anew for every element that it is broadcast to.
    """
    found: list[Node] = []
    seen: set[int] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if current.storage is not None or id(current) in seen:
            continue
        seen.add(id(current))
        heavy = current.weight >= NARROW_WEIGHT and current.op not in ("view", "const", "iota")
        if heavy and 0 < size_of(current.shape) * NARROW_RATIO <= size:
            found.append(current)
            continue
        stack += current.inputs
    return found


def companions(root: Node, most_buffers: int) -> list[Node]:
    """Return inner nodes of an expression that other pending operations need too, to be stored by the same kernel, which binds so many buffers at most."""
    inside: dict[int, Node] = {}
    stack = [root]
    leaves: set[int] = set()
    while stack:
        node = stack.pop()
        if node.storage is not None:
            leaves.add(id(node.storage))
        elif id(node) not in inside:
            inside[id(node)] = node
            stack += node.inputs
    room = most_buffers - len(leaves) - 1
    found: list[Node] = []
    for node in inside.values():
        if len(found) >= room:
            break
        if node is root or node.shape != root.shape or node.op in ("const", "iota", "view"):
            continue
        if any(id(r) not in inside for r in node.pending_readers()):
            found.append(node)
    return found


def collapse(groups: list[Shape], strides: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Merge neighbouring axes that every access crosses in one stride.

    Parameters
    ----------
    groups
        Sides of the index space, in groups that stay apart (kept and reduced axes).
    strides
        For each access, its stride along each axis of all groups.

    Returns
    -------
    sides, strides
        Sides of each group after merging (sides of 1 gone), and each access's strides along them.
    """
    new_sides: list[list[int]] = []
    new_strides: list[list[int]] = [[] for _ in strides]
    axis = 0
    for group in groups:
        sides: list[int] = []
        begin = len(new_strides[0]) if new_strides else 0
        for side in group:
            if side != 1:
                if sides and all(
                    new[-1] == old[axis] * side
                    for new, old in zip(new_strides, strides, strict=True)
                    if len(new) > begin
                ):
                    sides[-1] *= side
                    for new, old in zip(new_strides, strides, strict=True):
                        new[-1] = old[axis]
                else:
                    sides.append(side)
                    for new, old in zip(new_strides, strides, strict=True):
                        new.append(old[axis])
            axis += 1
        new_sides.append(sides)
    return new_sides, new_strides
