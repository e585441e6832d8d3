"""Ways to a GPU as the table knows them: a browser of our own, a page that a person opened, browsers of a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import devtools
import numpy as np
import psutil
from fake_page import SQUARE
from processes import browser

import webgpu_widget as wg
from webgpu_widget.link.transports._chromium import Browser

CLOSED_BY_FAULTS = frozenset({"renderer killed", "browser killed", "page closed", "gpu gone"})
"""After these a person has to open the page again where it is not a browser of our own."""


class Person:
    """Who opens pages where that is a person's task."""

    def __init__(self) -> None:
        self.person: list[Browser] = []

    @property
    def url(self) -> str:
        """What to open."""
        raise NotImplementedError

    def open_browser(self) -> None:
        """As a person would; the ones before are closed."""
        for old in self.person:
            old.kill()
        self.person = [Browser(self.url, [devtools.FLAG])]


class Place(Person):
    """A GPU with a browser behind it, and the person before it."""

    def __init__(self, transport: str) -> None:
        super().__init__()
        self.transport = transport
        # Also for the browsers that come after it.
        os.environ["WEBGPU_WIDGET_BROWSER_FLAGS"] = devtools.FLAG
        self.gpu = wg.GPU(transport=transport)  # type: ignore[arg-type]
        if transport == "page":
            self.open_browser()
        self.gpu.ready(timeout=60)

    @property
    def root(self) -> psutil.Process:
        """The browser's own process."""
        return browser(self.gpu) if not self.person else psutil.Process(self.person[-1].pid)

    @property
    def url(self) -> str:
        """The address of its page."""
        return str(self.gpu.url)

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        os.kill(os.getpid(), signal.SIGINT)

    def help(self, fault: str) -> None:
        """Do what only a person can after a fault; a browser of our own needs nobody."""
        if self.transport == "page" and fault in CLOSED_BY_FAULTS:
            self.open_browser()

    def call(self, rng: np.random.Generator) -> bool:
        """Use nothing that could be lost."""
        x = rng.integers(-1000, 1000, 1000).astype(np.float32)
        return bool(np.array_equal(self.gpu.run(SQUARE, x=x, y=wg.out(1000), threads=1000), x * x))

    def close(self) -> None:
        """End all."""
        os.environ.pop("WEBGPU_WIDGET_BROWSER_FLAGS", None)
        self.gpu.close()
        for one in self.person:
            one.kill()


@contextmanager
def place(transport: str) -> Iterator[Place]:
    """One, closed at the end."""
    made = Place(transport)
    try:
        yield made
    finally:
        made.close()


def open_cluster(browsers: int) -> Any:
    """A cluster with browsers of its own."""
    made = wg.Cluster()
    made.launch(browsers, flags=[devtools.FLAG])
    made.wait(browsers, timeout=120)
    return made
