"""Expressions from arrays and scalars: promotion, broadcasting, checks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.node import Node, broadcast_shapes, node_of
from webgpu_widget.arrays.lazy.ops import OPS
from webgpu_widget.arrays.lazy.runtime import Runtime, runtime_of
from webgpu_widget.arrays.lazy.value import is_array, wrap
from webgpu_widget.device.default import as_device
from webgpu_widget.errors import BindingError, ClosedError, DTypeError, RangeError, WebGPUWidgetError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.dtypes import DType
    from webgpu_widget.arrays.lazy.node import Shape
    from webgpu_widget.device.device import Device
    from webgpu_widget.gpu import GPU

_COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"})
_KIND_NAMES = {"f": "floating-point", "i": "int32", "u": "uint32", "b": "bool", "c": "complex64"}


def lazy(device: Device, node: Node) -> GPUArray:
    """Return an array for a new operation, after keeping its expression within the limits."""
    return wrap(device, runtime_of(device).admit(node))


def const(value: Any, dtype: DType, shape: Shape = ()) -> Node:
    """Return a node that is one scalar everywhere."""
    number = dt.fit_scalar(value, dtype)
    if isinstance(number, complex):
        return Node("complex", (const(number.real, dt.FLOAT32), const(number.imag, dt.FLOAT32)), shape, dtype)
    return Node("const", (), shape, dtype, dt.scalar_bits(number, dtype))


def iota(size: int) -> Node:
    """Return the node 0, 1, ... size - 1, uint32."""
    return Node("iota", (), (size,), dt.UINT32)


def cast_node(node: Node, dtype: DType) -> Node:
    """Return the node converted to a dtype; itself where it has it."""
    if node.dtype == dtype:
        return node
    if node.op == "const" and node.storage is None and {node.dtype.kind, dtype.kind} <= {"f"}:
        value = float(np.uint32(node.attr).view(np.float32))
        return Node("const", (), node.shape, dtype, dt.scalar_bits(value, dtype))
    return Node("cast", (node,), node.shape, dtype)


def op_node(name: str, *inputs: Node) -> Node:
    """Return an operation on nodes of one dtype (``where``: the condition apart)."""
    dtype = inputs[-1].dtype
    op = OPS[name]
    if dtype.kind not in op.code:
        raise _undefined(name, dtype)
    shape = broadcast_shapes(name, *[n.shape for n in inputs])
    return Node(name, inputs, shape, op.dtype(dtype))


def _undefined(name: str, dtype: DType) -> DTypeError:
    code = OPS[name].code
    convert = f"Convert first, as in x.astype(np.{'int32' if 'i' in code else 'float32'})."
    hint = _HINTS.get((name, dtype.kind), convert if dtype.kind != "c" else "Take the parts: x.real, x.imag.")
    allowed = ", ".join(_KIND_NAMES[k] for k in code)
    return DTypeError(f"{name} is not defined for {dtype.name}; it takes {allowed}. {hint}")


def sort_key(name: str, node: Node) -> Node:
    """Return uint32 keys in the order of the values.

    Raises
    ------
    DTypeError
        For complex numbers, which have none.
    """
    if node.dtype == dt.COMPLEX64:
        raise DTypeError(f"{name} is not defined for complex64. {_UNORDERED}")
    return op_node("sort_key", node)


def same_gpu(name: str, arrays: list[GPUArray]) -> Runtime:
    """Return the runtime that all arrays live on.

    Raises
    ------
    BindingError
        When they live on different GPUs.
    ClosedError
        When that GPU is closed, or an array freed.
    """
    device = arrays[0]._device
    for a in arrays:
        if a._device is not device:
            raise BindingError(
                f"{name}: the arrays live on different GPUs ({device!r} and {a._device!r}). "
                "Bring one over first: gpu.array(x.numpy())."
            )
        if a._freed:
            raise ClosedError(f"{name}: an array of shape {a.shape} was freed. Keep a copy() of what is needed later.")
    runtime = runtime_of(device)
    runtime.check_open()
    if runtime.queue._recording is not None and runtime.recording:
        runtime.sharing.claim(arrays)
    return runtime


def coerce(name: str, operands: tuple[Any, ...], gpu: GPU | Device | None = None) -> tuple[Runtime, list[Any]]:
    """Return the runtime, and the operands with NumPy arrays uploaded; scalars stay.

    Raises
    ------
    TypeError
        For an operand that is neither.
    """
    arrays = [o for o in operands if is_array(o)]
    runtime = same_gpu(name, arrays) if arrays else runtime_of(as_device(gpu))
    if len(arrays) == len(operands):
        return runtime, arrays
    result: list[Any] = []
    for operand in operands:
        if is_array(operand) or dt.is_scalar(operand):
            result.append(operand)
        elif isinstance(operand, (np.ndarray, list, tuple)) or hasattr(operand, "__array__"):
            result.append(from_host(runtime.device, operand))
        else:
            raise TypeError(f"{name} takes GPUArrays, NumPy arrays and Python numbers, not {type(operand).__name__}.")
    return runtime, result


def common_dtype(operands: list[Any]) -> DType:
    """Return the dtype that arrays and scalars combine to."""
    found: list[DType] = []
    scalars: list[Any] = []
    for operand in operands:
        if is_array(operand):
            found.append(operand.dtype)
        else:
            scalars.append(operand)
    if not found:
        kinds = [dt.default_dtype(o) for o in scalars]
        return next(d for d in (dt.COMPLEX64, dt.FLOAT32, dt.INT32, dt.BOOL) if d in kinds)
    dtype = found[0] if len(found) == 1 or (found[0] is found[1] and len(found) == 2) else dt.promote(*found)
    for scalar in scalars:
        dtype = dt.promote_scalar(scalar, dtype)
    return dtype


def as_node(operand: Any, dtype: DType) -> Node:
    """Return an operand as a node of `dtype`."""
    if is_array(operand):
        return cast_node(node_of(operand), dtype)
    return const(operand, dtype)


def apply(name: str, *operands: Any, gpu: GPU | Device | None = None) -> GPUArray:
    """Return an elementwise operation of arrays and scalars.

    Raises
    ------
    DTypeError
        When the dtypes do not combine, or the operation has no meaning for them.
    ShapeError
        When the shapes do not broadcast.
    """
    runtime, values = coerce(name, operands, gpu)
    op = OPS[name]
    if name in _LOGICAL:
        values = [astype(v, dt.BOOL) if is_array(v) else bool(v) for v in values]
    if name in _COMPARISONS:
        exact = _compare_exactly(name, values)
        if exact is not None:
            name, values = exact
    if op.floats:
        arrays = [v.dtype for v in values if is_array(v)]
        dtype = dt.promote(*(dt.float_of(d) for d in arrays)) if arrays else dt.FLOAT32
        if len(arrays) < len(values):
            if any(not is_array(v) and dt.scalar_kind(v) == "c" for v in values):
                dtype = dt.COMPLEX64
            values = [dt.as_float(v) if arrays and not is_array(v) and dt.scalar_kind(v) in "if" else v for v in values]
    else:
        dtype = common_dtype(values)
    if name == "pow" and dtype.kind == "i":
        _check_exponent(operands[1], runtime)
    node = op_node(name, *[as_node(v, dtype) for v in values])
    if name in _SIGNS and dtype.kind in "fc":
        _keep_rounding(runtime, node)
    return wrap(runtime.device, runtime.admit(node))


_LOGICAL = frozenset({"logical_and", "logical_or", "logical_xor", "logical_not"})
"""What takes numbers as well: each is true but 0, as NumPy has it."""
_SIGNS = {"add": (1, 1), "subtract": (1, -1)}


def _keep_rounding(runtime: Runtime, node: Node) -> None:
    """Compute a sum before what went into it is taken from it again.

    Compilers of some GPUs make y of (x + y) - x in one kernel: the rounding error that compensated sums ask for is lost, and so is a NaN.
    """
    (left, right), (of_left, of_right) = node.inputs, _SIGNS[node.op]
    for inner, sign, other, of_other in ((left, of_left, right, of_right), (right, of_right, left, of_left)):
        if inner.storage is None and inner.op in _SIGNS:
            parts = zip(inner.inputs, _SIGNS[inner.op], strict=True)
            if any(sign * of_part == -of_other and _is_same(part, other) for part, of_part in parts):
                runtime.materialise(inner)


def _is_same(a: Node, b: Node) -> bool:
    """Whether two nodes are the same value by what they are made of, a few steps down."""
    if a is b or (a.storage is not None and a.storage is b.storage):
        return True
    if a.op != b.op or a.attr != b.attr or a.shape != b.shape or not a.inputs:
        return False
    return a.op in ("view", "cast", "negative") and all(map(_is_same, a.inputs, b.inputs))


def _check_exponent(exponent: Any, runtime: Runtime) -> None:
    """Raise ValueError where an integer would be raised to a negative power; an array's values are read for that."""
    if is_array(exponent):
        if exponent.dtype.kind != "i" or not exponent.size:
            return
        if runtime.recording:
            raise WebGPUWidgetError(
                "pow: an int32 array as the exponent of integers must not be negative, and cannot be read while gpu.record() records. "
                "Make it uint32, as the base, or convert the base: x.astype(np.float32)."
            )
        least = exponent.min().item()
    else:
        least = np.min(exponent, initial=0)
    if least < 0:
        raise ValueError(
            f"pow: an integer to the negative power {least} is a fraction, and integers have none. "
            "Convert the base first: x.astype(np.float32)."
        )


