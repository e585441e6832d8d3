"""Keys and values take memory by what has been generated, in steps, up to what the adapter has room for."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from safetensors.numpy import load_file
from t5_common import golden, tokens_of

import webgpu_widget as wg
from webgpu_widget.nn.cache import FIRST, most_positions, rounded
from webgpu_widget.nn.kernels import Kernels
from webgpu_widget.t5 import T5

PROMPT = "w5 w6 w7"


@pytest.fixture
def endless(gpu, checkpoint):
    """A model that never ends a text: the end token's logit is 0, and some other is always above."""
    weights = load_file(golden("gated_untied")["folder"] / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"].copy()
    weights["lm_head.weight"][1] = 0
    with T5.from_pretrained(checkpoint("gated_untied", weights), gpu, progress=False) as model:
        yield model


def in_use(gpu):
    gpu.synchronize()
    return gpu.memory().bytes


def first_room(monkeypatch, positions):
    monkeypatch.setattr("webgpu_widget.nn.decoder.FIRST", positions)


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "seed": 3}])
def test_a_short_answer_takes_the_same_memory_whatever_was_asked(gpu, tiny, rng, options):
    prompts = ["spell out the number: 7", "write as a Roman numeral: 1984"]
    tiny._decoders.clear()
    before = in_use(gpu)
    wanted = tiny.generate(prompts, max_new_tokens=FIRST, **options)
    taken = in_use(gpu) - before
    for most in (int(rng.integers(20_000, 40_000)), 1_000_000, 10**12):
        tiny._decoders.clear()
        assert tiny.generate(prompts, max_new_tokens=most, **options) == wanted
        assert in_use(gpu) - before <= taken
    tiny._decoders.clear()
    tiny.generate(prompts, max_new_tokens=int(rng.integers(1, 64)), **options)
    assert in_use(gpu) - before < taken, "and a short one less"


@pytest.mark.parametrize("beams", [1, 3])
def test_what_is_asked_for_takes_no_memory_before_it_comes(gpu, tiny, rng, beams):
    def taken(most):
        tiny._decoders.clear()
        before = in_use(gpu)
        with tiny._decoding(2, beams, 32, most):
            return in_use(gpu) - before

    first = taken(FIRST)
    assert all(taken(most) <= first for most in (int(rng.integers(2_000, 40_000)), 1_000_000, 10**12))


@pytest.mark.parametrize(("beams", "on_cpu"), [(1, True), (3, True), pytest.param(2, False, marks=pytest.mark.long)])
def test_tokens_are_the_same_however_often_the_room_grows(endless, monkeypatch, rng, beams, on_cpu):
    if not on_cpu:
        endless._parts.kernels.on_cpu, endless._parts.kernels.widest = False, 256
    most = int(rng.integers(130, 200))
    ids = rng.integers(3, 96, (2, 7))
    first_room(monkeypatch, rounded(most))
    wanted = tokens_of(endless, ids, beams, most)
    assert [len(row) for row in wanted] == [most] * 2
    endless._decoders.clear()
    first_room(monkeypatch, 64)
    assert tokens_of(endless, ids, beams, most) == wanted
    assert not endless._decoders, "what has grown is given back"


def test_memory_follows_the_tokens_and_is_given_back(gpu, endless, monkeypatch):
    first_room(monkeypatch, 64)
    endless.generate(PROMPT, max_new_tokens=2)
    before = in_use(gpu)
    seen = [before]
    stream = endless.stream(PROMPT, max_new_tokens=10**9)
    for _ in stream:
        seen.append(gpu.memory().bytes)
        if endless.stats.tokens > 150:
            break
    stream.close()
    a_token = 4 * endless._parts.kernels.sizes.kv_width * endless.config.num_decoder_layers + 12
    # two layers of keys and values may be there twice while it grows, the ones before still to be freed
    assert max(seen) - before <= 2 * (512 - 64) * a_token
    assert len(set(seen)) > 2, "in steps"
    assert in_use(gpu) <= before


