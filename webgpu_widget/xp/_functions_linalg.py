"""NumPy's products and its linear algebra on the GPU, with NumPy's arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from webgpu_widget import linalg
from webgpu_widget.arrays.einsum import einsum as _einsum
from webgpu_widget.arrays.lazy import create
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy.build import apply, coerce, where
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.arrays.matrix import matmul
from webgpu_widget.arrays.ufuncs import WAY_OUT, store
from webgpu_widget.errors import UnsupportedError


def _two(name: str, a: Any, b: Any) -> list[Any]:
    return coerce(name, tuple(np.asarray(v) if dt.is_scalar(v) else v for v in (a, b)))[1]


def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Return the sum over the last axis of `a` and the last but one of `b`."""
    if dt.is_scalar(a) or dt.is_scalar(b):
        result = apply("multiply", a, b)
    else:
        x, y = _two("dot", a, b)
        if not x.ndim or not y.ndim:
            result = apply("multiply", x, y)
        elif y.ndim <= 2:
            result = matmul(x, y)
        else:
            result = linalg.tensordot(x, y, axes=([x.ndim - 1], [y.ndim - 2]))
    return result if out is None else store(out, result, True, "same_kind", "np.dot")


def inner(a: Any, b: Any, /) -> Any:
    """Return the sum of products over both last axes."""
    if dt.is_scalar(a) or dt.is_scalar(b):
        return apply("multiply", a, b)
    x, y = _two("inner", a, b)
    if not x.ndim or not y.ndim:
        return apply("multiply", x, y)
    return linalg.tensordot(x, y, axes=([x.ndim - 1], [y.ndim - 1]))


def vdot(a: Any, b: Any, /) -> Any:
    """Return the sum of products of all elements, complex ones with the conjugates of the first."""
    x, y = _two("vdot", a, b)
    x = apply("conj", x) if x.dtype.kind == "c" else x
    return matmul(shapes.reshape(x, (x.size,)), shapes.reshape(y, (y.size,)))


def outer(a: Any, b: Any, out: Any = None) -> Any:
    """Return all products of the elements of two flattened arrays."""
    x, y = _two("outer", a, b)
    result = apply("multiply", shapes.reshape(x, (x.size, 1)), shapes.reshape(y, (1, y.size)))
    return result if out is None else store(out, result, True, "same_kind", "np.outer")


def kron(a: Any, b: Any) -> Any:
    """Return the Kronecker product."""
    x, y = _two("kron", a, b)
    ndim = max(x.ndim, y.ndim)
    left, right = ((1,) * (ndim - v.ndim) + v.shape for v in (x, y))
    first = shapes.reshape(x, tuple(s for side in left for s in (side, 1)))
    second = shapes.reshape(y, tuple(s for side in right for s in (1, side)))
    return shapes.reshape(apply("multiply", first, second), tuple(m * n for m, n in zip(left, right, strict=True)))


def einsum(*operands: Any, out: Any = None, optimize: Any = False, dtype: Any = None) -> Any:  # noqa: ARG001 - it chooses its own order
    """Return a sum of products in Einstein's notation."""
    result = _einsum(*operands)
    if dtype is not None:
        raise UnsupportedError(
            f"np.einsum: dtype= is not there for arrays on the GPU: convert the operands. {WAY_OUT}."
        )
    return result if out is None else store(out, result, True, "same_kind", "np.einsum")


def diag(v: Any, k: int = 0) -> Any:
    """Return the diagonal of a matrix, or the matrix with that diagonal."""
    if v.ndim == 2:
        return shapes.diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(f"np.diag takes 1 or 2 axes, not shape {v.shape}.")
    side = v.size + abs(k)
    placed = v if not k else shapes.concat([create.full(v._device, (abs(k),), 0, v.dtype), v][:: 1 if k > 0 else -1])
    rows = shapes.broadcast_to(shapes.reshape(placed, (1, side)), (side, side))
    return where(create.eye(v._device, side, side, k=k, dtype=dt.BOOL), rows, 0)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the diagonals of two axes."""
    return shapes.diagonal(_plane_last(a, axis1, axis2), offset)


def _plane_last(a: Any, axis1: int, axis2: int) -> Any:
    first, second = shapes.check_axis(axis1, a.ndim), shapes.check_axis(axis2, a.ndim)
    if first == second:
        raise ValueError("A diagonal is of two axes, not of one with itself.")
    return shapes.permute(a, (*(i for i in range(a.ndim) if i not in (first, second)), first, second))


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """Return the sum along a diagonal."""
    result = linalg.trace(_plane_last(a, axis1, axis2), offset=offset, dtype=dtype)
    return result if out is None else store(out, result, True, "same_kind", "np.trace")


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Return the vector product of vectors of 3 elements."""
    x, y = _two("cross", a, b)
    if axis is not None:
        axisa = axisb = axisc = axis
    last = [_moved(v, at, -1) for v, at in ((x, axisa), (y, axisb))]
    return _moved(linalg.cross(*last), -1, axisc)


