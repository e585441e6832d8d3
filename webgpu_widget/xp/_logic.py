"""Comparisons, logic and bits of the array API, elementwise. Python scalars take the arrays' dtype, on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webgpu_widget.arrays.lazy.build import apply

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
]


def bitwise_and(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits that are set in both, elementwise.

    The array API standard's `bitwise_and`.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Both integers, or both bools; the shapes broadcast.

    Examples
    --------
    >>> xp.bitwise_and(xp.asarray([6, 5]), 3)
    GPUArray([2, 1], shape=(2,), dtype=int32)
    """
    return apply("bitwise_and", x1, x2)


def bitwise_invert(x: GPUArray, /) -> GPUArray:
    """Return all bits flipped, elementwise.

    The array API standard's `bitwise_invert`.

    Parameters
    ----------
    x : GPUArray
        Integers or bools.

    Examples
    --------
    >>> xp.bitwise_invert(xp.asarray([0, 5]))
    GPUArray([-1, -6], shape=(2,), dtype=int32)
    """
    return apply("bitwise_invert", x)


def bitwise_left_shift(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits of x1 moved left by x2 places, elementwise.

    The array API standard's `bitwise_left_shift`; 0 from a shift of 32.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Integers: what is moved, and by how many places, 0 or more; the shapes broadcast.

    Examples
    --------
    >>> xp.bitwise_left_shift(xp.asarray([1, 3]), 2)
    GPUArray([ 4, 12], shape=(2,), dtype=int32)
    """
    return apply("bitwise_left_shift", x1, x2)


def bitwise_or(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits that are set in either, elementwise.

    The array API standard's `bitwise_or`.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Both integers, or both bools; the shapes broadcast.

    Examples
    --------
    >>> xp.bitwise_or(xp.asarray([6, 5]), 3)
    GPUArray([7, 7], shape=(2,), dtype=int32)
    """
    return apply("bitwise_or", x1, x2)


def bitwise_right_shift(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits of x1 moved right by x2 places, the sign kept, elementwise.

    The array API standard's `bitwise_right_shift`; from a shift of 32 only the sign is left.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Integers: what is moved, and by how many places, 0 or more; the shapes broadcast.

    Examples
    --------
    >>> xp.bitwise_right_shift(xp.asarray([8, -8]), 2)
    GPUArray([ 2, -2], shape=(2,), dtype=int32)
    """
    return apply("bitwise_right_shift", x1, x2)


def bitwise_xor(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return the bits that are set in one of both alone, elementwise.

    The array API standard's `bitwise_xor`.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Both integers, or both bools; the shapes broadcast.

    Examples
    --------
    >>> xp.bitwise_xor(xp.asarray([6, 5]), 3)
    GPUArray([5, 6], shape=(2,), dtype=int32)
    """
    return apply("bitwise_xor", x1, x2)


def equal(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 and x2 are equal, elementwise.

    The array API standard's `equal`; NaN is equal to nothing.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Numbers of any dtype, complex64 among them; the shapes broadcast.

    Examples
    --------
    >>> xp.equal(xp.asarray([1, 2]), 2)
    GPUArray([False,  True], shape=(2,), dtype=bool)
    """
    return apply("equal", x1, x2)


def greater(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 is larger than x2, elementwise.

    The array API standard's `greater`; false where one is NaN.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers; the shapes broadcast.

    Examples
    --------
    >>> xp.greater(xp.asarray([1, 2, 3]), 2)
    GPUArray([False, False,  True], shape=(3,), dtype=bool)
    """
    return apply("greater", x1, x2)


def greater_equal(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 is larger than x2 or equal to it, elementwise.

    The array API standard's `greater_equal`; false where one is NaN.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers; the shapes broadcast.

    Examples
    --------
    >>> xp.greater_equal(xp.asarray([1, 2, 3]), 2)
    GPUArray([False,  True,  True], shape=(3,), dtype=bool)
    """
    return apply("greater_equal", x1, x2)


def less(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 is smaller than x2, elementwise.

    The array API standard's `less`; false where one is NaN.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers; the shapes broadcast.

    Examples
    --------
    >>> xp.less(xp.asarray([1, 2, 3]), 2)
    GPUArray([ True, False, False], shape=(3,), dtype=bool)
    """
    return apply("less", x1, x2)


def less_equal(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 is smaller than x2 or equal to it, elementwise.

    The array API standard's `less_equal`; false where one is NaN.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Real numbers; the shapes broadcast.

    Examples
    --------
    >>> xp.less_equal(xp.asarray([1, 2, 3]), 2)
    GPUArray([ True,  True, False], shape=(3,), dtype=bool)
    """
    return apply("less_equal", x1, x2)


def logical_and(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether both are true, elementwise.

    The array API standard's `logical_and`.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        What is not zero counts as true, NaN too; the shapes broadcast.

    Examples
    --------
    >>> xp.logical_and(xp.asarray([True, True]), xp.asarray([True, False]))
    GPUArray([ True, False], shape=(2,), dtype=bool)
    """
    return apply("logical_and", x1, x2)


def logical_not(x: GPUArray, /) -> GPUArray:
    """Return whether each element is false.

    The array API standard's `logical_not`.

    Parameters
    ----------
    x : GPUArray
        What is not zero counts as true, NaN too.

    Examples
    --------
    >>> xp.logical_not(xp.asarray([True, False]))
    GPUArray([False,  True], shape=(2,), dtype=bool)
    """
    return apply("logical_not", x)


def logical_or(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether at least one is true, elementwise.

    The array API standard's `logical_or`.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        What is not zero counts as true, NaN too; the shapes broadcast.

    Examples
    --------
    >>> xp.logical_or(xp.asarray([True, False]), xp.asarray([False, False]))
    GPUArray([ True, False], shape=(2,), dtype=bool)
    """
    return apply("logical_or", x1, x2)


def logical_xor(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether exactly one is true, elementwise.

    The array API standard's `logical_xor`.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        What is not zero counts as true, NaN too; the shapes broadcast.

    Examples
    --------
    >>> xp.logical_xor(xp.asarray([True, False]), xp.asarray([True, True]))
    GPUArray([False,  True], shape=(2,), dtype=bool)
    """
    return apply("logical_xor", x1, x2)


def not_equal(x1: GPUArray | float, x2: GPUArray | float, /) -> GPUArray:
    """Return whether x1 and x2 differ, elementwise.

    The array API standard's `not_equal`; NaN differs from everything.

    Parameters
    ----------
    x1, x2 : GPUArray or scalar
        Numbers of any dtype, complex64 among them; the shapes broadcast.

    Examples
    --------
    >>> xp.not_equal(xp.asarray([1, 2]), 2)
    GPUArray([ True, False], shape=(2,), dtype=bool)
    """
    return apply("not_equal", x1, x2)
