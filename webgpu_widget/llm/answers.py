"""From prompts to text: the part of the language model that generates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget import errors
from webgpu_widget.link.steps import Steps, Stream, drive, drive_async, following, iterate, iterate_async
from webgpu_widget.llm.decoder import Decoder
from webgpu_widget.nn.decoder import Chunk, generate
from webgpu_widget.nn.loaded import Loaded
from webgpu_widget.nn.sampling import Settings, checked
from webgpu_widget.nn.stats import Clock, Stats
from webgpu_widget.nn.streaming import Detokenizer, whole

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.llm.config import Config
    from webgpu_widget.llm.decoder import Parts
    from webgpu_widget.llm.tokenizer import Tokenizer

__all__ = ["Answers"]

_LOST = (errors.DeviceLostError, errors.FrontendLostError)
_MOST_LOSSES = 3
Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class _Wanted:
    """What a caller asks for, checked."""

    settings: Settings
    stop: tuple[str, ...]


class Answers(Loaded):
    """The part of `LanguageModel` that takes and returns text."""

    config: Config
    tokenizer: Tokenizer
    stats: Stats
    _device: Device
    _parts: Parts
    _decoder: Decoder | None

    @abstractmethod
    def _kept(
        self, ids: np.ndarray[Any, Any], which: str, first: int = 0, what: str = "reading back"
    ) -> Steps[list[np.ndarray[Any, Any]]]:
        """Run the layers, and read what a buffer of the rows held before the first layer, number 0, and after each."""

    @abstractmethod
    def _ids(self, ids: Any) -> np.ndarray[Any, Any]:
        """Check ids."""

    # ------------------------------------------------------------ tokens

    def _lend(self, texts: Sequence[Sequence[int]], expected: int) -> Decoder:
        """Return a decoder for texts of one length; a single text's is kept, with the past that it has."""
        parts, kept = self._ready(), self._decoder
        self._decoder = None  # until it comes back whole
        if len(texts) == 1 and kept is not None and kept.parts is parts:
            return kept
        return Decoder(parts, len(texts), expected, self.tokenizer.ends)

    def _tokens(self, texts: Sequence[Sequence[int]], settings: Settings, *, streaming: bool) -> Stream[Chunk]:
        """Go on from texts of one length (see `nn.decoder.generate`); what is lost with a page or device is made again from the text so far."""
        return whole(self._device, self._going_on(texts, settings, streaming=streaming))

    def _going_on(self, texts: Sequence[Sequence[int]], settings: Settings, *, streaming: bool) -> Stream[Chunk]:
        clock, losses = Clock(), 0
        before: list[list[int]] = [[] for _ in texts]
        while True:
            given = [[*text, *more] for text, more in zip(texts, before, strict=True)]
            left = replace(settings, max_new_tokens=settings.max_new_tokens - len(before[0]))
            found: list[list[int]] = [[] for _ in texts]
            try:
                yield from self._settle()
                decoder = self._lend(given, len(given[0]) + left.max_new_tokens)

                def notice(chunk: Chunk, decoder: Decoder = decoder, before: list[list[int]] = before) -> None:
                    count = sum(map(len, chunk.tokens)) + sum(map(len, before))
                    self.stats = clock.stats(count, decoder.dispatches, self.stats)

                decoder.start(given, left)
                work = generate(decoder, streaming=streaming, notice=notice)
                while (chunk := (yield from following(work))) is not None:
                    found = chunk.tokens
                    if len(texts) == 1:
                        decoder.text = [*given[0], *found[0]][:-1]
                        self._decoder = decoder  # a stream that is left leaves it to the next
                    yield Chunk([[*a, *b] for a, b in zip(before, found, strict=True)], chunk.done)
            except _LOST:
                losses += 1
                # rows that have ended have other lengths: those begin anew
                before = [[*a, *b] for a, b in zip(before, found, strict=True)] if len(texts) == 1 else before
                if losses > _MOST_LOSSES:
                    raise
                if len(texts) == 1 and (len(before[0]) >= settings.max_new_tokens or before[0][-1:] in [[end] for end in self.tokenizer.ends]):  # fmt: skip
                    yield Chunk(before, done=True)
                    return
            except errors.WeightsError as error:
                self._decoder = None
                so_far = [[*given[0], *found[0]]] if len(texts) == 1 else given
                yield from self._where(np.asarray(so_far), error)
            except GeneratorExit:  # a stream that is left
                raise
            except BaseException:
                self._decoder = None  # nobody uses it again
                raise
            else:
                return

    def _where(self, ids: np.ndarray[Any, Any], error: errors.WeightsError) -> Steps[None]:
        """Raise the error with the name of the layer whose rows are the first that are no numbers."""
        arrays = yield from self._kept(ids, "x", what="looking for NaN")
        bad = [i for i, rows in enumerate(arrays) if not np.isfinite(rows.view(np.float32)).all()]
        names = ["the embedding", *(f"layer {i} (blk.{i})" for i in range(self.config.layers)), "the last norm, the vocabulary projection, or a token after those that have come"]  # fmt: skip
        raise errors.WeightsError(f"{error} The first rows that are no numbers are those of {names[bad[0] if bad else -1]}.") from error  # fmt: skip

    # ------------------------------------------------------------ text

    def _prompt(self, text: str | Messages) -> list[int]:
        ids = self.tokenizer.encode(text) if isinstance(text, str) else self.tokenizer.chat(text)
        self._ids(ids)
        return ids

    def _checked(self, options: dict[str, Any]) -> _Wanted:
        stop = options.pop("stop")
        texts = [stop] if isinstance(stop, str) else list(stop or ()) if isinstance(stop, Iterable | None) else [stop]
        if not all(isinstance(one, str) and one for one in texts):
            raise errors.PromptError(f"stop is {stop!r}, but must be a text, or a list of texts, none of them empty")
        return _Wanted(checked(num_beams=1, **options), tuple(texts))

    def _cut(self, text: str, stop: Sequence[str]) -> tuple[str, bool]:
        """Return a text up to the first of ``stop``, and whether there was one."""
        places = [at for one in stop if (at := text.find(one)) >= 0]
        return (text[: min(places)], True) if places else (text, False)

    def _spoken(self, prompt: Sequence[int], stop: Sequence[str]) -> Any:
        """Return what makes text of chunks that follow a prompt, and whether they end; what may begin a stop string is held back."""
        detokenizer, said = Detokenizer(partial(self.tokenizer.decode, after=prompt[-1:])), ["", ""]

        def spoken(chunk: Chunk) -> tuple[str, bool]:
            said[0] += detokenizer.upto(chunk.tokens[0], done=chunk.done)
            text, ends = self._cut(said[0], stop)
            held = 0
            if not (ends or chunk.done):
                held = max((n for one in stop for n in range(1, len(one)) if text.endswith(one[:n])), default=0)
            new = text[len(said[1]) : len(text) - held]
            said[1] += new
            return new, ends

        return spoken

    def _groups(self, rows: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the numbers of rows that run together: those of one length."""
        found: dict[int, list[int]] = {}
        for i, row in enumerate(rows):
            found.setdefault(len(row), []).append(i)
        return list(found.values())

    def _texts(self, text: Any) -> list[str | Messages]:
        if isinstance(text, str):
            return [text]
        if not isinstance(text, list | tuple) or not all(isinstance(one, str) for one in text):
            raise errors.PromptError(
                f"a prompt is a str or a list of them, not {type(text).__name__}; for messages use chat()"
            )
        return list(text)

    def generate(
        self, text: str | Sequence[str], max_new_tokens: int = 64, do_sample: bool = False, temperature: float = 1.0, top_k: int = 0,
        top_p: float = 1.0, min_p: float = 0.0, repetition_penalty: float = 1.0, stop: str | Sequence[str] | None = None,
        seed: int | None = None, *, timeout: float | None = 30.0,
    ) -> Any:  # fmt: skip
        """Return how a text goes on: a str for a str, a list for a list.

        Parameters
        ----------
        text : str or list of str
            What is there, or several; those of as many tokens run together.
        max_new_tokens : int
            Most tokens of what follows. Memory is taken by the tokens that come, in steps, and not by this.
        do_sample : bool
            Draw tokens at random instead of taking the likeliest.
        temperature, top_k, top_p, min_p : float, int, float, float
            Of the drawing: logits are divided by the temperature; then only the ``top_k`` likeliest stay (0: all), of these the fewest whose
            probability reaches ``top_p``, and of these those with at least ``min_p`` of the likeliest's probability.
        repetition_penalty : float
            Divides positive logits of tokens that the text has, and multiplies negative ones; 1 for none.
        stop : str or list of str, optional
            Texts before which the answer ends.
        seed : int, optional
            Of the drawing; the same seed gives the same answer. None: another each time.
        timeout : float or None
            Seconds of silence.

        Returns
        -------
        str or list of str

        Raises
        ------
        PromptError
            For a text without tokens or beyond the context, or a setting out of range.
        LimitError
            When the text comes to the end of the context, or of what the adapter has room for, and has not ended.
        WeightsError
            When the logits are no numbers; the layer is named.
        FrontendError, DeviceError
            When the page or device is lost again and again; after a single loss the answer goes on from the text so far.
        """
        return drive(self._generate_steps(text, self._checked(_options(locals()))), timeout)

    async def generate_async(
        self, text: str | Sequence[str], max_new_tokens: int = 64, do_sample: bool = False, temperature: float = 1.0, top_k: int = 0,
        top_p: float = 1.0, min_p: float = 0.0, repetition_penalty: float = 1.0, stop: str | Sequence[str] | None = None,
        seed: int | None = None, *, timeout: float | None = 30.0,
    ) -> Any:  # fmt: skip
        """Coroutine twin of `generate`."""
        return await drive_async(self._generate_steps(text, self._checked(_options(locals()))), timeout)

    def _generate_steps(self, text: str | Sequence[str], wanted: _Wanted) -> Steps[Any]:
        rows = [self._prompt(one) for one in self._texts(text)]
        answers = [""] * len(rows)
        for group in self._groups(rows):
            with closing(self._tokens([rows[i] for i in group], wanted.settings, streaming=False)) as work:
                while (chunk := (yield from following(work))) is not None:
                    if self._note(answers, rows, group, chunk, wanted.stop):
                        break
        return answers[0] if isinstance(text, str) else answers

    def _note(
        self, answers: list[str], rows: Sequence[Sequence[int]], group: Sequence[int], chunk: Chunk, stop: Sequence[str]
    ) -> bool:
        """Note what follows the rows of a group so far; returns whether all have come to a stop string."""
        if not (stop or chunk.done):
            return False
        said = (self.tokenizer.decode(ids, rows[i][-1:]) for i, ids in zip(group, chunk.tokens, strict=True))
        cuts = [self._cut(text, stop) for text in said]
        for i, (text, _) in zip(group, cuts, strict=True):
            answers[i] = text
        return all(ended for _, ended in cuts)

    def stream(
        self, text: str | Messages, max_new_tokens: int = 64, do_sample: bool = False, temperature: float = 1.0, top_k: int = 0,
        top_p: float = 1.0, min_p: float = 0.0, repetition_penalty: float = 1.0, stop: str | Sequence[str] | None = None,
        seed: int | None = None, *, timeout: float | None = 30.0,
    ) -> Iterator[str]:  # fmt: skip
        """Yield the text as it comes; leaving the loop stops the generation.

        Parameters
        ----------
        text : str or list of dict
            What is there, or messages as `chat` takes them.
        max_new_tokens, do_sample, temperature, top_k, top_p, min_p, repetition_penalty, stop, seed, timeout
            As in `generate`.
        """
        return iterate(self._streamed(text, self._checked(_options(locals()))), timeout)

    def stream_async(
        self, text: str | Messages, max_new_tokens: int = 64, do_sample: bool = False, temperature: float = 1.0, top_k: int = 0,
        top_p: float = 1.0, min_p: float = 0.0, repetition_penalty: float = 1.0, stop: str | Sequence[str] | None = None,
        seed: int | None = None, *, timeout: float | None = 30.0,
    ) -> AsyncIterator[str]:  # fmt: skip
        """Coroutine twin of `stream`: ``async for``."""
        return iterate_async(self._streamed(text, self._checked(_options(locals()))), timeout)

    def _streamed(self, text: str | Messages, wanted: _Wanted) -> Stream[str]:
        prompt = self._prompt(text)
        spoken = self._spoken(prompt, wanted.stop)
        # Closed here: a CPython before 3.12.4 keeps what a closed generator held until the generator itself goes.
        with closing(self._tokens([prompt], wanted.settings, streaming=True)) as work:
            while (chunk := (yield from following(work))) is not None:
                new, ends = spoken(chunk)
                if new:
                    yield new
                if ends:
                    return

    def chat(self, messages: Messages, max_new_tokens: int = 256, **options: Any) -> str:
        """Return the answer to messages, by the checkpoint's own template.

        The keys and values of a turn that was answered are used again when the next messages begin with it.

        Parameters
        ----------
        messages : list of dict
            A list of ``{"role": "user", "content": "..."}``. What a message says is text: control tokens that it spells close no turn.
        max_new_tokens : int
            Most tokens of the answer.
        **options : object
            As in `generate`.

        Returns
        -------
        str

        Raises
        ------
        PromptError
            For what are no messages, or those that the template refuses.
        FormatError
            When the checkpoint has no template.
        """
        return "".join(self.stream(_no_text(messages), max_new_tokens, **options))

    async def chat_async(self, messages: Messages, max_new_tokens: int = 256, **options: Any) -> str:
        """Coroutine twin of `chat`."""
        return "".join([new async for new in self.stream_async(_no_text(messages), max_new_tokens, **options)])


def _no_text(messages: Any) -> Messages:
    if isinstance(messages, str):
        raise errors.PromptError(
            "messages are a list of {'role': str, 'content': str}, not str; for a text use generate()"
        )
    return messages


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return a call's settings of what its arguments are."""
    return {key: value for key, value in given.items() if key not in ("self", "text", "timeout")}
