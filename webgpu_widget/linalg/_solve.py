"""Systems of equations: LU, Cholesky and triangular solves, blocked, in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, cast_node, const, iota, op_node, same_gpu
from webgpu_widget.arrays.lazy.create import diagonal_relation
from webgpu_widget.arrays.lazy.node import Node, broadcast_shapes, size_of, view
from webgpu_widget.arrays.lazy.shape import broadcast_to, diagonal, permute, reshape
from webgpu_widget.errors import ShapeError
from webgpu_widget.linalg._common import (
    PANEL,
    Unchecked,
    array,
    as_array,
    blank,
    filled,
    floats,
    launch,
    matrices,
    operands,
    working_copy,
)
from webgpu_widget.link.steps import drive, drive_async

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.runtime import Runtime

_WHOLE = 24


class Slogdet(NamedTuple):
    """Sign and logarithm of the size of a determinant."""

    sign: GPUArray
    logabsdet: GPUArray


def transposed(x: GPUArray) -> GPUArray:
    """Return the matrices transposed; nothing is moved."""
    return permute(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def decompose(runtime: Runtime, node: Node) -> tuple[Node, Node]:
    """Return L and U in one matrix, and the row exchanged with each row (int32)."""
    side = node.shape[-1]
    batch = size_of(node.shape[:-2])
    lu = working_copy(runtime, node)
    pivots = blank(runtime, (*node.shape[:-2], max(1, side)), dt.INT32)
    bound = {0: lu, 1: pivots}
    if side <= _WHOLE:
        launch(runtime, "lu", "whole", bound, [batch, side, 0, side], batch if side else 0)
        return lu, pivots
    serial = runtime.is_fallback
    for first in range(0, side, PANEL):
        end = min(first + PANEL, side)
        for column in range(first, end):
            words = [batch, side, column, end]
            if serial:
                launch(runtime, "lu", "pivot_serial", bound, words, batch)
            else:
                launch(runtime, "lu", "pivot", bound, words, batch, group=1)
            launch(runtime, "lu", "swap", bound, words, batch * side)
            launch(runtime, "lu", "eliminate", {0: lu}, words, batch * (side - column - 1))
        words = [batch, side, first, end]
        rest = side - end
        launch(runtime, "lu", "triangle", {0: lu}, words, batch * rest)
        launch(runtime, "lu", "update", {0: lu}, words, batch * (-(-rest // 4)) ** 2)
    return lu, pivots


def triangular(runtime: Runtime, a: Node, x: Node, *, lower: bool, unit: bool) -> None:
    """Queue solving ``a x' = x`` in place of `x` (batch, side, columns), one triangle of `a` being read."""
    side, columns = x.shape[-2:]
    batch = size_of(x.shape[:-2])
    starts = range(0, side, PANEL)
    for first in starts if lower else reversed(starts):
        end = min(first + PANEL, side)
        words = [batch, side, columns, first, end, int(lower), int(unit), 0]
        launch(runtime, "triangular", "block", {0: a, 1: x}, words, batch * columns)
        rows = side - end if lower else first
        launch(runtime, "triangular", "update", {0: a, 1: x}, words, batch * rows * columns)


def _singular(runtime: Runtime, lu: Node) -> GPUArray:
    pivots = diagonal(array(runtime, lu))
    return apply("logical_not", pivots.astype(bool)).any()


def solve(x1: Any, x2: Any, /) -> GPUArray:
    """Solve ``x1 @ x = x2`` by LU decomposition with partial pivoting, blocked.

    The array API standard's `solve`.

    Parameters
    ----------
    x1 : array_like, (..., n, n)
        Coefficients.
    x2 : array_like, (n,) or (..., n, k)
        Right-hand sides; a vector only if it has one axis.

    Returns
    -------
    GPUArray
        float32, of the shape of `x2` with the batch axes of both. Backward stable: relative residual about ``n * 6e-8``.

    Raises
    ------
    numpy.linalg.LinAlgError
        When a matrix is exactly singular. To know that, the call waits for the GPU (not while a program is recorded).

    Examples
    --------
    >>> wg.linalg.solve(xp.asarray([[2.0, 0.0], [0.0, 4.0]]), xp.asarray([2.0, 2.0]))
    GPUArray([1. , 0.5], shape=(2,), dtype=float32)
    """
    return drive(_solve(x1, x2).checked())


