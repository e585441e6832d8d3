"""Kinds of models, and what a caller may ask of them: small random ones beside the twin in float64."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from llm_common import error, load, tokens
from losing import lose_device

import webgpu_widget as wg
from webgpu_widget.nn.fused import Fused
from webgpu_widget.reference import llm as reference


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3"])
def test_biases_and_norms_of_heads(gpu, make_file, rng, architecture):
    path, weights = make_file(rng, architecture=architecture)
    model = load(path, gpu)
    ids = rng.integers(2, 64, 23).tolist()
    assert error(model.logits(ids)[0], reference.logits(weights, model.config, ids)) < 1e-4
    text = ids + tokens(model, ids, 6)
    wanted = reference.logits(weights, model.config, text[:-1])[len(ids) - 1 :]
    below = wanted.max(-1) - wanted[np.arange(len(wanted)), text[len(ids) :]]
    assert below.max() < 1e-4 * np.abs(wanted).max()


def test_matrices_of_one_layer_in_different_formats(gpu, make_file, rng):
    """As K-quantised files have them: values finer than queries and keys."""
    kinds = {"blk.0.attn_v.weight": "Q8_0", "blk.1.attn_k.weight": "F16", "blk.1.ffn_down.weight": "Q8_0"}
    path, weights = make_file(rng, "Q4_0", kinds=kinds)
    model = load(path, gpu)
    ids = rng.integers(2, 64, 9).tolist()
    assert error(model.logits(ids)[0], reference.logits(weights, model.config, ids)) < 1e-4
    text = ids + tokens(model, ids, 4)
    wanted = reference.logits(weights, model.config, text[:-1])[len(ids) - 1 :]
    assert (wanted.max(-1) - wanted[np.arange(len(wanted)), text[len(ids) :]]).max() < 1e-4 * np.abs(wanted).max()


def test_a_batch_is_its_rows(gpu, make_file, rng):
    path, weights = make_file(rng)
    model = load(path, gpu)
    ids = rng.integers(2, 64, (3, 7))
    found = model.logits(ids)
    for row, given in zip(found, ids, strict=True):
        assert error(row, reference.logits(weights, model.config, given)) < 1e-4
    texts = ["!#%", "()*+", "567", "ABCD"]
    assert model.generate(texts, 5) == [model.generate(text, 5) for text in texts]
    assert model.generate([]) == []


def test_hidden_states_and_attention(gpu, make_file, rng):
    path, weights = make_file(rng, "F32")
    model = load(path, gpu)
    ids = rng.integers(2, 64, (2, 6))
    states, shares = model.hidden_states(ids), model.attention(ids)
    assert states.shape == (3, 2, 6, 64)
    assert shares.shape == (2, 2, 4, 6, 6)
    assert np.allclose(states[0], weights["token_embd.weight"][ids], atol=1e-6)
    assert np.allclose(shares.sum(-1), 1, atol=1e-5)
    assert (shares[..., np.triu_indices(6, 1)[0], np.triu_indices(6, 1)[1]] == 0).all()


def test_what_was_computed_for_a_text_is_used_again(gpu, make_file, rng):
    model = load(make_file(rng)[0], gpu)
    ids = rng.integers(2, 64, 40).tolist()
    wanted = tokens(model, ids, 6)
    longer = [*ids, *wanted[:3], 5, 6]
    kept = model._decoder
    known = min(len(kept.text), len([*ids, *wanted[:3]]))
    fresh = load(model._checkpoint.weights, gpu)
    assert tokens(model, longer, 6) == tokens(fresh, longer, 6)
    assert model._decoder is kept
    assert known >= len(ids)
    assert tokens(model, ids[:10], 6) == tokens(fresh, ids[:10], 6), "a text that is the beginning of the one before"
    other = rng.integers(2, 64, 12).tolist()
    assert tokens(model, other, 6) == tokens(fresh, other, 6)


def test_pieces_add_up_and_stop_strings_end_them(gpu, make_file, rng):
    model = load(make_file(rng)[0], gpu)
    model.tokenizer.ends = (64,)  # no token, so that nothing ends
    model._decoder = None
    whole = model.generate("!#%&", 24)
    assert len(whole) > 8
    assert "".join(model.stream("!#%&", 24)) == whole
    stop = whole[5:8]
    cut = whole[: whole.find(stop)]
    assert model.generate("!#%&", 24, stop=stop) == cut
    assert "".join(model.stream("!#%&", 24, stop=["nothing", stop])) == cut
    for piece in model.stream("!#%&", 24):
        assert whole.startswith(piece)
        break
    assert model.generate("!#%&", 24) == whole, "after a stream that was left"

    async def later():
        return [piece async for piece in model.stream_async("!#%&", 24)], await model.generate_async("!#%&", 24)

    pieces, text = asyncio.run(later())
    assert "".join(pieces) == text == whole
    with pytest.raises(wg.PromptError, match="none of them empty"):
        model.generate("!#", stop=[""])


def test_drawing_is_by_seed_and_within_bounds(gpu, make_file, rng):
    model = load(make_file(rng)[0], gpu)
    drawn = [model.generate("!#%", 20, do_sample=True, temperature=3.0, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    greedy = model.generate("!#%", 20)
    for bound in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        assert model.generate("!#%", 20, do_sample=True, temperature=3.0, seed=3, **bound) == greedy
    free = model.generate("!#%", 20, repetition_penalty=1e6)
    assert len(set(free + "!#%")) == len(free + "!#%"), "nothing comes twice"
    for name, value in (("min_p", 1.5), ("repetition_penalty", 0), ("temperature", 0)):
        with pytest.raises(wg.PromptError, match=name):
            model.generate("!#%", do_sample=True, **{name: value})


@pytest.mark.parametrize("layer", [0, 1])
def test_nan_is_named_with_its_layer(gpu, make_file, rng, layer):
    """An infinite gain: the rows of that layer are the first that are no numbers."""
    path, _ = make_file(rng, "F32", spoil=f"blk.{layer}.ffn_norm.weight")
    model = load(path, gpu)
    with pytest.raises(wg.errors.WeightsError, match=rf"are those of layer {layer} \(blk.{layer}\)"):
        model.generate("!#%", 4)
    with pytest.raises(wg.errors.WeightsError, match=f"layer {layer}"):
        model.generate("!#%", 4)


@pytest.mark.parametrize("dtype", ["f32", "f16", "int8"])
def test_other_formats_of_the_matrices(gpu, make_file, rng, dtype):
    path, weights = make_file(rng, "Q8_0")
    model = load(path, gpu, dtype=dtype)
    ids = rng.integers(2, 64, 12).tolist()
    # a weight is rounded to 11 bits, or to 255 steps a row
    near = {"f32": 1e-4, "f16": 1e-2, "int8": 0.1}[dtype]
    assert error(model.logits(ids)[0], reference.logits(weights, model.config, ids)) < near
    with pytest.raises(wg.errors.DTypeError, match="'q4_0' is not one of"):
        load(path, gpu, dtype="q4_0")


def test_a_freed_model_says_so(gpu, make_file, rng):
    with load(make_file(rng)[0], gpu) as model:
        assert "2 layers of 64" in repr(model)
    with pytest.raises(wg.errors.ClosedError, match="was freed"):
        model.generate("!#")


def test_a_text_goes_on_after_its_device_is_lost(make_file, rng):
    path, _ = make_file(rng)
    own = wg.GPU(transport="headless")
    try:
        model = load(path, own)
        model.tokenizer.ends = (64,)  # no token, so that nothing ends
        model._decoder = None
        whole = model.generate("!#%&", 60)
        pieces = []
        for piece in model.stream("!#%&", 60):
            if not pieces:
                lose_device(own)
            pieces.append(piece)
        assert "".join(pieces) == whole
        lose_device(own)
        assert model.generate("!#%&", 60) == whole
        first = model.stream("!#%&", 60)
        assert whole.startswith(next(first))
        first.close()
        assert model.generate("!#%&", 60) == whole, "after a stop in the middle"
    finally:
        own.close()


@pytest.mark.parametrize(
    ("architecture", "kinds"), [("llama", {}), ("qwen2", {}), ("qwen3", {"blk.1.attn_v.weight": "F16"})]
)
def test_fused_attentions_choose_the_same(gpu, make_file, rng, monkeypatch, architecture, kinds):
    """As on a GPU; an adapter without subgroups goes without."""
    path, _ = make_file(rng, architecture=architecture, kinds=kinds)
    ids = rng.integers(2, 64, 5).tolist()
    whole = load(path, gpu)
    whole.tokenizer.ends, whole._decoder = (64,), None  # no token, so that nothing ends
    wanted = tokens(whole, ids, 80)
    original = Fused._widest

    def widest(self):
        was, self.kernels.on_cpu = self.kernels.on_cpu, False
        try:
            return original(self)
        finally:
            self.kernels.on_cpu = was

    monkeypatch.setattr(Fused, "_widest", widest)
    model = load(path, gpu)
    model.tokenizer.ends, model._decoder = (64,), None
    found = tokens(model, ids, 80)
    logits = model.logits([*ids, *wanted])[0]
    same = next((i for i, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b), 80)
    row = logits[len(ids) + same - 1]
    assert same == 80 or row[wanted[same]] - row[found[same]] < 1e-4 * np.abs(row).max(), "a tie may go either way"
    layers = model._parts._layers.values()
    assert {layer.vectors is not None for layer in layers} == {bool(model._parts.fused.rotary_width)}
    others = 3 if model._parts.fused.rotary_width else 4
    # on a CPU norms are kernels of their own, but for those of rows in slots
    norms = 1 + sum(len(layer.into) + others - 3 for layer in layers) if model._parts.kernels.on_cpu else 0
    assert model.stats.dispatches_per_token == 2 + norms + sum(len(layer.into) + others for layer in layers)
