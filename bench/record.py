"""Record what products and Fourier transforms queue for an adapter, so that a page without Python can run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np

from webgpu_widget.arrays.fourier import transform
from webgpu_widget.arrays.fourier.kernel import pass_source
from webgpu_widget.arrays.fourier.plan import Limits
from webgpu_widget.arrays.matmul import Operand, launch
from webgpu_widget.device.device import Device

NVIDIA = SimpleNamespace(
    vendor="nvidia",
    architecture="",
    device="",
    description="",
    is_fallback=False,
    features=frozenset({"shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"}),
    limits={
        "maxStorageBufferBindingSize": 2**31 - 4,
        "maxComputeWorkgroupStorageSize": 49152,
        "maxComputeInvocationsPerWorkgroup": 1024,
    },
    subgroup_matrix_configs=({"M": 16, "N": 16, "K": 16, "componentType": "f16", "resultComponentType": "f32"},),
)
PLAIN_NVIDIA = SimpleNamespace(**{**vars(NVIDIA), "features": frozenset(), "subgroup_matrix_configs": ()})
SWIFTSHADER = SimpleNamespace(
    vendor="google",
    architecture="swiftshader",
    device="",
    description="",
    is_fallback=True,
    features=frozenset({"subgroups"}),
    limits={
        "maxStorageBufferBindingSize": 2**30,
        "maxComputeWorkgroupStorageSize": 32768,
        "maxComputeInvocationsPerWorkgroup": 256,
    },
    subgroup_matrix_configs=(),
)
ADAPTERS = {"nvidia": NVIDIA, "plain-nvidia": PLAIN_NVIDIA, "swiftshader": SWIFTSHADER}


@dataclass
class Recorder:
    """Stands where a GPU's queue stands, and keeps what it is given. It says that it records, so nothing is measured."""

    recording: bool = True
    sizes: list[int] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def alloc(self, size_bytes: int, label: str = "") -> Any:
        self.sizes.append(max(4, -(-size_bytes // 4) * 4))
        return SimpleNamespace(index=len(self.sizes) - 1, size_bytes=self.sizes[-1], label=label)

    def pipeline(
        self, source: str, label: str = "", _entry_point: str | None = None, constants: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        return {"wgsl": source, "label": label, "constants": constants or {}}

    def dispatch(self, pipe: dict[str, Any], args: Sequence[tuple[int, int, Any]], workgroups: Sequence[int]) -> None:
        bound: list[list[Any]] = []
        for group, binding, value in args:
            if isinstance(value, bytes):
                bound.append([group, binding, "uniform", list(np.frombuffer(value, "<u4").tolist())])
            else:
                buffer, offset, size = value if isinstance(value, tuple) else (value, 0, value.size_bytes)
                bound.append([group, binding, buffer.index, offset, size])
        self.steps.append({**pipe, "args": bound, "workgroups": list(workgroups)})


def program(
    adapter: str,
    m: int,
    n: int,
    k: int,
    *,
    precision: Literal["f32", "f16"] = "f32",
    half: bool = False,
    a_t: bool = False,
    b_t: bool = False,
) -> dict[str, Any]:
    """Return the job of one product: buffers 0, 1, 2 are a, b, out; a_t and b_t store an operand transposed."""
    queue = Recorder()
    device = cast("Device", SimpleNamespace(queue=queue, info=ADAPTERS[adapter]))
    dtype: np.dtype[np.float32] | np.dtype[np.float16] = np.dtype(np.float16) if half else np.dtype(np.float32)
    buffers = [
        queue.alloc(count * size) for count, size in ((m * k, dtype.itemsize), (k * n, dtype.itemsize), (m * n, 4))
    ]
    a = Operand(buffers[0], (m, k), (1, m) if a_t else (k, 1), 0, dtype)
    b = Operand(buffers[1], (k, n), (1, k) if b_t else (n, 1), 0, dtype)
    launch(device, a, b, buffers[2], precision=precision)
    view = {
        "a_offset": 0,
        "a_m": a.strides[0],
        "a_k": a.strides[1],
        "b_offset": 0,
        "b_k": b.strides[0],
        "b_n": b.strides[1],
    }
    name = f"launch {precision}{' of float16' if half else ''}{' a transposed' if a_t else ''}{' b transposed' if b_t else ''}: "
    name += ", ".join(step["label"] for step in queue.steps)
    limit = 1e-3 if precision == "f16" and not half else 1e-5
    return {
        "name": name,
        "size": [m, n, k],
        "half": half,
        "params": view,
        "words": [s // 4 for s in queue.sizes[:2]],
        "sizes": queue.sizes,
        "program": queue.steps,
        "limit": limit,
    }


def transforms(adapter: str, n: int, batch: int) -> dict[str, Any]:
    """Return the job of `batch` complex transforms of `n` points: buffer 0 is the input, then come the tables and what the passes store."""
    info = ADAPTERS[adapter]
    limits = Limits(
        info.limits["maxComputeWorkgroupStorageSize"],
        info.limits["maxComputeInvocationsPerWorkgroup"],
        info.is_fallback,
    )
    plans = transform.passes_of("complex", n, 1, n, limits, inverse=False)
    launches = list(transform.launches_of(plans, batch, 1, n, 1.0, limits))
    keys = list(dict.fromkeys(key for step in launches for key in step.tables))
    tables = [np.ascontiguousarray(transform.values_of(key), np.complex64).view(np.float32).tolist() for key in keys]
    steps, here = [], 0
    for there, step in enumerate(launches, 1 + len(keys)):
        bound = [here, *(1 + keys.index(key) for key in step.tables), there]
        words = [int(word) for word in step.words]
        words += [0] * (-len(words) % 4)
        steps.append({"wgsl": pass_source(step.form), "bound": bound, "words": words, "groups": list(step.groups)})
        here = there
    sizes = [8 * step.plan.items * batch for step in launches]
    return {"n": n, "batch": batch, "tables": tables, "sizes": sizes, "steps": steps}
