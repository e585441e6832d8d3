"""NumPy twins of the array shaders: the same steps, written down once more, to be compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _saturated(x: Array, dtype: Any) -> Array:
    """Toward zero; out of range saturates, NaN is 0."""
    ends = np.iinfo(dtype)
    return np.asarray(np.trunc(np.nan_to_num(x.astype(np.float64), nan=0.0)).clip(ends.min, ends.max).astype(dtype))


def _integer_power(x: Array, y: Array) -> Array:
    """Modulo 2**32; a negative exponent gives the truncated quotient, and 0 for a base of 0."""
    wrapped = np.power(x, np.maximum(y, 0))
    negative = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (y & 1), 0)) if x.dtype.kind == "i" else wrapped
    return np.where(y < 0, negative, wrapped).astype(x.dtype)


def _sort_key(x: Array) -> Array:
    """Unsigned keys in the order of the floats: zeros equal, NaN last."""
    bits = np.asarray(x, np.float32).view(np.int32)
    order = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return np.where(np.isnan(x), np.uint32(0xFFFFFFFF), order.view(np.uint32) ^ np.uint32(0x80000000))


def _halves(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return a function of float16 values that are held in float32."""
    return lambda *x: function(*(part.astype(np.float16) for part in x)).astype(np.float32)


elementwise: dict[str, Callable[..., Array]] = {
    "f_isnan": np.isnan,
    "f_isinf": np.isinf,
    "f_isfinite": np.isfinite,
    "f_signbit": np.signbit,
    "f_copysign": np.copysign,
    "f_abs": np.abs,
    "f_negative": np.negative,
    "f_less": np.less,
    "f_less_equal": np.less_equal,
    "f_equal": np.equal,
    "f_not_equal": np.not_equal,
    "f_maximum": np.maximum,
    "f_minimum": np.minimum,
    "f_sign": np.sign,
    "f_ceil": np.ceil,
    "f_floor": np.floor,
    "f_trunc": np.trunc,
    "f_round": np.rint,
    "f_nextafter": np.nextafter,
    "f_sqrt": np.sqrt,
    "f_divide": np.divide,
    "f_fmod": np.fmod,
    "f_remainder": np.remainder,
    "f_floor_divide": np.floor_divide,
    "f_sort_key": _sort_key,
    "f_to_i32": lambda x: _saturated(x, np.int32),
    "f_to_u32": lambda x: _saturated(x, np.uint32),
    "f_to_f16": lambda x: x.astype(np.float16).view(np.uint16).astype(np.uint32),
    "h_to_f32": lambda h: h.astype(np.uint16).view(np.float16).astype(np.float32),
    "h_rounded": lambda x: x.astype(np.float16).astype(np.float32),
    "h_divide": _halves(np.divide),
    "h_sqrt": _halves(np.sqrt),
    "h_nextafter": _halves(np.nextafter),
    "i_pow": _integer_power,
    "u_pow": _integer_power,
    "i_sort_key": lambda x: x.view(np.uint32) ^ np.uint32(0x80000000),
    "i_floor_divide": np.floor_divide,
    "i_remainder": np.remainder,
    "u_floor_divide": np.floor_divide,
    "u_remainder": np.remainder,
    "i_left_shift": np.left_shift,
    "u_left_shift": np.left_shift,
    "i_right_shift": np.right_shift,
    "u_right_shift": np.right_shift,
}
"""What each function of the library is in NumPy."""

transcendental: dict[str, Callable[..., Array]] = {
    "f_exp": np.exp,
    "f_expm1": np.expm1,
    "f_sinh": np.sinh,
    "f_cosh": np.cosh,
    "f_tanh": np.tanh,
    "f_log": np.log,
    "f_log1p": np.log1p,
    "f_log2": np.log2,
    "f_log10": np.log10,
    "f_logaddexp": np.logaddexp,
    "f_asinh": np.arcsinh,
    "f_acosh": np.arccosh,
    "f_atanh": np.arctanh,
    "f_sin": np.sin,
    "f_cos": np.cos,
    "f_tan": np.tan,
    "f_asin": np.arcsin,
    "f_acos": np.arccos,
    "f_atan": np.arctan,
    "f_atan2": np.arctan2,
    "f_hypot": np.hypot,
    "f_erf": lambda x: np.array([math.erf(value) for value in x.tolist()]),
    "f_pow": np.power,
}
"""What each function of the library is in NumPy; to be asked in float64 and rounded."""


