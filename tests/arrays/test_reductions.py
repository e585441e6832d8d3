"""Reductions, running totals, sorting, searching and sets against NumPy."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import webgpu_widget as wg
from webgpu_widget import xp
from webgpu_widget.arrays.lazy import library, reduce
from webgpu_widget.arrays.lazy.likeness import Seen
from webgpu_widget.arrays.lazy.runtime import runtime_of

FEW = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FEW
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=9))
def test_any_axes(gpu, data, shape):
    x = (np.arange(np.prod(shape)).reshape(shape) * 37 % 11 - 5).astype(np.float32)
    axes = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1) | hnp.valid_tuple_axes(x.ndim))
    keepdims = data.draw(st.booleans())
    order = data.draw(st.permutations(range(x.ndim)))
    a, x = gpu.array(x).transpose(*order), x.transpose(order)
    for name in ("sum", "max", "min", "mean", "std"):
        got = getattr(a, name)(axis=axes, keepdims=keepdims)
        np.testing.assert_allclose(got.numpy(), getattr(x, name)(axis=axes, keepdims=keepdims), rtol=1e-5, atol=1e-5)
    got = ((a * 2 + 1) > 0).any(axis=axes, keepdims=keepdims)
    np.testing.assert_array_equal(got.numpy(), ((x * 2 + 1) > 0).any(axis=axes, keepdims=keepdims))


@pytest.mark.parametrize("shape", [(1,), (3,), (4, 64), (64, 5), (1000,), (100003,), (3, 4096), (2048, 3), (300, 300)])
def test_sizes_on_both_sides_of_each_choice(gpu, rng, shape):
    x = rng.normal(size=shape).astype(np.float32)
    a = gpu.array(x)
    for axis in (None, *range(len(shape))):
        np.testing.assert_allclose(a.sum(axis).numpy(), x.sum(axis, dtype=np.float64), rtol=2e-6, atol=2e-4)
        np.testing.assert_array_equal(a.max(axis).numpy(), x.max(axis))
        np.testing.assert_array_equal(a.argmin(axis).numpy(), x.argmin(axis))
        np.testing.assert_allclose(a.var(axis).numpy(), x.var(axis, dtype=np.float64), rtol=1e-4, atol=1e-6)


EXCHANGE = """
var<workgroup> exchange_values: array<Acc, THREADS>;
var<private> exchange_lid: u32;
fn exchange(value: Acc, mask: u32) -> Acc {
  workgroupBarrier();
  exchange_values[exchange_lid] = value;
  workgroupBarrier();
  return exchange_values[exchange_lid ^ mask];
}
"""


def with_subgroups_of(size, source):
    """Return a kernel with its subgroups replaced by ones of another size, whose exchanges go through workgroup memory."""
    if "subgroupShuffleXor" not in source:
        return source
    acc = re.search(r"fn across\(value: ([\w<>]+)", source)[1]
    threads = re.search(r"@workgroup_size\((\d+)\)", source)[1]
    text = source.replace("enable subgroups;\n", "").replace("subgroupShuffleXor(", "exchange(")
    text = text.replace(", @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) member: u32", "")
    begin = f"  exchange_lid = lid;\n  let size = {size}u;\n  let member = lid % {size}u;\n  let count ="
    text = text.replace("  let count =", begin, 1)
    assert "subgroup" not in text
    return EXCHANGE.replace("Acc", acc).replace("THREADS", threads) + text


@pytest.fixture
def workgroups(request, gpu, monkeypatch):
    """A GPU whose reductions get the kernels of hardware adapters; a size stands for adapters with such subgroups."""
    runtime = runtime_of(gpu._device)
    assert runtime.has_subgroups or request.param != "subgroup"
    monkeypatch.setattr(type(runtime), "is_fallback", False)
    monkeypatch.setattr(runtime, "_pipelines", {})
    monkeypatch.setattr(runtime, "seen", Seen(runtime, 1 << 30))
    monkeypatch.setattr(type(runtime), "has_subgroups", request.param != "group")
    if isinstance(request.param, int):
        make = reduce.reduce_source
        monkeypatch.setattr(reduce, "reduce_source", lambda form: with_subgroups_of(request.param, make(form)))
    return gpu


SHAPES = [(70, 260), (20, 4097), (1, 50000), (100004,), (16, 128, 4)]


@pytest.mark.parametrize(
    ("workgroups", "shape"),
    [
        *itertools.product(["group", "subgroup"], SHAPES),
        *itertools.product([64], [(70, 260), (40004,)]),
        *(
            pytest.param(*pair, marks=pytest.mark.long)
            for pair in itertools.product([8, 16, 32, 128], [(70, 260), (40004,)])
        ),
    ],
    indirect=["workgroups"],
)
def test_the_variants_with_workgroups_agree(workgroups, rng, shape):
    x = rng.normal(size=shape).astype(np.float32)
    a = workgroups.array(x)
    for axis in (None, -1, 0):
        # In blocks and trees the error of a sum grows with the logarithm of its length: some 2**-24 of the sum of magnitudes.
        bound = 1e-6 * np.abs(x).sum(axis, dtype=np.float64).max()
        got = (a * 2).sum(axis).numpy()
        np.testing.assert_allclose(got, x.sum(axis, dtype=np.float64) * 2, rtol=0, atol=bound)
        np.testing.assert_array_equal((a * 2).sum(axis).numpy().view(np.uint32), got.view(np.uint32))
        np.testing.assert_array_equal(a.argmax(axis).numpy(), x.argmax(axis))
        np.testing.assert_array_equal((a > 3).any(axis).numpy(), (x > 3).any(axis))
        np.testing.assert_array_equal(a.min(axis).numpy(), x.min(axis))
    flat = x.copy().reshape(-1)
    flat[flat.size // 3] = np.nan
    assert np.isnan(float(workgroups.array(flat).max()))
    assert int(workgroups.array(flat).argmin()) == flat.size // 3


def test_subgroups_are_used_where_there_are_some_and_never_on_cpus(gpu, monkeypatch):
    runtime = runtime_of(gpu._device)
    made = []
    make = reduce.reduce_source
    monkeypatch.setattr(reduce, "reduce_source", lambda form: made.append(make(form)) or made[-1])
    monkeypatch.setattr(runtime, "_pipelines", {})
    monkeypatch.setattr(runtime, "seen", Seen(runtime, 1 << 30))
    x = gpu.zeros(100_000) + 1
    monkeypatch.setattr(type(runtime), "is_fallback", True)
    assert float(x.sum()) == 100_000
    assert made
    assert not any(word in source for source in made for word in ("workgroupBarrier", "var<workgroup>", "subgroup"))
    monkeypatch.setattr(type(runtime), "is_fallback", False)
    assert float(x.sum()) == 100_000
    assert any("subgroupShuffleXor" in source for source in made)


def test_extremes_keep_the_signs_of_zeros_and_of_nan(gpu):
    for x, low, high in (([0.0, -0.0], True, False), ([-0.0, -0.0], True, True), ([0.0, 0.0], False, False)):
        a = gpu.array(np.array(x, np.float32))
        assert np.signbit(float(a.min())) == low
        assert np.signbit(float(a.max())) == high
    negative = np.array([0xFFC00001, 0x3F800000], np.uint32).view(np.float32)
    assert np.isnan(float(gpu.array(negative).max()))
    assert np.isnan(float(gpu.array(negative).min()))


def test_dispatches_of_fused_reductions(gpu, rng):
    a, b, c = (gpu.array(rng.normal(size=(500, 400)).astype(np.float32)) for _ in range(3))
    with gpu.record() as program:
        total = (a * b + c).sum()
    assert 1 <= program.stats["dispatches"] <= 2
    program.replay()
    assert np.isfinite(float(total))


def test_nan_infinity_and_zeros(gpu):
    nan, inf = np.nan, np.inf
    for x in ([1, nan, 3], [nan, nan], [-inf, 1], [inf, inf], [inf, -inf], [-inf], [0.0, -0.0]):
        v = np.array(x, np.float32)
        a = gpu.array(v)
        with np.errstate(all="ignore"):
            for name in ("sum", "prod", "max", "min", "mean", "var", "argmax", "argmin", "any", "all"):
                np.testing.assert_array_equal(getattr(a, name)().numpy(), getattr(v, name)(), err_msg=f"{name} {x}")


def test_integers_and_bools(gpu):
    i = np.array([[2**31 - 1, 5], [-7, 100000]], np.int32)
    for name, want in (
        ("sum", i.sum(dtype=np.int32)),
        ("prod", i.prod(dtype=np.int32)),
        ("max", i.max()),
        ("min", i.min()),
    ):
        got = getattr(gpu.array(i), name)()
        assert got.dtype == np.int32
        assert got.numpy() == want
    u = np.array([2**32 - 1, 7], np.uint32)
    assert gpu.array(u).sum().numpy() == u.sum(dtype=np.uint32)
    assert gpu.array(u).max().numpy() == 2**32 - 1
    assert gpu.array(u).sum().dtype == np.uint32
    m = gpu.array([True, False, True])
    assert m.sum().dtype == np.int32
    assert int(m.sum()) == 2
    assert bool(m.max())
    assert not bool(m.min())
    assert m.mean().dtype == np.float32
    assert int(xp.count_nonzero(m)) == 2
    h = gpu.array(np.ones(5000, np.float16))
    assert h.sum().dtype == np.float16
    assert float(h.sum()) == 5000


def test_of_nothing(gpu):
    a = gpu.zeros((0, 3))
    np.testing.assert_array_equal(a.sum(0).numpy(), [0, 0, 0])
    np.testing.assert_array_equal(a.prod(0).numpy(), [1, 1, 1])
    assert a.sum(1).numpy().shape == (0,)
    assert bool(a.all())
    assert not bool(a.any())
    assert np.isnan(a.mean().numpy())
    with pytest.raises(ValueError, match="no elements"):
        a.max(0)
    with pytest.raises(ValueError, match="no elements"):
        a.argmin()
    assert gpu.array(np.float32(3)).sum().numpy() == 3
    assert gpu.array(np.float32(3)).argmax().numpy() == 0


@pytest.mark.parametrize("shape", [(1,), (5,), (64,), (65,), (5000,), (3, 700), (300, 3), (2, 3, 4)])
def test_running_totals(gpu, rng, shape):
    x = rng.normal(size=shape).astype(np.float32)
    i = rng.integers(-5, 5, shape).astype(np.int32)
    for axis in range(len(shape)):
        got = xp.cumulative_sum(gpu.array(x), axis=axis).numpy()
        np.testing.assert_allclose(got, x.cumsum(axis, dtype=np.float64), rtol=1e-5, atol=2e-4)
        np.testing.assert_array_equal(
            xp.cumulative_sum(gpu.array(i), axis=axis).numpy(), i.cumsum(axis, dtype=np.int32)
        )
        with np.errstate(all="ignore"):
            want = i.cumprod(axis, dtype=np.int32)
        np.testing.assert_array_equal(xp.cumulative_prod(gpu.array(i), axis=axis).numpy(), want)
    first = xp.cumulative_sum(gpu.array(i), axis=0, include_initial=True)
    assert first.shape[0] == shape[0] + 1
    assert not first[0].any()


@pytest.mark.parametrize("size", [0, 1, 2, 8, 9, 63, 64, 1000, 4099])
def test_sorting_is_stable_both_ways(gpu, rng, size):
    x = rng.integers(-50, 50, size).astype(np.float32)
    a = gpu.array(x)
    np.testing.assert_array_equal(a.sort().numpy(), np.sort(x))
    np.testing.assert_array_equal(a.argsort().numpy(), np.argsort(x, kind="stable"))
    want = np.argsort(-x, kind="stable")
    np.testing.assert_array_equal(xp.argsort(a, descending=True).numpy(), want)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.bool_, np.float16])
def test_sorting_of_each_dtype_and_axis(gpu, rng, dtype):
    x = rng.integers(0, 1000 if dtype == np.float16 else 2**31, (7, 30, 5)).astype(dtype)
    for axis in (0, 1, -1):
        np.testing.assert_array_equal(xp.sort(gpu.array(x), axis=axis).numpy(), np.sort(x, axis))


def test_sorting_of_special_values(gpu):
    x = np.array([np.nan, 1, -0.0, 0.0, np.inf, -np.inf, np.nan, -1], np.float32)
    np.testing.assert_array_equal(gpu.array(x).sort().numpy(), np.sort(x))
    np.testing.assert_array_equal(gpu.array(x).argsort().numpy(), np.argsort(x, kind="stable"))


def test_searching(gpu, rng):
    x = np.sort(rng.integers(0, 40, 100)).astype(np.float32)
    v = rng.integers(-5, 50, (6, 7)).astype(np.float32)
    for side in ("left", "right"):
        got = xp.searchsorted(gpu.array(x), gpu.array(v), side=side)
        np.testing.assert_array_equal(got.numpy(), np.searchsorted(x, v, side))
        assert got.dtype == np.int32
    flags = rng.random((5, 6, 7)) < 0.3
    for got, want in zip(xp.nonzero(gpu.array(flags)), np.nonzero(flags), strict=True):
        np.testing.assert_array_equal(got.numpy(), want)
    np.testing.assert_array_equal(xp.take(gpu.array(v), gpu.array([2, 0]), axis=1).numpy(), v[:, [2, 0]])
    order = np.argsort(v, 0)
    got = xp.take_along_axis(gpu.array(v), gpu.array(order.astype(np.int32)), axis=0)
    np.testing.assert_array_equal(got.numpy(), np.take_along_axis(v, order, 0))
    with pytest.raises(wg.ShapeError, match="one axis"):
        xp.searchsorted(gpu.array(v), 1.0)


@pytest.mark.parametrize("shape", [(1,), (40,), (6, 9), (3000,)])
def test_sets(gpu, rng, shape):
    x = rng.integers(0, 25, shape).astype(np.int32)
    values, indices, inverse, counts = xp.unique_all(gpu.array(x))
    want = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(values.numpy(), want[0])
    np.testing.assert_array_equal(indices.numpy(), want[1])
    np.testing.assert_array_equal(inverse.numpy(), want[2].reshape(shape))
    np.testing.assert_array_equal(counts.numpy(), want[3])


def test_each_nan_is_a_value_of_its_own(gpu):
    x = np.array([np.nan, 0.0, np.nan, -0.0, 2], np.float32)
    values, counts = xp.unique_counts(gpu.array(x))
    np.testing.assert_array_equal(values.numpy(), [0, 2, np.nan, np.nan])
    np.testing.assert_array_equal(counts.numpy(), [2, 1, 1, 1])


@pytest.mark.parametrize("value", [1.0, 7.0, 1e6, -3.0])
def test_mean_and_variance_of_equal_numbers_are_exact(gpu, rng, value):
    """Where the partial sums of equal numbers are exact, nothing is left to round."""
    odd = int(abs(value)) // (int(abs(value)) & -int(abs(value)))
    most = 2**24 // odd
    lengths = [3, 41, 47, 55, 61, 82, 83, 97, 405, most, *(int(n) for n in most ** rng.uniform(0, 1, 6))]
    for n in lengths:
        a = gpu.array(np.full(n, value, np.float32))
        got = [float(f) for f in (a.mean(), a.var(), a.std())]
        assert got == [value, 0, 0], (n, got)


def test_means_of_rows_and_columns_are_rounded_once(gpu, rng):
    """A mean of whole numbers whose sums are exact is NumPy's to the last bit, whatever WGSL's quotient is."""
    whole = rng.integers(-5000, 5000, (37, 403)).astype(np.float32)
    a = gpu.array(whole)
    exact = whole.astype(np.float64)
    for axis in (None, 0, 1, -1, (0, 1)):
        for keepdims in (False, True):
            want = exact.mean(axis=axis, keepdims=keepdims).astype(np.float32)
            np.testing.assert_array_equal(xp.mean(a, axis=axis, keepdims=keepdims).numpy(), want)
    halves = rng.integers(-100, 100, (11, 205)).astype(np.float16)
    want = halves.astype(np.float64).mean(axis=1).astype(np.float32).astype(np.float16)
    np.testing.assert_array_equal(gpu.array(halves).mean(axis=1).numpy(), want)
    integers = rng.integers(-1000, 1000, (11, 205)).astype(np.int32)
    np.testing.assert_array_equal(gpu.array(integers).mean(axis=0).numpy(), integers.mean(axis=0).astype(np.float32))


def test_a_count_divides_with_one_rounding(gpu, rng):
    """The quotient of a mean has the bits of IEEE's division, at ties, at powers of two and at the ends of the range."""
    n = np.concatenate([rng.integers(1, 2**26, 60_000), rng.integers(1, 200, 60_000), 2 ** rng.integers(0, 26, 999)])
    x = (rng.standard_normal(n.size) * 10.0 ** rng.integers(-20, 20, n.size)).astype(np.float32)
    exact = rng.integers(0, n.size, n.size // 3)
    x[exact] = n[exact] * rng.integers(1, 100, exact.size)
    edge = rng.integers(0, n.size, n.size // 4)
    x[edge] = n[edge] * 2.0 ** rng.integers(-10, 10, edge.size)
    x[edge] = np.nextafter(x[edge], rng.choice([0, np.inf], edge.size).astype(np.float32))
    x[:4] = np.inf, -np.inf, np.nan, 0
    text = (
        library.needed("f_over")
        + """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> n: array<u32>;
@group(0) @binding(2) var<storage, read> factor: array<f32>;
@group(0) @binding(3) var<storage, read_write> z: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { z[id.x] = f_over(x[id.x], n[id.x], factor[id.x]); }
}"""
    )
    got = gpu.run(
        text,
        x=x,
        n=n.astype(np.uint32),
        factor=(1.0 / n).astype(np.float32),
        z=wg.out(x.size),
        threads=x.size,
    )
    # float64 holds 53 bits, more than a tie of 24 bits over 26 can need to be told.
    np.testing.assert_array_equal(got, (x.astype(np.float64) / n).astype(np.float32))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 5.0])
