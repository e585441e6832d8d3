"""Headers that lie: whatever the bytes, a parser returns tensors inside the file or raises FormatError."""

from __future__ import annotations

import io
import itertools
import json
import struct
import zipfile

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

import webgpu_widget as wg
from webgpu_widget.weights.formats import gguf as gguf_format
from webgpu_widget.weights.formats import npz, safetensors
from webgpu_widget.weights.tensors import ENCODINGS

pytestmark = pytest.mark.no_adapter

SETTINGS = settings(max_examples=150, deadline=None)


class Memory:
    """A ByteReader over bytes that counts what is asked for and refuses what is not there."""

    def __init__(self, data, name="file"):
        self.data, self.name, self.size, self.taken = data, name, len(data), 0

    def read(self, offset, size):
        assert offset >= 0, "a negative offset"
        assert size >= 0, "a negative size"
        assert offset + size <= self.size, "a read past the end"
        self.taken += size
        return self.data[offset : offset + size]


def inside(parsed, size):
    spans = sorted((t.offset, t.offset + t.bytes) for t in parsed.tensors if t.bytes)
    for begin, end in spans:
        assert 0 <= begin <= end <= size
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert end <= begin
    for tensor in parsed.tensors:
        assert tensor.dtype not in ENCODINGS or tensor.encoding.size_bytes(tensor.size) == tensor.bytes


def parses_or_refuses(parse, data):
    try:
        parsed = parse(Memory(data))
    except wg.FormatError:
        return
    inside(parsed, len(data))


def st_file(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


GOOD = save({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float16)})


def gguf_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_array("tokens", ["a", "bc", "def"])
    writer.add_array("scores", [1.0, 2.0, 3.0])
    writer.add_tensor("blk.0.w", np.arange(64, dtype=np.float32).reshape(2, 32))
    writer.add_tensor("blk.1.w", np.zeros((2, 34), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def gguf_path(tmp_path_factory):
    return gguf_file(tmp_path_factory)


# ---------------------------------------------------------------- safetensors


def test_safetensors_agrees_with_the_library():
    parsed = safetensors.parse(Memory(GOOD))
    assert {t.name: (t.dtype, t.shape, t.bytes) for t in parsed.tensors} == {
        "a": ("F32", (2, 3), 24),
        "b": ("F16", (3,), 6),
    }
    assert GOOD[parsed.tensors[0].offset :][:24] == np.arange(6, dtype=np.float32).tobytes()


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "data", "why"),
    [
        ({"a": F32}, b"1234567", "cut short"),
        ({"a": F32}, b"123456789", "gaps"),
        ({"a": F32, "b": {**F32, "data_offsets": [4, 12]}}, bytes(12), "overlap"),
        ({"a": {**F32, "dtype": "f33 "}}, bytes(8), "the dtype is"),
        ({"a": {**F32, "dtype": ["F32"]}}, bytes(8), "the dtype is"),
        ({"a": {**F32, "dtype": "F64"}}, bytes(8), "takes 16 bytes"),
        ({"a": {**F32, "shape": [-2]}}, bytes(8), "dimension"),
        ({"a": {**F32, "shape": [True, 2]}}, bytes(8), "dimension"),
        ({"a": {**F32, "shape": [2.0]}}, bytes(8), "dimension"),
        ({"a": {**F32, "shape": [1 << 40, 1 << 40]}}, bytes(8), r"2\*\*53"),
        ({"a": {**F32, "shape": [0, 1 << 60]}}, bytes(8), "dimension"),
        ({"a": {**F32, "shape": "2"}}, bytes(8), "list"),
        ({"a": {**F32, "data_offsets": [8, 0]}}, bytes(8), "data_offsets"),
        ({"a": {**F32, "data_offsets": [-8, 0]}}, bytes(8), "data_offsets"),
        ({"a": {**F32, "data_offsets": [0, 8.0]}}, bytes(8), "integers"),
        ({"a": {**F32, "data_offsets": [1 << 70, (1 << 70) + 8]}}, bytes(8), "claims"),
        ({"a": {**F32, "more": 1}}, bytes(8), "nothing else"),
        ({"a": [1]}, bytes(8), "must have"),
        ({"__metadata__": {"a": 1}}, b"", "strings"),
        ({"x" * 5000: F32}, bytes(8), "characters"),
        (b'{"a": 1, "a": 2}', b"", "twice"),
        (b'{"a": NaN}', b"", "NaN"),
        (b"[]", b"", "list"),
        (b"{", b"", "not JSON"),
        (b"\xff\xfe", b"", "not JSON"),
        (b"[" * 100_000, b"", "not JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", b"", "not JSON"),
    ],
)
def test_safetensors_refuses(header, data, why):
    with pytest.raises(wg.FormatError, match=why):
        safetensors.parse(Memory(st_file(header, data)))


