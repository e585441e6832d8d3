"""The kernels on one GPU: dispatch sizes, constants and bindings, and matrices in their number formats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.matmul.launch import launch
from webgpu_widget.arrays.matmul.operand import Operand
from webgpu_widget.device.limits import SAFE_WORKGROUPS
from webgpu_widget.nn.formats import FORMATS
from webgpu_widget.nn.shaders import variant
from webgpu_widget.shaders.uniforms import uniform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer, Pipeline
    from webgpu_widget.nn.formats import Format
    from webgpu_widget.nn.sizes import Sizes

__all__ = ["ACTIVATIONS", "MOST_ENDS", "Kernels", "Matrix"]

ACTIVATIONS = {"relu": 0, "gelu_new": 1, "silu": 2}
MOST_ENDS = 4
"""Tokens that may end a text."""
_WIDEST_TILED_HEAD = 64
_DECODED_WHOLE = frozenset({"bf16", "q4_0", "q4_1", "q8_0", "q4_k", "q5_k", "q6_k"})
_MANY_ROWS = 64
"""From so many on a GPU decodes a matrix once, and multiplies what it has decoded."""


@dataclass(frozen=True)
class Matrix:
    """A matrix (rows, columns) in a format of the kernels, with a scale a row (ones but for int8), and a bias a row behind the scales if it has one."""

    words: Buffer
    scale: Buffer
    rows: int
    columns: int
    format: Format
    has_bias: bool = False


_STRIDES = ("q_stride", "kv_stride", "k_at", "v_at", "batch_stride", "head_stride")


def four_ends(ends: Sequence[int]) -> list[int]:
    """Return the tokens that end a text as the kernels that choose want them: four words, the last one repeated."""
    return [*ends, *[ends[-1]] * (MOST_ENDS - len(ends))]


def _places(matrix: Matrix, place: tuple[int, int] | None) -> dict[str, Any]:
    """Return the constants of a product that say where its outputs go."""
    first, stride = place or (0, matrix.rows)
    return {"IN": matrix.columns, "OUT": matrix.rows, "FIRST": first, "STRIDE": stride, "BIASED": matrix.has_bias}


class Kernels:
    """Queues kernels for the sizes of one model.

    Parameters
    ----------
    device
        Whose queue takes the work; its adapter decides between subgroups and workgroups.
    sizes
        Of the model.
    weights
        Format that `stack` brings matrices into.
    """

    def __init__(self, device: Device, sizes: Sizes, weights: Format) -> None:
        self.device, self.sizes, self.weights = device, sizes, weights
        self.queue = device.queue
        info = device.info
        self.has_subgroups = "subgroups" in info.features
        self.on_cpu = info.is_fallback
        # one workgroup reads a whole row of logits: as many threads as there may be, but few where a CPU runs them
        self.widest = 64 if self.on_cpu else min(1024, info.limits["maxComputeInvocationsPerWorkgroup"])
        ones = max(sizes.vocab, sizes.q_width + sizes.kv_width, 2 * sizes.hidden, sizes.width)
        self.ones = self.queue.alloc(4 * ones, label="ones")
        self.queue.write(self.ones, np.ones(ones, np.float32))
        self._scratch: Buffer | None = None
        self._numbers: Buffer | None = None
        self._rows: Buffer | None = None

    # ------------------------------------------------------------ plumbing

    def _pipeline(self, name: str, weights: Format, at_once: int, outputs: int, **constants: float) -> Pipeline:
        head, subgroups = self.sizes.head_width, self.has_subgroups
        source = variant(
            name, weights=weights, head=head, subgroups=subgroups, on_cpu=self.on_cpu, rows=at_once, outputs=outputs
        )
        return self.queue.pipeline(source, f"nn/{name}", None, {key: float(value) for key, value in constants.items()})

    def run(
        self, name: str, buffers: Sequence[Buffer], groups: tuple[int, int, int], params: Mapping[str, Any] | None = None, weights: Format = "f32", at_once: int = 1,
        outputs: int = 1, **constants: float,
    ) -> None:  # fmt: skip
        """Queue a shader of ``shaders/nn`` by name.

        Parameters
        ----------
        buffers
            What its bindings are, in order.
        groups
            Of the dispatch.
        params
            The fields of its uniform by name, where it has one.
        weights
            Format of its matrices, where it has any.
        at_once, outputs
            How many rows a team takes, and how many outputs of a row it makes at once.
        **constants
            Its overrides.
        """
        args: list[Any] = [(0, i, buffer) for i, buffer in enumerate(buffers)]
        if params:
            args.append((1, 0, uniform(f"nn/{name}").pack(params)))
        self.queue.dispatch(self._pipeline(name, weights, at_once, outputs, **constants), args, groups)

    def _teams(self, outputs: int, *, share: int = 1) -> tuple[int, int]:
        """Workgroup size and count for ``outputs`` that teams make, ``share`` each."""
        if not self.has_subgroups:
            return 64, max(1, min(SAFE_WORKGROUPS, outputs // share))
        size, members = (64, 4) if self.on_cpu else (128, 32)
        teams = size // members * (4 if self.on_cpu else share)
        return size, max(1, min(SAFE_WORKGROUPS, -(-outputs // teams)))

    def floats(self, count: int, label: str) -> Buffer:
        """Make room for float32."""
        return self.queue.alloc(4 * count, label=label)

    def upload(self, values: np.ndarray[Any, Any], label: str) -> Buffer:
        """Bring whole numbers to the GPU as u32."""
        data = np.ascontiguousarray(values, np.uint32)
        buffer = self.queue.alloc(data.nbytes, label=label)
        self.queue.write(buffer, data)
        return buffer

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
        row_bytes = FORMATS[self.weights].row_bytes(columns)
        words = self.queue.alloc(rows * row_bytes, label="matrix")
        scale = self.ones if self.weights != "int8" else self.floats(rows, "scale")
        first = 0
        for array in arrays:
            count = array.shape[0]
            if self.weights == "int8":
                size, groups = self._teams(count)
                params = {"rows": count, "words": columns // 4, "first": first}
                self.run("quantize_rows", [array._buffer(), words, scale], (groups, 1, 1), params, WG=size)
            else:
                self.queue.copy(array._buffer(), 0, words, first * row_bytes, count * row_bytes)
            first += count
        return Matrix(words, scale, rows, columns, self.weights)

    def gather(self, arrays: Sequence[GPUArray], rows: Sequence[int], columns: int, stored: Format) -> Matrix:
        """Stack matrices that lie in a format already.

        Parameters
        ----------
        arrays
            Whose bytes are rows of that format, one after the other.
        rows
            Of each.
        """
        row_bytes = FORMATS[stored].row_bytes(columns)
        words = self.queue.alloc(-(-sum(rows) * row_bytes // 4) * 4, label="matrix")
        at = 0
        for array, count in zip(arrays, rows, strict=True):
            self.queue.copy(array._buffer(), 0, words, at, -(-count * row_bytes // 4) * 4)
            at += count * row_bytes
        return Matrix(words, self.ones, sum(rows), columns, stored)

    def upload_matrix(self, raw: bytes | memoryview, rows: int, columns: int, stored: Format) -> Matrix:
        """Bring a matrix to the GPU as a GGUF file has it, to be decoded where it is used.

        Parameters
        ----------
        raw
            Its rows, one after the other.
        stored
            Their format.
        """
        words = self.queue.alloc(len(raw), label="matrix")
        self.queue.write(words, raw)
        return Matrix(words, self.ones, rows, columns, stored)

    def with_bias(self, matrix: Matrix, bias: Buffer) -> Matrix:
        """Return a matrix whose products have a bias (rows) added."""
        size = 4 * matrix.rows
        scale = self.floats(2 * matrix.rows, "scale and bias")
        self.queue.copy(matrix.scale, 0, scale, 0, size)
        self.queue.copy(bias, 0, scale, size, size)
        return replace(matrix, scale=scale, has_bias=True)

    # ------------------------------------------------------------ many rows

    def embed(self, ids: Buffer, rows: int, table: Matrix, x: Buffer) -> None:
        """``x[r] = table[ids[r]]``."""
        groups = min(SAFE_WORKGROUPS, -(-rows * table.columns // 4 // 64))
        buffers = [ids, table.words, table.scale, x]
        self.run("embed", buffers, (groups, 1, 1), {"rows": rows}, table.format, WIDTH=table.columns)

    def norm(self, x: Buffer, gain: Buffer, y: Buffer, rows: int, width: int | None = None) -> None:
        """RMSNorm of rows; of the model's width where none is given."""
        size, groups = self._teams(rows)
        constants: dict[str, Any] = {"WG": size, "WIDTH": width or self.sizes.width, "EPSILON": self.sizes.epsilon}
        self.run("rms_norm", [x, gain, y], (groups, 1, 1), {"rows": rows}, **constants)

    def linear(
        self, x: Buffer, matrix: Matrix, y: Buffer, rows: int, *, residual: bool = False, factor: float = 1.0, place: tuple[int, int] | None = None
    ) -> None:  # fmt: skip
        """``y (+)= factor * x @ matrix.T``, and the matrix's bias; ``place`` is the first column of y, and how many a row has."""
        if self._is_for_tiles(matrix, rows) and factor == 1 and not place and not matrix.has_bias:
            columns, outputs = matrix.columns, matrix.rows
            words = matrix.words if matrix.format == "f32" else self._decoded(matrix)
            weight = Operand.tight(words, (outputs, columns)).mT
            launch(self.device, Operand.tight(x, (rows, columns)), weight, y, accumulate=residual)
            return
        constants: dict[str, Any] = {"RESIDUAL": residual, "FACTOR": factor, **_places(matrix, place)}
        groups = (-(-matrix.rows // 32), -(-rows // 32), 1)
        buffers = [x, matrix.words, matrix.scale, y]
        self.run("linear", buffers, groups, {"rows": rows}, matrix.format, **constants)

    def _is_for_tiles(self, matrix: Matrix, rows: int) -> bool:
        """Whether a product is large enough, and the adapter a GPU, for the kernels of `wg.matmul`."""
        is_large = not self.on_cpu and rows >= 32 and matrix.rows >= 128 and matrix.rows % 4 == 0
        return is_large and (matrix.format == "f32" or (matrix.format in _DECODED_WHOLE and rows >= _MANY_ROWS))

    def _decoded(self, matrix: Matrix) -> Buffer:
        """Return a matrix in float32, in memory that the next one takes: over many rows reading it costs less than decoding it for each."""
        size = 4 * matrix.rows * matrix.columns
        if self._scratch is None or self._scratch.size_bytes < size:
            self._scratch = self.queue.alloc(size, label="decoded matrix")
        if self._numbers is None:
            self._numbers = self.upload(np.arange(self.ones.size_bytes // 4), "numbers of rows")
        self.embed(self._numbers, matrix.rows, matrix, self._scratch)
        return self._scratch

    def gate(self, a: Buffer, h: Buffer, rows: int) -> None:
        """Apply the feed-forward's activation, and its gate."""
        s = self.sizes
        groups = min(SAFE_WORKGROUPS, -(-rows * s.hidden // 64))
        constants: dict[str, Any] = {"WIDTH": s.hidden, "GATED": s.is_gated, "ACT": ACTIVATIONS[s.activation]}
        self.run("gate", [a, h], (groups, 1, 1), {"rows": rows}, **constants)

    def _heads_of(self) -> dict[str, Any]:
        return {"HEADS": self.sizes.heads, "KV_HEADS": self.sizes.kept_heads, "SCALE": self.sizes.scale}

    def attention(
        self, q: Buffer, kv: Buffer | None, bias: Buffer | None, mask: Buffer, out: Buffer, shape: tuple[int, int, int], *, causal: bool
    ) -> None:  # fmt: skip
        """Attention of all queries of a batch.

        Parameters
        ----------
        q
            Queries; each row's keys and values behind them where there is no ``kv``.
        kv
            Keys and values of rows of their own; None where they are the queries' rows.
        bias
            (heads, 2 * distance + 1), added to the scores by key minus query; None without.
        mask
            0 where a key is to be ignored.
        shape
            Batch, queries, keys.
        causal
            Whether a query sees no later key.
        """
        s, keys = self.sizes, shape[2]
        kv_words, q_words = s.kv_width // 4, s.q_width // 4
        if kv is None:
            strides = (q_words + kv_words, q_words + kv_words, q_words, q_words + kv_words // 2)
        else:
            strides = (q_words, kv_words, 0, kv_words // 2)
        self._attend(
            q,
            q if kv is None else kv,
            bias,
            mask,
            out,
            shape,
            (*strides, keys * strides[1], s.head_width // 4),
            causal=causal,
        )

    def attention_over(
        self, qkv: Buffer, cache: Buffer, mask: Buffer, out: Buffer, shape: tuple[int, int, int], capacity: int, window: int | None = None
    ) -> None:  # fmt: skip
        """Causal attention of the last positions over what a cache keeps, theirs included.

        Parameters
        ----------
        shape
            Batch, queries, and keys, of which the queries are the last.
        window
            How many of the last positions a query sees; None: all.
        """
        s = self.sizes
        q_stride, head, half = (
            (s.q_width + s.kv_width) // 4,
            s.head_width // 4,
            s.kept_heads * capacity * s.head_width // 4,
        )
        strides = (q_stride, head, 0, shape[0] * half, half, capacity * head)
        self._attend(qkv, cache, None, mask, out, shape, strides, causal=True, window=window)

    def _attend(
        self, q: Buffer, kv: Buffer, bias: Buffer | None, mask: Buffer, out: Buffer, shape: tuple[int, int, int], strides: Sequence[int],
        *, causal: bool, window: int | None = None,
    ) -> None:  # fmt: skip
        s, (batch, queries, keys) = self.sizes, shape
        constants: dict[str, Any] = {"DISTANCE": s.distance, "CAUSAL": causal, "BIASED": bias is not None}
        # barriers are what costs where a CPU runs the shader, and registers where heads are wide
        name = "attention" if self.on_cpu or s.head_width > _WIDEST_TILED_HEAD else "attention_tiled"
        buffers = [q, kv, self.ones if bias is None else bias, mask, out]
        params = {
            "queries": queries, "keys": keys, **dict(zip(_STRIDES, strides, strict=True)), "first": keys - queries if causal else 0, "window": window or keys,
        }  # fmt: skip
        self.run(name, buffers, (-(-queries // 32), s.heads, batch), params, **constants, **self._heads_of())

    def rope(
        self, x: Buffer, table: Buffer, gains: Buffer | None, shape: tuple[int, int], first: int = 0, *, is_interleaved: bool
    ) -> None:  # fmt: skip
        """Rotate the queries and keys of rows of queries, keys and values by their positions.

        Parameters
        ----------
        table
            (positions, head width / 2, 2): cosine and sine of each pair's angle.
        gains
            (2, head width), by which the heads of queries and of keys are normed first; None where they are not.
        shape
            Batch, positions, which go from ``first`` on.
        is_interleaved
            Whether pairs are neighbours; else they are half a head apart.
        """
        s, (batch, length) = self.sizes, shape
        heads, stride = s.heads + s.kept_heads, s.q_width + s.kv_width
        groups = min(SAFE_WORKGROUPS, -(-batch * length * heads // 64))
        params = {"rows": batch * length, "stride": stride, "first": first, "length": length}
        constants: dict[str, Any] = {
            "QUERIES": s.heads,
            "KEYS": s.kept_heads,
            **self._rotary_of(gains, is_interleaved=is_interleaved),
        }
        self.run("rope", [x, table, self.ones if gains is None else gains], (groups, 1, 1), params, **constants)

    def _rotary_of(self, gains: Buffer | None, *, is_interleaved: bool) -> dict[str, Any]:
        return {"INTERLEAVED": is_interleaved, "NORMED": gains is not None, "EPSILON": self.sizes.epsilon}

    def keep(self, qkv: Buffer, cache: Buffer, shape: tuple[int, int], first: int, capacity: int) -> None:
        """Put the keys and values of (batch, positions) into a cache's layer, from position ``first`` on."""
        s, (batch, length) = self.sizes, shape
        groups = min(SAFE_WORKGROUPS, -(-batch * length * s.kv_width // 256))
        params = {"rows": batch, "length": length, "first": first, "capacity": capacity}
        self.run("keep", [qkv, cache], (groups, 1, 1), params, HEADS=s.heads, KV_HEADS=s.kept_heads)

    def attention_weights(self, q: Buffer, kv: Buffer, mask: Buffer, w: Buffer, shape: tuple[int, int, int]) -> None:
        """Cross-attention's probabilities; ``shape`` is batch, queries, keys."""
        batch, queries, keys = shape
        groups = (-(-queries // 32), self.sizes.heads, batch)
        params = {"queries": queries, "keys": keys}
        self.run("attention_weights", [q, kv, mask, w], groups, params, **self._heads_of())

    # ------------------------------------------------------------ one step

    def step_linear(
        self, x: Buffer, gain: Buffer | None, matrix: Matrix, state: Buffer, y: Buffer, rows: int, *, residual: bool = False, factor: float = 1.0,
        place: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """`linear` of f(x) for one step, f being RMSNorm where there is a gain."""
        x, gain = self._normed(x, gain, rows, matrix.columns)
        size, groups = self._teams(matrix.rows, share=4 if matrix.rows > 8192 else 1)
        constants: dict[str, Any] = {
            "WG": size, "NORM": gain is not None, "RESIDUAL": residual, "EPSILON": self.sizes.epsilon, "FACTOR": factor,
            **_places(matrix, place),
        }  # fmt: skip
        buffers = [x, self.ones if gain is None else gain, matrix.words, matrix.scale, state, y]
        at_once = 4 if self.has_subgroups and rows % 4 == 0 else 1
        self.run(
            "step_linear",
            buffers,
            (groups, rows // at_once, 1),
            weights=matrix.format,
            at_once=at_once,
            outputs=self._outputs(matrix, matrix.rows) if at_once == 1 else 1,
            **constants,
        )

    def step_gate(self, x: Buffer, gain: Buffer, matrix: Matrix, state: Buffer, h: Buffer, rows: int) -> None:
        """RMSNorm, both products of the feed-forward's first half, activation and gate."""
        s = self.sizes
        x, left = self._normed(x, gain, rows, s.width)
        size, groups = self._teams(s.hidden)
        constants: dict[str, Any] = {
            "WG": size, "IN": s.width, "OUT": s.hidden, "GATED": s.is_gated, "ACT": ACTIVATIONS[s.activation], "EPSILON": s.epsilon,
            "NORM": left is not None,
        }  # fmt: skip
        buffers = [x, gain, matrix.words, matrix.scale, state, h]
        outputs = self._outputs(matrix, s.hidden)
        self.run("step_gate", buffers, (groups, rows, 1), weights=matrix.format, outputs=outputs, **constants)

    def _outputs(self, matrix: Matrix, count: int) -> int:
        """Return how many of ``count`` outputs a team makes at once in a step."""
        return 4 if self.on_cpu and FORMATS[matrix.format].values == 32 and count % 4 == 0 else 1

    def _normed(self, x: Buffer, gain: Buffer | None, rows: int, width: int) -> tuple[Buffer, Buffer | None]:
        """Return rows and what is left to do for their norm: nothing on a CPU, where a dispatch costs less than that each team reads the gains."""
        if gain is None or not self.on_cpu:
            return x, gain
        size = 4 * rows * width
        if self._rows is None or self._rows.size_bytes < size:
            self._rows = self.queue.alloc(size, label="normed rows of a step")
        self.norm(x, gain, self._rows, rows, width)
        return self._rows, None

    def _head_teams(self) -> tuple[int, int]:
        """Workgroup size and count for teams that take heads."""
        heads = self.sizes.heads
        if not self.has_subgroups:
            return 64, heads
        return (16, -(-heads // 4)) if self.on_cpu else (32, heads)

    def step_self(
        self, qkv: Buffer, bias: Buffer | None, origin: Buffer, state: Buffer, cache: Buffer, out: Buffer, rows: int, capacity: int
    ) -> None:  # fmt: skip
        """Self-attention of the new position of each row; keeps its key and value."""
        size, groups = self._head_teams()
        constants: dict[str, Any] = {"WG": size, "DISTANCE": self.sizes.distance, "BIASED": bias is not None}
        buffers = [qkv, self.ones if bias is None else bias, origin, state, cache, out]
        self.run("step_self", buffers, (groups, rows, 1), {"capacity": capacity}, **constants, **self._heads_of())

    def step_rotary(
        self, qkv: Buffer, table: Buffer, gains: Buffer | None, state: Buffer, cache: Buffer, out: Buffer, rows: int, capacity: int,
        *, is_interleaved: bool, window: int | None = None,
    ) -> None:  # fmt: skip
        """`rope` and self-attention of the new position of each row over its own past; keeps its key and value."""
        size, groups = self._head_teams()
        constants: dict[str, Any] = {
            "WG": size,
            "WINDOW": window or 0,
            **self._rotary_of(gains, is_interleaved=is_interleaved),
        }
        buffers = [qkv, table, self.ones if gains is None else gains, state, cache, out]
        params = {"capacity": capacity}
        self.run("step_rotary", buffers, (groups, rows, 1), params, **constants, **self._heads_of())

    def step_cross(
        self, q: Buffer, kv: Buffer, mask: Buffer, state: Buffer, out: Buffer, rows: int, source: int, beams: int
    ) -> None:
        """Cross-attention of the new position of each row."""
        size, groups = self._head_teams()
        params = {"source": source, "beams": beams}
        self.run("step_cross", [q, kv, mask, state, out], (groups, rows, 1), params, WG=size, **self._heads_of())

    def widen(self, x: Buffer, y: Buffer, rows: int, words: int, wider: int) -> None:
        """Copy rows of 16-byte words to the beginnings of wider ones."""
        groups = min(SAFE_WORKGROUPS, -(-rows * words // 64))
        self.run("widen", [x, y], (groups, 1, 1), {"rows": rows, "words": words, "wider": wider})

    def pick(
        self, logits: Buffer, table: Matrix, state: Buffer, tokens: Buffer, x: Buffer, settings: Buffer, seen: Buffer,
        rows: int, capacity: int, ends: Sequence[int], pad: int,
    ) -> None:  # fmt: skip
        """Choose, note and embed each row's next token, and count the step; rows that have come to one of ``ends`` get the pad."""
        params = {"ends": four_ends(ends), "vocab": self.sizes.vocab, "pad": pad, "capacity": capacity}
        buffers = [logits, table.words, table.scale, state, tokens, x, settings, seen]
        constants: dict[str, Any] = {"WG": self.widest, "WIDTH": self.sizes.width}
        self.run("pick", buffers, (1, rows, 1), params, table.format, **constants)

    def beam(
        self, logits: Buffer, table: Matrix, state: Buffer, tokens: Buffer, beam: Buffer, origin: Buffer, x: Buffer,
        sources: int, beams: int, capacity: int, ends: Sequence[int],
    ) -> None:  # fmt: skip
        """One step of beam search, and count the step."""
        params = {"ends": four_ends(ends), "vocab": self.sizes.vocab, "capacity": capacity}
        buffers = [logits, table.words, table.scale, state, tokens, beam, origin, x]
        constants: dict[str, Any] = {"WG": self.widest, "WIDTH": self.sizes.width, "BEAMS": beams}
        self.run("beam", buffers, (1, sources, 1), params, table.format, **constants)
