"""Statistical and utility functions of the array API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy import statistics
from webgpu_widget.arrays.lazy.build import apply
from webgpu_widget.arrays.lazy.shape import check_axis
from webgpu_widget.arrays.lazy.shape import concat as _concat

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

Axis = int | tuple[int, ...] | None


def all(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return whether all elements are true."""
    return statistics.logical(x, "all", axis, keepdims=keepdims)


def any(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return whether any element is true."""
    return statistics.logical(x, "any", axis, keepdims=keepdims)


def cumulative_prod(
    x: GPUArray, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> GPUArray:
    """Return running products along an axis (1-D arrays need none)."""
    return statistics.cumulative(x, "prod", axis, dtype, include_initial=include_initial)


def cumulative_sum(
    x: GPUArray, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> GPUArray:
    """Return running sums along an axis (1-D arrays need none)."""
    return statistics.cumulative(x, "sum", axis, dtype, include_initial=include_initial)


def max(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return the largest value; NaN where there is one."""
    return statistics.extreme(x, "max", axis, keepdims=keepdims)


def min(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return the smallest value; NaN where there is one."""
    return statistics.extreme(x, "min", axis, keepdims=keepdims)


def mean(x: GPUArray, /, *, axis: Axis = None, keepdims: bool = False) -> GPUArray:
    """Return the arithmetic mean."""
    return statistics.mean(x, axis, keepdims=keepdims)


def prod(x: GPUArray, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> GPUArray:
    """Return the product; integers modulo 2**32."""
    return statistics.total(x, "prod", axis, dtype, keepdims=keepdims)


def sum(x: GPUArray, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> GPUArray:  # noqa: A001
    """Return the sum; integers modulo 2**32."""
    return statistics.total(x, "sum", axis, dtype, keepdims=keepdims)


def var(x: GPUArray, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> GPUArray:
    """Return the variance, with ``n - correction`` in the denominator."""
    return statistics.variance(x, axis, correction, keepdims=keepdims)


def std(x: GPUArray, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> GPUArray:
    """Return the standard deviation, with ``n - correction`` in the denominator."""
    return apply("sqrt", statistics.variance(x, axis, correction, keepdims=keepdims))


def diff(
    x: GPUArray, /, n: int = 1, axis: int = -1, prepend: GPUArray | None = None, append: GPUArray | None = None
) -> GPUArray:
    """Return the n-th differences of neighbours along an axis; bools differ by exclusive or.

    The standard has all but x by keyword; `n` and `axis` may stand behind it too, as in NumPy.
    """
    place = check_axis(axis, x.ndim)
    if n < 0:
        raise ValueError(f"diff takes an order of 0 or more, not {n}.")
    parts = [p for p in (prepend, x, append) if p is not None]
    result = _concat(parts, place) if len(parts) > 1 else x
    after: list[Any] = [slice(None)] * x.ndim
    before = list(after)
    after[place], before[place] = slice(1, None), slice(None, -1)
    for _ in range(n):
        name = "logical_xor" if result.dtype.kind == "b" else "subtract"
        result = apply(name, result[tuple(after)], result[tuple(before)])
    return result
