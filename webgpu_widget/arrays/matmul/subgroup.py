"""Generator of the float16 product on matrix units (subgroup matrices), with float32 sums.

Tiles travel from storage into registers as vec4<u32> (eight float16), from there into workgroup memory as they are, and are loaded as 16 x 16
fragments whose offsets are constants: each subgroup's rows (or columns) are an array of their own, so that Tint proves every load in bounds and
adds no predicate. Rows are padded by 16 bytes against bank conflicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from webgpu_widget.arrays.matmul.params import WGSL as PARAMS_WGSL


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One variant; see `generate`.

    Parameters
    ----------
    sm, sn
        Rows and columns of one subgroup's block, multiples of 16.
    wm, wn
        Subgroups of a workgroup along the rows and the columns.
    bk
        Depth of a tile, a multiple of 16.
    a_t, b_t
        Whether the operand's contiguous axis is its rows: A along M, B along K.
    double
        Two buffers in workgroup memory and one barrier a step, instead of one buffer and two.
    ahead
        Whether the next tile is read into registers before the present one is multiplied.
    group
        Rows of tiles that neighbouring workgroups share, for the cache.
    direct
        Load fragments straight from storage, without workgroup memory.
    """

    sm: int = 64
    sn: int = 64
    wm: int = 2
    wn: int = 2
    bk: int = 32
    a_t: bool = False
    b_t: bool = False
    double: bool = False
    ahead: bool = True
    group: int = 8
    direct: bool = False

    @property
    def bm(self) -> int:
        """Rows of a workgroup's tile."""
        return self.sm * self.wm

    @property
    def bn(self) -> int:
        """Columns of a workgroup's tile."""
        return self.sn * self.wn

    @property
    def threads(self) -> int:
        """Invocations in a workgroup, for subgroups of 32."""
        return 32 * self.wm * self.wn

    @property
    def a_shape(self) -> tuple[int, int]:
        """Rows of one subgroup's part of A's tile, and vec4u in each with padding."""
        return (self.bk, self.sm // 8 + 1) if self.a_t else (self.sm, self.bk // 8 + 1)

    @property
    def b_shape(self) -> tuple[int, int]:
        """The same for B."""
        return (self.sn, self.bk // 8 + 1) if self.b_t else (self.bk, self.sn // 8 + 1)

    @property
    def workgroup_bytes(self) -> int:
        """Bytes of workgroup memory."""
        if self.direct:
            return 0
        (ar, ac), (br, bc) = self.a_shape, self.b_shape
        return (2 if self.double else 1) * 16 * (self.wm * ar * ac + self.wn * br * bc)

    @property
    def name(self) -> str:
        """A short name that tells the variants apart."""
        return (
            f"subgroup {self.sm}x{self.sn} of {self.wm}x{self.wn} k{self.bk} {'t' if self.a_t else 'n'}{'t' if self.b_t else 'n'}"
            f"{' double' if self.double else ''}{' ahead' if self.ahead else ''}{' direct' if self.direct else ''} group{self.group}"
        )


def _loader(v: Subgroup, which: Literal["a", "b"]) -> tuple[str, str, str]:
    """Return WGSL that prepares addresses, that reads the tile at ``k0`` into registers, and that stores it as tile ``t``."""
    turned = v.a_t if which == "a" else v.b_t
    side, part, corner = (v.bm, v.sm, "row0") if which == "a" else (v.bn, v.sn, "col0")
    stride = {"a": "p.a_k" if turned else "p.a_m", "b": "p.b_n" if turned else "p.b_k"}[which]
    width = (v.a_shape if which == "a" else v.b_shape)[1]
    along_k = turned if which == "b" else not turned
    count = side * v.bk // 8
    if count % v.threads:
        raise ValueError(f"{v.name}: {count} loads of {which} do not divide among {v.threads} invocations.")
    setup, fetch, store = [], [], []
    for i in range(count // v.threads):
        q = f"{which}_q{i}"
        at = f"(lid + {i * v.threads}u)" if i else "lid"
        if along_k:
            fast = v.bk // 8
            setup += [
                f"  let {q}s = {at} / {fast}u; let {q}d = {at} % {fast}u;",
                f"  let {q} = ({which}_base + ({corner} + {q}s) * {stride}) / 8u + {q}d;",
            ]
            fetch.append(f"{q}v = {which}[{q} + k0 / 8u];")
            store.append(f"tile_{which}[t][{q}s / {part}u][{q}s % {part}u * {width}u + {q}d] = {q}v;")
        else:
            fast = side // 8
            setup += [
                f"  let {q}d = {at} / {fast}u; let {q}s = {at} % {fast}u;",
                f"  let {q} = ({which}_base + {corner} + {q}d * {stride}) / 8u + {q}s;",
            ]
            fetch.append(f"{q}v = {which}[{q} + k0 * ({stride} / 8u)];")
            store.append(f"tile_{which}[t][{q}s / {part // 8}u][{q}d * {width}u + {q}s % {part // 8}u] = {q}v;")
        setup.append(f"  var {q}v = vec4u();")
    pad = "\n    "
    return "\n".join(setup), pad.join(fetch), pad.join(store)


def _multiply(v: Subgroup) -> list[str]:
    """Return the lines that multiply tile ``t``."""
    lines = []
    a_major, b_major = ("col_major" if v.a_t else "row_major"), ("col_major" if v.b_t else "row_major")
    a_width, b_width = v.a_shape[1], v.b_shape[1]
    for kk in range(0, v.bk, 16):
        lines.append("{")
        for i in range(v.sm // 16):
            offset = kk * a_width + 2 * i if v.a_t else 16 * i * a_width + kk // 8
            lines.append(f"let x{i} = subgroupMatrixLoad<Left, {a_major}>(&tile_a[t][sg_m], {offset}u, {a_width}u);")
        for j in range(v.sn // 16):
            offset = 16 * j * b_width + kk // 8 if v.b_t else kk * b_width + 2 * j
            lines.append(f"let y{j} = subgroupMatrixLoad<Right, {b_major}>(&tile_b[t][sg_n], {offset}u, {b_width}u);")
        lines += [
            f"c{i}_{j} = subgroupMatrixMultiplyAccumulate(x{i}, y{j}, c{i}_{j});"
            for i in range(v.sm // 16)
            for j in range(v.sn // 16)
        ]
        lines.append("}")
    return lines


def _direct(v: Subgroup) -> str:
    """Return the loop that loads fragments from storage."""
    lines = []
    for kk in range(0, v.bk, 16):
        lines.append("{")
        for i in range(v.sm // 16):
            row = f"(row0 + sg_m * {v.sm}u + {16 * i}u)"
            where = (
                f"(a_base + {row} + (k0 + {kk}u) * p.a_k) / 8u, p.a_k / 8u"
                if v.a_t
                else f"(a_base + {row} * p.a_m + k0 + {kk}u) / 8u, p.a_m / 8u"
            )
            lines.append(f"let x{i} = subgroupMatrixLoad<Left, {'col_major' if v.a_t else 'row_major'}>(&a, {where});")
        for j in range(v.sn // 16):
            col = f"(col0 + sg_n * {v.sn}u + {16 * j}u)"
            where = (
                f"(b_base + {col} * p.b_n + k0 + {kk}u) / 8u, p.b_n / 8u"
                if v.b_t
                else f"(b_base + {col} + (k0 + {kk}u) * p.b_k) / 8u, p.b_k / 8u"
            )
            lines.append(f"let y{j} = subgroupMatrixLoad<Right, {'col_major' if v.b_t else 'row_major'}>(&b, {where});")
        lines += [
            f"c{i}_{j} = subgroupMatrixMultiplyAccumulate(x{i}, y{j}, c{i}_{j});"
            for i in range(v.sm // 16)
            for j in range(v.sn // 16)
        ]
        lines.append("}")
    body = "\n    ".join(lines)
    return f"""  for (var k0 = k_begin; k0 < k_end; k0 += {v.bk}u) {{
    {body}
  }}"""


@lru_cache(maxsize=256)
def generate(v: Subgroup) -> str:
    """Return the WGSL of a variant.

    m, n and k must be multiples of the tile's sides; strides and offsets of 8. Dispatch ``(tiles_n, tiles_m, outer * inner * splits)``
    workgroups; bindings are a, b (float16), out (float32) in group 0 and Params in group 1.
    """
    a_setup, a_fetch, a_store = _loader(v, "a")
    b_setup, b_fetch, b_store = _loader(v, "b")
    accs = [(i, j) for i in range(v.sm // 16) for j in range(v.sn // 16)]
    body = "\n    ".join(_multiply(v))
    if v.direct:
        loop, declare, a_setup, b_setup = _direct(v), "", "", ""
    else:
        buffers = 2 if v.double else 1
        (ar, ac), (br, bc) = v.a_shape, v.b_shape
        declare = (
            f"var<workgroup> tile_a: array<array<array<vec4u, {ar * ac}>, {v.wm}>, {buffers}>;\n"
            f"var<workgroup> tile_b: array<array<array<vec4u, {br * bc}>, {v.wn}>, {buffers}>;\n"
        )
        fetch = f"{a_fetch}\n    {b_fetch}"
        store = f"{a_store}\n    {b_store}"
        if v.double:

            def half(now: int) -> str:
                return f"""    {{ let k0 = k_begin + (s + {now + 1}u) * {v.bk}u;
    {fetch}
    }}
    {{ const t = {now}u;
    {body}
    }}
    {{ const t = {1 - now}u;
    {store}
    }}
    workgroupBarrier();"""

            loop = f"""  {{ const t = 0u;
    let k0 = k_begin;
    {fetch}
    {store}
  }}
  workgroupBarrier();
  let steps = (k_end - k_begin) / {v.bk}u;
  for (var s = 0u; s < steps; s += 2u) {{
{half(0)}
    if (s + 1u >= steps) {{ break; }}
{half(1)}
  }}"""
        elif v.ahead:
            loop = f"""  {{ let k0 = k_begin;
    {fetch}
  }}
  let steps = (k_end - k_begin) / {v.bk}u;
  for (var s = 0u; s < steps; s += 1u) {{
    let k0 = k_begin + (s + 1u) * {v.bk}u;
    const t = 0u;
    workgroupBarrier();
    {store}
    workgroupBarrier();
    {fetch}
    {body}
  }}"""
        else:
            loop = f"""  for (var k0 = k_begin; k0 < k_end; k0 += {v.bk}u) {{
    const t = 0u;
    {fetch}
    workgroupBarrier();
    {store}
    workgroupBarrier();
    {body}
  }}"""
    stores = "\n".join(
        f"  subgroupMatrixStore<row_major>(&out, out_base + (row0 + sg_m * {v.sm}u + {16 * i}u) * p.out_m + col0 + sg_n * {v.sn}u + {16 * j}u, "
        f"c{i}_{j}, p.out_m);"
        for i, j in accs
    )
    return f"""// float16 product on subgroup matrices, float32 sums. Made by webgpu_widget.arrays.matmul.subgroup: {v.name}.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;
{PARAMS_WGSL}
@group(0) @binding(0) var<storage, read> a: array<vec4u>;
@group(0) @binding(1) var<storage, read> b: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;
{declare}
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
  let sg = lid / 32u;
  let sg_m = sg / {v.wn}u;
  let sg_n = sg % {v.wn}u;
{a_setup}
{b_setup}
{"".join(f"  var c{i}_{j} = Sum();{chr(10)}" for i, j in accs)}
{loop}
{stores}
}}
"""
