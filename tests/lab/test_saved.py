"""What a notebook's file keeps of views, and what it shows when it is opened again."""

from __future__ import annotations

import base64
import io
import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from lab_harness import Lab, Notebook
from PIL import Image

VIEW = "application/vnd.jupyter.widget-view+json"
EXPLORER = ".wgmb[data-state=idle]"
CARD = ".webgpu-widget-status"
WEIGHTS = pathlib.Path(__file__).parents[2] / "notebooks" / "tiny_t5" / "model.safetensors"


def in_file(notebook: Notebook) -> list[list[dict[str, Any]]]:
    """The outputs of each cell, once the file is written."""
    before = notebook.path.stat().st_mtime_ns
    notebook.save()
    end = time.monotonic() + 10
    while notebook.path.stat().st_mtime_ns == before and time.monotonic() < end:
        notebook.page.wait_for_timeout(50)
    return [cell["outputs"] for cell in json.loads(notebook.path.read_text())["cells"]]


def kept(output: dict[str, Any]) -> tuple[Image.Image, str]:
    """The picture and the line of an output that holds nothing else."""
    assert set(output["data"]) == {"image/png", "text/plain"}
    return Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"]))), "".join(output["data"]["text/plain"])


def wait_for_output(notebook: Notebook, cell: int, said: str) -> None:
    """Wait until what would be saved of a cell is without a view, and says something."""
    end = time.monotonic() + 30
    while True:
        output = in_file(notebook)[cell][-1]
        text = "".join(output["data"].get("text/plain", ""))
        if VIEW not in output["data"] and said in text:
            return
        assert time.monotonic() < end, output["data"].get("text/plain")
        notebook.page.wait_for_timeout(300)


@pytest.fixture(scope="module")
def story(lab: Lab) -> Iterator[Notebook]:
    """A card, an explorer that was moved, a bar that has reached its end, and a film, in cells 1 to 4."""
    notebook = lab.notebook()
    notebook.run("import json\nimport webgpu_widget as wg").ok()
    notebook.run("gpu = wg.GPU()\ngpu").ok()
    notebook.run("explorer = wg.MandelbrotExplorer(height=320)\nexplorer").ok()
    notebook.run(f"weights = wg.load_weights({str(WEIGHTS)!r}, gpu=gpu)\nweights.wait()").ok()
    notebook.page.wait_for_selector(EXPLORER)
    notebook.run("path = explorer.animate('zoom.gif', seconds=1, frames_per_second=10, size=(96, 64))").ok()
    yield notebook
    notebook.close()


def test_live_views_stand_where_their_pictures_are(story: Notebook) -> None:
    said = ["google swiftshader", "MandelbrotExplorer(", "done: 13.3 of 13.3 MB (100%)"]
    for cell, text in enumerate([*said, "film zoom.gif, 10 frames of 96 x 64: done in "], 1):
        wait_for_output(story, cell, text)
    for selector, count in ((CARD, 1), (".wgmb", 1), (".wgpanel[data-state=done]", 2), (".wgpanel img:visible", 1)):
        assert story.page.locator(selector).count() == count, selector
    strip = story.page.locator(".wgpanel img:visible")
    assert strip.evaluate("(image) => [image.naturalWidth, image.naturalHeight]") == [5 * 96 + 4 * 4, 64]
    assert story.page.locator("img[src^='data:image/png']:visible").count() == 0, "a picture beside its live view"


def test_the_file_has_a_picture_and_a_line_of_each_and_nothing_else(story: Notebook) -> None:
    outputs = in_file(story)
    for cell in (1, 2, 3, 4):
        picture, line = kept(outputs[cell][-1])
        assert "\n" not in line
        assert len(set(picture.convert("RGB").get_flattened_data())) > 8, "something is drawn"
    text = json.dumps(outputs)
    hub = story.run("from webgpu_widget.link.transports._hub import Hub\nprint(json.dumps(Hub.shared().netloc))").value
    for secret in (hub, "token", str(WEIGHTS.parent), str(story.path.parent)):
        assert secret not in text, secret


def test_the_picture_follows_the_mouse_and_the_view_stays_the_same(story: Notebook) -> None:
    page = story.page
    page.evaluate("() => { window.kept = document.querySelector('.wgmb'); }")
    canvas = page.locator(".wgmb-main")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"])
    before, _ = kept(in_file(story)[2][-1])
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(400)
    page.wait_for_selector(EXPLORER)
    width = story.run("print(json.dumps(explorer.width))").value
    wait_for_output(story, 2, width)
    after, line = kept(in_file(story)[2][-1])
    assert before.tobytes() != after.tobytes()
    assert width in line
    assert page.evaluate("() => window.kept === document.querySelector('.wgmb') && window.kept.isConnected")


def test_a_reloaded_page_has_the_live_views_again(story: Notebook) -> None:
    story.reload()
    story.page.wait_for_selector(EXPLORER)
    story.page.wait_for_selector(CARD, state="attached")
    width = story.run("explorer.width = '0.5'\nprint(json.dumps(explorer.width))").value
    story.page.wait_for_timeout(400)
    story.page.wait_for_selector(EXPLORER)
    assert f"width {width}" in story.page.locator(".wgmb-status").inner_text()


def test_a_restarted_kernel_leaves_what_is_shown(story: Notebook) -> None:
    story.restart()
    assert story.page.locator(".wgmb").count() == 1
    story.page.wait_for_function("() => document.querySelector('.wgmb-note').innerText.includes('run its cell again')")


def test_a_notebook_opened_again_shows_pictures(story: Notebook) -> None:
    path = story.path
    story.save()
    story.lab.messages.clear()
    again = story.lab.open(path)
    try:
        again.page.wait_for_function("() => document.querySelectorAll(\"img[src^='data:image/png']\").length >= 4")
        assert again.page.locator(".wgmb").count() == 0
        assert "Error displaying widget" not in again.page.locator("body").inner_text()
    finally:
        again.page.close()


@pytest.mark.long
def test_a_saved_view_without_a_kernel_asks_for_its_cell(lab: Lab) -> None:
    """As a host that keeps views in outputs saves it, and as this package did before."""
    notebook = lab.notebook()
    notebook.run("from IPython.display import display\nimport webgpu_widget as wg").ok()
    notebook.run("e = wg.MandelbrotExplorer(height=300)\ndisplay(e._repr_mimebundle_()[0], raw=True)").ok()
    notebook.page.wait_for_selector(EXPLORER)
    assert VIEW in in_file(notebook)[1][0]["data"]
    notebook.close()
    again = lab.open(notebook.path)
    try:
        again.page.wait_for_function(
            "() => document.querySelector('.wgmb-note')?.innerText.includes('run the cell again')", timeout=30_000
        )
    finally:
        again.close()
