"""The dtypes that arrays have, how they promote, and how they lie in a buffer."""

from __future__ import annotations

import math
import operator
import struct
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import numpy as np

from webgpu_widget.errors import DTypeError as DTypeError  # noqa: PLC0414 - for those who check dtypes
from webgpu_widget.errors import RangeError

DType = np.dtype[Any]

FLOAT32: DType = np.dtype(np.float32)
FLOAT16: DType = np.dtype(np.float16)
INT32: DType = np.dtype(np.int32)
UINT32: DType = np.dtype(np.uint32)
BOOL: DType = np.dtype(np.bool_)
COMPLEX64: DType = np.dtype(np.complex64)

SUPPORTED: tuple[DType, ...] = (BOOL, INT32, UINT32, FLOAT16, FLOAT32, COMPLEX64)
WGSL_TYPE: dict[DType, str] = {
    FLOAT32: "f32",
    FLOAT16: "f32",
    INT32: "i32",
    UINT32: "u32",
    BOOL: "bool",
    COMPLEX64: "vec2<f32>",
}
"""The type of a value inside a kernel; float16 is computed as float32, and rounded after each operation."""

_FLOAT, _BITS = struct.Struct("<f"), struct.Struct("<I")
_SURELY_FINITE = 3e38
"""Less than the largest float32."""
_FINITE_IN_ALL = 65519.0
"""What is less is finite in each dtype."""
_ROUNDS_TO_INFINITY = {FLOAT32: (2 - 2.0**-24) * 2.0**127, FLOAT16: (2 - 2.0**-11) * 2.0**15}
"""The least number that is rounded to infinity: half a step above the largest."""

_INSTEAD = {
    "float64": "float32 (x.astype(np.float32), which keeps 24 bits of 53)",
    "complex128": "complex64 (x.astype(np.complex64), whose parts keep 24 bits of 53)",
    "int64": "int32, or uint32 (x.astype(np.int32) where the values fit)",
    "uint64": "uint32 (x.astype(np.uint32) where the values fit)",
    "int8": "int32",
    "int16": "int32",
    "uint8": "uint32, or float32",
    "uint16": "uint32",
}


NARROWER: dict[DType, DType] = {np.dtype(np.int64): INT32, np.dtype(np.uint64): UINT32, np.dtype(np.float64): FLOAT32}
"""What stands for a dtype of 64 bits, where `webgpu_widget.xp.narrowing` allows it."""
narrowed: ContextVar[frozenset[DType]] = ContextVar("narrowed", default=frozenset())
"""The dtypes for which narrower ones stand in this context."""


def check_dtype(dtype: Any, *, accumulates: bool = False) -> DType:
    """Return the NumPy dtype, if arrays can have it, or what stands for it.

    Parameters
    ----------
    dtype
        What is asked for.
    accumulates
        Whether numbers are added up or multiplied in it: then nothing stands for integers of 64 bits, whose results need not fit.

    Raises
    ------
    DTypeError
        For a dtype that WebGPU does not have; the message says what to pass instead.
    """
    if dtype is float:
        return FLOAT32
    if dtype is int:
        return INT32
    if dtype is bool:
        return BOOL
    if dtype is complex:
        return COMPLEX64
    try:
        dt: DType = np.dtype(dtype)
    except TypeError:
        raise DTypeError(f"{dtype!r} is no dtype. Arrays on the GPU have one of {_names()}.") from None
    if not dt.isnative:
        dt = dt.newbyteorder("=")
    if dt in SUPPORTED:
        return dt
    if dt in narrowed.get() and (dt.kind == "f" or not accumulates):
        return NARROWER[dt]
    instead = _INSTEAD.get(dt.name, f"one of {_names()}")
    raise DTypeError(
        f"WGSL has no {dt.name}: arrays on the GPU have one of {_names()}, and nothing is rounded silently. "
        f"Pass {instead} instead{_way_for_libraries(dt)}."
    )


def _way_for_libraries(dtype: DType) -> str:
    if dtype not in NARROWER or dtype in narrowed.get():
        return ""
    return f"; where a library asks for it, call that in `with wg.xp.narrowing({dtype.name!r}):`"


def _names() -> str:
    return ", ".join(d.name for d in SUPPORTED)


def itemsize(dtype: DType) -> int:
    """Return the bytes of an element in a buffer: NumPy's, save for bool, which is a u32."""
    return 4 if dtype == BOOL else dtype.itemsize


