"""What a file's tensor becomes on the GPU, and by which kernels.

A tensor is copied as it is (F32, F16, I32, U32), or *decoded* (to float32, int32, uint32 or bool) and then, where asked,
*encoded* (to float16, int8 or int4). Kernels run in the browser on pieces of ``PIECE_ELEMENTS`` as bytes arrive.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.errors import DTypeError, FormatError, LimitError
from webgpu_widget.weights.scales import misfit

if TYPE_CHECKING:
    from webgpu_widget.weights.tensors import TensorInfo

__all__ = ["GROUP", "PIECE_ELEMENTS", "Part", "Rules", "Target", "split"]

PIECE_ELEMENTS = 1 << 21
"""Elements that one dispatch converts: whole blocks of every encoding, and offsets that are multiples of 256."""
GROUP = 32
"""Elements that share a scale in int8 and int4."""

_DECODED = {
    "I64": "int32",
    "I16": "int32",
    "I8": "int32",
    "U64": "uint32",
    "U16": "uint32",
    "U8": "uint32",
    "BOOL": "bool",
}
_DIRECT = {"F32": "float32", "F16": "float16", "I32": "int32", "U32": "uint32"}
_CHECKED = frozenset({"I64", "U64"})
_FLOATS = {"f32": "float32", "float32": "float32", "f16": "float16", "float16": "float16"}
_QUANTIZE = ("int8", "int4")
_STORED = "stored"


@dataclass(frozen=True, slots=True)
class Target:
    """What one tensor becomes.

    Attributes
    ----------
    dtype : str
        ``float32 float16 int32 uint32 bool``, or ``int8 int4`` in groups of 32 with a float32 scale each.
    block : (int, int) or None
        Elements and bytes of a block, for what stays as the file has it, in words of ``uint32``.
    decode, encode : str or None
        Kernels on the way.
    checked : bool
        The decoder flags values that do not fit.
    refused : str
        Why it cannot be loaded; empty when it can.
    """

    dtype: str
    decode: str | None = None
    encode: str | None = None
    checked: bool = False
    refused: str = ""
    block: tuple[int, int] | None = None

    def size_bytes(self, elements: int) -> int:
        """Bytes on the GPU, scales included."""
        return sum(self.buffer_bytes(elements))

    def buffer_bytes(self, elements: int) -> list[int]:
        """Bytes of each buffer: one, or packed values and scales."""
        if self.block is not None:
            return [-(-(elements // self.block[0] * self.block[1]) // 4) * 4]
        if self.dtype == "int8":
            return [elements, elements // GROUP * 4]
        if self.dtype == "int4":
            return [elements // 2, elements // GROUP * 4]
        return [(elements * 2 + 3) // 4 * 4 if self.dtype == "float16" else elements * 4]


class Rules:
    """The caller's ``dtype`` and ``quantize``, applied tensor by tensor.

    Parameters
    ----------
    dtype : str, numpy dtype, mapping or None
        ``"f32"`` or ``"f16"`` for all floating tensors, ``"stored"`` to keep bfloat16 and GGUF's quantised blocks as the file
        has them, or a mapping of name patterns to one of them; the first match counts. None keeps float32 and float16 and
        makes the rest float32.
    quantize : str, mapping or None
        ``"int8"`` or ``"int4"`` for floating tensors of two dimensions or more whose last one is a multiple of 32, or a
        mapping of name patterns to one of them or None.

    Raises
    ------
    DTypeError
        For anything else.
    """

    def __init__(self, dtype: Any = None, quantize: Any = None) -> None:
        self._dtype = _patterns(dtype, _float_name)
        self._quantize = _patterns(quantize, _quantize_name)

    def key(self) -> tuple[object, ...]:
        """Equal for rules that do the same."""
        return (tuple(self._dtype), tuple(self._quantize))

    def target(self, tensor: TensorInfo) -> Target:
        """Say what ``tensor`` becomes."""
        target = self._unscaled(tensor)
        if tensor.scale and not target.refused:
            why = misfit(tensor, GROUP if target.dtype in _QUANTIZE else 1)
            return Target("", refused=why) if why else target
        return target

    def _unscaled(self, tensor: TensorInfo) -> Target:
        """Say what it becomes, whatever lies beside it."""
        kind, source = tensor.encoding.kind, tensor.dtype
        # What others are multiplied by keeps its digits.
        wanted = "float32" if tensor.scale_of else _match(self._dtype, tensor.name)
        if wanted == _STORED:
            if source == "BF16" or kind == "quantised":
                return Target("uint32", block=(tensor.encoding.block_elements, tensor.encoding.block_bytes))
            wanted = None
        if kind == "unknown":
            return Target(
                "", refused=f"{tensor.name!r} is stored as {source}, which no kernel decodes; convert the file"
            )
        if kind in ("integer", "bool"):
            decode = None if source in _DIRECT else f"decode_{source.lower()}"
            return Target(_DIRECT.get(source) or _DECODED[source], decode, checked=source in _CHECKED)
        packed = None if tensor.scale_of else _match(self._quantize, tensor.name)
        if source == "F64" and wanted is None:
            return Target(
                "", refused=f"{tensor.name!r} is float64, which WebGPU does not have; pass dtype='f32' to round it"
            )
        decode = None if source == "F32" else f"decode_{source.lower()}"
        if packed is not None and len(tensor.shape) >= 2 and tensor.shape[-1] % GROUP == 0 and tensor.size:
            return Target(packed, decode, f"encode_{packed}")
        if source == "F16" and wanted != "float32":
            return Target("float16")
        if wanted == "float16":
            return Target("float16", decode, "encode_f16")
        return Target("float32", decode)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a tensor that go into buffers of their own."""

    first_row: int
    shape: tuple[int, ...]
    offset: int
    bytes: int
    elements: int


