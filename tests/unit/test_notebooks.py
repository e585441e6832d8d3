"""The tutorials as files: nothing bulky or secret in them."""

from __future__ import annotations

import pathlib

import nbformat
import pytest

TUTORIALS = sorted((pathlib.Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial_holds_no_widget_state_and_no_token(path: pathlib.Path) -> None:
    notebook = nbformat.read(path, 4)
    assert "widgets" not in notebook.metadata
    assert "?token=" not in path.read_text()
    assert path.stat().st_size < 1_000_000
