"""Scales that lie beside the small floats of a safetensors file.

Quantisers write a weight in 8 bits with a tensor beside it that it is to be multiplied by: one number, one a row, or one a block of
rows and columns. The format does not say so; names and shapes do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webgpu_widget.weights.tensors import TensorInfo

__all__ = ["Grid", "grid_of", "misfit", "paired"]

_SCALED = frozenset({"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
_SCALES = frozenset({"F32", "F16", "BF16", "F8_E8M0"})
_WEIGHT = ".weight"


def _names(weight: str) -> Iterator[str]:
    """Names under which scales lie beside a tensor."""
    yield f"{weight}_scale_inv"  # DeepSeek, Qwen: the inverse of what it was multiplied by, so what to multiply by
    yield f"{weight}_scale"  # compressed-tensors, FBGEMM, ModelOpt
    if weight.endswith(_WEIGHT):
        stem = weight.removesuffix(_WEIGHT)
        yield f"{stem}.scale_weight"  # ComfyUI
        yield f"{stem}.scale"  # DeepSeek's own layout


def paired(tensors: Sequence[TensorInfo]) -> list[TensorInfo]:
    """Return the tensors of a safetensors source, each small float with the name of the scales beside it, and these with its name."""
    by_name = {tensor.name: tensor for tensor in tensors}
    scales: dict[str, str] = {}
    for tensor in tensors:
        if tensor.dtype in _SCALED:
            found = next((n for n in _names(tensor.name) if n in by_name and by_name[n].dtype in _SCALES), None)
            if found is not None:
                scales[tensor.name] = found
    owners = {scale: name for name, scale in scales.items()}
    return [
        replace(
            tensor,
            scale=scales.get(tensor.name, ""),
            scale_shape=by_name[scales[tensor.name]].shape if tensor.name in scales else (),
            scale_of=owners.get(tensor.name, ""),
        )
        for tensor in tensors
    ]


@dataclass(frozen=True, slots=True)
class Grid:
    """How scales lie over a tensor: of `layers` of `rows` by `columns`, each block of `block_rows` by `block_columns` has one.

    `layer_scales` is how many a layer has of its own, 0 where all layers share them; `scale_columns` how many lie beside one another.
    """

    rows: int
    columns: int
    block_rows: int
    block_columns: int
    scale_columns: int
    layer_scales: int


_USUAL = 128
"""The side of a block in the files of DeepSeek and Qwen, whose last block may be cut short."""


def _block(extent: int, scales: int) -> int | None:
    """Return how many elements along an axis share a scale; None where so many scales cannot lie along it."""
    if scales in (1, extent):
        return extent if scales == 1 else 1
    if -(-extent // _USUAL) == scales:
        return _USUAL
    return extent // scales if 0 < scales < extent and extent % scales == 0 else None


def grid_of(shape: Sequence[int], scale_shape: Sequence[int]) -> Grid | None:
    """Return how scales of a shape lie over a tensor of another; None where they do not fit.

    Fewer axes belong to the tensor's first ones: (n,) beside (n, m) is a scale a row.

    Examples
    --------
    >>> grid_of((300, 512), (3, 4))
    Grid(rows=300, columns=512, block_rows=128, block_columns=128, scale_columns=4, layer_scales=0)
    >>> grid_of((300, 512), (5, 7))
    """
    full = tuple(shape) + (1,) * (2 - len(shape))
    given = (1,) if math.prod(scale_shape) == 1 else tuple(scale_shape)
    if len(given) > max(1, len(shape)):
        return None
    given += (1,) * (len(full) - len(given))
    (*layers, rows, columns), (*own, scale_rows, scale_columns) = full, given
    if math.prod(own) != 1 and own != layers:
        return None
    block_rows, block_columns = _block(rows, scale_rows), _block(columns, scale_columns)
    if not block_rows or not block_columns:
        return None
    layer_scales = scale_rows * scale_columns if math.prod(own) != 1 else 0
    return Grid(rows, columns, block_rows, block_columns, scale_columns, layer_scales)


def misfit(tensor: TensorInfo, group: int) -> str:
    """Say why a tensor cannot be multiplied by the scales beside it, where `group` elements of a row stay together; empty where it can."""
    grid = grid_of(tensor.shape, tensor.scale_shape)
    if grid is None:
        return (
            f"{tensor.name!r} {tensor.shape} is stored as {tensor.dtype} with scales beside it, but {tensor.scale!r} {tensor.scale_shape} "
            "does not fit it: neither one number, one a row, nor one a block"
        )
    if grid.block_columns % group and grid.scale_columns > 1:
        return (
            f"{tensor.name!r} has a scale for every {grid.block_columns} columns ({tensor.scale!r}), and groups of {group} are quantised "
            "together: leave it out of quantize="
        )
    return ""
