"""complex64: one dtype among the others, by NumPy's rules and the array API's."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp

VEC2 = """
@group(0) @binding(0) var<storage, read> x: array<vec2f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x].yx; }
}
"""
F32 = """
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(1) fn main() { x[0] = 1.0; }
"""
SPECIAL = np.array([0.0, -0.0, 1, -1, 0.5, -2, 30, -1e19, np.inf, -np.inf, np.nan], np.float32)
FUNCTIONS = {
    **{
        name: getattr(np, name)
        for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "square")
    },
    **{name: getattr(np, f"arc{name[1:]}") for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    "log10": np.log10,
}
"""Those whose special values NumPy has from the C library, as C's Annex G and the array API want them."""


@pytest.fixture
def pair(rng):
    def draw(*shape):
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)

    return draw


def close(found, wanted, rtol=1e-6):
    found = found.numpy()
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * np.abs(wanted).max(initial=0))


def test_host_data_goes_there_and_back(gpu, pair):
    for shape in ((), (0,), (1,), (3, 5)):
        z = np.asarray(pair(*shape))
        a = gpu.array(z)
        assert (a.dtype, a.nbytes) == (np.dtype(np.complex64), z.nbytes)
        np.testing.assert_array_equal(a.numpy(), z)
    assert gpu.array([1, 2j]).dtype == np.complex64
    assert gpu.array(2j).item() == 2j
    assert complex(gpu.array(1 + 2j)) == 1 + 2j
    np.testing.assert_array_equal(gpu.full(3, 1 - 2j, dtype=complex).numpy(), np.full(3, 1 - 2j))
    for made in (gpu.zeros(3, dtype=complex), gpu.ones(3, dtype=np.complex64), gpu.eye(3, dtype=np.complex64)):
        assert made.dtype == np.complex64
    np.testing.assert_array_equal(gpu.eye(2, dtype=np.complex64).numpy(), np.eye(2))
    np.testing.assert_array_equal(xp.astype(gpu.array([1, -2]), xp.complex64).numpy(), [1, -2])


def test_complex128_is_refused_with_the_way_out(gpu):
    with pytest.raises(wg.DTypeError, match="complex64"):
        gpu.array(np.zeros(2, np.complex128))
    with pytest.raises(wg.RangeError, match="infinite"):
        gpu.array([1e39j])


def test_operators_and_scalars(gpu, pair):
    z, w = pair(4, 7), pair(7)
    a, b = gpu.array(z), gpu.array(w)
    close(a + b, z + w)
    close(a - b, z - w)
    close(a * b, z * w)
    close(a / b, z / w)
    close(-a, -z)
    close(a * 2, z * 2)
    close(a * (1 + 2j), z * np.complex64(1 + 2j))
    close(1j / a, np.complex64(1j) / z)
    close(a.real * 1j, z.real * np.complex64(1j))
    close(a.real + b, z.real + w)
    close(a**3, z**3, 4e-6)
    close(a ** gpu.array(0.5), z ** np.complex64(0.5), 4e-6)
    assert (a == gpu.array(z)).all()
    assert not (a == b).any()
    assert (a != b).all()
    assert (gpu.array([1 + 0j, 1j]) == gpu.array([1.0, 0.0])).numpy().tolist() == [True, False]
    assert gpu.array([0j, 1j]).astype(bool).numpy().tolist() == [False, True]
    with pytest.raises(wg.DTypeError, match="complex128"):
        _ = gpu.array([1, 2]) * 1j


def test_parts(gpu, pair):
    z = pair(5, 3)
    a = gpu.array(z)
    close(a.real, z.real)
    close(xp.imag(a), z.imag)
    close(xp.conj(a), z.conj())
    close(xp.abs(a), np.abs(z))
    close(xp.angle(a), np.angle(z))
    close(xp.sign(a), z / np.abs(z))
    for function in (np.real, np.imag, np.conj, np.abs, np.angle):
        close(function(a), function(z))
    x = gpu.array([1, -2])
    assert (x.real.dtype, x.imag.dtype, x.conj().dtype) == (np.int32,) * 3
    assert x.imag.numpy().tolist() == [0, 0]


