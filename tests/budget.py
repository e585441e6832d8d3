"""Seconds by folder, beside what the folder may take on two quiet cores: printed at the end of each run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping

import pytest

OTHER_STEPS = (70, 460)
"""Seconds of what make test and make test-more do beside: formats, linters, types and vitest; the tutorials under nbval, Dawn and the selftest."""
GAIN = 1.93
"""What two processes do in a second of two quiet cores: much of the time goes by in waiting for browsers and kernels. The run on naga is one process."""
# Seconds of both processes together, on two quiet cores with SwiftShader, browsers and servers included: without what is marked `long` or `faults`, and that alone.
BUDGET: dict[str, tuple[int, int]] = {
    "arrays": (150, 90),
    "cluster": (105, 30),
    "contract": (35, 20),
    "faults": (55, 430),
    "fuzz": (5, 10),
    "kernels": (66, 110),
    "lab": (380, 1200),
    "libraries": (2, 70),
    "llm": (78, 30),
    "mandelbrot": (172, 250),
    "naga": (160, 20),
    "nn": (75, 5),
    "packaging": (8, 10),
    "protocol": (3, 5),
    "security": (92, 30),
    "selftest": (84, 30),
    "shaders": (165, 15),
    "t5": (180, 25),
    "unit": (75, 20),
    "views": (8, 5),
    "weights": (132, 60),
}


def table(seconds: Mapping[str, float], tests: Mapping[str, int], *, long: bool, wall_s: float) -> list[str]:
    """Return the lines to print.

    Parameters
    ----------
    seconds, tests : mapping of str
        By folder.
    long : bool
        Whether what is long was run, and only that.
    wall_s : float
        What the whole run took.

    Returns
    -------
    list of str
    """
    lines = [f"{'folder':<12}{'tests':>6}{'seconds':>9}{'budget':>8}"]
    for area in sorted(seconds, key=lambda name: -seconds[name]):
        limit = BUDGET.get(area, (0, 0))[long]
        over = "  over" if seconds[area] > limit else ""
        lines.append(f"{area:<12}{tests[area]:>6}{seconds[area]:>9.1f}{limit:>8}{over}")
    limit = round(sum(BUDGET.get(area, (0, 0))[long] for area in seconds) / GAIN)
    return [*lines, f"{'all':<12}{sum(tests.values()):>6}{wall_s:>9.1f}{limit:>8}"]


class Budget:
    """The plugin.

    Parameters
    ----------
    naga : bool
        Whether the run is the one on naga, which is an area of its own.
    long : bool
        Whether it runs what is long.
    """

    def __init__(self, *, naga: bool, long: bool) -> None:
        self._naga = naga
        self._long = long
        self._begun = time.monotonic()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._tests: defaultdict[str, int] = defaultdict(int)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test, with the fixtures that it was the first to need."""
        parts = report.nodeid.split("::")[0].split("/")
        area = "naga" if self._naga else parts[1] if parts[0] == "tests" and len(parts) > 2 else "elsewhere"
        self._seconds[area] += report.duration
        self._tests[area] += report.when == "call"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        if self._seconds:
            terminalreporter.section("seconds by folder, and what two quiet cores may take")
            wall_s = time.monotonic() - self._begun
            print_lines(terminalreporter, table(self._seconds, self._tests, long=self._long, wall_s=wall_s))


def print_lines(reporter: pytest.TerminalReporter, lines: Iterable[str]) -> None:
    for line in lines:
        reporter.write_line(line)
