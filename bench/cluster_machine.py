"""The machine under a cluster of browsers: which cores belong together, what its browsers use of them, and what it gives to all of them at once without any Python."""

from __future__ import annotations

import os
import shlex
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

import webgpu_widget as wg
from webgpu_widget.link.transports import _chromium

BURN = """
struct Params { steps: u32 }
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  var x = vec4f(f32(id.x) * 1e-6 + vec4f(0.1, 0.2, 0.3, 0.4));
  for (var i = 0u; i < params.steps; i++) { x = fma(x, vec4f(0.999), vec4f(0.001)); }
  y[id.x] = x.x + x.y + x.z + x.w;
}
"""
_THREADS = 65536
_ADAPTER_FLAGS = ("--use-", "--enable-features=", "--ignore-gpu-blocklist", "--disable-vulkan-surface")


def choose_browser(adapter: str) -> None:
    """Take the browser that CHROMIUM, CHROMIUM_FLAGS and CHROMIUM_LIBRARY_PATH name, as the other benches do; with ``swiftshader``, leave a GPU alone."""
    flags = shlex.split(os.environ.get("CHROMIUM_FLAGS", ""))
    if adapter == "swiftshader":
        setattr(_chromium, "_LINUX_GPU_FLAGS", ("--use-webgpu-adapter=swiftshader",))  # noqa: B010 - of another length
        flags = [flag for flag in flags if not flag.startswith(_ADAPTER_FLAGS)]
    for theirs, ours, value in (
        ("CHROMIUM", "WEBGPU_WIDGET_BROWSER", os.environ.get("CHROMIUM", "")),
        ("CHROMIUM_LIBRARY_PATH", "WEBGPU_WIDGET_BROWSER_LIBRARY_PATH", os.environ.get("CHROMIUM_LIBRARY_PATH", "")),
        ("CHROMIUM_FLAGS", "WEBGPU_WIDGET_BROWSER_FLAGS", shlex.join(flags)),
    ):
        if theirs in os.environ:
            os.environ.setdefault(ours, value)


def ordered_cores() -> list[int]:
    """Return the cores of this process, hardware threads of one core beside each other: a browser pinned to two then shares a core with no other."""
    mine = sorted(os.sched_getaffinity(0))

    def siblings(core: int) -> tuple[int, int]:
        path = Path(f"/sys/devices/system/cpu/cpu{core}/topology")
        try:
            return int((path / "physical_package_id").read_text()), int((path / "core_id").read_text())
        except (OSError, ValueError):
            return 0, core

    return sorted(mine, key=lambda core: (*siblings(core), core))


def pin_python(cores: list[int]) -> None:
    """Keep this process, with the threads that libraries have started, on some cores."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def browsers_cpu_s(pids: list[int]) -> float:
    """Return the processor time of browsers with all their processes."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(path.name)] = int(fields[1])
            used[int(path.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def belongs(pid: int) -> bool:
        while pid in parents:
            if pid in pids:
                return True
            pid = parents[pid]
        return False

    return sum(seconds for pid, seconds in used.items() if belongs(pid))


def idle_and_stolen_s(cores: list[int]) -> tuple[float, float]:
    """Return how long some cores have had nothing to do, and how long a virtual machine's host has given them to others."""
    lines = dict(line.split(maxsplit=1) for line in Path("/proc/stat").read_text().splitlines() if line)
    ticks = np.sum([[int(field) for field in lines[f"cpu{core}"].split()[:8]] for core in cores], axis=0)
    idle, stolen = ticks[[3, 7]] / os.sysconf("SC_CLK_TCK")
    return float(idle), float(stolen)


def together_s(cluster: wg.Cluster, steps: int) -> float:
    """Return the time in which every browser has run one and the same long dispatch, all at once, with nothing to wait for."""
    members = cluster._roster.present("ready")
    ready = threading.Barrier(len(members) + 1)

    def burn(gpu: Any) -> None:
        kernel = gpu.kernel(BURN, "burn")
        y = np.zeros(_THREADS, np.float32)
        gpu.synchronize()
        ready.wait()
        kernel(y=y, params={"steps": steps}, threads=_THREADS)
        gpu.synchronize(timeout=120)

    threads = [threading.Thread(target=burn, args=(member.gpu,)) for member in members]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began
