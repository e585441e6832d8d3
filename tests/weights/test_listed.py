"""What no kernel decodes is listed and refused by its name, while the rest of the file loads."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.reference import weights as twin

KEPT = np.arange(8, dtype=np.float32)
QUICK = {"progress": False, "cache": False}


def safetensors_of(tensors, metadata=None):
    """A file of (dtype, shape, bytes) by name."""
    header, data = {} if metadata is False else {"__metadata__": metadata}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def gguf_of(tensors, pairs=()):
    """A file of (type number, extents, bytes) by name, with (key, raw string) pairs."""

    def text(value):
        return struct.pack("<Q", len(value)) + value

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    for key, value in pairs:
        head += text(key.encode()) + struct.pack("<I", 8) + text(value)
    data = b""
    for name, (number, extents, raw) in tensors.items():
        head += text(name.encode()) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, number, len(data))
        data += raw + bytes(-len(raw) % 32)
    return head + bytes(-len(head) % 32) + data


def holds_the_rest(gpu, path, refused):
    plan = wg.inspect_weights(path, gpu=gpu)
    assert {tensor.name for tensor in plan.tensors} == {*refused, "kept"}
    with wg.load_weights(path, gpu, **QUICK) as weights:
        assert np.array_equal(weights["kept"].numpy(), KEPT)
        for name in refused:
            with pytest.raises(wg.FormatError, match=name):
                weights[name]


def test_archives_with_objects_strings_and_structs(clean, tmp_path):
    path = tmp_path / "mixed.npz"
    odd = {
        "words": np.array(["a", "bc"]),
        "things": np.array([None, {}], object),
        "records": np.zeros(3, [("a", "f4"), ("b", "i4")]),
        "when": np.zeros(2, "M8[s]"),
    }
    np.savez(path, kept=KEPT, **odd)
    holds_the_rest(clean, path, odd)
    np.savez_compressed(path, kept=KEPT, **odd)
    holds_the_rest(clean, path, odd)


def test_archives_with_members_that_cannot_be_read(clean, tmp_path):
    def member(array):
        target = io.BytesIO()
        np.save(target, array)
        return target.getvalue()

    def npz_of(packed, **members):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("kept.npy", member(KEPT))
            for name, data in members.items():
                archive.writestr(f"{name}.npy", data, compress_type=packed)

    path = tmp_path / "mixed.npz"
    with pytest.warns(UserWarning, match="format 3.0"):
        foreign_names = member(np.zeros(2, [("\u91cd\u307f", "f4")]))
    long_header = member(np.zeros(1, [(f"field_{index}", "f4") for index in range(2000)]))
    npz_of(zipfile.ZIP_STORED, foreign=foreign_names, long=long_header, text=b"not an array", nothing=b"")
    holds_the_rest(clean, path, ["foreign", "long", "text", "nothing"])
    for packed in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        npz_of(packed, other=member(KEPT))
        holds_the_rest(clean, path, ["other"])


@pytest.mark.no_adapter
def test_a_packed_member_that_lies_beyond_the_archive_is_refused(tmp_path):
    path = tmp_path / "lies.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", bytes(64), compress_type=zipfile.ZIP_BZIP2)
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 42  # where the directory says that the member begins
    data[place : place + 4] = struct.pack("<I", len(data) - 8)
    path.write_bytes(data)
    with pytest.raises(wg.FormatError, match="begins at byte"):
        wg.inspect_weights(path)


@pytest.mark.no_adapter
def test_an_empty_archive_holds_nothing(tmp_path):
    path = tmp_path / "empty.npz"
    np.savez(path)
    assert wg.inspect_weights(path).tensors == ()


def test_safetensors_of_a_later_format(clean, tmp_path):
    path = tmp_path / "later.safetensors"
    kept = ("F32", [8], KEPT.tobytes())
    later = {
        "x": ("F5_E3M1", [8], bytes(5)),
        "kept": kept,
        "y": ("I4", [3, 2], bytes(3)),
        "z": ("F6_E2M3", [8], bytes(6)),
    }
    path.write_bytes(safetensors_of(later))
    holds_the_rest(clean, path, ["x", "y", "z"])


def test_gguf_of_a_later_format(clean, tmp_path):
    path = tmp_path / "later.gguf"
    tensors = {
        "x": (99, [64], bytes(70)),
        "kept": (0, [8], KEPT.tobytes()),
        "y": (40, [64], bytes(36)),
        "z": (1234, [5], b"abc"),
    }
    path.write_bytes(gguf_of(tensors, [("general.name", b"\xff\xfe caf\xe9"), ("tokenizer.piece", b"\xe2\x96")]))
    holds_the_rest(clean, path, ["x", "y", "z"])


@pytest.mark.parametrize("kind", ["F4", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"])
def test_small_floats_of_safetensors(clean, tmp_path, rng, kind):
    bits = {"F4": 4}.get(kind, 8)
    raw = rng.integers(0, 256, 96 * bits // 8, np.uint8)
    path = tmp_path / "small.safetensors"
    path.write_bytes(safetensors_of({"x": (kind, [4, 24], raw.tobytes())}))
    wanted = getattr(twin, f"decode_{kind.lower()}")(raw, 96).reshape(4, 24)
    with wg.load_weights(path, clean, **QUICK) as weights:
        assert np.array_equal(weights["x"].numpy(), wanted, equal_nan=True)


@pytest.mark.no_adapter
def test_small_floats_are_those_of_the_tables():
    """Largest and smallest values by the OCP Microscaling Formats specification 1.0, and those of the FNUZ formats."""

    def values(kind, bits):
        codes = np.arange(1 << bits, dtype=np.uint8)
        packed = np.packbits((codes[:, None] >> np.arange(bits)) & 1, bitorder="little")
        return getattr(twin, f"decode_{kind}")(packed, 1 << bits)

    assert values("f4", 4).tolist()[:8] == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert (np.nanmax(values("f8_e4m3fnuz", 8)), values("f8_e4m3fnuz", 8)[1]) == (240, 2.0**-10)
    assert (np.nanmax(values("f8_e5m2fnuz", 8)), values("f8_e5m2fnuz", 8)[1]) == (57344, 2.0**-17)
    assert np.isnan([values("f8_e4m3fnuz", 8)[128], values("f8_e5m2fnuz", 8)[128], values("f8_e8m0", 8)[255]]).all()
    assert values("f8_e8m0", 8)[[0, 127, 254]].tolist() == [2.0**-127, 1, 2.0**127]


@pytest.mark.no_adapter
def test_null_metadata(tmp_path):
    path = tmp_path / "null.safetensors"
    path.write_bytes(safetensors_of({"kept": ("F32", [8], KEPT.tobytes())}))
    assert b"null" in path.read_bytes()
    assert [tensor.name for tensor in wg.inspect_weights(path).tensors] == ["kept"]


@pytest.mark.no_adapter
@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (401, "RepoNotFound", ["no repository", "private", "hf auth login"]),
        (401, "GatedRepo", ["gated", "accept its terms at", "/owner/name, then log in"]),
        (403, "GatedRepo", ["gated", "accept its terms at"]),
        (404, "EntryNotFound", ["no such file", "/owner/name/tree/main"]),
        (404, "RevisionNotFound", ["no such revision"]),
        (401, None, ["credentials", "hf auth login"]),
        (403, None, ["access is denied"]),
        (404, None, ["no such file"]),
    ],
)
def test_a_repository_that_is_gated_private_or_missing(server, monkeypatch, status, code, says):
    monkeypatch.setenv("HF_ENDPOINT", server.url("").rstrip("/"))
    monkeypatch.setenv("HF_TOKEN", "")
    server.faults.statuses, server.faults.error_code = [status] * 9, code
    server.files["owner/name/resolve/main/model.safetensors"] = b""
    server.files["api/models/owner/name"] = b""
    for source in ("hf:owner/name/model.safetensors", "hf:owner/name"):
        with pytest.raises(wg.WeightsError) as caught:
            wg.inspect_weights(source)
        for word in (str(status), *says):
            assert word in str(caught.value)
