"""Indices of all kinds, mixed at random, read and written: NumPy's shapes and values, and an error where NumPy has one."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg

ROUNDS = 150


def drawn(rng, shape):
    """Draw an index of a shape: integers, slices, arrays that broadcast, a mask, new axes and an ellipsis, which may stand for no axes."""
    entries, axis = [], 0
    common = tuple(rng.integers(1, 4, rng.integers(0, 3)).tolist())
    used = rng.integers(0, len(shape) + 1) if rng.random() < 0.5 else len(shape)
    while axis < used:
        side, kind = shape[axis], rng.random()
        if kind < 0.45 and side:
            drop = rng.integers(0, len(common) + 1)
            entries.append(rng.integers(-side, side, common[drop:]).astype(np.int32))
        elif kind < 0.6 and side:
            entries.append(int(rng.integers(-side, side)))
        elif kind < 0.7 and axis + 1 < used and side * shape[axis + 1]:
            entries.append(rng.random(shape[axis : axis + 2]) < 0.5)
            axis += 1
        else:
            first, last = (None if rng.random() < 0.4 else int(n) for n in rng.integers(-side - 1, side + 2, 2))
            entries.append(slice(first, last, int(rng.choice([-2, -1, 1, 2]))))
        axis += 1
    for extra, chance in ((None, 0.3), (Ellipsis, 0.6)):
        if rng.random() < chance:
            entries.insert(int(rng.integers(0, len(entries) + 1)), extra)
    return tuple(entries)


def on_gpu(gpu, rng, index):
    return tuple(gpu.array(e) if isinstance(e, np.ndarray) and rng.random() < 0.5 else e for e in index)


def test_reading_and_writing_as_numpy_does(gpu, rng):
    for _ in range(ROUNDS):
        shape = tuple(rng.integers(0, 5, rng.integers(1, 5)).tolist())
        x = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
        index = drawn(rng, shape)
        try:
            wanted = x[index]
        except IndexError:
            with pytest.raises((IndexError, wg.ShapeError)):
                gpu.array(x)[index]
            continue
        got = gpu.array(x)[on_gpu(gpu, rng, index)].numpy()
        np.testing.assert_array_equal(got, wanted, strict=True, err_msg=f"{shape}[{index}]")
        unique = np.unique(wanted).size == wanted.size
        value = rng.integers(-99, 0, wanted.shape if unique else (), dtype=np.int32)
        a = gpu.array(x)
        x[index] = value
        a[on_gpu(gpu, rng, index)] = gpu.array(value)
        np.testing.assert_array_equal(a.numpy(), x, err_msg=f"{shape}[{index}] = {value.shape}")


def test_an_ellipsis_of_no_axes_keeps_arrays_apart(gpu):
    x = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    at = np.array([0, 2, 1], np.int32)
    for index in (np.s_[:, at, ..., at], np.s_[:, 1, ..., at], np.s_[:, at, ..., 3], np.s_[:, at, at, ...]):
        np.testing.assert_array_equal(gpu.array(x)[index].numpy(), x[index], strict=True)
