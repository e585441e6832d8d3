"""A model in several .gguf files is opened whole, by every route, or not at all: no browser."""

from __future__ import annotations

import json
import secrets
import shutil

import gguf
import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.weights import readers
from webgpu_widget.weights.formats import Parsed
from webgpu_widget.weights.formats.gguf_split import part_count, part_names, place_in_name
from webgpu_widget.weights.source import open_source

pytestmark = pytest.mark.no_adapter


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(readers, "RETRY_WAIT_S", 0.001)


def some_tensors(count, seed):
    rng = np.random.default_rng(seed)
    return {f"blk.{number}.w": rng.normal(size=(3 + number, 32)).astype(np.float32) for number in range(count)}


def split_by_the_library(path, tensors, per_part):
    """The gguf package's own splitting."""
    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=per_part)
    writer.add_context_length(77)
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(path.parent.glob(f"{path.stem}-*.gguf"))


def one_part(path, tensors, **split):
    """One part, with any keys; None leaves one out."""
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in split.items():
        if value is not None:
            writer.add_uint32(f"split.{key.replace('_', '.')}", value)
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def holds(source, tensors):
    with open_source(source) as opened:
        assert {tensor.name for tensor in opened.tensors} == set(tensors)
        for tensor in opened.tensors:
            data = opened.files[tensor.file].reader.read(tensor.offset, tensor.bytes)
            np.testing.assert_array_equal(np.frombuffer(data, np.float32).reshape(tensor.shape), tensors[tensor.name])
        assert opened.metadata["llama.context_length"] == 77
    plan = wg.inspect_weights(source)
    assert plan.total_bytes == sum(value.nbytes for value in tensors.values())


@pytest.mark.parametrize(("count", "per_part"), [(2, 1), (5, 2), (12, 1)])
def test_any_part_opens_the_whole(tmp_path, server, monkeypatch, count, per_part):
    seed = secrets.randbits(32)
    print("seed", seed)
    tensors = some_tensors(count, seed)
    parts = split_by_the_library(tmp_path / "m.gguf", tensors, per_part)
    assert len(parts) == -(-count // per_part)
    for part in parts:
        holds(part, tensors)
    holds(tmp_path, tensors)
    monkeypatch.setenv("HF_ENDPOINT", server.url("").rstrip("/"))
    monkeypatch.setenv("HF_HUB_CACHE", "/nonexistent")
    for part in parts:
        server.files[f"owner/name/resolve/main/Q4%20K/{part.name}"] = part.read_bytes()
    holds(server.url(f"owner/name/resolve/main/Q4%20K/{parts[-1].name}?download=true"), tensors)
    holds(f"hf:owner/name/Q4 K/{parts[0].name}", tensors)
    listing = {"siblings": [{"rfilename": f"Q4 K/{part.name}"} for part in parts]}
    server.files["api/models/owner/name"] = json.dumps(listing).encode()
    holds("hf:owner/name", tensors)


def test_missing_parts_are_named(tmp_path, server):
    parts = split_by_the_library(tmp_path / "m.gguf", some_tensors(5, 1), 1)
    for part in parts:
        server.files[part.name] = part.read_bytes()
    for lost in (parts[1], parts[4]):
        lost.unlink()
        del server.files[lost.name]
    for source in (parts[0], parts[3], tmp_path, server.url(parts[0].name)):
        with pytest.raises(wg.FormatError, match=f"5 parts.*{parts[1].name}, {parts[4].name} are missing"):
            wg.inspect_weights(source)


def test_a_claim_of_many_parts_costs_little(tmp_path, server):
    name = "m-00001-of-65535.gguf"
    one_part(tmp_path / name, some_tensors(1, 1), no=0, count=65_535)
    server.files[name] = (tmp_path / name).read_bytes()
    for source in (tmp_path / name, server.url(name)):
        with pytest.raises(wg.FormatError, match=r"m-00009-of-65535.gguf, \.\.\. are missing"):
            wg.inspect_weights(source)
    assert len(server.log) <= 3


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"no": 0, "count": 2}, "split.no = 0"),
        ({"no": 1, "count": 3}, "split.count = 3"),
        ({"no": 2, "count": 2}, "not a number from 0 to 1"),
        ({"no": None, "count": 2}, "split.no is None"),
        ({"no": 1, "count": None}, "split.count = None"),
        ({"no": 1, "count": 2, "tensors_count": 3}, "they hold 2"),
    ],
)
def test_inconsistent_parts_are_refused(tmp_path, second, why):
    first, other = tmp_path / "m-00001-of-00002.gguf", tmp_path / "m-00002-of-00002.gguf"
    one_part(first, {"a": np.ones(4, np.float32)}, no=0, count=2, tensors_count=2)
    one_part(other, {"b": np.ones(4, np.float32)}, **second)
    with pytest.raises(wg.FormatError, match=why):
        wg.inspect_weights(first)


