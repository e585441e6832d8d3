"""Products, norms and what is made of the decompositions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, same_gpu, where
from webgpu_widget.arrays.lazy.node import size_of
from webgpu_widget.arrays.lazy.shape import check_axis, diagonal, expand_dims, permute, reshape
from webgpu_widget.arrays.lazy.shape import stack as _stack
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.errors import ShapeError
from webgpu_widget.linalg._common import array, as_array, floats, matrices, operands
from webgpu_widget.linalg._factor import svd, svdvals
from webgpu_widget.linalg._solve import inv, transposed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray


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
    return result.any(axis=axis) if result.dtype == dt.BOOL else result.sum(axis=axis, dtype=result.dtype)


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
