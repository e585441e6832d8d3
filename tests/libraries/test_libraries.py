"""Calls of scikit-learn, SciPy, array-api-extra and xarray on arrays of the GPU give what they give on NumPy's."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import subprocess
import sys

import pytest
from libraries.calls import CALLS

ROOT = pathlib.Path(__file__).parents[2]


@functools.cache
def verdicts(library: str) -> dict[str, str]:
    """Run the calls of a library, which must hear at its import that arrays of others come."""
    done = subprocess.run(
        [sys.executable, str(pathlib.Path(__file__).with_name("calls.py")), library],
        env={**os.environ, "SCIPY_ARRAY_API": "1", "WEBGPU_WIDGET_TRANSPORT": "headless"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.long
@pytest.mark.parametrize(
    ("library", "call"), [(name, call) for name, parts in CALLS.items() for calls in parts.values() for call in calls]
)
def test_a_call_gives_what_it_gives_on_numpy(library, call):
    assert verdicts(library)[call] == ""


def test_the_table_is_up_to_date():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "libraries.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
