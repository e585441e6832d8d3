"""Every view in JupyterLab's light and dark theme, narrow and wide: it can be read, nothing is cut off, and its picture is kept to be looked at.

WEBGPU_WIDGET_SCREENSHOTS names a folder for the pictures.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from lab_harness import Lab, Notebook

import webgpu_widget as wg

pytestmark = [pytest.mark.playwright, pytest.mark.no_adapter, pytest.mark.long]

WIDTHS = (430, 1600)
THEMES = ("JupyterLab Light", "JupyterLab Dark")
IMPORTS = "import numpy as np, time\nimport webgpu_widget as wg\nfrom webgpu_widget.shown import panel, pictures\nfrom webgpu_widget.cluster import views"
IMAGE = "fn image(position: vec2f) -> vec4f { return vec4f(position / iResolution.xy, gain, 1.0); }"
CELLS = {
    "card": "gpu = wg.GPU()\nx = gpu.array(np.ones(100_000, np.float32))\nprint(float(x.sum()))\ngpu",
    "card_with_error": "try:\n    gpu.run('fn main( { let y = ; }')\nexcept wg.ShaderError:\n    pass\ngpu",
    "card_closed": "over = wg.GPU()\nover.ready()\nover",
    "explorer": "explorer = wg.MandelbrotExplorer(height=360)\nexplorer",
    "shader": f"view = wg.ShaderView({IMAGE!r}, (480, 270), gpu, gain=0.5)\nview",
    "shader_with_problem": f"wrong = wg.ShaderView({IMAGE.replace('(position /', '(positon /')!r}, (480, 120), gpu, gain=0.5)\nwrong",
    "bars": """
loading = panel.Bar("model.safetensors", steerable=True)
loading.tell(0.42, "5.6 of 13.3 MB (42%) at 12.1 MB/s, about 1 s left", "loading")
failed, cancelled = panel.Bar("film zoom.mp4, 300 frames of 640 x 480"), panel.Bar("model.gguf")
failed.tell(0.3, "ValueError at 30%, after 1.2 s", "failed")
cancelled.tell(0.5, "cancelled: 6.6 of 13.3 MB (50%)", "cancelled")
film = panel.Bar("film zoom.gif, 30 frames of 320 x 240")
film.show(pictures.film_strip([np.full((240, 320, 3), (0, 40 * k, 120), np.uint8) for k in range(5)]))
film.tell(1.0, "done in 3.2 s", "done")
display(loading, failed, cancelled, film)""",
    "table": """
table = panel.TablePanel("Cluster of browsers", views._COLUMNS)
table.tell("3 browsers ready, 1 joining", [
    ["browser-1", "google swiftshader (CPU)", "working: product of 4,096 x 4,096", "12 (1 failed)", "3.4", "1.2 MiB", "13.4 MiB", "0 B", "5.2 MiB"],
    ["browser-2", "nvidia lovelace", "ready", "1024", "123.4", "12.2 MiB", "113.4 MiB", "1.5 GiB", "5.2 MiB"],
    ["browser-3", "apple metal-3", "gone: the page was closed", "3", "0.4", "1.2 KiB", "3.4 KiB", "0 B", "0 B"],
    ["browser-4", "intel gen-12lp", "joining", "0", "0.0", "0 B", "0 B", "0 B", "0 B"]])
