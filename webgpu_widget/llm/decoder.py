"""Layers over a prompt, and one recorded step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget.errors import LimitError
from webgpu_widget.nn import decoder
from webgpu_widget.nn.layers import Attention, FeedForward, Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.llm.source import File
    from webgpu_widget.nn.cache import Cache
    from webgpu_widget.nn.kernels import Kernels, Matrix
    from webgpu_widget.nn.sampling import Settings

__all__ = ["Decoder", "Parts", "run"]


@dataclass(frozen=True)
class Layer:
    """Self-attention and feed-forward."""

    attention: Attention
    feed_forward: FeedForward


class Parts:
    """The model's matrices and norms on the GPU.

    Parameters
    ----------
    kernels
        For the model's sizes.
    file
        Where they are.
    """

    def __init__(self, kernels: Kernels, file: File) -> None:
        self.kernels, self.config = kernels, file.config
        turns = file.config.turns()
        self.turns = kernels.floats(turns.size, "cosines and sines")
        kernels.queue.write(self.turns, turns)
        self.table = file.matrix(kernels, "token_embd.weight")
        self.layers = [self._layer(file, f"blk.{i}") for i in range(self.config.layers)]
        self.gain = file.gain(kernels, "output_norm.weight")
        self.head = file.matrix(kernels, "output.weight") if file.has_head else self.table

    def _layer(self, file: File, block: str) -> Layer:
        k = self.kernels
        attention = Attention(
            file.gain(k, f"{block}.attn_norm.weight"),
            file.matrix(k, *(f"{block}.attn_{part}.weight" for part in "qkv")),
            file.matrix(k, f"{block}.attn_output.weight"),
        )
        feed_forward = FeedForward(
            file.gain(k, f"{block}.ffn_norm.weight"),
            file.matrix(k, f"{block}.ffn_gate.weight", f"{block}.ffn_up.weight"),
            file.matrix(k, f"{block}.ffn_down.weight"),
        )
        return Layer(attention, feed_forward)


def run(parts: Parts, ids: Sequence[int], cache: Cache | None = None) -> Rows:
    """Take the tokens of one prompt through the layers, keeping their keys and values where there is a cache."""
    k = parts.kernels
    count = len(ids)
    rows = Rows(k, count)
    k.embed(k.upload(np.asarray(ids), "ids"), count, parts.table, rows.x)
    mask = k.upload(np.ones(count), "mask")
    for i, layer in enumerate(parts.layers):
        rows.project(layer.attention)
        k.rope(rows.qkv, parts.turns, None, (1, count), is_interleaved=True)
        if cache is not None:
            k.keep(rows.qkv, cache.layers[i], (1, count), 0, cache.capacity)
        rows.attend(layer.attention, None, None, mask, (1, count, count), causal=True)
        rows.feed_forward(layer.feed_forward)
        k.queue.flush()  # a batch a layer: a slow adapter reports each
    return rows


class Decoder(decoder.Decoder):
    """A text that grows by a recorded step.

    Parameters
    ----------
    parts
        The model.
    max_new_tokens
        What is expected, the prompt included.
    ends
        Tokens that end a text.
    """

    def __init__(self, parts: Parts, max_new_tokens: int, ends: Sequence[int]) -> None:
        k, s = parts.kernels, parts.kernels.sizes
        self.parts = parts
        super().__init__(k, len(parts.layers), 1, 1, max_new_tokens, ends=ends, pad=ends[0])
        self.most = min(self.most, parts.config.context)
        self.qkv = k.floats(s.q_width + s.kv_width, "step queries, keys and values")
        self.context = k.floats(s.q_width, "step context")
        self.inner = k.floats(s.hidden, "step feed-forward")

    @property
    def table(self) -> Matrix:
        """The embedding."""
        return self.parts.table

    def _room(self) -> str:
        context = self.parts.config.context
        return super()._room() if self.most < context else f"the model's context is {context} tokens"

    def step(self) -> None:
        """Queue the kernels of one step."""
        k, cache = self.kernels, self.cache
        for i, layer in enumerate(self.parts.layers):
            own, feed_forward = layer.attention, layer.feed_forward
            k.step_linear(self.x, own.gain, own.into, self.state, self.qkv, 1)
            k.rope(self.qkv, self.parts.turns, self.state, (1, 1), is_interleaved=True)
            k.step_self(self.qkv, None, cache.origin, self.state, cache.layers[i], self.context, 1, cache.capacity)
            k.step_linear(self.context, None, own.out, self.state, self.x, 1, residual=True)
            k.step_gate(self.x, feed_forward.gain, feed_forward.into, self.state, self.inner, 1)
            k.step_linear(self.inner, None, feed_forward.out, self.state, self.x, 1, residual=True)
        k.step_linear(self.x, self.parts.gain, self.parts.head, self.state, self.logits, 1)

    def start(self, ids: Sequence[int], settings: Settings) -> None:
        """Prepare to go on from a prompt: all of its tokens but the last go through the layers at once, the last is the first step's."""
        if len(ids) > self.most:
            raise LimitError(
                f"the text has {len(ids)} tokens, and there is room for {self.most}: {self._room()}. Shorten it."
            )
        self.reset(settings, len(ids) - 1)
        self.reserve(len(ids))
        if len(ids) > 1:
            run(self.parts, ids[:-1], self.cache)
        last: Buffer = self.kernels.upload(np.asarray(ids[-1:]), "ids")
        self.kernels.embed(last, 1, self.parts.table, self.x)