def split(tensor: TensorInfo, target: Target, limit: int) -> list[Part]:
    """Cut a tensor along its first axis so that no buffer is longer than ``limit`` bytes.

    Parameters
    ----------
    tensor : TensorInfo
    target : Target
    limit : int
        The smaller of the adapter's maxBufferSize and maxStorageBufferBindingSize.

    Returns
    -------
    list of Part
        One, unless the tensor is too large.

    Raises
    ------
    LimitError
        One row alone is too large.
    """
    if not tensor.shape or max(target.buffer_bytes(tensor.size)) <= limit:
        return [Part(0, tensor.shape, tensor.offset, tensor.bytes, tensor.size)]
    rows, row = tensor.shape[0], tensor.size // tensor.shape[0]
    per_part = limit // max(target.buffer_bytes(row)) if row else 0
    if row % tensor.encoding.block_elements:
        per_part -= per_part % tensor.encoding.block_elements
    if per_part < 1:
        raise LimitError(
            f"one row of {tensor.name!r} {tensor.shape} takes {max(target.buffer_bytes(row))} bytes, a binding holds "
            f"{limit}; use quantize='int8' or an adapter with a larger maxStorageBufferBindingSize"
        )
    parts = []
    for first in range(0, rows, per_part):
        count = min(per_part, rows - first)
        begin = tensor.encoding.size_bytes(first * row)
        size = tensor.encoding.size_bytes(count * row)
        parts.append(Part(first, (count, *tensor.shape[1:]), tensor.offset + begin, size, count * row))
    return parts


def check_loadable(tensor: TensorInfo, target: Target) -> None:
    """Raise the error of a refused tensor."""
    if target.refused:
        raise (DTypeError if tensor.dtype == "F64" else FormatError)(target.refused)


def _patterns(value: Any, name: Any) -> list[tuple[str, str | None]]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [(pattern, None if item is None else name(item)) for pattern, item in value.items()]
    return [("*", name(value))]


def _match(patterns: list[tuple[str, str | None]], name: str) -> str | None:
    return next((item for pattern, item in patterns if fnmatch.fnmatchcase(name, pattern)), None)


def _float_name(value: Any) -> str:
    if isinstance(value, str) and value == _STORED:
        return _STORED
    if isinstance(value, str) and value in _FLOATS:
        return _FLOATS[value]
    try:
        found = np.dtype(value).name
    except TypeError:
        found = str(value)
    if found not in _FLOATS:
        hint = "; for integers use quantize=" if "int" in found else ""
        raise DTypeError(f"dtype={value!r}: weights are loaded as 'f32', 'f16' or 'stored'{hint}")
    return _FLOATS[found]


def _quantize_name(value: Any) -> str:
    if value not in _QUANTIZE:
        raise DTypeError(f"quantize={value!r}: must be 'int8' or 'int4'")
    return str(value)
