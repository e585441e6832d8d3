"""What people look for in JupyterLab out of habit: colours in ``%%wgsl``, Tab and help on kernels; and a card that says at once that a browser has no WebGPU."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from lab_harness import Lab, Notebook
from playwright.sync_api import Playwright

pytestmark = [pytest.mark.playwright, pytest.mark.no_adapter, pytest.mark.long]

MAGIC = """%%wgsl twice
// it's a comment
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = 2.0 * x[id.x]; }
}"""
COLOURED = (
    """(kind) => [...(CSS.highlights.get(`webgpu-widget-wgsl-${kind}`) ?? [])].map((range) => range.toString())"""
)
ASK = """async ([kind, code]) => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  const given = { code, cursor_pos: code.length };
  const { content } = kind === 'complete' ? await kernel.requestComplete(given) : await kernel.requestInspect({ ...given, detail_level: 0 });
  return kind === 'complete' ? content.matches : content.data['text/plain'] ?? '';
}"""
BROWSERS = {
    "Chrome on Linux": ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36", "--enable-unsafe-webgpu"),
    "Edge": ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 Safari/537.36 Edg/112.0.0.0", "113"),
    "Firefox on Linux": ("Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", "dom.webgpu.enabled"),
    "Safari": ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15", "26"),
}  # fmt: skip


def test_wgsl_is_coloured_and_kernels_answer_tab_and_help(notebook: Notebook, tmp_path: pathlib.Path) -> None:
    notebook.run("%load_ext webgpu_widget\nimport webgpu_widget as wg\ngpu = wg.GPU()\ngpu.ready()").ok()
    notebook.lab.messages.clear()
    cell = notebook.start(MAGIC)
    notebook.wait(cell).ok()
    page = notebook.page
    page.wait_for_function(f"() => ({COLOURED})('keyword').includes('fn')")
    # In pieces where Python's colours begin and end: here at the apostrophe.
    assert "".join(page.evaluate(COLOURED, "comment")) == "// it's a comment"
    assert set(page.evaluate(COLOURED, "keyword")) == {"var", "fn", "if"}
    assert {"array", "f32", "storage", "read", "read_write", "vec3u"} <= set(page.evaluate(COLOURED, "type"))
    assert {"main", "arrayLength"} <= set(page.evaluate(COLOURED, "function"))
    folder = pathlib.Path(os.environ.get("WEBGPU_WIDGET_SCREENSHOTS", tmp_path))
    page.locator(".jp-Notebook .jp-Cell").nth(cell).screenshot(path=str(folder / "wgsl_magic.png"))
    # It follows what is typed, and is no business of cells of Python.
    page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nconst PI = 3.14;")
    page.wait_for_function(f"() => ({COLOURED})('keyword').includes('const')")
    assert "import" not in page.evaluate(COLOURED, "keyword")
    # Tab and help.
    assert {"x=", "y=", "threads="} <= set(page.evaluate(ASK, ["complete", "twice("]))
    told = page.evaluate(ASK, ["inspect", "twice"])
    assert "x: array<f32>" in told.replace("'", "")
    assert "404" not in "".join(notebook.lab.messages)


@pytest.fixture
def browser_without_webgpu(lab: Lab, playwright: Playwright) -> Iterator[Any]:
    """Give a function that opens a JupyterLab in a browser of a name, which has no WebGPU."""
    made = Lab(lab.server, playwright)

    def open_as(user_agent: str) -> Notebook:
        made.context.close()
        made.context = made.browser.new_context(user_agent=user_agent, viewport={"width": 1280, "height": 900})
        made.context.set_default_timeout(60_000)
        made.context.add_init_script(
            "Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined, configurable: true });"
        )
        return made.notebook(name=f"without_{abs(hash(user_agent))}.ipynb")

    yield open_as
    made.close()


@pytest.mark.parametrize("name", BROWSERS)
def test_a_card_says_at_once_that_there_is_no_webgpu_and_what_to_do(browser_without_webgpu: Any, name: str) -> None:
    user_agent, what_to_do = BROWSERS[name]
    notebook = browser_without_webgpu(user_agent)
    try:
        notebook.run("import webgpu_widget as wg\ngpu = wg.GPU()\ngpu").ok()
        notebook.page.wait_for_selector(".webgpu-widget-status[data-mood=bad]", timeout=10_000)
        said = str(notebook.page.locator(".webgpu-widget-status").text_content())
        assert "no GPU" in said
        assert f"{name.split(maxsplit=1)[0]} {'112' if name == 'Edge' else ''}".strip() in said
        assert what_to_do in said
        # A call says the same, and soon.
        error = notebook.run("gpu.ready()", timeout=20).error
        assert error is not None
        assert error.startswith("NoAdapterError")
        assert what_to_do in error
    finally:
        notebook.close()
