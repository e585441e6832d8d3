"""The Python array API standard, 2025.12, on the GPU of the browser.

What is there: float32, complex64, int32, uint32 and bool (float16 besides, which the standard does not name). float64, complex128 and
the 64-bit, 8-bit and 16-bit integers are names alone, for programs that compare dtypes with them: WGSL has none, and whatever would make
an array of one refuses, unless a block of `narrowing` lets 32 bits stand for 64. Complex numbers have no order, var and std are not there
for them, and `linalg` has their products alone. ``__array_namespace_info__().dtypes()`` lists what arrays have. Beside the standard there
is what libraries look for under NumPy's names: `pad`, `transpose`, `around`, `einsum`, medians, quantiles, and the statistics that leave
NaN out.
Examples in docstrings take `webgpu_widget` as ``wg``, ``wg.xp`` as ``xp``, NumPy as ``np``, and a `webgpu_widget.GPU` as ``gpu``.
``x.__array_namespace__(api_version="2024.12")`` returns the edition before.
Indices are int32. Arrays are made on ``wg.default_gpu()`` unless ``device=`` names a `webgpu_widget.GPU`.

Scalars, Python's and NumPy's own, are weak: they take the dtype of the array that they meet, ``np.float64(0.1)`` and ``np.int64(2)`` as
well as ``0.1`` and ``2``. A float with an integer array is refused, and so is an integer that the array's dtype does not hold; arrays of
one element, 0-d ones too, are arrays.

Functions whose result has a size that depends on values (boolean masks, `nonzero`, the ``unique_`` family, `repeat` with an array)
wait for that size; `nanargmax`, `nanargmin` and conversions inside `narrowing` wait to look at values; nothing else waits. Integer
arrays that are used as indices are checked when they come from the host; on the GPU an index out of bounds is taken to the nearer end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any as _Any

from webgpu_widget import linalg
from webgpu_widget.arrays.einsum import einsum
from webgpu_widget.linalg import matmul, matrix_transpose, outer, tensordot, vecdot
from webgpu_widget.xp import _arithmetic, _logic, _parts, _transcendental, fft, random
from webgpu_widget.xp._arithmetic import *  # noqa: F403
from webgpu_widget.xp._creation import (
    arange,
    asarray,
    empty,
    empty_like,
    from_dlpack,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from webgpu_widget.xp._dtypes import (
    __array_namespace_info__,
    astype,
    bool,  # noqa: A004 - the standard's name
    can_cast,
    complex64,
    complex128,
    finfo,
    float16,
    float32,
    float64,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    isdtype,
    narrowing,
    result_type,
    uint8,
    uint16,
    uint32,
    uint64,
)
from webgpu_widget.xp._extras import around, nan_to_num, pad, transpose
from webgpu_widget.xp._joining import concat, stack, unstack
from webgpu_widget.xp._logic import *  # noqa: F403
from webgpu_widget.xp._manipulation import (
    broadcast_arrays,
    broadcast_shapes,
    broadcast_to,
    expand_dims,
    flip,
    moveaxis,
    permute_dims,
    repeat,
    reshape,
    roll,
    squeeze,
    tile,
)
from webgpu_widget.xp._matrices import eye, meshgrid, tril, triu
from webgpu_widget.xp._parts import *  # noqa: F403
from webgpu_widget.xp._quantiles import (
    median,
    nanmedian,
    nanquantile,
    quantile,
)
from webgpu_widget.xp._search import (
    argmax,
    argmin,
    argsort,
    count_nonzero,
    nonzero,
    searchsorted,
    sort,
    take,
    take_along_axis,
    where,
)
from webgpu_widget.xp._sets import isin, unique_all, unique_counts, unique_inverse, unique_values
from webgpu_widget.xp._statistics import (
    all,  # noqa: A004 - the standard's name
    any,  # noqa: A004 - the standard's name
    cumulative_prod,
    cumulative_sum,
    diff,
    max,  # noqa: A004 - the standard's name
    mean,
    min,  # noqa: A004 - the standard's name
    prod,
    std,
    sum,  # noqa: A004 - the standard's name
    var,
)
from webgpu_widget.xp._transcendental import *  # noqa: F403
from webgpu_widget.xp._without_nan import nanargmax, nanargmin, nanmax, nanmean, nanmin, nanprod, nanstd, nansum, nanvar

__array_api_version__ = "2025.12"

e = math.e
inf = math.inf
nan = math.nan
pi = math.pi
newaxis = None

__all__ = [  # noqa: PLE0604
    *_arithmetic.__all__,
    *_logic.__all__,
    *_parts.__all__,
    *_transcendental.__all__,
    "__array_api_version__",
    "__array_namespace_info__",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "around",
    "asarray",
    "astype",
    "bool",
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "can_cast",
    "complex128",
    "complex64",
    "concat",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "e",
    "einsum",
    "empty",
    "empty_like",
    "expand_dims",
    "eye",
    "fft",
    "finfo",
    "flip",
    "float16",
    "float32",
    "float64",
    "from_dlpack",
    "full",
    "full_like",
    "iinfo",
    "inf",
    "int16",
    "int32",
    "int64",
    "int8",
    "isdtype",
    "isin",
    "linalg",
    "linspace",
    "matmul",
    "matrix_transpose",
    "max",
    "mean",
    "median",
    "meshgrid",
    "min",
    "moveaxis",
    "nan",
    "nan_to_num",
    "nanargmax",
    "nanargmin",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanprod",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "narrowing",
    "newaxis",
    "nonzero",
    "ones",
    "ones_like",
    "outer",
    "pad",
    "permute_dims",
    "pi",
    "prod",
    "quantile",
    "random",
    "repeat",
    "reshape",
    "result_type",
    "roll",
    "searchsorted",
    "sort",
    "squeeze",
    "stack",
    "std",
    "sum",
    "take",
    "take_along_axis",
    "tensordot",
    "tile",
    "transpose",
    "tril",
    "triu",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "unstack",
    "var",
    "vecdot",
    "where",
    "zeros",
    "zeros_like",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def _array_function(
    function: Callable[..., _Any], types: Sequence[type], args: Sequence[_Any], options: dict[str, _Any], like: _Any
) -> _Any:
    """Run a function of NumPy; see `webgpu_widget.xp._functions`."""
    from webgpu_widget.xp._functions import array_function

    return array_function(function, types, args, options, like)


def _edition_of_2024() -> _Any:
    """Return the namespace of 2024.12."""
    from webgpu_widget.xp._edition_2024 import namespace

    return namespace
