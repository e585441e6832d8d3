"""How a cluster of browsers on one machine scales: efficiency T1 / (n * Tn), in one run, each browser pinned to cores of its own.

::

    python bench/cluster.py --browsers 1 2 4 8 --cores 2                       # a machine with 16 cores; five minutes
    python bench/cluster.py --browsers 1 2 4 7 --cores 2 --python-cores 2      # what Python takes is its own
    python bench/cluster.py --browsers 1 2 --cores 1 --size 640 480 --matrix 1024 --block 256
    python bench/cluster.py --what channel simulate soak

``--adapter swiftshader`` leaves a GPU alone and computes on the CPU, which is what the pinning is for: several browsers on one GPU do not scale.
CHROMIUM, CHROMIUM_FLAGS and CHROMIUM_LIBRARY_PATH choose the browser (bench/browser.py). OPENBLAS_NUM_THREADS=1 keeps NumPy's idle threads from spinning on the browsers' cores.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from cluster_machine import browsers_cpu_s, choose_browser, idle_and_stolen_s, ordered_cores, pin_python, together_s
from cluster_simulation import simulate

import webgpu_widget as wg
from webgpu_widget.cli.bench import WRONG, counts_are_right
from webgpu_widget.cluster.exchange import Block
from webgpu_widget.mandelbrot import make_view

VIEW: dict[str, Any] = {"center": (-0.748, 0.0633), "width": 1.3e-2}
"""In the seahorse valley: nearly half of the pixels stay inside, and no formula knows which."""
_LARGEST = 4096
"""Columns of it that are iterated directly; a larger picture shows more of the plane, for with smaller pixels it would be another kernel's."""


def launch(cluster: wg.Cluster, wanted: int, cores: int, mine: list[int]) -> None:
    """Start browsers until there are ``wanted``, each on the next cores."""
    for i in range(len(cluster.workers), wanted):
        pinned = mine[i * cores : (i + 1) * cores]
        assert len(pinned) == cores, f"browser {i + 1} finds no {cores} cores of its own among {len(mine)}"
        cluster.launch(1, cores=[pinned])
    cluster.wait(wanted, timeout=120)


def scale(
    args: argparse.Namespace,
    name: str,
    work: Callable[[wg.Cluster], Any],
    warm: Callable[[wg.Cluster], Any],
    is_right: Callable[[Any], bool],
) -> None:
    """Time ``work`` with 1, 2, ... browsers of one cluster; compare what they make bit for bit, and the first with what is right."""
    first: Any = None
    right = True
    alone = machine_alone = 0.0
    with wg.Cluster(exchange=args.exchange) as cluster:
        for n in args.browsers:
            launch(cluster, n, args.cores, args.browser_cores)
            adapter = cluster.workers[0].adapter
            assert args.adapter == "any" or args.adapter in adapter.lower(), f"the adapter is {adapter}"
            warm(cluster)
            pids = [browser.pid for browser in cluster._launched.browsers]
            together = min(together_s(cluster, args.burn) for _ in range(2))
            traffic = cluster._exchange.traffic
            before = {way: asdict(one) for way, one in traffic.items()}
            waited, busy = cluster._exchange.waited_s, sum(row.busy_s for row in cluster.workers)
            python, theirs = time.process_time(), browsers_cpu_s(pids)
            mine = args.browser_cores[: n * args.cores]
            idle, stolen = idle_and_stolen_s(mine)
            times: list[float] = []
            same = True
            while not times or (sum(times) < args.seconds and len(times) < args.repeats):
                began = time.perf_counter()
                result = work(cluster)
                times.append(time.perf_counter() - began)
                if first is None:
                    first = result
                    right = is_right(first)
                same = same and np.array_equal(first, result)
            python, theirs, wall = time.process_time() - python, browsers_cpu_s(pids) - theirs, sum(times)
            idle, stolen = (now - then for now, then in zip(idle_and_stolen_s(mine), (idle, stolen), strict=True))
            middle = float(np.median(times))
            alone, machine_alone = alone or middle * n, machine_alone or together
            row = {
                "what": name,
                "browsers": n,
                "adapter": adapter,
                "cores_each": args.cores,
                "seconds": [round(one, 3) for one in times],
                "efficiency": round(alone / (n * middle), 3) if same and right else WRONG,
                "efficiency_of_best": round(alone / (n * min(times)), 3) if same and right else WRONG,
                # What the machine leaves of it where nothing is scheduled or moved: one dispatch in all browsers at once.
                "machine": round(machine_alone / together, 3),
                "same_bits": same,
                # Of a browser's two tasks, one may wait for its blocks while the other computes.
                "waited_for_blocks": round((cluster._exchange.waited_s - waited) / wall / n / 2, 3),
                "in_tasks": round((sum(one.busy_s for one in cluster.workers) - busy) / wall / n, 3),
                "browsers_use_of_their_cores": round(theirs / wall / n / args.cores, 3),
                "cores_idle": round(idle / wall / len(mine), 3),
                "cores_stolen": round(stolen / wall / len(mine), 3),
                "browsers_cpu_s": round(theirs / len(times), 2),
                "python_cpu_s": round(python / len(times), 2),
                "python_cores": round(python / wall, 2),
                **{
                    f"{way}_MB": round((one.bytes - before[way]["bytes"]) / 1e6 / len(times), 1)
                    for way, one in traffic.items()
                },
            }
            print(json.dumps(row), flush=True)


