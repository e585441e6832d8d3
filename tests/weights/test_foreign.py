"""What is no weights file: the error says what was given, and what to do; no browser."""

from __future__ import annotations

import gzip
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

import webgpu_widget as wg
from webgpu_widget.weights.formats.foreign import refuse_foreign

pytestmark = pytest.mark.no_adapter

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("m.safetensors", POINTER, "Git LFS pointer.*git lfs pull"),
        ("m.safetensors", b"<!DOCTYPE html><title>Log in</title>", "a web page"),
        ("m.safetensors", b'{"weight_map": {}}', "JSON text.*index"),
        ("config.json", b' \n{"a": 1}', "JSON text"),
        ("m.pt", pickle.dumps({"a": 1}), "a pickle.*safetensors"),
        ("m.safetensors.gz", gzip.compress(b"0" * 99, mtime=0), "gzip-compressed"),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
        ("m.bin", b"lmgg" + bytes(99) + b"\xff", "GGML"),
    ],
)
def test_errors_say_what_was_given(tmp_path, server, name, data, why):
    (tmp_path / name).write_bytes(data)
    server.files[name] = data
    if int.from_bytes(data[:8], "little") <= len(data):
        pytest.fail("the sample could be safetensors")
    for source in (tmp_path / name, server.url(name)):
        with pytest.raises(wg.FormatError, match=f"{name}: is .*{why}"):
            wg.inspect_weights(source)


@pytest.mark.parametrize("dtype", ["f4", "i8", "c16"])
def test_npy(tmp_path, dtype):
    np.save(tmp_path / "x.npy", np.ones(5, dtype))
    with pytest.raises(wg.FormatError, match=r"x.npy: is a .npy file.*np\.load.*np\.savez"):
        wg.inspect_weights(tmp_path / "x.npy")


@pytest.mark.parametrize("variant", ["", ".fp16", ".non-ema"])
def test_an_index_of_a_variant(tmp_path, server, variant):
    shards = [f"model{variant}-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = f"model.safetensors.index{variant}.json"
    for number, shard in enumerate(shards):
        save_file({f"t{number}": np.ones(3, np.float32)}, tmp_path / shard)
        server.files[shard] = save({f"t{number}": np.ones(3, np.float32)})
    text = json.dumps({"metadata": {}, "weight_map": {f"t{number}": shard for number, shard in enumerate(shards)}})
    (tmp_path / index).write_text(text)
    server.files[index] = text.encode()
    for source in (tmp_path / index, tmp_path, server.url(index)):
        assert {tensor.name for tensor in wg.inspect_weights(source).tensors} == {"t0", "t1"}
    (tmp_path / shards[1]).unlink()
    del server.files[shards[1]]
    for source in (tmp_path / index, tmp_path, server.url(index)):
        with pytest.raises(wg.FormatError, match=f"names the shard {shards[1]}, which is not beside it"):
            wg.inspect_weights(source)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=8), st.integers(0, 1 << 60))
def test_any_beginning(head, size):
    try:
        refuse_foreign(head, "x", size)
    except wg.FormatError as error:
        assert str(error).startswith("x: is ")
        assert len(head) < 8 or int.from_bytes(head, "little") > size - 8
