"""What is there to compute with, and if nothing, why."""

from __future__ import annotations

import platform
import sys
import time
from importlib import metadata
from typing import Any

import numpy as np

from webgpu_widget import __version__, errors
from webgpu_widget._selftest import KERNELS, kept, selftest
from webgpu_widget.arrays.matmul.choose import has_matrix_units
from webgpu_widget.gpu import GPU, AdapterInfo
from webgpu_widget.kernels.bind import out
from webgpu_widget.link.transports import _chromium, _fonts

_PACKAGES = ("anywidget", "ipywidgets", "ipykernel", "jupyterlab", "jupyter_server", "numpy", "tornado")
_LACKS = {
    "shader-f16": "float16 is computed in float32, and rounded when it is stored",
    "subgroups": "sums, norms and attention go by workgroup memory, which takes longer",
    "chromium-experimental-subgroup-matrix": "products do not use the matrix units",
    "timestamp-query": "profiles tell no time on the GPU (gpu_ms is None)",
}
"""Features that the package uses where they are, and what it does without each."""
_DOUBLE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = 2.0 * x[id.x]; }
}
"""


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def doctor(timeout: float = 30.0) -> tuple[dict[str, Any], bool]:
    """Look at packages, browser and adapter, and run a kernel.

    Returns
    -------
    dict
        What was found: text, numbers, lists and truth values.
    bool
        Whether a kernel ran and was right, and the selftest has found nothing wrong.
    """
    report: dict[str, Any] = {
        "webgpu_widget": __version__,
        "python": f"{sys.version.split()[0]} on {platform.platform()}",
        "packages": {name: _version(name) for name in _PACKAGES},
    }
    try:
        report["browser"] = _chromium.find_browser()
        report["flags"] = _chromium.flags()
        report["font"] = _fonts.report()
        started = time.perf_counter()
        gpu = GPU(transport="headless")
    except errors.WebGPUWidgetError as error:
        report["problem"] = f"{type(error).__name__}: {error}"
        return report, False
    try:
        info = gpu.ready(timeout=timeout)
        report["started_in_s"] = round(time.perf_counter() - started, 2)
        report["adapter"] = info.name
        report["is_cpu"] = info.is_fallback
        report["user_agent"] = info.user_agent
        report["features"] = sorted(info.features)
        report["lacks"] = lacks(info)
        report["limits"] = {
            name: info.limits[name]
            for name in (
                "maxBufferSize",
                "maxStorageBufferBindingSize",
                "maxComputeInvocationsPerWorkgroup",
                "maxComputeWorkgroupStorageSize",
            )
        }
        x = np.random.default_rng().standard_normal(1000).astype(np.float32)
        right = bool(np.array_equal(gpu.run(_DOUBLE, x=x, y=out(1000), threads=1000), 2 * x))
        times = []
        for _ in range(20):
            started = time.perf_counter()
            gpu.run(_DOUBLE, x=x, y=out(1000), threads=1000)
            times.append(time.perf_counter() - started)
        report["round_trip_ms"] = round(float(np.median(times)) * 1e3, 2)
        report["kernel_is_right"] = right
        report["selftest"], sound = _selftest(gpu, info)
        report["selftest_is_right"] = sound
    except errors.WebGPUWidgetError as error:
        report["problem"] = f"{type(error).__name__}: {error}"
        return report, False
    finally:
        gpu.close()
    return report, right and sound


def lacks(info: AdapterInfo) -> dict[str, str]:
    """Return the features that an adapter, or its browser, does not have, and what the package does without them."""
    unused = {"shader-f16"} if info.browser.startswith("Firefox") else set()
    if not has_matrix_units(info):
        unused.add("chromium-experimental-subgroup-matrix")
    return {name: instead for name, instead in _LACKS.items() if name not in info.features - unused}


def _selftest(gpu: GPU, info: AdapterInfo) -> tuple[str, bool]:
    """Say what the selftest said of this adapter; where it has not been run, ask it for one input a shader."""
    found = kept.recall(info)
    if found is not None:
        return found.summary(), not found.wrong
    found = kept.made(selftest(gpu, KERNELS, quick=True, progress=False).rows)
    return (
        f"{found.summary()} (one input each; `webgpu-widget selftest` takes many, and keeps the result)",
        not found.wrong,
    )
