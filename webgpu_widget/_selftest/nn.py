"""The kernels of neural networks against their twins: many rows here, one step and the choice of tokens in the rooms beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from webgpu_widget._selftest import nn_choice, nn_steps
from webgpu_widget._selftest.case import Bench, relative, units
from webgpu_widget._selftest.nn_bench import ACTIVATIONS, AREA, FORMATS, RELATIVE, SIZES, TEAMS, Kind, NNBench, Teams
from webgpu_widget.nn.formats import FORMATS as STORAGES
from webgpu_widget.nn.formats import Format
from webgpu_widget.reference import nn as twin

__all__ = ["AREA", "nn_choice", "nn_steps"]


# ------------------------------------------------------------ many rows


@AREA.case("nn/linear", RELATIVE, 1e-5, weights=FORMATS, shape=((1, 1, 4), (5, 31, 20), (33, 37, 132)))
def linear(bench: Bench, weights: Format, shape: tuple[int, int, int]) -> float:
    """A product of rows, alone and added to what is there."""
    rows, outputs, width = shape
    b = NNBench(bench, weights=weights)
    x, y = b.normal(size=(rows, width)), b.normal(size=(rows, outputs)).astype(np.float32)
    matrix, exact = b.matrix(b.normal(size=(outputs, width)))
    out, added = b.poison(rows, outputs), b.put(y)
    b.kernels.linear(b.put(x), matrix, out, rows, factor=0.25)
    b.kernels.linear(b.put(x), matrix, added, rows, residual=True)
    return max(
        relative(b.get(out, (rows, outputs)), twin.linear(x, exact, factor=0.25)),
        relative(b.get(added, (rows, outputs)), twin.linear(x, exact, y=y)),
    )


@AREA.case("nn/rms_norm", RELATIVE, 1e-5, teams=TEAMS, rows=(1, 17, 64))
def norms(bench: Bench, teams: Teams, rows: int) -> float:
    """Rows to a root mean square of one."""
    b = NNBench(bench, teams=teams)
    x, gain, out = b.normal(size=(rows, 20)), b.normal(size=20), b.poison(rows, 20)
    b.kernels.norm(b.put(x), b.put(gain), out, rows)
    return relative(b.get(out, (rows, 20)), twin.rms_norm(x, gain))


@AREA.case("nn/embed", RELATIVE, 1e-6, weights=FORMATS)
def embedding(bench: Bench, weights: Format) -> float:
    """Rows of a table by number."""
    b = NNBench(bench, weights=weights)
    ids, out = bench.rng.integers(0, 37, 11), b.poison(11, 20)
    matrix, exact = b.matrix(b.normal(size=(37, 20)))
    b.kernels.embed(b.put(ids), 11, matrix, out)
    return relative(b.get(out, (11, 20)), twin.embed(ids, exact))


@AREA.case("nn/quantize_rows", "elements off by one", 1, teams=TEAMS)
def quantised(bench: Bench, teams: Teams) -> float:
    """Rows rounded to 8 bits: only a tie may round otherwise."""
    b = NNBench(bench, weights="int8", teams=teams)
    first, second = (b.normal(size=(rows, 12)).astype(np.float32) for rows in (5, 18))
    second[4] = 0
    made = b.kernels.stack([bench.gpu.array(first), bench.gpu.array(second)])
    values, scale = twin.quantize_rows(np.concatenate([first, second]))
    found = b.get(made.words, (23, 3), np.uint32).view(np.int8).reshape(23, 12).astype(int)
    scales = np.where(scale == 1, 1, scale * 127).astype(np.float64)
    if np.abs(found - values).max() > 1 or units(b.get(made.scale, (23,)), scales, 1e-6 * scales) > 1:
        return np.inf
    return float((found != values).sum())


@AREA.case("nn/gate", RELATIVE, 2e-5, kind=ACTIVATIONS)
def gates(bench: Bench, kind: Kind) -> float:
    """The feed-forward's activation, with a gate or without."""
    is_gated, activation = kind
    b = NNBench(bench, replace(SIZES, is_gated=is_gated, activation=activation))
    wide, h = b.normal(size=(3, 56 if is_gated else 28)), b.poison(3, 28)
    b.kernels.gate(b.put(wide), h, 3)
    return relative(b.get(h, (3, 28)), twin.gate(wide, is_gated=is_gated, activation=activation))


