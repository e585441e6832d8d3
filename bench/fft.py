"""Fourier transforms beside a copying kernel, in one run.

    python bench/fft.py [--adapter nvidia] [--seconds 0.4] [--small]
    cd bench && npm ci && cd .. && python bench/fft.py --peer [--adapter nvidia]

*gpu* is the sum of the timestamps of a transform's dispatches (`gpu.profile()`), the least of several rounds; *wall* is the time of many
transforms that are queued without waiting, divided by their count. *copies* is the gpu time (without timestamps the wall time) over what copying
as many bytes as the transform's input and output takes by a copying kernel; *a pass* is that divided by the dispatches. Each result is compared
with NumPy's in float64, row by row where there are many, and says WRONG instead of a time where it is off by more than 1.5e-7 * log2(n) in the L2
norm. ``--small`` takes sizes for a CPU: batches that make 2**20 points.

``--peer`` takes jax-js' FFT beside the same dispatches on one page, in rounds that take turns, each ended by a value that is read: milliseconds by
the clock and how many times this package's, and the same of the processor time of the browser's GPU process, which other work on the machine does not distort. CHROMIUM and CHROMIUM_FLAGS choose the
browser (bench/browser.py).
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _steps import wall_ms
from browser import collect
from record import transforms

import webgpu_widget as wg
from webgpu_widget import xp

COPY = """
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(256) fn main(
  @builtin(workgroup_id) at: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = (at.y * groups.x + at.x) * 1024u + lid;
  let a = x[i]; let b = x[i + 256u]; let c = x[i + 512u]; let d = x[i + 768u];
  y[i] = a; y[i + 256u] = b; y[i + 512u] = c; y[i + 768u] = d;
}"""
LARGE = [
    ("fft 2^20 x 64", "fft", (64, 1 << 20), None),
    ("rfft 2^20 x 64", "rfft", (64, 1 << 20), None),
    ("irfft 2^20 x 64", "irfft", (64, (1 << 19) + 1), None),
    ("fft 2^24", "fft", (1, 1 << 24), None),
    ("rfft 2^24", "rfft", (1, 1 << 24), None),
    ("fft 2^26", "fft", (1, 1 << 26), None),
    ("fft2 4096 x 4096", "fftn", (4096, 4096), (0, 1)),
    ("fft along axis 0 of 4096 x 4096", "fft", (4096, 4096), (0,)),
    ("fft 1024 x 16384", "fft", (16384, 1024), None),
    ("fft 1009 x 16384", "fft", (16384, 1009), None),
    ("fft 1000 x 16384", "fft", (16384, 1000), None),
    ("fft 1024 x 1", "fft", (1, 1024), None),
]
SMALL = [
    *((f"fft 2^{k} x {1 << (20 - k)}", "fft", (1 << (20 - k), 1 << k), None) for k in range(10, 19, 2)),
    *((f"rfft 2^{k} x {1 << (20 - k)}", "rfft", (1 << (20 - k), 1 << k), None) for k in (10, 18)),
    ("fft2 1024 x 1024", "fftn", (1024, 1024), (0, 1)),
    ("fft 1009 x 1024", "fft", (1024, 1009), None),
]


class Bench:
    """Times steps on one GPU."""

    def __init__(self, gpu: wg.GPU, seconds: float) -> None:
        self.gpu, self.seconds = gpu, seconds
        self.copies: dict[int, float] = {}

    def copy_ms(self, nbytes: int) -> float:
        """Return the milliseconds (on the GPU, or by the clock) in which a kernel reads and writes `nbytes` in all."""
        groups = max(1, nbytes // 2 // (1024 * 16))
        if groups not in self.copies:
            source, target = self.gpu.zeros((groups * 1024, 4)) + 1.5, self.gpu.empty((groups * 1024, 4))
            copy = self.gpu.kernel(COPY, name="copy")
            y = -(-groups // 32768)
            x = groups // y  # sizes here are powers of two, or are cut by less than a part in a thousand

            def copied() -> wg.GPUArray:
                copy(x=source, y=target, workgroups=(x, y, 1))
                return target

            wall, on_gpu, _ = self.times(copied)
            if not bool((target[: x * y * 1024] == 1.5).all()):
                raise SystemExit("the copying kernel is WRONG")
            self.copies[groups] = (wall if on_gpu is None else on_gpu) * groups / (x * y)
        return self.copies[groups] * nbytes / (groups * 1024 * 32)

    def times(self, step: Callable[[], wg.GPUArray]) -> tuple[float, float | None, int]:
        """Return the milliseconds of a step (wall, gpu or None), and how many dispatches it has."""
        step()
        self.gpu.synchronize()
        wall, _ = wall_ms(step, self.seconds, most=1024)
        rounds = []
        for _ in range(5):
            with self.gpu.profile() as profile:
                step()
            rounds.append(profile.rows)
        stamps = [[row.gpu_ms for row in rows] for rows in rounds]
        sums = [sum(one for one in stamp if one is not None) for stamp in stamps if None not in stamp]
        gpu_ms = min(sums) if len(sums) == len(rounds) else None
        return wall, gpu_ms, sum(r.dispatches for r in rounds[0])


def error(kind: str, a: wg.GPUArray, result: wg.GPUArray, axes: tuple[int, ...] | None) -> float:
    """Return the largest relative error of some rows in the L2 norm, in what is allowed."""
    x, found = a.numpy(), result.numpy()
    if axes is None:
        rows = sorted({0, x.shape[0] // 2, x.shape[0] - 1})
        pairs = [(found[row], getattr(np.fft, kind)(x[row].astype(np.result_type(x, np.float64)))) for row in rows]
        points = x.shape[1]
    else:
        pairs = [(found, np.fft.fftn(x.astype(np.complex128), axes=axes))]
        points = math.prod(x.shape[i] for i in axes)
    allowed = 1.5e-7 * math.log2(points)
    return float(max(np.linalg.norm(f - w) / np.linalg.norm(w) for f, w in pairs)) / allowed


def run(bench: Bench, name: str, kind: str, shape: tuple[int, ...], axes: tuple[int, ...] | None) -> None:
    """Time and check one transform, and print its row."""
    gpu = bench.gpu
    x = xp.random.normal(shape, 1, device=gpu)
    a = x if kind == "rfft" else x + 1j * xp.random.normal(shape, 2, device=gpu)
    a.ravel()[:1].numpy()
    options = {} if axes is None else {"axes": axes} if kind == "fftn" else {"axis": axes[0]}
    function = getattr(xp.fft, kind)
    result = function(a, **options)
    right = error(kind, a, result, axes) < 1
    wall, on_gpu, dispatches = bench.times(lambda: function(a, **options))
    copies = (wall if on_gpu is None else on_gpu) / bench.copy_ms(a.nbytes + result.nbytes)
    shown = f"{wall:9.3f} {on_gpu if on_gpu is not None else math.nan:9.3f} {copies:8.2f} {copies / dispatches:7.2f}"
    print(f"{name:<34}{dispatches:>4} {shown if right else 'WRONG':>36}", flush=True)


def beside_a_peer(adapter: str, limit_s: float) -> None:
    """Print this package's transforms beside jax-js' on one page: batches that make 2**20 points."""
    x = np.random.default_rng().normal(size=(1 << 20, 2)).astype(np.float32)
    lengths = range(10, 19, 2)
    with tempfile.TemporaryDirectory() as folder:
        build = ["node", str(Path(__file__).parent / "build.mjs"), folder, "fft"]
        subprocess.run(build, check=True)
        (Path(folder) / "x.bin").write_bytes(x.tobytes())
        jobs = [transforms(adapter, 1 << k, 1 << (20 - k)) for k in lengths]
        (Path(folder) / "fft.json").write_text(json.dumps(jobs))
        rows = collect(folder, "", limit_s)
    if not isinstance(rows, list):
        raise SystemExit(rows["failed"] if rows else "the page posted nothing in time")
    wanted = {1 << k: np.fft.fft(x.view(np.complex64).reshape(-1, 1 << k).astype(np.complex128)) for k in lengths}
    print(f"load {os.getloadavg()[0]:.1f}")
    for row in rows:
        n, mine = row["n"], next(r for r in rows if r["n"] == row["n"])
        head = f"fft 2^{n.bit_length() - 1:<3}{row['name']:<12}"
        if "failed" in row:
            print(head, "FAILED:", row["failed"])
            continue
        found = np.frombuffer(base64.b64decode(row["result"]), np.complex64).reshape(wanted[n].shape)
        off = np.linalg.norm(found - wanted[n]) / np.linalg.norm(wanted[n])
        # jax-js has its roots of unity from WGSL's sin, which is off by 1e-4 on some adapters.
        right = off < (1.5e-7 * math.log2(n) if row is mine else 1e-3)
        times = [f"{row[key]:9.2f} ms ({row[key] / mine[key]:5.2f})" for key in ("ms", "cpu")]
        print(head, f"{times[0]}, of the processor {times[1]}, error {off:.1e}" if right else f"WRONG: error {off:.1e}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--adapter", default="", help="what the adapter's name must contain")
    parser.add_argument("--seconds", type=float, default=0.4, help="least time of a measurement")
    parser.add_argument("--small", action="store_true", help="sizes for a CPU")
    parser.add_argument("--peer", action="store_true", help="take jax-js beside, on one page")
    parser.add_argument("--limit", type=float, default=600, help="seconds to wait for that page")
    options = parser.parse_args()
    if options.peer:
        beside_a_peer(options.adapter or "swiftshader", options.limit)
        return
    gpu = wg.GPU(transport="headless")
    info = gpu.ready(timeout=60)
    if options.adapter not in info.name:
        raise SystemExit(f"the adapter is {info.name!r}, not {options.adapter!r}")
    bench = Bench(gpu, options.seconds)
    nbytes = 1 << (24 if options.small else 31)
    print(f"{info.name}: copying {nbytes / bench.copy_ms(nbytes) / 1e6:.1f} GB/s in all")
    print(f"{'':<34}disp. {'wall ms':>8} {'gpu ms':>9} {'copies':>8} {'a pass':>7}")
    for row in SMALL if options.small else LARGE:
        run(bench, *row)
    gpu.close()


if __name__ == "__main__":
    main()
