"""The kernels of one decoding step, each in every format of weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget._selftest.case import Bench, Unavailable, differing, relative
from webgpu_widget._selftest.nn_bench import ACTIVATIONS, AREA, FORMATS, RELATIVE, SIZES, TEAMS, Kind, NNBench, Teams
from webgpu_widget.nn.formats import FORMATS as STORAGES
from webgpu_widget.nn.formats import Format
from webgpu_widget.nn.fused import Fused
from webgpu_widget.nn.sizes import Sizes
from webgpu_widget.reference import nn as twin

__all__ = ["AREA"]


# ------------------------------------------------------------ one step


@AREA.case(
    "nn/step_linear",
    RELATIVE,
    1e-5,
    teams=TEAMS,
    weights=FORMATS,
    size=((1, 4, 3), (15, 20, 4), (67, 132, 3), (9, 132, 8)),
)
def step_linear(bench: Bench, teams: Teams, weights: Format, size: tuple[int, int, int]) -> float:
    """A step's product, with a norm before it, added, and left out once work has ended; four rows at once where their number lets it."""
    outputs, width, rows = size
    b = NNBench(bench, weights=weights, teams=teams)
    x, gain, y = b.normal(size=(rows, width)), b.normal(size=width), b.normal(size=(rows, outputs)).astype(np.float32)
    matrix, exact = b.matrix(b.normal(size=(outputs, width)))
    running, stopped = b.state(), b.state(stopped=1)
    out, added, kept = b.poison(rows, outputs), b.put(y), b.put(y)
    k = b.kernels
    k.step_linear(b.put(x), b.put(gain), matrix, running, out, rows, factor=0.5)
    k.step_linear(b.put(x), None, matrix, running, added, rows, residual=True)
    k.step_linear(b.put(x), None, matrix, stopped, kept, rows)
    if differing(b.get(kept, (rows, outputs)), y):
        return np.inf
    return max(
        relative(b.get(out, (rows, outputs)), twin.step_linear(x, gain, exact, factor=0.5)),
        relative(b.get(added, (rows, outputs)), twin.step_linear(x, None, exact, y=y)),
    )


@AREA.case("nn/step_gate", RELATIVE, 2e-5, teams=TEAMS, weights=FORMATS, kind=ACTIVATIONS)
def step_gate(bench: Bench, teams: Teams, weights: Format, kind: Kind) -> float:
    """Norm, both products of the feed-forward's first half, activation and gate."""
    is_gated, activation = kind
    sizes = replace(SIZES, is_gated=is_gated, activation=activation)
    b = NNBench(bench, sizes, weights, teams=teams)
    x, gain, out = b.normal(size=(3, 20)), b.normal(size=20), b.poison(3, 28)
    matrix, exact = b.matrix(b.normal(size=(56 if is_gated else 28, 20)))
    b.kernels.step_gate(b.put(x), b.put(gain), matrix, b.state(), out, 3)
    return relative(b.get(out, (3, 28)), twin.step_gate(x, gain, exact, is_gated=is_gated, activation=activation))


HEADS = ((3, 1.0, True), (1, 0.5, False))
"""Heads of keys and values for three of queries, the scores' scale, and whether there is a position bias."""


