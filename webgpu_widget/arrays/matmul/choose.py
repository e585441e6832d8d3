"""Which kernel for which product on which adapter: the candidates, most promising first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webgpu_widget.arrays.matmul import register, subgroup, tiled, vector
from webgpu_widget.arrays.matmul.register import Register
from webgpu_widget.arrays.matmul.subgroup import Subgroup
from webgpu_widget.arrays.matmul.tiled import Load, Tiled
from webgpu_widget.arrays.matmul.vector import Vector

if TYPE_CHECKING:
    from webgpu_widget.gpu import AdapterInfo

Variant = Tiled | Register | Vector | Subgroup


@dataclass(frozen=True, slots=True)
class Problem:
    """The shape and layout of a product, as far as they decide its kernel. Strides count elements; 0 along an axis of size 1."""

    batch: int
    m: int
    n: int
    k: int
    a_m: int
    a_k: int
    b_k: int
    b_n: int
    a_aligned: bool
    b_aligned: bool
    out_aligned: bool

    @property
    def flops(self) -> int:
        """Operations."""
        return 2 * self.batch * self.m * self.n * self.k


@dataclass(frozen=True, slots=True)
class Plan:
    """A variant, and over how many workgroups the inner axis is split."""

    variant: Variant
    splits: int = 1

    @property
    def name(self) -> str:
        """A short name that tells plans apart."""
        return f"{self.variant.name} splits{self.splits}"

    def source(self) -> str:
        """Return the WGSL."""
        variant = self.variant
        if isinstance(variant, Tiled):
            return tiled.generate(variant)
        if isinstance(variant, Register):
            return register.generate(variant)
        if isinstance(variant, Vector):
            return vector.generate(variant)
        return subgroup.generate(variant)


UNITS = {"M": 16, "N": 16, "K": 16, "componentType": "f16", "resultComponentType": "f32"}
"""The shape that the float16 kernel needs, in the names of the browser's GPUSubgroupMatrixConfig."""


def has_matrix_units(info: AdapterInfo) -> bool:
    """Whether the float16 kernel of `webgpu_widget.arrays.matmul.subgroup` can run: the features, its shape, and subgroups of 32."""
    wanted = {"shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"}
    return (
        info.vendor == "nvidia"  # others have subgroups of other or varying sizes
        and wanted <= info.features
        and any(one.items() >= UNITS.items() for one in info.subgroup_matrix_configs)
    )


def load_a(p: Problem) -> Load:
    """How the tiled kernel reads A."""
    if p.a_aligned and p.a_k == 1 and p.a_m % 4 == 0 and p.k % 4 == 0:
        return "vec"
    if p.a_aligned and p.a_m == 1 and p.a_k % 4 == 0 and p.m % 4 == 0:
        return "vec_t"
    return "any" if abs(p.a_k) <= abs(p.a_m) else "any_t"


def load_b(p: Problem) -> Load:
    """How the tiled kernel reads B."""
    if p.b_aligned and p.b_n == 1 and p.b_k % 4 == 0 and p.n % 4 == 0:
        return "vec"
    if p.b_aligned and p.b_k == 1 and p.b_n % 4 == 0 and p.k % 4 == 0:
        return "vec_t"
    return "any" if abs(p.b_n) <= abs(p.b_k) else "any_t"


def _split(tiles: int, k: int, wanted: int, least: int) -> int:
    """Return how many workgroups share one tile's inner axis, so that about `wanted` run, each with at least `least` of it."""
    return max(1, min(wanted // max(1, tiles), k // least, 64))


def _fits(variant: Tiled | Subgroup, info: AdapterInfo) -> bool:
    return (
        variant.workgroup_bytes <= info.limits["maxComputeWorkgroupStorageSize"]
        and variant.threads <= info.limits["maxComputeInvocationsPerWorkgroup"]
    )


def vector_plan(p: Problem) -> Plan:
    """Return the plan for n = 1, where A is the matrix."""
    across = p.a_m == 1 and p.a_k != 1
    vec = p.a_aligned and (
        p.a_k % 4 == 0 and p.m % 4 == 0 if across else p.a_k == 1 and p.a_m % 4 == 0 and p.k % 4 == 0
    )
    variant = Vector(across, vec, rows=8, unroll=8) if across else Vector(across, vec, rows=2, unroll=4)
    groups = -(-p.m // variant.outputs) * p.batch
    return Plan(variant, _split(groups, p.k, 512, 512 if across else 8192))


def matrix_plans(p: Problem, info: AdapterInfo) -> list[Plan]:
    """Return the candidates for a float32 product, most promising first; there is always one."""
    if info.is_fallback:
        return [Plan(_register_for_cpu(p, quad="subgroups" in info.features))]
    if p.n == 1:
        return [vector_plan(p)]
    if p.m * p.n <= 1024 and p.k <= 512:
        return [Plan(Register(2, 2, 4, 8, 8, edge=True))]
    a, b = load_a(p), load_b(p)
    shapes = [(128, 128, 8, 8, 16, 8), (128, 128, 8, 8, 8, 8), (128, 64, 16, 8, 8, 8), (64, 64, 16, 8, 8, 8)]
    if p.n <= 16:
        shapes = [(128, 16, 32, 8, 4, 4), (128, 16, 16, 8, 4, 4)]
    elif p.m <= 16:
        shapes = [(16, 128, 32, 4, 8, 16), (16, 128, 16, 4, 8, 16)]
    elif p.batch * -(-p.m // 128) * -(-p.n // 64) < 200:
        shapes = [(64, 64, 16, 8, 8, 8), (64, 64, 16, 8, 4, 8), (128, 64, 16, 8, 8, 8)]
    if "any" in a or "any" in b:  # scalar loads want few of them for each invocation
        shapes = [shape for shape in shapes if shape[2] == 16]
    plans = []
    for bm, bn, bk, tm, tn, wide in shapes:
        edge = bool(p.m % bm or p.n % bn or p.k % bk)
        variant = Tiled(bm, bn, bk, tm, tn, a, b, edge, p.n % 4 == 0 and p.out_aligned, wide, double=bk == 8)
        if _fits(variant, info):
            tiles = p.batch * -(-p.m // bm) * -(-p.n // bn)
            plans.append(Plan(variant, _split(tiles, p.k, 256, 256) if tiles < 100 else 1))
    return plans or [Plan(Register(4, 4, 4, 8, 8))]


def _register_for_cpu(p: Problem, *, quad: bool) -> Register:
    """Return the kernel for an adapter that is a CPU: vectors of four along the columns."""
    quad = quad and p.m >= 4
    rows = min(16, -(-p.m // 4) * 4) if quad else min(8, p.m)
    width = 16 if p.n >= 64 else 4
    cols = min(4, -(-p.n // width))
    return Register(rows, cols, 2, width, 1, edge=bool(p.m % rows or p.n % (cols * width)), quad=quad)


def half_plans(m: int, n: int, info: AdapterInfo) -> list[Subgroup]:
    """Return the float16 kernels for a product of m x n results, most promising first; empty when it is too small to pay."""
    shapes = [Subgroup(64, 64, 2, 2, 32)]
    if m * n <= 1536 * 1024:
        shapes = [Subgroup(32, 64, 2, 2, 32), Subgroup(32, 32, 2, 2, 32)]
    return [one for one in shapes if _fits(one, info)] if min(m, n) >= 32 else []
