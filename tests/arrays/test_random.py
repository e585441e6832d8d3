"""Random arrays keep to their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from webgpu_widget import xp

LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0.0, 1.0),
        (1e6, 1e6 + 0.5),
        (1.0, 1.0 + 2.0**-23),
        (-1e6 - 0.5, -1e6),
        (-1.0, 1e-38),
        (-LARGEST, LARGEST),
        (0.0, LARGEST),
        (1e-40, 3e-40),
        (16777215.0, 16777217.5),
        (-3.0, -1.0),
    ],
)
def test_uniform_has_low_and_never_high(gpu, low, high):
    values = xp.random.uniform(300_000, 1, low, high, device=gpu).numpy()
    least, bound = np.float32(low), np.float32(high)
    # By bits: comparisons of subnormal numbers are NumPy's here, the numbers are the adapter's.
    assert values.dtype == np.float32
    assert values.min() >= least
    assert values.max() < bound


def test_uniform_between_any_two_numbers(gpu, rng):
    ends = rng.integers(0, 2**32, (40, 2), dtype=np.uint32).view(np.float32)
    ends = np.sort(ends[np.isfinite(ends).all(axis=1)], axis=1)
    near = np.nextafter(ends[:5, 0], np.float32(np.inf))
    for low, high in [*ends, *zip(ends[:5, 0], near, strict=True)]:
        values = xp.random.uniform(4000, int(rng.integers(2**31)), float(low), float(high), device=gpu).numpy()
        assert ((values >= low) & (values < high)).all(), (low, high, values.min(), values.max())


@pytest.mark.parametrize(
    ("low", "high"), [(1, 1), (2, 1), (0.1, 0.1 + 1e-12), (np.nan, 1), (0, np.inf), (-np.inf, 0), (0, 1e39)]
)
def test_uniform_refuses_what_is_no_interval_of_float32(gpu, low, high):
    with pytest.raises(ValueError, match=r"float32"):
        xp.random.uniform(3, 1, low, high, device=gpu)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.0, 3e38), (-3e38, 1e38), (5.0, 1e-30), (1.0, 0.0)])
def test_normal_is_finite(gpu, mean, std):
    values = xp.random.normal(200_001, 5, mean, std, device=gpu).numpy()
    assert np.isfinite(values).all()
    # 5.77 is the root of 2 log(2**24), the largest radius; products and sums are rounded.
    assert (np.abs(values.astype(float) - mean) <= 5.77 * std + 1e-6 * abs(mean)).all()
    with pytest.raises(ValueError, match=r"std is inf, .* finite"):
        xp.random.normal(3, 1, 0, np.inf, device=gpu)
    with pytest.raises(ValueError, match="std is -1, but must be 0 or more"):
        xp.random.normal(3, 1, 0, -1, device=gpu)


@pytest.mark.parametrize("name", ["seed", "low", "high"])
@pytest.mark.parametrize("value", [0.5, "1", None, float("inf"), np.float32(1.25)])
def test_integers_are_of_whole_numbers(gpu, name, value):
    given = {"seed": 1, "low": -3, "high": 5, name: value}
    with pytest.raises(ValueError, match=name):
        xp.random.integers((3,), **given, device=gpu)


@pytest.mark.parametrize("seed", [1.5, "a", None, True])
def test_a_seed_is_a_whole_number(gpu, seed):
    for make in (xp.random.bits, xp.random.uniform, xp.random.normal):
        with pytest.raises(ValueError, match="seed"):
            make((3,), seed, device=gpu)
