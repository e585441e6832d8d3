"""Small floats of safetensors files come out multiplied by the scales that lie beside them."""

from __future__ import annotations

import numpy as np
import pytest
from losing import lose_device

import webgpu_widget as wg
from webgpu_widget.reference import weights as twin
from webgpu_widget.weights.budget import Budget
from webgpu_widget.weights.scales import grid_of

from .test_listed import KEPT, QUICK, safetensors_of

# By who writes them: the weight's name, the scales', the weight's shape, theirs, how the scales are stored.
WRITERS = {
    "DeepSeek and Qwen": ("a.weight", "a.weight_scale_inv", (300, 272), (3, 3), "F32"),
    "DeepSeek's own": ("a.weight", "a.scale", (256, 128), (2, 1), "F8_E8M0"),
    "compressed-tensors, a channel": ("a.weight", "a.weight_scale", (48, 64), (48, 1), "BF16"),
    "compressed-tensors, a tensor": ("a.weight", "a.weight_scale", (48, 64), (1,), "F32"),
    "FBGEMM": ("a.weight", "a.weight_scale", (48, 64), (48,), "F32"),
    "ComfyUI": ("a.weight", "a.scale_weight", (48, 65), (), "F32"),
    "experts together": ("experts.up_proj", "experts.up_proj_scale", (4, 256, 128), (4, 2, 1), "F16"),
    "experts, one each": ("experts.up_proj", "experts.up_proj_scale", (4, 6, 32), (4, 1, 1), "F32"),
    "not a matrix": ("a.gain", "a.gain_scale", (33,), (1,), "F32"),
}


def raw_floats(rng, shape):
    """Codes of F8_E4M3, but for NaN, and their values."""
    codes = rng.integers(0, 256, shape, np.uint8)
    codes[codes & 0x7F == 0x7F] = 1
    return codes, twin.decode_f8_e4m3(codes.reshape(-1), codes.size).reshape(shape)


def stored(values, dtype):
    """Bytes of positive numbers, and the numbers that these bytes are."""
    if dtype == "F8_E8M0":
        exponents = np.round(np.log2(values)).astype(int)
        return (exponents + 127).astype(np.uint8).tobytes(), np.exp2(exponents).astype(np.float32)
    if dtype == "BF16":
        bits = (values.view(np.uint32) >> 16).astype(np.uint16)
        return bits.tobytes(), (bits.astype(np.uint32) << 16).view(np.float32)
    kind = np.float16 if dtype == "F16" else np.float32
    return values.astype(kind).tobytes(), values.astype(kind).astype(np.float32)


def spread(scales, shape):
    """The scale of each element: NumPy's own repetition of blocks of 128, of rows, of layers or of one."""
    scales = scales.reshape(scales.shape + (1,) * (len(shape) - scales.ndim)) if scales.size > 1 else scales.reshape(())
    for axis, extent in enumerate(shape if scales.ndim else ()):
        if scales.shape[axis] not in (1, extent):
            scales = np.repeat(scales, 128, axis)
            scales = np.take(scales, range(extent), axis)
    return np.broadcast_to(scales, shape)


@pytest.fixture(params=WRITERS)
def written(request, tmp_path, rng):
    """A file of one writer: its path, the weight's and the scales' names, and the values."""
    name, scale, shape, scale_shape, dtype = WRITERS[request.param]
    codes, values = raw_floats(rng, shape)
    raw, scales = stored(rng.uniform(1e-3, 2, scale_shape).astype(np.float32), dtype)
    path = tmp_path / "scaled.safetensors"
    tensors = {name: ("F8_E4M3", list(shape), codes.tobytes()), scale: (dtype, list(scale_shape), raw)}
    path.write_bytes(safetensors_of({**tensors, "kept": ("F32", [8], KEPT.tobytes())}))
    return path, name, scale, values * spread(scales.reshape(scale_shape), shape), scales.reshape(scale_shape)


def test_a_weight_is_multiplied_by_its_scales(clean, written):
    path, name, scale, wanted, scales = written
    tensors = {tensor.name: tensor for tensor in wg.inspect_weights(path).tensors}
    assert (tensors[name].scale, tensors[scale].scale_of, tensors["kept"].scale) == (scale, name, "")
    with wg.load_weights(path, clean, **QUICK) as weights:
        np.testing.assert_array_equal(weights[name].numpy(), wanted)
        np.testing.assert_array_equal(weights[scale].numpy(), scales)
        weights.wait()
        assert all(stage.state == "ready" for stage in weights.stages)
        np.testing.assert_array_equal(weights["kept"].numpy(), KEPT)


def test_float16_is_the_product_rounded(clean, written):
    path, name, scale, wanted, scales = written
    with wg.load_weights(path, clean, dtype="f16", **QUICK) as weights:
        np.testing.assert_array_equal(weights[name].numpy(), wanted.astype(np.float16))
        assert weights[scale].dtype == np.float32, "a scale keeps its digits"
        np.testing.assert_array_equal(weights[scale].numpy(), scales)


