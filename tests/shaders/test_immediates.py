"""``var<immediate>``: an argument by name, as a uniform is, where the adapter has immediate data."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg

SCALED = """
struct Settings { scale: f32, shift: vec2f, turn: mat2x2f, count: u32 }
var<immediate> settings: Settings;
@group(0) @binding(0) var<storage, read> x: array<vec2f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < settings.count) { y[id.x] = settings.turn * x[id.x] * settings.scale + settings.shift; }
}"""
ONE = """
var<immediate> k: f32;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] += k; }"""
TEXTURED = """
var<immediate> level: u32;
@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(1) fn main() { y[0] = textureLoad(picture, vec2u(level), 0); }"""


@pytest.fixture
def room(gpu):
    """Bytes of immediate data that the adapter has; where it has none, the error is what is tested."""
    most = gpu.info.limits.get("maxImmediateSize", 0)
    if not most:
        with pytest.raises((wg.LimitError, wg.ShaderError)):
            gpu.kernel(ONE)
    return most


def settings_of(rng, count):
    return {
        "scale": 2.0,
        "shift": rng.integers(0, 9, 2).astype(np.float32),
        "turn": rng.integers(0, 9, (2, 2)).astype(np.float32),
        "count": count,
    }


def test_a_struct(gpu, rng, room):
    if room < 40:
        return
    x = rng.integers(0, 99, (100, 2)).astype(np.float32)
    for count in (100, 7):
        settings = settings_of(rng, count)
        y = gpu.run(SCALED, settings=settings, x=x, y=wg.out((100, 2)), threads=100)
        wanted = 2 * x @ settings["turn"].T + settings["shift"]
        assert np.array_equal(y[:count], wanted[:count])
        assert not y[count:].any()
    checked = gpu.run(SCALED, settings=settings_of(rng, 3), x=x, y=wg.out((100, 2)), threads=100, check=True)
    assert checked[:3].any()
    binding = gpu.kernel(SCALED).reflection.bindings["settings"]
    assert binding["kind"] == "immediate"


def test_many_calls_and_programs(gpu, room):
    if not room:
        return
    kernel = gpu.kernel(ONE)
    y = gpu.zeros(1)
    for k in range(20):
        kernel(k=float(k), y=y, threads=1)
    assert y.item() == 190
    with gpu.record() as program:
        for k in (0.5, 0.25, 4):
            kernel(k=k, y=y, threads=1)
    program.replay(3)
    assert y.item() == 190 + 3 * 4.75
    with pytest.raises(wg.BindingError, match="'k' is missing"):
        kernel(y=y, threads=1)


def test_beside_a_texture(gpu, rng, room):
    if not room:
        return
    picture = rng.random((4, 4, 4)).astype(np.float32)
    y = gpu.run(TEXTURED, level=2, picture=wg.texture(picture), y=wg.out((1, 4)), threads=1)
    assert np.array_equal(y[0], picture[2, 2])


def test_more_than_the_adapter_has(gpu, room):
    words = room // 4 + 4
    source = f"""
    struct Large {{ {", ".join(f"m{i}: u32" for i in range(words))} }}
    var<immediate> large: Large;
    @group(0) @binding(0) var<storage, read_write> y: array<u32>;
    @compute @workgroup_size(1) fn main() {{ y[0] = large.m0; }}"""
    with pytest.raises((wg.LimitError, wg.ShaderError), match="maxImmediateSize|immediate"):
        gpu.run(source, large={f"m{i}": i for i in range(words)}, y=wg.out(1, np.uint32), threads=1)


VIEWED = """
requires buffer_view;
@group(0) @binding(0) var<storage, read> x: buffer;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] = (*bufferView<array<f32, 4>>(&x, 0))[2] + f32(*bufferView<u32>(&x, 16)); }"""
SIZED = """
requires buffer_view;
@group(0) @binding(0) var<storage, read_write> x: buffer<32>;
@compute @workgroup_size(1) fn main() { *bufferView<u32>(&x, 16) += 5u; }"""


def test_bytes_that_a_shader_views_as_it_likes(gpu, rng):
    x = rng.standard_normal(8).astype(np.float32).view(np.uint32)
    x[4] = 7
    try:
        gpu.kernel(VIEWED)
    except wg.ShaderError as error:
        # What the browser's WGSL has not, its compiler says.
        assert "buffer_view" in str(error)
        return
    y = gpu.run(VIEWED, x=x, y=wg.out(1), threads=1)
    assert y[0] == np.float32(x.view(np.float32)[2] + np.float32(7))
    checked = VIEWED.replace("))[2]", "))[u32(y[0])]")
    with pytest.raises(wg.BoundsError, match="index 4 .*takes 0 to 3"):
        gpu.run(checked, x=x, y=gpu.full(1, 4), threads=1, check=True)
    on_gpu = gpu.array(x)
    gpu.run(SIZED, x=on_gpu, threads=1)
    assert on_gpu.numpy().tolist() == [*x[:4].tolist(), 12, *x[5:].tolist()]
    with pytest.raises(wg.DTypeError, match="nothing is converted silently"):
        gpu.run(VIEWED, x=x.view(np.float32), y=wg.out(1), threads=1)
