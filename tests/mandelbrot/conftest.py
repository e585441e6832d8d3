"""What the Mandelbrot tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import webgpu_widget as wg
from webgpu_widget.mandelbrot import kernels, work

Run = Callable[..., NDArray[np.uint32]]


@pytest.fixture
def run(gpu: wg.GPU) -> Run:
    """Run a kernel of `work` to the end, with a budget of ``steps`` for each dispatch: an aim of no time never lengthens one."""

    def run(
        kernel: Any, pixels: NDArray[np.uint32] | None = None, steps: float = 1e6, **options: Any
    ) -> NDArray[np.uint32]:
        waits = kernels.run(kernel, work.Slices(steps, 256, target_s=0.0), pixels, **options)
        answer: Any = None
        while True:
            try:
                wait = waits.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = gpu._device.queue.read(wait.reads, 120)

    return run
