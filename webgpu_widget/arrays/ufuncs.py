"""What NumPy's ufuncs make of arrays on the GPU, by the protocol of NEP 13: nothing is copied to the host."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy import statistics
from webgpu_widget.arrays.lazy.build import apply, as_node, astype, coerce, common_dtype, where
from webgpu_widget.arrays.lazy.ops import OPS
from webgpu_widget.arrays.lazy.value import is_array, wrap
from webgpu_widget.errors import DTypeError, ShapeError, UnsupportedError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray

_NUMPY_NAMES = {
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "bitwise_invert": "invert",
    "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift",
    "pow": "power",
    "round": "rint",
}
_NOT_NUMPYS = ("where", "sort_key", "erf", "complex", "real", "imag", "angle")
NAMES = {name: _NUMPY_NAMES.get(name, name) for name in OPS if name not in _NOT_NUMPYS}
"""The operations that NumPy has as ufuncs, with NumPy's names."""

_BY_UFUNC: dict[np.ufunc, str] = {getattr(np, theirs): ours for ours, theirs in NAMES.items()}
_REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
_JOINED = {kind: op for op, kind in _REDUCTIONS.items()}
_NEUTRAL = {"sum": 0, "prod": 1, "all": True, "any": False}
_COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"})
NO_VALUE = np._NoValue

WAY_OUT = "Nothing is copied to the host silently: pass x.numpy(), and bring the result back by gpu.array(...)"


def _both(name: str, x1: Any, x2: Any) -> tuple[GPUArray, GPUArray]:
    """Return two operands as arrays of their common dtype."""
    runtime, values = coerce(name, (x1, x2))
    dtype = common_dtype(values)
    first, second = (wrap(runtime.device, as_node(v, dtype)) for v in values)
    return first, second


def _ignoring_nan(name: str) -> Callable[[Any, Any], GPUArray]:
    def extreme(x1: Any, x2: Any) -> GPUArray:
        a, b = _both(name, x1, x2)
        return where(apply("isnan", a), b, where(apply("isnan", b), a, apply(name, a, b)))

    return extreme


def _real(x: Any) -> GPUArray:
    a = coerce("a ufunc", (x,))[1][0]
    return astype(a, dt.float_of(a.dtype))


def _scaled(factor: float) -> Callable[[Any], GPUArray]:
    return lambda x: apply("multiply", _real(x), factor)


def _divmod(x1: Any, x2: Any) -> tuple[GPUArray, GPUArray]:
    return apply("floor_divide", x1, x2), apply("remainder", x1, x2)


def _product(name: str) -> Callable[[Any, Any], GPUArray]:
    def product(x1: Any, x2: Any) -> GPUArray:
        from webgpu_widget.arrays.matrix import matmul

        if name == "matmul":
            return matmul(x1, x2)
        a, b = coerce(name, (x1, x2))[1]
        if name == "matvec":
            return shapes.squeeze(matmul(a, shapes.expand_dims(b, -1)), -1)
        left = shapes.squeeze(
            matmul(shapes.expand_dims(a, -2), b if name == "vecmat" else shapes.expand_dims(b, -1)), -2
        )
        return left if name == "vecmat" else shapes.squeeze(left, -1)

    return product


_COMPOSED: dict[str, Callable[..., Any]] = {
    "fmax": _ignoring_nan("maximum"),
    "fmin": _ignoring_nan("minimum"),
    "fabs": lambda x: apply("abs", _real(x)),
    "exp2": lambda x: apply("pow", 2.0, _real(x)),
    "deg2rad": _scaled(math.pi / 180),
    "radians": _scaled(math.pi / 180),
    "rad2deg": _scaled(180 / math.pi),
    "degrees": _scaled(180 / math.pi),
    "divmod": _divmod,
    "matmul": _product("matmul"),
    "vecdot": _product("vecdot"),
    "matvec": _product("matvec"),
    "vecmat": _product("vecmat"),
}
_COMPOSED_BY_UFUNC = {getattr(np, name): make for name, make in _COMPOSED.items() if hasattr(np, name)}


def supported() -> frozenset[np.ufunc]:
    """Return the ufuncs that work on the GPU."""
    return frozenset(_BY_UFUNC) | frozenset(_COMPOSED_BY_UFUNC)


