"""Which host this is, what `auto` and `comm` mean there, and what one whose page cannot answer a cell is told."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import webgpu_widget as wg
from webgpu_widget.link import hosts
from webgpu_widget.link.hosts import unattended
from webgpu_widget.link.hosts.jupyter import Ipykernel6, Ipykernel7, Jupyter
from webgpu_widget.link.hosts.refusing import Marimo, Pyodide

NOTEBOOK = """
import marimo
app = marimo.App()

@app.cell
def made():
    import webgpu_widget as wg
    for make in (lambda: wg.GPU(), lambda: wg.GPU("comm"), lambda: wg.default_gpu(), lambda: wg.xp.zeros(3)):
        try:
            make()
        except wg.NoFrontendError as error:
            print("refused:", error)
        else:
            print("made")
    return
"""

SEEN_BY_NOBODY = """
import time
import webgpu_widget as wg
begun = time.monotonic()
try:
    wg.GPU()
except wg.NoFrontendError as error:
    print(f"refused after {time.monotonic() - begun:.1f} s: {error}")
"""


def kernel(**parts: Any) -> Any:
    return SimpleNamespace(session=SimpleNamespace(pid=os.getpid()), **parts)


KERNELS = {
    "ipykernel 7": (kernel(shell_channel_thread=1, shell_stream=1, shell_channel_thread_main=1), Ipykernel7),
    "ipykernel 6": (kernel(msg_queue=1, shell_stream=1), Ipykernel6),
    "another one": (kernel(), Jupyter),
}


def run_in(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("IPython")
    module.get_ipython = lambda: SimpleNamespace(kernel=running)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_known_by_what_it_has(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    running, kind = KERNELS[name]
    run_in(running, monkeypatch)
    host = hosts.here()
    assert type(host) is kind
    assert (host.has_page, host.transport, host.refusal) == (True, "comm", "")


def test_a_forked_child_of_a_kernel_runs_in_none(monkeypatch: pytest.MonkeyPatch) -> None:
    running, _ = KERNELS["ipykernel 7"]
    running = SimpleNamespace(**{**vars(running), "session": SimpleNamespace(pid=os.getpid() + 1)})
    run_in(running, monkeypatch)
    assert not hosts.here().has_page


def test_without_a_front_end_comm_is_refused_and_auto_is_headless() -> None:
    host = hosts.here()
    assert (type(host), host.has_page, host.transport) == (hosts.Host, False, "headless")
    with pytest.raises(wg.NoFrontendError, match="needs a Jupyter kernel.*'headless' or 'page'"):
        wg.GPU("comm")


def test_pyodide_is_refused_when_a_gpu_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    run_in(kernel(), monkeypatch)
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert type(hosts.here()) is Pyodide
    with pytest.raises(wg.NoFrontendError, match="kernel that runs outside the browser"):
        wg.GPU()


def test_marimo_run_as_a_script_is_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("marimo")
    module.running_in_notebook = lambda: False  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "marimo", module)
    assert type(hosts.here()) is hosts.Host
    module.running_in_notebook = lambda: True  # type: ignore[attr-defined]
    assert type(hosts.here()) is Marimo


def test_a_cell_of_marimo_is_told_at_once_what_to_write(tmp_path: pathlib.Path) -> None:
    notebook = tmp_path / "notebook.py"
    notebook.write_text(NOTEBOOK)
    command = [
        sys.executable,
        "-m",
        "marimo",
        "export",
        "ipynb",
        str(notebook),
        "--include-outputs",
        "-o",
        "made.ipynb",
    ]
    environment = {key: value for key, value in os.environ.items() if key != "WEBGPU_WIDGET_TRANSPORT"}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=240)
    told = (tmp_path / "made.ipynb").read_text()
    assert told.count("refused: marimo holds") == 4
    assert "transport='headless'" in told
    assert "made" not in [line.strip(' "\\n,') for line in told.splitlines()]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/opt/bin/python3.12 /opt/bin/jupyter-nbconvert --execute a.ipynb", "jupyter nbconvert"),
        ("python -m nbconvert --execute a.ipynb", "jupyter nbconvert"),
        ("python /opt/bin/jupyter nbconvert a.ipynb", "jupyter nbconvert"),
        ("/usr/bin/papermill a.ipynb b.ipynb", "papermill"),
        ("python /opt/bin/jupyter-execute a.ipynb", "jupyter execute"),
        ("python /opt/bin/voila a.ipynb", "Voila"),
        ("python -m pytest --nbval-lax a.ipynb", "pytest (nbval)"),
        ("python -m pytest tests/kernels", ""),
        ("python /opt/bin/jupyter-lab nbconvert", ""),
        ("python train.py execute", ""),
        ("python", ""),
        ("", ""),
    ],
)
def test_who_runs_a_notebook_unseen(command: str, said: str) -> None:
    assert unattended._runner(command.split()) == said


@pytest.mark.parametrize(
    ("command", "voila", "watched"),
    [("python -m papermill a b", "", False), ("python -m voila a", "x", True), ("python -m jupyterlab", "", True)],
)
def test_whose_outputs_are_seen_while_the_kernel_lives(
    monkeypatch: pytest.MonkeyPatch, command: str, voila: str, watched: bool
) -> None:
    monkeypatch.setattr(unattended, "_command_line", lambda _pid: command.split())
    if voila:
        monkeypatch.setenv("VOILA_KERNEL_ID", voila)
    unattended.refusal.cache_clear()
    try:
        assert unattended.is_watched() is watched
    finally:
        unattended.refusal.cache_clear()


def test_a_run_by_nbconvert_is_told_at_once_what_to_set(tmp_path: pathlib.Path) -> None:
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": "a",
                "metadata": {},
                "outputs": [],
                "source": SEEN_BY_NOBODY,
            }
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook))
    environment = {key: value for key, value in os.environ.items() if key != "WEBGPU_WIDGET_TRANSPORT"}
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "markdown", "--stdout", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=100)
    took, told = re.findall(r"refused after ([\d.]+) s: (.*)", done.stdout)[0]
    assert float(took) < 5, "no page is waited for"
    assert "jupyter nbconvert runs this notebook" in told
    assert "WEBGPU_WIDGET_TRANSPORT=headless" in told
