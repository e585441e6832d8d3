"""A GPU of a real kernel as the table knows it: with the notebook's page, a page that a person opened, or a browser of the kernel's own."""

from __future__ import annotations

import json
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import devtools
import numpy as np
import psutil
from notebook import Notebook, Run
from places import CLOSED_BY_FAULTS, Person
from processes import alive, family, until

MADE = "import json, inside, webgpu_widget as wg\ngpu = wg.GPU()\nprint(json.dumps([gpu.url, getattr(gpu._device.transport, 'browser_pid', None)]))"


class KernelPlace(Person):
    """A kernel, its front end, and the person before it.

    Parameters
    ----------
    transport : str
    rng : numpy.random.Generator
        Draws whether the comm has its lane beside it, and what else is open.
    """

    def __init__(self, transport: str, rng: np.random.Generator) -> None:
        super().__init__()
        self.transport = transport
        self._rng = rng
        self._lane = int(rng.integers(2))
        environment = {
            "WEBGPU_WIDGET_TRANSPORT": transport,
            "WEBGPU_WIDGET_LANE": str(self._lane),
            "WEBGPU_WIDGET_BROWSER_FLAGS": devtools.FLAG,
            "TMPDIR": tempfile.gettempdir(),
        }
        self._notebook = Notebook(environment)
        self._url: str | None = None
        self._pid: int | None = None

    def __str__(self) -> str:
        return f"lane {self._lane}" if self.transport == "comm" else ""

    def run(self, source: str, timeout: float = 120) -> str:
        """Run a cell that must not raise."""
        return self._text(self._notebook.front.start(source), timeout)

    @staticmethod
    def _text(run: Run, timeout: float) -> str:
        run.wait(timeout)
        if run.error:
            print(run.traceback)
        assert not run.error, f"a cell raised {run.error}"
        return run.text.strip()

    def make(self) -> None:
        """Make the GPU, and have a page."""
        self._url, self._pid = json.loads(self.run(MADE))
        if self.transport == "page" or (self.transport == "comm" and not self.person):
            self.open_browser()

    @property
    def url(self) -> str:
        """What a person opens."""
        return self._notebook.url if self.transport == "comm" else str(self._url)

    @property
    def root(self) -> psutil.Process:
        """The browser's own process."""
        return psutil.Process(self._pid or self.person[-1].pid)

    def help(self, fault: str) -> None:
        """Do what only a person can after a fault: open the page again, or run the first cell of a new kernel."""
        if fault == "kernel restarted":
            self.make()
        elif self.transport != "headless" and fault in CLOSED_BY_FAULTS:
            self.open_browser()

    def interrupt(self) -> None:
        """As the button does."""
        self._notebook.front.manager.interrupt_kernel()

    def restart(self) -> None:
        """As the button does, or as a kernel that runs out of memory does."""
        ends = family(self.root) if self.transport == "headless" else []
        self._notebook.restart(now=bool(self._rng.integers(2)))
        until(lambda: not any(map(alive, ends)), 10, "the end of the old kernel's browser")

    def call(self) -> float:
        """Use nothing that could be lost; returns the seconds."""
        begun = time.monotonic()
        self.run(f"inside.call(gpu, {int(self._rng.integers(2**31))})")
        return time.monotonic() - begun

    def work(self, state: str, fault: str, strike: Callable[[], None] | None) -> tuple[str, float]:
        """Work in a cell while the fault strikes; returns how that ended, and after how many seconds."""
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            signs = pathlib.Path(folder)
            seed = int(self._rng.integers(2**31))
            run = self._notebook.front.start(f"inside.work(gpu, {state!r}, {fault!r}, {folder!r}, {seed})")
            if strike is not None:
                until(lambda: (signs / "busy").exists() or run.done.is_set(), 60, "the state's beginning")
                time.sleep(float(self._rng.uniform(0, 0.2)))
                strike()
                (signs / "struck").touch()
            if fault == "kernel restarted":
                return "ended", time.monotonic() - begun
            text = self._text(run, 150)
        outcome, seconds = json.loads(text.splitlines()[-1])
        return str(outcome), float(seconds)

    def buffers(self) -> int:
        """How many are on the GPU."""
        return int(self.run("import gc\ngc.collect()\nprint(gpu.memory().buffers)"))

    def close(self) -> None:
        """End all."""
        try:
            self.run("gpu.close()")
        finally:
            self._notebook.close()
            for one in self.person:
                one.kill()


@contextmanager
def kernel_place(transport: str, rng: np.random.Generator) -> Iterator[KernelPlace]:
    """One, closed at the end."""
    made = KernelPlace(transport, rng)
    try:
        made.make()
        yield made
    finally:
        made.close()
