"""NumPy's reductions, sorting and comparisons on the GPU, with NumPy's arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from webgpu_widget.arrays.lazy import dtypes as dt
from webgpu_widget.arrays.lazy import places, search, statistics
from webgpu_widget.arrays.lazy import shape as shapes
from webgpu_widget.arrays.lazy.build import apply, coerce
from webgpu_widget.arrays.lazy.build import where as _where
from webgpu_widget.arrays.lazy.host import from_host
from webgpu_widget.arrays.lazy.value import is_array
from webgpu_widget.arrays.ufuncs import NO_VALUE, WAY_OUT, reduction, store
from webgpu_widget.errors import UnsupportedError
from webgpu_widget.xp import _quantiles, _sets, _without_nan
from webgpu_widget.xp._arithmetic import clip as _clip
from webgpu_widget.xp._extras import around as _around
from webgpu_widget.xp._extras import nan_to_num as _nan_to_num
from webgpu_widget.xp._statistics import diff as _diff


def on_gpu(name: str, *values: Any) -> list[Any]:
    """Return operands as arrays on the GPU of those that are; NumPy's scalars and Python's are 0-d arrays."""
    return coerce(name, tuple(np.asarray(v) if isinstance(v, np.generic) else v for v in values))[1]


def out_or(result: Any, out: Any, name: str) -> Any:
    """Return a result, written to ``out=`` where that is given."""
    return result if out is None else store(out, result, True, "same_kind", name)


def _reduction(kind: str) -> Callable[..., Any]:
    def reduce(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = NO_VALUE,
        where: Any = True,
    ) -> Any:
        (x,) = on_gpu(kind, a)
        result = reduction(kind, x, axis, dtype=dtype, keepdims=keepdims, initial=initial, where_=where)
        return out_or(result, out, f"np.{kind}")

    return reduce


def _extreme(kind: str) -> Callable[..., Any]:
    def reduce(
        a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = NO_VALUE, where: Any = True
    ) -> Any:
        (x,) = on_gpu(kind, a)
        return out_or(reduction(kind, x, axis, keepdims=keepdims, initial=initial, where_=where), out, f"np.{kind}")

    return reduce


def _logical(kind: str) -> Callable[..., Any]:
    def reduce(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
        (x,) = on_gpu(kind, a)
        return out_or(reduction(kind, x, axis, keepdims=keepdims, where_=where), out, f"np.{kind}")

    return reduce


def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """Return the mean."""
    return out_or(a.mean(axis, dtype, keepdims=keepdims), out, "np.mean")


def _deviation(name: str) -> Callable[..., Any]:
    def reduce(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        correction: float | None = None,
    ) -> Any:
        if ddof and correction is not None:
            raise ValueError(f"np.{name}: ddof and correction are one thing; give one of them.")
        spare = ddof if correction is None else correction
        return out_or(getattr(a, name)(axis, spare, dtype=dtype, keepdims=keepdims), out, f"np.{name}")

    return reduce


def average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    """Return the mean, with weights of the array's shape or, along one axis, of its length."""
    if weights is None:
        (x,) = on_gpu("average", a)
        return x.mean(axis, keepdims=keepdims)
    x, w = on_gpu("average", a, weights)
    if w.shape != x.shape:
        if w.ndim != 1 or axis is None:
            raise UnsupportedError(
                f"np.average: weights of shape {w.shape} for shape {x.shape} need one axis=. {WAY_OUT}."
            )
        place = shapes.check_axis(axis, x.ndim)
        w = shapes.broadcast_to(shapes.reshape(w, tuple(w.size if i == place else 1 for i in range(x.ndim))), x.shape)
    return apply("divide", (x * w).sum(axis, keepdims=keepdims), w.sum(axis, keepdims=keepdims))


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """Return how far apart the largest and the smallest are."""
    return out_or(a.max(axis, keepdims=keepdims) - a.min(axis, keepdims=keepdims), out, "np.ptp")


