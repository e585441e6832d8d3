"""All cases of the selftest."""

from __future__ import annotations

import time

import webgpu_widget as wg
from webgpu_widget._selftest import AREAS, areas_of
from webgpu_widget._selftest.case import Case
from webgpu_widget._selftest.runner import shader_files

CASES: list[Case] = [case for area in areas_of(AREAS) for case in area]
SHADERS = shader_files()


def lose_device(gpu: wg.GPU) -> None:
    """Have the page make a new device, and wait until Python knows of it."""
    connection = gpu._device.connection
    with connection._lock:
        before = gpu._device.queue.generation
        connection._session.reset("a test")
        connection._settle()
    deadline = time.monotonic() + 20
    while gpu._device.queue.generation == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