def test_safetensors_length_cap():
    for length in (10**8 + 1, 2**63, 2**64 - 1):
        reader = Memory(length.to_bytes(8, "little") + bytes(100))
        with pytest.raises(wg.FormatError, match="claims"):
            safetensors.parse(reader)
        assert reader.taken <= 108, "nothing was read on a lie's account"


@SETTINGS
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_safetensors_any_byte_changed(place, value):
    parses_or_refuses(safetensors.parse, GOOD[:place] + bytes([value]) + GOOD[place + 1 :])


@SETTINGS
@given(st.binary(max_size=300))
def test_safetensors_noise(data):
    parses_or_refuses(safetensors.parse, data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "I8", "BF16", "BOOL"]) | json_values,
        "shape": st.lists(st.integers(-1, 5), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 40), min_size=2, max_size=2) | json_values,
    }
)


@SETTINGS
@given(st.dictionaries(st.text(max_size=5), entries | json_values, max_size=4), st.integers(0, 60))
def test_safetensors_any_header(header, size):
    parses_or_refuses(safetensors.parse, st_file(header, bytes(size)))


@pytest.mark.parametrize(
    "name",
    ["../up.safetensors", "/etc/x.safetensors", "a/b.safetensors", "..\\x.safetensors", "C:x.safetensors", "x.bin",
     ".safetensors", "a\0.safetensors", "http://x/y.safetensors", "%2e%2e%2fx.safetensors", "x?.safetensors", 3, None],
)  # fmt: skip
def test_shard_names_stay_in_their_folder(name):
    index = json.dumps({"weight_map": {"w": name}}).encode()
    with pytest.raises(wg.FormatError, match="bare"):
        safetensors.parse_index(index, "index")


@pytest.mark.parametrize("index", [{}, {"weight_map": []}, {"weight_map": {}}, []])
def test_index_without_a_map(index):
    with pytest.raises(wg.FormatError):
        safetensors.parse_index(json.dumps(index).encode(), "index")


def test_an_index_that_names_what_a_shard_lacks(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(GOOD)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"zzz": "a.safetensors"}}))
    with pytest.raises(wg.FormatError, match="does not"):
        wg.inspect_weights(index)
    index.write_text(json.dumps({"weight_map": {"a": "missing.safetensors"}}))
    with pytest.raises(wg.WeightsError, match="missing"):
        wg.inspect_weights(index)


# ---------------------------------------------------------------- gguf


def test_gguf_agrees_with_the_library(gguf_path):
    theirs = gguf.GGUFReader(gguf_path)
    parsed = gguf_format.parse(Memory(gguf_path.read_bytes()))
    ours = {t.name: t for t in parsed.tensors}
    assert len(ours) == len(theirs.tensors)
    for tensor in theirs.tensors:
        assert ours[tensor.name].offset == tensor.data_offset
        assert ours[tensor.name].bytes == tensor.n_bytes
        assert ours[tensor.name].shape == tuple(int(n) for n in reversed(tensor.shape))
    assert parsed.metadata["tokens"] == ["a", "bc", "def"]
    assert parsed.metadata["llama.block_count"] == 2
    np.testing.assert_array_equal(parsed.metadata["scores"], [1, 2, 3])


