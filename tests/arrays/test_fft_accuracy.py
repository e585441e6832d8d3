"""How near transforms of drawn lengths are to float64: random numbers, impulses, single frequencies, there and back, NaN and infinity."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from fourier_errors import check, drawn, off
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webgpu_widget import xp
from webgpu_widget.arrays.fourier.plan import LARGEST_PRIME, factors

F = xp.fft


def few(examples):
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def lengths(most):
    """Draw a prime, a power of one, what has small prime factors alone, or any length, of all sizes up to `most`."""
    size = st.floats(1, np.log2(most)).map(lambda size: int(2**size))
    prime = size.map(lambda n: next(p for p in range(n, 1, -1) if len(factors(p)) == 1))
    power = st.builds(
        lambda p, n: p ** max(1, int(np.log(n) / np.log(p) + 1e-9)),
        st.sampled_from([2, 3, 5, 7, 11, 13, 17, 19, 31, 127]),
        size,
    ).filter(lambda n: n <= most)
    smooth = size.map(lambda n: next(m for m in range(n, 0, -1) if factors(m)[-1:] <= (LARGEST_PRIME,)))
    return st.one_of(prime, power, smooth, size)


def largest_error(found, wanted, n):
    """Return the largest error of an element of a transform of `n` points, in what is allowed of the largest one."""
    return np.abs(found - wanted).max() / np.abs(wanted).max() / (1e-7 * max(1, np.log2(n)))


def check_simple(gpu, rng, n):
    """Transform an impulse and a single frequency, complex and real."""
    place = int(rng.integers(n))
    turns = place * np.arange(n) % n / n  # whole turns left out, for float64 has 53 bits
    impulse, wave = np.zeros(n, np.complex64), np.exp(2j * np.pi * turns).astype(np.complex64)
    impulse[place] = 1
    for z in (impulse, wave):
        wide = z.astype(np.complex128)
        x = np.ascontiguousarray(z.real)
        assert largest_error(F.fft(gpu.array(z)).numpy(), np.fft.fft(wide), n) <= 1, n
        assert largest_error(F.ifft(gpu.array(z)).numpy(), np.fft.ifft(wide), n) <= 1, n
        assert largest_error(F.rfft(gpu.array(x)).numpy(), np.fft.rfft(x.astype(np.float64)), n) <= 1, n


def check_there_and_back(gpu, rng, n):
    z = drawn(rng, 3, n)
    spectrum = F.fft(gpu.array(z), norm="ortho")
    assert off(F.ifft(spectrum, norm="ortho").numpy(), z, n) < 1, n
    energy = np.linalg.norm(z.astype(np.complex128))
    assert abs(np.linalg.norm(spectrum.numpy().astype(np.complex128)) / energy - 1) < 1.5e-7 * max(1, np.log2(n)), n
    x = gpu.array(z.real.copy())
    assert off(F.irfft(F.rfft(x), n=n).numpy(), z.real, n) < 1, n


@pytest.mark.parametrize("n", [2**14, 3**8, 5**5 * 4, 7**4, 11**3, 13**3, 127**2, 8191, 2 * 3 * 5 * 7 * 11 * 13])
def test_prime_powers_and_primes(gpu, rng, n):
    check(gpu, rng, n, shape=(n,), kinds=("fft", "irfft"))


@few(8)
@given(n=lengths(2**15))
def test_random_numbers(gpu, rng, n):
    check(gpu, rng, n, shape=(n,))


@few(8)
@given(n=lengths(2**14))
def test_impulses_and_single_frequencies_are_near_everywhere(gpu, rng, n):
    check_simple(gpu, rng, n)


@few(8)
@given(n=lengths(2**14))
def test_there_and_back_and_parseval(gpu, rng, n):
    check_there_and_back(gpu, rng, n)


@few(6)
@given(n=lengths(2**12))
@pytest.mark.usefixtures("in_workgroups")
def test_the_kernels_of_gpus_are_as_near(gpu, rng, n):
    check(gpu, rng, n)
    check_simple(gpu, rng, n)
    check_there_and_back(gpu, rng, n)


@pytest.mark.long
@pytest.mark.parametrize("n", [2**20, 2**22, 3**13, 1000003])
def test_long_transforms(gpu, rng, n):
    check(gpu, rng, n, shape=(n,))


@pytest.mark.long
@few(2)
@given(n=lengths(2**22).filter(lambda n: n > 2**15))
def test_long_transforms_of_drawn_lengths(gpu, rng, n):
    check(gpu, rng, n, shape=(n,))
    check_simple(gpu, rng, n)
    check_there_and_back(gpu, rng, n)


def check_spread(gpu, rng, n):
    """Compare with SciPy what a NaN and infinities in some of the lines make of them, and of the others."""
    x = rng.normal(size=(6, n)).astype(np.float32)
    x[1, 2], x[4, 0], x[5] = np.nan, np.inf, x[5] * 1e30
    z = np.stack([x, x[::-1]], axis=-1).view(np.complex64)[..., 0]
    for found, wanted in (
        (F.rfft(gpu.array(x)), scipy.fft.rfft(x)),
        (F.fft(gpu.array(x)), scipy.fft.fft(x)),
        (F.irfft(gpu.array(x)), scipy.fft.irfft(x)),
        (F.fft(gpu.array(x.T), axis=0).T, scipy.fft.fft(x)),
        (F.rfft(gpu.array(x.T), axis=0).T, scipy.fft.rfft(x)),
        (F.ifft(gpu.array(z)), scipy.fft.ifft(z)),
    ):
        values = found.numpy()
        np.testing.assert_array_equal(np.isfinite(values).all(1), np.isfinite(wanted).all(1))
        for row in np.flatnonzero(np.isfinite(wanted).all(1)):
            assert off(values[row], wanted[row], n) < 2  # SciPy's are of float32 too
        # An element that is not finite there is not finite here; a product of an infinity and a root's zero may be NaN instead.
        assert not np.isfinite(values[~np.isfinite(wanted)]).any()


@pytest.mark.parametrize("n", [3, 24, 31, 2**12])
def test_nan_and_infinity_stay_in_their_own_transform(gpu, rng, n):
    check_spread(gpu, rng, n)


@pytest.mark.parametrize("n", [24, 1009])
@pytest.mark.usefixtures("in_workgroups")
def test_they_stay_in_the_kernels_of_gpus(gpu, rng, n):
    check_spread(gpu, rng, n)
