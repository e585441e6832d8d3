"""Matrix products, and the arithmetic and transposition that take NumPy arrays too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from webgpu_widget import shaders
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply, cast_node, coerce, common_dtype
from webgpu_widget.arrays.lazy.node import Node, c_strides, node_of, size_of
from webgpu_widget.arrays.lazy.shape import broadcast_node, permute
from webgpu_widget.arrays.lazy.value import wrap
from webgpu_widget.device.limits import SAFE_WORKGROUPS
from webgpu_widget.errors import ShapeError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.node import Shape
    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.arrays.matmul import Operand
    from webgpu_widget.gpu import GPU

__all__ = ["add", "matmul", "matrix_transpose", "multiply", "only", "subtract", "transpose"]

Precision = Literal["f32", "f16"]


def matmul(
    a: Any, b: Any, *, precision: Precision = "f32", out: GPUArray | None = None, gpu: GPU | None = None
) -> GPUArray:
    """Return the matrix product, with `numpy.matmul`'s rules for vectors and stacks.

    Parameters
    ----------
    a, b : array_like
        Floats, integers or bools. Transposed, sliced and broadcast arrays are multiplied where they lie.
    precision : {"f32", "f16"}
        ``f16`` rounds float operands to float16 and accumulates in float32, on matrix units where the adapter has them.
    out : GPUArray, optional
        An array of the result's shape and dtype that takes the values; as a view of another, as in ``out=a[1:]``, it writes to that too.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, that of `out`, or the default one.

    Returns
    -------
    GPUArray
        Of the operands' common dtype. Floats are accumulated in float32, an inner size K above 8192 in runs of 4096 whose sums are added
        (rows and columns alone by many invocations): the error is at most (4096 + K / 4096) * 2**-24 of the sum of the products' sizes, and
        with signs or roundings at random about the square root of the first factor. On matrix units float16 products are summed one by
        one, with K in its place. Integers are modulo 2**32.

    Raises
    ------
    ShapeError
        When the inner sides differ, or the stacks do not broadcast.
    DTypeError
        When the dtypes do not combine.
    BindingError
        When `out` is a view of what was written since, or shows an element twice.

    Examples
    --------
    >>> wg.matmul(np.float32([[1, 2], [3, 4]]), np.float32([1, 1]))
    GPUArray([3., 7.], shape=(2,), dtype=float32)
    """
    from webgpu_widget.arrays.lazy.origin import assign_through
    from webgpu_widget.arrays.matmul import product_shape

    if precision not in ("f32", "f16"):
        raise ValueError(f"matmul: precision is 'f32' or 'f16', not {precision!r}.")
    chosen = out._device if gpu is None and out is not None else gpu
    runtime, (x, y) = coerce(
        "matmul", (np.asarray(a) if dt.is_scalar(a) else a, np.asarray(b) if dt.is_scalar(b) else b), chosen
    )
    shape = product_shape(x.shape, y.shape)
    dtype = common_dtype([x, y])
    if out is not None and (out.shape != shape or out.dtype != dtype):
        raise ShapeError(f"matmul: out has shape {out.shape}, {out.dtype.name}; the product is {shape}, {dtype.name}.")
    if dtype.kind == "c":
        return _complex_product(x, y, precision, out)
    if dtype.kind == "f":
        node = _float_product(
            runtime, cast_node(node_of(x), dtype), cast_node(node_of(y), dtype), shape, dtype, precision
        )
    else:
        node = _integer_product(runtime, node_of(x), node_of(y), shape, dtype)
    result = wrap(runtime.device, node)
    if out is None:
        return result
    assign_through(out, result, "matmul: out")
    return out


def _matmul(x1: Any, x2: Any, /) -> GPUArray:
    """Return the matrix product, with `numpy.matmul`'s rules for vectors and stacks.

    The array API standard's `matmul`; `webgpu_widget.matmul` has options besides, and says how accurate it is.

    Parameters
    ----------
    x1, x2 : array_like
        The factors, of one axis or more.

    Raises
    ------
    ShapeError
        When the inner sides differ, or the stacks do not broadcast.
    DTypeError
        When the dtypes do not combine.

    Examples
    --------
    >>> wg.linalg.matmul(xp.asarray([[1, 2], [3, 4]]), xp.asarray([1, 1]))
    GPUArray([3, 7], shape=(2,), dtype=int32)
    """
    return matmul(x1, x2)


_matmul.__name__ = "matmul"


def strided(runtime: Runtime, node: Node) -> tuple[Node, tuple[int, ...], int]:
    """Return a leaf, and the strides and the offset (elements) by which it is seen; a view with steps forward is not copied."""
    if node.storage is None and node.op == "view" and node.inputs[0].storage is not None:
        base = node.inputs[0]
        strides, offset = [0] * len(node.shape), 0
        for stride, (start, source, step) in zip(c_strides(base.shape), node.attr, strict=True):
            offset += stride * start
            if source >= 0:
                strides[source] += stride * step
        if all(s >= 0 for s in strides):
            return base, tuple(strides), offset
    runtime.materialise(node)
    return node, c_strides(node.shape), 0


def _operand(runtime: Runtime, node: Node) -> Operand:
    from webgpu_widget.arrays.matmul import Operand

    leaf, strides, offset = strided(runtime, node)
    return Operand(runtime.buffer(leaf), node.shape, strides, offset, node.dtype)


def _float_product(runtime: Runtime, x: Node, y: Node, shape: Shape, dtype: dt.DType, precision: Precision) -> Node:
    from webgpu_widget.arrays.matmul import launch

    result = Node("leaf", (), shape, dtype, storage=runtime.allocate(size_of(shape), dtype))
    if not size_of(shape):
        return result
    out, a, b = runtime.buffer(result), _operand(runtime, x), _operand(runtime, y)
    same = a.buffer is b.buffer
    key = ("@", a.shape, a.strides, a.offset, b.shape, b.strides, b.offset, same, dtype, precision)
    known = runtime.seen.find(key, (a.buffer, b.buffer))
    if known is not None:
        pipeline, swapped, uniform, workgroups = known
        left, right = (b.buffer, a.buffer) if swapped else (a.buffer, b.buffer)
        runtime.queue.dispatch_whole(pipeline, (left, right, out), uniform, workgroups)
        return result
    queued = launch(runtime.device, a, b, out, precision=precision, out_dtype=dtype)
    if queued is not None:
        swapped = queued.buffers[0] is not a.buffer
        runtime.seen.keep(key, (queued.pipeline, swapped, queued.uniform, queued.workgroups))
    return result


def _complex_product(x: GPUArray, y: GPUArray, precision: Precision, out: GPUArray | None) -> GPUArray:
    """Return the product by those of real and imaginary parts: four, or two where an operand is real."""
    from webgpu_widget.arrays.lazy.origin import assign_through

    def product(left: str, right: str) -> GPUArray | float:
        if (left == "imag" and x.dtype.kind != "c") or (right == "imag" and y.dtype.kind != "c"):
            return 0.0
        return matmul(apply(left, x), apply(right, y), precision=precision)

    real = apply("subtract", product("real", "real"), product("imag", "imag"))
    result = apply("complex", real, apply("add", product("real", "imag"), product("imag", "real")))
    if out is None:
        return result
    assign_through(out, result, "matmul: out")
    return out


def _integer_product(runtime: Runtime, x: Node, y: Node, shape: Shape, dtype: dt.DType) -> Node:
    kind = dt.INT32 if dtype == dt.BOOL else dtype
    left, right = cast_node(x, kind), cast_node(y, kind)
    lines = x.shape[-2] if len(x.shape) > 1 else 1
    cols = y.shape[-1] if len(y.shape) > 1 else 1
    inner = x.shape[-1]
    batch = shape[: len(shape) - (len(x.shape) > 1) - (len(y.shape) > 1)]
    result = Node("leaf", (), shape, kind, storage=runtime.allocate(size_of(shape), kind))
    if size_of(shape) and not inner:
        runtime.clear(result.storage)  # type: ignore[arg-type]
    elif size_of(shape):
        count = size_of(batch)
        words = [count, lines, cols, inner]
        buffers = []
        for node, is_left in ((left, True), (right, False)):
            own = node.shape[:-2]
            if own and own != batch:
                node = broadcast_node(node, (*batch, *node.shape[-2:]))  # noqa: PLW2901
            if len(own) > 1 or (own and own != batch):
                runtime.materialise(node)
            leaf, strides, offset = strided(runtime, node)
            if len(node.shape) == 1:
                row, col = (0, strides[0]) if is_left else (strides[0], 0)
            else:
                row, col = strides[-2:]
            words += [offset, strides[-3] if own else 0, row, col]
            buffers.append(runtime.buffer(leaf))
        elem = dt.WGSL_TYPE[kind]
        pipeline = runtime.pipeline(
            ("product", elem),
            lambda: shaders.specialise("array/product", alias={"Elem": elem}),
            "product",
            "main",
        )
        blocks = count * (-(-lines // 4)) * (-(-cols // 4))
        runtime.dispatch(pipeline, [*buffers, runtime.buffer(result)], words, min(SAFE_WORKGROUPS, -(-blocks // 64)))
    return cast_node(result, dtype)


def only(name: str, x: Any, gpu: GPU | None) -> GPUArray:
    """Return the one operand of a function as an array, uploaded where it is none."""
    return coerce(name, (np.asarray(x) if dt.is_scalar(x) else x,), gpu)[1][0]


def matrix_transpose(x: Any, *, gpu: GPU | None = None) -> GPUArray:
    """Exchange the last two axes; nothing is moved.

    Parameters
    ----------
    x : array_like, (..., m, n)
        Matrices.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Raises
    ------
    ShapeError
        For less than two axes.
    """
    a = only("matrix_transpose", x, gpu)
    if a.ndim < 2:
        raise ShapeError(f"matrix_transpose takes at least 2 axes, not shape {a.shape}.")
    return permute(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))


def transpose(x: Any, axes: tuple[int, ...] | None = None, *, gpu: GPU | None = None) -> GPUArray:
    """Return the array with its axes in another order; nothing is moved.

    Parameters
    ----------
    x : array_like
        The values.
    axes : tuple of int, optional
        Which axis of `x` each axis of the result is; reversed when left out.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Examples
    --------
    >>> wg.transpose(np.float32([[1, 2], [3, 4]]))
    GPUArray([[1., 3.],
              [2., 4.]], shape=(2, 2), dtype=float32)
    """
    a = only("transpose", x, gpu)
    return permute(a, tuple(range(a.ndim))[::-1] if axes is None else axes)


def add(a: Any, b: Any, *, gpu: GPU | None = None) -> GPUArray:
    """Return the sum, elementwise.

    Parameters
    ----------
    a, b : array_like
        Numbers of any dtype; the shapes broadcast.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Raises
    ------
    ShapeError
        When the shapes do not broadcast.
    DTypeError
        When the dtypes do not combine.

    Examples
    --------
    >>> wg.add(np.float32([1, 2]), 10)
    GPUArray([11., 12.], shape=(2,), dtype=float32)
    """
    return apply("add", a, b, gpu=gpu)


def subtract(a: Any, b: Any, *, gpu: GPU | None = None) -> GPUArray:
    """Return the difference ``a - b``, elementwise.

    Parameters
    ----------
    a, b : array_like
        Numbers of any dtype but bool; the shapes broadcast.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Raises
    ------
    ShapeError
        When the shapes do not broadcast.
    DTypeError
        When the dtypes do not combine.

    Examples
    --------
    >>> wg.subtract(np.float32([1, 2]), 10)
    GPUArray([-9., -8.], shape=(2,), dtype=float32)
    """
    return apply("subtract", a, b, gpu=gpu)


def multiply(a: Any, b: Any, *, gpu: GPU | None = None) -> GPUArray:
    """Return the product, elementwise.

    Parameters
    ----------
    a, b : array_like
        Numbers of any dtype; the shapes broadcast.
    gpu : GPU, optional
        Where NumPy operands go; the arrays' own, or `default_gpu`, when left out.

    Raises
    ------
    ShapeError
        When the shapes do not broadcast.
    DTypeError
        When the dtypes do not combine.

    Examples
    --------
    >>> wg.multiply(np.float32([1, 2]), 10)
    GPUArray([10., 20.], shape=(2,), dtype=float32)
    """
    return apply("multiply", a, b, gpu=gpu)
