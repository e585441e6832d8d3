"""The examples in docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pathlib

import pytest

import webgpu_widget

ROOT = pathlib.Path(webgpu_widget.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(["webgpu_widget", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text()
)


def test_there_are_examples():
    assert "webgpu_widget.gpu" in WITH_EXAMPLES


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of(name, gpu, monkeypatch):
    # Helpers without gpu= use the session's.
    monkeypatch.setattr("webgpu_widget.device.default._defaults.gpu", gpu)
    module = importlib.import_module(name)
    failures, attempted = doctest.testmod(
        module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS, extraglobs={"gpu": gpu}
    )
    assert attempted
    assert not failures
