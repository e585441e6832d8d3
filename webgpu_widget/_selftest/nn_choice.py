"""The choice of tokens: by pick and by beam search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget._selftest.case import Bench, differing
from webgpu_widget._selftest.nn_bench import AREA, SIZES, NNBench
from webgpu_widget.nn.sampling import seen_bits
from webgpu_widget.reference import nn as twin

__all__ = ["AREA"]


# ------------------------------------------------------------ choosing tokens


def draw(
    b: NNBench, logits: NDArray[Any], settings: tuple[float, ...], step: int = 3, seen: NDArray[Any] | None = None
) -> NDArray[np.uint32]:
    """Run pick once over rows of logits; ``settings`` are sampling, top_k, seed, top_p, temperature, floor and penalty."""
    rows, vocab = logits.shape
    matrix, _ = b.matrix(np.arange(vocab)[:, None] * np.ones((1, 20)))
    state, packed = np.zeros(4 + rows, np.uint32), np.zeros(8, np.uint32)
    state[1], state[3] = step, 64
    packed[:3] = settings[:3]
    packed[3 : len(settings)] = np.array(settings[3:], np.float32).view(np.uint32)
    tokens = b.put(np.zeros((rows, 64), np.uint32))
    bits = np.zeros((rows, -(-vocab // 32)), np.uint32) if seen is None else seen_bits(seen, vocab)
    buffers = b.put(state), tokens, b.poison(rows, 20), b.put(packed), b.put(bits)
    b.kernels.pick(b.put(logits), matrix, *buffers, rows, 64, (1,), 0)
    return b.get(tokens, (rows, 64), np.uint32)[:, step]


@AREA.case("nn/pick", "tokens", 0)
def largest(bench: Bench) -> float:
    """The largest logit; of equal ones the first."""
    b = NNBench(bench)
    logits = b.normal(size=(3, 37)).astype(np.float32)
    logits[2, [5, 30]] = 8
    return differing(draw(b, logits, (0, 0, 0, 1.0, 1.0)), logits.argmax(1))


@AREA.case("nn/pick", "of 40 tokens", 2, choice=((0, 1.0, 1.0), (5, 1.0, 0.7), (0, 0.6, 1.3), (9, 0.8, 2.0)))
def drawn(bench: Bench, choice: tuple[int, float, float]) -> float:
    """Draws by the twin's random numbers: rounding may turn a near tie, but never take what is not allowed."""
    top_k, top_p, temperature = choice
    b = NNBench(bench, replace(SIZES, vocab=301))
    logits = b.normal(size=(40, 301)).astype(np.float32) * 3
    logits[:, 1] = -50
    tokens = draw(b, logits, (1, top_k, 77, top_p, temperature))
    options: dict[str, Any] = {"temperature": temperature, "top_k": top_k}
    wanted = [twin.pick(row, row=i, step=3, seed=77, top_p=top_p, **options) for i, row in enumerate(logits)]
    for row, token in zip(logits, tokens, strict=True):
        if not twin.allowed(row, top_p=min(1.0, top_p + 1e-4), **options)[token]:
            return np.inf
    return float((tokens != wanted).sum())


@AREA.case("nn/pick", "of 40 tokens", 2, choice=((0.2, 1.0), (0.01, 1.7), (0.0, 1.3), (0.3, 0.6)), sample=(False, True))
def shared(bench: Bench, choice: tuple[float, float], sample: bool) -> float:
    """Tokens far below the likeliest left out, and what has been seen held back, or asked for again by a penalty below 1."""
    min_p, penalty = choice
    b = NNBench(bench, replace(SIZES, vocab=301))
    logits = b.normal(size=(40, 301)).astype(np.float32) * 3
    seen = bench.rng.integers(0, 301, (40, 60))
    floor = 1.3 * np.log(min_p) if min_p else 0.0
    tokens = draw(b, logits, (sample, 0, 77, 1.0, 1.3, floor, penalty), seen=seen)
    wanted = []
    for i, row in enumerate(logits):
        held = twin.penalised(row, seen[i], penalty)
        options: dict[str, Any] = {"temperature": 1.3, "min_p": min_p}
        wanted.append(twin.pick(held, row=i, step=3, seed=77, **options) if sample else held.argmax())
    return float((tokens != wanted).sum())


@AREA.case("nn/beam", "tokens", 0, beams=(2, 3, 16))
def beams(bench: Bench, beams: int) -> float:
    """Nine steps of beam search, of logits that do not depend on the past."""
    b = NNBench(bench)
    sources, capacity, limit = 2, 12, 9
    rows = sources * beams
    matrix, _ = b.matrix(np.arange(37)[:, None] * np.ones((1, 20)))
    state = np.zeros(4 + rows, np.uint32)
    state[3] = limit
    scores = np.zeros((sources, 4, beams), np.float32)
    scores[:, 0, 1:], scores[:, 1], scores[:, 2] = -1e9, -1e9, np.arange(beams)
    origin = np.broadcast_to(np.arange(rows)[:, None], (2, rows, capacity))
    noted = np.zeros((3, rows, capacity), np.uint32)
    buffers = b.put(state), b.put(noted), b.put(scores), b.put(origin), b.poison(rows, 20)
    twins = [twin.beam(beams, (1,), limit) for _ in range(sources)]
    wrong = 0.0
    for step in range(limit):
        logits = b.normal(size=(rows, 37)).astype(np.float32) * 2
        b.kernels.beam(b.put(logits), matrix, *buffers, sources, beams, capacity, (1,))
        tokens = b.get(buffers[1], (3, sources, beams, capacity), np.uint32)
        for i, one in enumerate(twins):
            if one.done:
                continue
            one.advance(twin.log_softmax(logits[i * beams : (i + 1) * beams].astype(np.float64)))
            if not one.done:
                wrong += differing(tokens[(step + 1) % 2, i, :, : step + 1], one.running)
    kept = b.get(buffers[2], (sources, 4, beams))
    for i, one in enumerate(twins):
        slots, lengths = kept[i, 2].astype(int), kept[i, 3].astype(int)
        ended = [tokens[2, i, slot, :length].tolist() for slot, length in zip(slots, lengths, strict=True) if length]
        wrong += ended != [t for _, end, t in one.finished if end]
    return wrong + (b.get(buffers[0], (4 + rows,), np.uint32)[0] != 1)
