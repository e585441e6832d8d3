"""``wg.T5``: FLAN-T5 in the browser."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, cast, overload

import numpy as np

from webgpu_widget import errors
from webgpu_widget.t5 import forward
from webgpu_widget.t5.checks import Checks
from webgpu_widget.t5.config import T5Config
from webgpu_widget.t5.generate import Chunk, Decoder, Settings, generate
from webgpu_widget.t5.kernels import Kernels
from webgpu_widget.t5.options import T5Stats, checked
from webgpu_widget.t5.parts import Parts
from webgpu_widget.t5.source import Checkpoint, Tensors, find, open_tensors
from webgpu_widget.t5.tokenizer import Pieces, Tokenizer

if TYPE_CHECKING:
    import os
    from collections.abc import Generator

    from webgpu_widget._queue import Span
    from webgpu_widget.gpu import GPU
    from webgpu_widget.t5.shaders import Format

__all__ = ["T5", "T5Stats"]

_FORMATS = ("f32", "f16", "int8")
_KEPT_DECODERS = 2


class T5(Checks):
    """A FLAN-T5 (or T5) checkpoint on the GPU of the notebook's browser; made by `from_pretrained`.

    Attributes
    ----------
    config : T5Config
        The model's shape.
    tokenizer : Tokenizer
        Text to ids and back.
    stats : T5Stats
        Of the last generation.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        config: T5Config,
        tokenizer: Tokenizer,
        gpu: GPU,
        dtype: Format,
        *,
        max_source_tokens: int,
        progress: bool,
    ) -> None:
        self._checkpoint, self._gpu, self._dtype, self._progress = checkpoint, gpu, dtype, progress
        self.config, self.tokenizer = config, tokenizer
        self.max_source_tokens = max_source_tokens
        self.stats = T5Stats()
        self._began = time.perf_counter()
        self._closed = False
        self._complete = -1  # the page's generation for which all is loaded
        self._tensors: Tensors | None = None
        self._open()

    def _open(self) -> None:
        """Open the checkpoint for the page and device that there are now."""
        self._generation = self._gpu._queue.generation
        if self._tensors is not None:
            self._tensors.close()
        kernels = Kernels(self._gpu, self.config, self._dtype)
        self._tensors = open_tensors(self._checkpoint, self.config, self._gpu, self._dtype, progress=self._progress)
        self._parts: Parts = Parts(kernels, self._tensors)
        self._decoders: dict[tuple[int, int, int, int], Decoder] = {}

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        gpu: GPU | None = None,
        dtype: Format = "f32",
        progress: bool = True,
        *,
        max_source_tokens: int = 4096,
        wait: bool = True,
    ) -> Self:
        """Load a checkpoint.

        Parameters
        ----------
        source
            A folder with config.json, model.safetensors and tokenizer.json, or ``"hf:owner/name"``.
        gpu
            Where it shall live; the default GPU when left out.
        dtype
            How matrices are stored: "f32", "f16" (half the memory), or "int8" (a quarter; each row rounded to 255 steps).
            Arithmetic is float32 in all of them.
        progress
            Show a bar.
        max_source_tokens
            Longest prompt that is taken.
        wait
            Return when all is loaded. Else return at once: the first call waits for what it needs, so that the encoder runs while
            the decoder loads.

        Raises
        ------
        FormatError
            When a file is missing, is not a T5's, or does not fit the others.
        WeightsError
            When there is no such checkpoint.
        FrontendError, DeviceError
            When there is no page or no GPU.

        Examples
        --------
        >>> import webgpu_widget as wg
        >>> t5 = wg.T5.from_pretrained("notebooks/tiny_t5", progress=False)
        >>> t5.generate("translate English to German: The house is wonderful.")
        'Das Haus ist wunderbar.'
        """
        if dtype not in _FORMATS:
            raise errors.DTypeError(f"dtype {dtype!r} is not one of {', '.join(map(repr, _FORMATS))}")
        if not isinstance(max_source_tokens, int) or max_source_tokens < 1:
            raise errors.ShapeError(
                f"max_source_tokens is {max_source_tokens!r}, but must be a whole number of at least 1"
            )
        checkpoint = find(source)
        config = T5Config.from_file(checkpoint.config)
        tokenizer = Tokenizer(checkpoint.tokenizer, config)
        if gpu is None:
            from webgpu_widget.gpu import default_gpu

            gpu = default_gpu()
        made = cls(checkpoint, config, tokenizer, gpu, dtype, max_source_tokens=max_source_tokens, progress=progress)
        if wait:
            made.wait()
        return made

    @classmethod
    async def from_pretrained_async(
        cls,
        source: str | os.PathLike[str],
        gpu: GPU | None = None,
        dtype: Format = "f32",
        progress: bool = True,
        *,
        max_source_tokens: int = 4096,
        wait: bool = True,
    ) -> Self:
        """Coroutine twin of `from_pretrained`."""
        made = cls.from_pretrained(source, gpu, dtype, progress, max_source_tokens=max_source_tokens, wait=False)
        if wait:
            await made.wait_async()
        return made

    # ------------------------------------------------------------ state

    def wait(self, timeout: float | None = 30.0) -> None:
        """Return when the whole model is on the GPU, with its kernels compiled."""
        parts = self._ready()
        # an encoding and a recording of one token compile the kernels
        start = np.full((1, 1), self.config.eos_token_id)
        forward.encode(parts, start, start != self.config.pad_token_id)
        self._decoder(1, 1, 32, 64)
        self._gpu.synchronize(timeout)
        if self.stats.load_s is None:
            self.stats = replace(self.stats, load_s=time.perf_counter() - self._began)
        self._complete = self._generation

    async def wait_async(self, timeout: float | None = 30.0) -> None:
        """Coroutine twin of `wait`."""
        await asyncio.to_thread(self.wait, timeout)

    async def _settled(self) -> None:
        if self._closed or self._complete != self._gpu._queue.generation:
            await self.wait_async()

    def _ready(self) -> Parts:
        if self._closed:
            raise errors.ClosedError("this model was freed; load it again with wg.T5.from_pretrained()")
        if self._generation != self._gpu._queue.generation:
            self._wait_for_device()
            self._open()
        return self._parts

    def _wait_for_device(self) -> None:
        """Wait for the page or device after the one that was lost; it may be on its way while the loss is still being told."""
        for _ in range(3):
            try:
                self._gpu.ready()
            except (errors.DeviceLostError, errors.FrontendLostError):
                continue
            return
        self._gpu.ready()

    def free(self) -> None:
        """Give the model's memory back; later use raises `ClosedError`. May be called twice."""
        self._closed = True
        self._decoders.clear()
        if self._tensors is not None:
            self._tensors.close()
        self._tensors, self._parts = None, cast("Parts", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

    def __repr__(self) -> str:
        c = self.config
        return f"<T5 {self._checkpoint.name!r}: {c.num_layers}+{c.num_decoder_layers} layers of {c.d_model}, {self._dtype}>"

    # ------------------------------------------------------------ generation

    def _decoder(self, sources: int, beams: int, source: int, max_new_tokens: int) -> Decoder:
        key = (sources, beams, source, -(-max_new_tokens // 64) * 64)
        if key not in self._decoders:
            while len(self._decoders) >= _KEPT_DECODERS:
                self._decoders.pop(next(iter(self._decoders)))
            self._decoders[key] = Decoder(self._parts, *key)
        decoder = self._decoders.pop(key)
        self._decoders[key] = decoder
        return decoder

    def _run(
        self, texts: Sequence[str], settings: Settings, *, truncation: bool, streaming: bool
    ) -> Generator[list[Span] | Chunk, Any, None]:
        """Generate for texts without waiting: see `generate.generate`."""
        parts = self._ready()
        rows = [self.tokenizer.encode(text, limit=self.max_source_tokens, truncation=truncation) for text in texts]
        began = time.perf_counter()
        longest = max(map(len, rows))
        # like widths share a recorded step; padding is masked, and a single row is encoded at its own width
        source = -(-longest // 32) * 32
        ids = np.full((len(rows), longest if len(rows) == 1 else source), self.config.pad_token_id)
        mask = np.zeros(ids.shape, bool)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = True
        encoded = forward.encode(parts, ids, mask)
        decoder = self._decoder(len(rows), settings.num_beams, source, settings.max_new_tokens)
        steps = generate(decoder, encoded, settings, streaming=streaming)
        first: tuple[float, int] | None = None
        reply: Any = None
        while True:
            try:
                item = steps.send(reply)
            except StopIteration:
                return
            if isinstance(item, Chunk):
                now, count = time.perf_counter(), sum(map(len, item.tokens))
                first = first or (now, count)
                after = now - first[0]
                self.stats = replace(
                    self.stats,
                    prefill_ms=1e3 * (first[0] - began),
                    tokens=count,
                    tokens_per_second=count / (now - began),
                    decode_tokens_per_second=(count - first[1]) / after if count > first[1] and after > 0 else None,
                    dispatches_per_token=decoder.dispatches,
                )
            reply = yield item

    def _drive(self, run: Generator[list[Span] | Chunk, Any, None], timeout: float | None) -> Iterator[Chunk]:
        reply: Any = None
        while True:
            try:
                item = run.send(reply)
            except StopIteration:
                return
            if isinstance(item, Chunk):
                yield item
                reply = None
            else:
                reply = self._gpu._queue.read(item, timeout, "generating")

    async def _drive_async(
        self, run: Generator[list[Span] | Chunk, Any, None], timeout: float | None
    ) -> AsyncIterator[Chunk]:
        reply: Any = None
        while True:
            try:
                item = run.send(reply)
            except StopIteration:
                return
            if isinstance(item, Chunk):
                yield item
                reply = None
            else:
                reply = await self._gpu._queue.read_async(item, timeout, "generating")

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
        text
            A prompt, or several, which run together.
        max_new_tokens
            Most tokens of an answer.
        num_beams
            1, or more for beam search (at most 16) as ``transformers`` does it by default.
        do_sample
            Draw tokens at random instead of taking the likeliest.
        temperature, top_k, top_p
            Of the drawing: logits are divided by the temperature; then only the ``top_k`` likeliest stay (0: all), and of these the
            fewest whose probability reaches ``top_p``.
        seed
            Of the drawing; the same seed gives the same answer. None: another each time.
        truncation
            Cut prompts over ``max_source_tokens`` instead of raising.
        timeout
            Seconds of silence.

        Raises
        ------
        PromptError
            For an empty or over-long text, or a setting out of range.
        FrontendError, DeviceError
            When the page or device is lost; the next call loads the model again.
        """
        texts, settings = self._asked(text, max_new_tokens, num_beams, do_sample, temperature, top_k, top_p, seed)
        if not texts:
            return []
        answers: list[str] = []
        for chunk in self._drive(self._run(texts, settings, truncation=truncation, streaming=False), timeout):
            if chunk.done:
                answers = [self.tokenizer.decode(ids) for ids in chunk.tokens]
        return answers[0] if isinstance(text, str) else answers

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
        texts, settings = self._asked(text, max_new_tokens, num_beams, do_sample, temperature, top_k, top_p, seed)
        if not texts:
            return []
        await self._settled()
        answers: list[str] = []
        async for chunk in self._drive_async(
            self._run(texts, settings, truncation=truncation, streaming=False), timeout
        ):
            if chunk.done:
                answers = [self.tokenizer.decode(ids) for ids in chunk.tokens]
        return answers[0] if isinstance(text, str) else answers

    def _asked(self, text: str | Sequence[str], *options: Any) -> tuple[list[str], Settings]:
        if not isinstance(text, str) and not isinstance(text, Sequence):
            raise errors.PromptError(f"a prompt is a str or a list of them, not {type(text).__name__}")
        return ([text] if isinstance(text, str) else list(text)), checked(*options)

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
        """Yield pieces of the answer's text as they come; leaving the loop stops the generation.

        Parameters
        ----------
        text, max_new_tokens, do_sample, temperature, top_k, top_p, seed, truncation, timeout
            As in `generate`. Beam search has nothing to stream.
        """
        settings = checked(max_new_tokens, 1, do_sample, temperature, top_k, top_p, seed)
        pieces, count = Pieces(self.tokenizer), 0
        for chunk in self._drive(self._run([text], settings, truncation=truncation, streaming=True), timeout):
            piece = pieces.add(chunk.tokens[0][count:])
            count = len(chunk.tokens[0])
            if piece:
                yield piece
        if rest := pieces.rest():
            yield rest

    async def stream_async(
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
        settings = checked(max_new_tokens, 1, do_sample, temperature, top_k, top_p, seed)
        await self._settled()
        pieces, count = Pieces(self.tokenizer), 0
        async for chunk in self._drive_async(
            self._run([text], settings, truncation=truncation, streaming=True), timeout
        ):
            piece = pieces.add(chunk.tokens[0][count:])
            count = len(chunk.tokens[0])
            if piece:
                yield piece
        if rest := pieces.rest():
            yield rest
