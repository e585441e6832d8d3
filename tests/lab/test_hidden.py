"""Views that nobody can see leave the GPU alone: in an output that is collapsed, and behind another tab of JupyterLab."""

from __future__ import annotations

import pytest
from lab_harness import Notebook
from test_shader_view_in_lab import MADE, until

pytestmark = [pytest.mark.playwright, pytest.mark.no_adapter, pytest.mark.long]

COUNT_SUBMITS = """() => {
  window.submits = 0;
  const submit = GPUQueue.prototype.submit;
  GPUQueue.prototype.submit = function (...given) { window.submits++; return submit.apply(this, given); };
}"""
COMMAND = "([name, args]) => window.jupyterapp.commands.execute(name, args)"
SELECT = "(index) => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }"
QUIET_MS = 1500


def submits(notebook: Notebook) -> int:
    """What is sent to the GPU in a while."""
    before = notebook.page.evaluate("() => window.submits")
    notebook.page.wait_for_timeout(QUIET_MS)
    return int(notebook.page.evaluate("() => window.submits")) - int(before)


def command(notebook: Notebook, name: str, cell: int | None = None) -> None:
    if cell is not None:
        notebook.page.evaluate(SELECT, cell)
    notebook.page.evaluate(COMMAND, [name, {}])


def at_rest(notebook: Notebook) -> None:
    """Wait until pictures under way are there: of a processor they take a moment."""
    for _ in range(20):
        if submits(notebook) == 0:
            return
    raise AssertionError("it goes on though nobody sees it")


@pytest.fixture
def story(notebook: Notebook) -> Notebook:
    """A shader that plays in cell 1, and an explorer in cell 2."""
    notebook.run("import webgpu_widget as wg").ok()
    notebook.page.evaluate(COUNT_SUBMITS)
    notebook.run(MADE).ok()
    until(notebook, lambda now: now["state"] == "playing" and now["frame"] > 3)
    notebook.run("explorer = wg.MandelbrotExplorer(height=240)\nexplorer").ok()
    notebook.page.wait_for_selector(".wgmb[data-state=idle]", timeout=60_000)
    notebook.page.locator(".wgsv").scroll_into_view_if_needed()
    return notebook


def test_a_collapsed_output_plays_no_more_and_goes_on_when_it_is_shown(story: Notebook) -> None:
    shown = until(story, lambda now: now["frame"] > 3)
    assert submits(story) > 0, "it plays"
    command(story, "notebook:hide-cell-outputs", 1)
    at_rest(story)
    # The kernel's own work is let through, and draws nothing.
    story.run("view.u_gain = 0.25").ok()
    at_rest(story)
    command(story, "notebook:show-cell-outputs", 1)
    story.page.locator(".wgsv").scroll_into_view_if_needed()
    back = until(story, lambda now: now["frame"] > shown["frame"] and now["state"] == "playing")
    assert back["time"] < shown["time"] + 2 + QUIET_MS / 1000, "time stood still meanwhile"


def test_behind_another_tab_nothing_plays(story: Notebook) -> None:
    panel = story.page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    command(story, "launcher:create")
    story.page.wait_for_function("(id) => window.jupyterapp.shell.currentWidget.id !== id", arg=panel)
    at_rest(story)
    story.page.evaluate("(id) => window.jupyterapp.shell.activateById(id)", panel)
    before = until(story, lambda now: now["state"] == "playing")
    until(story, lambda now: now["frame"] > before["frame"] + 2)


def test_an_explorer_that_is_hidden_computes_a_new_view_once_and_rests(story: Notebook) -> None:
    command(story, "notebook:hide-cell-outputs", 1)
    command(story, "notebook:hide-cell-outputs", 2)
    at_rest(story)
    story.run("explorer.width = '0.7'").ok()
    at_rest(story)
    command(story, "notebook:show-cell-outputs", 2)
    story.page.wait_for_function(
        "() => document.querySelector('.wgmb[data-state=idle] .wgmb-status')?.innerText.includes('width 0.7')"
    )
