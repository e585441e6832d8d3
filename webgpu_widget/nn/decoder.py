"""Decoding that stays in the browser: one recorded step, replayed many times a message, tokens read back in chunks."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.errors import WeightsError
from webgpu_widget.kernels.program import Program
from webgpu_widget.t5 import forward

if TYPE_CHECKING:
    from webgpu_widget.link.connection import Request
    from webgpu_widget.nn.blocks import Block
    from webgpu_widget.t5.forward import Encoded
    from webgpu_widget.t5.parts import DecoderLayer, Parts

__all__ = ["Chunk", "Decoder", "Reading", "Settings", "Work", "generate"]

MOST_BEAMS = 16
_CHUNKS = (1, 4, 8, 16, 32)
_UNDEFINED = 2
"""What the state's first word says where generation stopped for logits that are no numbers."""
_TARGET_S = 0.08
"""A chunk grows while it takes less: a reader sees text move."""


@dataclass(frozen=True)
class Settings:
    """How tokens are chosen. ``top_k`` 0 and ``top_p`` 1 leave all tokens in."""

    max_new_tokens: int = 64
    num_beams: int = 1
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Chunk:
    """Tokens that have come: one list per source, ended ones cut after the end token."""

    tokens: list[list[int]]
    done: bool


@dataclass(frozen=True)
class Reading:
    """Bytes on their way; the arrays are filled when the request is done."""

    request: Request
    arrays: list[np.ndarray[Any, Any]]


Work = Generator[Reading | Chunk, None, None]


class Decoder:
    """Caches, buffers and the recorded step for one shape of work.

    Parameters
    ----------
    parts
        The model.
    sources, beams
        Rows are ``sources * beams``.
    source
        Width of the encoder's output.
    capacity
        Most tokens.
    """

    def __init__(self, parts: Parts, sources: int, beams: int, source: int, capacity: int) -> None:
        self.parts = parts
        self.sources, self.beams, self.source, self.capacity = sources, beams, source, capacity
        self.rows = rows = sources * beams
        c = parts.config
        alloc = parts.kernels.queue.alloc
        self.x = alloc(4 * rows * c.d_model, label="t5 step states")
        self.qkv = alloc(4 * rows * 3 * c.inner, label="t5 step qkv")
        self.q = alloc(4 * rows * c.inner, label="t5 step q")
        self.context = alloc(4 * rows * c.inner, label="t5 step context")
        self.inner = alloc(4 * rows * c.d_ff, label="t5 step feed-forward")
        self.logits = alloc(4 * rows * c.vocab_size, label="t5 step logits")
        self.state = alloc(4 * (4 + rows), label="t5 state")
        self.settings = alloc(32, label="t5 settings")
        self.mask = alloc(4 * sources * source, label="t5 mask")
        self.tokens = alloc(4 * rows * capacity * (3 if beams > 1 else 1), label="t5 tokens")
        self.beam = alloc(4 * sources * 4 * beams, label="t5 beams")
        self.origin = alloc(4 * 2 * rows * capacity, label="t5 origin")
        cache = 4 * rows * capacity * c.inner
        if parts.blocks.width:
            slots = 4 * rows * (c.num_heads + 1) * c.d_model
            self.slots = [alloc(slots, label="t5 step slots") for _ in range(2)]
            self.caches = [alloc(2 * cache, label="t5 keys and values") for _ in range(c.num_decoder_layers)]
        else:
            self.keys = [alloc(cache, label="t5 keys") for _ in range(c.num_decoder_layers)]
            self.values = [alloc(cache, label="t5 values") for _ in range(c.num_decoder_layers)]
        self.kv = [
            alloc(4 * sources * source * 2 * c.inner, label="t5 source keys and values")
            for _ in range(c.num_decoder_layers)
        ]
        self.start_ids = forward.upload(parts, np.full(rows, c.decoder_start_token_id), "t5 ids")
        parts.load_decoder()  # what still has to be moved cannot be moved while recording
        self.program = Program(parts.kernels.device)
        with self.program:
            self._step()
        self.dispatches = self.program.stats["dispatches"]

    def _step(self) -> None:
        k, c, rows = self.parts.kernels, self.parts.config, self.rows
        for i in range(c.num_decoder_layers):
            layer = self.parts.decoder(i)
            if layer.blocks is None:
                self._layer(layer, i)
            else:
                self._layer_in_blocks(layer, layer.blocks, i)
            k.step_linear(self.inner, None, layer.feed_forward.out, self.state, self.x, rows, residual=True)
        final = self.parts.gain("decoder.final_layer_norm.weight")
        k.step_linear(self.x, final, self.parts.head, self.state, self.logits, rows, factor=c.output_factor)
        table = self.parts.embedding
        if self.beams == 1:
            k.pick(self.logits, table, self.state, self.tokens, self.x, self.settings, rows, self.capacity)
        else:
            k.beam(
                self.logits,
                table,
                self.state,
                self.tokens,
                self.beam,
                self.origin,
                self.x,
                self.sources,
                self.beams,
                self.capacity,
            )

    def _layer(self, layer: DecoderLayer, i: int) -> None:
        """Record a layer up to its feed-forward's second half."""
        k, rows = self.parts.kernels, self.rows
        bias = self.parts.bias("decoder")
        k.step_linear(self.x, layer.attention.gain, layer.attention.into, self.state, self.qkv, rows)
        k.step_self(
            self.qkv, bias, self.origin, self.state, self.keys[i], self.values[i], self.context, rows, self.capacity
        )
        k.step_linear(self.context, None, layer.attention.out, self.state, self.x, rows, residual=True)
        k.step_linear(self.x, layer.cross.gain, layer.cross.into, self.state, self.q, rows)
        k.step_cross(self.q, self.kv[i], self.mask, self.state, self.context, rows, self.source, self.beams)
        k.step_linear(self.context, None, layer.cross.out, self.state, self.x, rows, residual=True)
        k.step_gate(self.x, layer.feed_forward.gain, layer.feed_forward.into, self.state, self.inner, rows)

    def _layer_in_blocks(self, layer: DecoderLayer, blocks: tuple[Block, Block], i: int) -> None:
        """Record the same in three kernels instead of seven."""
        b, rows = self.parts.blocks, self.rows
        own, other = self.slots
        b.step_self(self.x, blocks[0], self.origin, self.state, self.caches[i], own, rows, self.capacity)
        b.step_cross(own, blocks[1], self.kv[i], self.mask, self.state, other, rows, self.source, self.beams)
        feed_forward = layer.feed_forward
        b.step_gate(other, feed_forward.gain, feed_forward.into, self.state, self.inner, self.x, rows)

    def start(self, encoded: Encoded, settings: Settings) -> None:
        """Prepare for new sources: their keys and values, fresh state, the start token."""
        k, c = self.parts.kernels, self.parts.config
        queue = k.queue
        for i in range(c.num_decoder_layers):
            k.linear(encoded.states, self.parts.decoder(i).source, self.kv[i], encoded.batch * encoded.source)
        if encoded.source < self.source:
            queue.clear(self.mask)
        queue.copy(encoded.mask, 0, self.mask, 0, 4 * encoded.batch * encoded.source)
        state = np.zeros(4 + self.rows, np.uint32)
        state[3] = settings.max_new_tokens
        queue.write(self.state, state)
        sampled = struct.pack(
            "<3I2f",
            settings.do_sample,
            settings.top_k,
            (settings.seed ^ settings.seed >> 32) & 0xFFFFFFFF,
            settings.top_p,
            settings.temperature,
        )
        queue.write(self.settings, sampled)
        rows = np.broadcast_to(np.arange(self.rows, dtype=np.uint32)[:, None], (2, self.rows, self.capacity))
        queue.write(self.origin, np.ascontiguousarray(rows))
        if self.beams > 1:
            beam = np.zeros((self.sources, 4, self.beams), np.float32)
            beam[:, 0, 1:] = -1e9
            beam[:, 1] = -1e9
            beam[:, 2] = np.arange(self.beams)
            queue.write(self.beam, beam)
        k.embed(self.start_ids, self.rows, self.parts.embedding, self.x)

    def read(self) -> Reading:
        """Begin to read what tells the tokens so far."""
        spans = [(self.state, 0, self.state.size_bytes)]
        if self.beams == 1:
            spans.append((self.tokens, 0, self.tokens.size_bytes))
        else:
            kept = 4 * self.rows * self.capacity
            spans += [(self.tokens, 2 * kept, kept), (self.beam, 0, self.beam.size_bytes)]
        return Reading(*self.parts.kernels.queue.start_read(spans, "generating"))

    def chunk(self, data: list[np.ndarray[Any, Any]]) -> Chunk:
        """Make sense of what was read.

        Raises
        ------
        WeightsError
            When the logits are no numbers.
        """
        state = data[0].view(np.uint32)
        if state[0] == _UNDEFINED:
            raise WeightsError(
                f"the logits after token {int(state[1])} hold NaN, or infinities of which no probabilities come, so that there is no answer. "
                "Look for NaN and infinities in the weights; where they are finite, load them with dtype='f32'."
            )
        done, step = bool(state[0]), int(state[1])
        tokens = data[1].view(np.uint32).reshape(-1, self.capacity)
        end = self.parts.config.eos_token_id
        if self.beams == 1:
            rows = tokens[:, :step].tolist()
            return Chunk([row[: row.index(end) + 1] if end in row else row for row in rows], done)
        beam = data[2].view(np.float32).reshape(self.sources, 4, self.beams)
        best = [(i * self.beams + int(beam[i, 2, 0]), int(beam[i, 3, 0])) for i in range(self.sources)]
        return Chunk([tokens[row, :length].tolist() for row, length in best], done)


