"""Reductions fused with expressions, along each axis, at sizes on both sides of each choice of a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from webgpu_widget._selftest.case import Area, Bench, differing, units

__all__ = ["AREA"]

AREA = Area("reductions")
EPS = float(np.finfo(np.float32).eps)
SHAPES = ((1,), (4, 64), (64, 5), (100003,), (3, 4096), (2048, 3), (70, 260), (16, 128, 4))
AXES = (None, 0, -1)


@AREA.case("generated/reduce sums", "roundings", 8, name=("sum", "mean"), shape=SHAPES, axis=AXES)
def sums(bench: Bench, name: str, shape: tuple[int, ...], axis: int | None) -> float:
    """In blocks and trees: some roundings of the mean size of what is added, times the root of how many there are."""
    x = bench.rng.normal(size=shape).astype(np.float32)
    found = getattr(bench.gpu.array(x) * 2, name)(axis=axis).numpy()
    wanted = getattr(x.astype(np.float64) * 2, name)(axis=axis)
    size = np.abs(x).astype(np.float64).sum(axis) * 2
    if name == "mean":
        size = size / (x.size if axis is None else x.shape[axis])
    return units(np.asarray(found), np.asarray(wanted), EPS * size)


@AREA.case("generated/reduce sums", "roundings", 64, shape=SHAPES[1:], axis=AXES)
def variances(bench: Bench, shape: tuple[int, ...], axis: int | None) -> float:
    """About the mean, of numbers that lie around 3."""
    x = (bench.rng.normal(size=shape) + 3).astype(np.float32)
    found, wanted = bench.gpu.array(x).var(axis=axis).numpy(), x.astype(np.float64).var(axis=axis)
    return units(np.asarray(found), np.asarray(wanted), EPS * np.asarray(wanted))


@AREA.case("generated/reduce sums", "elements", 0, shape=SHAPES, axis=AXES, dtype=(np.int32, np.uint32))
def integer_sums(bench: Bench, shape: tuple[int, ...], axis: int | None, dtype: Any) -> float:
    """Modulo 2**32, whatever the order."""
    x = bench.rng.integers(0, 2**31, shape).astype(dtype)
    found = bench.gpu.array(x).sum(axis=axis, dtype=dtype).numpy()
    return differing(found, x.sum(axis=axis, dtype=dtype))


@AREA.case("generated/reduce extremes", "elements", 0, name=("max", "min", "argmax", "argmin"), shape=SHAPES, axis=AXES)
def extremes(bench: Bench, name: str, shape: tuple[int, ...], axis: int | None) -> float:
    """Values and their places."""
    x = bench.rng.normal(size=shape).astype(np.float32)
    return differing(getattr(bench.gpu.array(x), name)(axis=axis).numpy(), getattr(x, name)(axis=axis))


@AREA.case("generated/reduce extremes", "elements", 0, name=("max", "min", "argmax", "argmin"), count=(5, 1000, 100003))
def extremes_of_nan(bench: Bench, name: str, count: int) -> float:
    """One NaN among infinities is what counts, as in NumPy."""
    x = bench.rng.normal(size=count).astype(np.float32)
    x[[0, -1]] = np.inf, -np.inf
    x[count // 3] = np.nan
    return differing(getattr(bench.gpu.array(x), name)().numpy(), getattr(x, name)())


@AREA.case("generated/reduce truth", "elements", 0, name=("any", "all"), shape=SHAPES, axis=AXES)
def truth(bench: Bench, name: str, shape: tuple[int, ...], axis: int | None) -> float:
    """Of comparisons that are fused with it."""
    x = bench.rng.normal(size=shape).astype(np.float32)
    limit = 3.0 if name == "any" else -3.0
    return differing(getattr(bench.gpu.array(x) > limit, name)(axis=axis).numpy(), getattr(x > limit, name)(axis=axis))


@AREA.case("generated/reduce sums", "elements", 0, name=("sum", "mean", "prod"))
def not_finite(bench: Bench, name: str) -> float:
    """Infinities and NaN come through."""
    rows = [[1, np.inf, 2], [np.inf, -np.inf, 1], [np.nan, 1, 2], [-np.inf, 1, 1], [1, 2, 3]]
    x = np.array(rows, np.float32)
    return differing(getattr(bench.gpu.array(x), name)(axis=1).numpy(), getattr(x, name)(axis=1))