@AREA.case("nn/step_self", RELATIVE, 1e-5, teams=TEAMS, at=((1, 0), (3, 1), (2, 9)), heads=HEADS)
def step_self(bench: Bench, teams: Teams, at: tuple[int, int], heads: tuple[int, float, bool]) -> float:
    """Self-attention of a new position, its key and value kept."""
    rows, step = at
    kept, scale, is_biased = heads
    b = NNBench(bench, replace(SIZES, distance=5, kv_heads=kept, scale=scale), teams=teams)
    capacity = 12
    q, kv = b.normal(size=(rows, 3, 8)), b.normal(size=(rows, 2, kept, 8))
    bias = b.normal(size=(3, 11)) if is_biased else None
    cache = b.normal(size=(2, rows, kept, capacity, 8))
    origin = bench.rng.integers(0, rows, (2, rows, capacity))
    qkv = np.concatenate([q.reshape(rows, -1), kv.reshape(rows, -1)], 1)
    buffers = b.put(cache), b.poison(rows, 24)
    into = None if bias is None else b.put(bias)
    b.kernels.step_self(b.put(qkv), into, b.put(origin), b.state(step=step), *buffers, rows, capacity)
    keys, values = cache
    wanted = twin.step_self(q, kv[:, 0], kv[:, 1], bias, keys, values, origin[step % 2], step, scale=scale)
    return max(relative(b.get(buffers[1], (rows, 24)), wanted), relative(b.get(buffers[0], cache.shape), cache))


@AREA.case("nn/step_cross", RELATIVE, 1e-5, teams=TEAMS, size=((1, 1), (13, 2), (33, 1)), heads=HEADS)
def step_cross(bench: Bench, teams: Teams, size: tuple[int, int], heads: tuple[int, float, bool]) -> float:
    """Cross-attention of a new position."""
    source, beams = size
    kept, scale, _ = heads
    b = NNBench(bench, replace(SIZES, kv_heads=kept, scale=scale), teams=teams)
    q, kv, mask = _cross(bench, source, beams, kept)
    out = b.poison(2 * beams, 24)
    b.kernels.step_cross(b.put(q), b.put(kv), b.put(mask), b.state(), out, 2 * beams, source, beams)
    return relative(b.get(out, (2 * beams, 24)), twin.step_cross(q, kv, mask, beams, scale=scale))


@AREA.case("nn/attention_weights", RELATIVE, 1e-5, size=((1, 1), (13, 2), (33, 1)), heads=HEADS)
def shares(bench: Bench, size: tuple[int, int], heads: tuple[int, float, bool]) -> float:
    """Cross-attention's probabilities."""
    source, beams = size
    kept, scale, _ = heads
    b = NNBench(bench, replace(SIZES, kv_heads=kept, scale=scale))
    q, kv, mask = _cross(bench, source, beams, kept)
    out = b.poison(2, 3, beams, source)
    b.kernels.attention_weights(b.put(q), b.put(kv), b.put(mask), out, (2, beams, source))
    wanted = twin.attention_weights(q.reshape(2, beams, 3, 8), kv, mask, scale=scale)
    return relative(b.get(out, (2, 3, beams, source)), wanted)


def _cross(bench: Bench, source: int, beams: int, kept: int) -> tuple[NDArray[Any], ...]:
    q, kv = bench.rng.normal(size=(2 * beams, 3, 8)), bench.rng.normal(size=(2, source, 2, kept, 8))
    mask = bench.rng.integers(0, 2, (2, source))
    mask[:, 0] = 1
    return q, kv, mask


def _rotary_of(b: NNBench, is_normed: bool, positions: int) -> tuple[NDArray[Any], Any, NDArray[Any] | None, Any]:
    """Make angles of positions and gains of heads, each beside what the kernels take."""
    angles = np.arange(positions)[:, None] * 100.0 ** (-np.arange(4) / 4)
    gains = b.normal(size=(2, 8)) if is_normed else None
    return angles, b.put(np.stack([np.cos(angles), np.sin(angles)], -1)), gains, None if gains is None else b.put(gains)


