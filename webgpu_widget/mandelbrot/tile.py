"""Parts of a picture."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tile"]


@dataclasses.dataclass(frozen=True)
class Tile:
    """A rectangle of a picture: its first column and row, width and height, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def where(self) -> tuple[slice, slice]:
        """Its part of an array of the picture's shape."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, self.height

    def shift(self, size: tuple[int, int]) -> tuple[float, float]:
        """Way from the middle of a picture of ``size`` to the tile's own: with it the tile's pixels have the picture's points, to the bit."""
        return self.left + self.width / 2 - size[0] / 2, self.top + self.height / 2 - size[1] / 2

    def grown(self, size: tuple[int, int]) -> Tile:
        """Add the pixels of a picture of ``size`` that are next to it."""
        left, top = max(0, self.left - 1), max(0, self.top - 1)
        right, bottom = min(size[0], self.left + self.width + 1), min(size[1], self.top + self.height + 1)
        return Tile(left, top, right - left, bottom - top)

    def inside(self, outer: Tile) -> Tile:
        """Count the same rectangle from the first pixel of one around it."""
        return Tile(self.left - outer.left, self.top - outer.top, self.width, self.height)

    def holds(self, pixels: NDArray[np.uint32], columns: int) -> NDArray[np.bool_]:
        """Tell which pixels, counted row by row in a picture ``columns`` wide, are in it."""
        column, row = pixels % columns - np.int64(self.left), pixels // columns - np.int64(self.top)
        return (column >= 0) & (column < self.width) & (row >= 0) & (row < self.height)
