"""The encoder, and the decoder over given tokens: many rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.t5.parts import FeedForward, Parts

__all__ = ["Encoded", "Encoding", "decode", "encode", "upload"]


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


class Encoding:
    """The encoder's buffers for one shape of source, and its kernels in order: `embed`, each `layer`, `end`.

    Parameters
    ----------
    parts
        The model.
    batch, source
        Shape of the ids.
    """

    def __init__(self, parts: Parts, batch: int, source: int) -> None:
        self.parts, self.batch, self.source, self.rows = parts, batch, source, batch * source
        alloc = parts.kernels.queue.alloc
        self.ids, self.mask = (alloc(4 * self.rows, label=f"t5 {name}") for name in ("ids", "mask"))
        self.x = _floats(parts, self.rows * parts.config.d_model, "encoder states")
        self.scratch = _scratch(parts, self.rows)

    @property
    def size_bytes(self) -> int:
        """Memory of the buffers."""
        return sum(buffer.size_bytes for buffer in (self.ids, self.mask, self.x, *self.scratch.values()))

    @property
    def encoded(self) -> Encoded:
        """Where the output is after `end`."""
        return Encoded(self.scratch["normed"], self.mask, self.batch, self.source)

    def write(self, ids: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> None:
        """Bring ids (batch, source) to the GPU; the mask is 0 at padding."""
        queue = self.parts.kernels.queue
        queue.write(self.ids, np.ascontiguousarray(ids, np.uint32))
        queue.write(self.mask, np.ascontiguousarray(mask != 0, np.uint32))

    def embed(self) -> None:
        """Queue the rows of the embedding."""
        self.parts.kernels.embed(self.ids, self.rows, self.parts.embedding, self.x)

    def layer(self, i: int) -> None:
        """Queue layer ``i``."""
        k, layer, scratch, x = self.parts.kernels, self.parts.encoder(i), self.scratch, self.x
        k.norm(x, layer.attention.gain, scratch["normed"], self.rows)
        k.linear(scratch["normed"], layer.attention.into, scratch["qkv"], self.rows)
        k.attention(
            scratch["qkv"],
            scratch["qkv"],
            self.parts.bias("encoder"),
            self.mask,
            scratch["context"],
            (self.batch, self.source, self.source),
            parts=(3, 3),
            causal=False,
            biased=True,
        )
        k.linear(scratch["context"], layer.attention.out, x, self.rows, residual=True)
        _feed_forward(self.parts, layer.feed_forward, x, scratch, self.rows)

    def end(self) -> None:
        """Queue the last norm."""
        gain = self.parts.gain("encoder.final_layer_norm.weight")
        self.parts.kernels.norm(self.x, gain, self.scratch["normed"], self.rows)


def encode(parts: Parts, ids: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> Encoded:
    """Run the encoder over ids (batch, source), kernel by kernel; the mask is 0 at padding."""
    encoding = Encoding(parts, *ids.shape)
    encoding.write(ids, mask)
    encoding.embed()
    for i in range(parts.config.num_layers):
        encoding.layer(i)
        parts.kernels.queue.flush()  # a batch a layer: a slow adapter reports each, and nobody takes it for dead
    encoding.end()
    return encoding.encoded


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
    k.linear(scratch["normed"], parts.head, logits, rows, factor=c.output_factor)
    return logits
