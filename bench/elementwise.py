"""Bandwidth of arrays beside the device's own copy, and what one small operation costs, in one run.

    python bench/elementwise.py [--mebibytes 1024] [--adapter nvidia] [--seconds 0.4]

Every row is queued many times without waiting, then one value of the last result is read. *wall* is that time divided by the count; *gpu* is the
sum of timestamps of one more round (`gpu.profile()`), which browsers may round to 0.1 ms a dispatch. Bytes are those that an ideal fused kernel
moves. Ratios are to the faster of the two copies. Results are checked against float64, before the timing and after it; a row whose
result is not right says WRONG instead of a rate. WEBGPU_WIDGET_BROWSER and its like choose the browser.

Operations of arrays are lazy, and a chain of them would become a few kernels: a row forces one kernel a step by asking for the buffer at each step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from _steps import wall_ms

import webgpu_widget as wg
from webgpu_widget import xp

COPY = """
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size({threads}) fn main(
  @builtin(workgroup_id) at: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lid: u32) {{
  let i = (at.y * groups.x + at.x) * {block}u + lid;
  {loads}
  {stores}
}}"""

STEP = """
@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] = x[id.x] * 0.5 + y[id.x]; }
}"""


Step = Callable[[], wg.GPUArray]
Check = Callable[[wg.GPUArray], bool]


class Bench:
    """Times rows on one GPU and prints them."""

    def __init__(self, gpu: wg.GPU, seconds: float) -> None:
        self.gpu, self.seconds = gpu, seconds
        self.rows: list[tuple[str, int, float, float | None, float, bool]] = []

    def row(self, name: str, size_bytes: int, step: Step, check: Check) -> None:
        """Time `step`, which queues one unit of work and returns an array of its result; `check` looks at the last."""
        right = check(step())
        self.gpu.synchronize()
        wall, last = wall_ms(step, self.seconds, most=4096)
        with self.gpu.profile() as profile:
            for _ in range(4):
                last = step()
        right = check(last) and right
        times = [r.gpu_ms for r in profile.rows if r.gpu_ms is not None]
        gpu_ms = sum(times) / 4 if times and len(times) == len(profile.rows) else None
        dispatches = sum(r.dispatches for r in profile.rows) / 4
        self.rows.append((name, size_bytes, wall, gpu_ms, dispatches, right))
        print(".", end="", flush=True)

    def table(self, copies: int) -> None:
        """Print the rows; the first `copies` of them are what the ratios are to."""

        def rate(size: int, ms: float | None) -> float:
            return size / ms / 1e6 if ms else float("nan")

        copied = [r for r in self.rows[:copies] if r[-1]]
        best_wall = max((rate(r[1], r[2]) for r in copied), default=float("nan"))
        best_gpu = max((rate(r[1], r[3]) for r in copied if r[3]), default=float("nan"))
        print(f"\n{'':26}{'ms wall':>10}{'GB/s':>9}{'ratio':>7}{'ms gpu':>10}{'GB/s':>9}{'ratio':>7}{'dispatches':>12}")
        for name, size, wall, gpu_ms, dispatches, right in self.rows:
            if not right:
                print(f"{name:26}{'WRONG':>10}")
                continue
            walls = f"{wall:10.3f}{rate(size, wall):9.1f}{rate(size, wall) / best_wall:7.2f}"
            gpus = (
                f"{gpu_ms:10.3f}{rate(size, gpu_ms):9.1f}{rate(size, gpu_ms) / best_gpu:7.2f}"
                if gpu_ms
                else f"{'-':>26}"
            )
            print(f"{name:26}{walls}{gpus}{dispatches:12g}")


def close_to(want: Any, rtol: float, where: Callable[[wg.GPUArray], wg.GPUArray] = lambda a: a) -> Check:
    """Return a check whether an array, or the part of it that `where` takes, is near `want`."""

    def check(got: wg.GPUArray) -> bool:
        return np.allclose(where(got).numpy(), want, rtol=rtol, atol=rtol * float(np.max(np.abs(want))))

    return check


def bandwidth(gpu: wg.GPU, mebibytes: int, seconds: float) -> None:  # noqa: PLR0915 - a table from top to bottom
    """Time everything that is bounded by memory."""
    side = 1 << ((mebibytes << 18).bit_length() - 1) // 2
    shape = ((mebibytes << 18) // side, side)
    size = 4 * shape[0] * shape[1]
    a, b, c = (_uniform(gpu, shape, seed) for seed in (1, 2, 3))
    host = [x.numpy(timeout=600) for x in (a, b, c)]
    some = (slice(None, None, max(1, shape[0] // 64)), slice(None, None, 61))
    few = [h[some].astype(np.float64) for h in host]
    wide = np.float64
    total = sum(float(np.sum(h, dtype=wide)) for h in np.array_split(host[0], 64))
    dot = sum(
        float(np.einsum("ij,ij->", *(p.astype(wide) for p in parts)))
        for parts in zip(np.array_split(host[0], 64), np.array_split(host[1], 64), strict=True)
    ) + sum(float(np.sum(h, dtype=wide)) for h in np.array_split(host[2], 64))
    bench = Bench(gpu, seconds)

    spare = gpu.empty(shape)
    source, target = a._buffer(), spare._buffer()

    def engine_copy() -> wg.GPUArray:
        gpu._device.queue.copy(source, 0, target, 0, size)
        return spare

    bench.row("copy (the engine's)", 2 * size, engine_copy, close_to(few[0], 0, lambda r: r[some]))
    cpu = gpu.info.is_fallback
    threads, each = (64, 1) if cpu else (512, 4)
    text = COPY.format(
        threads=threads,
        block=threads * each,
        loads=" ".join(f"let v{k} = x[i + {k * threads}u];" for k in range(each)),
        stores=" ".join(f"y[i + {k * threads}u] = v{k};" for k in range(each)),
    )
    groups = size // 16 // (threads * each)
    rows = max(1, groups // 32768)
    pipeline = gpu._device.queue.pipeline(text, "bare copy")

    def bare_copy() -> wg.GPUArray:
        gpu._device.queue.dispatch(pipeline, [(0, 0, source), (0, 1, target)], (groups // rows, rows, 1))
        return spare

    bench.row("copy (a bare kernel)", 2 * size, bare_copy, close_to(few[0], 0, lambda r: r[some]))

    def forced(make: Step) -> Step:
        def step() -> wg.GPUArray:
            made = make()
            made._buffer()
            return made

        return step

    bench.row(
        "x * 0.5 + y", 3 * size, forced(lambda: a * 0.5 + b), close_to(few[0] * 0.5 + few[1], 1e-6, lambda r: r[some])
    )
    bench.row("x + 1", 2 * size, forced(lambda: a + 1), close_to(few[0] + 1, 1e-6, lambda r: r[some]))
    bench.row("(a * b + c).sum()", 3 * size, lambda: (a * b + c).sum(), close_to(dot, 1e-6))  # noqa: PLW0108 - a new expression each time
    bench.row("x.sum()", size, a.sum, close_to(total, 1e-6))
    bench.row("x.max()", size, a.max, close_to(host[0].max(), 0))
    bench.row(
        "x.sum(axis=0)",
        size,
        lambda: a.sum(axis=0),
        close_to(host[0][:, ::61].sum(0, dtype=wide), 2e-6, lambda r: r[::61]),
    )
    bench.row("x.sum(axis=1)", size, lambda: a.sum(axis=1), close_to(host[0].sum(1, dtype=wide), 2e-6))
    bench.row("x.argmax()", size, a.argmax, close_to(host[0].argmax(), 0))

    def softmax() -> wg.GPUArray:
        e = xp.exp(a - a.max(axis=1, keepdims=True))
        made = e / e.sum(axis=1, keepdims=True)
        made._buffer()
        return made

    last = host[0][-1].astype(wide)
    want = np.exp(last - last.max())
    soft = close_to(want / want.sum(), 5e-6, lambda r: r[-1])
    bench.row("softmax of expressions", 4 * size, softmax, soft)
    bench.row("wg.softmax(axis=1)", 2 * size, forced(lambda: wg.softmax(a, axis=1)), soft)
    centred = last - last.mean()
    normal = close_to(centred / np.sqrt(np.square(centred).mean() + 1e-5), 5e-6, lambda r: r[-1])
    bench.row("wg.layer_norm(axis=1)", 2 * size, forced(lambda: wg.layer_norm(a, axis=1)), normal)
    corner = min(shape)
    transposed = host[0][:corner, -1].astype(wide) + host[1][corner - 1, :corner]
    square = (slice(corner),) * 2
    bench.row(
        "x.T + y (a square of it)",
        12 * corner**2,
        forced(lambda: a[:corner, -corner:].T + b[square]),
        close_to(transposed, 1e-6, lambda r: r[-1]),
    )
    v = _uniform(gpu, (shape[1],), 4)
    product = host[0][::16].astype(wide) @ v.numpy().astype(wide)
    bench.row(f"matrix-vector {shape[0]}", size, lambda: wg.matmul(a, v), close_to(product, 5e-6, lambda r: r[::16]))
    bench.table(2)
    print(f"arrays of {size / 2**20:g} MiB, shape {shape}")


def _uniform(gpu: wg.GPU, shape: tuple[int, ...], seed: int) -> wg.GPUArray:
    from webgpu_widget.arrays.lazy.random import uniform

    made = uniform(gpu._device, shape, seed)
    made._buffer()
    return made


def small_operations(gpu: wg.GPU, count: int = 1000, size: int = 1024) -> None:
    """Print what one of `count` dependent small operations costs, in microseconds."""
    y = gpu.ones(size)
    want = 2 - 0.5**count

    def arrays() -> wg.GPUArray:
        x = gpu.zeros(size)
        for _ in range(count):
            x = x * 0.5 + y
            x._buffer()
        return x

    def reductions() -> wg.GPUArray:
        # Each step reduces what the step before broadcast: nothing can be fused across it.
        x = y
        for _ in range(count // 2):
            x = y + x.max() * 0.5
        return x

    x = gpu.zeros(size)
    step = gpu.kernel(STEP, name="step")

    def calls() -> wg.GPUArray:
        x[...] = 0
        for _ in range(count):
            step(x=x, y=y, threads=size)
        return x

    with gpu.record() as unrolled:
        for _ in range(count):
            step(x=x, y=y, threads=size)
    with gpu.record() as one:
        step(x=x, y=y, threads=size)
    z = gpu.zeros(size) * 1
    z._buffer()
    with gpu.record() as lazy:
        z[...] = z * 0.5 + y

    def replay(program: wg.Program, array: wg.GPUArray, times: int) -> Step:
        def run() -> wg.GPUArray:
            array[...] = 0
            program.replay(times)
            return array

        return run

    print(f"\n{count} dependent operations on {size} floats, then one read; microseconds an operation")
    for name, run, operations in (
        ("x = x * 0.5 + y, a kernel each (its buffer is asked for)", arrays, count),
        ("x = y + x.max() * 0.5, counted as two operations", reductions, count),
        ("gpu.kernel, called", calls, count),
        ("gpu.kernel, a program of all calls replayed once", replay(unrolled, x, 1), count),
        ("gpu.kernel, a program of one call replayed", replay(one, x, count), count),
        ("x[...] = x * 0.5 + y, recorded, replayed", replay(lazy, z, count), count),
    ):
        right = np.allclose(run().numpy(), want, rtol=1e-6)
        taken, queued = [], []
        for _ in range(5):
            gpu.synchronize()
            start = time.perf_counter()
            last = run()
            queued.append(time.perf_counter() - start)
            found = last.numpy()
            taken.append(time.perf_counter() - start)
            right = right and np.allclose(found, want, rtol=1e-6)
        if not right:
            print(f"{name:58}   WRONG")
            continue
        with gpu.profile() as profile:
            run()._buffer()
        rows = profile.rows
        stamps = [r.gpu_ms for r in rows if r.gpu_ms is not None]
        gpu_us = 1e3 * sum(stamps) if stamps and len(stamps) == len(rows) else None
        dispatches = sum(r.dispatches for r in rows)
        gpus = "" if gpu_us is None else f", {gpu_us / max(1, dispatches):5.1f} on the GPU"
        print(
            f"{name:58}{1e6 * sorted(taken)[2] / operations:8.1f}, of which queueing {1e6 * sorted(queued)[2] / operations:6.1f}{gpus}"
            f" ({dispatches} dispatches)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mebibytes", type=int, default=1024, help="of an array, a power of two of at least 1")
    parser.add_argument("--adapter", default="", help="part of the name that the adapter must have")
    parser.add_argument("--seconds", type=float, default=0.4, help="how long a row is timed, at least")
    options = parser.parse_args()
    gpu = wg.GPU()
    name = gpu.ready(timeout=120).name
    if options.adapter.lower() not in name.lower():
        raise SystemExit(f"the adapter is {name!r}, not {options.adapter!r}")
    limits = gpu.info.limits
    print(
        f"{name}: maxBufferSize {limits['maxBufferSize']:,}, maxStorageBufferBindingSize {limits['maxStorageBufferBindingSize']:,}"
    )
    print(
        "features:",
        ", ".join(sorted(f for f in gpu.info.features if f in ("shader-f16", "subgroups", "timestamp-query"))),
    )
    bandwidth(gpu, options.mebibytes, options.seconds)
    small_operations(gpu)
    gpu.close()


if __name__ == "__main__":
    main()
