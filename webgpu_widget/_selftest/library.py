"""Every function of the elementwise library at the values where functions go wrong, and at many others."""

from __future__ import annotations

import itertools
import re
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget._selftest.case import Area, Bench, ulps
from webgpu_widget.arrays.lazy.build import apply
from webgpu_widget.arrays.lazy.library import definitions, needed
from webgpu_widget.kernels.bind import out
from webgpu_widget.reference.array import complex_numbers, elementwise, transcendental

__all__ = ["AREA", "INTS", "SPECIAL", "UINTS", "evaluate"]

AREA = Area("library")
SPECIAL = np.array(
    [
        *(0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2, -2, 2.5, 3, -3, 1e-30, -1e-30, 1e30, -1e30, 3.4e38, 16777216, 8388609),
        *(np.inf, -np.inf, np.nan, 1e-7, -1e-7, 88.5, -87, 103, 2147483648, -2147483904, 4294967296, 0.1, 100.25, 1e5),
        *(1e-40, -1e-40, 2.0**-149, 2.0**-126, -(2.0**-126), 3.0e38, -3.4028235e38, 1e10, -1e10, 0.99999994, -33.25),
    ],
    np.float32,
)  # fmt: skip
INTS = np.array([0, 1, -1, 2, -2, 3, 7, -7, 31, 32, 33, 100, 2**31 - 1, -(2**31), -(2**31) + 1, 65536], np.int32)
UINTS = np.array([0, 1, 2, 3, 7, 31, 32, 33, 100, 2**31, 2**32 - 1, 65536], np.uint32)
EXACT_BUT = {"f_sqrt": 2.5, "f_divide": 3.0, "f_floor_divide": 2.0}
"""Functions of the exact part that WGSL itself bounds, in units in the last place."""
ULPS = 4.5
"""The subtraction in sinh, cosh and expm1 near their ends, and asin's in acos, cost the third; half a one is the rounding of the result."""
COMPLEX_ULPS = 6.0
"""Of the absolute value."""
COMPLEX_ULPS_OF = {"c_pow": 32.0}
"""Its exponent is up to 6 here, whose last place is four of the result's, and comes of a logarithm and a product."""
ULPS_OF = {"f_logaddexp": 8.5, "f_erf": 8.5}
FREE_ZERO = ("f_maximum", "f_minimum", "h_nextafter")
"""Which of two zeros wins is free; and NumPy's step from -0 to 0 is not C's in float16."""
_ELEMENT = {"f32": np.float32, "i32": np.int32, "u32": np.uint32, "bool": np.uint32}


@cache
def signature(name: str) -> tuple[list[str], str]:
    """Return the WGSL types of a library function's parameters and result."""
    match = re.match(r"fn \w+\(([^)]*)\) -> (\w+)", definitions()[name])
    if match is None:
        raise ValueError(f"{name} is no function of the library")
    return [part.split(":")[1].strip() for part in match[1].split(",")], match[2]


def evaluate(bench: Bench, name: str, arguments: list[NDArray[Any]]) -> NDArray[Any]:
    """Call a library function on each row of some columns.

    Parameters
    ----------
    bench : Bench
        Where.
    name : str
        Of the function.
    arguments : list of ndarray
        One for each parameter, of one length.

    Returns
    -------
    ndarray
        What it gives, as bits of the type that it returns; truth values as 0 and 1.
    """
    types, result = signature(name)
    names = "xy"[: len(types)]
    call = f"{name}({', '.join(f'{letter}[i]' for letter in names)})"
    if name in ("h_divide", "h_sqrt"):
        call = f"h_rounded({call})"  # what they give lies on the right side of the rounding that follows
    value = f"select(0u, 1u, {call})" if result == "bool" else f"bitcast<u32>({call})"
    variables = "\n".join(
        f"@group(0) @binding({i}) var<storage, read> {letter}: array<{kind}>;"
        for i, (letter, kind) in enumerate(zip(names, types, strict=True))
    )
    source = f"""{needed(call)}
{variables}
@group(0) @binding({len(types)}) var<storage, read_write> z: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {{
  let i = id.x;
  if (i < arrayLength(&z)) {{ z[i] = {value}; }}
}}"""
    count = len(arguments[0])
    bound: dict[str, Any] = {**dict(zip(names, arguments, strict=True)), "z": out(count, np.uint32)}
    words = bench.gpu.run(source, bound, threads=count)
    return np.asarray(words).view(_ELEMENT[result])


def _samples(bench: Bench, name: str, kind: str) -> NDArray[Any]:
    """Values for one parameter."""
    rng = bench.rng
    if name == "h_to_f32":
        return np.arange(65536, dtype=np.uint32)
    if kind == "i32":
        return INTS
    if kind == "u32":
        return UINTS
    if name.startswith("h_") and name != "h_rounded":
        some = np.concatenate([SPECIAL, rng.normal(0, 10, 40).astype(np.float32)])
        return some.astype(np.float16).astype(np.float32)
    return SPECIAL


