"""Counts of invocations and elements: whole numbers, and none that are cut to one."""

from __future__ import annotations

import asyncio
import gc

import numpy as np
import pytest

import webgpu_widget as wg

COUNT = """
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = 1.0; }"""
PAINT = """
@group(0) @binding(0) var t: texture_storage_2d<rgba8unorm, write>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { textureStore(t, id.xy, vec4f(1)); }"""
NO_COUNTS = [1.5, "4", True, np.float64(2.5), [1.5, 2], (2, "1"), np.array([0.5]), np.bool_(True), [], 1j, float("nan")]


@pytest.mark.parametrize("keyword", ["threads", "workgroups"])
@pytest.mark.parametrize("count", NO_COUNTS, ids=repr)
def test_invocations_that_are_no_whole_numbers(gpu, keyword, count):
    with pytest.raises(wg.BindingError, match=keyword):
        gpu.run(COUNT, y=wg.out(4), **{keyword: count})


@pytest.mark.parametrize(
    "count", [4, 4.0, np.int64(4), np.uint8(4), np.array(4), [4], (4, 1), np.array([4, 1, 1])], ids=repr
)
def test_invocations_as_they_come(gpu, count):
    np.testing.assert_array_equal(gpu.run(COUNT, y=wg.out(4), threads=count), np.ones(4, np.float32))


@pytest.mark.parametrize("shape", [2.5, "3", (2, 1.5), int, [np.float32(0.5)], -1, (2, -1)], ids=repr)
def test_shapes_that_are_no_whole_numbers(gpu, shape):
    with pytest.raises(wg.ShapeError):
        wg.out(shape)
    with pytest.raises(wg.ShapeError):
        wg.out_texture(shape, "rgba8unorm")
    with pytest.raises(wg.ShapeError):
        gpu.zeros(shape)


@pytest.mark.parametrize("tail", [0, 1.5, "2", True], ids=repr)
def test_tails_that_are_no_whole_numbers(tail):
    with pytest.raises(wg.ShapeError, match="tail"):
        wg.out(tail=tail)


def test_a_storage_texture_of_a_whole_number_of_texels(gpu):
    assert gpu.run(PAINT, t=wg.out_texture((np.int64(2), 3.0), "rgba8unorm"), threads=(3, 2)).shape == (2, 3, 4)


def test_texels_in_the_other_byte_order(gpu, rng):
    texels = rng.integers(0, 100, (2, 3, 4)).astype(np.float32)
    source = """
@group(0) @binding(0) var t: texture_2d<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { y[3 * id.y + id.x] = textureLoad(t, id.xy, 0); }"""
    for order in "<>":
        made = gpu.run(source, t=texels.astype(f"{order}f4"), y=wg.out((6, 4)), threads=(3, 2))
        np.testing.assert_array_equal(made.reshape(2, 3, 4), texels)


def test_an_error_of_a_coroutine_is_said_once(gpu):
    said = []

    async def call():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))
        with pytest.raises(wg.BindingError):
            await gpu.run_async("override a: u32 = 1;" + COUNT, y=wg.out(4), threads=4, constants={"a": 1.5})

    asyncio.run(call())
    gc.collect()
    assert said == []
