"""T5's own tokenizer, and the text of a stream."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest
from t5_common import DATA, TINY, golden

import webgpu_widget as wg
from webgpu_widget.nn.streaming import Detokenizer
from webgpu_widget.t5.tokenizer import Tokenizer

pytestmark = pytest.mark.no_adapter


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_bytes(gzip.decompress((DATA / "t5_tokenizer.json.gz").read_bytes()))
    return Tokenizer(path, replace(golden("relu_tied")["config"], vocab_size=32_128))


def test_real_tokenizer_gives_the_documented_ids(tokenizer):
    ids = tokenizer.encode("translate English to German: The house is wonderful.", limit=512, truncation=False)
    assert ids == [13959, 1566, 12, 2968, 10, 37, 629, 19, 1627, 5, 1]
    assert tokenizer.decode([0, 644, 4598, 229, 19250, 5, 1]) == "Das Haus ist wunderbar."


def test_text_comes_back(tokenizer):
    for text in ("Hello, world!", "Grüße aus Köln, déjà vu.", "a b c 1 2 3"):
        assert tokenizer.decode(tokenizer.encode(text, limit=512, truncation=False)) == text


def test_texts_of_a_stream_make_up_the_text(tokenizer):
    text = "Das Haus in Köln ist wunderbar, déjà vu."
    ids = tokenizer.encode(text, limit=512, truncation=False)
    for size in (1, 2, 5):
        detokenizer = Detokenizer(tokenizer.decode)
        ends = range(size, len(ids) + size, size)
        said = [detokenizer.upto(ids[:end], done=end >= len(ids)) for end in ends]
        assert "".join(said) == text


def test_half_a_character_waits_for_the_rest_or_the_end():
    class Bytes:
        def decode(self, ids):
            return bytes(ids).decode(errors="replace")

    ids = list("né".encode())
    assert [Detokenizer(Bytes().decode).upto(ids[:2]), Detokenizer(Bytes().decode).upto(ids[:2], done=True)] == [
        "",
        "n\ufffd",
    ]
    detokenizer = Detokenizer(Bytes().decode)
    assert [detokenizer.upto(ids[:1]), detokenizer.upto(ids[:2]), detokenizer.upto(ids, done=True)] == ["n", "", "é"]


def test_truncation_is_asked_for(tokenizer):
    with pytest.raises(wg.PromptError, match=r"has \d+ tokens, but the limit is 10"):
        tokenizer.encode("word " * 40, limit=10, truncation=False)
    cut = tokenizer.encode("word " * 40, limit=10, truncation=True)
    assert len(cut) == 10
    assert cut[-1] == 1


def test_a_vocabulary_that_is_too_large(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(gzip.decompress((DATA / "t5_tokenizer.json.gz").read_bytes()))
    with pytest.raises(wg.FormatError, match="32100 pieces, but the model's vocab_size is 32000"):
        Tokenizer(path, replace(golden("relu_tied")["config"], vocab_size=32_000))


def test_pieces_have_names():
    tokenizer = Tokenizer(TINY / "tokenizer.json", replace(golden("relu_tied")["config"], vocab_size=640))
    ids = tokenizer.encode("The house", limit=99, truncation=False)
    assert "".join(tokenizer.tokens(ids)) == " The house</s>"
