"""Every shader against its NumPy twin, and the known hazards of adapters, on the user's own GPU."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget._selftest.report import Finding, Report, Row

if TYPE_CHECKING:
    from webgpu_widget._selftest.case import Area
    from webgpu_widget._selftest.probe import Probe
    from webgpu_widget.gpu import GPU

__all__ = ["AREAS", "KERNELS", "Finding", "Report", "Row", "areas_of", "probes", "selftest", "selftest_async"]

KERNELS = ("arrays", "library", "reductions", "products", "weights", "mandelbrot", "nn", "t5")
AREAS = (*KERNELS, "hazards")
"""What ``areas=`` takes. ``hazards`` are the probes of how the adapter computes."""


def areas_of(names: Iterable[str]) -> list[Area]:
    """Load the cases of areas by name."""
    from importlib import import_module

    return [import_module(f"webgpu_widget._selftest.{name}").AREA for name in names if name != "hazards"]


def probes() -> list[Probe]:
    """Load all probes of hazards."""
    from webgpu_widget._selftest.hazards import PROBES

    return PROBES


def _chosen(areas: str | Iterable[str] | None) -> list[str]:
    if areas is None:
        return list(AREAS)
    names = [areas] if isinstance(areas, str) else list(areas)
    unknown = [name for name in names if name not in AREAS]
    if unknown or not names:
        raise ValueError(f"selftest has no areas {unknown}; it has {', '.join(AREAS)}")
    return [name for name in AREAS if name in names]


def selftest(
    gpu: GPU | None = None,
    areas: str | Iterable[str] | None = None,
    *,
    seed: int | None = None,
    progress: bool | None = None,
    quick: bool = False,
    timeout: float | None = 60.0,
) -> Report:
    """Compare every shader of the package with its NumPy twin on this adapter, and ask how the adapter computes.

    Parameters
    ----------
    gpu : GPU, optional
        Which; `default_gpu` when left out.
    areas : str or iterable of str, optional
        Some of ``arrays library reductions products weights mandelbrot nn t5 hazards``; all when left out.
    seed : int, optional
        Of the random inputs; drawn, and told in the report, when left out.
    progress : bool, optional
        Whether to show a bar; when left out, in notebooks and terminals.
    quick : bool
        Whether one input for each shader is enough.
    timeout : float or None
        Seconds that the page may take to answer at first.

    Returns
    -------
    Report
        ``ok``, ``rows`` (one a shader, and one for each kind of generated kernel), ``hazards``, and ``text`` to paste into a report.
        It shows as a table in a notebook. A shader that does not compile, a device that is lost or a page that falls silent is
        told in its row, and the rest is run. The rows are kept in the user's cache folder, where ``webgpu-widget doctor`` finds them.

    Raises
    ------
    ValueError
        For an unknown area.
    FrontendError, DeviceError
        When there is no page or no adapter at all.

    Examples
    --------
    >>> import webgpu_widget as wg
    >>> gpu = wg.GPU(transport="headless")
    >>> wg.selftest(gpu, areas="weights").ok
    True
    >>> gpu.close()
    """
    from webgpu_widget._selftest.kept import remember
    from webgpu_widget._selftest.runner import Runner, bar, is_watched, untested
    from webgpu_widget.gpu import default_gpu

    names = _chosen(areas)
    where = default_gpu() if gpu is None else gpu
    info = where.ready(timeout)
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    loaded = [area.first() if quick else area for area in areas_of(names)]
    asked = probes() if "hazards" in names else []
    started = time.perf_counter()
    total = sum(len(area.cases) for area in loaded) + len(asked)
    with bar(total, is_watched() if progress is None else progress) as step:
        runner = Runner(where, info, seed, step)
        rows = tuple(runner.rows(loaded))
        if areas is None:
            rows += untested(row.name for row in rows)
        hazards = tuple(runner.hazards(asked))
    if not quick:
        remember(info, rows)
    return Report(rows, hazards, info, seed, time.perf_counter() - started)


async def selftest_async(
    gpu: GPU | None = None,
    areas: str | Iterable[str] | None = None,
    *,
    seed: int | None = None,
    progress: bool | None = None,
    quick: bool = False,
    timeout: float | None = 60.0,
) -> Report:
    """Coroutine twin of `selftest`: it runs in a thread, and the event loop goes on."""
    return await asyncio.to_thread(selftest, gpu, areas, seed=seed, progress=progress, quick=quick, timeout=timeout)
