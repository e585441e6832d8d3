"""The instructions of a traced expression: value n of a program is what its instruction n gives.

Each ends with a word of its own, since tuples that hold the same are equal, whatever they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from webgpu_widget.arrays.lazy.dtypes import DType

__all__ = ["Apply", "Cast", "Const", "Gather", "Instruction", "Iota", "Load"]


class Load(NamedTuple):
    """The element that an access finds."""

    access: int
    dtype: DType
    is_a: Literal["load"] = "load"


class Iota(NamedTuple):
    """The linear index that an access finds, as a u32."""

    access: int
    is_a: Literal["iota"] = "iota"


class Const(NamedTuple):
    """A scalar of the uniform, by its place among the scalars."""

    place: int
    dtype: DType
    is_a: Literal["const"] = "const"


class Gather(NamedTuple):
    """The element of a binding at the linear index that a value is."""

    binding: int
    dtype: DType
    at: int
    is_a: Literal["gather"] = "gather"


class Cast(NamedTuple):
    """A value in another dtype; kinds as `webgpu_widget.arrays.lazy.dtypes.kind_of` says."""

    source: str
    target: str
    value: int
    is_a: Literal["cast"] = "cast"


class Apply(NamedTuple):
    """An operation of `OPS` on values of a kind."""

    op: str
    kind: str
    values: tuple[int, ...]
    is_a: Literal["apply"] = "apply"


Instruction = Load | Iota | Const | Gather | Cast | Apply
