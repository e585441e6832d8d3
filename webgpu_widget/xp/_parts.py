"""Rounding, parts and kinds of numbers in the array API, elementwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webgpu_widget.arrays.lazy.build import apply

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

__all__ = [
    "angle",
    "ceil",
    "conj",
    "floor",
    "imag",
    "isfinite",
    "isinf",
    "isnan",
    "real",
    "round",
    "signbit",
    "trunc",
]


def angle(x: GPUArray, /) -> GPUArray:
    """Return the angle of complex numbers from the positive real axis, in radians: -pi to pi.

    NumPy's; the array API standard has none.

    Parameters
    ----------
    x : GPUArray
        float32, float16 or complex64; integers and bools are taken as float32.

    Examples
    --------
    >>> xp.angle(xp.asarray([1 + 1j, -1 + 0j])).round(3)
    GPUArray([0.785, 3.142], shape=(2,), dtype=float32)
    """
    return apply("angle", x)


def ceil(x: GPUArray, /) -> GPUArray:
    """Return the least integer that is not below each element.

    The array API standard's `ceil`; the dtype stays.

    Parameters
    ----------
    x : GPUArray
        Of any dtype but complex64; integers and bools are returned as they are.

    Examples
    --------
    >>> xp.ceil(xp.asarray([-1.5, 1.5]))
    GPUArray([-1.,  2.], shape=(2,), dtype=float32)
    """
    return apply("ceil", x)


def conj(x: GPUArray, /) -> GPUArray:
    """Return the complex conjugate, elementwise: of real numbers these themselves.

    The array API standard's `conj`.

    Parameters
    ----------
    x : GPUArray
        Numbers of any dtype but bool.

    Examples
    --------
    >>> xp.conj(xp.asarray([1 + 2j]))
    GPUArray([1.-2.j], shape=(1,), dtype=complex64)
    """
    return apply("conj", x)


def floor(x: GPUArray, /) -> GPUArray:
    """Return the largest integer that is not above each element.

    The array API standard's `floor`; the dtype stays.

    Parameters
    ----------
    x : GPUArray
        Of any dtype but complex64; integers and bools are returned as they are.

    Examples
    --------
    >>> xp.floor(xp.asarray([-1.5, 1.5]))
    GPUArray([-2.,  1.], shape=(2,), dtype=float32)
    """
    return apply("floor", x)


def imag(x: GPUArray, /) -> GPUArray:
    """Return the imaginary part, elementwise: of real numbers zeros.

    The array API standard's `imag`; float32 of complex64.

    Parameters
    ----------
    x : GPUArray
        Numbers of any dtype but bool.

    Examples
    --------
    >>> xp.imag(xp.asarray([1 + 2j]))
    GPUArray([2.], shape=(1,), dtype=float32)
    """
    return apply("imag", x)


def isfinite(x: GPUArray, /) -> GPUArray:
    """Return whether each element is neither infinite nor NaN.

    The array API standard's `isfinite`; a complex number is finite where both parts are.

    Parameters
    ----------
    x : GPUArray
        Of any dtype.

    Examples
    --------
    >>> xp.isfinite(xp.asarray([1.0, xp.inf, xp.nan]))
    GPUArray([ True, False, False], shape=(3,), dtype=bool)
    """
    return apply("isfinite", x)


def isinf(x: GPUArray, /) -> GPUArray:
    """Return whether each element is infinite.

    The array API standard's `isinf`; a complex number is infinite where a part is.

    Parameters
    ----------
    x : GPUArray
        Of any dtype.

    Examples
    --------
    >>> xp.isinf(xp.asarray([1.0, xp.inf, xp.nan]))
    GPUArray([False,  True, False], shape=(3,), dtype=bool)
    """
    return apply("isinf", x)


def isnan(x: GPUArray, /) -> GPUArray:
    """Return whether each element is NaN.

    The array API standard's `isnan`; a complex number is NaN where a part is.

    Parameters
    ----------
    x : GPUArray
        Of any dtype.

    Examples
    --------
    >>> xp.isnan(xp.asarray([1.0, xp.inf, xp.nan]))
    GPUArray([False, False,  True], shape=(3,), dtype=bool)
    """
    return apply("isnan", x)


def real(x: GPUArray, /) -> GPUArray:
    """Return the real part, elementwise: of real numbers these themselves.

    The array API standard's `real`; float32 of complex64.

    Parameters
    ----------
    x : GPUArray
        Numbers of any dtype but bool.

    Examples
    --------
    >>> xp.real(xp.asarray([1 + 2j]))
    GPUArray([1.], shape=(1,), dtype=float32)
    """
    return apply("real", x)


def round(x: GPUArray, /) -> GPUArray:  # noqa: A001 - the standard's name
    """Return the nearest integer, elementwise; halves go to the even one.

    The array API standard's `round`; the dtype stays.

    Parameters
    ----------
    x : GPUArray
        Of any dtype but complex64; integers and bools are returned as they are.

    Examples
    --------
    >>> xp.round(xp.asarray([0.5, 1.5, 2.6]))
    GPUArray([0., 2., 3.], shape=(3,), dtype=float32)
    """
    return apply("round", x)


def signbit(x: GPUArray, /) -> GPUArray:
    """Return whether the sign bit is set, elementwise.

    The array API standard's `signbit`; it is for -0.0, which is not less than 0.

    Parameters
    ----------
    x : GPUArray
        Real numbers; integers have the sign bit of their value.

    Examples
    --------
    >>> xp.signbit(xp.asarray([-0.0, 0.0, -2.0]))
    GPUArray([ True, False,  True], shape=(3,), dtype=bool)
    """
    return apply("signbit", x)


def trunc(x: GPUArray, /) -> GPUArray:
    """Return the nearest integer toward zero, elementwise.

    The array API standard's `trunc`; the dtype stays.

    Parameters
    ----------
    x : GPUArray
        Of any dtype but complex64; integers and bools are returned as they are.

    Examples
    --------
    >>> xp.trunc(xp.asarray([-1.5, 1.5]))
    GPUArray([-1.,  1.], shape=(2,), dtype=float32)
    """
    return apply("trunc", x)
