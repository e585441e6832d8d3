"""The T5's kernels on one GPU: dispatch sizes, constants and bindings, and matrices in their number formats."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.matmul.launch import launch
from webgpu_widget.arrays.matmul.operand import Operand
from webgpu_widget.nn.shaders import variant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer, Pipeline
    from webgpu_widget.nn.shaders import Format
    from webgpu_widget.t5.config import T5Config

__all__ = ["ACTIVATIONS", "ELEMENT_BYTES", "Kernels", "Matrix"]

ELEMENT_BYTES = {"f32": 4, "f16": 2, "int8": 1}
ACTIVATIONS = {"relu": 0, "gelu_new": 1, "silu": 2}
_MOST_GROUPS = 65_535
_WIDEST_TILED_HEAD = 64


@dataclass(frozen=True)
class Matrix:
    """A matrix (rows, columns) in the kernels' format, with a scale a row (ones but for int8)."""

    words: Buffer
    scale: Buffer
    rows: int
    columns: int


class Kernels:
    """Queues kernels for one configuration and number format.

    Parameters
    ----------
    device
        Whose queue takes the work; its adapter decides between subgroups and workgroups.
    config
        Sizes.
    weights
        Format of the matrices.
    """

    def __init__(self, device: Device, config: T5Config, weights: Format) -> None:
        self.device, self.config, self.weights = device, config, weights
        self.queue = device.queue
        info = device.info
        self.has_subgroups = "subgroups" in info.features
        self.on_cpu = info.is_fallback
        # one workgroup reads a whole row of logits: as many threads as there may be, but few where a CPU runs them
        self.widest = 64 if self.on_cpu else min(1024, info.limits["maxComputeInvocationsPerWorkgroup"])
        ones = max(config.vocab_size, 3 * config.inner, 2 * config.d_ff, config.d_model)
        self.ones = self.queue.alloc(4 * ones, label="t5 ones")
        self.queue.write(self.ones, np.ones(ones, np.float32))

    # ------------------------------------------------------------ plumbing

    def _pipeline(self, name: str, **constants: float) -> Pipeline:
        source = variant(name, weights=self.weights, head=self.config.d_kv, subgroups=self.has_subgroups)
        return self.queue.pipeline(source, f"nn/{name}", None, {key: float(value) for key, value in constants.items()})

    def _run(
        self,
        name: str,
        buffers: Sequence[Buffer],
        groups: tuple[int, int, int],
        params: bytes = b"",
        **constants: float,
    ) -> None:
        args: list[Any] = [(0, i, buffer) for i, buffer in enumerate(buffers)]
        if params:
            args.append((1, 0, params))
        self.queue.dispatch(self._pipeline(name, **constants), args, groups)

    def _teams(self, outputs: int, *, share: int = 1) -> tuple[int, int]:
        """Workgroup size and count for ``outputs`` that teams make, ``share`` each."""
        if not self.has_subgroups:
            return 64, max(1, min(_MOST_GROUPS, outputs // share))
        size, lanes = (64, 4) if self.on_cpu else (128, 32)
        teams = size // lanes * (4 if self.on_cpu else share)
        return size, max(1, min(_MOST_GROUPS, -(-outputs // teams)))

    # ------------------------------------------------------------ matrices

    def stack(self, arrays: Sequence[GPUArray]) -> Matrix:
        """Stack matrices of equal width, bringing them into the kernels' format.

        Parameters
        ----------
        arrays
            float32 for "f32" and "int8", float16 for "f16".
        """
        columns = arrays[0].shape[1]
        rows = sum(array.shape[0] for array in arrays)
        row_bytes = columns * ELEMENT_BYTES[self.weights]
        words = self.queue.alloc(rows * row_bytes, label="t5 matrix")
        scale = self.ones if self.weights != "int8" else self.queue.alloc(4 * rows, label="t5 scale")
        first = 0
        for array in arrays:
            count = array.shape[0]
            if self.weights == "int8":
                size, groups = self._teams(count)
                params = struct.pack("<3I", count, columns // 4, first)
                self._run("quantize_rows", [array._buffer(), words, scale], (groups, 1, 1), params, WG=size)
            else:
                self.queue.copy(array._buffer(), 0, words, first * row_bytes, count * row_bytes)
            first += count
        return Matrix(words, scale, rows, columns)

    # ------------------------------------------------------------ many rows

    def embed(self, ids: Buffer, rows: int, table: Matrix, x: Buffer) -> None:
        """``x[r] = table[ids[r]]``."""
        groups = min(_MOST_GROUPS, -(-rows * table.columns // 4 // 64))
        self._run(
            "embed", [ids, table.words, table.scale, x], (groups, 1, 1), struct.pack("<I", rows), WIDTH=table.columns
        )

    def norm(self, x: Buffer, gain: Buffer, y: Buffer, rows: int) -> None:
        """RMSNorm of rows of d_model."""
        size, groups = self._teams(rows)
        constants: dict[str, Any] = {
            "WG": size,
            "WIDTH": self.config.d_model,
            "EPSILON": self.config.layer_norm_epsilon,
        }
        self._run("rms_norm", [x, gain, y], (groups, 1, 1), struct.pack("<I", rows), **constants)

    def linear(
        self,
        x: Buffer,
        matrix: Matrix,
        y: Buffer,
        rows: int,
        *,
        residual: bool = False,
        factor: float = 1.0,
    ) -> None:
        """``y (+)= factor * x @ matrix.T``."""
        if self._is_for_tiles(matrix, rows) and factor == 1:
            columns, outputs = matrix.columns, matrix.rows
            weight = Operand.tight(matrix.words, (outputs, columns)).mT
            launch(self.device, Operand.tight(x, (rows, columns)), weight, y, accumulate=residual)
            return
        constants: dict[str, Any] = {"IN": matrix.columns, "OUT": matrix.rows, "RESIDUAL": residual, "FACTOR": factor}
        groups = (-(-matrix.rows // 32), -(-rows // 32), 1)
        self._run("linear", [x, matrix.words, matrix.scale, y], groups, struct.pack("<I", rows), **constants)

    def _is_for_tiles(self, matrix: Matrix, rows: int) -> bool:
        """Whether a product is large enough, and the adapter a GPU, for the kernels of `wg.matmul`."""
        return self.weights == "f32" and not self.on_cpu and rows >= 32 and matrix.rows >= 128 and matrix.rows % 4 == 0

    def gate(self, a: Buffer, h: Buffer, rows: int) -> None:
        """Apply the feed-forward's activation, and its gate."""
        c = self.config
        groups = min(_MOST_GROUPS, -(-rows * c.d_ff // 64))
        constants: dict[str, Any] = {"WIDTH": c.d_ff, "GATED": c.is_gated, "ACT": ACTIVATIONS[c.activation]}
        self._run("gate", [a, h], (groups, 1, 1), struct.pack("<I", rows), **constants)

    def attention(
        self, q: Buffer, kv: Buffer, bias: Buffer, mask: Buffer, out: Buffer, shape: tuple[int, int, int], *, parts: tuple[int, int], causal: bool, biased: bool
    ) -> None:  # fmt: skip
        """Attention of all queries of a batch.

        Parameters
        ----------
        shape
            Batch, queries, keys.
        parts
            How many inner widths a row of ``q`` and of ``kv`` holds: (3, 3) in self-attention, (1, 2) in cross-attention.
        """
        c = self.config
        batch, queries, keys = shape
        width = c.inner // 4
        q_parts, kv_parts = parts
        params = struct.pack(
            "<6I", queries, keys, q_parts * width, kv_parts * width, (kv_parts - 2) * width, (kv_parts - 1) * width
        )
        constants: dict[str, Any] = {
            "HEADS": c.num_heads,
            "DISTANCE": c.relative_attention_max_distance,
            "CAUSAL": causal,
            "BIASED": biased,
        }
        groups = (-(-queries // 32), c.num_heads, batch)
        # barriers are what costs where a CPU runs the shader, and registers where heads are wide
        name = "attention" if self.on_cpu or c.d_kv > _WIDEST_TILED_HEAD else "attention_tiled"
        self._run(name, [q, kv, bias, mask, out], groups, params, **constants)

    def attention_weights(self, q: Buffer, kv: Buffer, mask: Buffer, w: Buffer, shape: tuple[int, int, int]) -> None:
        """Cross-attention's probabilities; ``shape`` is batch, queries, keys."""
        batch, queries, keys = shape
        groups = (-(-queries // 32), self.config.num_heads, batch)
        self._run(
            "attention_weights",
            [q, kv, mask, w],
            groups,
            struct.pack("<2I", queries, keys),
            HEADS=self.config.num_heads,
        )

    # ------------------------------------------------------------ one step

    def step_linear(
        self, x: Buffer, gain: Buffer | None, matrix: Matrix, state: Buffer, y: Buffer, rows: int, *, residual: bool = False, factor: float = 1.0
    ) -> None:  # fmt: skip
        """``y (+)= factor * f(x) @ matrix.T``, f being RMSNorm where there is a gain."""
        size, groups = self._teams(matrix.rows, share=4 if matrix.rows > 8192 else 1)
        constants: dict[str, Any] = {
            "WG": size, "IN": matrix.columns, "OUT": matrix.rows, "NORM": gain is not None, "RESIDUAL": residual,
            "EPSILON": self.config.layer_norm_epsilon, "FACTOR": factor,
        }  # fmt: skip
        buffers = [x, self.ones if gain is None else gain, matrix.words, matrix.scale, state, y]
        self._run("step_linear", buffers, (groups, rows, 1), **constants)

    def step_gate(self, x: Buffer, gain: Buffer, matrix: Matrix, state: Buffer, h: Buffer, rows: int) -> None:
        """RMSNorm, both products of the feed-forward's first half, activation and gate."""
        c = self.config
        size, groups = self._teams(c.d_ff)
        constants: dict[str, Any] = {
            "WG": size, "IN": c.d_model, "OUT": c.d_ff, "GATED": c.is_gated, "ACT": ACTIVATIONS[c.activation], "EPSILON": c.layer_norm_epsilon,
        }  # fmt: skip
        self._run("step_gate", [x, gain, matrix.words, matrix.scale, state, h], (groups, rows, 1), **constants)

    def _heads(self) -> tuple[int, int]:
        """Workgroup size and count for teams that take heads."""
        heads = self.config.num_heads
        if not self.has_subgroups:
            return 64, heads
        return (16, -(-heads // 4)) if self.on_cpu else (32, heads)

    def step_self(
        self,
        qkv: Buffer,
        bias: Buffer,
        origin: Buffer,
        state: Buffer,
        keys: Buffer,
        values: Buffer,
        out: Buffer,
        rows: int,
        capacity: int,
    ) -> None:
        """Self-attention of the new position of each row; keeps its key and value."""
        size, groups = self._heads()
        constants: dict[str, Any] = {
            "WG": size,
            "HEADS": self.config.num_heads,
            "DISTANCE": self.config.relative_attention_max_distance,
        }
        buffers = [qkv, bias, origin, state, keys, values, out]
        self._run("step_self", buffers, (groups, rows, 1), struct.pack("<I", capacity), **constants)

    def step_cross(
        self, q: Buffer, kv: Buffer, mask: Buffer, state: Buffer, out: Buffer, rows: int, source: int, beams: int
    ) -> None:
        """Cross-attention of the new position of each row."""
        size, groups = self._heads()
        params = struct.pack("<2I", source, beams)
        self._run(
            "step_cross", [q, kv, mask, state, out], (groups, rows, 1), params, WG=size, HEADS=self.config.num_heads
        )

    def pick(
        self,
        logits: Buffer,
        table: Matrix,
        state: Buffer,
        tokens: Buffer,
        x: Buffer,
        settings: Buffer,
        rows: int,
        capacity: int,
    ) -> None:
        """Choose, note and embed each row's next token, and count the step."""
        c = self.config
        params = struct.pack("<4I", c.vocab_size, c.eos_token_id, c.pad_token_id, capacity)
        buffers = [logits, table.words, table.scale, state, tokens, x, settings]
        self._run("pick", buffers, (1, rows, 1), params, WG=self.widest, WIDTH=c.d_model)

    def beam(
        self, logits: Buffer, table: Matrix, state: Buffer, tokens: Buffer, beam: Buffer, origin: Buffer, x: Buffer, sources: int, beams: int, capacity: int
    ) -> None:  # fmt: skip
        """One step of beam search, and count the step."""
        c = self.config
        params = struct.pack("<3I", c.vocab_size, c.eos_token_id, capacity)
        buffers = [logits, table.words, table.scale, state, tokens, beam, origin, x]
        self._run("beam", buffers, (1, sources, 1), params, WG=self.widest, WIDTH=c.d_model, BEAMS=beams)
