"""Write webgpu_widget/mandelbrot/landmarks.json: places with a name, the deep ones found by Newton's method.

python tests/mandelbrot/make_landmarks.py
"""

from __future__ import annotations

import json
import pathlib

from make_golden import SEAHORSE, TEN, antenna_tip, copy_near

from webgpu_widget.mandelbrot.numbers import exact_point
from webgpu_widget.mandelbrot.points import cycle_point
from webgpu_widget.mandelbrot.view import make_view

TARGET = pathlib.Path(__file__).resolve().parents[2] / "webgpu_widget/mandelbrot/landmarks.json"


def main() -> None:
    """Write the file."""
    seahorse = exact_point(SEAHORSE, "c")
    spiral = cycle_point(exact_point(-0.10109636384562 + 0.95628651080914j, "c"), 4, 1, -700 * TEN)
    tip = antenna_tip(copy_near(seahorse, 3), 560)
    large_tip = antenna_tip(copy_near(spiral, 2), 560)
    places = {
        "Whole set": (("-0.75", "0"), "3.5", 1000),
        "Seahorse valley": (("-0.7453", "0.1127"), "0.02", 2000),
        "Elephant valley": (("0.2925", "0.0149"), "0.03", 2000),
        "Triple spiral": (("-0.088", "0.654"), "0.025", 2000),
        "Antenna": (("-1.7688", "0.0017"), "0.02", 2000),
        "Copy on the antenna": (("-1.754877666246693", "0"), "0.06", 2000),
        "Seahorse tail, 1e-10": (SEAHORSE, "1e-10", 6000),
        "Copy on a spiral, 1e-10": (copy_near(spiral, 5.4)[0], "1e-10", 4000),
        "Seahorse, 1e-25": (SEAHORSE, "1e-25", 40000),
        "Copy past f32, 1e-38": (copy_near(spiral, 19.4)[0], "1e-38", 20000),
        "Dendrite tip, 1e-60": (("0", "1"), "1e-60", 4000),
        "Copy by an antenna, 1e-100": (copy_near(tip, 55)[0], "1e-100", 60000),
        "Copy, 1e-300": (copy_near(tip, 155)[0], "1e-300", 120000),
        "Misiurewicz spiral, 1e-600": (spiral, "1e-600", 20000),
        "Copy, 1e-1000": (copy_near(large_tip, 501.8)[0], "1e-1000", 200000),
    }
    written = {}
    for name, (center, width, count) in places.items():
        view = make_view(center, width, (800, 600), count)
        written[name] = {"center": view.center, "width": view.width, "max_iter": view.max_iter}
    TARGET.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
