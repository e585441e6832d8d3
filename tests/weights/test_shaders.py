"""Each conversion kernel against its NumPy twin, at sizes around a workgroup."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.reference import weights as twin
from webgpu_widget.weights.convert import kernel_source
from webgpu_widget.weights.tensors import ENCODINGS

from .test_reference import blocks

FOLDER = Path(wg.__file__).parent / "shaders" / "weights"
NAMES = sorted(path.stem for path in FOLDER.glob("*.wgsl"))
SIZES = [1, 63, 64, 65, 127, 1009]
GROUPED = [32, 63 * 32, 64 * 32, 65 * 32, 127 * 32]


def launch(gpu, name, inputs, outputs, count, invocations):
    """Run a kernel over byte arrays; returns the outputs as uint32."""
    queue = gpu._queue
    args = []
    for binding, value in inputs:
        buffer = queue.alloc(value.nbytes)
        queue.write(buffer, value)
        args.append((0, binding, buffer))
    made = []
    for binding, size in outputs:
        buffer = queue.alloc(size)
        made.append((buffer, 0, buffer.size_bytes))
        args.append((0, binding, buffer))
    args.append((1, 0, struct.pack("<4I", count, 0, 0, 0)))
    groups = -(-invocations // 64)
    x = max(1, min(groups, 5))  # folded, also where it would not have to be
    queue.dispatch(queue.pipeline(kernel_source(name), name), args, (x, -(-groups // x), 1))
    return [np.asarray(part).view(np.uint32) for part in queue.read(made)]


@pytest.mark.parametrize("name", NAMES)
def test_compiles_without_a_word(gpu, name):
    kernel = gpu.kernel(kernel_source(name), name=name)
    assert hasattr(twin, name), "every kernel has a twin of its name"
    assert kernel.reflection is not None
    assert kernel_source(name).startswith("// ")


def padded(raw):
    return np.append(raw, np.zeros(-len(raw) % 4, np.uint8))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("decode_") and "_q" not in name])
@pytest.mark.parametrize("count", SIZES)
def test_decoders_are_exact(gpu, name, count):
    encoding = ENCODINGS[name.removeprefix("decode_").upper()]
    rng = np.random.default_rng(count)
    raw = rng.integers(0, 256, count * encoding.block_bytes, np.uint8)
    if name == "decode_f64":  # the range that float32 has, its edges, and what is beyond
        values = rng.normal(size=count) * 10.0 ** rng.integers(-50, 42, count)
        special = [0.0, -0.0, np.inf, -np.inf, np.nan, 2.0**-149, 2.0**-150, 3 * 2.0**-150, 2.0**-126, 1 + 2.0**-24]
        special += [1 + 3 * 2.0**-24, 3.4028235677973366e38, 3.4028235677973362e38, 2.0**-126 - 2.0**-150]
        values[: len(special)] = special[:count]
        raw = values.view(np.uint8)
    flags = [(2, 4)] if name in ("decode_i64", "decode_u64") else []
    got = launch(gpu, name, [(0, padded(raw))], [(1, 4 * count), *flags], count, count)
    expected = getattr(twin, name)(raw, count)
    if flags:
        expected, over = expected
        assert bool(got[1][0]) == over
    expected = np.ascontiguousarray(expected)
    if expected.dtype == np.float32 and np.isnan(expected).any():
        np.testing.assert_array_equal(got[0].view(np.float32), expected)
    else:
        np.testing.assert_array_equal(got[0], expected.view(np.uint32))


@pytest.mark.parametrize("name", ["decode_i64", "decode_u64"])
def test_what_fits_raises_no_flag(gpu, name):
    values = np.array([0, 1, 2**31 - 1, *([-1, -(2**31)] if name == "decode_i64" else [2**32 - 1])], name[7] + "8")
    got, flag = launch(
        gpu, name, [(0, values.view(np.uint8))], [(1, 4 * len(values)), (2, 4)], len(values), len(values)
    )
    assert flag[0] == 0
    np.testing.assert_array_equal(got.view(np.int32 if name == "decode_i64" else np.uint32), values)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q6_K"])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_block_decoders(gpu, kind, count):
    raw = blocks(kind, count, seed=count).reshape(-1)
    elements = count * ENCODINGS[kind].block_elements
    name = f"decode_{kind.lower()}"
    (got,) = launch(gpu, name, [(0, padded(raw))], [(1, 4 * elements)], elements, elements)
    expected = getattr(twin, name)(raw, elements)
    tolerance = np.abs(expected).max() * 2.5e-7  # a fused multiply-add rounds once
    np.testing.assert_allclose(got.view(np.float32), expected, rtol=2.5e-7, atol=tolerance)


@pytest.mark.parametrize("count", SIZES)
def test_encode_f16_rounds_to_even(gpu, count):
    rng = np.random.default_rng(count)
    values = (rng.normal(size=count) * 10.0 ** rng.integers(-9, 6, count)).astype(np.float32)
    special = [65519.996, 65520, -65504, 2**-24, 2**-25, 3 * 2**-26, 2**-14, np.inf, np.nan, 1 + 2**-11, 1 + 3 * 2**-11]
    values[: len(special)] = special[:count]
    (got,) = launch(gpu, "encode_f16", [(0, values)], [(1, (count + 1) // 2 * 4)], count, (count + 1) // 2)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got.view(np.float16)[:count], values.astype(np.float16))
    assert count % 2 == 0 or got.view(np.float16)[count] == 0


def test_encode_f16_every_half_way(gpu):
    """Every float16, and the float32 half way to the next one."""
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middle = (halves[:-1] + halves[1:]) / 2
    values = np.concatenate([halves, middle, np.nextafter(middle, np.float32(np.inf)), -middle])
    (got,) = launch(
        gpu, "encode_f16", [(0, values)], [(1, (len(values) + 1) // 2 * 4)], len(values), (len(values) + 1) // 2
    )
    np.testing.assert_array_equal(got.view(np.uint16)[: len(values)], values.astype(np.float16).view(np.uint16))


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("count", GROUPED)
def test_quantisers(gpu, bits, count):
    rng = np.random.default_rng(count)
    values = (rng.normal(size=count) * np.repeat(10.0 ** rng.integers(-6, 6, count // 32), 32)).astype(np.float32)
    values[:32] = [0.0] * 32 if count > 32 else values[:32]
    if count > 64:
        values[40] = np.inf
    packed, scales = launch(
        gpu, f"encode_int{bits}", [(0, values)], [(1, count * bits // 8), (2, count // 8)], count, count // 32
    )
    scales = scales.view(np.float32)
    _, expected = getattr(twin, f"encode_int{bits}")(values)
    np.testing.assert_allclose(scales, expected, rtol=1e-6)
    (back,) = launch(gpu, f"dequantize_int{bits}", [(0, packed), (1, scales)], [(2, 4 * count)], count, count)
    decoded = getattr(twin, f"dequantize_int{bits}")(packed, scales)
    np.testing.assert_array_equal(back.view(np.float32), decoded)
    steps = 0.5001 if bits == 8 else 1.0001
    finite = np.isfinite(scales)
    wrong = np.abs(decoded - values).reshape(-1, 32)[finite] > np.abs(scales)[finite, None] * steps
    assert not wrong.any()
    assert np.isnan(decoded.reshape(-1, 32)[~finite]).all()
