"""The T5's WGSL in its variants: number format of the weights, width of a head, adapters with and without subgroups."""

from __future__ import annotations

import functools
import re
from typing import Literal

from webgpu_widget import shaders

__all__ = ["Format", "variant"]

Format = Literal["f32", "f16", "int8"]
"""How matrices are stored; all arithmetic is float32."""

_FORMATS: dict[str, tuple[str, str]] = {
    "f32": ("alias Packed = vec4f;", "fn unpack(p: Packed) -> vec4f { return p; }"),
    "f16": (
        "alias Packed = vec2u;",
        "fn unpack(p: Packed) -> vec4f { return vec4f(unpack2x16float(p.x), unpack2x16float(p.y)); }",
    ),
    # the scale of a row takes the factor 127 that unpack4x8snorm divides by
    "int8": ("alias Packed = u32;", "fn unpack(p: Packed) -> vec4f { return unpack4x8snorm(p); }"),
}

_WORKGROUP_TEAM = """// team: the lanes that share one output, here a workgroup
var<private> team_index: u32;
var<workgroup> team_memory: array<vec4f, WG>;
fn team_sum4(v: vec4f) -> vec4f {
  team_memory[team_index] = v;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (team_index < half) { team_memory[team_index] += team_memory[team_index + half]; }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&team_memory[0]);
}
fn team_sum(v: f32) -> f32 { return team_sum4(vec4f(v)).x; }
fn team_max(v: f32) -> f32 {
  team_memory[team_index] = vec4f(v);
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (team_index < half) { team_memory[team_index] = max(team_memory[team_index], team_memory[team_index + half]); }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&team_memory[0]).x;
}
// end team"""


def _replace_once(source: str, old: str, new: str) -> str:
    if source.count(old) != 1:
        raise ValueError(f"{old!r} must be in the shader exactly once, but is there {source.count(old)} times")
    return source.replace(old, new)


@functools.cache
def variant(name: str, *, weights: Format = "f32", head: int = 64, subgroups: bool = True) -> str:
    """Return a shader of ``shaders/nn`` for a number format, a width of head and an adapter.

    Parameters
    ----------
    name
        Its file, without the ending.
    weights
        Format of its ``Packed`` words, where it has any.
    head
        Width of an attention head, a multiple of 4, where it matters.
    subgroups
        Whether the adapter has the feature; else teams are workgroups.
    """
    source = shaders.load(f"nn/{name}")
    if "alias Packed" in source:
        for old, new in zip(_FORMATS["f32"], _FORMATS[weights], strict=True):
            source = _replace_once(source, old, new)
    if "const HEAD: u32" in source:
        source = _replace_once(source, "const HEAD: u32 = 16u;", f"const HEAD: u32 = {head // 4}u;")
    if "// team:" in source and not subgroups:
        source, count = re.subn(r"// team:.*?// end team", lambda _: _WORKGROUP_TEAM, source, count=1, flags=re.DOTALL)
        source = _replace_once(source, "enable subgroups;\n", "")
        source = _replace_once(source, "  @builtin(subgroup_size) lanes: u32,\n", "")
        source = _replace_once(source, "\n) {\n", "\n) {\n  let lanes = WG;\n  team_index = index;\n")
        if count != 1:
            raise ValueError(f"{name} has no team section")
    return source