def store(out: Any, result: GPUArray, where_: Any, casting: str, name: str) -> GPUArray:
    """Write a result to ``out=`` and return that.

    Raises
    ------
    UnsupportedError
        When `out` is not a GPUArray.
    DTypeError
        When its dtype cannot take the result.
    ShapeError
        When its shape is not that of the result.
    """
    from webgpu_widget.arrays.lazy.origin import assign_through

    if not is_array(out):
        raise UnsupportedError(
            f"{name}: out is of type {type(out).__name__}, and the result is on the GPU. Pass a GPUArray as out, or copy the result: y[...] = result.numpy()."
        )
    if not np.can_cast(result.dtype, out.dtype, casting):  # type: ignore[arg-type] # any string; NumPy checks it
        raise DTypeError(
            f"{name}: the result is {result.dtype.name}, which {casting!r} casting does not make {out.dtype.name}, as out is. Pass an out of {result.dtype.name}."
        )
    if result.shape != out.shape:
        try:
            result = shapes.broadcast_to(result, out.shape)
        except ShapeError:
            raise ShapeError(f"{name}: out has shape {out.shape}; the result is {result.shape}.") from None
    result = astype(result, out.dtype)
    if where_ is not True:
        result = where(where_, result, out)
    assign_through(out, result, f"{name}: out")
    return out


def reduction(
    kind: str,
    x: GPUArray,
    axis: Any = None,
    *,
    dtype: Any = None,
    keepdims: bool = False,
    initial: Any = NO_VALUE,
    where_: Any = True,
) -> GPUArray:
    """Return a reduction (``sum prod max min any all``) as NumPy's functions have it, with its first value and its mask."""
    given = initial is not NO_VALUE and initial is not None
    if where_ is not True:
        if kind in _NEUTRAL:
            neutral: Any = _NEUTRAL[kind]
        elif given:
            neutral = initial
        else:
            raise ValueError(
                f"{kind} with where= needs initial=: a mask may leave no element, and there is no largest of none."
            )
        x = where(where_, x, neutral)
    if kind in ("sum", "prod"):
        result = statistics.total(x, kind, axis, dtype, keepdims=keepdims)
    elif kind in ("any", "all"):
        result = statistics.logical(x, kind, axis, keepdims=keepdims)
    else:
        x = x if dtype is None else astype(x, dtype)
        if given and not x.size:
            empty = statistics.total(x, "sum", axis, x.dtype if x.dtype.kind != "b" else None, keepdims=keepdims)
            if empty.size and 0 in x.shape:
                return apply("add", empty, initial)
        result = statistics.extreme(x, kind, axis, keepdims=keepdims)
    return apply(_JOINED[kind], result, initial) if given else result


def _converted(name: str, inputs: tuple[Any, ...], dtype: Any, casting: str) -> tuple[Any, ...]:
    """Return the operands in the dtype that ``dtype=`` asks for."""
    target = dt.check_dtype(dtype, accumulates=True)
    if name in OPS and OPS[name].result == "bool":
        if target != dt.BOOL:
            raise DTypeError(f"np.{NAMES[name]} gives bool, not {target.name}: convert its result by astype.")
        return inputs
    if name in OPS and OPS[name].floats and target.kind not in "fc":
        raise DTypeError(f"np.{NAMES[name]} is computed in floats and complex numbers, not in {target.name}.")
    made = []
    for value in coerce(name, inputs)[1]:
        if is_array(value):
            if not np.can_cast(value.dtype, target, casting):  # type: ignore[arg-type] # any string; NumPy checks it
                raise DTypeError(
                    f"{name}: an operand of {value.dtype.name} does not become {target.name} by {casting!r} casting."
                )
            made.append(astype(value, target))
        else:
            made.append(value)
    return tuple(made)


def _called(ufunc: np.ufunc, inputs: tuple[Any, ...], gpu: Any) -> Any:
    name = _BY_UFUNC.get(ufunc)
    if name is None:
        return _COMPOSED_BY_UFUNC[ufunc](*inputs)
    if name in _COMPARISONS:
        # NumPy's scalars come here as arrays of no axes from their own comparisons, and are scalars still.
        inputs = tuple(v[()] if type(v) is np.ndarray and not v.ndim else v for v in inputs)
    return apply(name, *inputs, gpu=gpu)


