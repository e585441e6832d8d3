"""Random arrays: counter-based (Philox 4x32-10), so that a seed gives the same numbers on every adapter.

Not part of the array API standard, which has no random numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from webgpu_widget.arrays.lazy import random as _random
from webgpu_widget.xp._creation import device_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.gpu import GPU

__all__ = ["bits", "integers", "normal", "permutation", "uniform"]


def bits(shape: int | Sequence[int], seed: int, *, device: GPU | None = None) -> GPUArray:
    """Return 32 random bits for each element, uint32."""
    return _random.bits(device_of(device), shape, seed)


def uniform(
    shape: int | Sequence[int], seed: int, low: float = 0.0, high: float = 1.0, *, device: GPU | None = None
) -> GPUArray:
    """Return float32 values uniform on the half-open interval [low, high), with 24 random bits each.

    Parameters
    ----------
    shape, seed
        Of the result; any integer, of which the low 64 bits count.
    low, high
        The ends, rounded to float32, with low < high. `low` can come, `high` never does, however few float32 there are between them.
    device
        Where; the default GPU for None.

    Raises
    ------
    ValueError
        When the ends are not finite in float32 or not in this order.
    """
    return _random.uniform(device_of(device), shape, seed, low, high)


def normal(
    shape: int | Sequence[int], seed: int, mean: float = 0.0, std: float = 1.0, *, device: GPU | None = None
) -> GPUArray:
    """Return normally distributed float32 values, all finite and within 5.77 `std` of `mean`.

    Parameters
    ----------
    shape, seed
        Of the result; any integer, of which the low 64 bits count.
    mean, std
        Of the distribution, finite in float32.
    device
        Where; the default GPU for None.

    Raises
    ------
    ValueError
        When `mean` or `std` is not finite in float32.
    """
    return _random.normal(device_of(device), shape, seed, mean, std)


def integers(shape: int | Sequence[int], seed: int, low: int, high: int, *, device: GPU | None = None) -> GPUArray:
    """Return int32 values uniform on [low, high)."""
    return _random.integers(device_of(device), shape, seed, low, high)


def permutation(size: int, seed: int, *, device: GPU | None = None) -> GPUArray:
    """Return 0 ... size - 1 in random order, int32."""
    return _random.permutation(device_of(device), size, seed)
