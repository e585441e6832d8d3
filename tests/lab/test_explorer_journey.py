"""The explorer from end to end: by the mouse from the whole set to 1e-1000 and back, and what of it lasts."""

from __future__ import annotations

import base64
import json
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from lab_harness import Lab
from test_explorer import IDLE, Opened
from test_saved import in_file, kept, wait_for_output

from webgpu_widget import mandelbrot
from webgpu_widget.mandelbrot.numbers import exact, exact_point, log2_abs
from webgpu_widget.mandelbrot.points import cycle_point
from webgpu_widget.reference.mandelbrot import exact_count

pytestmark = [pytest.mark.playwright, pytest.mark.no_adapter, pytest.mark.long]

MANDELBROT = pathlib.Path(__file__).parents[1] / "mandelbrot"
PLACES = {entry["name"]: entry for entry in json.loads((MANDELBROT / "places.json").read_text())}
SPIRAL = cycle_point(exact_point(-0.10109636384562 + 0.95628651080914j, "c"), 4, 1, -1100 * math.log2(10))
"""A point whose orbit comes to a fixed one in its fourth step: at any depth a spiral is about it, and nearly everything escapes."""
STEP = 240 * 0.0025
"""Natural logarithm of the largest zoom by one turn of the wheel."""
MAKE = """
import json
import webgpu_widget as wg
explorer = wg.MandelbrotExplorer(height=200)
explorer.layout.width = "140px"
explorer.scale, explorer.cycle = "linear", 0.25
explorer
"""
"""Sixteen counts are one run through the palette, so that a count that is wrong by one is another colour."""

# What the picture looks like at each frame, by a copy of 24 x 16 pixels: the least part of it that was not black.
_WATCH = """() => {
  const small = document.createElement('canvas');
  small.width = 24; small.height = 16;
  const context = small.getContext('2d', { willReadFrequently: true });
  const seen = { frames: 0, least: 1, where: '' };
  window.seen = seen;
  const look = () => {
    const main = document.querySelector('.wgmb-main');
    if (main && main.width > 1) {
      context.clearRect(0, 0, 24, 16);
      context.drawImage(main, 0, 0, 24, 16);
      const { data } = context.getImageData(0, 0, 24, 16);
      let lit = 0;
      for (let at = 0; at < data.length; at += 4) {
        if (data[at] + data[at + 1] + data[at + 2] > 0) lit++;
      }
      seen.frames++;
      if (lit / 384 < seen.least) {
        seen.least = lit / 384;
        seen.where = document.querySelector('.wgmb-status').innerText;
      }
    }
    window.watching = requestAnimationFrame(look);
  };
  look();
}"""
# Turns of the wheel by events of the page's own, a few a frame, as a fast wheel makes them.
_TURN = """([count, delta]) => new Promise((resolve) => {
  const canvas = document.querySelector('.wgmb-main');
  const box = canvas.getBoundingClientRect();
  const place = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
  const turn = () => {
    for (let i = 0; i < 6 && count > 0; i++, count--)
      canvas.dispatchEvent(new WheelEvent('wheel', { ...place, deltaY: delta, bubbles: true, cancelable: true }));
    if (count > 0) requestAnimationFrame(turn);
    else resolve();
  };
  turn();
})"""
# The picture's middle on a whole pixel of the page: a wheel event has no finer place, and what is under it is held.
_ALIGN = """() => {
  const root = document.querySelector('.wgmb');
  const canvas = document.querySelector('.wgmb-main');
  root.style.translate = '';
  const box = canvas.getBoundingClientRect();
  const off = (start, size) => Math.round(start + size / 2) - (start + size / 2);
  root.style.translate = `${off(box.left, box.width)}px ${off(box.top, box.height)}px`;
}"""
_RUN_FIRST = """() => {
  const { content } = window.jupyterapp.shell.currentWidget;
  content.activeCellIndex = 0;
  content.deselectAll();
  window.jupyterapp.commands.execute('notebook:run-cell');
}"""


