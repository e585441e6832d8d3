"""Escape counts a second, on the adapter of an embedded browser: the plain loop that tests each iteration, and this package's kernels.

    python bench/mandelbrot.py [--width 3840] [--iterations 2000] [--seconds 1] [--deep | --sweep [WORD]]

Giga-iterations a second are the counts of the picture over the time of a dispatch, by timestamps on the GPU where the adapter has them, else by the clock over
dispatches that take a second together; where the counts are not the exact ones of 24 pixels drawn at random (one in ten may differ: float32, and no pixel is
refined here), the rate says WRONG. In the deep views, whose counts of 16,000 and 90,000 end in float32 noise, three in four pixels must be within 1 in 100. The kernels also write the continuous count, the plain loop does not. `--deep` adds 1e-25 and 1e-300, where skipped
iterations count as done. `--sweep` times the shapes of mandelbrot_variants.py (those with WORD in the name) beside the plain loop instead, and says on what
part of the pixels each agrees with it: the plain loop rounds differently, so near the boundary counts differ.
"""

from __future__ import annotations

import argparse
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from mandelbrot_variants import variants
from numpy.typing import NDArray

import webgpu_widget as wg
from webgpu_widget import shaders
from webgpu_widget.cli.bench import counts_are_right
from webgpu_widget.device.handles import Buffer, Pipeline
from webgpu_widget.mandelbrot import View, kernels, landmarks, make_view, work

PLAIN = """
struct Params { size: vec2u, center: vec2f, step: vec2f, max_iter: u32, unused: u32 }
@group(0) @binding(0) var<storage, read_write> result: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (any(id.xy >= params.size)) { return; }
  let c = params.center + (vec2f(id.xy) + 0.5 - 0.5 * vec2f(params.size)) * params.step;
  var x = 0.0;
  var y = 0.0;
  var n = 0u;
  loop {
    let xx = x * x;
    let yy = y * y;
    if (n >= params.max_iter || xx + yy > 4.0) { break; }
    y = 2.0 * x * y + c.y;
    x = xx - yy + c.x;
    n += 1u;
  }
  result[id.y * params.size.x + id.x] = n;
}
"""
DEEP = 1e-20
SEAHORSE = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")
Binding = tuple[int, int, Buffer | bytes]


def seconds_each(gpu: wg.GPU, dispatch: Callable[[], object], least: float) -> float:
    """Time of one dispatch: warmed up, then repeated until ``least`` seconds are full."""
    dispatch()
    gpu.synchronize(timeout=None)
    count = 1
    while True:
        with gpu.profile() as profile:
            start = time.perf_counter()
            for _ in range(count):
                dispatch()
            gpu.synchronize(timeout=None)
            clock = time.perf_counter() - start
        if clock >= least or count >= 4096:
            stamped = [row.gpu_ms for row in profile.rows if row.gpu_ms]
            return (sum(stamped) / 1000 if stamped else clock) / count
        count = min(4096, max(2 * count, int(1.2 * count * least / max(clock, 1e-4))))


def report(name: str, gpu: wg.GPU, dispatch: Callable[[], object], result: Buffer, view: View, least: float) -> float:
    each = seconds_each(gpu, dispatch, least)
    found = counts(gpu, result, view.size[0] * view.size[1])
    right: dict[str, Any] = {"sample": 48, "least": 0.75, "within": 0.01} if float(view.spacing) < DEEP else {}
    if not counts_are_right(view, found, **right):
        print(f"{name:44s}      WRONG", flush=True)
        return float("nan")
    counted = int(found.sum(dtype=np.int64))
    print(f"{name:44s} {1000 * each:10.3f} ms {counted / each / 1e9:10.3f} Giter/s", flush=True)
    return counted / each


def counts(gpu: wg.GPU, result: Buffer, total: int) -> NDArray[np.uint32]:
    (raw,) = gpu._device.queue.read([(result, 0, 4 * total)], timeout=None)
    return np.frombuffer(raw, np.uint32)


