"""Einstein summation through matrix products."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, coerce, common_dtype, lazy
from webgpu_widget.arrays.lazy.node import node_of, size_of, view
from webgpu_widget.arrays.lazy.shape import permute, reshape
from webgpu_widget.arrays.matrix import matmul
from webgpu_widget.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.gpu import GPU


__all__ = ["einsum"]

_LETTERS = string.ascii_uppercase + string.ascii_lowercase
"""In the order of the numbers of the form with lists."""


def from_lists(operands: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return subscripts and operands of ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.

    Raises
    ------
    TypeError
        When what should be a list of axes is none.
    ShapeError
        When there is no list, or a number is not one of 0 to 51.
    """
    if len(operands) < 2:
        raise ShapeError(
            "einsum takes subscripts and operands, as in einsum('ij,jk->ik', a, b), or operands each with a list of its axes."
        )
    pairs = len(operands) // 2 * 2
    text = ",".join(_from_list(operands[i]) for i in range(1, pairs, 2))
    if len(operands) > pairs:
        text += "->" + _from_list(operands[-1])
    return text, list(operands[:pairs:2])


def _from_list(axes: Any) -> str:
    if not isinstance(axes, (list, tuple)):
        raise TypeError(
            f"einsum: {axes!r} should be a list of axes, of whole numbers and ..., since the first argument is no text."
        )
    letters = []
    for axis in axes:
        if axis is Ellipsis:
            letters.append("...")
        elif isinstance(axis, (int, np.integer)) and not isinstance(axis, bool):
            if not 0 <= axis < len(_LETTERS):
                raise ShapeError(f"einsum: the axis {axis} of {axes!r} is none of 0 to {len(_LETTERS) - 1}.")
            letters.append(_LETTERS[axis])
        else:
            raise TypeError(f"einsum: {axis!r} in {axes!r} is no axis; these are whole numbers and ... .")
    return "".join(letters)


def _check_term(term: str, subscripts: str, what: str) -> None:
    rest = term.replace("...", "", 1)
    wrong = next((c for c in rest if c not in _LETTERS), None)
    if wrong == ".":
        raise ShapeError(
            f"einsum: {what} {term!r} of {subscripts!r} has a '.' that is no part of its one ellipsis (...)."
        )
    if wrong is not None:
        raise ShapeError(
            f"einsum: {wrong!r} in {what} {term!r} of {subscripts!r} names no axis; letters a to z and A to Z do."
        )


def parse(subscripts: str, arrays: list[GPUArray]) -> tuple[list[str], str]:
    """Return the letters of each operand and of the result, ``...`` written out in letters of its own.

    Raises
    ------
    ShapeError
        When letters and axes do not fit.
    """
    written = subscripts.replace(" ", "")
    torn = next((sign for sign in ("...", "->") if written.count(sign) != subscripts.count(sign)), None)
    if torn is not None:
        raise ShapeError(f"einsum: a space stands inside a {torn!r} of {subscripts!r}; it may stand between signs.")
    left, arrow, right = written.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays) or not arrays:
        raise ShapeError(f"einsum: {subscripts!r} has {len(terms)} terms, but there are {len(arrays)} operands.")
    for term in terms:
        _check_term(term, subscripts, "the term")
    _check_term(right, subscripts, "the result")
    spare = [c for c in _LETTERS if c not in left]
    widest = 0
    for term, a in zip(terms, arrays, strict=True):
        named = len(term.replace("...", ""))
        if named > a.ndim or ("..." not in term and named != a.ndim):
            raise ShapeError(f"einsum: the term {term!r} of {subscripts!r} does not fit an operand of shape {a.shape}.")
        widest = max(widest, a.ndim - named)
    if widest > len(spare):
        raise ShapeError(f"einsum: {subscripts!r} and its ellipsis name more than {len(_LETTERS)} axes.")
    dots = "".join(spare[:widest])
    letters = []
    for term, a in zip(terms, arrays, strict=True):
        count = a.ndim - len(term.replace("...", ""))
        letters.append(term.replace("...", dots[len(dots) - count :]))
    if not arrow:
        seen = "".join(term.replace("...", "") for term in terms)
        return letters, dots + "".join(sorted(c for c in set(seen) if seen.count(c) == 1))
    if dots and "..." not in right:
        raise ShapeError(
            f"einsum: the ellipsis of {subscripts!r} has {widest} axes, and its result {right!r} has no ellipsis to take them: name an axis to sum over it."
        )
    wanted = right.replace("...", "")
    missing = [c for c in wanted if c not in left]
    if missing or len(set(wanted)) != len(wanted):
        raise ShapeError(
            f"einsum: the result {right!r} of {subscripts!r} must name axes of the operands, each at most once."
        )
    return letters, right.replace("...", dots)


def _sizes(subscripts: str, letters: list[str], arrays: list[GPUArray]) -> dict[str, int]:
    """Return the side of each letter: equal within an operand, equal or 1 between operands."""
    sizes: dict[str, int] = {}
    for term, a in zip(letters, arrays, strict=True):
        mine: dict[str, int] = {}
        for letter, side in zip(term, a.shape, strict=True):
            if mine.setdefault(letter, side) != side:
                raise ShapeError(
                    f"einsum: {letter!r} of {subscripts!r} names axes of {mine[letter]} and {side} in one operand of shape {a.shape}; they must be equal."
                )
        for letter, side in mine.items():
            have = sizes.setdefault(letter, side)
            if have != side and 1 not in (have, side):
                raise ShapeError(
                    f"einsum: axis {letter!r} of {subscripts!r} is {have} long in one operand and {side} in another."
                )
            sizes[letter] = side if have == 1 else have
    return sizes


