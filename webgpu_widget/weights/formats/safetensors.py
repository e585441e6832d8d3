"""The safetensors format: 8 bytes of length, a JSON header, then the tensors without gaps.

The library reads whole local files; this reads the header alone, from anywhere that gives ranges, under the same rules:
https://huggingface.co/docs/safetensors/index#format.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from webgpu_widget.errors import FormatError
from webgpu_widget.weights.formats import Parsed
from webgpu_widget.weights.tensors import ENCODINGS, MAX_NAME, MAX_TENSORS, TensorInfo, check_tensors, element_count

if TYPE_CHECKING:
    from webgpu_widget.weights.formats import ByteReader

__all__ = ["is_index", "parse", "parse_index"]

MAX_HEADER_BYTES = 100_000_000
"""The limit of the format's own library."""
MAX_SHARDS = 10_000
_PREFETCH_BYTES = 64 * 1024
_INDEX = re.compile(r"\.safetensors\.index(\.[A-Za-z0-9_-]{1,40})?\.json\Z")
_NAMED = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
_DTYPES = frozenset(
    {"F64", "F32", "F16", "BF16", "I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8", "BOOL"}
    | {"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4", "C64"}
)


def parse(reader: ByteReader) -> Parsed:
    """Read the header of one ``.safetensors`` file.

    Parameters
    ----------
    reader : ByteReader

    Returns
    -------
    Parsed

    Raises
    ------
    FormatError
        The file is cut short, or its header does not describe it.
    """
    if reader.size < 8:
        raise FormatError(f"{reader.name}: {reader.size} bytes are too few for a safetensors file; fetch it again")
    head = reader.read(0, min(_PREFETCH_BYTES, reader.size))
    length = int.from_bytes(head[:8], "little")
    if length > MAX_HEADER_BYTES or length > reader.size - 8:
        raise FormatError(
            f"{reader.name}: the header claims {length} bytes of a file of {reader.size} (at most {MAX_HEADER_BYTES} are "
            "allowed): this is no safetensors file, or it is cut short"
        )
    if len(head) < 8 + length:
        head += reader.read(len(head), 8 + length - len(head))
    head = head[: 8 + length]
    header = _json_object(head[8:], reader.name)
    if len(header) > MAX_TENSORS:
        raise FormatError(f"{reader.name}: {len(header)} tensors are more than {MAX_TENSORS}")
    metadata = header.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise FormatError(f"{reader.name}: __metadata__ must map strings to strings")
    begin = 8 + length
    tensors = [_tensor(name, entry, begin, reader.name) for name, entry in header.items()]
    tensors.sort(key=lambda tensor: tensor.offset)
    check_tensors(tensors, begin, reader.size, reader.name)
    covered = sum(tensor.bytes for tensor in tensors)
    if covered != reader.size - begin:
        raise FormatError(
            f"{reader.name}: tensors cover {covered} of {reader.size - begin} data bytes; the format allows no gaps"
        )
    return Parsed(tensors, metadata, head)


def _tensor(name: str, entry: object, begin: int, what: str) -> TensorInfo:
    where = f"{what}: tensor {name[:80]!r}"
    if len(name) > MAX_NAME:
        raise FormatError(f"{where}: the name has {len(name)} characters (at most {MAX_NAME})")
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{where}: must have dtype, shape and data_offsets, and nothing else")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not _NAMED.fullmatch(dtype):
        raise FormatError(f"{where}: the dtype is {str(dtype)[:40]!r}, not a name such as {', '.join(sorted(_DTYPES))}")
    if not isinstance(shape, list) or len(shape) > 64:
        raise FormatError(f"{where}: the shape must be a list of at most 64 dimensions")
    elements = element_count(shape, where)
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(value) is int for value in offsets):
        raise FormatError(f"{where}: data_offsets must be two integers")
    first, last = offsets
    # What a newer format stores otherwise is listed with the bytes that it claims.
    size = ENCODINGS[dtype].size_bytes(elements) if dtype in _DTYPES else last - first
    if not 0 <= first <= last or last - first != size:
        raise FormatError(f"{where}: {dtype} of shape {shape} takes {size} bytes, but data_offsets are {offsets}")
    return TensorInfo(name, dtype, tuple(shape), size, "", 0, begin + first)


def is_index(name: str) -> bool:
    """Whether a file's name is that of an index of shards, of the model itself or of a variant.

    Examples
    --------
    >>> is_index("model.safetensors.index.json"), is_index("model.safetensors.index.fp16.json"), is_index("config.json")
    (True, True, False)
    """
    return _INDEX.search(name[-100:]) is not None


def parse_index(text: bytes, what: str) -> dict[str, str]:
    """Read a ``*.safetensors.index.json``.

    Parameters
    ----------
    text : bytes
        The file.
    what : str
        Its name, for messages.

    Returns
    -------
    dict of str to str
        Tensor name to shard file name: a bare name, in the index's own folder.

    Raises
    ------
    FormatError
        No such map, or a shard name that leads out of the folder.
    """
    index = _json_object(text, what)
    shards = index.get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise FormatError(f"{what}: has no weight_map; pass the .safetensors file itself, or its own index")
    if len(shards) > MAX_TENSORS:
        raise FormatError(f"{what}: {len(shards)} tensors are more than {MAX_TENSORS}")
    for name, shard in shards.items():
        if not isinstance(shard, str) or not _bare_name(shard):
            raise FormatError(
                f"{what}: tensor {name[:80]!r} lies in {str(shard)[:80]!r}; a shard must be a bare .safetensors file name"
            )
    if len(set(shards.values())) > MAX_SHARDS:
        raise FormatError(f"{what}: more than {MAX_SHARDS} shards")
    return shards


def _bare_name(name: str) -> bool:
    return (
        name.endswith(".safetensors")
        and len(name) <= 255
        and not name.startswith(".")
        and not any(char in '/\\:?#%*"<>|' or not char.isprintable() for char in name)
    )


def _json_object(text: bytes, what: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise FormatError(f"{what}: a name stands twice in the header")
        return found

    def constant(name: str) -> None:
        raise FormatError(f"{what}: {name} is not JSON")

    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what}: the header is not JSON ({str(error)[:120]})") from None
    if not isinstance(value, dict):
        raise FormatError(f"{what}: the header is a JSON {type(value).__name__}, not an object")
    return value
