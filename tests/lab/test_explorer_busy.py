"""The explorer while the kernel is busy: never a blank view, and new pictures as far as the page can make them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import numpy as np
import pytest
from lab_harness import Lab, Notebook
from test_explorer import Opened

DEEP = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")
TIP = ("0", "1")
SPIRAL = ("-0.1010963638456221610257854457386225654638054428", "0.95628651080914150077109605772997743580983333651")
"""Two points with preperiodic orbits: around them nearly everything escapes."""


def interrupted(notebook: Notebook, cell: int) -> None:
    """The cell was running till now."""
    notebook.interrupt()
    assert "KeyboardInterrupt" in str(notebook.wait(cell).error), "the cell had ended"


@pytest.fixture
def fresh(lab: Lab) -> Iterator[Notebook]:
    notebook = lab.notebook()
    notebook.run("import json, time\nimport webgpu_widget as wg").ok()
    yield notebook
    notebook.close()


def shown(opened: Opened) -> float:
    """Part of the picture that is not black."""
    return float(np.mean(opened.pixels().max(-1) > 0))


def test_a_deep_view_that_opens_while_its_cell_runs_is_drawn(fresh: Notebook) -> None:
    cell = fresh.start(
        "from IPython.display import display\n"
        f"explorer = wg.MandelbrotExplorer(center={SPIRAL!r}, width='1e-25', height=240)\ndisplay(explorer)\n"
        "end = time.monotonic() + 150\nwhile time.monotonic() < end: sum(range(20_000))\nprint('over')"
    )
    opened = Opened(fresh)
    fresh.page.wait_for_selector(".wgmb[data-first-ms]:not([data-first-ms=''])", timeout=60_000)
    fresh.page.wait_for_selector(".wgmb[data-coarse]", timeout=60_000)
    assert shown(opened) > 0.5
    assert len(np.unique(opened.pixels().reshape(-1, 3), axis=0)) > 50
    interrupted(fresh, cell)


@pytest.mark.long
def test_moving_at_depth_while_nobody_answers_is_never_blank(fresh: Notebook) -> None:
    # As where a busy kernel lets no question in: the thread that answers them is held.
    fresh.run(f"explorer = wg.MandelbrotExplorer(center={TIP!r}, width='1e-20', height=240)\nexplorer").ok()
    opened = Opened(fresh)
    opened.settle(120)
    fresh.run("import threading\ngate = threading.Event()\nheld = explorer._pool.submit(gate.wait, 200)").ok()
    x, y = opened.middle()
    fresh.page.mouse.move(x + 30, y + 10)
    least = 1.0
    for turn in range(16):
        fresh.page.mouse.wheel(0, -240 if turn < 12 else 240)
        fresh.page.wait_for_timeout(60)
        least = min(least, shown(opened))
    print("least part of the picture that was not black:", least)
    assert least > 0.5
    fresh.page.wait_for_function("() => document.querySelector('.wgmb').dataset.firstMs !== ''", timeout=10_000)
    # A jump to where nothing has been: the page's own orbit.
    opened.press("Coordinates")
    panel = fresh.page.locator(".wgmb-panel")
    for k, text in enumerate((*SPIRAL, "1e-40")):
        panel.locator("input").nth(k).fill(text)
    begun = time.monotonic()
    panel.locator("button").click()
    fresh.page.wait_for_function("() => document.querySelector('.wgmb').dataset.firstMs !== ''", timeout=10_000)
    fresh.page.wait_for_timeout(100)
    assert shown(opened) > 0.3
    print("first pixels of another deep place, seconds:", time.monotonic() - begun)
    # And beyond what the page can do: what is around.
    panel.locator("input").nth(2).fill("1e-400")
    panel.locator("button").click()
    fresh.page.wait_for_function("() => document.querySelector('.wgmb').dataset.sketch === 'stand-in'", timeout=10_000)
    fresh.page.wait_for_timeout(100)
    assert shown(opened) > 0.3
    assert "until its orbit is there" in opened.status()
    assert fresh.run("print(json.dumps(held.done()))\ngate.set()").value is False
    fresh.page.wait_for_function("() => document.querySelector('.wgmb').dataset.coarse", timeout=60_000)
    fresh.page.wait_for_function(
        "() => document.querySelector('.wgmb-status').textContent.includes('BLA')", timeout=60_000
    )


@pytest.mark.long
def test_a_deep_view_whose_kernel_was_restarted_says_what_to_do_and_keeps_its_picture(fresh: Notebook) -> None:
    cell = f"explorer = wg.MandelbrotExplorer(center={TIP!r}, width='1e-300', height=200)\nexplorer"
    fresh.run(cell).ok()
    opened = Opened(fresh)
    opened.settle(120)
    assert shown(opened) > 0.5
    fresh.restart()
    fresh.run("import json, time\nimport webgpu_widget as wg").ok()
    note = fresh.page.locator(".wgmb-note")
    opened.press("Zoom out")
    opened.settle(120)
    assert shown(opened) > 0.5, "the orbit that is there serves here"
    opened.press("Coordinates")
    panel = fresh.page.locator(".wgmb-panel")
    for k, text in enumerate((*SPIRAL, "1e-400")):
        panel.locator("input").nth(k).fill(text)
    panel.locator("button").click()
    fresh.page.wait_for_selector(".wgmb[data-state=error]", timeout=30_000)
    assert "run its cell again" in note.inner_text()
    assert shown(opened) > 0.3, "what is around the place"
    # Where the page can do without a kernel, it does, and says the same.
    for k, text in enumerate((*TIP, "1e-20")):
        panel.locator("input").nth(k).fill(text)
    panel.locator("button").click()
    opened.settle(120)
    assert opened.data["method"] == "perturbation"
    assert "run its cell again" in note.inner_text()
    assert shown(opened) > 0.5
    fresh.run(cell).ok()
    fresh.page.wait_for_selector(".wgmb[data-state=idle][data-method=bla]", timeout=120_000)


# A drag by events of the page's own, one a frame, as a hand makes them; when the picture was drawn.
_DRAG = """async () => {
  const canvas = document.querySelector('.wgmb-main');
  const drawn = new Set();
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  let now = 0;
  CanvasRenderingContext2D.prototype.drawImage = function (...all) {
    if (this.canvas === canvas) drawn.add(now);
    return draw.apply(this, all);
  };
  canvas.setPointerCapture = () => {};
  const box = canvas.getBoundingClientRect();
  const send = (type, dx) => canvas.dispatchEvent(new PointerEvent(type, { pointerId: 7, clientX: box.left + box.width / 2 + dx, clientY: box.top + box.height / 2, bubbles: true, button: 0 }));
  send('pointerdown', 0);
  const begun = performance.now();
  let longest = 0, last = begun, handlers = 0, frames = 0;
  await new Promise((resolve) => {
    const move = (time) => {
      now = time;
      frames++;
      const at = performance.now();
      longest = Math.max(longest, at - last);
      last = at;
      if (at - begun > 2500) return resolve();
      send('pointermove', 60 * Math.sin((at - begun) / 400));
      handlers += performance.now() - at;
      requestAnimationFrame(move);
    };
    requestAnimationFrame(move);
  });
  send('pointerup', 0);
  CanvasRenderingContext2D.prototype.drawImage = draw;
  const seconds = (performance.now() - begun) / 1000;
  return { drawn: drawn.size, frames, longest, handlers_ms: handlers, seconds };
}"""


def test_a_drag_is_smooth_while_a_deep_picture_is_computed(fresh: Notebook) -> None:
    fresh.run(f"explorer = wg.MandelbrotExplorer(center={DEEP!r}, width='1e-25', height=420)\nexplorer").ok()
    opened = Opened(fresh)
    fresh.page.wait_for_selector(".wgmb[data-coarse]", timeout=60_000)
    assert opened.data["state"] == "busy"
    seen = fresh.page.evaluate(_DRAG)
    print("drag:", json.dumps({key: round(value, 1) for key, value in seen.items()}))
    assert opened.data["state"] == "busy", "it was computing all the while"
    assert seen["frames"] >= 10, "the page was not held up for long"
    assert seen["drawn"] > seen["frames"] / 2, "what the page had time for was drawn"
