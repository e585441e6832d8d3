"""The selftest in a notebook's own page: it blocks in its cell, shows a bar and a table."""

from __future__ import annotations

import pytest
from lab_harness import Lab, Notebook

from webgpu_widget.arrays.matmul.choose import UNITS


def test_in_a_cell(notebook: Notebook) -> None:
    cell = notebook.run(
        """
import webgpu_widget as wg
gpu = wg.GPU()
report = wg.selftest(gpu, areas=["weights", "library"])
report""",
        timeout=120,
    ).ok()
    shown = cell.outputs[-1]["data"]
    table = "".join(shown["text/html"])
    assert "everything that this adapter runs is right" in table
    assert "<td style='text-align:left'>weights</td>" in table
    assert "transport   comm" in "".join(shown["text/plain"])
    assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in cell.outputs), (
        "no bar"
    )


@pytest.mark.long
def test_awaited_in_a_cell(notebook: Notebook) -> None:
    assert notebook.run(
        """
import json
import webgpu_widget as wg
report = await wg.selftest_async(wg.GPU(), areas="weights", progress=False)
print(json.dumps([report.ok, report.info.transport]))""",
        timeout=120,
    ).value == [True, "comm"]


def test_matrix_units_are_looked_for_by_the_names_of_the_browser(lab: Lab) -> None:
    page = lab.context.new_page()
    page.goto(f"http://127.0.0.1:{lab.server.port}/api")
    names = page.evaluate("() => globalThis.GPUSubgroupMatrixConfig && Object.keys(GPUSubgroupMatrixConfig.prototype)")
    page.close()
    assert names is None or set(names) >= set(UNITS)  # None: a browser that knows no subgroup matrices
