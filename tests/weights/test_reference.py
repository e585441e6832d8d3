"""The NumPy twins against the gguf package's own arithmetic and NumPy's casts."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from webgpu_widget.reference import weights as twin
from webgpu_widget.weights.tensors import ENCODINGS

pytestmark = pytest.mark.no_adapter

TYPES = {
    "Q8_0": "decode_q8_0",
    "Q4_0": "decode_q4_0",
    "Q4_1": "decode_q4_1",
    "Q4_K": "decode_q4_k",
    "Q5_K": "decode_q5_k",
    "Q6_K": "decode_q6_k",
}


def blocks(name, count, seed=0):
    """Random blocks whose scales are moderate numbers."""
    encoding = ENCODINGS[name]
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (count, encoding.block_bytes), np.uint8)
    places = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}[name]
    for place in places:
        raw[:, place : place + 2] = rng.normal(0, 0.1, (count, 1)).astype(np.float16).view(np.uint8)
    return raw


@pytest.mark.parametrize("name", TYPES)
def test_dequantisation_is_ggufs(name):
    raw = blocks(name, 37)
    expected = gguf.dequantize(raw, gguf.GGMLQuantizationType[name]).reshape(-1)
    ours = getattr(twin, TYPES[name])(raw.reshape(-1), expected.size)
    np.testing.assert_array_equal(ours, expected)


def test_bf16_is_ggufs():
    raw = np.arange(65536, dtype=np.uint16).view(np.uint8)
    expected = gguf.dequantize(raw.reshape(1, -1), gguf.GGMLQuantizationType.BF16).reshape(-1)
    np.testing.assert_array_equal(twin.decode_bf16(raw, 65536).view(np.uint32), expected.view(np.uint32))


def test_e4m3_table():
    values = twin.decode_f8_e4m3(np.arange(256, dtype=np.uint8), 256)
    assert values[0x7E] == 448
    assert values[0x08] == 2.0**-6
    assert values[0x01] == 2.0**-9
    assert np.isnan(values[[0x7F, 0xFF]]).all()
    np.testing.assert_array_equal(values[128:255], -values[:127])


@pytest.mark.parametrize(("encode", "decode", "steps"), [("int8", "int8", 0.5001), ("int4", "int4", 1.0001)])
def test_quantisation_error_is_bounded(encode, decode, steps):
    values = np.random.default_rng(1).normal(size=32 * 50).astype(np.float32)
    values[:32] = 0
    packed, scales = getattr(twin, f"encode_{encode}")(values)
    back = getattr(twin, f"dequantize_{decode}")(packed, scales)
    assert (np.abs(back - values).reshape(-1, 32) <= np.abs(scales)[:, None] * steps).all()
    assert (back[:32] == 0).all()


def test_quantisation_shows_what_it_cannot_hold():
    values = np.ones(64, np.float32)
    values[3] = np.inf
    for bits in ("int8", "int4"):
        packed, scales = getattr(twin, f"encode_{bits}")(values)
        back = getattr(twin, f"dequantize_{bits}")(packed, scales)
        assert np.isnan(back[:32]).all()
        assert np.abs(back[32:] - 1).max() < 0.07
