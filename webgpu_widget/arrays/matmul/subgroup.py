"""Generator of the float16 product on matrix units (subgroup matrices), with float32 sums.

Tiles travel from storage into registers as vec4<u32> (eight float16), some steps before they are multiplied, from there into workgroup memory as
they are, and are loaded as 16 x 16 fragments whose offsets are constants: each subgroup's rows (or columns) are an array of their own, so that Tint
proves every load in bounds and adds no predicate. Rows are padded by 16 bytes against bank conflicts. Addresses are one number an operand, which
grows from step to step, and constants. One buffer in workgroup memory is better than two there: with more than some 20 KiB, one workgroup runs on a
multiprocessor instead of two (bench/NOTES.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

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
    ahead
        How many tiles are read into registers before the present one is multiplied.
    group
        Rows of tiles that neighbouring workgroups share, for the cache.
    """

    sm: int = 64
    sn: int = 64
    wm: int = 2
    wn: int = 2
    bk: int = 32
    a_t: bool = False
    b_t: bool = False
    ahead: int = 2
    group: int = 8

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
        (ar, ac), (br, bc) = self.a_shape, self.b_shape
        return 16 * (self.wm * ar * ac + self.wn * br * bc)

    @property
    def name(self) -> str:
        """A short name that tells the variants apart."""
        return (
            f"subgroup {self.sm}x{self.sn} of {self.wm}x{self.wn} k{self.bk} {'t' if self.a_t else 'n'}{'t' if self.b_t else 'n'}"
            f" ahead{self.ahead} group{self.group}"
        )


class _Loader(NamedTuple):
    """WGSL that finds an operand's first address, that reads the next tile into one set of registers, and that puts a set into workgroup memory."""

    setup: list[str]
    fetch: list[list[str]]
    store: list[list[str]]


def _loader(v: Subgroup, which: Literal["a", "b"]) -> _Loader:
    """Return the text that moves an operand."""
    transposed = v.a_t if which == "a" else v.b_t
    side, part, corner = (v.bm, v.sm, "row0") if which == "a" else (v.bn, v.sn, "col0")
    stride = {"a": "p.a_k" if transposed else "p.a_m", "b": "p.b_n" if transposed else "p.b_k"}[which]
    width = (v.a_shape if which == "a" else v.b_shape)[1]
    along_k = transposed if which == "b" else not transposed
    across = (v.bk if along_k else side) // 8  # vec4u of a row of the tile, as it lies in storage
    rows = v.threads // across  # that all invocations read at a time
    count = side * v.bk // 8 // v.threads
    if (
        count * v.threads * 8 != side * v.bk
        or rows * across != v.threads
        or (along_k and max(rows, part) % min(rows, part))
    ):
        raise ValueError(f"{v.name}: tiles of {which} do not divide among {v.threads} invocations.")
    q = which
    setup = [f"let {q}_row = lid / {across}u;", f"let {q}_col = lid % {across}u;"]
    if along_k:
        setup.append(f"var {q}_at = ({q}_base + ({corner} + {q}_row) * {stride} + k_begin) / 8u + {q}_col;")
        next_tile = f"{v.bk // 8}u"
    else:
        setup.append(f"var {q}_at = ({q}_base + {corner} + (k_begin + {q}_row) * {stride}) / 8u + {q}_col;")
        next_tile = f"{v.bk}u * {stride} / 8u"
    setup += [f"let {q}_step = {rows}u * {stride} / 8u;", f"let {q}_next = {next_tile};"]
    fetch, store = [], []
    for tile in range(v.ahead + 1):
        names = [f"{q}{tile}_{i}" for i in range(count)]
        setup += [f"var {name} = vec4u();" for name in names]
        reads = [f"{name} = {q}[{q}_at + {i}u * {q}_step];" for i, name in enumerate(names)]
        fetch.append([*reads, f"{q}_at += {q}_next;"])
        store.append(
            [
                f"tile_{q}{_place(q, i * rows, rows, part, width, along_k=along_k)} = {name};"
                for i, name in enumerate(names)
            ]
        )
    return _Loader(setup, fetch, store)


