"""The demo looks at where its picture goes before it works."""

from __future__ import annotations

import time

import pytest

from webgpu_widget.__main__ import main

pytestmark = pytest.mark.no_adapter


@pytest.mark.parametrize("name", ["nowhere/x.png", "x.xyz", "picture"])
def test_a_path_that_cannot_be_written_is_refused_at_once(capsys, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    begun = time.monotonic()
    assert main(["demo", "--output", name]) == 1
    assert time.monotonic() - begun < 2
    said = capsys.readouterr().out
    assert "ViewError" in said
    assert ("is not there" if "/" in name else ".png or .npz") in said