def scan(x: Array, axis: int, *, product: bool = False) -> Array:
    """Return running sums or products, the running totals of the parts added to those within a part."""
    length = x.shape[axis]
    part = max(16, int(length**0.5))
    lines = np.moveaxis(x, axis, -1)
    combine = np.multiply if product else np.add
    carry = np.full(lines.shape[:-1], 1 if product else 0, x.dtype)
    parts = []
    for start in range(0, length, part):
        within = combine.accumulate(lines[..., start : start + part], axis=-1, dtype=x.dtype)
        parts.append(combine(carry[..., None], within))
        carry = parts[-1][..., -1]
    return np.moveaxis(np.concatenate(parts, axis=-1), -1, axis)


def merge(keys: Array, index: Array, width: int) -> tuple[Array, Array]:
    """Return runs of twice the width, by the rank of each element in its sister run."""
    length = keys.shape[-1]
    out_keys, out_index = np.empty_like(keys), np.empty_like(index)
    for row in np.ndindex(keys.shape[:-1]):
        for begin in range(0, length, 2 * width):
            middle, end = min(begin + width, length), min(begin + 2 * width, length)
            left, right = keys[row][begin:middle], keys[row][middle:end]
            place = np.concatenate(
                [
                    np.arange(left.size) + np.searchsorted(right, left, "left"),
                    np.arange(right.size) + np.searchsorted(left, right, "right"),
                ]
            )
            out_keys[row][begin + place] = keys[row][begin:end]
            out_index[row][begin + place] = index[row][begin:end]
    return out_keys, out_index


def search(keys: Array, wanted: Array, *, right: bool = False) -> Array:
    """Return where values belong among ascending keys, int32."""
    return np.searchsorted(keys, wanted, "right" if right else "left").astype(np.int32)


def compress(mask: Array) -> Array:
    """Return the linear indices of the true elements, int32."""
    return np.flatnonzero(mask).astype(np.int32)


def scatter(y: Array, place: Array, value: Array) -> Array:
    """Return `y` with values written to linear indices; the last of several for one place stays."""
    result = y.copy()
    for at, what in zip(place.reshape(-1), value.reshape(-1), strict=True):
        result.reshape(-1)[at] = what
    return result


