"""Products with a long inner size: as exact as sums in runs are, whatever the layout, and however the runs are queued."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from test_matmul import as_gpu, check, operand, product

from webgpu_widget.arrays.matmul.launch import LONG, RUN
from webgpu_widget.reference import matrix as reference

LAUNCH = importlib.import_module("webgpu_widget.arrays.matmul.launch")
HALF_ULP = 2.0**-24


def error(got, a, b):
    """Return the greatest error, in half units in the last place of the sum of the products' sizes."""
    want = a.astype(np.float64) @ b.astype(np.float64)
    sizes = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    return float(np.max(np.abs(got - want) / sizes)) / HALF_ULP


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 1)])
def test_equal_terms_do_not_drift(gpu, rng, shape):
    # Equal terms are rounded the same way again and again: one by one, a million tenths make 100958. What every order of runs keeps to:
    # a rounding for each term of a run, then one for each run, and one of the product where it is not fused.
    m, n = shape
    k = 1_000_003
    for value in (0.1, 0.7, float(rng.uniform(0.05, 1))):
        a, b = np.full((m, k), value, np.float32), np.ones((k, n), np.float32)
        assert error(product(gpu, a, b), a, b) <= RUN + k / RUN + 66


@pytest.mark.parametrize("k", [LONG + 1, 3 * RUN, 100_003])
def test_positive_terms_lose_no_more_than_a_run_does(gpu, rng, k):
    # Roundings at random: their sum grows by the root of their number, and runs differ. Five times that is never seen by chance.
    a, b = rng.random((6, k), dtype=np.float32), rng.random((k, 18), dtype=np.float32)
    assert error(product(gpu, a, b), a, b) <= 5 * np.sqrt(RUN)


@pytest.mark.parametrize("runs_bytes", [1, 36 * 40 * 4 * 2, 1 << 26])
@pytest.mark.parametrize("as_other", [False, True])
@pytest.mark.parametrize("transposed", [(False, False), pytest.param((True, True), marks=pytest.mark.long)])
def test_runs_one_after_another_and_side_by_side_are_the_same_product(
    gpu, rng, monkeypatch, runs_bytes, as_other, transposed
):
    monkeypatch.setattr(LAUNCH, "_RUNS_BYTES", runs_bytes)
    info = as_gpu(gpu) if as_other else None
    for m, k, n in ((36, 3 * RUN + 1, 40), (3, LONG + 5, 7), (1, 2 * LONG, 6), (6, LONG, 5)):
        a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
        check(product(gpu, a, b, transposed_a=transposed[0], transposed_b=transposed[1], info=info), a, b)


def test_stacks_and_what_is_added_to_have_long_sums_too(gpu, rng, monkeypatch):
    monkeypatch.setattr(LAUNCH, "_RUNS_BYTES", 4 * 2 * 5 * 6 * 2)
    a = rng.standard_normal((2, 5, 5 * RUN + 3)).astype(np.float32)
    b = rng.standard_normal((2, 5 * RUN + 3, 6)).astype(np.float32)
    check(product(gpu, a, b), a, b)
    out = gpu.array(np.ones((2, 5, 6), np.float32))
    LAUNCH.launch(gpu._device, operand(gpu, a), operand(gpu, b), out._memory, accumulate=True)
    want = 1 + reference.product(a, b)
    room = (a.shape[-1] + 2) * HALF_ULP * (1 + reference.product(np.abs(a), np.abs(b)))
    assert np.all(np.abs(out.numpy() - want) <= room)
