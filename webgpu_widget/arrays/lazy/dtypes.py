"""The dtypes that arrays have, how they promote, and how they lie in a buffer."""

from __future__ import annotations

import operator
import struct
from functools import lru_cache
from typing import Any

import numpy as np

from webgpu_widget.errors import DTypeError as DTypeError  # noqa: PLC0414 - for those who check dtypes

DType = np.dtype[Any]

FLOAT32: DType = np.dtype(np.float32)
FLOAT16: DType = np.dtype(np.float16)
INT32: DType = np.dtype(np.int32)
UINT32: DType = np.dtype(np.uint32)
BOOL: DType = np.dtype(np.bool_)

SUPPORTED: tuple[DType, ...] = (BOOL, INT32, UINT32, FLOAT16, FLOAT32)
WGSL_TYPE: dict[DType, str] = {FLOAT32: "f32", FLOAT16: "f32", INT32: "i32", UINT32: "u32", BOOL: "bool"}
"""The type of a value inside a kernel; float16 is computed as float32, and rounded after each operation."""
STORE_TYPE: dict[DType, str] = {FLOAT32: "f32", FLOAT16: "u32", INT32: "i32", UINT32: "u32", BOOL: "u32"}
"""The element type of a buffer's binding; float16 lies two to a u32."""

_FLOAT, _BITS = struct.Struct("<f"), struct.Struct("<I")
_SURELY_FINITE = 3e38
"""Less than the largest float32."""

_INSTEAD = {
    "float64": "float32 (x.astype(np.float32), which keeps 24 bits of 53)",
    "complex64": "the real and the imaginary part as two float32 arrays",
    "complex128": "the real and the imaginary part as two float32 arrays",
    "int64": "int32, or uint32 (x.astype(np.int32) where the values fit)",
    "uint64": "uint32 (x.astype(np.uint32) where the values fit)",
    "int8": "int32",
    "int16": "int32",
    "uint8": "uint32, or float32",
    "uint16": "uint32",
}


def check_dtype(dtype: Any) -> DType:
    """Return the NumPy dtype, if arrays can have it.

    Raises
    ------
    webgpu_widget.DTypeError
        For a dtype that WebGPU does not have; the message says what to pass instead.
    """
    if dtype is float:
        return FLOAT32
    if dtype is int:
        return INT32
    if dtype is bool:
        return BOOL
    try:
        dt: DType = np.dtype(dtype)
    except TypeError:
        raise DTypeError(f"{dtype!r} is no dtype. Arrays on the GPU have one of {_names()}.") from None
    if not dt.isnative:
        dt = dt.newbyteorder("=")
    if dt in SUPPORTED:
        return dt
    instead = _INSTEAD.get(dt.name, f"one of {_names()}")
    raise DTypeError(
        f"WGSL has no {dt.name}: arrays on the GPU have one of {_names()}, and nothing is rounded silently. "
        f"Pass {instead} instead."
    )


def _names() -> str:
    return ", ".join(d.name for d in SUPPORTED)


def nbytes_stored(size: int, dtype: DType) -> int:
    """Return how many bytes of a buffer `size` elements take, a multiple of 4."""
    if dtype == FLOAT16:
        return -(-size // 2) * 4
    return size * 4


def nbytes_allocated(size: int, dtype: DType) -> int:
    """Return the size of a buffer made for `size` elements; WebGPU has no empty binding."""
    return max(4, nbytes_stored(size, dtype))


@lru_cache(maxsize=256)
def promote(*dtypes: DType) -> DType:
    """Return the dtype that arrays of these dtypes combine to, by NumPy's table.

    Raises
    ------
    webgpu_widget.DTypeError
        Where NumPy's answer is float64 or int64, which WGSL does not have.
    """
    result: DType = np.result_type(*dtypes)
    if result in SUPPORTED:
        return result
    names = " and ".join(d.name for d in dict.fromkeys(dtypes))
    raise DTypeError(
        f"{names} combine to {result.name} in NumPy, which WGSL does not have, and nothing is rounded silently. "
        f"Convert one of them first, as in x.astype(np.{'float32' if result.kind == 'f' else 'int32'})."
    )


def kind_of(dtype: DType) -> str:
    """Return ``f``, ``h`` (float16), ``i``, ``u`` or ``b``: what an operation's WGSL depends on."""
    return "h" if dtype == FLOAT16 else dtype.kind


def float_of(dtype: DType) -> DType:
    """Return the dtype in which a function of real numbers works: the same for floats, float32 for the others."""
    return dtype if dtype.kind == "f" else FLOAT32


def is_scalar(value: Any) -> bool:
    """Whether the value is a Python number or a NumPy scalar: these are weak, they take an array's dtype."""
    return isinstance(value, (bool, int, float, np.generic))


def scalar_kind(value: Any) -> str:
    """Return ``b``, ``i`` or ``f`` for a scalar."""
    if isinstance(value, (bool, np.bool_)):
        return "b"
    if isinstance(value, (int, np.integer)):
        return "i"
    if isinstance(value, (float, np.floating)):
        return "f"
    raise DTypeError(
        f"{value!r} is a {type(value).__name__}: arrays on the GPU combine with bool, int and float, not complex numbers."
    )


def default_dtype(value: Any) -> DType:
    """Return the dtype of an array made of a Python scalar: bool, int32 or float32."""
    return {"b": BOOL, "i": INT32, "f": FLOAT32}[scalar_kind(value)]


def promote_scalar(value: Any, dtype: DType) -> DType:
    """Return the dtype of an array of `dtype` combined with a scalar: the array's, unless the scalar is of a higher kind.

    Raises
    ------
    webgpu_widget.DTypeError
        For a float with an integer array, whose result is float64 in NumPy.
    """
    kind = scalar_kind(value)
    if kind == "b" or dtype.kind == "f":
        return dtype
    if kind == "i":
        return INT32 if dtype == BOOL else dtype
    if dtype == BOOL:
        return FLOAT32
    raise DTypeError(
        f"{dtype.name} combined with the Python float {value!r} is float64 in NumPy, which WGSL does not have. "
        "Convert the array first: x.astype(np.float32)."
    )


def fit_scalar(value: Any, dtype: DType) -> bool | int | float:
    """Return the scalar as a value of `dtype`.

    Raises
    ------
    OverflowError
        When an integer does not fit, as in NumPy.
    """
    if dtype == BOOL:
        return bool(value)
    if dtype.kind == "f":
        return float(value)
    number = int(value) if isinstance(value, (float, np.floating, np.bool_)) else operator.index(value)
    info = np.iinfo(dtype)
    if not int(info.min) <= number <= int(info.max):
        raise OverflowError(f"The integer {number} is out of bounds for {dtype.name} ({info.min} to {info.max}).")
    return number


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
