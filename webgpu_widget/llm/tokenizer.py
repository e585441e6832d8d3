"""Text to ids and back, and messages to the text that a checkpoint's template makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.errors import FormatError, PromptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer as Backend

    from webgpu_widget.llm.config import Config

__all__ = ["Tokenizer"]

_CONTROL = 3
"""ggml's number of the tokens that stand for no text."""
_END_TEXTS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>")
"""Control tokens that end a text in the models that have them."""
_MOST_ENDS = 4
_TAIL = r"|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
PRE_TOKENIZERS = {"smollm": "", "llama-bpe": _WORDS + _TAIL % "{1,3}", "qwen2": _WORDS + _TAIL % ""}
"""Pattern of the words; smollm has each digit by itself, whatever script it is of, and then GPT-2's words."""


class Tokenizer:
    """A tokenizer that knows which tokens end a text, and the checkpoint's template for messages.

    Parameters
    ----------
    backend
        What does the work.
    vocab
        Rows of the model's embedding.
    ends
        Tokens that end a text, the likeliest first.
    template
        For messages; None without.
    begins
        Tokens before every text.
    where
        What to call the file in errors.

    Raises
    ------
    FormatError
        When it has more tokens than the model, or none that ends a text.
    """

    def __init__(
        self, backend: Backend, vocab: int, ends: Sequence[int | None], template: str | None, begins: Sequence[int], where: str
    ) -> None:  # fmt: skip
        size = backend.get_vocab_size()
        if size > vocab:
            raise FormatError(
                f"{where}: the tokenizer has {size} tokens, but the model's embedding {vocab} rows. Use the tokenizer that belongs to the weights."
            )
        named = [backend.token_to_id(text) for text in _END_TEXTS]
        self.ends = tuple(dict.fromkeys(end for end in [*ends, *named] if end is not None and end < vocab))[:_MOST_ENDS]
        if not self.ends:
            raise FormatError(
                f"{where}: no token ends a text: neither an eos token nor one of {', '.join(_END_TEXTS)}."
            )
        self.backend, self.template, self.begins, self.where = backend, template, tuple(begins), where
        backend.no_padding()
        backend.no_truncation()
        self._plain = type(backend).from_str(backend.to_str())
        self._plain.encode_special_tokens = True
        self.control = sorted((t.content for t in backend.get_added_tokens_decoder().values() if t.special), key=len, reverse=True)  # fmt: skip

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any], vocab: int, *, where: str) -> Tokenizer:
        """Make the byte-level BPE that a GGUF file's metadata describe."""
        from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
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
        try:
            backend = Backend(models.BPE(pieces, [tuple(merge.split(" ")) for merge in merges]))
        except Exception as error:  # tokenizers raises plain Exception
            raise FormatError(f"{where}: the merges do not fit the tokens: {error}. Download it again.") from error
        pattern = PRE_TOKENIZERS[pre]
        words = pre_tokenizers.Split(Regex(pattern), "isolated") if pattern else pre_tokenizers.Digits(individual_digits=True)  # fmt: skip
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pattern)]
        )
        backend.decoder = decoders.ByteLevel()
        control = [text for text, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
        backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in control])
        numbers = {key: metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "bos")}
        known = {key: value if isinstance(value, int) else None for key, value in numbers.items()}
        begins = (
            [known["bos"]]
            if metadata.get("tokenizer.ggml.add_bos_token", pre == "llama-bpe") and known["bos"] is not None
            else []
        )
        template = metadata.get("tokenizer.chat_template")
        return cls(backend, vocab, [known["eos"], known["eot"]], template, begins, where)

    @classmethod
    def from_file(cls, path: Path, config: Config, extra: Mapping[str, Mapping[str, Any]]) -> Tokenizer:
        """Read a tokenizer.json, with what tokenizer_config and generation_config say."""
        from tokenizers import Tokenizer as Backend

        try:
            backend = Backend.from_file(str(path))
        except Exception as error:  # as above
            raise FormatError(f"{path} is not a tokenizer.json: {error}. Download it again.") from error
        more, generation = extra.get("tokenizer_config", {}), extra.get("generation_config", {})
        ends = generation.get("eos_token_id", ())
        ends = [*(ends if isinstance(ends, list) else [ends] if isinstance(ends, int) else ()), *config.ends]
        named = more.get("eos_token")
        named = named.get("content") if isinstance(named, dict) else named
        ends.append(backend.token_to_id(named) if isinstance(named, str) else None)
        template = more.get("chat_template")
        if isinstance(template, list):
            template = next((one.get("template") for one in template if one.get("name") == "default"), None)
        begins = backend.encode("", add_special_tokens=True).ids if backend.post_processor else []
        return cls(backend, config.vocab, ends, template, begins, str(path))

    def encode(self, text: str, *, is_plain: bool = False) -> list[int]:
        """Return ids; control tokens that the text spells are those tokens, unless it is plain.

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
        backend = self._plain if is_plain else self.backend
        ids = list(backend.encode(text, add_special_tokens=False).ids)
        if is_plain:
            return ids
        if not ids:
            raise PromptError(f"the prompt {text[:40]!r} has no tokens; write some text to go on from.")
        return ids if tuple(ids[: len(self.begins)]) == self.begins else [*self.begins, *ids]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, without control tokens."""
        return str(self.backend.decode(list(ids), skip_special_tokens=True))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return each id's own text; what is part of a character only, as U+FFFD."""
        return [str(self.backend.decode([i], skip_special_tokens=False)) for i in ids]

    def chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Return the ids of messages by the checkpoint's template, up to where the answer begins. What a message says is text: it closes no turn.

        Raises
        ------
        PromptError
            For what are no messages, and when the template refuses them.
        FormatError
            When there is no template.
        """
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        if self.template is None:
            raise FormatError(
                f"{self.where} has no chat template; use generate() with the text as the model expects it."
            )
        given = _messages(messages)
        shield = next(chr(c) for c in range(0xE000, 0xF8FF) if not any(chr(c) in m["content"] for m in given))
        for message in given:
            for token in self.control:
                message["content"] = message["content"].replace(token, token[0] + shield + token[1:])
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _refuse

        def name(ids: Sequence[int]) -> str:
            return (self.backend.id_to_token(ids[0]) or "") if ids else ""

        try:
            text = environment.from_string(self.template).render(
                messages=given, add_generation_prompt=True, bos_token=name(self.begins), eos_token=name(self.ends)
            )
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise PromptError(f"the template of {self.where} refuses these messages: {error}") from error
        return self._shielded(text, shield)

    def _shielded(self, text: str, shield: str) -> list[int]:
        """Encode a text whose control tokens are the template's, but for those that are shielded."""
        import re

        parts = re.split(f"({'|'.join(map(re.escape, self.control))})", text) if self.control else [text]
        ids: list[int] = []
        for i, part in enumerate(parts):
            token = self.backend.token_to_id(part) if i % 2 else None
            ids += [token] if token is not None else self.encode(part.replace(shield, ""), is_plain=True)
        if not ids:
            raise PromptError("the messages have no tokens by the template; write some.")
        return ids


def _refuse(message: str) -> None:
    raise ValueError(message)


def _messages(messages: Any) -> list[dict[str, str]]:
    wanted = "a list of {'role': str, 'content': str}"
    if isinstance(messages, str) or not hasattr(messages, "__iter__"):
        raise PromptError(f"messages are {wanted}, not {type(messages).__name__}")
    found = list(messages)
    for message in found:
        if not hasattr(message, "keys") or not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise PromptError(f"a message is {str(message)[:80]}; messages are {wanted}")
    if not found:
        raise PromptError(f"there are no messages; pass {wanted}")
    return [dict(message) for message in found]
