"""A decoding step in fewer kernels, for GPUs: what a dispatch costs there is more than what most of them compute.

An attention is one kernel, a workgroup a head, from the norm to the head's part of the output projection. Heads cannot add their parts to
a row without waiting for each other, so each writes into a slot of its own, and the next kernel adds the slots as it reads the row.
`Blocks.step_self` is attention as T5 has it: position biases, no scaling, a head of keys and values a head; `Blocks.step_turned` has heads that turn
with their position, scaled, of which several share a head of keys and values. Models of that kind have few heads, too few workgroups to project rows
to queries, keys and values quickly: there that is a product of its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webgpu_widget.nn.kernels import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.nn.formats import Format
    from webgpu_widget.nn.kernels import Kernels, Matrix

__all__ = ["Block", "Blocks"]

_BINDINGS = 8
_MOST_SLOTS = 16_384
"""Numbers in the slots of a row: where they are more, it costs more that each workgroup adds them than that a dispatch is saved."""


@dataclass(frozen=True)
class Block:
    """An attention's matrices, and its small vectors in one buffer: gain, scales of both matrices, position bias if any."""

    into: Matrix
    out: Matrix
    vectors: Buffer


class Blocks:
    """Queues the kernels of a step in blocks.

    Parameters
    ----------
    kernels
        Of the model.
    """

    widths: tuple[int, ...] = (512, 256, 128)
    """Workgroup sizes to choose from, the best first."""

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels

    @property
    def width(self) -> int:
        """Invocations of a workgroup that the adapter has room for; 0 when blocks are not for this adapter."""
        s = self.kernels.sizes
        return 0 if s.kept_heads != s.heads or s.scale != 1 or not s.distance else self._widest()

    @property
    def turned_width(self) -> int:
        """The same for `step_turned`."""
        s = self.kernels.sizes
        return 0 if (s.heads + 1) * s.width > _MOST_SLOTS or s.head_width % 8 else self._widest()

    def _widest(self) -> int:
        k, s = self.kernels, self.kernels.sizes
        limits = k.device.info.limits
        if k.on_cpu or not k.has_subgroups or limits["maxStorageBuffersPerShaderStage"] < _BINDINGS:
            return 0
        for width in self.widths:
            needed = 4 * s.width + 12 * s.head_width + 28 * width  # the arrays in workgroup memory of block_self
            if (
                width <= min(k.widest, limits["maxComputeInvocationsPerWorkgroup"])
                and needed <= limits["maxComputeWorkgroupStorageSize"]
            ):
                return width
        return 0

    def block(self, gain: Buffer, into: Matrix, out: Matrix, bias: Buffer | None = None) -> Block:
        """Bring an attention's vectors together; ``bias`` is of positions."""
        parts = [(gain, out.rows), (into.scale, into.rows), (out.scale, out.rows)]
        if bias is not None:
            parts.append((bias, bias.size_bytes // 4))
        return Block(into, out, self._joined(parts))

    def turned_vectors(self, out: Matrix, head_gains: Buffer | None) -> Buffer:
        """Bring the vectors of `step_turned` together."""
        parts = [(out.scale, out.rows)]
        if head_gains is not None:
            parts.append((head_gains, 2 * self.kernels.sizes.head_width))
        return self._joined(parts)

    def _joined(self, parts: Sequence[tuple[Buffer, int]]) -> Buffer:
        queue, total = self.kernels.queue, sum(count for _, count in parts)
        vectors = queue.alloc(-(-total // 4) * 16, label="vectors")
        at = 0
        for source, count in parts:
            queue.copy(source, 0, vectors, 4 * at, 4 * count)
            at += count
        return vectors

    def _run(
        self, name: str, buffers: list[Buffer], groups: tuple[int, ...], params: bytes, weights: Format, width: int, **constants: Any
    ) -> None:  # fmt: skip
        s = self.kernels.sizes
        constants |= {"WG": width, "WORDS": s.width // 4, "EPSILON": s.epsilon}
        x, y, *z = groups
        self.kernels.run(name, buffers, (x, y, z[0] if z else 1), params, weights, **constants)

    def step_self(
        self, x: Buffer, block: Block, origin: Buffer, state: Buffer, cache: Buffer, slots: Buffer, rows: int, capacity: int
    ) -> None:  # fmt: skip
        """Self-attention of the new position of each row: ``slots`` (rows, heads + 1, width) of ``x`` (rows, width)."""
        s = self.kernels.sizes
        buffers = [x, block.vectors, block.into.words, block.out.words, origin, state, cache, slots]
        params = struct.pack("<I", capacity)
        constants = {"HEADS": s.heads, "DISTANCE": s.distance}
        groups, width = (s.heads, rows), self.width or 64
        self._run("block_self", buffers, groups, params, block.into.format, width, **constants)

    def step_turned(
        self, x: Buffer, qkv: Buffer, out: Matrix, vectors: Buffer, table: Buffer, state: Buffer, cache: Buffer, slots: Buffer, rows: int, capacity: int,
        *, is_normed: bool, is_interleaved: bool, window: int | None = None,
    ) -> None:  # fmt: skip
        """`Kernels.step_turned` and the output projection: ``slots`` (rows, heads + 1, width) of ``x`` (rows, width).

        Parameters
        ----------
        vectors
            Of `turned_vectors`.
        """
        s = self.kernels.sizes
        buffers = [x, qkv, vectors, out.words, table, state, cache, slots]
        constants = {
            "HEADS": s.heads, "KV_HEADS": s.kept_heads, "SCALE": s.scale, "WINDOW": window or 0, "INTERLEAVED": is_interleaved,
            "NORMED": is_normed,
        }  # fmt: skip
        params, width = struct.pack("<I", capacity), self.turned_width or 64
        # workgroups that share a head's outputs: each looks at all of the past, which takes less than a turn more of its quads would
        sharers = -(-4 * s.width // width)
        self._run("block_turned", buffers, (s.heads, rows, sharers), params, out.format, width, **constants)

    def step_cross(
        self, x: Buffer, block: Block, kv: Buffer, mask: Buffer, state: Buffer, slots: Buffer, rows: int, source: int, beams: int
    ) -> None:  # fmt: skip
        """Cross-attention of the new position of each row, from slots to slots."""
        heads = self.kernels.sizes.heads
        buffers = [x, block.vectors, block.into.words, block.out.words, kv, mask, state, slots]
        params, width = struct.pack("<2I", source, beams), self.width or 64
        self._run("block_cross", buffers, (heads, rows), params, block.into.format, width, HEADS=heads, SLOTS=heads + 1)

    def step_gate(
        self, slots: Buffer, gain: Buffer, matrix: Matrix, state: Buffer, h: Buffer, x: Buffer, rows: int
    ) -> None:
        """`Kernels.step_gate` of rows in slots; ``x`` gets the rows themselves."""
        s = self.kernels.sizes
        width = min(256, self._widest()) or 64
        teams = width // (4 if self.kernels.device.info.is_fallback else 32)
        constants = {"SLOTS": s.heads + 1, "OUT": s.hidden, "GATED": s.is_gated, "ACT": ACTIVATIONS[s.activation]}
        buffers = [slots, gain, matrix.words, matrix.scale, state, h, x]
        self._run("block_gate", buffers, (-(-s.hidden // teams), rows), b"", matrix.format, width, **constants)
