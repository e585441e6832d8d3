"""What befalls a browser or a call, and as what it may be told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import devtools
import numpy as np
from processes import children, family, kill, stopped

import webgpu_widget as wg

Place = Any
"""One of `places` or `kernels`, or what of it a strike needs."""
LOST = (wg.DeviceLostError, wg.FrontendLostError)
LONG = """
@group(0) @binding(0) var<storage, read> turns: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  var v = f32(id.x);
  for (var i = 0u; i < turns[0]; i++) { v = sin(v) + 1.0; }
  y[id.x] = v;
}"""
_TURNS = 2000
_LASTS_S = 8.0


def gpu_process_killed(place: Place) -> None:
    kill(children(place.root, "gpu-process"))


def renderer_killed(place: Place) -> None:
    kill(children(place.root, "renderer"))


def browser_killed(place: Place) -> None:
    kill(family(place.root))


def _stopped(seconds: float) -> Callable[[Place], None]:
    def strike(place: Place) -> None:
        with stopped(place.root):
            time.sleep(seconds)

    return strike


def page_closed(place: Place) -> None:
    devtools.close_page(place.root)


def reloaded(place: Place) -> None:
    devtools.send(place.root, "Page.reload")


def second_page(place: Place) -> None:
    devtools.open_page(place.root, place.url)


def device_destroyed(place: Place) -> None:
    devtools.evaluate(place.root, f"{devtools.ENGINE}.gpu?.device.destroy()")


def interrupted(place: Place) -> None:
    place.interrupt()


def kernel_restarted(place: Place) -> None:
    place.restart()


def disk_full(place: Place) -> None:
    devtools.evaluate(place.root, "navigator.storage.estimate()")
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(place.url))
    devtools.send(place.root, "Storage.overrideQuotaForOrigin", origin=origin, quotaSize=1024 * 1024)


def endless_shader(place: Place) -> None:
    """It does end, some seconds after the timeout: whose loop has so many turns depends on the adapter."""
    kernel = place.gpu.kernel(LONG, name="long")

    def run(turns: int, timeout: float) -> float:
        begun = time.monotonic()
        kernel(turns=np.uint32([turns]), y=wg.out(4096), threads=4096).numpy(timeout=timeout)
        return time.monotonic() - begun

    turns, took = _TURNS, run(_TURNS, 30)
    while took < 0.2:
        turns, took = 8 * turns, run(8 * turns, 30)
    rate = turns / min(took, run(turns, 30), run(turns, 30))  # the least of three: others may run beside it
    run(min(2**32 - 1, int(rate * _LASTS_S)), 1.5)


def out_of_memory(place: Place) -> None:
    limit = place.gpu.info.limits["maxBufferSize"]
    for count in (limit // 4 + 1, 2**40):
        try:
            place.gpu.zeros(count)
        except wg.OutOfMemoryError:
            continue
        raise AssertionError(f"{count} elements were taken")
    place.gpu.zeros(2**60)


Strike = Callable[[Place], None]
FAULTS: dict[str, tuple[Strike, tuple[type[BaseException], ...]]] = {
    "gpu process killed": (gpu_process_killed, LOST),
    "renderer killed": (renderer_killed, (*LOST, wg.NoFrontendError)),
    "browser killed": (browser_killed, (*LOST, wg.NoFrontendError)),
    "stopped 15 s": (_stopped(15), LOST),
    "stopped 60 s": (_stopped(60), (*LOST, wg.NoFrontendError)),
    "page closed": (page_closed, (*LOST, wg.NoFrontendError)),
    "reloaded": (reloaded, LOST),
    "second page": (second_page, LOST),
    "device destroyed": (device_destroyed, LOST),
    "kernel restarted": (kernel_restarted, ()),
    "interrupted": (interrupted, (KeyboardInterrupt,)),
    "disk full": (disk_full, (wg.QuotaError,)),
    "endless shader": (endless_shader, (wg.FrontendTimeoutError,)),
    "out of memory": (out_of_memory, (wg.OutOfMemoryError,)),
}
IN_THE_CALL = {"endless shader", "out of memory"}
"""These are calls of their own, made while nothing else is under way."""
