"""Losing a device on purpose."""

from __future__ import annotations

import time

import webgpu_widget as wg


def lose_device(gpu: wg.GPU) -> None:
    """Have the page make a new device, and wait until Python knows of it."""
    connection = gpu._device.connection
    with connection._lock:
        before = gpu._device.queue.generation
        connection._session.reset("a test")
        connection._settle()
    deadline = time.monotonic() + 60
    while gpu._device.queue.generation == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
