"""Functions at special values, subnormals and NaN: groups 6, 7 and 10."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget._selftest.hazards.asking import Answer, compare, points
from webgpu_widget._selftest.probe import Probes

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = ["GROUPS"]

FUNCTIONS, SUBNORMAL, NANS = GROUPS = tuple(Probes(number) for number in (6, 7, 10))


# ------------------------------------------------------------ functions at special values


@FUNCTIONS.probe("pow")
def _(gpu: GPU) -> Answer:
    return points(
        gpu,
        [
            ("pow(x, y)", (-2.0, 2.0), 4.0),
            ("pow(x, y)", (0.0, 0.0), 1.0),
            ("pow(x, y)", (-8.0, 3.0), -512.0),
            ("pow(x, y)", (0.0, 2.0), 0.0),
            ("pow(x, y)", (1.0, np.inf), 1.0),
        ],
    )


@FUNCTIONS.probe("log and exp")
def _(gpu: GPU) -> Answer:
    return points(
        gpu,
        [
            ("log(x)", (0.0,), -np.inf),
            ("log(x)", (-1.0,), np.nan),
            ("log2(x)", (0.0,), -np.inf),
            ("log(x)", (np.inf,), np.inf),
            ("exp(x)", (100.0,), np.inf),
            ("exp(x)", (-200.0,), 0.0),
            ("exp(x)", (-np.inf,), 0.0),
        ],
    )


@FUNCTIONS.probe("hyperbolic functions")
def _(gpu: GPU) -> Answer:
    return points(
        gpu,
        [
            ("tanh(x)", (100.0,), 1.0),
            ("tanh(x)", (1e-4,), 1e-4),
            ("sinh(x)", (1e-4,), 1e-4),
            ("asinh(x)", (-1e4,), -9.903487),
            ("acosh(x)", (0.5,), np.nan),
            ("atanh(x)", (1.0,), np.inf),
        ],
    )


@FUNCTIONS.probe("trigonometry")
def _(gpu: GPU) -> Answer:
    exact = {x: float(np.sin(x)) for x in (1e3, 1e6, 1e10)}
    return points(
        gpu,
        [
            *(("sin(x)", (x,), value) for x, value in exact.items()),
            ("cos(x)", (1e6,), float(np.cos(1e6))),
            ("tan(x)", (1e6,), float(np.tan(1e6))),
            ("atan2(x, y)", (-0.0, -1.0), -np.pi),
            ("atan2(x, y)", (0.0, -1.0), np.pi),
            ("asin(x)", (2.0,), np.nan),
        ],
    )


@FUNCTIONS.probe("rounding and sign")
def _(gpu: GPU) -> Answer:
    return points(
        gpu,
        [
            ("round(x)", (2.5,), 2.0),
            ("round(x)", (-0.5,), 0.0),
            ("sign(x)", (np.nan,), np.nan),
            ("fract(x)", (-1e-9,), 1.0),
            ("floor(x)", (-1e-9,), -1.0),
            ("sqrt(x)", (-1.0,), np.nan),
            ("length(vec2f(x, y))", (1e30, 1e30), 1.4142135e30),
            ("normalize(vec2f(x, y)).x", (0.0, 0.0), np.nan),
            ("f32(i32(x))", (3e9,), 2147483648.0),
            ("f32(u32(x))", (-1.0,), 0.0),
        ],
    )


# ------------------------------------------------------------ subnormals


@SUBNORMAL.probe("subnormal numbers")
def _(gpu: GPU) -> Answer:
    small = float(np.float32(1e-40))
    return points(
        gpu,
        [
            ("abs(x)", (-small,), small),
            ("max(x, y)", (small, 0.0), small),
            ("x + y", (small, small), 2 * small),
            ("x * y", (small, 1.0), small),
            ("x * y", (1e-20, 1e-20), small),
            ("ceil(x)", (small,), 1.0),
            ("floor(x)", (-small,), -1.0),
            ("sign(x)", (small,), 1.0),
            ("select(0.0, 1.0, x > 0)", (small,), 1.0),
        ],
    )


@SUBNORMAL.probe("frexp and modf of infinity")
def _(gpu: GPU) -> Answer:
    return points(
        gpu,
        [
            ("frexp(x).fract", (8.0,), 0.5),
            ("frexp(x).fract", (np.inf,), np.inf),
            ("modf(x).fract", (np.inf,), 0.0),
            ("modf(x).whole", (np.inf,), np.inf),
            ("ldexp(x, i32(y))", (1e30, 100.0), np.inf),
            ("ldexp(x, i32(y))", (1.0, -130.0), 2.0**-130),
        ],
    )


# ------------------------------------------------------------ NaN


@NANS.probe("a NaN keeps its bits when it is copied")
def _(gpu: GPU) -> Answer:
    x = np.array([0x7FC00001, 0xFFC12345, 0x7F800001], np.uint32).view(np.float32)
    cases = {"bitcast<u32>(x)": x.view(np.uint32), "bitcast<u32>(select(x, 0.0, x == 5))": x.view(np.uint32)}
    return compare(gpu, cases, {"x": x}, "u32")


@NANS.probe("a NaN keeps its sign through float16 and negation")
def _(gpu: GPU) -> Answer:
    x = np.array([0x7FC00000, 0xFFC00000], np.uint32).view(np.float32)
    sign = np.array([0, 1], np.uint32)
    cases = {
        "(pack2x16float(vec2f(x, 0)) >> 15u) & 1u": sign,
        "bitcast<u32>(-x) >> 31u": 1 - sign,
        "bitcast<u32>(x + 1.0) >> 31u": sign,
    }
    return compare(gpu, cases, {"x": x}, "u32")