table""",
}
VIEWS = {
    "card": ".webgpu-widget-status",
    "card_with_error": ".webgpu-widget-status",
    "card_closed": ".webgpu-widget-status",
    "explorer": ".wgmb",
    "shader": ".wgsv",
    "shader_with_problem": ".wgsv",
    "bars": ".wgpanel",
    "table": ".wgpanel",
}
# What is hard to read, or cut off, in the views of a cell.
FAULTS = r"""([index, selector]) => {
  const cell = index < 0 ? document.body : window.jupyterapp.shell.currentWidget.content.widgets[index].node;
  const found = [];
  const rgba = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d');
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((value, i) => value * a + below[i] * (1 - a));
  const background = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      layers.push(color);
      if (color[3] === 1) break;
    }
    const canvas = getComputedStyle(document.documentElement).colorScheme.includes('dark') && matchMedia('(prefers-color-scheme: dark)').matches ? 18 : 255;
    return layers.reverse().reduce((below, layer) => over(layer, below), [canvas, canvas, canvas]);
  };
  const luminance = (color) => color.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => { const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const views = cell.querySelectorAll(selector);
  if (!views.length) found.push('no view');
  for (const view of views) {
    const around = (view.closest('.jp-OutputArea-output') ?? document.body).getBoundingClientRect();
    const frame = view.getBoundingClientRect();
    if (frame.right > around.right + 1) found.push(`the view is ${frame.width} wide, its output ${around.width}`);
    for (const element of view.querySelectorAll('*')) {
      const text = [...element.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join('');
      const style = getComputedStyle(element);
      const box = element.getBoundingClientRect();
      if (!box.width || !box.height || style.visibility === 'hidden' || ['STYLE', 'OPTION'].includes(element.tagName)) continue;
      const scrolls = element.closest('.scroll, pre, .wgmb-bar');
      if (!scrolls && (box.right > frame.right + 1 || box.left < frame.left - 1 || box.bottom > frame.bottom + 1)) found.push(`${element.tagName}.${element.className} sticks out: ${text}`);
      const control = ['BUTTON', 'SELECT', 'INPUT'].includes(element.tagName);
      if (!(text || control) || element.disabled) continue;
      const below = background(element);
      const ratio = contrast(over(rgba(style.color), below), below);
      if (ratio < (text ? 4.5 : 3)) found.push(`${element.tagName}.${element.className} ${JSON.stringify(text || element.title)}: contrast ${ratio.toFixed(2)} of ${style.color} on ${below.map(Math.round)}`);
      const cut = style.overflowX !== 'visible' && element.scrollWidth > element.clientWidth + 1 && !element.title && !scrolls;
      if (cut && text) found.push(`${element.tagName}.${element.className} is cut: ${text}`);
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def story(lab: Lab) -> Iterator[tuple[Notebook, dict[str, int]]]:
    """All of them in one notebook."""
    notebook = lab.notebook()
    notebook.run(IMPORTS).ok()
    places = {}
    for name, source in CELLS.items():
        places[name] = notebook.start(source)
        notebook.wait(places[name]).ok()
    notebook.page.wait_for_selector(".wgmb[data-state=idle]")
    notebook.run("over.close()").ok()
    notebook.page.locator(".wgmb button[aria-label^='Coordinates']").first.click()
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    yield notebook, places
    notebook.page.set_viewport_size({"width": 1280, "height": 900})
    notebook.close()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_views_can_be_read_and_nothing_is_cut_off(
    story: tuple[Notebook, dict[str, int]], tmp_path: pathlib.Path, theme: str, width: int
) -> None:
    notebook, places = story
    page = notebook.page
    folder = pathlib.Path(os.environ.get("WEBGPU_WIDGET_SCREENSHOTS", tmp_path))
    page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.set_viewport_size({"width": width, "height": 1000})
    page.wait_for_function("(theme) => document.body.dataset.jpThemeName === theme", arg=theme)
    page.wait_for_timeout(500)
    faults: dict[str, Any] = {}
    for name, index in places.items():
        cell = page.locator(".jp-Notebook .jp-Cell").nth(index)
        cell.scroll_into_view_if_needed()
        page.wait_for_timeout(700)
        cell.screenshot(path=str(folder / f"{name}_{width}_{theme.split()[1].lower()}.png"))
        if name in VIEWS:
            found = page.evaluate(FAULTS, [index, VIEWS[name]])
            if found:
                faults[name] = found
    print(folder)
    assert not faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_of_a_gpu_follows_the_systems_colours(
    lab: Lab, tmp_path: pathlib.Path, scheme: Any, width: int
) -> None:
    folder = pathlib.Path(os.environ.get("WEBGPU_WIDGET_SCREENSHOTS", tmp_path))
    with wg.GPU(transport="page") as gpu:
        context = lab.browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 600})
        page = context.new_page()
        page.goto(str(gpu.url))
        page.wait_for_function("() => document.querySelector('.webgpu-widget-status')?.textContent.includes('ready')")
        page.screenshot(path=str(folder / f"page_{width}_{scheme}.png"))
        assert page.evaluate(FAULTS, [-1, ".webgpu-widget-status"]) == []
        assert page.evaluate("() => getComputedStyle(document.documentElement).colorScheme") == "light dark"
        context.close()
