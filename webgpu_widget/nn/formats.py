"""How matrices are stored, and the WGSL that reads four values of them; all arithmetic is float32.

Plain formats keep four values in a word of WGSL. Those of GGUF keep 32 or 256 values in a block with its own scales, as the file has them, and a value is decoded
where it is used; their layout: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["FORMATS", "Format", "Storage"]

Format = Literal["f32", "f16", "bf16", "int8", "q4_0", "q4_1", "q8_0", "q4_k", "q5_k", "q6_k"]


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
        The expression of four values: of the element ``p`` in plain formats; in those of GGUF of the block at byte ``at`` of the buffer ``weight``,
        ``part`` being which four of it.
    product : tuple of str
        For blocks, the lines that add to ``sum`` the product of a unit of the block at byte ``at`` of the buffer ``weight``, by ``of_rows(v, begin, first + n)`` for
        the values ``v`` of its word of four ``n``. Of a block of 32 the first is about the whole, and the others are repeated for each ``p`` below 4, words p and p + 4; of one of 256 a unit is word p
        of each of eight runs.
    """

    values: int
    size_bytes: int
    packed: str
    unpack: str
    product: tuple[str, ...] = ()

    def row_bytes(self, columns: int) -> int:
        """Bytes of a row."""
        return columns // self.values * self.size_bytes

    def reader(self) -> str:
        """Return the WGSL that stands for ``shared/packed``: the type of the matrix's words, and ``weight_at``, its four values with number i."""
        if self.values == 4:
            value = f"let p = weight[i];\n  return {self.unpack};"
            return f"alias Packed = {self.packed};\nfn weight_at(i: u32) -> vec4f {{\n  {value}\n}}\n"
        return _READER.format(packed=self.packed, size=self.size_bytes, fours=self.values // 4, value=self.unpack)

    def product_of_outputs(self) -> str:
        """Return the same for the four outputs of ``shared/four_outputs``, whose block of x is held while their blocks of 32 are decoded."""
        return "\n".join(
            [
                "#import shared/packed",
                "const UNIT: u32 = 8u;",
                "fn of_block(block: u32) -> f32 {",
                f"  let at = block * {self.size_bytes}u;",
                "  const begin = 0u;",
                "  const first = 0u;",
                "  var sum = 0.0;",
                self.product[0],
                *(line for p in range(4) for line in ("  {", f"  const p = {p}u;", *self.product[1:], "  }")),
                "  return sum;",
                "}",
                "fn product(begin_word: u32, begin: u32, i: u32) -> Sums {",
                "  hold(begin, i);",
                "  let block = begin_word / 8u + i;",
                "  return vec4f(of_block(block), of_block(block + IN / 32u), of_block(block + IN / 16u), of_block(block + IN / 32u * 3u));",
                "}",
                "",
            ]
        )

    def product_of_block(self, *, whole_blocks: bool = False) -> str:
        """Return the WGSL that stands for ``shared/product``: the product of a unit of a row, for formats in blocks.

        Parameters
        ----------
        whole_blocks
            Whether an invocation decodes blocks of 32 alone, which saves reads; else four share one, so that neighbours read what lies side by side.
        """
        fours = self.values // 4
        sharers = 8 if self.values == 256 else 1 if whole_blocks else 4
        lines = [
            "#import shared/packed",
            f"const UNIT: u32 = {fours // sharers}u;",
            "fn product(begin_word: u32, begin: u32, i: u32) -> Sums {",
            f"  let at = (begin_word / {fours}u + i / {sharers}u) * {self.size_bytes}u;",
            f"  let first = i / {sharers}u * {fours}u;",
            "  var sum = Sums();",
        ]
        if sharers == 1:
            lines.append(self.product[0])
            lines += (line for p in range(4) for line in ("  {", f"  const p = {p}u;", *self.product[1:], "  }"))
        else:
            lines += [f"  let p = i % {sharers}u;", *self.product]
        return "\n".join([*lines, "  return sum;", "}", ""])


# weight_u32 reads four bytes at a multiple of two.
_READER = """#import shared/blocks
alias Packed = {packed};
fn weight_u32(at: u32) -> u32 {{
  let word = weight[at / 4u];
  if ((at & 2u) == 0u) {{ return word; }}
  return (word >> 16u) | (weight[at / 4u + 1u] << 16u);
}}
fn weight_half(at: u32) -> f32 {{ return single((weight[at / 4u] >> ((at & 2u) * 8u)) & 0xffffu); }}
fn weight_at(i: u32) -> vec4f {{
  let at = i / {fours}u * {size}u;
  let part = i % {fours}u;
  return {value};
}}
"""

_OF_SHARES = "of_shares(weight_half(at), weight_half(at + 2u), shares(weight[at / 4u + 1u], weight[at / 4u + 2u], weight[at / 4u + 3u], part / 8u),"


def _four(value: str, word: str) -> str:
    """Return the line that adds the product of four values and a word of x."""
    return f"  sum += of_rows({value}, begin, first + {word});"


def _of_nibbles(word: str, before: str, value: str) -> tuple[str, ...]:
    """Return the product of a block of 32 values in nibbles: the first 16 values are the low ones."""
    parts = (value.format(q=f"vec4f(bits(word, {shift}u, 15u))") for shift in (0, 4))
    return (before, f"  let word = {word};", *(_four(part, f"p + {4 * i}u") for i, part in enumerate(parts)))


def _of_shared(first: int, high: str = "") -> tuple[str, ...]:
    """Return the product of a block of 256 values whose scales and minimums are in `shares`: nibbles from word ``first`` on."""
    lines = ["  let b = at / 4u;", "  let d = weight_half(at);", "  let least = weight_half(at + 2u);"]
    lines += [f"  let share{i} = weight[b + {i + 1}u];" for i in range(3)]
    if high:
        lines.append("  let fifths = weight[b + 4u + p];")
    for pair in range(4):
        lines.append(f"  let word{pair} = weight[b + {first + 8 * pair}u + p];")
        for side in range(2):
            j = 2 * pair + side
            q = f"bits(word{pair}, {4 * side}u, 15u){high.format(j=j)}"
            lines.append(_four(f"of_shares(d, least, shares(share0, share1, share2, {j}u), {q})", f"{8 * j}u + p"))
    return tuple(lines)


def _of_sixths() -> tuple[str, ...]:
    """Return the product of a block of Q6_K: nibbles, pairs of bits, a scale for 16 values."""
    lines = ["  let d = weight_half(at + 208u);"]
    for half in range(2):
        lines.append(f"  let pairs{half} = weight_u32(at + {128 + 32 * half}u + p * 4u);")
        lines += [f"  let word{half}{run} = weight_u32(at + {64 * half + 32 * run}u + p * 4u);" for run in range(2)]
        for k in range(4):
            q = f"bits(word{half}{k % 2}, {k // 2 * 4}u, 15u) | (bits(pairs{half}, {2 * k}u, 3u) << vec4u(4u))"
            scale = f"bytes(weight_u32(at + {192 + 8 * half + 2 * k}u) >> (p / 4u * 8u)).x"
            lines.append(_four(f"d * {scale} * (vec4f({q}) - 32.0)", f"{32 * half + 8 * k}u + p"))
    return tuple(lines)


FORMATS: dict[Format, Storage] = {
    "f32": Storage(4, 16, "vec4f", "p"),
    "f16": Storage(4, 8, "vec2u", "vec4f(unpack2x16float(p.x), unpack2x16float(p.y))"),
    "bf16": Storage(4, 8, "vec2u", "bitcast<vec4f>(vec4u(p.x << 16u, p.x & 0xffff0000u, p.y << 16u, p.y & 0xffff0000u))"),
    # the scale of a row takes the factor 127 that unpack4x8snorm divides by
    "int8": Storage(4, 4, "u32", "unpack4x8snorm(p)"),
    "q4_0": Storage(
        32, 18, "u32", "weight_half(at) * (nibbles(weight_u32(at + 2u + part % 4u * 4u), part) - 8.0)",
        _of_nibbles("weight_u32(at + 2u + p * 4u)", "  let d = weight_half(at);", "d * ({q} - 8.0)"),
    ),
    "q4_1": Storage(
        32, 20, "u32", "weight_half(at) * nibbles(weight[at / 4u + 1u + part % 4u], part) + weight_half(at + 2u)",
        _of_nibbles("weight[at / 4u + 1u + p]", "  let d = weight_half(at);\n  let least = weight_half(at + 2u);", "d * {q} + least"),
    ),
    "q8_0": Storage(
        32, 34, "u32", "weight_half(at) * bytes(weight_u32(at + 2u + part * 4u))",
        ("  let d = weight_half(at);", *(_four(f"d * bytes(weight_u32(at + {2 + 16 * side}u + p * 4u))", f"p + {4 * side}u") for side in range(2))),
    ),
    "q4_k": Storage(256, 144, "u32", f"{_OF_SHARES} bits(weight[at / 4u + 4u + part / 16u * 8u + part % 8u], part / 8u % 2u * 4u, 15u))", _of_shared(4)),
    "q5_k": Storage(
        256, 176, "u32",
        f"{_OF_SHARES} bits(weight[at / 4u + 12u + part / 16u * 8u + part % 8u], part / 8u % 2u * 4u, 15u)"
        " | (bits(weight[at / 4u + 4u + part % 8u], part / 8u, 1u) << vec4u(4u)))",
        _of_shared(12, " | (bits(fifths, {j}u, 1u) << vec4u(4u))"),
    ),
    "q6_k": Storage(
        256, 210, "u32",
        "weight_half(at + 208u) * bytes(weight_u32((at + 192u + part / 4u) & 0xfffffffeu) >> (part / 4u % 2u * 8u)).x"
        " * (vec4f(bits(weight_u32(at + part / 32u * 64u + part % 16u * 4u), part / 16u % 2u * 4u, 15u)"
        " | (bits(weight_u32(at + 128u + part / 32u * 32u + part % 8u * 4u), part / 8u % 4u * 2u, 3u) << vec4u(4u))) - 32.0)",
        _of_sixths(),
    ),
}  # fmt: skip
