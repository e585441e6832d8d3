"""The tokenizers that GGUF files describe, built with the package ``tokenizers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenizers import Tokenizer as Backend

__all__ = ["SPACE", "of_gguf"]

SPACE = "\u2581"
"""What SentencePiece writes for a space."""
_NORMAL, _UNKNOWN, _CONTROL, _OWN, _UNUSED = range(1, 6)
"""ggml's numbers of the kinds of tokens; those of the user's own stand for their text wherever it occurs."""
_TAIL = r"|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
PRE_TOKENIZERS = {"smollm": "", "llama-bpe": _WORDS + _TAIL % "{1,3}", "qwen2": _WORDS + _TAIL % ""}
"""Pattern of the words; smollm has each digit by itself, whatever script it is of, and then GPT-2's words."""


def of_gguf(metadata: Mapping[str, Any], vocab: int, where: str) -> Backend:
    """Make the tokenizer that a GGUF file's metadata describe.

    Parameters
    ----------
    metadata
        The file's key-value pairs.
    vocab
        Rows of the model's embedding.
    where
        What to call the file in errors.

    Raises
    ------
    FormatError
        When it is of a kind that is not known, or its lists do not fit each other or the model.
    """
    from tokenizers import AddedToken

    kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if kind != "llama" and (kind != "gpt2" or pre not in PRE_TOKENIZERS):
        raise FormatError(
            f"{where}: the tokenizer is {kind!r} with {pre!r}; known are 'llama', and 'gpt2' with {', '.join(map(repr, PRE_TOKENIZERS))}."
        )
    tokens, kinds = (list(metadata.get(f"tokenizer.ggml.{key}", ())) for key in ("tokens", "token_type"))
    if len(tokens) != vocab or len(kinds) != vocab:
        raise FormatError(
            f"{where}: {len(tokens)} tokens and {len(kinds)} types of them, but the embedding has {vocab} rows."
        )
    backend = (
        _sentencepiece(metadata, tokens, kinds, where) if kind == "llama" else _byte_level(metadata, tokens, where)
    )
    special = (_UNKNOWN, _CONTROL) if kind == "llama" else (_CONTROL,)
    listed = list(zip(tokens, kinds, strict=True))
    backend.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text, kind in listed if kind in special]
    )
    if kind == "llama":
        backend.add_tokens([AddedToken(text, normalized=False) for text, kind in listed if kind == _OWN and text])
    return backend


def _byte_level(metadata: Mapping[str, Any], tokens: Sequence[str], where: str) -> Backend:
    """Return a BPE whose letters are bytes."""
    from tokenizers import Regex, decoders, models, pre_tokenizers
    from tokenizers import Tokenizer as Backend

    merges = metadata.get("tokenizer.ggml.merges", [])
    try:
        model = models.BPE({text: i for i, text in enumerate(tokens)}, [tuple(merge.split(" ")) for merge in merges])
    except Exception as error:  # tokenizers raises plain Exception
        raise FormatError(f"{where}: the merges do not fit the tokens: {error}. Download it again.") from error
    backend, pattern = Backend(model), PRE_TOKENIZERS[metadata["tokenizer.ggml.pre"]]
    words = pre_tokenizers.Split(Regex(pattern), "isolated") if pattern else pre_tokenizers.Digits(individual_digits=True)  # fmt: skip
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pattern)]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _sentencepiece(metadata: Mapping[str, Any], tokens: Sequence[str], kinds: Sequence[int], where: str) -> Backend:
    """Return a BPE whose letters are characters, or the bytes of one that has no token, and which joins what makes the token of the highest score."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, normalizers

    scores = list(metadata.get("tokenizer.ggml.scores", ()))
    if len(scores) != len(tokens):
        raise FormatError(f"{where}: {len(tokens)} tokens, but {len(scores)} scores of them. Download it again.")
    pieces = {text: i for i, text in enumerate(tokens)}
    unknown = next((text for text, kind in zip(tokens, kinds, strict=True) if kind == _UNKNOWN), None)
    # text that spells a control token is text, whatever its parts join to
    merges = _merges(pieces, scores, [kind in (_NORMAL, _OWN, _UNUSED) for kind in kinds])
    backend = Backend(models.BPE(pieces, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    has_prefix = metadata.get("tokenizer.ggml.add_space_prefix", True)
    prefix = [normalizers.Prepend(SPACE)] if has_prefix else []
    backend.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", SPACE)])
    strip = [decoders.Strip(" ", 1, 0)] if has_prefix else []
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return backend


def _merges(pieces: Mapping[str, int], scores: Sequence[float], joins: Sequence[bool]) -> list[tuple[str, str]]:
    """Return every way to make a token of two, the likeliest token first: SentencePiece keeps no list of merges, but joins any neighbours that make a token.

    Of different tokens with one score it joins the leftmost first, and a list of merges the one that is listed first: trained vocabularies have no such tokens.
    """
    found = []
    for text, i in pieces.items():
        if joins[i]:
            parts = ((text[:at], text[at:]) for at in range(len(text) - 1, 0, -1))
            found += [(-scores[i], part) for part in parts if part[0] in pieces and part[1] in pieces]
    return [part for _, part in sorted(found, key=lambda one: one[0])]
