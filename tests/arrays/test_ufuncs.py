"""NumPy's ufuncs on arrays of the GPU: they stay there, with NumPy's arguments, or say what to do."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.arrays.ufuncs import NAMES, supported

FLOATS_ONLY_HERE = {"nextafter", "copysign"}
INTEGERS = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"}
PRODUCTS = {"matmul", "vecdot", "matvec", "vecmat"}


def _operands(ufunc, rng):
    if ufunc.__name__ in INTEGERS:
        return [rng.integers(0, 30, (3, 4)).astype(np.int32) for _ in range(ufunc.nin)]
    if ufunc is np.arccosh:
        return [rng.uniform(1.5, 4, (3, 4)).astype(np.float32)]
    return [rng.uniform(0.2, 0.9, (3, 4)).astype(np.float32) for _ in range(ufunc.nin)]


@pytest.mark.parametrize(
    "ufunc", sorted((u for u in supported() if u.signature is None), key=lambda u: u.__name__), ids=lambda u: u.__name__
)
def test_a_ufunc_stays_on_the_gpu(gpu, rng, ufunc):
    a = _operands(ufunc, rng)
    got, want = ufunc(*(gpu.array(v) for v in a)), ufunc(*a)
    for mine, theirs in zip(*((v if isinstance(v, tuple) else (v,)) for v in (got, want)), strict=True):
        assert isinstance(mine, wg.GPUArray)
        assert mine.dtype == theirs.dtype
        # Functions are good to 4 units in the last place; those made of two add one rounding each.
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=8 * 2.0**-23, atol=2.0**-23)


def test_every_operation_has_numpys_ufunc():
    assert {getattr(np, theirs) for theirs in NAMES.values()} <= supported()


@pytest.mark.parametrize("name", [n for n in sorted(PRODUCTS) if hasattr(np, n)])
def test_products_of_stacks(gpu, rng, name):
    ufunc = getattr(np, name)
    shapes = {
        "matmul": ((2, 3, 4), (4, 5)),
        "vecdot": ((2, 4), (2, 4)),
        "matvec": ((2, 3, 4), (4,)),
        "vecmat": ((4,), (2, 4, 3)),
    }[name]
    a, b = (rng.uniform(0.5, 1, s).astype(np.float32) for s in shapes)
    got = ufunc(gpu.array(a), b)
    assert isinstance(got, wg.GPUArray)
    np.testing.assert_allclose(got.numpy(), ufunc(a, b), rtol=4 * 2.0**-23)


@pytest.mark.parametrize(
    "left", [np.float32([1, 2, 3]), np.float64(2), np.int64(2), np.float32(2), 2.0, [1.0, 2.0, 3.0]], ids=repr
)
def test_mixed_operands_are_arrays_of_the_gpu_on_either_side(gpu, left):
    x = gpu.array(np.float32([3, 4, 5]))
    operators = [np.multiply, np.less, np.power]
    if not isinstance(left, list):
        operators += [
            lambda a, b: a * b,
            lambda a, b: a < b,
            lambda a, b: a == b,
            lambda a, b: a**b,
            lambda a, b: a - b,
        ]
    for operate in operators:
        for a, b in ((left, x), (x, left)):
            got = operate(a, b)
            assert isinstance(got, wg.GPUArray)
            host = [np.float32([3, 4, 5]) if v is x else np.asarray(v, np.float32) for v in (a, b)]
            np.testing.assert_allclose(got.numpy(), operate(*host), rtol=8 * 2.0**-23)


def test_a_float64_array_is_refused_on_either_side_and_never_an_array_of_objects(gpu):
    x = gpu.ones(3)
    for operate in (lambda: np.ones(3) * x, lambda: x * np.ones(3), lambda: np.add(np.ones(3), x)):
        with pytest.raises(wg.DTypeError, match="float64"):
            operate()


def test_out_is_written_and_returned(gpu, rng):
    a = rng.uniform(-1, 1, (3, 4)).astype(np.float32)
    x, y = gpu.array(a), gpu.zeros((3, 4))
    assert np.exp(x, out=y) is y
    np.testing.assert_allclose(y.numpy(), np.exp(a), rtol=4 * 2.0**-23)
    assert np.negative(x, y) is y
    np.testing.assert_array_equal(y.numpy(), -a)
    np.add(x[0], 1, out=y[1])
    np.testing.assert_array_equal(y.numpy()[1], a[0] + np.float32(1))
    np.add(a, a, out=y)
    np.testing.assert_array_equal(y.numpy(), a + a)
    with pytest.raises(wg.ShapeError, match="out has shape"):
        np.exp(x, out=gpu.zeros(3))
    with pytest.raises(wg.DTypeError, match="same_kind"):
        np.exp(x, out=gpu.zeros((3, 4), dtype=np.int32))
    with pytest.raises(wg.UnsupportedError, match=r"result\.numpy\(\)"):
        np.exp(x, out=np.zeros((3, 4), np.float32))


def test_where_writes_where_it_holds_and_needs_out(gpu, rng):
    a = rng.uniform(-1, 1, 9).astype(np.float32)
    x, y, mask = gpu.array(a), gpu.full(9, 7.0), a > 0
    np.sqrt(x, out=y, where=mask)
    np.testing.assert_allclose(y.numpy(), np.where(mask, np.sqrt(np.abs(a)), 7), rtol=2.0**-22)
    with pytest.raises(wg.UnsupportedError, match="without out="):
        np.sqrt(x, where=mask)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("add", {}),
        ("multiply", {"axis": 1}),
        ("maximum", {"axis": None}),
        ("minimum", {"axis": (0, 2)}),
        ("logical_and", {"axis": 2, "keepdims": True}),
        ("logical_or", {"axis": -1}),
        ("add", {"initial": 3.0, "where": True}),
        ("maximum", {"axis": 1, "initial": 0.7}),
        ("add", {"axis": 1, "dtype": np.float32}),
    ],
)
def test_reduce(gpu, rng, name, options):
    a = rng.uniform(0.5, 1.2, (3, 4, 5)).astype(np.float32)
    ufunc = getattr(np, name)
    got = ufunc.reduce(gpu.array(a), **options)
    assert isinstance(got, wg.GPUArray)
    np.testing.assert_allclose(got.numpy(), ufunc.reduce(a, **options), rtol=12 * 2.0**-23)


def test_reduce_with_a_mask(gpu, rng):
    a = rng.integers(-9, 9, (4, 5)).astype(np.int32)
    mask = rng.random((4, 5)) < 0.5
    x = gpu.array(a)
    np.testing.assert_array_equal(np.add.reduce(x, axis=1, where=mask).numpy(), np.add.reduce(a, axis=1, where=mask))
    got = np.maximum.reduce(x, axis=0, where=mask, initial=-3)
    np.testing.assert_array_equal(got.numpy(), np.maximum.reduce(a, axis=0, where=mask, initial=-3))
    with pytest.raises(ValueError, match="needs initial"):
        np.maximum.reduce(x, where=mask)
    np.testing.assert_array_equal(np.maximum.reduce(gpu.zeros((0, 3)), initial=5).numpy(), [5, 5, 5])


def test_accumulate_and_outer(gpu, rng):
    a = rng.integers(1, 4, (3, 4)).astype(np.int32)
    x = gpu.array(a)
    np.testing.assert_array_equal(np.add.accumulate(x).numpy(), np.add.accumulate(a))
    np.testing.assert_array_equal(np.multiply.accumulate(x, axis=1).numpy(), np.multiply.accumulate(a, axis=1))
    np.testing.assert_array_equal(np.subtract.outer(x, a[0]).numpy(), np.subtract.outer(a, a[0]))


@pytest.mark.parametrize(
    "call",
    [
        np.cbrt,
        np.frexp,
        lambda x: np.add.at(x, [0], 1),
        lambda x: np.add.reduceat(x, [0, 2]),
        np.maximum.accumulate,
        np.hypot.reduce,
        lambda x: np.float_power(x, 2),
    ],
)
def test_what_is_not_there_names_the_way_out(gpu, call):
    with pytest.raises(wg.UnsupportedError, match=r"x\.numpy\(\)"):
        call(gpu.ones(4))


def test_dtype(gpu):
    x = gpu.array(np.int32([1, 2, 3]))
    assert np.add(x, x, dtype=np.float32).dtype == np.float32
    with pytest.raises(wg.DTypeError, match="casting"):
        np.add(gpu.ones(3), 1, dtype=np.int32)
    with pytest.raises(wg.DTypeError, match="floats"):
        np.sqrt(x, dtype=np.int32)


def test_masked_values_are_refused(gpu):
    masked = np.ma.masked_array(np.float32([1, 2, 3]), [False, True, False])
    with pytest.raises(wg.DTypeError, match="masked"):
        gpu.array(masked)
    with pytest.raises(wg.DTypeError, match="masked"):
        gpu.ones(3) + masked
    records = np.ma.zeros(3, [("a", "f4"), ("b", "f4", 2)])
    assert gpu.array(records).numpy()["a"].tolist() == [0, 0, 0]
    records["b"][1] = np.ma.masked
    source = """struct S { a: f32, b: vec2f } @group(0) @binding(0) var<storage, read> x: array<S>;
@group(0) @binding(1) var<uniform> u: vec3f;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] = x[0].a + u.x; }"""
    plain = {"x": np.zeros(3, records.dtype), "u": np.zeros(3, np.float32)}
    for ways in ({"x": records}, {"x": records[1]}, {"u": masked}, {"x": {"a": 1, "b": masked[:2]}}):
        with pytest.raises(wg.DTypeError, match=r"masked, .*pass x\.filled"):
            gpu.run(source, {**plain, **ways}, y=wg.out(1), threads=1)
    for make in (lambda: gpu.array(records), lambda: wg.texture(masked[None, :, None])):
        with pytest.raises(wg.DTypeError, match=r"masked, .*pass x\.filled"):
            make()
