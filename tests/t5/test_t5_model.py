"""The model on the GPU equals transformers: golden vectors of every variant, in every number format."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil

import numpy as np
import pytest
from losing import lose_device
from safetensors.numpy import load_file, save_file
from t5_common import DATA, TINY, VARIANTS, dispatches_a_token, error, golden, tokens_of

import webgpu_widget as wg
from webgpu_widget._selftest.t5 import AREA
from webgpu_widget.nn.kernels import Kernels
from webgpu_widget.reference import t5 as reference
from webgpu_widget.t5 import T5


@pytest.mark.parametrize("case", AREA.cases, ids=lambda case: f"{case.name} {case.label}")
def test_equals_its_twin(case_holds, case):
    case_holds(case)


@pytest.mark.parametrize("name", VARIANTS)
def test_f32_equals_transformers(gpu, checkpoint, name):
    g = golden(name)
    with T5.from_pretrained(checkpoint(name), gpu, progress=False) as model:
        assert error(model.encode(g["input_ids"]), g["encoded"]) < 1e-4
        assert error(model.logits(g["input_ids"], g["decoder_input_ids"]), g["logits"]) < 1e-4
        if name in ("few_buckets", "gated_untied"):
            assert error(model.encode(g["long_input_ids"])[0, ::100], g["long_encoded"]) < 1e-4
        assert error(model.cross_attention(g["input_ids"], g["decoder_input_ids"]), g["cross_attention"]) < 1e-4
        for beams, wanted in g["tokens"].items():
            assert tokens_of(model, g["input_ids"], beams, g["limit"]) == wanted


@pytest.mark.parametrize(("on_cpu", "subgroups"), [(False, True), (False, False)], ids=["gpu", "gpu without subgroups"])
def test_the_dispatches_of_other_adapters_give_the_same(gpu, checkpoint, monkeypatch, on_cpu, subgroups):
    """Sizes, kernels and chunks that a GPU would get, run here: a CPU adapter is only slower with them."""
    g = golden("gated_untied")

    def other(*args):
        made = Kernels(*args)
        made.on_cpu, made.has_subgroups, made.widest = on_cpu, subgroups, 256
        return made

    monkeypatch.setattr("webgpu_widget.t5.model.Kernels", other)
    with T5.from_pretrained(checkpoint("gated_untied"), gpu, progress=False) as model:
        assert error(model.encode(g["input_ids"]), g["encoded"]) < 1e-4
        limit = g["limit"] if subgroups else 2  # teams of workgroups take barriers, and these take long here
        for beams in (1, 4) if subgroups else (1,):
            found = tokens_of(model, g["input_ids"], beams, limit)
            assert found == [row[:limit] for row in g["tokens"][beams]]
        if subgroups:  # a stream that is left has its next chunk under way
            wanted = model.generate("w5 w6 w7", max_new_tokens=9)
            for _ in model.stream("w8 w9", max_new_tokens=9):
                break
            assert "".join(model.stream("w5 w6 w7", max_new_tokens=9)) == wanted
        layers = model.config.num_decoder_layers
        assert {d.dispatches for d in model._decoders.values()} == {(6 if subgroups else 8) * layers + 2}


def test_the_shapes_of_flan_t5_small(gpu, tmp_path):
    """Random weights in the exact shapes; base passes the same in tools/t5/bench.py."""
    folder = random_checkpoint().build("small", tmp_path)
    ids, target = np.arange(5, 17)[None], np.arange(5, 9)[None]
    with T5.from_pretrained(folder, gpu, progress=False) as model:
        wanted = reference.logits(load_file(folder / "model.safetensors"), model.config, ids, target)
        assert error(model.logits(ids, target, timeout=120), wanted) < 1e-4
        assert isinstance(model.generate("Hello there.", max_new_tokens=2, timeout=120), str)
        assert model.stats.dispatches_per_token == dispatches_a_token(model)


def random_checkpoint():
    path = DATA.parents[2] / "tools" / "t5" / "random_checkpoint.py"
    spec = importlib.util.spec_from_file_location("random_checkpoint", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("dtype", ["f16", "int8"])
@pytest.mark.parametrize("name", ["gated_tied", "relu_untied"])
def test_other_formats_are_as_near_as_they_can_be(gpu, checkpoint, rng, name, dtype):
    g = golden(name)
    # weights that float16 does not hold exactly
    weights = {
        key: (value * (1 + 1e-3 * rng.normal(size=value.shape))).astype(np.float32)
        for key, value in g["weights"].items()
    }
    exact = {key: value.astype(np.float64) for key, value in weights.items()}
    encoded = reference.encode(exact, g["config"], g["input_ids"])
    logits = reference.logits(exact, g["config"], g["input_ids"], g["decoder_input_ids"])
    with T5.from_pretrained(checkpoint(name, weights), gpu, dtype, progress=False) as model:
        found = (
            error(model.encode(g["input_ids"]), encoded),
            error(model.logits(g["input_ids"], g["decoder_input_ids"]), logits),
        )
    if dtype == "f16":
        assert max(found) < 1e-2
        assert min(found) > 1e-6, "float16 cannot be this exact: was it used?"
    else:
        rounded = reference.quantized(weights)
        best = (
            error(reference.encode(rounded, g["config"], g["input_ids"]), encoded),
            error(reference.logits(rounded, g["config"], g["input_ids"], g["decoder_input_ids"]), logits),
        )
        assert all(ours <= 2 * theirs for ours, theirs in zip(found, best, strict=True))


def test_an_explicit_mask_closes_positions_anywhere(gpu, checkpoint):
    g = golden("gated_untied")
    ids = g["input_ids"][:1]
    mask = np.ones_like(ids)
    mask[0, [0, 5, 18]] = 0
    with T5.from_pretrained(checkpoint("gated_untied"), gpu, progress=False) as model:
        assert error(model.encode(ids, mask), reference.encode(g["weights"], g["config"], ids, mask)) < 1e-4
        target = g["decoder_input_ids"][:1]
        assert (
            error(model.logits(ids, target, mask), reference.logits(g["weights"], g["config"], ids, target, mask))
            < 1e-4
        )
        found = asyncio.run(model.encode_async(ids, mask))
        assert error(found, reference.encode(g["weights"], g["config"], ids, mask)) < 1e-4
        assert asyncio.run(model.logits_async(ids[0], target[0])).shape == (1, 9, g["config"].vocab_size)


def test_a_batch_answers_as_its_rows_do(tiny):
    prompts = [
        "spell out the number: 7",
        "translate English to German: The house is wonderful.",
        "write as a Roman numeral: 1984",
    ]
    assert tiny.generate(prompts) == [tiny.generate(prompt) for prompt in prompts]
    assert tiny.generate(prompts, num_beams=3) == [tiny.generate(prompt, num_beams=3) for prompt in prompts]
    assert tiny.generate([]) == []


def test_the_shipped_model_says_something(tiny):
    assert tiny.generate("translate English to German: The house is wonderful.") == "Das Haus ist wunderbar."
    assert tiny.stats.load_s > 0
    assert tiny.stats.tokens == 9
    assert tiny.stats.tokens_per_second > 0
    assert tiny.stats.prefill_ms > 0
    assert tiny.stats.dispatches_per_token == dispatches_a_token(tiny)


def test_fused_attentions_of_flan_t5_small_choose_the_same(gpu, tmp_path, monkeypatch):
    """Heads of 64, as GPUs have them: the tokens of the twin, in float32."""

    def other(*args):
        made = Kernels(*args)
        made.on_cpu, made.widest = False, 256
        return made

    folder = random_checkpoint().build("small", tmp_path)
    ids = np.arange(5, 17)[None]
    monkeypatch.setattr("webgpu_widget.t5.model.Kernels", other)
    with T5.from_pretrained(folder, gpu, progress=False, wait=False) as model:
        assert model._parts.fused.width == 256
        wanted = reference.greedy(load_file(folder / "model.safetensors"), model.config, ids, 3)
        assert tokens_of(model, ids, 1, 3) == wanted
        assert [decoder.dispatches for decoder in model._decoders.values()] == [6 * 8 + 2]


def test_at_most_100_dispatches_a_token_for_base():
    layers_of_base, per_layer, head_and_pick = 12, 8, 2
    assert layers_of_base * per_layer + head_and_pick <= 100


def test_stream_says_what_generate_says(tiny):
    prompt = "schreibe die Zahl aus: 4711"
    pieces = list(tiny.stream(prompt))
    assert "".join(pieces) == tiny.generate(prompt)
    assert len(pieces) > 1

    async def collect():
        return [piece async for piece in tiny.stream_async(prompt)], await tiny.generate_async(prompt)

    streamed, whole = asyncio.run(collect())
    assert "".join(streamed) == whole == "".join(pieces)


def test_sampling_repeats_with_its_seed(tiny):
    prompt = "reverse the words: the old house stands here"
    options = {"do_sample": True, "temperature": 3.0, "max_new_tokens": 12}
    first = [tiny.generate(prompt, seed=seed, **options) for seed in range(6)]
    assert first == [tiny.generate(prompt, seed=seed, **options) for seed in range(6)]
    assert len(set(first)) > 1
    assert tiny.generate(prompt, do_sample=True, top_k=1, seed=3) == tiny.generate(prompt)


def test_leaving_a_stream_stops_it_and_the_next_call_works(tiny):
    wanted = tiny.generate("spell out the number: 4711")
    for _ in tiny.stream("spell out the number: 123456"):
        break
    assert tiny.generate("spell out the number: 4711") == wanted


def test_the_encoder_runs_before_the_decoder_is_there(gpu, checkpoint):
    g = golden("gated_tied")
    with T5.from_pretrained(checkpoint("gated_tied"), gpu, progress=False, wait=False) as model:
        assert error(model.encode(g["input_ids"]), g["encoded"]) < 1e-4
        assert model._parts._decoder == {}
        assert model.stats.load_s is None
        assert isinstance(model.generate("w5 w6", max_new_tokens=3), str)


def test_coroutines_load_and_look(gpu, checkpoint):
    g = golden("gated_tied")

    async def run():
        model = await T5.from_pretrained_async(checkpoint("gated_tied"), gpu, progress=False)
        return model, await model.cross_attention_async(g["input_ids"], g["decoder_input_ids"])

    model, found = asyncio.run(run())
    with model:
        assert error(found, g["cross_attention"]) < 1e-4
        assert model.stats.load_s > 0


def test_max_new_tokens_cuts(tiny):
    assert tiny.generate("spell out the number: 4711", max_new_tokens=1) == tiny.tokenizer.decode(
        tokens_of(
            tiny, np.array([tiny.tokenizer.encode("spell out the number: 4711", limit=99, truncation=False)]), 1, 64
        )[0][:1]
    )
    assert tiny.stats.tokens == 1


def test_a_prompt_of_2048_tokens_runs(gpu, checkpoint):
    g = golden("gated_untied")
    with T5.from_pretrained(checkpoint("gated_untied"), gpu, progress=False, max_source_tokens=2048) as model:
        words = " ".join(f"w{3 + i % 90}" for i in range(2047))
        found = model.generate(words, max_new_tokens=3)
        ids = np.array([model.tokenizer.encode(words, limit=2048, truncation=False)])
        assert ids.shape == (1, 2048)
        wanted = reference.greedy(g["weights"], g["config"], ids, 3)
        assert found == model.tokenizer.decode(wanted[0])
        with pytest.raises(wg.PromptError, match="has 2049 tokens, but the limit is 2048"):
            model.generate(words + " w9")
        cut = model.tokenizer.encode(words + " w9", limit=2048, truncation=True)
        assert cut == ids[0].tolist()


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda t: t.generate(""), "is empty"),
        (lambda t: t.generate(["add: 1 + 1", "  "]), "is empty"),
        (lambda t: t.generate("x", max_new_tokens=0), "max_new_tokens is 0"),
        (lambda t: t.generate("x", num_beams=17), "from 1 to 16"),
        (lambda t: t.generate("x", num_beams=2, do_sample=True), "do_sample"),
        (lambda t: t.generate("x", temperature=0), "temperature is 0"),
        (lambda t: t.generate("x", top_p=0), "top_p is 0"),
        (lambda t: t.generate("x", top_k=-1), "top_k is -1"),
        (lambda t: t.generate(3), "not int"),
        (lambda t: t.generate("a \ud800"), "is no text"),
    ],
)
def test_bad_prompts_are_typed_and_the_next_call_works(tiny, call, what):
    with pytest.raises(wg.PromptError, match=what):
        call(tiny)
    assert tiny.generate("add: 1 + 1") == "2"


def test_bad_ids_are_typed(tiny):
    for ids, what in (
        ([[700]], "are from 700 to 700"),
        ([], "at least 1"),
        ([[[1]]], "must be"),
        ([[1, 2], [3]], "input_ids have rows of different lengths"),
    ):
        with pytest.raises(wg.ShapeError, match=what):
            tiny.encode(ids)
    with pytest.raises(wg.DTypeError, match="whole numbers"):
        tiny.encode([[1.5]])
    with pytest.raises(wg.ShapeError, match="2 rows"):
        tiny.logits([[1], [1]], [[0]])
    with pytest.raises(wg.ShapeError, match="attention_mask has shape"):
        tiny.encode([[3, 1]], [[1]])


def test_memory_is_given_back(gpu, checkpoint):
    gpu.synchronize()
    before = gpu.memory().bytes
    model = T5.from_pretrained(checkpoint("gated_tied"), gpu, progress=False)
    model.generate("w5 w6", max_new_tokens=3)
    assert gpu.memory().bytes > before
    model.free()
    model.free()
    assert gpu.memory().bytes <= before
    with pytest.raises(wg.ClosedError, match="load it again"):
        model.generate("w5")


def test_a_lost_device_is_typed_and_the_next_call_loads_again(checkpoint):
    own = wg.GPU(transport="headless")
    try:
        model = T5.from_pretrained(checkpoint("gated_untied"), own, progress=False)
        wanted = model.generate("w5 w6 w7", max_new_tokens=8)
        stream = model.stream("w5 w6 w7", max_new_tokens=8)
        next(stream)
        lose_device(own)
        with pytest.raises((wg.DeviceLostError, wg.FrontendLostError)):
            list(stream)
        assert model.generate("w5 w6 w7", max_new_tokens=8) == wanted
    finally:
        own.close()


# ---------------------------------------------------------------- files


def edited(tmp_path, change):
    folder = tmp_path / "t5"
    shutil.copytree(TINY, folder)
    change(folder)
    return folder


def set_config(**values):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        config.update(values)
        (folder / "config.json").write_text(
            json.dumps({key: value for key, value in config.items() if value is not None})
        )

    return change


def drop_tensor(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["decoder.block.3.layer.1.EncDecAttention.k.weight"]
    save_file(weights, folder / "model.safetensors")


def set_tensor(name, value):
    def change(folder):
        save_file(load_file(folder / "model.safetensors") | {name: value}, folder / "model.safetensors")

    return change


ONE = np.ones(1, np.float32)
IN_EIGHT_BITS = np.ones((512, 256), np.int8)
WI = "encoder.block.0.layer.1.DenseReluDense.wi_0."


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (set_config(quantization_config={"quant_method": "bitsandbytes"}), "quantization_config .*bitsandbytes"),
        (set_config(dense_act_fn="relu"), "dense_act_fn is 'relu', but feed_forward_proj is 'gated-gelu'"),
        (set_config(is_gated_act=False), "is_gated_act is False"),
        (set_config(feed_forward_proj="gated-silu", dense_act_fn="gelu_new"), "which means 'silu'"),
        (set_config(tie_word_embeddings="false"), "tie_word_embeddings is 'false', but must be true or false"),
        (set_config(scale_decoder_outputs=1), "scale_decoder_outputs is 1"),
        (set_config(layer_norm_epsilon="1e-6"), "layer_norm_epsilon is '1e-6'"),
        (set_tensor(WI + "SCB", ONE), "wi_0.SCB beside .*wi_0.weight"),
        (set_tensor(WI + "scale_weight", ONE), "wi_0.scale_weight beside"),
        (set_tensor(WI + "lora_A.default.weight", ONE), "lora_A.default.weight beside"),
        (set_tensor("encoder.final_layer_norm.bias", ONE), "final_layer_norm.bias beside"),
        (set_tensor(WI + "weight", IN_EIGHT_BITS), "wi_0.weight has the dtype I8"),
        (set_config(model_type="bert"), "'bert', allowed are 't5'"),
        (set_config(d_model=None), "d_model is missing"),
        (set_config(d_ff="many"), "d_ff is 'many'"),
        (set_config(d_kv=6), "multiple of 4"),
        (set_config(feed_forward_proj="gated-tanh"), "allowed are relu"),
        (set_config(eos_token_id=99_999), "eos_token_id is 99999"),
        (set_config(d_ff=516), r"wi_0.weight has shape \(512, 256\), but config.json asks for \(516, 256\)"),
        (set_config(vocab_size=500), "has .* pieces, but the model's vocab_size is 500"),
        (drop_tensor, "lacks decoder.block.3.layer.1.EncDecAttention.k.weight"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "not a tokenizer.json"),
        (lambda f: (f / "tokenizer.json").unlink(), "lacks tokenizer.json"),
        (lambda f: (f / "config.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "config.json").write_text("[]"), "holds a JSON list"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0broken!!"), "model.safetensors"),
    ],
)
def test_files_that_do_not_fit_are_told(gpu, tmp_path, change, what):
    with pytest.raises(wg.FormatError, match=what):
        T5.from_pretrained(edited(tmp_path, change), gpu, progress=False)


def test_sources_that_are_nowhere(gpu, tmp_path):
    with pytest.raises(wg.WeightsError, match="is no folder"):
        T5.from_pretrained(tmp_path / "nothing", gpu)
    with pytest.raises(wg.WeightsError, match="hf:owner/name"):
        T5.from_pretrained("hf:flan", gpu)
    with pytest.raises(wg.DTypeError, match="'f32', 'f16', 'int8'"):
        T5.from_pretrained(TINY, gpu, dtype="int4")
    with pytest.raises(wg.ShapeError, match="max_source_tokens"):
        T5.from_pretrained(TINY, gpu, max_source_tokens=0)


def in_shards(folder):
    """Save the weights as transformers saves a large model: an index, and files of some tensors each."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    shards = [names[: len(names) // 3], names[len(names) // 3 :]]
    places = {}
    for number, held in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file({tensor: weights[tensor] for tensor in held}, folder / name)
        places |= dict.fromkeys(held, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def embedding_as(name):
    def change(folder):
        weights = load_file(folder / "model.safetensors")
        weights[name] = weights.pop("shared.weight")
        save_file(weights, folder / "model.safetensors")

    return change


@pytest.mark.parametrize(
    "change",
    [
        in_shards,
        set_config(model_type="mt5"),
        *map(embedding_as, ["decoder.embed_tokens.weight", "encoder.embed_tokens.weight"]),
    ],
    ids=["in shards", "mT5", "the decoder's embedding", "the encoder's embedding"],
)
def test_other_spellings_of_one_model_say_the_same(gpu, tiny, tmp_path, change):
    text = "translate English to German: The house is wonderful."
    with T5.from_pretrained(edited(tmp_path, change), gpu, progress=False) as model:
        assert model.generate(text, max_new_tokens=8) == tiny.generate(text, max_new_tokens=8) != ""


# What T5Config.save_pretrained writes, by transformers 4.57.6 and 5.24.0, beside the sizes: T5 v1.0 is tied, v1.1 and FLAN are not.
_SAVED = {
    "4 tied": (
        "relu_tied",
        {"dense_act_fn": "relu", "is_gated_act": False, "transformers_version": "4.57.6"},
        ["tie_word_embeddings"],
    ),
    "4 untied": (
        "gated_untied",
        {
            "dense_act_fn": "gelu_new",
            "is_gated_act": True,
            "tie_word_embeddings": False,
            "transformers_version": "4.57.6",
        },
        [],
    ),
    "5 tied": (
        "relu_tied",
        {
            "scale_decoder_outputs": True,
            "tie_word_embeddings": True,
            "is_decoder": False,
            "transformers_version": "5.24.0",
        },
        ["decoder_start_token_id"],
    ),
    "5 untied": (
        "gated_untied",
        {
            "scale_decoder_outputs": False,
            "tie_word_embeddings": True,
            "is_decoder": False,
            "transformers_version": "5.24.0",
        },
        ["decoder_start_token_id"],
    ),
    "5 untied without a gate": (
        "relu_untied",
        {
            "scale_decoder_outputs": False,
            "tie_word_embeddings": True,
            "dtype": "float32",
            "transformers_version": "5.24.0",
        },
        ["decoder_start_token_id"],
    ),
}


@pytest.mark.parametrize("saved", list(_SAVED))
def test_configs_of_each_transformers_mean_the_same(gpu, checkpoint, tmp_path, saved):
    name, values, dropped = _SAVED[saved]
    folder = tmp_path / "saved"
    shutil.copytree(checkpoint(name), folder)
    raw = json.loads((folder / "config.json").read_text()) | values | {"classifier_dropout": 0.0, "use_cache": True}
    (folder / "config.json").write_text(json.dumps({key: value for key, value in raw.items() if key not in dropped}))
    (folder / "generation_config.json").write_text(
        '{"decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}'
    )
    g = golden(name)
    with T5.from_pretrained(folder, gpu, progress=False) as model:
        assert error(model.logits(g["input_ids"], g["decoder_input_ids"]), g["logits"]) < 1e-4
        assert tokens_of(model, g["input_ids"], 1, g["limit"]) == g["tokens"][1]


def test_a_head_of_its_own_is_the_head(gpu, checkpoint, tmp_path):
    """A config of transformers 5 says tied for all; scaling and head are told apart by the other field and by the file."""
    g = golden("relu_tied")
    weights = load_file(g["folder"] / "model.safetensors")
    folder = tmp_path / "saved"
    shutil.copytree(checkpoint("relu_tied"), folder)
    raw = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": True}
    save_file(weights | {"lm_head.weight": weights["shared.weight"] * 2}, folder / "model.safetensors")
    for scaled, factor in ((True, 2.0), (False, 2.0 * raw["d_model"] ** 0.5)):
        (folder / "config.json").write_text(json.dumps(raw | {"scale_decoder_outputs": scaled}))
        with T5.from_pretrained(folder, gpu, progress=False) as model:
            assert error(model.logits(g["input_ids"], g["decoder_input_ids"]), g["logits"] * factor) < 1e-4


def test_the_start_token_may_stand_in_the_generation_config(tmp_path, checkpoint):
    from webgpu_widget.t5.config import T5Config

    raw = json.loads((checkpoint("relu_tied") / "config.json").read_text())
    del raw["decoder_start_token_id"]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(raw))
    assert T5Config.from_file(path).decoder_start_token_id == 0
    (tmp_path / "generation_config.json").write_text('{"decoder_start_token_id": 7}')
    assert T5Config.from_file(path).decoder_start_token_id == 7
    (tmp_path / "generation_config.json").write_text("{")
    with pytest.raises(wg.errors.FormatError, match=r"generation_config\.json is not JSON"):
        T5Config.from_file(path)


