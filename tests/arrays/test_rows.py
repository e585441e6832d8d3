"""Softmax and norms of rows that are read once, which GPUs use, beside NumPy and beside the compositions that other adapters use."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.arrays.lazy import rows
from webgpu_widget.arrays.lazy.runtime import Runtime, runtime_of

CALLS = {
    "softmax": lambda x, w, b: wg.softmax(x),
    "layer_norm": wg.layer_norm,
    "layer_norm without factors": lambda x, w, b: wg.layer_norm(x),
    "layer_norm with a bias alone": lambda x, w, b: wg.layer_norm(x, bias=b),
    "rms_norm": lambda x, w, b: wg.rms_norm(x, w),
}


@pytest.fixture
def as_gpu(monkeypatch):
    """What a GPU would choose, on any adapter; counts how often it was rows."""
    monkeypatch.setattr(Runtime, "is_fallback", False)
    taken = []
    normalise = rows.normalise
    monkeypatch.setattr(rows, "normalise", lambda *args: taken.append(args[1]) or normalise(*args))
    return taken


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_rows_are_what_the_composition_gives(gpu, rng, monkeypatch, as_gpu, call):
    for length in (64, int(rng.integers(17, 600)) * 4, 4 * 1025):
        host = rng.normal(size=(3, 2, length)).astype(np.float32)
        x, (w, b) = gpu.array(host), (gpu.array(rng.normal(size=length).astype(np.float32)) for _ in range(2))
        before = len(as_gpu)
        found = call(x, w, b).numpy()
        assert len(as_gpu) == before + 1
        with monkeypatch.context() as patch:
            patch.setattr(rows, "fits", lambda *_: False)
            wanted = call(x, w, b).numpy()
        # Sums of so many in two orders, an exponential of 4.5 ulp at most, roots and quotients of 2.
        np.testing.assert_allclose(found, wanted, rtol=32 * 2**-23, atol=16 * 2**-23)


def test_expressions_slices_and_programs(gpu, rng, as_gpu):
    host = rng.normal(size=(5, 260)).astype(np.float32)
    x = gpu.array(host)
    exp = np.exp(host.astype(np.float64) * 2 - 1)
    wanted = exp / exp.sum(1, keepdims=True)
    np.testing.assert_allclose(wg.softmax(x * 2 - 1).numpy(), wanted, rtol=64 * 2**-23)
    part = exp[:, 4:132] / exp[:, 4:132].sum(1, keepdims=True)
    np.testing.assert_allclose(wg.softmax(x[:, 4:132] * 2 - 1).numpy(), part, rtol=64 * 2**-23)
    y = gpu.zeros((5, 260))
    with gpu.record() as program:
        y[...] = wg.softmax(x)
    x[...] = gpu.array(host * 2 - 1)
    program.replay(1)
    np.testing.assert_allclose(y.numpy(), wanted, rtol=64 * 2**-23)
    assert as_gpu == ["softmax"] * 3


@pytest.mark.parametrize("what", ["float16", "columns", "odd", "short", "long", "another axis", "host's weight"])
def test_what_does_not_fit_is_composed(gpu, rng, as_gpu, what):
    shape = {"odd": (4, 66), "short": (4, 60), "long": (2, rows.LONGEST + 4)}.get(what, (64, 64))
    x = rng.normal(size=shape).astype(np.float16 if what == "float16" else np.float32)
    axis = 0 if what == "another axis" else -1
    weight = np.ones(64, np.float32) if what == "host's weight" else None
    given = gpu.array(x.T).T if what == "columns" else gpu.array(x)
    found = wg.rms_norm(given, weight, axis=axis).numpy()
    assert bool(as_gpu) == (what == "columns"), "a transpose is copied, and then read once"
    wide = x.astype(np.float64)
    wanted = wide / np.sqrt(np.square(wide).mean(axis, keepdims=True) + 1e-6)
    # float16 has steps of 2**-24 below 2**-14, where a subnormal is rounded.
    exact = {"rtol": 2**-10, "atol": 2**-24} if what == "float16" else {"rtol": 64 * 2**-23}
    np.testing.assert_allclose(found, wanted, **exact)


def test_longest_and_shortest_rows(gpu, rng):
    for length in (4, 8, 124, rows.LONGEST):
        x = rng.normal(size=(2, length)).astype(np.float32)
        found = rows.normalise(runtime_of(gpu._device), "rms_norm", gpu.array(x)).numpy()
        wide = x.astype(np.float64)
        np.testing.assert_allclose(found, wide / np.sqrt(np.square(wide).mean(1, keepdims=True)), rtol=64 * 2**-23)
