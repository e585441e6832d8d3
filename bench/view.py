"""A shader view beside a bare requestAnimationFrame loop of the same shader, in turns, in one page.

    python bench/view.py [--size 1280 720] [--seconds 4] [--turns 3] [--folder FOLDER] [--json FILE]

Wants a GPU: a WebGPU canvas of SwiftShader ends the browser's GPU process. ``--folder`` only builds the page, for a machine that has no Node:
`python bench/browser.py FOLDER` runs it there. The pictures of both are compared first; where they differ by more than a step of 1/255, the rates are WRONG.
The first frame counts from the end of compilation to the end of the first frame's work on the GPU.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile
from typing import Any

from browser import collect

ROOT = pathlib.Path(__file__).resolve().parents[1]
GOAL_RATIO, GOAL_FIRST_MS = 0.95, 100.0


def build(folder: pathlib.Path) -> None:
    """Bundle the page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    esbuild = [str(ROOT / "js/node_modules/.bin/esbuild"), "bench/page/view.src.js", "--bundle", "--format=esm"]
    flags = ["--loader:.css=text", "--loader:.wgsl=text", "--log-level=error", f"--outfile={folder / 'view.js'}"]
    subprocess.run([*esbuild, *flags], cwd=ROOT, check=True)
    shutil.copy(ROOT / "bench/page/view.html", folder / "index.html")


def show(found: dict[str, Any]) -> None:
    """Print the table."""
    size = " x ".join(map(str, found["size"]))
    # What the canvas shows is of another moment: as bright on the whole, within a third.
    lit = found["lit_pixels"]
    right = found["largest_difference"] <= 1 and all(
        abs(turn["view"]["lit_pixels"] / lit - 1) < 1 / 3 for turn in found["turns"]
    )
    print(
        f"{found['adapter']}, {size}, {len(found['turns'])} turns" + ("" if right else ": WRONG, the pictures differ")
    )
    median = {
        who: {
            key: statistics.median(turn[who][key] for turn in found["turns"])
            for key in ("frames_per_second", "first_frame_ms")
        }
        for who in ("bare", "view")
    }
    for who, label in (("bare", "bare loop"), ("view", "ShaderView")):
        figures = median[who]
        rate = f"{figures['frames_per_second']:7.2f}" if right else "  WRONG"
        print(f"{label:<12}{rate} frames a second, first frame after {figures['first_frame_ms']:6.1f} ms")
    ratio = median["view"]["frames_per_second"] / median["bare"]["frames_per_second"]
    print(f"ratio {ratio:.3f} (goal {GOAL_RATIO}); first frame within {GOAL_FIRST_MS:.0f} ms")


def main() -> int:
    """Run the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    asked = parser.parse_args()
    if asked.folder is not None:
        build(asked.folder)
        return 0
    query = f"width={asked.size[0]}&height={asked.size[1]}&seconds={asked.seconds}&turns={asked.turns}"
    with tempfile.TemporaryDirectory() as folder:
        build(pathlib.Path(folder))
        found = collect(folder, query)
    if found is None or "failed" in found:
        print(found)
        return 1
    show(found)
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
