"""Exponentials, logarithms and trigonometry of the array API, elementwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webgpu_widget.arrays.lazy.build import apply

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "sin",
    "sinh",
    "tan",
    "tanh",
]


def acos(x: GPUArray, /) -> GPUArray:
    """Return the inverse cosine in radians, elementwise.

    The array API standard's `acos`; from 0 to pi; NaN for real numbers outside -1 to 1.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.acos(xp.asarray([1.0, 0.0, -1.0])).round(3)
    GPUArray([0.   , 1.571, 3.142], shape=(3,), dtype=float32)
    """
    return apply("acos", x)


def acosh(x: GPUArray, /) -> GPUArray:
    """Return the inverse hyperbolic cosine, elementwise.

    The array API standard's `acosh`; NaN for real numbers below 1.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.acosh(xp.asarray([1.0, 2.0])).round(3)
    GPUArray([0.   , 1.317], shape=(2,), dtype=float32)
    """
    return apply("acosh", x)


def asin(x: GPUArray, /) -> GPUArray:
    """Return the inverse sine in radians, elementwise.

    The array API standard's `asin`; from -pi/2 to pi/2; NaN for real numbers outside -1 to 1.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.asin(xp.asarray([-1.0, 0.0, 1.0])).round(3)
    GPUArray([-1.571,  0.   ,  1.571], shape=(3,), dtype=float32)
    """
    return apply("asin", x)


def asinh(x: GPUArray, /) -> GPUArray:
    """Return the inverse hyperbolic sine, elementwise.

    The array API standard's `asinh`.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.asinh(xp.asarray([0.0, 1.0])).round(3)
    GPUArray([0.   , 0.881], shape=(2,), dtype=float32)
    """
    return apply("asinh", x)


def atan(x: GPUArray, /) -> GPUArray:
    """Return the inverse tangent in radians, elementwise.

    The array API standard's `atan`; from -pi/2, for minus infinity, to pi/2.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.atan(xp.asarray([0.0, 1.0, xp.inf])).round(3)
    GPUArray([0.   , 0.785, 1.571], shape=(3,), dtype=float32)
    """
    return apply("atan", x)


def atan2(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the angle of the point (x2, x1) from the positive first axis in radians, elementwise.

    The array API standard's `atan2`; from -pi to pi; the signs of zeros count.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        The second and the first coordinate, real; the shapes broadcast.

    Examples
    --------
    >>> xp.atan2(xp.asarray([1.0, 0.0]), xp.asarray([1.0, -1.0])).round(3)
    GPUArray([0.785, 3.142], shape=(2,), dtype=float32)
    """
    return apply("atan2", x1, x2)


def atanh(x: GPUArray, /) -> GPUArray:
    """Return the inverse hyperbolic tangent, elementwise.

    The array API standard's `atanh`; infinite at -1 and 1; NaN for real numbers beyond.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.atanh(xp.asarray([0.0, 0.5])).round(3)
    GPUArray([0.   , 0.549], shape=(2,), dtype=float32)
    """
    return apply("atanh", x)


def cos(x: GPUArray, /) -> GPUArray:
    """Return the cosine, elementwise.

    The array API standard's `cos`; NaN for infinite real numbers.

    Parameters
    ----------
    x : GPUArray
        Angles in radians: float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.cos(xp.asarray([0.0, xp.pi]))
    GPUArray([ 1., -1.], shape=(2,), dtype=float32)
    """
    return apply("cos", x)


def cosh(x: GPUArray, /) -> GPUArray:
    """Return the hyperbolic cosine, elementwise.

    The array API standard's `cosh`; infinite in float32 beyond about 89.4.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.cosh(xp.asarray([0.0, 1.0])).round(3)
    GPUArray([1.   , 1.543], shape=(2,), dtype=float32)
    """
    return apply("cosh", x)


def exp(x: GPUArray, /) -> GPUArray:
    """Return e to the power of each element.

    The array API standard's `exp`; infinite in float32 above about 88.7.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.exp(xp.asarray([0.0, 1.0])).round(3)
    GPUArray([1.   , 2.718], shape=(2,), dtype=float32)
    """
    return apply("exp", x)


