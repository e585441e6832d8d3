"""How soon the explorer shows newly computed pixels, and how evenly it follows a drag, in a real JupyterLab.

    python bench/explorer.py [--views home 1e-6 1e-25] [--turns 6] [--seconds 3] [--height 520] [--ratio 1] [--adapter nvidia]
                             [--json FILE] [--screenshots FOLDER]

Needs no Playwright, but a font: without any, Chromium's headless shell ends when JupyterLab opens. Times are taken in the page. They end with the call, in an animation frame, that draws the first pixels that were computed
after the event into the canvas that is seen: by whichever made them (`any`), of the very view and not of what stands in for it (`view`), by the
GPU (`gpu`), and of the last pass (`complete`). The screen gets them with that frame, at most a sixtieth of a second later. They begin with the
wheel event's own time stamp; or, on opening, when the explorer's element is in the page (`opened`), when the cell's output came
(`opened_from_output`) and when the cell was run (`opened_from_run`).

A drag sends 60 moves of some pixels a second, once around a circle. `fps` counts the animation frames in which the canvas was drawn otherwise than in the frame
before: with another picture, another part of it, or in another place. `longest_gap_ms` is the longest time between two of them.
`new_fps` counts the frames that showed newly computed pixels, `page_fps` all animation frames of the page.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import signal
import statistics
import sys
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "tests" / "lab")]

from _devtools import DevToolsPage  # noqa: E402
from _lab_page import LabPage  # noqa: E402

SPIRAL = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")
VIEWS: dict[str, dict[str, Any]] = {
    "home": {},
    "1e-6": {"center": SPIRAL, "width": "1e-6"},
    "1e-25": {"center": SPIRAL, "width": "1e-25"},
}
WATCH = (ROOT / "bench" / "_explorer.js").read_text()
PATIENCE_S = 40

COMPLETE = "() => watch.complete > 0 && document.querySelector('.wgmb').dataset.state === 'idle'"
TIMES = """(from) => {
  const since = (t) => t ? Math.round(10 * (t - watch[from])) / 10 : null;
  const who = ({ by, grain, stands }) => by + (stands ? ', stand-in' : ` 1/${Math.round(grain)}`);
  const shown = watch.shown.map((one) => ({ ms: since(one.drawn), what: who(one) }));
  const first = (test) => { const found = watch.shown.find(test); return found ? since(found.drawn) : null; };
  return { any: shown[0]?.ms ?? null, view: first((one) => !one.stands), gpu: first((one) => one.by === 'gpu'), complete: since(watch.complete),
           first: shown[0]?.what ?? 'nothing', shown };
}"""
ABOUT = """async () => {
  const root = document.querySelector('.wgmb'), canvas = root.querySelector('.wgmb-main');
  const info = (await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' }))?.info;
  return {
    adapter: info ? [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' ') + (info.isFallbackAdapter ? ' (fallback)' : '') : null,
    status: root.querySelector('[role=status]').textContent, note: root.querySelector('.wgmb-note').textContent,
    size: [canvas.width, canvas.height], canvas: watch.context === 'webgpu' ? 'webgpu' : `${watch.context}, pixels read back from the GPU`,
    method: root.dataset.method ?? null, device_pixel_ratio: devicePixelRatio };
}"""
BOX = """() => {
  const { x, y, width, height } = document.querySelector('.wgmb-main').getBoundingClientRect();
  return [x, y, width, Math.min(height, innerHeight - y)];
}"""
DRAGGED = """() => {
  watch.recording = false;
  const { moves, ticks } = watch, begin = moves[0], end = moves.at(-1), seconds = (end - begin) / 1000;
  const frames = watch.frames.filter(([t]) => t >= begin && t <= end);
  const times = frames.filter(([, changed]) => changed).map(([t]) => t);
  const gaps = [begin, ...times, end].slice(1).map((t, k) => t - [begin, ...times][k]);
  const per = (n) => Math.round(10 * n / seconds) / 10;
  gaps.sort((a, b) => a - b);
  return { seconds, moves: moves.length, fps: per(times.length), longest_gap_ms: Math.round(gaps.at(-1)), median_gap_ms: Math.round(gaps[gaps.length >> 1]),
           new_fps: per(frames.filter(([, , fresh]) => fresh).length), page_fps: per(ticks), shown: watch.shown.length };
}"""


def mouse(kind: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    """Parameters of `Input.dispatchMouseEvent`."""
    return {"type": kind, "x": round(x), "y": round(y), **more}


def wheel(page: DevToolsPage, x: float, y: float, delta: int) -> dict[str, Any]:
    """Turn the wheel once, and wait for the whole picture; milliseconds from the event."""
    page.evaluate("() => { watch.event = 0; }")
    page.command("Input.dispatchMouseEvent", **mouse("mouseWheel", x, y, deltaX=0, deltaY=delta))
    page.wait_for(f"() => watch.event > 0 && ({COMPLETE})()", timeout=PATIENCE_S)
    times = dict(page.evaluate(TIMES, "event"))
    time.sleep(0.4)  # what the explorer does once it has settled
    return times


def drag(page: DevToolsPage, box: list[float], seconds: float) -> dict[str, Any]:
    """Drag the picture once around a circle, back to where it was, by small steps at 60 Hz."""
    left, top, width, height = box
    x, y = left + width / 2, top + height / 2
    radius = height / 4
    held: dict[str, Any] = {"button": "left", "buttons": 1}
    page.command("Input.dispatchMouseEvent", **mouse("mouseMoved", x, y))
    page.command("Input.dispatchMouseEvent", **mouse("mousePressed", x, y, clickCount=1, **held))
    time.sleep(0.3)
    page.evaluate(
        "() => { watch.begin(performance.now()); Object.assign(watch, { frames: [], moves: [], ticks: 0, recording: true }); }"
    )
    count = round(60 * seconds)
    begin = time.monotonic()
    for k in range(1, count + 1):
        angle = 2 * math.pi * k / count
        at = (x + radius * (math.cos(angle) - 1), y + radius * math.sin(angle))
        page.tell("Input.dispatchMouseEvent", **mouse("mouseMoved", *at, **held))
        time.sleep(max(0.0, begin + k / 60 - time.monotonic()))
    dragged = dict(page.evaluate(DRAGGED))
    page.command("Input.dispatchMouseEvent", **mouse("mouseReleased", x, y, clickCount=1, **held))
    page.wait_for(COMPLETE, timeout=PATIENCE_S)
    dragged["complete_after_ms"] = page.evaluate(
        "() => watch.complete ? Math.round(watch.complete - watch.moves.at(-1)) : null"
    )
    return dragged


def median(turns: list[dict[str, Any]], key: str) -> float | None:
    """Median of what is there."""
    values = [turn[key] for turn in turns if turn[key] is not None]
    return round(statistics.median(values), 1) if values else None


def measure(host: LabPage, name: str, args: argparse.Namespace, figures: dict[str, Any]) -> None:
    """Open an explorer at a view, turn the wheel in and out, and drag; ``figures`` keeps what was measured before a failure."""
    page = host.page
    host.explorer(WATCH, {**VIEWS[name], "height": args.height})
    if not page.wait_for("() => watch.there > 0", timeout=20):
        raise RuntimeError("no explorer came")
    page.wait_for(COMPLETE, timeout=PATIENCE_S)
    opened, about = page.evaluate(TIMES, "there"), page.evaluate(ABOUT)
    if args.adapter and args.adapter.lower() not in str(about["adapter"]).lower():
        raise RuntimeError(f"the page's adapter is {about['adapter']}, not {args.adapter}")
    figures |= {**about, "opened_ms": opened}
    for begin in ("output", "run"):
        figures[f"opened_from_{begin}_ms"] = {
            key: value for key, value in page.evaluate(TIMES, begin).items() if key in ("any", "view", "gpu")
        }
    time.sleep(1)
    left, top, width, height = box = page.evaluate(BOX)
    x, y = left + width / 2 + 40, top + height / 2
    page.command("Input.dispatchMouseEvent", **mouse("mouseMoved", x, y))
    time.sleep(0.5)
    turns = [wheel(page, x, y, -200 if k % 2 == 0 else 200) for k in range(args.turns)]
    figures["wheel_median_ms"] = {key: median(turns, key) for key in ("any", "view", "gpu", "complete")}
    figures["wheel_turns"] = [{key: turn[key] for key in ("first", "any", "gpu", "complete")} for turn in turns]
    figures["drag"] = drag(page, box, args.seconds)


def show(figures: dict[str, Any]) -> None:
    """Print a view's figures for people."""
    opened, turns, dragged = figures["opened_ms"], figures["wheel_median_ms"], figures["drag"]
    print(f"{figures['view']}: {figures['adapter']}; {figures['size']}, {figures['canvas']}")
    print(f"  explorer says: {figures['status']} {figures['note']}")
    print(
        f"  opened: first pixels {opened['any']} ms ({opened['first']}), GPU's {opened['gpu']}, complete {opened['complete']}"
    )
    print(f"    from output: {figures['opened_from_output_ms']}; from run: {figures['opened_from_run_ms']}")
    print(
        f"  wheel, median: first pixels {turns['any']} ms, GPU's {turns['gpu']}, complete {turns['complete']}; ", end=""
    )
    print("by " + "; ".join(f"{turn['first']} {turn['any']}" for turn in figures["wheel_turns"]))
    print(f"  drag: {json.dumps(dragged)}", flush=True)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", nargs="+", default=list(VIEWS), choices=list(VIEWS))
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--height", type=int, default=520)
    parser.add_argument("--ratio", type=float, default=1, help="pixels of the screen in one of the page")
    parser.add_argument("--adapter", default="", help="a word that the adapter's name must have")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the server and the browser are to end with this
    results: list[dict[str, Any]] = []
    host = LabPage(("--enable-logging=stderr", f"--force-device-scale-factor={args.ratio:g}"))
    try:
        for name in args.views:
            results.append({"view": name})
            measure(host, name, args, results[-1])
            show(results[-1])
            if args.screenshots:
                args.screenshots.mkdir(parents=True, exist_ok=True)
                host.page.screenshot(args.screenshots / f"explorer-{name}.png")
    except (RuntimeError, OSError) as error:
        sys.exit(f"{results[-1]['view']}: {error}")
    finally:
        if args.json:
            args.json.write_text(json.dumps(results, indent=1))
        host.close()


if __name__ == "__main__":
    main()
