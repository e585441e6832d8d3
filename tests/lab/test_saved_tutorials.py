"""The tutorials as they are saved, opened where no kernel has run them: in JupyterLab, trusted and not, and as nbconvert's HTML.

WEBGPU_WIDGET_SCREENSHOTS names a folder for pictures of them.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import nbformat
import pytest
from lab_harness import Lab
from playwright.sync_api import Page

pytestmark = [pytest.mark.playwright, pytest.mark.no_adapter, pytest.mark.long]

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "notebooks"
TUTORIALS = sorted([*FOLDER.glob("*.ipynb"), *FOLDER.glob("gallery/*.ipynb")])
UNTRUSTED = ("01_first_kernel",)
"""It has HTML in its outputs; one with pictures and text alone is trusted by anybody."""
# Pictures that are shown, of all in the notebook's outputs, and whether each of them has come.
SHOWN = """() => {
  const images = [...document.querySelectorAll(".jp-OutputArea-output img, .output_png img, .jp-RenderedImage img")];
  return new Set(images.filter((image) => image.complete && image.naturalWidth > 1 && image.getBoundingClientRect().width > 1)).size;
}"""


def pictures(path: pathlib.Path) -> int:
    """How many outputs have one."""
    shown: list[dict[str, Any]] = [
        output.get("data", {}) for cell in nbformat.read(path, 4).cells for output in cell.get("outputs", [])
    ]
    return sum("image/png" in data for data in shown)


def keep(page: Page, name: str) -> None:
    folder = os.environ.get("WEBGPU_WIDGET_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(pathlib.Path(folder) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_page_of_nbconvert_shows_its_pictures_and_no_widget(
    lab: Lab, path: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--output-dir", str(tmp_path), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page = lab.browser.new_page(viewport={"width": 1000, "height": 1000})
    try:
        page.route("http*://**", lambda route: route.abort())  # nothing beside the file
        page.goto((tmp_path / f"{path.stem}.html").as_uri())
        page.wait_for_timeout(500)
        keep(page, f"html_{path.stem}")
        assert page.evaluate(SHOWN) == pictures(path)
        text = "".join(page.locator(".jp-OutputArea-output").all_inner_texts())
        assert "Error displaying widget" not in text
        assert "Slider(" not in text, "an ipywidgets widget without its kernel is a line of its parameters"
    finally:
        page.close()


@pytest.mark.parametrize(
    ("path", "trusted"),
    [(path, trusted) for path in TUTORIALS for trusted in (True, False) if trusted or path.stem in UNTRUSTED],
    ids=lambda given: given.stem if isinstance(given, pathlib.Path) else "trusted" if given else "untrusted",
)
def test_jupyterlab_shows_its_pictures_without_running_it(lab: Lab, path: pathlib.Path, trusted: bool) -> None:
    copy = lab.server.notebooks / f"{'trusted' if trusted else 'untrusted'}_{path.name}"
    shutil.copy(path, copy)
    if not trusted:
        # Trust is by the content: of one that was trusted every copy is.
        changed = json.loads(path.read_text())
        changed["cells"].append({"cell_type": "markdown", "id": "more", "metadata": {}, "source": ["More."]})
        copy.write_text(json.dumps(changed))
    if trusted:
        environment = {**os.environ, "JUPYTER_DATA_DIR": str(lab.server.folder / "data")}
        subprocess.run([sys.executable, "-m", "jupyter", "trust", str(copy)], check=True, env=environment, timeout=60)
    notebook = lab.open(copy)
    try:
        page = notebook.page
        is_trusted = "() => [...window.jupyterapp.shell.currentWidget.model.cells].filter((c) => c.type === 'code').every((c) => c.trusted)"
        assert page.evaluate(is_trusted) is trusted
        # Cells are drawn when they come near: all of them, from the first to the last.
        for cell in range(int(page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length"))):
            page.evaluate("(i) => window.jupyterapp.shell.currentWidget.content.scrollToItem(i)", cell)
            page.wait_for_timeout(60)
        page.wait_for_timeout(500)
        assert page.evaluate(SHOWN) == pictures(path)
        text = page.locator(".jp-Notebook").inner_text()
        assert "Error displaying widget" not in text
        assert "Loading widget" not in text
        assert page.locator(".wgsv, .wgmb, .wgpanel, .webgpu-widget-status").count() == 0, "nothing of it runs"
    finally:
        notebook.close()