def _outer(ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    if ufunc.nin != 2 or ufunc.signature is not None:
        raise UnsupportedError(f"np.{ufunc.__name__}.outer: only ufuncs of two elements have one.")
    a, b = coerce("outer", tuple(np.asarray(v) if dt.is_scalar(v) else v for v in inputs))[1]
    return _called(ufunc, (shapes.reshape(a, (*a.shape, *(1,) * b.ndim)), b), None)


def _call(ufunc: np.ufunc, inputs: tuple[Any, ...], outs: tuple[Any, ...], method: str, options: dict[str, Any]) -> Any:
    """Run ``ufunc(...)`` or ``ufunc.outer(...)``."""
    name = f"np.{ufunc.__name__}"
    mask, casting, dtype = options.pop("where", True), options.pop("casting", "same_kind"), options.pop("dtype", None)
    options.pop("order", None)
    options.pop("subok", None)
    if options:
        raise UnsupportedError(f"{name}: {', '.join(options)}= is not there for arrays on the GPU. {WAY_OUT}.")
    given = [o for o in outs if o is not None]
    if mask is not True and len(given) != ufunc.nout:
        raise UnsupportedError(
            f"{name}: where= without out= leaves elements that have no value. Pass out=, or use wg.xp.where(mask, result, other)."
        )
    if dtype is not None:
        inputs = _converted(_BY_UFUNC.get(ufunc, ufunc.__name__), inputs, dtype, casting)
    gpu = next((o._device for o in given if is_array(o)), None)
    if gpu is not None and not any(is_array(v) for v in inputs):
        runtime, values = coerce(name, inputs, gpu)
        inputs = tuple(v if is_array(v) else wrap(runtime.device, as_node(v, dt.default_dtype(v))) for v in values)
    result = _outer(ufunc, inputs) if method == "outer" else _called(ufunc, inputs, None)
    results = result if isinstance(result, tuple) else (result,)
    stored = tuple(
        made if out is None else store(out, made, mask, casting, name)
        for made, out in zip(results, outs or (None,) * len(results), strict=True)
    )
    return stored if len(stored) > 1 else stored[0]


def _reduce(ufunc: np.ufunc, x: Any, *args: Any, method: str, out: Any = None, **options: Any) -> Any:
    """Run ``ufunc.reduce`` or ``ufunc.accumulate``, whose arguments may come by place."""
    name = f"np.{ufunc.__name__}.{method}"
    places = ("axis", "dtype", "out", "keepdims", "initial", "where")
    options.update(zip(places, args, strict=False))
    out = options.pop("out", out)
    out = out[0] if isinstance(out, tuple) else out
    kind = _REDUCTIONS.get(_BY_UFUNC.get(ufunc, ""))
    if kind is None or (method == "accumulate" and kind not in ("sum", "prod")) or not is_array(x):
        have = "add and multiply" if method == "accumulate" else ", ".join(_REDUCTIONS)
        raise UnsupportedError(f"{name} is not there for arrays on the GPU; that of {have} is. {WAY_OUT}.")
    axis, dtype = options.pop("axis", 0), options.pop("dtype", None)
    if method == "accumulate":
        result = statistics.cumulative(x, kind, axis, dtype)
    else:
        mask = options.pop("where", True)
        initial = options.pop("initial", NO_VALUE)
        keepdims = bool(options.pop("keepdims", False))
        result = reduction(kind, x, axis, dtype=dtype, keepdims=keepdims, initial=initial, where_=mask)
    if options:
        raise UnsupportedError(f"{name}: {', '.join(options)}= is not there for arrays on the GPU. {WAY_OUT}.")
    return result if out is None else store(out, result, True, "unsafe" if dtype is not None else "same_kind", name)


def _ours(value: Any) -> bool:
    """Whether an operand leaves it to arrays on the GPU what a ufunc does."""
    if isinstance(value, np.ma.MaskedArray):
        return False
    if is_array(value) or isinstance(value, np.generic):
        return True
    return getattr(type(value), "__array_ufunc__", None) in (None, np.ndarray.__array_ufunc__)


def array_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return what a ufunc gives; see `numpy.ndarray.__array_ufunc__`.

    Raises
    ------
    UnsupportedError
        For a ufunc, a method or a keyword that is not there; the message names the way out.
    """
    if not all(_ours(v) for v in inputs):
        return NotImplemented
    if ufunc not in _BY_UFUNC and ufunc not in _COMPOSED_BY_UFUNC:
        raise UnsupportedError(f"np.{ufunc.__name__} is not there for arrays on the GPU. {WAY_OUT}.")
    if method in ("__call__", "outer"):
        return _call(ufunc, inputs, options.pop("out", ()), method, options)
    if method in ("reduce", "accumulate"):
        return _reduce(ufunc, *inputs, method=method, **options)
    raise UnsupportedError(f"np.{ufunc.__name__}.{method} is not there for arrays on the GPU. {WAY_OUT}.")
