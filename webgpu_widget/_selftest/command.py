"""``webgpu-widget selftest``: in a headless browser of its own, or wherever ``WEBGPU_WIDGET_TRANSPORT`` says."""

from __future__ import annotations

from collections.abc import Iterable

from webgpu_widget._selftest import selftest
from webgpu_widget._selftest.report import Report
from webgpu_widget.gpu import GPU

__all__ = ["selftest_here"]


def selftest_here(areas: Iterable[str] | None, seed: int | None, *, quick: bool = False, quiet: bool = False) -> Report:
    """Run the selftest from a command line.

    Parameters
    ----------
    areas, seed, quick
        As in `selftest`.
    quiet : bool
        Whether there is to be no bar.
    """
    gpu = GPU()
    try:
        return selftest(gpu, areas, seed=seed, quick=quick, progress=False if quiet else None)
    finally:
        gpu.close()
