"""Products, norms and what is made of the decompositions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, same_gpu, where
from webgpu_widget.arrays.lazy.node import size_of
from webgpu_widget.arrays.lazy.shape import check_axes, check_axis, diagonal, expand_dims, permute, reshape
from webgpu_widget.arrays.lazy.shape import stack as _stack
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.errors import ShapeError
from webgpu_widget.linalg._common import array, as_array, floats, matrices, operands
from webgpu_widget.linalg._factor import svd, svdvals
from webgpu_widget.linalg._solve import inv, transposed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray

Ord = float | str | None


def outer(x1: Any, x2: Any, /) -> GPUArray:
    """Return all products of the elements of two vectors.

    The array API standard's `outer`.

    Parameters
    ----------
    x1 : array_like, (m,)
        Vector whose elements go down the rows.
    x2 : array_like, (n,)
        Vector whose elements go along them.

    Returns
    -------
    GPUArray
        (m, n)

    Raises
    ------
    ShapeError
        When one has not one axis.

    Examples
    --------
    >>> wg.linalg.outer(xp.asarray([1, 2]), xp.asarray([3, 4]))
    GPUArray([[3, 4],
              [6, 8]], shape=(2, 2), dtype=int32)
    """
    a, b = operands("outer", (x1, x2))
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"outer takes vectors, not shapes {a.shape} and {b.shape}.")
    return apply("multiply", expand_dims(a, 1), expand_dims(b, 0))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> GPUArray:
    """Return the inner products of vectors along an axis.

    The array API standard's `vecdot`; of complex vectors the first is conjugated.

    Parameters
    ----------
    x1, x2 : array_like
        Vectors along `axis`; the other axes broadcast.
    axis : int
        Counted from the end, so negative.

    Raises
    ------
    ShapeError
        When the vectors differ in length.
    numpy.exceptions.AxisError
        When there is no such axis, or it is counted from the front.

    Examples
    --------
    >>> wg.linalg.vecdot(xp.asarray([1, 2]), xp.asarray([3, 4]))
    GPUArray(11, shape=(), dtype=int32)
    """
    a, b = operands("vecdot", (x1, x2))
    if axis >= 0 or -axis > min(a.ndim, b.ndim):
        from webgpu_widget.arrays.lazy.shape import AxisError

        raise AxisError(
            f"vecdot: axis {axis} must be from {-min(a.ndim, b.ndim)} to -1 for shapes {a.shape} and {b.shape}."
        )
    if a.shape[axis] != b.shape[axis]:
        raise ShapeError(f"vecdot: shapes {a.shape} and {b.shape} differ along axis {axis}; they must be equal there.")
    result = apply("multiply", apply("conj", a) if a.dtype.kind == "c" else a, b)
    return result.sum(axis=axis, dtype=result.dtype if result.dtype != dt.BOOL else None)


def tensordot(x1: Any, x2: Any, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> GPUArray:
    """Return the product summed over pairs of axes.

    The array API standard's `tensordot`.

    Parameters
    ----------
    x1, x2 : array_like
        The factors.
    axes : int or (sequence of int, sequence of int)
        So many of the last axes of `x1` with the first of `x2`; or the axes of each, in pairs.

    Raises
    ------
    ShapeError
        When the axes of a pair differ in length, or there are not as many.

    Examples
    --------
    >>> wg.linalg.tensordot(xp.ones((2, 3)), xp.ones((3, 2)), axes=1)
    GPUArray([[3., 3.],
              [3., 3.]], shape=(2, 2), dtype=float32)
    """
    from webgpu_widget.arrays.matrix import matmul

    a, b = operands("tensordot", (x1, x2))
    if isinstance(axes, int):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ShapeError(f"tensordot: {axes} axes cannot be summed for shapes {a.shape} and {b.shape}.")
        left, right = tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    else:
        left = tuple(check_axis(i, a.ndim) for i in axes[0])
        right = tuple(check_axis(i, b.ndim) for i in axes[1])
    if len(left) != len(right) or any(a.shape[i] != b.shape[j] for i, j in zip(left, right, strict=False)):
        raise ShapeError(f"tensordot: axes {left} of shape {a.shape} do not fit axes {right} of shape {b.shape}.")
    free_a = tuple(i for i in range(a.ndim) if i not in left)
    free_b = tuple(i for i in range(b.ndim) if i not in right)
    shape_a, shape_b = tuple(a.shape[i] for i in free_a), tuple(b.shape[i] for i in free_b)
    inner = size_of(tuple(a.shape[i] for i in left))
    rows = reshape(permute(a, (*free_a, *left)), (size_of(shape_a), inner))
    cols = reshape(permute(b, (*right, *free_b)), (inner, size_of(shape_b)))
    return reshape(matmul(rows, cols), (*shape_a, *shape_b))


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> GPUArray:
    """Return the cross products of vectors of three elements.

    The array API standard's `cross`.

    Parameters
    ----------
    x1, x2 : array_like
        Vectors, 3 long along `axis`; the other axes broadcast.
    axis : int
        The axis.

    Raises
    ------
    ShapeError
        When the axis is not 3 long.

    Examples
    --------
    >>> wg.linalg.cross(xp.asarray([1, 0, 0]), xp.asarray([0, 1, 0]))
    GPUArray([0, 0, 1], shape=(3,), dtype=int32)
    """
    a, b = operands("cross", (x1, x2))
    place = check_axis(axis, min(a.ndim, b.ndim)) if axis >= 0 else axis
    if a.shape[place] != 3 or b.shape[place] != 3:
        raise ShapeError(f"cross takes 3-vectors: axis {axis} of shapes {a.shape} and {b.shape} must be 3 long.")

    def part(x: GPUArray, i: int) -> GPUArray:
        key: list[Any] = [slice(None)] * x.ndim
        key[place] = i
        return x[tuple(key)]

    pairs = ((1, 2), (2, 0), (0, 1))
    parts = [part(a, i) * part(b, j) - part(a, j) * part(b, i) for i, j in pairs]
    return _stack(parts, place)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> GPUArray:
    """Return the sums of diagonals of matrices.

    The array API standard's `trace`.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices.
    offset : int
        Which diagonal: 0 the main one, above it where positive, below it where negative.
    dtype : dtype, optional
        In which it is summed; that of `x`, and int32 for bools, when left out.

    Examples
    --------
    >>> wg.linalg.trace(xp.asarray([[1, 2], [3, 4]]))
    GPUArray(5, shape=(), dtype=int32)
    """
    a = as_array(x)
    matrices("trace", a)
    return diagonal(a, offset).sum(axis=-1, dtype=dtype)


def matrix_transpose(x: Any, /) -> GPUArray:
    """Exchange the last two axes; nothing is moved.

    The array API standard's `matrix_transpose`.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices.

    Raises
    ------
    ShapeError
        For less than two axes.

    Examples
    --------
    >>> wg.linalg.matrix_transpose(xp.asarray([[1, 2], [3, 4]]))
    GPUArray([[1, 3],
              [2, 4]], shape=(2, 2), dtype=int32)
    """
    a = as_array(x)
    matrices("matrix_transpose", a)
    return transposed(a)


def matrix_diagonal(x: Any, /, *, offset: int = 0) -> GPUArray:
    """Return the diagonals of matrices.

    The array API standard's `diagonal`.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices.
    offset : int
        Which diagonal: 0 the main one, above it where positive, below it where negative.

    Examples
    --------
    >>> wg.linalg.diagonal(xp.asarray([[1, 2], [3, 4]]))
    GPUArray([1, 4], shape=(2,), dtype=int32)
    """
    return diagonal(as_array(x), offset)


def matrix_power(x: Any, n: int, /) -> GPUArray:
    """Return the n-th power of square matrices.

    The array API standard's `matrix_power`.

    Parameters
    ----------
    x : array_like, (..., n, n)
        Square matrices.
    n : int
        The exponent; 0 gives identities, and a negative one powers of the inverse.

    Raises
    ------
    numpy.linalg.LinAlgError
        For a negative exponent of a singular matrix.

    Examples
    --------
    >>> wg.linalg.matrix_power(xp.asarray([[1, 1], [0, 1]]), 5)
    GPUArray([[1, 5],
              [0, 1]], shape=(2, 2), dtype=int32)
    """
    from webgpu_widget.arrays.matrix import matmul

    a = as_array(x)
    batch = matrices("matrix_power", a, square=True)
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        from webgpu_widget.arrays.lazy.create import eye
        from webgpu_widget.arrays.lazy.shape import broadcast_to

        return broadcast_to(eye(a._device, a.shape[-1], dtype=a.dtype), (*batch, *a.shape[-2:]))
    result: GPUArray | None = None
    while n:
        if n & 1:
            result = a if result is None else matmul(result, a)
        n >>= 1
        if n:
            a = matmul(a, a)
    assert result is not None  # noqa: S101 - n was positive
    return result


def vector_norm(
    x: Any,
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    ord: float = 2,  # noqa: A002
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
        return values.max(axis=axis, keepdims=keepdims)
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
    if ord in (1, -1, math.inf, -math.inf):
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
        return vector_norm(a, axis=axes[0], keepdims=keepdims, ord=2 if ord is None else ord)  # type: ignore[arg-type]
    places = tuple(check_axis(i, a.ndim) for i in axes)
    rest = tuple(i for i in range(a.ndim) if i not in places)
    result = matrix_norm(permute(a, (*rest, *places)), ord=ord)
    return reshape(result, tuple(1 if i in places else s for i, s in enumerate(a.shape))) if keepdims else result


def _tolerance(singular: GPUArray, rtol: Any, shape: tuple[int, ...]) -> GPUArray:
    """Return what counts as zero among singular values, with an axis for them."""
    if rtol is None:
        rtol = max(shape[-2:]) * 2.0**-23
    largest = singular.max(axis=-1, keepdims=True)
    if is_array(rtol):
        return apply("multiply", largest, expand_dims(rtol, -1) if rtol.ndim else rtol)
    return apply("multiply", largest, rtol)


def matrix_rank(x: Any, /, *, rtol: Any = None) -> GPUArray:
    """Return the ranks of matrices: how many singular values are not zero within a tolerance.

    The array API standard's `matrix_rank`.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices, real.
    rtol : float or GPUArray, (...,), optional
        Singular values up to `rtol` times the largest count as zero; ``max(m, n) * 2**-23`` when left out.

    Returns
    -------
    GPUArray
        int32.

    Examples
    --------
    >>> wg.linalg.matrix_rank(xp.asarray([[1.0, 2.0], [2.0, 4.0]]))
    GPUArray(1, shape=(), dtype=int32)
    """
    a = as_array(x)
    matrices("matrix_rank", a)
    a = array(same_gpu("matrix_rank", [a]), floats("matrix_rank", a))
    if not size_of(a.shape[-2:]):
        from webgpu_widget.arrays.lazy.create import full

        return full(a._device, a.shape[:-2], 0)
    singular = svdvals(a)
    return (singular > _tolerance(singular, rtol, a.shape)).sum(axis=-1)


def pinv(x: Any, /, *, rtol: Any = None) -> GPUArray:
    """Return the pseudo-inverses of matrices, by `svd`.

    The array API standard's `pinv`.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices, real.
    rtol : float or GPUArray, (...,), optional
        Singular values up to `rtol` times the largest count as zero; ``max(m, n) * 2**-23`` when left out.

    Returns
    -------
    GPUArray
        float32, (..., n, m)

    Examples
    --------
    >>> wg.linalg.pinv(xp.asarray([[2.0, 0.0], [0.0, 4.0]])).round(3)
    GPUArray([[0.5 , 0.  ],
              [0.  , 0.25]], shape=(2, 2), dtype=float32)
    """
    from webgpu_widget.arrays.matrix import matmul

    a = as_array(x)
    matrices("pinv", a)
    a = array(same_gpu("pinv", [a]), floats("pinv", a))
    if not size_of(a.shape):
        return transposed(a)
    u, s, vh = svd(a, full_matrices=False)
    kept = s > _tolerance(s, rtol, a.shape)
    inverse = where(kept, 1.0 / where(kept, s, 1.0), 0.0)
    return matmul(transposed(vh) * expand_dims(inverse, -2), transposed(u))