def generate(
    decoder: Decoder,
    encoded: Encoded,
    settings: Settings,
    *,
    streaming: bool,
    notice: Callable[[Chunk], None] | None = None,
) -> Work:
    """Run a decoder, without waiting itself: yields readings to wait for, and chunks.

    A GPU goes on with the next chunk while the tokens of the one before travel; what it does beyond the end token returns at once.
    A CPU adapter shares its cores with the page, which would be kept from sending them.

    Parameters
    ----------
    decoder
        Of the encoded sources' shape.
    streaming
        Short chunks at first, for a reader; else long ones.
    notice
        Is told of each chunk before it is yielded.
    """
    decoder.start(encoded, settings)
    size = 0 if streaming else 2
    left = settings.max_new_tokens

    def run() -> int:
        nonlocal left
        count = min(_CHUNKS[size], left)
        decoder.program.replay(count)
        left -= count
        return count

    began, count = time.perf_counter(), run()
    while True:
        reading = decoder.read()
        ahead = run() if left and not decoder.parts.kernels.on_cpu else 0
        if ahead:
            decoder.parts.kernels.queue.flush()
        yield reading
        found = decoder.chunk(reading.arrays)
        chunk = Chunk(found.tokens, found.done or not (ahead or left))
        spent = time.perf_counter() - began
        if notice is not None:
            notice(chunk)
        yield chunk
        if chunk.done:
            return
        if size + 1 < len(_CHUNKS) and spent * _CHUNKS[size + 1] / count < _TARGET_S * (1 if streaming else 8):
            size += 1
        began, count = time.perf_counter(), ahead or run()
