"""A cluster of one browser beside `render` and `matmul` on a GPU of the same kind: what handing out, sending, checking and putting together cost.

    python bench/alone.py                                   # this build alone
    python bench/alone.py --beside /tmp/old                 # and another one (bench/small.py says how to have it), in turns
    python bench/alone.py --size 4096 3072 --products 4096x4096x4096 --tile 0

Whole calls, NumPy in and NumPy out, with two browsers for each build: the cluster's and the plain one's, of which one works at a time. Pictures have the bits of
`render`, and each product is compared with float64; what is not right says WRONG. Where a CPU computes, choose what takes little computing, as the sizes here do:
then the time is that of bytes and of Python, as it is with a fast GPU. A picture's tiles have the side that a GPU's would have (``--tile 0`` leaves it to the cluster).
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from _builds import builds, options, serve

T = TypeVar("T")
Array = np.ndarray[Any, np.dtype[np.float32]]

OUTSIDE: dict[str, Any] = {"center": (2.5, 2.5), "width": 1.0, "max_iter": 1000}
"""All pixels leave within two steps."""


def operands(shape: Sequence[int]) -> tuple[Array, Array]:
    """Return what is multiplied."""
    rng = np.random.default_rng(sum(shape))
    rows, depth, columns = shape
    return rng.standard_normal((rows, depth), np.float32), rng.standard_normal((depth, columns), np.float32)


def is_right(a: Array, b: Array, product: Array) -> bool:
    """Whether some rows are the product's, within what float32 may round: each of a sum's terms, and each step of the sum."""
    some = slice(None, None, max(1, len(a) // 16))
    part, wide = a[some].astype(float), b.astype(float)
    return bool((abs(product[some] - part @ wide) <= (len(b) + 1) * 2.0**-24 * (abs(part) @ abs(wide))).all())


def timed(call: Callable[[], T]) -> tuple[T, float, float]:
    """Return what a call returns, its seconds, and those of this process's processor time."""
    began, used = time.perf_counter(), time.process_time()
    made = call()
    return made, time.perf_counter() - began, time.process_time() - used


def work() -> None:
    """Be the process of a build."""
    import webgpu_widget as wg

    gpu = wg.GPU(transport="headless")
    cluster = wg.Cluster()
    cluster.launch(1)
    cluster.wait(1, timeout=120)

    def turn(kind: str, size: list[int], tile: int) -> dict[str, Any]:
        if kind == "picture":
            view: dict[str, Any] = {**OUTSIDE, "size": tuple(size)}
            tiles: dict[str, Any] = {"tile": tile} if tile else {}
            picture, plain_s, plain_cpu = timed(lambda: wg.mandelbrot.render(**view, gpu=gpu))
            other, ours_s, ours_cpu = timed(lambda: cluster.mandelbrot(**view, **tiles))
            same = np.array_equal(picture.iterations, other.iterations)
            right = bool(same and np.array_equal(picture.smooth, other.smooth, equal_nan=True))
        else:
            a, b = operands(size)
            plain, plain_s, plain_cpu = timed(lambda: wg.matmul(a, b, gpu=gpu).numpy())
            ours, ours_s, ours_cpu = timed(lambda: cluster.matmul(a, b))
            right = is_right(a, b, plain) and is_right(a, b, ours)
        return {"plain": [plain_s, plain_cpu], "cluster": [ours_s, ours_cpu], "right": right}

    serve({"package": str(Path(wg.__file__).parent), "adapter": gpu.info.name}, turn)
    cluster.close()
    gpu.close()


def main() -> None:
    """Print a row of each work and build."""
    parser = options(__doc__, 7)
    parser.add_argument("--size", nargs=2, type=int, default=[2048, 1536])
    parser.add_argument("--tile", type=int, default=0, help="side of tiles of this build; 0: what it chooses")
    parser.add_argument("--products", nargs="+", default=["2048x64x2048", "256x16384x256", "1024x512x1024"])
    args = parser.parse_args()
    if args.work:
        work()
        return
    made = builds(__file__, args.beside)
    print(json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[0], "turns": args.turns}))
    jobs: list[tuple[str, list[int]]] = [("picture", args.size)]
    jobs += [("product", [int(n) for n in text.split("x")]) for text in args.products]
    for kind, size in jobs:
        questions = [(kind, size, tile) for tile in (args.tile, 0)[: len(made)]]
        for build, question in zip(made, questions, strict=True):
            build.turn(*question)
        turns = [
            [build.turn(*question) for build, question in zip(made, questions, strict=True)] for _ in range(args.turns)
        ]
        for build, each in zip(made, zip(*turns, strict=True), strict=True):
            row: dict[str, Any] = {"what": f"{kind} {'x'.join(map(str, size))}", "build": build.about["package"]}
            for which in ("plain", "cluster"):
                row[f"{which}_s"] = round(statistics.median(one[which][0] for one in each), 3)
                row[f"{which}_least_s"] = round(min(one[which][0] for one in each), 3)
                row[f"{which}_python_s"] = round(statistics.median(one[which][1] for one in each), 3)
            ratios = [one["cluster"][0] / one["plain"][0] for one in each]
            row["ratio"] = round(statistics.median(ratios), 2) if all(one["right"] for one in each) else "WRONG"
            print(json.dumps(row), flush=True)
    for build in made:
        build.close()


if __name__ == "__main__":
    main()
