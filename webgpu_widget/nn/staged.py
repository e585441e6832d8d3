"""Tensors of a checkpoint that come in stages, in the order in which a model's parts are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webgpu_widget.weights import Weights

__all__ = ["StagedTensors"]


class StagedTensors:
    """A load's tensors by the model's names; a stage's memory is given back when all of its tensors have been released.

    Parameters
    ----------
    weights
        The load.
    stored
        What the file calls them, where that is not the model's name.
    stages
        The stage of each tensor that is used, by the file's name.
    """

    def __init__(self, weights: Weights, stored: Mapping[str, str], stages: Mapping[str, int]) -> None:
        self._weights, self._stored, self._stage = weights, stored, stages
        self._left: dict[int, set[str]] = {}
        for name, stage in stages.items():
            self._left.setdefault(stage, set()).add(name)

    def __getitem__(self, name: str) -> GPUArray:
        value = self._weights[self._stored.get(name, name)]
        if not isinstance(value, GPUArray):
            raise LimitError(
                f"{name} is larger than a buffer of this adapter; use an adapter with a larger maxBufferSize, or a smaller model"
            )
        return value

    def release(self, names: Sequence[str]) -> None:
        """Free stages of which nothing is left to use."""
        for name in (self._stored.get(name, name) for name in names):
            left = self._left[self._stage[name]]
            left.discard(name)
            if not left:
                self._weights.free(self._stage[name])

    def close(self) -> None:
        """Stop loading and give everything back."""
        self._weights.cancel()
