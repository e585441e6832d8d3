"""Every conversion of ``shaders/weights``: decoders and encoders of a file's number formats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget import shaders
from webgpu_widget._selftest.case import Area, Bench, differing, units
from webgpu_widget.reference import weights as twin
from webgpu_widget.shaders.uniforms import uniform
from webgpu_widget.weights.convert import Part, Target
from webgpu_widget.weights.scales import grid_of
from webgpu_widget.weights.scaling import multiply
from webgpu_widget.weights.tensors import ENCODINGS, TensorInfo

__all__ = ["AREA", "blocks", "launch"]

AREA = Area("weights")
SIZES = (1, 63, 64, 65, 1009)
GROUPED = (32, 63 * 32, 65 * 32)
INTEGERS = ("bool", "i16", "i64", "i8", "u16", "u64", "u8")
SMALL = ("f4", "f8_e4m3", "f8_e4m3fnuz", "f8_e5m2", "f8_e5m2fnuz", "f8_e8m0")
EXACT = ("bf16", "f16", "f64", *SMALL, *INTEGERS)
SCALES: dict[str, tuple[int, ...]] = {
    "iq4_nl": (0,),
    "mxfp4": (),
    "q2_k": (80, 82),
    "q3_k": (108,),
    "q4_0": (0,),
    "q4_1": (0, 2),
    "q4_k": (0, 2),
    "q5_0": (0,),
    "q5_1": (0, 2),
    "q5_k": (0, 2),
    "q6_k": (208,),
    "q8_0": (0,),
    "tq1_0": (52,),
    "tq2_0": (64,),
}
"""Where in a block its float16 scales lie, in bytes."""
BLOCKS = tuple(SCALES)


def launch(
    bench: Bench,
    name: str,
    inputs: Sequence[tuple[int, NDArray[Any]]],
    outputs: Sequence[tuple[int, int]],
    count: int,
    invocations: int,
) -> list[NDArray[np.uint32]]:
    """Run a kernel over byte arrays.

    Parameters
    ----------
    bench : Bench
        Where.
    name : str
        The kernel's file.
    inputs : sequence of (binding, ndarray)
        What it reads.
    outputs : sequence of (binding, bytes)
        What it writes.
    count, invocations : int
        Elements, and how many invocations share them.

    Returns
    -------
    list of ndarray of uint32
        The outputs' words.
    """
    queue = bench.queue
    args: list[Any] = []
    for binding, value in inputs:
        buffer = queue.alloc(value.nbytes)
        queue.write(buffer, value)
        args.append((0, binding, buffer))
    made = []
    for binding, size in outputs:
        buffer = queue.alloc(size)
        made.append((buffer, 0, buffer.size_bytes))
        args.append((0, binding, buffer))
    args.append((1, 0, uniform(f"weights/{name}").pack(count=count, flag=0, pad0=0, pad1=0)))
    groups = -(-invocations // 64)
    x = max(1, min(groups, 5))  # folded, also where it would not have to be
    queue.dispatch(queue.pipeline(shaders.load(f"weights/{name}"), name), args, (x, -(-groups // x), 1))
    return [np.asarray(part).view(np.uint32) for part in queue.read(made)]


def blocks(rng: np.random.Generator, kind: str, count: int) -> NDArray[np.uint8]:
    """Random blocks of a GGUF type, (count, bytes), whose scales are moderate numbers."""
    raw = rng.integers(0, 256, (count, ENCODINGS[kind.upper()].block_bytes), np.uint8)
    for place in SCALES[kind]:
        raw[:, place : place + 2] = rng.normal(0, 0.1, (count, 1)).astype(np.float16).view(np.uint8)
    if kind == "mxfp4":
        raw[:, 0] = rng.integers(110, 140, count)
    return raw


def _padded(raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.append(raw, np.zeros(-len(raw) % 4, np.uint8))


def _doubles(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """The range that float32 has, its edges, what lies between two of it, and what is beyond."""
    values = rng.normal(size=count) * 10.0 ** rng.integers(-50, 42, count)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 2.0**-149, 2.0**-150, 3 * 2.0**-150, 2.0**-126, 1 + 2.0**-24]
    special += [1 + 3 * 2.0**-24, 3.4028235677973366e38, 3.4028235677973362e38, 2.0**-126 - 2.0**-150]
    values[: len(special)] = special[:count]
    return values


@AREA.case("weights/decode_{kind}", "elements", 0, kind=EXACT, count=SIZES)
def decoded(bench: Bench, kind: str, count: int) -> float:
    """Every bit is the twin's."""
    name = f"decode_{kind}"
    raw = bench.rng.integers(0, 256, count * ENCODINGS[kind.upper()].block_bytes, np.uint8)
    if kind == "f64":
        raw = _doubles(bench.rng, count).view(np.uint8)
    flags = [(2, 4)] if kind in ("i64", "u64") else []
    found = launch(bench, name, [(0, _padded(raw))], [(1, 4 * count), *flags], count, count)
    wanted = getattr(twin, name)(raw, count)
    wrong = 0.0
    if flags:
        wanted, over = wanted
        wrong = float(bool(found[1][0]) != over)
    wanted = np.ascontiguousarray(wanted)
    if wanted.dtype == np.float32 and np.isnan(wanted).any():
        return wrong + differing(found[0].view(np.float32), wanted)
    return wrong + differing(found[0], wanted.view(np.uint32))


