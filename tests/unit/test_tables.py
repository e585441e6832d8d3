"""docs/weights.md and docs/wgsl.md are what `tools/tables.py` says."""

from __future__ import annotations

import importlib.util
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "tools" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.no_adapter
def test_what_is_decoded(tables):
    assert (ROOT / "docs" / "weights.md").read_text() == tables.weights_table(), "run: python tools/tables.py weights"


def test_what_is_taken(tables, gpu):
    page = (ROOT / "docs" / "wgsl.md").read_text()
    rows = re.findall(r"^\| (.+) \| (yes|no: .+) \| .*\|$", page, re.MULTILINE)
    assert [what for what, _ in rows] == list(tables.SAMPLES), "run: python tools/tables.py wgsl"
    for what, answer in re.findall(r"^\| (.+) \| (yes|no: .+) \| .*\|$", tables.wgsl_table(gpu), re.MULTILINE):
        # What the package takes is the same on every adapter; what a browser or adapter has not, its compiler says.
        assert answer == "yes" or "allowed" in answer or "max" in answer or "unrecognized" in answer, what
