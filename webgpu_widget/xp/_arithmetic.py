"""Arithmetic of the array API, elementwise. Python scalars take the arrays' dtype, on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, cast_node, const, lazy, op_node, same_gpu
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.node import broadcast_shapes, node_of
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.errors import DTypeError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

__all__ = [
    "abs",
    "add",
    "clip",
    "copysign",
    "divide",
    "floor_divide",
    "hypot",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "positive",
    "pow",
    "reciprocal",
    "remainder",
    "sign",
    "sqrt",
    "square",
    "subtract",
]


def abs(x: GPUArray, /) -> GPUArray:  # noqa: A001 - the standard's name
    """Return the absolute value, elementwise.

    The array API standard's `abs`; the least int32 stays as it is, since int32 does not hold its absolute value; of complex64 the modulus, as float32.

    Parameters
    ----------
    x : GPUArray
        Of any dtype.

    Examples
    --------
    >>> xp.abs(xp.asarray([-2, 3]))
    GPUArray([2, 3], shape=(2,), dtype=int32)
    """
    return apply("abs", x)


def add(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the sum, elementwise.

    The array API standard's `add`; integers modulo 2**32; of bools "or".

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Numbers of any dtype, complex64 among them; the shapes broadcast.

    Examples
    --------
    >>> xp.add(xp.asarray([1, 2]), 10)
    GPUArray([11, 12], shape=(2,), dtype=int32)
    """
    return apply("add", x1, x2)


def clip(x: GPUArray, /, min: Any = None, max: Any = None) -> GPUArray:  # noqa: A002 - the standard's names
    """Return the values kept within bounds; the dtype of `x` stays.

    The array API standard's `clip`.

    Parameters
    ----------
    x : GPUArray
        Real numbers.
    min, max : GPUArray or scalar, optional
        Least and largest values, which broadcast with `x`; no bound when left out.

    Raises
    ------
    ShapeError
        When the shapes do not broadcast.
    DTypeError
        When a bound is of a higher kind than `x`.

    Examples
    --------
    >>> xp.clip(xp.asarray([-1, 2, 7]), 0, 5)
    GPUArray([0, 2, 5], shape=(3,), dtype=int32)
    """
    same_gpu("clip", [x])
    node = node_of(x)
    for name, bound in (("maximum", min), ("minimum", max)):
        if bound is None:
            continue
        if dt.is_scalar(bound):
            if dt.promote_scalar(bound, x.dtype) != x.dtype:
                raise DTypeError(f"clip: the bound {bound!r} does not fit {x.dtype.name}.")
            limit = const(_within(bound, x.dtype), x.dtype)
        else:
            array = bound if is_array(bound) else from_host(x._device, bound)
            same_gpu("clip", [x, array])
            if dt.promote(array.dtype, x.dtype) != x.dtype:
                raise DTypeError(f"clip: a bound of {array.dtype.name} does not fit {x.dtype.name}.")
            limit = cast_node(node_of(array), x.dtype)
        broadcast_shapes("clip", node.shape, limit.shape)
        node = op_node(name, node, limit)
    return lazy(x._device, node)


