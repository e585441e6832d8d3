"""Matrix products by every strategy, with the passes around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget._selftest.case import Area, Bench, Unavailable, differing, units
from webgpu_widget.arrays import matrix
from webgpu_widget.arrays.matmul.choose import Plan, has_matrix_units
from webgpu_widget.arrays.matmul.launch import _emit
from webgpu_widget.arrays.matmul.passes import View, convert, reduce_splits, tight
from webgpu_widget.arrays.matmul.register import Register
from webgpu_widget.arrays.matmul.subgroup import Subgroup
from webgpu_widget.arrays.matmul.subproducts import Product
from webgpu_widget.arrays.matmul.tiled import Load, Tiled
from webgpu_widget.arrays.matmul.vector import Vector
from webgpu_widget.reference import matrix as twin

__all__ = ["AREA"]

AREA = Area("products")
EPS = float(np.finfo(np.float32).eps)
BOUND = "of the bound"
"""A float32 sum in any order is within one rounding a term of the sum of the products' sizes."""
EDGED = (68, 132, 44)
LOADS: tuple[tuple[Load, Load], ...] = (("vec", "vec"), ("vec_t", "any"), ("any", "vec_t"), ("any_t", "any_t"))


def _bounded(found: NDArray[Any], a: NDArray[Any], b: NDArray[Any], *, half: bool = False) -> float:
    wanted, sizes = twin.product(a, b, half=half), twin.product(np.abs(a), np.abs(b), half=half)
    room = (a.shape[-1] + 1) * EPS * sizes + 1e-30
    if found.dtype == np.float16:
        room += np.abs(wanted) * 2.0**-11 + 2.0**-25
    return units(found, wanted, room)


def _planned(bench: Bench, plan: Plan, shape: tuple[int, int, int], *, transposed: tuple[bool, bool]) -> float:
    """Run one plan, whatever `choose` would take here."""
    m, n, k = shape
    a, b = (bench.rng.standard_normal(size).astype(np.float32) for size in ((m, k), (k, n)))
    stored = [
        bench.gpu.array(np.ascontiguousarray(x.T if flip else x)) for x, flip in zip((a, b), transposed, strict=True)
    ]
    left, right = (
        View(y._memory, (1, 1, *x.shape), (0, 0, *((1, x.shape[0]) if flip else (x.shape[1], 1))), 0, half=False)
        for y, x, flip in zip(stored, (a, b), transposed, strict=True)
    )
    out = bench.poison(m, n)
    _emit(bench.device, Product(left, right, tight(out, (1, 1, m, n))), plan)
    return _bounded(bench.get(out, (m, n)), a, b)


def _room(bench: Bench, variant: Tiled | Subgroup) -> None:
    limits = bench.gpu.info.limits
    for needed, name in (
        (variant.workgroup_bytes, "maxComputeWorkgroupStorageSize"),
        (variant.threads, "maxComputeInvocationsPerWorkgroup"),
    ):
        if needed > limits[name]:
            raise Unavailable(f"{variant.name} needs a {name} of {needed}; this adapter has {limits[name]}")


@AREA.case("generated/product tiled", BOUND, 1, ways=LOADS)
def loads(bench: Bench, ways: tuple[Load, Load]) -> float:
    """Every way to read a tile, of either operand."""
    a_load, b_load = ways
    variant = Tiled(64, 64, 8, 8, 8, a_load, b_load, edge=True)
    _room(bench, variant)
    return _planned(bench, Plan(variant), EDGED, transposed=(a_load.endswith("_t"), b_load.endswith("_t")))


@AREA.case(
    "generated/product tiled",
    BOUND,
    1,
    variant=(
        Tiled(64, 64, 16, 8, 8, double=False),
        Tiled(128, 64, 16, 8, 8, double=False),
        Tiled(64, 64, 16, 8, 4, double=False, wide=4),
    ),
    splits=(2,),
)
def tiles(bench: Bench, variant: Tiled, splits: int) -> float:
    """Other shapes of tile, with edges, and the inner axis split over workgroups."""
    _room(bench, variant)
    return _planned(bench, Plan(replace(variant, edge=True), splits), (132, 68, 100), transposed=(False, False))


@AREA.case(
    "generated/product register",
    BOUND,
    1,
    variant=(Register(4, 4, 4, 8, 8), Register(3, 2, 1, 4, 2), Register(2, 2, 4, 8, 8)),
    splits=(1, 3),
    shape=(EDGED, (4, 4, 64), (1, 7, 5)),
)
def registers(bench: Bench, variant: Register, splits: int, shape: tuple[int, int, int]) -> float:
    """Without workgroup memory."""
    return _planned(bench, Plan(replace(variant, edge=True), splits), shape, transposed=(False, False))


@AREA.case("generated/product register", BOUND, 1, ("subgroups",), shape=(EDGED, (132, 60, 4)))
def quads(bench: Bench, shape: tuple[int, int, int]) -> float:
    """Four invocations that share what they have read."""
    return _planned(bench, Plan(Register(16, 4, 2, 16, 1, edge=True, quad=True)), shape, transposed=(False, False))


@AREA.case("generated/product vector", BOUND, 1, across=(False, True), vec=(False, True), splits=(1, 3))
def vectors(bench: Bench, across: bool, vec: bool, splits: int) -> float:
    """A matrix times a vector."""
    shape = (260, 1, 1040) if vec else (257, 1, 1031)
    return _planned(bench, Plan(Vector(across, vec, 2, 64, 4), splits), shape, transposed=(across, False))


