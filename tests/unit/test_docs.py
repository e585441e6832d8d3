"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pathlib
import re

import numpy as np
import pytest

import webgpu_widget
import webgpu_widget as wg

ROOT = pathlib.Path(webgpu_widget.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(["webgpu_widget", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text()
)
FLOAT = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?")


class Checker(doctest.OutputChecker):
    """Lets a float differ by 2e-6 of itself: float32 has 24 bits, and a quotient on a GPU an error of 2.5 of their last places, 3e-7."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        """Compare floats as numbers, and all that is around them as text."""
        wanted, found = FLOAT.findall(want), FLOAT.findall(got)
        if len(wanted) == len(found) and np.allclose([float(n) for n in found], [float(n) for n in wanted], 2e-6, 0):
            want, got = re.sub(r" *#", "#", FLOAT.sub("#", want)), re.sub(r" *#", "#", FLOAT.sub("#", got))
        return super().check_output(want, got, optionflags)


def failures(module: object, names: dict[str, object]) -> tuple[int, int]:
    """Return how many examples of a module fail, and how many there are."""
    runner = doctest.DocTestRunner(Checker(), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for test in doctest.DocTestFinder().find(module, extraglobs=names):
        runner.run(test)
    return runner.failures, runner.tries


def test_there_are_examples():
    assert "webgpu_widget.gpu" in WITH_EXAMPLES


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of(name, gpu, monkeypatch):
    # Helpers without gpu= use the session's.
    monkeypatch.setattr("webgpu_widget.device.default._defaults.gpu", gpu)
    failed, tried = failures(importlib.import_module(name), {"gpu": gpu, "np": np, "wg": wg, "xp": wg.xp})
    assert tried
    assert not failed


@pytest.mark.no_adapter
def test_floats_are_compared_as_numbers_and_the_rest_as_text():
    check = Checker().check_output
    assert check("[1.571, 2. ]\n", "[1.5710001, 2.        ]\n", doctest.NORMALIZE_WHITESPACE)
    assert not check("[1.571, 2. ]\n", "[1.5711, 2. ]\n", doctest.NORMALIZE_WHITESPACE)
    assert not check("[1.571] float32\n", "[1.571] float16\n", doctest.NORMALIZE_WHITESPACE)
    assert not check("[1, 2]\n", "[1, 3]\n", doctest.NORMALIZE_WHITESPACE)