def philox(count: int, seed: int, stream: int = 0) -> Array:
    """Return `count` words of Philox 4x32-10, uint32: word k of block n at 4 n + k."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    c = [blocks, np.zeros_like(blocks), np.full_like(blocks, stream & 0xFFFFFFFF), np.zeros_like(blocks)]
    low = np.uint64(0xFFFFFFFF)
    k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        shift = np.uint64(32)
        c = [
            (second >> shift) ^ c[1] ^ np.uint64(k0),
            second & low,
            (first >> shift) ^ c[3] ^ np.uint64(k1),
            first & low,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=-1).reshape(-1)[:count].astype(np.uint32)


def product(a: Array, b: Array) -> Array:
    """Return the matrix product of integers modulo 2**32."""
    return np.asarray(np.matmul(a, b))


def lu(a: Array) -> tuple[Array, Array]:
    """Return L and U in one matrix, and the row exchanged with each row, by partial pivoting."""
    a = a.copy()
    side = len(a)
    pivots = np.empty(side, np.int32)
    for j in range(side):
        row = j + int(np.argmax(np.abs(a[j:, j])))
        pivots[j] = row
        a[[j, row]] = a[[row, j]]
        if a[j, j] != 0:
            a[j + 1 :, j] /= a[j, j]
            a[j + 1 :, j + 1 :] -= np.outer(a[j + 1 :, j], a[j, j + 1 :])
    return a, pivots


def triangular(a: Array, b: Array, *, lower: bool, unit: bool) -> Array:
    """Return the solution of a triangular system, row by row."""
    x = b.copy()
    side = len(a)
    for i in range(side) if lower else reversed(range(side)):
        done = slice(0, i) if lower else slice(i + 1, side)
        x[i] -= a[i, done] @ x[done]
        if not unit:
            x[i] /= a[i, i]
    return x


def cholesky(a: Array) -> Array:
    """Return the lower triangle L of ``a = L @ L.T``, column by column."""
    a = a.copy()
    low = np.zeros_like(a)
    for j in range(len(a)):
        low[j:, j] = a[j:, j] / np.sqrt(a[j, j])
        a[j + 1 :, j + 1 :] -= np.outer(low[j + 1 :, j], low[j + 1 :, j])
    return low


def householder(a: Array) -> tuple[Array, Array]:
    """Return R with the reflections' vectors below its diagonal, and their factors, by LAPACK's conventions."""
    a = a.copy()
    rows, cols = a.shape
    factor = np.zeros(min(rows, cols), a.dtype)
    for j in range(min(rows, cols)):
        alpha, below = a[j, j], a[j + 1 :, j]
        if not below.any():
            continue
        beta = -np.copysign(np.hypot(alpha, np.linalg.norm(below)), alpha)
        factor[j] = (beta - alpha) / beta
        a[j + 1 :, j] = below / (alpha - beta)
        a[j, j] = beta
        v = np.concatenate([np.ones(1, a.dtype), a[j + 1 :, j]])
        a[j:, j + 1 :] -= factor[j] * np.outer(v, v @ a[j:, j + 1 :])
    return a, factor


def jacobi(a: Array, sweeps: int) -> tuple[Array, Array]:
    """Return a symmetric matrix made diagonal, and the rotations that did it (its rows the vectors), in tournament order."""
    a = a.copy()
    side = len(a)
    v = np.eye(side, dtype=a.dtype)
    players = side + side % 2
    for turn in range(sweeps * (players - 1)):
        m = players - 1
        for k in range(players // 2):
            x = m if k == 0 else (turn % m + k) % m
            p, q = sorted((x, (turn % m + m - k) % m))
            if q >= side or abs(a[p, q]) <= 1e-30 * abs(a[q, q] - a[p, p]):
                continue
            zeta = (a[q, q] - a[p, p]) / (2 * a[p, q])
            t = np.copysign(1 / (abs(zeta) + np.hypot(zeta, 1)), zeta)
            c = 1 / np.sqrt(t * t + 1)
            rotation = np.array([[c, -c * t], [c * t, c]], a.dtype)
            a[[p, q]] = rotation @ a[[p, q]]
            a[:, [p, q]] = a[:, [p, q]] @ rotation.T
            v[[p, q]] = rotation @ v[[p, q]]
    return a, v


def relayout(source: Array, places: Array, target: Array) -> Array:
    """Return records (n, halves) with half i of each from half ``places[i]`` of the source's; 0xFFFFFFFF keeps the target's."""
    kept = places == 0xFFFFFFFF
    return np.where(kept, target, source[:, np.where(kept, 0, places)])


def repack(source: Array, target: Array, shape: Sequence[int], strides: Sequence[int], into: Sequence[int]) -> Array:
    """Return target's words with elements (count, rows, columns) of `shape` moved to strides `into`, from source's, which lie by `strides`."""
    made = target.copy()
    places = np.indices(tuple(shape)).reshape(3, -1).T
    made[places @ np.array(into)] = source[places @ np.array(strides)]
    return made


def _log1p(z: Array) -> Array:
    """NumPy's own loses the real part of small complex numbers."""
    return 0.5 * np.log1p(z.real * (2 + z.real) + z.imag * z.imag) + 1j * np.arctan2(z.imag, 1 + z.real)


complex_numbers: dict[str, Callable[..., Array]] = {
    "c_multiply": np.multiply,
    "c_divide": np.divide,
    "c_square": np.square,
    "c_reciprocal": np.reciprocal,
    "c_sign": lambda z: z / np.abs(z),
    "c_abs": np.abs,
    "c_sqrt": np.sqrt,
    "c_exp": np.exp,
    "c_expm1": np.expm1,
    "c_log": np.log,
    "c_log1p": _log1p,
    "c_log2": np.log2,
    "c_log10": np.log10,
    "c_pow": np.power,
    "c_sin": np.sin,
    "c_cos": np.cos,
    "c_tan": np.tan,
    "c_asin": np.arcsin,
    "c_acos": np.arccos,
    "c_atan": np.arctan,
    "c_sinh": np.sinh,
    "c_cosh": np.cosh,
    "c_tanh": np.tanh,
    "c_asinh": np.arcsinh,
    "c_acosh": np.arccosh,
    "c_atanh": np.arctanh,
}
"""What each function of complex numbers is in NumPy; those that are here alone are parts of them."""


def fourier(x: Array, lengths: Sequence[int]) -> Array:
    """Return the transform along the last axis by Stockham's passes, whose lengths make its length, in complex128."""
    n, lead = x.shape[-1], x.shape[:-1]
    before = 1
    y = x.astype(np.complex128)
    for length in lengths:
        rest = n // length
        place = np.arange(rest) % before
        rows = np.arange(length)
        roots = np.exp(-2j * np.pi * np.outer(rows, place) / (length * before))
        matrix = np.exp(-2j * np.pi * np.outer(rows, rows) / length)
        lines = matrix @ (y.reshape(*lead, length, rest) * roots)
        lines = lines.reshape(*lead, length, rest // before, before)
        y = np.swapaxes(lines, -3, -2).reshape(*lead, n)
        before *= length
    return y
