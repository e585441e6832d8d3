"""What a matrix product takes: strided views into buffers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer

_DTYPES = ("float32", "float16")
FLOAT32: np.dtype[np.float32] = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Operand:
    """A strided view of float32 or float16 elements in a buffer.

    Parameters
    ----------
    buffer
        Where the elements live. float16 takes two bytes an element, tight.
    shape
        ``(*batch, rows, columns)``, or ``(length,)`` for a vector: a row when it stands on the left, a column on the right, as in ``np.matmul``.
    strides
        Elements (not bytes) between neighbours along each axis; 0 along an axis that is broadcast. Of the same length as `shape`.
    offset
        Elements from the start of the buffer to the element at index 0 of every axis.
    dtype
        float32 or float16.
    """

    buffer: Buffer
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    dtype: np.dtype[np.float32] | np.dtype[np.float16] = FLOAT32

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.strides) or not self.shape:
            raise ValueError(
                f"An operand of shape {self.shape} needs {len(self.shape)} strides and at least one axis, not strides {self.strides}."
            )
        if self.dtype is not FLOAT32 and np.dtype(self.dtype).name not in _DTYPES:
            raise TypeError(
                f"A matrix product takes {' or '.join(_DTYPES)}, not {self.dtype}: convert with astype first."
            )

    @classmethod
    def tight(
        cls, buffer: Buffer, shape: tuple[int, ...], dtype: np.dtype[np.float32] | np.dtype[np.float16] | None = None
    ) -> Operand:
        """Return the view of a whole C-ordered array."""
        strides: list[int] = []
        step = 1
        for size in reversed(shape):
            strides.insert(0, step)
            step *= size
        return cls(buffer, shape, tuple(strides), 0, np.dtype(np.float32) if dtype is None else dtype)

    @property
    def mT(self) -> Operand:  # noqa: N802 - the array API's name
        """The same elements with the last two axes exchanged."""
        order = (*range(len(self.shape) - 2), len(self.shape) - 1, len(self.shape) - 2)
        return Operand(
            self.buffer,
            tuple(self.shape[axis] for axis in order),
            tuple(self.strides[axis] for axis in order),
            self.offset,
            self.dtype,
        )


def product_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of ``a @ b`` by NumPy's rules.

    Raises
    ------
    ShapeError
        When an operand has no axis, the inner sizes differ, or the batch axes do not broadcast.
    """
    from webgpu_widget.errors import ShapeError

    if not a or not b:
        raise ShapeError(
            f"matmul takes operands with at least one axis, not shapes {a} and {b}. Use multiply for a scalar."
        )
    inner_b = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner_b:
        raise ShapeError(
            f"matmul of shapes {a} and {b}: the last axis of the left ({a[-1]}) must be as long as the "
            f"{'second to last' if len(b) > 1 else 'only'} axis of the right ({inner_b}). Transpose one of them, or reshape."
        )
    try:
        batch = np.broadcast_shapes(a[:-2], b[:-2]) if len(a) > 2 or len(b) > 2 else ()
    except ValueError:
        raise ShapeError(
            f"matmul of shapes {a} and {b}: the batch axes {a[:-2]} and {b[:-2]} do not broadcast. "
            "Aligned at the right, each pair must be equal or hold a 1."
        ) from None
    return (*batch, *(a[-2:-1] if len(a) > 1 else ()), *(b[-1:] if len(b) > 1 else ()))
