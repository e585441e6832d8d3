"""Generator of the matrix-vector product, bound by memory: every element of the matrix is read once, as wide as its layout allows.

``along`` walks rows whose elements are adjacent: a workgroup takes a few rows, its invocations stride along K, and their sums meet in workgroup memory.
``across`` walks columns: an invocation owns adjacent outputs and steps down K, so neighbours read neighbours; a workgroup stacks several such runs, and K is split
over workgroups, whose partial sums are added by the reduction of `webgpu_widget.arrays.matmul.passes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from webgpu_widget.arrays.matmul.params import WGSL as PARAMS_WGSL


@dataclass(frozen=True, slots=True)
class Vector:
    """One variant; see `generate`.

    Parameters
    ----------
    across
        Whether outputs, not K, are adjacent in the matrix.
    vec
        Read by vec4: strides and offsets of the matrix are multiples of 4 where they are not 1, and so are k (along) or the outputs (across).
    rows
        Outputs of a workgroup (along), or runs that it stacks along K (across).
    threads
        Invocations of a workgroup.
    unroll
        Loads of the matrix in flight for each row (along) or run (across).
    """

    across: bool = False
    vec: bool = True
    rows: int = 4
    threads: int = 256
    unroll: int = 2

    @property
    def step(self) -> int:
        """Elements of a load."""
        return 4 if self.vec else 1

    @property
    def outputs(self) -> int:
        """Outputs of a workgroup."""
        return self.threads // self.rows * self.step if self.across else self.rows

    @property
    def bk(self) -> int:
        """What a split's share of K is rounded to."""
        return 4

    @property
    def name(self) -> str:
        """A short name that tells the variants apart."""
        return f"vector {'across' if self.across else 'along'}{' vec' if self.vec else ''} rows{self.rows} {self.threads} unroll{self.unroll}"


_HEAD = """
  let split = wg.z % p.splits;
  let outer = wg.z / p.splits / p.inner;
  let inner = wg.z / p.splits % p.inner;
  let k_begin = split * p.k_chunk;
  let k_end = min(p.k, k_begin + p.k_chunk);
  let a_base = p.a_offset + outer * p.a_outer + inner * p.a_inner;
  let b_base = p.b_offset + outer * p.b_outer + inner * p.b_inner;
  let out_base = p.out_offset + outer * p.out_outer + inner * p.out_inner + split * p.out_split;"""


def _walk(begin: str, stride: int, unroll: int, step: Callable[[int], str]) -> str:
    """Loop over k from ``begin`` to k_end: as many loads at once as fit before it, then one at a time.

    Nothing is read beyond k_end: a factor of 0 would not make up for it, since there may lie an infinity or a NaN.
    """
    return f"""var k = {begin};
  for (; k + {(unroll - 1) * stride}u < k_end; k += {unroll * stride}u) {{
    {step(unroll)}
  }}
  for (; k < k_end; k += {stride}u) {{
    {step(1)}
  }}"""


