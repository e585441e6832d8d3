"""Text to ids and back, by what a GGUF file says of its tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.errors import FormatError, PromptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Tokenizer"]

_CONTROL = 3
"""ggml's number of the tokens that stand for no text."""
_END_TEXTS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "</s>")
"""Control tokens that end a text in the models that have them."""
PRE_TOKENIZERS = ("smollm",)


class Tokenizer:
    """Byte-level BPE.

    Parameters
    ----------
    metadata
        Of the GGUF file.
    vocab
        Rows of the model's embedding.
    where
        What to call the file in errors.

    Raises
    ------
    FormatError
        When it has another kind of tokenizer, or not as many tokens as the model.
    """

    def __init__(self, metadata: Mapping[str, Any], vocab: int, *, where: str) -> None:
        from tokenizers import AddedToken, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as Backend

        kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
        if kind != "gpt2" or pre not in PRE_TOKENIZERS:
            raise FormatError(
                f"{where}: the tokenizer is {kind!r} with {pre!r}; known is 'gpt2' with {', '.join(map(repr, PRE_TOKENIZERS))}."
            )
        tokens, merges = metadata.get("tokenizer.ggml.tokens", []), metadata.get("tokenizer.ggml.merges", [])
        kinds = list(metadata.get("tokenizer.ggml.token_type", []))
        if len(tokens) != vocab or len(kinds) != vocab:
            raise FormatError(
                f"{where}: {len(tokens)} tokens and {len(kinds)} types of them, but the embedding has {vocab} rows."
            )
        pieces = {text: i for i, text in enumerate(tokens)}
        self.backend = Backend(models.BPE(pieces, [tuple(merge.split(" ")) for merge in merges]))
        # each digit by itself, whatever script it is of, before the words are told apart
        digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.backend.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
        self.backend.decoder = decoders.ByteLevel()
        control = [text for text, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
        self.backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in control])
        end = metadata.get("tokenizer.ggml.eos_token_id")
        found = [pieces[text] for text in _END_TEXTS if text in pieces]
        self.ends = tuple(dict.fromkeys([*([end] if isinstance(end, int) else []), *found]))[:4]
        if not self.ends:
            raise FormatError(f"{where}: no token ends a text: tokenizer.ggml.eos_token_id is missing.")

    def encode(self, text: str) -> list[int]:
        """Return ids; control tokens that the text spells are those tokens.

        Raises
        ------
        PromptError
            When it is no text, cannot be written as UTF-8, or has no ids.
        """
        if not isinstance(text, str):
            raise PromptError(f"a prompt is a str, not {type(text).__name__}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PromptError(f"the prompt is no text: {error}. Take the lone surrogates out of it.") from error
        ids = list(self.backend.encode(text, add_special_tokens=False).ids)
        if not ids:
            raise PromptError(f"the prompt {text[:40]!r} has no tokens; write some text to go on from.")
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, without control tokens."""
        return str(self.backend.decode(list(ids), skip_special_tokens=True))