def contract(subscripts: str, arrays: list[GPUArray]) -> GPUArray:
    """Return the sum of products; operands are taken in pairs, in the order that costs least by NumPy's count."""
    letters, result = parse(subscripts, arrays)
    sizes = _sizes(subscripts, letters, arrays)
    dtype = common_dtype(arrays)
    arrays = [a if a.dtype == dtype else a.astype(dtype) for a in arrays]
    work = [_tidied(a, term) for a, term in zip(arrays, letters, strict=True)]
    if len(work) > 2:
        shapes = [np.broadcast_to(np.float32(0), a.shape) for a, _ in work]
        text = ",".join(term for _, term in work) + "->" + result
        path = np.einsum_path(text, *shapes, optimize="greedy")[0][1:]
    else:
        path = [tuple(range(len(work)))]
    for step in path:
        taken = [work[i] for i in step]
        work = [w for i, w in enumerate(work) if i not in step]
        while len(taken) > 1:
            others = "".join(t for _, t in (*taken[2:], *work)) + result
            taken[:2] = [_pair(taken[0], taken[1], others, sizes)]
        work.append(taken[0])
    array, term = work[0]
    array, term = _summed(array, term, result)
    return permute(array, [term.index(c) for c in result])


def _tidied(a: GPUArray, term: str) -> tuple[GPUArray, str]:
    """Return the operand with repeated letters taken on the diagonal."""
    order = "".join(dict.fromkeys(term))
    if order == term:
        return a, term
    shape = tuple(a.shape[term.index(c)] for c in order)
    dims = tuple((0, order.index(c), 1) for c in term)
    return lazy(a._device, view(node_of(a), shape, dims)), order


def _summed(a: GPUArray, term: str, kept: str) -> tuple[GPUArray, str]:
    """Return the operand summed over the letters that nobody needs."""
    gone = tuple(i for i, c in enumerate(term) if c not in kept)
    if not gone:
        return a, term
    total = a.any(axis=gone) if a.dtype.kind == "b" else a.sum(axis=gone)
    return total, "".join(c for c in term if c in kept)


def _pair(
    first: tuple[GPUArray, str], second: tuple[GPUArray, str], others: str, sizes: dict[str, int]
) -> tuple[GPUArray, str]:
    """Return the product of two operands, summed over the letters that nobody else needs."""
    a, left = _summed(*first, second[1] + others)
    b, right = _summed(*second, left + others)
    # A side of 1 that meets a longer one is broadcast: it takes part in nothing, and goes.
    a, left = _squeezed(a, left, sizes)
    b, right = _squeezed(b, right, sizes)
    batch = [c for c in left if c in right and c in others]
    inner = [c for c in left if c in right and c not in others]
    rows = [c for c in left if c not in right]
    cols = [c for c in right if c not in left]
    count = {c: sizes[c] for c in (*batch, *inner, *rows, *cols)}

    def sides(letters: list[str]) -> tuple[int, ...]:
        return tuple(count[c] for c in letters)

    lead = sides(batch)
    if not inner and not (rows and cols):
        # Nothing is summed: elementwise, with broadcasting.
        order = [*batch, *rows, *cols]
        x = reshape(permute(a, [left.index(c) for c in (*batch, *rows)]), (*lead, *sides(rows), *(1 for _ in cols)))
        y = reshape(permute(b, [right.index(c) for c in (*batch, *cols)]), (*lead, *(1 for _ in rows), *sides(cols)))
        return apply("logical_and" if a.dtype.kind == "b" else "multiply", x, y), "".join(order)
    m, k, n = size_of(sides(rows)), size_of(sides(inner)), size_of(sides(cols))
    x = reshape(permute(a, [left.index(c) for c in (*batch, *rows, *inner)]), (*lead, m, k))
    y = reshape(permute(b, [right.index(c) for c in (*batch, *inner, *cols)]), (*lead, k, n))
    return reshape(matmul(x, y), (*lead, *sides(rows), *sides(cols))), "".join((*batch, *rows, *cols))


def _squeezed(a: GPUArray, term: str, sizes: dict[str, int]) -> tuple[GPUArray, str]:
    gone = [i for i, c in enumerate(term) if a.shape[i] == 1 and sizes[c] != 1]
    if not gone:
        return a, term
    shape = tuple(s for i, s in enumerate(a.shape) if i not in gone)
    return reshape(a, shape), "".join(c for i, c in enumerate(term) if i not in gone)


def einsum(subscripts: Any, *operands: Any, gpu: GPU | None = None) -> GPUArray:
    """Return a sum of products by Einstein's convention, through matrix products.

    Parameters
    ----------
    subscripts : str, or array_like
        As in `numpy.einsum`: letters for axes, ``...``, and ``->`` with the result's axes.
    *operands : array_like
        One for each term. Or, without text, each operand followed by the list of its axes, and at the end the list of the result's:
        ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    gpu : GPU, optional
        Where NumPy operands go.

    Returns
    -------
    GPUArray
        Of the operands' common dtype; bools are combined by "and", and joined by "or".

    Raises
    ------
    ShapeError
        Where NumPy raises ValueError: subscripts that do not fit the operands or each other.

    Examples
    --------
    >>> wg.einsum("ij,jk->ik", np.float32([[1, 2]]), np.float32([[3], [4]]))
    GPUArray([[11.]], shape=(1, 1), dtype=float32)
    """
    text, given = (subscripts, operands) if isinstance(subscripts, str) else from_lists((subscripts, *operands))
    _, values = coerce(
        "einsum", tuple(np.asarray(v, dt.default_dtype(v)) if dt.is_scalar(v) else v for v in given), gpu
    )
    return contract(text, values)