def test_the_end_of_the_room_is_said(endless, monkeypatch):
    wanted = endless.generate(PROMPT, max_new_tokens=128)
    monkeypatch.setattr("webgpu_widget.nn.decoder.most_positions", lambda *_: 128)
    endless._decoders.clear()
    what = r"has 128 tokens and has not ended, of max_new_tokens=200.*at most \d+ bytes.*max_new_tokens=128 or less"
    for options in ({}, {"num_beams": 3}, {"do_sample": True, "seed": 2}):
        with pytest.raises(wg.errors.LimitError, match=what):
            endless.generate([PROMPT, "w8"], max_new_tokens=200, **options)
        assert not endless._decoders
    pieces = []

    async def collect():
        pieces.extend([piece async for piece in endless.stream_async(PROMPT, max_new_tokens=100)])
        async for piece in endless.stream_async(PROMPT, max_new_tokens=200):
            assert piece

    with pytest.raises(wg.errors.LimitError, match=what):
        asyncio.run(collect())
    assert wanted.startswith("".join(pieces))
    assert endless.generate(PROMPT, max_new_tokens=128) == wanted


def test_an_answer_that_ends_in_the_last_room_is_whole(tiny, monkeypatch):
    prompt = "translate English to German: The house is wonderful."
    monkeypatch.setattr("webgpu_widget.nn.decoder.most_positions", lambda *_: 64)
    tiny._decoders.clear()
    for beams in (1, 4):
        assert tiny.generate(prompt, max_new_tokens=10**6, num_beams=beams) == "Das Haus ist wunderbar."
    tiny._decoders.clear()


def test_more_rows_than_there_is_room_for_are_told(endless, monkeypatch):
    monkeypatch.setattr("webgpu_widget.nn.decoder.most_positions", lambda *_: 0)
    endless._decoders.clear()
    with pytest.raises(
        wg.errors.LimitError, match=r"^3 rows at once are too many .* bytes a token .* Fewer prompts or beams"
    ):
        endless.generate([PROMPT] * 3)


def test_the_most_positions_fit_what_the_adapter_binds(gpu, rng):
    sizes = golden("gated_untied")["config"].sizes
    largest = min(gpu.info.limits["maxBufferSize"], gpu.info.limits["maxStorageBufferBindingSize"])
    for rows in (1, *rng.integers(2, 5000, 20)):
        a_position = 4 * int(rows) * sizes.kv_width
        most = most_positions(Kernels(gpu._device, sizes, "f32"), int(rows))
        assert most % 64 == 0
        assert most * a_position <= largest < (most + 64) * a_position


def test_two_streams_at_once_say_what_each_says_alone(tiny):
    prompts = ["spell out the number: 4711", "schreibe die Zahl aus: 123456"]
    wanted = [tiny.generate(prompt) for prompt in prompts]
    pairs = itertools.zip_longest(*(tiny.stream(prompt) for prompt in prompts), fillvalue="")
    assert ["".join(pieces) for pieces in zip(*pairs, strict=True)] == wanted


@pytest.mark.parametrize("is_async", [False, True])
def test_a_generation_that_fails_leaves_nothing_to_the_next(tiny, monkeypatch, is_async):
    prompt = "spell out the number: 4711"
    wanted = tiny.generate(prompt)
    assert tiny._decoders

    def fail(*_):
        yield from ()
        raise wg.errors.OutOfMemoryError("a test")

    with monkeypatch.context() as patch:
        patch.setattr(type(tiny._device), "wait_steps", fail)
        with pytest.raises(wg.errors.OutOfMemoryError, match="a test"):
            asyncio.run(tiny.generate_async(prompt)) if is_async else tiny.generate(prompt)
    width = 32  # of what the prompt was padded to
    assert (1, 1, width) not in tiny._decoders, "its buffers may be what there was no memory for"
    assert tiny.generate(prompt) == wanted


def test_a_stream_that_is_left_ends_its_work(endless):
    """By itself, not by what the interpreter clears: some CPython 3.12 keep the locals of a closed generator."""
    stream = endless.stream(PROMPT, max_new_tokens=100)
    next(stream)
    work = stream.gi_frame.f_locals["stream"].gi_frame.f_locals["work"]
    stream.close()
    assert work.gi_frame is None
