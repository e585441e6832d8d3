"""NumPy values as WGSL's scalars: what may stand for which, and nothing rounded to another kind or range without a word."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from webgpu_widget import errors
from webgpu_widget.link.protocol import TypeInfo

Array = np.ndarray[Any, Any]

SCALARS: dict[str, np.dtype[Any]] = {
    "f32": np.dtype("<f4"),
    "f16": np.dtype("<f2"),
    "i32": np.dtype("<i4"),
    "u32": np.dtype("<u4"),
    "bool": np.dtype("<u4"),
}
_INSTEAD = {
    "float64": "x.astype(np.float32)",
    "int64": "x.astype(np.int32)",
    "uint64": "x.astype(np.uint32)",
    "int8": "x.astype(np.int32)",
    "int16": "x.astype(np.int32)",
    "uint8": "x.astype(np.uint32), or four to a word with x.view(np.uint32)",
    "uint16": "x.astype(np.uint32), or two to a word with x.view(np.uint32)",
}


def describe(info: TypeInfo) -> str:
    """Return a type as WGSL writes it."""
    if info["type"] == "scalar":
        return f"atomic<{info['name']}>" if info["atomic"] else info["name"]
    if info["type"] == "vector":
        return f"vec{info['count']}<{info['elem']}>"
    if info["type"] == "matrix":
        return f"mat{info['columns']}x{info['rows']}<{info['elem']}>"
    if info["type"] == "array":
        return f"array<{describe(info['elem'])}{', ' + str(info['count']) if info['count'] else ''}>"
    return info["name"]


def leaf(info: TypeInfo) -> TypeInfo:
    """Return what an array holds in the end; a type that is no array is its own leaf."""
    while info["type"] == "array":
        info = info["elem"]
    return info


def scalar_name(info: TypeInfo) -> str | None:
    """Return the scalar that a type is made of, or None for a struct."""
    inner = leaf(info)
    if inner["type"] == "scalar":
        return inner["name"]
    return inner["elem"] if inner["type"] in {"vector", "matrix"} else None


def holds_pairs(info: TypeInfo) -> bool:
    """Say whether a type is made of vec2f, which is what complex64 is in memory."""
    inner = leaf(info)
    return inner["type"] == "vector" and inner["count"] == 2 and inner["elem"] == "f32"


def dtype_error(where: str, got: np.dtype[Any], info: TypeInfo) -> errors.DTypeError:
    """Make the error for a dtype that would have to be rounded or reinterpreted."""
    name = scalar_name(info)
    said = (
        f"{where} has dtype {got.name}{'' if got.isnative else ' in the other byte order'}, but the shader declares "
        f"{describe(info)}; nothing is converted silently: "
    )
    if got.kind == "c":
        single = "x.astype(np.complex64)" if got.itemsize != 8 else "x"
        if holds_pairs(info):
            return errors.DTypeError(f"{said}pass {single}, whose elements (re, im) are the shader's vec2f")
        return errors.DTypeError(
            f"{said}pass {single} to a variable declared array<vec2f>, whose elements are (re, im), or a part alone, such as "
            f"x.real{'' if name is None else f'.astype(np.{_dtype_name(name)})'}"
        )
    wanted = _dtype_name(name) if name is not None else "the shader's type"
    hint = f"x.astype(np.{wanted})" if got.kind in "iufb" and name is not None else _INSTEAD.get(got.name)
    words = {
        "uint8": ", or four to a word with x.view(np.uint32)",
        "uint16": ", or two to a word with x.view(np.uint32)",
    }
    more = words.get(got.name, "") if wanted == "uint32" else ""
    return errors.DTypeError(said + (f"pass {hint}{more}" if hint else f"pass an array of {wanted}"))


def _dtype_name(scalar: str) -> str:
    return SCALARS[scalar].newbyteorder("=").name


def whole(value: Any) -> int | None:
    """Return a count as an int: an integer, or a float without a fraction; None for all else."""
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (float, np.floating)):
        return int(value) if value.is_integer() else None
    try:
        return operator.index(value)
    except TypeError:
        return None


def wholes(value: Any) -> tuple[int, ...] | None:
    """Return one count or several as ints; None when one of them is none."""
    many = isinstance(value, Iterable) and not isinstance(value, (str, bytes)) and np.ndim(cast("Any", value))
    counts = [whole(item) for item in (value if many else (value,))]
    return None if None in counts else tuple(cast("list[int]", counts))


def refuse_masked(value: Any, where: str) -> None:
    """Raise for an array with masked elements: what lies under a mask is not meant."""
    # A structured mask has a bool for each number of each field.
    if isinstance(value, np.ma.MaskedArray) and np.ascontiguousarray(np.ma.getmaskarray(value)).view(np.bool_).any():
        raise errors.DTypeError(
            f"{where}: values of shape {value.shape} are masked, and arrays on the GPU have no masks: pass x.filled(...)."
        )


def convert(value: Any, info: TypeInfo, where: str) -> Array:
    """Turn a value into an array of a leaf type's scalar.

    Python's numbers and lists are converted, where the scalar has them: an integer in its range, a float that does not overflow. Arrays must have the
    dtype already (bool goes into u32, complex64 into vec2f).

    Parameters
    ----------
    value
        Number, nested list of numbers, or array.
    info : TypeInfo
        Not a struct.
    where : str
        For messages.

    Returns
    -------
    numpy.ndarray
        Of the scalar's dtype, with the value's shape (and one more axis of 2 for complex64).

    Raises
    ------
    DTypeError
        For a dtype, a kind of number or a value that the scalar does not hold.
    """
    refuse_masked(value, where)
    name = scalar_name(info)
    if name is None:
        raise errors.BindingError(f"{where} is {describe(info)}: pass a dict by field name, or a structured array")
    scalar = SCALARS[name]
    if isinstance(value, (np.ndarray, np.complex64)) and (value.ndim > 0 or value.dtype == np.complex64):
        if value.dtype == scalar.newbyteorder("="):
            return np.asarray(value)
        if value.dtype == np.bool_ and name in {"u32", "i32", "bool"}:
            return value.astype(scalar)
        if value.dtype == np.complex64 and holds_pairs(info):
            return np.ascontiguousarray(value).view(np.float32).reshape(*value.shape, 2)
        raise dtype_error(where, value.dtype, info)
    return _numbers(value, info, scalar, where)


def _numbers(value: Any, info: TypeInfo, scalar: np.dtype[Any], where: str) -> Array:
    """Convert numbers that have no dtype of their own."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise errors.ShapeError(f"{where}: {error}") from error
    if array.dtype == np.object_ and array.size and all(isinstance(item, int) for item in array.flat):
        raise _refused(value, info, where, "too large for that")
    if array.dtype.kind not in "biufc":
        raise _refused(value, info, where, "pass a number, or an array of numbers")
    if array.dtype.kind == "c":
        raise _refused(value, info, where, "pass np.complex64 to a vec2f, or the parts as floats")
    if scalar.kind in "iu":
        if array.dtype.kind not in "biu":
            raise _refused(value, info, where, "pass an int")
        limits = np.iinfo(scalar)
        if array.size and (int(array.min()) < limits.min or int(array.max()) > limits.max):
            raise _refused(value, info, where, f"its range is {limits.min} to {limits.max}")
        return array.astype(scalar)
    with np.errstate(over="ignore"):
        result = array.astype(scalar)
    finite = math.isfinite(result) if result.ndim == 0 else np.isfinite(result).all()
    if not finite and not np.array_equal(np.isinf(result), np.isinf(array)):
        most = float(np.finfo(scalar).max)
        raise _refused(
            value,
            info,
            where,
            f"finite values reach from {-most:.9g} to {most:.9g}; pass np.inf where infinity is meant",
        )
    return result


def _refused(value: Any, info: TypeInfo, where: str, why: str) -> errors.DTypeError:
    return errors.DTypeError(f"{where} is {value!r:.80}, but the shader declares {describe(info)}: {why}")
