"""The decoder's step, recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget.nn import decoder

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.nn.kernels import Matrix
    from webgpu_widget.nn.sampling import Settings
    from webgpu_widget.t5.forward import Encoded
    from webgpu_widget.t5.parts import DecoderLayer, Parts

__all__ = ["Decoder"]


class Decoder(decoder.Decoder):
    """Caches, buffers and the recorded step for one shape of work.

    Parameters
    ----------
    parts
        The model.
    sources, beams
        Rows are ``sources * beams``.
    source
        Width of the encoder's output.
    max_new_tokens
        What is expected.
    """

    def __init__(self, parts: Parts, sources: int, beams: int, source: int, max_new_tokens: int) -> None:
        c, k = parts.config, parts.kernels
        super().__init__(
            k, c.num_decoder_layers, sources, beams, max_new_tokens, ends=(c.eos_token_id,), pad=c.pad_token_id
        )
        self.parts, self.source = parts, source
        rows, sizes = self.rows, k.sizes
        self.qkv = k.floats(rows * (sizes.q_width + sizes.kv_width), "step qkv")
        self.q = k.floats(rows * sizes.q_width, "step q")
        self.context = k.floats(rows * sizes.q_width, "step context")
        self.inner = k.floats(rows * sizes.hidden, "step feed-forward")
        self.mask = k.queue.alloc(4 * sources * source, label="mask")
        self.slots = k.floats(rows * (sizes.heads + 1) * sizes.width, "step slots") if parts.fused.width else None
        self.kv = [
            k.floats(sources * source * sizes.kv_width, "source's keys and values") for _ in range(c.num_decoder_layers)
        ]
        self.start_ids = k.upload(np.full(rows, c.decoder_start_token_id), "ids")
        parts.load_decoder()  # what still has to be moved cannot be moved while recording
        self._recorded()

    @property
    def table(self) -> Matrix:
        """The shared embedding."""
        return self.parts.embedding

    def step(self) -> None:
        """Queue the kernels of one step."""
        k, c, rows = self.kernels, self.parts.config, self.rows
        for i in range(c.num_decoder_layers):
            layer = self.parts.decoder(i)
            if layer.vectors is None or self.slots is None:
                self._layer(layer, i)
            else:
                self._fused_layer(layer, layer.vectors, self.slots, i)
            k.step_linear(self.inner, None, layer.feed_forward.out, self.state, self.x, rows, residual=True)
        final = self.parts.gain("decoder.final_layer_norm.weight")
        k.step_linear(self.x, final, self.parts.head, self.state, self.logits, rows, factor=c.output_factor)

    def _layer(self, layer: DecoderLayer, i: int) -> None:
        """Queue a layer up to its feed-forward's second half."""
        k, rows, cache = self.kernels, self.rows, self.cache
        bias = self.parts.bias("decoder")
        k.step_linear(self.x, layer.attention.gain, layer.attention.into, self.state, self.qkv, rows)
        k.step_self(self.qkv, bias, cache.origin, self.state, cache.layers[i], self.context, rows, cache.capacity)
        k.step_linear(self.context, None, layer.attention.out, self.state, self.x, rows, residual=True)
        k.step_linear(self.x, layer.cross.gain, layer.cross.into, self.state, self.q, rows)
        k.step_cross(self.q, self.kv[i], self.mask, self.state, self.context, rows, self.source, self.beams)
        k.step_linear(self.context, None, layer.cross.out, self.state, self.x, rows, residual=True)
        k.step_gate(self.x, layer.feed_forward.gain, layer.feed_forward.into, self.state, self.inner, rows)

    def _fused_layer(self, layer: DecoderLayer, vectors: tuple[Buffer, Buffer], slots: Buffer, i: int) -> None:
        """Queue the same in five kernels instead of seven."""
        b, x, rows, cache = self.parts.fused, self.x, self.rows, self.cache
        own, other, feed_forward = layer.attention, layer.cross, layer.feed_forward
        self.kernels.step_linear(x, own.gain, own.into, self.state, self.qkv, rows)
        b.step_self(x, self.qkv, own.out, vectors[0], cache.origin, self.state, cache.layers[i], slots, rows, cache.capacity)  # fmt: skip
        b.step_linear(slots, other.gain, other.into, self.state, self.q, x, rows)
        b.step_cross(x, self.q, other.out, vectors[1], self.kv[i], self.mask, self.state, slots, rows, self.source, self.beams)  # fmt: skip
        b.step_gate(slots, feed_forward.gain, feed_forward.into, self.state, self.inner, x, rows)

    def start(self, encoded: Encoded, settings: Settings) -> None:
        """Prepare for new sources: their keys and values, fresh state, the start token."""
        k = self.kernels
        for i in range(self.parts.config.num_decoder_layers):
            k.linear(encoded.states, self.parts.decoder(i).source, self.kv[i], encoded.batch * encoded.source)
        if encoded.source < self.source:
            k.queue.clear(self.mask)
        k.queue.copy(encoded.mask, 0, self.mask, 0, 4 * encoded.batch * encoded.source)
        self.reset(settings)
        k.embed(self.start_ids, self.rows, self.parts.embedding, self.x)
