"""The structs of numbers that shaders read as uniforms, packed by the field list that WGSL itself has."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from webgpu_widget.shaders.source import load

__all__ = ["Uniform", "uniform"]

_STRUCT = r"^struct {name} \{{(.*?)\}}"
_FIELD = re.compile(r"(\w+)\s*:\s*(array<\w+, \d+>|\w+)")
_CODES = {"u32": "I", "i32": "i", "f32": "f"}
_VECTOR = re.compile(r"vec([234])([uif])|array<vec4([uif]), (\d+)>")


@dataclass(frozen=True)
class Uniform:
    """A struct of 32-bit numbers, of vectors of them, and of arrays of vectors of four.

    Parameters
    ----------
    fields : tuple of (str, str)
        Names and WGSL types, in order.
    """

    fields: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, source: str, name: str = "Params") -> Uniform:
        """Take the fields from WGSL that declares the struct.

        Raises
        ------
        ValueError
            It is not there.
        """
        bare = re.sub(r"//[^\n]*", "", source)
        found = re.search(_STRUCT.format(name=name), bare, re.DOTALL | re.MULTILINE)
        if found is None:
            raise ValueError(f"the shader declares no struct {name}")
        return cls(tuple(_FIELD.findall(found[1])))

    @property
    def wgsl(self) -> str:
        """The struct's text, by the name ``Params``."""
        return "struct Params {\n" + "".join(f"  {name}: {kind},\n" for name, kind in self.fields) + "}\n"

    @property
    def size_bytes(self) -> int:
        """Bytes of the struct."""
        return self._layout.size

    @functools.cached_property
    def _layout(self) -> struct.Struct:
        form, at, most = "<", 0, 4
        for _, kind in self.fields:
            count, code, align = _shape(kind)
            at, form = _padded(at, form, align)
            form, at, most = f"{form}{count}{code}", at + 4 * count, max(most, align)
        return struct.Struct(_padded(at, form, most)[1])

    def pack(self, **values: float | Sequence[float]) -> bytes:
        """Return the struct's bytes.

        Parameters
        ----------
        **values
            A number for a scalar, as many as it has for a vector or array. Negative numbers wrap in ``u32``, as arithmetic does there.

        Raises
        ------
        TypeError
            A field has no value, or a value no field; it names them.
        """
        if len(values) != len(self.fields) or any(name not in values for name, _ in self.fields):
            names = {name for name, _ in self.fields}
            missing, more = sorted(names - {*values}), sorted({*values} - names)
            raise TypeError(
                f"Params has the fields {sorted(names)}: {missing} are missing, and {more} are none of them"
            )
        flat: list[float] = []
        for name, kind in self.fields:
            value = values[name]
            if kind == "u32":
                flat.append(value & 0xFFFFFFFF)  # type: ignore[operator]
            elif isinstance(value, Sequence):
                flat += value
            else:
                flat.append(value)
        return self._layout.pack(*flat)


def _shape(kind: str) -> tuple[int, str, int]:
    """Count of numbers, the code of one and the alignment of a type."""
    if kind in _CODES:
        return 1, _CODES[kind], 4
    found = _VECTOR.fullmatch(kind)
    if found is None:
        raise ValueError(
            f"a field of type {kind} cannot be packed: numbers of 32 bits, vectors of them, array<vec4u, N>"
        )
    codes = {"u": "I", "i": "i", "f": "f"}
    if found[1] is None:
        return 4 * int(found[4]), codes[found[3]], 16
    count = int(found[1])
    return count, codes[found[2]], 8 if count == 2 else 16


def _padded(at: int, form: str, align: int) -> tuple[int, str]:
    more = -at % align
    return at + more, f"{form}{more}x" if more else form


@functools.cache
def uniform(name: str, struct: str = "Params") -> Uniform:
    """Return the uniform of a shader of the package, by its name as ``shaders.load`` takes it."""
    return Uniform.read(load(name), struct)
