"""Runs the cases one after the other, whatever becomes of the GPU meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget import errors, shaders
from webgpu_widget._selftest.case import Area, Case, Unavailable
from webgpu_widget._selftest.report import Finding, Row, Verdict
from webgpu_widget.link import hosts

if TYPE_CHECKING:
    from webgpu_widget._selftest.probe import Probe
    from webgpu_widget.gpu import GPU, AdapterInfo

__all__ = ["Runner", "bar", "is_watched", "untested"]

MOST_LOSSES = 5
"""After so many lost devices and silent pages the rest is not tried: each may cost half a minute."""
BACK_S = 60.0
"""How long a lost GPU may take to come back."""


def untested(names: Iterable[str]) -> tuple[Row, ...]:
    """Return a row for each shader that no case compares: a shader without a case is not right."""
    return tuple(
        Row(name, name.split("/")[0], 0, None, None, "", "not run", "no case compares this shader")
        for name in sorted({*shaders.names()} - {*names})
    )


class Runner:
    """One run of the selftest.

    Parameters
    ----------
    gpu : GPU
        Where.
    info : AdapterInfo
        What it has.
    seed : int
        Of the inputs.
    step : callable
        Called with a name after each case.
    """

    def __init__(self, gpu: GPU, info: AdapterInfo, seed: int, step: Callable[[str], object]) -> None:
        self.gpu, self.info, self.seed, self.step = gpu, info, seed, step
        self._losses = 0
        self._gone = ""

    def rows(self, areas: Iterable[Area]) -> Iterator[Row]:
        """Run the cases of areas, and make a row of all those of one name."""
        for area in areas:
            names = dict.fromkeys(case.name for case in area)
            for name in names:
                yield self._row(area.name, name, [case for case in area if case.name == name])

    def _row(self, area: str, name: str, cases: list[Case]) -> Row:
        worst: tuple[float, Case, float] | None = None
        failed: list[tuple[Verdict, Case, str]] = []
        absent = ""
        count = 0
        for case in cases:
            try:
                verdict, error, why = self._case(case)
            finally:
                self.step(f"{area}: {name.rsplit('/', maxsplit=1)[-1]}")
            if verdict == "not on this adapter":
                absent = why
                continue
            count += 1
            if verdict in ("failed", "not run"):
                failed.append((verdict, case, why))
                continue
            strain = _strain(error, case.allowed)
            if worst is None or strain > worst[0] or np.isnan(strain):
                worst = strain, case, error
        if worst is None and not failed:
            return Row(name, area, 0, None, None, cases[0].unit, "not on this adapter", absent)
        if worst is None or (failed and worst[0] <= 1):
            verdict, case, why = failed[0]
            more = f" (and {len(failed) - 1} more of its cases)" if len(failed) > 1 else ""
            seen = None if worst is None else worst[2]
            return Row(name, area, count, seen, case.allowed, case.unit, verdict, f"{case.label}: {why}{more}")
        strain, case, error = worst
        right: Verdict = "right" if strain <= 1 else "wrong"
        return Row(name, area, count, error, case.allowed, case.unit, right, case.label)

    def _case(self, case: Case) -> tuple[Verdict, float, str]:
        if self._gone:
            return "not run", np.nan, self._gone
        missing = [feature for feature in case.needs if feature not in self.info.features]
        if missing:
            return "not on this adapter", np.nan, f"no {', '.join(missing)}"
        try:
            return "right", case.measure(self.gpu, self.seed), ""
        except Unavailable as why:
            return "not on this adapter", np.nan, str(why)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this row's, and the rest is run
            self._after(error)
            return "failed", np.nan, _words(error)

    def hazards(self, probes: Iterable[Probe]) -> Iterator[Finding]:
        """Ask each probe."""
        for probe in probes:
            yield self._probe(probe)
            self.step(f"hazards: {probe.name}")

    def _probe(self, probe: Probe) -> Finding:
        if self._gone:
            return Finding(probe.name, probe.number, f"not run: {self._gone}")
        missing = [feature for feature in probe.needs if feature not in self.info.features]
        if missing:
            return Finding(probe.name, probe.number, f"not on this adapter: no {', '.join(missing)}")
        try:
            return probe.ask(self.gpu)
        except Exception as error:  # noqa: BLE001 - as above
            self._after(error)
            return Finding(probe.name, probe.number, f"failed: {_words(error)}")

    def _after(self, error: Exception) -> None:
        """Wait for a GPU that was lost; give it up when it does not come back, or goes too often."""
        if not isinstance(error, (errors.FrontendError, errors.DeviceError, errors.ClosedError)):
            return
        self._losses += 1
        if self._losses >= MOST_LOSSES:
            self._gone = f"the GPU was lost {self._losses} times, the last time by: {_words(error)}"
            return
        for _ in range(2):  # the first call after a loss may hear of it
            try:
                self.gpu.ready(BACK_S)
                self.gpu.synchronize(BACK_S)
            except errors.WebGPUWidgetError as again:
                self._gone = f"the GPU was lost and did not come back: {_words(again)}"
            else:
                self._gone = ""
                return


def _strain(error: float, allowed: float) -> float:
    if np.isnan(error):
        return np.inf
    if error <= allowed:
        return error / allowed if allowed else 0.0
    return np.inf if allowed == 0 else max(error / allowed, 1 + 1e-9)


def _words(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:300]}{'...' if len(said) > 300 else ''}"


@contextmanager
def bar(total: int, show: bool) -> Iterator[Callable[[str], object]]:
    """Give a function that moves a bar by one step: a widget in a notebook, text in a terminal, nothing elsewhere."""
    if not show:
        yield lambda _name: None
        return
    from tqdm.auto import tqdm

    made = tqdm(total=total, desc="selftest", unit="case")
    last = [0.0]

    def step(name: str) -> None:
        now = time.monotonic()
        if now - last[0] > 0.2:
            last[0] = now
            made.set_postfix_str(name, refresh=False)
        made.update(1)

    try:
        yield step
    finally:
        made.close()


def is_watched() -> bool:
    """Whether somebody sees a bar: a notebook, or a terminal."""
    return hosts.here().has_page or sys.stderr.isatty()
