"""NumPy's functions on arrays of the GPU, called as NumPy is: the same answers, on the GPU, or an error that names the way out."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.xp._functions import TWINS

CALLS = {
    "sum": lambda a: np.sum(a, axis=1, keepdims=True),
    "sum of what holds": lambda a: np.sum(a, where=np.asarray([True, False, True, True]), initial=2),
    "prod": lambda a: np.prod(a=a, axis=0),
    "max from": lambda a: np.max(a, axis=1, initial=0.75),
    "amin": lambda a: np.amin(a, (0, 1)),
    "mean": lambda a: np.mean(a, 0, np.float32),
    "std": lambda a: np.std(a, axis=1, ddof=1),
    "var": lambda a: np.var(a, keepdims=True),
    "average": lambda a: np.average(a, axis=1, weights=np.float32([1, 2, 3, 4])),
    "ptp": lambda a: np.ptp(a, axis=0),
    "argmax": lambda a: np.argmax(a, axis=-1),
    "cumsum": np.cumsum,
    "cumprod": lambda a: np.cumprod(a, axis=1),
    "count_nonzero": lambda a: np.count_nonzero(np.greater(a, 0.5), axis=0),
    "diff": lambda a: np.diff(a, n=2, axis=1, prepend=0),
    "clip": lambda a: np.clip(a, 0.3, None),
    "round": lambda a: np.round(a, 2),
    "nan_to_num": lambda a: np.nan_to_num(np.log(a - a[0]), neginf=-9),
    "isclose": lambda a: np.isclose(a, a * np.float32(1 + 2e-5), rtol=1e-5),
    "sort": lambda a: np.sort(a, axis=0),
    "argsort": np.argsort,
    "searchsorted": lambda a: np.searchsorted(np.sort(a[0]), a),
    "flatnonzero": lambda a: np.flatnonzero(np.greater(a, 0.5)),
    "argwhere": lambda a: np.argwhere(np.greater(a, 0.5)),
    "where": lambda a: np.where(a > 0.5, a, 0),
    "isin": lambda a: np.isin(np.round(a, 1), [0.5, 0.25], invert=True),
    "unique": lambda a: np.unique(np.round(a, 1)),
    "nansum": lambda a: np.nansum(np.log(a - 0.5), axis=1),
    "nanmax": lambda a: np.nanmax(np.log(a - 0.5)),
    "nanmin": lambda a: np.nanmin(np.log(a - 0.5), axis=0),
    "nanargmax": lambda a: np.nanargmax(np.log(a - np.median(a, axis=0)), axis=0),
    "nanargmin": lambda a: np.nanargmin(np.log(a - 0.2)),
    "nancumsum": lambda a: np.nancumsum(np.log(a - 0.5), axis=1),
    "nancumprod": lambda a: np.nancumprod(np.log(a - 0.5)),
    "nanmean": lambda a: np.nanmean(np.log(a - 0.5), axis=1),
    "nanstd": lambda a: np.nanstd(np.log(a - 0.5)),
    "nanvar": lambda a: np.nanvar(np.log(a - 0.5), axis=1, ddof=1),
    "median": lambda a: np.median(a, axis=1),
    "nanmedian": lambda a: np.nanmedian(np.log(a - 0.5), axis=1),
    "quantile": lambda a: np.quantile(a, [0.1, 0.5, 1], axis=0),
    "nanquantile": lambda a: np.nanquantile(np.log(a - 0.5), 0.3, axis=1, keepdims=True),
    "percentile": lambda a: np.percentile(a, 33, method="nearest"),
    "concatenate": lambda a: np.concatenate([a, a[:1], np.zeros((1, 4), np.float32)], axis=0),
    "stack": lambda a: np.stack((a, a), axis=-1),
    "vstack": lambda a: np.vstack([a, a[0]]),
    "hstack": lambda a: np.hstack([a[0], a[1]]),
    "dstack": lambda a: np.dstack([a, a]),
    "column_stack": lambda a: np.column_stack([a[:, 0], a]),
    "atleast_3d": np.atleast_3d,
    "reshape": lambda a: np.reshape(a, (2, -1)),
    "transpose": lambda a: np.transpose(a, axes=(1, 0)),
    "swapaxes": lambda a: np.swapaxes(a, 0, -1),
    "moveaxis": lambda a: np.moveaxis(a, 0, 1),
    "expand_dims": lambda a: np.expand_dims(a, [0, 2]),
    "squeeze": lambda a: np.squeeze(a[None]),
    "broadcast_to": lambda a: np.broadcast_to(a[0], (2, 4)),
    "flip": lambda a: np.flip(m=a, axis=1),
    "rot90": lambda a: np.rot90(a, 3),
    "rot90 once": np.rot90,
    "roll": lambda a: np.roll(a, (1, 2), axis=(0, 1)),
    "tile": lambda a: np.tile(a, 2),
    "repeat": lambda a: np.repeat(a, 2, axis=1),
    "array_split": lambda a: np.array_split(a, 3, axis=1)[1],
    "pad": lambda a: np.pad(a, ((1, 0), (2, 1)), constant_values=7),
    "pad by mirrors": lambda a: np.pad(a, 2, mode="reflect"),
    "pad around": lambda a: np.pad(a, (1, 3), "wrap"),
    "take": lambda a: np.take(a, [0, 2], axis=1),
    "take flat": lambda a: np.take(a, [0, -1]),
    "ones_like": lambda a: np.ones_like(a, dtype=np.int32),
    "full_like": lambda a: np.full_like(a, 2.5, shape=(3,)),
    "like": lambda a: np.zeros(3, np.float32, like=a),
    "asarray like": lambda a: np.asarray(np.float32([1, 2]), like=a),
    "meshgrid": lambda a: np.meshgrid(a[0], a[1])[1],
    "tril": lambda a: np.tril(a, -1),
    "dot": lambda a: np.dot(a, a[0]),
    "inner": lambda a: np.inner(a, a),
    "vdot": lambda a: np.vdot(a, a),
    "outer": lambda a: np.outer(a[0], a),
    "kron": lambda a: np.kron(a, np.float32([[1, 2]])),
    "einsum": lambda a: np.einsum("ij,kj->ik", a, a),
    "tensordot": lambda a: np.tensordot(a, a, axes=([0], [0])),
    "diag": lambda a: np.diag(a[0], 1),
    "diagonal": lambda a: np.diagonal(a, 1),
    "trace": np.trace,
    "cross": lambda a: np.cross(a[:, :3], a[:, 1:]),
    "norm": lambda a: np.linalg.norm(a, axis=1),
    "det": lambda a: np.linalg.det(a[:3, :3]),
    "inv": lambda a: np.linalg.inv(a[:3, :3] + 2 * np.eye(3, dtype=np.float32)),
    "solve": lambda a: np.linalg.solve(a[:3, :3] + 2 * np.eye(3, dtype=np.float32), a[:3, 3]),
    "matrix_power": lambda a: np.linalg.matrix_power(a[:3, :3], 3),
    "svd": lambda a: np.linalg.svd(a, compute_uv=False),
    "multi_dot": lambda a: np.linalg.multi_dot([a, a.T, a]),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings(
    "ignore:invalid value:RuntimeWarning",
    "ignore:divide by zero:RuntimeWarning",
    "ignore:Degrees of freedom:RuntimeWarning",
    "ignore:Mean of empty:RuntimeWarning",
    "ignore:All-NaN:RuntimeWarning",
)
def test_a_function_of_numpy_is_computed_on_the_gpu(gpu, rng, name):
    a = rng.uniform(0.1, 0.9, (5, 4)).astype(np.float32)
    got, want = CALLS[name](gpu.array(a)), CALLS[name](a)
    assert isinstance(got, wg.GPUArray), type(got)
    assert got.shape == np.shape(want)
    # 20 elements at most, functions of 4 units in the last place, and a condition of less than 30 in the solves.
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-4, atol=1e-5)


def test_a_scalar_answer_waits_for_it(gpu):
    x = gpu.array(np.float32([1, np.nan]))
    assert np.allclose(x, x, equal_nan=True) is True
    assert np.array_equal(x, x) is False
    assert np.array_equal(x, [1]) is False
    assert (np.ndim(x), np.shape(x), np.size(x), np.size(x, 0)) == (1, (2,), 2, 2)


def test_copyto_and_out_write_on_the_gpu(gpu):
    x, y = gpu.array(np.float32([[1, 2], [3, 4]])), gpu.zeros(2)
    assert np.sum(x, axis=0, out=y) is y
    assert y.numpy().tolist() == [4, 6]
    np.copyto(y, [7, 8], where=np.asarray([True, False]))
    assert y.numpy().tolist() == [7, 6]


@pytest.mark.parametrize(
    "call",
    [
        np.unwrap,
        lambda x: np.convolve(x, x),
        np.histogram,
        np.linalg.eigvals,
        lambda x: np.reshape(x, (2, 2), order="F"),
        lambda x: np.quantile(x, 0.5, method="weibull"),
        lambda x: np.einsum("i->", x, dtype=np.float32),
    ],
)
def test_what_is_not_there_names_the_way_out(gpu, call):
    with pytest.raises(wg.UnsupportedError, match=r"x\.numpy\(\)"):
        call(gpu.ones(4))


def test_an_argument_that_is_not_there_is_named(gpu):
    with pytest.raises(wg.UnsupportedError, match="mean.*where"):
        np.mean(gpu.ones(4), where=np.ones(4, bool))


@pytest.mark.parametrize("decimals", [-12, -2, -1, 0, 1, 3, 37, 60])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint32, np.float16])
def test_round(gpu, rng, decimals, dtype):
    a = np.concatenate([rng.uniform(0, 3000, 50), [25, 15, 5, 0, 250]]).astype(dtype)
    got = gpu.array(a).round(decimals)
    assert got.dtype == dtype
    unit = 10.0**-decimals
    want = a.astype(np.float64) if decimals > 15 else np.round(a.astype(np.float64), decimals)
    wrong = np.abs(got.numpy().astype(np.float64) - want)
    # A scaled value that lies by one rounding on the other side of a half goes to the next step.
    near_half = (
        np.abs(np.abs(a.astype(np.float64) / unit % 1) - 0.5) < 1e-3 * max(1.0, 1.0 / unit)
        if decimals < 30
        else np.zeros(a.shape, bool)
    )
    limit = np.finfo(dtype).eps * np.abs(want) if np.dtype(dtype).kind == "f" else 0
    assert ((wrong <= limit) | (near_half & (np.dtype(dtype).kind == "f"))).all()


def test_round_of_python(gpu):
    x = gpu.array(np.float32([1.25, 3.5]))
    assert round(x.sum()) == 5
    assert type(round(x.sum())) is int
    assert round(x.mean(), 1).item() == np.float32(2.4)
    assert round(gpu.array(np.float32(3e38)), 3).item() == np.float32(3e38), "no overflow on the way"
    with pytest.raises(TypeError, match="0-d"):
        round(x)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "any", "argmax", "cumsum"])
@pytest.mark.parametrize("axis", [0, -1])
def test_a_0d_array_has_the_axes_that_numpy_gives_it(gpu, name, axis):
    want = getattr(np, name)(np.float32(3), axis=axis)
    np.testing.assert_array_equal(getattr(gpu.array(np.float32(3)), name)(axis=axis).numpy(), want)


def test_twins_are_found_by_numpys_own_functions():
    assert len(TWINS) > 120
    assert all(callable(theirs) for theirs in TWINS)