@AREA.case(
    "nn/rope", RELATIVE, 1e-6, is_interleaved=(True, False), is_normed=(False, True), kept=(3, 1), at=((2, 5, 0), (1, 7, 11), (3, 1, 17))
)  # fmt: skip
def rope(bench: Bench, is_interleaved: bool, is_normed: bool, kept: int, at: tuple[int, int, int]) -> float:
    """Queries and keys normed by head where there are gains, and rotated by position; values left alone."""
    batch, length, first = at
    b = NNBench(bench, replace(SIZES, kv_heads=kept))
    rows = batch * length
    qkv = b.normal(size=(rows, 3 + 2 * kept, 8))
    angles, table, gains, given = _rotary_of(b, is_normed, 24)
    data = b.put(qkv)
    b.kernels.rope(data, table, given, (batch, length), first, is_interleaved=is_interleaved)
    wanted, rotations = qkv.copy(), angles[first + np.arange(rows) % length]
    for part, heads in enumerate((slice(3), slice(3, 3 + kept))):
        gain = None if gains is None else gains[part]
        wanted[:, heads] = twin.rope(qkv[:, heads], rotations, gain, is_interleaved=is_interleaved)
    return relative(b.get(data, qkv.shape), wanted)


@AREA.case(
    "nn/step_rotary", RELATIVE, 1e-5, teams=TEAMS, at=((3, 0, 0), (2, 9, 0), (2, 9, 4)), kept=(3, 1),
    rotary=((True, False), (False, True)),
)  # fmt: skip
def step_rotary(bench: Bench, teams: Teams, at: tuple[int, int, int], kept: int, rotary: tuple[bool, bool]) -> float:
    """Self-attention of a new position that is rotated on the way, over all of the past or the last of it; its key and value kept."""
    rows, step, window = at
    is_interleaved, is_normed = rotary
    b = NNBench(bench, replace(SIZES, kv_heads=kept, scale=0.4), teams=teams)
    capacity = 12
    q, k, v = b.normal(size=(rows, 3, 8)), b.normal(size=(rows, kept, 8)), b.normal(size=(rows, kept, 8))
    angles, table, gains, given = _rotary_of(b, is_normed, capacity)
    cache = b.normal(size=(2, rows, kept, capacity, 8))
    qkv = np.concatenate([x.reshape(rows, -1) for x in (q, k, v)], 1)
    kept_here, out = b.put(cache), b.poison(rows, 24)
    for state in (b.state(step=step), b.state(stopped=1)):
        b.kernels.step_rotary(
            b.put(qkv),
            table,
            given,
            state,
            kept_here,
            out,
            rows,
            capacity,
            is_interleaved=is_interleaved,
            window=window,
        )
    wanted = twin.step_rotary(
        q, k, v, np.tile(angles[step], (rows, 1)), gains, cache[0], cache[1], step, scale=0.4, window=window, is_interleaved=is_interleaved
    )  # fmt: skip
    return max(relative(b.get(out, (rows, 24)), wanted), relative(b.get(kept_here, cache.shape), cache))


@AREA.case("nn/keep", RELATIVE, 1e-7, kept=(3, 1), at=((2, 5, 0), (1, 7, 4)))
def keep(bench: Bench, kept: int, at: tuple[int, int, int]) -> float:
    """Keys and values of many positions in the cache, the rest of it as it was."""
    batch, length, first = at
    b = NNBench(bench, replace(SIZES, kv_heads=kept))
    qkv, cache = b.normal(size=(batch, length, 3 + 2 * kept, 8)), b.normal(size=(2, batch, kept, 12, 8))
    into = b.put(cache)
    b.kernels.keep(b.put(qkv), into, (batch, length), first, 12)
    twin.keep(qkv[:, :, 3 : 3 + kept], qkv[:, :, 3 + kept :], cache, first)
    return relative(b.get(into, cache.shape), cache)


@AREA.case("nn/widen", "words", 0, size=((1, 1, 1), (6, 16, 48), (7, 33, 34)))
def widen(bench: Bench, size: tuple[int, int, int]) -> float:
    """Rows at the beginnings of wider ones, NaN and all."""
    rows, words, wider = size
    b = NNBench(bench)
    x = bench.rng.integers(0, 2**32, (rows, 4 * words), np.uint32)
    y = b.put(np.zeros((rows, 4 * wider), np.uint32))
    b.kernels.widen(b.put(x), y, rows, words, wider)
    return differing(b.get(y, (rows, 4 * wider), np.uint32), twin.widen(x, 4 * wider))