def sweep(
    gpu: wg.GPU,
    size: tuple[int, int],
    uniform: bytes,
    plain: Pipeline,
    plain_args: tuple[list[Binding], tuple[int, int, int]],
    plain_result: Buffer,
    least: float,
    word: str,
) -> None:
    """Time the variants, the plain loop between every ten of them, for clocks drift."""
    queue, total = gpu._device.queue, size[0] * size[1]
    result = queue.alloc(8 * total)
    expected = None
    rows = []
    beside = []

    def time_plain() -> NDArray[np.uint32]:
        each = seconds_each(gpu, lambda: queue.dispatch(plain, plain_args[0], plain_args[1]), least)
        done = counts(gpu, plain_result, total)
        rate = done.sum(dtype=np.int64) / each / 1e9
        beside.append(rate)
        print(f"{'plain loop':56s} {1000 * each:9.3f} ms {rate:9.2f} Giter/s", flush=True)
        return done

    chosen = [variant for variant in dict.fromkeys(variants()) if word in variant.name]
    for number, variant in enumerate(chosen):
        if number % 10 == 0:
            expected = time_plain()
        queue.clear(result, 0, 8 * total)
        pipeline = queue.pipeline(variant.source(), variant.name)
        shape = (-(-size[0] // variant.tile[0]), -(-size[1] // variant.tile[1]), 1)
        args: list[Binding] = [(0, 0, result), (1, 0, uniform)]
        try:
            each = seconds_each(gpu, partial(queue.dispatch, pipeline, args, shape), least)
        except wg.WebGPUWidgetError as error:
            print(f"{variant.name:56s} failed: {str(error)[:300]}", flush=True)
            continue
        found = counts(gpu, result, total)
        rate = found.sum(dtype=np.int64) / each / 1e9
        same = float(np.mean(found == expected))
        rows.append((rate, variant.name, same))
        print(
            f"{variant.name:56s} {1000 * each:9.3f} ms {rate:9.2f} Giter/s {rate / beside[-1]:6.2f} x plain, {100 * same:7.3f} % equal",
            flush=True,
        )
    time_plain()
    middle = float(np.median(beside))
    print(f"\nplain loop, median of {len(beside)}: {middle:.2f} Giter/s ({min(beside):.2f} to {max(beside):.2f})\n")
    print("| variant | Giter/s | to plain | equal counts |\n| --- | --- | --- | --- |")
    for rate, name, same in sorted(rows, reverse=True)[:25]:
        print(f"| {name} | {rate:.2f} | {rate / middle:.2f} | {100 * same:.3f} % |")


def ours(
    gpu: wg.GPU, name: str, view: View, method: str, least: float, constants: dict[str, int] | None = None
) -> float:
    queue, total = gpu._device.queue, view.size[0] * view.size[1]
    kernel = kernels.make_kernel(queue, view, work.prepare(view, method), fallback=gpu.info.is_fallback)
    pipeline = kernel.pipeline
    if constants:
        file = "direct" if kernel.prepared.method == "direct" else "perturb"
        pipeline = queue.pipeline(shaders.load(f"mandelbrot/{file}"), name, None, {**pipeline.constants, **constants})
    state, result, remaining, listing = (
        queue.alloc(size) for size in (4 * kernel.state_planes * total, 8 * total, 4, 4)
    )
    uniform = kernel.params(0, total, (0.0, 0.0), 2**30, fresh=True)
    shape = kernels.workgroups(view.size[0], total, listed=False)
    args = [
        *((0, i, buffer) for i, buffer in enumerate([listing, *kernel.data, state, result, remaining])),
        (1, 0, uniform),
    ]
    return report(name, gpu, lambda: queue.dispatch(pipeline, args, shape), result, view, least)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=3840, help="pixels; the height is 9/16 of it")
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=1.0, help="least time of a measurement")
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--sweep", nargs="?", const="", metavar="WORD")
    options = parser.parse_args()
    size = (options.width, options.width * 9 // 16)
    gpu = wg.GPU(transport="headless")
    print(gpu.info.name, f"{size[0]} x {size[1]}, {options.iterations} iterations")
    view = make_view("-0.5", 3, size, options.iterations)
    queue, total = gpu._device.queue, size[0] * size[1]
    result = queue.alloc(4 * total)
    step = float(view.spacing)
    uniform = struct.pack("<2I4f2I", *size, -0.5, 0.0, step, -step, options.iterations, 0)
    pipeline = queue.pipeline(PLAIN, "plain loop")
    shape: tuple[int, int, int] = (-(-size[0] // 8), -(-size[1] // 8), 1)
    args: list[Binding] = [(0, 0, result), (1, 0, uniform)]
    if options.sweep is not None:
        sweep(gpu, size, uniform, pipeline, (args, shape), result, options.seconds, options.sweep)
        gpu.close()
        return
    plain = report("plain loop", gpu, lambda: queue.dispatch(pipeline, args, shape), result, view, options.seconds)
    rate = ours(
        gpu, "direct", view, "direct", options.seconds, {"INTERIOR": 0, "LADDER": int(not gpu.info.is_fallback)}
    )
    print(f"{'':44s} {rate / plain:13.2f} times the plain loop")
    ours(gpu, "direct, with cardioid, disc and cycles", view, "direct", options.seconds)
    if options.deep:
        deep = make_view(SEAHORSE, "1e-25", size, 30_000)
        copy = landmarks()["Copy, 1e-300"].replace(size=(size[0] // 2, size[1] // 2), max_iter=100_000)
        for name, where in (("1e-25", deep), ("1e-300", copy)):
            for method in ("perturbation", "bla"):
                deep_rate = ours(gpu, f"{name}, {method}", where, method, options.seconds)
                print(f"{'':44s} {deep_rate / rate:13.2f} of direct")
    gpu.close()


if __name__ == "__main__":
    main()
