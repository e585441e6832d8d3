"""How a cluster of browsers on one machine scales: efficiency T1 / (n * Tn), in one run, each browser pinned to cores of its own.

::

    python bench/cluster.py --browsers 1 2 4 8 --cores 2          # a machine with 16 cores
    python bench/cluster.py --browsers 1 2 --cores 1 --size 640 480 --matrix 1024 --block 256
    python bench/cluster.py --what channel simulate soak

``--adapter swiftshader`` leaves a GPU alone and computes on the CPU, which is what the pinning is for: several browsers on one GPU do not scale.
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
from cluster_simulation import simulate

import webgpu_widget as wg
from webgpu_widget.cluster.exchange import Block
from webgpu_widget.transports import _chromium

VIEW: dict[str, Any] = {"center": (-0.75, 0.1), "width": 2.5}


def launch(cluster: wg.Cluster, wanted: int, cores: int) -> None:
    """Start browsers until there are ``wanted``, each on the next cores."""
    mine = sorted(os.sched_getaffinity(0))
    for i in range(len(cluster.workers), wanted):
        pinned = mine[i * cores : (i + 1) * cores]
        assert len(pinned) == cores, f"browser {i + 1} finds no {cores} cores of its own among {len(mine)}"
        cluster.launch(1, cores=[pinned])
    cluster.wait(wanted, timeout=120)


def scale(
    args: argparse.Namespace, name: str, work: Callable[[wg.Cluster], Any], warm: Callable[[wg.Cluster], Any]
) -> None:
    """Time ``work`` with 1, 2, ... browsers of one cluster, and compare what they make, bit for bit."""
    first: Any = None
    alone = 0.0
    with wg.Cluster(exchange=args.exchange) as cluster:
        for n in args.browsers:
            launch(cluster, n, args.cores)
            warm(cluster)
            traffic = cluster._exchange.traffic
            before = {way: asdict(one) for way, one in traffic.items()}
            waited, busy = cluster._exchange.waited_s, sum(row.busy_s for row in cluster.workers)
            times, results = [], []
            for _ in range(args.repeats):
                began = time.perf_counter()
                results.append(work(cluster))
                times.append(time.perf_counter() - began)
            first = results[0] if first is None else first
            same = all(np.array_equal(first, result) for result in results)
            best = min(times)
            alone = alone or best * n
            row = {
                "what": name,
                "browsers": n,
                "adapter": cluster.workers[0].adapter,
                "cores_each": args.cores,
                "seconds": round(best, 3),
                "efficiency": round(alone / (n * best), 3),
                "same_bits": same,
                # Two tasks share a browser, so that one may wait for its blocks while the other computes.
                "waited_for_blocks": round((cluster._exchange.waited_s - waited) / sum(times) / n / 2, 3),
                "busy": round((sum(one.busy_s for one in cluster.workers) - busy) / sum(times) / n, 3),
                **{
                    f"{way}_MB": round((one.bytes - before[way]["bytes"]) / 1e6 / args.repeats, 1)
                    for way, one in traffic.items()
                },
            }
            print(json.dumps(row), flush=True)


def mandelbrot(args: argparse.Namespace) -> None:
    size = tuple(args.size)
    scale(
        args,
        f"mandelbrot {size[0]}x{size[1]}, {args.max_iter} iterations, tiles of {args.tile}",
        lambda cluster: cluster.mandelbrot(**VIEW, size=size, max_iter=args.max_iter, tile=args.tile).iterations,
        lambda cluster: cluster.mandelbrot(**VIEW, size=(256, 256), max_iter=200, tile=32),
    )


def matmul(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((args.matrix, args.matrix), np.float32) for _ in range(2))
    scale(
        args,
        f"matmul {args.matrix}, blocks of {args.block}",
        lambda cluster: cluster.matmul(a, b, block=args.block),
        lambda cluster: cluster.matmul(a[:256], b[:, :256], block=64),
    )


def channel(args: argparse.Namespace) -> None:
    """Compare blocks from browser to browser with a bare data channel, in turns."""
    with wg.Cluster(exchange="peer") as cluster:
        launch(cluster, 2, args.cores)
        first, second = cluster._roster.present("ready")
        exchange = cluster._exchange
        values = np.random.default_rng(2).standard_normal((2048, 1024), np.float32)
        bare, blocks, waits = [], [], []
        for turn in range(args.repeats + 4):
            bare.append(exchange.bare_rate(first, second, values.nbytes))
            block = Block(f"bench-{turn}", values)
            exchange.get(block, first)
            began = time.perf_counter()
            copy = exchange.get(block, second)
            blocks.append(values.nbytes / (time.perf_counter() - began))
            assert np.array_equal(copy.numpy(timeout=60), values)
            exchange.release([block])
        began = time.perf_counter()
        exchange.get(Block("small", values[:8, :8].copy()), first)
        waits.append(time.perf_counter() - began)
        print(
            json.dumps(
                {
                    "what": f"data channel, {values.nbytes >> 20} MiB blocks",
                    "bare_MB_per_s": round(float(np.median(bare)) / 1e6, 2),
                    "blocks_MB_per_s": round(float(np.median(blocks)) / 1e6, 2),
                    "ratio": round(float(np.median(blocks) / np.median(bare)), 3),
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
            pid = cluster._browsers[turn].pid
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
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--size", nargs=2, type=int, default=[2048, 1536])
    parser.add_argument("--max-iter", type=int, default=2000)
    parser.add_argument("--tile", type=int, default=128)
    parser.add_argument("--matrix", type=int, default=4096)
    parser.add_argument("--block", type=int, default=1024)
    parser.add_argument("--exchange", choices=["auto", "peer", "hub"], default="auto")
    parser.add_argument("--adapter", choices=["any", "swiftshader"], default="any")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=10000)
    parser.add_argument("--mean-s", type=float, default=5.0)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    if args.adapter == "swiftshader":
        _chromium._LINUX_GPU_FLAGS = ("--use-webgpu-adapter=swiftshader",)
    print(json.dumps({"machine_cores": os.cpu_count(), "load": os.getloadavg()[0], "argv": sys.argv[1:]}), flush=True)
    for part in args.what:
        PARTS[part](args)


if __name__ == "__main__":
    main()
