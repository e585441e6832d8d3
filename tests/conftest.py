"""What all tests share: one browser a session, a seed that is printed, an adapter that must be the one named."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from budget import Budget

import webgpu_widget as wg
from webgpu_widget._selftest.case import Case
from webgpu_widget._selftest.runner import Runner
from webgpu_widget.device.queue import Queue

# A shell's background jobs ignore Ctrl+C, and so would the kernels that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# And what nohup runs ignores the end of its terminal, which tests send.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_configure(config: pytest.Config) -> None:
    """Print at the end what each folder took."""
    chosen = config.getoption("markexpr")
    long = "long" in chosen and not chosen.startswith("not")
    config.pluginmanager.register(Budget(naga=bool(config.getoption("--naga")), long=long), "budget")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put JupyterLab's tests last: Playwright keeps an event loop running, which would stand in the way of tests that run their own.

    Those and the cells of the table of faults race several processes against a clock, on cores that may be busy with something else: what fails there is
    tried once more, and the summary names it.
    """
    items.sort(key=lambda item: item.path.parent.name == "lab")
    if config.pluginmanager.has_plugin("rerunfailures"):
        for item in items:
            if item.path.parent.name in ("lab", "faults"):
                item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let tests run on the front end over wgpu-py."""
    text = "compile the package's WGSL by naga and run it on llvmpipe, between guard zones; with subgroups as no browser with naga has them"
    parser.addoption("--naga", choices=("plain", "subgroups"), help=text)


@pytest.fixture(scope="session")
def gpu(request: pytest.FixtureRequest) -> Iterator[wg.GPU]:
    """One GPU for the session: with ``--naga`` llvmpipe's, else a headless browser's, which must be the expected one ("hardware": any but a CPU)."""
    if request.config.getoption("--naga"):
        yield from _naga(subgroups=request.config.getoption("--naga") == "subgroups")
        return
    made = wg.GPU(transport="headless")
    expected = os.environ.get("WEBGPU_WIDGET_EXPECT_ADAPTER", "")
    info = made.ready(timeout=60)
    fits = not info.is_fallback if expected == "hardware" else expected in info.name
    assert fits, f"the run must have the adapter {expected!r}, but got {info.name!r}"
    yield made
    made.close()


def _naga(*, subgroups: bool) -> Iterator[wg.GPU]:
    from naga.page import naga_gpu

    made = naga_gpu(subgroups=subgroups)
    made.ready(timeout=60)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _within_bounds(request: pytest.FixtureRequest) -> Iterator[None]:
    """With ``--naga``, fail a test whose kernels read or wrote behind their buffers."""
    yield
    if request.config.getoption("--naga") and "gpu" in request.fixturenames:
        from naga.page import trespasses

        assert not trespasses(request.getfixturevalue("gpu"))


@pytest.fixture(scope="session", autouse=True)
def _checked_texts() -> Iterator[None]:
    """Refuse WGSL of the package's own that is known to be unreliable, when it is sent: what generators make is checked as files are."""
    from hazards.rules import findings

    known: set[str] = set()
    send = Queue.pipeline

    def pipeline(queue: Queue, source: str, *args: Any, **options: Any) -> Any:
        sender = sys._getframe(1).f_globals["__name__"]
        if source not in known and sender.startswith("webgpu_widget.") and sender != "webgpu_widget.kernels.kernel":
            # A sum that an expression of arrays takes apart is computed before; what is left takes the same away twice, as in (y - x) - x.
            theirs = sender.startswith("webgpu_widget.arrays.lazy.")
            refused = [
                found
                for found in findings(source)
                if not (theirs and found.rule == "sum taken apart" and re.fullmatch(r"\(?v\d+ - v\d+\)?", found.text))
            ]
            assert not refused, "\n".join(map(str, refused))
            known.add(source)
        return send(queue, source, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Queue, "pipeline", pipeline)
        yield


@pytest.fixture
def case_holds(gpu: wg.GPU, rng: np.random.Generator) -> Callable[[Case], None]:
    """Run a case of the selftest; what the adapter lacks is not asked of it."""

    def check(case: Case) -> None:
        row = Runner(gpu, gpu.info, int(rng.integers(2**31)), lambda _name: None)._row("", case.name, [case])
        assert row.ok, f"{row.error}; {row.note}"

    return check


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator whose seed is drawn anew each run and printed when the test fails; WEBGPU_WIDGET_SEED repeats a run."""
    seed = int(os.environ.get("WEBGPU_WIDGET_SEED", "0")) or int(np.random.SeedSequence().generate_state(1)[0])
    print(f"seed {seed}: WEBGPU_WIDGET_SEED={seed} repeats it")
    return np.random.default_rng(seed)
