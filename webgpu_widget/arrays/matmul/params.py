"""The uniform that every matrix kernel reads, and the text that declares it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

FIELDS = (
    "m", "n", "k", "k_chunk", "tiles_m", "tiles_n", "inner", "splits",
    "a_offset", "a_m", "a_k", "a_outer", "a_inner",
    "b_offset", "b_k", "b_n", "b_outer", "b_inner",
    "out_offset", "out_m", "out_n", "out_outer", "out_inner", "out_split", "accumulate",
)  # fmt: skip

_PACK = struct.Struct(f"<{len(FIELDS)}I").pack

WGSL = "struct Params {\n" + "".join(f"  {name}: u32,\n" for name in FIELDS) + "}\n"


@dataclass(frozen=True, slots=True)
class Params:
    """One product ``out[o, i] (+)= a[o, i] @ b[o, i]``; every stride and offset counts elements.

    ``k_chunk`` is how much of K one split sums; split s writes at ``out_offset + s * out_split``. ``tiles_m`` and ``tiles_n`` are workgroups
    along the rows and columns of one matrix, and ``inner`` is the size of the inner batch axis.
    """

    m: int
    n: int
    k: int
    k_chunk: int
    tiles_m: int
    tiles_n: int
    inner: int
    splits: int
    a_offset: int
    a_m: int
    a_k: int
    a_outer: int
    a_inner: int
    b_offset: int
    b_k: int
    b_n: int
    b_outer: int
    b_inner: int
    out_offset: int
    out_m: int
    out_n: int
    out_outer: int
    out_inner: int
    out_split: int
    accumulate: int

    def pack(self) -> bytes:
        """Return the bytes of WGSL's ``Params``; negative strides wrap, as u32 arithmetic does in the shader."""
        return _PACK(*[getattr(self, name) & 0xFFFFFFFF for name in FIELDS])
