"""The GGUF format, versions 2 and 3, little-endian: key-value pairs, tensor infos, then aligned data.

The ``gguf`` package maps whole local files and trusts their counts; this reads the header alone, from anywhere that gives
ranges, and trusts nothing. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import bisect
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.errors import FormatError
from webgpu_widget.weights.formats import Parsed
from webgpu_widget.weights.tensors import (
    ENCODINGS,
    MAX_NAME,
    MAX_TENSORS,
    Encoding,
    TensorInfo,
    check_tensors,
    element_count,
)

if TYPE_CHECKING:
    from webgpu_widget.weights.formats import ByteReader

__all__ = ["parse"]

MAX_HEADER_BYTES = 256 * 1024 * 1024
MAX_PAIRS = 1_000_000
_MIN_PAIR_BYTES = 8 + 4 + 1
_MIN_TENSOR_BYTES = 8 + 4 + 4 + 8
_STEP_BYTES = 1024 * 1024

# ggml's numbers of tensor types.
_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
}  # fmt: skip
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_ARRAYS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _ARRAY = 8, 9


class _Header:
    """A cursor over the head of a file that fetches more as it goes."""

    def __init__(self, reader: ByteReader) -> None:
        self.reader = reader
        self.limit = min(reader.size, MAX_HEADER_BYTES)
        self.data = bytearray()
        self.at = 0

    def fail(self, message: str) -> FormatError:
        return FormatError(f"{self.reader.name}: at byte {self.at} of the header: {message}")

    def take(self, size: int) -> memoryview:
        if size < 0 or size > self.limit - self.at:
            raise self.fail(
                f"{size} more bytes are claimed where {self.limit - self.at} are left; the file is cut short, or lies"
            )
        missing = self.at + size - len(self.data)
        if missing > 0:
            begin = len(self.data)
            self.data += self.reader.read(begin, min(max(missing, _STEP_BYTES), self.limit - begin))
        view = memoryview(bytes(self.data[self.at : self.at + size]))
        self.at += size
        return view

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def count(self, most: int, bytes_each: int, what: str) -> int:
        found = int(self.number("<Q"))
        if found > most or found * bytes_each > self.limit - self.at:
            raise self.fail(f"{found} {what} cannot be in a file of {self.reader.size} bytes")
        return found

    def text(self, errors: str = "strict") -> str:
        size = self.count(self.limit, 1, "characters")
        try:
            return str(self.take(size), "utf-8", errors)
        except UnicodeDecodeError:
            raise self.fail("a string is not UTF-8") from None

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            # Pieces of a tokenizer may end within a character.
            return self.text("replace")
        if kind != _ARRAY or depth > 3:
            raise self.fail(f"value type {kind} at depth {depth} is unknown")
        inner = int(self.number("<I"))
        if inner in _ARRAYS:
            dtype = np.dtype(_ARRAYS[inner])
            found = self.count(self.limit, dtype.itemsize, "array items")
            return np.frombuffer(self.take(found * dtype.itemsize), np.uint8).view(dtype).copy()
        found = self.count(self.limit, 8 if inner == _STRING else 12, "array items")
        return [self.value(inner, depth + 1) for _ in range(found)]


def parse(reader: ByteReader) -> Parsed:
    """Read the header of one ``.gguf`` file.

    Parameters
    ----------
    reader : ByteReader

    Returns
    -------
    Parsed
        Shapes are NumPy's, the fastest dimension last (GGUF writes it first).

    Raises
    ------
    FormatError
        The file is cut short, or its header does not describe it.
    """
    head = _Header(reader)
    if reader.size < 24 or bytes(head.take(4)) != b"GGUF":
        raise FormatError(f"{reader.name}: does not begin with GGUF: this is no gguf file, or it is cut short")
    version = int(head.number("<I"))
    if version not in (2, 3):
        order = " (a big-endian file?)" if version & 0xFFFF == 0 else ""
        raise FormatError(f"{reader.name}: GGUF version {version}{order}; versions 2 and 3, little-endian, can be read")
    tensor_count = head.count(MAX_TENSORS, _MIN_TENSOR_BYTES, "tensors")
    pair_count = head.count(MAX_PAIRS, _MIN_PAIR_BYTES, "key-value pairs")
    metadata: dict[str, Any] = {}
    for _ in range(pair_count):
        key = head.text()
        if key in metadata:
            raise head.fail(f"the key {key[:80]!r} stands twice")
        metadata[key] = head.value(int(head.number("<I")))
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 0 < alignment <= 1 << 20 or alignment & (alignment - 1):
        raise FormatError(f"{reader.name}: general.alignment is {str(alignment)[:40]}, not a power of two up to 2**20")
    entries = [_entry(head, alignment) for _ in range(tensor_count)]
    begin = -(-head.at // alignment) * alignment
    ends = sorted([*(entry[-1] for entry in entries), max(0, reader.size - begin)])
    tensors = [
        TensorInfo(name, dtype, shape, _room(ends, offset) if size is None else size, "", 0, begin + offset)
        for name, dtype, shape, size, offset in entries
    ]
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise FormatError(f"{reader.name}: a tensor name stands twice in the header")
    tensors.sort(key=lambda tensor: tensor.offset)
    check_tensors(tensors, min(begin, reader.size), reader.size, reader.name)
    return Parsed(tensors, metadata, bytes(head.data[: head.at]))


def _room(ends: list[int], offset: int) -> int:
    """Return the bytes up to what comes next: all that is known of a type that is newer than this file."""
    after = bisect.bisect_right(ends, offset)
    return ends[after] - offset if after < len(ends) else 0


def _entry(head: _Header, alignment: int) -> tuple[str, str, tuple[int, ...], int | None, int]:
    name = head.text()
    if len(name) > MAX_NAME:
        raise head.fail(f"a tensor name of {len(name)} characters (at most {MAX_NAME})")
    where = f"{head.reader.name}: tensor {name[:80]!r}"
    rank = int(head.number("<I"))
    if rank > 8:
        raise head.fail(f"tensor {name[:80]!r} has {rank} dimensions (at most 8)")
    extents = [int(head.number("<Q")) for _ in range(rank)]
    elements = element_count(extents, where)
    number = int(head.number("<I"))
    known = _TYPES.get(number)
    encoding = ENCODINGS[known] if known else Encoding(f"GGML type {number}", "unknown", 1, 1)
    if encoding.block_elements > 1 and (not extents or extents[0] % encoding.block_elements):
        raise FormatError(f"{where}: rows of {extents[:1]} are not whole blocks of {encoding.block_elements}")
    offset = int(head.number("<Q"))
    if offset % alignment or offset >= 1 << 53:
        raise FormatError(f"{where}: offset {offset} is not a multiple of {alignment} below 2**53")
    return name, encoding.name, tuple(reversed(extents)), encoding.size_bytes(elements) if known else None, offset
