"""Layers over the tokens of a prompt, and one recorded step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget.errors import LimitError
from webgpu_widget.kernels.program import Program
from webgpu_widget.nn import decoder
from webgpu_widget.nn.cache import Cache, rounded
from webgpu_widget.nn.fused import Fused
from webgpu_widget.nn.layers import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.llm.config import Config
    from webgpu_widget.llm.source import Tensors
    from webgpu_widget.nn.kernels import Kernels, Matrix
    from webgpu_widget.nn.sampling import Settings

__all__ = ["Decoder", "Parts", "run"]

PREFILL = 512
"""Rows of a prompt that go through the layers at once."""


@dataclass(frozen=True)
class Layer:
    """Gains and matrices of a layer: ``into`` are the projections to queries, keys and values, of one format each, ``gate`` those that the gate joins.

    ``vectors`` are those of `Fused.step_rotary`, where the adapter is for it.
    """

    own_gain: Buffer
    head_gains: Buffer | None
    into: tuple[Matrix, ...]
    out: Matrix
    gain: Buffer
    gate: Matrix
    down: Matrix
    window: int | None
    vectors: Buffer | None


class Parts:
    """The model's matrices and norms on the GPU, each made when it is first wanted, so that the first layers run while the last ones load.

    Parameters
    ----------
    kernels
        For the model's sizes.
    config
        Of the model.
    tensors
        Of the checkpoint; asking for one waits for that one alone.
    has_head
        Whether the vocabulary projection is a tensor of its own.
    """

    def __init__(self, kernels: Kernels, config: Config, tensors: Tensors, *, has_head: bool) -> None:
        self.kernels, self.config, self.tensors, self.has_head = kernels, config, tensors, has_head
        self.fused = Fused(kernels)
        self._layers: dict[int, Layer] = {}
        self._matrices: dict[str, Matrix] = {}
        self._gain: Buffer | None = None
        self._rotary = None if "rope_freqs.weight" in tensors else config.rotary

    def _matrix(self, name: str) -> Matrix:
        if name not in self._matrices:
            self._matrices[name] = self.tensors.matrix(self.kernels, name)
        return self._matrices[name]

    @property
    def table(self) -> Matrix:
        """The embedding."""
        return self._matrix("token_embd.weight")

    @property
    def head(self) -> Matrix:
        """The vocabulary projection."""
        return self._matrix("output.weight") if self.has_head else self.table

    @property
    def gain(self) -> Buffer:
        """Of the last norm."""
        if self._gain is None:
            self._gain = self.tensors.vector(self.kernels, "output_norm.weight")
        return self._gain

    def rotations(self, positions: int) -> Buffer:
        """Make cosines and sines for so many positions."""
        if self._rotary is None:
            self._rotary = self.config.rotary.divided(self.tensors.numpy("rope_freqs.weight"))
        values = self._rotary.rotations(positions)
        made = self.kernels.floats(values.size, "cosines and sines")
        self.kernels.queue.write(made, values)
        return made

    def layer(self, i: int) -> Layer:
        """Layer ``i``, waiting for its tensors."""
        if i in self._layers:
            return self._layers[i]
        t, k, block = self.tensors, self.kernels, f"blk.{i}"
        groups: list[list[str]] = []
        for name in (f"{block}.attn_{part}.weight" for part in "qkv"):
            if groups and t.format(name) == t.format(groups[-1][0]):
                groups[-1].append(name)
            else:
                groups.append([name])
        norms = [f"{block}.attn_{part}_norm.weight" for part in "qk"]
        pair = [f"{block}.ffn_{part}.weight" for part in ("gate", "up")]
        if len(formats := {t.format(name) for name in pair}) > 1:
            raise LimitError(
                f"{' and '.join(pair)} are stored as {' and '.join(sorted(formats))}, and must be alike; load the model with dtype='f16'."
            )
        own_gain = t.vector(k, f"{block}.attn_norm.weight")
        head_gains = t.vector(k, *norms) if self.config.has_head_norms else None
        into = tuple(t.matrix(k, *names) for names in groups)
        out = t.matrix(k, f"{block}.attn_output.weight")
        is_fused = self.fused.rotary_width and not out.has_bias
        self._layers[i] = made = Layer(
            own_gain=own_gain,
            head_gains=head_gains,
            into=into,
            out=out,
            vectors=self.fused.vectors(out, head_gains) if is_fused else None,
            gain=t.vector(k, f"{block}.ffn_norm.weight"),
            gate=t.matrix(k, *pair),
            down=t.matrix(k, f"{block}.ffn_down.weight"),
            window=self.config.windows[i],
        )
        return made

    def load(self) -> None:
        """Wait for all."""
        _ = self.table
        for i in range(self.config.layers):
            self.layer(i)
        _ = self.gain, self.head


def run(
    parts: Parts, ids: np.ndarray, cache: Cache, rotations: Buffer, first: int = 0, seen: Callable[[Rows], None] | None = None
) -> Rows:  # fmt: skip
    """Take tokens (batch, count) from position ``first`` on through the layers, keeping their keys and values.

    Parameters
    ----------
    cache
        Of one layer for each of the model's, or of a single one that all use in turn.
    rotations
        Cosines and sines of at least so many positions.
    seen
        Is told of the rows before the first layer and after each.
    """
    k, rows = parts.kernels, Rows(parts.kernels, ids.size)
    k.embed(k.upload(ids, "ids"), rows.rows, parts.table, rows.x)
    mask = k.upload(np.ones(len(ids) * (first + ids.shape[1])), "mask")

    def after_layer() -> None:
        k.queue.flush()  # a batch a layer: a slow adapter reports each
        if seen is not None:
            seen(rows)

    if seen is not None:
        seen(rows)
    _through_layers(parts, rows, ids.shape, mask, cache, rotations, first, after_layer)
    return rows


def _through_layers(
    parts: Parts, rows: Rows, shape: tuple[int, ...], mask: Buffer, cache: Cache, rotations: Buffer, first: int, after_layer: Callable[[], None] | None = None
) -> None:  # fmt: skip
    k, (batch, count) = parts.kernels, shape
    stride = k.sizes.q_width + k.sizes.kv_width
    interleaved = parts.config.rotary.is_interleaved
    for i in range(parts.config.layers):
        layer, kept, at = parts.layer(i), cache.layers[i % len(cache.layers)], 0
        rows.norm(layer.own_gain)
        for matrix in layer.into:
            k.linear(rows.normed, matrix, rows.qkv, rows.rows, place=None if len(layer.into) == 1 else (at, stride))
            at += matrix.rows
        k.rope(rows.qkv, rotations, layer.head_gains, (batch, count), first, is_interleaved=interleaved)
        k.keep(rows.qkv, kept, (batch, count), first, cache.capacity)
        k.attention_over(
            rows.qkv, kept, mask, rows.context, (batch, count, first + count), cache.capacity, layer.window
        )
        k.linear(rows.context, layer.out, rows.x, rows.rows, residual=True)
        rows.norm(layer.gain)
        k.linear(rows.normed, layer.gate, rows.wide, rows.rows)
        k.gate(rows.wide, rows.inner, rows.rows)
        k.linear(rows.inner, layer.down, rows.x, rows.rows, residual=True)
        if after_layer is not None:
            after_layer()


class _Prefills:
    """Prefills of whole size, recorded by where they begin: on a GPU it takes longer to queue one than to compute it.

    Parameters
    ----------
    parts
        The model.
    shape
        Rows and tokens of a prefill.
    cache, rotations
        As `run` takes them.
    """

    def __init__(self, parts: Parts, shape: tuple[int, int], cache: Cache, rotations: Buffer) -> None:
        k = parts.kernels
        self._parts, self._shape, self._cache, self._rotations = parts, shape, cache, rotations
        self._rows = Rows(k, shape[0] * shape[1])
        self._ids = k.queue.alloc(4 * self._rows.rows, label="ids")
        self._mask = k.upload(np.ones(shape[0] * cache.capacity), "mask")
        self._programs: dict[int, Program] = {}

    def run(self, ids: np.ndarray, first: int) -> None:
        """Take tokens through the layers."""
        k = self._parts.kernels
        k.queue.write(self._ids, np.ascontiguousarray(ids, np.uint32))
        if first not in self._programs:
            self._programs[first] = program = Program(k.device)
            with program:
                k.embed(self._ids, self._rows.rows, self._parts.table, self._rows.x)
                _through_layers(self._parts, self._rows, self._shape, self._mask, self._cache, self._rotations, first)
        self._programs[first].replay()

    def free(self) -> None:
        """Forget what was recorded."""
        for program in self._programs.values():
            program.free()


class Decoder(decoder.Decoder):
    """Texts of one length that grow by a recorded step.

    Parameters
    ----------
    parts
        The model.
    rows
        How many texts.
    expected
        Positions that are expected, the prompt included.
    ends
        Tokens that end a text.

    Attributes
    ----------
    text : list of int
        Tokens of a single row whose keys and values are there.
    """

    def __init__(self, parts: Parts, rows: int, expected: int, ends: Sequence[int]) -> None:
        k, s = parts.kernels, parts.kernels.sizes
        self.parts = parts
        super().__init__(k, parts.config.layers, rows, 1, expected, ends=ends, pad=ends[0])
        self.most = min(self.most, parts.config.context)
        self.qkv = k.floats(rows * (s.q_width + s.kv_width), "step queries, keys and values")
        self.context = k.floats(rows * s.q_width, "step context")
        self.inner = k.floats(rows * s.hidden, "step feed-forward")
        self.slots = k.floats(rows * (s.heads + 1) * s.width, "step slots") if parts.fused.rotary_width else None
        self.rotations = parts.rotations(self.cache.capacity)
        self.text: list[int] = []
        self._prefills: _Prefills | None = None
        parts.load()  # what still has to be moved cannot be moved while recording

    @property
    def table(self) -> Matrix:
        """The embedding."""
        return self.parts.table

    def _room(self) -> str:
        context = self.parts.config.context
        return super()._room() if self.most < context else f"the model's context is {context} tokens"

    def _grow(self, positions: int) -> None:
        if self._prefills is not None:
            self._prefills.free()
            self._prefills = None
        super()._grow(positions)
        self.rotations = self.parts.rotations(rounded(positions))

    def step(self) -> None:
        """Queue the kernels of one step."""
        k, rows = self.kernels, self.rows
        for i in range(self.parts.config.layers):
            layer = self.parts.layer(i)
            self._attend(layer, i)
            k.step_linear(self.inner, None, layer.down, self.state, self.x, rows, residual=True)
        k.step_linear(self.x, self.parts.gain, self.parts.head, self.state, self.logits, rows)

    def _attend(self, layer: Layer, i: int) -> None:
        """Queue a layer up to its feed-forward's second half."""
        k, cache, rows, at = self.kernels, self.cache, self.rows, 0
        is_interleaved = self.parts.config.rotary.is_interleaved
        for matrix in layer.into:
            place = None if len(layer.into) == 1 else (at, k.sizes.q_width + k.sizes.kv_width)
            k.step_linear(self.x, layer.own_gain, matrix, self.state, self.qkv, rows, place=place)
            at += matrix.rows
        if layer.vectors is not None and self.slots is not None:
            b = self.parts.fused
            b.step_rotary(
                self.x, self.qkv, layer.out, layer.vectors, self.rotations, self.state, cache.layers[i], self.slots, rows, cache.capacity,
                is_normed=layer.head_gains is not None, is_interleaved=is_interleaved, window=layer.window,
            )  # fmt: skip
            b.step_gate(self.slots, layer.gain, layer.gate, self.state, self.inner, self.x, rows)
            return
        k.step_rotary(
            self.qkv, self.rotations, layer.head_gains, self.state, cache.layers[i], self.context, rows, cache.capacity,
            is_interleaved=is_interleaved, window=layer.window,
        )  # fmt: skip
        k.step_linear(self.context, None, layer.out, self.state, self.x, rows, residual=True)
        k.step_gate(self.x, layer.gain, layer.gate, self.state, self.inner, rows)

    def start(self, texts: Sequence[Sequence[int]], settings: Settings) -> int:
        """Prepare to go on from texts of one length, whose tokens but the last go through the layers; returns how many were there already.

        A row's last token is the first step's.
        """
        ids, count = np.asarray(texts, np.uint32), len(texts[0])
        known = 0
        while known < min(len(self.text), count - 1) and self.text[known] == texts[0][known]:
            known += 1
        self.text = []  # until all of it is there
        if count > self.most:
            raise LimitError(f"the text has {count} tokens, and there is room for {self.most}: {self._room()}. Shorten it.")  # fmt: skip
        self.reset(settings, count - 1, seen=ids)
        self.reserve(count)
        size = max(1, PREFILL // self.rows)
        for first in range(known, count - 1, size):
            some = ids[:, first : min(first + size, count - 1)]
            if self.kernels.on_cpu or some.shape[1] < size or first % size:
                run(self.parts, some, self.cache, self.rotations, first)
                continue
            if self._prefills is None:
                self._prefills = _Prefills(self.parts, (self.rows, size), self.cache, self.rotations)
            self._prefills.run(some, first)
        self.kernels.embed(self.kernels.upload(ids[:, -1], "ids"), self.rows, self.parts.table, self.x)
        if self.rows == 1:
            self.text = list(texts[0][:-1])
        return known
