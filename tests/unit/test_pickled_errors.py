"""Errors of the package, in other processes too."""

from __future__ import annotations

import inspect
import pickle
from types import FunctionType
from typing import Any

import pytest
from tblib import pickling_support

import webgpu_widget as wg

pytestmark = pytest.mark.no_adapter

ARGUMENTS: dict[str, Any] = {"line": 3, "column": 4, "wanted_bytes": 5, "limit_bytes": 2}


def _all(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(_all(sub) for sub in kind.__subclasses__() if sub.__module__.startswith("webgpu_widget")))


def test_every_error_survives_pickling():
    """Dask and multiprocessing send errors so; one that cannot be built again hides what a worker has met."""
    kinds = _all(wg.WebGPUWidgetError)
    assert {wg.BufferSizeError, wg.ShaderError, wg.BoundsError} <= kinds
    for kind in kinds:
        own = isinstance(kind.__init__, FunctionType)
        names = list(inspect.signature(kind).parameters) if own else ["message"]
        values = {name: ARGUMENTS.get(name, f"some {name}") for name in names if name not in ("faults", "outputs")}
        error = kind(*values.values())
        make, parts = pickling_support.pickle_exception(error)[:2]  # as Dask's workers do
        for again in (pickle.loads(pickle.dumps(error)), make(*parts)):  # noqa: S301 - made in this line
            assert type(again) is kind
            assert str(again) == str(error)
            assert vars(again) == vars(error)