def _inputs(bench: Bench, name: str) -> list[NDArray[Any]]:
    types, _ = signature(name)
    rng = bench.rng
    samples = [_samples(bench, name, kind) for kind in types]
    if len(types) == 1:
        (x,) = samples
        if types[0] == "f32" and (name == "h_rounded" or not name.startswith("h_")):
            more = [rng.uniform(-1, 1, 500), rng.normal(0, 20, 500), 10 ** rng.uniform(-6, 6, 500)]
            more += [10 ** rng.uniform(3.5, 38, 500) * rng.choice([-1, 1], 500)]
            x = np.concatenate([x, *(part.astype(np.float32) for part in more)])
        return [x]
    x, y = (np.ascontiguousarray(grid.ravel()) for grid in np.meshgrid(*samples))
    if "shift" in name:
        keep = (y >= 0) & (y < 40)
        x, y = x[keep], y[keep]
    if types == ["f32", "f32"] and not name.startswith("h_"):
        x = np.concatenate([x, np.abs(rng.normal(0, 10, 1000)).astype(np.float32)])
        y = np.concatenate([y, rng.normal(0, 3, 1000).astype(np.float32)])
    return [x, y]


def _flushed(x: NDArray[Any]) -> NDArray[Any]:
    """Subnormals taken for zeros of their sign, which WGSL allows."""
    small = np.abs(x) < np.finfo(np.float32).tiny
    return np.where(small, np.copysign(np.float32(0), x), x)


def _answers(name: str, arguments: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """What NumPy gives, for each choice of parameters whose subnormals are flushed."""
    ways = []
    for flush in itertools.product((False, True), repeat=len(arguments)):
        taken = [_flushed(x) if yes and x.dtype == np.float32 else x for x, yes in zip(arguments, flush, strict=True)]
        if name in transcendental or name in EXACT_BUT:
            function = transcendental.get(name) or elementwise[name]
            if name == "f_floor_divide":
                ways.append(function(*taken).astype(np.float64))
            else:
                ways.append(function(*(x.astype(np.float64) for x in taken)))
        else:
            ways.append(np.asarray(elementwise[name](*taken)))
    return ways


def _check(bench: Bench, name: str) -> float:
    arguments = _inputs(bench, name)
    found, ways = evaluate(bench, name, arguments), _answers(name, arguments)
    if signature(name)[1] == "f32" and name not in FREE_ZERO:
        return ulps(found, ways)
    wrong = np.ones(found.shape, bool)
    for wanted in ways:
        same = found == wanted
        wrong &= ~(same | (np.isnan(found) & np.isnan(wanted)) if found.dtype.kind == "f" else same)
    return float(wrong.sum())


def _add_cases() -> None:
    for name in elementwise:
        exact = name not in EXACT_BUT
        AREA.case("array/elementwise", "ulp or elements", 0 if exact else EXACT_BUT[name], function=[name])(library)
    for name in complex_numbers:
        AREA.case("array/complex_numbers", "ulp", COMPLEX_ULPS_OF.get(name, COMPLEX_ULPS), function=[name])(of_complex)
    for name in transcendental:
        AREA.case("array/transcendental", "ulp", ULPS_OF.get(name, ULPS), function=[name])(library)


def library(bench: Bench, function: str) -> float:
    """One function against NumPy in float64, rounded once."""
    return _check(bench, function)


def of_complex(bench: Bench, function: str) -> float:
    """One function of complex numbers against NumPy in complex128; an error is measured by the absolute value of the result."""
    rng = bench.rng

    def drawn() -> NDArray[Any]:
        size = np.concatenate([10 ** rng.uniform(-6, 1.9, 2000), np.abs(rng.normal(0, 2, 2000))])
        return (size * np.exp(2j * np.pi * rng.random(4000))).astype(np.complex64)

    arguments = [drawn(), drawn()] if function in ("c_multiply", "c_divide", "c_pow") else [drawn()]
    if function == "c_pow":
        base, exponent = arguments
        base = (np.exp(rng.uniform(-1, 1, base.size)) * base / np.abs(base)).astype(np.complex64)
        arguments = [base, (exponent / np.maximum(1, np.abs(exponent))).astype(np.complex64)]
    found = apply(function.removeprefix("c_"), *(bench.gpu.array(x) for x in arguments)).numpy()
    wanted = complex_numbers[function](*(x.astype(np.complex128) for x in arguments))
    size = np.abs(wanted)
    fits = (size < 1e38) & (size > 1e-30)
    error = np.abs(found - wanted)[fits] / (size[fits] * np.finfo(np.float32).eps)
    return float(error.max()) if np.isfinite(error).all() else np.inf


_add_cases()
