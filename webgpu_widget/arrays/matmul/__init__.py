"""Matrix products on the GPU: the kernels, the choice between them, and the launch.

``launch`` is what the array layer calls. It takes strided operands, so a transposed, sliced or broadcast view needs no copy, and writes a
tight C-ordered result. Everything is queued; nothing here waits for the browser, except for a first measurement of a large size class
(see :mod:`webgpu_widget.arrays.matmul.tune`).
"""

from __future__ import annotations

from webgpu_widget.arrays.matmul.launch import launch
from webgpu_widget.arrays.matmul.operand import Operand, product_shape

__all__ = ["Operand", "launch", "product_shape"]
