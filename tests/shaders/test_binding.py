"""What real shaders contain, in and out: groups, layouts, structs, tails, overrides, textures."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg


def test_several_groups_and_padded_uniform_struct(gpu, rng):
    source = """
    struct Inner { direction: vec3f, weight: f32, flags: vec3u }
    struct Params { scale: f32, turn: mat3x3f, inner: array<Inner, 2>, steps: array<vec4f, 2>, count: u32 }
    @group(0) @binding(3) var<storage, read> x: array<f32>;
    @group(2) @binding(1) var<uniform> params: Params;
    @group(3) @binding(0) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(1) fn main() {
      let v = params.turn * vec3f(x[0], x[1], x[2]);
      y[0] = v.x; y[1] = v.y; y[2] = v.z;
      y[3] = params.scale;
      y[4] = params.inner[1].direction.z * params.inner[1].weight;
      y[5] = f32(params.inner[0].flags.z);
      y[6] = params.steps[1].w;
      y[7] = f32(params.count);
    }"""
    turn = rng.standard_normal((3, 3)).astype(np.float32)
    x = rng.standard_normal(3).astype(np.float32)
    params = {
        "scale": 2.5,
        "turn": turn,
        "inner": [
            {"direction": [1, 2, 3], "weight": 0.5, "flags": [7, 8, 9]},
            {"direction": [4, 5, 6], "weight": 2.0, "flags": (1, 2, 3)},
        ],
        "steps": np.arange(8, dtype=np.float32).reshape(2, 4),
        "count": 41,
    }
    y = gpu.run(source, x=x, params=params, y=wg.out(8), threads=1)
    expected = [*(turn.astype(float) @ x), 2.5, 12.0, 9.0, 7.0, 41.0]
    # Three products a component.
    assert np.allclose(
        y, expected, rtol=0, atol=8 * np.finfo(np.float32).eps * (np.abs(turn) @ np.abs(x)).max() + 1e-12
    )


def test_structs_tight_and_padded_both_ways(gpu, rng):
    source = """
    struct Particle { position: vec3f, mass: f32, spin: mat2x2f, id: u32, pad: u32, links: array<vec3u, 2> }
    @group(0) @binding(0) var<storage, read> particles: array<Particle>;
    @group(0) @binding(1) var<storage, read_write> moved: array<Particle>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x >= arrayLength(&particles)) { return; }
      moved[id.x] = particles[id.x];
      moved[id.x].position += vec3f(1.0, 2.0, 3.0);
      moved[id.x].links[1] += vec3u(1u);
    }"""
    n = 100
    kernel = gpu.kernel(source)
    tight = np.zeros(
        n, [("id", "u4"), ("position", "f4", 3), ("mass", "f4"), ("links", "u4", (2, 3)), ("spin", "f4", (2, 2))]
    )
    tight["position"] = rng.integers(-99, 99, (n, 3))
    tight["mass"] = rng.standard_normal(n)
    tight["id"] = np.arange(n)
    tight["links"] = rng.integers(0, 99, (n, 2, 3))
    tight["spin"] = rng.standard_normal((n, 2, 2))
    result = kernel(particles=tight, moved=wg.out(n, dtype=tight.dtype), threads=n).numpy()
    expected = tight.copy()
    expected["position"] += [1, 2, 3]
    expected["links"][:, 1] += 1
    for name in tight.dtype.names:
        assert np.array_equal(result[name], expected[name]), name

    exact = kernel.dtype("particles")
    assert exact.itemsize == 80
    assert exact.fields["spin"][1] == 16
    assert kernel.dtype("Particle") == exact
    padded = kernel(particles=tight, moved=wg.out(n, dtype=exact), threads=n).numpy()
    assert padded.dtype == exact
    assert np.array_equal(padded["id"], np.arange(n))
    again = kernel(particles=padded, moved=wg.out(n, dtype=tight.dtype), threads=n).numpy()
    assert np.array_equal(again["position"], expected["position"] + np.float32([1, 2, 3]))
    assert np.array_equal(again["spin"], tight["spin"])


@pytest.mark.parametrize("n", [1, 7, 300])
def test_vec3_arrays_are_padded_in_and_unpadded_out(gpu, rng, n):
    source = """
    @group(0) @binding(0) var<storage, read> x: array<vec3f>;
    @group(0) @binding(1) var<storage, read_write> y: array<vec3f>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < arrayLength(&x)) { y[id.x] = x[id.x].zxy; }
    }"""
    x = rng.standard_normal((n, 3)).astype(np.float32)
    expected = x[:, [2, 0, 1]]
    assert np.array_equal(gpu.run(source, x=x, y=wg.out((n, 3)), threads=n), expected)
    kernel = gpu.kernel(source)
    resident, target = gpu.array(x), gpu.zeros((n, 3))
    kernel(x=resident, y=target, threads=n)
    assert np.array_equal(target.numpy(), expected)
    assert np.array_equal(resident.numpy(), x)


def test_matrices_are_rows_times_columns_as_in_numpy(gpu, rng):
    source = """
    @group(0) @binding(0) var<storage, read> m: array<mat4x3f>;
    @group(0) @binding(1) var<storage, read> v: array<vec4f>;
    @group(0) @binding(2) var<storage, read_write> y: array<vec3f>;
    @group(0) @binding(3) var<storage, read_write> t: array<mat4x3f>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
      y[id.x] = m[id.x] * v[id.x];
      t[id.x] = m[id.x] * 2.0;
    }"""
    m = rng.integers(-9, 9, (5, 3, 4)).astype(np.float32)
    v = rng.integers(-9, 9, (5, 4)).astype(np.float32)
    result = gpu.run(source, m=m, v=v, y=wg.out((5, 3)), t=wg.out((5, 3, 4)), threads=5)
    assert np.array_equal(result["y"], np.einsum("nrc,nc->nr", m, v))
    assert np.array_equal(result["t"], 2 * m)
    resident = gpu.kernel(source)(m=gpu.array(m), v=gpu.array(v), y=wg.out((5, 3)), t=wg.out((5, 3, 4)), threads=5)
    assert np.array_equal(resident["y"].numpy(), result["y"])


def test_struct_with_a_runtime_sized_tail(gpu):
    source = """
    struct Table { scale: f32, shift: vec2f, rows: array<vec3f> }
    struct Sums { total: atomic<u32>, largest: vec3f, each: array<f32> }
    @group(0) @binding(0) var<storage, read> table: Table;
    @group(0) @binding(1) var<storage, read_write> sums: Sums;
    @compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x >= arrayLength(&table.rows)) { return; }
      atomicAdd(&sums.total, id.x);
      sums.each[id.x] = table.scale * (table.rows[id.x].x + table.rows[id.x].y + table.rows[id.x].z) + table.shift.y;
      if (id.x == 2u) { sums.largest = table.rows[2]; }
    }"""
    rows = np.arange(15, dtype=np.float32).reshape(5, 3)
    result = gpu.run(source, table={"scale": 2, "shift": [0, 1], "rows": rows}, sums=wg.out(tail=5), threads=5)
    assert set(result) == {"total", "largest", "each"}
    assert result["total"] == 10
    assert np.array_equal(result["largest"], rows[2])
    assert np.array_equal(result["each"], 2 * rows.sum(1) + 1)
    with pytest.raises(wg.ShapeError, match="tail=n"):
        gpu.run(source, table={"scale": 2, "shift": [0, 1], "rows": rows}, sums=wg.out(), threads=5)


def test_single_struct_in_and_out_as_a_dict(gpu):
    source = """
    struct State { seed: u32, place: vec3f, turn: mat2x2f, _unused: f32 }
    @group(0) @binding(0) var<storage, read> before: State;
    @group(0) @binding(1) var<storage, read_write> after: State;
    @compute @workgroup_size(1) fn main() {
      after.seed = before.seed + 1u; after.place = before.place * 2.0; after.turn = transpose(before.turn);
    }"""
    kernel = gpu.kernel(source)
    turn = np.float32([[1, 2], [3, 4]])
    after = kernel(
        before={"seed": 6, "place": [1, 2, 3], "turn": turn}, after=wg.out(dtype=kernel.dtype("after")), threads=1
    ).numpy()
    assert after["seed"] == 7
    assert np.array_equal(after["place"], [2, 4, 6])
    assert np.array_equal(after["turn"], turn.T)
    assert "_unused" not in after


def test_overrides_by_name_and_id_and_unused_ones(gpu):
    source = """
    @id(7) override FACTOR: f32 = 2.0;
    override OFFSET: i32;
    override ON: bool = true;
    override UNUSED: u32 = 1u;
    override WIDTH: u32 = 4u;
    const DOUBLE = 2u;
    @group(0) @binding(0) var<storage, read_write> y: array<f32>;
    fn offset() -> f32 { return select(0.0, f32(OFFSET), ON); }
    @compute @workgroup_size(WIDTH * DOUBLE) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = FACTOR * f32(id.x) + offset(); }
    @compute @workgroup_size(2) fn other(@builtin(global_invocation_id) id: vec3u) { y[id.x] = f32(UNUSED); }"""
    kernel = gpu.kernel(source, entry_point="main", constants={7: 3.0})
    assert kernel.reflection.workgroup_size == ()
    result = kernel(y=wg.out(8), workgroups=1, constants={"OFFSET": -5, "UNUSED": 3}).numpy()
    assert np.array_equal(result, 3.0 * np.arange(8) - 5)
    off = kernel(y=wg.out(4), workgroups=1, constants={"OFFSET": -5, "ON": False, "WIDTH": 2}).numpy()
    assert np.array_equal(off, 3.0 * np.arange(4))
    assert np.array_equal(kernel(y=wg.out(2), threads=2, entry_point="other", constants={"UNUSED": 9}).numpy(), [9, 9])
    with pytest.raises(wg.BindingError, match="OFFSET"):
        kernel(y=wg.out(8), workgroups=1)
    with pytest.raises(wg.BindingError, match="NOPE"):
        kernel(y=wg.out(8), workgroups=1, constants={"NOPE": 1})


def test_several_entry_points_must_be_chosen(gpu):
    source = """
    @group(0) @binding(0) var<storage, read_write> a: array<u32>;
    @group(0) @binding(0) var<storage, read_write> b: array<f32>;
    @compute @workgroup_size(1) fn ints() { a[0] = 7u; }
    @compute @workgroup_size(1) fn floats() { b[0] = 0.5; }"""
    kernel = gpu.kernel(source)
    assert kernel.reflection.entry_points == ("ints", "floats")
    assert kernel(a=wg.out(1, np.uint32), threads=1, entry_point="ints").numpy()[0] == 7
    assert kernel(b=wg.out(1), threads=1, entry_point="floats").numpy()[0] == 0.5
    with pytest.raises(wg.BindingError, match="ints, floats"):
        kernel(a=wg.out(1, np.uint32), threads=1)


def test_names_that_are_keywords_go_into_a_dict(gpu):
    source = """
    @group(0) @binding(0) var<storage, read> threads: array<f32>;
    @group(0) @binding(1) var<storage, read_write> timeout: array<f32>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { timeout[id.x] = threads[id.x] + 1.0; }"""
    y = gpu.run(source, {"threads": np.float32([1, 2]), "timeout": wg.out(2)}, threads=2)
    assert np.array_equal(y, [2, 3])


def test_bool_and_complex_and_scalars(gpu):
    source = """
    @group(0) @binding(0) var<storage, read> mask: array<u32>;
    @group(0) @binding(1) var<storage, read> z: array<vec2f>;
    @group(0) @binding(2) var<storage, read_write> y: array<vec2f>;
    @group(0) @binding(3) var<storage, read_write> count: atomic<u32>;
    @group(1) @binding(0) var<uniform> shift: vec3f;
    @group(1) @binding(1) var<uniform> factor: f32;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (mask[id.x] != 0u) { y[id.x] = z[id.x] * factor + shift.yz; atomicAdd(&count, 1u); }
    }"""
    z = np.complex64([1 + 2j, 3 + 4j])
    result = gpu.run(
        source,
        mask=np.array([True, False]),
        z=z,
        y=wg.out((2, 2)),
        count=wg.out((), np.uint32),
        shift=np.float32([0, 1, 2]),
        factor=10,
        threads=2,
    )
    assert np.array_equal(result["y"], [[11, 22], [0, 0]])
    assert result["count"] == 1


FORMATS = [
    ("r8unorm", np.uint8, 1),
    ("rg8unorm", np.uint8, 2),
    ("rgba8unorm", np.uint8, 4),
    ("r16float", np.float16, 1),
    ("rgba16float", np.float16, 4),
    ("r32float", np.float32, 1),
    ("rg32float", np.float32, 2),
    ("rgba32float", np.float32, 4),
]


@pytest.mark.parametrize(("name", "dtype", "channels"), FORMATS)
def test_sampled_textures_of_each_dtype(gpu, rng, name, dtype, channels):
    source = """
    @group(0) @binding(0) var image: texture_2d<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
    @compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {
      let size = textureDimensions(image);
      if (all(id.xy < size)) { y[id.y * size.x + id.x] = textureLoad(image, id.xy, 0); }
    }"""
    height, width = 5, 9
    data = rng.integers(0, 255, (height, width, channels)).astype(dtype)
    made = wg.texture(data)
    assert made.format == name
    y = gpu.run(source, image=made, y=wg.out((height, width, 4)), threads=(width, height))
    scale = 255 if dtype == np.uint8 else 1
    assert np.allclose(y[..., :channels], data.astype(float) / scale, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dimension", ["2d-array", "3d"])
def test_textures_with_three_axes(gpu, rng, dimension):
    kind, at = ("texture_2d_array", "id.xy, id.z, 0") if dimension == "2d-array" else ("texture_3d", "id, 0")
    source = f"""
    @group(0) @binding(0) var image: {kind}<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(4, 4) fn main(@builtin(global_invocation_id) id: vec3u) {{
      if (all(id < vec3u(6, 5, 3))) {{ y[(id.z * 5 + id.y) * 6 + id.x] = textureLoad(image, {at}).r; }}
    }}"""
    data = rng.standard_normal((3, 5, 6)).astype(np.float32)
    y = gpu.run(source, image=wg.texture(data, dimension=dimension), y=wg.out((3, 5, 6)), threads=(6, 5, 3))
    assert np.array_equal(y, data)


def test_linear_sampling_between_texels_and_mips(gpu):
    source = """
    @group(0) @binding(0) var image: texture_2d<f32>;
    @group(0) @binding(1) var smooth_sampler: sampler;
    @group(0) @binding(2) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(1) fn main() {
      y[0] = textureSampleLevel(image, smooth_sampler, vec2f(0.5, 0.5), 0.0).r;
      y[1] = textureSampleLevel(image, smooth_sampler, vec2f(0.0, 0.0), 0.0).r;
      y[2] = textureLoad(image, vec2u(0u), 1).r;
      y[3] = f32(textureNumLevels(image));
    }"""
    data = np.uint8([[0, 255], [255, 0]])
    y = gpu.run(source, image=wg.texture(data, mips=True), smooth_sampler=wg.sampler("linear"), y=wg.out(4), threads=1)
    assert np.allclose(y, [0.5, 0.0, 0.5, 2.0], atol=2 / 255)


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [
        ("rgba8unorm", np.uint8, 4),
        ("r32float", np.float32, 1),
        ("rgba16float", np.float16, 4),
        ("rgba32uint", np.uint32, 4),
    ],
)
def test_storage_textures_come_back_in_their_format(gpu, name, dtype, channels):
    value = "vec4u(id.x, id.y, 7u, 9u)" if name.endswith("uint") else "vec4f(f32(id.x), f32(id.y), 7.0, 9.0) / 51.0"
    source = f"""
    @group(0) @binding(0) var image: texture_storage_2d<{name}, write>;
    @compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {{
      if (all(id.xy < textureDimensions(image))) {{ textureStore(image, id.xy, {value}); }}
    }}"""
    result = gpu.run(source, image=wg.out_texture((3, 70), name), threads=(70, 3))
    assert result.shape == (3, 70, channels)
    assert result.dtype == dtype
    x = np.broadcast_to(np.arange(70), (3, 70))
    if dtype == np.uint32:
        assert np.array_equal(result[..., 0], x)
    else:
        wanted = np.minimum(x / 51, 1) if dtype == np.uint8 else x / 51
        got = result[..., 0] / (255 if dtype == np.uint8 else 1)
        assert np.allclose(got, wanted, atol={np.uint8: 0.6 / 255, np.float16: 1e-3, np.float32: 1e-6}[dtype])


def test_a_written_texture_is_sampled_by_the_next_kernel(gpu):
    write = """
    @group(0) @binding(0) var image: texture_storage_2d<r32float, write>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { textureStore(image, id.xy, vec4f(f32(id.x + 10u * id.y))); }"""
    read = """
    @group(0) @binding(0) var image: texture_2d<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x + 3u * id.y] = textureLoad(image, id.xy, 0).r; }"""
    image = gpu.kernel(write)(image=wg.out_texture((2, 3), "r32float"), threads=(3, 2))
    assert np.array_equal(gpu.run(read, image=image, y=wg.out((2, 3)), threads=(3, 2)), [[0, 1, 2], [10, 11, 12]])


def test_half_floats_where_the_adapter_has_them(gpu):
    if "shader-f16" not in gpu.info.features:
        assert gpu.info.is_fallback, "only CPU adapters may lack shader-f16 here"
        pytest.skip("shader-f16: not on SwiftShader")
    source = """
    enable f16;
    @group(0) @binding(0) var<storage, read> x: array<f16>;
    @group(0) @binding(1) var<storage, read_write> y: array<f16>;
    @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = x[id.x] * 2.0h; }"""
    x = np.float16([1.5, 2.5, 3.5])
    assert np.array_equal(gpu.run(source, x=x, y=wg.out(3, np.float16), threads=3), 2 * x)


def test_reflection_says_what_is_there(gpu):
    source = """
    struct Params { a: vec3f, b: u32 }
    override TILE: u32 = 16u;
    @group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;
    @group(1) @binding(2) var<uniform> params: Params;
    @group(0) @binding(1) var<storage, read_write> y: array<atomic<u32>>;
    @compute @workgroup_size(TILE, 2) fn main() { atomicAdd(&y[0], params.b + u32(x[0].x)); }"""
    reflection = gpu.kernel(source, constants={"TILE": 8}).reflection
    assert reflection.workgroup_size == (8, 2, 1)
    assert reflection.bindings["x"] == {
        "group": 0,
        "binding": 0,
        "kind": "storage",
        "access": "read",
        "type": "array<vec2<f32>>",
    }
    assert reflection.bindings["y"]["type"] == "array<atomic<u32>>"
    assert reflection.structs["Params"]["size"] == 16
    assert reflection.structs["Params"]["members"]["b"] == {"offset": 12, "type": "u32", "size": 4}
    assert reflection.overrides == {"TILE": {"type": "u32", "id": None, "has_default": True}}
    assert "TILE" in repr(reflection)
