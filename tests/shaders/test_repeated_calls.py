"""What a kernel finds out at its first calls and uses in later ones: it stays light, and never stands for another call's."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.arrays.lazy import dtypes
from webgpu_widget.kernels import layout
from webgpu_widget.kernels.entry import Variable
from webgpu_widget.link.protocol import BindingInfo

ADD_ONE = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] += 1u; }
}"""
SCALE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> s: f32;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = s * x[id.x]; }
}"""
TWO_WAYS = """
override step: u32 = 1;
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<storage, read> other: array<u32>;
@compute @workgroup_size(64) fn add(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] += step; }
}
@compute @workgroup_size(32) fn take(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] = other[id.x] * step; }
}"""


def python_calls(action: Callable[[], object], times: int = 20) -> float:
    """Return how many Python functions an action calls."""
    action()
    count = 0

    def note(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        for _ in range(times):
            action()
    finally:
        sys.setprofile(None)
    return count / times


def test_calls_of_a_kernel_stay_light(gpu: wg.GPU) -> None:
    # Counted, not timed: the same on every machine. What a call asks of its arguments takes 37 and 58 calls of functions.
    add, scale = gpu.kernel(ADD_ONE), gpu.kernel(SCALE)
    counts, x, y = gpu.zeros(1000, dtype=np.uint32), gpu.ones(1000), gpu.zeros(1000)
    y.numpy()
    assert python_calls(lambda: add(x=counts, threads=1000)) < 50
    assert python_calls(lambda: scale(x=x, y=y, s=0.5, threads=1000)) < 80


@pytest.mark.parametrize("made_with", [{}, {"entry_point": "add"}, {"entry_point": "add", "constants": {"step": 3}}])
def test_calls_that_override_something_leave_the_others_alone(
    gpu: wg.GPU, rng: np.random.Generator, made_with: dict[str, Any]
) -> None:
    kernel = gpu.kernel(TWO_WAYS, **made_with)
    expected = rng.integers(0, 1000, 77, dtype=np.uint32)
    x, other = gpu.array(expected), rng.integers(0, 1000, 77, dtype=np.uint32)
    default = made_with.get("constants", {"step": 1})["step"]
    for _ in range(30):
        entry = str(rng.choice(["", "add", "take"] if made_with else ["add", "take"]))
        step = int(rng.integers(0, 9))
        options: dict[str, Any] = {"entry_point": entry} if entry else {}
        used = default
        if step:
            options["constants"] = {"step": step}
            used = step
        arrays = {"x": x, "other": other} if entry == "take" else {"x": x}
        kernel(**arrays, **options, threads=77)
        expected = other * np.uint32(used) if entry == "take" else expected + np.uint32(used)
        np.testing.assert_array_equal(x.numpy(), expected)


def test_a_kernel_that_was_called_still_refuses_what_does_not_fit(gpu: wg.GPU) -> None:
    kernel = gpu.kernel(SCALE)
    x, y = gpu.ones(64), gpu.zeros(64)
    kernel(x=x, y=y, s=2, threads=64)
    with pytest.raises(wg.BindingError, match="'s' is missing"):
        kernel(x=x, y=y, threads=64)
    with pytest.raises(wg.BindingError, match="did you mean 's'"):
        kernel(x=x, y=y, ss=1.0, s=1.0, threads=64)
    with pytest.raises(wg.DTypeError, match="int32"):
        kernel(x=x.astype(np.int32), y=y, s=1.0, threads=64)
    with pytest.raises(wg.BindingError, match="same array"):
        kernel(x=x, y=x, s=1.0, threads=64)
    with pytest.raises(wg.BindingError, match="exactly one"):
        kernel(x=x, y=y, s=1.0, threads=64, workgroups=1)
    for much in (1e39, 10**400):
        with pytest.raises(wg.DTypeError):
            kernel(x=x, y=y, s=much, threads=64)
    np.testing.assert_array_equal(y.numpy(), np.full(64, 2, np.float32))


@pytest.mark.parametrize("name", ["f32", "i32", "u32"])
def test_numbers_are_packed_as_all_values_are(rng: np.random.Generator, name: str) -> None:
    info: BindingInfo = {
        "name": "s",
        "group": 0,
        "binding": 0,
        "kind": "uniform",
        "access": "read",
        "type": {"type": "scalar", "name": name, "atomic": False, "size": 4, "align": 4},
    }
    variable = Variable(info)
    integers = [0, 1, -1, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, -(2**31), 2**53 + 1, 2**62 + 2**38 + 1]
    integers += [int(n) for n in rng.integers(-(2**33), 2**33, 100)]
    floats = [0.0, -0.0, 0.1, math.inf, -math.inf, 1e-45, 7e-46, 3.4028235677973366e38, 1e39]
    floats += [float(x) for x in rng.standard_normal(100) * 10.0 ** rng.integers(-40, 40, 100)]
    taken = 0
    for value in [*integers, *floats, True, "1", None, [1]]:
        packed = variable.number(value)
        if packed is not None:
            taken += 1
            assert packed == bytes(layout.pack(info["type"], value, "s")) + bytes(12)
    assert taken >= 5  # those of the list that every scalar holds


def test_scalars_of_expressions_are_rounded_as_numpy_rounds(rng: np.random.Generator) -> None:
    values = [
        0.0,
        -0.0,
        0.1,
        math.inf,
        -math.inf,
        math.nan,
        1e-45,
        7e-46,
        3.4028234e38,
        3.4028235677973366e38,
        1e39,
        -1e39,
    ]
    values += [float(x) for x in rng.standard_normal(1000) * 10.0 ** rng.integers(-45, 45, 1000)]
    with np.errstate(over="ignore"):
        expected = np.array(values, np.float64).astype(np.float32).view(np.uint32)
    assert [dtypes.scalar_bits(value, dtypes.FLOAT32) for value in values] == expected.tolist()
