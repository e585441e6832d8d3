"""The uniform that every matrix kernel reads, and the text that declares it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from webgpu_widget.shaders.uniforms import Uniform


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
        return UNIFORM.pack({name: getattr(self, name) for name in FIELDS})


FIELDS = tuple(field.name for field in fields(Params))
UNIFORM = Uniform(tuple((name, "u32") for name in FIELDS))
WGSL = UNIFORM.wgsl
