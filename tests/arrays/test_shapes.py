"""Indexing, assignment and manipulation against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import webgpu_widget as wg
from webgpu_widget import xp

FEW = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6)


def numbers(shape, dtype=np.float32):
    return np.arange(np.prod(shape), dtype=np.float64).reshape(shape).astype(dtype)


@FEW
@given(data=st.data(), shape=SHAPES)
def test_basic_indices(gpu, data, shape):
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    x = numbers(shape)
    np.testing.assert_array_equal(gpu.array(x)[key].numpy(), x[key])
    fused = gpu.array(x) * 2 + 1
    np.testing.assert_array_equal((fused[key] - 1).numpy(), x[key] * 2)


@FEW
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5))
def test_assignment_to_basic_indices(gpu, data, shape):
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=False, allow_ellipsis=True))
    dtype = data.draw(st.sampled_from([np.float32, np.int32, np.bool_, np.float16]))
    x = numbers(shape, dtype)
    a = gpu.array(x)
    kept = a.copy()
    part = x[key]
    value = (numbers(part.shape) + 7).astype(dtype)
    before = x.copy()
    x[key] = value
    a[key] = value
    np.testing.assert_array_equal(a.numpy(), x)
    np.testing.assert_array_equal(kept.numpy(), before)


@FEW
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5))
def test_integer_array_indices(gpu, data, shape):
    key = data.draw(hnp.integer_array_indices(shape))
    x = numbers(shape)
    np.testing.assert_array_equal(gpu.array(x)[key].numpy(), x[key])
    on_gpu = tuple(gpu.array(k.astype(np.int32)) for k in key)
    np.testing.assert_array_equal(gpu.array(x)[on_gpu].numpy(), x[key])


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), [0, 2, -1]),
        ([0, 1], slice(None), [2, 0]),
        (1, [0, 2]),
        ([[0], [1]], [0, 2, 1]),
        (slice(None, None, -1), [1], slice(1, 3)),
        (..., [3, 0]),
        (None, [0, 1]),
        ([True, False],),
        (slice(None), [True, False, True]),
        ([], slice(None)),
    ],
    ids=str,
)
def test_mixed_indices(gpu, key):
    x = numbers((2, 3, 4))
    a = gpu.array(x)
    np.testing.assert_array_equal(a[key].numpy(), x[key])
    x[key] = 5
    a[key] = 5
    np.testing.assert_array_equal(a.numpy(), x)


def test_masks(gpu, rng):
    x = rng.normal(size=(5, 7)).astype(np.float32)
    a = gpu.array(x)
    np.testing.assert_array_equal(a[a > 0].numpy(), x[x > 0])
    np.testing.assert_array_equal(a[x > 0].numpy(), x[x > 0])
    np.testing.assert_array_equal(a[gpu.array([True, False, True, False, False])].numpy(), x[[0, 2]])
    np.testing.assert_array_equal(gpu.array(np.float32(3))[True].numpy(), [3])
    assert gpu.array(np.float32(3))[gpu.array(False)].shape == (0,)
    a[a < 0] = 0
    x[x < 0] = 0
    np.testing.assert_array_equal(a.numpy(), x)
    flags = x > 0.5
    a[gpu.array(flags)] = gpu.array(np.arange(flags.sum(), dtype=np.float32))
    x[flags] = np.arange(flags.sum())
    np.testing.assert_array_equal(a.numpy(), x)
    with pytest.raises(IndexError, match=r"\(5, 6\)"):
        a[gpu.array(np.zeros((5, 6), bool))]


def test_of_repeated_places_the_last_value_stays(gpu, rng):
    place = rng.integers(0, 10, 1000).astype(np.int32)
    value = rng.normal(size=1000).astype(np.float32)
    a = gpu.zeros(10)
    a[gpu.array(place)] = gpu.array(value)
    x = np.zeros(10, np.float32)
    x[place] = value
    np.testing.assert_array_equal(a.numpy(), x)


def test_overlapping_assignment(gpu):
    x = numbers((9, 3))
    a = gpu.array(x)
    a[1:] = a[:-1]
    x[1:] = x[:-1].copy()
    np.testing.assert_array_equal(a.numpy(), x)
    a[::2] = a[::2][::-1] + a[4]
    x[::2] = x[::2][::-1] + x[4]
    np.testing.assert_array_equal(a.numpy(), x)


def test_indices_that_do_not_fit(gpu):
    a = gpu.zeros((3, 4))
    for key, words in (((3,), "out of bounds"), ((0, 4), "axis 1"), ((0, 0, 0), "too many"), (([0, 5],), "Index 5")):
        with pytest.raises(IndexError, match=words):
            a[key]
    with pytest.raises(IndexError, match="ellipsis"):
        a[..., ...]
    with pytest.raises(IndexError, match="float32"):
        a[gpu.zeros(2)]
    with pytest.raises(wg.ShapeError, match=r"\(2,\)"):
        a[0] = gpu.zeros(2)
    with pytest.raises(wg.DTypeError):
        gpu.array([1, 2])[0] = 1.5
    assert len(list(gpu.array([1, 2, 3]))) == 3


@FEW
@given(data=st.data(), shape=SHAPES)
def test_reshape_transpose_flip(gpu, data, shape):
    x = numbers(shape)
    a = gpu.array(x)
    order = data.draw(st.permutations(range(x.ndim)))
    np.testing.assert_array_equal(a.transpose(*order).numpy(), x.transpose(order))
    np.testing.assert_array_equal(xp.flip(a.transpose(*order)).numpy(), np.flip(x.transpose(order)))
    np.testing.assert_array_equal((a.transpose(*order) + 1).reshape(-1).numpy(), x.transpose(order).reshape(-1) + 1)
    np.testing.assert_array_equal((a * 1).reshape(*shape, 1)[..., 0].numpy(), x)


def test_many_axes(gpu):
    shape = (2, 1, 3) + (1,) * 26 + (2, 1, 2)
    x = numbers(shape)
    np.testing.assert_array_equal((gpu.array(x).T + 1).numpy(), x.T + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_, np.float16])
def test_joining(gpu, dtype):
    x, y = numbers((2, 3), dtype), numbers((4, 3), dtype)
    a, b = gpu.array(x), gpu.array(y)
    np.testing.assert_array_equal(xp.concat([a, b, a]).numpy(), np.concatenate([x, y, x]))
    np.testing.assert_array_equal(xp.concat([a, b], axis=None).numpy(), np.concatenate([x, y], axis=None))
    np.testing.assert_array_equal(xp.stack([a, a], axis=-1).numpy(), np.stack([x, x], axis=-1))
    np.testing.assert_array_equal(xp.tile(a, (2, 1, 2)).numpy(), np.tile(x, (2, 1, 2)))
    np.testing.assert_array_equal(xp.repeat(a, 2, axis=1).numpy(), np.repeat(x, 2, axis=1))
    np.testing.assert_array_equal(xp.repeat(b, gpu.array([2, 0, 1, 3]), axis=0).numpy(), np.repeat(y, [2, 0, 1, 3], 0))
    np.testing.assert_array_equal(xp.roll(b, (1, -1), axis=(0, 1)).numpy(), np.roll(y, (1, -1), (0, 1)))
    np.testing.assert_array_equal(xp.roll(b, 5).numpy(), np.roll(y, 5))
    assert [p.numpy().tolist() for p in xp.unstack(b, axis=1)] == y.T.tolist()


def test_other_shapes(gpu):
    x = numbers((2, 3, 4))
    a = gpu.array(x)
    np.testing.assert_array_equal(xp.moveaxis(a, 0, -1).numpy(), np.moveaxis(x, 0, -1))
    np.testing.assert_array_equal(xp.expand_dims(a, axis=1).numpy(), np.expand_dims(x, 1))
    np.testing.assert_array_equal(xp.squeeze(a[:, :1], 1).numpy(), x[:, 0])
    np.testing.assert_array_equal(xp.tril(a, k=1).numpy(), np.tril(x, 1))
    np.testing.assert_array_equal(xp.triu(a, k=-(10**12)).numpy(), x)
    np.testing.assert_array_equal(xp.linalg.diagonal(a, offset=-1).numpy(), np.diagonal(x, -1, 1, 2))
    np.testing.assert_array_equal(xp.diff(a, n=2, prepend=a[..., :1]).numpy(), np.diff(x, 2, prepend=x[..., :1]))
    grids = np.meshgrid(x[0, 0], x[0, :, 0])
    for got, want in zip(xp.meshgrid(a[0, 0], a[0, :, 0]), grids, strict=True):
        np.testing.assert_array_equal(got.numpy(), want)
    with pytest.raises(wg.ShapeError, match="24 elements"):
        a.reshape(5, 5)
    with pytest.raises(np.exceptions.AxisError):
        a.sum(axis=3)
    with pytest.raises(wg.ShapeError, match="axis 0"):
        xp.squeeze(a, 0)


def test_creation(gpu):
    np.testing.assert_array_equal(gpu.arange(5).numpy(), np.arange(5))
    np.testing.assert_array_equal(gpu.arange(10, -3, -3).numpy(), np.arange(10, -3, -3))
    np.testing.assert_array_equal(gpu.arange(2, 4, 0.5).numpy(), np.arange(2, 4, 0.5, np.float32))
    assert gpu.arange(5).dtype == np.int32
    assert gpu.arange(5.0).dtype == np.float32
    assert gpu.arange(5, 2).shape == (0,)
    np.testing.assert_array_equal(gpu.arange(2**31 - 2, 2**31).numpy(), [2**31 - 2, 2**31 - 1])
    line = gpu.linspace(0.1, 0.7, 7).numpy()
    assert line[0] == np.float32(0.1)
    assert line[-1] == np.float32(0.7)
    np.testing.assert_array_equal(gpu.linspace(0, 1, 5, endpoint=False).numpy(), gpu.linspace(0, 1, 6).numpy()[:5])
    for k in (-9, -1, 0, 2, 10**18):
        np.testing.assert_array_equal(gpu.eye(3, 5, k).numpy(), np.eye(3, 5, min(k, 9), np.float32))
    np.testing.assert_array_equal(gpu.full((2, 2), np.inf).numpy(), np.full((2, 2), np.inf, np.float32))
    np.testing.assert_array_equal(gpu.zeros(3, np.bool_).numpy(), [False] * 3)
    assert gpu.empty((0, 3)).numpy().shape == (0, 3)
    assert gpu.array([[1, 2], [3, 4]]).dtype == np.int32
    assert gpu.array([1.0, 2]).dtype == np.float32
    assert gpu.array([True]).dtype == np.bool_
    with pytest.raises(wg.ShapeError):
        gpu.zeros((2, -1))
    with pytest.raises(OverflowError):
        gpu.array([2**31])
    with pytest.raises(OverflowError):
        gpu.full(3, -1, np.uint32)


def test_random_numbers_are_the_published_ones(gpu):
    # Known answers of Philox 4x32-10: counter 0 and key 0 (Random123's kat_vectors).
    words = xp.random.bits(4, 0, device=gpu).numpy()
    assert [hex(w) for w in words] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    u = gpu.random((300, 100), 7).numpy()
    np.testing.assert_array_equal(u, gpu.random((300, 100), 7).numpy())
    assert (gpu.random((300, 100), 8).numpy() != u).mean() > 0.99
    assert 0 <= u.min() < 1e-3
    assert 1 - 1e-3 < u.max() < 1
    assert abs(u.mean() - 0.5) < 0.01
    n = xp.random.normal(30000, 3, 1.0, 2.0, device=gpu).numpy()
    assert abs(n.mean() - 1) < 0.05
    assert abs(n.std() - 2) < 0.05
    i = xp.random.integers(30000, 5, -3, 4, device=gpu).numpy()
    assert set(i) == set(range(-3, 4))
    assert sorted(xp.random.permutation(50, 1, device=gpu).numpy()) == list(range(50))


def test_scalars_and_conversions(gpu):
    a = gpu.array([2.5])
    assert float(a[0]) == 2.5
    assert int(gpu.array([7])[0]) == 7
    assert bool(gpu.array([1]).any())
    assert [10, 20, 30][gpu.array(1)] == 20
    assert a.tolist() == [2.5]
    assert np.asarray(a).dtype == np.float32
    np.testing.assert_array_equal(np.from_dlpack(gpu.array([1, 2])), [1, 2])
    assert a.__dlpack_device__() == (1, 0)
    assert a.to_device(a.device) is a
    assert a.__array_namespace__() is xp
    with pytest.raises(BufferError):
        a.__dlpack__(copy=False)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(gpu.array([1, 2]))
    with pytest.raises(TypeError, match="0-d"):
        float(gpu.array([1.0, 2.0]))
    with pytest.raises(TypeError):
        hash(a)
    same = xp.asarray(a, copy=False)
    a[0] = 9.0
    assert float(same[0]) == 9.0
    with pytest.raises(ValueError, match="copy"):
        xp.asarray(a, dtype=np.int32, copy=False)


def test_a_freed_array_says_so(gpu):
    with gpu.array([1.0, 2.0]) as a:
        later = a + 1
    with pytest.raises(wg.ClosedError, match="freed"):
        a.numpy()
    np.testing.assert_array_equal(later.numpy(), [2, 3])
    assert "freed" in repr(a)


def test_counts_and_diagonals_are_not_cut_to_whole_numbers(gpu):
    x = gpu.arange(3)
    for repeats in (1.5, [1.5, 2, 1], gpu.array(np.float32([1, 2, 3]))):
        with pytest.raises(wg.DTypeError, match="whole"):
            xp.repeat(x, repeats)
    for make in (lambda: gpu.eye(3, k=1.5), lambda: xp.tril(x[None], k=0.5), lambda: xp.triu(x[None], k="1")):
        with pytest.raises(TypeError, match="integer"):
            make()
    for axis in (True, np.True_):
        with pytest.raises(TypeError, match="axis"):
            x.reshape(1, 3).sum(axis=axis)


def test_counts_of_repeat_are_whole_and_not_negative(gpu):
    x = gpu.array([1.0, 2.0, 3.0])
    for counts in (np.int64(2**32 + 1), np.array(2**33), np.array([2**32, 1, 1]), [1, 2**40, 0]):
        with pytest.raises(OverflowError, match="bounds"):
            xp.repeat(x, counts)
    for counts in (-1, np.int64(-2), [2, -1, 1], np.array([-1, 3, 0]), gpu.array([0, 4, -3])):
        with pytest.raises(ValueError, match="0 or more"):
            xp.repeat(x, counts)
    for counts in (
        0,
        np.int32(2),
        [0, 0, 0],
        [3, 0, 1],
        np.array([1, 2, 3]),
        gpu.array(np.array([2, 0, 5], np.uint32)),
    ):
        want = np.repeat(np.float32([1, 2, 3]), np.asarray(counts))
        np.testing.assert_array_equal(xp.repeat(x, counts).numpy(), want)
    assert xp.repeat(gpu.zeros((0, 2)), np.zeros(0, np.int32), axis=0).shape == (0, 2)