def test_sums_products_and_means(gpu, pair):
    z = pair(3, 1000)
    a = gpu.array(z)
    wide = z.astype(np.complex128)
    for axis in (None, 0, 1):
        close(a.sum(axis), wide.sum(axis).astype(np.complex64), 1e-5)
        close(a.mean(axis), wide.mean(axis).astype(np.complex64), 1e-5)
    close(a[:, :9].prod(1), wide[:, :9].prod(1).astype(np.complex64), 1e-5)
    close(xp.cumulative_sum(a, axis=1), wide.cumsum(1).astype(np.complex64), 1e-5)
    assert a.any()
    assert xp.count_nonzero(gpu.array([0j, 1j, 0.5])).item() == 2
    assert xp.sum(gpu.zeros((0, 2), dtype=np.complex64), axis=0).numpy().tolist() == [0, 0]


def test_sums_products_and_means_without_nan(gpu, pair):
    z = pair(3, 8)
    z[0, 1], z[1, :] = complex(np.nan, 1), complex(2, np.nan)
    a = gpu.array(z)
    wide = z.astype(np.complex128)
    for axis in (None, 0, 1):
        close(xp.nansum(a, axis), np.nansum(wide, axis).astype(np.complex64), 1e-5)
        close(xp.nanprod(a, axis), np.nanprod(wide, axis).astype(np.complex64), 1e-5)
    close(xp.nanmean(a, 0), np.nanmean(wide, 0).astype(np.complex64), 1e-5)
    assert np.isnan(xp.nanmean(a, 1).numpy()).tolist() == [False, True, False]


def test_matrix_products(gpu, pair):
    z, w = pair(2, 5, 33), pair(33, 6)
    a, b = gpu.array(z), gpu.array(w)
    close(a @ b, z @ w, 1e-5)
    close(a.real @ b, z.real @ w, 1e-5)
    close(wg.einsum("bik,kj->ij", a, b), np.einsum("bik,kj->ij", z, w), 1e-5)
    close(xp.vecdot(a[0], b.T[:5]), np.sum(z[0].conj() * w.T[:5], -1), 1e-5)
    close(xp.tensordot(a, b, axes=1), np.tensordot(z, w, 1), 1e-5)
    out = gpu.empty((2, 5, 6), dtype=np.complex64)
    wg.matmul(a, b, out=out)
    close(out, z @ w, 1e-5)


def test_shapes_indices_and_assignment(gpu, pair):
    z = pair(6, 8)
    a = gpu.array(z)
    close(a[1:5, ::-2], z[1:5, ::-2])
    close(a.T.reshape(4, 12), z.T.reshape(4, 12))
    close(a[:, np.array([3, 0, 3])], z[:, [3, 0, 3]])
    close(xp.concat([a, a.real], axis=1), np.concatenate([z, z.real], 1))
    close(xp.roll(a, 3, axis=1), np.roll(z, 3, 1))
    close(xp.where(a.real > 0, a, 0), np.where(z.real > 0, z, np.complex64(0)))
    a[1] = 2j
    a[gpu.array(np.int32([0, 4])), 2] = 7
    a[2:4, 1:3] = a[:2, :2] * 1j
    w = z.copy()
    w[1] = 2j
    w[[0, 4], 2] = 7
    w[2:4, 1:3] = w[:2, :2] * np.complex64(1j)
    close(a, w)
    with pytest.raises(wg.DTypeError, match="complex"):
        gpu.zeros(3)[0] = 1j
    with pytest.raises(wg.DTypeError, match="real"):
        a.astype(np.float32)


