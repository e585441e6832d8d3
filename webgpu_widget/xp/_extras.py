"""Functions that NumPy has beside the array API, and libraries look for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import create
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy.build import apply, astype, where
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.indexing import take
from webgpu_widget.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray

__all__ = ["around", "nan_to_num", "pad", "transpose"]

_EXACT_FROM = 2.0**23
"""From here on each float32 is an integer."""
_INDEXED = ("edge", "reflect", "symmetric", "wrap")


def transpose(a: GPUArray, axes: Sequence[int] | None = None) -> GPUArray:
    """Return the array with its axes in another order; nothing is moved.

    NumPy's; the array API standard has `permute_dims`.

    Parameters
    ----------
    a : GPUArray
        The values.
    axes : sequence of int, optional
        Which axis of `a` each axis of the result is; reversed when left out.

    Examples
    --------
    >>> xp.transpose(xp.zeros((2, 3))).shape
    (3, 2)
    """
    return shapes.permute(a, range(a.ndim)[::-1] if axes is None else axes)


def around(x: GPUArray, decimals: int = 0) -> GPUArray:
    """Return the values rounded to so many decimals, halves to even; negative ones round to tens, hundreds and so on.

    Floats are scaled, rounded and scaled back in float32, as NumPy does it. More than 38 decimals change nothing: their step is less
    than the least normal float32.

    Parameters
    ----------
    x : GPUArray
        Real numbers; integers and bools keep their dtype.
    decimals : int
        Places behind the point that stay.

    Examples
    --------
    >>> xp.around(xp.asarray([1.25, 2.71875]), 1)
    GPUArray([1.2, 2.7], shape=(2,), dtype=float32)
    >>> xp.around(xp.asarray([1234, 5678]), -2)
    GPUArray([1200, 5700], shape=(2,), dtype=int32)
    """
    if x.dtype.kind == "b":
        return x
    if x.dtype.kind in "iu":
        return x if decimals >= 0 else _round_whole(x, 10**-decimals)
    if not decimals:
        return apply("round", x)
    if x.dtype == dt.COMPLEX64:
        return apply("complex", *(around(apply(part, x), decimals) for part in ("real", "imag")))
    if decimals > 38:
        return x
    wide = astype(x, dt.FLOAT32)
    if decimals < -38:
        return astype(where(apply("isfinite", wide), apply("copysign", 0.0, wide), wide), x.dtype)
    scale = 10.0 ** abs(decimals)
    up, down = ("multiply", "divide") if decimals > 0 else ("divide", "multiply")
    scaled = apply(up, wide, scale)
    rounded = apply(down, apply("round", scaled), scale)
    # What has no digits behind the point stays, and does not overflow on the way.
    whole = apply("greater_equal", apply("abs", scaled), _EXACT_FROM)
    return astype(where(whole, wide, rounded), x.dtype)


def _round_whole(x: GPUArray, unit: int) -> GPUArray:
    """Return integers rounded to multiples of a power of ten, halves to the even multiple."""
    if unit > 10**9:
        return apply("multiply", x, 0)
    quotient, rest = apply("floor_divide", x, unit), apply("remainder", x, unit)
    odd = apply("equal", apply("bitwise_and", quotient, 1), 1)
    above = apply(
        "logical_or", apply("greater", rest, unit // 2), apply("logical_and", apply("equal", rest, unit // 2), odd)
    )
    return apply("multiply", apply("add", quotient, astype(above, x.dtype)), unit)


def pad(array: GPUArray, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> GPUArray:
    """Return the array with more elements around it.

    Parameters
    ----------
    array : GPUArray
        What lies in the middle.
    pad_width : int, pair, sequence of pairs or dict
        Elements before and after, for all axes or for each, as in `numpy.pad`.
    mode : str
        ``constant``, ``edge``, ``reflect``, ``symmetric``, ``wrap`` or ``empty`` (zeros).
    constant_values : number, pair or sequence of pairs
        What is put around, for ``constant``.

    Raises
    ------
    UnsupportedError
        For other modes.

    Examples
    --------
    >>> xp.pad(xp.asarray([1, 2]), (1, 2), constant_values=9)
    GPUArray([9, 1, 2, 9, 9], shape=(5,), dtype=int32)
    """
    if isinstance(pad_width, dict):
        width = [(0, 0)] * array.ndim
        for axis, pair in pad_width.items():
            width[shapes.check_axis(axis, array.ndim)] = (pair, pair) if isinstance(pair, int) else tuple(pair)
        pad_width = width
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist() if array.ndim else []
    if any(n < 0 or n != int(n) for pair in widths for n in pair):
        raise ValueError(f"pad: widths are whole numbers of 0 or more, not {pad_width!r:.80}.")
    if mode not in ("constant", "empty", *_INDEXED):
        raise UnsupportedError(
            f"pad: mode is constant, empty, {', '.join(_INDEXED)}, not {mode!r}. For others pass x.numpy()."
        )
    values = np.broadcast_to(np.asarray(constant_values, dtype=object), (array.ndim, 2)).tolist() if array.ndim else []
    result = array
    for axis, (before, after) in enumerate(widths):
        if not before and not after:
            continue
        side = result.shape[axis]
        if mode in _INDEXED:
            places = np.pad(np.arange(side, dtype=np.int32), (before, after), mode=mode)  # type: ignore[call-overload] # one of four
            result = take(result, from_host(result._device, places), axis)
            continue
        first, last = (0, 0) if mode == "empty" else values[axis]
        parts = [
            create.full(result._device, (*result.shape[:axis], n, *result.shape[axis + 1 :]), value, array.dtype)
            for n, value in ((before, first), (after, last))
        ]
        result = shapes.concat([p for p in (parts[0], result, parts[1]) if p.shape[axis]], axis)
    return result


def nan_to_num(x: GPUArray, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> GPUArray:
    """Return the values with numbers in the place of NaN and infinities.

    NumPy's; the array API standard has none.

    Parameters
    ----------
    x : GPUArray
        Floats; other dtypes are returned as they are.
    nan : float
        What takes the place of NaN.
    posinf, neginf : float, optional
        What takes the place of infinity and minus infinity; the largest and the least finite number of the dtype when left out.

    Examples
    --------
    >>> xp.nan_to_num(xp.asarray([xp.nan, 1.0, xp.inf]), posinf=9.0)
    GPUArray([0., 1., 9.], shape=(3,), dtype=float32)
    """
    if x.dtype.kind != "f":
        return x
    most = float(np.finfo(x.dtype).max)
    finite = where(apply("isnan", x), nan, x)
    finite = where(apply("equal", x, np.inf), most if posinf is None else posinf, finite)
    return where(apply("equal", x, -np.inf), -most if neginf is None else neginf, finite)
