"""NumPy twins of ``shaders/weights``: each function computes what the kernel of the same name does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "decode_bf16",
    "decode_bool",
    "decode_f8_e4m3",
    "decode_f8_e5m2",
    "decode_f16",
    "decode_f64",
    "decode_i8",
    "decode_i16",
    "decode_i64",
    "decode_q4_0",
    "decode_q4_1",
    "decode_q4_k",
    "decode_q5_k",
    "decode_q6_k",
    "decode_q8_0",
    "decode_u8",
    "decode_u16",
    "decode_u64",
    "dequantize_int4",
    "dequantize_int8",
    "encode_f16",
    "encode_int4",
    "encode_int8",
]

Raw = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
GROUP = 32
"""Elements that share a scale in int8 and int4."""


def _view(raw: Raw, count: int, dtype: str) -> npt.NDArray[Any]:
    return raw[: count * np.dtype(dtype).itemsize].view(dtype)


def decode_bf16(raw: Raw, count: int) -> Floats:
    """Float32 of ``count`` bfloat16: they are upper halves."""
    return (_view(raw, count, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)


def decode_f16(raw: Raw, count: int) -> Floats:
    """Float32 of ``count`` float16."""
    return _view(raw, count, "<f2").astype(np.float32)


def decode_f64(raw: Raw, count: int) -> Floats:
    """Float32 of ``count`` float64, rounded to nearest even."""
    with np.errstate(over="ignore", under="ignore"):
        return _view(raw, count, "<f8").astype(np.float32)


def decode_f8_e4m3(raw: Raw, count: int) -> Floats:
    """Float32 of ``count`` 8-bit floats with 4 exponent bits (no infinity)."""
    v = raw[:count].astype(np.int32)
    exponent, fraction = (v >> 3) & 15, (v & 7).astype(np.float32)
    magnitude = np.where(exponent == 0, fraction / 512, np.ldexp(1 + fraction / 8, exponent - 7)).astype(np.float32)
    magnitude[(v & 0x7F) == 0x7F] = np.nan
    return np.copysign(magnitude, np.where(v & 0x80, np.float32(-1), np.float32(1)))


def decode_f8_e5m2(raw: Raw, count: int) -> Floats:
    """Float32 of ``count`` 8-bit floats with 5 exponent bits: upper halves of float16."""
    return (raw[:count].astype(np.uint16) << np.uint16(8)).view(np.float16).astype(np.float32)


def decode_i64(raw: Raw, count: int) -> tuple[npt.NDArray[np.int32], bool]:
    """Int32 of ``count`` int64, and whether one did not fit."""
    values = _view(raw, count, "<i8")
    low = values.astype(np.int32)
    return low, bool((low != values).any())


def decode_u64(raw: Raw, count: int) -> tuple[npt.NDArray[np.uint32], bool]:
    """Uint32 of ``count`` uint64, and whether one did not fit."""
    values = _view(raw, count, "<u8")
    low: npt.NDArray[np.uint32] = values.astype(np.uint32)
    return low, bool((low != values).any())


def decode_i16(raw: Raw, count: int) -> npt.NDArray[np.int32]:
    """Int32 of ``count`` int16."""
    return _view(raw, count, "<i2").astype(np.int32)


def decode_u16(raw: Raw, count: int) -> npt.NDArray[np.uint32]:
    """Uint32 of ``count`` uint16."""
    return _view(raw, count, "<u2").astype(np.uint32)


def decode_i8(raw: Raw, count: int) -> npt.NDArray[np.int32]:
    """Int32 of ``count`` int8."""
    return _view(raw, count, "i1").astype(np.int32)


def decode_u8(raw: Raw, count: int) -> npt.NDArray[np.uint32]:
    """Uint32 of ``count`` uint8."""
    return raw[:count].astype(np.uint32)


def decode_bool(raw: Raw, count: int) -> npt.NDArray[np.uint32]:
    """0 or 1 for ``count`` bytes that are zero or not."""
    values: npt.NDArray[np.uint32] = (raw[:count] != 0).astype(np.uint32)
    return values


def _halves(block: npt.NDArray[np.uint8]) -> Floats:
    return np.ascontiguousarray(block).view("<f2").astype(np.float32)


def _blocks(raw: Raw, count: int, elements: int, size: int) -> Raw:
    return raw[: count // elements * size].reshape(-1, size)


def decode_q8_0(raw: Raw, count: int) -> Floats:
    """GGUF Q8_0: f16 scale, 32 int8."""
    blocks = _blocks(raw, count, 32, 34)
    q = np.ascontiguousarray(blocks[:, 2:]).view(np.int8).astype(np.float32)
    return (_halves(blocks[:, :2]) * q).reshape(-1)


def _nibbles(packed: Raw) -> Floats:
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)


def decode_q4_0(raw: Raw, count: int) -> Floats:
    """GGUF Q4_0: f16 scale, 32 nibbles less 8."""
    blocks = _blocks(raw, count, 32, 18)
    return (_halves(blocks[:, :2]) * (_nibbles(blocks[:, 2:]) - 8)).reshape(-1)


def decode_q4_1(raw: Raw, count: int) -> Floats:
    """GGUF Q4_1: f16 scale and minimum, 32 nibbles."""
    blocks = _blocks(raw, count, 32, 20)
    return (_halves(blocks[:, :2]) * _nibbles(blocks[:, 4:]) + _halves(blocks[:, 2:4])).reshape(-1)


def decode_q4_k(raw: Raw, count: int) -> Floats:
    """GGUF Q4_K: 8 groups of 32 with 6-bit scales and minima under two f16."""
    blocks = _blocks(raw, count, 256, 144)
    return _with_minima(blocks, _by_group(blocks[:, 16:]))


def decode_q5_k(raw: Raw, count: int) -> Floats:
    """GGUF Q5_K: Q4_K with a fifth bit an element; bit g of byte j is that of element j of group g."""
    blocks = _blocks(raw, count, 256, 176)
    fifth = (blocks[:, 16:48, None] >> np.arange(8, dtype=np.uint8)) & np.uint8(1)
    return _with_minima(blocks, _by_group(blocks[:, 48:]) | (fifth.swapaxes(1, 2) << np.uint8(4)))


def _by_group(nibbles: Raw) -> Raw:
    pairs = nibbles.reshape(-1, 4, 1, 32)
    return np.concatenate([pairs & 15, pairs >> 4], axis=2).reshape(-1, 8, 32)


def _with_minima(blocks: Raw, q: npt.NDArray[Any]) -> Floats:
    packed = blocks[:, 4:16]
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scale = np.concatenate([first & 63, (third & 15) | ((first >> 6) << 4)], axis=1).astype(np.float32)
    low = np.concatenate([second & 63, (third >> 4) | ((second >> 6) << 4)], axis=1).astype(np.float32)
    scaled = (_halves(blocks[:, :2]) * scale)[..., None] * q.astype(np.float32)
    return (scaled - (_halves(blocks[:, 2:4]) * low)[..., None]).reshape(-1)


def decode_q6_k(raw: Raw, count: int) -> Floats:
    """GGUF Q6_K: 16 groups of 16 with int8 scales under one f16."""
    blocks = _blocks(raw, count, 256, 210)
    low = blocks[:, :128].reshape(-1, 2, 1, 64)
    nibbles = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 2, 4, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    q = ((nibbles | ((high & 3) << 4)).astype(np.float32) - 32).reshape(-1, 16, 16)
    scale = np.ascontiguousarray(blocks[:, 192:208]).view(np.int8).astype(np.float32)
    scaled: Floats = (_halves(blocks[:, 208:]) * scale)[..., None] * q
    return scaled.reshape(-1)


def encode_f16(values: Floats) -> npt.NDArray[np.uint32]:
    """Float16 of float32, rounded to nearest even, two a word; an odd last word is filled with zero."""
    with np.errstate(over="ignore", under="ignore"):
        halves = values.astype(np.float16)
    return np.append(halves, np.zeros(len(halves) % 2, np.float16)).view(np.uint32)


def encode_int8(values: Floats) -> tuple[npt.NDArray[np.uint32], Floats]:
    """Packed int8 and scales of groups of 32: scale = max |v| / 127."""
    groups = values.reshape(-1, GROUP)
    finite = np.isfinite(groups).all(axis=1)
    scale = np.where(finite, np.abs(np.where(np.isfinite(groups), groups, 0)).max(axis=1) / np.float32(127), np.nan)
    scale = scale.astype(np.float32)
    usable = finite & (scale > np.finfo(np.float32).tiny)
    quotient = np.where(usable[:, None], groups, 0) / np.where(usable, scale, 1)[:, None]
    q = np.clip(np.round(quotient), -127, 127).astype(np.int8)
    return q.reshape(-1).view(np.uint32), scale


def encode_int4(values: Floats) -> tuple[npt.NDArray[np.uint32], Floats]:
    """Packed 4-bit q and scales of groups of 32: scale = (the v of largest magnitude) / -8."""
    groups = values.reshape(-1, GROUP)
    finite = np.asarray(np.isfinite(groups).all(axis=1))
    clean = np.where(finite[:, None], groups, 0)
    extreme = np.take_along_axis(clean, np.abs(clean).argmax(axis=1)[:, None], axis=1)[:, 0]
    scale = np.where(finite, extreme / np.float32(-8), np.nan).astype(np.float32)
    usable = finite & (np.abs(scale) > np.finfo(np.float32).tiny)
    quotient = np.where(usable[:, None], clean, 0) / np.where(usable, scale, 1)[:, None]
    q = np.clip(np.floor(quotient + np.float32(8.5)), 0, 15).astype(np.uint32).reshape(-1, 8)
    return (q << (np.arange(8, dtype=np.uint32) * 4)).sum(axis=1, dtype=np.uint32), scale


def dequantize_int8(packed: npt.NDArray[np.uint32], scales: Floats) -> Floats:
    """Float32 of ``encode_int8``'s result."""
    return (packed.view(np.int8).astype(np.float32).reshape(-1, GROUP) * scales[:, None]).reshape(-1)


def dequantize_int4(packed: npt.NDArray[np.uint32], scales: Floats) -> Floats:
    """Float32 of ``encode_int4``'s result."""
    q = (packed[:, None] >> (np.arange(8, dtype=np.uint32) * 4)) & 15
    return ((q.astype(np.float32) - 8).reshape(-1, GROUP) * scales[:, None]).reshape(-1)
