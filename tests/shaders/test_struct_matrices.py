"""``m * v`` in WGSL is ``m @ v`` in NumPy for a matrix inside a struct, whichever way the struct goes in and out."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from struct_types import Struct, as_dict, equal, expected, products, random_value, structs, uniforms

import webgpu_widget as wg

MOVE = np.float32([[1, 0, 0, 10], [0, 1, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]])
SEEDS = st.integers(0, 2**32 - 1)


def source_of(struct: Struct, space: str = "storage, read") -> str:
    terms = products(struct, "x[id.x]" if space == "storage, read" else "u")
    variable = (
        f"@group(0) @binding(0) var<storage, read> x: array<{struct.wgsl}>;"
        if space == "storage, read"
        else f"@group(0) @binding(0) var<uniform> u: {struct.wgsl};"
    )
    copied = "x[id.x]" if space == "storage, read" else "u"
    stores = " ".join(f"y[{len(terms)}u * id.x + {i}u] = {term};" for i, term in enumerate(terms))
    return f"""
    {" ".join(struct.declarations().values())}
    {variable}
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @group(0) @binding(2) var<storage, read_write> o: array<{struct.wgsl}>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {{ {stores} o[id.x] = {copied}; }}"""


@settings(max_examples=40, deadline=None)
@given(struct=structs, seed=SEEDS)
def test_random_structs_in_storage_by_every_way(gpu, struct, seed):
    x = random_value(struct, np.random.default_rng(seed), (2,))
    wanted = np.float32([expected(struct, item) for item in x])
    kernel = gpu.kernel(source_of(struct))
    exact = kernel.dtype("x")
    padded = kernel(x=x, y=wg.out(wanted.shape), o=wg.out(2, exact), threads=2)["o"].numpy()
    assert padded.dtype == exact
    for given_ in (x, padded, x[::-1][::-1], [as_dict(struct, item) for item in x], [x[0], x[1]]):
        out = kernel(x=given_, y=wg.out(wanted.shape), o=wg.out(2, x.dtype), threads=2)
        assert np.array_equal(out["y"].numpy(), wanted)
        assert equal(struct, out["o"].numpy(), x)
    again = kernel(x=out["o"], y=wg.out(wanted.shape), o=wg.out(2, exact), threads=2)
    assert np.array_equal(again["y"].numpy(), wanted)
    assert equal(struct, again["o"].numpy(), x)


@settings(max_examples=15, deadline=None)
@given(struct=uniforms, seed=SEEDS)
def test_random_structs_in_a_uniform(gpu, struct, seed):
    x = random_value(struct, np.random.default_rng(seed))
    wanted = np.float32(expected(struct, x))
    kernel = gpu.kernel(source_of(struct, "uniform"))
    for given_ in (x, x[()], x.reshape(1), as_dict(struct, x)):
        out = kernel(u=given_, y=wg.out(wanted.shape), o=wg.out(1, kernel.dtype("u")), threads=1)
        assert np.array_equal(out["y"].numpy(), wanted)
        records = out["o"].numpy()
        assert equal(struct, records[0], x)
        exact = kernel(u=records[0], y=wg.out(wanted.shape), o=wg.out(1, x.dtype), threads=1)
        assert np.array_equal(exact["y"].numpy(), wanted)
        assert equal(struct, exact["o"].numpy()[0], x)


PLACED = """
struct Instance { transform: mat4x4f, color: COLOR }
@group(0) @binding(0) var<storage, read> instances: array<Instance>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
  y[id.x] = instances[id.x].transform * vec4f(0.0, 0.0, 0.0, 1.0);
}"""


@pytest.mark.parametrize("color", [4, 3], ids=["tight", "padded"])
def test_a_translation_moves_the_origin(gpu, color):
    a = np.zeros(2, [("transform", "f4", (4, 4)), ("color", "f4", color)])
    a["transform"] = MOVE
    kernel = gpu.kernel(PLACED.replace("COLOR", f"vec{color}f"))
    for given_ in (a, a.astype(kernel.dtype("instances"))):
        y = kernel(instances=given_, y=wg.out((2, 4)), threads=2).numpy()
        assert np.array_equal(y, [MOVE[:, 3]] * 2)


def test_matrices_in_a_runtime_tail(gpu):
    source = """
    struct Joint { bind: mat4x3f, weight: f32 }
    struct Skeleton { root: mat2x3f, joints: array<Joint> }
    @group(0) @binding(0) var<storage, read> skeleton: Skeleton;
    @group(0) @binding(1) var<storage, read_write> copy: Skeleton;
    @group(0) @binding(2) var<storage, read_write> y: array<vec3f>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
      copy.root = skeleton.root; copy.joints[id.x] = skeleton.joints[id.x];
      y[id.x] = skeleton.joints[id.x].bind * vec4f(1.0, 2.0, 3.0, 4.0) + skeleton.root * vec2f(5.0, 6.0);
    }"""
    kernel = gpu.kernel(source)
    root = np.arange(6, dtype=np.float32).reshape(3, 2)
    for dtype in (np.dtype([("bind", "f4", (3, 4)), ("weight", "f4")]), kernel.dtype("Joint")):
        joints = np.zeros(3, dtype)
        joints["bind"] = np.arange(36).reshape(3, 3, 4)
        joints["weight"] = [1, 2, 3]
        out = kernel(skeleton={"root": root, "joints": joints}, copy=wg.out(tail=3), y=wg.out((3, 3)), threads=3)
        assert np.array_equal(out["y"].numpy(), joints["bind"] @ np.float32([1, 2, 3, 4]) + root @ np.float32([5, 6]))
        copy = out["copy"].numpy()
        assert np.array_equal(copy["root"], root)
        assert np.array_equal(copy["joints"]["bind"], joints["bind"])
        again = kernel(skeleton=copy, copy=wg.out(tail=3), y=wg.out((3, 3)), threads=3)
        assert np.array_equal(again["y"].numpy(), out["y"].numpy())


def test_bare_matrices_have_the_shape_of_numpy(gpu):
    source = """
    @group(0) @binding(0) var<storage, read> m: array<mat3x2f>;
    @group(0) @binding(1) var<storage, read_write> y: array<mat3x2f>;
    @group(0) @binding(2) var<storage, read_write> one: mat2x3f;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
      y[id.x] = m[id.x]; one[1].z = 7.0;
    }"""
    kernel = gpu.kernel(source)
    m = np.zeros(2, kernel.dtype("m"))
    m[:] = np.arange(12).reshape(2, 2, 3)
    out = kernel(m=m, y=wg.out(2, kernel.dtype("y")), one=wg.out((3, 2)), threads=2)
    assert np.array_equal(out["y"].numpy(), m)
    assert np.array_equal(out["one"].numpy(), [[0, 0], [0, 0], [0, 7]])
    with pytest.raises(wg.ShapeError, match=r"\(2, 3\).*mat2x3.*\(3, 2\)"):
        kernel(m=m, y=wg.out((2, 2, 3)), one=wg.out((2, 3)), threads=2)
    with pytest.raises(wg.ShapeError, match=r"\(2, 3\).*mat2x3.*\(3, 2\)"):
        kernel(m=m, y=wg.out((2, 2, 3)), one=gpu.zeros((2, 3)), threads=2)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ([("m", "f4", (4, 3)), ("n", "u4")], wg.ShapeError, r"\.m.*4, 3\).*3, 4\)"),
        ([("m", "f4", 12), ("n", "u4")], wg.ShapeError, r"\.m.*12(,\)|\)).*3, 4\)"),
        ([("m", "f8", (3, 4)), ("n", "u4")], wg.DTypeError, r"\.m.*float64"),
        ([("m", "f4", (3, 4)), ("n", "f4")], wg.DTypeError, r"\.n.*float32"),
        ([("m", "f4", (3, 4)), ("n", "u4", 2)], wg.ShapeError, r"\.n.*2(,\)|\))"),
        ([("m", "f4", (3, 4))], wg.BindingError, "missing field 'n'"),
    ],
)
def test_dtypes_whose_fields_do_not_fit(gpu, fields, error, words):
    kernel = gpu.kernel("""
    struct S { m: mat4x3f, n: u32 }
    @group(0) @binding(0) var<storage, read> x: array<S>;
    @group(0) @binding(1) var<storage, read_write> y: array<S>;
    @compute @workgroup_size(1) fn main() { y[0] = x[0]; }""")
    good = np.zeros(1, [("m", "f4", (3, 4)), ("n", "u4")])
    with pytest.raises(error, match=re.compile(words)):
        kernel(x=good, y=wg.out(1, fields), threads=1)
    with pytest.raises(error, match=re.compile(words)):
        kernel(x=np.zeros(1, fields), y=wg.out(1, good.dtype), threads=1)


def test_structured_scalars_of_another_count(gpu):
    kernel = gpu.kernel("""
    struct S { m: mat2x2f }
    @group(0) @binding(0) var<uniform> u: S;
    @group(0) @binding(1) var<storage, read_write> y: array<S, 2>;
    @compute @workgroup_size(1) fn main() { y[1] = u; }""")
    dtype = kernel.dtype("u")
    with pytest.raises(wg.ShapeError, match=r"\(2,\)"):
        kernel(u=np.zeros(2, dtype), y=wg.out(2, dtype), threads=1)
    with pytest.raises(wg.ShapeError, match=r"\(1,\)"):
        kernel(u=np.zeros((), dtype), y=np.zeros(1, dtype), threads=1)
    with pytest.raises(wg.BindingError, match="list of dicts"):
        kernel(u=np.zeros((), dtype), y=3, threads=1)
