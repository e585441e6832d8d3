"""Infinities and NaN next to a product's operands stay out of it, and those in a row or column stay in theirs."""

from __future__ import annotations

import numpy as np
import pytest
from test_matmul import EPS, as_gpu, product

from webgpu_widget.arrays.matmul import Operand, launch

SHAPES = [(1, 1030, 1), (3, 301, 1), (5, 1031, 1), (260, 36, 1), (257, 5, 1), (1, 77, 9), (7, 33, 130), (68, 44, 132)]


def check(got, a, b):
    with np.errstate(invalid="ignore"):
        want = a.astype(np.float64) @ b.astype(np.float64)
        sizes = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    room = (a.shape[1] + 1) * EPS * np.where(np.isfinite(sizes), sizes, 0) + 1e-30
    finite = np.isfinite(want)
    np.testing.assert_array_equal(np.where(finite, 0, got), np.where(finite, 0, want))
    assert np.all(np.abs(got[finite] - want[finite]) <= room[finite])


@pytest.mark.parametrize("kind", ["this adapter", "a GPU"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_what_is_not_finite_stays_in_its_row(gpu, rng, m, k, n, transposed, kind):
    info = as_gpu(gpu) if kind == "a GPU" else None
    for value in (np.inf, -np.inf, np.nan):
        a, b = rng.uniform(0.5, 1, (m, k)).astype(np.float32), rng.uniform(0.5, 1, (k, n)).astype(np.float32)
        row, column = rng.integers(m), rng.integers(k)
        a[row, column] = value
        check(product(gpu, a, b, transposed_a=transposed, transposed_b=transposed, info=info), a, b)


@pytest.mark.parametrize("kind", ["this adapter", "a GPU"])
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_views_do_not_see_what_surrounds_them(gpu, rng, m, k, n, kind):
    from types import SimpleNamespace

    target = SimpleNamespace(queue=gpu._device.queue, info=as_gpu(gpu)) if kind == "a GPU" else gpu._device
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((m, k), (k, n)))
    operands = []
    for values in (a, b):
        around = np.full((values.shape[0] + 4, values.shape[1] + 8), np.nan, np.float32)
        around[2:-2, 4:-4] = values
        memory = gpu._device.queue.alloc(around.nbytes)
        gpu._device.queue.write(memory, around.reshape(-1).view(np.uint8))
        strides = (around.shape[1], 1)
        operands.append(Operand(memory, values.shape, strides, 2 * around.shape[1] + 4, np.dtype(np.float32)))
    out = gpu.array(np.full((m, n), np.nan, np.float32))
    launch(target, *operands, out._memory)
    check(out.numpy(), a, b)
