"""Generator of the float32 product that uses registers only: no workgroup memory, no barrier.

It is for adapters that are a CPU, where both are slow, and for products too small to fill tiles. An invocation computes ``tm`` rows by ``tn`` columns; its
columns lie one workgroup width apart, so that neighbouring invocations, which a CPU runs as the lanes of one vector, read neighbouring elements of B
and the same element of A: one vector load and one broadcast, where a block of adjacent columns would be a gather.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from webgpu_widget._matmul.params import WGSL as PARAMS_WGSL


@dataclass(frozen=True, slots=True)
class Register:
    """One variant; see `generate`.

    Parameters
    ----------
    tm, tn
        Rows and columns of an invocation.
    unroll
        Steps of K in one pass of the loop.
    width, height
        Invocations of a workgroup along the columns and the rows.
    edge
        Whether m, n may be other than multiples of the tile. k may always be anything.
    fused
        ``fma`` instead of a product and a sum.
    vec_a
        Read A by vec4 along K (A contiguous along K, k and strides multiples of 4; unroll is 4).
    """

    tm: int = 8
    tn: int = 4
    unroll: int = 4
    width: int = 16
    height: int = 1
    edge: bool = True
    fused: bool = True
    vec_a: bool = False

    @property
    def bm(self) -> int:
        """Rows of a workgroup's tile."""
        return self.tm * self.height

    @property
    def bn(self) -> int:
        """Columns of a workgroup's tile."""
        return self.tn * self.width

    @property
    def bk(self) -> int:
        """What a split's share of K is rounded to."""
        return 4

    @property
    def name(self) -> str:
        """A short name that tells the variants apart."""
        return (
            f"register {self.tm}x{self.tn} unroll{self.unroll} {self.width}x{self.height}{' edge' if self.edge else ''}"
            f"{' fma' if self.fused else ''}{' vec-a' if self.vec_a else ''}"
        )


def _step(v: Register, k: str, a_of: list[str]) -> list[str]:
    lines = [f"let y{j} = b[b{j} + {k} * p.b_k];" for j in range(v.tn)]
    for i in range(v.tm):
        lines.append(f"let x{i} = {a_of[i]};")
        for j in range(v.tn):
            lines.append(f"c{i}_{j} = fma(x{i}, y{j}, c{i}_{j});" if v.fused else f"c{i}_{j} = c{i}_{j} + x{i} * y{j};")
    return ["{", *lines, "}"]


@lru_cache(maxsize=256)
def generate(v: Register) -> str:
    """Return the WGSL of a variant.

    Dispatch ``(x, y, outer * inner * splits)`` workgroups with ``x * y >= tiles_m * tiles_n``; bindings are a, b, out in group 0 and Params in group 1.
    """
    setup = []
    for i in range(v.tm):
        row = f"row0 + {i}u"
        setup.append(f"  let r{i} = {row};")
        at = f"min(r{i}, p.m - 1u)" if v.edge else f"r{i}"
        setup.append(f"  let a{i} = (a_base + {at} * p.a_m){' / 4u' if v.vec_a else ''};")
    for j in range(v.tn):
        setup.append(f"  let q{j} = col0 + {j * v.width}u;")
        at = f"min(q{j}, p.n - 1u)" if v.edge else f"q{j}"
        setup.append(f"  let b{j} = b_base + {at} * p.b_n;")
    body = []
    if v.vec_a:
        body += [f"let v{i} = a[a{i} + k / 4u];" for i in range(v.tm)]
        for u in range(4):
            body += _step(v, f"(k + {u}u)", [f"v{i}[{u}]" for i in range(v.tm)])
    else:
        for u in range(v.unroll):
            body += _step(v, f"(k + {u}u)", [f"a[a{i} + (k + {u}u) * p.a_k]" for i in range(v.tm)])
    tail = (
        ""
        if v.vec_a
        else f"""
  for (; k < k_end; k += 1u) {{
    {" ".join(_step(v, "k", [f"a[a{i} + k * p.a_k]" for i in range(v.tm)]))}
  }}"""
    )
    writes = []
    for i in range(v.tm):
        for j in range(v.tn):
            put = f"let w = out_base + r{i} * p.out_m + q{j} * p.out_n; if (p.accumulate != 0u) {{ c{i}_{j} += out[w]; }} out[w] = c{i}_{j};"
            writes.append(f"  if (r{i} < p.m && q{j} < p.n) {{ {put} }}" if v.edge else f"  {{ {put} }}")
    nl = "\n    "
    unroll = 4 if v.vec_a else v.unroll
    return f"""// float32 product in registers. Made by webgpu_widget._matmul.register: {v.name}.
{PARAMS_WGSL}
@group(0) @binding(0) var<storage, read> a: array<{"vec4f" if v.vec_a else "f32"}>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size({v.width}, {v.height})
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) lid: vec3u) {{
  let id = wg.y * groups.x + wg.x;
  if (id >= p.tiles_m * p.tiles_n) {{
    return;
  }}
  let row0 = id / p.tiles_n * {v.bm}u + lid.y * {v.tm}u;
  let col0 = id % p.tiles_n * {v.bn}u + lid.x;
  let split = wg.z % p.splits;
  let outer = wg.z / p.splits / p.inner;
  let inner = wg.z / p.splits % p.inner;
  let k_begin = split * p.k_chunk;
  let k_end = min(p.k, k_begin + p.k_chunk);
  let a_base = p.a_offset + outer * p.a_outer + inner * p.a_inner;
  let b_base = p.b_offset + outer * p.b_outer + inner * p.b_inner;
  let out_base = p.out_offset + outer * p.out_outer + inner * p.out_inner + split * p.out_split;
{chr(10).join(setup)}
{"".join(f"  var c{i}_{j} = 0.0;{chr(10)}" for i in range(v.tm) for j in range(v.tn))}
  var k = k_begin;
  for (; k + {unroll - 1}u < k_end; k += {unroll}u) {{
    {nl.join(body)}
  }}{tail}
{chr(10).join(writes)}
}}
"""