@AREA.case("nn/gate", RELATIVE, 1e-6)
def large_inputs(bench: Bench) -> float:
    """GELU of 10,000 is 10,000, where a naive tanh overflows."""
    b = NNBench(bench, replace(SIZES, hidden=4))
    h = b.poison(1, 4)
    b.kernels.gate(b.put(np.array([[-1e4, -30, 30, 1e4, 1, 1, 1, 1]])), h, 1)
    return relative(b.get(h, (4,)), np.array([0, 0, 30, 1e4]))


HEADS = ((3, 1.0), (1, 0.5))
"""Heads of keys and values for three of queries, and the scores' scale."""


@AREA.case(
    "nn/{name}", RELATIVE, 1e-5, name=("attention", "attention_tiled"), shape=((1, True), (33, True), (7, False), (71, True)), heads=HEADS
)  # fmt: skip
def attention(bench: Bench, name: str, shape: tuple[int, bool], heads: tuple[int, float]) -> float:
    """All queries of a batch, with position bias and a mask, causal or not, each head with keys of its own or of all."""
    queries, causal = shape
    kept, scale = heads
    b = NNBench(bench, replace(SIZES, distance=6, kv_heads=kept, scale=scale))
    b.kernels.on_cpu = name == "attention"
    q, kv, bias = b.normal(size=(2, queries, 3, 8)), b.normal(size=(2, queries, 2, kept, 8)), b.normal(size=(3, 13))
    mask = bench.rng.integers(0, 2, (2, queries))
    mask[:, 0] = 1
    mask[1] = 0 if not causal else mask[1]  # nothing to look at gives zeros
    out = b.poison(2, queries, 3, 8)
    qkv = b.put(np.concatenate([q.reshape(2, queries, -1), kv.reshape(2, queries, -1)], 2))
    b.kernels.attention(qkv, None, b.put(bias), b.put(mask), out, (2, queries, queries), causal=causal)
    wanted = getattr(twin, name)(q, kv[:, :, 0], kv[:, :, 1], bias, mask, causal=causal, scale=scale)
    return relative(b.get(out, (2, queries, 3, 8)), wanted)


@AREA.case(
    "nn/attention_tiled", RELATIVE, 1e-5, shape=((1, 1, 8), (5, 31, 64), (33, 70, 64), (2, 200, 12)), heads=HEADS
)
def closed_keys(bench: Bench, shape: tuple[int, int, int], heads: tuple[int, float]) -> float:
    """What the mask hides is not looked at, NaN or not."""
    queries, keys, head = shape
    kept, scale = heads
    b = NNBench(bench, replace(SIZES, head_width=head, kv_heads=kept, scale=scale))
    b.kernels.on_cpu = False
    q, kv = b.normal(size=(2, queries, 3, head)), b.normal(size=(2, keys, 2, kept, head))
    mask = bench.rng.integers(0, 2, (2, keys))
    mask[:, -1] = 1
    wanted = twin.attention_tiled(q, kv[:, :, 0], kv[:, :, 1], None, mask, causal=False, scale=scale)
    kv[mask == 0] = np.nan
    out = b.poison(2, queries, 3, head)
    b.kernels.attention(b.put(q), b.put(kv), None, b.put(mask), out, (2, queries, keys), causal=False)
    return relative(b.get(out, wanted.shape), wanted)


