"""Queue a matrix product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from webgpu_widget._queue import Buffer
    from webgpu_widget.gpu import GPU
    from webgpu_widget.matmul.operand import Operand

Precision = Literal["f32", "f16"]


def launch(
    gpu: GPU,
    a: Operand,
    b: Operand,
    out: Buffer,
    *,
    precision: Precision = "f32",
    out_dtype: np.dtype[np.float32] | np.dtype[np.float16] = np.dtype(np.float32),
) -> None:
    """Queue ``out = a @ b``.

    Parameters
    ----------
    gpu
        Whose queue takes the work, and whose adapter decides the kernel.
    a, b
        Operands whose shapes fit by ``np.matmul``'s rules (see `product_shape`).
    out
        A buffer that is none of the operands' and holds ``product_shape(a.shape, b.shape)`` elements of `out_dtype` from its start. It is
        written whole, in C order; what it held does not matter. With an inner size of 0 it is filled with zeros.
    precision
        ``"f32"`` multiplies the operands as they are; ``"f16"`` rounds them to float16 first, and uses matrix units where the adapter has them. Sums are float32 either way.
    out_dtype
        float32 or float16, rounded once at the end.
    """
    raise NotImplementedError
