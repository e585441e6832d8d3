"""The recorded encoder, as GPUs have it, run here on a CPU adapter that is told to be one."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from losing import lose_device
from safetensors.numpy import load_file
from t5_common import TINY, error

import webgpu_widget as wg
from webgpu_widget.nn.kernels import Kernels
from webgpu_widget.reference import t5 as reference
from webgpu_widget.t5 import T5, encoder
from webgpu_widget.t5.encoder import Encoders

WEIGHTS = {name: value.astype(np.float64) for name, value in load_file(TINY / "model.safetensors").items()}


def hardware(*args):
    made = Kernels(*args)
    made.on_cpu, made.widest = False, 256
    return made


@pytest.fixture(scope="module")
def model(gpu):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("webgpu_widget.t5.model.Kernels", hardware)
        with T5.from_pretrained(TINY, gpu, progress=False) as made:
            yield made


def test_one_program_serves_all_of_its_width(model, rng):
    for shape, key in (((1, 1), (1, 32)), ((1, 32), (1, 32)), ((1, 33), (1, 64)), ((2, 7), (2, 32)), ((1, 5), (1, 32))):
        ids = rng.integers(3, model.config.vocab_size, shape)
        mask = rng.integers(0, 2, shape)
        mask[:, -1] = 1
        before = model._encoders.recorded.get(key)
        found = model.encode(ids, mask)
        assert error(found, reference.encode(WEIGHTS, model.config, ids, mask)) < 1e-4
        assert before in (None, model._encoders.recorded[key])
    layers = model.config.num_layers
    # norm, qkv, attention, o, norm, wi, gate, wo; a product whose depth is split has one more
    assert all(8 * layers + 2 <= one.dispatches <= 12 * layers + 2 for one in model._encoders.recorded.values())


def test_what_lies_beyond_the_ids_is_not_seen(model, rng):
    ids, target = rng.integers(3, model.config.vocab_size, (2, 9)), rng.integers(3, model.config.vocab_size, (2, 3))
    wanted = reference.logits(WEIGHTS, model.config, ids, target)
    model.encode(rng.integers(3, model.config.vocab_size, (2, 32)))  # leaves other states in the program's buffers
    assert error(model.logits(ids, target), wanted) < 1e-4
    shares = model.cross_attention(ids, target)
    assert shares.shape == (model.config.num_decoder_layers, 2, model.config.num_heads, 3, 9)
    assert shares.sum(-1) == pytest.approx(1, abs=1e-5)
    found = asyncio.run(model.encode_async(ids))
    assert error(found, reference.encode(WEIGHTS, model.config, ids)) < 1e-4
    assert asyncio.run(model.cross_attention_async(ids, target)).shape == shares.shape


def test_prompts_are_answered_from_recorded_encodings(model):
    prompts = ["spell out the number: 7", "translate English to German: The house is wonderful."]
    assert model.generate(prompts[1]) == "Das Haus ist wunderbar."
    assert model.generate(prompts) == [model.generate(prompt) for prompt in prompts]


def test_few_programs_are_kept(model, rng, monkeypatch):
    encoders = Encoders(model._parts)

    def encode(batch, source):
        ids = rng.integers(3, model.config.vocab_size, (batch, source))
        return encoders.encode(ids, ids != 0)

    monkeypatch.setattr(encoder, "_KEPT", 2)
    for batch in (1, 2, 1, 3):
        encode(batch, 32)
    assert list(encoders.recorded) == [(1, 32), (3, 32)]
    monkeypatch.setattr(encoder, "_KEPT_BYTES", 1)
    assert encode(2, 20).source == 32
    assert list(encoders.recorded) == [(2, 32)], "one larger than all that may be kept is kept alone"
    monkeypatch.setattr(encoder, "_MOST_ROWS", 63)
    assert encode(2, 20).source == 20, "what is large is not recorded"
    assert list(encoders.recorded) == [(2, 32)]


def test_recorded_encodings_are_freed_with_the_model(gpu, monkeypatch):
    monkeypatch.setattr("webgpu_widget.t5.model.Kernels", hardware)
    gpu.synchronize()
    before = gpu.memory().bytes
    made = T5.from_pretrained(TINY, gpu, progress=False)
    made.encode([[5, 6, 7]])
    assert made._encoders.recorded
    made.free()
    assert gpu.memory().bytes <= before


def test_after_a_lost_device_the_encoder_is_recorded_anew(monkeypatch):
    monkeypatch.setattr("webgpu_widget.t5.model.Kernels", hardware)
    own = wg.GPU(transport="headless")
    try:
        made = T5.from_pretrained(TINY, own, progress=False)
        wanted, before = made.encode([[5, 6, 7]]), made._encoders.recorded[1, 32]
        lose_device(own)
        assert (made.encode([[5, 6, 7]]) == wanted).all()
        assert made._encoders.recorded[1, 32] is not before
    finally:
        own.close()