def nbytes_stored(size: int, dtype: DType) -> int:
    """Return how many bytes of a buffer `size` elements take, a multiple of 4."""
    return -(-size * itemsize(dtype) // 4) * 4


def nbytes_allocated(size: int, dtype: DType) -> int:
    """Return the size of a buffer made for `size` elements; WebGPU has no empty binding."""
    return max(4, nbytes_stored(size, dtype))


@lru_cache(maxsize=256)
def promote(*dtypes: DType) -> DType:
    """Return the dtype that arrays of these dtypes combine to, by NumPy's table.

    Raises
    ------
    DTypeError
        Where NumPy's answer is float64 or int64, which WGSL does not have.
    """
    result: DType = np.result_type(*dtypes)
    if result in SUPPORTED:
        return result
    names = " and ".join(d.name for d in dict.fromkeys(dtypes))
    raise DTypeError(
        f"{names} combine to {result.name} in NumPy, which WGSL does not have, and nothing is rounded silently. "
        f"Convert one of them first, as in x.astype(np.{'int32' if result.kind == 'i' else 'float32'})."
    )


def kind_of(dtype: DType) -> str:
    """Return ``f``, ``h`` (float16), ``c``, ``i``, ``u`` or ``b``: what an operation's WGSL depends on."""
    return "h" if dtype == FLOAT16 else dtype.kind


def float_of(dtype: DType) -> DType:
    """Return the dtype in which functions work: the same for floats and complex numbers, float32 for the others."""
    return dtype if dtype.kind in "fc" else FLOAT32


def real_of(dtype: DType) -> DType:
    """Return the dtype of the real part."""
    return FLOAT32 if dtype == COMPLEX64 else dtype


def is_scalar(value: Any) -> bool:
    """Whether the value is a Python number or a NumPy scalar: these are weak, they take an array's dtype."""
    return isinstance(value, (bool, int, float, complex, np.generic))


def scalar_kind(value: Any) -> str:
    """Return ``b``, ``i``, ``f`` or ``c`` for a scalar."""
    if isinstance(value, (bool, np.bool_)):
        return "b"
    if isinstance(value, (int, np.integer)):
        return "i"
    if isinstance(value, (float, np.floating)):
        return "f"
    if isinstance(value, (complex, np.complexfloating)):
        return "c"
    raise DTypeError(
        f"{value!r} is a {type(value).__name__}: arrays on the GPU combine with bool, int, float and complex numbers."
    )


def default_dtype(value: Any) -> DType:
    """Return the dtype of an array made of a Python scalar: bool, int32, float32 or complex64."""
    return {"b": BOOL, "i": INT32, "f": FLOAT32, "c": COMPLEX64}[scalar_kind(value)]


def promote_scalar(value: Any, dtype: DType) -> DType:
    """Return the dtype of an array of `dtype` combined with a scalar: the array's, unless the scalar is of a higher kind.

    Raises
    ------
    DTypeError
        For a float or complex number with an integer array, whose result is float64 or complex128 in NumPy.
    """
    kind = scalar_kind(value)
    if kind == "b" or dtype.kind == "c" or (dtype.kind == "f" and kind != "c"):
        return dtype
    if kind == "i":
        return INT32 if dtype == BOOL else dtype
    if dtype == BOOL or dtype.kind == "f":
        return COMPLEX64 if kind == "c" else FLOAT32
    name, wide = ("float", "float64") if kind == "f" else ("complex number", "complex128")
    raise DTypeError(
        f"{dtype.name} combined with the Python {name} {value!r} is {wide} in NumPy, which WGSL does not have. "
        "Convert the array first: x.astype(np.float32)."
    )


def fit_scalar(value: Any, dtype: DType) -> bool | int | float | complex:
    """Return the scalar as a value of `dtype`.

    Raises
    ------
    RangeError
        When an integer does not fit, as in NumPy, or a finite number would become infinite.
    DTypeError
        When a number with a fraction would become an integer, or a complex number a real one.
    """
    if dtype == BOOL:
        return bool(value)
    if isinstance(value, (complex, np.complexfloating)):
        if dtype.kind != "c":
            raise DTypeError(f"The complex number {value!r} does not become {dtype.name}: pass its real part.")
        return complex(*(fit_scalar(float(part), FLOAT32) for part in (value.real, value.imag)))
    if dtype.kind == "c":
        return complex(fit_scalar(value, FLOAT32))
    if dtype.kind == "f":
        number = value if type(value) is float else as_float(value)
        if abs(number) >= _FINITE_IN_ALL and number - number == 0 and abs(number) >= _ROUNDS_TO_INFINITY[dtype]:
            raise _infinite(value, dtype)
        return number
    whole = whole_number(value, dtype)
    info = np.iinfo(dtype)
    if not int(info.min) <= whole <= int(info.max):
        raise RangeError(f"The integer {whole} is out of bounds for {dtype.name} ({info.min} to {info.max}).")
    return whole


def as_float(value: Any) -> float:
    """Return a scalar as a double.

    Raises
    ------
    RangeError
        When a finite number would become infinite.
    """
    try:
        number = float(value)
    except OverflowError:
        raise _infinite(value, FLOAT32) from None
    if number - number != 0 and isinstance(value, np.longdouble) and np.isfinite(value):
        raise _infinite(value, FLOAT32)
    return number


def _infinite(value: Any, dtype: DType) -> RangeError:
    most = float(np.finfo(dtype).max)
    return RangeError(
        f"The number {value!r:.80} would become infinite in {dtype.name}, whose finite values reach from {-most:.9g} to {most:.9g}: "
        "pass np.inf where infinity is meant."
    )


def whole_number(value: Any, dtype: DType) -> int:
    """Return a scalar as an integer, of any size.

    Raises
    ------
    RangeError
        For what is not finite.
    DTypeError
        For a number with a fraction.
    """
    if not isinstance(value, (float, np.floating)):
        return int(value) if isinstance(value, np.bool_) else operator.index(value)
    if not math.isfinite(value):
        raise RangeError(f"The float {value!r} has no place in {dtype.name}: integers are finite.")
    if value != math.floor(value):
        raise DTypeError(
            f"The float {value!r} has a fraction, and {dtype.name} has none; nothing is rounded silently. Pass an integer, or round it first."
        )
    return int(value)


def converted(array: np.ndarray[Any, Any], dtype: DType, *, numbers: bool) -> np.ndarray[Any, Any]:
    """Return host data in another dtype: the same array where it has it.

    Parameters
    ----------
    array
        The data.
    dtype
        Of the result.
    numbers
        Whether these are plain numbers, which follow the rule of scalars. Arrays do as `numpy.ndarray.astype` does, with its
        warning where a finite float becomes infinite; but integers that do not fit are refused as well.

    Raises
    ------
    RangeError
        When a value does not fit.
    DTypeError
        When a plain number with a fraction would become an integer, or a complex number a real one.
    """
    if array.dtype == dtype:
        return array
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise DTypeError(
            f"{array.dtype.name} does not become {dtype.name}, which has no imaginary part: pass x.real, or the parts as two arrays."
        )
    if dtype.kind in "iu" and array.size and array.dtype.kind in "iuf":
        if array.dtype.kind == "f":
            strange = array[~np.isfinite(array) | (numbers & (array != np.floor(array)))]
            for value in strange[:1]:
                whole_number(value.item(), dtype)
            array = np.trunc(array)
        for value in (array.min(), array.max()):
            fit_scalar(value.item(), dtype)
    if not numbers:
        return array.astype(dtype)
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    if dtype.kind in "fc":
        wide = np.result_type(dtype, np.float64)
        for value in array[np.isinf(result) & np.isfinite(array.astype(wide))][:1]:
            raise _infinite(value.item(), real_of(dtype))
    return result


def scalar_bits(value: bool | float, dtype: DType) -> int:
    """Return the 32 bits that a uniform carries for a scalar of `dtype` (float16: rounded to float16, as a float32)."""
    if dtype == BOOL:
        return int(bool(value))
    if dtype.kind == "f":
        if type(value) is float and dtype == FLOAT32 and not abs(value) > _SURELY_FINITE:
            bits: int = _BITS.unpack(_FLOAT.pack(value))[0]
            return bits
        with np.errstate(over="ignore"):
            rounded = np.float32(np.float16(value)) if dtype == FLOAT16 else np.float32(value)
        return int(rounded.view(np.uint32))
    return int(value) & 0xFFFFFFFF


def to_storage(array: np.ndarray[Any, DType]) -> np.ndarray[Any, DType]:
    """Return the bytes of a host array as they lie in a buffer (a copy only where they must change)."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if array.dtype == BOOL:
        return flat.astype(np.uint32)
    if array.dtype == FLOAT16 and flat.size % 2:
        return np.concatenate([flat, np.zeros(1, np.float16)])
    return flat


def from_storage(data: Any, shape: tuple[int, ...], dtype: DType) -> np.ndarray[Any, DType]:
    """Return the host array for bytes read from a buffer; writable."""
    size = 1
    for side in shape:
        size *= side
    if dtype == BOOL:
        return np.asarray(np.frombuffer(data, np.uint32, size).reshape(shape) != 0)
    array: np.ndarray[Any, DType] = np.frombuffer(data, dtype, size).reshape(shape)
    return array if array.flags.writeable else array.copy()