def copysign(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the sizes of x1 with the signs of x2, elementwise.

    The array API standard's `copysign`; the signs of zeros and NaN count.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers, computed as floats; the shapes broadcast.

    Examples
    --------
    >>> xp.copysign(xp.asarray([1.0, 2.0]), xp.asarray([-1.0, 1.0]))
    GPUArray([-1.,  2.], shape=(2,), dtype=float32)
    """
    return apply("copysign", x1, x2)


def divide(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the quotient x1 / x2, elementwise.

    The array API standard's `divide`; integers are divided as float32.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Numbers of any dtype, complex64 among them; the shapes broadcast.

    Examples
    --------
    >>> xp.divide(xp.asarray([1, 2]), 4)
    GPUArray([0.25, 0.5 ], shape=(2,), dtype=float32)
    """
    return apply("divide", x1, x2)


def floor_divide(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the quotient x1 / x2 rounded down, elementwise.

    The array API standard's `floor_divide`; 0 for integers over 0.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers; the shapes broadcast.

    Examples
    --------
    >>> xp.floor_divide(xp.asarray([7, -7]), 2)
    GPUArray([ 3, -4], shape=(2,), dtype=int32)
    """
    return apply("floor_divide", x1, x2)


def hypot(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return ``sqrt(x1**2 + x2**2)``, elementwise.

    The array API standard's `hypot`; the squares do not overflow on the way.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers, computed as floats; the shapes broadcast.

    Examples
    --------
    >>> xp.hypot(xp.asarray([3.0, 5.0]), xp.asarray([4.0, 12.0]))
    GPUArray([ 5., 13.], shape=(2,), dtype=float32)
    """
    return apply("hypot", x1, x2)


def maximum(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the larger of two numbers, elementwise.

    The array API standard's `maximum`; NaN where one of them is.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers; the shapes broadcast.

    Examples
    --------
    >>> xp.maximum(xp.asarray([1, 5]), 3)
    GPUArray([3, 5], shape=(2,), dtype=int32)
    """
    return apply("maximum", x1, x2)


def minimum(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the smaller of two numbers, elementwise.

    The array API standard's `minimum`; NaN where one of them is.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers; the shapes broadcast.

    Examples
    --------
    >>> xp.minimum(xp.asarray([1, 5]), 3)
    GPUArray([1, 3], shape=(2,), dtype=int32)
    """
    return apply("minimum", x1, x2)


def multiply(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the product, elementwise.

    The array API standard's `multiply`; integers modulo 2**32; of bools "and".

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Numbers of any dtype, complex64 among them; the shapes broadcast.

    Examples
    --------
    >>> xp.multiply(xp.asarray([1, 2]), 10)
    GPUArray([10, 20], shape=(2,), dtype=int32)
    """
    return apply("multiply", x1, x2)


def negative(x: GPUArray, /) -> GPUArray:
    """Return the negative, elementwise.

    The array API standard's `negative`; of uint32 modulo 2**32.

    Parameters
    ----------
    x : GPUArray
        Numbers of any dtype but bool.

    Examples
    --------
    >>> xp.negative(xp.asarray([1, -2]))
    GPUArray([-1,  2], shape=(2,), dtype=int32)
    """
    return apply("negative", x)


def nextafter(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the float next to x1 toward x2, elementwise.

    The array API standard's `nextafter`.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers, computed as floats; the shapes broadcast.

    Examples
    --------
    >>> float(xp.nextafter(xp.asarray(1.0), 2.0)) - 1
    1.1920928955078125e-07
    """
    return apply("nextafter", x1, x2)


def positive(x: GPUArray, /) -> GPUArray:
    """Return the elements as they are.

    The array API standard's `positive`.

    Parameters
    ----------
    x : GPUArray
        Numbers of any dtype but bool.

    Examples
    --------
    >>> xp.positive(xp.asarray([1, -2]))
    GPUArray([ 1, -2], shape=(2,), dtype=int32)
    """
    return apply("positive", x)


def pow(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:  # noqa: A001 - the standard's name
    """Return x1 to the power of x2, elementwise.

    The array API standard's `pow`; integers modulo 2**32; they have no negative powers, which raise ValueError.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Bases and exponents, of any dtype but bool; the shapes broadcast.

    Examples
    --------
    >>> xp.pow(xp.asarray([2.0, 3.0]), 2)
    GPUArray([4., 9.], shape=(2,), dtype=float32)
    """
    return apply("pow", x1, x2)


def reciprocal(x: GPUArray, /) -> GPUArray:
    """Return one over each element.

    The array API standard's `reciprocal`; infinite at 0.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.reciprocal(xp.asarray([2.0, 4.0]))
    GPUArray([0.5 , 0.25], shape=(2,), dtype=float32)
    """
    return apply("reciprocal", x)


def remainder(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return what floor division leaves, elementwise.

    The array API standard's `remainder`; it has the sign of `x2`; 0 for integers over 0.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers; the shapes broadcast.

    Examples
    --------
    >>> xp.remainder(xp.asarray([7, -7]), 3)
    GPUArray([1, 2], shape=(2,), dtype=int32)
    """
    return apply("remainder", x1, x2)


def sign(x: GPUArray, /) -> GPUArray:
    """Return the sign, elementwise: -1, 0 or 1.

    The array API standard's `sign`; NaN stays; a complex number is divided by its modulus.

    Parameters
    ----------
    x : GPUArray
        Numbers of any dtype but bool.

    Examples
    --------
    >>> xp.sign(xp.asarray([-2.5, 0.0, 3.0]))
    GPUArray([-1.,  0.,  1.], shape=(3,), dtype=float32)
    """
    return apply("sign", x)


def sqrt(x: GPUArray, /) -> GPUArray:
    """Return the square root, elementwise.

    The array API standard's `sqrt`; NaN for negative real numbers.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.sqrt(xp.asarray([4.0, 9.0]))
    GPUArray([2., 3.], shape=(2,), dtype=float32)
    """
    return apply("sqrt", x)


def square(x: GPUArray, /) -> GPUArray:
    """Return the square, elementwise.

    The array API standard's `square`; integers modulo 2**32.

    Parameters
    ----------
    x : GPUArray
        Of any dtype.

    Examples
    --------
    >>> xp.square(xp.asarray([2, -3]))
    GPUArray([4, 9], shape=(2,), dtype=int32)
    """
    return apply("square", x)


def subtract(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the difference x1 - x2, elementwise.

    The array API standard's `subtract`; integers modulo 2**32.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Numbers of any dtype but bool; the shapes broadcast.

    Examples
    --------
    >>> xp.subtract(xp.asarray([1, 2]), 10)
    GPUArray([-9, -8], shape=(2,), dtype=int32)
    """
    return apply("subtract", x1, x2)


def _within(bound: Any, dtype: dt.DType) -> Any:
    """Return an integer bound brought within its dtype, which changes nothing."""
    if dtype.kind not in "iu":
        return bound
    info = np.iinfo(dtype)
    return int(np.clip(int(bound), int(info.min), int(info.max)))
