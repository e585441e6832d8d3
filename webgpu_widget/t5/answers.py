"""From prompts to text: the part of the T5 that generates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, overload

import numpy as np

from webgpu_widget import errors
from webgpu_widget.link.steps import Steps, Stream, drive, drive_async, following, iterate, iterate_async
from webgpu_widget.nn.decoder import Chunk, generate
from webgpu_widget.nn.loaded import Loaded
from webgpu_widget.nn.sampling import Settings, checked
from webgpu_widget.nn.stats import Clock, Stats
from webgpu_widget.nn.streaming import Detokenizer, whole
from webgpu_widget.t5.encoder import source_width
from webgpu_widget.t5.generate import Decoder
from webgpu_widget.t5.tokenizer import Tokenizer

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.t5.config import T5Config
    from webgpu_widget.t5.encoder import Encoders
    from webgpu_widget.t5.parts import Parts

__all__ = ["Answers", "T5Stats"]

_KEPT_DECODERS = 2


class T5Stats(Stats):
    """What the last generation took: see `Stats`."""


class Answers(Loaded):
    """The part of `T5` that takes and returns text."""

    config: T5Config
    tokenizer: Tokenizer
    max_source_tokens: int
    stats: T5Stats
    _device: Device
    _parts: Parts
    _encoders: Encoders
    _decoders: dict[tuple[int, int, int], Decoder]

    @contextmanager
    def _decoding(self, sources: int, beams: int, source: int, max_new_tokens: int) -> Iterator[Decoder]:
        """Lend a decoder to one generation at a time; it is kept for the next of its shape, unless it has failed or grown."""
        key = (sources, beams, source)
        parts = self._parts
        decoder = self._decoders.pop(key, None) or Decoder(parts, *key, max_new_tokens)
        try:
            yield decoder
        except GeneratorExit:  # a stream that is left
            self._keep(key, decoder)
            raise
        self._keep(key, decoder)

    def _keep(self, key: tuple[int, int, int], decoder: Decoder) -> None:
        if decoder.has_grown or decoder.parts is not self._parts:
            return
        self._decoders.pop(key, None)
        while len(self._decoders) >= _KEPT_DECODERS:
            self._decoders.pop(next(iter(self._decoders)))
        self._decoders[key] = decoder

    def _run(self, texts: Sequence[str], settings: Settings, *, truncation: bool, streaming: bool) -> Stream[Chunk]:
        """Generate for texts (see `nn.decoder.generate`), keeping `stats`."""
        return whole(self._device, self._chunks(texts, settings, truncation=truncation, streaming=streaming))

    def _chunks(self, texts: Sequence[str], settings: Settings, *, truncation: bool, streaming: bool) -> Stream[Chunk]:
        yield from self._settle()
        self._ready()
        rows = [self.tokenizer.encode(text, limit=self.max_source_tokens, truncation=truncation) for text in texts]
        clock = Clock()
        longest = max(map(len, rows))
        # a single row is encoded at its own width, where the encoder is not recorded
        ids = np.full((len(rows), longest if len(rows) == 1 else source_width(longest)), self.config.pad_token_id)
        mask = np.zeros(ids.shape, bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = True
        encoded = self._encoders.encode(ids, mask)
        shape = len(rows), settings.num_beams, source_width(longest)
        with self._decoding(*shape, settings.max_new_tokens) as decoder:

            def notice(chunk: Chunk) -> None:
                self.stats = clock.stats(sum(map(len, chunk.tokens)), decoder.dispatches, self.stats)

            decoder.start(encoded, settings)
            yield from generate(decoder, streaming=streaming, notice=notice)

    def _texts(self, text: str | Sequence[str]) -> list[str]:
        if not isinstance(text, str) and not isinstance(text, Sequence):
            raise errors.PromptError(f"a prompt is a str or a list of them, not {type(text).__name__}")
        return [text] if isinstance(text, str) else list(text)

    @overload
    def generate(
        self,
        text: str,
        max_new_tokens: int = 64,
        num_beams: int = 1,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        *,
        truncation: bool = False,
        timeout: float | None = 30.0,
    ) -> str: ...

    @overload
    def generate(
        self,
        text: list[str] | tuple[str, ...],
        max_new_tokens: int = 64,
        num_beams: int = 1,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        *,
        truncation: bool = False,
        timeout: float | None = 30.0,
    ) -> list[str]: ...

    def generate(
        self,
        text: str | Sequence[str],
        max_new_tokens: int = 64,
        num_beams: int = 1,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        *,
        truncation: bool = False,
        timeout: float | None = 30.0,
    ) -> str | list[str]:
        """Return the model's answer: a str for a str, a list for a list.

        Parameters
        ----------
        text : str or list of str
            A prompt, or several, which run together.
        max_new_tokens : int
            Most tokens of an answer. Memory is taken by the tokens that come, in steps, and not by this.
        num_beams : int
            1, or more for beam search (at most 16) as ``transformers`` does it by default.
        do_sample : bool
            Draw tokens at random instead of taking the likeliest.
        temperature, top_k, top_p : float, int, float
            Of the drawing: logits are divided by the temperature; then only the ``top_k`` likeliest stay (0: all), and of these the
            fewest whose probability reaches ``top_p``.
        seed : int, optional
            Of the drawing; the same seed gives the same answer. None: another each time.
        truncation : bool
            Cut prompts over ``max_source_tokens`` instead of raising.
        timeout : float or None
            Seconds of silence.

        Raises
        ------
        PromptError
            For an empty or over-long text, or a setting out of range.
        LimitError
            When the adapter has no room for more tokens and the answer has not ended; its message says how many there is room for.
        FrontendError, DeviceError
            When the page or device is lost; the next call loads the model again.
        """
        return drive(
            self._generate_steps(
                text,
                checked(max_new_tokens, num_beams, do_sample, temperature, top_k, top_p, seed),
                truncation=truncation,
            ),
            timeout,
        )

    async def generate_async(
        self,
        text: str | Sequence[str],
        max_new_tokens: int = 64,
        num_beams: int = 1,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        *,
        truncation: bool = False,
        timeout: float | None = 30.0,
    ) -> str | list[str]:
        """Coroutine twin of `generate`."""
        return await drive_async(
            self._generate_steps(
                text,
                checked(max_new_tokens, num_beams, do_sample, temperature, top_k, top_p, seed),
                truncation=truncation,
            ),
            timeout,
        )

    def _generate_steps(
        self, text: str | Sequence[str], settings: Settings, *, truncation: bool
    ) -> Steps[str | list[str]]:
        texts, ids = self._texts(text), list[list[int]]()
        if texts:
            with closing(self._run(texts, settings, truncation=truncation, streaming=False)) as work:
                while (chunk := (yield from following(work))) is not None:
                    ids = chunk.tokens
        answers = [self.tokenizer.decode(row) for row in ids]
        return answers[0] if isinstance(text, str) else answers

    def stream(
        self,
        text: str,
        max_new_tokens: int = 64,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        *,
        truncation: bool = False,
        timeout: float | None = 30.0,
    ) -> Iterator[str]:
        """Yield the answer's text as it comes; leaving the loop stops the generation.

        Parameters
        ----------
        text, max_new_tokens, do_sample, temperature, top_k, top_p, seed, truncation, timeout
            As in `generate`. Beam search has nothing to stream.
        """
        return iterate(
            self._streamed(
                text, checked(max_new_tokens, 1, do_sample, temperature, top_k, top_p, seed), truncation=truncation
            ),
            timeout,
        )

    def stream_async(
        self,
        text: str,
        max_new_tokens: int = 64,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        *,
        truncation: bool = False,
        timeout: float | None = 30.0,
    ) -> AsyncIterator[str]:
        """Coroutine twin of `stream`: ``async for``."""
        return iterate_async(
            self._streamed(
                text, checked(max_new_tokens, 1, do_sample, temperature, top_k, top_p, seed), truncation=truncation
            ),
            timeout,
        )

    def _streamed(self, text: str, settings: Settings, *, truncation: bool) -> Stream[str]:
        detokenizer, work = (
            Detokenizer(self.tokenizer.decode),
            self._run([text], settings, truncation=truncation, streaming=True),
        )
        # Closed here: a CPython before 3.12.4 keeps what a closed generator held until the generator itself goes.
        with closing(work):
            while (chunk := (yield from following(work))) is not None:
                if new := detokenizer.upto(chunk.tokens[0], done=chunk.done):
                    yield new
