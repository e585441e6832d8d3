"""NumPy's ``.npz``: a zip archive of ``.npy`` members.

A stored member (``np.savez``) is copied by range like any tensor. A deflated one (``np.savez_compressed``), one in Fortran
order, or a big-endian one is listed in ``Parsed.indirect``, and ``unpack`` rewrites those into a plain file.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

import numpy as np

from webgpu_widget.errors import FormatError
from webgpu_widget.weights.formats import Member, Parsed
from webgpu_widget.weights.tensors import MAX_NAME, MAX_TENSORS, TensorInfo, check_tensors, element_count

if TYPE_CHECKING:
    from webgpu_widget.weights.formats import ByteReader

__all__ = ["parse", "unpack"]

_DTYPES = {
    "f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "u8": "U64", "i4": "I32", "u4": "U32", "i2": "I16", "u2": "U16",
    "i1": "I8", "u1": "U8", "b1": "BOOL", "c8": "C64", "c16": "C128",
}  # fmt: skip
_LOCAL_BYTES = 30
"""What stands before a member's name in the archive."""
_HEADER_BYTES = 64 * 1024
_BLOCK_BYTES = 1024 * 1024
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    NotImplementedError,
    EOFError,
    struct.error,
    SyntaxError,
    OverflowError,
)


class _File(io.RawIOBase):
    """A reader as a file, for zipfile."""

    def __init__(self, reader: ByteReader) -> None:
        self.reader, self.at = reader, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.reader.size}[whence]
        if base + offset < 0:
            # As of a real file: zipfile looks for what an empty archive has no room for.
            raise io.UnsupportedOperation("seek before the file's beginning")
        self.at = base + offset
        return self.at

    def readinto(self, target: object) -> int:
        view = memoryview(target).cast("B")  # type: ignore[arg-type]
        size = max(0, min(len(view), self.reader.size - self.at))
        view[:size] = self.reader.read(self.at, size) if size else b""
        self.at += size
        return size


def _open(reader: ByteReader) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BufferedReader(_File(reader), _HEADER_BYTES))


def parse(reader: ByteReader) -> Parsed:
    """Read the directory of a ``.npz`` and the header of each array in it.

    Parameters
    ----------
    reader : ByteReader

    Returns
    -------
    Parsed

    Raises
    ------
    FormatError
        The archive is damaged, or claims sizes that it cannot have.
    """
    try:
        with _open(reader) as archive:
            return _parse(archive, reader)
    except _BROKEN as error:
        raise FormatError(f"{reader.name}: not a readable .npz ({str(error)[:160]})") from None


def _parse(archive: zipfile.ZipFile, reader: ByteReader) -> Parsed:
    members = archive.infolist()
    if len(members) > MAX_TENSORS:
        raise FormatError(f"{reader.name}: {len(members)} members are more than {MAX_TENSORS}")
    tensors: list[TensorInfo] = []
    indirect: list[Member] = []
    seen: set[str] = set()
    for item in members:
        if not item.filename.endswith(".npy"):
            continue
        name = item.filename[:-4]
        if name in seen or len(name) > MAX_NAME:
            raise FormatError(f"{reader.name}: member {name[:80]!r} stands twice, or its name is too long")
        seen.add(name)
        found = _member(archive, item, name, reader)
        if isinstance(found, TensorInfo):
            tensors.append(found)
        else:
            indirect.append(found)
    tensors.sort(key=lambda tensor: tensor.offset)
    check_tensors(tensors, 0, reader.size, reader.name)
    directory = repr([(item.filename, item.CRC, item.file_size, item.header_offset) for item in members])
    return Parsed(tensors, {}, directory.encode(), indirect)


