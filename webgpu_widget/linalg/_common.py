"""What the decompositions share: checks, working copies, launches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget import shaders
from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import cast_node, const, same_gpu
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.node import Node, node_of, size_of
from webgpu_widget.arrays.lazy.sharing import copied
from webgpu_widget.arrays.lazy.value import is_array, wrap
from webgpu_widget.device.default import as_device
from webgpu_widget.device.limits import SAFE_WORKGROUPS
from webgpu_widget.errors import DTypeError, ShapeError
from webgpu_widget.link.steps import Steps

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.node import Shape
    from webgpu_widget.arrays.lazy.runtime import Runtime
    from webgpu_widget.device.device import Device

LinAlgError = np.linalg.LinAlgError
PANEL = 32


def as_array(x: Any, device: Device | None = None) -> GPUArray:
    """Return an operand as an array, uploaded to a device or the default one where it is not one."""
    if is_array(x):
        return x
    return from_host(as_device(device), x)


def operands(name: str, values: tuple[Any, ...], device: Device | None = None) -> list[GPUArray]:
    """Return operands as arrays of one GPU: that of the arrays among them, else the one given, else the default one."""
    found = [v for v in values if is_array(v)]
    if found:
        same_gpu(name, found)
        device = found[0]._device
    arrays = [as_array(v, device) for v in values]
    same_gpu(name, arrays)
    return arrays


def floats(name: str, x: GPUArray) -> Node:
    """Return a node of float32; linear algebra is done in it.

    Raises
    ------
    DTypeError
        For bools and complex numbers.
    """
    if x.dtype == dt.COMPLEX64:
        raise DTypeError(
            f"{name} is not there for complex64: products are (matmul, einsum); for others pass x.numpy() to numpy.linalg."
        )
    if x.dtype == dt.BOOL:
        raise DTypeError(f"{name} takes numbers, not bool: convert with astype(np.float32) first.")
    return cast_node(node_of(x), dt.FLOAT32)


def matrices(name: str, x: GPUArray, *, square: bool = False) -> Shape:
    """Return the batch shape of a stack of matrices.

    Raises
    ------
    ShapeError
        When there are fewer than 2 axes, or the matrices are to be square and are not.
    """
    if x.ndim < 2:
        raise ShapeError(f"{name} takes matrices, with at least 2 axes, not an array of shape {x.shape}.")
    if square and x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{name} takes square matrices: the last two sides of shape {x.shape} must be equal.")
    return x.shape[:-2]


def working_copy(runtime: Runtime, node: Node) -> Node:
    """Return a leaf with a storage of its own, to be overwritten."""
    return copied(runtime, node)


def filled(runtime: Runtime, shape: Shape, value: float = 0.0, dtype: dt.DType = dt.FLOAT32) -> Node:
    """Return a leaf with one value everywhere."""
    node = const(value, dtype, shape)
    runtime.materialise(node)
    return node


def blank(runtime: Runtime, shape: Shape, dtype: dt.DType = dt.FLOAT32) -> Node:
    """Return a leaf whose content is undefined."""
    return Node("leaf", (), shape, dtype, storage=runtime.allocate(size_of(shape), dtype))


def launch(
    runtime: Runtime, name: str, entry: str, bound: dict[int, Node], words: list[int], count: int, *, group: int = 64
) -> None:
    """Queue an entry point of ``shaders/array/<name>.wgsl`` for `count` invocations, `group` of them a workgroup."""
    if count <= 0:
        return
    pipeline = runtime.pipeline((name, entry), lambda: shaders.load(f"array/{name}"), f"{name}_{entry}", entry)
    buffers = {i: runtime.buffer(node) for i, node in bound.items()}
    runtime.dispatch_bound(pipeline, buffers, words, min(SAFE_WORKGROUPS, -(-count // group)))


def array(runtime: Runtime, node: Node) -> GPUArray:
    """Return an array of a node."""
    return wrap(runtime.device, node)


@dataclass(frozen=True)
class Unchecked:
    """A result, and what tells, once the GPU has done the work, whether the matrix could be worked with."""

    array: GPUArray
    bad: GPUArray | None
    """0-d bool; None where there is nothing to know."""
    message: str

    def checked(self) -> Steps[GPUArray]:
        """Return the array, or raise LinAlgError. Waits for the GPU, except while a program is recorded."""
        recording = self.array._device.queue.recording
        if self.bad is not None and not recording and (yield from self.bad._numpy_steps()):
            raise LinAlgError(self.message)
        return self.array