def _place(q: str, first: int, rows: int, part: int, width: int, *, along_k: bool) -> str:
    """Return the indices in workgroup memory of what an invocation reads when all read so many `rows` from `first` on: the subgroup's part, and where in it."""
    if not along_k:
        return f"[{q}_col / {part // 8}u][({q}_row + {first}u) * {width}u + {q}_col % {part // 8}u]"
    # One read is within a part, or is of whole parts: what can be a constant is one.
    within = f"{q}_row" if first % part + rows <= part else f"{q}_row % {part}u"
    number = f"{first // part}u" if within == f"{q}_row" else f"{first // part}u + {q}_row / {part}u"
    return f"[{number}][({within} + {first % part}u) * {width}u + {q}_col]"


def _multiply(v: Subgroup) -> list[str]:
    """Return the lines that multiply what is in workgroup memory."""
    lines = []
    a_major, b_major = ("col_major" if v.a_t else "row_major"), ("col_major" if v.b_t else "row_major")
    a_width, b_width = v.a_shape[1], v.b_shape[1]
    for kk in range(0, v.bk, 16):
        lines.append("{")
        for i in range(v.sm // 16):
            offset = kk * a_width + 2 * i if v.a_t else 16 * i * a_width + kk // 8
            lines.append(f"let x{i} = subgroupMatrixLoad<Left, {a_major}>(&tile_a[sg_m], {offset}u, {a_width}u);")
        for j in range(v.sn // 16):
            offset = 16 * j * b_width + kk // 8 if v.b_t else kk * b_width + 2 * j
            lines.append(f"let y{j} = subgroupMatrixLoad<Right, {b_major}>(&tile_b[sg_n], {offset}u, {b_width}u);")
        lines += [
            f"c{i}_{j} = subgroupMatrixMultiplyAccumulate(x{i}, y{j}, c{i}_{j});"
            for i in range(v.sm // 16)
            for j in range(v.sn // 16)
        ]
        lines.append("}")
    return lines


@lru_cache(maxsize=256)
def generate(v: Subgroup) -> str:
    """Return the WGSL of a variant.

    m, n and k must be multiples of the tile's sides; strides and offsets of 8. Dispatch ``(tiles_n, tiles_m, outer * inner * splits)``
    workgroups; bindings are a, b (float16), out (float32) in group 0 and Params in group 1.
    """
    a, b = _loader(v, "a"), _loader(v, "b")
    accs = [(i, j) for i in range(v.sm // 16) for j in range(v.sn // 16)]
    (ar, ac), (br, bc) = v.a_shape, v.b_shape
    tiles = v.ahead + 1

    def step(tile: int, fetched: int | None) -> list[str]:
        """Read a tile into one set of registers, and multiply what is in another."""
        read = [] if fetched is None else [*a.fetch[fetched], *b.fetch[fetched]]
        stored = [*a.store[tile], *b.store[tile]]
        return [*read, "workgroupBarrier();", *stored, "workgroupBarrier();", *_multiply(v)]

    begun = [line for tile in range(v.ahead) for line in (*a.fetch[tile], *b.fetch[tile])]
    # As many steps as there are sets of registers, without a branch, over which the compiler would not move loads; what is left has been read.
    turn = [line for tile in range(tiles) for line in step(tile, (tile + v.ahead) % tiles)]
    rest = [line for tile in range(v.ahead) for line in (f"if (left > {tile}u) {{", *step(tile, None), "}")]
    pad = "\n    "
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
var<workgroup> tile_a: array<array<vec4u, {ar * ac}>, {v.wm}>;
var<workgroup> tile_b: array<array<vec4u, {br * bc}>, {v.wn}>;
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
  {pad.join((*a.setup, *b.setup))}
{"".join(f"  var c{i}_{j} = Sum();{chr(10)}" for i, j in accs)}
  {pad.join(begun)}
  let steps = (k_end - k_begin) / {v.bk}u;
  for (var turn = 0u; turn < steps / {tiles}u; turn += 1u) {{
    {pad.join(turn)}
  }}
  let left = steps % {tiles}u;
  {pad.join(rest)}
{stores}
}}
"""
