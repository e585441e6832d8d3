"""The WGSL of neural networks in its variants: number format of the weights, width of a head, adapters with and without subgroups."""

from __future__ import annotations

import functools
import re

from webgpu_widget import shaders
from webgpu_widget.nn.formats import FORMATS, Format, replace_once

__all__ = ["variant"]

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
_FOUR_ROWS = """// rows: four
const ROWS: u32 = 4u;
alias Sums = vec4f;
fn of_rows(v: vec4f, begin: u32, i: u32) -> Sums {
  let next = IN / 4u;
  return vec4f(dot(v, taken(begin, i)), dot(v, taken(begin + next, i)), dot(v, taken(begin + 2u * next, i)), dot(v, taken(begin + 3u * next, i)));
}
fn squares_of(begin: u32, i: u32) -> Sums {
  let a = x[begin + i];
  let b = x[begin + IN / 4u + i];
  let c = x[begin + IN / 2u + i];
  let d = x[begin + IN / 4u * 3u + i];
  return vec4f(dot(a, a), dot(b, b), dot(c, c), dot(d, d));
}
fn of_row(sums: Sums, r: u32) -> f32 { return sums[r]; }
// end rows"""


@functools.cache
def variant(
    name: str, *, weights: Format = "f32", head: int = 64, subgroups: bool = True, on_cpu: bool = False, rows: int = 1
) -> str:
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
    on_cpu
        Whether a CPU runs it.
    rows
        How many rows a team takes at once: 1, or with subgroups 4.
    """
    source = shaders.load(f"nn/{name}")
    if "alias Packed" in source:
        source = FORMATS[weights].read_by(source, whole_blocks=on_cpu)
    if "const HEAD: u32" in source:
        source = replace_once(source, "const HEAD: u32 = 16u;", f"const HEAD: u32 = {head // 4}u;")
    if rows == 4:
        source, count = re.subn("// rows:.*?// end rows", lambda _: _FOUR_ROWS, source, flags=re.DOTALL)
        if count != 1 or not subgroups:
            raise ValueError(f"{name} does not take four rows at once{'' if subgroups else ' without subgroups'}")
    if "// team:" in source and not subgroups:
        source, count = re.subn(r"// team:.*?// end team", lambda _: _WORKGROUP_TEAM, source, count=1, flags=re.DOTALL)
        source = replace_once(source, "enable subgroups;\n", "")
        source = replace_once(source, "  @builtin(subgroup_size) lanes: u32,\n", "")
        source = replace_once(source, "\n) {\n", "\n) {\n  let lanes = WG;\n  team_index = index;\n")
        if count != 1:
            raise ValueError(f"{name} has no team section")
    return source
