"""Orthogonal decompositions: QR by Householder, eigenvalues and singular values by Jacobi, in float32."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, cast_node, const, op_node, same_gpu, where
from webgpu_widget.arrays.lazy.create import diagonal_relation
from webgpu_widget.arrays.lazy.node import Node, node_of, size_of
from webgpu_widget.arrays.lazy.search import argsort, take_along_axis
from webgpu_widget.arrays.lazy.shape import broadcast_node, diagonal, expand_dims
from webgpu_widget.linalg._common import array, as_array, blank, floats, launch, matrices, working_copy
from webgpu_widget.linalg._solve import transposed

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.runtime import Runtime


class QR(NamedTuple):
    """Orthogonal and upper triangular factor."""

    Q: GPUArray
    R: GPUArray


class Eigh(NamedTuple):
    """Eigenvalues, ascending, and eigenvectors in columns."""

    eigenvalues: GPUArray
    eigenvectors: GPUArray


class SVD(NamedTuple):
    """Left vectors in columns, singular values, descending, right vectors in rows."""

    U: GPUArray
    S: GPUArray
    Vh: GPUArray


def _identity(runtime: Runtime, shape: tuple[int, ...]) -> Node:
    """Return a fresh stack of matrices with ones on the diagonal."""
    eye = cast_node(diagonal_relation(shape[-2:], "equal", 0), dt.FLOAT32)
    return working_copy(runtime, broadcast_node(eye, shape))


def _reflections(runtime: Runtime, node: Node) -> tuple[Node, Node]:
    """Return R with the reflections' vectors below it, and their factors."""
    rows, cols = node.shape[-2:]
    batch = size_of(node.shape[:-2])
    count = min(rows, cols)
    work = working_copy(runtime, node)
    factor = blank(runtime, (*node.shape[:-2], max(1, count)))
    bound = {0: work, 1: factor}
    for step in range(count):
        words = [batch, rows, cols, count, 0, step, 0, 0]
        if runtime.is_fallback:
            launch(runtime, "householder", "reflect_serial", bound, words, batch)
        else:
            launch(runtime, "householder", "reflect", bound, words, batch, group=1)
        launch(runtime, "householder", "apply", bound, words, batch * (cols - step - 1))
    return work, factor


def _form(runtime: Runtime, work: Node, factor: Node, width: int) -> Node:
    """Return the first `width` columns of Q."""
    rows, cols = work.shape[-2:]
    batch = size_of(work.shape[:-2])
    q = _identity(runtime, (*work.shape[:-1], width))
    count = min(rows, cols)
    for step in reversed(range(count)):
        words = [batch, rows, cols, count, width, step, 0, 0]
        launch(runtime, "householder", "form", {0: work, 1: factor, 2: q}, words, batch * width)
    return q


def qr(x: Any, /, *, mode: Literal["reduced", "complete", "r"] = "reduced") -> QR:
    """Return Q and R of ``x = Q @ R`` by Householder reflections.

    The array API standard's `qr`.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices, real.
    mode : {"reduced", "complete"}
        ``reduced``: Q is (m, k) and R (k, n), k the smaller side; ``complete``: (m, m) and (m, n).

    Returns
    -------
    QR
        float32. ``Q.T @ Q`` is the identity, and the residual zero, to about ``m * 6e-8``; below R's diagonal is +0.

    Raises
    ------
    ValueError
        For another mode.

    Examples
    --------
    >>> wg.linalg.qr(xp.asarray([[1.0, 0.0], [0.0, 2.0]])).R.shape
    (2, 2)
    """
    a = as_array(x)
    runtime = same_gpu("qr", [a])
    matrices("qr", a)
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode is 'reduced' or 'complete', not {mode!r}.")
    rows, cols = a.shape[-2:]
    work, factor = _reflections(runtime, floats("qr", a))
    width = rows if mode == "complete" else min(rows, cols)
    q = _form(runtime, work, factor, width)
    kept = diagonal_relation((width, cols), "greater_equal", 0)
    top = array(runtime, work)[..., :width, :]
    r = op_node("where", kept, node_of(top), const(0.0, dt.FLOAT32))
    return QR(array(runtime, q), array(runtime, r))