def _moved(x: Any, source: int, target: int) -> Any:
    order = [i for i in range(x.ndim) if i != source % x.ndim]
    order.insert(target % x.ndim, source % x.ndim)
    return shapes.permute(x, order)


def _triangle_only(name: str, UPLO: str) -> None:  # noqa: N803 - NumPy's name
    if UPLO.upper() != "L":
        raise UnsupportedError(
            f"np.linalg.{name} on the GPU takes the whole symmetric matrix, not UPLO={UPLO!r}. {WAY_OUT}."
        )


def eigh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803 - NumPy's name
    """Return eigenvalues and eigenvectors of a symmetric matrix."""
    _triangle_only("eigh", UPLO)
    return linalg.eigh(a)


def eigvalsh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803 - NumPy's name
    """Return eigenvalues of a symmetric matrix."""
    _triangle_only("eigvalsh", UPLO)
    return linalg.eigvalsh(a)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:  # noqa: ARG001 - one way for all
    """Return singular values, and vectors."""
    return linalg.svd(a, full_matrices=full_matrices) if compute_uv else linalg.svdvals(a)


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:  # noqa: ARG001 - one way for all
    """Return the pseudo-inverse."""
    return linalg.pinv(a, rtol=rcond if rtol is None else rtol)


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:  # noqa: N803, ARG001 - NumPy's name; one way for all
    """Return the rank."""
    if tol is None:
        return linalg.matrix_rank(A, rtol=rtol)
    bound = tol[..., None] if is_array(tol) or np.ndim(tol) else tol
    return apply("greater", linalg.svdvals(A), bound).sum(axis=-1)


def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """Return the product of several matrices, from the left."""
    first, *rest = arrays
    for other in rest:
        first = matmul(first, other)
    return first if out is None else store(out, first, True, "same_kind", "np.linalg.multi_dot")


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002 - NumPy's name
    return linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)


def _named(twin: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """Return a function that takes its arguments by NumPy's names as well as by place."""

    def call(*args: Any, **options: Any) -> Any:
        rest = names[len(args) :]
        if len(args) > len(names) or set(options) != set(rest):
            raise UnsupportedError(f"np.linalg.{twin.__name__} on the GPU takes {', '.join(names)}. {WAY_OUT}.")
        return twin(*args, *(options[name] for name in rest))

    return call


def _vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:  # noqa: A002 - NumPy's name
    return linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


def _matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:  # noqa: A002 - NumPy's name
    return linalg.matrix_norm(x, keepdims=keepdims, ord=ord)


TWINS: dict[str, Callable[..., Any]] = {
    "dot": dot,
    "inner": inner,
    "vdot": vdot,
    "outer": outer,
    "kron": kron,
    "einsum": einsum,
    "tensordot": lambda a, b, axes=2: linalg.tensordot(a, b, axes=axes),
    "diag": diag,
    "diagonal": diagonal,
    "trace": trace,
    "cross": cross,
    "linalg.norm": _norm,
    "linalg.vector_norm": _vector_norm,
    "linalg.matrix_norm": _matrix_norm,
    "linalg.solve": _named(linalg.solve, "a", "b"),
    "linalg.inv": _named(linalg.inv, "a"),
    "linalg.det": _named(linalg.det, "a"),
    "linalg.slogdet": _named(linalg.slogdet, "a"),
    "linalg.cholesky": lambda a, /, *, upper=False: linalg.cholesky(a, upper=upper),
    "linalg.qr": lambda a, mode="reduced": linalg.qr(a, mode=mode),
    "linalg.svd": svd,
    "linalg.svdvals": lambda x, /: linalg.svdvals(x),
    "linalg.eigh": eigh,
    "linalg.eigvalsh": eigvalsh,
    "linalg.pinv": pinv,
    "linalg.matrix_rank": matrix_rank,
    "linalg.matrix_power": _named(linalg.matrix_power, "a", "n"),
    "linalg.multi_dot": multi_dot,
    "linalg.matmul": lambda x1, x2, /: matmul(x1, x2),
    "linalg.outer": lambda x1, x2, /: linalg.outer(x1, x2),
    "linalg.cross": lambda x1, x2, /, *, axis=-1: linalg.cross(x1, x2, axis=axis),
    "linalg.tensordot": lambda x1, x2, /, *, axes=2: linalg.tensordot(x1, x2, axes=axes),
    "linalg.vecdot": lambda x1, x2, /, *, axis=-1: linalg.vecdot(x1, x2, axis=axis),
    "linalg.trace": lambda x, /, *, offset=0, dtype=None: linalg.trace(x, offset=offset, dtype=dtype),
    "linalg.diagonal": lambda x, /, *, offset=0: linalg.diagonal(x, offset=offset),
    "linalg.matrix_transpose": lambda x, /: x.mT,
}
"""The twins of NumPy's functions, by their names."""
