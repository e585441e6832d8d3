"""Text to ids and back, and messages to the text that a checkpoint's template makes of them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from webgpu_widget.errors import FormatError, PromptError
from webgpu_widget.llm.backends import of_gguf
from webgpu_widget.nn.prompts import check_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tokenizers import Tokenizer as Backend

    from webgpu_widget.llm.config import Config

__all__ = ["Tokenizer"]

_END_TEXTS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>")
"""Control tokens that end a text in the models that have them."""
_MOST_ENDS = 4


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
    begins, closes
        Tokens before and behind every text.
    where
        What to call the file in errors.
    begins_messages
        Whether messages begin with the same tokens where the template has not put them there.

    Raises
    ------
    FormatError
        When it has more tokens than the model, or none that ends a text.
    """

    def __init__(
        self, backend: Backend, vocab: int, ends: Sequence[int | None], template: str | None, begins: Sequence[int], closes: Sequence[int], where: str,
        *, begins_messages: bool = False,
    ) -> None:  # fmt: skip
        size = max(backend.get_vocab().values(), default=-1) + 1
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
        self.backend, self.template, self.where = backend, template, where
        self.begins, self.closes, self._begins_messages = tuple(begins), tuple(closes), begins_messages
        backend.no_padding()
        backend.no_truncation()
        self._plain = type(backend).from_str(backend.to_str())
        self._plain.encode_special_tokens = True
        added = backend.get_added_tokens_decoder()
        self.control = sorted((t.content for t in added.values() if t.special), key=len, reverse=True)
        self._breaks = frozenset(added)
        self._bytes = _bytes_of(backend)
        self._anchor = self.encode("a", is_plain=True)
        self._anchor_length = len(backend.decode(self._anchor))

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any], vocab: int, *, where: str) -> Tokenizer:
        """Make the tokenizer that a GGUF file's metadata describe."""
        backend, pre = of_gguf(metadata, vocab, where), metadata.get("tokenizer.ggml.pre")
        is_sentencepiece = metadata.get("tokenizer.ggml.model") == "llama"
        numbers = {key: metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "bos")}
        known = {key: [value] for key, value in numbers.items() if isinstance(value, int)}
        has_bos = metadata.get("tokenizer.ggml.add_bos_token", pre == "llama-bpe" or is_sentencepiece)
        begins = known.get("bos", []) if has_bos else []
        closes = known.get("eos", []) if metadata.get("tokenizer.ggml.add_eos_token", False) else []
        template = metadata.get("tokenizer.chat_template")
        ends = [*known.get("eos", []), *known.get("eot", [])]
        return cls(backend, vocab, ends, template, begins, closes, where, begins_messages=is_sentencepiece)

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
        bare, whole = (backend.encode("a", add_special_tokens=is_whole).ids for is_whole in (False, True))
        at = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
        return cls(backend, config.vocab, ends, template, whole[:at], whole[at + len(bare) :], str(path))

    def encode(self, text: str, *, is_plain: bool = False) -> list[int]:
        """Return ids; control tokens that the text spells are those tokens, unless it is plain.

        Raises
        ------
        PromptError
            When it is no text, cannot be written as UTF-8, or has no ids.
        """
        check_text(text)
        backend = self._plain if is_plain else self.backend
        ids = list(backend.encode(text, add_special_tokens=False).ids)
        if is_plain:
            return ids
        if not ids:
            raise PromptError(f"the prompt {text[:40]!r} has no tokens; write some text to go on from.")
        ids = self._begun(ids)
        return ids if self.closes and tuple(ids[-len(self.closes) :]) == self.closes else [*ids, *self.closes]

    def _begun(self, ids: list[int]) -> list[int]:
        return ids if tuple(ids[: len(self.begins)]) == self.begins else [*self.begins, *ids]

    def decode(self, ids: Sequence[int], after: Sequence[int] = ()) -> str:
        """Return the text of ids, without control tokens.

        Parameters
        ----------
        ids
            Of a text, or of what follows one.
        after
            Ids that these follow. A text's first space is left out where the tokenizer puts one before every text; what follows a text keeps it.
        """
        text, is_begun = "", bool(len(after)) and after[-1] not in self._breaks
        for is_bytes, run in groupby(ids, self._bytes.__contains__):
            some = list(run)
            if is_bytes:
                text += bytes(self._bytes[i] for i in some).decode("utf-8", "replace")
            elif is_begun:
                text += self._following(some, is_spelled=False)
            else:
                text += self.backend.decode(some, skip_special_tokens=True)
            is_begun = True
        return text

    def _following(self, ids: Sequence[int], *, is_spelled: bool) -> str:
        """Return the text of ids that do not begin one; ``is_spelled`` where control tokens are to be seen."""
        return str(
            self.backend.decode([*self._anchor, *ids], skip_special_tokens=not is_spelled)[self._anchor_length :]
        )

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return each id's own text; what is part of a character only, as U+FFFD."""
        return [self._following([i], is_spelled=True) for i in ids]

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
        return self._begun(ids) if self._begins_messages else ids


def _bytes_of(backend: Backend) -> dict[int, int]:
    """Return the bytes that tokens stand for, by id, where the tokenizer spells characters without a token so."""
    if not getattr(backend.model, "byte_fallback", False):
        return {}
    found = {backend.token_to_id(f"<0x{byte:02X}>"): byte for byte in range(256)}
    return {i: byte for i, byte in found.items() if i is not None}


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
