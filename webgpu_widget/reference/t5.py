"""NumPy twin of the T5 model.

The functions take ``weights``, a mapping from the hub's tensor names to arrays; they compute in the dtype of the weights
(float64 for a reference, float32 to see rounding). T5: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
Text-to-Text Transformer", 2020; the gated feed-forward of v1.1: Shazeer, "GLU Variants Improve Transformer", 2020.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.reference.nn import Beams, activate, log_softmax, quantize_rows, rms_norm, softmax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webgpu_widget.t5.config import T5Config

Array = NDArray[Any]


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


def probabilities(q: Array, k: Array, bias: Array) -> Array:
    """Softmax of unscaled scores: q (batch, heads, queries, d), k (batch, heads, keys, d), bias broadcasts to the scores."""
    return softmax(q @ k.swapaxes(-1, -2) + bias)


def heads(x: Array, count: int) -> Array:
    """(batch, rows, count * d) -> (batch, count, rows, d)."""
    return x.reshape(*x.shape[:2], count, -1).swapaxes(1, 2)


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
        state = Beams(beams, (config.eos_token_id,), max_new_tokens)
        while not state.done:
            tokens = np.array([[config.decoder_start_token_id, *beam] for beam in state.running])
            repeated = np.repeat(encoded, beams, 0), np.repeat(mask, beams, 0)
            state.advance(log_softmax(decode(weights, config, *repeated, tokens)[:, -1]))
        out.append(state.best)
    return out


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
