"""Matrices that the array API makes by a rule: ones on a diagonal, triangles, coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webgpu_widget.arrays.lazy import create
from webgpu_widget.arrays.lazy.build import const, lazy, op_node, same_gpu
from webgpu_widget.arrays.lazy.node import node_of
from webgpu_widget.arrays.lazy.shape import broadcast_to, reshape
from webgpu_widget.errors import ShapeError
from webgpu_widget.xp._creation import device_of

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.gpu import GPU


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: GPU | None = None
) -> GPUArray:
    """Return a matrix with ones on a diagonal and zeros elsewhere.

    The array API standard's `eye`.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    n_cols : int, optional
        Number of columns; as many as rows when left out.
    k : int
        Which diagonal: 0 the main one, above it where positive, below it where negative.
    dtype : dtype, optional
        Of the result; float32 when left out.
    device : GPU, optional
        Where it is made; `default_gpu` when left out.

    Examples
    --------
    >>> xp.eye(2, 3, k=1)
    GPUArray([[0., 1., 0.],
              [0., 0., 1.]], shape=(2, 3), dtype=float32)
    """
    return create.eye(device_of(device), n_rows, n_cols, k=k, dtype=dtype)


def meshgrid(*arrays: GPUArray, indexing: str = "xy") -> tuple[GPUArray, ...]:
    """Return coordinate matrices of coordinate vectors.

    The array API standard's `meshgrid`.

    Parameters
    ----------
    *arrays : GPUArray, (n,)
        A vector for each axis.
    indexing : {"xy", "ij"}
        ``ij``: the axes in the order of the vectors; ``xy``: the first two exchanged, as for pictures.

    Returns
    -------
    tuple of GPUArray
        A matrix for each vector.

    Raises
    ------
    ShapeError
        When an array has not one axis.
    ValueError
        For another indexing.

    Examples
    --------
    >>> xp.meshgrid(xp.asarray([1, 2]), xp.asarray([3, 4]), indexing="ij")[0]
    GPUArray([[1, 1],
              [2, 2]], shape=(2, 2), dtype=int32)
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}.")
    if not arrays:
        return ()
    same_gpu("meshgrid", list(arrays))
    if any(a.ndim != 1 for a in arrays):
        raise ShapeError(f"meshgrid takes 1-D arrays, not shapes {' and '.join(str(a.shape) for a in arrays)}.")
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[:2] = [1, 0]
    shape = tuple(arrays[i].size for i in order)
    lines = [reshape(a, tuple(a.size if i == k else 1 for k in order)) for i, a in enumerate(arrays)]
    return tuple(broadcast_to(line, shape).copy() for line in lines)


def _triangle(x: GPUArray, relation: str, k: int) -> GPUArray:
    if x.ndim < 2:
        raise ShapeError(f"A triangle is of matrices, with at least 2 axes, not of shape {x.shape}.")
    same_gpu("triangle", [x])
    kept = create.diagonal_relation(x.shape[-2:], relation, k)
    return lazy(x._device, op_node("where", kept, node_of(x), const(0, x.dtype)))


def tril(x: GPUArray, /, *, k: int = 0) -> GPUArray:
    """Return matrices with zeros above a diagonal.

    The array API standard's `tril`.

    Parameters
    ----------
    x : GPUArray, (..., m, n)
        Matrices.
    k : int
        Last diagonal that stays: 0 the main one, positive above it.

    Raises
    ------
    ShapeError
        For less than two axes.

    Examples
    --------
    >>> xp.tril(xp.ones((2, 2)))
    GPUArray([[1., 0.],
              [1., 1.]], shape=(2, 2), dtype=float32)
    """
    return _triangle(x, "less_equal", k)


def triu(x: GPUArray, /, *, k: int = 0) -> GPUArray:
    """Return matrices with zeros below a diagonal.

    The array API standard's `triu`.

    Parameters
    ----------
    x : GPUArray, (..., m, n)
        Matrices.
    k : int
        First diagonal that stays: 0 the main one, positive above it.

    Raises
    ------
    ShapeError
        For less than two axes.

    Examples
    --------
    >>> xp.triu(xp.ones((2, 2)))
    GPUArray([[1., 1.],
              [0., 1.]], shape=(2, 2), dtype=float32)
    """
    return _triangle(x, "greater_equal", k)
