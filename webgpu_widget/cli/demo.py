"""Everything once, without Jupyter: a kernel, a matrix product, a picture."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import numpy as np

from webgpu_widget import mandelbrot
from webgpu_widget.arrays import matrix
from webgpu_widget.gpu import GPU
from webgpu_widget.kernels.bind import out
from webgpu_widget.mandelbrot.image import writable

_SQUARE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * x[id.x]; }
}
"""
_PRODUCT = 512


def demo(output: str) -> dict[str, Any]:
    """Run the demonstration in an embedded browser.

    Parameters
    ----------
    output : str
        Where the picture goes.

    Returns
    -------
    dict
        What was computed, whether it is right, and how long it took.

    Raises
    ------
    ViewError
        Before any work, where the picture could not be saved.
    """
    path = writable(pathlib.Path(output).resolve())
    gpu = GPU(transport="headless")
    try:
        report: dict[str, Any] = {"adapter": gpu.ready().name}
        x = np.arange(8, dtype=np.float32)
        report["squares"] = str(gpu.run(_SQUARE, x=x, y=out(8), threads=8))

        rng = np.random.default_rng()
        a, b = (rng.standard_normal((_PRODUCT, _PRODUCT)).astype(np.float32) for _ in range(2))
        left, right = gpu.array(a), gpu.array(b)
        product = matrix.matmul(left, right).numpy()
        started = time.perf_counter()
        chained = left
        for _ in range(5):
            chained = matrix.matmul(chained, right)
        chained.numpy()
        seconds = (time.perf_counter() - started) / 5
        error = float(np.abs(product - a.astype(float) @ b.astype(float)).max())
        report["matmul"] = (
            f"{_PRODUCT} x {_PRODUCT}: {2 * _PRODUCT**3 / seconds / 1e9:.1f} GFLOP/s, largest error {error:.1e}"
        )

        started = time.perf_counter()
        image = mandelbrot.render(
            center=("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"),
            width="1e-5",
            size=(480, 320),
            max_iter=2000,
            gpu=gpu,
            refine=False,
        )
        image.save(path)
        report["mandelbrot"] = f"{path.name} ({image.method}, {time.perf_counter() - started:.1f} s)"
        return report
    finally:
        gpu.close()