# ------------------------------------------------------------ one step in fused kernels, which need subgroups


def _fused(bench: Bench, sizes: Sizes, weights: Format) -> tuple[NNBench, Fused]:
    b = NNBench(bench, sizes, weights, teams="subgroups")
    if bench.gpu.info.limits["maxStorageBuffersPerShaderStage"] < 8:
        raise Unavailable("a stage has fewer than 8 storage buffers")
    return b, Fused(b.kernels)


@AREA.case("nn/fused_self", RELATIVE, 1e-5, weights=FORMATS, at=((1, 0), (3, 1), (2, 9), (2, 70)))
def fused_self(bench: Bench, weights: Format, at: tuple[int, int]) -> float:
    """Self-attention, and the output projection."""
    rows, step = at
    b, fused = _fused(bench, replace(SIZES, distance=5), weights)
    capacity, cache = step + 2, b.normal(size=(2, rows, 3, step + 2, 8))
    x, qkv, bias = b.normal(size=(rows, 20)), b.normal(size=(rows, 3, 3, 8)), b.normal(size=(3, 11))
    output, exact_output = b.matrix(b.normal(size=(20, 24)))
    origin = bench.rng.integers(0, rows, (2, rows, capacity))
    kept, slots = b.put(cache), b.poison(rows, 4, 20)
    vectors = fused.vectors(output, b.put(bias))
    for state in (b.state(step=step), b.state(stopped=1)):
        fused.step_self(b.put(x), b.put(qkv), output, vectors, b.put(origin), state, kept, slots, rows, capacity)
    keys, values = cache
    wanted = twin.fused_self(x, qkv, exact_output, bias, keys, values, origin[step % 2], step)
    return max(relative(b.get(slots, (rows, 4, 20)), wanted), relative(b.get(kept, cache.shape), cache))


@AREA.case(
    "nn/fused_rotary", RELATIVE, 1e-5, weights=FORMATS, at=((3, 0, 0), (2, 130, 0), (1, 130, 66)), kept=(3, 1),
    rotary=((True, False), (False, True)),
)  # fmt: skip
def fused_rotary(
    bench: Bench, weights: Format, at: tuple[int, int, int], kept: int, rotary: tuple[bool, bool]
) -> float:
    """Self-attention of heads that are rotated, and the output projection, over pasts of more than one round."""
    rows, step, window = at
    is_interleaved, is_normed = rotary
    b, fused = _fused(bench, replace(SIZES, kv_heads=kept, scale=0.4), weights)
    capacity = 132
    x, qkv = b.normal(size=(rows, 20)), b.normal(size=(rows, 3 + 2 * kept, 8))
    cache, (output, exact_output) = b.normal(size=(2, rows, kept, capacity, 8)), b.matrix(b.normal(size=(20, 24)))
    angles, table, gains, given = _rotary_of(b, is_normed, capacity)
    vectors, kept_here, slots = fused.vectors(output, given), b.put(cache), b.poison(rows, 4, 20)
    for state in (b.state(step=step), b.state(stopped=1, step=step)):
        fused.step_rotary(
            b.put(x), b.put(qkv), output, vectors, table, state, kept_here, slots, rows, capacity,
            is_normed=is_normed, is_interleaved=is_interleaved, window=window,
        )  # fmt: skip
    wanted = twin.fused_rotary(
        x, qkv, exact_output, np.tile(angles[step], (rows, 1)), gains, cache[0], cache[1], step,
        scale=0.4, window=window, is_interleaved=is_interleaved,
    )  # fmt: skip
    return max(relative(b.get(slots, (rows, 4, 20)), wanted), relative(b.get(kept_here, cache.shape), cache))


