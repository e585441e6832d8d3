"""Generator of the float32 product that uses registers only: no workgroup memory, no barrier.

It is for adapters that are a CPU, where both are slow, and for products too small to fill tiles. An invocation computes ``tm`` rows by ``tn`` columns; its
columns lie one workgroup width apart, so that neighbouring invocations, which a CPU runs as the elements of one vector, read neighbouring elements of B
and the same element of A. With ``quad``, each of four neighbours reads A of another row and they exchange what they read: on SwiftShader every load is a
gather with a bounds check for each element, some twenty times the cost of a multiplication, so loads are what counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from webgpu_widget.arrays.matmul.params import WGSL as PARAMS_WGSL


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
    quad
        Share reads of A among four neighbouring invocations by ``quadBroadcast`` (the device feature ``subgroups``); tm is then a multiple of 4 and width of 4.
    """

    tm: int = 8
    tn: int = 4
    unroll: int = 4
    width: int = 16
    height: int = 1
    edge: bool = True
    fused: bool = True
    quad: bool = False

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
            f"{' fma' if self.fused else ''}{' quad' if self.quad else ''}"
        )


def _step(v: Register, k: str) -> list[str]:
    lines = [f"let y{j} = b[b{j} + {k} * p.b_k];" for j in range(v.tn)]
    if v.quad:
        lines += [f"let q{i} = a[a{i} + {k} * p.a_k];" for i in range(v.tm // 4)]
    for i in range(v.tm):
        lines.append(f"let x{i} = {f'quadBroadcast(q{i // 4}, {i % 4}u)' if v.quad else f'a[a{i} + {k} * p.a_k]'};")
        for j in range(v.tn):
            lines.append(f"c{i}_{j} = fma(x{i}, y{j}, c{i}_{j});" if v.fused else f"c{i}_{j} = c{i}_{j} + x{i} * y{j};")
    return ["{", *lines, "}"]


@lru_cache(maxsize=256)
def generate(v: Register) -> str:
    """Return the WGSL of a variant.

    Dispatch ``(x, y, outer * inner * splits)`` workgroups with ``x * y >= tiles_m * tiles_n``; bindings are a, b, out in group 0 and Params in group 1.
    """
    setup = []
    for i in range(v.tm // 4 if v.quad else v.tm):
        at = f"row0 + {4 * i}u + lid.x % 4u" if v.quad else f"row0 + {i}u"
        at = f"min({at}, p.m - 1u)" if v.edge else f"({at})"
        setup.append(f"  let a{i} = a_base + {at} * p.a_m;")
    for j in range(v.tn):
        at = f"min(col0 + {j * v.width}u, p.n - 1u)" if v.edge else f"(col0 + {j * v.width}u)"
        setup.append(f"  let b{j} = b_base + {at} * p.b_n;")
    body = []
    for u in range(v.unroll):
        body += _step(v, f"(k + {u}u)")
    tail = f"""
  for (; k < k_end; k += 1u) {{
    {" ".join(_step(v, "k"))}
  }}"""
    writes = []
    for i in range(v.tm):
        for j in range(v.tn):
            put = f"let w = out_base + (row0 + {i}u) * p.out_m + (col0 + {j * v.width}u) * p.out_n; if (p.accumulate != 0u) {{ c{i}_{j} += out[w]; }} out[w] = c{i}_{j};"
            writes.append(
                f"  if (row0 + {i}u < p.m && col0 + {j * v.width}u < p.n) {{ {put} }}" if v.edge else f"  {{ {put} }}"
            )
    nl = "\n    "
    return f"""// float32 product in registers. Made by webgpu_widget.arrays.matmul.register: {v.name}.
{"enable subgroups;" if v.quad else ""}
{PARAMS_WGSL}
@group(0) @binding(0) var<storage, read> a: array<f32>;
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
  for (; k + {v.unroll - 1}u < k_end; k += {v.unroll}u) {{
    {nl.join(body)}
  }}{tail}
{chr(10).join(writes)}
}}
"""
