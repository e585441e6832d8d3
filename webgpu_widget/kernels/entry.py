"""What calls of a kernel need to know of its entry point: found out once, since calls are many."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from webgpu_widget.kernels import layout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from webgpu_widget.link.protocol import BindingInfo, CompileResult

_EXACT = 1 << 53
"""Integers up to here are doubles, so that they are rounded to float32 once."""
_NUMBERS = {"f32": struct.Struct("<f12x"), "i32": struct.Struct("<i12x"), "u32": struct.Struct("<I12x")}
"""One number as a uniform's bytes: 16, as a binding's size is a multiple of that."""


class Variable:
    """A variable that an entry point uses, and what follows from its declaration alone.

    Parameters
    ----------
    info : BindingInfo
        From the reflection.
    """

    __slots__ = (
        "elem",
        "form",
        "info",
        "kind",
        "many",
        "name",
        "plain",
        "scalar",
        "stride",
        "tight",
        "type",
        "written",
    )

    def __init__(self, info: BindingInfo) -> None:
        self.info = info
        self.name = info["name"]
        self.kind = info["kind"]
        self.type = info["type"]
        self.written = info["access"] != "read"
        name = layout.scalar_name(self.type)
        self.scalar = None if name is None else layout.SCALARS[name].newbyteorder("=")
        """The dtype of the numbers that it is made of, as arrays have it; None for structs and what is opaque."""
        self.many = self.type["type"] == "array" and self.type["count"] == 0
        """Whether it is a runtime-sized array, of `elem`, each `stride` bytes from the one before."""
        self.elem = self.type
        self.stride = 0
        if self.type["type"] == "array" and self.many:
            self.elem, self.stride = self.type["elem"], self.type["stride"]
        self.tight = layout.is_tight(self.elem) and (not self.many or self.stride == self.elem["size"])
        """Whether its bytes are its numbers as NumPy has them."""
        self.form = _NUMBERS.get(self.type["name"]) if self.type["type"] == "scalar" else None
        self.plain = (int, float) if name == "f32" else (int,)

    def number(self, value: Any) -> bytes | None:
        """Return the bytes of a plain number for a uniform of one; None where it takes the checks of `layout.pack`."""
        form = self.form
        if form is None or type(value) not in self.plain or not -_EXACT <= value <= _EXACT:
            return None
        try:
            return form.pack(value)
        except struct.error:
            return None


class Entry:
    """An entry point, as calls see it.

    Parameters
    ----------
    result : CompileResult
        Of a pipeline whose entry point is chosen.
    """

    __slots__ = ("declared", "used", "variables", "wanted", "workgroup_size")

    def __init__(self, result: CompileResult) -> None:
        module = result["reflection"]
        entry = next(item for item in module["entry_points"] if item["name"] == result["entry_point"])
        self.used: list[BindingInfo] = [module["bindings"][index] for index in entry["bindings"]]
        # What is written comes first: it may have to part with what else is bound.
        self.variables = sorted((Variable(info) for info in self.used), key=lambda variable: not variable.written)
        self.wanted = frozenset(info["name"] for info in self.used)
        self.declared = frozenset(info["name"] for info in module["bindings"])
        self.workgroup_size: Sequence[int] = tuple(result["workgroup_size"])