def _place(kind: str) -> Callable[..., Any]:
    def find(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
        return out_or(statistics.place(a, kind, axis, keepdims=keepdims), out, f"np.arg{kind}")

    return find


def _running(kind: str) -> Callable[..., Any]:
    def run(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x, at = (a.ravel(), 0) if axis is None else (a, axis)
        return out_or(statistics.cumulative(x, kind, at, dtype), out, f"np.cum{kind}")

    return run


def _nan_running(kind: str, neutral: int) -> Callable[..., Any]:
    def run(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return _running(kind)(_where(apply("isnan", a), neutral, a), axis, dtype, out)

    return run


def _running_standard(kind: str) -> Callable[..., Any]:
    def run(x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False) -> Any:
        result = statistics.cumulative(x, kind, axis, dtype, include_initial=include_initial)
        return out_or(result, out, f"np.cumulative_{kind}")

    return run


def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Return how many are not zero."""
    return statistics.count_nonzero(a, axis, keepdims=keepdims)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Return differences of neighbours."""
    return _diff(a, axis=axis, n=n, prepend=_edge(a, axis, prepend), append=_edge(a, axis, append))


def _edge(a: Any, axis: int, value: Any) -> Any:
    """Return what goes before or after the values: a number is as long as one of them."""
    if value is None or np.ndim(value):
        return value if value is None or is_array(value) else on_gpu("diff", a, value)[1]
    place = shapes.check_axis(axis, a.ndim)
    number = apply("add", apply("multiply", a[(slice(None),) * place + (slice(0, 1),)], 0), value)
    return _where(False, number, value)


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None) -> Any:  # noqa: A002
    """Return the values kept within bounds."""
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    return out_or(_clip(on_gpu("clip", a, *(b for b in (low, high) if b is not None))[0], low, high), out, "np.clip")


def around(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Return rounded values."""
    return out_or(_around(a, decimals), out, "np.round")


def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Return the values without NaN and infinities."""
    result = _nan_to_num(x, nan, posinf, neginf)
    return result if copy else store(x, result, True, "same_kind", "np.nan_to_num")


def isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Return which values are close, as `numpy.isclose` says it, in float32."""
    x, y = (v.astype(dt.float_of(v.dtype)) if is_array(v) else v for v in on_gpu("isclose", a, b))
    near = (
        apply(
            "less_equal",
            apply("abs", apply("subtract", x, y)),
            apply("add", apply("multiply", apply("abs", y), rtol), atol),
        )
        if is_array(y)
        else (apply("less_equal", apply("abs", apply("subtract", x, y)), abs(y) * rtol + atol))
    )
    finite = apply("isfinite", y) if is_array(y) else bool(np.isfinite(y))
    result = apply("logical_or", apply("equal", x, y), apply("logical_and", near, finite))
    if not equal_nan:
        return result
    nans = [apply("isnan", v) if is_array(v) else bool(np.isnan(v)) for v in (x, y)]
    return apply("logical_or", result, apply("logical_and", *nans))


def allclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all values are close; waits for the answer."""
    return bool(isclose(a, b, rtol, atol, equal_nan).all())


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """Whether shapes and values are equal; waits for the answer."""
    x, y = on_gpu("array_equal", *(np.asarray(v) if dt.is_scalar(v) else v for v in (a1, a2)))
    if x.shape != y.shape:
        return False
    same = apply("equal", x, y)
    if equal_nan:
        same = apply("logical_or", same, apply("logical_and", apply("isnan", x), apply("isnan", y)))
    return bool(same.all())


def sort(a: Any, axis: int | None = -1, kind: str | None = None, *, stable: bool | None = None) -> Any:  # noqa: ARG001 - it always is
    """Return the elements in order."""
    return search.sort(a.ravel() if axis is None else a, -1 if axis is None else axis)


def argsort(a: Any, axis: int | None = -1, kind: str | None = None, *, stable: bool | None = None) -> Any:  # noqa: ARG001 - it always is
    """Return the places of the elements in order."""
    return search.argsort(a.ravel() if axis is None else a, -1 if axis is None else axis)


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Return where values belong."""
    first, second = on_gpu("searchsorted", a, v)
    return search.searchsorted(first, second, side, sorter)


def flatnonzero(a: Any) -> Any:
    """Return the places, in the flattened array, of what is not zero."""
    return places.nonzero(a.ravel())[0]


def argwhere(a: Any) -> Any:
    """Return the indices of what is not zero, a row each."""
    return shapes.stack(places.nonzero(a), 1)


def where(condition: Any, x: Any = NO_VALUE, y: Any = NO_VALUE, /) -> Any:
    """Return `x` where the condition holds, else `y`; of a condition alone, where it holds."""
    if x is NO_VALUE and y is NO_VALUE:
        return places.nonzero(condition)
    if x is NO_VALUE or y is NO_VALUE:
        raise ValueError("np.where takes both x and y, or neither.")
    return _where(condition, x, y)


def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,  # noqa: ARG001 - found by sorting
    invert: bool = False,
    *,
    kind: str | None = None,  # noqa: ARG001 - found by sorting
) -> Any:
    """Return which elements are among others."""
    if is_array(element) and isinstance(test_elements, (list, tuple)):
        test_elements = from_host(element._device, test_elements, element.dtype)
    return _sets.isin(element, test_elements, invert=invert)


def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False) -> Any:
    """Return the distinct values in order; all NaN are one value, as in NumPy. Waits for their number."""
    values, indices, inverse, counts = search.unique(ar)
    if ar.dtype.kind == "f":
        nans = int(apply("isnan", values).sum())
        if nans > 1:
            first = values.size - nans
            counts = shapes.concat([counts[:first], counts[first:].sum(keepdims=True)])
            values, indices = values[: first + 1], indices[: first + 1]
            inverse = apply("minimum", inverse, first)
    parts = ((indices, return_index), (inverse, return_inverse), (counts, return_counts))
    results = (values, *(part for part, wanted in parts if wanted))
    return results if len(results) > 1 else values


def _nan(twin: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return out_or(twin(a, axis, dtype, keepdims=keepdims), out, f"np.{twin.__name__}")

    return reduce


def _nan_extreme(twin: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return out_or(twin(a, axis, keepdims=keepdims), out, f"np.{twin.__name__}")

    return reduce


def _nan_place(twin: Callable[..., Any]) -> Callable[..., Any]:
    def find(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
        return out_or(twin(a, axis, keepdims=keepdims), out, f"np.{twin.__name__}")

    return find


def _nan_deviation(twin: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        correction: float = 0,
    ) -> Any:
        result = twin(a, axis, dtype, ddof=ddof, keepdims=keepdims, correction=correction)
        return out_or(result, out, f"np.{twin.__name__}")

    return reduce


def _median(twin: Callable[..., Any]) -> Callable[..., Any]:
    def find(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:  # noqa: ARG001 - never is
        return out_or(twin(a, axis, keepdims=keepdims), out, f"np.{twin.__name__}")

    return find


def _quantile(twin: Callable[..., Any], whole: float) -> Callable[..., Any]:
    def find(
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,  # noqa: ARG001 - never is
        method: str = "linear",
        keepdims: bool = False,
    ) -> Any:
        share = q if is_array(q) else np.asarray(q, np.float64) / whole
        return out_or(twin(a, share, axis, method=method, keepdims=keepdims), out, f"np.{twin.__name__}")

    return find


TWINS: dict[str, Callable[..., Any]] = {
    "sum": _reduction("sum"),
    "prod": _reduction("prod"),
    **dict.fromkeys(("max", "amax"), _extreme("max")),
    **dict.fromkeys(("min", "amin"), _extreme("min")),
    "any": _logical("any"),
    "all": _logical("all"),
    "mean": mean,
    "std": _deviation("std"),
    "var": _deviation("var"),
    "average": average,
    "ptp": ptp,
    "argmax": _place("max"),
    "argmin": _place("min"),
    "cumsum": _running("sum"),
    "cumprod": _running("prod"),
    "cumulative_sum": _running_standard("sum"),
    "cumulative_prod": _running_standard("prod"),
    "nancumsum": _nan_running("sum", 0),
    "nancumprod": _nan_running("prod", 1),
    "count_nonzero": count_nonzero,
    "diff": diff,
    "clip": clip,
    **dict.fromkeys(("round", "around"), around),
    "nan_to_num": nan_to_num,
    "isclose": isclose,
    "allclose": allclose,
    "array_equal": array_equal,
    "sort": sort,
    "argsort": argsort,
    "searchsorted": searchsorted,
    "nonzero": places.nonzero,
    "flatnonzero": flatnonzero,
    "argwhere": argwhere,
    "where": where,
    "isin": isin,
    "unique": unique,
    **{name: getattr(_sets, name) for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values")},
    "nansum": _nan(_without_nan.nansum),
    "nanprod": _nan(_without_nan.nanprod),
    "nanmean": _nan(_without_nan.nanmean),
    "nanmax": _nan_extreme(_without_nan.nanmax),
    "nanmin": _nan_extreme(_without_nan.nanmin),
    "nanargmax": _nan_place(_without_nan.nanargmax),
    "nanargmin": _nan_place(_without_nan.nanargmin),
    "nanvar": _nan_deviation(_without_nan.nanvar),
    "nanstd": _nan_deviation(_without_nan.nanstd),
    "median": _median(_quantiles.median),
    "nanmedian": _median(_quantiles.nanmedian),
    "quantile": _quantile(_quantiles.quantile, 1),
    "nanquantile": _quantile(_quantiles.nanquantile, 1),
    "percentile": _quantile(_quantiles.quantile, 100),
    "nanpercentile": _quantile(_quantiles.nanquantile, 100),
}
"""The twins of NumPy's functions, by their names."""
