"""Text to T5's ids and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webgpu_widget.errors import FormatError, PromptError
from webgpu_widget.nn.prompts import check_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from webgpu_widget.t5.config import T5Config

__all__ = ["Tokenizer"]


class Tokenizer:
    """A tokenizer.json, checked against the model.

    Parameters
    ----------
    path
        The file.
    config
        Whose vocabulary the ids must fit.

    Raises
    ------
    FormatError
        When the file is no tokenizer, or has more pieces than the model has rows.
    """

    def __init__(self, path: Path, config: T5Config) -> None:
        from tokenizers import Tokenizer as Backend

        try:
            self.backend = Backend.from_file(str(path))
        except Exception as error:  # tokenizers raises plain Exception
            raise FormatError(f"{path} is not a tokenizer.json: {error}. Download it again.") from error
        size = self.backend.get_vocab_size()
        if size > config.vocab_size:
            raise FormatError(
                f"{path} has {size} pieces, but the model's vocab_size is {config.vocab_size}. Use the tokenizer.json that belongs to the weights."
            )
        self.backend.no_padding()
        self.backend.no_truncation()
        self.path = path
        self.config = config
        self.special = {config.pad_token_id, config.eos_token_id, config.decoder_start_token_id}

    def encode(self, text: str, *, limit: int, truncation: bool) -> list[int]:
        """Return ids with the end token.

        Parameters
        ----------
        text
            Not empty.
        limit
            Most ids, the end token included.
        truncation
            Cut longer text, keeping the end token, instead of raising.

        Raises
        ------
        PromptError
            When the text is empty or too long.
        FormatError
            When the file's parts do not fit together.
        """
        check_text(text)
        if not text.strip():
            raise PromptError(
                f"the prompt {text!r} is empty; write what the model is to do, for example 'translate English to German: Hello.'"
            )
        try:
            ids: list[int] = list(self.backend.encode(text).ids)
        except Exception as error:  # as above: a file whose parts do not fit fails only now
            raise FormatError(
                f"{self.path} is a tokenizer.json that cannot be used: {error}. Download it again."
            ) from error
        end = self.config.eos_token_id
        if not ids or ids[-1] != end:
            ids.append(end)
        if len(ids) > limit:
            if not truncation:
                raise PromptError(
                    f"the prompt has {len(ids)} tokens, but the limit is {limit}. Shorten it, pass truncation=True to cut it, "
                    "or load the model with a larger max_source_tokens."
                )
            ids = [*ids[: limit - 1], end]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, without special tokens; raises as `encode` does."""
        shown = [i for i in ids if i not in self.special]
        try:
            return str(self.backend.decode(shown, skip_special_tokens=True))
        except Exception as error:  # as above
            raise FormatError(
                f"{self.path} is a tokenizer.json that cannot be used: {error}. Download it again."
            ) from error

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Return each id's piece, with a space where a word begins."""
        return [(self.backend.id_to_token(i) or f"<{i}>").replace("\u2581", " ") for i in ids]
