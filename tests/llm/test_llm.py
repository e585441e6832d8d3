"""Language models from GGUF files: small random ones beside the twin in float64."""

from __future__ import annotations

import numpy as np
import pytest
from llm_common import error, load, tokens

import webgpu_widget as wg
from webgpu_widget.reference import llm as reference

KINDS = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q8_0")


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_the_twins_on_the_decoded_weights(gpu, make_file, rng, kind):
    path, weights = make_file(rng, kind, is_tied=kind != "Q8_0")
    model = load(path, gpu)
    for count in (1, 2, int(rng.integers(3, 40))):
        ids = rng.integers(0, model.config.vocab, count)
        # sums of at most 96 in float32, through two layers
        assert error(model.logits(ids)[0], reference.logits(weights, model.config, ids)) < 1e-4


@pytest.mark.parametrize(("heads", "kv_heads", "head_width"), [(4, 4, 16), (3, 1, 8), (6, 2, 32), (2, 1, 68)])
def test_heads_of_any_sharing(gpu, make_file, rng, heads, kv_heads, head_width):
    path, weights = make_file(rng, "F32", heads=heads, kv_heads=kv_heads, head_width=head_width)
    model = load(path, gpu)
    ids = rng.integers(0, model.config.vocab, 19)
    assert error(model.logits(ids)[0], reference.logits(weights, model.config, ids)) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_steps_choose_what_the_twin_does(gpu, make_file, rng, kind):
    path, weights = make_file(rng, kind)
    model = load(path, gpu)
    for count in (1, int(rng.integers(2, 30))):
        ids = rng.integers(2, model.config.vocab, count).tolist()
        text = ids + tokens(model, ids, 12)
        assert len(text) == count + 12 or text[-1] in model.tokenizer.ends
        wanted = reference.logits(weights, model.config, text[:-1])[count - 1 :]
        below = wanted.max(-1) - wanted[np.arange(len(wanted)), text[count:]]
        assert below.max() < 1e-4 * np.abs(wanted).max(), "each token is the likeliest, or as likely within rounding"


def test_the_room_grows_and_the_context_ends(gpu, make_file, rng, monkeypatch):
    path, _ = make_file(rng, "F32", context=200)
    model = load(path, gpu)
    model.tokenizer.ends = (64,)  # no token, so that nothing ends
    model._decoder = None
    ids = rng.integers(2, 64, 70).tolist()
    wanted = tokens(model, ids, 100)
    assert len(wanted) == 100
    monkeypatch.setattr("webgpu_widget.nn.decoder.FIRST", 64)
    model._decoder = None
    assert tokens(model, ids, 100) == wanted
    with pytest.raises(
        wg.errors.LimitError,
        match=r"has 131 tokens and has not ended, of max_new_tokens=1000.*context is 200 tokens.*max_new_tokens=131",
    ):
        tokens(model, ids, 1000)
    with pytest.raises(wg.PromptError, match="has 201 tokens, but the model's context is 200"):
        model.generate("!" * 201, 1)
    with pytest.raises(wg.ShapeError, match="context is 201, but must be a whole number from 1 to 200"):
        load(path, gpu, context=201)


@pytest.mark.parametrize("change", ["blk.1.attn_k.weight", "output_norm.weight", "token_embd.weight"])
def test_a_tensor_that_is_not_there_is_named(gpu, make_file, rng, change):
    path, _ = make_file(rng, change=lambda name: name != change)
    with pytest.raises(wg.errors.FormatError, match=change if "embd" not in change else "embd|rows"):
        load(path, gpu)


def test_what_is_no_model_is_told(gpu, tmp_path, make_file, rng):
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(wg.errors.FormatError, match="known are 'llama', 'mistral', 'qwen2', 'qwen3'"):
        load(make_file(rng, architecture="mamba")[0], gpu)
    with pytest.raises(wg.errors.FormatError, match="4 tokens and 4 types of them, but the embedding has 64"):
        load(make_file(rng, tokens=4)[0], gpu)
    with pytest.raises(wg.errors.FormatError, match=r"ffn_down.weight has shape \(64, 32\).*asks for \(64, 96\)"):
        load(make_file(rng, wrong={"blk.0.ffn_down.weight": (64, 32)})[0], gpu)
    with pytest.raises(wg.errors.FormatError):
        load(path, gpu)


def test_ids_and_prompts_that_do_not_fit_are_told(gpu, make_file, rng):
    model = load(make_file(rng)[0], gpu)
    for ids, what in (
        ([64], "from 64 to 64"),
        ([-1], "from -1"),
        ([], "at least 1"),
        ([[[1]]], "batch, tokens"),
    ):
        with pytest.raises(wg.ShapeError, match=what):
            model.logits(ids)
    with pytest.raises(wg.ShapeError, match="ids have rows of different lengths"):
        model.logits([[1, 2], [3]])
    for stop in ("", [""], 3, b"x", ["!", None]):
        with pytest.raises(wg.PromptError, match="stop is .*, but must be a text"):
            model.generate("!#%", 3, stop=stop)
    with pytest.raises(wg.errors.DTypeError, match="whole numbers"):
        model.logits([1.5])
    for text, what in (("", "has no tokens"), ("\ud800", "is no text"), (3, "not int")):
        with pytest.raises(wg.PromptError, match=what):
            model.generate(text)
    assert isinstance(model.generate("!#%", max_new_tokens=3), str)
