"""Linear algebra on the GPU, in float32: the array API's extension, and `norm` as NumPy has it.

All work is done on the GPU; nothing goes through the CPU. `solve`, `inv` and `cholesky` raise numpy.linalg.LinAlgError, and
wait for the GPU to know that they must (not while a program is recorded); their twins that end in ``_async`` await it. Each docstring states the accuracy.
"""

from __future__ import annotations

from webgpu_widget.arrays.matrix import _matmul as matmul
from webgpu_widget.linalg._common import LinAlgError
from webgpu_widget.linalg._factor import eigh, eigvalsh, qr, svd, svdvals
from webgpu_widget.linalg._norms import matrix_norm, norm, vector_norm
from webgpu_widget.linalg._products import (
    cross,
    matrix_power,
    matrix_rank,
    matrix_transpose,
    outer,
    pinv,
    tensordot,
    trace,
    vecdot,
)
from webgpu_widget.linalg._products import matrix_diagonal as diagonal
from webgpu_widget.linalg._solve import cholesky, cholesky_async, det, inv, inv_async, slogdet, solve, solve_async

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_async",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "inv_async",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_async",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]
