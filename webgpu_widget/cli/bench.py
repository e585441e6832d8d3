"""The figures that matter on a machine, in a minute: calls, transfers, products, pictures.

Work is chained and read back, so that nothing can be skipped; figures are medians. What was timed is checked in the same run, and a figure
whose result was not right says WRONG instead. Comparisons with other libraries are in ``bench/``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gmpy2
import numpy as np
from numpy.typing import NDArray

from webgpu_widget import mandelbrot
from webgpu_widget.arrays import matrix
from webgpu_widget.gpu import GPU
from webgpu_widget.kernels.bind import out
from webgpu_widget.mandelbrot.view import View

WRONG = "WRONG"
"""What stands where a figure would, when the result of the work was not right."""

_COUNT = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] += 1u; }
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


def exact_counts(view: View, pixels: NDArray[np.integer[Any]]) -> NDArray[np.uint32]:
    """Return the first n with ``|z_n| > 2``, or ``max_iter``, of a view's pixels, iterated at twice the precision that the view needs.

    Parameters
    ----------
    view
        Of power 2, not a Julia set.
    pixels : (n, 2)
        Columns and rows.
    """
    counts = np.full(len(pixels), view.max_iter, np.uint32)
    with gmpy2.context(precision=2 * view.precision):
        for at, (column, row) in enumerate(pixels.tolist()):
            re, im = (gmpy2.mpfr(part) for part in view.pixel(column, row))
            x = y = gmpy2.mpfr(0)
            for n in range(1, view.max_iter + 1):
                x, y = gmpy2.square(x) - gmpy2.square(y) + re, 2 * x * y + im
                if gmpy2.square(x) + gmpy2.square(y) > 4:
                    counts[at] = n
                    break
    return counts


def counts_are_right(
    view: View, iterations: NDArray[np.uint32], sample: int = 24, least: float = 0.9, within: float = 0.0
) -> bool:
    """Whether a picture's counts at random pixels are the exact ones; near the boundary float32 may be off, so a part of them may differ.

    Parameters
    ----------
    view, iterations
        The picture, (height, width), without refining.
    sample
        How many pixels are iterated exactly.
    least
        Part of them that must be right.
    within
        How far from the exact count is right still, as a part of it.
    """
    width, height = view.size
    pixels = np.random.default_rng().integers((0, 0), (width, height), (sample, 2))
    found = iterations.reshape(height, width)[pixels[:, 1], pixels[:, 0]]
    exact = exact_counts(view, pixels)
    return bool(np.mean(np.abs(found - exact.astype(np.float64)) <= within * exact) >= least)


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
    x = np.arange(1000, dtype=np.float32)
    copies = []
    trip = seconds(lambda: copies.append(gpu.run(_COPY, x=x, y=out(1000), threads=1000)), 50)
    kernel = gpu.kernel(_COUNT)
    resident = gpu.zeros(1000, dtype=np.uint32)
    counted = []

    def many() -> None:
        for _ in range(10_000):
            kernel(x=resident, threads=1000)
        counted.append(resident.numpy())

    calls = seconds(many, 3)
    right = all(np.all(one == 10_000 * (i + 1)) for i, one in enumerate(counted))
    with gpu.record() as program:
        kernel(x=resident, threads=1000)
    before = int(counted[-1][0])
    counted.clear()

    def replay() -> None:
        program.replay(times=1000)
        counted.append(resident.numpy())

    replayed = seconds(replay)
    return {
        "upload 4 kB, run, read 4 kB": _figure(all(np.array_equal(copy, x) for copy in copies), f"{trip * 1e3:.2f} ms"),
        "10,000 calls, one read": _figure(right, f"{calls:.2f} s"),
        "1,000 dispatches replayed, one read": _figure(
            all(np.all(one == before + 1000 * (i + 1)) for i, one in enumerate(counted)), f"{replayed * 1e3:.1f} ms"
        ),
    }


def _figure(right: bool, text: str) -> str:
    return text if right else WRONG


def _transfers(gpu: GPU) -> dict[str, str]:
    size = 64 * 1024 * 1024
    data = np.random.default_rng().integers(0, 2**32, size // 4, dtype=np.uint32)
    uploaded: list[Any] = []
    back: list[NDArray[np.uint32]] = []

    def upload() -> None:
        uploaded[:] = [gpu.array(data)]
        gpu.synchronize()

    def download() -> None:
        back[:] = [uploaded[0].numpy()]

    up = seconds(upload, 3)
    down = seconds(download, 3)
    right = np.array_equal(back[0], data)
    return {
        "64 MiB up": _figure(right, f"{size / 2**20 / up:.0f} MiB/s"),
        "64 MiB down": _figure(right, f"{size / 2**20 / down:.0f} MiB/s"),
    }


def _products(gpu: GPU, sizes: tuple[int, ...]) -> dict[str, str]:
    rows = {}
    for n in sizes:
        left = gpu.random((n, n), seed=1) * (1 / n)
        right = gpu.random((n, n), seed=2) * (2 / n)
        count = max(2, min(20, int(2e12 / n**3))) if not gpu.info.is_fallback else 3
        last: list[NDArray[np.float32]] = []

        def chain(left: Any = left, right: Any = right, count: int = count, last: Any = last) -> None:
            value = left
            for _ in range(count):
                value = matrix.matmul(value, right)
            last[:] = [value[:1].numpy()]

        rate = 2 * n**3 * count / seconds(chain, 3)
        expected = left[:1].numpy().astype(np.float64)
        factor = right.numpy(timeout=120).astype(np.float64)
        for _ in range(count):
            expected = expected @ factor
        # Each product adds at most n roundings of sums of positive numbers, and mostly far fewer.
        fits = np.allclose(last[0], expected, rtol=count * n * 2.0**-24, atol=0)
        rows[f"{n}"] = _figure(fits, f"{rate / 1e12:.2f} TFLOP/s" if rate > 1e12 else f"{rate / 1e9:.1f} GFLOP/s")
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
        taken = time.perf_counter() - started
        right = counts_are_right(image.view, image.iterations)
        rows[label] = _figure(right, f"{size[0]} x {size[1]} in {taken:.2f} s ({image.method})")
    return rows