@AREA.case("weights/decode_{kind}", "elements", 0, kind=("i64", "u64"))
def fits(bench: Bench, kind: str) -> float:
    """What fits raises no flag."""
    ends = [0, 1, 2**31 - 1, *([-1, -(2**31)] if kind == "i64" else [2**32 - 1])]
    values = np.array(ends, np.int64 if kind == "i64" else np.uint64)
    found, flag = launch(
        bench, f"decode_{kind}", [(0, values.view(np.uint8))], [(1, 4 * len(ends)), (2, 4)], len(ends), len(ends)
    )
    return float(flag[0]) + differing(found.view(np.int32 if kind == "i64" else np.uint32), values)


# A fused multiply-add rounds once where the twin rounds twice: two units in the last place of the largest element.
@AREA.case("weights/decode_{kind}", "parts of 2**-23 of the largest", 2.1, kind=BLOCKS, count=(1, 3, 7))
def dequantised(bench: Bench, kind: str, count: int) -> float:
    """GGUF's blocks."""
    raw = blocks(bench.rng, kind, count).reshape(-1)
    elements = count * ENCODINGS[kind.upper()].block_elements
    (found,) = launch(bench, f"decode_{kind}", [(0, _padded(raw))], [(1, 4 * elements)], elements, elements)
    wanted = getattr(twin, f"decode_{kind}")(raw, elements)
    return units(found.view(np.float32), wanted, 2.0**-23 * np.abs(wanted).max())


@AREA.case("weights/decode_mxfp4", "elements", 0)
def every_power(bench: Bench) -> float:
    """Each power of two with each float of 4 bits, from float32's subnormals to infinity."""
    raw = np.empty((256, 17), np.uint8)
    raw[:, 0] = np.arange(256)
    raw[:, 1:] = np.arange(16) | (np.arange(16) << 4)
    (found,) = launch(bench, "decode_mxfp4", [(0, raw.reshape(-1))], [(1, 4 * 8192)], 8192, 8192)
    return differing(found, twin.decode_mxfp4(raw.reshape(-1), 8192).view(np.uint32))


@AREA.case("weights/encode_f16", "elements", 0, count=SIZES)
def halves(bench: Bench, count: int) -> float:
    """Rounded to nearest even, whatever lies between two float16."""
    rng = bench.rng
    values = (rng.normal(size=count) * 10.0 ** rng.integers(-9, 6, count)).astype(np.float32)
    special = [65519.996, 65520, -65504, 2**-24, 2**-25, 3 * 2**-26, 2**-14, np.inf, np.nan, 1 + 2**-11, 1 + 3 * 2**-11]
    values[: len(special)] = special[:count]
    return _encoded(bench, values)


@AREA.case("weights/encode_f16", "elements", 0)
def halfway(bench: Bench) -> float:
    """Every float16, the float32 half way to the next, and the one after it."""
    every = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middle = (every[:-1] + every[1:]) / 2
    return _encoded(bench, np.concatenate([every, middle, np.nextafter(middle, np.float32(np.inf)), -middle]))


def _encoded(bench: Bench, values: NDArray[np.float32]) -> float:
    words = (len(values) + 1) // 2
    (found,) = launch(bench, "encode_f16", [(0, values)], [(1, words * 4)], len(values), words)
    wanted = twin.encode_f16(values)
    return differing(found.view(np.float16), wanted.view(np.float16)) + differing(
        np.signbit(found.view(np.float16))[~np.isnan(wanted.view(np.float16))],
        np.signbit(wanted.view(np.float16))[~np.isnan(wanted.view(np.float16))],
    )


