"""Values that a shader's variables and overrides cannot hold, and memory that holds something else: refused, never bound as what it is not."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg

COPY = """
@group(0) @binding(0) var<storage, read> x: array<TYPE>;
@group(0) @binding(1) var<storage, read_write> y: array<TYPE>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = x[id.x]; }"""


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize(
    ("kind", "shape"), [("f32", 4), ("vec4f", (4, 4)), ("u32", 4), ("mat2x2f", (4, 2, 2)), ("vec2u", (4, 2))]
)
def test_complex_numbers_are_not_read_as_reals(gpu, kind, shape, dtype):
    kernel = gpu.kernel(COPY.replace("TYPE", kind))
    with pytest.raises(wg.DTypeError, match=r"complex.*array<vec2f>"):
        kernel(x=np.arange(8).astype(dtype), y=wg.out(shape, np.uint32 if "u" in kind else np.float32), threads=1)


def test_complex64_is_pairs_and_complex128_has_a_way_out(gpu, rng):
    kernel = gpu.kernel(COPY.replace("TYPE", "vec2f"))
    z = (rng.standard_normal((3, 5)) + 1j * rng.standard_normal((3, 5))).astype(np.complex64)
    for value in (z, z.T, z[::-1, ::2]):
        y = kernel(x=value, y=wg.out((value.size, 2)), threads=value.size).numpy()
        assert np.array_equal(y, np.stack([value.real, value.imag], -1).reshape(-1, 2))
    with pytest.raises(wg.DTypeError, match=r"x\.astype\(np\.complex64\)"):
        kernel(x=z.astype(np.complex128), y=wg.out((3, 2)), threads=3)


GOOD = {
    "f32": (0.1, "alone == 0.1f, params.a == 0.1f"),
    "u32": (2**32 - 1, "alone == 4294967295u, params.a == 4294967295u"),
    "i32": (-(2**31), "alone == -2147483648, params.a == -2147483648"),
    "vec3f": ([1, 2, 3], "all(alone == vec3f(1, 2, 3)), params.a.z == 3.0"),
    "vec2i": ((-1, 2), "alone.x == -1, params.a.y == 2"),
    "vec2u": (np.uint32([1, 2]), "alone.x == 1u, params.a.y == 2u"),
    "vec3u": ([1, 2, 3], "alone.x == 1u, params.a.z == 3u"),
    "vec4u": ([1, 2, 3, True], "alone.x == 1u, params.a.w == 1u"),
    "mat2x2f": ([[1, 2], [3, 4]], "alone[1].x == 2.0, params.a[0].y == 3.0"),
}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("f32", 1e39),
        ("f32", -3.5e38),
        ("f32", np.float64(1e300)),
        ("f32", 1 + 1j),
        ("vec3f", [0.0, 1e39, 0.0]),
        ("vec2i", [0.5, 1]),
        ("vec3u", (1, 2, -1)),
        ("vec4u", [0, 0, 0, 2**32]),
        ("i32", 2**31),
        ("u32", 1.0),
        ("u32", float("nan")),
        ("vec2u", np.float32([1, 2])),
        ("vec2i", np.int64([1, 2])),
        ("mat2x2f", np.eye(2)),
        ("mat2x2f", [[1e39, 0], [0, 1]]),
        ("f32", None),
        ("f32", "1.0"),
    ],
)
def test_uniforms_that_their_type_does_not_hold(gpu, kind, value):
    kernel = gpu.kernel(f"""
    struct Params {{ a: {kind} }}
    @group(0) @binding(0) var<uniform> alone: {kind};
    @group(0) @binding(1) var<uniform> params: Params;
    @group(0) @binding(2) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(1) fn main() {{ y[0] = f32(all(vec2<bool>({GOOD[kind][1]}))); }}""")
    good = GOOD[kind][0]
    with pytest.raises(wg.DTypeError, match="'alone'"):
        kernel(alone=value, params={"a": good}, y=wg.out(1), threads=1)
    with pytest.raises(wg.DTypeError, match=r"'params'.*\.a"):
        kernel(alone=good, params={"a": value}, y=wg.out(1), threads=1)
    assert kernel(alone=good, params={"a": good}, y=wg.out(1), threads=1).numpy() == [1]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("f32", np.float64([0.1])),
        ("f32", np.int64([1])),
        ("f32", [1e39]),
        ("i32", np.int64([2**40])),
        ("i32", [2**40]),
        ("u32", [-1]),
        ("u32", np.uint64([1])),
        ("u32", [0.5]),
    ],
)
def test_storage_arrays_that_do_not_fit(gpu, kind, value):
    kernel = gpu.kernel(COPY.replace("TYPE", kind))
    with pytest.raises(wg.DTypeError, match="'x'"):
        kernel(x=value, y=wg.out(1, {"f": "f4", "i": "i4", "u": "u4"}[kind[0]]), threads=1)


PAIRS = """
struct A { x: f32, n: u32 }
struct Renamed { x: f32, n: u32 }
struct Swapped { n: f32, x: u32 }
struct Longer { x: f32, n: u32, v: vec2f }
@group(0) @binding(0) var<storage, read> one: A;
@group(0) @binding(1) var<storage, read> many: array<Renamed>;
@group(0) @binding(2) var<storage, read> two: array<A, 2>;
@group(0) @binding(3) var<storage, read> swapped: array<Swapped>;
@group(0) @binding(4) var<storage, read> longer: array<Longer>;
@group(0) @binding(5) var<storage, read> floats: array<f32>;
@group(1) @binding(0) var<storage, read_write> a: array<A>;
@group(1) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn make(@builtin(global_invocation_id) id: vec3u) { a[id.x] = A(f32(id.x) + 0.5, 7u); }
@compute @workgroup_size(1) fn use_one() { y[0] = one.x; }
@compute @workgroup_size(1) fn use_many(@builtin(global_invocation_id) id: vec3u) { y[id.x] = many[id.x].x; }
@compute @workgroup_size(1) fn use_two() { y[0] = two[1].x; }
@compute @workgroup_size(1) fn use_swapped() { y[0] = swapped[0].n; }
@compute @workgroup_size(1) fn use_longer() { y[0] = longer[0].x; }
@compute @workgroup_size(1) fn use_floats() { y[0] = floats[0]; }"""


def test_structs_in_the_browser_are_bound_to_the_same_structs_alone(gpu):
    kernel = gpu.kernel(PAIRS)
    dtype = kernel.dtype("a")
    one, two, three = (kernel(a=wg.out(n, dtype), threads=n, entry_point="make") for n in (1, 2, 3))
    assert np.array_equal(kernel(many=three, y=wg.out(3), threads=3, entry_point="use_many").numpy(), [0.5, 1.5, 2.5])
    assert kernel(two=two, y=wg.out(1), threads=1, entry_point="use_two").numpy() == [1.5]
    assert kernel(one=one, y=wg.out(1), threads=1, entry_point="use_one").numpy() == [0.5]
    for name in ("swapped", "longer", "floats"):
        with pytest.raises(wg.BindingError, match=rf"'{name}'.*A \{{ x: f32, n: u32 \}}"):
            kernel({name: three}, y=wg.out(1), threads=1, entry_point=f"use_{name}")
    with pytest.raises(wg.ShapeError, match=r"'two'.*\(3,\).*\(2,\)"):
        kernel(two=three, y=wg.out(1), threads=1, entry_point="use_two")
    with pytest.raises(wg.WebGPUWidgetError, match=r"'one'.*\(2,\)"):
        kernel(one=two, y=wg.out(1), threads=1, entry_point="use_one")
