"""Every elementwise function against NumPy, on values where it matters and on many others."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp
from webgpu_widget.arrays.lazy.build import apply

SPECIAL = np.array(
    [
        *[
            0.0,
            -0.0,
            1,
            -1,
            0.5,
            -0.5,
            1.5,
            -1.5,
            2,
            -2,
            2.5,
            3,
            -3,
            1e-30,
            -1e-30,
            1e30,
            -1e30,
            3.4e38,
            16777216,
            8388609,
        ],
        *[np.inf, -np.inf, np.nan, 1e-7, -1e-7, 88.5, -87, 103, 2147483648, -2147483904, 4294967296, 0.1, 100.25, 1e5],
    ],
    np.float32,
)
INTS = np.array([0, 1, -1, 2, -2, 3, 7, -7, 31, 32, 33, 100, 2**31 - 1, -(2**31), -(2**31) + 1, 65536], np.int32)
UINTS = np.array([0, 1, 2, 3, 7, 31, 32, 33, 100, 2**31, 2**32 - 1, 65536], np.uint32)
BOOLS = np.array([False, True])
SAMPLES = {"f": SPECIAL, "i": INTS, "u": UINTS, "b": BOOLS}

NUMPY = {
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atanh": "arctanh",
    "atan2": "arctan2",
    "bitwise_invert": "invert",
    "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift",
    "pow": "power",
    "round": "rint",
}
EXACT = [
    "abs",
    "ceil",
    "floor",
    "trunc",
    "round",
    "sign",
    "negative",
    "positive",
    "isnan",
    "isinf",
    "isfinite",
    "signbit",
    "logical_not",
    "square",
]
FUNCTIONS = [
    "sqrt",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
]
COMPARE = [
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "equal",
    "not_equal",
    "maximum",
    "minimum",
    "copysign",
    "nextafter",
]
INTEGER = ["add", "subtract", "multiply", "floor_divide", "remainder", "bitwise_and", "bitwise_or", "bitwise_xor"]


def reference(name):
    return getattr(np, NUMPY.get(name, name))


def same(got, want, ulp=0.0):
    """Bits of floats, signs of zeros included, or so many units in the last place; subnormal results may be zero."""
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    known = ~np.isnan(want)
    tiny = np.abs(want) < 1.2e-38
    with np.errstate(all="ignore"):
        loose = np.where(tiny, 1.2e-38, np.abs(np.spacing(want)) * ulp)
        close = (got == want) | (np.abs(got - want) <= loose)
    assert close[known].all(), list(zip(got[known & ~close][:5], want[known & ~close][:5], strict=True))
    zero = known & (want == 0) & (got == 0)
    np.testing.assert_array_equal(np.signbit(got)[zero], np.signbit(want)[zero])


@pytest.mark.parametrize("name", EXACT)
def test_exact_functions(gpu, name):
    x = SPECIAL
    with np.errstate(all="ignore"):
        want = reference(name)(x)
        want = want.astype(np.bool_ if want.dtype == bool else np.float32)
    same(
        getattr(xp, name)(gpu.array(x) if name != "logical_not" else gpu.array(x != 0)).numpy(),
        want if name != "logical_not" else x == 0,
        ulp=1.0 if name == "square" else 0.0,
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_real_numbers(gpu, rng, name):
    spread = np.concatenate([rng.uniform(-1, 1, 500), rng.normal(0, 20, 500), 10 ** rng.uniform(-6, 6, 500)])
    x = np.concatenate([SPECIAL, spread.astype(np.float32)])
    with np.errstate(all="ignore"):
        want = reference(name)(x.astype(np.float64)).astype(np.float32)
    # The subtraction in sinh, cosh and expm1 near their ends, and asin's in acos, cost the third unit.
    same(getattr(xp, name)(gpu.array(x)).numpy(), want, ulp=4.0)


def test_large_arguments_are_reduced_exactly(gpu, rng):
    x = (10 ** rng.uniform(3.5, 38, 2000)).astype(np.float32) * rng.choice([-1, 1], 2000).astype(np.float32)
    for name in ("sin", "cos", "tan"):
        same(getattr(xp, name)(gpu.array(x)).numpy(), reference(name)(x.astype(np.float64)).astype(np.float32), ulp=4.0)


@pytest.mark.parametrize("name", COMPARE)
def test_order_and_sign(gpu, name):
    x, y = (m.ravel() for m in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        want = reference(name)(x, y)
    got = getattr(xp, name)(gpu.array(x), gpu.array(y)).numpy()
    if name in ("maximum", "minimum"):
        # Which of two zeros wins is free.
        np.testing.assert_array_equal(got, want)
    else:
        same(got, want)


@pytest.mark.parametrize(
    ("name", "ulp"),
    [
        ("add", 0),
        ("subtract", 0),
        ("multiply", 0),
        ("divide", 3),
        ("pow", 4),
        ("atan2", 4),
        ("hypot", 4),
        ("logaddexp", 8),
    ],
)
def test_arithmetic_of_floats(gpu, rng, name, ulp):
    x, y = (m.ravel() for m in np.meshgrid(SPECIAL, SPECIAL))
    more = [rng.normal(0, 10, 1000).astype(np.float32), rng.normal(0, 3, 1000).astype(np.float32)]
    x, y = np.concatenate([x, np.abs(more[0])]), np.concatenate([y, more[1]])
    with np.errstate(all="ignore"):
        want = reference(name)(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
        if name in ("add", "subtract", "multiply"):
            want = reference(name)(x, y)
    same(getattr(xp, name)(gpu.array(x), gpu.array(y)).numpy(), want, ulp=ulp)


@pytest.mark.parametrize("name", ["remainder", "floor_divide"])
def test_remainder_is_exact_and_has_the_divisors_sign(gpu, name):
    x, y = (
        m.ravel() for m in np.meshgrid(SPECIAL[np.isfinite(SPECIAL)], SPECIAL[np.isfinite(SPECIAL) & (SPECIAL != 0)])
    )
    with np.errstate(all="ignore"):
        want = reference(name)(x, y)
    got = getattr(xp, name)(gpu.array(x), gpu.array(y)).numpy()
    if name == "remainder":
        same(got, want)
    else:
        same(got, want, ulp=2.0)
        assert (
            xp.floor_divide(gpu.array([7.0, -7.0, 1.0]), gpu.array([2.0, 2.0, -np.inf])).numpy() == [3, -4, -1]
        ).all()


@pytest.mark.parametrize("sample", [INTS, UINTS], ids=["int32", "uint32"])
@pytest.mark.parametrize("name", [*INTEGER, "pow", "bitwise_left_shift", "bitwise_right_shift"])
def test_integers_wrap_and_divide_as_in_numpy(gpu, name, sample):
    x, y = (m.ravel() for m in np.meshgrid(sample, sample))
    if name == "pow":
        x, y = x[y >= 0], y[y >= 0]
    if "shift" in name:
        x, y = x[(y >= 0) & (y < 40)], y[(y >= 0) & (y < 40)]
    with np.errstate(all="ignore"):
        want = reference(name)(x, y)
    np.testing.assert_array_equal(getattr(xp, name)(gpu.array(x), gpu.array(y)).numpy(), want)


@pytest.mark.parametrize("source", "fiub")
@pytest.mark.parametrize("target", [np.float32, np.float16, np.int32, np.uint32, np.bool_])
def test_casts(gpu, source, target):
    x = SAMPLES[source]
    if source == "f" and target in (np.int32, np.uint32):
        low, high = (-2e9, 2e9) if target == np.int32 else (0, 4e9)
        x = x[(x > low) & (x < high)]
    with np.errstate(all="ignore"):
        want = x.astype(target)
    np.testing.assert_array_equal(gpu.array(x).astype(target).numpy(), want)


def test_casts_out_of_range_saturate(gpu):
    x = gpu.array(np.array([np.nan, np.inf, -np.inf, 3e9, -3e9], np.float32))
    np.testing.assert_array_equal(x.astype(np.int32).numpy(), [0, 2**31 - 1, -(2**31), 2**31 - 1, -(2**31)])
    np.testing.assert_array_equal(x.astype(np.uint32).numpy(), [0, 2**32 - 1, 0, 3000000000, 0])


def test_float16_holds_every_value_and_rounds_to_even(gpu, rng):
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(gpu.array(every).astype(np.float32).numpy(), every.astype(np.float32))
    x = np.concatenate(
        [(10 ** rng.uniform(-9, 6, 4000)).astype(np.float32), [65519.9, 65520.0, 2.0**-25, 3 * 2.0**-26]]
    )
    x = x.astype(np.float32)
    with np.errstate(over="ignore"):
        want = x.astype(np.float16)
    np.testing.assert_array_equal(gpu.array(x).astype(np.float16).numpy(), want)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (5, 7), (0, 3)])
def test_float16_of_odd_sizes(gpu, rng, shape):
    x, y = rng.normal(size=(2, *shape)).astype(np.float16)
    np.testing.assert_array_equal((gpu.array(x) + gpu.array(y)).numpy(), x + y)
    np.testing.assert_array_equal((gpu.array(x) * 2).T.copy().numpy(), (x * 2).T)


def test_operators_and_their_reflections(gpu):
    x, y = np.array([1.5, -2, 3], np.float32), np.array([2.0, 4, -5], np.float32)
    a, b = gpu.array(x), gpu.array(y)
    pairs = [
        (a + b, x + y),
        (2 - a, 2 - x),
        (a * 3, x * 3),
        (1 / a, 1 / x),
        (a // b, x // y),
        (a % b, x % y),
        (-a, -x),
        (abs(a), abs(x)),
        (a**2, x**2),
        (a < b, x < y),
        (x + b, x + y),
        (np.float32(2) * a, np.float32(2) * x),
        (divmod(a, b)[1], x % y),
    ]
    for got, want in pairs:
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-6)
    m, n = np.array([True, False, True]), np.array([True, True, False])
    np.testing.assert_array_equal(
        ((gpu.array(m) & gpu.array(n)) | ~gpu.array(m) ^ gpu.array(n)).numpy(), (m & n) | ~m ^ n
    )


def test_operators_in_place_keep_dtype_and_shape(gpu):
    a = gpu.array(np.arange(4, dtype=np.float32))
    before = a.copy()
    a += 1
    a *= gpu.array(np.float32(2))
    a /= 4
    a -= 0.5
    np.testing.assert_array_equal(a.numpy(), (np.arange(4) + 1) * 2 / 4 - 0.5)
    np.testing.assert_array_equal(before.numpy(), np.arange(4))
    with pytest.raises(wg.ShapeError):
        a += gpu.zeros((2, 4))
    i = gpu.array([1, 2])
    with pytest.raises(wg.DTypeError):
        i += gpu.array([0.5, 0.5])
    i <<= 3
    np.testing.assert_array_equal(i.numpy(), [8, 16])


def test_comparing_integers_with_scalars_that_they_cannot_hold(gpu):
    x = np.array([-3, 0, 2, 3], np.int32)
    for scalar in (2.5, -0.5, 2.0, 1e20, -1e20, np.nan, 2**40, -(2**40)):
        for op in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"):
            np.testing.assert_array_equal(
                getattr(gpu.array(x), op)(scalar).numpy(),
                getattr(x.astype(np.float64), op)(scalar),
                err_msg=f"{op} {scalar}",
            )


def test_dtypes_without_a_meaning_are_refused_with_a_hint(gpu):
    flags = gpu.array([True, False])
    with pytest.raises(wg.DTypeError, match="logical_xor"):
        _ = flags - flags
    with pytest.raises(wg.DTypeError, match="~"):
        _ = -flags
    with pytest.raises(wg.DTypeError, match="float64"):
        _ = gpu.array([1, 2]) + gpu.array([1.0, 2.0])
    with pytest.raises(wg.DTypeError, match="int64"):
        _ = gpu.array([1, 2]) + gpu.array(np.array([1, 2], np.uint32))
    with pytest.raises(wg.DTypeError, match="float64"):
        _ = gpu.array([1, 2]) * 0.5
    with pytest.raises(wg.DTypeError, match="complex128"):
        _ = gpu.array([1]) + np.complex64(1j)
    with pytest.raises(TypeError):
        _ = gpu.array([1.0]) + "a"
    with pytest.raises(wg.DTypeError, match=r"astype\(np.float32\)"):
        gpu.array(np.zeros(3))
    with pytest.raises(wg.DTypeError):
        xp.bitwise_and(gpu.array([1.0]), 2)


def test_shapes_that_do_not_broadcast_are_refused(gpu):
    with pytest.raises(wg.ShapeError, match=r"\(2, 3\) and \(4,\)"):
        _ = gpu.zeros((2, 3)) + gpu.zeros(4)
    for shapes in (((2, 3), (3,)), ((2, 1), (1, 3)), ((), (4,)), ((0, 3), (1, 3)), ((4, 1, 3), (2, 1))):
        got = gpu.ones(shapes[0]) + gpu.ones(shapes[1])
        assert got.numpy().shape == np.broadcast_shapes(*shapes)


def test_where_clip_and_erf(gpu):
    from scipy.special import erf

    x = SPECIAL
    a = gpu.array(x)
    np.testing.assert_array_equal(xp.where(a > 0, a, 0.0).numpy(), np.where(x > 0, x, np.float32(0)))
    np.testing.assert_array_equal(xp.clip(a, -1, 2.5).numpy(), np.clip(x, np.float32(-1), np.float32(2.5)))
    np.testing.assert_array_equal(xp.clip(gpu.array(INTS), 0, 2**40).numpy(), np.clip(INTS, 0, None))
    np.testing.assert_allclose(apply("erf", a).numpy(), erf(x.astype(np.float64)), rtol=4e-7, atol=1e-30)


@pytest.mark.parametrize(
    "shapes", [((), (0,), ()), ((), (3,), ()), ((2, 1), (3,), (4, 1, 1)), ((2, 3), (), (3,)), ((1, 0), (2, 1), ())]
)
def test_bounds_broadcast_with_what_they_clip(gpu, rng, shapes):
    x, low, high = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    high += 3
    got = xp.clip(*map(gpu.array, (x, low, high))).numpy()
    np.testing.assert_array_equal(got, np.clip(x, low, high), strict=True)
    with pytest.raises(wg.ShapeError, match="clip: shapes"):
        xp.clip(gpu.ones((2, 3)), gpu.ones(2))


def test_parts_of_an_expression_see_the_array_of_their_time(gpu):
    x = gpu.array(np.arange(6, dtype=np.float32))
    plus, half = x + 1, x[::2]
    x[...] = 0
    x[2:4] = 7
    np.testing.assert_array_equal(plus.numpy(), np.arange(6) + 1)
    np.testing.assert_array_equal(half.numpy(), [0, 2, 4])
    np.testing.assert_array_equal(x.numpy(), [0, 0, 7, 7, 0, 0])


def test_a_user_kernel_sees_and_keeps_values(gpu):
    double = gpu.kernel(
        """@group(0) @binding(0) var<storage, read_write> x: array<f32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
          if (id.x < arrayLength(&x)) { x[id.x] *= 2.0; }
        }""",
        name="double",
    )
    a = gpu.array(np.arange(5, dtype=np.float32)) + 1
    later, alias, view = a * 10, a.copy(), a.reshape(5, 1)
    double(x=a, threads=5)
    np.testing.assert_array_equal(a.numpy(), [2, 4, 6, 8, 10])
    for other in (later / 10, alias, view.reshape(5)):
        np.testing.assert_array_equal(other.numpy(), [1, 2, 3, 4, 5])


def test_programs_update_in_place(gpu):
    x = gpu.array(np.arange(8, dtype=np.float32)) * 1
    y = gpu.ones(8)
    with gpu.record() as program:
        x[...] = x * 0.5 + y
        total = x.sum()
    before, copied = x + 0, x.copy()
    program.replay(3)
    want = np.arange(8, dtype=np.float32)
    for _ in range(3):
        want = want * 0.5 + 1
    np.testing.assert_array_equal(x.numpy(), want)
    np.testing.assert_allclose(float(total), want.sum(), rtol=1e-6)
    np.testing.assert_array_equal(before.numpy(), np.arange(8))
    np.testing.assert_array_equal(copied.numpy(), np.arange(8))
    x[...] = np.zeros(8, np.float32)
    program.replay()
    np.testing.assert_array_equal(x.numpy(), np.ones(8))
    with pytest.raises(wg.WebGPUWidgetError, match="record"), gpu.record():
        x.numpy()


def test_programs_write_where_each_element_reads_itself(gpu, rng):
    start, other = (rng.integers(0, 50, (64, 64)).astype(np.float32) for _ in range(2))
    x, y = gpu.array(start), gpu.array(other)
    with gpu.record() as program:
        x[...] = x * 0.5 + y
        x[...] = y.T.reshape(64, 64) - x
        x += y[:1]
    assert program.stats["dispatches"] == 3, program.stats
    want = start
    for _ in range(3):
        program.replay()
        want = (other.T.reshape(64, 64) - (want * np.float32(0.5) + other)) + other[:1]
    np.testing.assert_array_equal(x.numpy(), want)


def test_programs_do_not_write_where_others_read(gpu, rng):
    start = rng.integers(0, 50, (64, 64)).astype(np.float32)
    x = gpu.array(start)
    with gpu.record() as program:
        shifted = x[::-1] + 1
        x[...] = x + x.T
        x[...] = x[::-1] + x
        x[...] = x - x[0]
        half = x * 0.5
        x[...] = half + x
        x[...] = x[gpu.array(np.arange(64)[::-1].astype(np.int32))] - x
    want = start
    for _ in range(2):
        program.replay()
        shift = want[::-1] + 1
        want = want + want.T
        want = want[::-1] + want
        want = want - want[0]
        halved = want * np.float32(0.5)
        want = halved + want
        want = want[::-1] - want
    np.testing.assert_array_equal(x.numpy(), want)
    np.testing.assert_array_equal(half.numpy(), halved)
    np.testing.assert_array_equal(shifted.numpy(), shift)


def test_values_that_a_program_wrote_in_place_stay_apart(gpu, rng):
    start = rng.integers(0, 50, 1000).astype(np.float32)
    x = gpu.array(start)
    double = gpu.kernel(
        "@group(0) @binding(0) var<storage, read_write> x: array<f32>;"
        "@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u)"
        "{ if (id.x < arrayLength(&x)) { x[id.x] *= 2.0; } }"
    )
    with gpu.record() as program:
        held = x + 1
        x[...] = held
        used = held * 3
        held += 5
        first = x * 2
        x[...] = first
        double(x=first, threads=1000)
        last = x + 3
        x[...] = last
    want = start
    for _ in range(2):
        program.replay()
        more = want + 1
        want = more * 2 + 3
    np.testing.assert_array_equal(x.numpy(), want)
    np.testing.assert_array_equal(held.numpy(), more + 5)
    np.testing.assert_array_equal(used.numpy(), more * 3)
    np.testing.assert_array_equal(first.numpy(), more * 4)
    np.testing.assert_array_equal(last.numpy(), want)
    last += 1
    np.testing.assert_array_equal(x.numpy(), want)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.bool_, np.float16])
@pytest.mark.parametrize("shape", [(1,), (7,), (33, 5), (12, 64)])
def test_programs_write_in_place_whatever_the_dtype(gpu, rng, dtype, shape):
    start, other = (rng.integers(0, 9, shape).astype(dtype) for _ in range(2))
    x, y = gpu.array(start), gpu.array(other)
    with gpu.record() as program:
        x[...] = (x ^ y) if dtype is np.bool_ else x + y
    assert program.stats["dispatches"] == 1
    program.replay(3)
    want = start
    for _ in range(3):
        want = want ^ other if dtype is np.bool_ else want + other
    np.testing.assert_array_equal(x.numpy(), want)


def test_memory_of_a_loop_stays_at_three_arrays(gpu):
    import gc

    gc.collect()
    start = gpu.memory()
    x, y = gpu.array(np.ones(262144, np.float32)), gpu.array(np.ones(262144, np.float32))
    for _ in range(1000):
        x = x * 0.5 + y
    assert x.numpy()[0] == 2
    end = gpu.memory()
    assert end.bytes - start.bytes <= 2 * 2**20
    if end.peak_bytes > start.peak_bytes:
        assert end.peak_bytes <= start.bytes + 3 * 2**20
