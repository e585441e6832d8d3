"""Write golden.json and the counts of places.json: exact escape counts, from iterating each pixel's own point in gmpy2 at twice the precision that the view needs.

    python tests/mandelbrot/make_golden.py [PROCESSES] [NAME ...]

golden.json has twelve views with fifty pixels each; named views are made anew. places.json has all 36 x 24 pixels of places that others have posted: their coordinates are
those of the folder locations/ of github.com/rust-fractal/rust-fractal-core, under the names of its files, and the width is 4 / zoom. Places whose counts are an empty list get
them. It takes some minutes on one core for the views, and half an hour for the places.
"""

from __future__ import annotations

import json
import math
import multiprocessing.pool
import pathlib
import sys
import time
from typing import Any

import numpy as np
from gmpy2 import mpq

from webgpu_widget.mandelbrot.numbers import exact, exact_point
from webgpu_widget.mandelbrot.points import Point, copy_size, cycle_point, find_period, nucleus
from webgpu_widget.mandelbrot.view import View, make_view
from webgpu_widget.reference.mandelbrot import exact_count

GOLDEN = pathlib.Path(__file__).with_name("golden.json")
PLACES = pathlib.Path(__file__).with_name("places.json")
PIXELS = 50
PLACE_SIZE = (36, 24)
TEN = math.log2(10)
SEAHORSE = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")

ELEPHANT = ("0.2925755", "0.0149977")


def copy_near(point: Point, depth: float) -> tuple[Point, int, complex, float]:
    """Centre, period, direction and log2 size of the copy that is found 10**-depth around a point."""
    period = find_period(point, -depth * TEN, 10**6)
    center = nucleus(point, period, -2.5 * depth * TEN - 40)
    unit, scale = copy_size(center, period, -2.5 * depth * TEN - 40)
    return center, period, unit, scale


def antenna_tip(copy: tuple[Point, int, complex, float], digits: int) -> Point:
    """Where a copy has what the whole set has at -2."""
    center, period, unit, scale = copy
    away = mpq(2) ** math.floor(scale) * mpq(-2 * 2 ** (scale - math.floor(scale)))
    guess = center[0] + away * mpq(unit.real), center[1] + away * mpq(unit.imag)
    return cycle_point(guess, 2 * period, period, -digits * TEN)


def views() -> dict[str, View]:
    """Make the twelve views."""
    seahorse = exact_point(SEAHORSE, "c")
    spiral = cycle_point(exact_point(-0.10109636384562 + 0.95628651080914j, "c"), 4, 1, -700 * TEN)
    small_tip = antenna_tip(copy_near(seahorse, 3), 560)
    large_tip = antenna_tip(copy_near(spiral, 2), 560)
    size = (800, 600)

    def view(center: Any, width: str, max_iter: int) -> View:
        return make_view(center, width, size, max_iter)

    return {
        "whole": view(("-0.75", "0"), "3", 2_000),
        "seahorse valley": view(SEAHORSE, "1e-3", 5_000),
        "elephant valley": view(antenna_tip(copy_near(exact_point(ELEPHANT, "c"), 3.3), 60), "1e-6", 20_000),
        "copy on a spiral": view(copy_near(spiral, 5.4)[0], "1e-10", 5_000),
        "Misiurewicz spiral": view(spiral, "1e-16", 2_000),
        "seahorse": view(SEAHORSE, "1e-25", 30_000),
        "copy past f32": view(copy_near(spiral, 19.4)[0], "1e-38", 20_000),
        "dendrite tip": view((0, 1), "1e-60", 5_000),
        "copy by an antenna": view(copy_near(small_tip, 55)[0], "1e-100", 50_000),
        "copy at 1e-300": view(copy_near(small_tip, 155)[0], "1e-300", 100_000),
        "Misiurewicz at 1e-600": view(spiral, "1e-600", 20_000),
        "copy at 1e-1000": view(copy_near(large_tip, 501.8)[0], "1e-1000", 200_000),
    }


def place_view(place: dict[str, Any]) -> View:
    """Make the view of a posted place."""
    return make_view(tuple(place["center"]), 4 / exact(place["zoom"], "zoom"), PLACE_SIZE, place["max_iter"])


def _count(task: tuple[View, int, int]) -> int:
    return exact_count(*task)


def write_places(places: list[dict[str, Any]]) -> None:
    """Write places.json, a row of the picture in a line."""
    blocks = []
    for place in places:
        head = [f' "{key}": {json.dumps(place[key])},' for key in ("name", "center", "zoom", "max_iter")]
        rows = ",\n".join(f"  {json.dumps(row)}" for row in place["counts"])
        blocks.append("\n".join(["{", *head, ' "counts": [', rows, " ]", "}"]))
    PLACES.write_text("[\n" + ",\n".join(blocks) + "\n]\n")


def count_places(pool: multiprocessing.pool.Pool) -> None:
    """Compute the counts that places.json lacks."""
    places = json.loads(PLACES.read_text())
    columns, rows = PLACE_SIZE
    for place in places:
        if place["counts"]:
            continue
        begun = time.perf_counter()
        view = place_view(place)
        pixels = [(view, column, row) for row in range(rows) for column in range(columns)]
        counts = np.array(pool.map(_count, pixels, chunksize=4)).reshape(rows, columns)
        place["counts"] = counts.tolist()
        print(f"{place['name']}: {counts.min()} to {counts.max()}, {time.perf_counter() - begun:.0f} s", flush=True)
        write_places(places)


def main() -> None:
    """Write the files, or renew the named views."""
    kept = {entry["name"]: entry for entry in json.loads(GOLDEN.read_text())} if GOLDEN.exists() else {}
    entries = []
    with multiprocessing.Pool(int(sys.argv.pop(1)) if sys.argv[1:] and sys.argv[1].isdigit() else 1) as pool:
        for index, (name, view) in enumerate(views().items()):
            if (
                name in kept
                and (name not in sys.argv[1:])
                and kept[name]["view"] == json.loads(json.dumps(view.to_dict()))
            ):
                entries.append(kept[name])
                continue
            begun = time.perf_counter()
            draw = np.random.default_rng(index)
            pixels = [(int(draw.integers(view.size[0])), int(draw.integers(view.size[1]))) for _ in range(PIXELS)]
            counts = pool.map(_count, [(view, column, row) for column, row in pixels], chunksize=1)
            entries.append({"name": name, "view": view.to_dict(), "pixels": pixels, "counts": counts})
            print(
                f"{name}: {len(set(counts))} different counts, {min(counts)} to {max(counts)}, {time.perf_counter() - begun:.0f} s",
                flush=True,
            )
            GOLDEN.write_text(json.dumps(entries, indent=1) + "\n")
        count_places(pool)
    GOLDEN.write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
