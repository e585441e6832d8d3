"""Structured arrays that live on the GPU: given to kernels, written in place, copied, cut, recorded, and read back in the caller's dtype."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from struct_types import Struct, expected, leaf, products, random_value, structs

import webgpu_widget as wg

PARTICLES = """
struct Particle { position: vec3f, mass: f32, velocity: vec3f, spin: mat3x2f, id: u32 }
@group(0) @binding(0) var<storage, read_write> particles: array<Particle>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&particles)) { return; }
  particles[id.x].position += particles[id.x].velocity;
  particles[id.x].id *= 2u;
}"""
FIELDS = [("id", "u4"), ("spin", "f4", (2, 3)), ("velocity", "f4", 3), ("position", "f4", 3), ("mass", "f4")]
TIGHT = np.dtype(FIELDS)
PADDED = np.dtype(
    {
        "names": [item[0] for item in FIELDS],
        "formats": [TIGHT[item[0]] for item in FIELDS],
        "offsets": [3, 8, 41, 60, 80],
        "itemsize": 99,
    }
)
COUNT = 131


def some(rng, dtype=TIGHT, count=COUNT):
    made = np.zeros(count, dtype)
    for name in dtype.names:
        made[name] = rng.integers(0, 1000, made[name].shape)
    return made


def stepped(records, times=1):
    made = records.copy()
    made["position"] += times * made["velocity"]
    made["id"] *= 2**times
    return made


@pytest.mark.parametrize("dtype", [TIGHT, PADDED, None], ids=["tight", "unaligned", "the shader's"])
def test_a_shader_works_in_place(gpu, rng, dtype):
    kernel = gpu.kernel(PARTICLES)
    a = some(rng, dtype or kernel.dtype("particles"))
    records = gpu.array(a)
    assert np.array_equal(records.numpy(), a)
    assert gpu.run(PARTICLES, particles=records, threads=COUNT) is None
    kernel(particles=records, threads=COUNT)
    assert records.numpy().dtype == a.dtype
    assert np.array_equal(records.numpy(), stepped(a, 2))


WORKS_IN_PLACE = "@group(0) @binding(0) var<storage, read_write> x: array<{0}>;"


@settings(max_examples=25, deadline=None)
@given(struct=structs, seed=st.integers(0, 2**32 - 1))
def test_random_structs_go_in_and_come_back(gpu, struct: Struct, seed):
    x = random_value(struct, np.random.default_rng(seed), (3,))
    terms = products(struct, "x[id.x]")
    stores = " ".join(f"y[{len(terms)}u * id.x + {i}u] = {term};" for i, term in enumerate(terms))
    source = f"""{" ".join(struct.declarations().values())}
    {WORKS_IN_PLACE.format(struct.wgsl)}
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {{
      {stores}
      let first = x[0];
      if (id.x > 0u) {{ x[id.x] = first; }}
    }}"""
    wanted = np.float32([expected(struct, item) for item in x])
    records = gpu.array(x)
    y = gpu.run(source, x=records, y=wg.out(wanted.shape), workgroups=1)
    assert np.array_equal(y[0], wanted[0])
    assert np.array_equal(records.numpy(), x)
    gpu.run(source, x=records, y=wg.out(wanted.shape), workgroups=2)
    changed = x.copy()
    changed[1] = x[0]
    assert np.array_equal(records.numpy(), changed)
    assert np.array_equal(records[::-1].numpy(), changed[::-1])
    for i, member in enumerate(struct.members):
        if not isinstance(leaf(member), Struct):
            assert np.array_equal(records[f"m{i}"].numpy(), changed[f"m{i}"])


def test_two_shaders_with_two_layouts_of_one_struct(gpu, rng):
    other = """
    struct Moved { velocity: array<f32, 3>, id: u32, spin: array<vec3f, 2>, mass: f32, position: array<f32, 3> }
    @group(0) @binding(0) var<storage, read_write> x: array<Moved>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < arrayLength(&x)) { x[id.x].mass = x[id.x].position[2]; }
    }"""
    a = some(rng)
    records = gpu.array(a)
    for _ in range(2):
        gpu.run(other, x=records, threads=COUNT)
        gpu.run(PARTICLES, particles=records, threads=COUNT)
        a["mass"] = a["position"][:, 2]
        a = stepped(a)
    assert np.array_equal(records.numpy(), a)


def test_fields_bools_and_half_precision(gpu, rng):
    dtype = np.dtype([("on", "?"), ("h", "f2", 3), ("z", "c8"), ("_gap", "V4"), ("v", "f4", 3)])
    a = np.zeros(9, dtype)
    a["on"], a["h"] = rng.random(9) < 0.5, rng.standard_normal((9, 3))
    a["z"], a["v"] = rng.random(9) + 1j, rng.random((9, 3))
    records = gpu.array(a)
    for name in ("on", "h", "z", "v"):
        assert np.array_equal(records.numpy()[name], a[name])
    assert np.array_equal(records["h"].numpy(), a["h"])
    assert np.array_equal(records["on"].numpy(), a["on"])
    source = """
    struct S { v: vec3f, on: u32, z: vec2f }
    @group(0) @binding(0) var<storage, read_write> x: array<S>;
    @compute @workgroup_size(16) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < arrayLength(&x)) { x[id.x].on = 1u - x[id.x].on; x[id.x].z = x[id.x].z.yx; }
    }"""
    without = gpu.array(a[["on", "z", "v"]])
    gpu.run(source, x=without, threads=9)
    assert np.array_equal(without.numpy()["on"], ~a["on"])
    assert np.array_equal(without.numpy()["z"], a["z"].imag + 1j * a["z"].real)


def test_parts_copies_and_assignment(gpu, rng):
    a = some(rng)
    records = gpu.array(a)
    gpu.run(PARTICLES, particles=records, threads=COUNT)
    a = stepped(a)
    kept = records.copy()
    records["mass"] = 7
    records["position"] += 1
    records["velocity"] = rng.integers(0, 9, 3).astype(np.float32)
    assert np.array_equal(kept.numpy(), a)
    a["mass"], a["position"], a["velocity"] = 7, a["position"] + 1, records["velocity"].numpy()
    records[3:9] = kept[:6]
    a[3:9] = kept.numpy()[:6]
    records[0] = a[20]
    a[0] = a[20]
    assert np.array_equal(records.numpy(), a)
    for key in (5, slice(2, 50, 7), [3, 1, 3], np.array([7, 2]), Ellipsis, slice(None, None, -1)):
        assert np.array_equal(records[key].numpy(), a[key])
    grid = gpu.array(a[:12].reshape(3, 4))
    assert np.array_equal(grid[1:, ..., 2].numpy(), a[:12].reshape(3, 4)[1:, 2])
    assert np.array_equal(gpu.array(records).numpy(), a)
    assert np.array_equal(np.asarray(records), a)
    assert records.shape == (COUNT,)
    assert len(records) == COUNT


def test_a_kernel_that_writes_to_a_field_writes_to_the_records(gpu, rng):
    double = """
    @group(0) @binding(0) var<storage, read_write> v: array<vec3f>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { if (id.x < arrayLength(&v)) { v[id.x] *= 2.0; } }"""
    a = some(rng)
    records = gpu.array(a)
    field = records["velocity"]
    gpu.run(double, v=field, threads=COUNT)
    gpu.run(double, v=field[1:], threads=COUNT - 1)
    a["velocity"] *= 2
    a["velocity"][1:] *= 2
    assert np.array_equal(records.numpy(), a)
    records["mass"] = 1
    with pytest.raises(wg.BindingError, match="written since"):
        gpu.run(double, v=field, threads=COUNT)
    gpu.run(double, v=field.copy(), threads=COUNT)
    a["mass"] = 1
    assert np.array_equal(records.numpy(), a)


def test_what_is_written_in_two_ways_is_refused(gpu, rng):
    both = """
    @group(0) @binding(0) var<storage, read_write> v: array<f32>;
    @group(0) @binding(1) var<storage, read_write> w: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < arrayLength(&v)) { v[id.x] += 1.0; w[id.x] += 2.0; }
    }"""
    a = some(rng)
    records = gpu.array(a)
    gpu.run(both, v=records["mass"], w=gpu.zeros(COUNT), threads=COUNT)
    a["mass"] += 1
    with pytest.raises(wg.BindingError, match="same records"):
        gpu.run(both, v=records["mass"], w=records["mass"], threads=COUNT)
    mixed = PARTICLES.replace("@compute", "@group(0) @binding(1) var<storage, read_write> m: array<f32>;\n@compute")
    mixed = mixed.replace("*= 2u;", "*= 2u; m[id.x] = 1.0;")
    with pytest.raises(wg.BindingError, match="same records"):
        gpu.run(mixed, particles=records, m=records["mass"], threads=COUNT)
    assert np.array_equal(records.numpy(), a)


@pytest.mark.parametrize("bound_before", [False, True])
def test_recorded_calls_work_on_the_records_where_they_are(gpu, rng, bound_before):
    a = some(rng)
    records = gpu.array(a)
    kernel = gpu.kernel(PARTICLES)
    if bound_before:
        kernel(particles=records, threads=COUNT)
    with gpu.record() as program:
        kernel(particles=records, threads=COUNT)
        made = gpu.array(a)
        kernel(particles=made, threads=COUNT)
    program.replay(2)
    kernel(particles=records, threads=COUNT)
    program.replay()
    assert np.array_equal(records.numpy(), stepped(a, 4 + bound_before))
    assert np.array_equal(made.numpy(), stepped(a))


def test_zeros_and_the_caller_s_dtype_as_an_output(gpu, rng):
    records = gpu.zeros(COUNT, dtype=FIELDS)
    assert np.array_equal(records.numpy(), np.zeros(COUNT, TIGHT))
    out = gpu.run(PARTICLES, particles=wg.out(COUNT, PADDED), threads=COUNT)
    assert out.dtype == PADDED
    kept = gpu.kernel(PARTICLES)(particles=wg.out(COUNT, PADDED), threads=COUNT)
    a = some(rng, PADDED)
    kept[...] = a
    gpu.run(PARTICLES, particles=kept, threads=COUNT)
    assert np.array_equal(kept.numpy(), stepped(a))


def test_what_does_not_fit_is_refused(gpu, rng):
    records = gpu.array(some(rng))

    def refused(error, dtype, match):
        with pytest.raises(error, match=match):
            gpu.run(PARTICLES, particles=gpu.array(np.zeros(4, dtype)), threads=4)

    refused(wg.BindingError, FIELDS[1:], "missing field 'id'")
    refused(wg.BindingError, [*FIELDS, ("more", "f4")], "unknown field 'more'")
    refused(wg.BindingError, [("id", "i4"), *FIELDS[1:]], "particles.*id is i32")
    refused(wg.BindingError, [*FIELDS[:3], ("position", "f4", 2), FIELDS[4]], r"position has shape \(2,\)")
    refused(wg.BindingError, [FIELDS[0], ("spin", "f4", (3, 2)), *FIELDS[2:]], r"spin has shape \(3, 2\)")
    for wrong in ("f8", "i8", "i2", ">f4", "S4"):
        with pytest.raises(wg.DTypeError, match="nothing is converted silently"):
            gpu.array(np.zeros(2, [("x", wrong)]))
    with pytest.raises(wg.BindingError, match="'q'"):
        records["q"]
    with pytest.raises(wg.BindingError, match="a field of them"):
        gpu.run(
            "@group(0) @binding(0) var<storage, read_write> x: array<f32>; @compute @workgroup_size(1) fn main() { x[0] = 1.0; }",
            x=records,
            threads=1,
        )
    with pytest.raises(wg.BindingError, match="same array"):
        two = PARTICLES.replace(
            "@compute", "@group(0) @binding(1) var<storage, read> old: array<Particle>;\n@compute"
        ).replace("*= 2u", "*= old[0].id")
        gpu.run(two, particles=records, old=records, threads=COUNT)


SWAP = """
struct Inner { x: vec2f, k: i32 }
struct Outer { inner: Inner, rest: f32 }
@group(0) @binding(0) var<storage, read_write> s: array<TYPE>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { s[id.x].FIELD += 10; }"""


@pytest.mark.parametrize(
    "key", [slice(1, 3), slice(None, None, -1), [0, 2], 2, slice(None), (Ellipsis, slice(1, None)), "inner"]
)
def test_a_kernel_that_writes_to_a_copy_of_a_part_is_refused(gpu, key):
    """NumPy's parts are views; what a kernel wrote to such a copy would be lost without a word."""
    a = np.zeros(4, [("inner", [("x", "f4", 2), ("k", "i4")]), ("rest", "f4")])
    a["inner"]["k"], a["rest"] = np.arange(4), np.arange(4)
    records = gpu.array(a)
    kind, field = ("Inner", "k") if key == "inner" else ("Outer", "rest")
    kernel = gpu.kernel(SWAP.replace("TYPE", kind).replace("FIELD", field))
    with pytest.raises(wg.BindingError, match=r"copy of a part of GPURecords of shape \(4,\)"):
        kernel(s=records[key], threads=1)
    part = records[key].copy()
    kernel(s=part, threads=part.size)
    assert np.array_equal(part.numpy()[field], a[key][field] + 10)
    assert np.array_equal(
        records.numpy()[field] if key != "inner" else records["inner"].numpy()["k"],
        a[key if key == "inner" else ...][field],
    )
    if key != "inner":
        records[key] = part
        a["rest"][key] += 10
        assert np.array_equal(records.numpy(), a)
