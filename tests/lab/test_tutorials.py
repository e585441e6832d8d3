"""Every tutorial, run to its end in a real JupyterLab, over the comm of its page."""

from __future__ import annotations

import pathlib
import shutil
import time

import nbformat
import pytest
from lab_harness import Lab

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
TUTORIALS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
LIMIT_S = 240

_RUN_ALL = (
    "() => { window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => { window.__ran = true; }); }"
)
_DONE = """() => window.__ran === true && window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"""
_OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.type === 'code' ? {
  count: cell.model.executionCount, outputs: Array.from({length: cell.model.outputs.length}, (_, i) => cell.model.outputs.get(i).toJSON()) } : null)"""


def test_there_are_tutorials():
    assert "01_first_kernel.ipynb" in TUTORIALS


@pytest.mark.parametrize("name", TUTORIALS)
def test_tutorial_runs_to_its_end(lab: Lab, name: str) -> None:
    for entry in FOLDER.iterdir():
        target = lab.server.notebooks / entry.name
        if entry.is_dir() and not entry.name.startswith(".") and not target.exists():
            shutil.copytree(entry, target)
    path = lab.server.notebooks / name
    shutil.copy(FOLDER / name, path)
    may_raise = {
        index
        for index, cell in enumerate(nbformat.read(path, 4).cells)
        if "raises-exception" in cell.metadata.get("tags", [])
    }
    notebook = lab.open(path)
    try:
        notebook.page.evaluate(_RUN_ALL)
        end = time.monotonic() + LIMIT_S
        while not notebook.page.evaluate(_DONE):
            assert time.monotonic() < end, f"{name} has not ended after {LIMIT_S} s"
            notebook.page.wait_for_timeout(250)
        notebook.page.wait_for_timeout(500)
        for index, cell in enumerate(notebook.page.evaluate(_OUTPUTS)):
            if cell is None:
                continue
            assert cell["count"] is not None, f"cell {index} of {name} has not run"
            raised = [out for out in cell["outputs"] if out["output_type"] == "error"]
            assert bool(raised) == (index in may_raise), f"cell {index} of {name}: {raised[:1]}"
    finally:
        notebook.close()