_UNORDERED = "Complex numbers have no order: take their real parts (x.real), or their sizes (abs(x))."
_HINTS = {
    ("subtract", "b"): "Use ^ or logical_xor for bools.",
    ("negative", "b"): "Use ~ or logical_not for bools.",
    **{(name, "c"): _UNORDERED for name in ("less", "less_equal", "greater", "greater_equal", "maximum", "minimum")},
}


_FLIPPED = {"less": "greater", "greater": "less", "less_equal": "greater_equal", "greater_equal": "less_equal"}


def _compare_beyond(name: str, array: GPUArray, scalar: Any, *, flipped: bool) -> tuple[str, list[Any]] | None:
    """Rewrite the comparison of a float array with a finite scalar beyond its dtype: only infinities lie farther out."""
    try:
        dt.fit_scalar(scalar, array.dtype)
    except RangeError:
        relation = _FLIPPED.get(name, name) if flipped else name
        if relation in ("equal", "not_equal"):
            return relation, [array, math.nan]
        if scalar > 0:
            return ("less" if relation.startswith("less") else "greater_equal"), [array, math.inf]
        return ("less_equal" if relation.startswith("less") else "greater"), [array, -math.inf]
    return None


def _compare_exactly(name: str, values: list[Any]) -> tuple[str, list[Any]] | None:
    """Rewrite the comparison of an array with a scalar that its dtype cannot hold; None where it needs none."""
    a, b = values
    if is_array(a) == is_array(b):
        return None
    array, scalar = (a, b) if is_array(a) else (b, a)
    kind = dt.scalar_kind(scalar)
    if "c" in (array.dtype.kind, kind):
        return None
    if array.dtype.kind == "f":
        return _compare_beyond(name, array, scalar, flipped=array is b)
    if array.dtype.kind not in "iu" or kind == "b":
        return None
    info = np.iinfo(array.dtype)
    if kind == "i" and info.min <= scalar <= info.max:
        return None
    relation = name if array is a else _FLIPPED.get(name, name)
    never = ("not_equal", [array, array])
    always = ("equal", [array, array])
    number = float(scalar) if kind == "f" else scalar
    if math.isnan(number):
        return always if relation == "not_equal" else never
    if number > int(info.max):
        return always if relation in ("less", "less_equal", "not_equal") else never
    if number < int(info.min):
        return always if relation in ("greater", "greater_equal", "not_equal") else never
    low = math.floor(number)
    if low == number:
        return relation, [array, low]
    if relation == "equal":
        return never
    if relation == "not_equal":
        return always
    return ("less_equal" if relation.startswith("less") else "greater"), [array, low]


def where(condition: Any, x: Any, y: Any) -> GPUArray:
    """Return `x` where the condition holds, else `y`."""
    runtime, (c, a, b) = coerce("where", (condition, x, y))
    cond = as_node(c, c.dtype) if is_array(c) else const(bool(c), dt.BOOL)
    dtype = common_dtype([a, b])
    node = op_node("where", cast_node(cond, dt.BOOL), as_node(a, dtype), as_node(b, dtype))
    return wrap(runtime.device, runtime.admit(node))


def astype(x: GPUArray, dtype: Any) -> GPUArray:
    """Return the array converted: floats to integers toward zero (saturating), to bool by ``!= 0``.

    Raises
    ------
    DTypeError
        When complex numbers would become real ones.
    """
    target = dt.check_dtype(dtype)
    runtime = same_gpu("astype", [x])
    if x.dtype.kind == "c" and target.kind not in "cb":
        raise DTypeError(
            f"complex64 does not become {target.name}, which has no imaginary part: take x.real, or abs(x)."
        )
    if x.dtype == target:
        return wrap(x._device, node_of(x))
    return wrap(x._device, runtime.admit(Node("cast", (node_of(x),), x.shape, target)))