async def solve_async(x1: Any, x2: Any, /) -> GPUArray:
    """Coroutine twin of `solve`."""
    return await drive_async(_solve(x1, x2).checked())


def _solve(x1: Any, x2: Any) -> Unchecked:
    a, b = operands("solve", (x1, x2))
    runtime = same_gpu("solve", [a, b])
    matrices("solve", a, square=True)
    vector = b.ndim == 1
    right = reshape(b, (*b.shape, 1)) if vector else b
    if right.shape[-2] != a.shape[-1]:
        raise ShapeError(
            f"solve: {a.shape[-1]} equations of shape {a.shape} do not fit right-hand sides of shape {b.shape}. "
            f"Side {-1 if vector else -2} of the right-hand sides must be {a.shape[-1]}."
        )
    batch = broadcast_shapes("solve", a.shape[:-2], right.shape[:-2])
    left = broadcast_to(a, (*batch, *a.shape[-2:]))
    right = broadcast_to(right, (*batch, *right.shape[-2:]))
    result = working_copy(runtime, floats("solve", right))
    lu, pivots = decompose(runtime, floats("solve", left))
    side, columns = result.shape[-2:]
    bad = None
    if side and size_of(batch):
        bad = _singular(runtime, lu)
        words = [size_of(batch), side, columns, 0, 0, 0, 0, 0]
        launch(runtime, "triangular", "permute", {1: result, 2: pivots}, words, size_of(batch) * columns)
        triangular(runtime, lu, result, lower=True, unit=True)
        triangular(runtime, lu, result, lower=False, unit=False)
    out = array(runtime, result)
    out = reshape(out, out.shape[:-1]) if vector else out
    return Unchecked(out, bad, f"solve: a matrix of shape {a.shape} is singular.")


def inv(x: Any, /) -> GPUArray:
    """Return the inverses of square matrices, by `solve` with the identity.

    The array API standard's `inv`.

    Parameters
    ----------
    x : array_like, (..., n, n)
        Square matrices, real.

    Returns
    -------
    GPUArray
        float32.

    Raises
    ------
    numpy.linalg.LinAlgError
        When a matrix is exactly singular. To know that, the call waits for the GPU (not while a program is recorded).

    Examples
    --------
    >>> wg.linalg.inv(xp.asarray([[2.0, 0.0], [0.0, 4.0]]))
    GPUArray([[0.5 , 0.  ],
              [0.  , 0.25]], shape=(2, 2), dtype=float32)
    """
    return solve(*_with_identity(x))


async def inv_async(x: Any, /) -> GPUArray:
    """Coroutine twin of `inv`."""
    return await solve_async(*_with_identity(x))


def _with_identity(x: Any) -> tuple[GPUArray, GPUArray]:
    a = as_array(x)
    matrices("inv", a, square=True)
    side = a.shape[-1]
    eye = cast_node(diagonal_relation((side, side), "equal", 0), dt.FLOAT32)
    runtime = same_gpu("inv", [a])
    return array(runtime, floats("inv", a)), array(runtime, eye)


def slogdet(x: Any, /) -> Slogdet:
    """Return sign and logarithm of the size of determinants, by LU decomposition.

    The array API standard's `slogdet`; it holds what `det` would lose to overflow.

    Parameters
    ----------
    x : array_like, (..., n, n)
        Square matrices, real.

    Returns
    -------
    namedtuple
        ``sign``, -1, 0 or 1, and ``logabsdet``, float32.

    Examples
    --------
    >>> wg.linalg.slogdet(xp.asarray([[2.0, 0.0], [0.0, -4.0]])).sign
    GPUArray(-1., shape=(), dtype=float32)
    """
    a = as_array(x)
    runtime = same_gpu("slogdet", [a])
    batch = matrices("slogdet", a, square=True)
    node = floats("slogdet", a)
    side = a.shape[-1]
    if not side:
        return Slogdet(array(runtime, const(1.0, dt.FLOAT32, batch)), array(runtime, const(0.0, dt.FLOAT32, batch)))
    lu, pivots = decompose(runtime, node)
    pivot = diagonal(array(runtime, lu))
    place = view(iota(side), pivots.shape, ((0, len(batch), 1),))
    moved = op_node("not_equal", pivots, cast_node(place, dt.INT32))
    swap = op_node("where", moved, const(-1.0, dt.FLOAT32), const(1.0, dt.FLOAT32))
    sign = (apply("sign", pivot) * array(runtime, swap)).prod(axis=-1)
    return Slogdet(sign, apply("log", apply("abs", pivot)).sum(axis=-1))


