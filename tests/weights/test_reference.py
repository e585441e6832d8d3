"""The NumPy twins against the gguf package's own arithmetic and NumPy's casts."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from webgpu_widget._selftest.weights import blocks
from webgpu_widget.reference import weights as twin
from webgpu_widget.weights.tensors import ENCODINGS

pytestmark = pytest.mark.no_adapter

TYPES = [name for name, encoding in ENCODINGS.items() if encoding.kind == "quantised"]


@pytest.mark.parametrize("name", TYPES)
def test_dequantisation_is_ggufs(name, rng):
    raw = blocks(rng, name.lower(), 257)
    if name == "MXFP4":
        raw[:256, 0] = np.arange(256)
    with np.errstate(over="ignore"):
        expected = gguf.dequantize(raw, gguf.GGMLQuantizationType[name]).reshape(-1)
    ours = getattr(twin, f"decode_{name.lower()}")(raw.reshape(-1), expected.size)
    np.testing.assert_array_equal(ours, expected)


def test_block_sizes_are_ggufs():
    sizes = {kind.name: size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    for name in TYPES:
        assert (ENCODINGS[name].block_elements, ENCODINGS[name].block_bytes) == sizes[name]


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
