"""How matrices are stored, and the WGSL that reads four values of them; all arithmetic is float32.

Plain formats keep four values in a word of WGSL. Those of GGUF keep 32 or 256 values in a block with its own scales, as the file has them, and a value is decoded
where it is used; their layout: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["FORMATS", "Format", "Storage"]

Format = Literal["f32", "f16", "bf16", "int8", "q4_0", "q4_1", "q8_0", "q4_k", "q5_k", "q6_k"]
_PLAIN = ("alias Packed = vec4f;", "fn unpack(p: Packed) -> vec4f { return p; }")


@dataclass(frozen=True)
class Storage:
    """How many bytes a block of values takes, and how it is read.

    Attributes
    ----------
    values, size_bytes : int
        Of a block: 4 values in plain formats, 32 or 256 in those of GGUF.
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
        fours = self.values // 4
        readers += [
            _READER.format(name=name, size=self.size_bytes, fours=fours, value=value) for name, value in values.items()
        ]
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
fn bytes(word: u32) -> vec4f { return vec4f(vec4i(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)); }
fn bits(word: u32, shift: u32, mask: u32) -> vec4u { return (vec4u(word) >> (vec4u(0u, 8u, 16u, 24u) + shift)) & vec4u(mask); }
fn shares(a: u32, b: u32, c: u32, j: u32) -> vec2f {
  let shift = j % 4u * 8u;
  if (j < 4u) { return vec2f(f32((a >> shift) & 63u), f32((b >> shift) & 63u)); }
  let low = c >> shift;
  return vec2f(f32((low & 15u) | (((a >> (shift + 6u)) & 3u) << 4u)), f32(((low >> 4u) & 15u) | (((b >> (shift + 6u)) & 3u) << 4u)));
}
fn of_shares(d: f32, least: f32, share: vec2f, q: vec4u) -> vec4f { return d * share.x * vec4f(q) - least * share.y; }"""
# `shares`: scale and minimum number j of the 6-bit ones that three words hold for the K formats with minimums.
# NAME_u32 reads four bytes at a multiple of two, NAME_at the four values with the number i.
_READER = """fn {name}_u32(at: u32) -> u32 {{
  let word = {name}[at / 4u];
  if ((at & 2u) == 0u) {{ return word; }}
  return (word >> 16u) | ({name}[at / 4u + 1u] << 16u);
}}
fn {name}_half(at: u32) -> f32 {{ return single(({name}[at / 4u] >> ((at & 2u) * 8u)) & 0xffffu); }}
fn {name}_at(i: u32) -> vec4f {{
  let at = i / {fours}u * {size}u;
  let part = i % {fours}u;
  return {value};
}}"""

_OF_SHARES = "of_shares(NAME_half(at), NAME_half(at + 2u), shares(NAME[at / 4u + 1u], NAME[at / 4u + 2u], NAME[at / 4u + 3u], part / 8u),"
FORMATS: dict[Format, Storage] = {
    "f32": Storage(4, 16, "vec4f", "p"),
    "f16": Storage(4, 8, "vec2u", "vec4f(unpack2x16float(p.x), unpack2x16float(p.y))"),
    "bf16": Storage(4, 8, "vec2u", "bitcast<vec4f>(vec4u(p.x << 16u, p.x & 0xffff0000u, p.y << 16u, p.y & 0xffff0000u))"),
    # the scale of a row takes the factor 127 that unpack4x8snorm divides by
    "int8": Storage(4, 4, "u32", "unpack4x8snorm(p)"),
    "q4_0": Storage(32, 18, "u32", "NAME_half(at) * (nibbles(NAME_u32(at + 2u + part % 4u * 4u), part) - 8.0)"),
    "q4_1": Storage(
        32, 20, "u32", "NAME_half(at) * nibbles(NAME[at / 4u + 1u + part % 4u], part) + NAME_half(at + 2u)"
    ),
    "q8_0": Storage(32, 34, "u32", "NAME_half(at) * bytes(NAME_u32(at + 2u + part * 4u))"),
    "q4_k": Storage(256, 144, "u32", f"{_OF_SHARES} bits(NAME[at / 4u + 4u + part / 16u * 8u + part % 8u], part / 8u % 2u * 4u, 15u))"),
    "q5_k": Storage(
        256, 176, "u32",
        f"{_OF_SHARES} bits(NAME[at / 4u + 12u + part / 16u * 8u + part % 8u], part / 8u % 2u * 4u, 15u)"
        " | (bits(NAME[at / 4u + 4u + part % 8u], part / 8u, 1u) << vec4u(4u)))",
    ),
    "q6_k": Storage(
        256, 210, "u32",
        "NAME_half(at + 208u) * bytes(NAME_u32((at + 192u + part / 4u) & 0xfffffffeu) >> (part / 4u % 2u * 8u)).x"
        " * (vec4f(bits(NAME_u32(at + part / 32u * 64u + part % 16u * 4u), part / 16u % 2u * 4u, 15u)"
        " | (bits(NAME_u32(at + 128u + part / 32u * 32u + part % 8u * 4u), part / 8u % 4u * 2u, 3u) << vec4u(4u))) - 32.0)",
    ),
}  # fmt: skip
