"""Scalars beside arrays: one rule, and what it refuses; arrays without axes."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp

SCALARS = [
    3,
    3.0,
    True,
    np.int64(3),
    np.float64(3),
    np.float32(3),
    np.int32(3),
    np.uint8(3),
    np.float16(3),
    np.bool_(True),
]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]


@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int32, np.uint32])
def test_a_scalar_takes_the_dtype_of_the_array(gpu, scalar, dtype):
    values = np.array([4, 6, 9], dtype)
    x = gpu.array(values)
    python = scalar.item() if isinstance(scalar, np.generic) else scalar
    if isinstance(python, float) and np.dtype(dtype).kind != "f":
        for op in OPERATORS[:3]:
            for operands in ((x, scalar), (scalar, x)):
                with pytest.raises(wg.DTypeError, match="float64"):
                    op(*operands)
        with pytest.raises(wg.DTypeError, match="fit"):
            x[...] = scalar
        return
    for op in (operator.add, operator.mul, operator.sub):
        for left, right in (((x, scalar), (values, python)), ((scalar, x), (python, values))):
            np.testing.assert_array_equal(op(*left).numpy(), op(*right), strict=True)
    np.testing.assert_array_equal(
        xp.where(x > 5, x, scalar).numpy(), np.where(values > 5, values, dtype(python)), strict=True
    )
    x[1:] = scalar
    np.testing.assert_array_equal(x.numpy(), np.array([4, python, python], dtype), strict=True)


def test_a_float_is_rounded_once(gpu):
    x = gpu.ones(3)
    for scalar in (0.1, np.float64(0.1), 1 / 3, np.float64(1) / 3):
        assert (x * scalar).dtype == np.float32
        np.testing.assert_array_equal((x * scalar).numpy(), np.full(3, np.float32(scalar)))


def test_an_array_of_one_is_an_array(gpu):
    x = gpu.ones(3)
    for one in (np.array(0.1), np.array([0.1]), np.array(2), np.array([2])):
        for op in OPERATORS:
            with pytest.raises(wg.DTypeError, match="float64|int64"):
                op(x, one)
    with pytest.raises(wg.DTypeError, match="float64"):
        x * gpu.array(np.int32(2))


@pytest.mark.parametrize("kind", [int, np.int64])
@pytest.mark.parametrize(
    ("dtype", "value"), [(np.int32, 2**31), (np.int32, -(2**31) - 1), (np.uint32, 2**32), (np.uint32, -1)]
)
def test_integers_that_do_not_fit_are_refused(gpu, dtype, value, kind):
    x = gpu.ones(3, dtype)
    scalar = kind(value)
    for use in (
        lambda: x + scalar,
        lambda: scalar - x,
        lambda: x * scalar,
        lambda: x // scalar,
        lambda: x & scalar,
        lambda: x.__setitem__(0, scalar),
        lambda: x.__setitem__(..., scalar),
        lambda: x.__setitem__(np.array([True, False, True]), scalar),
        lambda: x.__iadd__(scalar),
        lambda: xp.where(x > 0, x, scalar),
        lambda: xp.full_like(x, scalar),
        lambda: gpu.full(3, scalar, dtype=dtype),
    ):
        with pytest.raises(OverflowError, match="out of bounds"):
            use()
    np.testing.assert_array_equal(x.numpy(), [1, 1, 1])
    assert bool((x < scalar).all()) == (value > 0)


@pytest.mark.parametrize("exponent", [-1, np.int64(-2), np.int32(-3), np.array([1, -1], np.int32), [2, -2]])
def test_integers_have_no_negative_powers(gpu, exponent):
    x = gpu.array(np.array([2, 3], np.int32))
    uses = [lambda: x**exponent, lambda: xp.pow(x, exponent)]
    if not isinstance(exponent, list):
        uses.append(lambda: x.__ipow__(exponent))
    for use in uses:
        with pytest.raises((ValueError, TypeError), match="power|operand"):
            use()
    np.testing.assert_array_equal(x.numpy(), [2, 3])
    np.testing.assert_array_equal((x ** np.array([3, 0], np.int32)).numpy(), [8, 1])
    np.testing.assert_array_equal(
        (x.astype(np.float32) ** -1.0).numpy(), np.array([2, 3], np.float32) ** np.float32(-1)
    )


REDUCTIONS = ["sum", "prod", "max", "min", "any", "all", "argmax", "argmin", "mean", "var", "std", "cumsum", "argsort"]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [-1, 0, 1, -2, (0,), (), None])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_])
def test_arrays_without_axes(gpu, name, axis, dtype):
    if (axis == () and name in ("argmax", "argmin", "cumsum", "argsort")) or (axis is None and name == "argsort"):
        axis = 0
    value = np.array(3, dtype)
    x = gpu.array(value)
    try:
        want = getattr(value, name)(axis=axis)
    except (ValueError, TypeError) as error:
        with pytest.raises(TypeError if isinstance(error, TypeError) else np.exceptions.AxisError):
            getattr(x, name)(axis=axis)
        return
    got = getattr(x, name)(axis=axis)
    assert got.shape == np.shape(want)
    np.testing.assert_array_equal(got.numpy(), want)


def test_sorting_needs_an_axis(gpu):
    with pytest.raises(np.exceptions.AxisError, match="it has none"):
        gpu.array(np.float32(3)).sort(axis=-1)
