"""Keys and values of the positions so far, in memory that grows with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.nn.kernels import Kernels

__all__ = ["FIRST", "Cache", "most_positions", "rounded"]

_STEP = 64
FIRST = 256
"""Positions that a cache has room for at first, at most: what longer texts take is made as they grow."""


def rounded(positions: int) -> int:
    """Return the room that is made for so many positions."""
    return -(-positions // _STEP) * _STEP


def most_positions(kernels: Kernels, rows: int) -> int:
    """Return the positions that a cache of so many rows can grow to: a layer's keys and values are one binding."""
    limits = kernels.device.info.limits
    largest = min(limits["maxBufferSize"], limits["maxStorageBufferBindingSize"])
    return largest // (4 * rows * kernels.sizes.kv_width) // _STEP * _STEP


class Cache:
    """The keys and values of each layer, and for beams that share pasts, whose row a past position lies in.

    Parameters
    ----------
    kernels
        Of the model.
    layers, rows
        How many.
    capacity
        Positions that there is room for.

    Attributes
    ----------
    layers : list of Buffer
        (2, rows, kept heads, capacity, head width) float32 each, keys then values.
    origin : Buffer
        (2, rows, capacity) u32, of even and odd steps.
    capacity : int
        As above.
    """

    def __init__(self, kernels: Kernels, layers: int, rows: int, capacity: int) -> None:
        self.kernels, self.rows, self.capacity = kernels, rows, capacity
        self.layers = [self._room() for _ in range(layers)]
        self.origin = kernels.queue.alloc(4 * 2 * rows * capacity, label="origin")

    def _room(self) -> Buffer:
        count = self.rows * self.kernels.sizes.kv_width * self.capacity
        return self.kernels.floats(count, "keys and values")

    def reset(self) -> None:
        """Make every row its own past."""
        rows = np.broadcast_to(np.arange(self.rows, dtype=np.uint32)[:, None], (2, self.rows, self.capacity))
        self.kernels.queue.write(self.origin, np.ascontiguousarray(rows))

    def grow(self, capacity: int) -> None:
        """Make room for more positions, keeping what there is; a program that was recorded with the buffers before must not run again."""
        before, self.capacity = self.capacity, capacity
        sizes = self.kernels.sizes
        for i, old in enumerate(self.layers):
            self.layers[i] = self._room()  # one by one, so that little more than one layer is there twice
            words = sizes.head_width // 4
            rows = 2 * self.rows * sizes.kept_heads
            self.kernels.widen(old, self.layers[i], rows, before * words, capacity * words)
        old, self.origin = self.origin, self.kernels.queue.alloc(4 * 2 * self.rows * capacity, label="origin")
        self.reset()
        self.kernels.widen(old, self.origin, 2 * self.rows, before // 4, capacity // 4)
