"""Which of a few promising kernels is fastest here: measured once for a class of shapes, remembered for the adapter.

The winners live in ``matmul.json`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``, under ``webgpu_widget``).
``WEBGPU_WIDGET_AUTOTUNE=0`` turns measuring and the file off: then the first candidate is taken.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from webgpu_widget.errors import WebGPUWidgetError
from webgpu_widget.process import user_cache
from webgpu_widget.process.fork import Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webgpu_widget.arrays.matmul.choose import Plan, Problem
    from webgpu_widget.device.device import Device

FORMAT = 1
"""Changes when the kernels do: winners of another format are measured anew."""
LEAST_FLOPS = 2 * 1024**3
"""Smaller products are not worth measuring: the overhead of a dispatch hides the differences."""
ROUND_S = 0.03
TIMEOUT_S = 20.0

_lock = Lock()
_known: dict[str, str] = {}
_loaded_from: Path | None = None


def enabled() -> bool:
    """Whether the environment allows measuring."""
    return os.environ.get("WEBGPU_WIDGET_AUTOTUNE", "1") != "0"


def cache_path() -> Path:
    """Return where the winners are kept."""
    return user_cache.path("matmul.json")


def key(device: Device, problem: Problem, plans: Sequence[Plan]) -> str:
    """Return what a winner is remembered under: the adapter, the class of shapes and the candidates."""
    info = device.info
    adapter = f"{info.vendor}/{info.architecture}/{info.device}/{info.description}"
    sizes = "x".join(str(_class(size)) for size in (problem.m, problem.n, problem.k))
    return f"{adapter} | {sizes} batch {_class(problem.batch)} | {' ; '.join(plan.name for plan in plans)}"


def _class(size: int) -> int:
    """Return the size rounded up to a power of two."""
    return 1 << max(0, size - 1).bit_length()


def best(device: Device, problem: Problem, plans: Sequence[Plan], emit: Callable[[Plan], None] | None) -> Plan:
    """Return the fastest plan: remembered, or measured now, or the first when measuring is off or not worth it.

    Parameters
    ----------
    device
        Where it would run.
    problem
        Decides the class of shapes.
    plans
        Candidates, most promising first.
    emit
        Queues a plan's dispatches; they may be repeated, since each writes the same result. None where they may not.
    """
    if len(plans) == 1 or problem.flops < LEAST_FLOPS or device.info.is_fallback or not enabled():
        return plans[0]
    name = key(device, problem, plans)
    with _lock:
        _load()
        found = _known.get(name)
    for plan in plans:
        if plan.name == found:
            return plan
    if emit is None or device.queue.recording:
        return plans[0]
    try:
        winner = measure(device, plans, emit)
    except WebGPUWidgetError:
        return plans[
            0
        ]  # the host cannot wait here, or a candidate does not compile: what the first one says at the next read counts
    with _lock:
        _known[name] = winner.name
        _save()
    return winner


def measure(device: Device, plans: Sequence[Plan], emit: Callable[[Plan], None]) -> Plan:
    """Return the plan whose chained dispatches finish first, each timed on the real queue against an empty wait."""
    times: dict[str, float] = {}
    for plan in plans:
        emit(plan)
        device.queue.request({"op": "synchronize"}, "measuring matmul", TIMEOUT_S)
    for _ in range(2):
        for plan in plans:
            empty = _timed(device, plan, emit, 0)
            once = max(_timed(device, plan, emit, 1) - empty, 1e-4)
            count = max(3, min(200, int(ROUND_S / once)))
            spent = (_timed(device, plan, emit, count) - empty) / count
            times[plan.name] = min(times.get(plan.name, spent), spent)
    return min(plans, key=lambda plan: times[plan.name])


def _timed(device: Device, plan: Plan, emit: Callable[[Plan], None], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        emit(plan)
    device.queue.request({"op": "synchronize"}, "measuring matmul", TIMEOUT_S)
    return time.perf_counter() - start


def _load() -> None:
    """Read the winners once for each file; whatever is wrong with the file, it is as if there were none."""
    global _loaded_from  # noqa: PLW0603
    path = cache_path()
    if _loaded_from == path:
        return
    _loaded_from = path
    _known.clear()
    _known.update(_read(path))


def _read(path: Path) -> dict[str, str]:
    return {str(name): str(value) for name, value in user_cache.read(path, FORMAT, "winners").items()}


def _save() -> None:
    """Add what was measured to the file."""
    path = cache_path()
    user_cache.write(path, FORMAT, "winners", {**_read(path), **_known})
