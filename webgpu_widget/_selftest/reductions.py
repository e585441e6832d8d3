"""Reductions fused with expressions, along each axis, at sizes on both sides of each choice of a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from webgpu_widget._selftest.case import Area, Bench, differing, units
from webgpu_widget.arrays.lazy import rows
from webgpu_widget.arrays.lazy.runtime import runtime_of

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


@AREA.case(
    "generated/rows",
    "roundings a row",
    12,
    kind=("softmax", "layer_norm", "rms_norm"),
    shape=((3, 64), (5, 100), (2, 516), (70, 128), (1, 16_384)),
)
def rows_read_once(bench: Bench, kind: Any, shape: tuple[int, int]) -> float:
    """A sum of all columns in trees, a root and a quotient; an exponential where there is one. Rounding errors of a mean stay as wide as the values are."""
    x = (3 + bench.rng.normal(size=shape)).astype(np.float32)
    weight, bias = (bench.rng.normal(size=shape[1]).astype(np.float32) for _ in range(2))
    runtime, wide = runtime_of(bench.device), x.astype(np.float64)
    values, factors, terms = (bench.gpu.array(a) for a in (x, weight, bias))
    if kind == "softmax":
        found, wanted = rows.normalise(runtime, kind, values), np.exp(wide - wide.max(1, keepdims=True))
        wanted /= wanted.sum(1, keepdims=True)
        return units(found.numpy(), wanted, 2 * EPS * wanted)
    if kind == "layer_norm":
        found = rows.normalise(runtime, kind, values, factors, terms, 1e-5)
        centred = wide - wide.mean(1, keepdims=True)
        wanted = centred / np.sqrt(np.square(centred).mean(1, keepdims=True) + 1e-5) * weight
        return units(found.numpy(), wanted + bias, EPS * (np.abs(wanted) + np.abs(bias) + 3 * np.abs(weight)))
    found = rows.normalise(runtime, kind, values, factors, None, 1e-6)
    wanted = wide / np.sqrt(np.square(wide).mean(1, keepdims=True) + 1e-6) * weight
    return units(found.numpy(), wanted, EPS * np.abs(wanted))


@AREA.case("generated/rows", "elements", 0, kind=("softmax", "layer_norm", "rms_norm"))
def rows_that_are_not_finite(bench: Bench, kind: Any) -> float:
    """Rows with NaN or infinities are NaN where NumPy's are, their neighbours are not; equal numbers have next to no distance from their mean."""
    x = np.full((6, 68), 7, np.float32)
    x[1, 5], x[2, 60], x[3, 7], x[4] = np.nan, np.inf, -np.inf, -np.inf
    found = rows.normalise(runtime_of(bench.device), kind, bench.gpu.array(x), eps=1e-5).numpy()
    with np.errstate(invalid="ignore"):
        wide = x.astype(np.float64)
        if kind == "softmax":
            wanted = np.exp(wide - wide.max(1, keepdims=True))
            wanted /= wanted.sum(1, keepdims=True)
        else:
            centred = wide - wide.mean(1, keepdims=True) if kind == "layer_norm" else wide
            wanted = centred / np.sqrt(np.square(centred).mean(1, keepdims=True) + 1e-5)
    # A quotient by the length may be two roundings off: what is left of 7 is that of that.
    exact = np.abs(found[[0, 5]]).max() < EPS if kind == "layer_norm" else True
    return differing(np.isnan(found), np.isnan(wanted)) + (0 if exact else 1)
