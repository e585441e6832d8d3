"""How long a step takes by the clock: one that queues work and returns an array of its result."""

from __future__ import annotations

import time
from collections.abc import Callable

from webgpu_widget import GPUArray


def wall_ms(step: Callable[[], GPUArray], seconds: float, most: int) -> tuple[float, GPUArray]:
    """Return the milliseconds of a step among many, and what the last one returned.

    Steps are queued in runs that grow until one takes `seconds` or has `most` steps; an element of the last result ends each run.
    """
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            last = step()
        last.ravel()[:1].numpy()
        taken = time.perf_counter() - start
        if taken > seconds or count >= most:
            return 1e3 * taken / count, last
        count = min(most, count * max(2, min(8, int(1.2 * seconds / taken))))
