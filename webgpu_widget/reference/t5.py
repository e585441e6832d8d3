"""NumPy twins of the T5 model and its kernels.

The model functions take ``weights``, a mapping from the hub's tensor names to arrays; they compute in the dtype of the weights
(float64 for a reference, float32 to see rounding). T5: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
Text-to-Text Transformer", 2020; the gated feed-forward of v1.1: Shazeer, "GLU Variants Improve Transformer", 2020.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webgpu_widget.t5.config import T5Config

Array = NDArray[Any]
Weights = "Mapping[str, Array]"
BLOCKED = -1e9
"""Score of what beam search must not choose."""


# ---------------------------------------------------------------- pieces


def relative_buckets(
    distance: Array, *, bidirectional: bool, buckets: int = 32, max_distance: int = 128
) -> NDArray[np.int64]:
    """Bucket of each relative position (key minus query).

    Half the buckets hold one distance each, the other half grow with the logarithm up to ``max_distance`` and all beyond.
    The logarithm is taken in float32, as frameworks do: bucket borders depend on it.
    """
    distance = np.asarray(distance, np.int64)
    base = np.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        base = (distance > 0) * buckets
        distance = np.abs(distance)
    else:
        distance = np.maximum(-distance, 0)
    exact = buckets // 2
    ratio = np.log(np.maximum(distance, 1).astype(np.float32) / np.float32(exact)) / np.float32(
        math.log(max_distance / exact)
    )
    far = exact + (ratio * np.float32(buckets - exact)).astype(np.int64)
    return np.asarray(base + np.where(distance < exact, distance, np.minimum(far, buckets - 1)), np.int64)


def bias_table(table: Array, *, bidirectional: bool, max_distance: int = 128) -> Array:
    """Bias by head and clamped distance: shape (heads, 2 * max_distance + 1), column ``distance + max_distance``.

    Distances beyond ``max_distance`` share its bucket, so this table serves any length.
    """
    distance = np.arange(-max_distance, max_distance + 1)
    index = relative_buckets(distance, bidirectional=bidirectional, buckets=table.shape[0], max_distance=max_distance)
    return np.ascontiguousarray(table[index].T)


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


def probabilities(q: Array, k: Array, bias: Array) -> Array:
    """Softmax of unscaled scores: q (batch, heads, queries, d), k (batch, heads, keys, d), bias broadcasts to the scores."""
    return softmax(q @ k.swapaxes(-1, -2) + bias)


def heads(x: Array, count: int) -> Array:
    """(batch, rows, count * d) -> (batch, count, rows, d)."""
    return x.reshape(*x.shape[:2], count, -1).swapaxes(1, 2)


# ---------------------------------------------------------------- the model


def _attend(
    weights: Mapping[str, Array],
    prefix: str,
    config: T5Config,
    x: Array,
    source: Array,
    bias: Array,
    seen: list[Array] | None = None,
) -> Array:
    q, k, v = (
        heads(rows @ weights[f"{prefix}.{part}.weight"].T, config.num_heads)
        for part, rows in (("q", x), ("k", source), ("v", source))
    )
    shares = probabilities(q, k, bias)
    if seen is not None:
        seen.append(shares)
    out = (shares @ v).swapaxes(1, 2)
    return np.asarray(out.reshape(*x.shape[:2], -1) @ weights[f"{prefix}.o.weight"].T)


def _feed_forward(weights: Mapping[str, Array], prefix: str, config: T5Config, x: Array) -> Array:
    if config.is_gated:
        gate = activate(x @ weights[f"{prefix}.wi_0.weight"].T, config.activation)
        inner = gate * (x @ weights[f"{prefix}.wi_1.weight"].T)
    else:
        inner = activate(x @ weights[f"{prefix}.wi.weight"].T, config.activation)
    return np.asarray(inner @ weights[f"{prefix}.wo.weight"].T)


def _closed(mask: Array, dtype: Any) -> Array:
    return np.where(np.asarray(mask) != 0, 0.0, np.finfo(np.float32).min).astype(dtype)[:, None, None, :]


def position_bias(weights: Mapping[str, Array], config: T5Config, stack: str, length: int) -> Array:
    """Bias of shape (heads, length, length) that a stack's self-attention adds."""
    table = weights[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
    distance = np.arange(length)[None, :] - np.arange(length)[:, None]
    index = relative_buckets(
        distance,
        bidirectional=stack == "encoder",
        buckets=config.relative_attention_num_buckets,
        max_distance=config.relative_attention_max_distance,
    )
    return np.moveaxis(table[index], -1, 0)


def encode(
    weights: Mapping[str, Array], config: T5Config, input_ids: Array, attention_mask: Array | None = None
) -> Array:
    """Return the encoder's output, (batch, source, d_model); the mask is where ``input_ids`` is not the pad, unless given."""
    input_ids = np.asarray(input_ids)
    mask = input_ids != config.pad_token_id if attention_mask is None else attention_mask
    x = weights["shared.weight"][input_ids]
    bias = position_bias(weights, config, "encoder", x.shape[1])[None] + _closed(mask, x.dtype)
    for i in range(config.num_layers):
        block = f"encoder.block.{i}.layer"
        normed = rms_norm(x, weights[f"{block}.0.layer_norm.weight"], config.layer_norm_epsilon)
        x = x + _attend(weights, f"{block}.0.SelfAttention", config, normed, normed, bias)
        normed = rms_norm(x, weights[f"{block}.1.layer_norm.weight"], config.layer_norm_epsilon)
        x = x + _feed_forward(weights, f"{block}.1.DenseReluDense", config, normed)
    return rms_norm(x, weights["encoder.final_layer_norm.weight"], config.layer_norm_epsilon)


def decode(
    weights: Mapping[str, Array],
    config: T5Config,
    encoded: Array,
    mask: Array,
    decoder_input_ids: Array,
    seen: list[Array] | None = None,
) -> Array:
    """Logits of shape (batch, target, vocab); ``seen`` collects each layer's cross-attention (batch, heads, target, source)."""
    x = weights["shared.weight"][np.asarray(decoder_input_ids)]
    length = x.shape[1]
    later = np.triu(np.full((length, length), np.finfo(np.float32).min, x.dtype), 1)
    self_bias = position_bias(weights, config, "decoder", length)[None] + later
    cross_bias = _closed(mask, x.dtype)
    for i in range(config.num_decoder_layers):
        block = f"decoder.block.{i}.layer"
        normed = rms_norm(x, weights[f"{block}.0.layer_norm.weight"], config.layer_norm_epsilon)
        x = x + _attend(weights, f"{block}.0.SelfAttention", config, normed, normed, self_bias)
        normed = rms_norm(x, weights[f"{block}.1.layer_norm.weight"], config.layer_norm_epsilon)
        x = x + _attend(weights, f"{block}.1.EncDecAttention", config, normed, encoded, cross_bias, seen)
        normed = rms_norm(x, weights[f"{block}.2.layer_norm.weight"], config.layer_norm_epsilon)
        x = x + _feed_forward(weights, f"{block}.2.DenseReluDense", config, normed)
    x = rms_norm(x, weights["decoder.final_layer_norm.weight"], config.layer_norm_epsilon)
    head = weights.get("lm_head.weight", weights["shared.weight"])
    return np.asarray(x * config.output_factor @ head.T)


def logits(
    weights: Mapping[str, Array],
    config: T5Config,
    input_ids: Array,
    decoder_input_ids: Array,
    attention_mask: Array | None = None,
) -> Array:
    """Logits of shape (batch, target, vocab) for decoder inputs that are given."""
    mask = np.asarray(input_ids) != config.pad_token_id if attention_mask is None else attention_mask
    return decode(weights, config, encode(weights, config, input_ids, mask), np.asarray(mask), decoder_input_ids)


# ---------------------------------------------------------------- generation


def greedy(weights: Mapping[str, Array], config: T5Config, input_ids: Array, max_new_tokens: int) -> list[list[int]]:
    """Most likely tokens, one list per row, with the end token where it came."""
    input_ids = np.asarray(input_ids)
    mask = input_ids != config.pad_token_id
    encoded = encode(weights, config, input_ids)
    tokens = np.full((len(input_ids), 1), config.decoder_start_token_id)
    done = np.zeros(len(input_ids), bool)
    for _ in range(max_new_tokens):
        following = decode(weights, config, encoded, mask, tokens)[:, -1].argmax(-1)
        following[done] = config.pad_token_id
        done |= following == config.eos_token_id
        tokens = np.concatenate([tokens, following[:, None]], 1)
        if done.all():
            break
    return [_until(row, config) for row in tokens[:, 1:].tolist()]


def _until(row: list[int], config: T5Config) -> list[int]:
    return row[: row.index(config.eos_token_id) + 1] if config.eos_token_id in row else row


class Beams:
    """Beam search's bookkeeping for one source, step by step: see `beam`.

    The rules are those that ``transformers`` applies by default: 2 * beams candidates a step, of which those that end leave the
    search if they are among the first ``beams``; scores divided by the number of tokens; stop when the best running beam, divided
    by its length, cannot beat the worst finished one, or at ``max_new_tokens``.
    """

    def __init__(self, beams: int, eos: int, max_new_tokens: int) -> None:
        self.beams, self.eos, self.limit = beams, eos, max_new_tokens
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
        ends = [tokens[-1] == self.eos or length >= self.limit for _, _, tokens in candidates]
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


def beam_search(
    weights: Mapping[str, Array], config: T5Config, input_ids: Array, beams: int, max_new_tokens: int
) -> list[list[int]]:
    """Tokens of the best hypothesis per row, with the end token where it came.

    Rows are searched one by one: ``transformers`` searches them together and stops when none can improve, with the same result.
    """
    input_ids = np.asarray(input_ids)
    out = []
    for ids in input_ids:
        row = ids[None]
        mask = row != config.pad_token_id
        encoded = encode(weights, config, row)
        state = Beams(beams, config.eos_token_id, max_new_tokens)
        while not state.done:
            tokens = np.array([[config.decoder_start_token_id, *beam] for beam in state.running])
            repeated = np.repeat(encoded, beams, 0), np.repeat(mask, beams, 0)
            state.advance(log_softmax(decode(weights, config, *repeated, tokens)[:, -1]))
        out.append(state.best)
    return out


# ---------------------------------------------------------------- kernels, by the names of their files


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


def step_self(qkv: Array, bias: Array, keys: Array, values: Array, origin: Array, step: int) -> Array:
    """Self-attention of one new position.

    Parameters
    ----------
    qkv
        (rows, 3, heads, d).
    bias
        (heads, 2 * distance + 1), see `bias_table`.
    keys, values
        (rows, heads, capacity, d); position ``step`` is written.
    origin
        (rows, capacity): the row of the cache where each past position lies.
    """
    rows, _, count, _ = qkv.shape
    past_k = keys[origin[:, :step, None], np.arange(count), np.arange(step)[None, :, None]]
    past_v = values[origin[:, :step, None], np.arange(count), np.arange(step)[None, :, None]]
    all_k = np.concatenate([past_k, qkv[:, None, 1]], 1)
    all_v = np.concatenate([past_v, qkv[:, None, 2]], 1)
    scores = np.einsum("rhd,rjhd->rhj", qkv[:, 0], all_k) + _clamped_bias(bias, np.arange(step + 1) - step)
    keys[:, :, step], values[:, :, step] = qkv[:, 1], qkv[:, 2]
    return np.einsum("rhj,rjhd->rhd", softmax(scores), all_v).reshape(rows, -1)


def attention_weights(q: Array, kv: Array, mask: Array) -> Array:
    """Shares of cross-attention: q (batch, queries, heads, d), kv (batch, keys, 2, heads, d), mask (batch, keys)."""
    scores = np.einsum("bihd,bjhd->bhij", q, kv[:, :, 0])
    return np.where(mask[:, None, None, :] != 0, softmax(np.where(mask[:, None, None, :] != 0, scores, -3e38)), 0)


def step_cross(q: Array, kv: Array, mask: Array, beams: int) -> Array:
    """Cross-attention of one new position: q (rows, heads, d); row r belongs to source ``r // beams``."""
    item = np.arange(len(q)) // beams
    shares = attention_weights(q[:, None], kv[item], mask[item])
    return np.einsum("rhij,rjhd->rhd", shares, kv[item][:, :, 1]).reshape(len(q), -1)


def _in_slots(context: Array, x: Array, output: Array, count: int) -> Array:
    by_head = output.reshape(len(output), count, -1)
    parts = np.einsum("rhd,ohd->rho", context.reshape(len(x), count, -1), by_head)
    return np.concatenate([parts, x[:, None]], 1)


def block_self(
    x: Array, gain: Array, into: Array, output: Array, bias: Array, keys: Array, values: Array, origin: Array, step: int, *, epsilon: float = 1e-6
) -> Array:  # fmt: skip
    """`step_self` from the norm to the output projection: (rows, heads + 1, d_model), a head's part each and the row itself."""
    count = len(bias)
    qkv = step_linear(x, gain, into, epsilon=epsilon).reshape(len(x), 3, count, -1)
    return _in_slots(step_self(qkv, bias, keys, values, origin, step), x, output, count)


def block_cross(
    slots: Array, gain: Array, query: Array, output: Array, kv: Array, mask: Array, beams: int, *, epsilon: float = 1e-6
) -> Array:
    """`step_cross` from the norm to the output projection, of rows in slots; as `block_self`."""
    x, count = slots.sum(1), kv.shape[3]
    q = step_linear(x, gain, query, epsilon=epsilon).reshape(len(x), count, -1)
    return _in_slots(step_cross(q, kv, mask, beams), x, output, count)


def block_gate(
    slots: Array, gain: Array, weight: Array, *, is_gated: bool, activation: str, epsilon: float = 1e-6
) -> tuple[Array, Array]:
    """`step_gate` of rows in slots, and the rows."""
    x = slots.sum(1)
    return step_gate(x, gain, weight, is_gated=is_gated, activation=activation, epsilon=epsilon), x


def attention(q: Array, k: Array, v: Array, bias: Array | None, mask: Array, *, causal: bool) -> Array:
    """Attention of all queries: q (batch, queries, heads, d), k and v (batch, keys, heads, d), bias as in `step_self`."""
    scores = np.einsum("bihd,bjhd->bhij", q, k)
    distance = np.arange(k.shape[1])[None, :] - np.arange(q.shape[1])[:, None]
    if bias is not None:
        scores = scores + _clamped_bias(bias, distance)
    is_open = (mask[:, None, None, :] != 0) & ((distance <= 0) | (not causal))
    shares = np.where(is_open, softmax(np.where(is_open, scores, -3e38)), 0)
    return np.einsum("bhij,bjhd->bihd", shares, v)


def attention_tiled(q: Array, k: Array, v: Array, bias: Array | None, mask: Array, *, causal: bool) -> Array:
    """As `attention`: the same values, made in another order."""
    return attention(q, k, v, bias, mask, causal=causal)


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


def allowed(logits: Array, *, temperature: float, top_k: int, top_p: float) -> NDArray[np.bool_]:
    """Which tokens of one row may be drawn: the ``top_k`` largest (0: all), of these the fewest whose probability reaches ``top_p``."""
    values = np.asarray(logits, np.float64)
    keep = np.ones(len(values), bool)
    if 0 < top_k < len(values):
        keep &= values >= np.sort(values)[-top_k]
    if top_p < 1:
        weight = np.where(keep, np.exp((values - values.max()) / temperature), 0)
        order = np.argsort(-values, kind="stable")
        above = np.cumsum(weight[order]) - weight[order]
        keep[order[above >= top_p * weight.sum()]] = False
    keep[values.argmax()] = True
    return keep


def pick(
    logits: Array, *, row: int, step: int, seed: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> int:
    """Draw one token of a row of logits by the Gumbel maximum over those `allowed`."""
    uniform = ((random_words(seed, row, step, np.arange(len(logits))) >> np.uint32(8)) + 0.5) * 2.0**-24
    drawn = np.asarray(logits, np.float64) / temperature - np.log(-np.log(uniform))
    return int(np.where(allowed(logits, temperature=temperature, top_k=top_k, top_p=top_p), drawn, -np.inf).argmax())


# ---------------------------------------------------------------- number formats


def quantize_rows(weight: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round each row to 8 bits: ``weight ~ values * scale[:, None]``, scale the row's largest magnitude over 127 (NaN if not finite)."""
    largest = np.abs(weight.astype(np.float64)).max(axis=1)
    finite = np.isfinite(largest)
    scale = np.where(finite, np.where(largest > 0, largest / 127, 1.0), np.nan)
    steps = np.where(finite[:, None], weight, 0) / np.where(finite, scale, 1)[:, None]
    values = np.clip(np.rint(steps), -127, 127).astype(np.int8)
    return values, scale.astype(np.float32)


def quantized(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Return weights as the int8 model sees them, in float64: all matrices but the position biases rounded by rows."""
    out: dict[str, Array] = {}
    for name, weight in weights.items():
        if weight.ndim == 2 and "relative_attention_bias" not in name:
            values, scale = quantize_rows(weight)
            out[name] = values.astype(np.float64) * scale.astype(np.float64)[:, None]
        else:
            out[name] = weight.astype(np.float64)
    return out
