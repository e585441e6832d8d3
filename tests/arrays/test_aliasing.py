"""Assignments whose value lies in the memory that they write to: the value is the one of before, as in NumPy."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import webgpu_widget as wg

ALL = slice(None)
BACK = slice(None, None, -1)

# (shape, key, value): x[key] = value(x); value takes NumPy arrays and GPUArrays.
CASES = {
    "reversed": ((6,), BACK, lambda x: x),
    "reversed from reversed": ((6,), BACK, lambda x: x[BACK]),
    "reversed rows": ((4, 3), BACK, lambda x: x),
    "reversed both": ((4, 3), (BACK, BACK), lambda x: x),
    "reversed columns": ((4, 3), (ALL, BACK), lambda x: x),
    "all": ((6,), ..., lambda x: x[BACK]),
    "up by one": ((7,), slice(1, None), lambda x: x[:-1]),
    "down by one": ((7,), slice(None, -1), lambda x: x[1:]),
    "down by one row": ((5, 3), slice(None, -1), lambda x: x[1:]),
    "every other": ((8,), slice(None, None, 2), lambda x: x[:4]),
    "every other back": ((8,), slice(None, None, -2), lambda x: x[4:]),
    "transposed": ((5, 5), ..., lambda x: x.T),
    "transposed back": ((5, 5), BACK, lambda x: x.T),
    "transposed part": ((6, 6), (slice(1, 5), slice(0, 4)), lambda x: x.T[1:5, 2:6]),
    "first to all": ((5, 4), ALL, lambda x: x[0]),
    "first to others": ((5, 4), slice(1, None), lambda x: x[0]),
    "last column": ((5, 4), ALL, lambda x: x[:, -1:]),
    "one element": ((6,), ALL, lambda x: x[3]),
    "reshaped": ((6,), BACK, lambda x: x.reshape(6)),
    "reshaped twice": ((2, 6), (ALL, BACK), lambda x: x.reshape(3, 4).reshape(2, 6)),
    "view of a view": ((9,), slice(2, 8), lambda x: x[1:][BACK][1:7]),
    "new axis": ((4,), (BACK,), lambda x: x[None, :][0]),
    "gathered": ((6,), BACK, lambda x: x[[1, 0, 2, 4, 3, 5]]),
    "index array": ((6,), np.array([5, 4, 3, 2, 1, 0]), lambda x: x),
    "index array of rows": ((4, 3), np.array([3, 0, 1, 2]), lambda x: x),
    "index array and view": ((6,), np.array([1, 3, 5]), lambda x: x[:3]),
    "index arrays": ((3, 3), (np.array([0, 1, 2]), np.array([2, 1, 0])), lambda x: x[0]),
    "mask": ((6,), np.array([True, False, True, False, True, False]), lambda x: x[3:]),
    "mask of all": ((6,), np.ones(6, bool), lambda x: x[BACK]),
    "mask of rows": ((4, 3), np.array([True, False, True, True]), lambda x: x[0]),
    "mask and one element": ((6,), np.array([True, False, True, False, True, False]), lambda x: x[1]),
}


@pytest.mark.parametrize(
    ("state", "dtype"),
    [
        *(("own", dtype) for dtype in (np.float32, np.int32, np.bool_, np.float16)),
        *((state, np.float32) for state in ("lazy", "shared", "held by a program", "in a program")),
        ("held by a program", np.float16),
    ],
)
@pytest.mark.parametrize(("shape", "key", "value"), CASES.values(), ids=CASES.keys())
def test_the_value_is_that_of_before(gpu, rng, shape, key, value, dtype, state):
    want = rng.integers(0, 2 if dtype is np.bool_ else 99, shape).astype(dtype)
    x = gpu.array(want)
    if state == "lazy":
        x = x + 0
    if state == "in a program" and any(
        getattr(part, "dtype", None) == np.bool_ for part in (key if isinstance(key, tuple) else (key,))
    ):
        key = np.nonzero(key)[0]
    shared, start = (x.copy(), want.copy()) if state == "shared" else (None, None)
    if state == "held by a program":
        with gpu.record() as program:
            x += 1
        program.replay()
        want += 1
    if state == "in a program":
        with gpu.record() as program:
            x[key] = value(x)
        program.replay(2)
        want[key] = value(want).copy()
    else:
        x[key] = value(x)
    want[key] = value(want).copy()
    np.testing.assert_array_equal(x.numpy(), want)
    if shared is not None:
        np.testing.assert_array_equal(shared.numpy(), start)


@pytest.mark.parametrize("name", ["add", "sub", "mul"])
@pytest.mark.parametrize(("shape", "key", "value"), CASES.values(), ids=CASES.keys())
def test_operators_in_place_on_parts(gpu, rng, shape, key, value, name):
    want = rng.integers(0, 99, shape).astype(np.int32)
    x = gpu.array(want)
    inplace = getattr(operator, f"i{name}")
    x[key] = inplace(x[key], value(x))
    want[key] = inplace(want[key].copy(), value(want).copy())
    np.testing.assert_array_equal(x.numpy(), want)


def test_an_array_that_is_its_own_index(gpu, rng):
    want = rng.permutation(16).astype(np.int32)
    x = gpu.array(want)
    x[x] = x
    want[want.copy()] = want.copy()
    np.testing.assert_array_equal(x.numpy(), want)
    x[x[::-1]] = x[::-1] + 1
    want[want[::-1].copy()] = want[::-1] + 1
    np.testing.assert_array_equal(x.numpy(), want)
    x[x > 7] = x[x > 7][::-1]
    want[want > 7] = want[want > 7][::-1].copy()
    np.testing.assert_array_equal(x.numpy(), want)


def test_a_product_into_its_operand(gpu, rng):
    want = rng.integers(0, 9, (4, 4)).astype(np.float32)
    x = gpu.array(want)
    wg.matmul(x, x.T, out=x)
    np.testing.assert_array_equal(x.numpy(), want @ want.T)
    x @= x
    np.testing.assert_array_equal(x.numpy(), (want @ want.T) @ (want @ want.T))


MASKED = {
    "column": lambda mask: (mask, 1),
    "last column": lambda mask: (mask, -1),
    "NumPy's integer": lambda mask: (mask, np.int64(2)),
    "slice": lambda mask: (mask, slice(1, None, 2)),
    "backwards": lambda mask: (mask, slice(None, None, -1)),
    "no column": lambda mask: (mask, slice(2, 2)),
    "ellipsis": lambda mask: (mask, ...),
    "new axis": lambda mask: (mask, None),
    "all": lambda mask: (mask, slice(None)),
    "alone": lambda mask: mask,
    "second": lambda mask: (slice(1, None), mask),
    "index array": lambda mask: (mask, np.array([0])),
}


@pytest.mark.parametrize("key", MASKED.values(), ids=MASKED.keys())
@pytest.mark.parametrize("value", [7, [7], [[7]]])
@pytest.mark.parametrize("where", ["host", "gpu"])
def test_one_value_for_what_a_mask_and_more_choose(gpu, rng, key, value, where):
    want = rng.integers(0, 5, (4, 4)).astype(np.int32)
    x = gpu.array(want)
    mask = rng.permutation([True, True, False, False]) if key is not MASKED["second"] else np.arange(4) % 2 == 0
    x[key(gpu.array(mask) if where == "gpu" else mask)] = value
    want[key(mask)] = value
    np.testing.assert_array_equal(x.numpy(), want)
    x[key(gpu.array(mask) if where == "gpu" else mask)] += 3
    want[key(mask)] += 3
    np.testing.assert_array_equal(x.numpy(), want)
