"""How soon the explorer shows newly computed pixels, in a real JupyterLab: from the event to the frame that draws them.

python bench/explorer.py [--turns 5] [--height 520]
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "lab")]

from lab_harness import Lab  # noqa: E402
from lab_server import LabServer  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

VIEWS = {
    "home": (("-0.75", "0"), "3.5"),
    "1e-6": (("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"), "1e-6"),
    "1e-25": (("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"), "1e-25"),
}
# `data-first-ms` is set in the frame that shows the first newly computed pixels.
OPENING = """() => {
  window.shown = 0;
  const look = () => {
    const root = document.querySelector('.wgmb');
    if (root && !window.there) window.there = performance.now();
    if (root && root.dataset.firstMs) window.shown = performance.now();
    else requestAnimationFrame(look);
  };
  look();
}"""
WATCH = """() => {
  const root = document.querySelector('.wgmb');
  window.seen = { event: 0, first: 0 };
  const canvas = document.querySelector('.wgmb-main');
  canvas.addEventListener('wheel', (event) => Object.assign(seen, { event: event.timeStamp, first: 0 }), { capture: true });
  new MutationObserver(() => {
    if (root.dataset.firstMs !== '' && !seen.first) seen.first = performance.now();
  }).observe(root, { attributeFilter: ['data-first-ms'] });
}"""


def turn(page: Page, delta: int) -> float:
    """Turn the wheel once; milliseconds from the event to the first new pixels."""
    page.mouse.wheel(0, delta)
    page.wait_for_function("() => seen.event && seen.first", timeout=120_000)
    page.wait_for_timeout(1500)
    return float(page.evaluate("() => { const ms = seen.first - seen.event; seen.event = 0; return ms; }"))


def measure(lab: Lab, name: str, height: int, turns: int) -> dict[str, Any]:
    """Open an explorer at a view, then turn the wheel in and out."""
    center, width = VIEWS[name]
    notebook = lab.notebook()
    page = notebook.page
    notebook.run("import webgpu_widget as wg").ok()
    page.evaluate(OPENING)
    notebook.run(f"wg.MandelbrotExplorer(center={center!r}, width={width!r}, height={height})").ok()
    page.wait_for_function("() => shown > 0", timeout=120_000)
    opened = page.evaluate("() => shown - there")
    page.wait_for_timeout(5000)
    page.evaluate(WATCH)
    box = page.locator(".wgmb-main").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + box["height"] / 2)
    page.wait_for_timeout(500)
    times = [turn(page, -200 if k % 2 == 0 else 200) for k in range(turns)]
    notebook.close()
    return {
        "view": name,
        "opened_ms": round(opened),
        "first_ms": [round(ms) for ms in times],
        "median_first_ms": round(statistics.median(times)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--height", type=int, default=520)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = LabServer(pathlib.Path(folder) / "lab")
        try:
            with sync_playwright() as playwright:
                lab = Lab(server, playwright)
                for name in VIEWS:
                    print(json.dumps(measure(lab, name, args.height, args.turns)), flush=True)
                lab.close()
        finally:
            server.close()


if __name__ == "__main__":
    main()
