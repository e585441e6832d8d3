"""Hub folders of each kind of model beside what ``transformers`` says of them (tools/llm/golden_hub.py made the values)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from llm_common import load, tokens
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

import webgpu_widget as wg
from webgpu_widget.llm.source import find

TOOL = Path(__file__).parents[2] / "tools" / "llm" / "golden_hub.py"
GOLDEN = json.loads((Path(__file__).parent / "data" / "golden_hub.json").read_text())
TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }} {{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<s>{% endif %}"
)


def _tool():
    spec = importlib.util.spec_from_file_location("golden_hub", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden_hub = _tool()


@pytest.fixture
def make_folder(tmp_path):
    """Write a hub folder of random weights."""

    def make(config, seed, *, dtype=np.float32, change=None, template=TEMPLATE, pieces=None):
        weights = golden_hub.tensors(config, seed)
        if change:
            change(weights)
        save_file({name: value.astype(dtype) for name, value in weights.items()}, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text(json.dumps(config))
        vocab = {"<s>": 0, "</s>": 1, "u": 2, "?": 3, **{f"w{i}": i for i in range(4, pieces or config["vocab_size"])}}
        made = Tokenizer(models.WordLevel(vocab, unk_token="?"))
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        made.add_special_tokens(["<s>", "</s>"])
        made.save(str(tmp_path / "tokenizer.json"))
        extra = {"eos_token": "</s>", "bos_token": "<s>"} | ({"chat_template": template} if template else {})
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(extra))
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in GOLDEN), ("llama", "float16"), ("qwen2", "float16")]
)
def test_logits_are_those_of_transformers(gpu, make_folder, name, dtype):
    row = GOLDEN[name]
    model = load(make_folder(row["config"], row["seed"], dtype=dtype), gpu)
    found, wanted = model.logits(row["ids"])[:, golden_hub.AT], np.array(row["logits"])
    assert found.shape == wanted.shape
    # float16 holds these weights exactly
    assert np.linalg.norm(found - wanted) < 1e-4 * np.linalg.norm(wanted)


@pytest.mark.parametrize("name", ["llama_yarn", "mistral_window", "qwen2_window", "qwen3", "llama_biased"])
def test_steps_go_on_as_the_whole_does(gpu, make_folder, name):
    row = GOLDEN[name]
    model = load(make_folder(row["config"], row["seed"]), gpu)
    model.tokenizer.ends = (72,)  # no token, so that nothing ends
    model._decoder = None
    text = row["ids"][0] + tokens(model, row["ids"][0], 12)
    wanted = model.logits(text[:-1])[0, 19:]
    assert len(wanted) == 12
    below = wanted.max(-1) - wanted[np.arange(12), text[20:]]
    assert below.max() < 1e-4 * np.abs(wanted).max()


def test_prompts_in_prefills_are_the_whole(gpu, make_folder, monkeypatch):
    row = GOLDEN["mistral_window"]
    model = load(make_folder(row["config"], row["seed"]), gpu)
    model.tokenizer.ends = (72,)
    ids = np.random.default_rng(5).integers(2, 72, 90).tolist()
    model._decoder = None
    wanted = tokens(model, ids, 6)
    monkeypatch.setattr("webgpu_widget.llm.decoder.PREFILL", 16)
    model._decoder = None
    assert tokens(model, ids, 6) == wanted


def test_whole_prefills_are_replayed_on_a_gpu(gpu, make_folder, monkeypatch):
    """Recorded once by where they begin, and anew when there is more room."""
    row = GOLDEN["mistral_window"]
    model = load(make_folder(row["config"], row["seed"]), gpu)
    model.tokenizer.ends = (72,)
    texts = np.random.default_rng(6).integers(2, 72, (2, 70)).tolist()
    wanted = []
    for ids in texts:
        model._decoder = None
        wanted.append(tokens(model, ids, 6))
    monkeypatch.setattr("webgpu_widget.llm.decoder.PREFILL", 16)
    monkeypatch.setattr(model._parts.kernels, "on_cpu", False)
    model._decoder = None
    assert [tokens(model, texts[i], 6) for i in (0, 1, 0)] == [wanted[i] for i in (0, 1, 0)]
    prefills = model._decoder._prefills
    assert prefills is not None
    assert sorted(prefills._programs) == [0, 16, 32, 48]
    model._decoder.reserve(model._decoder.cache.capacity + 1)
    assert tokens(model, texts[1], 6) == wanted[1]
    assert model._decoder._prefills is not prefills


def test_bfloat16_stays_what_it_is(gpu, make_folder, rng):
    """As most hub folders are stored."""
    row = GOLDEN["llama"]
    folder = make_folder(row["config"], row["seed"])
    weights = golden_hub.tensors(row["config"], row["seed"])
    header, data = {}, b""
    for name, value in weights.items():
        raw = (value.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        header[name] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    kept = load(folder, gpu)
    assert {layer.out.format for layer in kept._parts._layers.values()} == {"bf16"}
    rounded = {name: (value.view(np.uint32) & 0xFFFF0000).view(np.float32) for name, value in weights.items()}
    save_file(rounded, folder / "model.safetensors")
    found, wanted = (model.logits(row["ids"]) for model in (kept, load(folder, gpu)))
    assert np.linalg.norm(found - wanted) < 1e-5 * np.linalg.norm(wanted)


def test_a_chat_of_two_turns_uses_the_first_again(gpu, make_folder):
    row = GOLDEN["qwen3"]
    model = load(make_folder(row["config"], row["seed"]), gpu)
    messages = [{"role": "u", "content": "w5 w6 w7 w8"}]
    assert model.tokenizer.chat(messages) == [0, 2, 5, 6, 7, 8, 1, 0]
    answer = model.chat(messages, 5)
    first = len(model._decoder.text)
    messages += [{"role": "u", "content": answer}, {"role": "u", "content": "w9 w10"}]
    again = model.tokenizer.chat(messages)
    assert again[:8] == [0, 2, 5, 6, 7, 8, 1, 0]
    assert "".join(model.stream(messages, 5)) == model.chat(messages, 5)
    assert first >= 8


def test_folders_that_do_not_fit_are_told(gpu, make_folder, tmp_path):
    row = GOLDEN["llama"]
    config, seed = row["config"], row["seed"]

    def told(what, change=None, **differs):
        folder = make_folder({**config, **differs}, seed, change=change)
        with pytest.raises(wg.errors.FormatError, match=what):
            load(folder, gpu)

    told("model_type is 'mamba'; known are 'llama', 'mistral', 'qwen2', 'qwen3'", model_type="mamba")
    told("'gelu'.*known are 'silu'", hidden_act="gelu")
    told("'longrope'; known are default, linear, llama3, yarn", rope_scaling={"rope_type": "longrope"})
    told("rope_parameters: factor is missing", rope_scaling={"rope_type": "linear"})
    told("shared evenly", num_key_value_heads=3)
    told("rms_norm_eps is -1", rms_norm_eps=-1)
    told(
        r"lacks blk.1.attn_k.weight, which its config promises",
        lambda w: w.pop("model.layers.1.self_attn.k_proj.weight"),
    )
    told(r"lacks output.weight", lambda w: w.pop("lm_head.weight"))
    told(
        r"up_proj.weight has shape \(3, 64\), but the config asks for \(96, 64\)",
        lambda w: w.update({"model.layers.2.mlp.up_proj.weight": np.ones((3, 64), np.float32)}),
    )
    folder = make_folder(config, seed, pieces=100)
    with pytest.raises(wg.errors.FormatError, match="has 100 tokens, but the model's embedding 72 rows"):
        load(folder, gpu)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(wg.errors.FormatError, match=r"is not a tokenizer.json"):
        load(folder, gpu)
    for name in ("tokenizer.json", "config.json"):
        (folder / name).unlink()
        with pytest.raises(wg.errors.FormatError, match=f"lacks {name}"):
            load(folder, gpu)


@pytest.mark.no_adapter
def test_templates_that_fail_are_told(make_folder):
    row = GOLDEN["llama"]
    message = [{"role": "u", "content": "w5"}]
    for template, what in (
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{% for %}", "refuses these messages"),
        ("{{ messages[7].content.x }}", "refuses these messages"),
        ("{{ 1 / 0 }}", "refuses these messages"),
        ("{{ messages.append(1) }}", "refuses these messages"),
        ("{{ ''.__class__.__mro__ }}", "refuses these messages|no tokens"),
    ):
        tokenizer = find(make_folder(row["config"], row["seed"], template=template)).tokenizer
        with pytest.raises(wg.PromptError, match=what):
            tokenizer.chat(message)
    tokenizer = find(make_folder(row["config"], row["seed"], template=None)).tokenizer
    with pytest.raises(wg.errors.FormatError, match="no chat template"):
        tokenizer.chat(message)