def _member(archive: zipfile.ZipFile, item: zipfile.ZipInfo, name: str, reader: ByteReader) -> TensorInfo | Member:
    where = f"{reader.name}: member {name[:80]!r}"
    if item.flag_bits & 1 or item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        how = "encrypted" if item.flag_bits & 1 else f"packed by zip's method {item.compress_type}"
        return _listed(reader, item, name, f"a .npy {how}")
    with archive.open(item) as stream:
        try:
            shape, fortran, dtype = _npy_header(stream)
        except ValueError as error:
            why = " ".join(str(error).split())[:80]
            return _listed(reader, item, name, f"a .npy that NumPy's header reader refuses ({why})")
        head = stream.tell()
    encoding = _DTYPES.get(dtype.str[1:]) if dtype.names is None and dtype.subdtype is None else None
    if encoding is None:
        element_count(shape, where)
        return _listed(reader, item, name, f"NumPy's {str(dtype)[:80]}", shape)
    size = element_count(shape, where) * dtype.itemsize
    if head + size != item.file_size:
        raise FormatError(
            f"{where}: {dtype} of shape {shape} takes {head + size} bytes, the archive says {item.file_size}"
        )
    if size > 1100 * item.compress_size + _HEADER_BYTES:
        raise FormatError(f"{where}: {item.compress_size} packed bytes cannot hold {size}")
    if item.compress_type != zipfile.ZIP_STORED or (fortran and len(shape) > 1) or dtype.byteorder == ">":
        return Member(name, item.filename, encoding, shape, size)
    if item.compress_size != item.file_size:
        raise FormatError(f"{where}: stored, yet {item.compress_size} bytes hold {item.file_size}")
    return TensorInfo(name, encoding, shape, size, "", 0, _data_begin(reader, item) + head)


def _listed(
    reader: ByteReader, item: zipfile.ZipInfo, name: str, stored_as: str, shape: tuple[int, ...] = ()
) -> TensorInfo:
    """Describe what no kernel decodes, such as objects, strings and structs: with the bytes that it takes in the archive."""
    return TensorInfo(name, stored_as, shape, item.compress_size, "", 0, _data_begin(reader, item))


def _data_begin(reader: ByteReader, item: zipfile.ZipInfo) -> int:
    """Return where a member's bytes begin in the archive."""
    if not 0 <= item.header_offset <= reader.size - _LOCAL_BYTES:
        raise FormatError(
            f"{reader.name}: member {item.filename[:80]!r} begins at byte {item.header_offset} of {reader.size}"
        )
    local = reader.read(item.header_offset, _LOCAL_BYTES)
    name_size, extra_size = struct.unpack("<HH", local[26:30])
    return int(item.header_offset + _LOCAL_BYTES + name_size + extra_size)


def _npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f".npy version {version}")
    return read(stream)


def unpack(reader: ByteReader, members: list[Member], target: IO[bytes]) -> list[TensorInfo]:
    """Write members out as plain little-endian C-order bytes, a block at a time where their layout allows.

    Parameters
    ----------
    reader : ByteReader
        The archive.
    members : list of Member
        From ``parse``.
    target : binary file
        Written from its current end on, each tensor at a multiple of 64.

    Returns
    -------
    list of TensorInfo
        With offsets into ``target``.

    Raises
    ------
    FormatError
        A member is damaged (its CRC does not match), or is longer than it says.
    """
    tensors = []
    try:
        with _open(reader) as archive:
            for member in members:
                target.write(b"\0" * (-target.tell() % 64))
                tensors.append(TensorInfo(member.name, member.dtype, member.shape, member.bytes, "", 0, target.tell()))
                with archive.open(member.member) as stream:
                    shape, fortran, dtype = _npy_header(stream)
                    if fortran and len(shape) > 1:
                        data = np.frombuffer(stream.read(member.bytes), dtype).reshape(shape, order="F")
                        target.write(np.ascontiguousarray(data, dtype.newbyteorder("<")).tobytes())
                    else:
                        left = member.bytes
                        while left:
                            block = stream.read(min(left, _BLOCK_BYTES))
                            if not block:
                                raise FormatError(f"{reader.name}: member {member.name[:80]!r} ends {left} bytes early")
                            left -= len(block)
                            target.write(np.frombuffer(block, dtype).astype(dtype.newbyteorder("<")).tobytes())
                    if stream.read(1):  # also makes zipfile compare the CRC
                        raise FormatError(f"{reader.name}: member {member.name[:80]!r} is longer than its header says")
    except _BROKEN as error:
        raise FormatError(f"{reader.name}: a member cannot be unpacked ({str(error)[:160]})") from None
    target.flush()
    return tensors
