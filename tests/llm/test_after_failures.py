"""What fails leaves nothing to the next call."""

from __future__ import annotations

import asyncio

import pytest
from llm_common import load, tokens

import webgpu_widget as wg


@pytest.fixture
def ids(rng):
    return rng.integers(2, 64, 9).tolist()


def test_calls_that_fail_leave_the_model_right(gpu, make_file, rng, ids):
    model = load(make_file(rng, "F32", context=64)[0], gpu)
    model.tokenizer.ends = (64,)  # no token, so that nothing ends
    model._decoder = None
    wanted, states = tokens(model, ids, 12), model.hidden_states(ids)
    messages = [{"role": "user", "content": "!#"}]

    def chat(template):
        model.tokenizer.template = template
        return model.chat(messages, 4)

    failing = [
        (wg.PromptError, "65 tokens, but the model's context is 64", lambda: model.generate("!" * 65)),
        (wg.PromptError, "65 tokens", lambda: asyncio.run(model.generate_async("!" * 65))),
        (wg.PromptError, "65 tokens", lambda: next(model.stream("!" * 65))),
        (wg.LimitError, "context is 64 tokens", lambda: tokens(model, ids, 1000)),
        (wg.ShapeError, "from 64 to 64", lambda: model.logits([64])),
        (wg.PromptError, "refuses these messages", lambda: chat("{{ messages[7].content.x }}")),
        (wg.PromptError, "refuses these messages: no", lambda: chat("{{ raise_exception('no') }}")),
        (wg.PromptError, "no tokens by the template", lambda: chat("")),
        (wg.errors.FormatError, "no chat template", lambda: chat(None)),
        (wg.PromptError, "top_p", lambda: model.generate("!#", top_p=2.0)),
    ]
    for kind, what, call in failing:
        with pytest.raises(kind, match=what):
            call()
        assert tokens(model, ids, 12) == wanted, what
        assert (model.hidden_states(ids) == states).all(), what


def test_files_that_fail_leave_the_others_right(gpu, make_file, rng, ids):
    model = load(make_file(rng, "F32")[0], gpu)
    wanted = tokens(model, ids, 8)
    spoilt = "blk.1.ffn_norm.weight"
    failing = [
        ("lacks blk.1.attn_k.weight", {"change": lambda name: name != "blk.1.attn_k.weight"}),
        (r"ffn_down.weight has shape \(64, 32\)", {"wrong": {"blk.0.ffn_down.weight": (64, 32)}}),
        (r"attn_norm.weight has shape \(63,\)", {"wrong": {"blk.1.attn_norm.weight": (63,)}}),
        ("4 tokens and 4 types of them, but the embedding has 64", {"tokens": 4}),
        ("known are 'llama'", {"architecture": "mamba"}),
    ]
    for what, options in failing:
        with pytest.raises(wg.errors.FormatError, match=what):
            load(make_file(rng, "F32", **options)[0], gpu)
        assert tokens(model, ids, 8) == wanted, what
    other = load(make_file(rng, "F32", spoil=spoilt)[0], gpu)
    with pytest.raises(wg.errors.WeightsError, match="layer 1"):
        tokens(other, ids, 8)
    assert tokens(model, ids, 8) == wanted
    assert tokens(load(model._checkpoint.weights, gpu), ids, 8) == wanted
