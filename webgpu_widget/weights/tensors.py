"""What a weights file says it holds: encodings, tensors and files.

An *encoding* is how a file stores elements. Most store one element in one to eight bytes; GGUF's quantised ones store a
block of 32 or 256 elements together with its scales. What a tensor becomes on the GPU is decided in ``convert``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from webgpu_widget.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ENCODINGS", "MAX_NAME", "MAX_TENSORS", "Encoding", "TensorInfo", "check_tensors", "element_count"]

MAX_TENSORS = 1_000_000
"""More tensors than any model has; a header that claims more is refused before anything is allocated for it."""
MAX_NAME = 4096
"""Longest tensor name, in characters."""
MAX_ELEMENTS = 1 << 53
"""Element counts are exact in JavaScript's numbers up to here."""

Kind = Literal["float", "integer", "bool", "quantised", "unknown"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file stores elements.

    Attributes
    ----------
    name : str
        As the file formats call it: ``F32``, ``BF16``, ``Q4_K``.
    kind : str
        ``float``, ``integer``, ``bool``, ``quantised``, or ``unknown`` when it can be listed but not loaded.
    block_elements, block_bytes : int
        A block of so many elements takes so many bytes; 1 element for plain types.
    """

    name: str
    kind: Kind
    block_elements: int
    block_bytes: int

    def size_bytes(self, elements: int) -> int:
        """Bytes of ``elements`` elements; they must fill whole blocks."""
        if elements % self.block_elements:
            message = f"{elements} elements do not fill whole blocks of {self.block_elements} ({self.name})"
            raise FormatError(message)
        return elements // self.block_elements * self.block_bytes


ENCODINGS: dict[str, Encoding] = {
    encoding.name: encoding
    for encoding in (
        Encoding("F64", "float", 1, 8),
        Encoding("F32", "float", 1, 4),
        Encoding("F16", "float", 1, 2),
        Encoding("BF16", "float", 1, 2),
        Encoding("F8_E4M3", "float", 1, 1),
        Encoding("F8_E5M2", "float", 1, 1),
        Encoding("F8_E4M3FNUZ", "float", 1, 1),
        Encoding("F8_E5M2FNUZ", "float", 1, 1),
        Encoding("F8_E8M0", "float", 1, 1),
        Encoding("F4", "float", 2, 1),
        Encoding("I64", "integer", 1, 8),
        Encoding("U64", "integer", 1, 8),
        Encoding("I32", "integer", 1, 4),
        Encoding("U32", "integer", 1, 4),
        Encoding("I16", "integer", 1, 2),
        Encoding("U16", "integer", 1, 2),
        Encoding("I8", "integer", 1, 1),
        Encoding("U8", "integer", 1, 1),
        Encoding("BOOL", "bool", 1, 1),
        Encoding("Q8_0", "quantised", 32, 34),
        Encoding("Q4_0", "quantised", 32, 18),
        Encoding("Q4_1", "quantised", 32, 20),
        Encoding("Q4_K", "quantised", 256, 144),
        Encoding("Q6_K", "quantised", 256, 210),
        Encoding("Q5_0", "quantised", 32, 22),
        Encoding("Q5_1", "quantised", 32, 24),
        Encoding("Q2_K", "quantised", 256, 84),
        Encoding("Q3_K", "quantised", 256, 110),
        Encoding("Q5_K", "quantised", 256, 176),
        Encoding("IQ4_NL", "quantised", 32, 18),
        Encoding("MXFP4", "quantised", 32, 17),
        Encoding("TQ1_0", "quantised", 256, 54),
        Encoding("TQ2_0", "quantised", 256, 66),
        # Listed by inspect_weights, refused by load_weights: no kernel decodes them.
        Encoding("Q8_1", "unknown", 32, 36),
        Encoding("Q8_K", "unknown", 256, 292),
        Encoding("IQ2_XXS", "unknown", 256, 66),
        Encoding("IQ2_XS", "unknown", 256, 74),
        Encoding("IQ3_XXS", "unknown", 256, 98),
        Encoding("IQ1_S", "unknown", 256, 50),
        Encoding("IQ3_S", "unknown", 256, 110),
        Encoding("IQ2_S", "unknown", 256, 82),
        Encoding("IQ4_XS", "unknown", 256, 136),
        Encoding("IQ1_M", "unknown", 256, 56),
        Encoding("NVFP4", "unknown", 64, 36),
        Encoding("Q1_0", "unknown", 128, 18),
        # The format does not say in which order the bits of four lie in three bytes, and no writer is known to go by.
        Encoding("F6_E2M3", "unknown", 4, 3),
        Encoding("F6_E3M2", "unknown", 4, 3),
        Encoding("C64", "unknown", 1, 8),
        Encoding("C128", "unknown", 1, 16),
    )
}
"""Every encoding that is known, by name."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a weights file.

    Attributes
    ----------
    name : str
    dtype : str
        The encoding in the file, by name: ``F32``, ``BF16``, ``Q4_K``.
    shape : tuple of int
        Row-major, as NumPy counts.
    bytes : int
        Its size in the file.
    stage : str
        The stage that loads it.
    file : int
        Which of the source's files holds it.
    offset : int
        Where its bytes begin in that file.
    scale : str
        The tensor beside it that it is multiplied by as it is loaded: the scales of small floats in safetensors files.
    scale_shape : tuple of int
        That tensor's shape.
    scale_of : str
        The tensor that this one is the scale of.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    stage: str
    file: int
    offset: int
    scale: str = ""
    scale_shape: tuple[int, ...] = ()
    scale_of: str = ""

    @property
    def encoding(self) -> Encoding:
        """The encoding's block layout; of one that is not known, bytes."""
        return ENCODINGS.get(self.dtype) or Encoding(self.dtype, "unknown", 1, 1)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def element_count(shape: Iterable[object], where: str) -> int:
    """Multiply out a shape that a header claims, refusing what is no shape.

    Parameters
    ----------
    shape : iterable
        What should be dimensions.
    where : str
        Named in the error.

    Raises
    ------
    FormatError
        A dimension is no integer, is negative, or the product passes 2**53.
    """
    total = 1
    for extent in shape:
        if type(extent) is not int or not 0 <= extent < MAX_ELEMENTS:
            raise FormatError(f"{where}: dimension {_short(extent)} is not an integer from 0 to 2**53")
        total *= extent
        if total >= MAX_ELEMENTS:
            raise FormatError(f"{where}: the shape has 2**53 elements or more")
    return total


def check_tensors(tensors: list[TensorInfo], begin: int, end: int, what: str) -> None:
    """Refuse tensors that lie outside the data, or over one another.

    Parameters
    ----------
    tensors : list of TensorInfo
        Of one file.
    begin, end : int
        Where that file's data lies.
    what : str
        The file's name, for the error.

    Raises
    ------
    FormatError
        With the first tensor that does not fit.
    """
    last, last_name = begin, ""
    for tensor in sorted(tensors, key=lambda t: (t.offset, t.offset + t.bytes)):
        if tensor.offset < begin or tensor.offset + tensor.bytes > end:
            raise FormatError(
                f"{what}: tensor {_short(tensor.name)} claims bytes {tensor.offset} to {tensor.offset + tensor.bytes}, "
                f"but the data lies from {begin} to {end}: the file is cut short, or its header lies. Fetch it again"
            )
        if tensor.bytes and tensor.offset < last:
            raise FormatError(f"{what}: tensors {_short(last_name)} and {_short(tensor.name)} overlap")
        if tensor.bytes:
            last, last_name = tensor.offset + tensor.bytes, tensor.name


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
