"""How matrices are stored, and the WGSL that reads four values of them; all arithmetic is float32.

Plain formats keep four values in a word of WGSL. Those of GGUF keep 32 values in a block with its own scale, as the file has them, and a value is decoded where
it is used; their layout: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["FORMATS", "Format", "Storage"]

Format = Literal["f32", "f16", "int8", "q4_0", "q4_1", "q8_0"]
_PLAIN = ("alias Packed = vec4f;", "fn unpack(p: Packed) -> vec4f { return p; }")


@dataclass(frozen=True)
class Storage:
    """How many bytes a block of values takes, and how it is read.

    Attributes
    ----------
    values, size_bytes : int
        Of a block: 4 values in plain formats, 32 in those of GGUF.
    packed : str
        WGSL's type of an element of the buffer.
    unpack : str
        The expression of four values: of the element ``p`` in plain formats; in those of GGUF of the block at byte ``at`` of the buffer NAME,
        ``part`` being which four of it.
    """

    values: int
    size_bytes: int
    packed: str
    unpack: str

    def row_bytes(self, columns: int) -> int:
        """Bytes of a row."""
        return columns // self.values * self.size_bytes

    def read_by(self, source: str) -> str:
        """Return a shader that is written for float32 with its matrices in this format."""
        source = replace_once(source, _PLAIN[0], f"alias Packed = {self.packed};")
        if self.values == 4:
            return replace_once(source, _PLAIN[1], f"fn unpack(p: Packed) -> vec4f {{ return {self.unpack}; }}")
        names = sorted(set(re.findall(r"\bunpack\((\w+)\[", source)))
        values = {name: self.unpack.replace("NAME", name) for name in names}
        readers = [_PARTS]
        readers += [_READER.format(name=name, size=self.size_bytes, value=value) for name, value in values.items()]
        return re.sub(
            r"\bunpack\((\w+)\[([^\]]*)\]\)", r"\1_at(\2)", replace_once(source, _PLAIN[1], "\n".join(readers))
        )


def replace_once(source: str, old: str, new: str) -> str:
    """Replace what must be in a shader exactly once."""
    if source.count(old) != 1:
        raise ValueError(f"{old!r} must be in the shader exactly once, but is there {source.count(old)} times")
    return source.replace(old, new)


# The exact f32 of a 16-bit float: integers, because hardware may flush subnormals.
_PARTS = """fn single(h: u32) -> f32 {
  let sign = (h & 0x8000u) << 16u;
  let exponent = h & 0x7c00u;
  if (exponent == 0u) { return bitcast<f32>(sign | bitcast<u32>(f32(h & 1023u) * 5.9604644775390625e-8)); }
  return bitcast<f32>(sign | (((h & 0x7fffu) << 13u) + select(0x38000000u, 0x70000000u, exponent == 0x7c00u)));
}
fn nibbles(word: u32, part: u32) -> vec4f { return vec4f((vec4u(word) >> (vec4u(0u, 8u, 16u, 24u) + part / 4u * 4u)) & vec4u(15u)); }
fn bytes(word: u32) -> vec4f { return vec4f(vec4i(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)); }"""
# NAME_u32 reads four bytes at a multiple of two, NAME_at the four values with the number i.
_READER = """fn {name}_u32(at: u32) -> u32 {{
  let word = {name}[at / 4u];
  if ((at & 2u) == 0u) {{ return word; }}
  return (word >> 16u) | ({name}[at / 4u + 1u] << 16u);
}}
fn {name}_half(at: u32) -> f32 {{ return single(({name}[at / 4u] >> ((at & 2u) * 8u)) & 0xffffu); }}
fn {name}_at(i: u32) -> vec4f {{
  let at = i / 8u * {size}u;
  let part = i % 8u;
  return {value};
}}"""

FORMATS: dict[Format, Storage] = {
    "f32": Storage(4, 16, "vec4f", "p"),
    "f16": Storage(4, 8, "vec2u", "vec4f(unpack2x16float(p.x), unpack2x16float(p.y))"),
    # the scale of a row takes the factor 127 that unpack4x8snorm divides by
    "int8": Storage(4, 4, "u32", "unpack4x8snorm(p)"),
    "q4_0": Storage(32, 18, "u32", "NAME_half(at) * (nibbles(NAME_u32(at + 2u + part % 4u * 4u), part) - 8.0)"),
    "q4_1": Storage(
        32, 20, "u32", "NAME_half(at) * nibbles(NAME[at / 4u + 1u + part % 4u], part) + NAME_half(at + 2u)"
    ),
    "q8_0": Storage(32, 34, "u32", "NAME_half(at) * bytes(NAME_u32(at + 2u + part * 4u))"),
}
