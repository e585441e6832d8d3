"""The front end over wgpu-py itself: its adapter, its errors, and the guard zones, which must bite."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import webgpu_widget as wg

from .page import naga_gpu, trespasses
from .reflector import JS

HEAD = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
"""


@pytest.fixture(scope="module")
def naga() -> Iterator[wg.GPU]:
    made = naga_gpu()
    yield made
    made.close()


def run(gpu: wg.GPU, body: str, x: np.ndarray, size: int | None = None) -> np.ndarray:
    return gpu.run(HEAD + body + "\n}", x=x, y=wg.out(size or x.size), threads=x.size)


def test_the_adapter_is_llvmpipe_without_subgroups(naga):
    info = naga.ready(timeout=60)
    assert info.vendor == "llvmpipe"
    assert info.is_fallback
    assert "subgroups" not in info.features


def test_what_naga_refuses_is_a_shader_error_with_its_place(naga):
    with pytest.raises(wg.errors.ShaderError, match="not yet supported") as caught:
        naga.kernel("enable subgroups;\n@compute @workgroup_size(1) fn main() {}")
    assert (caught.value.line, caught.value.column) == (1, 8)
    with pytest.raises(wg.errors.ShaderError):
        run(naga, "  y[i] = x[i] + 1u;", np.ones(4, np.float32))
    assert run(naga, "  if (i < 4u) { y[i] = x[i] + 1.0; }", np.ones(4, np.float32)).tolist() == [2.0] * 4


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 4099])
def test_kernels_that_keep_to_their_arrays_pass(naga, rng, size):
    x = rng.standard_normal(size).astype(np.float32)
    got = run(naga, "  if (i < arrayLength(&x)) { y[i] = x[arrayLength(&x) - 1u - i]; }", x)
    np.testing.assert_array_equal(got, x[::-1])
    assert trespasses(naga) == []


@pytest.mark.parametrize(
    "body",
    [
        "  if (i < 64u) { y[i] = x[i + 1u]; }",
        "  if (i < 64u) { y[i] = max(x[i], x[i + 900u]); }",
        "  if (i < 64u) { y[i] = x[i] + x[0] * x[arrayLength(&x) + i]; }",
        "  if (i < 64u) { y[i] = select(1.0, 2.0, x[max(i, 64u)] > 5.0 && x[i + 64u] == x[i + 64u]); }",
        "  if (i < 64u) { let far = &x; y[i] = (*far)[i + 3u]; }",
    ],
    ids=["next", "under a maximum", "times zero", "a decision", "by pointer"],
)
def test_kernels_that_read_past_the_end_are_found(naga, body):
    run(naga, body, np.arange(64, dtype=np.float32))
    assert any("depend on what lies behind a buffer" in found for found in trespasses(naga))


@pytest.mark.parametrize("body", ["  y[i] = x[i]; y[i + 1u] = x[i];", "  y[arrayLength(&y) + 2u * i] = 1.0;"])
def test_kernels_that_write_past_the_end_are_found(naga, body):
    run(naga, body, np.arange(64, dtype=np.float32))
    found = trespasses(naga)
    assert any("main wrote" in text and "past the end" in text for text in found), found
    assert trespasses(naga) == []


def test_reads_past_a_part_of_a_buffer_are_found(naga):
    queue = naga._device.queue
    pipeline = queue.pipeline(HEAD + "  if (i < 64u) { y[i] = x[i + 1u]; }\n}", "beyond its part")
    whole, out = queue.alloc(1024), queue.alloc(256)
    queue.write(whole, np.arange(256, dtype=np.float32))
    queue.dispatch(pipeline, [(0, 0, (whole, 256, 256)), (0, 1, out)], (1, 1, 1))
    queue.read([(out, 0, 256)])
    assert any("behind a buffer" in found for found in trespasses(naga))


def test_float16_works_where_the_compiler_cannot_see_its_bits(naga, rng):
    assert "shader-f16" in naga.info.features, "else this shows nothing"
    x = np.array([0.0, -0.0, np.nan, -np.nan, np.inf, 65504, 6e-8, *rng.standard_normal(30)], np.float16)
    y = np.copysign(np.ones_like(x), rng.choice([-1, 1], x.size)).astype(np.float16)
    a, b = naga.array(x), naga.array(y)
    np.testing.assert_array_equal(a[::-1].copy().numpy(), x[::-1])
    np.testing.assert_array_equal(a.astype(np.float32).numpy(), x.astype(np.float32))
    np.testing.assert_array_equal((a + b).numpy(), x + y)
    np.testing.assert_array_equal(np.signbit(wg.xp.copysign(a, b).numpy()), np.signbit(y))
    assert trespasses(naga) == []


def test_the_engines_own_shaders(naga, rng):
    folder = JS / "src" / "shaders"
    queue = naga._device.queue
    data = rng.integers(0, 2**32, 4096, np.uint32)
    source, goal = queue.alloc(data.nbytes), queue.alloc(data.nbytes)
    queue.write(source, data)
    copy = queue.pipeline((folder / "copy.wgsl").read_text(), "copy", None, {"WIDTH": 256, "COUNT": 1024})
    queue.dispatch(copy, [(0, 0, source), (0, 1, goal)], (1, 1, 1))
    np.testing.assert_array_equal(queue.read([(goal, 0, data.nbytes)])[0].view(np.uint32), data)
    pitch, row, rows = 256, 37, 8
    tighten = (folder / "tighten.wgsl").read_text()
    tight = queue.pipeline(tighten, "tighten", None, {"PITCH": pitch, "ROW": row, "WORDS": row * rows // 4})
    queue.dispatch(tight, [(0, 0, source), (0, 1, goal)], (2, 1, 1))
    wanted = data.view(np.uint8)[: pitch * rows].reshape(rows, pitch)[:, :row]
    np.testing.assert_array_equal(queue.read([(goal, 0, row * rows)])[0], wanted.reshape(-1))
    assert trespasses(naga) == []
