"""Browsers in the background, which the system throttles or freezes: tasks go elsewhere, and what comes out is the same."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_browser import until

import webgpu_widget as wg
from webgpu_widget.cluster import hub, tasks
from webgpu_widget.link.transports import _chromium

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

pytestmark = pytest.mark.playwright

JOIN_S = 120.0
VIEW: dict[str, Any] = {"center": (-0.75, 0.1), "width": 2.5, "size": (192, 128), "max_iter": 300, "tile": 32}


@contextlib.contextmanager
def controlled(url: str) -> Iterator[tuple[Page, CDPSession]]:
    """A browser whose page can be throttled and frozen."""
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as playwright,
        contextlib.closing(
            playwright.chromium.launch(executable_path=_chromium.find_browser(), args=_chromium.flags())
        ) as browser,
    ):
        page = browser.new_page()
        page.goto(url)
        yield page, page.context.new_cdp_session(page)


def same(a: Any, b: Any) -> bool:
    return np.array_equal(a.iterations, b.iterations) and np.array_equal(a.smooth, b.smooth, equal_nan=True)


def test_a_throttled_browser_gets_less_and_changes_nothing() -> None:
    with wg.Cluster() as made:
        made.launch(1)
        made.wait(1, timeout=JOIN_S)
        alone = made.mandelbrot(**VIEW)
        with controlled(made.url) as (_, cdp):
            made.wait(2, timeout=JOIN_S)
            # Its page's script takes fifty times as long, as on a machine that sees to something else.
            cdp.send("Emulation.setCPUThrottlingRate", {"rate": 50})
            before = [row.tasks_done for row in made.workers]
            for _ in range(3):
                assert same(made.mandelbrot(**VIEW), alone)
            fast, slow = (row.tasks_done - n for row, n in zip(made.workers, before, strict=True))
            assert fast > slow
            assert [row.state for row in made.workers] != ["gone", "gone"]


def test_a_browser_that_stands_still_loses_its_tasks_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_PING_AFTER_S", 0.5)
    monkeypatch.setattr(hub, "_SILENT_S", 4.0)
    # Not before it is given up: what is tested is that its tasks are not lost with it.
    monkeypatch.setattr(tasks, "_OVERDUE_S", 1000.0)
    with wg.Cluster() as made:
        made.launch(1)
        made.wait(1, timeout=JOIN_S)
        alone = made.mandelbrot(**VIEW)
        with controlled(made.url) as (page, cdp):
            made.wait(2, timeout=JOIN_S)
            # Chromium goes on giving a frozen page what its sockets bring (seen in 156); one that is held in its next statement stands still for sure.
            cdp.send("Debugger.enable")
            cdp.send("Debugger.pause")
            began = time.monotonic()
            assert same(made.mandelbrot(**VIEW), alone)
            assert time.monotonic() - began < 60
            until(lambda: len(made._roster.present()) == 1)
            assert any("asleep, frozen" in row.reason for row in made.workers)
            cdp.send("Debugger.disable")
            page.wait_for_timeout(100)
            made.wait(2, timeout=JOIN_S)
            assert same(made.mandelbrot(**VIEW), alone)
            assert [row.state for row in made.workers] == ["ready", "ready", "gone"]
