"""``webgpu-widget selftest``: in a headless browser of its own, or in any browser that opens a page."""

from __future__ import annotations

import argparse
import sys

from webgpu_widget._selftest import AREAS, selftest
from webgpu_widget._selftest.report import Report

__all__ = ["options", "selftest_here"]


def options(command: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    command.add_argument("--area", action="append", choices=AREAS, help="only this one; may be given several times")
    command.add_argument(
        "--page", action="store_true", help="in the browser in which you open the address that is told"
    )
    command.add_argument("--seed", type=int, help="of the random inputs, to repeat a run")
    command.add_argument("--quick", action="store_true", help="one input for each shader")
    command.add_argument("--quiet", action="store_true", help="show no bar")


def selftest_here(chosen: argparse.Namespace) -> Report:
    """Run the selftest from a command line.

    Parameters
    ----------
    chosen : argparse.Namespace
        With the values of `options`.
    """
    from webgpu_widget.gpu import GPU

    gpu = GPU(transport="page" if chosen.page else "auto")
    try:
        if gpu.transport == "page":
            sys.stderr.write(f"Open {gpu.url} in the browser that is to be tested.\n")
        return selftest(
            gpu,
            chosen.area,
            seed=chosen.seed,
            quick=chosen.quick,
            progress=False if chosen.quiet else None,
            timeout=None if gpu.transport == "page" else 60.0,
        )
    finally:
        gpu.close()
