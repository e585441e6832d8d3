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
    """Return 32 random bits for each element, uint32.

    Parameters
    ----------
    shape : int or tuple of int
        Lengths of the axes.
    seed : int
        Any, of which the low 64 bits count; the same seed gives the same values on every adapter.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Examples
    --------
    >>> xp.random.bits((2, 3), seed=1).dtype
    dtype('uint32')
    """
    return _random.bits(device_of(device), shape, seed)


def uniform(
    shape: int | Sequence[int], seed: int, low: float = 0.0, high: float = 1.0, *, device: GPU | None = None
) -> GPUArray:
    """Return float32 values uniform on the half-open interval [low, high), with 24 random bits each.

    Parameters
    ----------
    shape : int or tuple of int
        Lengths of the axes.
    seed : int
        Any, of which the low 64 bits count; the same seed gives the same values on every adapter.
    low, high : float
        The ends, rounded to float32, with low < high. `low` can come, `high` never does, however few float32 there are between them.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Raises
    ------
    ValueError
        When the ends are not finite in float32 or not in this order.

    Examples
    --------
    >>> x = xp.random.uniform(1000, seed=1, low=-1.0)
    >>> bool(xp.all((x >= -1.0) & (x < 1.0)))
    True
    """
    return _random.uniform(device_of(device), shape, seed, low, high)


def normal(
    shape: int | Sequence[int], seed: int, mean: float = 0.0, std: float = 1.0, *, device: GPU | None = None
) -> GPUArray:
    """Return normally distributed float32 values, all finite and within 5.77 `std` of `mean`.

    Parameters
    ----------
    shape : int or tuple of int
        Lengths of the axes.
    seed : int
        Any, of which the low 64 bits count; the same seed gives the same values on every adapter.
    mean, std : float
        Of the distribution, finite in float32.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Raises
    ------
    ValueError
        When `mean` or `std` is not finite in float32, or `std` is negative.

    Examples
    --------
    >>> xp.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    return _random.normal(device_of(device), shape, seed, mean, std)


def integers(shape: int | Sequence[int], seed: int, low: int, high: int, *, device: GPU | None = None) -> GPUArray:
    """Return int32 values uniform on the half-open interval [low, high).

    Parameters
    ----------
    shape : int or tuple of int
        Lengths of the axes.
    seed : int
        Any, of which the low 64 bits count; the same seed gives the same values on every adapter.
    low, high : int
        The ends, in int32, with low < high; `high` never comes.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Examples
    --------
    >>> xp.random.integers(4, seed=1, low=0, high=10)
    GPUArray([7, 2, 9, 4], shape=(4,), dtype=int32)
    """
    return _random.integers(device_of(device), shape, seed, low, high)


def permutation(size: int, seed: int, *, device: GPU | None = None) -> GPUArray:
    """Return 0 ... size - 1 in random order, int32.

    Parameters
    ----------
    size : int
        How many.
    seed : int
        Any, of which the low 64 bits count; the same seed gives the same values on every adapter.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Examples
    --------
    >>> xp.random.permutation(4, seed=1)
    GPUArray([2, 1, 3, 0], shape=(4,), dtype=int32)
    """
    return _random.permutation(device_of(device), size, seed)
