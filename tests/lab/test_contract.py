"""The stories of every transport, in a notebook: over the fast lane, and over the comm alone."""

from __future__ import annotations

import json
import pathlib

import pytest
from lab_harness import Lab

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "contract"


@pytest.mark.parametrize("lane", ["1", "0"])
def test_comm(lab: Lab, lane: str) -> None:
    notebook = lab.notebook()
    try:
        notebook.run(
            f"import os, sys, json, time\nos.environ['WEBGPU_WIDGET_LANE'] = '{lane}'\nsys.path.insert(0, {str(FOLDER)!r})\nimport webgpu_widget as wg\nfrom stories import STORIES\ngpu = wg.GPU()\nok = []"
        ).ok()
        told = notebook.run(
            "for story in STORIES:\n    story(gpu)\n    ok.append(story.__name__)\nprint(json.dumps([ok, gpu._device.connection.on_lane]))",
            timeout=120,
        )
        names, on_lane = json.loads(told.ok().text)
        assert len(names) == notebook.run("print(json.dumps(len(STORIES)))").value
        assert on_lane == (lane == "1")
    finally:
        notebook.close()
