"""The Mandelbrot explorer in a real JupyterLab, moved with a real mouse, and what Python sees of it."""

from __future__ import annotations

import io
import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from lab_harness import Lab, Notebook
from PIL import Image
from playwright.sync_api import Locator, Page

from webgpu_widget import mandelbrot
from webgpu_widget.mandelbrot.numbers import exact

PLACES = pathlib.Path(__file__).parents[1] / "mandelbrot" / "places.json"
ROOT = ".wgmb"
IDLE = ".wgmb[data-state=idle]"


class Opened:
    """An explorer in a page."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.page: Page = notebook.page

    @property
    def canvas(self) -> Locator:
        return self.page.locator(".wgmb-main")

    @property
    def data(self) -> dict[str, str]:
        return dict(self.page.evaluate("() => ({...document.querySelector('.wgmb').dataset})"))

    def settle(self, seconds: float = 60) -> None:
        """Wait until the picture is whole and Python has been told."""
        self.page.wait_for_timeout(350)
        self.page.wait_for_selector(IDLE, timeout=1000 * seconds)

    def press(self, label: str) -> None:
        self.page.locator(f'.wgmb-bar button[aria-label^="{label}"]').click()

    def key(self, key: str) -> None:
        """Press a key on the picture; running a cell takes the focus away."""
        self.canvas.focus()
        self.page.keyboard.press(key)

    def middle(self) -> tuple[float, float]:
        self.canvas.scroll_into_view_if_needed()
        box = self.canvas.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def python(self, expression: str) -> Any:
        return self.notebook.run(f"print(json.dumps({expression}))").value

    def pixels(self) -> np.ndarray[Any, Any]:
        """What the canvas shows, without the page around it."""
        import base64

        text = self.page.evaluate("() => document.querySelector('.wgmb-main').toDataURL('image/png')")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(text.split(",")[1]))).convert("RGB")).astype(int)

    def status(self) -> str:
        return str(self.page.locator(".wgmb-status").inner_text())


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Iterator[Opened]:
    notebook = lab.notebook()
    notebook.run("import json, time\nimport numpy as np\nimport webgpu_widget as wg\nmoves = []").ok()
    notebook.run(
        "explorer = wg.MandelbrotExplorer(height=420)\nexplorer.observe(lambda change: moves.append(change['name']), ['center', 'width'])\nexplorer"
    ).ok()
    made = Opened(notebook)
    made.page.wait_for_selector(IDLE, timeout=60_000)
    yield made
    notebook.close()


@pytest.fixture(autouse=True)
def home(opened: Opened) -> None:
    """Each story begins with the whole set and default colours."""
    opened.notebook.run(
        "with explorer.hold_sync():\n    explorer.center, explorer.width, explorer.auto_iterations = ('-0.75', '0'), '3.5', True\n"
        "    explorer.palette, explorer.histogram, explorer.offset, explorer.cycle, explorer.scale = 'lagoon', False, 0.0, 1.0, 'log'"
    ).ok()
    opened.settle()


def test_the_first_picture_is_the_set(opened: Opened) -> None:
    shown = opened.pixels()
    assert (shown[shown.shape[0] // 2, shown.shape[1] // 2] == 0).all(), "the middle of the set is black"
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 200, "there are many colours"
    assert opened.data["method"] == "direct"
    assert "direct, f32" in opened.status()
    assert "Giter/s" in opened.status()
    print("first coarse picture", opened.data["firstMs"], "ms")


def test_the_page_shows_what_python_computes(opened: Opened) -> None:
    shown = opened.pixels()
    height, width, _ = shown.shape
    opened.notebook.run(f"pixels = explorer.image(({width}, {height}))").ok()
    assert opened.python("pixels.shape") == [height, width, 4]
    rows = list(range(3, height, 29))
    columns = list(range(5, width, 41))
    wanted = np.array(opened.python(f"pixels[np.ix_({rows}, {columns})][..., :3].tolist()"))
    off = np.abs(shown[np.ix_(rows, columns)] - wanted).max(-1)
    assert np.mean(off <= 6) > 0.97


def test_the_wheel_zooms_about_the_cursor(opened: Opened) -> None:
    before = opened.python("[explorer.center, explorer.width]")
    x, y = opened.middle()
    opened.page.mouse.move(x + 120, y - 60)
    for _ in range(4):
        opened.page.mouse.wheel(0, -200)
        opened.page.wait_for_timeout(30)
    opened.settle()
    (re, im), width = opened.python("[explorer.center, explorer.width]")
    assert float(width) == pytest.approx(float(before[1]) * np.exp(-2), rel=1e-9)
    box = opened.canvas.bounding_box()
    assert box is not None
    unit = float(before[1]) / box["width"]
    # The point under the cursor stays under it.
    held = complex(float(before[0][0]) + 120 * unit, float(before[0][1]) + 60 * unit)
    now = complex(float(re) + 120 * float(width) / box["width"], float(im) + 60 * float(width) / box["width"])
    assert abs(held - now) < 2 * float(width) / box["width"]


def test_the_wheel_in_and_out_again_ends_where_it_began(opened: Opened) -> None:
    x, y = opened.middle()
    opened.page.mouse.move(x + 117, y - 61)
    for turn in (-90, 90):
        for _ in range(12):
            opened.page.mouse.wheel(0, turn)
            opened.page.wait_for_timeout(15)
    opened.settle()
    assert opened.python("[explorer.center, explorer.width]") == [["-0.75", "0"], "3.5"]
    assert "\N{MINUS SIGN}0.75 + 0i · width 3.5" in opened.status()


def test_dragging_moves_at_once_and_is_refined(opened: Opened) -> None:
    x, y = opened.middle()
    before = opened.pixels()
    opened.page.mouse.move(x, y)
    opened.page.mouse.down()
    opened.page.mouse.move(x + 100, y + 40, steps=4)
    # The old picture, moved: never a blank one. A busy machine draws late.
    inner = (slice(60, -60), slice(120, -120))
    shifted = np.roll(before, (40, 100), (0, 1))
    alike = 0.0
    for _ in range(50):
        opened.page.wait_for_timeout(60)
        alike = np.mean(np.abs(opened.pixels() - shifted)[inner].max(-1) < 60)
        if alike > 0.7:
            break
    assert alike > 0.7
    opened.page.mouse.up()
    opened.settle()
    re, im = opened.python("explorer.center")
    width = float(opened.python("explorer.width"))
    box = opened.canvas.bounding_box()
    assert box is not None
    assert float(re) == pytest.approx(-0.75 - 100 * width / box["width"], abs=2e-3)
    assert float(im) == pytest.approx(40 * width / box["width"], abs=2e-3)


@pytest.mark.long
def test_double_click_keyboard_and_history(opened: Opened) -> None:
    x, y = opened.middle()
    opened.page.mouse.dblclick(x + 40, y)
    opened.settle()
    assert float(opened.python("explorer.width")) == pytest.approx(3.5 / 4, rel=1e-9)
    opened.key("+")
    opened.settle()
    assert float(opened.python("explorer.width")) == pytest.approx(3.5 / 8, rel=1e-9)
    centre = opened.python("explorer.center")
    opened.key("ArrowRight")
    opened.settle()
    assert float(opened.python("explorer.center[0]")) > float(centre[0])
    for key, width in (("Backspace", 3.5 / 8), ("Backspace", 3.5 / 4), ("Shift+Backspace", 3.5 / 8)):
        opened.key(key)
        opened.settle()
        assert float(opened.python("explorer.width")) == pytest.approx(width, rel=1e-9)
    for key in ("Backspace", "Backspace"):
        opened.key(key)
        opened.settle()
    assert opened.python("[explorer.center, explorer.width]") == [["-0.75", "0"], "3.5"], "no view between two was kept"
    assert opened.page.locator('button[aria-label^="Forward"]').is_enabled()
    count = int(opened.page.locator('input[aria-label="Most iterations"]').input_value())
    opened.key("]")
    opened.settle()
    assert opened.python("explorer.max_iter") == 2 * count
    assert opened.python("explorer.auto_iterations") is False
    opened.key("0")
    opened.settle()
    assert float(opened.python("explorer.width")) >= 3.5


@pytest.mark.long
def test_home_and_landmarks_bring_automatic_iterations_back(opened: Opened) -> None:
    landmarks = opened.page.locator('select[aria-label="Landmarks"]')
    away = [
        lambda: opened.key("Home"),
        lambda: opened.press("Whole set"),
        lambda: landmarks.select_option(label="Seahorse valley"),
    ]
    for change, leave in zip(("]", "[", "]"), away, strict=True):
        opened.key(change)
        opened.settle()
        assert opened.python("explorer.auto_iterations") is False
        leave()
        opened.settle()
        assert opened.python("explorer.auto_iterations") is True
    # What Python chose stays.
    opened.notebook.run("with explorer.hold_sync():\n    explorer.max_iter, explorer.auto_iterations = 700, False").ok()
    opened.settle()
    opened.key("Home")
    opened.settle()
    assert opened.python("[explorer.max_iter, explorer.auto_iterations]") == [700, False]


@pytest.mark.long
@pytest.mark.parametrize("name", ["line"])
def test_a_posted_place_is_at_rest_what_python_computes(opened: Opened, name: str) -> None:
    place = next(one for one in json.loads(PLACES.read_text()) if one["name"] == name)
    width = mandelbrot.make_view(tuple(place["center"]), 4 / exact(place["zoom"], "zoom")).width
    opened.notebook.run(
        f"with explorer.hold_sync():\n    explorer.height, explorer.center, explorer.width = 200, {place['center']}, {width!r}"
    ).ok()
    opened.settle(200)
    shown = opened.pixels()
    height, columns, _ = shown.shape
    assert opened.data["method"] in {"bla", "perturbation"}, "so near to -2 there is no entry that may be taken"
    # Some of the pixels that differ from their neighbours are not refined yet.
    opened.notebook.run(f"pixels = explorer.image(({columns}, {height}), refine=False)", timeout=200).ok()
    rows, across = list(range(3, height, 11)), list(range(5, columns, 17))
    wanted = np.array(opened.python(f"pixels[np.ix_({rows}, {across})][..., :3].tolist()"))
    off = np.abs(shown[np.ix_(rows, across)] - wanted).max(-1)
    assert np.mean(off <= 6) > 0.95
    assert np.mean((wanted == 0).all(-1)) < 0.6, "it is not black"
    opened.notebook.run("explorer.height = 420").ok()


def test_python_moves_the_view_and_observe_hears_the_page(opened: Opened) -> None:
    before = opened.pixels()
    opened.notebook.run("moves.clear()\nexplorer.center, explorer.width = -0.1011 + 0.9563j, 0.05").ok()
    opened.settle()
    assert np.mean(np.abs(opened.pixels() - before).max(-1) > 30) > 0.3
    assert opened.python("moves") == ["center", "width"]
    opened.press("Zoom in")
    opened.settle()
    opened.page.wait_for_timeout(300)
    assert opened.python("moves")[2:] == ["width"]
    assert opened.python("explorer.width") == "0.025"


@pytest.mark.long
def test_deep_views_use_reference_orbits_of_the_kernel(opened: Opened) -> None:
    # A small picture: a CPU has much to do here.
    opened.notebook.run("explorer.height = 200").ok()
    opened.settle()
    seen = {}
    for name in ("Dendrite tip, 1e-60", "Misiurewicz spiral, 1e-600"):
        opened.page.locator('select[aria-label="Landmarks"]').select_option(label=name)
        opened.settle(120)
        assert opened.data["method"] == "bla", name
        shown = opened.pixels()
        assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 100, name
        seen[name] = opened.python("explorer.width")
    assert list(seen.values()) == ["1e-60", "1e-600"]
    opened.key("+")
    opened.settle(120)
    assert opened.python("explorer.width") == "5e-601"
    assert len(opened.python("explorer.center[0]")) > 600, "all digits come back"
    opened.notebook.run("explorer.height = 420").ok()


@pytest.mark.long
def test_colours_change_without_a_new_computation(opened: Opened) -> None:
    took = opened.data["seconds"]
    before = opened.pixels()
    opened.page.locator('select[aria-label="Palette"]').select_option("ember")
    opened.page.wait_for_timeout(300)
    after = opened.pixels()
    assert np.mean(np.abs(after - before).max(-1) > 20) > 0.5
    assert opened.data["seconds"] == took
    assert opened.python("explorer.palette") == "ember"
    opened.press("Edit the palette")
    colours = opened.page.locator('.wgmb-stops input[type="color"]')
    count = colours.count()
    opened.page.locator('button[aria-label="One colour more"]').click()
    colours.nth(1).evaluate("(input) => { input.value = '#00ff00'; input.dispatchEvent(new Event('input')); }")
    opened.page.wait_for_timeout(300)
    palette = opened.python("explorer.palette")
    assert len(palette) == count + 1
    assert palette[1] == "#00ff00"
    opened.page.locator(".wgmb-editor input[type=checkbox]").check()
    opened.page.wait_for_timeout(300)
    assert opened.python("explorer.histogram") is True
    opened.press("Cycle the colours")
    one = opened.pixels()
    opened.page.wait_for_timeout(500)
    two = opened.pixels()
    opened.press("Cycle the colours")
    assert np.mean(np.abs(one - two).max(-1) > 3) > 0.2
    opened.press("Edit the palette")


def test_julia_inset_and_orbit(opened: Opened) -> None:
    opened.press("Julia set")
    opened.press("Orbit")
    x, y = opened.middle()
    opened.page.mouse.move(x + 20, y + 10)
    opened.page.wait_for_timeout(200)
    assert opened.page.locator(".wgmb-inset").is_visible()
    assert "Julia set of" in opened.page.locator(".wgmb-inset").inner_text()
    drawn = opened.page.evaluate(
        "() => { const c = document.querySelector('.wgmb-over'); return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0); }"
    )
    assert drawn, "the orbit is on the picture"
    opened.press("Julia set")
    opened.press("Orbit")
    opened.page.mouse.move(x + 25, y + 10)
    assert not opened.page.locator(".wgmb-inset").is_visible()


def test_a_saved_picture_keeps_its_parameters(opened: Opened, tmp_path: pathlib.Path) -> None:
    opened.notebook.run("explorer.center, explorer.width = ('-0.7453', '0.1127'), '1'").ok()
    opened.settle()
    with opened.page.expect_download() as download:
        opened.press("Save as PNG")
    path = tmp_path / "saved.png"
    download.value.save_as(path)
    saved = mandelbrot.load(path)
    assert saved.view.center == ("-0.7453", "0.1127")
    assert saved.view.width == "1"
    assert saved.colors["palette"] == "lagoon"
    assert saved.rgba is not None
    assert np.abs(saved.rgba[..., :3].astype(int) - opened.pixels()).max() == 0


@pytest.mark.long
def test_coordinates_links_and_bad_input(opened: Opened) -> None:
    opened.press("Coordinates")
    panel = opened.page.locator(".wgmb-panel")
    panel.locator("input").nth(0).fill("-1.25")
    panel.locator("input").nth(1).fill("0.02")
    panel.locator("input").nth(2).fill("1")
    panel.locator("button").click()
    opened.settle()
    assert opened.python("[explorer.center, explorer.width]") == [["-1.25", "0.02"], "1"]
    for text, words in (("abc", "no decimal number"), ("-1", "not positive"), ("0", "not positive")):
        panel.locator("input").nth(2).fill(text)
        panel.locator("button").click()
        assert words in opened.page.locator(".wgmb-note").inner_text()
    link = opened.python("explorer.link")
    opened.notebook.run("explorer.center, explorer.width = ('0', '0'), '2'").ok()
    opened.settle()
    panel.locator("input").nth(0).fill(link)
    panel.locator("button").click()
    opened.settle()
    assert opened.python("explorer.width") == "1"
    opened.press("Coordinates")


def test_it_says_when_it_is_as_deep_as_it_goes(opened: Opened) -> None:
    opened.notebook.run("explorer.center, explorer.width = ('3', '0'), '1e-9990'").ok()
    opened.settle(120)
    opened.key("+")
    assert "as deep as it goes" in opened.page.locator(".wgmb-note").inner_text()
    assert opened.python("explorer.width") == "1e-9990"


def test_pinching_zooms(opened: Opened) -> None:
    x, y = opened.middle()
    opened.page.evaluate(
        """([x, y]) => {
          const canvas = document.querySelector('.wgmb-main');
          const send = (type, id, dx) => canvas.dispatchEvent(new PointerEvent(type, { pointerId: id, pointerType: 'touch', clientX: x + dx, clientY: y, bubbles: true, button: 0 }));
          canvas.setPointerCapture = () => {};
          send('pointerdown', 11, -50); send('pointerdown', 12, 50);
          send('pointermove', 11, -100); send('pointermove', 12, 100);
          send('pointerup', 11, -100); send('pointerup', 12, 100);
        }""",
        [x, y],
    )
    opened.settle()
    assert float(opened.python("explorer.width")) == pytest.approx(1.75, rel=0.02)
    assert float(opened.python("explorer.center[0]")) == pytest.approx(-0.75, abs=0.02)


def test_the_bar_takes_one_row_in_a_usual_cell_and_two_in_half_of_it(opened: Opened) -> None:
    # The top edges of the buttons' groups, and how far the last reaches beyond the explorer.
    measure = """() => {
      const boxes = [...document.querySelectorAll('.wgmb-bar .group')].map((group) => group.getBoundingClientRect());
      const right = document.querySelector('.wgmb').getBoundingClientRect().right;
      return [[...new Set(boxes.map((box) => Math.round(box.top)))].length, Math.max(...boxes.map((box) => box.right - right))];
    }"""
    seen = {}
    for width in (800, 500, 300):
        opened.notebook.run(f"explorer.layout.width = '{width}px'").ok()
        opened.page.wait_for_function(
            f"() => Math.abs(document.querySelector('.wgmb').getBoundingClientRect().width - {width}) < 2"
        )
        seen[width] = opened.page.evaluate(measure)
    opened.notebook.run("explorer.layout.width = 'auto'").ok()
    opened.settle()
    assert [rows for rows, _ in seen.values()] == [1, 2, 1], seen
    assert seen[800][1] <= 0, seen
    assert seen[500][1] <= 0, seen
    assert seen[300][1] > 0, "a narrow one scrolls its only row"


def test_opening_a_panel_computes_nothing_anew(opened: Opened) -> None:
    opened.python("explorer.status['size']")
    opened.page.evaluate("""() => {
      window.marks = [];
      new MutationObserver(() => marks.push(document.querySelector('.wgmb').dataset.state))
        .observe(document.querySelector('.wgmb'), { attributes: true, attributeFilter: ['data-state', 'data-seconds', 'data-first-ms'] });
    }""")
    measure = "() => { const main = document.querySelector('.wgmb-main'); return [main.width, main.height, document.querySelector('.wgmb').offsetHeight]; }"
    before = opened.page.evaluate(measure)
    for label in ("Edit the palette", "Coordinates"):
        opened.press(label)
    opened.page.wait_for_timeout(500)
    columns, rows, height = opened.page.evaluate(measure)
    assert [columns, rows] == before[:2]
    assert height > before[2] + 60, "the panels lie below the picture"
    for label in ("Edit the palette", "Coordinates"):
        opened.press(label)
    opened.page.wait_for_timeout(500)
    assert opened.page.evaluate(measure) == before
    assert opened.page.evaluate("() => marks") == []


def test_a_small_view_is_there_within_a_second(opened: Opened) -> None:
    opened.notebook.run("small = wg.MandelbrotExplorer(height=268)\nsmall.layout.width = '256px'\nsmall").ok()
    root = opened.page.locator(ROOT).nth(1)
    opened.page.wait_for_function(
        "() => document.querySelectorAll('.wgmb')[1]?.dataset.state === 'idle'", timeout=30_000
    )
    first = float(root.get_attribute("data-first-ms") or "nan")
    whole = 1000 * float(root.get_attribute("data-seconds") or "nan")
    print(f"small view: coarse after {first} ms, whole after {whole:.0f} ms")
    assert first < whole < 5000, "two cores that run other tests too are given room"
    opened.notebook.run("small.close()").ok()


def test_the_state_that_is_saved_holds_no_shader_and_no_orbit(opened: Opened) -> None:
    state = opened.python("{k: v for k, v in explorer.get_state().items() if k not in ('_esm', '_css')}")
    text = json.dumps(state)
    assert len(text) < 6000 + sum(len(part) for part in state["center"])
    assert "@compute" not in text


def test_a_lost_device_is_replaced(opened: Opened) -> None:
    before = opened.pixels()
    lost = opened.page.evaluate("""() => {
      const devices = testDevices.filter(device => device.label === 'mandelbrot explorer');
      for (const device of devices) device.destroy();
      return devices.length;
    }""")
    assert lost > 0
    end = time.monotonic() + 30
    while (
        "lost" not in opened.page.locator(".wgmb-note").inner_text()
        and opened.data["state"] == "idle"
        and time.monotonic() < end
    ):
        opened.page.wait_for_timeout(20)
    opened.settle()
    opened.press("Zoom in")
    opened.settle()
    opened.press("Zoom out")
    opened.settle()
    assert np.mean(np.abs(opened.pixels() - before).max(-1) < 40) > 0.9


def test_the_kernel_draws_where_its_gpu_is_not_the_page(lab: Lab) -> None:
    notebook = lab.notebook()
    try:
        notebook.run(
            "import json\nimport webgpu_widget as wg\ngpu = wg.GPU(transport='headless')\nprint(gpu.info.name)"
        ).ok()
        notebook.run("explorer = wg.MandelbrotExplorer(gpu=gpu, height=300)\nexplorer").ok()
        made = Opened(notebook)
        made.page.wait_for_selector(IDLE, timeout=90_000)
        made.settle()
        whole = float(made.python("explorer.width"))
        assert "by the kernel" in made.status()
        assert len(np.unique(made.pixels().reshape(-1, 3), axis=0)) > 200
        made.key("+")
        made.settle(90)
        assert float(made.python("explorer.width")) == pytest.approx(whole / 2)
        notebook.run("gpu.close()").ok()
    finally:
        notebook.close()
