"""What NumPy's functions make of arrays on the GPU, by the protocol of NEP 18: their twins, or an error that names the way out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from webgpu_widget.arrays.lazy.value import Value
from webgpu_widget.arrays.ufuncs import WAY_OUT
from webgpu_widget.errors import UnsupportedError
from webgpu_widget.xp import _functions_fft, _functions_linalg, _functions_shape, _functions_statistics

_MODULES = (_functions_shape, _functions_statistics, _functions_linalg, _functions_fft)


def _named(name: str) -> Any:
    """Return a function of NumPy; None where this version has it not."""
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _collect() -> dict[Callable[..., Any], Callable[..., Any]]:
    table: dict[Callable[..., Any], Callable[..., Any]] = {}
    for module in _MODULES:
        for name, twin in module.TWINS.items():
            theirs = _named(name)
            if theirs is not None:
                table[theirs] = twin
    return table


TWINS = _collect()
"""The functions of NumPy that work on the GPU, each with its twin, whose arguments have NumPy's names."""


def _name_of(function: Callable[..., Any]) -> str:
    module = str(getattr(function, "__module__", "numpy") or "numpy")
    return f"{module.replace('numpy', 'np', 1)}.{getattr(function, '__name__', function)}"


def _refuse_misfit(name: str, twin: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> None:
    """Raise where a twin does not have the arguments of a call."""
    try:
        inspect.signature(twin).bind(*args, **options)
    except TypeError as error:
        raise UnsupportedError(f"{name}, for arrays on the GPU: {error}. {WAY_OUT}.") from None


def array_function(
    function: Callable[..., Any], types: Sequence[type], args: Sequence[Any], options: dict[str, Any], like: Any
) -> Any:
    """Return what a function of NumPy gives; see `numpy.ndarray.__array_function__`.

    Raises
    ------
    UnsupportedError
        For a function or an argument that is not there; the message names the way out.
    """
    if not all(t is np.ndarray or issubclass(t, Value) for t in types):
        return NotImplemented
    name = _name_of(function)
    twin = TWINS.get(function)
    if twin is None:
        raise UnsupportedError(f"{name} is not there for arrays on the GPU. {WAY_OUT}.")
    options = {k: v for k, v in options.items() if v is not np._NoValue}
    if twin in _functions_shape.LIKE:
        options["like"] = like
    try:
        return twin(*args, **options)
    except TypeError:
        _refuse_misfit(name, twin, args, options)
        raise
