"""What the Mandelbrot tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from webgpu_widget.link.steps import drive
from webgpu_widget.mandelbrot import kernels, work

Run = Callable[..., NDArray[np.uint32]]


@pytest.fixture
def run() -> Run:
    """Run a kernel of `work` to the end, with a budget of ``steps`` for each dispatch: an aim of no time never lengthens one."""

    def run(
        kernel: Any, pixels: NDArray[np.uint32] | None = None, steps: float = 1e6, **options: Any
    ) -> NDArray[np.uint32]:
        return drive(kernels.run(kernel, work.Slices(steps, 256, target_s=0.0), pixels, **options), 120)

    return run