@AREA.case("nn/fused_cross", RELATIVE, 1e-5, weights=FORMATS, size=((1, 1), (13, 2), (130, 1)))
def fused_cross(bench: Bench, weights: Format, size: tuple[int, int]) -> float:
    """Cross-attention, and the output projection."""
    source, beams = size
    rows = 2 * beams
    b, fused = _fused(bench, SIZES, weights)
    x, q, kv = b.normal(size=(rows, 20)), b.normal(size=(rows, 3, 8)), b.normal(size=(2, source, 2, 3, 8))
    output, exact_output = b.matrix(b.normal(size=(20, 24)))
    mask = bench.rng.integers(0, 2, (2, source))
    mask[:, -1] = 1
    mask[1] = 0 if source == 130 else mask[1]  # nothing to look at gives zeros
    out, vectors = b.poison(rows, 4, 20), fused.vectors(output)
    for state in (b.state(), b.state(stopped=1)):
        fused.step_cross(b.put(x), b.put(q), output, vectors, b.put(kv), b.put(mask), state, out, rows, source, beams)
    wanted = twin.fused_cross(x, q, exact_output, kv, mask, beams)
    return relative(b.get(out, (rows, 4, 20)), wanted)


@AREA.case("nn/fused_gate", RELATIVE, 1e-5, weights=FORMATS, outputs=(1, 24, 70))
def block_linear(bench: Bench, weights: Format, outputs: int) -> float:
    """A product of the RMSNorm of rows in slots, which the same kernel makes."""
    b, fused = _fused(bench, SIZES, weights)
    x, gain = b.normal(size=(3, 4, 20)), b.normal(size=20)
    matrix, exact = b.matrix(b.normal(size=(outputs, 20)))
    y, row = b.poison(3, outputs), b.poison(3, 20)
    for state in (b.state(), b.state(stopped=1)):
        fused.step_linear(b.put(x), b.put(gain), matrix, state, y, row, 3)
    rows = x.sum(1)
    return max(
        relative(b.get(y, (3, outputs)), twin.step_linear(rows, gain, exact)), relative(b.get(row, (3, 20)), rows)
    )


@AREA.case("nn/fused_gate", RELATIVE, 2e-5, stored=("q4_0", "q4_1", "q8_0", "q4_k", "q5_k", "q6_k"))
def fused_gate_of_gguf_blocks(bench: Bench, stored: Format) -> float:
    """The same with matrices as GGUF files have them."""
    columns = 3 * STORAGES[stored].values
    b, fused = _fused(bench, replace(SIZES, width=columns), "f32")
    x, gain = b.normal(size=(3, 4, columns)), b.normal(size=columns)
    matrix, exact = b.blocks(56, columns, stored)
    h, row = b.poison(3, 28), b.poison(3, columns)
    fused.step_gate(b.put(x), b.put(gain), matrix, b.state(), h, row, 3)
    wanted, _ = twin.fused_gate(x, gain, exact, is_gated=True, activation="gelu_new")
    return relative(b.get(h, (3, 28)), wanted)


@AREA.case("nn/fused_gate", RELATIVE, 2e-5, weights=FORMATS, kind=ACTIVATIONS)
def fused_gate(bench: Bench, weights: Format, kind: Kind) -> float:
    """The feed-forward's first half, of rows in slots."""
    is_gated, activation = kind
    b, fused = _fused(bench, replace(SIZES, is_gated=is_gated, activation=activation), weights)
    x, gain = b.normal(size=(3, 4, 20)), b.normal(size=20)
    matrix, exact = b.matrix(b.normal(size=(56 if is_gated else 28, 20)))
    h, row = b.poison(3, 28), b.poison(3, 20)
    for state in (b.state(), b.state(stopped=1)):
        fused.step_gate(b.put(x), b.put(gain), matrix, state, h, row, 3)
    wanted, rows = twin.fused_gate(x, gain, exact, is_gated=is_gated, activation=activation)
    return max(relative(b.get(h, (3, 28)), wanted), relative(b.get(row, (3, 20)), rows))
