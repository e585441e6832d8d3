"""The Python array API standard, 2024.12: the same as `webgpu_widget.xp`, with lists where 2025.12 has tuples."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from webgpu_widget import xp
from webgpu_widget.xp import _dtypes

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.gpu import GPU


class NamespaceInfo(_dtypes.NamespaceInfo):
    """What the namespace has, for programs that ask."""

    def devices(self) -> list[GPU]:  # type: ignore[override] # what changed in 2025.12
        """Return the GPUs, as a list."""
        return list(super().devices())


def broadcast_arrays(*arrays: GPUArray) -> list[GPUArray]:
    """Return the arrays repeated to their common shape."""
    return list(xp.broadcast_arrays(*arrays))


def meshgrid(*arrays: GPUArray, indexing: str = "xy") -> list[GPUArray]:
    """Return coordinate matrices of coordinate vectors."""
    return list(xp.meshgrid(*arrays, indexing=indexing))


def _made() -> ModuleType:
    names = [name for name in xp.__all__ if name not in ("broadcast_shapes", "isin")]
    edition = ModuleType(f"{xp.__name__}_2024_12", __doc__)
    vars(edition).update({name: getattr(xp, name) for name in names})
    vars(edition).update(
        __all__=names,
        __array_api_version__="2024.12",
        __array_namespace_info__=NamespaceInfo,
        broadcast_arrays=broadcast_arrays,
        meshgrid=meshgrid,
    )
    return edition


namespace = _made()
"""The edition as a module."""
