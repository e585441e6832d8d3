"""Scalars beside arrays: one rule, and what it refuses; arrays without axes."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp
from webgpu_widget.arrays.lazy.host import host_array

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


BEYOND = [
    (np.float32, 1e39),
    (np.float32, -1e39),
    (np.float32, np.float64(3.5e38)),
    (np.float32, 10**39),
    (np.float32, 10**400),
    (np.float32, -(2**128)),
    (np.float16, 65520),
    (np.float16, np.float32(-7e4)),
    (np.float16, np.int64(70000)),
    (np.float16, 1e300),
]


@pytest.mark.parametrize(("dtype", "scalar"), BEYOND)
def test_numbers_that_would_become_infinite_are_refused(gpu, dtype, scalar):
    x = gpu.ones(3, dtype)
    uses = {
        "x + s": lambda: x + scalar,
        "s - x": lambda: scalar - x,
        "x / s": lambda: x / scalar,
        "x ** s": lambda: x**scalar,
        "x += s": lambda: x.__iadd__(scalar),
        "x[0] = s": lambda: x.__setitem__(0, scalar),
        "x[:] = s": lambda: x.__setitem__(slice(None), scalar),
        "x[mask] = s": lambda: x.__setitem__(np.array([True, False, True]), scalar),
        "x[index] = s": lambda: x.__setitem__(np.array([2, 0]), scalar),
        "full": lambda: gpu.full(3, scalar, dtype=dtype),
        "full_like": lambda: xp.full_like(x, scalar),
        "where": lambda: xp.where(x > 0, x, scalar),
        "clip": lambda: xp.clip(x, min=scalar),
        "maximum": lambda: xp.maximum(x, scalar),
        "atan2": lambda: xp.atan2(x, scalar),
        "arange": lambda: gpu.arange(scalar, 2 * scalar, scalar, dtype=dtype),
        "linspace": lambda: gpu.linspace(0, scalar, 3, dtype=dtype),
    }
    if not isinstance(scalar, np.generic):
        uses["array"] = lambda: gpu.array([1.0, scalar], dtype=dtype)
        uses["nested"] = lambda: xp.asarray([[scalar], [0.0]], dtype=dtype, device=gpu)
        uses["value"] = lambda: x.__setitem__(slice(2), [scalar + 0.0, 1.0])
        if abs(scalar) > 1e38:
            uses["no dtype"] = lambda: gpu.array([0.5, scalar])
    for name, use in uses.items():
        with pytest.raises(OverflowError) as caught:
            use()
        # Python's own float(10**400) comes first where a test adds a float to it.
        assert isinstance(caught.value, wg.errors.RangeError) or name in ("value", "linspace"), name
    np.testing.assert_array_equal(x.numpy(), np.ones(3))
    for infinite in (np.inf, -np.inf):
        np.testing.assert_array_equal((x * infinite).numpy(), np.full(3, infinite))
        x[0] = infinite
        assert x.numpy()[0] == infinite
    largest = np.finfo(dtype).max
    np.testing.assert_array_equal((gpu.zeros(2, dtype) + largest.item()).numpy(), [largest] * 2)
    np.testing.assert_array_equal(gpu.array([largest.item()], dtype=dtype).numpy(), [largest])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_comparisons_are_those_of_the_numbers(gpu, dtype):
    values = np.array([-np.inf, -1, 0, 2, np.inf, np.nan], dtype)
    x = gpu.array(values)
    for scalar in (1e39, -1e39, 10**300, -(10**400), np.float64(7e300), np.inf, -np.inf, 0.5, np.nan, 10**400):
        number = scalar if not isinstance(scalar, int) else (1 if scalar > 0 else -1) * 1e308
        for op in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
            want = op(values.astype(np.float64), number)
            np.testing.assert_array_equal(op(x, scalar).numpy(), want, f"{op.__name__} {scalar!r:.9}")
            np.testing.assert_array_equal(op(scalar, x).numpy(), op(number, values.astype(np.float64)))


def test_numbers_with_a_fraction_do_not_become_integers(gpu):
    for dtype in (np.int32, np.uint32):
        for use in (
            lambda: gpu.full(3, 1.5, dtype=dtype),  # noqa: B023 - used at once
            lambda: gpu.array([1.0, 2.5], dtype=dtype),  # noqa: B023
            lambda: gpu.array(0.5, dtype=dtype),  # noqa: B023
            lambda: gpu.arange(0.5, 3, dtype=dtype),  # noqa: B023
            lambda: gpu.arange(0, 3, 0.5, dtype=dtype),  # noqa: B023
        ):
            with pytest.raises(wg.DTypeError, match="fraction"):
                use()
        for strange in (np.nan, np.inf, -np.inf):
            for use in (
                lambda: gpu.full(3, strange, dtype=dtype),  # noqa: B023
                lambda: gpu.array([strange], dtype=dtype),  # noqa: B023
                lambda: gpu.array(np.array([1, strange]), dtype=dtype),  # noqa: B023
            ):
                with pytest.raises(wg.errors.RangeError, match="finite"):
                    use()
        np.testing.assert_array_equal(gpu.full(2, 3.0, dtype=dtype).numpy(), np.full(2, 3, dtype), strict=True)
        np.testing.assert_array_equal(gpu.array([4.0], dtype=dtype).numpy(), np.array([4], dtype), strict=True)
        np.testing.assert_array_equal(gpu.arange(2.0, 5.0, dtype=dtype).numpy(), np.arange(2, 5, dtype=dtype))


def test_arrays_given_a_dtype_are_converted_as_by_numpy_or_refused(gpu):
    doubles = np.array([0.1, 1 / 3, -2.7, np.inf, np.nan])
    np.testing.assert_array_equal(gpu.array(doubles, dtype=np.float32).numpy(), doubles.astype(np.float32))
    np.testing.assert_array_equal(gpu.array(doubles[:3], dtype=np.int32).numpy(), [0, 0, -2])
    for dtype, values in ((np.float32, doubles * 1e39), (np.float16, np.array([7e4, 1], np.float32))):
        with pytest.warns(RuntimeWarning, match="overflow"):
            got = gpu.array(values, dtype=dtype).numpy()
        with pytest.warns(RuntimeWarning, match="overflow"):
            np.testing.assert_array_equal(got, values.astype(dtype))
    h = gpu.ones(2, np.float16)
    with pytest.warns(RuntimeWarning, match="overflow"):
        h[...] = np.array([7e4, 1], np.float32)
    np.testing.assert_array_equal(h.numpy(), [np.inf, 1])
    for dtype, values in (
        (np.int32, np.array([2**31])),
        (np.int32, np.array([0, -(2**40)])),
        (np.uint32, np.array([-1])),
        (np.uint32, np.array([3, -1], np.int32)),
        (np.int32, np.array([2**32 - 1], np.uint32)),
        (np.int32, np.array([1e10])),
        (np.uint32, np.array([-1.0])),
        (np.int32, [2**31]),
        (np.int32, 10**30),
        (np.int32, [10**30]),
    ):
        with pytest.raises(wg.errors.RangeError, match="bounds"):
            gpu.array(values, dtype=dtype)


def test_powers_by_arrays_are_not_negative(gpu):
    base, least = gpu.array([2, 3, -4]), gpu.array([1, -1, 2])
    for use in (
        lambda: base**least,
        lambda: 2**least,
        lambda: True**least,
        lambda: base ** least[1],
        lambda: base.__ipow__(least - 1),
        lambda: xp.pow(base, least * 1),
        lambda: xp.pow(np.array([1, 2, 3], np.int32), least),
        lambda: (base > 0) ** least,
    ):
        with pytest.raises(ValueError, match="negative power"):
            use()
    np.testing.assert_array_equal((base ** (least + 1)).numpy(), [4, 1, -64])
    np.testing.assert_array_equal(
        (base.astype(np.float32) ** least.astype(np.float32)).numpy(), [2, np.float32(1 / 3), 16]
    )
    counts = gpu.array(np.array([0, 1, 5], np.uint32))
    np.testing.assert_array_equal((counts**counts).numpy(), [1, 1, 3125])
    np.testing.assert_array_equal((base ** gpu.array(np.zeros((0, 3), np.int32))).numpy().shape, (0, 3))
    with gpu.record() as program:
        squares = counts**counts
        with pytest.raises(wg.WebGPUWidgetError, match="cannot be read while"):
            base**least
    program.replay()
    np.testing.assert_array_equal(squares.numpy(), [1, 1, 3125])


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.float32, np.float64, np.int16])
def test_ranges_by_numbers_of_numpy(gpu, kind):
    for ends in ((7,), (2, 9), (9, 2, -2), (250, 255), (3, 3)):
        if np.dtype(kind).kind == "u" and min(ends) < 0:
            continue
        want = np.arange(*ends, dtype=np.float32 if np.dtype(kind).kind == "f" else np.int32)
        got = gpu.arange(*(kind(end) for end in ends))
        np.testing.assert_array_equal(got.numpy(), want, strict=True)
        assert all(type(side) is int for side in got.shape)
    count = np.int64(5)
    shapes = (gpu.linspace(0, 1, count), gpu.eye(count), gpu.zeros((count, 2)), gpu.random(count), gpu.full(count, 2))
    for made in (
        *shapes,
        gpu.ones(6).reshape(np.int32(2), -1),
        xp.broadcast_to(gpu.ones(1), (count,)),
        gpu.ones(9)[:count],
    ):
        assert made.numpy().shape == made.shape
        assert all(type(side) is int for side in made.shape)


def test_ranges_beyond_int32(gpu):
    for start in (2**31, 3_000_000_000, -(2**31) - 5, 2**40):
        for step in (1, 1024, -(2**20)):
            want = (start + step * np.arange(5, dtype=np.float64)).astype(np.float32)
            np.testing.assert_array_equal(gpu.arange(start, start + 5 * step, step, dtype=np.float32).numpy(), want)
    np.testing.assert_array_equal(
        gpu.arange(2**31, 2**32, 2**29, dtype=np.uint32).numpy(), np.arange(2**31, 2**32, 2**29, dtype=np.uint32)
    )
    for ends, dtype in (((70000, 70002), np.float16), ((0, 10**20, 10**19), np.int32), ((-1, 2), np.uint32)):
        with pytest.raises(wg.errors.RangeError):
            gpu.arange(*ends, dtype=dtype)
    for end in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            gpu.arange(end)
    np.testing.assert_array_equal(gpu.linspace(-1, 1, 4, dtype=np.int32).numpy(), np.linspace(-1, 1, 4, dtype=np.int32))


def test_a_fill_is_a_number(gpu):
    for value in ("1.5", None, [1, 2], np.array([1, 2])):
        for dtype in (None, np.float32):
            with pytest.raises(wg.DTypeError):
                xp.full(3, value, dtype=dtype, device=gpu)
    np.testing.assert_array_equal(gpu.full(2, np.array(2.5)).numpy(), [2.5, 2.5])


def test_along_the_only_element_of_a_scalar(gpu):
    """As in NumPy: an array without axes is a line of one element, also where no axis is named."""
    x, a = np.float32(3), gpu.array(np.float32(3))
    for axis in (None, 0, -1):
        np.testing.assert_array_equal(xp.cumulative_sum(a, axis=axis).numpy(), np.cumsum(x, axis))
        np.testing.assert_array_equal(xp.cumulative_prod(a, axis=axis).numpy(), np.cumprod(x, axis))
        index = gpu.array([[0, -1], [0, 0]], dtype=np.int32)
        np.testing.assert_array_equal(xp.take(a, index[0], axis=axis).numpy(), np.take(x, [0, -1], axis))
    with pytest.raises(ValueError, match="an array of 2 axes needs axis="):
        xp.take(gpu.zeros((2, 2)), index[0])


@pytest.mark.no_adapter
def test_what_is_no_array_of_numbers_is_told():
    for ragged in ([[1, 2], [3]], [[1], 2], [np.zeros(2, np.float32), np.zeros(3, np.float32)]):
        with pytest.raises(wg.ShapeError, match="is no array: its parts differ in length or depth"):
            host_array(ragged, None)
    for wrong in ("abc", b"a", None, {}, {1, 2}, [None], ["1"], (i for i in range(3)), object()):
        for dtype in (None, np.dtype(np.float32)):
            with pytest.raises(
                wg.DTypeError, match=f"of type {type(wrong).__name__} is no number and no array of numbers"
            ):
                host_array(wrong, dtype)
    taken = host_array(range(5, 0, -2), None)
    assert (taken.dtype, taken.tolist()) == (np.int32, [5, 3, 1])
    with pytest.raises(wg.RangeError):
        host_array(range(2**31, 2**31 + 2), None)
