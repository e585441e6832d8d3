"""docs/adapters.md and docs/selftest.md are what the adapters have answered, and name every probe."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from webgpu_widget._selftest.hazards import PROBES

pytestmark = pytest.mark.no_adapter
ROOT = pathlib.Path(__file__).parents[2]


def test_the_pages_are_made_of_the_answers():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "adapters.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_probe_is_on_the_page():
    page = (ROOT / "docs" / "adapters.md").read_text()
    answers = json.loads((ROOT / "docs" / "adapters" / "swiftshader.json").read_text())
    assert set(answers["hazards"]) == {probe.name for probe in PROBES}, "ask SwiftShader again: see tools/adapters.py"
    assert answers["ok"]
    for probe in PROBES:
        assert f"**{probe.name}**" in page
