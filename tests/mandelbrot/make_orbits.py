"""Write orbits.json: rows of packed reference orbits, which the page's own BigInt orbits must give too. `python tests/mandelbrot/make_orbits.py`"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
from gmpy2 import mpq

from webgpu_widget import mandelbrot
from webgpu_widget.mandelbrot.bla import BLOCK, pack_reference
from webgpu_widget.mandelbrot.numbers import exact
from webgpu_widget.mandelbrot.orbit import compute_orbit

PATH = pathlib.Path(__file__).with_name("orbits.json")
COUNT = 700


def views() -> dict[str, mandelbrot.View]:
    """A seahorse, a tip where |Z| is nearly 2, a copy whose orbit comes near 0, one that escapes, an end of the set."""
    marks = mandelbrot.landmarks()
    chosen = {name: marks[name] for name in ("Seahorse, 1e-25", "Dendrite tip, 1e-60", "Copy, 1e-300")}
    copy = marks["Copy past f32, 1e-38"]
    chosen["beside a copy"] = copy.replace(center=(exact(copy.center[0], "re") + mpq(1, 10**30), copy.center[1]))
    chosen["escapes"] = mandelbrot.make_view(("-0.7453", "0.1127"), "1e-9")
    chosen["tip"] = mandelbrot.make_view(("-2", "0"), "1e-12")
    return chosen


def case(view: mandelbrot.View) -> dict[str, Any]:
    """Pack one: all rows that are marked, and every 23rd."""
    orbit = compute_orbit(view.point, COUNT, view.precision + 32)
    packed = pack_reference(orbit).packed[:-BLOCK]
    rows = [m for m in range(len(packed)) if m % 23 == 0 or packed[m, 2:].any()][:200]
    return {
        "center": view.center,
        "width": view.width,
        "escaped": orbit.escaped,
        "length": len(packed) - 1,
        "rows": {str(m): [float(number) for number in packed[m].astype(np.float64)] for m in rows},
    }


def make() -> str:
    """The file's text."""
    return json.dumps({name: case(view) for name, view in views().items()}, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(make())
