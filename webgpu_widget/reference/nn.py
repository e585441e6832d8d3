"""NumPy twins of the kernels for neural networks, by the names of their files; all in the dtype of what they are given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BLOCKED = -1e9
"""Score of what beam search must not choose."""


def rms_norm(x: Array, weight: Array, epsilon: float = 1e-6) -> Array:
    """Scale rows to a root mean square of one, then by ``weight``; no mean, no bias."""
    return np.asarray(x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight)


def activate(x: Array, name: str) -> Array:
    """Apply ReLU, GELU in its tanh form ("gelu_new") or SiLU."""
    if name == "relu":
        return np.maximum(x, 0)
    if name == "gelu_new":
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return np.asarray(x / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    """Softmax over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def log_softmax(x: Array) -> Array:
    """Logarithm of the softmax over the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


class Beams:
    """Beam search's bookkeeping for one source, step by step: see `beam`.

    The rules are those that ``transformers`` applies by default: 2 * beams candidates a step, of which those that end leave the
    search if they are among the first ``beams``; scores divided by the number of tokens; stop when the best running beam, divided
    by its length, cannot beat the worst finished one, or at ``max_new_tokens``.
    """

    def __init__(self, beams: int, ends: tuple[int, ...], max_new_tokens: int) -> None:
        self.beams, self.ends, self.limit = beams, ends, max_new_tokens
        self.running: list[list[int]] = [[] for _ in range(beams)]
        self.scores = np.array([0.0] + [BLOCKED] * (beams - 1))
        self.finished: list[tuple[float, bool, list[int]]] = [(BLOCKED, False, []) for _ in range(beams)]
        self.improvable = True
        self.done = False

    def advance(self, log_probabilities: Array) -> NDArray[np.int64]:
        """Take log-probabilities (beams, vocab); returns each new beam's parent."""
        vocab = log_probabilities.shape[-1]
        total = (log_probabilities + self.scores[:, None]).ravel()
        order = np.argsort(-total, kind="stable")[: 2 * self.beams]
        candidates = [
            (float(total[i]), int(i) // vocab, [*self.running[int(i) // vocab], int(i) % vocab]) for i in order
        ]
        length = len(candidates[0][2])
        ends = [tokens[-1] in self.ends or length >= self.limit for _, _, tokens in candidates]
        merged = list(self.finished)
        for place, ((score, _, tokens), end) in enumerate(zip(candidates, ends, strict=True)):
            counts = end and place < self.beams
            value = score / length + (0 if self.improvable else BLOCKED) + (0 if counts else BLOCKED)
            merged.append((value, counts, tokens))
        self.finished = sorted(merged, key=lambda item: -item[0])[: self.beams]
        running = [
            (score + (BLOCKED if end else 0), parent, tokens)
            for (score, parent, tokens), end in zip(candidates, ends, strict=True)
        ]
        running = sorted(running, key=lambda item: -item[0])[: self.beams]
        self.scores = np.array([score for score, _, _ in running])
        self.running = [tokens for _, _, tokens in running]
        worst = min(score for score, _, _ in self.finished)
        bars = [worst if end else -1e9 for _, end, _ in self.finished]
        self.improvable = self.improvable and any(self.scores[0] / length > bar for bar in bars)
        self.done = not self.improvable or all(ends)
        return np.array([parent for _, parent, _ in running])

    @property
    def best(self) -> list[int]:
        """Tokens of the best finished hypothesis."""
        return self.finished[0][2]


beam = Beams
"""The twin of ``beam.wgsl``."""


def embed(ids: Array, table: Array) -> Array:
    """Rows of the embedding."""
    return np.asarray(table[ids])


def linear(x: Array, weight: Array, *, factor: float = 1.0, y: Array | None = None) -> Array:
    """``factor * x @ weight.T``, added to ``y`` where there is one."""
    out = factor * (x @ weight.T)
    return np.asarray(out if y is None else y + out)


def gate(a: Array, *, is_gated: bool, activation: str) -> Array:
    """Activation of the first half of the last axis, times the second; of all of it without a gate."""
    if not is_gated:
        return activate(a, activation)
    half = a.shape[-1] // 2
    return np.asarray(activate(a[..., :half], activation) * a[..., half:])


def step_linear(
    x: Array, gain: Array | None, weight: Array, *, epsilon: float = 1e-6, factor: float = 1.0, y: Array | None = None
) -> Array:
    """RMSNorm where there is a gain, then `linear`."""
    return linear(x if gain is None else rms_norm(x, gain, epsilon), weight, factor=factor, y=y)


def step_gate(x: Array, gain: Array, weight: Array, *, is_gated: bool, activation: str, epsilon: float = 1e-6) -> Array:
    """RMSNorm, product, `gate`."""
    return gate(linear(rms_norm(x, gain, epsilon), weight), is_gated=is_gated, activation=activation)


def _clamped_bias(bias: Array, distance: Array) -> Array:
    most = bias.shape[1] // 2
    return np.asarray(bias[:, np.clip(distance, -most, most) + most])


def _by_query_head(kept: Array, heads: int, axis: int) -> Array:
    """Repeat heads of keys or values for the query heads that share them."""
    return np.repeat(kept, heads // kept.shape[axis], axis)


def step_self(
    q: Array, k: Array, v: Array, bias: Array | None, keys: Array, values: Array, origin: Array, step: int, *, scale: float = 1.0
) -> Array:  # fmt: skip
    """Self-attention of one new position.

    Parameters
    ----------
    q, k, v
        (rows, heads, d) and (rows, kept heads, d).
    bias
        (heads, 2 * distance + 1) by key minus query, or None.
    keys, values
        (rows, kept heads, capacity, d); position ``step`` is written.
    origin
        (rows, capacity): the row of the cache where each past position lies.
    scale
        Of the scores, before the bias.
    """
    rows, count, _ = q.shape
    kept = np.arange(k.shape[1])
    past_k = keys[origin[:, :step, None], kept, np.arange(step)[None, :, None]]
    past_v = values[origin[:, :step, None], kept, np.arange(step)[None, :, None]]
    all_k = _by_query_head(np.concatenate([past_k, k[:, None]], 1), count, 2)
    all_v = _by_query_head(np.concatenate([past_v, v[:, None]], 1), count, 2)
    scores = scale * np.einsum("rhd,rjhd->rhj", q, all_k)
    if bias is not None:
        scores = scores + _clamped_bias(bias, np.arange(step + 1) - step)
    keys[:, :, step], values[:, :, step] = k, v
    return np.einsum("rhj,rjhd->rhd", softmax(scores), all_v).reshape(rows, -1)


def step_rotary(
    q: Array, k: Array, v: Array, angles: Array, gains: Array | None, keys: Array, values: Array, step: int,
    *, scale: float = 1.0, window: int = 0, is_interleaved: bool, epsilon: float = 1e-6,
) -> Array:  # fmt: skip
    """`rope`, then `step_self` over each row's own past, of which the last ``window`` positions are seen (0: all)."""
    q, k = (
        rope(x, angles, None if gains is None else gains[i], is_interleaved=is_interleaved, epsilon=epsilon)
        for i, x in enumerate((q, k))
    )
    first = max(0, step + 1 - window) if window else 0
    keys[:, :, step], values[:, :, step] = k, v
    origin = np.repeat(np.arange(len(q))[:, None], step - first, 1)
    seen_k, seen_v = (x[:, :, first : step + 1].copy() for x in (keys, values))
    return step_self(q, k, v, None, seen_k, seen_v, origin, step - first, scale=scale)


def attention_weights(q: Array, kv: Array, mask: Array, *, scale: float = 1.0) -> Array:
    """Shares of cross-attention: q (batch, queries, heads, d), kv (batch, keys, 2, kept heads, d), mask (batch, keys)."""
    scores = scale * np.einsum("bihd,bjhd->bhij", q, _by_query_head(kv[:, :, 0], q.shape[2], 2))
    return np.where(mask[:, None, None, :] != 0, softmax(np.where(mask[:, None, None, :] != 0, scores, -3e38)), 0)


def step_cross(q: Array, kv: Array, mask: Array, beams: int, *, scale: float = 1.0) -> Array:
    """Cross-attention of one new position: q (rows, heads, d); row r belongs to source ``r // beams``."""
    item = np.arange(len(q)) // beams
    shares = attention_weights(q[:, None], kv[item], mask[item], scale=scale)
    return np.einsum("rhij,rjhd->rhd", shares, _by_query_head(kv[item][:, :, 1], q.shape[1], 2)).reshape(len(q), -1)


def widen(x: Array, width: int) -> Array:
    """Rows at the beginnings of wider ones, the rest 0."""
    return np.pad(x, ((0, 0), (0, width - x.shape[1])))


def rope(x: Array, angles: Array, gain: Array | None = None, *, is_interleaved: bool, epsilon: float = 1e-6) -> Array:
    """Heads (rows, heads, d), normed where there is a gain, rotated by ``angles`` (rows, d / 2): pairs of neighbours, or half a head apart."""
    x = x if gain is None else rms_norm(x, gain, epsilon)
    pairs = x.reshape(*x.shape[:2], -1, 2) if is_interleaved else x.reshape(*x.shape[:2], 2, -1).swapaxes(2, 3)
    a, b = pairs[..., 0], pairs[..., 1]
    c, s = np.cos(angles)[:, None], np.sin(angles)[:, None]
    rotated = np.stack([a * c - b * s, a * s + b * c], -1)
    return (rotated if is_interleaved else rotated.swapaxes(2, 3)).reshape(x.shape)


def keep(k: Array, v: Array, cache: Array, first: int) -> None:
    """Put keys and values (rows, length, kept heads, d) into the cache (2, rows, kept heads, capacity, d) from position ``first`` on."""
    for half, new in zip(cache, (k, v), strict=True):
        half[:, :, first : first + k.shape[1]] = new.swapaxes(1, 2)


def _in_slots(context: Array, x: Array, output: Array, count: int) -> Array:
    by_head = output.reshape(len(output), count, -1)
    parts = np.einsum("rhd,ohd->rho", context.reshape(len(x), count, -1), by_head)
    return np.concatenate([parts, x[:, None]], 1)


def fused_self(
    x: Array, qkv: Array, output: Array, bias: Array, keys: Array, values: Array, origin: Array, step: int
) -> Array:  # fmt: skip
    """`step_self` of (rows, 3, heads, d), and the output projection: (rows, heads + 1, d_model), a head's part each and the row itself."""
    count = len(bias)
    return _in_slots(step_self(qkv[:, 0], qkv[:, 1], qkv[:, 2], bias, keys, values, origin, step), x, output, count)


def fused_rotary(
    x: Array, qkv: Array, output: Array, angles: Array, gains: Array | None, keys: Array, values: Array, step: int,
    *, scale: float, window: int = 0, is_interleaved: bool, epsilon: float = 1e-6,
) -> Array:  # fmt: skip
    """`step_rotary` of rows of heads (rows, heads + 2 * kept heads, d), and the output projection: as `fused_self`."""
    kept, count = keys.shape[1], qkv.shape[1] - 2 * keys.shape[1]
    q, k, v = qkv[:, :count], qkv[:, count : count + kept], qkv[:, count + kept :]
    context = step_rotary(
        q, k, v, angles, gains, keys, values, step, scale=scale, window=window, is_interleaved=is_interleaved, epsilon=epsilon
    )  # fmt: skip
    return _in_slots(context, x, output, count)


def fused_cross(x: Array, q: Array, output: Array, kv: Array, mask: Array, beams: int) -> Array:
    """`step_cross` of q (rows, heads, d), and the output projection; as `fused_self`."""
    return _in_slots(step_cross(q, kv, mask, beams), x, output, kv.shape[3])


def fused_gate(
    slots: Array, gain: Array, weight: Array, *, is_gated: bool, activation: str, epsilon: float = 1e-6
) -> tuple[Array, Array]:
    """`step_gate` of rows in slots, and the rows."""
    x = slots.sum(1)
    return step_gate(x, gain, weight, is_gated=is_gated, activation=activation, epsilon=epsilon), x


def attention(
    q: Array, k: Array, v: Array, bias: Array | None, mask: Array, *, causal: bool, scale: float = 1.0, window: int | None = None
) -> Array:  # fmt: skip
    """Attention of all queries: q (batch, queries, heads, d), k and v (batch, keys, kept heads, d), bias as in `step_self`.

    Where it is causal, queries are the last positions, and see ``window`` of them (None: all).
    """
    first = k.shape[1] - q.shape[1] if causal else 0
    k, v = (_by_query_head(x, q.shape[2], 2) for x in (k, v))
    scores = scale * np.einsum("bihd,bjhd->bhij", q, k)
    distance = np.arange(k.shape[1])[None, :] - (first + np.arange(q.shape[1])[:, None])
    if bias is not None:
        scores = scores + _clamped_bias(bias, distance)
    is_open = (mask[:, None, None, :] != 0) & (((distance <= 0) & (distance > -(window or k.shape[1]))) | (not causal))
    shares = np.where(is_open, softmax(np.where(is_open, scores, -3e38)), 0)
    return np.einsum("bhij,bjhd->bihd", shares, v)


attention_tiled = attention
"""The twin of ``attention_tiled.wgsl``: the same values, made in another order."""


def random_words(seed: int, row: int, step: int, tokens: Array) -> NDArray[np.uint32]:
    """First word of pcg4d of (seed, row, step, token), a token each."""
    v = [np.full(np.shape(tokens), value, np.uint32) for value in (seed, row, step)] + [np.asarray(tokens, np.uint32)]
    with np.errstate(over="ignore"):
        v = [part * np.uint32(1664525) + np.uint32(1013904223) for part in v]

        def mix() -> None:
            v[0] += v[1] * v[3]
            v[1] += v[2] * v[0]
            v[2] += v[0] * v[1]
            v[3] += v[1] * v[2]

        mix()
        v = [part ^ (part >> np.uint32(16)) for part in v]
        mix()
    return v[0]


def penalised(logits: Array, seen: Array, penalty: float) -> Array:
    """Logits of one row, those of tokens that it has seen divided by the penalty, or multiplied where they are below 0."""
    values = np.asarray(logits, np.float64).copy()
    there = np.unique(seen)
    values[there] = np.where(values[there] > 0, values[there] / penalty, values[there] * penalty)
    return values


def allowed(logits: Array, *, temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0) -> NDArray[np.bool_]:  # fmt: skip
    """Which tokens of one row may be drawn: the ``top_k`` largest (0: all), of these the fewest whose probability reaches ``top_p``, none below ``min_p`` of the largest."""
    values = np.asarray(logits, np.float64)
    keep = np.ones(len(values), bool)
    if 0 < top_k < len(values):
        keep &= values >= np.sort(values)[-top_k]
    if top_p < 1:
        weight = np.where(keep, np.exp((values - values.max()) / temperature), 0)
        order = np.argsort(-values, kind="stable")
        above = np.cumsum(weight[order]) - weight[order]
        keep[order[above >= top_p * weight.sum()]] = False
    if min_p:
        keep &= values >= values.max() + temperature * math.log(min_p)
    keep[values.argmax()] = True
    return keep


def pick(
    logits: Array, *, row: int, step: int, seed: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> int:  # fmt: skip
    """Draw one token of a row of logits by the Gumbel maximum over those `allowed`."""
    uniform = ((random_words(seed, row, step, np.arange(len(logits))) >> np.uint32(8)) + 0.5) * 2.0**-24
    drawn = np.asarray(logits, np.float64) / temperature - np.log(-np.log(uniform))
    return int(
        np.where(
            allowed(logits, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p), drawn, -np.inf
        ).argmax()
    )


def quantize_rows(weight: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round each row to 8 bits: ``weight ~ values * scale[:, None]``, scale the row's largest magnitude over 127 (NaN if not finite)."""
    largest = np.abs(weight.astype(np.float64)).max(axis=1)
    finite = np.isfinite(largest)
    scale = np.where(finite, np.where(largest > 0, largest / 127, 1.0), np.nan)
    steps = np.where(finite[:, None], weight, 0) / np.where(finite, scale, 1)[:, None]
    values = np.clip(np.rint(steps), -127, 127).astype(np.int8)
    return values, scale.astype(np.float32)
