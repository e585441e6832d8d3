"""What tests of Fourier transforms share: drawn numbers, and how far from NumPy's float64 a result may be."""

from __future__ import annotations

import numpy as np

from webgpu_widget import xp
from webgpu_widget.arrays.fourier.plan import Limits

WORKGROUPS = Limits(32768, 256, cpu=False)
"""What the smallest GPUs have: lines in workgroup memory."""


def drawn(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def off(found, wanted, n):
    """Return the relative error in the L2 norm, in what is allowed: half a unit in the last place for each doubling, and chance."""
    found, wanted = np.asarray(found, np.complex128), np.asarray(wanted, np.complex128)
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted) / (1.5e-7 * max(1, np.log2(n)))


def check(gpu, rng, n, *, axis=-1, shape=None, kinds=("fft", "ifft", "rfft", "irfft")):
    """Compare transforms of `n` points, there and back, along one axis."""
    z = drawn(rng, *(shape or (2, n)))
    wide, x = z.astype(np.complex128), z.real.astype(np.float64)
    for kind in kinds:
        mine = z.real if kind in ("rfft", "ihfft") else z
        theirs = x if kind in ("rfft", "ihfft") else wide
        found = getattr(xp.fft, kind)(gpu.array(np.ascontiguousarray(mine)), n=n, axis=axis)
        wanted = getattr(np.fft, kind)(theirs, n=n, axis=axis)
        assert found.dtype == (np.float32 if kind in ("irfft", "hfft") else np.complex64)
        assert found.shape == wanted.shape
        assert off(found.numpy(), wanted, n) < 1, (kind, n, off(found.numpy(), wanted, n))