def block_file(tmp_path, rng, shape=(300, 256)):
    codes, values = raw_floats(rng, shape)
    scales = rng.uniform(1e-3, 2, (-(-shape[0] // 128), shape[1] // 128)).astype(np.float32)
    path = tmp_path / "blocks.safetensors"
    tensors = {
        "a.weight": ("F8_E4M3", list(shape), codes.tobytes()),
        "b.weight_scale_inv": ("F32", list(scales.shape), scales.tobytes()),
        "b.weight": ("F8_E4M3", list(shape), codes.tobytes()),
    }
    path.write_bytes(safetensors_of(tensors))
    return path, values, values * spread(scales, shape)


@pytest.mark.parametrize("bits", [8, 4])
def test_quantised_groups_take_the_scale_of_their_block(clean, tmp_path, rng, bits):
    path, values, wanted = block_file(tmp_path, rng)
    with wg.load_weights(path, clean, quantize=f"int{bits}", **QUICK) as weights:
        plain, scaled = weights["a.weight"].numpy(), weights["b.weight"].numpy()
    # What int8 or int4 makes of the weight alone, and then one product that is rounded.
    np.testing.assert_allclose(scaled, plain * (wanted / np.where(values, values, 1)), rtol=3e-7 * 2, atol=0)
    np.testing.assert_array_equal(scaled == 0, plain * wanted == 0)


def test_parts_of_a_large_tensor_find_their_scales(clean, tmp_path, rng):
    path, _, wanted = block_file(tmp_path, rng)
    with wg.load_weights(path, clean, max_binding_bytes=70 * 1024, **QUICK) as weights:
        parts = weights["b.weight"]
        assert isinstance(parts, wg.weights.arrays.SplitArray)
        assert parts.rows[0] % 128, "a part begins inside a block"
        np.testing.assert_array_equal(parts.numpy(), wanted)


def test_scales_come_in_the_stage_of_what_they_scale(clean, tmp_path, rng, monkeypatch):
    path, values, wanted = block_file(tmp_path, rng)
    stages = [["a.*"], ["b.weight"], ["*_scale_inv"]]
    plan = wg.inspect_weights(path, stages=stages)
    assert [(tensor.name, tensor.stage) for tensor in plan.tensors] == [
        ("a.weight", "0"),
        ("b.weight_scale_inv", "1"),
        ("b.weight", "1"),
    ]
    budget = max(values.nbytes, wanted.nbytes + 4 * 6)
    monkeypatch.setattr(Budget.of(clean._device), "limit_bytes", None)
    with wg.load_weights(path, clean, stages=stages, budget_bytes=budget, **QUICK) as weights:
        for _ in range(2):
            np.testing.assert_array_equal(weights["b.weight"].numpy(), wanted)
            np.testing.assert_array_equal(weights["a.weight"].numpy(), values)


def test_arrays_of_a_lost_device_come_back_scaled(clean, tmp_path, rng):
    path, _, wanted = block_file(tmp_path, rng)
    with wg.load_weights(path, clean, progress=False) as weights:
        array = weights["b.weight"]
        weights.wait()
        lose_device(clean)
        np.testing.assert_array_equal(weights["b.weight"].numpy(), wanted)
        assert weights["b.weight"] is array
        weights.free()
        np.testing.assert_array_equal(weights["b.weight"].numpy(), wanted)


@pytest.mark.parametrize("shape", [(7, 2), (7,), (300, 2, 1), (2, 3)])
def test_scales_that_do_not_fit_are_refused_by_their_name(clean, tmp_path, rng, shape):
    codes, _ = raw_floats(rng, (300, 256))
    path = tmp_path / "misfit.safetensors"
    scales = np.ones(shape, np.float32)
    tensors = {
        "a.weight": ("F8_E4M3", [300, 256], codes.tobytes()),
        "a.weight_scale": ("F32", list(shape), scales.tobytes()),
    }
    path.write_bytes(safetensors_of({**tensors, "kept": ("F32", [8], KEPT.tobytes())}))
    with wg.load_weights(path, clean, **QUICK) as weights:
        np.testing.assert_array_equal(weights["kept"].numpy(), KEPT)
        with pytest.raises(wg.FormatError, match=r"a\.weight_scale.*does not fit"):
            weights["a.weight"]
    assert any("does not fit" in note for note in wg.inspect_weights(path, gpu=clean).fits.notes)


def test_blocks_narrower_than_a_group_are_not_quantised(clean, tmp_path, rng):
    codes, _ = raw_floats(rng, (8, 64))
    path = tmp_path / "narrow.safetensors"
    scales = np.ones((1, 4), np.float32)
    tensors = {"a.weight": ("F8_E4M3", [8, 64], codes.tobytes()), "a.weight_scale": ("F32", [1, 4], scales.tobytes())}
    path.write_bytes(safetensors_of(tensors))
    with (
        wg.load_weights(path, clean, quantize="int8", **QUICK) as weights,
        pytest.raises(wg.FormatError, match="every 16 columns"),
    ):
        weights["a.weight"]


@pytest.mark.no_adapter
@pytest.mark.parametrize(
    ("shape", "scales", "blocks"),
    [
        ((2304, 64), (3, 1), (768, 64)),
        ((2304, 64), (18, 1), (128, 64)),
        ((300, 64), (3, 64), (128, 1)),
        ((5, 64), (5, 2), (1, 32)),
        ((64, 64), (), (64, 64)),
    ],
)
def test_where_blocks_lie(shape, scales, blocks):
    grid = grid_of(shape, scales)
    assert (grid.block_rows, grid.block_columns) == blocks
