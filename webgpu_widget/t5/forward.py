"""The encoder, and the decoder over given tokens: many rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.nn.layers import Rows

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.t5.parts import Parts

__all__ = ["Encoded", "Encoding", "decode", "encode"]


@dataclass(frozen=True)
class Encoded:
    """The encoder's output on the GPU."""

    states: Buffer
    mask: Buffer
    batch: int
    source: int


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
        self.parts, self.batch, self.source = parts, batch, source
        alloc = parts.kernels.queue.alloc
        self.ids, self.mask = (alloc(4 * batch * source, label=name) for name in ("ids", "mask"))
        self.rows = Rows(parts.kernels, batch * source)

    @property
    def size_bytes(self) -> int:
        """Memory of the buffers."""
        return self.ids.size_bytes + self.mask.size_bytes + self.rows.size_bytes

    @property
    def encoded(self) -> Encoded:
        """Where the output is after `end`."""
        return Encoded(self.rows.normed, self.mask, self.batch, self.source)

    def write(self, ids: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> None:
        """Bring ids (batch, source) to the GPU; the mask is 0 at padding."""
        queue = self.parts.kernels.queue
        queue.write(self.ids, np.ascontiguousarray(ids, np.uint32))
        queue.write(self.mask, np.ascontiguousarray(mask != 0, np.uint32))

    def embed(self) -> None:
        """Queue the rows of the embedding."""
        self.parts.kernels.embed(self.ids, self.rows.rows, self.parts.embedding, self.rows.x)

    def layer(self, i: int) -> None:
        """Queue layer ``i``."""
        layer, shape = self.parts.encoder(i), (self.batch, self.source, self.source)
        self.rows.project(layer.attention)
        self.rows.attend(layer.attention, None, self.parts.bias("encoder"), self.mask, shape)
        self.rows.feed_forward(layer.feed_forward)

    def end(self) -> None:
        """Queue the last norm."""
        self.rows.norm(self.parts.gain("encoder.final_layer_norm.weight"))


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
    rows = Rows(k, batch * target)
    k.embed(k.upload(ids, "ids"), rows.rows, parts.embedding, rows.x)
    every = k.upload(np.ones((batch, target)), "mask")
    kv = k.floats(batch * encoded.source * k.sizes.kv_width, "source's keys and values")
    bias = parts.bias("decoder")
    for i in range(c.num_decoder_layers):
        layer = parts.decoder(i)
        rows.project(layer.attention)
        rows.attend(layer.attention, None, bias, every, (batch, target, target), causal=True)
        rows.project(layer.cross)
        k.linear(encoded.states, layer.source, kv, batch * encoded.source)
        shape = (batch, target, encoded.source)
        if seen is not None:
            seen.append(k.floats(batch * c.num_heads * target * encoded.source, "cross-attention"))
            k.attention_weights(rows.qkv, kv, encoded.mask, seen[-1], shape)
        rows.attend(layer.cross, kv, None, encoded.mask, shape)
        rows.feed_forward(layer.feed_forward)
    rows.norm(parts.gain("decoder.final_layer_norm.weight"))
    logits = k.floats(rows.rows * c.vocab_size, "logits")
    k.linear(rows.normed, parts.head, logits, rows.rows, factor=c.output_factor)
    return logits