class Journey(Opened):
    """An explorer that is driven to places."""

    def middle(self) -> tuple[float, float]:
        self.canvas.scroll_into_view_if_needed()
        self.page.evaluate(_ALIGN)
        return super().middle()

    def begin_at(self, center: tuple[str, str], width: str = "3") -> None:
        """Type coordinates."""
        self.press("Coordinates")
        panel = self.page.locator(".wgmb-panel")
        for k, text in enumerate((*center, width)):
            panel.locator("input").nth(k).fill(text)
        panel.locator("button").click()
        self.settle()
        self.press("Coordinates")

    def wheel_to(self, width: Any) -> None:
        """Turn the wheel over the middle until the view has about a width: the first and the last turns are the mouse's own."""
        now = log2_abs(exact(self.python("explorer.width"), "width"))
        way = (log2_abs(exact(width, "width")) - now) * math.log(2)
        turns, delta = math.ceil(abs(way) / STEP), math.copysign(240.0, way)
        x, y = self.middle()
        self.page.mouse.move(x, y)
        own = min(12, turns)
        for _ in range(own // 2):
            self.page.mouse.wheel(0, delta)
        self.page.evaluate(_TURN, [turns - own, delta])
        for _ in range(own - own // 2):
            self.page.mouse.wheel(0, delta)

    def at_rest(self, seconds: float = 100) -> None:
        """Wait until the pixels that float32 cannot tell are refined, too."""
        self.settle(seconds)
        self.page.wait_for_selector(".wgmb[data-refined]:not([data-refined=''])", timeout=1000 * seconds)

    def seen(self) -> dict[str, Any]:
        """What was seen at each frame since `_WATCH`."""
        told = dict(self.page.evaluate("() => seen"))
        print(f"{told['frames']} frames; least part that was not black {told['least']:.3f}: {told['where']}")
        return told

    def compare(self, pixels: int, rng: np.random.Generator) -> None:
        """Hold the canvas against the colours of counts, and some of those counts against exact arithmetic."""
        shown = self.pixels()
        height, width, _ = shown.shape
        made = self.notebook.run(
            f"made = explorer.render(({width}, {height}))\nimport base64\n"
            "print(json.dumps([made.view.to_dict(), made.iterations.tolist(), base64.b64encode(made.rgba(**explorer.colors)[..., :3].tobytes()).decode()]))",
            timeout=100,
        ).value
        view = mandelbrot.View.from_dict(made[0])
        wanted = np.frombuffer(base64.b64decode(made[2]), np.uint8).reshape(height, width, 3).astype(int)
        assert np.abs(shown - wanted).max() <= 2
        for row, column in rng.integers((height, width), size=(pixels, 2)).tolist():
            assert made[1][row][column] == exact_count(view, column, row), (row, column)


@pytest.fixture
def journey(lab: Lab) -> Iterator[Journey]:
    notebook = lab.notebook()
    notebook.run(MAKE).ok()
    made = Journey(notebook)
    made.page.wait_for_selector(IDLE, timeout=60_000)
    yield made
    notebook.close()


def open_panels_and_close_them(journey: Journey) -> None:
    """A panel below changes nothing of the picture."""
    shown, before = journey.pixels(), journey.data
    for _ in range(2):
        for label in ("Edit the palette", "Coordinates"):
            journey.press(label)
        journey.page.wait_for_timeout(300)
        assert np.array_equal(journey.pixels(), shown)
    assert journey.data == before


def take_along(journey: Journey, deep: str, folder: pathlib.Path) -> str:
    """Save a PNG, look into the notebook's file, and give the link that is copied."""
    page, notebook, shown = journey.page, journey.notebook, journey.pixels()
    with page.expect_download() as download:
        journey.press("Save as PNG")
    download.value.save_as(folder / "deep.png")
    saved = mandelbrot.load(folder / "deep.png")
    assert saved.view.width == deep
    assert saved.rgba is not None
    assert np.array_equal(saved.rgba[..., :3], shown)
    wait_for_output(notebook, 0, deep)
    picture, _ = kept(in_file(notebook)[0][-1])
    height, width, _ = shown.shape
    in_the_file = np.asarray(picture.convert("RGB")).astype(int)[:height, :width]
    assert np.abs(in_the_file - shown).mean() < 6, "the same picture in 256 colours"
    journey.press("Copy a link")
    page.wait_for_function("() => document.querySelector('.wgmb-note').textContent.includes('Copied')")
    return str(page.evaluate("() => navigator.clipboard.readText()"))


def drag_at_depth(journey: Journey, deep: str) -> None:
    """What is under the mouse stays under it; and back."""
    page, width = journey.page, journey.pixels().shape[1]
    center = journey.python("explorer.center")
    x, y = journey.middle()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=4)
    page.mouse.up()
    journey.settle(100)
    moved = exact(journey.python("explorer.center[0]"), "re") - exact(center[0], "re")
    assert float(moved / exact(deep, "width")) == pytest.approx(-40 / width, rel=1e-3)
    journey.press("Back")
    journey.settle(100)


def go_home(journey: Journey) -> None:
    journey.press("Whole set")
    journey.settle()
    assert journey.python("[explorer.width, explorer.auto_iterations]") == ["3.5", True]
    assert journey.data["method"] == "direct"


def follow(journey: Journey, link: str) -> None:
    journey.press("Coordinates")
    journey.page.locator(".wgmb-panel input").nth(0).fill(link)
    journey.page.locator(".wgmb-panel button").click()
    journey.at_rest()
    journey.press("Coordinates")


def test_the_mouse_goes_to_1e_1000_and_back_and_what_is_kept_brings_it_there_again(
    journey: Journey, rng: np.random.Generator, tmp_path: pathlib.Path
) -> None:
    page, notebook = journey.page, journey.notebook
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    journey.begin_at(mandelbrot.make_view(SPIRAL, "1e-1010").center)
    page.evaluate(_WATCH)
    journey.wheel_to("1e-1000")
    journey.at_rest()
    assert journey.seen()["least"] > 0.02, "blank on the way in"
    deep = journey.python("explorer.width")
    assert exact("1e-1001", "width") < exact(deep, "width") <= exact("1e-1000", "width")
    assert journey.data["method"] == "bla"
    shown = journey.pixels()
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 100
    journey.compare(12, rng)
    open_panels_and_close_them(journey)
    link = take_along(journey, deep, tmp_path)
    drag_at_depth(journey, deep)
    journey.wheel_to("3")
    journey.settle()
    assert journey.seen()["least"] > 0.02, "blank on the way out"
    go_home(journey)
    follow(journey, link)
    assert journey.python("explorer.width") == deep
    assert np.array_equal(journey.pixels(), shown)
    # The page is loaded anew, and then the kernel goes.
    notebook.reload()
    page.wait_for_selector(IDLE, timeout=60_000)
    journey.at_rest()
    assert journey.python("explorer.width") == deep
    journey.compare(4, rng)
    shown = journey.pixels()
    notebook.restart()
    page.wait_for_function("() => document.querySelector('.wgmb-note').textContent.includes('run its cell again')")
    assert np.array_equal(journey.pixels(), shown)
    page.evaluate(_RUN_FIRST)
    # Text, shown or not: the cell may be scrolled away.
    page.wait_for_function("() => document.querySelector('.wgmb-status')?.textContent.includes('width 3.5')")
    journey.canvas.scroll_into_view_if_needed()
    journey.settle()
    assert journey.python("explorer.width") == "3.5"


@pytest.mark.parametrize("name", ["floral_fantasy", "mitosis2"])
def test_the_mouse_goes_to_a_posted_place_and_back(journey: Journey, rng: np.random.Generator, name: str) -> None:
    place = PLACES[name]
    wanted = 4 / exact(place["zoom"], "zoom")
    journey.begin_at(tuple(place["center"]))
    journey.page.evaluate(_WATCH)
    journey.wheel_to(wanted)
    journey.at_rest()
    assert journey.seen()["least"] > 0.02
    assert 0.5 < float(exact(journey.python("explorer.width"), "width") / wanted) <= 1.0
    assert int(journey.data["refined"]) > 0
    journey.compare(30, rng)
    go_home(journey)