def mandelbrot(args: argparse.Namespace) -> None:
    size = tuple(args.size)
    view = VIEW | {"width": VIEW["width"] * max(1.0, size[0] / _LARGEST)}
    scale(
        args,
        f"mandelbrot {size[0]}x{size[1]}, {args.max_iter} iterations, tiles of {args.tile}",
        lambda cluster: cluster.mandelbrot(**view, size=size, max_iter=args.max_iter, tile=args.tile).iterations,
        lambda cluster: cluster.mandelbrot(**view, size=(256, 192), max_iter=args.max_iter, tile=32),
        lambda counts: counts_are_right(make_view(view["center"], view["width"], size, args.max_iter), counts, 12, 0.8),
    )


def matmul(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((args.matrix, args.matrix), np.float32) for _ in range(2))
    for block in args.block:

        def multiply(cluster: wg.Cluster, side: int = block) -> Any:
            return cluster.matmul(a, b, block=side)

        def warm(cluster: wg.Cluster, side: int = block) -> None:
            """Have each browser choose and compile its kernels for blocks of this side."""
            members = cluster._roster.present("ready")
            threads = [
                threading.Thread(
                    target=lambda gpu=member.gpu: wg.matmul(a[:side, :side], b[:side, :side], gpu=gpu).numpy()
                )
                for member in members
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            cluster.matmul(a[: 4 * side, :side], b[:side, : 2 * side], block=side)

        scale(
            args,
            f"matmul {args.matrix}, blocks of {block}",
            multiply,
            warm,
            lambda product: np.allclose(
                product[:16], a[:16].astype(float) @ b.astype(float), rtol=0, atol=args.matrix * 2.0**-23
            ),
        )


def channel(args: argparse.Namespace) -> None:
    """Compare blocks from browser to browser with a bare data channel, in turns."""
    with wg.Cluster(exchange="peer") as cluster:
        launch(cluster, 2, args.cores, args.browser_cores)
        first, second = cluster._roster.present("ready")
        exchange = cluster._exchange
        values = np.random.default_rng(2).standard_normal((2048, 1024), np.float32)
        bare, blocks, waits, right = [], [], [], True
        for turn in range(5):
            bare.append(exchange.bare_rate(first, second, values.nbytes))
            block = Block(f"bench-{turn}", values)
            exchange.get(block, first)
            began = time.perf_counter()
            copy = exchange.get(block, second)
            blocks.append(values.nbytes / (time.perf_counter() - began))
            right = right and np.array_equal(copy.numpy(timeout=60), values)
            exchange.release([block])
        began = time.perf_counter()
        exchange.get(Block("small", values[:8, :8].copy()), first)
        waits.append(time.perf_counter() - began)
        print(
            json.dumps(
                {
                    "what": f"data channel, {values.nbytes >> 20} MiB blocks",
                    "bare_MB_per_s": round(float(np.median(bare)) / 1e6, 2),
                    "blocks_MB_per_s": round(float(np.median(blocks)) / 1e6, 2) if right else WRONG,
                    "ratio": round(float(np.median(blocks) / np.median(bare)), 3) if right else WRONG,
                    "hub_ms_for_256_bytes": round(1000 * waits[0], 2),
                }
            ),
            flush=True,
        )


def soak(args: argparse.Namespace) -> None:
    """Kill one browser of four at a random moment, twenty times, and compare each picture and product with the first."""
    dice = random.Random(args.seed)  # noqa: S311
    rng = np.random.default_rng(args.seed)
    a, b = rng.standard_normal((256, 128), np.float32), rng.standard_normal((128, 192), np.float32)
    view = {**VIEW, "size": (256, 192), "max_iter": 500, "tile": 32}
    right = 0
    with wg.Cluster(exchange=args.exchange) as cluster:
        cluster.launch(4)
        cluster.wait(4, timeout=120)
        whole, product = cluster.mandelbrot(**view), cluster.matmul(a, b, block=32)
        for turn in range(args.kills):
            pid = cluster._launched.browsers[turn].pid
            timer = threading.Timer(dice.uniform(0.0, 1.0), os.killpg, [pid, signal.SIGKILL])
            timer.start()
            again = cluster.mandelbrot(**view)
            other = cluster.matmul(a, b, block=32)
            timer.join()
            right += bool(
                np.array_equal(again.iterations, whole.iterations)
                and np.array_equal(again.smooth, whole.smooth, equal_nan=True)
                and np.array_equal(other, product)
            )
            cluster.launch(1)
            until = time.monotonic() + 120
            while sum(row.state == "gone" for row in cluster.workers) <= turn and time.monotonic() < until:
                time.sleep(0.1)
            cluster.wait(4, timeout=120)
    print(json.dumps({"what": "kill -9 of one browser of four", "times": args.kills, "right": right}), flush=True)


def simulated(args: argparse.Namespace) -> None:
    print(json.dumps({"what": "simulation", **asdict(simulate(args.workers, args.tasks, args.mean_s))}), flush=True)


PARTS = {"mandelbrot": mandelbrot, "matmul": matmul, "channel": channel, "simulate": simulated, "soak": soak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", choices=list(PARTS), default=["mandelbrot", "matmul"])
    parser.add_argument("--browsers", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument(
        "--python-cores", type=int, default=0, help="cores kept for Python and Dask, away from the browsers"
    )
    parser.add_argument("--repeats", type=int, default=6, help="most runs for each number of browsers")
    parser.add_argument("--seconds", type=float, default=12.0, help="no further run once they have taken this long")
    parser.add_argument(
        "--burn", type=int, default=4000, help="steps of the dispatch that shows what the machine gives"
    )
    parser.add_argument("--size", nargs=2, type=int, default=[2048, 1536])
    parser.add_argument("--max-iter", type=int, default=1000000)
    parser.add_argument("--tile", type=int, default=128)
    parser.add_argument("--matrix", type=int, default=4096)
    parser.add_argument("--block", type=int, nargs="+", default=[1024])
    parser.add_argument("--exchange", choices=["auto", "peer", "hub"], default="auto")
    parser.add_argument("--adapter", choices=["any", "swiftshader"], default="any")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=10000)
    parser.add_argument("--mean-s", type=float, default=5.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    choose_browser(args.adapter)
    cores = ordered_cores()
    args.browser_cores = cores[: len(cores) - args.python_cores]
    if args.python_cores:
        pin_python(cores[-args.python_cores :])
    print(
        json.dumps(
            {
                "machine_cores": os.cpu_count(),
                "order": cores,
                "python_on": cores[-args.python_cores :] if args.python_cores else "all",
                "load": os.getloadavg()[0],
                "argv": sys.argv[1:],
            }
        ),
        flush=True,
    )
    began = time.perf_counter()
    for part in args.what:
        PARTS[part](args)
    print(json.dumps({"all_s": round(time.perf_counter() - began, 1)}), flush=True)


if __name__ == "__main__":
    main()
