"""The structs of numbers that shaders read as uniforms, packed by the field list that WGSL itself has."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webgpu_widget.shaders.source import load

__all__ = ["Uniform", "pack_words", "uniform"]

_FIELD = re.compile(r"(\w+)\s*:\s*(array<\w+, \d+>|\w+)")
_TYPE = re.compile(r"([uif])32|vec([234])([uif])|array<vec4([uif]), (\d+)>")
_CODES = {"u": "I", "i": "i", "f": "f"}
_ALIGNMENT = {1: 4, 2: 8}
_words: dict[int, struct.Struct] = {}
"""Uniforms of so many words, padded."""


@dataclass(frozen=True)
class Uniform:
    """A struct ``Params`` of 32-bit numbers, vectors of them, and arrays of vectors of four.

    Parameters
    ----------
    fields : tuple of (str, str)
        Names and WGSL types, in order.
    """

    fields: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, source: str, name: str = "Params") -> Uniform:
        """Take the fields from WGSL that declares a struct.

        Raises
        ------
        ValueError
            It is not there.
        """
        found = re.search(rf"^struct {name} \{{(.*?)\}}", re.sub("//[^\n]*", "", source), re.DOTALL | re.MULTILINE)
        if found is None:
            raise ValueError(f"the shader declares no struct {name}")
        return cls(tuple(_FIELD.findall(found[1])))

    @property
    def wgsl(self) -> str:
        """The struct's text."""
        return "struct Params {\n" + "".join(f"  {name}: {kind},\n" for name, kind in self.fields) + "}\n"

    @functools.cached_property
    def _layout(self) -> tuple[Callable[..., bytes], list[str], list[bool]]:
        """What packs the numbers, the names of the fields, and whether each is one number."""
        form, at, most, singles = "<", 0, 4, []
        for _, kind in self.fields:
            count, code = _shape(kind)
            align = _ALIGNMENT.get(count, 16)
            gap, most = -at % align, max(most, align)
            form, at = f"{form}{gap}x{count}{code}", at + gap + 4 * count
            singles.append(count == 1)
        return struct.Struct(f"{form}{-at % most}x").pack, [name for name, _ in self.fields], singles

    def pack(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> bytes:
        """Return the struct's bytes.

        Parameters
        ----------
        values, **more
            By the names of fields: a number, or all those of a vector or array. A single negative number wraps in ``u32``, as arithmetic does there.

        Raises
        ------
        TypeError
            A field has no value, or a value no field; it names them.
        """
        given = {**values, **more} if values and more else values or more
        pack, names, singles = self._layout
        try:
            numbers = [given[name] for name in names]
        except KeyError:
            raise TypeError(self._misfit(given)) from None
        if len(given) != len(names):
            raise TypeError(self._misfit(given))
        if False in singles:
            numbers = [n for value, one in zip(numbers, singles, strict=True) for n in ((value,) if one else value)]
        try:
            return pack(*numbers)
        except struct.error:
            wrapping = [kind == "u32" for _, kind in self.fields for _ in range(_shape(kind)[0])]
            return pack(*(n & 0xFFFFFFFF if wraps else n for n, wraps in zip(numbers, wrapping, strict=True)))

    def _misfit(self, given: Mapping[str, Any]) -> str:
        names = [name for name, _ in self.fields]
        wrong = [f"{name} is missing" for name in names if name not in given]
        wrong += [f"{name} is no field" for name in given if name not in names]
        return f"{', '.join(wrong)}; the uniform has the fields {', '.join(names)}"


def _shape(kind: str) -> tuple[int, str]:
    """Count of the numbers of a type, and the code of one."""
    found = _TYPE.fullmatch(kind)
    if found is None:
        raise ValueError(
            f"a field of type {kind} cannot be packed: take u32, i32, f32, vectors of them, or array<vec4u, N>"
        )
    single, count, of_vector, of_array, length = found.groups()
    return (4 * int(length) if length else int(count or 1)), _CODES[single or of_vector or of_array]


@functools.cache
def uniform(name: str, struct: str = "Params") -> Uniform:
    """Return the uniform of a shader of the package, whose name is as ``shaders.load`` takes it."""
    return Uniform.read(load(name), struct)


def pack_words(words: Sequence[int]) -> bytes:
    """Return the uniform: each integer modulo 2**32, padded to whole vec4s."""
    count = len(words)
    layout = _words.get(count)
    if layout is None:
        layout = _words[count] = struct.Struct(f"<{count}I{4 * (-count % 4)}x")
    try:
        return layout.pack(*words)
    except struct.error:
        return layout.pack(*(word & 0xFFFFFFFF for word in words))
