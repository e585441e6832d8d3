"""The figures that matter on a machine, in a minute: calls, transfers, products, pictures.

Work is chained and read back, so that nothing can be skipped; figures are medians. Comparisons with other libraries are in ``bench/``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from webgpu_widget import mandelbrot, matrix
from webgpu_widget._bind import out
from webgpu_widget.gpu import GPU

_SCALE = """
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] = x[id.x] * 1.0001; }
}
"""
_COPY = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x]; }
}
"""


def seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """Return the median time of an action, after one run that does not count."""
    action()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def bench() -> dict[str, Any]:
    """Time calls, transfers, products and pictures in an embedded browser."""
    gpu = GPU(transport="headless")
    try:
        info = gpu.ready()
        return {
            "adapter": info.name,
            "user_agent": info.user_agent,
            "calls": _calls(gpu),
            "transfers": _transfers(gpu),
            "matmul": _products(gpu, (256, 512, 1024) if info.is_fallback else (1024, 2048, 4096, 8192)),
            "mandelbrot": _pictures(gpu, (512, 384) if info.is_fallback else (3840, 2160)),
        }
    finally:
        gpu.close()


def _calls(gpu: GPU) -> dict[str, str]:
    x = np.ones(1000, np.float32)
    trip = seconds(lambda: gpu.run(_COPY, x=x, y=out(1000), threads=1000), 50)
    kernel = gpu.kernel(_SCALE)
    resident = gpu.array(x)

    def many() -> None:
        for _ in range(10_000):
            kernel(x=resident, threads=1000)
        resident.numpy()

    with gpu.record() as program:
        kernel(x=resident, threads=1000)

    def replay() -> None:
        program.replay(times=1000)
        resident.numpy()

    return {
        "upload 4 kB, run, read 4 kB": f"{trip * 1e3:.2f} ms",
        "10,000 calls, one read": f"{seconds(many, 3):.2f} s",
        "1,000 dispatches replayed, one read": f"{seconds(replay) * 1e3:.1f} ms",
    }


def _transfers(gpu: GPU) -> dict[str, str]:
    size = 64 * 1024 * 1024
    data = np.random.default_rng().integers(0, 2**32, size // 4, dtype=np.uint32)

    def upload() -> None:
        gpu.array(data)
        gpu.synchronize()

    up = seconds(upload, 3)
    resident = gpu.array(data)
    down = seconds(resident.numpy, 3)
    return {"64 MiB up": f"{size / 2**20 / up:.0f} MiB/s", "64 MiB down": f"{size / 2**20 / down:.0f} MiB/s"}


def _products(gpu: GPU, sizes: tuple[int, ...]) -> dict[str, str]:
    rows = {}
    for n in sizes:
        left = gpu.random((n, n), seed=1) * (1 / n)
        right = gpu.random((n, n), seed=2)
        count = max(2, min(20, int(2e12 / n**3))) if not gpu.info.is_fallback else 3

        def chain(left: Any = left, right: Any = right, count: int = count) -> None:
            value = left
            for _ in range(count):
                value = matrix.matmul(value, right)
            value[:1, :1].numpy()

        rate = 2 * n**3 * count / seconds(chain, 3)
        rows[f"{n}"] = f"{rate / 1e12:.2f} TFLOP/s" if rate > 1e12 else f"{rate / 1e9:.1f} GFLOP/s"
    return rows


def _pictures(gpu: GPU, size: tuple[int, int]) -> dict[str, str]:
    rows = {}
    for label, width, max_iter in (("whole set", "3", 2000), ("1e-25", "1e-25", 5000)):
        center = (
            ("-0.5", "0")
            if label == "whole set"
            else ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")
        )
        started = time.perf_counter()
        image = mandelbrot.render(center=center, width=width, size=size, max_iter=max_iter, gpu=gpu, refine=False)
        rows[label] = f"{size[0]} x {size[1]} in {time.perf_counter() - started:.2f} s ({image.method})"
    return rows
