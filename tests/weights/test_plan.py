"""Stages, rules, sources and readers: no browser."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from safetensors.numpy import save, save_file

import webgpu_widget as wg
from webgpu_widget.weights import readers
from webgpu_widget.weights.convert import Rules, split
from webgpu_widget.weights.plan import assign_stages, stage_name
from webgpu_widget.weights.readers import HttpReader
from webgpu_widget.weights.routes import chunk_bytes_for
from webgpu_widget.weights.source import open_source
from webgpu_widget.weights.tensors import TensorInfo

from .conftest import layers

pytestmark = pytest.mark.no_adapter


def order(names, stages=None):
    found = assign_stages(names, stages)
    return list(dict.fromkeys(found.values())), found


def test_layers_of_t5():
    names = [
        "decoder.block.0.layer.1.w", "decoder.final_layer_norm.weight", "encoder.block.10.layer.0.w",
        "encoder.block.2.layer.0.w", "encoder.final_layer_norm.weight", "lm_head.weight", "shared.weight",
    ]  # fmt: skip
    stages, found = order(names)
    assert stages == [
        "embeddings",
        "encoder.block.2",
        "encoder.block.10",
        "encoder",
        "decoder.block.0",
        "decoder",
        "head",
    ]
    assert found["shared.weight"] == "embeddings"


@pytest.mark.parametrize(
    ("names", "stages"),
    [
        (["model.embed_tokens.weight", "model.layers.1.w", "model.layers.0.w", "model.norm.weight", "lm_head.weight"],
         ["embeddings", "model.layers.0", "model.layers.1", "model", "head"]),
        (["wte.weight", "h.0.w", "ln_f.weight"], ["embeddings", "h.0", "head"]),
        (["token_embd.weight", "blk.0.w", "blk.10.w", "blk.9.w", "output_norm.weight"],
         ["embeddings", "blk.0", "blk.9", "blk.10", "head"]),
        (["layer_1/w", "layer_0/w"], ["layer.0", "layer.1"]),
        (["0.weight", "2.weight", "10.weight"], ["0", "2", "10"]),
        (["a", "b"], ["all"]),
    ],
)  # fmt: skip
def test_layers_of_others(names, stages):
    assert order(names)[0] == stages


def test_stages_of_the_caller():
    names = ["a.w", "b.w", "c.w"]
    assert assign_stages(names, [["c.*"], ["a.*", "zzz"]]) == {"c.w": "0", "a.w": "1", "b.w": "rest"}
    assert list(assign_stages(names, lambda name: -ord(name[0]))) == ["c.w", "b.w", "a.w"]
    assert list(assign_stages(names, lambda name: "x" if name < "b" else "a").values()) == ["x", "a", "a"]
    with pytest.raises(wg.WeightsError, match="stages"):
        assign_stages(names, "layer")
    assert stage_name(1, ("x", "y")) == "y"
    assert stage_name("1", ("1", "0")) == "1"
    with pytest.raises(wg.WebGPUWidgetError, match="'x'"):
        stage_name("z", ("x", "y"))


def tensor(dtype="F32", shape=(64, 64), name="w"):
    from webgpu_widget.weights.tensors import ENCODINGS

    return TensorInfo(name, dtype, shape, ENCODINGS[dtype].size_bytes(int(np.prod(shape))), "s", 0, 0)


@pytest.mark.parametrize(
    ("dtype", "wanted", "becomes"),
    [
        ("F32", None, ("float32", None, None)), ("F16", None, ("float16", None, None)),
        ("BF16", None, ("float32", "decode_bf16", None)), ("BF16", "f16", ("float16", "decode_bf16", "encode_f16")),
        ("F32", np.float16, ("float16", None, "encode_f16")), ("F16", "f32", ("float32", "decode_f16", None)),
        ("Q4_K", "f16", ("float16", "decode_q4_k", "encode_f16")), ("I64", "f16", ("int32", "decode_i64", None)),
        ("I32", None, ("int32", None, None)), ("BOOL", None, ("bool", "decode_bool", None)),
    ],
)  # fmt: skip
def test_rules(dtype, wanted, becomes):
    target = Rules(wanted).target(tensor(dtype, (64, 256)))
    assert (target.dtype, target.decode, target.encode) == becomes


def test_rules_refuse():
    for value in ("f8", np.int8, "int8", object()):
        with pytest.raises(wg.DTypeError, match="dtype="):
            Rules(value)
    with pytest.raises(wg.DTypeError, match="int4"):
        Rules(None, "int2")
    assert "float64" in Rules().target(tensor("F64")).refused
    assert "IQ2_S" in Rules().target(tensor("IQ2_S", (2, 256))).refused


def test_quantize_takes_matrices_only():
    rules = Rules(None, {"*.skip": None, "*": "int8"})
    assert rules.target(tensor()).dtype == "int8"
    assert rules.target(tensor(name="a.skip")).dtype == "float32"
    assert rules.target(tensor(shape=(64,))).dtype == "float32"
    assert rules.target(tensor(shape=(4, 30))).dtype == "float32"
    assert rules.target(tensor("I32")).dtype == "int32"


def test_split_covers_every_row_once():
    for dtype, shape, limit in [("F32", (100, 7), 500), ("BF16", (33, 5), 256), ("Q8_0", (9, 64), 1000)]:
        item = tensor(dtype, shape)
        parts = split(item, Rules().target(item), limit)
        assert len(parts) > 1
        assert sum(part.shape[0] for part in parts) == shape[0]
        at = 0
        for part in parts:
            assert part.offset == at
            at += part.bytes
        assert at == item.bytes


def test_chunks():
    assert [chunk_bytes_for(size) for size in (0, 10**6, 10**8, 10**9, 10**11)] == [
        1 << 18,
        1 << 18,
        1 << 20,
        1 << 22,
        1 << 22,
    ]


def test_stages_that_are_none(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"x": np.ones(3, np.float32)}, path)
    for stages in (5, "layer", b"x", [[1]], [5], [["x"], None], 2.5):
        with pytest.raises(wg.WeightsError, match=r"stages=.*must be 'layers', a list of lists"):
            wg.inspect_weights(path, stages=stages)  # type: ignore[arg-type]
    for made in ([0], {}, (1, [2])):
        with pytest.raises(wg.WeightsError, match="for 'x'; a stage is a number or a str"):
            wg.inspect_weights(path, stages=lambda name, made=made: made)
    assert wg.inspect_weights(path, stages=("x*",)).stages == ("0",)


def test_missing_and_ambiguous_sources(tmp_path):
    with pytest.raises(wg.WeightsError, match="the source is 5 of type int; pass a path"):
        wg.inspect_weights(5)  # type: ignore[arg-type]
    with pytest.raises(wg.WeightsError, match="no such file"):
        wg.inspect_weights(tmp_path / "none.safetensors")
    for name in ("a", "b"):
        save_file({"x": np.ones(3, np.float32)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(wg.WeightsError, match="2 weights files"):
        wg.inspect_weights(tmp_path)
    for text in ("hf:owner", "hf:", "hf:a/../b", "http://", "ftp://x/y.npz"):
        with pytest.raises(wg.WeightsError):
            wg.inspect_weights(text)


def test_keys_follow_the_content(tmp_path):
    path = tmp_path / "a.safetensors"
    keys = set()
    for value in (1, 2):
        save_file({"x": np.full(3, value, np.float32)}, path)
        with open_source(path) as source:
            keys.add(source.files[0].key)
        with open_source(path) as source:
            keys.add(source.files[0].key)
        time.sleep(0.02)
    assert len(keys) == 2


# ---------------------------------------------------------------- http


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(readers, "RETRY_WAIT_S", 0.001)


def test_inspecting_a_url_moves_no_tensor(server):
    server.files["m.safetensors"] = save(layers(8, rows=256, columns=1024))
    plan = wg.inspect_weights(server.url("m.safetensors"))
    assert len(plan.tensors) == 18
    time.sleep(0.05)
    assert server.sent <= 64 * 1024
    assert plan.total_bytes > 8 * 2**20


def test_http_reader(server):
    data = bytes(range(256)) * 2000
    server.files["x"] = data
    server.faults.statuses = [503, 429]
    server.faults.retry_after = "0"
    reader = HttpReader(server.url("x"))
    assert reader.read(300_000, 1000) == data[300_000:301_000]
    server.faults.cut_at = {400_500}
    assert reader.read(400_000, 1000) == data[400_000:401_000]
    server.faults.statuses = [500] * 20
    with pytest.raises(wg.WeightsError, match="500"):
        reader.read(200_000, 10)
    server.faults.statuses = []
    server.faults.etag = '"two"'
    with pytest.raises(wg.IntegrityError, match="replaced"):
        reader.read(200_000, 10)


def test_http_reader_without_ranges(server):
    data = bytes(range(256)) * 2000
    server.files["x"] = data
    server.faults.ranges = False
    reader = HttpReader(server.url("x"))
    assert not reader.ranges
    assert reader.read(300_000, 1000) == data[300_000:301_000]


def test_the_hub(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", server.url("").rstrip("/"))
    monkeypatch.setenv("HF_HUB_CACHE", "/nonexistent")
    data = save(layers(1))
    server.files["owner/name/resolve/main/model.safetensors"] = data
    server.files["owner/name/resolve/main/sub/x.safetensors"] = data
    listing = {"siblings": [{"rfilename": "config.json"}, {"rfilename": "model.safetensors"}]}
    server.files["api/models/owner/name"] = json.dumps(listing).encode()
    for source in ("hf:owner/name", "hf:owner/name/model.safetensors", "hf:owner/name/sub/x.safetensors"):
        assert len(wg.inspect_weights(source).tensors) == 4
    server.files["api/models/owner/name"] = b"{}"
    with pytest.raises(wg.WeightsError, match="name the file"):
        wg.inspect_weights("hf:owner/name")


def test_the_hubs_cache_comes_first(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    folder = tmp_path / "models--owner--name"
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    save_file(layers(1), snapshot / "model.safetensors")
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache",
        lambda repo, name: huggingface_hub.file_download.try_to_load_from_cache(repo, name, cache_dir=tmp_path),
    )
    plan = wg.inspect_weights("hf:owner/name")
    assert plan.source == "hf:owner/name"
    assert len(plan.tensors) == 4
