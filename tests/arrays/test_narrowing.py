"""dtypes of 64 bits that libraries ask for: refused, unless the caller lets narrower ones stand for them, and then checked."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp

MOST = 2**31 - 1


def test_integers_that_fit_become_int32_by_every_way(gpu):
    x = xp.asarray(np.float32([3, -7]), device=gpu)
    with xp.narrowing("int64"):
        made = [
            xp.asarray(np.array([3, -7]), device=gpu),
            xp.asarray([3, -7], dtype=xp.int64, device=gpu),
            xp.asarray(x, dtype="int64"),
            xp.astype(x, xp.int64),
            gpu.array([3, -7], dtype=np.int64),
        ]
        more = [
            xp.zeros(2, dtype=xp.int64, device=gpu),
            xp.full(2, 5, dtype=xp.int64, device=gpu),
            xp.arange(2, dtype=xp.int64, device=gpu),
            xp.astype(x > 0, xp.int64),
        ]
        assert xp.result_type(x > 0, xp.int64) == xp.int32
    for array in made:
        assert array.dtype == xp.int32
        assert array.numpy().tolist() == [3, -7]
    assert [a.dtype for a in more] == [xp.int32] * 4
    with pytest.raises(wg.DTypeError, match="int64"):
        xp.zeros(2, dtype=xp.int64, device=gpu)


@pytest.mark.parametrize("value", [MOST + 1, -MOST - 2, 2**40])
def test_an_integer_that_does_not_fit_is_refused(gpu, value):
    with xp.narrowing("int64"), pytest.raises(wg.RangeError, match=str(value)):
        xp.asarray(np.array([0, value]), device=gpu)


@pytest.mark.parametrize("value", [2.0**31, -(2.0**31) - 256, np.inf, np.nan])
def test_a_float_on_the_gpu_that_no_int32_is_is_refused(gpu, value):
    x = xp.asarray(np.float32([0, value]), device=gpu)
    with xp.narrowing("int64"), pytest.raises(wg.RangeError, match="int64"):
        xp.astype(x, xp.int64)


def test_the_ends_of_the_range_stay(gpu):
    x = xp.asarray(np.float32([-(2**31), 2**31 - 128]), device=gpu)
    u = xp.asarray(np.uint32([MOST]), device=gpu)
    with xp.narrowing("int64", "uint64"):
        assert xp.astype(x, xp.int64).numpy().tolist() == [-(2**31), 2**31 - 128]
        assert xp.astype(u, xp.int64).numpy().tolist() == [MOST]
        with pytest.raises(wg.RangeError, match="uint64"):
            xp.astype(x, xp.uint64)
        with pytest.raises(wg.RangeError, match="2147483648"):
            xp.astype(u + 1, xp.int64)


def test_sums_and_products_asked_for_in_int64_are_refused_still(gpu):
    x = xp.asarray([MOST, MOST], device=gpu)
    with xp.narrowing("int64"):
        for add_up in (xp.sum, xp.prod, xp.cumulative_sum, xp.cumulative_prod):
            with pytest.raises(wg.DTypeError, match="int64"):
                add_up(x, dtype=xp.int64)
        with pytest.raises(wg.DTypeError, match="int64"):
            np.add(x, x, dtype=np.int64)


def test_float64_is_rounded_and_never_made_infinite(gpu, rng):
    values = rng.uniform(-1, 1, 100)
    with xp.narrowing("float64"):
        got = xp.asarray(values, device=gpu)
        assert xp.sum(got, dtype=xp.float64).dtype == xp.float32
        assert xp.result_type(got, xp.float64) == xp.float32
        with pytest.raises(wg.RangeError, match="infinite"):
            xp.asarray(np.array([1e39]), device=gpu)
        with pytest.raises(wg.DTypeError, match="int64"):
            xp.asarray(np.array([1]), device=gpu)
    np.testing.assert_array_equal(got.numpy(), values.astype(np.float32))


def test_it_holds_for_its_block_and_thread(gpu):
    seen = []

    def elsewhere():
        try:
            gpu.array([1], dtype=np.int64)
        except wg.DTypeError as error:
            seen.append(str(error))

    with xp.narrowing("int64"):
        with xp.narrowing("float64"):
            gpu.array([1], dtype=np.int64)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        with pytest.raises(wg.DTypeError, match="float64"):
            gpu.array(np.ones(1))
    assert "narrowing('int64')" in seen[0]


@pytest.mark.parametrize("names", [(), ("int8",), ("float32",), ("float64", "complex128")])
def test_what_has_no_half_is_refused(names):
    with pytest.raises(wg.DTypeError, match="'int64', 'uint64', 'float64'"), xp.narrowing(*names):
        pass