@AREA.case("weights/encode_int{bits}", "steps", 1.0, bits=(8, 4), count=GROUPED)
def quantised(bench: Bench, bits: int, count: int) -> float:
    """Half a step of each group's scale (a whole one where 4 bits have no such value), with room for the scale's own rounding."""
    values, packed, scales = _quantised(bench, bits, count)
    _, wanted = getattr(twin, f"encode_int{bits}")(values)
    if units(scales, wanted, 4 * 2.0**-23 * np.maximum(np.abs(wanted), 2.0**-126)) > 1:
        return np.inf
    decoded = getattr(twin, f"dequantize_int{bits}")(packed, scales)
    finite = np.isfinite(scales)
    off = np.abs(decoded - values).reshape(-1, 32)[finite] / np.maximum(np.abs(scales)[finite, None], 2.0**-126)
    if not np.isnan(decoded.reshape(-1, 32)[~finite]).all():
        return np.inf
    return float(off.max(initial=0.0)) / (0.5001 if bits == 8 else 1.0001)


@AREA.case("weights/dequantize_int{bits}", "elements", 0, bits=(8, 4), count=GROUPED)
def dequantised_groups(bench: Bench, bits: int, count: int) -> float:
    """A product of two numbers, rounded once."""
    _, packed, scales = _quantised(bench, bits, count)
    name = f"dequantize_int{bits}"
    (found,) = launch(bench, name, [(0, packed), (1, scales)], [(2, 4 * count)], count, count)
    return differing(found.view(np.float32), getattr(twin, name)(packed, scales))


def _quantised(
    bench: Bench, bits: int, count: int
) -> tuple[NDArray[np.float32], NDArray[np.uint32], NDArray[np.float32]]:
    """Random values over many magnitudes, with a group of zeros and one with an infinity; their codes and scales."""
    rng = bench.rng
    values = (rng.normal(size=count) * np.repeat(10.0 ** rng.integers(-6, 6, count // 32), 32)).astype(np.float32)
    if count > 64:
        values[:32] = 0
        values[40] = np.inf
    name = f"encode_int{bits}"
    packed, scales = launch(bench, name, [(0, values)], [(1, count * bits // 8), (2, count // 8)], count, count // 32)
    return values, packed, scales.view(np.float32)


GRIDS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "one": ((7, 65), (1,)),
    "a row": ((9, 33), (9, 1)),
    "blocks cut short": ((200, 259), (2, 3)),
    "blocks in layers": ((3, 6, 64), (3, 2, 4)),
    "layers alike": ((3, 5, 8), (1, 1, 8)),
}
"""Shapes of numbers and of the scales beside them."""


@AREA.case("weights/scale_blocks{half}", "elements", 0, half=("", "_f16"), grid=tuple(GRIDS))
def scaled(bench: Bench, half: str, grid: str) -> float:
    """Rows from the second one on, as the parts of a split tensor are multiplied: a product, rounded once more in float16."""
    shape, scale_shape = GRIDS[grid]
    rng = bench.rng
    laid = grid_of(shape, scale_shape)
    if laid is None:
        return math.inf
    dtype = np.float16 if half else np.float32
    values = twin.decode_f8_e4m3(rng.integers(0, 256, math.prod(shape), np.uint8), math.prod(shape)).astype(dtype)
    scales = rng.uniform(2e-4, 3, scale_shape).astype(np.float32)
    row = math.prod(shape[1:])
    part = Part(1, (shape[0] - 1, *shape[1:]), 0, 0, len(values) - row)
    held = np.append(values[row:], np.zeros(part.elements % 2, dtype))
    queue, buffers = bench.queue, [bench.queue.alloc(held.nbytes), bench.queue.alloc(scales.nbytes)]
    for buffer, given in zip(buffers, (held, scales), strict=True):
        queue.write(buffer, given)
    tensor = TensorInfo("x", "F8_E4M3", shape, 0, "", 0, 0, "s", scale_shape)
    multiply(bench.device, tensor, Target(np.dtype(dtype).name), part, buffers[:1], buffers[1])
    found = np.asarray(queue.read([(buffers[0], 0, held.nbytes)])[0]).view(dtype)[: part.elements]
    layers = (len(values) // (laid.rows * laid.columns), laid.rows, laid.columns)
    spread = (layers[0] if laid.layer_scales else 1, -1, laid.scale_columns)
    block = (laid.block_rows, laid.block_columns)
    wanted = getattr(twin, f"scale_blocks{half}")(values.reshape(layers), scales.reshape(spread), block)
    return differing(found, wanted.reshape(-1)[row:])
