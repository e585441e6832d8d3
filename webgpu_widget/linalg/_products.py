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
    """Return all products of the elements of two vectors."""
    a, b = operands("outer", (x1, x2))
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"outer takes vectors, not shapes {a.shape} and {b.shape}.")
    return apply("multiply", expand_dims(a, 1), expand_dims(b, 0))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> GPUArray:
    """Return the inner products of vectors along an axis, counted from the end; complex ones with the conjugates of the first."""
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
    """Return the product summed over pairs of axes: the last `axes` of x1 with the first of x2, or those named."""
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
    """Return the cross products of 3-vectors along an axis."""
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
    """Return the sums of the diagonals of the last two axes."""
    a = as_array(x)
    matrices("trace", a)
    return diagonal(a, offset).sum(axis=-1, dtype=dtype)


def matrix_transpose(x: Any, /) -> GPUArray:
    """Exchange the last two axes; nothing is moved."""
    a = as_array(x)
    matrices("matrix_transpose", a)
    return transposed(a)


def matrix_diagonal(x: Any, /, *, offset: int = 0) -> GPUArray:
    """Return the diagonals of the last two axes."""
    return diagonal(as_array(x), offset)


def matrix_power(x: Any, n: int, /) -> GPUArray:
    """Return the n-th power of square matrices; the inverse's for n < 0."""
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
    """Return norms of vectors along axes (of all elements for None): any order, 0 counts what is not zero, inf and -inf are extremes."""
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
    """Return norms of matrices: ``fro``, ``nuc``, 1, -1, 2, -2, inf, -inf."""
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
    """Return a norm as `numpy.linalg.norm` does: of vectors for one axis, of matrices for two, of all elements for neither."""
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
    """Return the ranks, int32: how many singular values are over `rtol` times the largest."""
    a = as_array(x)
    matrices("matrix_rank", a)
    a = array(same_gpu("matrix_rank", [a]), floats("matrix_rank", a))
    if not size_of(a.shape[-2:]):
        from webgpu_widget.arrays.lazy.create import full

        return full(a._device, a.shape[:-2], 0)
    singular = svdvals(a)
    return (singular > _tolerance(singular, rtol, a.shape)).sum(axis=-1)


def pinv(x: Any, /, *, rtol: Any = None) -> GPUArray:
    """Return the pseudo-inverses, by `svd`: singular values up to `rtol` times the largest count as zero."""
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
