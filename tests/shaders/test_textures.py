"""Every kind of texture that a compute kernel can see, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg

CUBE_SIDES = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]


def loader(kind: str, load: str, size: int, element: str = "f32") -> str:
    """Return a kernel that writes ``load`` for each i to y."""
    return f"""
    @group(0) @binding(0) var t: {kind};
    @group(0) @binding(1) var<storage, read_write> y: array<{element}>;
    @compute @workgroup_size({size}) fn main(@builtin(global_invocation_id) id: vec3u) {{ let i = id.x; y[i] = {load}; }}"""


def test_a_texture_of_one_dimension(gpu, rng):
    row = rng.random((16, 4), np.float32)
    kernel = loader("texture_1d<f32>", "textureLoad(t, i, 0)", 16, "vec4f")
    got = gpu.run(kernel, t=wg.texture(row, dimension="1d"), y=wg.out((16, 4)), threads=16)
    np.testing.assert_array_equal(got, row)


def test_an_array_becomes_the_texture_that_the_shader_declares(gpu, rng):
    row = rng.random((16, 1), np.float32)
    got = gpu.run(loader("texture_1d<f32>", "textureLoad(t, i, 0).x", 16), t=row, y=wg.out(16), threads=16)
    np.testing.assert_array_equal(got, row[:, 0])


def test_the_sides_of_a_cube(gpu, rng):
    sides = rng.random((6, 1, 1, 4), np.float32).astype(np.float16)
    directions = ", ".join(f"vec3f{side}" for side in CUBE_SIDES)
    kernel = f"""
    @group(0) @binding(0) var t: texture_cube<f32>;
    @group(0) @binding(1) var s: sampler;
    @group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
    @compute @workgroup_size(6) fn main(@builtin(global_invocation_id) id: vec3u) {{
      let directions = array({directions});
      y[id.x] = textureSampleLevel(t, s, directions[id.x], 0.0);
    }}"""
    got = gpu.run(kernel, t=wg.texture(sides, dimension="cube"), s=wg.sampler("nearest"), y=wg.out((6, 4)), threads=6)
    np.testing.assert_array_equal(got, sides[:, 0, 0].astype(np.float32))


def test_an_array_of_cubes(gpu, rng):
    sides = rng.random((12, 1, 1, 1), np.float32).astype(np.float16)
    kernel = """
    @group(0) @binding(0) var t: texture_cube_array<f32>;
    @group(0) @binding(1) var s: sampler;
    @group(0) @binding(2) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(2) fn main(@builtin(global_invocation_id) id: vec3u) {
      y[id.x] = textureSampleLevel(t, s, vec3f(0, -1, 0), id.x, 0.0).x;
    }"""
    texture = wg.texture(sides, dimension="cube-array")
    got = gpu.run(kernel, t=texture, s=wg.sampler("nearest"), y=wg.out(2), threads=2)
    np.testing.assert_array_equal(got, sides[[3, 9], 0, 0, 0].astype(np.float32))


@pytest.mark.parametrize("shape", [(4, 4), (33, 7), (5, 300)])
def test_depths_are_those_of_the_array(gpu, rng, shape):
    depths = rng.random(shape, np.float32)
    height, width = shape
    kernel = loader("texture_depth_2d", f"textureLoad(t, vec2u(i % {width}, i / {width}), 0)", 64)
    kernel = kernel.replace("y[i] =", "if (i >= arrayLength(&y)) { return; } y[i] =")
    got = gpu.run(kernel, t=wg.texture(depths), y=wg.out(height * width), threads=height * width)
    np.testing.assert_array_equal(got.reshape(shape), depths)


def test_depths_are_compared(gpu):
    depths = np.float32([[0.25, 0.75]])
    kernel = """
    @group(0) @binding(0) var t: texture_depth_2d;
    @group(0) @binding(1) var s: sampler_comparison;
    @group(0) @binding(2) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(2) fn main(@builtin(global_invocation_id) id: vec3u) {
      y[id.x] = textureSampleCompareLevel(t, s, vec2f(0.25 + 0.5 * f32(id.x), 0.5), 0.5);
    }"""
    sampler = wg.sampler("nearest", compare="less")
    got = gpu.run(kernel, t=depths, s=sampler, y=wg.out(2), threads=2)
    np.testing.assert_array_equal(got, [0, 1])


def test_layers_of_depths(gpu, rng):
    depths = rng.random((3, 2, 2), np.float32)
    kernel = loader("texture_depth_2d_array", "textureLoad(t, vec2u(i % 2, (i / 2) % 2), i / 4, 0)", 12)
    got = gpu.run(kernel, t=wg.texture(depths, dimension="2d-array"), y=wg.out(12), threads=12)
    np.testing.assert_array_equal(got, depths.ravel())


def test_a_storage_texture_that_is_read(gpu, rng):
    image = rng.random((8, 8, 1), np.float32)
    kernel = loader("texture_storage_2d<r32float, read>", "textureLoad(t, vec2u(i % 8, i / 8)).x", 64)
    np.testing.assert_array_equal(gpu.run(kernel, t=image, y=wg.out(64), threads=64), image.ravel())


@pytest.mark.parametrize("dimension", ["1d", "2d", "2d-array", "3d"])
def test_a_storage_texture_that_is_read_and_written_comes_back(gpu, rng, dimension):
    shape = {"1d": (8,), "2d": (2, 4), "2d-array": (2, 2, 2), "3d": (2, 2, 2)}[dimension]
    before = rng.integers(0, 1000, (*shape, 1), np.uint32)
    place = {
        "1d": "i",
        "2d": "vec2u(i % 4, i / 4)",
        "2d-array": "vec2u(i % 2, (i / 2) % 2), i / 4",
        "3d": "vec3u(i % 2, (i / 2) % 2, i / 4)",
    }[dimension]
    access = "read_write" if dimension != "2d-array" else "write"
    kind = f"texture_storage_{dimension.replace('-', '_')}<r32uint, {access}>"
    value = f"textureLoad(t, {place}) * 2 + vec4u(1)" if access == "read_write" else "vec4u(i)"
    kernel = f"""
    @group(0) @binding(0) var t: {kind};
    @compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3u) {{ let i = id.x; textureStore(t, {place}, {value}); }}"""
    got = gpu.run(kernel, t=wg.texture(before, "r32uint", dimension), threads=8)
    wanted = 2 * before + 1 if access == "read_write" else np.arange(8, dtype=np.uint32).reshape(before.shape)
    np.testing.assert_array_equal(got, wanted)


def test_an_external_texture_that_is_not_used_is_no_hindrance(gpu):
    kernel = """
    @group(1) @binding(0) var video: texture_external;
    @group(0) @binding(0) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(1) fn main() { y[0] = 3; }
    @compute @workgroup_size(1) fn other() { y[0] = textureLoad(video, vec2u()).x; }"""
    assert gpu.run(kernel, y=wg.out(1), threads=1, entry_point="main") == [3]
    with pytest.raises(wg.BindingError, match="video"):
        gpu.run(kernel, y=wg.out(1), video=np.zeros((2, 2, 4), np.uint8), threads=1, entry_point="other")


@pytest.mark.parametrize(
    ("kind", "value", "error", "words"),
    [
        ("texture_depth_2d", np.float32([[0.5, 1.5]]), wg.BindingError, "0 to 1"),
        ("texture_depth_2d", np.zeros((2, 2, 4), np.float32), wg.BindingError, "one channel"),
        ("texture_1d<f32>", wg.texture(np.zeros((2, 2), np.float32)), wg.BindingError, "dimension='2d'"),
        ("texture_cube<f32>", np.zeros((6, 2, 3, 1), np.float32), wg.ShapeError, "square"),
        ("texture_cube<f32>", np.zeros((5, 2, 2, 1), np.float32), wg.ShapeError, "6 square sides"),
        ("texture_cube_array<f32>", np.zeros((8, 2, 2, 1), np.float32), wg.ShapeError, "6 square sides a cube"),
        ("texture_multisampled_2d<f32>", np.zeros((2, 2), np.float32), wg.BindingError, "samples of a drawing"),
        ("texel_buffer<r32float, read>", np.zeros(4, np.float32), wg.BindingError, "no binding for yet"),
        ("texture_storage_2d<r32float, read>", wg.out_texture((2, 2), "r32float"), wg.BindingError, "cannot write"),
        ("texture_storage_2d<r32float, read>", np.zeros((2, 2), np.uint8), wg.DTypeError, "r32float"),
    ],
)
def test_what_cannot_be_bound_is_refused(gpu, kind, value, error, words):
    kernel = f"""
    @group(0) @binding(0) var t: {kind};
    @group(0) @binding(1) var<storage, read_write> y: array<u32>;
    @compute @workgroup_size(1) fn main() {{ y[0] = u32(textureDimensions(t){"" if "1d" in kind or "buffer" in kind else ".x"}); }}"""
    with pytest.raises(error, match=words):
        gpu.run(kernel, t=value, y=wg.out(1, np.uint32), threads=1)
    assert gpu.run(loader("texture_1d<f32>", "textureLoad(t, i, 0).x", 1), t=np.ones(1, "f4"), y=wg.out(1), threads=1)


def test_a_written_texture_with_contents_is_refused_in_a_recording(gpu):
    kernel = gpu.kernel("""
    @group(0) @binding(0) var t: texture_storage_2d<r32uint, read_write>;
    @compute @workgroup_size(1) fn main() { textureStore(t, vec2u(), textureLoad(t, vec2u()) + 1u); }""")
    image = wg.texture(np.zeros((1, 1), np.uint32), "r32uint")
    with pytest.raises(wg.BindingError, match="replay"), gpu.record():
        kernel(t=image, threads=1)
    made = kernel(t=image, threads=1)
    with gpu.record() as program:
        kernel(t=made, threads=1)
    program.replay(times=3)
    assert made.numpy() == [[[4]]]


@pytest.mark.parametrize("words", [{"compare": "lesser"}, {"filter": "cubic"}, {"address": "wrap"}])
def test_words_of_samplers(words):
    with pytest.raises(wg.BindingError, match=next(iter(words.values()))):
        wg.sampler(**words)


@pytest.mark.no_adapter
@pytest.mark.parametrize(
    ("kind", "dtype", "one"),
    [
        (None, "u1", 255),
        ("rgba8unorm-srgb", "u1", 255),
        ("rgba8snorm", "i1", 127),
        ("rgba8uint", "u1", 1),
        ("rgba8sint", "i1", 1),
        ("rgba32uint", "u4", 1),
        (None, "f4", 1),
    ],
)
def test_the_fourth_of_three_channels_is_one_as_the_format_reads_it(kind, dtype, one):
    made = wg.texture(np.zeros((2, 2, 3), dtype), format=kind)
    assert made.texels[0, 0, 0].tolist() == [0, 0, 0, one]
