"""Roots of unity and chirps, computed in float64 and kept on the GPU: `sin` in a shader is off by 1e-4 on some adapters."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.fourier.plan import convolution_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.device.handles import Buffer

Array = np.ndarray[Any, Any]
_MOST_BYTES = 64 << 20
"""Tables of a GPU are forgotten, the oldest first, when they take more."""
_kept: weakref.WeakKeyDictionary[Runtime, dict[object, Buffer]] = weakref.WeakKeyDictionary()


def roots(n: int, powers: Array) -> Array:
    """Return exp(-2 pi i k / n) for whole powers k, as complex128: k is reduced modulo n before it is rounded."""
    angle = np.asarray(powers % n, np.float64) * (-2.0 * math.pi / n)
    return np.cos(angle) + 1j * np.sin(angle)


def split_of(n: int) -> int:
    """Return how many bits of a power the first of the two tables of `split_roots` knows."""
    return max(1, (max(2, n) - 1).bit_length() // 2)


def split_roots(n: int) -> Array:
    """Return two tables in one: the root to the powers 0 ... 2**s - 1, then to the multiples of 2**s below n, with s of `split_of`."""
    low = 1 << split_of(n)
    return np.concatenate([roots(n, np.arange(low)), roots(n, np.arange(0, n, low))])


def chirp(n: int, *, inverse: bool) -> Array:
    """Return exp(-pi i k**2 / n) for k below n (with the other sign for the inverse)."""
    k = np.arange(n, dtype=np.int64)
    wave = roots(2 * n, k * k % (2 * n))
    return wave.conj() if inverse else wave


def chirp_response(n: int, *, inverse: bool) -> Array:
    """Return the transform of the chirp that Bluestein's convolution is with, divided by its length."""
    length = convolution_length(n)
    wave = chirp(n, inverse=not inverse)
    padded = np.zeros(length, np.complex128)
    padded[:n] = wave
    padded[length - n + 1 :] = wave[:0:-1]
    return np.fft.fft(padded) / length


def table(runtime: Runtime, key: object, make: Callable[[], Array]) -> Buffer:
    """Return a table on the GPU as complex64, made at first use, and anew after a loss of the page."""
    kept = _kept.setdefault(runtime, {})
    found = kept.pop(key, None)
    if found is None or found.freed or found.generation != runtime.queue.composing:
        data = np.ascontiguousarray(make(), np.complex64)
        # The values are there before a program that is being recorded, and are no part of it.
        with runtime.outside():
            found = runtime.queue.alloc(data.nbytes, "roots of unity")
            runtime.queue.write(found, data.view(np.uint8))
    kept[key] = found
    while len(kept) > 1 and sum(buffer.size_bytes for buffer in kept.values()) > _MOST_BYTES:
        del kept[next(iter(kept))]
    return found
