"""The cluster's kernels against their NumPy twins."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.random import Generator

import webgpu_widget as wg
from webgpu_widget import shaders
from webgpu_widget.cluster import mandelbrot, matmul
from webgpu_widget.reference import cluster as reference


@pytest.mark.parametrize(("rows", "inner", "columns"), [(8, 8, 8), (8, 16, 24), (40, 8, 104), (64, 136, 72)])
def test_product(gpu: wg.GPU, rng: Generator, rows: int, inner: int, columns: int) -> None:
    a, b, c = (rng.standard_normal(shape, np.float32) for shape in ((rows, inner), (inner, columns), (rows, columns)))
    total = gpu.array(c)
    matmul.multiply(gpu, gpu.array(a), gpu.array(b), total)
    bound = np.abs(a) @ np.abs(b) + np.abs(c)
    assert (np.abs(total.numpy() - reference.product(a, b, c)) <= inner * 1.2e-7 * bound).all()


def test_product_passes_nan_and_inf_on(gpu: wg.GPU) -> None:
    a, b = np.ones((8, 8), np.float32), np.ones((8, 8), np.float32)
    a[1, 2], a[3, 4] = np.nan, np.inf
    total = gpu.zeros((8, 8))
    matmul.multiply(gpu, gpu.array(a), gpu.array(b), total)
    np.testing.assert_array_equal(total.numpy(), reference.product(a, b))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 9), (64, 1), (65, 31)])
@pytest.mark.parametrize("max_iter", [1, 2, 200])
def test_escape(gpu: wg.GPU, width: int, height: int, max_iter: int) -> None:
    x, y = mandelbrot.axes(-0.6 + 0.2j, 2.4, (width, height))
    iterations, smooth = mandelbrot.compute_tile(gpu, x, y, max_iter)
    expected, continuous = reference.escape(x, y, max_iter)
    same = iterations == expected
    assert same.mean() > 0.98
    np.testing.assert_allclose(smooth[same], continuous[same], atol=0.01)


@pytest.mark.parametrize("name", ["cluster/escape", "cluster/product"])
def test_the_text_compiles_with_no_message(gpu: wg.GPU, name: str) -> None:
    assert gpu._queue.compiled(gpu._queue.pipeline(shaders.load(name)))["messages"] == []


def test_the_uniform_is_as_long_as_is_sent() -> None:
    for name in ("cluster/escape", "cluster/product"):
        fields = shaders.load(name).split("struct Params {")[1].split("}")[0].count(": u32")
        assert 4 * fields <= struct.calcsize("<4I")


def test_estimates_tell_dear_tiles_from_cheap_ones() -> None:
    x, y = mandelbrot.axes(-0.5 + 0j, 4.0, (256, 256))
    parts = mandelbrot.tiles((256, 256), 64)
    estimates = mandelbrot.costs(x, y, parts, 1000)
    counts = reference.escape(x, y, 1000)[0]
    true = np.array([counts[part.where].sum() for part in parts], float)
    assert np.corrcoef(estimates, true)[0, 1] > 0.95
    assert (estimates > 0).all()


def test_tiles_cover_a_picture_once() -> None:
    seen = np.zeros((50, 70), int)
    for part in mandelbrot.tiles((70, 50), 16):
        seen[part.where] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize(("n", "shape"), [(1, (1, 1)), (4, (2, 2)), (7, (1, 7)), (8, (2, 4)), (12, (3, 4))])
def test_the_grid_is_as_square_as_can_be(n: int, shape: tuple[int, int]) -> None:
    assert matmul.grid(n) == shape
