"""Integers, float16, sums, contraction and division: groups 1 to 5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget._selftest.hazards.asking import Answer, compare, each, points, singles
from webgpu_widget._selftest.probe import Probes

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = ["GROUPS"]

INTEGERS, HALVES, SUMS, FUSED, DIVISION = GROUPS = tuple(Probes(number) for number in (1, 2, 3, 4, 5))
COUNT = 4096


# ------------------------------------------------------------ integers


def _pairs(count: int = COUNT) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(7)
    return {name: rng.integers(-30000, 30000, count).astype(np.int32) for name in "ab"}


@INTEGERS.probe("max and clamp of integers over abs")
def _(gpu: GPU) -> Answer:
    given = _pairs()
    a, b = np.abs(given["a"]), np.abs(given["b"])
    return compare(
        gpu,
        {
            "max(abs(a), b)": np.maximum(a, given["b"]),
            "max(abs(a), abs(b))": np.maximum(a, b),
            "max(max(a, -a), max(b, -b))": np.maximum(a, b),
            "select(abs(b), abs(a), abs(a) > abs(b))": np.maximum(a, b),
            "clamp(abs(a), abs(b), 40000)": np.clip(a, b, 40000),
        },
        given,
        "i32",
    )


@INTEGERS.probe("max of u32(abs(a)), and other ways around it")
def _(gpu: GPU) -> Answer:
    given = _pairs()
    a, b = np.abs(given["a"]), np.abs(given["b"])
    return compare(
        gpu,
        {
            "max(u32(abs(a)), u32(abs(b)))": np.maximum(a, b),
            "max(select(-a, a, a > 0), select(-b, b, b > 0))": np.maximum(a, b),
            "min(abs(a), abs(b))": np.minimum(a, b),
            "abs(a) + abs(b)": a + b,
        },
        given,
        "i32",
    )


@INTEGERS.probe("remainder of integers with signs")
def _(gpu: GPU) -> Answer:
    given = _pairs()
    given["b"][given["b"] == 0] = 1
    wanted = np.fmod(given["a"], given["b"])
    quotient = (given["a"] / given["b"]).astype(np.int32)
    return compare(gpu, {"a % b": wanted, "a / b": quotient}, given, "i32")


# ------------------------------------------------------------ float16


def _floats(count: int = COUNT) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(8)
    return {name: rng.normal(size=count).astype(np.float32) for name in "xy"}


@HALVES.probe("float32 to float16 and back by pack2x16float")
def _(gpu: GPU) -> Answer:
    given = _floats()
    rounded = given["x"].astype(np.float16).astype(np.float32)
    return compare(gpu, {"unpack2x16float(pack2x16float(vec2f(x, 0))).x": rounded}, {"x": given["x"]}, "f32")


@HALVES.probe("quantizeToF16")
def _(gpu: GPU) -> Answer:
    given = _floats()
    rounded = given["x"].astype(np.float16).astype(np.float32)
    return compare(gpu, {"quantizeToF16(x)": rounded}, {"x": given["x"]}, "f32")


@HALVES.probe("float32 to float16 and back by f16", "shader-f16")
def _(gpu: GPU) -> Answer:
    given = _floats()
    rounded = given["x"].astype(np.float16).astype(np.float32)
    return compare(gpu, {"f32(f16(x))": rounded}, {"x": given["x"]}, "f32", "enable f16;")


@HALVES.probe("pack2x16float, the word stored")
def _(gpu: GPU) -> Answer:
    x = np.concatenate([_floats()["x"], singles([65519, 65504, 1e-7, 6e-8])])
    wanted = x.astype(np.float16).view(np.uint16).astype(np.uint32)
    return compare(gpu, {"pack2x16float(vec2f(x, 0))": wanted}, {"x": x}, "u32")


@HALVES.probe("pack2x16float beyond float16, beside its neighbour")
def _(gpu: GPU) -> Answer:
    x = singles([65520, 70000, 1e30, np.inf, -np.inf, -70000])
    wanted = x.astype(np.float16).view(np.uint16).astype(np.uint32) | np.uint32(0x3C000000)
    return compare(gpu, {"pack2x16float(vec2f(x, 1))": wanted}, {"x": x}, "u32")


# ------------------------------------------------------------ reassociation, and comparisons of NaN


@SUMS.probe("sums keep their order")
def _(gpu: GPU) -> Answer:
    x, y = np.full(4, 1e8, np.float32), singles([1, 2, 3, 0.5])
    given = {"x": x, "y": y}
    return compare(
        gpu,
        {"(x + y) - x": (x + y) - x, "(x + y) + -x": (x + y) + -x, "y + (x - (x + y))": y + (x - (x + y))},
        given,
        "f32",
    )


@SUMS.probe("x - x and x / x of what is not finite")
def _(gpu: GPU) -> Answer:
    x = singles([np.nan, np.inf, 0, 2])
    return compare(
        gpu, {"x - x": x * 0, "x / x": singles([np.nan, np.nan, np.nan, 1]), "x * 0.0": x * 0}, {"x": x}, "f32"
    )


@SUMS.probe("comparisons see a NaN")
def _(gpu: GPU) -> Answer:
    x = singles([np.nan, 1, np.inf])
    cases = {
        "select(0u, 1u, x != x)": np.isnan(x),
        "select(0u, 1u, !(x == x))": np.isnan(x),
        "select(0u, 1u, x < 0 || x >= 0)": (x < 0) | (x >= 0),
        "select(0u, 1u, !(x < 1e38))": ~(x < 1e38),
        "select(0u, 1u, (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u)": np.isnan(x),
    }
    return compare(gpu, {key: value.astype(np.uint32) for key, value in cases.items()}, {"x": x}, "u32")


@SUMS.probe("max and min of a NaN")
def _(gpu: GPU) -> Answer:
    given = {"x": singles([np.nan, 1]), "y": singles([1, np.nan])}
    wanted = singles([1, 1])
    return compare(gpu, {"max(x, y)": wanted, "min(x, y)": wanted}, given, "f32")


# ------------------------------------------------------------ contraction


@FUSED.probe("a product and a sum round twice")
def _(gpu: GPU) -> Answer:
    rng = np.random.default_rng(9)
    given = {name: rng.normal(size=COUNT).astype(np.float32) for name in "xyz"}
    twice = given["x"] * given["y"] + given["z"]
    return compare(gpu, {"x * y + z": twice}, given, "f32")


@FUSED.probe("fma rounds once")
def _(gpu: GPU) -> Answer:
    rng = np.random.default_rng(9)
    given = {name: rng.normal(size=COUNT).astype(np.float32) for name in "xyz"}
    # Products of float32 are exact in float64; the sum's own rounding there is far below float32's, save once in 2**29 rows.
    once = (given["x"].astype(np.float64) * given["y"] + given["z"]).astype(np.float32)
    return compare(gpu, {"fma(x, y, z)": once}, given, "f32")


# ------------------------------------------------------------ division, remainder, roots


@DIVISION.probe("remainder of floats")
def _(gpu: GPU) -> Answer:
    return points(
        gpu,
        [
            ("x % y", (1e9, 3.0), float(np.fmod(np.float32(1e9), np.float32(3)))),
            ("x % y", (1e20, 7.0), float(np.fmod(np.float32(1e20), np.float32(7)))),
            ("x % y", (6.0, 0.1), float(np.fmod(np.float32(6), np.float32(0.1)))),
            ("x % y", (-7.5, 2.0), -1.5),
        ],
    )


@DIVISION.probe("division by what is huge or subnormal")
def _(gpu: GPU) -> Answer:
    return points(gpu, [("x / y", (3e38, 3e38), 1.0), ("x / y", (1.0, 3e38), 0.0), ("x / y", (1e-30, 1e-40), 1e10)])


def _ulps(gpu: GPU, expression: str, given: dict[str, NDArray[Any]], exact: NDArray[np.float64]) -> Answer:
    """Say how far from rounded correctly."""
    (found,) = each(gpu, [expression], given)
    single = exact.astype(np.float32)
    off = np.abs(found.astype(np.float64) - exact) / np.spacing(np.abs(single)).astype(np.float64)
    share = float(np.mean(found != single))
    told = {expression: f"{off.max():.2f} ulp at worst, {share:.0%} not rounded correctly"}
    return ("right" if share == 0 else f"differs: {told[expression]}"), told


@DIVISION.probe("a quotient is rounded correctly")
def _(gpu: GPU) -> Answer:
    given = _floats(65536)
    return _ulps(gpu, "x / y", given, given["x"].astype(np.float64) / given["y"])


@DIVISION.probe("a root is rounded correctly")
def _(gpu: GPU) -> Answer:
    x = np.abs(_floats(65536)["x"])
    return _ulps(gpu, "sqrt(x)", {"x": x}, np.sqrt(x.astype(np.float64)))


@DIVISION.probe("a reciprocal is rounded correctly")
def _(gpu: GPU) -> Answer:
    x = _floats(65536)["x"]
    return _ulps(gpu, "1.0 / x", {"x": x}, 1 / x.astype(np.float64))
