"""What one small operation costs Python: processor time by call, beside an older build in the same run.

    python bench/small.py                                   # this build alone
    git worktree add /tmp/old 76175d6 && (cd /tmp/old/js && npm ci && node build.mjs)
    python bench/small.py --beside /tmp/old                 # and that one, in turns, each with a browser of its own

The time is that of the calling thread (`time.thread_time`) with the garbage collector on, so that other work on the machine hardly distorts it; batches that fill
up meanwhile are sent by that thread and count. A turn ends with a read, which does not count, and its last result is checked against NumPy.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _builds import builds, options, serve, table

import webgpu_widget as wg

STEP = """
@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] = x[id.x] * 0.5 + y[id.x]; }
}"""
SIDE = 64
NAMES = ("gpu.kernel call", "x * 2 + y, launched", "x.sum()", "x.sum(axis=0)", "x @ y, 64 x 64")


Step = Callable[[], wg.GPUArray]
Check = Callable[[wg.GPUArray], bool]


def operations(gpu: wg.GPU) -> dict[str, tuple[Step, Check]]:
    """Return, by name, what is called and what tells whether its last result is right."""
    rng = np.random.default_rng()
    here = [rng.standard_normal((SIDE, SIDE)).astype(np.float32) for _ in range(3)]
    x, y, z = (gpu.array(one) for one in here)
    kernel = gpu.kernel(STEP, "step")
    wide = [one.astype(float) for one in here]

    def call() -> wg.GPUArray:
        kernel(y=y, x=z, threads=SIDE * SIDE)
        return z

    def fused() -> wg.GPUArray:
        out = x * 2.0 + y
        out._buffer()
        return out

    def near(want: Any) -> Check:
        # float32: at most SIDE * SIDE roundings of half a unit in the last place of numbers around 1, which is what the longest of these sums has.
        return lambda got: bool(np.allclose(got.numpy(), want, rtol=1e-5, atol=SIDE * SIDE * 2.0**-24))

    # z of a half of itself and y comes to 2 y after some dozens of calls, and stays there.
    calls = (call, fused, x.sum, lambda: x.sum(axis=0), lambda: x @ y)
    wanted = (2 * wide[1], 2 * wide[0] + wide[1], wide[0].sum(), wide[0].sum(axis=0), wide[0] @ wide[1])
    return {name: (step, near(want)) for name, step, want in zip(NAMES, calls, wanted, strict=True)}


def work() -> None:
    """Be the process of a build."""
    gpu = wg.GPU(transport="headless")
    table = operations(gpu)

    def turn(name: str, count: int) -> dict[str, Any]:
        step, is_right = table[name]
        for _ in range(64):
            last = step()
        last.numpy()
        gc.collect()
        assert gc.isenabled()
        began = time.thread_time()
        for _ in range(count):
            last = step()
        taken = time.thread_time() - began
        return {"us": 1e6 * taken / count, "right": is_right(last)}

    serve({"package": str(Path(wg.__file__).parent), "adapter": gpu.info.name}, turn)
    gpu.close()


def main() -> None:
    """Print a row of each operation."""
    parser = options(__doc__, 15)
    parser.add_argument("--count", type=int, default=512, help="calls a turn")
    parser.add_argument("--only", default="", help="a part of the names of operations")
    args = parser.parse_args()
    if args.work:
        work()
        return
    made = builds(__file__, args.beside)
    print(f"load {os.getloadavg()[0]:.1f}; us of processor time a call, median (least) of {args.turns} turns")
    names = [name for name in NAMES if args.only in name]
    table(made, names, args.turns, "us", args.count)


if __name__ == "__main__":
    main()