def _sweeps(side: int) -> int:
    return 6 + math.ceil(math.log2(max(2, side)) / 2)


def _tournament(side: int) -> int:
    return side + side % 2


def eigh(x: Any, /) -> Eigh:
    """Return eigenvalues and eigenvectors of symmetric matrices, by cyclic Jacobi rotations.

    The array API standard's `eigh`.

    Parameters
    ----------
    x : array_like, (..., n, n)
        Symmetric matrices, of which only the lower triangle is read.

    Returns
    -------
    namedtuple
        ``eigenvalues``, (..., n), ascending, and ``eigenvectors``, (..., n, n), in columns; float32. Errors of about ``n * 6e-8`` of the largest
        eigenvalue; vectors orthogonal alike.

    Examples
    --------
    >>> wg.linalg.eigh(xp.asarray([[2.0, 1.0], [1.0, 2.0]])).eigenvalues.round(3)
    GPUArray([1., 3.], shape=(2,), dtype=float32)
    """
    a = as_array(x)
    runtime = same_gpu("eigh", [a])
    batch = matrices("eigh", a, square=True)
    side, count = a.shape[-1], size_of(batch)
    node = floats("eigh", a)
    lower = op_node(
        "where", diagonal_relation((side, side), "less_equal", 0), node, node_of(transposed(array(runtime, node)))
    )
    work = working_copy(runtime, lower)
    vectors = _identity(runtime, a.shape)
    if count and side > 1:
        players = _tournament(side)
        pairs = players // 2
        rotations = blank(runtime, (count, pairs, 2))
        for _ in range(_sweeps(side)):
            for turn in range(players - 1):
                words = [count, side, side, turn]
                launch(runtime, "jacobi", "angles", {0: work, 2: rotations}, words, count * pairs)
                each = pairs * pairs + pairs * side
                launch(runtime, "jacobi", "rotate", {0: work, 1: vectors, 2: rotations}, words, count * each)
    values = diagonal(array(runtime, work))
    order = argsort(values)
    rows = take_along_axis(array(runtime, vectors), expand_dims(order, -1), -2)
    return Eigh(take_along_axis(values, order), transposed(rows))


def eigvalsh(x: Any, /) -> GPUArray:
    """Return the eigenvalues of symmetric matrices, ascending, by `eigh`.

    The array API standard's `eigvalsh`.

    Parameters
    ----------
    x : array_like, (..., n, n)
        Symmetric matrices, of which only the lower triangle is read.

    Returns
    -------
    GPUArray
        float32, (..., n)

    Examples
    --------
    >>> wg.linalg.eigvalsh(xp.asarray([[2.0, 1.0], [1.0, 2.0]])).round(3)
    GPUArray([1., 3.], shape=(2,), dtype=float32)
    """
    return eigh(x).eigenvalues