def test_gguf_refuses(gguf_path):
    data = gguf_path.read_bytes()

    def parse(changed):
        return gguf_format.parse(Memory(changed))

    with pytest.raises(wg.FormatError, match="begin with GGUF"):
        parse(b"GGML" + data[4:])
    with pytest.raises(wg.FormatError, match="version 1"):
        parse(data[:4] + struct.pack("<I", 1) + data[8:])
    with pytest.raises(wg.FormatError, match="big-endian"):
        parse(data[:4] + struct.pack(">I", 3) + data[8:])
    for place in (8, 16):
        for count in (1 << 40, (1 << 64) - 1, 10**6 + 1):
            reader = Memory(data[:place] + struct.pack("<Q", count) + data[place + 8 :])
            with pytest.raises(wg.FormatError):
                gguf_format.parse(reader)
    end = max(t.offset + t.bytes for t in parse(data).tensors)
    for size in [*range(0, end, 37), end - 1]:
        with pytest.raises(wg.FormatError):
            parse(data[:size])


def test_gguf_any_byte_changed(gguf_path):
    data = gguf_path.read_bytes()

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, len(data) - 1), st.integers(0, 255))
    def check(place, value):
        parses_or_refuses(gguf_format.parse, data[:place] + bytes([value]) + data[place + 1 :])

    check()


@SETTINGS
@given(st.binary(max_size=200))
def test_gguf_noise(data):
    parses_or_refuses(gguf_format.parse, b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + data)


# ---------------------------------------------------------------- npz


def npz_bytes(compressed=False, **arrays):
    target = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(target, **arrays)
    return target.getvalue()


ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.int64)}


def test_npz_places():
    data = npz_bytes(**ARRAYS)
    parsed = npz.parse(Memory(data))
    for tensor in parsed.tensors:
        assert data[tensor.offset : tensor.offset + tensor.bytes] == ARRAYS[tensor.name].tobytes()
    assert npz.parse(Memory(npz_bytes(compressed=True, **ARRAYS))).tensors == []


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_any_byte_changed(compressed):
    data = npz_bytes(compressed=compressed, **ARRAYS)

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, len(data) - 1), st.integers(0, 255))
    def check(place, value):
        changed = data[:place] + bytes([value]) + data[place + 1 :]
        try:
            parsed = npz.parse(Memory(changed))
            unpacked = npz.unpack(Memory(changed), parsed.indirect, io.BytesIO())
        except wg.FormatError:
            return
        inside(parsed, len(changed))
        assert all(tensor.bytes < 1 << 20 for tensor in unpacked)

    check()


def test_npz_refuses():
    for listed in (np.array([{}], dtype=object), np.zeros(3, [("x", "f4")])):
        (found,) = npz.parse(Memory(npz_bytes(o=listed))).tensors
        assert found.encoding.kind == "unknown"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)})
        member.write(bytes(1 << 16))
    with pytest.raises(wg.FormatError, match="takes"):
        npz.parse(Memory(bomb.getvalue()))
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("a.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", b"")
    with pytest.raises(wg.FormatError):
        npz.parse(Memory(twice.getvalue()))
    with pytest.raises(wg.FormatError):
        npz.parse(Memory(b"PK\x03\x04" + bytes(100)))


def test_npz_unpacks_what_must_be_read_by_python():
    rng = np.random.default_rng(0)
    arrays = {
        "f": np.asfortranarray(rng.normal(size=(4, 5)).astype(np.float32)),
        "big": rng.integers(0, 99, 7).astype(">i4"),
        "plain": rng.normal(size=300_000).astype(np.float32),
    }
    data = npz_bytes(compressed=True, **arrays)
    parsed = npz.parse(Memory(data))
    target = io.BytesIO()
    for tensor in npz.unpack(Memory(data), parsed.indirect, target):
        raw = target.getvalue()[tensor.offset : tensor.offset + tensor.bytes]
        expected = arrays[tensor.name]
        np.testing.assert_array_equal(
            np.frombuffer(raw, expected.dtype.newbyteorder("<")).reshape(tensor.shape), expected
        )
    broken = data[:200] + bytes([data[200] ^ 1]) + data[201:]
    with pytest.raises(wg.FormatError):
        npz.unpack(Memory(broken), parsed.indirect, io.BytesIO())
