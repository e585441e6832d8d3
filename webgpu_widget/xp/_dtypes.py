"""dtypes, promotion and inspection of the array API."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import common_dtype
from webgpu_widget.arrays.lazy.create import asarray as _asarray
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.device.default import default_device

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.gpu import GPU

float32 = dt.FLOAT32
float16 = dt.FLOAT16
complex64 = dt.COMPLEX64
int32 = dt.INT32
uint32 = dt.UINT32
bool = dt.BOOL  # noqa: A001 - the standard's name
# Names alone, for those who compare with them: no array has these, and whatever would make one refuses.
int8, int16, int64 = (np.dtype(n) for n in ("int8", "int16", "int64"))
uint8, uint16, uint64 = (np.dtype(n) for n in ("uint8", "uint16", "uint64"))
float64, complex128 = (np.dtype(n) for n in ("float64", "complex128"))
_NAMED = (int8, int16, int64, uint8, uint16, uint64, float64, complex128)

_KINDS: dict[str, tuple[dt.DType, ...]] = {
    "bool": (dt.BOOL,),
    "signed integer": (dt.INT32, int8, int16, int64),
    "unsigned integer": (dt.UINT32, uint8, uint16, uint64),
    "integral": (dt.INT32, dt.UINT32, int8, int16, int64, uint8, uint16, uint64),
    "real floating": (dt.FLOAT32, dt.FLOAT16, float64),
    "complex floating": (complex64, complex128),
    "numeric": (dt.INT32, dt.UINT32, dt.FLOAT32, dt.FLOAT16, dt.COMPLEX64, *_NAMED),
}


@contextmanager
def narrowing(*dtypes: str) -> Iterator[None]:
    """Let dtypes of 32 bits stand for those of 64 in this block and thread, for libraries that ask for them by name.

    WGSL has neither int64 nor float64, and outside of this whatever would make an array of one refuses. Inside, what is asked for in a
    dtype that is named here (by ``dtype=``, by `astype`, or by a NumPy array that has it) becomes its half:

    - integers only where every value fits. Those on the host are looked at as they are sent; those of an array on the GPU are read
      first, which waits, unless its dtype says that they fit. A sum or a product asked for in int64 is still refused.
    - floats are rounded to float32, 24 bits of 53; a finite one that would become infinite is refused.

    What a library then computes has 32 bits: integers are taken modulo 2**32 and floats carry seven digits, so that counts whose
    products pass 2**31, and differences of large sums, belong on the host.

    Parameters
    ----------
    *dtypes : str
        Any of ``"int64"``, ``"uint64"`` and ``"float64"``.

    Raises
    ------
    DTypeError
        For another dtype.
    RangeError
        At a conversion inside the block, for a value that the narrower dtype does not hold.

    Examples
    --------
    >>> import numpy as np
    >>> import webgpu_widget as wg
    >>> with wg.xp.narrowing("int64"):
    ...     counts = wg.xp.asarray(np.array([3, 5]))
    >>> counts.dtype
    dtype('int32')
    """
    names = {dtype.name: dtype for dtype in dt.NARROWER}
    unknown = [d for d in dtypes if d not in names]
    if unknown or not dtypes:
        raise dt.DTypeError(
            f"narrowing takes names among {', '.join(map(repr, names))}, not {', '.join(map(repr, unknown)) or 'none'}."
        )
    before = dt.narrowed.set(dt.narrowed.get() | {names[d] for d in dtypes})
    try:
        yield
    finally:
        dt.narrowed.reset(before)


def astype(x: GPUArray, dtype: Any, /, *, copy: builtins.bool = True, device: GPU | None = None) -> GPUArray:
    """Return the array converted: floats go to integers toward zero.

    The array API standard's `astype`; NaN becomes 0 in an integer, and what is out of range the nearest integer there is.

    Parameters
    ----------
    x : GPUArray
        The values.
    dtype : dtype
        What they become.
    copy : bool
        Whether an array that has the dtype already is copied.
    device : GPU, optional
        Where it is made; that of `x` when left out.

    Raises
    ------
    DTypeError
        For a dtype that WebGPU has not, and for complex numbers to real ones.

    Examples
    --------
    >>> xp.astype(xp.asarray([1.7, -1.7]), xp.int32)
    GPUArray([ 1, -1], shape=(2,), dtype=int32)
    """
    result = x.astype(dtype, copy=copy)
    return result if device is None else _asarray(device, result)


def _named(dtype: Any) -> dt.DType:
    """Return a dtype that arrays have, or one that has a name here alone."""
    if isinstance(dtype, np.dtype) or (isinstance(dtype, type) and issubclass(dtype, np.generic)):
        found = np.dtype(dtype)
        if found in _NAMED:
            return found
    return dt.check_dtype(dtype)


def _dtype_of(value: Any) -> dt.DType:
    return value.dtype if is_array(value) else _named(value)


def _stand_in(dtype: dt.DType) -> dt.DType:
    """Return the dtype, or inside `narrowing` what stands for it."""
    return dt.NARROWER[dtype] if dtype in dt.narrowed.get() else dtype


def can_cast(from_: Any, to: Any, /) -> builtins.bool:
    """Return whether promotion leads from one dtype to another.

    The array API standard's `can_cast`.

    Parameters
    ----------
    from_ : dtype or GPUArray
        What is there.
    to : dtype
        What it would become.

    Examples
    --------
    >>> xp.can_cast(xp.int32, xp.float32)
    False
    """
    source, target = _dtype_of(from_), _named(to)
    try:
        return builtins.bool(np.result_type(source, target) == target)
    except TypeError:
        return False


def result_type(*arrays_and_dtypes: Any) -> dt.DType:
    """Return the dtype that arrays, dtypes and Python scalars combine to, whatever their order.

    The array API standard's `result_type`.

    Parameters
    ----------
    *arrays_and_dtypes : GPUArray, dtype or scalar
        What is combined, at least one.

    Raises
    ------
    DTypeError
        Where the standard's answer is a dtype that WGSL does not have.
    ValueError
        For nothing to combine.

    Examples
    --------
    >>> xp.result_type(xp.float16, xp.float32, 1.5)
    dtype('float32')
    """
    scalars = [v for v in arrays_and_dtypes if dt.is_scalar(v)]
    dtypes = [_stand_in(_dtype_of(v)) for v in arrays_and_dtypes if not dt.is_scalar(v)]
    if not dtypes:
        if not scalars:
            raise ValueError("result_type takes at least one array, dtype or scalar.")
        return common_dtype(scalars)
    result = dt.promote(*dtypes)
    for scalar in scalars:
        result = dt.promote_scalar(scalar, result)
    return result


def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """Return whether a dtype is of a kind.

    The array API standard's `isdtype`.

    Parameters
    ----------
    dtype : dtype
        What is asked about.
    kind : dtype, str or tuple of them
        A dtype; ``"bool"``, ``"signed integer"``, ``"unsigned integer"``, ``"integral"``, ``"real floating"``, ``"complex floating"``
        or ``"numeric"``; of a tuple, one of them suffices.

    Raises
    ------
    ValueError
        For another name.

    Examples
    --------
    >>> xp.isdtype(xp.uint32, ("integral", "bool"))
    True
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    target = _named(dtype)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"isdtype: {kind!r} is no kind; {', '.join(map(repr, _KINDS))} are.")
        return target in _KINDS[kind]
    return builtins.bool(target == np.dtype(kind))


