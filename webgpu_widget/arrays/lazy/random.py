"""Random numbers by counter: Philox 4x32-10, the same on every adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget import shaders
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, cast_node, const, lazy, op_node
from webgpu_widget.arrays.lazy.create import check_shape
from webgpu_widget.arrays.lazy.node import Node, node_of, size_of
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.lazy.shape import concat, reshape
from webgpu_widget.arrays.lazy.value import wrap
from webgpu_widget.arrays.values import whole
from webgpu_widget.device.limits import SAFE_WORKGROUPS

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.device.device import Device


_LARGEST = float(np.finfo(np.float32).max)


def bits(device: Device, shape: Any, seed: int, stream: int = 0) -> GPUArray:
    """Return 32 random bits for each element, uint32.

    Parameters
    ----------
    device
        Where.
    shape
        Of the result. Element ``4 n + k`` is word ``k`` of block ``n``.
    seed
        Any integer; its low 64 bits are the key.
    stream
        Low 32 bits of it tell apart independent sequences of one seed.
    """
    sides = check_shape(shape)
    runtime = runtime_of(device)
    runtime.check_open()
    size = size_of(sides)
    node = Node("leaf", (), sides, dt.UINT32, storage=runtime.allocate(size, dt.UINT32))
    if size:
        key = _whole("seed", seed) & 0xFFFFFFFFFFFFFFFF
        words = [size, key & 0xFFFFFFFF, key >> 32, stream & 0xFFFFFFFF]
        pipeline = runtime.pipeline(("philox",), lambda: shaders.load("array/philox"), "philox", "main")
        runtime.dispatch(pipeline, [runtime.buffer(node)], words, min(SAFE_WORKGROUPS, -(-size // 256)))
    return wrap(device, node)


def _whole(name: str, value: Any) -> int:
    """Return a parameter as an int, which it must be."""
    number = whole(value)
    if number is None:
        raise ValueError(f"{name} is {value!r:.80}, but must be a whole number.")
    return number


def _single(name: str, value: float) -> np.float32:
    """Return a parameter as float32, which must hold it."""
    with np.errstate(over="ignore"):
        rounded = np.float32(value)
    if not np.isfinite(rounded):
        raise ValueError(f"{name} is {value!r}, but must be a finite number within float32, up to {_LARGEST:.7g}.")
    return rounded


def uniform(device: Device, shape: Any, seed: int, low: float = 0.0, high: float = 1.0) -> GPUArray:
    """Return float32 values uniform on [low, high): `low` plus multiples of 2**-24 of the width, rounded, but never up to `high`.

    Raises
    ------
    ValueError
        When `low` and `high`, rounded to float32, are not finite or not in this order.
    """
    least, bound = _single("low", low), _single("high", high)
    if not least < bound:
        raise ValueError(f"uniform takes low < high, both rounded to float32, not {low!r} and {high!r}.")
    raw = bits(device, shape, seed)
    unit = op_node(
        "multiply",
        cast_node(op_node("bitwise_right_shift", node_of(raw), const(8, dt.UINT32)), dt.FLOAT32),
        const(2.0**-24, dt.FLOAT32),
    )
    values = lazy(device, unit)
    if least == 0 and bound == 1:
        return values
    # A width beyond float32 is halved for a while.
    part = 1.0 if float(bound) - float(least) < _LARGEST else 0.5
    values = (values * (float(bound) * part - float(least) * part) + float(least) * part) * (1 / part)
    last = float(np.nextafter(bound, least))
    return apply("maximum", apply("minimum", values, last), float(least))


def normal(device: Device, shape: Any, seed: int, mean: float = 0.0, std: float = 1.0) -> GPUArray:
    """Return normally distributed float32 values, by Box and Muller's transform: at most 5.77 `std` from `mean`, and always finite.

    Raises
    ------
    ValueError
        When `mean` or `std`, rounded to float32, is not finite, or `std` is negative.
    """
    _single("mean", mean)
    if _single("std", std) < 0:
        raise ValueError(f"std is {std!r}, but must be 0 or more.")
    sides = check_shape(shape)
    size = size_of(sides)
    half = -(-size // 2)
    first = bits(device, (half,), seed, 1)
    second = bits(device, (half,), seed, 2)
    # (0, 1]: the logarithm of 0 is never asked for.
    u = apply("multiply", (first >> 8).astype(np.float32) + 1.0, 2.0**-24)
    angle = (second >> 8).astype(np.float32) * (2.0 * np.pi * 2.0**-24)
    radius = apply("sqrt", apply("log", u) * -2.0)
    values = concat([radius * apply("cos", angle), radius * apply("sin", angle)], 0)[:size]
    values = reshape(values, sides)
    if (mean, std) == (0.0, 1.0):
        return values
    if abs(mean) + 6 * abs(std) < _LARGEST:
        return values * std + mean
    # In eighths, which float32 holds all along.
    eighths = values * (std / 8) + mean / 8
    return apply("maximum", apply("minimum", eighths, _LARGEST / 8), -_LARGEST / 8) * 8.0


def integers(device: Device, shape: Any, seed: int, low: int, high: int) -> GPUArray:
    """Return int32 values uniform on [low, high), by the remainder of 32 bits (bias below (high - low) / 2**32).

    Raises
    ------
    ValueError
        When `low` and `high` are not whole numbers within int32 and in this order.
    """
    low, high = _whole("low", low), _whole("high", high)
    if not -(2**31) <= low < high <= 2**31:
        raise ValueError(f"integers takes low < high within int32, not {low} and {high}.")
    raw = bits(device, shape, seed, 3)
    width = high - low
    within = raw if width == 2**32 else raw % width
    shifted = op_node("add", node_of(within), const(low & 0xFFFFFFFF, dt.UINT32))
    return lazy(device, cast_node(shifted, dt.INT32))


def permutation(device: Device, size: int, seed: int) -> GPUArray:
    """Return 0 ... size - 1 in random order, int32."""
    return bits(device, (size,), seed, 4).argsort()