@AREA.case(
    "nn/{name}", RELATIVE, 1e-5, name=("attention", "attention_tiled"), shape=((1, 1, None), (5, 9, None), (33, 33, 7), (40, 111, 50), (3, 80, 64)), kept=(3, 1)
)  # fmt: skip
def attention_over(bench: Bench, name: str, shape: tuple[int, int, int | None], kept: int) -> float:
    """Causal attention of the last positions over a cache, all of it or the last of it; what lies behind must not get into a sum."""
    queries, keys, window = shape
    b = NNBench(bench, replace(SIZES, kv_heads=kept, scale=0.3))
    b.kernels.on_cpu = name == "attention"
    qkv, cache = b.normal(size=(2, queries, 3 + 2 * kept, 8)), b.normal(size=(2, 2, kept, 128, 8))
    cache[:, :, :, keys:] = np.nan
    out = b.poison(2, queries, 3, 8)
    mask = np.ones((2, keys), np.uint32)
    b.kernels.attention_over(b.put(qkv), b.put(cache), b.put(mask), out, (2, queries, keys), 128, window)
    k, v = (half[:, :, :keys].swapaxes(1, 2) for half in cache)
    wanted = twin.attention(qkv[:, :, :3], k, v, None, mask, causal=True, scale=0.3, window=window)
    return relative(b.get(out, wanted.shape), wanted)


@AREA.case("nn/{name}", RELATIVE, 1e-5, name=("linear", "step_linear"), weights=FORMATS, has_bias=(True, False))
def places(bench: Bench, name: str, weights: Format, has_bias: bool) -> float:
    """A product with a bias, into some of the columns of what is there, the others as they were."""
    b = NNBench(bench, weights=weights)
    x, y = b.normal(size=(5, 20)), b.normal(size=(5, 50)).astype(np.float32)
    matrix, exact = b.matrix(b.normal(size=(33, 20)))
    bias = b.normal(size=33).astype(np.float32)
    if has_bias:
        matrix = b.kernels.with_bias(matrix, b.put(bias))
    out = b.put(y)
    if name == "linear":
        b.kernels.linear(b.put(x), matrix, out, 5, place=(9, 50))
    else:
        b.kernels.step_linear(b.put(x), None, matrix, b.state(), out, 5, place=(9, 50))
    y[:, 9:42] = twin.linear(x, exact) + bias * has_bias
    return relative(b.get(out, y.shape), y)


@AREA.case(
    "nn/{name}", RELATIVE, 1e-5, name=("linear", "step_linear", "step_gate", "embed"), stored=("q4_0", "q4_1", "q8_0", "q4_k", "q5_k", "q6_k"),
    on_cpu=(True, False),
)  # fmt: skip
def gguf_blocks(bench: Bench, name: str, stored: Format, on_cpu: bool) -> float:
    """Products with matrices as GGUF files have them, of an odd number of blocks a row, decoded inside, as a CPU's kernels and as a GPU's do it."""
    columns, hidden = 3 * STORAGES[stored].values, 16 if on_cpu else 14  # a CPU's kernels make four outputs at once
    b = NNBench(bench, replace(SIZES, width=columns, hidden=hidden))
    k = b.kernels
    k.on_cpu = on_cpu
    matrix, exact = b.blocks(2 * hidden, columns, stored)
    x, gain, ids = b.normal(size=(5, columns)), b.normal(size=columns), bench.rng.integers(0, 2 * hidden, 5)
    if name == "embed":
        out = b.poison(5, columns)
        k.embed(b.put(ids), 5, matrix, out)
        return relative(b.get(out, (5, columns)), twin.embed(ids, exact))
    if name == "step_gate":
        out = b.poison(5, hidden)
        k.step_gate(b.put(x), b.put(gain), matrix, b.state(), out, 5)
        wanted = twin.step_gate(x, gain, exact, is_gated=True, activation="gelu_new")
        return relative(b.get(out, (5, hidden)), wanted)
    out = b.poison(5, 2 * hidden)
    if name == "linear":
        k.linear(b.put(x), matrix, out, 5)
        return relative(b.get(out, (5, 2 * hidden)), twin.linear(x, exact))
    k.step_linear(b.put(x), b.put(gain), matrix, b.state(), out, 5)
    return relative(b.get(out, (5, 2 * hidden)), twin.step_linear(x, gain, exact))