@dataclass(frozen=True)
class FloatInfo:
    """Machine limits of a floating-point dtype, as Python numbers."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: dt.DType


@dataclass(frozen=True)
class IntInfo:
    """Machine limits of an integer dtype, as Python numbers."""

    bits: int
    max: int
    min: int
    dtype: dt.DType


def finfo(type: Any, /) -> FloatInfo:  # noqa: A002 - the standard's name
    """Return the limits of a floating-point dtype.

    The array API standard's `finfo`; its attributes are ``bits``, ``eps``, ``max``, ``min``, ``smallest_normal`` and ``dtype``.

    Parameters
    ----------
    type : dtype or GPUArray
        A floating-point or complex dtype, or an array of it.

    Raises
    ------
    DTypeError
        For integers and bools.

    Examples
    --------
    >>> xp.finfo(xp.float32).bits
    32
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "fc":
        raise dt.DTypeError(f"finfo is of floating-point dtypes, not {dtype.name}; iinfo is of integers.")
    info = np.finfo(dtype)
    normal = float(info.smallest_normal)
    return FloatInfo(int(info.bits), float(info.eps), float(info.max), float(info.min), normal, np.dtype(info.dtype))


def iinfo(type: Any, /) -> IntInfo:  # noqa: A002 - the standard's name
    """Return the limits of an integer dtype.

    The array API standard's `iinfo`; its attributes are ``bits``, ``max``, ``min`` and ``dtype``.

    Parameters
    ----------
    type : dtype or GPUArray
        An integer dtype, or an array of it.

    Raises
    ------
    DTypeError
        For floats and bools.

    Examples
    --------
    >>> xp.iinfo(xp.int32).max
    2147483647
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "iu":
        raise dt.DTypeError(f"iinfo is of integer dtypes, not {dtype.name}; finfo is of floats.")
    info = np.iinfo(dtype)
    return IntInfo(int(info.bits), int(info.max), int(info.min), dtype)


class NamespaceInfo:
    """What the namespace has, for programs that ask."""

    def capabilities(self) -> dict[str, Any]:
        """Return what is optional in the standard and there."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> GPU:
        """Return the GPU that is used when none is named."""
        return default_device().gpu

    def devices(self) -> tuple[GPU, ...]:
        """Return the GPUs: the default one (any other `webgpu_widget.GPU` is one, too)."""
        return (self.default_device(),)

    def default_dtypes(self, *, device: GPU | None = None) -> dict[str, dt.DType]:  # noqa: ARG002 - alike on all
        """Return the dtypes that are used when none is named.

        Parameters
        ----------
        device : GPU, optional
            The GPU asked about; all have the same.
        """
        return {
            "real floating": dt.FLOAT32,
            "complex floating": dt.COMPLEX64,
            "integral": dt.INT32,
            "indexing": dt.INT32,
        }

    def dtypes(
        self,
        *,
        device: GPU | None = None,  # noqa: ARG002 - alike on all
        kind: str | tuple[str, ...] | None = None,
    ) -> dict[str, dt.DType]:
        """Return the standard's dtypes that are there.

        Parameters
        ----------
        device : GPU, optional
            The GPU asked about; all have the same.
        kind : str or tuple of str, optional
            Those of a kind alone, or of several; see `isdtype`.
        """
        found = (dt.BOOL, dt.INT32, dt.UINT32, dt.FLOAT32, dt.COMPLEX64)
        standard = {dtype.name: dtype for dtype in found}
        if kind is None:
            return standard
        return {name: dtype for name, dtype in standard.items() if isdtype(dtype, kind)}


def __array_namespace_info__() -> NamespaceInfo:  # noqa: N807 - the standard's name
    """Return what the namespace has, for programs that ask.

    The array API standard's `__array_namespace_info__`; its methods are ``capabilities``, ``default_device``, ``default_dtypes``, ``devices`` and ``dtypes``.

    Examples
    --------
    >>> sorted(xp.__array_namespace_info__().dtypes())
    ['bool', 'complex64', 'float32', 'int32', 'uint32']
    """
    return NamespaceInfo()
