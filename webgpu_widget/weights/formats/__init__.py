"""Parsers of weights files.

Each reads a header through a ``ByteReader``, by ranges, and returns a ``Parsed``; none reads a tensor. What they read is not
trusted: every size, count, offset, name and type is checked against the file's own length before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from webgpu_widget.weights.tensors import TensorInfo

__all__ = ["ByteReader", "Member", "Parsed"]


class ByteReader(Protocol):
    """Random access to a file, local or not."""

    name: str
    """For messages."""
    size: int
    """Length in bytes."""

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """An array inside an archive that must be read by Python: compressed, in Fortran order, or big-endian."""

    name: str
    member: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a header says.

    Attributes
    ----------
    tensors : list of TensorInfo
        With ``file`` 0 and no stage yet, in file order.
    metadata : dict
        The file's own key-value pairs.
    header_bytes : bytes
        What identifies the content: the header as read, or the archive's directory.
    indirect : list of Member
        Arrays that cannot be copied out of the file as they are.
    """

    tensors: list[TensorInfo]
    metadata: dict[str, Any]
    header_bytes: bytes
    indirect: list[Member] = field(default_factory=list)
