"""Work for a long time, and see that memory does not grow.

First one browser does calls, transfers, new kernels and pictures in many equal rounds, while the memory of Python, of the page's process and of the GPU process
is measured; then its page is reloaded and its processes are killed, over and over, while Python's is. A line is fitted to each (least squares over the means of
blocks, since neighbours in time are alike); the run fails when a slope is above its bound by more than two standard errors, or something is left over.

``make soak`` takes about ten minutes and goes on to random programs of arrays; ``--scale 0.02`` is a short form.
"""

from __future__ import annotations

import argparse
import gc
import os
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import psutil

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "faults")]

import devtools  # noqa: E402
from fake_page import SQUARE  # noqa: E402
from places import Place, place  # noqa: E402
from processes import children, family, kill, living_children, own_temporary_folder, profiles, until  # noqa: E402

import webgpu_widget as wg  # noqa: E402

CALLS, BYTES, KERNELS, MOVES, RELOADS, LOSSES, PROGRAMS = 100_000, 20_000_000_000, 1000, 500, 50, 20, 2000
ROUNDS = 100
BLOCKS = 20
WARM = 0.25
"""Share of the measurements at the beginning, in which caches and pools fill, that is left out."""
BOUNDS_MIB = {"python": 30.0, "renderer": 60.0, "gpu process": 100.0, "python over losses": 40.0}
"""Most growth over the measured part of a run, whatever its length."""
MIB = 2**20


@dataclass
class Series:
    """Resident memory over time."""

    times: list[float] = field(default_factory=list)
    bytes: list[float] = field(default_factory=list)

    def add(self, now: float, process: psutil.Process) -> None:
        """Measure."""
        self.times.append(now)
        self.bytes.append(process.memory_info().rss)

    def growth(self) -> tuple[float, float, float]:
        """Return (growth over the measured part, its standard error, length of the part), in MiB and seconds."""
        start = int(WARM * len(self.times))
        blocks = min(BLOCKS, len(self.times) - start)
        t = np.array([part.mean() for part in np.array_split(np.array(self.times[start:]), blocks)])
        y = np.array([part.mean() for part in np.array_split(np.array(self.bytes[start:]), blocks)]) / MIB
        length = self.times[-1] - self.times[start]
        (slope, _), covariance = np.polyfit(t - t.mean(), y, 1, cov=True)
        return slope * length, float(np.sqrt(covariance[0, 0])) * length, length


def one_round(where: Place, rng: np.random.Generator, scale: float, number: int) -> None:
    """Do a hundredth of everything, and check it."""
    gpu = where.gpu
    kernel, x = gpu.kernel(SQUARE), rng.integers(-99, 99, 1024).astype(np.float32)
    for _ in range(max(1, int(scale * CALLS / ROUNDS))):
        y = kernel(x=x, y=wg.out(1024), threads=1024)
    right = np.array_equal(y.numpy(), x * x)
    most = 32 * MIB // 4
    left = int(scale * BYTES / 2 / ROUNDS / 4)
    while left > 0:
        data = rng.integers(0, 2**32, min(left, most), dtype=np.uint32)
        right &= np.array_equal(gpu.array(data).numpy(), data)
        left -= most
    for i in range(max(1, int(scale * KERNELS / ROUNDS))):
        value = np.float32(number * 1000 + i)
        text = SQUARE.replace("x[id.x] * x[id.x]", f"x[id.x] + {value:.1f}")
        right &= np.array_equal(gpu.run(text, x=x, y=wg.out(1024), threads=1024), x + value)
    for i in range(max(1, int(scale * MOVES / ROUNDS))):
        width = 3.0 / (1.02 ** (5 * number + i))
        image = wg.mandelbrot.render(
            (-0.743643887037151, 0.13182590420533), width, size=(96, 64), max_iter=200, gpu=gpu
        )
        right &= image.iterations.shape == (64, 96)
    assert right, f"an answer of round {number} is wrong"


