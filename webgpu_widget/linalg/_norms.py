"""Norms of vectors and matrices, in float32."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy.build import apply, same_gpu, where
from webgpu_widget.arrays.lazy.node import size_of
from webgpu_widget.arrays.lazy.shape import check_axes, check_axis, permute, reshape
from webgpu_widget.errors import ShapeError
from webgpu_widget.linalg._common import array, as_array, floats, matrices
from webgpu_widget.linalg._factor import svdvals

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

Ord = float | str | None


def vector_norm(
    x: Any,
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    ord: float = 2,  # noqa: A002 - the standard's name
) -> GPUArray:
    """Return norms of vectors along axes.

    The array API standard's `vector_norm`; no square overflows or vanishes on the way.

    Parameters
    ----------
    x : array_like
        Numbers.
    axis : int, tuple of int or None
        Axes that the vectors lie along; all elements are one vector for None.
    keepdims : bool
        Whether reduced axes stay, of length 1.
    ord : float
        2 is the Euclidean norm, 1 the sum of absolute values; inf and -inf are the largest and the smallest, and 0 counts what is not zero.

    Returns
    -------
    GPUArray
        float32.

    Examples
    --------
    >>> wg.linalg.vector_norm(xp.asarray([3.0, 4.0]))
    GPUArray(5., shape=(), dtype=float32)
    """
    a = as_array(x)
    runtime = same_gpu("vector_norm", [a])
    values = apply("abs", array(runtime, floats("vector_norm", a)))
    if ord == math.inf:
        is_empty = not size_of(tuple(values.shape[i] for i in check_axes(axis, values.ndim)))
        return (values.sum if is_empty else values.max)(axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return values.min(axis=axis, keepdims=keepdims)
    if ord == 0:
        return values.astype(bool).sum(axis=axis, keepdims=keepdims).astype("float32")
    if ord == 1:
        return values.sum(axis=axis, keepdims=keepdims)
    if ord == 2:
        return _euclidean(values, axis, keepdims=keepdims)
    return apply("pow", apply("pow", values, float(ord)).sum(axis=axis, keepdims=keepdims), 1.0 / ord)


def _euclidean(values: GPUArray, axis: int | tuple[int, ...] | None, *, keepdims: bool) -> GPUArray:
    """Return the root of the sum of squares, scaled by a power of two so that no square overflows or vanishes."""
    axes = check_axes(axis, values.ndim)
    if not axes:
        return values
    if not size_of(tuple(values.shape[i] for i in axes)):
        return values.sum(axis=axis, keepdims=keepdims)
    peak = values.max(axis=axis, keepdims=True)
    usable = apply("logical_and", peak > 0, apply("isfinite", peak))
    exponent = apply("floor", apply("log2", where(usable, peak, 1.0)))
    scale = apply("pow", 2.0, apply("minimum", exponent, 126.0))
    root = apply("sqrt", apply("square", values / scale).sum(axis=axis, keepdims=True)) * scale
    if keepdims:
        return root
    return reshape(root, tuple(s for i, s in enumerate(values.shape) if i not in axes))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Ord = "fro") -> GPUArray:  # noqa: A002 - the standard's name
    """Return norms of matrices.

    The array API standard's `matrix_norm`.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices, real.
    keepdims : bool
        Whether reduced axes stay, of length 1.
    ord : {"fro", "nuc", 1, -1, 2, -2, inf, -inf}
        ``fro``: the root of the sum of squares; ``nuc``: the sum of the singular values; 2 and -2: the largest and the smallest of these; 1 and -1: the
        largest and the smallest sum of a column's absolute values; inf and -inf: of a row's.

    Returns
    -------
    GPUArray
        float32.

    Raises
    ------
    ValueError
        For another order.

    Examples
    --------
    >>> wg.linalg.matrix_norm(xp.asarray([[3.0, 0.0], [0.0, 4.0]]))
    GPUArray(5., shape=(), dtype=float32)
    """
    a = as_array(x)
    runtime = same_gpu("matrix_norm", [a])
    matrices("matrix_norm", a)
    values = array(runtime, floats("matrix_norm", a))
    if ord in (None, "fro"):
        return _euclidean(apply("abs", values), (-2, -1), keepdims=keepdims)
    if 0 in values.shape[-2:] and ord in (1, math.inf, 2, "nuc"):
        result = values.sum(axis=(-2, -1))
    elif 0 in values.shape[-2:] and ord == -2:
        raise ValueError(f"matrix_norm: a matrix of shape {a.shape[-2:]} has no smallest singular value.")
    elif ord in (1, -1, math.inf, -math.inf):
        inner, rest = (-2, -1) if ord in (1, -1) else (-1, -1)
        sums = apply("abs", values).sum(axis=inner)
        result = sums.max(axis=rest) if ord in (1, math.inf) else sums.min(axis=rest)
    elif ord in (2, -2, "nuc"):
        singular = svdvals(values)
        result = singular.sum(axis=-1) if ord == "nuc" else singular[..., 0 if ord == 2 else -1]
    else:
        raise ValueError(f"matrix_norm: ord is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not {ord!r}.")
    return reshape(result, (*result.shape, 1, 1)) if keepdims else result


def norm(
    x: Any,
    ord: Ord = None,  # noqa: A002 - NumPy's name
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> GPUArray:
    """Return a norm of vectors or matrices, as `numpy.linalg.norm` does.

    NumPy's; the array API standard has `vector_norm` and `matrix_norm`.

    Parameters
    ----------
    x : array_like
        Numbers.
    ord : float or str, optional
        As in `vector_norm` or `matrix_norm`; left out, the root of the sum of squares.
    axis : int, tuple of int or None
        One axis: of vectors; two: of matrices; None: of the whole array.
    keepdims : bool
        Whether reduced axes stay, of length 1.

    Returns
    -------
    GPUArray
        float32.

    Raises
    ------
    ShapeError
        When `ord` is given, `axis` is not, and the array is neither a vector nor a matrix.

    Examples
    --------
    >>> wg.linalg.norm(xp.asarray([3.0, 4.0]))
    GPUArray(5., shape=(), dtype=float32)
    """
    a = as_array(x)
    if axis is None and ord is None:
        return vector_norm(a, keepdims=keepdims)
    if axis is None:
        axis = tuple(range(a.ndim))
        if len(axis) not in (1, 2):
            raise ShapeError(f"norm: an array of shape {a.shape} is neither a vector nor a matrix; pass axis=.")
    axes = axis if isinstance(axis, tuple) else (axis,)
    if len(axes) == 1:
        return vector_norm(a, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)  # type: ignore[arg-type] # a vector's is a number
    places = tuple(check_axis(i, a.ndim) for i in axes)
    rest = tuple(i for i in range(a.ndim) if i not in places)
    result = matrix_norm(permute(a, (*rest, *places)), ord=ord)
    return reshape(result, tuple(1 if i in places else s for i, s in enumerate(a.shape))) if keepdims else result
