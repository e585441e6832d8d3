"""Generator of the float32 product that stages tiles in workgroup memory.

Each workgroup computes a ``bm x bn`` block. It walks K in steps of ``bk``: the next tiles travel from storage into registers while the present
ones, in workgroup memory, are multiplied. A is kept transposed there, so that both fragments of an outer product are vec4 reads. Indices are
written with ``%`` and ``/`` by constants, from which Tint proves them in range and leaves its clamps out; workgroup arrays are nested, so that
what it cannot prove is clamped once and outside the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from webgpu_widget.arrays.matmul.params import WGSL as PARAMS_WGSL

Load = Literal["vec", "vec_t", "any", "any_t"]
"""How an operand is read: ``vec`` by vec4 along its columns (A along K, B along N), ``vec_t`` by vec4 along its rows; ``any`` and ``any_t`` by scalars of any
stride, neighbours in a subgroup taking neighbours along the columns or the rows."""


@dataclass(frozen=True, slots=True)
class Tiled:
    """One variant; see `generate`.

    Parameters
    ----------
    bm, bn, bk
        Rows, columns and depth of a workgroup's tile.
    tm, tn
        Rows and columns of an invocation's block, multiples of 4, split in groups of four that lie ``bm / (tm / 4)`` apart.
    a, b
        How the operands are read.
    edge
        Whether m, n may be other than multiples of bm, bn and k than one of bk.
    vec_out
        Whether rows of the result are written by vec4 (n, out_m and offsets are multiples of 4).
    wide
        Invocations of one subgroup-sized group of 32 along the columns; the other ``32 / wide`` lie along the rows.
    double
        Two buffers in workgroup memory and one barrier a step, instead of one buffer and two.
    lead
        Fragments of the next step of K are read before the present one is multiplied.
    pad
        vec4 of padding after each row of a tile, against bank conflicts.
    group
        Rows of tiles that neighbouring workgroups share, for the cache.
    """

    bm: int
    bn: int
    bk: int
    tm: int
    tn: int
    a: Load = "vec"
    b: Load = "vec"
    edge: bool = False
    vec_out: bool = True
    wide: int = 8
    double: bool = True
    pad: int = 1
    group: int = 8
    lead: bool = False

    @property
    def threads(self) -> int:
        """Invocations in a workgroup."""
        return (self.bm // self.tm) * (self.bn // self.tn)

    @property
    def workgroup_bytes(self) -> int:
        """Bytes of workgroup memory."""
        return (2 if self.double else 1) * 16 * self.bk * ((self.bm + self.bn) // 4 + 2 * self.pad)

    @property
    def name(self) -> str:
        """A short name that tells the variants apart."""
        return (
            f"tiled {self.bm}x{self.bn}x{self.bk} {self.tm}x{self.tn} a:{self.a} b:{self.b}{' edge' if self.edge else ''}"
            f"{'' if self.vec_out else ' scalar-out'} wide{self.wide}{' double' if self.double else ''} pad{self.pad} group{self.group}{' lead' if self.lead else ''}"
        )


def _loader(v: Tiled, which: Literal["a", "b"]) -> tuple[str, str, str]:  # noqa: PLR0912 - four ways to read, with and without edges
    """Return WGSL that prepares addresses, that reads the tile at ``k0`` into registers, and that stores it as tile ``t``."""
    mode = v.a if which == "a" else v.b
    side = v.bm if which == "a" else v.bn  # extent along m or n; the other is bk
    total, corner, stride_k, stride_s = (
        ("p.m", "row0", "p.a_k", "p.a_m") if which == "a" else ("p.n", "col0", "p.b_k", "p.b_n")
    )
    tile = "tile_a" if which == "a" else "tile_b"
    if mode == "vec":
        stride_k, stride_s = ("1u", stride_s) if which == "a" else (stride_k, "1u")
    elif mode == "vec_t":
        stride_k, stride_s = (stride_k, "1u") if which == "a" else ("1u", stride_s)
    # along K: A's columns, B's rows
    along_k = mode in (("vec", "any") if which == "a" else ("vec_t", "any_t"))
    step = 4 if mode.startswith("vec") else 1
    count = side * v.bk // step
    if count % v.threads:
        raise ValueError(f"{v.name}: {count} loads of {which} do not divide among {v.threads} invocations.")
    setup, fetch, store = [], [], []
    for i in range(count // v.threads):
        q = f"{which}_q{i}"
        at = f"lid + {i * v.threads}u" if i else "lid"
        fast = (v.bk if along_k else side) // step
        # s: along m or n (in units of 4 when the vectors lie along it); d: depth, likewise
        if along_k:
            setup.append(f"  let {q}s = ({at}) / {fast}u; let {q}d = ({at}) % {fast}u * {step}u;")
        else:
            setup.append(f"  let {q}d = ({at}) / {fast}u; let {q}s = ({at}) % {fast}u * {step}u;")
        reach = f"{corner} + {q}s"
        if v.edge:
            reach = f"min({reach}, {total} - {step if not along_k else 1}u)"
        first = f"{which}_base + ({reach}) * {stride_s} + {q}d * {stride_k}"
        if step == 4:
            setup.append(f"  let {q} = ({first}) / 4u;")
            read = f"{which}[{q} + k0 * {stride_k} / 4u]"
        else:
            setup.append(f"  let {q} = {first};")
            read = f"{which}[{q} + k0 * {stride_k}]"
        zero = "vec4f()" if step == 4 else "0.0"
        if v.edge:
            read = f"select({zero}, {read}, k0 + {q}d < k_end)"
        fetch.append(f"{q}v = {read};")
        setup.append(f"  var {q}v = {zero};")
        if step == 4 and along_k:
            store += [f"{tile}[t][{q}d + {c}u][{q}s / 4u][{q}s % 4u] = {q}v[{c}];" for c in range(4)]
        elif step == 4:
            store.append(f"{tile}[t][{q}d][{q}s / 4u] = {q}v;")
        else:
            store.append(f"{tile}[t][{q}d][{q}s / 4u][{q}s % 4u] = {q}v;")
    pad = "\n    "
    return "\n".join(setup), pad.join(fetch), pad.join(store)


@lru_cache(maxsize=256)
def generate(v: Tiled) -> str:
    """Return the WGSL of a variant.

    Dispatch ``(x, y, outer * inner * splits)`` workgroups with ``x * y >= tiles_m * tiles_n``; bindings are a, b, out in group 0 and Params in group 1.
    """
    a_setup, a_fetch, a_store = _loader(v, "a")
    b_setup, b_fetch, b_store = _loader(v, "b")
    rows4, cols4 = v.tm // 4, v.tn // 4
    threads_n = v.bn // v.tn
    threads_m = v.bm // v.tm
    if threads_n % v.wide or threads_m % (32 // v.wide):
        raise ValueError(f"{v.name}: {threads_m} x {threads_n} invocations do not tile by {32 // v.wide} x {v.wide}.")
    groups_n = threads_n // v.wide
    accs = [(i, j) for i in range(v.tm) for j in range(cols4)]

    def reads(k: int) -> list[str]:
        return [
            *(f"let x{k}_{i} = tile_a[t][{k}][ty + {i * threads_m}u];" for i in range(rows4)),
            *(f"let y{k}_{j} = tile_b[t][{k}][tx + {j * threads_n}u];" for j in range(cols4)),
        ]

    body = reads(0)
    for k in range(v.bk):
        following = reads(k + 1) if k + 1 < v.bk else []
        body += following if v.lead else []
        body += [f"c{i}_{j} = fma(vec4f(x{k}_{i // 4}[{i % 4}]), y{k}_{j}, c{i}_{j});" for i, j in accs]
        body += [] if v.lead else following
    writes = []
    for i in range(v.tm):
        row = f"row0 + {i // 4 * threads_m * 4}u + ty * 4u + {i % 4}u"
        line = []
        for j in range(cols4):
            col = f"col0 + {j * threads_n * 4}u + tx * 4u"
            where = f"out_base + r * p.out_m + {col}"
            if v.vec_out:
                put = f"let w{j} = ({where}) / 4u; if (p.accumulate != 0u) {{ c{i}_{j} += out[w{j}]; }} out[w{j}] = c{i}_{j};"
                line.append(f"if ({col} < p.n) {{ {put} }}" if v.edge else f"{{ {put} }}")
            else:
                for c in range(4):
                    put = f"let w = {where} + {c}u; if (p.accumulate != 0u) {{ c{i}_{j}[{c}] += out[w]; }} out[w] = c{i}_{j}[{c}];"
                    line.append(f"if ({col} + {c}u < p.n) {{ {put} }}" if v.edge else f"{{ {put} }}")
        inside = "\n    ".join(line)
        writes.append(f"  {{ let r = {row};\n    {f'if (r < p.m) {{ {inside} }}' if v.edge else inside}\n  }}")
    nl = "\n    "
    elem = {"vec": "vec4f", "vec_t": "vec4f", "any": "f32", "any_t": "f32"}
    buffers = 2 if v.double else 1
    if v.double:

        def half(now: int) -> str:
            return f"""    {{ let k0 = k_begin + (s + {now + 1}u) * {v.bk}u;
    {a_fetch}
    {b_fetch}
    }}
    {{ const t = {now}u;
    {nl.join(body)}
    }}
    {{ const t = {1 - now}u;
    {a_store}
    {b_store}
    }}
    workgroupBarrier();"""

        loop = f"""  {{ const t = 0u;
    let k0 = k_begin;
    {a_fetch}
    {b_fetch}
    {a_store}
    {b_store}
  }}
  workgroupBarrier();
  let steps = (k_end - k_begin + {v.bk - 1}u) / {v.bk}u;
  for (var s = 0u; s < steps; s += 2u) {{
{half(0)}
    if (s + 1u >= steps) {{ break; }}
{half(1)}
  }}"""
    else:
        loop = f"""  {{ let k0 = k_begin;
    {a_fetch}
    {b_fetch}
  }}
  let steps = (k_end - k_begin + {v.bk - 1}u) / {v.bk}u;
  for (var s = 0u; s < steps; s += 1u) {{
    let k0 = k_begin + (s + 1u) * {v.bk}u;
    const t = 0u;
    workgroupBarrier();
    {a_store}
    {b_store}
    workgroupBarrier();
    {a_fetch}
    {b_fetch}
    {nl.join(body)}
  }}"""
    return f"""// float32 product by tiles in workgroup memory. Made by webgpu_widget.arrays.matmul.tiled: {v.name}.
{PARAMS_WGSL}
@group(0) @binding(0) var<storage, read> a: array<{elem[v.a]}>;
@group(0) @binding(1) var<storage, read> b: array<{elem[v.b]}>;
@group(0) @binding(2) var<storage, read_write> out: array<{"vec4f" if v.vec_out else "f32"}>;
@group(1) @binding(0) var<uniform> p: Params;
var<workgroup> tile_a: array<array<array<vec4f, {v.bm // 4 + v.pad}>, {v.bk}>, {buffers}>;
var<workgroup> tile_b: array<array<array<vec4f, {v.bn // 4 + v.pad}>, {v.bk}>, {buffers}>;

@compute @workgroup_size({v.threads})
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lid: u32) {{
  let id = wg.y * groups.x + wg.x;
  if (id >= p.tiles_m * p.tiles_n) {{
    return;
  }}
  let band = id / ({v.group}u * p.tiles_n);
  let within = id % ({v.group}u * p.tiles_n);
  let high = min({v.group}u, p.tiles_m - band * {v.group}u);
  let row0 = (band * {v.group}u + within % high) * {v.bm}u;
  let col0 = within / high * {v.bn}u;
  let split = wg.z % p.splits;
  let outer = wg.z / p.splits / p.inner;
  let inner = wg.z / p.splits % p.inner;
  let k_begin = split * p.k_chunk;
  let k_end = min(p.k, k_begin + p.k_chunk);
  let a_base = p.a_offset + outer * p.a_outer + inner * p.a_inner;
  let b_base = p.b_offset + outer * p.b_outer + inner * p.b_inner;
  let out_base = p.out_offset + outer * p.out_outer + inner * p.out_inner + split * p.out_split;
  let member = lid % 32u;
  let group_id = lid / 32u;
  let tx = group_id % {groups_n}u * {v.wide}u + member % {v.wide}u;
  let ty = group_id / {groups_n}u * {32 // v.wide}u + member / {v.wide}u;
{a_setup}
{b_setup}
{"".join(f"  var c{i}_{j} = vec4f();{chr(10)}" for i, j in accs)}
{loop}
{chr(10).join(writes)}
}}
"""
