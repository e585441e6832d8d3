"""A language model that goes on from a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.device.default import as_device
from webgpu_widget.errors import PromptError, ShapeError
from webgpu_widget.llm.decoder import Decoder, Parts, run
from webgpu_widget.llm.source import File
from webgpu_widget.llm.tokenizer import Tokenizer
from webgpu_widget.nn.decoder import generate
from webgpu_widget.nn.kernels import Kernels
from webgpu_widget.nn.sampling import Settings, checked
from webgpu_widget.nn.streaming import drive

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from webgpu_widget.gpu import GPU

__all__ = ["LanguageModel"]


class LanguageModel:
    """A Llama-like model from a GGUF file, its weights on the GPU as the file has them.

    Parameters
    ----------
    path
        Of the file, whose matrices are F32, F16, Q4_0, Q4_1 or Q8_0.
    gpu
        Where it lives.

    Attributes
    ----------
    config : Config
        The model's shape.
    tokenizer : Tokenizer
        Text to ids and back.

    Raises
    ------
    FormatError
        When the file is no such model, or does not hold what its metadata promise.
    """

    def __init__(self, path: str | os.PathLike[str], gpu: GPU) -> None:
        self._device = as_device(gpu)
        file = File(path)
        try:
            self.config = file.config
            self.tokenizer = Tokenizer(file.metadata, file.config.vocab, where=file.reader.name)
            self._parts = Parts(Kernels(self._device, file.config.sizes, "f32"), file)
        finally:
            file.reader.close()

    def _checked(self, ids: Sequence[int] | np.ndarray[Any, Any]) -> list[int]:
        values: np.ndarray[Any, Any] = np.asarray(ids)
        if values.ndim != 1 or values.size == 0 or values.dtype.kind not in "iu":
            raise ShapeError(
                f"ids have shape {values.shape} and are {values.dtype}, but must be a row of whole numbers, at least 1"
            )
        if values.min() < 0 or values.max() >= self.config.vocab:
            raise ShapeError(
                f"ids are from {values.min()} to {values.max()}, but the model has those from 0 to {self.config.vocab - 1}"
            )
        if values.size > self.config.context:
            raise PromptError(
                f"the text has {values.size} tokens, but the model's context is {self.config.context}; shorten it."
            )
        return [int(value) for value in values]

    def logits(self, ids: Sequence[int] | np.ndarray[Any, Any], timeout: float | None = 30.0) -> np.ndarray[Any, Any]:
        """Return the logits after each token of a text.

        Parameters
        ----------
        ids
            Of its tokens.
        timeout
            Seconds of silence.

        Returns
        -------
        ndarray
            (tokens, vocab) float32.

        Raises
        ------
        ShapeError, PromptError
            For what are no ids of the model, or more than its context.
        """
        given, parts = self._checked(ids), self._parts
        rows = run(parts, given)
        rows.norm(parts.gain)
        out = parts.kernels.floats(len(given) * self.config.vocab, "logits")
        parts.kernels.linear(rows.normed, parts.head, out, len(given))
        (data,) = self._device.queue.read([(out, 0, 4 * len(given) * self.config.vocab)], timeout)
        found: np.ndarray[Any, Any] = data.view(np.float32).reshape(len(given), -1)
        return found

    def tokens(self, ids: Sequence[int], settings: Settings, timeout: float | None = 30.0) -> list[int]:
        """Return the tokens that follow a text, the one that ends it included.

        Raises
        ------
        LimitError
            When the text comes to the end of the model's context, or of what the adapter has room for, and has not ended.
        """
        given = self._checked(ids)
        decoder = Decoder(self._parts, len(given) + settings.max_new_tokens, self.tokenizer.ends)
        decoder.start(given, settings)
        return list(drive(self._device, generate(decoder, streaming=False), timeout))[-1].tokens[0]

    def generate(
        self,
        text: str,
        max_new_tokens: int = 64,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        *,
        timeout: float | None = 30.0,
    ) -> str:
        """Return how a text goes on.

        Parameters
        ----------
        text
            What is there.
        max_new_tokens
            Most tokens of what follows.
        do_sample, temperature, top_k, top_p, seed
            Draw tokens at random instead of taking the likeliest, as `T5.generate` does.
        timeout
            Seconds of silence.

        Raises
        ------
        PromptError
            For a text without tokens or beyond the context, or a setting out of range.
        """
        settings = checked(max_new_tokens, 1, do_sample, temperature, top_k, top_p, seed)
        return self.tokenizer.decode(self.tokens(self.tokenizer.encode(text), settings, timeout))
