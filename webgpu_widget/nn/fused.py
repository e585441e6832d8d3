"""A decoding step in fewer kernels, for GPUs: what a dispatch costs there is more than what most of them compute.

An attention and its output projection are one kernel. Heads cannot add their parts to a row without waiting for each other, so each writes into a slot of
its own, and the next kernel adds the slots as it reads the row. The projections to queries, keys and values stay products of their own: a workgroup a head
is too few to feed a card with their matrices, and a dispatch less saves less than that costs.
`Fused.step_self` is attention as T5 has it: position biases, no scaling, a head of keys and values a head; `Fused.step_rotary` has heads that are rotated
with their position, scaled, of which several share a head of keys and values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.nn.kernels import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.nn.formats import Format
    from webgpu_widget.nn.kernels import Kernels, Matrix

__all__ = ["Fused"]

_BINDINGS = 8
_NO_ACTIVATION = 3
_ENOUGH_GROUPS = 128
"""About as many as a card has multiprocessors: more workgroups of this size would wait for each other."""
_MOST_SLOTS = 16_384
"""Numbers in the slots of a row: where they are more, it costs more that each workgroup adds them than that a dispatch is saved."""


class Fused:
    """Queues the fused kernels of a step.

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
        """Invocations of a workgroup that the adapter has room for; 0 where fused kernels are not for this adapter."""
        s = self.kernels.sizes
        return 0 if s.kept_heads != s.heads or s.scale != 1 or not s.distance else self._widest()

    @property
    def rotary_width(self) -> int:
        """The same for `step_rotary`."""
        s = self.kernels.sizes
        return 0 if (s.heads + 1) * s.width > _MOST_SLOTS or s.head_width % 8 else self._widest()

    def _widest(self) -> int:
        k, s = self.kernels, self.kernels.sizes
        limits = k.device.info.limits
        if k.on_cpu or not k.has_subgroups or limits["maxStorageBuffersPerShaderStage"] < _BINDINGS:
            return 0
        for width in self.widths:
            # the arrays in workgroup memory, fused_gate's row among them
            needed = 4 * s.width + 12 * s.head_width + 28 * width
            if (
                width <= min(k.widest, limits["maxComputeInvocationsPerWorkgroup"])
                and needed <= limits["maxComputeWorkgroupStorageSize"]
            ):
                return width
        return 0

    def vectors(self, out: Matrix, more: Buffer | None = None) -> Buffer:
        """Bring the small vectors of an attention together: the output projection's scales, and position biases or gains of heads."""
        queue = self.kernels.queue
        parts = [(out.scale, out.rows), *([] if more is None else [(more, more.size_bytes // 4)])]
        vectors = queue.alloc(-(-sum(count for _, count in parts) // 4) * 16, label="vectors")
        at = 0
        for source, count in parts:
            queue.copy(source, 0, vectors, 4 * at, 4 * count)
            at += count
        return vectors

    def _run(
        self, name: str, buffers: list[Buffer], groups: tuple[int, int, int], params: Mapping[str, int] | None, weights: Format, width: int, **constants: Any
    ) -> None:  # fmt: skip
        s = self.kernels.sizes
        self.kernels.run(name, buffers, groups, params, weights, WG=width, WORDS=s.width // 4, **constants)

    def _attend(
        self,
        name: str,
        buffers: list[Buffer],
        rows: int,
        params: Mapping[str, int] | None,
        weights: Format,
        width: int,
        **constants: Any,
    ) -> None:
        """Queue an attention, whose workgroups share a head's outputs while a card has room: to look at all of the past takes less than another turn."""
        s = self.kernels.sizes
        sharers = max(1, min(-(-4 * s.width // width), _ENOUGH_GROUPS // (s.heads * rows)))
        groups = (s.heads, rows, sharers)
        self._run(name, buffers, groups, params, weights, width, HEADS=s.heads, **constants)

    def step_self(
        self, x: Buffer, qkv: Buffer, out: Matrix, vectors: Buffer, origin: Buffer, state: Buffer, cache: Buffer, slots: Buffer, rows: int, capacity: int
    ) -> None:  # fmt: skip
        """`Kernels.step_self` and the output projection: ``slots`` (rows, heads + 1, width) of ``x`` (rows, width).

        Parameters
        ----------
        vectors
            Of `vectors`, with position biases.
        """
        buffers = [x, qkv, vectors, out.words, origin, state, cache, slots]
        params, width = {"capacity": capacity}, self.width or 64
        self._attend("fused_self", buffers, rows, params, out.format, width, DISTANCE=self.kernels.sizes.distance)

    def step_rotary(
        self, x: Buffer, qkv: Buffer, out: Matrix, vectors: Buffer, table: Buffer, state: Buffer, cache: Buffer, slots: Buffer, rows: int, capacity: int,
        *, is_normed: bool, is_interleaved: bool, window: int | None = None,
    ) -> None:  # fmt: skip
        """`Kernels.step_rotary` and the output projection: ``slots`` (rows, heads + 1, width) of ``x`` (rows, width).

        Parameters
        ----------
        vectors
            Of `vectors`, with the gains of heads where they are normed.
        """
        s = self.kernels.sizes
        buffers = [x, qkv, vectors, out.words, table, state, cache, slots]
        constants = {
            "KV_HEADS": s.kept_heads, "SCALE": s.scale, "WINDOW": window or 0, "INTERLEAVED": is_interleaved, "NORMED": is_normed, "EPSILON": s.epsilon,
        }  # fmt: skip
        params, width = {"capacity": capacity}, self.rotary_width or 64
        self._attend("fused_rotary", buffers, rows, params, out.format, width, **constants)

    def step_cross(
        self, x: Buffer, q: Buffer, out: Matrix, vectors: Buffer, kv: Buffer, mask: Buffer, state: Buffer, slots: Buffer, rows: int, source: int, beams: int
    ) -> None:  # fmt: skip
        """`Kernels.step_cross` and the output projection: ``slots`` (rows, heads + 1, width) of ``x`` (rows, width)."""
        buffers = [x, q, vectors, out.words, kv, mask, state, slots]
        params, width = {"source": source, "beams": beams}, self.width or 64
        self._attend("fused_cross", buffers, rows, params, out.format, width)

    def step_linear(
        self, slots: Buffer, gain: Buffer, matrix: Matrix, state: Buffer, y: Buffer, x: Buffer, rows: int
    ) -> None:
        """`Kernels.step_linear` of the RMSNorm of rows in slots; ``x`` gets the rows themselves."""
        self._of_slots(slots, gain, matrix, state, y, x, rows, matrix.rows, GATED=False, ACT=_NO_ACTIVATION)

    def step_gate(
        self, slots: Buffer, gain: Buffer, matrix: Matrix, state: Buffer, h: Buffer, x: Buffer, rows: int
    ) -> None:
        """`Kernels.step_gate` of rows in slots; ``x`` gets the rows themselves."""
        s = self.kernels.sizes
        activation = ACTIVATIONS[s.activation]
        self._of_slots(slots, gain, matrix, state, h, x, rows, s.hidden, GATED=s.is_gated, ACT=activation)

    def _of_slots(
        self, slots: Buffer, gain: Buffer, matrix: Matrix, state: Buffer, h: Buffer, x: Buffer, rows: int, outputs: int, **constants: Any
    ) -> None:  # fmt: skip
        s = self.kernels.sizes
        width = min(256, self._widest()) or 64
        teams = width // (4 if self.kernels.device.info.is_fallback else 32)
        buffers = [slots, gain, matrix.words, matrix.scale, state, h, x]
        groups = (-(-outputs // teams), rows, 1)
        self._run(
            "fused_gate",
            buffers,
            groups,
            None,
            matrix.format,
            width,
            OUT=outputs,
            SLOTS=s.heads + 1,
            EPSILON=s.epsilon,
            **constants,
        )