def _one_sided(runtime: Runtime, node: Node) -> tuple[Node, Node]:
    """Return the rows of a matrix made orthogonal, and the rotations that did it (its rows combine the old rows)."""
    side, width = node.shape[-2:]
    batch = size_of(node.shape[:-2])
    work = working_copy(runtime, node)
    rotations = _identity(runtime, (*node.shape[:-1], side))
    players = _tournament(side)
    count = batch * (players // 2)
    for _ in range(_sweeps(side)):
        for turn in range(players - 1 if side > 1 else 0):
            words = [batch, side, width, turn]
            if runtime.is_fallback:
                launch(runtime, "jacobi", "orthogonalise_serial", {0: work, 1: rotations}, words, count)
            else:
                launch(runtime, "jacobi", "orthogonalise", {0: work, 1: rotations}, words, count, group=1)
    return work, rotations


def svd(x: Any, /, *, full_matrices: bool = True) -> SVD:
    """Return the singular value decomposition, by one-sided Jacobi rotations after a QR decomposition.

    The array API standard's `svd`.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices, real.
    full_matrices : bool
        Whether U is (m, m) and Vh (n, n), or (m, k) and (k, n) with k the smaller side.

    Returns
    -------
    SVD
        float32, singular values descending, to about ``max(m, n) * 6e-8`` of the largest; U and Vh orthogonal alike,
        of rank-deficient matrices, too. ``U[..., :k] * S @ Vh[..., :k, :]`` is x.

    Notes
    -----
    Rotations of disjoint pairs of columns (G. Golub, C. Van Loan, Matrix Computations, 8.6.3). A sweep is n - 1 dispatches;
    there are ``6 + log2(n) / 2`` sweeps, so that sides over a few hundred take seconds. Where only the largest values are
    wanted, multiply the matrix into a thin random one first.

    Examples
    --------
    >>> wg.linalg.svd(xp.asarray([[3.0, 0.0], [0.0, 4.0]])).S.round(3)
    GPUArray([4., 3.], shape=(2,), dtype=float32)
    """
    a = as_array(x)
    runtime = same_gpu("svd", [a])
    batch = matrices("svd", a)
    rows, cols = a.shape[-2:]
    if rows < cols:
        u, s, vh = svd(transposed(a), full_matrices=full_matrices)
        return SVD(transposed(vh), s, transposed(u))
    node = floats("svd", a)
    if not size_of(a.shape):
        width = rows if full_matrices else cols
        empty = array(runtime, blank(runtime, (*batch, cols)))
        return SVD(
            array(runtime, _identity(runtime, (*batch, rows, width))),
            empty,
            array(runtime, _identity(runtime, (*batch, cols, cols))),
        )
    # Scaled by a power of two, so that no sum of squares overflows or vanishes.
    largest = array(runtime, node).max(axis=(-2, -1), keepdims=True)
    smallest = array(runtime, node).min(axis=(-2, -1), keepdims=True)
    peak = apply("maximum", largest, -smallest)
    usable = apply("logical_and", peak > 0, apply("isfinite", peak))
    scale = apply("pow", 2.0, apply("floor", apply("log2", where(usable, peak, 1.0))))
    scaled = array(runtime, node) / scale
    reduced = qr(scaled)
    work, rotations = _one_sided(runtime, node_of(transposed(reduced.R)))
    lines = array(runtime, work)
    size = apply("sqrt", apply("square", lines).sum(axis=-1))
    order = argsort(size, descending=True)
    size = take_along_axis(size, order)
    lines = take_along_axis(lines, expand_dims(order, -1), -2)
    vh = take_along_axis(array(runtime, rotations), expand_dims(order, -1), -2)
    wide = expand_dims(size, -1)
    solid = wide > 1e-30
    unit = where(solid, lines / where(solid, wide, 1.0), 0.0)
    from webgpu_widget.arrays.matrix import matmul

    left = matmul(reduced.Q, transposed(unit))
    # Rounding has made the vectors of small values less than orthogonal, and those of zeros are missing: a QR decomposition
    # mends both, and changes no more than signs elsewhere.
    mended = qr(left, mode="complete" if full_matrices else "reduced")
    sign = where(diagonal(mended.R) < 0, -1.0, 1.0)
    u = mended.Q
    u = _signed(runtime, u, sign, cols) if rows > cols and full_matrices else u * expand_dims(sign, -2)
    return SVD(u, size * scale.reshape(*batch, 1), vh)


def _signed(runtime: Runtime, u: GPUArray, sign: GPUArray, cols: int) -> GPUArray:
    """Return `u` with the first columns multiplied by signs."""
    from webgpu_widget.arrays.lazy.shape import concat

    ones = array(runtime, const(1.0, dt.FLOAT32, (*sign.shape[:-1], u.shape[-1] - cols)))
    return u * expand_dims(concat([sign, ones], -1), -2)


def svdvals(x: Any, /) -> GPUArray:
    """Return the singular values of matrices, descending, by `svd`.

    The array API standard's `svdvals`.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices, real.

    Returns
    -------
    GPUArray
        float32, (..., k), k the smaller of m and n

    Examples
    --------
    >>> wg.linalg.svdvals(xp.asarray([[3.0, 0.0], [0.0, 4.0]])).round(3)
    GPUArray([4., 3.], shape=(2,), dtype=float32)
    """
    return svd(x, full_matrices=False).S
