"""Products and decompositions: residuals, orthogonality, special matrices, errors."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from scipy.special import erf
from scipy.special import softmax as scipy_softmax

import webgpu_widget as wg
from webgpu_widget import xp
from webgpu_widget.arrays.lazy.runtime import runtime_of

EPS = 6e-8
SIDES = [1, 2, 5, 24, 25, 33, 70]


def normal(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def small(got, side, scale=1.0, factor=8.0):
    error = np.abs(got).max(initial=0.0)
    assert error <= factor * max(side, 4) * EPS * scale, error


@pytest.mark.parametrize("side", SIDES)
def test_solve_inverse_and_determinant(gpu, rng, side):
    a = normal(rng, side, side) + float(np.sqrt(side)) * np.eye(side, dtype=np.float32)
    b = normal(rng, side, 3)
    x = wg.linalg.solve(gpu.array(a), gpu.array(b)).numpy()
    small(a.astype(np.float64) @ x - b, side, np.abs(a).sum(1).max() * np.abs(x).max())
    x = wg.linalg.solve(gpu.array(a), gpu.array(b[:, 0])).numpy()
    assert x.shape == (side,)
    inverse = wg.linalg.inv(gpu.array(a)).numpy()
    small(a.astype(np.float64) @ inverse - np.eye(side), side, np.linalg.cond(a), factor=20)
    sign, size = wg.linalg.slogdet(gpu.array(a))
    want = np.linalg.slogdet(a.astype(np.float64))
    assert sign.numpy() == want.sign
    np.testing.assert_allclose(size.numpy(), want.logabsdet, rtol=1e-4, atol=1e-4)
    if side < 30:
        np.testing.assert_allclose(wg.linalg.det(gpu.array(a)).numpy(), np.linalg.det(a.astype(np.float64)), rtol=1e-3)


@pytest.mark.parametrize("side", SIDES)
def test_cholesky(gpu, rng, side):
    m = normal(rng, side, side)
    a = m @ m.T + np.eye(side, dtype=np.float32)
    low = wg.linalg.cholesky(gpu.array(np.tril(a))).numpy()
    small(low.astype(np.float64) @ low.T - a, side, np.abs(a).max())
    assert not np.triu(low, 1).any()
    assert not np.signbit(np.triu(low, 1)).any()
    np.testing.assert_array_equal(wg.linalg.cholesky(gpu.array(a), upper=True).numpy(), low.T)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (40, 7), (7, 40), (65, 64)])
def test_qr(gpu, rng, shape):
    a = normal(rng, *shape)
    for mode in ("reduced", "complete"):
        result = wg.linalg.qr(gpu.array(a), mode=mode)
        assert result[0] is result.Q
        q, r = (m.numpy().astype(np.float64) for m in result)
        want = np.linalg.qr(a, mode=mode)
        assert (q.shape, r.shape) == (want.Q.shape, want.R.shape)
        small(q @ r - a, shape[0], np.abs(a).max())
        small(q.T @ q - np.eye(q.shape[1]), shape[0])
        assert not np.tril(r, -1).any()


@pytest.mark.parametrize("side", [1, 2, 3, 16, 33])
def test_eigenvalues(gpu, rng, side):
    m = normal(rng, side, side)
    a = m + m.T
    w, v = (m.numpy().astype(np.float64) for m in wg.linalg.eigh(gpu.array(np.tril(a))))
    scale = np.abs(w).max()
    small(a @ v - v * w, side, scale)
    small(v.T @ v - np.eye(side), side)
    small(w - np.linalg.eigvalsh(a.astype(np.float64)), side, scale)
    assert (np.diff(w) >= 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (6, 4), (4, 6), (33, 20), (24, 24)])
def test_singular_values(gpu, rng, shape):
    a = normal(rng, *shape)
    for full in (True, False):
        result = wg.linalg.svd(gpu.array(a), full_matrices=full)
        u, s, vh = (m.numpy().astype(np.float64) for m in result)
        want = np.linalg.svd(a.astype(np.float64), full_matrices=full)
        assert (u.shape, s.shape, vh.shape) == tuple(m.shape for m in want)
        k = min(shape)
        small(u[:, :k] * s @ vh[:k] - a, max(shape), s[0])
        small(s - want.S, max(shape), s[0])
        small(u.T @ u - np.eye(u.shape[1]), max(shape))
        small(vh @ vh.T - np.eye(len(vh)), max(shape))


def test_clustered_repeated_and_missing_ranks(gpu, rng):
    q = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    for values in ([1.0] * 12, [1.0] * 4 + [0.0] * 8, np.logspace(0, -6, 12), [0.0] * 12, [1e15] * 6 + [1e-15] * 6):
        a = ((q * values) @ q.T).astype(np.float32)
        a = (a + a.T) / 2
        scale = max(np.abs(a).max(), 1e-30)
        w, v = (m.numpy().astype(np.float64) for m in wg.linalg.eigh(gpu.array(a)))
        small(v.T @ v - np.eye(12), 12)
        small(a @ v - v * w, 12, scale, factor=16)
        u, s, vh = (m.numpy().astype(np.float64) for m in wg.linalg.svd(gpu.array(a)))
        small(u.T @ u - np.eye(12), 12)
        small(u * s @ vh - a, 12, scale, factor=16)
    assert int(xp.linalg.matrix_rank(gpu.array(np.ones((5, 7), np.float32)))) == 1


@pytest.mark.parametrize("batch", [(3,), (2, 2), (0,)])
def test_stacks(gpu, rng, batch):
    a = normal(rng, *batch, 6, 6)
    spd = a @ np.swapaxes(a, -1, -2) + np.eye(6, dtype=np.float32)
    g = gpu.array(spd)
    np.testing.assert_allclose(wg.linalg.inv(g).numpy(), np.linalg.inv(spd), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(wg.linalg.cholesky(g).numpy(), np.linalg.cholesky(spd), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(wg.linalg.det(g).numpy(), np.linalg.det(spd), rtol=1e-3)
    np.testing.assert_allclose(xp.linalg.eigvalsh(g).numpy(), np.linalg.eigvalsh(spd), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(xp.linalg.svdvals(g).numpy(), np.linalg.svd(spd)[1], rtol=1e-3, atol=1e-4)
    q, r = (m.numpy() for m in wg.linalg.qr(gpu.array(a)))
    np.testing.assert_allclose(q @ r, a, atol=1e-5)
    x = wg.linalg.solve(g, gpu.array(normal(rng, 6, 2)))
    assert x.shape == (*batch, 6, 2)


def test_the_variants_with_workgroups_agree(gpu, rng, monkeypatch):
    a = normal(rng, 40, 30)
    spd = gpu.array(a[:30].T @ a[:30] + np.eye(30, dtype=np.float32))
    monkeypatch.setattr(type(runtime_of(gpu._device)), "is_fallback", False)
    q, r = (m.numpy() for m in wg.linalg.qr(gpu.array(a)))
    np.testing.assert_allclose(q @ r, a, atol=1e-5)
    x = wg.linalg.solve(spd, gpu.array(a.T[:, :2])).numpy()
    np.testing.assert_allclose(spd.numpy() @ x, a.T[:, :2], atol=2e-3)
    np.testing.assert_allclose(xp.linalg.svdvals(gpu.array(a)).numpy(), np.linalg.svd(a)[1], rtol=1e-4)


def test_bad_matrices(gpu):
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        wg.linalg.inv(gpu.zeros((3, 3)))
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        wg.linalg.solve(gpu.ones((30, 30)), gpu.ones(30))
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        wg.linalg.cholesky(gpu.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(wg.ShapeError, match="square"):
        wg.linalg.det(gpu.zeros((2, 3)))
    with pytest.raises(wg.ShapeError, match="2 axes"):
        wg.linalg.qr(gpu.zeros(3))
    with pytest.raises(wg.ShapeError, match="equations"):
        wg.linalg.solve(gpu.eye(3), gpu.zeros(4))
    with pytest.raises(wg.DTypeError, match="bool"):
        wg.linalg.inv(gpu.array([[True]]))
    assert float(wg.linalg.det(gpu.zeros((3, 3)))) == 0
    assert float(wg.linalg.det(gpu.zeros((0, 0)))) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 4), (4, 5)),
        ((4,), (4,)),
        ((4,), (4, 2)),
        ((2, 4), (4,)),
        ((5, 2, 3), (3, 4)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((3, 0), (0, 2)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint32, np.bool_])
def test_products(gpu, rng, left, right, dtype):
    a, b = rng.integers(0, 9, left).astype(dtype), rng.integers(0, 9, right).astype(dtype)
    got = gpu.array(a) @ gpu.array(b)
    want = a @ b
    assert got.dtype == dtype
    np.testing.assert_allclose(got.numpy(), want)


def test_products_of_views_copy_nothing_and_agree(gpu, rng):
    a, b = normal(rng, 40, 30), normal(rng, 40, 50)
    np.testing.assert_allclose((gpu.array(a).T @ gpu.array(b)).numpy(), a.T @ b, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        (gpu.array(a)[::2, 1:].T @ gpu.array(b)[::2]).numpy(), a[::2, 1:].T @ b[::2], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose((gpu.array(a)[::-1].T @ gpu.array(b)).numpy(), a[::-1].T @ b, rtol=1e-4, atol=1e-4)
    out = gpu.empty((30, 50))
    assert wg.matmul(gpu.array(a).T, b, out=out) is out
    np.testing.assert_allclose(out.numpy(), a.T @ b, rtol=1e-4, atol=1e-4)
    half = wg.matmul(gpu.array(a).T, gpu.array(b), precision="f16").numpy()
    np.testing.assert_allclose(
        half, a.astype(np.float16).astype(np.float32).T @ b.astype(np.float16).astype(np.float32), rtol=1e-3, atol=1e-3
    )
    with pytest.raises(wg.ShapeError, match=r"\(40, 30\) and \(40, 50\)"):
        gpu.array(a) @ gpu.array(b)


@pytest.mark.parametrize(
    "text",
    [
        "ij,jk->ik",
        "ij,ij->",
        "ij->ji",
        "ii->i",
        "ii",
        "bij,bjk->bik",
        "ij,jk,kl->il",
        "...ij,jk->...ik",
        "i,j->ij",
        "ij,kl->jl",
        "i,i",
        "bi,bj->bij",
    ],
)
def test_einsum(gpu, rng, text):
    sides = {"i": 5, "j": 6, "k": 7, "l": 3, "b": 2}
    terms = text.split("->")[0].split(",")
    arrays = [normal(rng, *([4] if "..." in t else []), *(sides[c] for c in t.replace("...", ""))) for t in terms]
    got = wg.einsum(text, *(gpu.array(a) for a in arrays)).numpy()
    np.testing.assert_allclose(got, np.einsum(text, *arrays), rtol=1e-4, atol=1e-4)


def test_einsum_that_does_not_fit(gpu):
    with pytest.raises(wg.ShapeError, match="terms"):
        wg.einsum("ij,jk->ik", gpu.zeros((2, 3)))
    with pytest.raises(wg.ShapeError, match="'j'"):
        wg.einsum("ij,jk->ik", gpu.zeros((2, 3)), gpu.zeros((4, 5)))
    with pytest.raises(wg.ShapeError, match="result"):
        wg.einsum("ij->iz", gpu.zeros((2, 3)))


def test_norms(gpu, rng):
    a = normal(rng, 4, 6)
    g = gpu.array(a)
    for order in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        np.testing.assert_allclose(
            wg.linalg.norm(g, order).numpy(), np.linalg.norm(a, order), rtol=1e-4, err_msg=str(order)
        )
    for order in (None, 0, 1, 2, 3, 0.5, -1, np.inf, -np.inf):
        got = wg.linalg.norm(g, order, axis=1, keepdims=True).numpy()
        np.testing.assert_allclose(got, np.linalg.norm(a, order, axis=1, keepdims=True), rtol=1e-4, err_msg=str(order))
    for scale in (1e30, 1e-30):
        np.testing.assert_allclose(
            wg.linalg.norm(gpu.array(a * np.float32(scale))).numpy(), np.linalg.norm(a) * scale, rtol=1e-5
        )


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0), (2, 3, 0), (0, 2, 3)])
def test_norms_of_nothing(gpu, shape):
    x, a = np.zeros(shape, np.float32), gpu.zeros(shape)
    for order in ("fro", "nuc", 1, 2, np.inf, -1, -2, -np.inf):
        try:
            wanted = np.linalg.matrix_norm(x, ord=order)
        except ValueError:
            with pytest.raises(ValueError, match="no elements|no smallest singular value"):
                xp.linalg.matrix_norm(a, ord=order)
        else:
            np.testing.assert_array_equal(xp.linalg.matrix_norm(a, ord=order).numpy(), wanted)
    for order in (0, 1, 2, 3, np.inf):
        for axis in (None, 0, -1):
            wanted = np.linalg.vector_norm(x, ord=order, axis=axis)
            np.testing.assert_array_equal(xp.linalg.vector_norm(a, ord=order, axis=axis).numpy(), wanted)


def test_other_products(gpu, rng):
    a, b, c = normal(rng, 3, 4), normal(rng, 4, 3), normal(rng, 5, 3)
    np.testing.assert_allclose(
        xp.tensordot(gpu.array(a), gpu.array(b), axes=([0], [1])).numpy(),
        np.tensordot(a, b, ([0], [1])),
        rtol=1e-4,
        atol=1e-5,
    )
    np.testing.assert_allclose(xp.vecdot(gpu.array(c), gpu.array(c)).numpy(), (c * c).sum(-1), rtol=1e-5)
    some = rng.random((2, 6, 5)) < 0.3
    got = xp.vecdot(gpu.array(some[0]), gpu.array(some[1])).numpy()
    np.testing.assert_array_equal(got, np.vecdot(some[0], some[1]), strict=True)
    np.testing.assert_allclose(
        xp.linalg.cross(gpu.array(c), gpu.array(c[::-1].copy())).numpy(), np.cross(c, c[::-1]), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(xp.linalg.trace(gpu.array(a), offset=1).numpy(), np.trace(a, 1), rtol=1e-5)
    np.testing.assert_allclose(xp.linalg.outer(gpu.array(c[0]), gpu.array(c[1])).numpy(), np.outer(c[0], c[1]))
    m = a[:, :3] + 3 * np.eye(3, dtype=np.float32)
    for n in (-2, 0, 1, 5):
        np.testing.assert_allclose(
            xp.linalg.matrix_power(gpu.array(m), n).numpy(),
            np.linalg.matrix_power(m.astype(np.float64), n),
            rtol=1e-3,
            atol=1e-4,
        )
    np.testing.assert_allclose(xp.linalg.pinv(gpu.array(a)).numpy(), np.linalg.pinv(a), rtol=1e-3, atol=1e-4)


def test_layers(gpu, rng):
    x, w, b = normal(rng, 5, 9), normal(rng, 9), normal(rng, 9)
    g = gpu.array(x)
    np.testing.assert_allclose(wg.softmax(g).numpy(), scipy_softmax(x, axis=-1), rtol=1e-5)
    np.testing.assert_allclose(
        wg.softmax(g * 100, axis=0).numpy(), scipy_softmax(x * np.float32(100), axis=0), rtol=1e-4, atol=1e-30
    )
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    np.testing.assert_allclose(
        wg.layer_norm(g, w, b).numpy(), (x - mean) / np.sqrt(var + 1e-5) * w + b, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        wg.rms_norm(g, w).numpy(), x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(wg.relu(g).numpy(), np.maximum(x, 0))
    np.testing.assert_allclose(wg.silu(g).numpy(), x / (1 + np.exp(-x)), rtol=1e-5)
    np.testing.assert_allclose(wg.gelu(g).numpy(), x * 0.5 * (1 + erf(x / np.sqrt(2))), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(wg.gelu(g, approximate="tanh").numpy(), x * 0.5 * (1 + erf(x / np.sqrt(2))), atol=2e-3)
    assert wg.transpose(g).shape == (9, 5)
    np.testing.assert_array_equal(
        wg.subtract(wg.add(x, x, gpu=gpu), wg.multiply(x, 2, gpu=gpu)).numpy(), np.zeros_like(x)
    )
    with pytest.raises(wg.DTypeError, match="floats"):
        wg.softmax(gpu.array([1, 2]))


def test_coroutine_twins(gpu, rng):
    m = normal(rng, 20, 20)
    a = (m @ m.T + 20 * np.eye(20)).astype(np.float32)
    b = normal(rng, 20, 2)

    async def all_of_them():
        x = gpu.array(a)
        return [
            (await found).numpy()
            for found in (wg.linalg.solve_async(x, b), wg.linalg.inv_async(x), wg.linalg.cholesky_async(x, upper=True))
        ]

    for got, want in zip(
        asyncio.run(all_of_them()),
        [wg.linalg.solve(gpu.array(a), b), wg.linalg.inv(gpu.array(a)), wg.linalg.cholesky(gpu.array(a), upper=True)],
        strict=True,
    ):
        np.testing.assert_array_equal(got, want.numpy())
    for bad in (wg.linalg.solve_async(gpu.ones((3, 3)), gpu.ones(3)), wg.linalg.inv_async(gpu.zeros((2, 2)))):
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            asyncio.run(bad)
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        asyncio.run(wg.linalg.cholesky_async(gpu.array([[1.0, 2.0], [2.0, 1.0]])))
