"""NumPy twins of the shaders in ``shaders/cluster``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["escape", "product"]


def escape(
    x: NDArray[np.float32], y: NDArray[np.float32], max_iter: int
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Count iterations until escape, in f32.

    Parameters
    ----------
    x : ndarray, shape (width,)
        Real parts.
    y : ndarray, shape (height,)
        Imaginary parts.
    max_iter : int
        Most iterations.

    Returns
    -------
    iterations : ndarray of uint32, shape (height, width)
        First n with abs(z_n) > 2, or ``max_iter``.
    smoothed : ndarray of float32, shape (height, width)
        Continuous count at radius 2**8, NaN inside.
    """
    cx, cy = np.broadcast_arrays(x[None, :].astype(np.float32), y[:, None].astype(np.float32))
    zx, zy = np.zeros_like(cx), np.zeros_like(cx)
    squared = np.zeros_like(cx)
    iterations = np.zeros(cx.shape, np.uint32)
    total = np.zeros(cx.shape, np.uint32)

    def step(alive: NDArray[np.bool_]) -> None:
        a, b = zx[alive], zy[alive]
        zx[alive], zy[alive] = a * a - b * b + cx[alive], np.float32(2) * a * b + cy[alive]
        squared[alive] = zx[alive] * zx[alive] + zy[alive] * zy[alive]
        total[alive] += 1

    for _ in range(max_iter):
        alive = squared <= 4
        if not alive.any():
            break
        step(alive)
    inside = squared <= 4
    iterations[:] = np.where(inside, max_iter, total)
    for _ in range(16):
        step(~inside & (squared <= 65536))
    with np.errstate(divide="ignore", invalid="ignore"):
        smoothed = total + np.float32(1) - np.log2(np.log2(squared) / np.float32(16))
    return iterations, np.where(inside, np.float32(np.nan), smoothed).astype(np.float32)


def product(a: NDArray[np.float32], b: NDArray[np.float32], c: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """Return ``c + a @ b``, summed in float64 and rounded once."""
    total = a.astype(np.float64) @ b.astype(np.float64)
    return (total if c is None else total + c).astype(np.float32)