def det(x: Any, /) -> GPUArray:
    """Return the determinants of square matrices, by LU decomposition.

    The array API standard's `det`.

    Parameters
    ----------
    x : array_like, (..., n, n)
        Square matrices, real.

    Returns
    -------
    GPUArray
        float32.

    Examples
    --------
    >>> wg.linalg.det(xp.asarray([[2.0, 0.0], [0.0, 4.0]]))
    GPUArray(8., shape=(), dtype=float32)
    """
    a = as_array(x)
    runtime = same_gpu("det", [a])
    batch = matrices("det", a, square=True)
    node = floats("det", a)
    if not a.shape[-1]:
        return array(runtime, const(1.0, dt.FLOAT32, batch))
    lu, pivots = decompose(runtime, node)
    place = view(iota(a.shape[-1]), pivots.shape, ((0, len(batch), 1),))
    moved = op_node("not_equal", pivots, cast_node(place, dt.INT32))
    swap = op_node("where", moved, const(-1.0, dt.FLOAT32), const(1.0, dt.FLOAT32))
    return (diagonal(array(runtime, lu)) * array(runtime, swap)).prod(axis=-1)


def cholesky(x: Any, /, *, upper: bool = False) -> GPUArray:
    """Return the triangle L of ``x = L @ L.T``.

    The array API standard's `cholesky`.

    Parameters
    ----------
    x : array_like, (..., n, n)
        Symmetric positive definite matrices, of which only the lower triangle is read.
    upper : bool
        Return the transpose of L instead.

    Returns
    -------
    GPUArray
        float32; the other triangle is +0. Backward stable: relative residual about ``n * 6e-8``.

    Raises
    ------
    numpy.linalg.LinAlgError
        When a matrix is not positive definite. To know that, the call waits for the GPU (not while a program is recorded).

    Examples
    --------
    >>> wg.linalg.cholesky(xp.asarray([[4.0, 0.0], [2.0, 2.0]]))
    GPUArray([[2., 0.],
              [1., 1.]], shape=(2, 2), dtype=float32)
    """
    return drive(_cholesky(x, upper=upper).checked())


async def cholesky_async(x: Any, /, *, upper: bool = False) -> GPUArray:
    """Coroutine twin of `cholesky`."""
    return await drive_async(_cholesky(x, upper=upper).checked())


def _cholesky(x: Any, *, upper: bool) -> Unchecked:
    a = as_array(x)
    runtime = same_gpu("cholesky", [a])
    batch = matrices("cholesky", a, square=True)
    side, count = a.shape[-1], size_of(batch)
    work = working_copy(runtime, floats("cholesky", a))
    result = filled(runtime, a.shape)
    bad = None
    if side and count:
        failed = filled(runtime, (count,), 0, dt.UINT32)
        for first in range(0, side, PANEL):
            end = min(first + PANEL, side)
            for column in range(first, end):
                words = [count, side, column, end]
                launch(runtime, "cholesky", "column", {0: work, 1: result, 2: failed}, words, count * (side - column))
            rest = side - end
            launch(runtime, "cholesky", "update", {0: work, 1: result}, [count, side, first, end], count * rest * rest)
        bad = array(runtime, failed).astype(bool).any()
    out = array(runtime, result)
    out = transposed(out) if upper else out
    return Unchecked(out, bad, f"cholesky: a matrix of shape {a.shape} is not positive definite.")
