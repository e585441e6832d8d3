"""Browsers that a cluster has started itself, each pinned to cores of its own when that is wanted."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Sequence

from webgpu_widget import errors
from webgpu_widget.link.transports._chromium import Browser
from webgpu_widget.link.transports._hub import Hub, OnOpen

__all__ = ["Launched"]


class Launched:
    """The browsers that were started, in order."""

    def __init__(self) -> None:
        self._by_label: dict[str, Browser] = {}

    @property
    def browsers(self) -> list[Browser]:
        """All of them, those that have ended included."""
        return list(self._by_label.values())

    def start(
        self,
        hub: Hub,
        on_open: OnOpen,
        n: int,
        cores: int | Sequence[Collection[int]] | None,
        flags: Sequence[str],
    ) -> None:
        """Start ``n`` browsers; see `Cluster.launch`. Each gets a token of its own, which admits its page alone and says which browser that is in."""
        for pinned in _cores(n, cores):
            label = uuid.uuid4().hex[:12]
            token = hub.add_endpoint(on_open, one_page=True, label=label)
            self._by_label[label] = Browser(hub.page_url(token), flags, pinned)

    def pin(self, label: str) -> None:
        """Put the threads of the browser of a page back on its cores, once it has its device; nothing for a page that was opened by others."""
        browser = self._by_label.get(label)
        if browser is not None:
            browser.pin()

    def failures(self) -> list[str]:
        """Say why browsers have ended, of those that have."""
        return [text for browser in self.browsers if (text := browser.failure())]

    def close(self) -> None:
        """End them all."""
        for browser in self.browsers:
            browser.close()


def _cores(n: int, cores: int | Sequence[Collection[int]] | None) -> Sequence[Collection[int]]:
    if cores is None:
        return [()] * n
    if not hasattr(os, "sched_setaffinity"):
        raise errors.ClusterError("this system cannot pin a process to cores; leave cores out")
    if isinstance(cores, int):
        mine = sorted(os.sched_getaffinity(0))
        if cores < 1 or n * cores > len(mine):
            raise errors.ClusterError(
                f"{n} browsers with {cores} cores each need {n * cores} cores, and this process may use {len(mine)}"
            )
        return [mine[i * cores : (i + 1) * cores] for i in range(n)]
    if len(cores) != n:
        raise errors.ClusterError(f"cores names {len(cores)} sets of cores for {n} browsers; pass one for each")
    return cores
