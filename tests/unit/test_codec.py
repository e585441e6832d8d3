"""Frames: what goes in comes out, aligned, without a copy; what is no frame is refused."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webgpu_widget.link import codec

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5), st.lists(st.binary(max_size=100), max_size=5))
def test_what_goes_in_comes_out(message: dict[str, Any], buffers: list[bytes]) -> None:
    decoded, views = codec.decode(codec.encode(message, buffers))
    assert decoded == message
    assert [bytes(view) for view in views] == buffers


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6), st.integers(0, 40))
def test_buffers_are_aligned_and_not_copied(buffers: list[bytes], filler: int) -> None:
    frame = bytearray(codec.encode({"kind": "x" * filler}, buffers))
    _, views = codec.decode(frame)
    base = np.frombuffer(frame, np.uint8).ctypes.data
    for view in views:
        assert (np.frombuffer(view, np.uint8).ctypes.data - base) % 8 == 0
    frame[-8:] = bytes(8)
    assert not any(bytes(views[-1])[-(len(buffers[-1]) % 8 or 8) :]), "a view sees the frame change"


def test_arrays_of_any_dtype_are_bytes() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    _, (view,) = codec.decode(codec.encode({}, [memoryview(array)]))
    assert np.array_equal(np.frombuffer(view, np.float32).reshape(2, 3), array)


MANY = b'{"message":{},"buffers":[' + b",".join([b"0"] * 5000) + b"]}"
HEADER = b'{"message":{},"buffers":[4]}'
BAD = {
    "empty": b"",
    "three bytes": b"abc",
    "header longer than the frame": struct.pack("<I", 1000) + b"{}",
    "no JSON": struct.pack("<I", 3) + b"{]}",
    "no UTF-8": struct.pack("<I", 2) + b"\xff\xfe",
    "no message": struct.pack("<I", 14) + b'{"buffers":[]}',
    "a message that is a list": struct.pack("<I", 27) + b'{"message":[],"buffers":[]} ',
    "JSON that is no object": struct.pack("<I", 2) + b"[]",
    "buffer not there": struct.pack("<I", len(HEADER)) + HEADER,
    "negative size": struct.pack("<I", 29) + b'{"message":{},"buffers":[-1]}' + bytes(16),
    "size that is text": struct.pack("<I", 30) + b'{"message":{},"buffers":["1"]}' + bytes(16),
    "size that is true": struct.pack("<I", 31) + b'{"message":{},"buffers":[true]}' + bytes(16),
    "too many buffers": struct.pack("<I", len(MANY)) + MANY + bytes(8),
}


@pytest.mark.parametrize("frame", BAD.values(), ids=BAD)
def test_what_is_no_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match="frame"):
        codec.decode(frame)


def test_a_header_that_is_cut_off_is_told_as_that() -> None:
    with pytest.raises(ValueError, match="header has 1000 bytes, but only 2 follow"):
        codec.decode(struct.pack("<I", 1000) + b"{}")


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read_but_never_worse(frame: bytes) -> None:
    try:
        message, buffers = codec.decode(frame)
    except ValueError:
        return
    assert isinstance(message, dict)
    assert sum(view.nbytes for view in buffers) <= len(frame)