def _along(v: Vector) -> str:
    zero = "vec4f()" if v.vec else "0.0"

    def step(unroll: int) -> str:
        reads = []
        for u in range(unroll):
            at = f"k + {u * v.threads * v.step}u"
            reads.append(f"let x{u} = b_at({at}, b_base);")
            reads += [f"let y{u}_{r} = a[(a{r} + ({at}) * A_K) / {v.step}u];" for r in range(v.rows)]
        reads += [f"s{r} = fma(y{u}_{r}, x{u}, s{r});" for u in range(unroll) for r in range(v.rows)]
        return "\n    ".join(reads).replace("A_K", "1u" if v.vec else "p.a_k")

    b_read = "vec4f(b[at], b[at + p.b_k], b[at + 2u * p.b_k], b[at + 3u * p.b_k])" if v.vec else "b[at]"
    kind = "vec4f" if v.vec else "f32"
    total = "s{r}.x + s{r}.y + s{r}.z + s{r}.w" if v.vec else "s{r}"
    folds, half = [], v.threads // 2
    while half:
        adds = " ".join(f"sums[{r}][lid] += sums[{r}][lid + {half}u];" for r in range(v.rows))
        folds.append(f"  if (lid < {half}u) {{ {adds} }}\n  workgroupBarrier();")
        half //= 2
    return f"""var<workgroup> sums: array<array<f32, {v.threads}>, {v.rows}>;

fn b_at(k: u32, b_base: u32) -> {kind} {{
  let at = b_base + k * p.b_k;
  return {b_read};
}}

@compute @workgroup_size({v.threads})
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lid: u32) {{{_HEAD}
  let row0 = (wg.y * groups.x + wg.x) * {v.rows}u;
{"".join(f"  let a{r} = a_base + min(row0 + {r}u, p.m - 1u) * p.a_m;{chr(10)}  var s{r} = {zero};{chr(10)}" for r in range(v.rows))}
  {_walk(f"k_begin + lid * {v.step}u", v.threads * v.step, v.unroll, step)}
{"".join(f"  sums[{r}][lid] = {total.format(r=r)};{chr(10)}" for r in range(v.rows))}  workgroupBarrier();
{chr(10).join(folds)}
  if (lid < {v.rows}u && row0 + lid < p.m) {{
    let w = out_base + (row0 + lid) * p.out_m;
    var sum = sums[lid][0];
    if (p.accumulate != 0u) {{ sum += out[w]; }}
    out[w] = sum;
  }}
}}
"""


def _across(v: Vector) -> str:
    zero = "vec4f()" if v.vec else "0.0"
    members = v.threads // v.rows
    kind = "vec4f" if v.vec else "f32"

    def step(unroll: int) -> str:
        reads = []
        for u in range(unroll):
            reads.append(f"let y{u} = a[(a0 + (k + {u * v.rows}u) * p.a_k) / {v.step}u];")
            reads.append(f"let x{u} = b[b_base + (k + {u * v.rows}u) * p.b_k];")
        reads += [f"s{u % 2} = fma(y{u}, {kind}(x{u}), s{u % 2});" for u in range(unroll)]
        return "\n    ".join(reads)

    folds, half = [], v.rows // 2
    while half:
        folds.append(
            f"  if (run < {half}u) {{ sums[run][member] += sums[run + {half}u][member]; }}\n  workgroupBarrier();"
        )
        half //= 2
    puts = []
    for c in range(v.step):
        value = f"sums[0][member][{c}]" if v.vec else "sums[0][member]"
        puts.append(
            f"if (col + {c}u < p.m) {{ let w = out_base + (col + {c}u) * p.out_m; var sum = {value}; "
            "if (p.accumulate != 0u) { sum += out[w]; } out[w] = sum; }"
        )
    return f"""var<workgroup> sums: array<array<{kind}, {members}>, {v.rows}>;

@compute @workgroup_size({v.threads})
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lid: u32) {{{_HEAD}
  let member = lid % {members}u;
  let run = lid / {members}u;
  let col = ((wg.y * groups.x + wg.x) * {members}u + member) * {v.step}u;
  let a0 = a_base + min(col, p.m - {v.step}u) * {"1u" if v.vec else "p.a_m"};
  var s0 = {zero};
  var s1 = {zero};
  {_walk("k_begin + run", v.rows, v.unroll, step)}
  sums[run][member] = s0 + s1;
  workgroupBarrier();
{chr(10).join(folds)}
  if (run == 0u) {{
    {f"{chr(10)}    ".join(puts)}
  }}
}}
"""


@lru_cache(maxsize=64)
def generate(v: Vector) -> str:
    """Return the WGSL of a variant.

    Bindings are the matrix a (m outputs, k), the vector b, out in group 0 and Params in group 1. Dispatch ``(x, y, outer * inner * splits)`` workgroups
    with ``x * y * outputs >= m``.
    """
    return f"""// float32 matrix-vector product. Made by webgpu_widget.arrays.matmul.vector: {v.name}.
{PARAMS_WGSL}
@group(0) @binding(0) var<storage, read> a: array<{"vec4f" if v.vec else "f32"}>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;
{(_across if v.across else _along)(v)}"""