@AREA.case(
    "generated/product on matrix units",
    BOUND,
    1,
    ("shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"),
    variant=(Subgroup(32, 32, 2, 2, 32), Subgroup(64, 64, 2, 2, 32), Subgroup(64, 64, 2, 2, 16, ahead=1)),
)
def matrix_units(bench: Bench, variant: Subgroup) -> float:
    """Operands of float16, sums of float32."""
    if not has_matrix_units(bench.gpu.info):
        raise Unavailable("this adapter has no subgroup matrices of 16 x 16 x 16 halves with float32 sums")
    _room(bench, variant)
    m, n, k = 2 * variant.bm, variant.bn, 4 * variant.bk
    a, b = (bench.rng.standard_normal(size).astype(np.float16) for size in ((m, k), (k, n)))
    left, right, out = bench.gpu.array(a), bench.gpu.array(b), bench.poison(m, n)
    views = tight(left._memory, (1, 1, m, k), half=True), tight(right._memory, (1, 1, k, n), half=True)
    _emit(bench.device, Product(*views, tight(out, (1, 1, m, n))), Plan(variant))
    return _bounded(bench.get(out, (m, n)), a, b)


CHOSEN = ((1, 1, 1), (7, 1, 5), (1, 70, 33), (17, 65, 1), (67, 31, 101), (129, 131, 20), (64, 64, 64), (260, 3, 64))


@AREA.case("generated/product as chosen here", BOUND, 1, shape=CHOSEN, transposed=(False, True))
def chosen(bench: Bench, shape: tuple[int, int, int], transposed: bool) -> float:
    """`wg.matmul`, by whichever kernel it takes on this adapter."""
    m, n, k = shape
    a, b = (bench.rng.standard_normal(size).astype(np.float32) for size in ((m, k), (k, n)))
    left, right = (bench.gpu.array(np.ascontiguousarray(x.T)).T if transposed else bench.gpu.array(x) for x in (a, b))
    return _bounded(matrix.matmul(left, right).numpy(), a, b)


@AREA.case(
    "generated/product as chosen here", BOUND, 1, stored=(np.float32, np.float16), shape=((33, 41, 70), (96, 64, 128))
)
def rounded(bench: Bench, stored: Any, shape: tuple[int, int, int]) -> float:
    """``precision="f16"``: operands rounded to float16, and nothing else."""
    m, n, k = shape
    a, b = (bench.rng.standard_normal(size).astype(stored) for size in ((m, k), (k, n)))
    found = matrix.matmul(bench.gpu.array(a), bench.gpu.array(b), precision="f16").numpy()
    return _bounded(found, a, b, half=True)


@AREA.case("generated/product as chosen here", "elements", 0)
def not_finite(bench: Bench) -> float:
    """NaN and infinity go where NumPy puts them."""
    a = np.array([[np.inf, 1, 2], [0, np.nan, 1], [1, 2, 3]], np.float32)
    b = np.array([[1, 0], [2, 3], [-np.inf, 5]], np.float32)
    return differing(matrix.matmul(bench.gpu.array(a), bench.gpu.array(b)).numpy(), a @ b)


# ------------------------------------------------------------ the passes around a product


@AREA.case(
    "matrix/convert", "elements", 0, x=(np.float32, np.float16), y=(np.float32, np.float16), through=(False, True),
    columns=((7, 9), (150, 160), (161, 161)),
)  # fmt: skip
def converted(bench: Bench, x: Any, y: Any, through: bool, columns: tuple[int, int]) -> float:
    """Between float32 and float16, padded with zeros; ``through`` rounds to float16 and stays float32."""
    values = bench.rng.standard_normal((2, 3, 5, columns[0])).astype(x)
    through = through and y is np.float32
    source, target = bench.gpu.array(values), bench.gpu.array(np.full((2, 3, 6, columns[1]), np.nan, y))
    convert(
        bench.queue,
        tight(source._memory, values.shape, half=x is np.float16),
        tight(target._memory, (2, 3, 6, columns[1]), half=y is np.float16),
        through_half=through,
    )
    return differing(target.numpy(), twin.convert(values, 6, columns[1], y, through_half=through))


@AREA.case("matrix/round_half", "elements", 0, count=(1, 255, 257, 1009))
def rounded_run(bench: Bench, count: int) -> float:
    """A run of float32, eight at a time."""
    x = bench.rng.standard_normal(8 * count + 4).astype(np.float32)
    source, target = bench.gpu.array(x), bench.gpu.array(np.full(8 * count, np.nan, np.float16))
    view = View(source._memory, (1, 1, 1, 8 * count), (0, 0, 0, 1), 4, half=False)
    convert(bench.queue, view, tight(target._memory, (1, 1, 1, 8 * count), half=True))
    return differing(target.numpy(), twin.round_half(x[4:]))


@AREA.case("matrix/reduce_splits", "roundings", 8, count=(1, 255, 257, 1009), accumulate=(False, True))
def partial_sums(bench: Bench, count: int, accumulate: bool) -> float:
    """Five partial sums, added to what is there or not."""
    x, y = (bench.rng.standard_normal(size).astype(np.float32) for size in ((5, count), count + 2))
    source, target = bench.gpu.array(x), bench.gpu.array(y)
    reduce_splits(bench.queue, source._memory, target._memory, 2, count, 5, accumulate=accumulate)
    wanted = twin.reduce_splits(x, y[2:] if accumulate else None)
    found = target.numpy()
    if differing(found[:2], y[:2]):
        return np.inf
    return units(found[2:], wanted.astype(np.float64), EPS * (np.abs(x).sum(0) + np.abs(y[2:])))
