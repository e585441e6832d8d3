"""NumPy twins of ``shaders/weights``: each function computes what the kernel of the same name does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "decode_bf16",
    "decode_bool",
    "decode_f4",
    "decode_f8_e4m3",
    "decode_f8_e4m3fnuz",
    "decode_f8_e5m2",
    "decode_f8_e5m2fnuz",
    "decode_f8_e8m0",
    "decode_f16",
    "decode_f64",
    "decode_i8",
    "decode_i16",
    "decode_i64",
    "decode_iq4_nl",
    "decode_mxfp4",
    "decode_q2_k",
    "decode_q3_k",
    "decode_q4_0",
    "decode_q4_1",
    "decode_q4_k",
    "decode_q5_0",
    "decode_q5_1",
    "decode_q5_k",
    "decode_q6_k",
    "decode_q8_0",
    "decode_tq1_0",
    "decode_tq2_0",
    "decode_u8",
    "decode_u16",
    "decode_u64",
    "dequantize_int4",
    "dequantize_int8",
    "encode_f16",
    "encode_int4",
    "encode_int8",
    "scale_blocks",
    "scale_blocks_f16",
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


def _small_float(codes: Raw, exponent_bits: int, fraction_bits: int, bias: int) -> Floats:
    """Float32 of small floats: sign, exponent, fraction; neither infinity nor NaN."""
    v = codes.astype(np.int32)
    fraction, exponent = v & ((1 << fraction_bits) - 1), (v >> fraction_bits) & ((1 << exponent_bits) - 1)
    whole = np.where(exponent == 0, fraction, fraction + (1 << fraction_bits)).astype(np.float64)
    value = np.ldexp(whole, np.maximum(exponent, 1) - bias - fraction_bits)
    return np.where(v >> (exponent_bits + fraction_bits) & 1, -value, value).astype(np.float32)


def _codes(raw: Raw, count: int, bits: int) -> Raw:
    """Codes of so many bits, one after another from the lowest bit of the first byte on."""
    single = np.unpackbits(raw, bitorder="little")[: count * bits].reshape(count, bits)
    found: Raw = (single << np.arange(bits, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
    return found


def decode_f4(raw: Raw, count: int) -> Floats:
    """Float32 of ``count`` 4-bit floats (E2M1), two a byte."""
    return _small_float(_codes(raw, count, 4), 2, 1, 1)


def decode_f8_e4m3fnuz(raw: Raw, count: int) -> Floats:
    """Float32 of ``count`` 8-bit floats with 4 exponent bits of bias 8; 0x80 is NaN."""
    return np.where(raw[:count] == 0x80, np.float32(np.nan), _small_float(raw[:count], 4, 3, 8))


def decode_f8_e5m2fnuz(raw: Raw, count: int) -> Floats:
    """Float32 of ``count`` 8-bit floats with 5 exponent bits of bias 16; 0x80 is NaN."""
    return np.where(raw[:count] == 0x80, np.float32(np.nan), _small_float(raw[:count], 5, 2, 16))


def decode_f8_e8m0(raw: Raw, count: int) -> Floats:
    """Float32 of ``count`` powers of two; 255 is NaN."""
    code = raw[:count].astype(np.int32)
    value = np.ldexp(1.0, np.minimum(code, 254) - 127).astype(np.float32)
    return np.where(code == 255, np.float32(np.nan), value)


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
    pairs = blocks[:, 16:].reshape(-1, 4, 1, 32)
    q = np.concatenate([pairs & 15, pairs >> 4], axis=2).reshape(-1, 8, 32)
    return _with_minima(blocks, q)


def _with_minima(blocks: Raw, q: Raw) -> Floats:
    """``d * scale * q - dmin * minimum`` of 8 groups, the two of 6 bits each in bytes 4 to 16."""
    packed = blocks[:, 4:16]
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scale = np.concatenate([first & 63, (third & 15) | ((first >> 6) << 4)], axis=1).astype(np.float32)
    low = np.concatenate([second & 63, (third >> 4) | ((second >> 6) << 4)], axis=1).astype(np.float32)
    scaled = (_halves(blocks[:, :2]) * scale)[..., None] * q.astype(np.float32)
    return (scaled - (_halves(blocks[:, 2:4]) * low)[..., None]).reshape(-1)


def decode_q5_k(raw: Raw, count: int) -> Floats:
    """GGUF Q5_K: Q4_K with a fifth bit."""
    blocks = _blocks(raw, count, 256, 176)
    pairs = blocks[:, 48:].reshape(-1, 4, 1, 32)
    low = np.concatenate([pairs & 15, pairs >> 4], axis=2).reshape(-1, 8, 32)
    high = (blocks[:, 16:48].reshape(-1, 1, 32) >> np.arange(8, dtype=np.uint8).reshape(1, 8, 1)) & 1
    return _with_minima(blocks, low | (high << 4))


def _fifth_bits(packed: Raw, nibbles: Raw) -> Floats:
    """Numbers of 5 bits: 32 nibbles, and 32 bits above them."""
    low = np.concatenate([nibbles & 15, nibbles >> 4], axis=1)
    return (low | (np.unpackbits(packed, axis=1, bitorder="little") << 4)).astype(np.float32)


def decode_q5_0(raw: Raw, count: int) -> Floats:
    """GGUF Q5_0: f16 scale, 32 numbers of 5 bits less 16."""
    blocks = _blocks(raw, count, 32, 22)
    return (_halves(blocks[:, :2]) * (_fifth_bits(blocks[:, 2:6], blocks[:, 6:]) - 16)).reshape(-1)


def decode_q5_1(raw: Raw, count: int) -> Floats:
    """GGUF Q5_1: f16 scale and minimum, 32 numbers of 5 bits."""
    blocks = _blocks(raw, count, 32, 24)
    return (_halves(blocks[:, :2]) * _fifth_bits(blocks[:, 4:8], blocks[:, 8:]) + _halves(blocks[:, 2:4])).reshape(-1)


def _bit_pairs(packed: Raw) -> Raw:
    """256 numbers of 2 bits: 32 bytes hold 128, the lowest bits those of the first 32."""
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1)
    return ((packed.reshape(-1, 2, 1, 32) >> shifts) & np.uint8(3)).astype(np.uint8).reshape(-1, 256)


def decode_q2_k(raw: Raw, count: int) -> Floats:
    """GGUF Q2_K: 16 groups of 16 with 4-bit scales and minima under two f16."""
    blocks = _blocks(raw, count, 256, 84)
    q = _bit_pairs(blocks[:, 16:80]).reshape(-1, 16, 16).astype(np.float32)
    scale, low = (blocks[:, :16] & 15).astype(np.float32), (blocks[:, :16] >> 4).astype(np.float32)
    scaled = (_halves(blocks[:, 80:82]) * scale)[..., None] * q
    return (scaled - (_halves(blocks[:, 82:]) * low)[..., None]).reshape(-1)


def decode_q3_k(raw: Raw, count: int) -> Floats:
    """GGUF Q3_K: 16 groups of 16 with 6-bit scales under one f16; a third bit that is not set takes 4 away."""
    blocks = _blocks(raw, count, 256, 110)
    high = (blocks[:, :32].reshape(-1, 1, 32) >> np.arange(8, dtype=np.uint8).reshape(1, 8, 1)) & 1
    q = (_bit_pairs(blocks[:, 32:96]) | (high.reshape(-1, 256) << 2)).astype(np.float32) - 4
    low = np.concatenate([blocks[:, 96:104] & 15, blocks[:, 96:104] >> 4], axis=1)
    top = np.concatenate([(blocks[:, 104:108] >> shift) & 3 for shift in (0, 2, 4, 6)], axis=1)
    scale = (low | (top << 4)).astype(np.float32) - 32
    scaled: Floats = (_halves(blocks[:, 108:]) * scale)[..., None] * q.reshape(-1, 16, 16)
    return scaled.reshape(-1)


def decode_iq4_nl(raw: Raw, count: int) -> Floats:
    """GGUF IQ4_NL: f16 scale, 32 of sixteen levels."""
    levels = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
    blocks = _blocks(raw, count, 32, 18)
    return (_halves(blocks[:, :2]) * levels[_nibbles(blocks[:, 2:]).astype(np.intp)]).reshape(-1)


def decode_mxfp4(raw: Raw, count: int) -> Floats:
    """GGUF MXFP4: a power of two, 32 floats of 4 bits."""
    blocks = _blocks(raw, count, 32, 17)
    half = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    values = np.concatenate([half, [0], -half[1:]])[_nibbles(blocks[:, 1:]).astype(np.intp)]
    with np.errstate(over="ignore"):
        scaled: Floats = np.ldexp(values, blocks[:, :1].astype(np.int32) - 127).astype(np.float32)
    return scaled.reshape(-1)


def decode_tq1_0(raw: Raw, count: int) -> Floats:
    """GGUF TQ1_0: 256 digits of base 3, five a byte and in the last four bytes four, f16 scale."""
    blocks = _blocks(raw, count, 256, 54)
    powers = np.array([1, 3, 9, 27, 81], np.uint8).reshape(1, 5, 1)
    parts = [blocks[:, None, :32] * powers, blocks[:, None, 32:48] * powers, blocks[:, None, 48:52] * powers[:, :4]]
    rest = np.concatenate([part.reshape(len(blocks), -1) for part in parts], axis=1)
    digits = ((rest.astype(np.uint16) * 3) >> 8).astype(np.float32)
    return (_halves(blocks[:, 52:]) * (digits - 1)).reshape(-1)


def decode_tq2_0(raw: Raw, count: int) -> Floats:
    """GGUF TQ2_0: 256 numbers of 2 bits less 1, f16 scale."""
    blocks = _blocks(raw, count, 256, 66)
    return (_halves(blocks[:, 64:]) * (_bit_pairs(blocks[:, :64]).astype(np.float32) - 1)).reshape(-1)


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


def scale_blocks(values: Floats, scales: Floats, block: tuple[int, int]) -> Floats:
    """Float32 (layers, rows, columns) times the scales of blocks, (layers or 1, ...); a NaN as it is."""
    _, rows, columns = values.shape
    wide = np.repeat(np.repeat(scales, block[0], 1)[:, :rows], block[1], 2)[:, :, :columns]
    return np.where(np.isnan(values), values, values * wide)


def scale_blocks_f16(values: Floats, scales: Floats, block: tuple[int, int]) -> npt.NDArray[np.float16]:
    """Float16 (layers, rows, columns) likewise, each float32 product rounded to nearest even."""
    with np.errstate(over="ignore"):
        return scale_blocks(values.astype(np.float32), scales, block).astype(np.float16)