def expm1(x: GPUArray, /) -> GPUArray:
    """Return e to the power of each element, less 1.

    The array API standard's `expm1`; it keeps the digits near 0 that ``exp(x) - 1`` loses.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.expm1(xp.asarray([0.0, 1.0])).round(3)
    GPUArray([0.   , 1.718], shape=(2,), dtype=float32)
    """
    return apply("expm1", x)


def log(x: GPUArray, /) -> GPUArray:
    """Return the natural logarithm, elementwise.

    The array API standard's `log`; minus infinity at 0; NaN for negative real numbers.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.log(xp.asarray([1.0, 10.0])).round(3)
    GPUArray([0.   , 2.303], shape=(2,), dtype=float32)
    """
    return apply("log", x)


def log10(x: GPUArray, /) -> GPUArray:
    """Return the logarithm to base 10, elementwise.

    The array API standard's `log10`; minus infinity at 0; NaN for negative real numbers.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.log10(xp.asarray([1.0, 1000.0])).round(3)
    GPUArray([0., 3.], shape=(2,), dtype=float32)
    """
    return apply("log10", x)


def log1p(x: GPUArray, /) -> GPUArray:
    """Return the natural logarithm of each element plus 1.

    The array API standard's `log1p`; it keeps the digits near 0 that ``log(1 + x)`` loses.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.log1p(xp.asarray([0.0, 1.0])).round(3)
    GPUArray([0.   , 0.693], shape=(2,), dtype=float32)
    """
    return apply("log1p", x)


def log2(x: GPUArray, /) -> GPUArray:
    """Return the logarithm to base 2, elementwise.

    The array API standard's `log2`; minus infinity at 0; NaN for negative real numbers.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.log2(xp.asarray([1.0, 8.0])).round(3)
    GPUArray([0., 3.], shape=(2,), dtype=float32)
    """
    return apply("log2", x)


def logaddexp(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return ``log(exp(x1) + exp(x2))``, elementwise.

    The array API standard's `logaddexp`; the exponentials do not overflow on the way.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers, computed as floats; the shapes broadcast.

    Examples
    --------
    >>> xp.logaddexp(xp.asarray([0.0, 1000.0]), 0.0).round(3)
    GPUArray([6.93e-01, 1.00e+03], shape=(2,), dtype=float32)
    """
    return apply("logaddexp", x1, x2)


def sin(x: GPUArray, /) -> GPUArray:
    """Return the sine, elementwise.

    The array API standard's `sin`; NaN for infinite real numbers.

    Parameters
    ----------
    x : GPUArray
        Angles in radians: float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.sin(xp.asarray([0.0, xp.pi / 2]))
    GPUArray([0., 1.], shape=(2,), dtype=float32)
    """
    return apply("sin", x)


def sinh(x: GPUArray, /) -> GPUArray:
    """Return the hyperbolic sine, elementwise.

    The array API standard's `sinh`; infinite in float32 beyond about 89.4.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.sinh(xp.asarray([0.0, 1.0])).round(3)
    GPUArray([0.   , 1.175], shape=(2,), dtype=float32)
    """
    return apply("sinh", x)


def tan(x: GPUArray, /) -> GPUArray:
    """Return the tangent, elementwise.

    The array API standard's `tan`; NaN for infinite real numbers.

    Parameters
    ----------
    x : GPUArray
        Angles in radians: float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.tan(xp.asarray([0.0, xp.pi / 4])).round(3)
    GPUArray([0., 1.], shape=(2,), dtype=float32)
    """
    return apply("tan", x)


def tanh(x: GPUArray, /) -> GPUArray:
    """Return the hyperbolic tangent, elementwise.

    The array API standard's `tanh`.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.tanh(xp.asarray([0.0, 1.0])).round(3)
    GPUArray([0.   , 0.762], shape=(2,), dtype=float32)
    """
    return apply("tanh", x)
