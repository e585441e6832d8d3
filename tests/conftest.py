"""What all tests share: one browser a session, a seed that is printed, an adapter that must be the one named."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest

import webgpu_widget as wg

# A shell's background jobs ignore Ctrl+C, and so would the kernels that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put JupyterLab's tests last: Playwright keeps an event loop running, which would stand in the way of tests that run their own."""
    items.sort(key=lambda item: item.path.parent.name == "lab")


@pytest.fixture(scope="session")
def gpu() -> Iterator[wg.GPU]:
    """One headless GPU for the session; fails, and does not skip, when its adapter is not the expected one ("hardware": any but a CPU)."""
    made = wg.GPU(transport="headless")
    expected = os.environ.get("WEBGPU_WIDGET_EXPECT_ADAPTER", "")
    info = made.ready(timeout=60)
    fits = not info.is_fallback if expected == "hardware" else expected in info.name
    assert fits, f"the run must have the adapter {expected!r}, but got {info.name!r}"
    yield made
    made.close()


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator whose seed is drawn anew each run and printed when the test fails; WEBGPU_WIDGET_SEED repeats a run."""
    seed = int(os.environ.get("WEBGPU_WIDGET_SEED", "0")) or int(np.random.SeedSequence().generate_state(1)[0])
    print(f"seed {seed}: WEBGPU_WIDGET_SEED={seed} repeats it")
    return np.random.default_rng(seed)