def steady(where: Place, rng: np.random.Generator, scale: float) -> dict[str, Series]:
    """Do all rounds in one browser."""
    [renderer], [gpu_process] = _page_processes(where), children(where.root, "gpu-process")
    watched = {"python": psutil.Process(), "renderer": renderer, "gpu process": gpu_process}
    series = {name: Series() for name in watched}
    for number in range(ROUNDS):
        one_round(where, rng, scale, number)
        gc.collect()
        for name, process in watched.items():
            series[name].add(time.monotonic(), process)
    memory = where.gpu.memory()
    assert memory.buffers == 0, f"{memory} is left on the GPU"
    return series


def _page_processes(where: Place) -> list[psutil.Process]:
    """Return the process of the page: a browser keeps spare ones, which hold less."""
    return [max(children(where.root, "renderer"), key=lambda process: process.memory_info().rss)]


def losses(where: Place, rng: np.random.Generator, scale: float) -> Series:
    """Reload and kill; each next call must be right at the first try."""
    series = Series()
    strikes = ["reload"] * max(8, int(scale * RELOADS)) + ["kill"] * max(8, int(scale * LOSSES))
    for strike in rng.permutation(strikes):
        if strike == "reload":
            devtools.send(where.root, "Page.reload")
        else:
            kind = rng.choice(["gpu-process", "renderer", "all"])
            kill(family(where.root) if kind == "all" else children(where.root, str(kind)))
        assert where.call(rng), f"the call after a {strike} is wrong"
        gc.collect()
        series.add(time.monotonic(), psutil.Process())
    return series


def told(series: dict[str, Series]) -> bool:
    """Print the growths; returns whether all are within their bounds."""
    fine = True
    for name, one in series.items():
        growth, error, length = one.growth()
        bad = growth - 2 * error > BOUNDS_MIB[name]
        fine &= not bad
        last = one.bytes[-1] / MIB
        rate = 60 / max(length, 1e-9)
        print(
            f"{name}: {growth:+.1f} ± {error:.1f} MiB in {length:.0f} s ({growth * rate:+.1f} ± {error * rate:.1f} MiB a minute), {last:.0f} MiB at the end, "
            f"bound {BOUNDS_MIB[name]:.0f} MiB{'  TOO MUCH' if bad else ''}",
            flush=True,
        )
    return fine


def programs(scale: float) -> bool:
    """Run random programs of arrays against NumPy."""
    count = max(20, int(scale * PROGRAMS))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "timeout=0",
        "tests/arrays/test_state_machine.py",
    ]
    environment = {**os.environ, "WEBGPU_WIDGET_PROGRAMS": str(count)}
    print(f"{count} random programs:", flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def main() -> int:
    """Soak; the exit status is 1 when something grows, is wrong or is left over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the whole")
    parser.add_argument("--seed", type=int, default=0, help="repeats a run")
    parser.add_argument("--no-programs", action="store_true", help="leave the random programs of arrays out")
    options = parser.parse_args()
    seed = options.seed or int(np.random.SeedSequence().generate_state(1)[0])
    rng = np.random.default_rng(seed)
    print(f"seed {seed}: --seed {seed} repeats it", flush=True)
    begun = time.monotonic()
    with own_temporary_folder():
        with place("headless") as where:
            one_round(where, rng, options.scale, -1)
            series = steady(where, rng, options.scale)
            print(f"{ROUNDS} rounds in {time.monotonic() - begun:.0f} s on {where.gpu.ready().name}", flush=True)
            series["python over losses"] = losses(where, rng, options.scale)
        fine = told(series)
        until(lambda: not living_children(), 10, "the end of all browsers")
        left = profiles()
    if left:
        print(f"left over: {left}")
    well = options.no_programs or programs(options.scale)
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes; {'well' if fine and well and not left else 'NOT WELL'}")
    return 0 if fine and well and not left else 1


if __name__ == "__main__":
    sys.exit(main())