def test_variance_of_one_number(gpu, value):
    want = 0.0 if np.isfinite(value) else np.nan
    for x in (np.float32(value), np.full((1,), value, np.float32), np.full((3, 1), value, np.float16)):
        a = gpu.array(np.asarray(x))
        for axis in (None, ()) if a.size == 1 else ((), -1):
            got = xp.var(a, axis=axis).numpy()
            assert np.array_equal(got, np.full(got.shape, want), equal_nan=True), (x, axis, got)
            assert np.isnan(xp.var(a, axis=axis, correction=1).numpy()).all()
    many = np.array([1, value, 3], np.float32)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(gpu.array(many).var().numpy(), many.var(), rtol=1e-6)


@pytest.mark.parametrize("size", [1000, 65_537, 1_000_000, 3_333_333])
def test_sums_are_as_exact_as_sums_in_pairs(gpu, rng, size):
    """Of the bound of a sum in pairs, (log2(n) + 8) / 2**24 of the sum of sizes, a quarter is left even to equal numbers."""
    room = (np.log2(size) + 8) * 2.0**-24 / 4
    for x in (
        rng.random(size, np.float32),
        np.full(size, 0.1, np.float32),
        np.full(size, rng.random(), np.float32),
        rng.standard_normal(size).astype(np.float32) + 3,
    ):
        a, wide = gpu.array(x.astype(np.float32)), x.astype(np.float32).astype(np.float64)
        assert abs(float(a.sum()) - wide.sum()) <= room * np.abs(wide).sum()
        assert abs(float(a.mean()) - wide.mean()) <= (room + 2.0**-24) * np.abs(wide).mean()
        assert abs(float((a * a).sum()) - (wide**2).sum()) <= (room + 2.0**-23) * (wide**2).sum()
        assert abs(float(a.reshape(1, -1).sum(axis=1)[0]) - wide.sum()) <= room * np.abs(wide).sum()
        deviations = float(a.var()) - wide.var()
        assert abs(deviations) <= (room + 2.0**-22) * wide.var() + (room * np.abs(wide).mean() + 2.0**-24) ** 2


def test_sums_of_columns_are_as_exact_as_sums_in_pairs(gpu, rng):
    room = (np.log2(200_000) + 8) * 2.0**-24 / 4
    for columns in (3, 4):
        x = np.broadcast_to(rng.random(columns, np.float32), (200_000, columns))
        got, want = gpu.array(x).sum(axis=0).numpy(), x.astype(np.float64).sum(axis=0)
        np.testing.assert_allclose(got, want, rtol=room)
