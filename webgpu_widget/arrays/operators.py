"""The operators of arrays, apart from the class to keep it readable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy.build import apply
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.arrays.matrix import matmul

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray


def _known(other: Any) -> bool:
    """Whether an operator can take the operand; others get a chance to answer themselves."""
    return is_array(other) or isinstance(other, np.ndarray) or dt.is_scalar(other)


class Operators:
    """Arithmetic, comparison and bits, elementwise, with NumPy's broadcasting.

    Two arrays combine as in NumPy, and raise `DTypeError` where the result would have 64 bits; a 0-d array is an array. Scalars are
    weak, NumPy's own as well as Python's: they take the array's dtype, so that ``x * np.float64(0.1)`` and ``x * 0.1`` are the
    same, float32 for a float32 array. (NumPy 2 does so for Python's scalars alone, and makes float64 of the first; there is no
    float64 here, and what NumPy's functions return is a float64 most of the time.)

    A number that a dtype does not have is refused, in operators, fills, assignments, bounds, lists and `arange` alike: a float in an
    integer array (`DTypeError`), an integer beyond its dtype and a finite number that would become infinite (`RangeError`, which is an
    OverflowError; pass ``np.inf`` where infinity is meant). A float is rounded to the array's dtype once. Comparisons are those of
    the numbers themselves, whatever fits. NumPy arrays given a dtype are converted as by NumPy's ``astype``, with its
    RuntimeWarning where a finite value becomes infinite; integers that do not fit are refused there too.

    Integers have no negative powers, which raise ValueError. For an int32 `GPUArray` as the exponent of integers the least is read,
    and waited for; inside ``gpu.record()`` that is refused.
    """

    __slots__ = ()

    def _binary(self, name: str, other: Any) -> GPUArray:
        return apply(name, self, other) if _known(other) else NotImplemented

    def _reflected(self, name: str, other: Any) -> GPUArray:
        return apply(name, other, self) if _known(other) else NotImplemented

    def _in_place(self, name: str, other: Any) -> Self:
        result = self._binary(name, other)
        if result is NotImplemented:
            return NotImplemented
        self[...] = result  # type: ignore[index]
        return self

    def __add__(self, other: Any) -> GPUArray:
        return self._binary("add", other)

    def __radd__(self, other: Any) -> GPUArray:
        return self._reflected("add", other)

    def __iadd__(self, other: Any) -> Self:
        return self._in_place("add", other)

    def __sub__(self, other: Any) -> GPUArray:
        return self._binary("subtract", other)

    def __rsub__(self, other: Any) -> GPUArray:
        return self._reflected("subtract", other)

    def __isub__(self, other: Any) -> Self:
        return self._in_place("subtract", other)

    def __mul__(self, other: Any) -> GPUArray:
        return self._binary("multiply", other)

    def __rmul__(self, other: Any) -> GPUArray:
        return self._reflected("multiply", other)

    def __imul__(self, other: Any) -> Self:
        return self._in_place("multiply", other)

    def __truediv__(self, other: Any) -> GPUArray:
        return self._binary("divide", other)

    def __rtruediv__(self, other: Any) -> GPUArray:
        return self._reflected("divide", other)

    def __itruediv__(self, other: Any) -> Self:
        return self._in_place("divide", other)

    def __floordiv__(self, other: Any) -> GPUArray:
        return self._binary("floor_divide", other)

    def __rfloordiv__(self, other: Any) -> GPUArray:
        return self._reflected("floor_divide", other)

    def __ifloordiv__(self, other: Any) -> Self:
        return self._in_place("floor_divide", other)

    def __mod__(self, other: Any) -> GPUArray:
        return self._binary("remainder", other)

    def __rmod__(self, other: Any) -> GPUArray:
        return self._reflected("remainder", other)

    def __imod__(self, other: Any) -> Self:
        return self._in_place("remainder", other)

    def __divmod__(self, other: Any) -> tuple[GPUArray, GPUArray]:
        return self // other, self % other

    def __pow__(self, other: Any) -> GPUArray:
        return self._binary("pow", other)

    def __rpow__(self, other: Any) -> GPUArray:
        return self._reflected("pow", other)

    def __ipow__(self, other: Any) -> Self:
        return self._in_place("pow", other)

    def __and__(self, other: Any) -> GPUArray:
        return self._binary("bitwise_and", other)

    def __rand__(self, other: Any) -> GPUArray:
        return self._reflected("bitwise_and", other)

    def __iand__(self, other: Any) -> Self:
        return self._in_place("bitwise_and", other)

    def __or__(self, other: Any) -> GPUArray:
        return self._binary("bitwise_or", other)

    def __ror__(self, other: Any) -> GPUArray:
        return self._reflected("bitwise_or", other)

    def __ior__(self, other: Any) -> Self:
        return self._in_place("bitwise_or", other)

    def __xor__(self, other: Any) -> GPUArray:
        return self._binary("bitwise_xor", other)

    def __rxor__(self, other: Any) -> GPUArray:
        return self._reflected("bitwise_xor", other)

    def __ixor__(self, other: Any) -> Self:
        return self._in_place("bitwise_xor", other)

    def __lshift__(self, other: Any) -> GPUArray:
        return self._binary("bitwise_left_shift", other)

    def __rlshift__(self, other: Any) -> GPUArray:
        return self._reflected("bitwise_left_shift", other)

    def __ilshift__(self, other: Any) -> Self:
        return self._in_place("bitwise_left_shift", other)

    def __rshift__(self, other: Any) -> GPUArray:
        return self._binary("bitwise_right_shift", other)

    def __rrshift__(self, other: Any) -> GPUArray:
        return self._reflected("bitwise_right_shift", other)

    def __irshift__(self, other: Any) -> Self:
        return self._in_place("bitwise_right_shift", other)

    def __lt__(self, other: Any) -> GPUArray:
        return self._binary("less", other)

    def __le__(self, other: Any) -> GPUArray:
        return self._binary("less_equal", other)

    def __gt__(self, other: Any) -> GPUArray:
        return self._binary("greater", other)

    def __ge__(self, other: Any) -> GPUArray:
        return self._binary("greater_equal", other)

    def __eq__(self, other: object) -> GPUArray:  # type: ignore[override]
        return self._binary("equal", other)

    def __ne__(self, other: object) -> GPUArray:  # type: ignore[override]
        return self._binary("not_equal", other)

    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> GPUArray:
        return apply("negative", self)

    def __pos__(self) -> GPUArray:
        return apply("positive", self)

    def __abs__(self) -> GPUArray:
        return apply("abs", self)

    def __invert__(self) -> GPUArray:
        return apply("bitwise_invert", self)

    def __matmul__(self, other: Any) -> GPUArray:
        if not _known(other):
            return NotImplemented
        return matmul(self, other)

    def __rmatmul__(self, other: Any) -> GPUArray:
        if not _known(other):
            return NotImplemented
        return matmul(other, self)

    def __imatmul__(self, other: Any) -> Self:
        self[...] = self @ other  # type: ignore[index]
        return self