def test_a_tensor_in_two_parts_is_refused(tmp_path):
    for number in range(2):
        path = tmp_path / f"m-0000{number + 1}-of-00002.gguf"
        one_part(path, {"a": np.ones(4, np.float32)}, no=number, count=2, tensors_count=2)
    with pytest.raises(wg.FormatError, match="'a' stands in m-00001-of-00002.gguf and in m-00002"):
        wg.inspect_weights(path)


def test_names_and_headers_must_agree(tmp_path):
    parts = split_by_the_library(tmp_path / "m.gguf", some_tensors(2, 1), 1)
    renamed = tmp_path / "first.gguf"
    shutil.copy(parts[0], renamed)
    with pytest.raises(wg.FormatError, match="part 1 of 2.*NAME-00001-of-00002.gguf"):
        wg.inspect_weights(renamed)
    shutil.copy(parts[1], parts[0])
    with pytest.raises(wg.FormatError, match="mixed up"):
        wg.inspect_weights(parts[0])
    one_part(parts[0], some_tensors(1, 1))
    with pytest.raises(wg.FormatError, match="no split.count"):
        wg.inspect_weights(parts[0])


def test_whole_models_stay_whole(tmp_path):
    tensors = some_tensors(2, 1)
    for name, split in [("a.gguf", {}), ("merged.gguf", {"no": 0, "count": 0, "tensors_count": 2}),
                        ("b-00001-of-00001.gguf", {"no": 0, "count": 1, "tensors_count": 2})]:  # fmt: skip
        one_part(tmp_path / name, tensors, **split)
        assert len(wg.inspect_weights(tmp_path / name).tensors) == 2
    one_part(tmp_path / "c.gguf", tensors, no=0, count=1, tensors_count=3)
    with pytest.raises(wg.FormatError, match="they hold 2"):
        wg.inspect_weights(tmp_path / "c.gguf")


def test_a_hub_cache_with_some_parts_is_not_whole(tmp_path, monkeypatch):
    parts = split_by_the_library(tmp_path / "m.gguf", some_tensors(2, 1), 1)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda _repo, name: str(tmp_path / name))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(readers, "RETRIES", 0)
    assert len(wg.inspect_weights(f"hf:owner/name/{parts[0].name}").tensors) == 2
    parts[1].unlink()
    with pytest.raises(wg.WeightsError, match="127.0.0.1:9"):
        wg.inspect_weights(f"hf:owner/name/{parts[0].name}")


def test_a_lone_shard_in_a_folder_is_not_a_model(tmp_path):
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"")
    with pytest.raises(wg.WeightsError, match="index"):
        wg.inspect_weights(tmp_path)


@pytest.mark.parametrize("count", [-1, 65_536, "2", 2.0, True, [2], np.zeros(2)])
def test_counts_that_are_none(count):
    with pytest.raises(wg.FormatError, match="split.count is"):
        part_count(Parsed([], {"split.count": count, "split.no": 0}, b""), "m.gguf")


def test_names():
    assert place_in_name("a-b-00003-of-00012.gguf") == (3, 12)
    for name in (
        "m.gguf",
        "m-0001-of-00002.gguf",
        "m-00001-of-00002",
        "m-00001-of-00002.gguf.part",
        "m-0000\u0661-of-00002.gguf",
    ):
        assert place_in_name(name) is None
        assert part_names(name) == [name]
