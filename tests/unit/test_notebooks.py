"""The tutorials as files: nothing bulky or secret in them."""

from __future__ import annotations

import pathlib
import re

import nbformat
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
TUTORIALS = sorted([*FOLDER.glob("*.ipynb"), *FOLDER.glob("gallery/*.ipynb")])
DRAWING = ["08_live.ipynb", *sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("gallery/*.ipynb"))]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_holds_no_widget_state_and_no_token(path: pathlib.Path) -> None:
    notebook = nbformat.read(path, 4)
    assert "widgets" not in notebook.metadata
    assert "?token=" not in path.read_text()
    assert path.stat().st_size < 1_000_000
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not any("application/vnd.jupyter.widget-view+json" in data for data in shown), (
        "an error stands there where the notebook is opened again: run tools/tutorials.py"
    )


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_formulas_have_single_backslashes(path: pathlib.Path) -> None:
    texts = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
    assert not [found for text in texts for found in re.findall(r"\\\\[a-z]+", text)], "TeX takes two for a new line"


@pytest.mark.parametrize("name", DRAWING)
def test_what_plays_in_a_notebook_has_its_picture_saved(name: str) -> None:
    notebook = nbformat.read(FOLDER / name, 4)
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in data for data in shown)
    views = [data for data in shown if "".join(data.get("text/plain", "")).startswith("ShaderView")]
    assert all("image/png" in data and "run the cell again" in "".join(data["text/plain"]) for data in views)


def test_the_gallery_has_its_six_examples() -> None:
    assert len(DRAWING) >= 7
