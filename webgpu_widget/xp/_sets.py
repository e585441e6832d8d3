"""Sets of the array API: distinct values, and which elements are among others. Indices are int32."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from webgpu_widget.arrays.lazy import create, search
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, as_node, coerce, common_dtype
from webgpu_widget.arrays.lazy.build import where as _where
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


def isin(x1: GPUArray | int, x2: GPUArray | int, /, *, invert: bool = False) -> GPUArray:
    """Return which elements are among those of another array.

    The array API standard's `isin`; NaN is among none.

    Parameters
    ----------
    x1 : GPUArray or int
        Elements that are looked for.
    x2 : GPUArray or int
        Elements that they may be, in any shape.
    invert : bool
        Return which are not among them.

    Returns
    -------
    GPUArray
        bool, of the shape of `x1`.

    Examples
    --------
    >>> xp.isin(xp.asarray([1, 2, 3]), xp.asarray([3, 1]))
    GPUArray([ True, False,  True], shape=(3,), dtype=bool)
    """
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


def unique_all(x: GPUArray, /) -> UniqueAll:
    """Return distinct values in order, and where, which and how many they are.

    The array API standard's `unique_all`; each NaN is apart from every other; it waits, since the result's shape depends on the values.

    Parameters
    ----------
    x : GPUArray
        The values.

    Returns
    -------
    namedtuple
        ``values``; ``indices`` of the first of each; ``inverse_indices``, which value each element is; ``counts``. All but the first int32.

    Examples
    --------
    >>> xp.unique_all(xp.asarray([5, 3, 5])).counts
    GPUArray([1, 2], shape=(2,), dtype=int32)
    """
    return UniqueAll(*search.unique(x))


def unique_counts(x: GPUArray, /) -> UniqueCounts:
    """Return distinct values in order and how often each occurs.

    The array API standard's `unique_counts`; each NaN is apart from every other; it waits, since the result's shape depends on the values.

    Parameters
    ----------
    x : GPUArray
        The values.

    Returns
    -------
    namedtuple
        ``values`` and, int32, ``counts``.

    Examples
    --------
    >>> xp.unique_counts(xp.asarray([5, 3, 5])).values
    GPUArray([3, 5], shape=(2,), dtype=int32)
    """
    values, _, _, counts = search.unique(x)
    return UniqueCounts(values, counts)


def unique_inverse(x: GPUArray, /) -> UniqueInverse:
    """Return distinct values in order and which of them each element is.

    The array API standard's `unique_inverse`; each NaN is apart from every other; it waits, since the result's shape depends on the values.

    Parameters
    ----------
    x : GPUArray
        The values.

    Returns
    -------
    namedtuple
        ``values`` and, int32 and of the shape of `x`, ``inverse_indices``.

    Examples
    --------
    >>> xp.unique_inverse(xp.asarray([5, 3, 5])).inverse_indices
    GPUArray([1, 0, 1], shape=(3,), dtype=int32)
    """
    values, _, inverse, _ = search.unique(x)
    return UniqueInverse(values, inverse)


def unique_values(x: GPUArray, /) -> GPUArray:
    """Return distinct values in order.

    The array API standard's `unique_values`; each NaN is apart from every other; it waits, since the result's shape depends on the values.

    Parameters
    ----------
    x : GPUArray
        The values.

    Examples
    --------
    >>> xp.unique_values(xp.asarray([5, 3, 5]))
    GPUArray([3, 5], shape=(2,), dtype=int32)
    """
    return search.unique(x)[0]
