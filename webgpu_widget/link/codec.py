"""One message with its buffers as one WebSocket frame.

``u32`` little-endian length N of the header; N bytes of UTF-8 JSON ``{"message": ..., "buffers": [byte lengths]}``; zeros up to a multiple of
8 from the frame's start; then each buffer, padded likewise, so that every buffer is aligned for typed arrays.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

Bytes = bytes | bytearray | memoryview
_ALIGN = 8
_MAX_BUFFERS = 4096


def _padding(size: int) -> int:
    return -size % _ALIGN


def encode(message: dict[str, Any], buffers: Sequence[Bytes] = ()) -> bytes:
    """Return the frame of a message.

    Parameters
    ----------
    message : dict
        JSON.
    buffers : sequence of bytes-like
        C-contiguous.
    """
    views = [memoryview(item).cast("B") for item in buffers]
    header = json.dumps(
        {"message": message, "buffers": [view.nbytes for view in views]}, separators=(",", ":")
    ).encode()
    parts: list[Bytes] = [struct.pack("<I", len(header)), header, bytes(_padding(4 + len(header)))]
    for view in views:
        parts += [view, bytes(_padding(view.nbytes))]
    return b"".join(parts)


def decode(frame: Bytes) -> tuple[dict[str, Any], list[memoryview]]:
    """Take a frame apart without copying its buffers.

    Raises
    ------
    ValueError
        When the frame is not one: too short, lengths that do not add up, no message in it.
    """
    view = memoryview(frame).cast("B")
    if view.nbytes < 4:
        raise ValueError(f"a frame of {view.nbytes} bytes is too short for its header's length")
    (length,) = struct.unpack_from("<I", view)
    if 4 + length > view.nbytes:
        raise ValueError(f"the frame says that its header has {length} bytes, but only {view.nbytes - 4} follow")
    try:
        header = json.loads(bytes(view[4 : 4 + length]))
        message, sizes = header["message"], header["buffers"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"the frame's header is not a message: {error}") from error
    if not isinstance(message, dict) or not isinstance(sizes, list) or len(sizes) > _MAX_BUFFERS:
        raise ValueError("the frame's header is not a message with a list of buffers")
    buffers, offset = [], 4 + length + _padding(4 + length)
    for size in sizes:
        if type(size) is not int or size < 0 or offset + size > view.nbytes:
            raise ValueError(f"the frame of {view.nbytes} bytes has no room for a buffer of {size!r} bytes at {offset}")
        buffers.append(view[offset : offset + size])
        offset += size + _padding(size)
    return message, buffers
