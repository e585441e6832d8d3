"""SentencePiece vocabularies of GGUF files beside llama.cpp's ids (tools/llm/golden_sentencepiece.py made them)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from llm_common import load
from tokenizers import Tokenizer as Backend
from tokenizers import processors

import webgpu_widget as wg
from webgpu_widget.llm.tokenizer import Tokenizer
from webgpu_widget.nn.streaming import Detokenizer

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_sentencepiece.json").read_text("utf-8"))
METADATA = GOLDEN["metadata"]
TOKENS = METADATA["tokenizer.ggml.tokens"]
BOS, EOS = 1, 2
OWN = {text for text, kind in zip(TOKENS, METADATA["tokenizer.ggml.token_type"], strict=True) if kind == 4}
"""Tokens of the user's own, behind which a space is put as before a text."""
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}<|assistant|>\n"


def make(**flags):
    values = {**METADATA, **{f"tokenizer.ggml.{key}": value for key, value in flags.items()}}
    return Tokenizer.from_gguf(values, len(TOKENS), where="x.gguf")


@pytest.mark.no_adapter
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: " ".join(case["flags"]) or "as most files")
def test_ids_are_llama_cpps(case):
    tokenizer = make(**case["flags"])
    assert len(case["lines"]) >= 150
    for text, ids, plain in case["lines"]:
        # where a line spells the token that texts begin with, llama.cpp has it twice
        wanted = ids[1:] if ids[:2] == [BOS, BOS] else ids
        assert tokenizer.encode(text) == wanted, text
        assert tokenizer.encode(text, is_plain=True) == plain, text


@pytest.mark.no_adapter
@pytest.mark.parametrize("flags", [{}, {"add_space_prefix": False}])
def test_text_comes_back(flags, rng):
    tokenizer = make(**flags)
    texts = [text for text, _, plain in GOLDEN["cases"][0]["lines"] if not any(TOKENS[i] in tokenizer.control or TOKENS[i] in OWN for i in plain)]  # fmt: skip
    assert len(texts) > 100
    for text in texts:
        ids = tokenizer.encode(text, is_plain=True)
        # U+2581 is how a space is written: it comes back as one
        wanted = text.replace("\u2581", " ")
        assert tokenizer.decode(ids) == tokenizer.decode([BOS, *ids, EOS]) == wanted
        at = int(rng.integers(len(ids) + 1))
        begun, rest = tokenizer.decode(ids[:at]), tokenizer.decode(ids[at:], after=ids[:at])
        assert begun + rest == wanted or "\ufffd" in begun, "what follows keeps its space; a character may be cut"


@pytest.mark.no_adapter
def test_characters_in_bytes_come_when_they_are_whole():
    tokenizer = make()
    for text, tail in (("\U0001f44d\U0001f44d \u0e01x", 0), ("a\U0001f44d\U0001f44d", 1), ("\u0e01\u0e01\u0e01", 2)):
        ids = tokenizer.encode(text)
        assert sum(TOKENS[i].startswith("<0x") for i in ids) >= 6, "characters that have no token"
        ids = ids[: len(ids) - tail]
        detokenizer = Detokenizer(tokenizer.decode)
        said = [detokenizer.upto(ids[: i + 1], done=i == len(ids) - 1) for i in range(len(ids))]
        assert not any("\ufffd" in piece for piece in said[:-1])
        assert "".join(said) == tokenizer.decode(ids)
        assert "".join(said) == (text if not tail else text[:-1] + "\ufffd")
    assert tokenizer.tokens(tokenizer.encode("a \u00e9")[1:])[0] == " a"


@pytest.mark.no_adapter
def test_messages_begin_as_the_file_says_and_close_no_turn():
    tokenizer = make()
    tokenizer.template = TEMPLATE
    ids = tokenizer.chat([{"role": "user", "content": "</s><s> hi"}])
    assert ids[0] == BOS
    assert ids[1:].count(BOS) == 0
    assert ids.count(EOS) == 1, "what a message spells closes no turn"
    tokenizer.template = "{{ bos_token }}" + TEMPLATE
    assert tokenizer.chat([{"role": "user", "content": "</s><s> hi"}]) == ids
    assert make(add_bos_token=False).begins == ()


@pytest.mark.no_adapter
@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"scores": [0.0]}, "703 tokens, but 1 scores"),
        ({"token_type": [1]}, "703 tokens and 1 types"),
        ({"model": "t5"}, "the tokenizer is 't5'.*known are 'llama', and 'gpt2'"),
        ({"eos_token_id": 703, "tokens": [f"w{i}" for i in range(703)]}, "no token ends a text"),
    ],
)
def test_what_does_not_fit_is_told(change, what):
    with pytest.raises(wg.errors.FormatError, match=what):
        make(**change)


@pytest.mark.no_adapter
def test_a_hub_tokenizer_that_closes_texts(tmp_path):
    """Only what stands before a text goes before it."""
    backend = Backend.from_str(make().backend.to_str())
    backend.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", BOS), ("</s>", EOS)])
    backend.save(str(tmp_path / "tokenizer.json"))

    class Config:
        vocab, ends = len(TOKENS), ()

    tokenizer = Tokenizer.from_file(tmp_path / "tokenizer.json", Config, {})
    plain = tokenizer.encode("two words", is_plain=True)
    assert tokenizer.encode("two words") == [BOS, *plain, EOS]


def test_an_answer_keeps_its_first_space(gpu, make_file, rng):
    path, _ = make_file(rng, "F32", tokenizer=METADATA)
    model = load(path, gpu)
    model.tokenizer.ends = (len(TOKENS),)  # no token, so that nothing ends
    model._decoder = None
    spaced = next(i for i, text in enumerate(TOKENS) if text.startswith("\u2581") and text[1:].isalpha())
    prompt = model.tokenizer.encode("two words")
    assert model.tokenizer.decode([spaced], after=prompt)[0] == " "
    assert model.tokenizer.decode([spaced], after=[BOS])[0] != " "
    whole = model.generate("two words", 40)
    assert "".join(model.stream("two words", 40)) == whole
    assert model.generate(["two words", "two words"], 40) == [whole, whole]
