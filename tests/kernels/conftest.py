"""Real kernels of several ipykernels, each started once, and the matrix printed at the end."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
from front_end import FrontEnd

CACHE = pathlib.Path(__file__).resolve().parents[2] / ".cache"
VERSIONS = ("6.30.1", "7.0.1", "7.3.0", "7.4.0")
KINDS = [f"{version}-plain" for version in VERSIONS] + [
    f"{version}-subshell" for version in VERSIONS if not version.startswith("6.")
]
SOON = {"6.30.1-plain", "7.0.1-plain", "7.4.0-subshell"}
"""One a way of waiting, and the oldest and newest of each; the others are long."""


def overlay(version: str) -> pathlib.Path:
    """Return a folder with that ipykernel and nothing else; the rest comes from this environment."""
    folder = CACHE / f"ipykernel-{version}"
    if not (folder / "ipykernel_launcher.py").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--target", str(folder), f"ipykernel=={version}"], check=True, timeout=120)
    return folder


@pytest.fixture(
    scope="session", params=[pytest.param(kind, marks=[] if kind in SOON else [pytest.mark.long]) for kind in KINDS]
)
def kernel(request: pytest.FixtureRequest) -> Iterator[FrontEnd]:
    """A kernel with a scripted front end: versions, plain and with comm messages on a subshell."""
    version, kind = request.param.split("-")
    made = FrontEnd(overlay(version), subshells=kind == "subshell")
    found = made.run(
        "import asyncio, json, threading, time\n"
        "import numpy as np, ipykernel, webgpu_widget as wg\n"
        "from fake_page import SQUARE, COUNT\n"
        "a = np.arange(1000, dtype=np.float32)\n"
        "print(ipykernel.__version__)",
        60,
    )
    assert found == version
    yield made
    made.close()
    assert not made.crashes, made.crashes


@pytest.fixture
def front(kernel: FrontEnd) -> Iterator[FrontEnd]:
    """The kernel, with the front end as it is at first."""
    kernel.page_options = {"loopback": False}
    kernel.make_pages = 1
    kernel.pages_when, kernel.cross = "opened", lambda content, buffers: (content, buffers)
    kernel.displays.clear()
    yield kernel
    assert not kernel.crashes, kernel.crashes


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print tests by kernels."""
    rows: dict[str, dict[str, str]] = {}
    for outcome, mark in (("passed", "ok"), ("failed", "FAIL"), ("error", "ERROR")):
        for report in terminalreporter.stats.get(outcome, []):
            path, _, name = report.nodeid.partition("::")
            if "tests/kernels" in path and "[" in name:
                test, _, kind = name.rstrip("]").partition("[")
                column = next((known for known in KINDS if kind.startswith(known)), None)
                if column is not None:
                    row = rows.setdefault(test + kind.removeprefix(column), {})
                    row[column] = mark
    if rows and os.environ.get("WEBGPU_WIDGET_QUIET") is None:
        width = max(map(len, rows))
        terminalreporter.section("kernels")
        terminalreporter.line(" " * width + "  " + "  ".join(f"{column:>14}" for column in KINDS))
        for name, row in rows.items():
            terminalreporter.line(f"{name:{width}}  " + "  ".join(f"{row.get(column, '-'):>14}" for column in KINDS))
