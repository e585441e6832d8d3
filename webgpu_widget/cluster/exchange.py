"""Moving arrays from browser to browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from webgpu_widget.array import GPUArray

if TYPE_CHECKING:
    from webgpu_widget.cluster.hub import Member


class Exchange:
    def __init__(self, way: str, ice_servers: Sequence[dict[str, Any]]) -> None:
        self.way = way

    def move(self, array: GPUArray, member: Member) -> GPUArray:
        return array if array._gpu is member.gpu else member.gpu.array(array)

    def forget(self, member: Member) -> None:
        pass
