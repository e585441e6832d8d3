"""Searching, sorting, sets and indexing functions of the array API. Indices are int32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from webgpu_widget.arrays.lazy import create, places, search, statistics
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, as_node, coerce, common_dtype
from webgpu_widget.arrays.lazy.build import where as _where
from webgpu_widget.arrays.lazy.indexing import take as _take
from webgpu_widget.arrays.lazy.shape import check_axis
from webgpu_widget.arrays.lazy.value import wrap

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray


class UniqueAll(NamedTuple):
    """Distinct values, where each is first, which one each element is, and how often each occurs."""

    values: GPUArray
    indices: GPUArray
    inverse_indices: GPUArray
    counts: GPUArray


class UniqueCounts(NamedTuple):
    """Distinct values and how often each occurs."""

    values: GPUArray
    counts: GPUArray


class UniqueInverse(NamedTuple):
    """Distinct values and which one each element is."""

    values: GPUArray
    inverse_indices: GPUArray


def argmax(x: GPUArray, /, *, axis: int | None = None, keepdims: bool = False) -> GPUArray:
    """Return where the first largest element is; the first NaN where there is one."""
    return statistics.place(x, "max", axis, keepdims=keepdims)


def argmin(x: GPUArray, /, *, axis: int | None = None, keepdims: bool = False) -> GPUArray:
    """Return where the first smallest element is; the first NaN where there is one."""
    return statistics.place(x, "min", axis, keepdims=keepdims)


def argsort(
    x: GPUArray,
    /,
    *,
    axis: int = -1,
    descending: bool = False,
    stable: bool = True,  # noqa: ARG001 - it always is
) -> GPUArray:
    """Return the places of the elements in order, always stable; NaN last (first when descending)."""
    return search.argsort(x, axis, descending=descending)


def sort(
    x: GPUArray,
    /,
    *,
    axis: int = -1,
    descending: bool = False,
    stable: bool = True,  # noqa: ARG001 - it always is
) -> GPUArray:
    """Return the elements in order, always stable; NaN last (first when descending)."""
    return search.sort(x, axis, descending=descending)


def count_nonzero(x: GPUArray, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> GPUArray:
    """Return how many elements are not zero."""
    return statistics.count_nonzero(x, axis, keepdims=keepdims)


def nonzero(x: GPUArray, /) -> tuple[GPUArray, ...]:
    """Return the indices of the elements that are not zero. Waits for their number."""
    return places.nonzero(x)


def searchsorted(
    x1: GPUArray, x2: Any, /, *, side: Literal["left", "right"] = "left", sorter: GPUArray | None = None
) -> GPUArray:
    """Return where the values x2 belong in the sorted 1-D array x1."""
    return search.searchsorted(x1, x2, side, sorter)


def isin(x1: GPUArray | int, x2: GPUArray | int, /, *, invert: bool = False) -> GPUArray:
    """Return which elements of x1 are among those of x2 (with ``invert``, which are not); NaN is among none."""
    runtime, values = coerce("isin", (x1, x2))
    dtype = common_dtype(values)
    wanted, others = (wrap(runtime.device, as_node(v, dtype)) for v in values)
    if not others.size:
        return create.full(runtime.device, wanted.shape, invert, dt.BOOL)
    if dtype.kind == "f":
        # One zero: -0 and 0 are equal, and lie apart when sorted.
        wanted, others = (_where(apply("equal", v, 0.0), 0.0, v) for v in (wanted, others))
    line = search.sort(others.ravel())
    first, last = (search.searchsorted(line, wanted, side) for side in ("left", "right"))
    found = apply("logical_and", apply("less", first, last), apply("equal", wanted, wanted))
    return apply("logical_not", found) if invert else found


def take(x: GPUArray, indices: GPUArray, /, *, axis: int | None = None) -> GPUArray:
    """Return slices along an axis (1-D arrays need none)."""
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take: an array of {x.ndim} axes needs axis=.")
        axis = 0
    return _take(x, indices, check_axis(axis, x.ndim))


def take_along_axis(x: GPUArray, indices: GPUArray, /, *, axis: int = -1) -> GPUArray:
    """Return the elements at indices along an axis."""
    return search.take_along_axis(x, indices, axis)


def unique_all(x: GPUArray, /) -> UniqueAll:
    """Return distinct values in order, first and inverse indices and counts; each NaN is apart. Waits for their number."""
    return UniqueAll(*search.unique(x))


def unique_counts(x: GPUArray, /) -> UniqueCounts:
    """Return distinct values in order and their counts; each NaN is apart. Waits for their number."""
    values, _, _, counts = search.unique(x)
    return UniqueCounts(values, counts)


def unique_inverse(x: GPUArray, /) -> UniqueInverse:
    """Return distinct values in order and the inverse indices; each NaN is apart. Waits for their number."""
    values, _, inverse, _ = search.unique(x)
    return UniqueInverse(values, inverse)


def unique_values(x: GPUArray, /) -> GPUArray:
    """Return distinct values in order; each NaN is apart. Waits for their number."""
    return search.unique(x)[0]


@overload
def where(condition: GPUArray, /) -> tuple[GPUArray, ...]: ...
@overload
def where(condition: GPUArray, x1: Any, x2: Any, /) -> GPUArray: ...
def where(condition: GPUArray, x1: Any = None, x2: Any = None, /) -> GPUArray | tuple[GPUArray, ...]:
    """Return x1 where the condition holds, else x2; without these, as in NumPy, `nonzero` of the condition."""
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise TypeError("where takes a condition alone, or a condition, x1 and x2.")
    return _where(condition, x1, x2)
