"""Einstein summation through matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget._lazy.build import lazy
from webgpu_widget._lazy.node import size_of, view
from webgpu_widget._lazy.shape import permute, reshape
from webgpu_widget.errors import ShapeError

if TYPE_CHECKING:
    from webgpu_widget.array import GPUArray


def parse(subscripts: str, arrays: list[GPUArray]) -> tuple[list[str], str]:
    """Return the letters of each operand and of the result, ``...`` written out in letters of its own.

    Raises
    ------
    webgpu_widget.ShapeError
        When letters and axes do not fit.
    """
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ShapeError(f"einsum: {subscripts!r} has {len(terms)} terms, but there are {len(arrays)} operands.")
    spare = [chr(c) for c in range(ord("A"), ord("z") + 1) if chr(c).isalpha() and chr(c) not in text]
    widest = 0
    for term, a in zip(terms, arrays, strict=True):
        named = len(term.replace("...", ""))
        if named > a.ndim or ("..." not in term and named != a.ndim):
            raise ShapeError(f"einsum: the term {term!r} of {subscripts!r} does not fit an operand of shape {a.shape}.")
        widest = max(widest, a.ndim - named)
    dots = "".join(spare[:widest])
    letters = []
    for term, a in zip(terms, arrays, strict=True):
        count = a.ndim - len(term.replace("...", ""))
        letters.append(term.replace("...", dots[len(dots) - count :]))
    if arrow:
        return letters, right.replace("...", dots)
    seen = "".join(term.replace("...", "") for term in terms)
    once = "".join(sorted(c for c in set(seen) if seen.count(c) == 1))
    return letters, dots + once


def einsum(subscripts: str, arrays: list[GPUArray]) -> GPUArray:
    """Return the sum of products; operands are taken in pairs, in the order that costs least by NumPy's count."""
    letters, result = parse(subscripts, arrays)
    sizes: dict[str, int] = {}
    for term, a in zip(letters, arrays, strict=True):
        for letter, side in zip(term, a.shape, strict=True):
            have = sizes.setdefault(letter, side)
            if have != side and 1 not in (have, side):
                raise ShapeError(
                    f"einsum: axis {letter!r} of {subscripts!r} is {have} long in one operand and {side} in another."
                )
            sizes[letter] = max(have, side)
    missing = [c for c in result if c not in sizes]
    if missing or len(set(result)) != len(result):
        raise ShapeError(
            f"einsum: the result {result!r} of {subscripts!r} must name each of the operands' axes at most once."
        )
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
    return lazy(a._gpu, view(a._node, shape, dims)), order


def _summed(a: GPUArray, term: str, kept: str) -> tuple[GPUArray, str]:
    """Return the operand summed over the letters that nobody needs."""
    gone = tuple(i for i, c in enumerate(term) if c not in kept)
    if not gone:
        return a, term
    return a.sum(axis=gone, dtype=a.dtype if a.dtype.kind != "b" else None), "".join(c for c in term if c in kept)


def _pair(
    first: tuple[GPUArray, str], second: tuple[GPUArray, str], others: str, sizes: dict[str, int]
) -> tuple[GPUArray, str]:
    """Return the product of two operands, summed over the letters that nobody else needs."""
    from webgpu_widget.matrix import matmul

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
        return x * y, "".join(order)
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
