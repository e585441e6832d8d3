"""Random WGSL structs with matrices, their NumPy dtypes and values, and what a kernel that multiplies with each matrix gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

SCALARS = {"f32": np.float32, "i32": np.int32, "u32": np.uint32}


@dataclass(frozen=True)
class Leaf:
    """A scalar (no shape), a vector (n,) or a matrix (rows, columns)."""

    scalar: str
    shape: tuple[int, ...]

    @property
    def wgsl(self):
        if len(self.shape) == 2:
            return f"mat{self.shape[1]}x{self.shape[0]}<{self.scalar}>"
        return f"vec{self.shape[0]}<{self.scalar}>" if self.shape else self.scalar

    @property
    def dtype(self):
        return np.dtype((SCALARS[self.scalar], self.shape))


@dataclass(frozen=True)
class Array:
    """``count`` elements."""

    elem: Leaf | Array | Struct
    count: int

    @property
    def wgsl(self):
        return f"array<{self.elem.wgsl}, {self.count}>"

    @property
    def dtype(self):
        return np.dtype((self.elem.dtype, (self.count,)))


@dataclass(frozen=True)
class Struct:
    """Members by position: m0, m1, ..."""

    members: tuple[Leaf | Array | Struct, ...]

    @property
    def wgsl(self):
        return f"S{abs(hash(self.members)):x}"

    @property
    def dtype(self):
        """Tight, with its fields in another order than WGSL's."""
        return np.dtype([(f"m{i}", kind.dtype) for i, kind in reversed(list(enumerate(self.members)))])

    def declarations(self):
        """Return the declarations of this struct and those in it, by name."""
        found = {}
        for kind in map(leaf, self.members):
            if isinstance(kind, Struct):
                found.update(kind.declarations())
        fields = ", ".join(f"m{i}: {kind.wgsl}" for i, kind in enumerate(self.members))
        found[self.wgsl] = f"struct {self.wgsl} {{ {fields} }}"
        return found


def leaf(kind):
    """Return what an array holds in the end."""
    while isinstance(kind, Array):
        kind = kind.elem
    return kind


def products(kind, path):
    """Return WGSL expressions, one for each component of each matrix times (1, 2, 3, 4)."""
    if isinstance(kind, Struct):
        return [term for i, member in enumerate(kind.members) for term in products(member, f"{path}.m{i}")]
    if isinstance(kind, Array):
        return [term for i in range(kind.count) for term in products(kind.elem, f"{path}[{i}]")]
    if len(kind.shape) != 2:
        return []
    vector = f"vec{kind.shape[1]}f({', '.join(f'{i + 1}.0' for i in range(kind.shape[1]))})"
    return [f"({path} * {vector})[{row}]" for row in range(kind.shape[0])]


def expected(kind, value):
    """Return the same numbers by NumPy's ``@``."""
    if isinstance(kind, Struct):
        return [x for i, member in enumerate(kind.members) for x in expected(member, value[f"m{i}"])]
    if isinstance(kind, Array):
        return [x for item in value for x in expected(kind.elem, item)]
    return list(value @ np.arange(1, kind.shape[1] + 1)) if len(kind.shape) == 2 else []


def random_value(kind, rng, shape=()):
    """Return small integers, so that sums of products are exact, as an array of a type's tight dtype."""
    made = np.zeros(shape, kind.dtype)
    _fill(made, kind, rng)
    return made


def _fill(target, kind, rng):
    kind = leaf(kind)
    if isinstance(kind, Struct):
        for i, member in enumerate(kind.members):
            _fill(target[f"m{i}"], member, rng)
    else:
        target[...] = rng.integers(0 if kind.scalar == "u32" else -99, 99, target.shape)


def as_dict(kind, value):
    """Return the nested dicts and lists that mean the same."""
    if isinstance(kind, Struct):
        return {f"m{i}": as_dict(member, value[f"m{i}"]) for i, member in enumerate(kind.members)}
    if isinstance(kind, Array) and isinstance(kind.elem, (Array, Struct)):
        return [as_dict(kind.elem, item) for item in value] if "S" in kind.elem.wgsl else np.ascontiguousarray(value)
    return np.ascontiguousarray(value) if np.ndim(value) else value


def equal(kind, got, wanted):
    """Say whether two values, in dicts or structured arrays of any layout, have the same numbers."""
    if isinstance(kind, Struct):
        return all(equal(member, got[f"m{i}"], wanted[f"m{i}"]) for i, member in enumerate(kind.members))
    inner = leaf(kind)
    if isinstance(inner, Struct):
        return equal(inner, got, wanted)
    if inner.shape == (3,) and isinstance(kind, Array):
        got = got[..., :3]  # kernel.dtype has a vec3's padding
    return np.array_equal(got, wanted)


matrices = st.builds(lambda r, c: Leaf("f32", (r, c)), st.integers(2, 4), st.integers(2, 4))
leaves = st.one_of(
    matrices,
    matrices,
    st.builds(Leaf, st.sampled_from(list(SCALARS)), st.sampled_from([(), (2,), (3,), (4,)])),
)
kinds = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Array, inner, st.integers(1, 3)),
        st.builds(Struct, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=4,
)
structs = st.builds(
    lambda members, matrix, at: Struct((*members[:at], matrix, *members[at:])),
    st.lists(kinds, max_size=3),
    matrices,
    st.integers(0, 3),
)
# What WGSL allows in uniforms: strides and offsets of structs are multiples of 16.
uniform_matrices = st.builds(lambda r, c: Leaf("f32", (r, c)), st.integers(3, 4), st.integers(2, 4))
uniforms = st.builds(
    lambda members: Struct(tuple(members)),
    st.lists(
        st.one_of(matrices, st.builds(Array, uniform_matrices, st.integers(1, 3)), leaves), min_size=1, max_size=4
    ).filter(lambda members: any("mat" in kind.wgsl for kind in members)),
)
