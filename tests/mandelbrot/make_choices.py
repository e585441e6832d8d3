"""Write choices.json: what Python and the page must choose alike for a view, its iterations and its method. `python tests/mandelbrot/make_choices.py`"""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

import numpy as np

from webgpu_widget.mandelbrot import automatic_iterations, make_view
from webgpu_widget.mandelbrot.numbers import exact, log2_abs
from webgpu_widget.mandelbrot.work import choose_method

PATH = pathlib.Path(__file__).with_name("choices.json")
SEED = 20261130
Place = tuple[tuple[str, str], str, tuple[int, int]]


def widths() -> list[str]:
    """Round ones, powers of two, and many of all depths."""
    random = np.random.default_rng(SEED)
    exponents = np.concatenate([random.uniform(-30, 1, 150), random.uniform(-9_900, -30, 150)])
    some = [f"{random.uniform(1, 10):.14f}e{math.floor(exponent)}" for exponent in exponents]
    return ["0.7196856730011521", "3.5", "4", "100", "1e-1000", *(repr(2.0**-k) for k in range(0, 60, 7)), *some]


def places() -> list[Place]:
    """Views about the width from which on f32 is not right enough: some exactly there, some upright, where the longer side must not count for both."""
    random = np.random.default_rng(SEED + 1)
    made: list[Place] = [
        (("0.1", "0.1"), "0.015625", (1024, 768)),
        (("0", "0"), "0.015625", (1024, 1024)),
        (("-0.75", "0"), "0.0244140625", (800, 600)),
        (("-0.75", "0"), "0.0093", (400, 300)),
        (("-0.75", "0"), "0.0091", (400, 300)),
        (("0.1", "0.4"), repr(200 * 2.0**-16), (200, 800)),
        (("1.9", "0.1"), repr(100 * 2.0**-14), (100, 3000)),
    ]
    for _ in range(150):
        re, im = random.uniform(-2, 2, 2)
        size = (int(random.integers(2, 2000)), int(random.integers(2, 2000)))
        part = 2.0**-15 * random.uniform(0.985, 1.02)  # of the coordinates at the picture's edge
        reach = max(0.5, *(abs(place) / (1 - part * side / 2) for place, side in zip((re, im), size, strict=True)))
        width = size[0] * reach * part
        made.append(((f"{re:.12f}", f"{im:.12f}"), f"{width:.14g}", size))
    return made


def make() -> str:
    """Return the file's text."""
    iterations = [[width, automatic_iterations(log2_abs(exact(width, "width")))] for width in widths()]
    direct: list[list[Any]] = [
        [*center, width, *size, choose_method(make_view(center, width, size)) == "direct"]
        for center, width, size in places()
    ]
    lines = [",\n".join(f"  {json.dumps(row)}" for row in rows) for rows in (iterations, direct)]
    return f'{{\n "iterations": [\n{lines[0]}\n ],\n "direct": [\n{lines[1]}\n ]\n}}\n'


if __name__ == "__main__":
    PATH.write_text(make())
