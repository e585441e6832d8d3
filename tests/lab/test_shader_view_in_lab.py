"""Shader views in a real JupyterLab: what they show is what Python gets, sliders need no kernel, and what goes wrong is said and gone past."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lab_harness import Notebook
from PIL import Image
from test_saved import in_file, kept, wait_for_output

pytestmark = [pytest.mark.playwright, pytest.mark.no_adapter]

MADE = """
import webgpu_widget as wg, ipywidgets, numpy as np
gpu = wg.GPU()
view = wg.ShaderView('''
fn image(position: vec2f, time: f32) -> vec4f {
  return vec4f(position / iResolution.xy, fract(time), 1.0) * vec4f(gain, 1.0, 1.0, 1.0);
}''', size=(64, 48), gpu=gpu, gain=0.5)
slider = ipywidgets.FloatSlider(value=0.5, min=0, max=1)
ipywidgets.jslink((slider, "value"), (view, "u_gain"))
display(slider, view)
"""
STATE = """(at) => {
  const root = document.querySelectorAll('.wgsv')[at];
  const text = (part) => root.querySelector('.wgsv-' + part).textContent;
  return { ...root.dataset, frame: Number(root.dataset.frame), time: parseFloat(text('time')), info: text('info'), note: text('note'), problem: text('problem') };
}"""
PIXELS = """(at) => {
  const canvas = document.querySelectorAll('.wgsv canvas')[at];
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return { width: canvas.width, height: canvas.height, bytes: btoa(String.fromCharCode(...data)) };
}"""


def state(notebook: Notebook, at: int = 0) -> dict[str, Any]:
    return notebook.page.evaluate(STATE, at)


def pixels(notebook: Notebook, at: int = 0) -> np.ndarray[Any, Any]:
    shown = notebook.page.evaluate(PIXELS, at)
    return np.frombuffer(base64.b64decode(shown["bytes"]), np.uint8).reshape(shown["height"], shown["width"], 4)


def until(
    notebook: Notebook, true: Callable[[dict[str, Any]], bool], at: int = 0, seconds: float = 30.0
) -> dict[str, Any]:
    now: dict[str, Any] = {}
    for _ in range(int(seconds * 10)):
        if notebook.page.locator(".wgsv").count() > at:
            now = state(notebook, at)
            if true(now):
                return now
        notebook.page.wait_for_timeout(100)
    raise AssertionError(f"not seen in {seconds} s; the view says {now}")


def press(notebook: Notebook, label: str) -> None:
    notebook.page.locator(f".wgsv button[aria-label^='{label}']").first.click()


def python_picture(notebook: Notebook, expression: str = "view.frame()") -> np.ndarray[Any, Any]:
    code = f"import base64; a = {expression}; print(base64.b64encode(a.tobytes()).decode(), *a.shape)"
    text, *shape = notebook.run(code).ok().text.split()
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape([int(side) for side in shape])


def test_what_a_view_shows_is_what_python_gets_and_its_slider_needs_no_kernel(notebook: Notebook) -> None:
    cell = notebook.run(MADE).ok()
    saved = cell.outputs[1]["data"]
    assert "run the cell again" in "".join(saved["text/plain"])
    stored = np.asarray(Image.open(io.BytesIO(base64.b64decode(saved["image/png"]))))
    assert stored.shape == (48, 64, 3)
    assert abs(int(stored[24, 32, 0]) - 64) <= 1  # half the gain, half across
    until(notebook, lambda now: now["state"] == "playing" and now["frame"] > 3)
    # The kernel is busy: time goes on, and the slider moves the uniform.
    busy = notebook.start("import time; time.sleep(4)")
    before = state(notebook)["frame"]
    notebook.page.locator(".noUi-handle").first.focus()
    for _ in range(5):
        notebook.page.keyboard.press("ArrowLeft")
    notebook.page.wait_for_timeout(500)
    assert state(notebook)["frame"] > before
    press(notebook, "Pause")
    until(notebook, lambda now: now["state"] == "paused" and now["coarse"] == "1")
    shown = pixels(notebook)
    assert shown[24, 60, 0] < 120  # the gain is under a half by now; the kernel has not ended its cell
    notebook.wait(busy)
    # Both are drawn by one device from the same numbers: bit for bit.
    np.testing.assert_array_equal(shown, python_picture(notebook))
    assert abs(float(notebook.run("print(view.u_gain)").text) - 0.0) < 0.5
    # Steps go by a sixtieth of a second.
    time = float(notebook.run("print(view.time)").text)
    press(notebook, "One frame on")
    stepped = until(notebook, lambda now: now["frame"] != 0)
    assert stepped["state"] == "paused"
    notebook.page.wait_for_timeout(300)
    assert float(notebook.run("print(view.time)").text) == pytest.approx(time + 1 / 60)
    np.testing.assert_array_equal(pixels(notebook), python_picture(notebook))


def test_the_file_keeps_a_picture_that_a_reopened_notebook_shows(notebook: Notebook) -> None:
    notebook.run(MADE).ok()
    until(notebook, lambda now: now["frame"] > 3)
    wait_for_output(notebook, 0, "ShaderView(64 x 48")
    assert notebook.page.locator("img[src^='data:image/png']:visible").count() == 0, "a picture beside its live view"
    press(notebook, "Pause")
    until(notebook, lambda now: now["state"] == "paused")
    notebook.run("view.u_gain = 1.0").ok()
    notebook.page.wait_for_timeout(200)
    until(notebook, lambda now: now["coarse"] == "1")
    wait_for_output(notebook, 0, "gain=1.0")
    shown = pixels(notebook)
    picture, line = kept(in_file(notebook)[0][-1])
    assert line.endswith("run the cell again to see it play")
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), shown[..., :3])
    # The page is loaded anew: the live view is there again. Then nobody is.
    notebook.reload()
    until(notebook, lambda now: now["state"] == "paused" and now["coarse"] == "1")
    np.testing.assert_array_equal(pixels(notebook), shown)
    notebook.save()
    path = notebook.path
    notebook.close()
    again = notebook.lab.open(path)
    try:
        again.page.wait_for_selector("img[src^='data:image/png']:visible")
        assert again.page.locator(".wgsv").count() == 0
        assert "Error displaying widget" not in again.page.locator("body").inner_text()
    finally:
        again.close()


def test_a_shader_that_fails_at_first_is_shown_with_what_is_wrong(notebook: Notebook) -> None:
    notebook.run("import webgpu_widget as wg\ngpu = wg.GPU()").ok()
    notebook.run("view = wg.ShaderView('fn image() -> vec3f { return vec3f(tint); }', (64, 48), gpu)\nview").ok()
    assert "unresolved value 'tint'" in until(notebook, lambda now: now["state"] == "problem")["problem"]
    wait_for_output(notebook, 1, "ShaderView(64 x 48")
    assert notebook.page.locator(".wgsv").is_visible()


@pytest.mark.long
def test_a_shader_that_fails_says_under_which_line_and_the_one_before_goes_on(notebook: Notebook) -> None:
    notebook.run(MADE).ok()
    until(notebook, lambda now: now["frame"] > 3)
    notebook.run(
        "view.source = '''fn image(position: vec2f, time: f32) -> vec4f {\\n  return vec4f(positon, time, 1.0);\\n}'''"
    ).ok()
    failed = until(notebook, lambda now: now["state"] == "problem")
    assert "line 2, column 16: unresolved value 'positon'" in failed["problem"]
    assert "return vec4f(positon, time, 1.0);" in failed["problem"]
    until(notebook, lambda now: now["frame"] > failed["frame"] + 2)  # what was there before plays on
    end = time.monotonic() + 20
    while "line 2" not in (
        said := notebook.run("print(view.error)").text
    ):  # it comes to Python after the cell that asks
        assert time.monotonic() < end, said
    notebook.run("view.source = 'fn image() -> vec3f { return vec3f(1.0, gain, 0.0); }'").ok()
    until(notebook, lambda now: now["state"] == "playing" and now["coarse"] == "1" and not now["problem"])
    notebook.page.wait_for_timeout(300)
    assert pixels(notebook)[5, 5].tolist() == [255, 128, 0, 255]
    # A uniform out of its type's range, and pixels that are NaN.
    notebook.run("view.source = 'fn image() -> vec3f { return vec3f(sqrt(gain - 0.75)); }'").ok()
    until(notebook, lambda now: "NaN" in now["note"])
    assert pixels(notebook)[5, 5].tolist() == [255, 0, 255, 255]
    assert "nothing to draw" in until_source(notebook, "fn other() -> f32 { return 1.0; }")


def until_source(notebook: Notebook, source: str) -> str:
    notebook.run(f"view.source = {source!r}").ok()
    return str(until(notebook, lambda now: now["state"] == "problem")["problem"])


@pytest.mark.long
def test_a_view_plays_where_it_is_seen_in_each_output_and_nowhere_else(notebook: Notebook) -> None:
    notebook.run(MADE).ok()
    until(notebook, lambda now: now["frame"] > 3)
    below = notebook.run(
        "display(view); from IPython.display import HTML; HTML('<div style=\"height: 3000px\"></div>')"
    ).ok()
    assert len(below.outputs) == 2
    notebook.page.locator(".wgsv").first.scroll_into_view_if_needed()
    until(notebook, lambda now: now["frame"] > 3, at=1)
    first, second = state(notebook, 0), state(notebook, 1)
    assert abs(first["frame"] - second["frame"]) <= 3, "two outputs, one clock"
    devices = notebook.page.evaluate("() => window.testDevices.length")
    assert devices == 1, "both outputs and the kernels share a device"
    # Out of sight: the tall output is scrolled to its end.
    notebook.page.evaluate(
        "() => { const area = document.querySelector('.jp-WindowedPanel-outer'); area.scrollTop = area.scrollHeight; }"
    )
    notebook.page.wait_for_timeout(700)
    gone = state(notebook)["frame"]
    notebook.page.wait_for_timeout(1000)
    assert state(notebook)["frame"] == gone, "it plays though nobody sees it"
    time = state(notebook)["time"]
    notebook.page.evaluate("() => { document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0; }")
    back = until(notebook, lambda now: now["frame"] > gone)
    assert back["time"] < time + 1.0, "time stood still meanwhile"


@pytest.mark.long
def test_a_lost_device_and_a_closed_gpu_are_said(notebook: Notebook) -> None:
    notebook.run(MADE).ok()
    until(notebook, lambda now: now["frame"] > 3)
    notebook.page.evaluate("() => window.testDevices[0].destroy()")
    lost = until(notebook, lambda now: now["state"] == "problem")
    assert "lost" in lost["problem"]
    assert "press play" in lost["problem"]
    press(notebook, "Play")
    until(notebook, lambda now: now["state"] == "playing" and now["frame"] > lost["frame"] + 2)
    notebook.run("gpu.close()").ok()
    assert "closed" in until(notebook, lambda now: now["state"] == "problem")["problem"]
    assert "closed" in (notebook.run("view.frame()").error or "")


@pytest.mark.long
def test_a_view_follows_arrays_of_its_gpu(notebook: Notebook) -> None:
    notebook.run("""
import webgpu_widget as wg, numpy as np
gpu = wg.GPU()
x = gpu.array(np.zeros(64, np.float32))
view = wg.ShaderView('fn image(position: vec2f) -> vec3f { return vec3f(heights[u32(position.x)]); }', size=(64, 8), heights=x)
view
""").ok()
    until(notebook, lambda now: now["coarse"] == "1")
    assert pixels(notebook)[4, :, 0].max() == 0
    notebook.run("x[...] = np.linspace(0, 1, 64, dtype=np.float32)").ok()
    notebook.page.wait_for_timeout(1500)
    np.testing.assert_array_equal(pixels(notebook), python_picture(notebook))
    assert pixels(notebook)[4, :, 0].tolist() == [round(255 * i / 63) for i in range(64)]
    notebook.run("with gpu.record() as program: x[...] = x * 0.5\nprogram.replay(1)").ok()
    notebook.page.wait_for_timeout(1500)
    assert abs(int(pixels(notebook)[4, 63, 0]) - 128) <= 1
    notebook.run("x.free(); gpu.synchronize()").ok()
    assert "freed" in until(notebook, lambda now: now["state"] == "problem")["problem"]
