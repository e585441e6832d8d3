"""The encoder, and the decoder over given tokens: many rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from webgpu_widget._queue import Buffer
    from webgpu_widget.t5.parts import FeedForward, Parts

__all__ = ["Encoded", "decode", "encode", "upload"]


@dataclass(frozen=True)
class Encoded:
    """The encoder's output on the GPU."""

    states: Buffer
    mask: Buffer
    batch: int
    source: int


def upload(parts: Parts, values: np.ndarray[Any, Any], label: str) -> Buffer:
    """Bring whole numbers to the GPU as u32."""
    data = np.ascontiguousarray(values, np.uint32)
    buffer = parts.kernels.queue.alloc(data.nbytes, label=label)
    parts.kernels.queue.write(buffer, data)
    return buffer


def _floats(parts: Parts, count: int, label: str) -> Buffer:
    return parts.kernels.queue.alloc(4 * count, label=f"t5 {label}")


def _feed_forward(parts: Parts, part: FeedForward, x: Buffer, scratch: dict[str, Buffer], rows: int) -> None:
    k = parts.kernels
    k.norm(x, part.gain, scratch["normed"], rows)
    k.linear(scratch["normed"], part.into, scratch["wide"], rows)
    k.gate(scratch["wide"], scratch["inner"], rows)
    k.linear(scratch["inner"], part.out, x, rows, residual=True)


def _scratch(parts: Parts, rows: int) -> dict[str, Buffer]:
    c = parts.config
    return {
        "normed": _floats(parts, rows * c.d_model, "normed rows"),
        "qkv": _floats(parts, rows * 3 * c.inner, "qkv"),
        "context": _floats(parts, rows * c.inner, "context"),
        "wide": _floats(parts, rows * c.d_ff * (2 if c.is_gated else 1), "feed-forward"),
        "inner": _floats(parts, rows * c.d_ff, "feed-forward"),
    }


def encode(parts: Parts, ids: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> Encoded:
    """Run the encoder over ids (batch, source); the mask is 0 at padding."""
    k, c = parts.kernels, parts.config
    batch, source = ids.shape
    rows = batch * source
    x = _floats(parts, rows * c.d_model, "encoder states")
    open_keys = upload(parts, mask != 0, "t5 mask")
    k.embed(upload(parts, ids, "t5 ids"), rows, parts.embedding, x)
    scratch = _scratch(parts, rows)
    bias = parts.bias("encoder")
    for i in range(c.num_layers):
        layer = parts.encoder(i)
        k.norm(x, layer.attention.gain, scratch["normed"], rows)
        k.linear(scratch["normed"], layer.attention.into, scratch["qkv"], rows)
        k.attention(
            scratch["qkv"],
            scratch["qkv"],
            bias,
            open_keys,
            scratch["context"],
            (batch, source, source),
            parts=(3, 3),
            causal=False,
            biased=True,
        )
        k.linear(scratch["context"], layer.attention.out, x, rows, residual=True)
        _feed_forward(parts, layer.feed_forward, x, scratch, rows)
        k.queue.flush()  # a batch a layer: a slow adapter reports each, and nobody takes it for dead
    states = scratch["normed"]
    k.norm(x, parts.gain("encoder.final_layer_norm.weight"), states, rows)
    return Encoded(states, open_keys, batch, source)


def decode(parts: Parts, encoded: Encoded, ids: np.ndarray[Any, Any], *, seen: list[Buffer] | None = None) -> Buffer:
    """Run the decoder over given ids (batch, target); returns logits (batch, target, vocab).

    Parameters
    ----------
    seen
        Collects each layer's cross-attention, (batch, heads, target, source).
    """
    k, c = parts.kernels, parts.config
    batch, target = ids.shape
    rows = batch * target
    x = _floats(parts, rows * c.d_model, "decoder states")
    k.embed(upload(parts, ids, "t5 ids"), rows, parts.embedding, x)
    scratch = _scratch(parts, rows)
    every = upload(parts, np.ones((batch, target)), "t5 mask")
    kv = _floats(parts, batch * encoded.source * 2 * c.inner, "source's keys and values")
    bias = parts.bias("decoder")
    for i in range(c.num_decoder_layers):
        layer = parts.decoder(i)
        k.norm(x, layer.attention.gain, scratch["normed"], rows)
        k.linear(scratch["normed"], layer.attention.into, scratch["qkv"], rows)
        k.attention(
            scratch["qkv"],
            scratch["qkv"],
            bias,
            every,
            scratch["context"],
            (batch, target, target),
            parts=(3, 3),
            causal=True,
            biased=True,
        )
        k.linear(scratch["context"], layer.attention.out, x, rows, residual=True)
        k.norm(x, layer.cross.gain, scratch["normed"], rows)
        k.linear(scratch["normed"], layer.cross.into, scratch["qkv"], rows)
        k.linear(encoded.states, layer.source, kv, batch * encoded.source)
        shape = (batch, target, encoded.source)
        if seen is not None:
            seen.append(_floats(parts, batch * c.num_heads * target * encoded.source, "cross-attention"))
            k.attention_weights(scratch["qkv"], kv, encoded.mask, seen[-1], shape)
        k.attention(
            scratch["qkv"], kv, bias, encoded.mask, scratch["context"], shape, parts=(1, 2), causal=False, biased=False
        )
        k.linear(scratch["context"], layer.cross.out, x, rows, residual=True)
        _feed_forward(parts, layer.feed_forward, x, scratch, rows)
    k.norm(x, parts.gain("decoder.final_layer_norm.weight"), scratch["normed"], rows)
    logits = _floats(parts, rows * c.vocab_size, "logits")
    k.linear(scratch["normed"], parts.head, logits, rows, factor=c.d_model**-0.5 if c.tie_word_embeddings else 1.0)
    return logits
