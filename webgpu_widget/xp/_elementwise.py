"""Elementwise functions of the array API. Python scalars take the arrays' dtype, on either side."""

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
    "acos",
    "acosh",
    "add",
    "angle",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "ceil",
    "clip",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "divide",
    "equal",
    "exp",
    "expm1",
    "floor",
    "floor_divide",
    "greater",
    "greater_equal",
    "hypot",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "not_equal",
    "positive",
    "pow",
    "real",
    "reciprocal",
    "remainder",
    "round",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "subtract",
    "tan",
    "tanh",
    "trunc",
]


def abs(x: GPUArray, /) -> GPUArray:  # noqa: A001 - the standard's name
    """Return the absolute value, elementwise."""
    return apply("abs", x)


def acos(x: GPUArray, /) -> GPUArray:
    """Return the inverse cosine, elementwise."""
    return apply("acos", x)


def acosh(x: GPUArray, /) -> GPUArray:
    """Return the inverse hyperbolic cosine, elementwise."""
    return apply("acosh", x)


def add(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the sum, elementwise."""
    return apply("add", x1, x2)


def asin(x: GPUArray, /) -> GPUArray:
    """Return the inverse sine, elementwise."""
    return apply("asin", x)


def asinh(x: GPUArray, /) -> GPUArray:
    """Return the inverse hyperbolic sine, elementwise."""
    return apply("asinh", x)


def atan(x: GPUArray, /) -> GPUArray:
    """Return the inverse tangent, elementwise."""
    return apply("atan", x)


def atan2(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the angle of the point (x2, x1), elementwise."""
    return apply("atan2", x1, x2)


def atanh(x: GPUArray, /) -> GPUArray:
    """Return the inverse hyperbolic tangent, elementwise."""
    return apply("atanh", x)


def bitwise_and(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits set in both, elementwise."""
    return apply("bitwise_and", x1, x2)


def bitwise_invert(x: GPUArray, /) -> GPUArray:
    """Return all bits flipped, elementwise."""
    return apply("bitwise_invert", x)


def bitwise_left_shift(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits moved left; 0 from a shift of 32, elementwise."""
    return apply("bitwise_left_shift", x1, x2)


def bitwise_or(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits set in either, elementwise."""
    return apply("bitwise_or", x1, x2)


def bitwise_right_shift(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits moved right, the sign kept, elementwise."""
    return apply("bitwise_right_shift", x1, x2)


def bitwise_xor(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits set in one, elementwise."""
    return apply("bitwise_xor", x1, x2)


def ceil(x: GPUArray, /) -> GPUArray:
    """Return the least integer not below, elementwise."""
    return apply("ceil", x)


def copysign(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the size of x1 with the sign of x2, elementwise."""
    return apply("copysign", x1, x2)


def cos(x: GPUArray, /) -> GPUArray:
    """Return the cosine, elementwise."""
    return apply("cos", x)


def cosh(x: GPUArray, /) -> GPUArray:
    """Return the hyperbolic cosine, elementwise."""
    return apply("cosh", x)


def divide(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the quotient; integers as float32, elementwise."""
    return apply("divide", x1, x2)


def equal(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether both are equal, elementwise."""
    return apply("equal", x1, x2)


def exp(x: GPUArray, /) -> GPUArray:
    """Return e to the power, elementwise."""
    return apply("exp", x)


def expm1(x: GPUArray, /) -> GPUArray:
    """Return e to the power, less 1, elementwise."""
    return apply("expm1", x)


def floor(x: GPUArray, /) -> GPUArray:
    """Return the largest integer not above, elementwise."""
    return apply("floor", x)


def floor_divide(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the quotient rounded down; 0 for integers over 0, elementwise."""
    return apply("floor_divide", x1, x2)


def greater(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 is larger, elementwise."""
    return apply("greater", x1, x2)


def greater_equal(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 is not smaller, elementwise."""
    return apply("greater_equal", x1, x2)


def hypot(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the length of (x1, x2), elementwise."""
    return apply("hypot", x1, x2)


def isfinite(x: GPUArray, /) -> GPUArray:
    """Return whether it is neither infinite nor NaN, elementwise."""
    return apply("isfinite", x)


def isinf(x: GPUArray, /) -> GPUArray:
    """Return whether it is infinite, elementwise."""
    return apply("isinf", x)


def isnan(x: GPUArray, /) -> GPUArray:
    """Return whether it is NaN, elementwise."""
    return apply("isnan", x)


def less(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 is smaller, elementwise."""
    return apply("less", x1, x2)


def less_equal(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 is not larger, elementwise."""
    return apply("less_equal", x1, x2)


def log(x: GPUArray, /) -> GPUArray:
    """Return the natural logarithm, elementwise."""
    return apply("log", x)


def log10(x: GPUArray, /) -> GPUArray:
    """Return the logarithm to base 10, elementwise."""
    return apply("log10", x)


def log1p(x: GPUArray, /) -> GPUArray:
    """Return the natural logarithm of one more, elementwise."""
    return apply("log1p", x)


def log2(x: GPUArray, /) -> GPUArray:
    """Return the logarithm to base 2, elementwise."""
    return apply("log2", x)


def logaddexp(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the logarithm of the sum of exponentials, elementwise."""
    return apply("logaddexp", x1, x2)


def logical_and(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether both are true, elementwise."""
    return apply("logical_and", x1, x2)


def logical_not(x: GPUArray, /) -> GPUArray:
    """Return the logical complement, elementwise."""
    return apply("logical_not", x)


def logical_or(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether either is true, elementwise."""
    return apply("logical_or", x1, x2)


def logical_xor(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether one alone is true, elementwise."""
    return apply("logical_xor", x1, x2)


def maximum(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the larger; NaN wins, elementwise."""
    return apply("maximum", x1, x2)


def minimum(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the smaller; NaN wins, elementwise."""
    return apply("minimum", x1, x2)


def multiply(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the product, elementwise."""
    return apply("multiply", x1, x2)


def negative(x: GPUArray, /) -> GPUArray:
    """Return the negative, elementwise."""
    return apply("negative", x)


def nextafter(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the float32 after x1 toward x2, elementwise."""
    return apply("nextafter", x1, x2)


def not_equal(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether both differ, elementwise."""
    return apply("not_equal", x1, x2)


def positive(x: GPUArray, /) -> GPUArray:
    """Return the value itself, elementwise."""
    return apply("positive", x)


def pow(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:  # noqa: A001 - the standard's name
    """Return x1 to the power x2, elementwise."""
    return apply("pow", x1, x2)


def reciprocal(x: GPUArray, /) -> GPUArray:
    """Return one over the value, elementwise."""
    return apply("reciprocal", x)


def remainder(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return what floor division leaves, with the sign of x2; 0 for integers over 0, elementwise."""
    return apply("remainder", x1, x2)


def round(x: GPUArray, /) -> GPUArray:  # noqa: A001 - the standard's name
    """Return the nearest integer, halves to even, elementwise."""
    return apply("round", x)


def sign(x: GPUArray, /) -> GPUArray:
    """Return -1, 0 or 1; NaN stays, elementwise."""
    return apply("sign", x)


def signbit(x: GPUArray, /) -> GPUArray:
    """Return whether the sign bit is set, elementwise."""
    return apply("signbit", x)


def sin(x: GPUArray, /) -> GPUArray:
    """Return the sine, elementwise."""
    return apply("sin", x)


def sinh(x: GPUArray, /) -> GPUArray:
    """Return the hyperbolic sine, elementwise."""
    return apply("sinh", x)


def sqrt(x: GPUArray, /) -> GPUArray:
    """Return the square root, elementwise."""
    return apply("sqrt", x)


def square(x: GPUArray, /) -> GPUArray:
    """Return the square, elementwise."""
    return apply("square", x)


def subtract(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the difference, elementwise."""
    return apply("subtract", x1, x2)


def tan(x: GPUArray, /) -> GPUArray:
    """Return the tangent, elementwise."""
    return apply("tan", x)


def tanh(x: GPUArray, /) -> GPUArray:
    """Return the hyperbolic tangent, elementwise."""
    return apply("tanh", x)


def trunc(x: GPUArray, /) -> GPUArray:
    """Return the integer next toward zero, elementwise."""
    return apply("trunc", x)


def real(x: GPUArray, /) -> GPUArray:
    """Return the real part, elementwise: of real numbers these themselves."""
    return apply("real", x)


def conj(x: GPUArray, /) -> GPUArray:
    """Return the complex conjugate, elementwise: of real numbers these themselves."""
    return apply("conj", x)


def imag(x: GPUArray, /) -> GPUArray:
    """Return the imaginary part, elementwise: of real numbers zeros."""
    return apply("imag", x)


def angle(x: GPUArray, /) -> GPUArray:
    """Return the angle of complex numbers from the positive real axis, in radians: -pi to pi."""
    return apply("angle", x)


def clip(x: GPUArray, /, min: Any = None, max: Any = None) -> GPUArray:  # noqa: A002 - the standard's names
    """Return the values kept within bounds, which are scalars or arrays and broadcast with `x`; x's dtype stays.

    Raises
    ------
    webgpu_widget.ShapeError
        When the shapes do not broadcast.
    webgpu_widget.DTypeError
        When a bound is of a higher kind than `x`.
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


def _within(bound: Any, dtype: dt.DType) -> Any:
    """Return an integer bound brought within its dtype, which changes nothing."""
    if dtype.kind not in "iu":
        return bound
    info = np.iinfo(dtype)
    return int(np.clip(int(bound), int(info.min), int(info.max)))
