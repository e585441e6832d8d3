"""What users combine is fused into one text: no combination may step into what is unreliable on some adapter, and the check of such texts bites in each rule."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hazards.rules import RULES

from webgpu_widget import xp
from webgpu_widget.arrays.lazy.build import apply
from webgpu_widget.arrays.lazy.ops import OPS, Op
from webgpu_widget.arrays.lazy.runtime import runtime_of

LOW = -(2**31)
SIZES = {
    "abs": (xp.abs, np.abs),
    "max of both signs": (lambda x: xp.maximum(x, -x), lambda x: np.maximum(x, -x)),
    "where": (lambda x: xp.where(x < 0, -x, x), lambda x: np.where(x < 0, -x, x)),
}
LARGEST = {
    "maximum": (xp.maximum, np.maximum),
    "maximum with sizes": (lambda a, b: xp.maximum(a, xp.abs(b)), lambda a, b: np.maximum(a, np.abs(b))),
    "clip": (lambda a, b: xp.clip(a, b, 10**9), lambda a, b: np.clip(a, b, 10**9)),
    "where": (lambda a, b: xp.where(a > b, a, b), lambda a, b: np.where(a > b, a, b)),
    "max": (lambda a, b: xp.max(a, axis=0) + b, lambda a, b: np.max(a, axis=0) + b),
    "argmax": (lambda a, b: xp.argmax(a) + b, lambda a, b: np.argmax(a).astype(np.int32) + b),
}


@pytest.mark.parametrize(("size", "largest"), list(itertools.product(SIZES, LARGEST)))
def test_sizes_of_integers_inside_what_chooses_the_largest(gpu, rng, size, largest):
    """A third of such numbers came out wrong on NVIDIA where the text had max(abs(a), b)."""
    a, b = rng.integers(-20_000, 20_000, (2, 5, 401), dtype=np.int32)
    a[0, :4] = LOW, LOW + 1, -1, 0
    x, y = gpu.array(a), gpu.array(b)
    np.testing.assert_array_equal(
        LARGEST[largest][0](SIZES[size][0](x), y).numpy(), LARGEST[largest][1](SIZES[size][1](a), b)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_what_is_taken_from_itself(gpu, dtype):
    values = np.array([1.5, 0, np.inf, -np.inf, np.nan, 6e4], dtype)
    x = gpu.array(values)
    want = np.array([0, 0, np.nan, np.nan, np.nan, 0], dtype)
    for made in (x - x, x - x[...], (x + 0) - x, xp.subtract(x, x), x.copy() - x):
        np.testing.assert_array_equal(made.numpy(), want)
    np.testing.assert_array_equal((x - x).sum().numpy(), dtype(np.nan))


SUMS_TAKEN_APART = {
    "(x + y) - x": (lambda x, y: (x + y) - x, True),
    "x - (x + y)": (lambda x, y: x - (x + y), True),
    "x - (x - y)": (lambda x, y: x - (x - y), True),
    "(y - x) + x": (lambda x, y: (y - x) + x, True),
    "x + (y - x)": (lambda x, y: x + (y - x), True),
    "of views": (lambda x, y: (x[:, ::2] + y[:, ::2]) - x[:, ::2], True),
    "of a row": (lambda x, y: (x[0] + y) - x[0], True),
    "(x + y) + x": (lambda x, y: (x + y) + x, False),
    "(y - x) - x": (lambda x, y: (y - x) - x, False),
    "(x + y) - z": (lambda x, y: (x + y) - y[::-1], False),
}


@pytest.mark.parametrize("name", SUMS_TAKEN_APART)
def test_a_sum_is_rounded_before_it_is_taken_apart(gpu, rng, name):
    """As one kernel it would be y on NVIDIA, for infinities too. What is not taken apart may be summed in another order: (x + y) + x is 2 x + y there."""
    make, is_apart = SUMS_TAKEN_APART[name]
    x, y = (rng.normal(size=(4, 6)) * scale for scale in (1e4, 1e-3))
    x, y = x.astype(np.float32), y.astype(np.float32)
    x[1, 0], x[2, 2], y[3, 4] = np.inf, -np.inf, np.nan
    on_gpu = [gpu.array(part) for part in (x, y)]
    runtime = runtime_of(gpu._device)
    before = runtime.dispatches
    found = make(*on_gpu).numpy()
    assert runtime.dispatches - before == 1 + is_apart
    with np.errstate(invalid="ignore"):
        wanted = make(x, y)
    if is_apart:
        np.testing.assert_array_equal(found, wanted)
    else:  # each order rounds twice, to within half a unit of the largest number on the way
        np.testing.assert_allclose(found, wanted, rtol=0, atol=4 * 2.0**-24 * 3 * np.abs(x[np.isfinite(x)]).max())


BAD = {
    "integer size": ("i", "max(abs({0}), {1})"),
    "half and back": ("f", "unpack2x16float(pack2x16float(vec2f({0}, {1}))).x"),
    "itself compared": ("f", "select({0}, {1}, {0} != {0})"),
    "itself taken": ("f", "(({0} / {0}) + {1})"),
    "sum taken apart": ("f", "(({0} + {1}) - {0})"),
    "float remainder": ("f", "({0} % {1})"),
    "power": ("f", "pow({0}, {1})"),
    "logarithm": ("f", "log({0} + {1})"),
}


def test_every_rule_is_tried():
    assert BAD.keys() == RULES.keys()


@pytest.mark.parametrize("rule", BAD)
def test_the_check_of_generated_text_bites(gpu, monkeypatch, rule):
    kind, text = BAD[rule]
    x = gpu.array(np.arange(1, 6, dtype=np.int32 if kind == "i" else np.float32))
    name = f"bad {rule}"  # of its own, so that no kernel is known yet
    monkeypatch.setitem(OPS, name, Op(name, {kind: text}))
    for ending in ("numpy", "sum"):
        with pytest.raises(AssertionError, match=rule):
            getattr(apply(name, x, x[::-1]), ending)()