@pytest.mark.parametrize("dtype", ["f32", "f16", "int8"])
@pytest.mark.parametrize(
    ("variant", "tensor", "value"),
    [
        ("gated_untied", "lm_head.weight", np.nan),
        ("relu_tied", "encoder.block.0.layer.1.DenseReluDense.wi.weight", np.nan),
        ("relu_untied", "decoder.block.0.layer.2.DenseReluDense.wi.weight", np.nan),
        ("relu_untied", "decoder.block.1.layer.2.DenseReluDense.wo.weight", np.inf),
        ("gated_untied", "decoder.block.0.layer.1.EncDecAttention.v.weight", np.nan),
    ],
)
def test_logits_that_are_no_numbers_are_said(gpu, checkpoint, variant, tensor, value, dtype):
    weights = load_file(golden(variant)["folder"] / "model.safetensors")
    weights[tensor] = weights[tensor].copy()
    weights[tensor][3] = value
    with T5.from_pretrained(checkpoint(variant, weights), gpu, dtype, progress=False) as model:
        for options in (
            {},
            {"num_beams": 3},
            {"do_sample": True, "seed": 1},
            {"do_sample": True, "top_p": 0.9, "seed": 1},
        ):
            with pytest.raises(wg.errors.WeightsError, match=r"the logits after token \d+ hold NaN.* weights"):
                model.generate(["w5 w6 w7", "w8"], max_new_tokens=8, **options)
        with pytest.raises(wg.errors.WeightsError, match=r"hold NaN"):
            list(model.stream("w5 w6 w7", max_new_tokens=8))
        ids = np.array([[5, 6, 7]])
        assert not np.isfinite(model.logits(ids, np.array([[0, 5]]))).all()


def test_ids_are_uploaded_as_u32(tiny):
    buffer = tiny._ready().kernels.upload(np.array([1, 2, 3]), "x")
    assert tiny._device.queue.read([(buffer, 0, 12)])[0].view(np.uint32).tolist() == [1, 2, 3]