def test_a_kernel_binds_it_as_pairs(gpu, pair):
    z = pair(5, 3)
    swapped = z.imag + 1j * z.real
    close(gpu.kernel(VEC2)(x=gpu.array(z), y=wg.out(z.shape, np.complex64), threads=z.size), swapped)
    target = gpu.empty(z.shape, dtype=np.complex64)
    gpu.run(VEC2, x=z, y=target, threads=z.size)
    close(target, swapped)
    floats = gpu.kernel(VEC2)(x=gpu.array(z), y=wg.out((*z.shape, 2)), threads=z.size)
    np.testing.assert_array_equal(floats.numpy().view(np.complex64)[..., 0], swapped)
    with pytest.raises(wg.DTypeError, match="vec2f"):
        gpu.kernel(F32)(x=gpu.array(z), threads=1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(gpu, name):
    z = np.empty((SPECIAL.size, SPECIAL.size), np.complex64)
    z.real, z.imag = SPECIAL[:, None], SPECIAL
    found = getattr(xp, name)(gpu.array(z)).numpy()
    with np.errstate(all="ignore"):
        wanted = FUNCTIONS[name](z.astype(np.complex128))
    # Two infinities leave the sign of what becomes infinite open.
    both = ~(np.isfinite(z.real) | np.isfinite(z.imag))
    for part in ("real", "imag"):
        np.testing.assert_allclose(
            *(np.where(both, np.abs(v), v) for v in (getattr(found, part), getattr(wanted, part))), rtol=2e-6, atol=2e-7
        )


@pytest.mark.parametrize(
    "refused",
    [
        lambda a: a < 1,
        xp.max,
        xp.argmin,
        xp.sort,
        xp.unique_values,
        lambda a: xp.clip(a, 0, 1),
        xp.floor,
        xp.var,
        lambda a: xp.cumulative_prod(a, axis=0),
        wg.linalg.inv,
        wg.linalg.qr,
        wg.linalg.vector_norm,
        lambda a: xp.atan2(a, a),
    ],
)
def test_what_has_no_meaning_or_is_not_there_is_refused(gpu, pair, refused):
    with pytest.raises(wg.DTypeError, match="complex64"):
        refused(gpu.array(pair(4, 4)))


@pytest.mark.parametrize(
    "name", ["cholesky", "det", "inv", "matrix_norm", "matrix_rank", "pinv", "qr", "slogdet", "svd"]
)
def test_linear_algebra_refuses_it_by_its_own_name_whatever_the_size(gpu, name):
    for shape in ((2, 0, 0), (3, 3)):
        with pytest.raises(wg.DTypeError, match=f"^{name} is not there for complex64"):
            getattr(wg.linalg, name)(gpu.zeros(shape, dtype=np.complex64))


def test_rounding_takes_the_parts_by_themselves(gpu, pair):
    z = 1000 * pair(40)
    z[:3] = complex(0.5, -1.5), complex(np.inf, 2.5), complex(-0.2, np.nan)
    np.testing.assert_array_equal(xp.round(gpu.array(z)).numpy(), np.round(z))
    np.testing.assert_allclose(np.round(gpu.array(z[3:]), 2).numpy(), np.round(z[3:], 2), rtol=1e-6)
    np.testing.assert_array_equal(gpu.array(z[3:]).round(-1).numpy(), np.round(z[3:], -1))


def test_tanh_of_an_infinite_real_part_has_the_sign_that_the_imaginary_part_has(gpu):
    z = np.array([complex(x, y) for x in (np.inf, -np.inf) for y in (1, -1, 2, -2)], np.complex64)
    found = xp.tanh(gpu.array(z)).numpy()
    np.testing.assert_array_equal(found.real, np.sign(z.real))
    np.testing.assert_array_equal(found.imag, 0)
    np.testing.assert_array_equal(np.signbit(found.imag), np.signbit(z.imag))


def test_expm1_of_a_zero_has_a_positive_zero_for_its_real_part(gpu):
    z = np.array([complex(x, y) for x in (0.0, -0.0) for y in (0.0, -0.0)], np.complex64)
    found = xp.expm1(gpu.array(z)).numpy()
    np.testing.assert_array_equal(found, 0)
    assert not np.signbit(found.real).any()  # by the array API, where NumPy keeps the sign
    np.testing.assert_array_equal(np.signbit(found.imag), np.signbit(z.imag))
