"""What a kernel does for a cell of the table: it works while the fault strikes from outside, and says how that ended."""

from __future__ import annotations

import json
import pathlib
import threading
import time
from collections.abc import Callable

import numpy as np
from fake_page import SQUARE
from states import STATES
from strikes import FAULTS, IN_THE_CALL

import webgpu_widget as wg


class Here:
    """The kernel's GPU."""

    def __init__(self, gpu: wg.GPU) -> None:
        self.gpu = gpu


def ended(work: Callable[[], None]) -> str:
    """How work ended; what is no error of ours is raised."""
    try:
        work()
    except (wg.WebGPUWidgetError, KeyboardInterrupt) as error:
        return type(error).__name__
    return "right"


def call(gpu: wg.GPU, seed: int) -> float:
    """Use nothing that could be lost; returns the seconds."""
    x = np.random.default_rng(seed).integers(-1000, 1000, 1000).astype(np.float32)
    begun = time.monotonic()
    right = np.array_equal(gpu.run(SQUARE, x=x, y=wg.out(1000), threads=1000), x * x)
    assert right, "the next call is wrong"
    return time.monotonic() - begun


def work(gpu: wg.GPU, state: str, fault: str, folder: str, seed: int) -> None:
    """Play a state until a file says that the fault has struck; prints how it ended, and when."""
    where, signs = Here(gpu), pathlib.Path(folder)
    struck, busy = threading.Event(), threading.Event()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set() and not (busy.is_set() and struck.is_set()):
            if busy.is_set():
                (signs / "busy").touch()
            if (signs / "struck").exists():
                struck.set()
            time.sleep(0.02)

    if fault in IN_THE_CALL:
        begun = time.monotonic()
        outcome = ended(lambda: FAULTS[fault][0](where))  # type: ignore[arg-type]
    else:
        go_on = STATES[state](where, np.random.default_rng(seed))  # type: ignore[arg-type]
        watcher = threading.Thread(target=watch)
        watcher.start()
        begun = time.monotonic()
        outcome = ended(lambda: go_on(struck, busy))
        over.set()
        watcher.join()
    print(json.dumps([outcome, time.monotonic() - begun]), flush=True)
