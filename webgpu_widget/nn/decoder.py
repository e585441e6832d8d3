"""Decoding that stays in the browser: one recorded step, replayed many times a message, tokens read back in chunks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.errors import LimitError, WeightsError
from webgpu_widget.kernels.program import Program
from webgpu_widget.link.steps import Stream
from webgpu_widget.nn.cache import FIRST, Cache, most_positions, rounded
from webgpu_widget.nn.sampling import seen_bits

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.link.connection import Request
    from webgpu_widget.nn.kernels import Kernels, Matrix
    from webgpu_widget.nn.sampling import Settings

__all__ = ["Chunk", "Decoder", "generate"]

_CHUNKS = (1, 4, 8, 16, 32)
_UNDEFINED = 2
"""What the state's first word says where generation stopped for logits that are no numbers."""
_FEWER = "Fewer prompts or beams at once take less."
_TARGET_S = 0.08
"""A chunk grows while it takes less: a reader sees text move."""


@dataclass(frozen=True)
class Chunk:
    """Tokens that have come: one list per source, ended ones cut after the end token."""

    tokens: list[list[int]]
    done: bool


class Decoder(ABC):
    """Caches, buffers and the recorded step for one shape of work; a model says what a step does from ``x`` to ``logits``.

    Parameters
    ----------
    kernels
        Of the model.
    layers
        Whose keys and values are kept.
    sources, beams
        Rows are ``sources * beams``.
    max_new_tokens
        What is expected: memory is made for `FIRST` of them at most, and for more when they have come.
    ends
        Tokens that end a text, at most `MOST_ENDS`.
    pad
        What follows them.

    Attributes
    ----------
    x : Buffer
        (rows, width): what a step begins with.
    logits : Buffer
        (rows, vocab): what it ends with.
    state : Buffer
        Whether it has stopped, the step, how many rows have come so far, the most tokens, then a flag a source.
    cache : Cache
        Of the positions so far.
    """

    def __init__(
        self, kernels: Kernels, layers: int, sources: int, beams: int, max_new_tokens: int, *, ends: Sequence[int], pad: int
    ) -> None:  # fmt: skip
        self.kernels, self.sources, self.beams, self.ends, self.pad = kernels, sources, beams, tuple(ends), pad
        self.rows = rows = sources * beams
        self.most = most_positions(kernels, rows)
        if self.most == 0:
            raise LimitError(f"{rows} rows at once are too many for this adapter: {self._room()}. {_FEWER}")
        alloc = kernels.queue.alloc
        self.x = kernels.floats(rows * kernels.sizes.width, "step states")
        self.logits = kernels.floats(rows * kernels.sizes.vocab, "step logits")
        self.state = alloc(4 * (4 + rows), label="state")
        self.settings = alloc(32, label="settings")
        self.seen = alloc(4 * rows * -(-kernels.sizes.vocab // 32), label="tokens seen")
        self.beam = kernels.floats(sources * 4 * beams, "beams")
        self.cache = Cache(kernels, layers, rows, min(rounded(max_new_tokens), FIRST, self.most))
        self.tokens = self._room_for_tokens()
        self.program: Program | None = None
        self._limit = self._wanted = self._run = self._first = 0

    @property
    def dispatches(self) -> int:
        """Of a step."""
        return self._recorded().stats["dispatches"]

    @property
    def has_grown(self) -> bool:
        """Whether it holds more than the room that decoders begin with."""
        return self.cache.capacity > FIRST

    @property
    def left(self) -> int:
        """Steps that are neither queued nor beyond the most tokens."""
        return self._limit - self._run

    # ------------------------------------------------------------ the step

    @abstractmethod
    def step(self) -> None:
        """Queue the kernels of one step, from ``x`` to ``logits``."""

    @property
    @abstractmethod
    def table(self) -> Matrix:
        """The embedding."""

    def _choose(self) -> None:
        k, capacity = self.kernels, self.cache.capacity
        if self.beams == 1:
            k.pick(
                self.logits, self.table, self.state, self.tokens, self.x, self.settings, self.seen, self.rows, capacity, self.ends, self.pad,
            )  # fmt: skip
        else:
            k.beam(
                self.logits, self.table, self.state, self.tokens, self.beam, self.cache.origin, self.x,
                self.sources, self.beams, capacity, self.ends,
            )  # fmt: skip

    def _recorded(self) -> Program:
        if self.program is None:
            self.program = Program(self.kernels.device)
            with self.program:
                self.step()
                self._choose()
        return self.program

    # ------------------------------------------------------------ work

    def reset(self, settings: Settings, first: int = 0, seen: np.ndarray[Any, Any] | None = None) -> None:
        """Begin anew: fresh state, no past but that of ``first`` positions, which the cache holds, and the tokens that a penalty for repetitions knows of."""
        queue = self.kernels.queue
        self._first = self._run = first
        self._wanted = first + settings.max_new_tokens
        self._limit = min(self._wanted, self.most)
        state = np.zeros(4 + self.rows, np.uint32)
        state[1], state[3] = first, self._limit
        queue.write(self.state, state)
        queue.write(self.settings, settings.pack())
        if settings.repetition_penalty != 1:
            known = np.empty((self.rows, 0), np.int64) if seen is None else seen
            queue.write(self.seen, seen_bits(known, self.kernels.sizes.vocab))
        self.cache.reset()
        if self.beams > 1:
            beam = np.zeros((self.sources, 4, self.beams), np.float32)
            beam[:, 0, 1:] = -1e9
            beam[:, 1] = -1e9
            beam[:, 2] = np.arange(self.beams)
            queue.write(self.beam, beam)

    def replay(self, steps: int) -> None:
        """Queue steps, in more memory where they do not fit what there is."""
        self._run += steps
        self.reserve(self._run)
        self._recorded().replay(steps)

    def reserve(self, positions: int) -> None:
        """Make room for so many positions, where there is not: for twice as many as there were, so that it seldom happens."""
        if positions > self.cache.capacity:
            self._grow(max(positions, min(2 * self.cache.capacity, self._limit)))

    def _grow(self, positions: int) -> None:
        if self.program is not None:
            self.program.free()
            self.program = None  # it names the memory that is left now
        before, capacity = self.cache.capacity, rounded(positions)
        self.cache.grow(capacity)
        old, self.tokens = self.tokens, self._room_for_tokens()
        self.kernels.widen(old, self.tokens, self.rows * self._token_rows, before // 4, capacity // 4)

    @property
    def _token_rows(self) -> int:
        """Rows of tokens a row: beams keep those of even and odd steps, and of what has ended."""
        return 3 if self.beams > 1 else 1

    def _room_for_tokens(self) -> Buffer:
        count = self.rows * self._token_rows * self.cache.capacity
        return self.kernels.queue.alloc(4 * count, label="tokens")

    def start_read(self) -> tuple[Request, list[np.ndarray[Any, Any]]]:
        """Begin to read what tells the tokens so far; the arrays are filled when the request is done."""
        spans = [(self.state, 0, self.state.size_bytes)]
        if self.beams == 1:
            spans.append((self.tokens, 0, self.tokens.size_bytes))
        else:
            kept = self.tokens.size_bytes // 3
            spans += [(self.tokens, 2 * kept, kept), (self.beam, 0, self.beam.size_bytes)]
        return self.kernels.queue.start_read(spans, "generating")

    def chunk(self, data: list[np.ndarray[Any, Any]]) -> Chunk:
        """Make sense of what was read.

        Raises
        ------
        WeightsError
            When the logits are no numbers.
        LimitError
            When the adapter has no room for more tokens, and the text has not ended.
        """
        state = data[0].view(np.uint32)
        if state[0] == _UNDEFINED:
            raise WeightsError(
                f"the logits after token {int(state[1])} hold NaN, or infinities of which no probabilities come, so that there is no answer. "
                "Look for NaN and infinities in the weights; where they are finite, load them with dtype='f32'."
            )
        done, step = bool(state[0]), int(state[1])
        tokens = data[1].view(np.uint32).reshape(self.rows, -1)
        if self.beams == 1:
            rows = [self._until_end(row) for row in tokens[:, self._first : step].tolist()]
            self._check_room(step, ended=all(row[-1] in self.ends for row in rows if row))
            return Chunk(rows, done)
        self._check_room(step, ended=False)
        beam = data[2].view(np.float32).reshape(self.sources, 4, self.beams)
        best = [(i * self.beams + int(beam[i, 2, 0]), int(beam[i, 3, 0])) for i in range(self.sources)]
        return Chunk([tokens[row, :length].tolist() for row, length in best], done)

    def _until_end(self, row: list[int]) -> list[int]:
        found = [row.index(end) for end in self.ends if end in row]
        return row[: min(found) + 1] if found else row

    def _check_room(self, step: int, *, ended: bool) -> None:
        if ended or step < self._limit or self._limit == self._wanted:
            return
        raise LimitError(
            f"the text has {step - self._first} tokens and has not ended, of max_new_tokens={self._wanted - self._first}, and there is no room for more: "
            f"{self._room()}. Pass max_new_tokens={self._limit - self._first} or less to have the text until there. {_FEWER}"
        )

    def _room(self) -> str:
        """Say what bounds the tokens."""
        limits = self.kernels.device.info.limits
        return (
            f"the keys and values of a layer take {4 * self.rows * self.kernels.sizes.kv_width} bytes a token in one buffer, "
            f"of at most {min(limits['maxBufferSize'], limits['maxStorageBufferBindingSize'])} bytes"
        )


def generate(
    decoder: Decoder,
    *,
    streaming: bool,
    notice: Callable[[Chunk], None] | None = None,
) -> Stream[Chunk]:
    """Run a decoder that has been reset; yields chunks.

    A GPU goes on with the next chunk while the tokens of the one before travel; what it does beyond the end token returns at once.
    A CPU adapter shares its cores with the page, which would be kept from sending them.

    Parameters
    ----------
    decoder
        With what its first step needs.
    streaming
        Short chunks at first, for a reader; else long ones.
    notice
        Is told of each chunk before it is yielded.
    """
    size = 0 if streaming else 2

    def run() -> int:
        count = min(_CHUNKS[size], decoder.left)
        decoder.replay(count)
        return count

    began, count = time.perf_counter(), run()
    while True:
        request, arrays = decoder.start_read()
        ahead = run() if decoder.left and not decoder.kernels.on_cpu else 0
        if ahead:
            decoder.kernels.queue.flush()
        yield from decoder.kernels.device.wait_steps(request)
        found = decoder.chunk(arrays)
        chunk = Chunk(found.tokens, found.done or not (ahead or decoder.left))
        spent = time.perf_counter() - began
        if notice is not None:
            notice(chunk)
        yield chunk
        if chunk.done:
            return
        if size + 1 < len(_CHUNKS) and spent * _CHUNKS[size + 1] / count < _TARGET_S * (1 if streaming else 8):
            size += 1
        began, count = time.perf_counter(), ahead or run()
