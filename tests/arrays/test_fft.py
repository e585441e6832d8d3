"""Fourier transforms against NumPy's in float64, of drawn lengths, on the kernels of CPUs and of GPUs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from fourier_errors import WORKGROUPS, check, drawn, off
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import webgpu_widget as wg
from webgpu_widget import xp
from webgpu_widget.arrays.fourier import tables
from webgpu_widget.arrays.fourier.plan import Limits, good_length, is_smooth, passes, stages
from webgpu_widget.arrays.lazy.runtime import runtime_of

F = xp.fft
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(n=st.integers(1, 3000), rows=st.integers(1, 5))
def test_any_length(gpu, rng, n, rows):
    check(gpu, rng, n, shape=(rows, n))


@FEW
@given(n=st.integers(1, 70), outer=st.integers(1, 5), rows=st.integers(1, 70), inner=st.integers(1, 9))
def test_any_axis_cut_or_filled_up(gpu, rng, n, outer, rows, inner):
    check(gpu, rng, n, axis=1, shape=(outer, rows, inner))


@pytest.mark.parametrize("kind", ["hfft", "ihfft"])
@pytest.mark.parametrize("n", [1, 2, 9, 34, 48, 121])
def test_transforms_of_and_into_conjugates(gpu, rng, n, kind):
    check(gpu, rng, n, kinds=(kind,))
    check(gpu, rng, n, axis=0, shape=(17, 3), kinds=(kind,))


@pytest.mark.parametrize(
    ("n", "shape", "axis"),
    [
        (48, (3, 48), 1),
        (77, (5, 77, 2), 1),
        (60, (60, 9), 0),
        (4096, (2, 4096), 1),
        (50, (2, 33, 5), 1),
        (37, (3, 40), 1),
        (53, (3, 53, 9), 1),
        (509, (2, 509, 8), 1),
        (1009, (2, 1009), 1),
        (2**14, (2, 2**14), 1),
    ],
)
@pytest.mark.usefixtures("in_workgroups")
def test_kernels_of_workgroups(gpu, rng, n, shape, axis):
    check(gpu, rng, n, axis=axis, shape=shape)


@pytest.mark.long
@pytest.mark.parametrize("n", [256, 1000, 1024, 2187, 8192, 2**16])
@pytest.mark.usefixtures("in_workgroups")
def test_more_kernels_of_workgroups(gpu, rng, n):
    check(gpu, rng, n)
    check(gpu, rng, n, axis=0, shape=(n, 6))


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward", None])
def test_norms(gpu, rng, norm):
    z = drawn(rng, 4, 15)
    a, wide = gpu.array(z), z.astype(np.complex128)
    for kind in ("fft", "ifft", "irfft", "hfft", "fftn", "ifftn"):
        assert off(getattr(F, kind)(a, norm=norm).numpy(), getattr(np.fft, kind)(wide, norm=norm), 60) < 1
    with pytest.raises(ValueError, match="backward"):
        F.fft(a, norm="both")


def test_several_axes(gpu, rng):
    z = drawn(rng, 6, 5, 9)
    a, wide = gpu.array(z), z.astype(np.complex128)
    x, real = gpu.array(z.real.copy()), z.real.astype(np.float64)
    for options in ({}, {"axes": (2, 0)}, {"s": (4, 12), "axes": (0, 1)}, {"axes": (1,)}):
        for kind in ("fftn", "ifftn", "irfftn"):
            assert off(getattr(F, kind)(a, **options).numpy(), getattr(np.fft, kind)(wide, **options), 400) < 1
        assert off(F.rfftn(x, **options).numpy(), np.fft.rfftn(real, **options), 400) < 1
    assert off(F.fftn(a, s=(7, 8)).numpy(), np.fft.fftn(wide, s=(7, 8), axes=(1, 2)), 400) < 1
    assert off(F.irfftn(F.rfftn(x), s=x.shape).numpy(), real, 400) < 1


def test_frequencies_and_shifts(gpu):
    for n in (1, 4, 7):
        np.testing.assert_allclose(F.fftfreq(n, d=0.5, device=gpu).numpy(), np.fft.fftfreq(n, 0.5), rtol=1e-7)
        np.testing.assert_allclose(F.rfftfreq(n, device=gpu).numpy(), np.fft.rfftfreq(n), rtol=1e-7)
        x = np.arange(3 * n, dtype=np.float32).reshape(3, n)
        for axes in (None, 1, (0, 1)):
            shifted = F.fftshift(gpu.array(x), axes=axes)
            np.testing.assert_array_equal(shifted.numpy(), np.fft.fftshift(x, axes))
            np.testing.assert_array_equal(F.ifftshift(shifted, axes=axes).numpy(), x)


def test_what_conjugates_leave_no_room_for_counts_for_nothing(gpu, rng):
    z = drawn(rng, 9)
    for n in (16, 17, 34):
        changed = z.copy()
        changed[0] += 3j
        if n == 16:
            changed[8] += np.complex64(complex(0, np.nan))
        assert off(F.irfft(gpu.array(changed), n=n).numpy(), np.fft.irfft(z, n=n), n) < 1


def test_real_and_whole_numbers_are_transformed_as_float32(gpu, rng):
    x = rng.integers(-9, 9, (3, 20)).astype(np.int32)
    for a in (gpu.array(x), gpu.array(x.astype(np.float16)), x):
        assert off(F.fft(a).numpy(), np.fft.fft(x), 20) < 1
        assert off(F.rfft(a).numpy(), np.fft.rfft(x), 20) < 1


def test_numpys_functions(gpu, rng):
    z = drawn(rng, 8, 6)
    a = gpu.array(z)
    for name in ("fft", "ifft", "hfft", "irfft", "fft2", "ifft2", "fftn", "irfftn", "irfft2"):
        found = getattr(np.fft, name)(a)
        assert isinstance(found, wg.GPUArray)
        assert off(found.numpy(), getattr(np.fft, name)(z.astype(np.complex128)), 48) < 1
    assert off(np.fft.rfft2(a.real).numpy(), np.fft.rfft2(z.real.astype(np.float64)), 48) < 1
    np.testing.assert_array_equal(np.fft.fftshift(a).numpy(), np.fft.fftshift(z))


def test_views_and_empty_arrays(gpu, rng):
    z = drawn(rng, 12, 10)
    a = gpu.array(z)
    assert off(F.fft(a[::2, 1:9].T, axis=0).numpy(), np.fft.fft(z.astype(np.complex128)[::2, 1:9].T, axis=0), 8) < 1
    assert F.fft(a[:0]).shape == (0, 10)
    assert not F.fft(a[:, :0], n=4).numpy().any()
    assert F.fftn(gpu.array(2.5)).numpy() == 2.5
    np.testing.assert_array_equal(F.fft(a, n=1).numpy()[:, 0], z[:, 0])


@pytest.mark.usefixtures("in_workgroups")
def test_a_program_replays_the_dispatches_of_a_plan(gpu, rng):
    z = drawn(rng, 4, 48)
    a = gpu.array(z)
    F.fft(a).numpy()
    runtime = runtime_of(a._device)
    before = runtime.dispatches
    with gpu.record() as program:
        spectrum = F.fft(a)
    assert runtime.dispatches - before == 1
    a[...] = a * 2
    program.replay(times=2)
    assert off(spectrum.numpy(), np.fft.fft(2 * z.astype(np.complex128)), 48) < 1


def test_tables_are_made_once_and_outside_of_programs(gpu, rng):
    z = drawn(rng, 3 * 19 * 16)
    a = gpu.array(z)
    with gpu.record() as program:
        spectrum = F.fft(a)
    kept = dict(tables._kept[runtime_of(a._device)])
    program.replay()
    assert off(spectrum.numpy(), np.fft.fft(z.astype(np.complex128)), z.size) < 1
    F.fft(a).numpy()
    assert {key: id(table) for key, table in tables._kept[runtime_of(a._device)].items()} == {
        key: id(table) for key, table in kept.items()
    }


def test_batches_beyond_a_binding_are_cut(gpu, rng, monkeypatch):
    z = drawn(rng, 100, 45)
    a, x = gpu.array(z), gpu.array(z.real.copy())
    monkeypatch.setattr(runtime_of(a._device), "binding_bytes", 64 * 45 * 8)
    assert off(F.fft(a).numpy(), np.fft.fft(z.astype(np.complex128)), 45) < 1
    assert off(F.rfft(x).numpy(), np.fft.rfft(z.real.astype(np.float64)), 45) < 1
    assert off(F.irfft(a).numpy(), np.fft.irfft(z.astype(np.complex128)), 45) < 1
    with pytest.raises(wg.LimitError, match="one binding"):
        F.fft(a.ravel())


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (wg.ShapeError, lambda a: F.fft(a, n=0)),
        (wg.ShapeError, lambda a: F.irfft(a[:, :1])),
        (wg.ShapeError, lambda a: F.fftn(a, axes=(0, 0))),
        (wg.ShapeError, lambda a: F.fftn(a, s=(2, 2, 2))),
        (wg.ShapeError, lambda a: F.fftn(a, s=(2,), axes=(0, 1))),
        (wg.ShapeError, lambda a: F.rfftn(a.real[0, 0])),
        (wg.ShapeError, lambda a: F.fftfreq(0, device=a.device)),
        (wg.DTypeError, lambda a: F.fftfreq(4, dtype=np.int32, device=a.device)),
        (wg.DTypeError, F.rfft),
        (wg.DTypeError, F.ihfft),
        (wg.DTypeError, lambda _: F.fft(np.zeros(4))),
        (wg.DTypeError, lambda _: F.fft(np.zeros(4, np.complex128))),
        (np.exceptions.AxisError, lambda a: F.fft(a, axis=2)),
        (np.exceptions.AxisError, lambda a: F.fftn(a, axes=(0, -3))),
        (np.exceptions.AxisError, lambda a: F.fft(a[0, 0])),
        (wg.BufferSizeError, lambda a: F.fft(a, n=2**40)),
        (TypeError, lambda a: F.fft(a, n=2.5)),
        (wg.ShapeError, lambda a: F.fft(a, n=-3)),
        (wg.ShapeError, lambda a: F.irfft(a, n=0)),
        (wg.ShapeError, lambda a: F.hfft(a, n=0)),
        (wg.ShapeError, lambda a: F.ifftn(a, s=(0, 3))),
        (wg.ShapeError, lambda a: F.fft(a[:, :0])),
        (wg.DTypeError, F.rfftn),
        (np.exceptions.AxisError, lambda a: F.fftshift(a, axes=2)),
        (np.exceptions.AxisError, lambda a: F.irfftn(a, axes=(0, 2))),
        (TypeError, lambda a: F.fft(a, axis=0.5)),
        (TypeError, lambda a: F.fft(a, axis="last")),
        (TypeError, lambda a: F.fftn(a, s=(2, 2.5))),
    ],
)
def test_bad_input(gpu, error, call):
    a = gpu.zeros((4, 6), dtype=np.complex64)
    with pytest.raises(error):
        call(a)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_convolution(gpu, rng, mode):
    for left, right, axes in (
        ((40, 31), (7, 6), None),
        ((5, 40), (5, 7), (1,)),
        ((3, 17), (1, 4), (1,)),
        ((9,), (9,), None),
    ):
        a, b = (rng.normal(size=shape).astype(np.float32) for shape in (left, right))
        found = wg.fft_convolve(a, b, mode, axes=axes, gpu=gpu)
        wanted = scipy.signal.fftconvolve(a.astype(np.float64), b.astype(np.float64), mode, axes)
        assert (found.dtype, found.shape) == (np.float32, wanted.shape)
        # Both factors and the inverse have a transform's error.
        assert np.linalg.norm(found.numpy() - wanted) < 3 * 1.5e-7 * np.log2(a.size + b.size) * np.linalg.norm(
            a
        ) * np.linalg.norm(b)
        z = a + 1j * a[::-1]
        found = wg.fft_convolve(z.astype(np.complex64), b, mode, axes=axes, gpu=gpu).numpy()
        wanted = scipy.signal.fftconvolve(z.astype(np.complex128), b.astype(np.float64), mode, axes)
        assert np.linalg.norm(found - wanted) < 3 * 1.5e-7 * np.log2(a.size + b.size) * np.linalg.norm(
            z
        ) * np.linalg.norm(b)


def test_convolutions_that_are_none(gpu):
    x = gpu.ones((4, 5))
    for a, b, mode, error in (
        (x, gpu.ones(3), "full", wg.ShapeError),
        (x, gpu.ones((2, 9)), "valid", wg.ShapeError),
        (x, gpu.ones((0, 2)), "full", wg.ShapeError),
        (x, x, "wrap", ValueError),
    ):
        with pytest.raises(error):
            wg.fft_convolve(a, b, mode)
    with pytest.raises(wg.ShapeError, match="broadcast"):
        wg.fft_convolve(x, gpu.ones((3, 5)), axes=(1,))


@given(n=st.integers(1, 2**27))
def test_plans(n):
    assert good_length(n) >= n
    assert is_smooth(good_length(n))
    if not is_smooth(n):
        return
    for limits in (WORKGROUPS, Limits(49152, 1024, cpu=False), Limits()):
        lengths = passes(n, limits)
        assert np.prod(lengths) == n
        for length in lengths:
            assert np.prod(stages(length)) == length
            assert max(stages(length)) <= 16
            assert limits.cpu or len(stages(length)) == 1 or limits.fits(length, 1)
