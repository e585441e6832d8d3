"""Every tutorial and example, run to its end in a real JupyterLab, over the comm of its page."""

from __future__ import annotations

import pathlib
import shutil

import nbformat
import pytest
from lab_harness import Lab

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
TUTORIALS = sorted(
    path.relative_to(FOLDER).as_posix() for path in [*FOLDER.glob("*.ipynb"), *FOLDER.glob("gallery/*.ipynb")]
)
SHORT = "01_first_kernel.ipynb"
LIMIT_S = 240


def _may_raise(path: pathlib.Path) -> set[int]:
    cells = nbformat.read(path, 4).cells
    return {index for index, cell in enumerate(cells) if "raises-exception" in cell.metadata.get("tags", [])}


def test_there_are_tutorials():
    assert SHORT in TUTORIALS


def test_a_run_of_all_cells_goes_on_after_one_that_raises(lab: Lab) -> None:
    sources = ["1 / 0", "import time", "for _ in range(5):\n    time.sleep(0.3)", "time.sleep(0.5)\nprint('the end')"]
    notebook = lab.notebook(sources, may_raise=[0])
    try:
        cells = notebook.run_all([0], 30)
        assert "ZeroDivisionError" in str(cells[0].error)
        assert cells[3].text == "the end\n"
    finally:
        notebook.close()


def test_a_run_of_all_cells_says_which_one_raised(lab: Lab) -> None:
    notebook = lab.notebook(["1 + 1", "1 / 0", "print('never')"])
    try:
        with pytest.raises(AssertionError, match="cell 1 raised ZeroDivisionError"):
            notebook.run_all([], 30)
    finally:
        notebook.close()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == SHORT else [pytest.mark.long]) for name in TUTORIALS]
)
def test_tutorial_runs_to_its_end(lab: Lab, name: str) -> None:
    for entry in FOLDER.iterdir():
        target = lab.server.notebooks / entry.name
        if entry.is_dir() and not entry.name.startswith(".") and not target.exists():
            shutil.copytree(entry, target)
    path = lab.server.notebooks / pathlib.Path(name).name
    shutil.copy(FOLDER / name, path)
    may_raise = _may_raise(path)
    notebook = lab.open(path)
    try:
        cells = notebook.run_all(may_raise, LIMIT_S)
        assert {index for index, cell in cells.items() if cell.error} == may_raise
    finally:
        notebook.close()
