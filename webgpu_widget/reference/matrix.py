"""NumPy twins of the matrix kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def convert(x: Array, out_rows: int, out_cols: int, dtype: Any, *, through_half: bool = False) -> Array:
    """Return (outer, inner, rows, cols) padded with zeros to out_rows x out_cols, as `dtype`; `through_half` rounds to float16 first."""
    y = np.zeros((*x.shape[:2], out_rows, out_cols), dtype)
    with np.errstate(over="ignore"):
        y[:, :, : x.shape[2], : x.shape[3]] = x.astype(np.float16) if through_half else x
    return y


def round_half(x: Array) -> Array:
    """Return `x` as float16."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16)


def reduce_splits(x: Array, y: Array | None = None) -> Array:
    """Return the sum over the first axis in its order, in float32, plus `y` when given."""
    total = np.zeros(x.shape[1:], np.float32)
    for part in x:
        total = total + part.astype(np.float32)
    return total if y is None else total + y


def product(a: Array, b: Array, *, half: bool = False) -> Array:
    """Return ``a @ b`` summed in float64, of operands rounded to float16 first when `half`."""
    if half:
        with np.errstate(over="ignore"):
            a, b = a.astype(np.float16), b.astype(np.float16)
    total: Array = np.matmul(a.astype(np.float64), b.astype(np.float64))
    return total


tiled = register = vector = product


def subgroup(a: Array, b: Array) -> Array:
    """Return ``a @ b`` summed in float64, of operands rounded to float16."""
    return product(a, b, half=True)
