"""A way to pages that live in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from fake_page import FakePage, Message

from webgpu_widget.link.connection import Connection
from webgpu_widget.link.transports.base import Transport


class Direct(Transport):
    """A page in this process, behind a thread of its own."""

    name = "direct"
    reconnect_s = 0.2

    def __init__(self, pages: int = 1) -> None:
        self.count = pages
        self.pages: list[FakePage] = []
        self.nudges: list[float] = []
        self.broken: str | None = None

    def start(self, connection: Connection) -> None:
        self.connection = connection
        connection.open_link("comm", self.to_pages)
        for _ in range(self.count):
            self.add_page()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()

    def add_page(self) -> FakePage:
        page = FakePage(self.after)
        page.kind = "comm"
        page.send = lambda message, buffers: self.connection.receive("comm", message, buffers)
        self.pages.append(page)
        page.hello(page)
        return page

    def to_pages(self, message: Message, buffers: Sequence[Any]) -> None:
        for page in list(self.pages):
            page.receive(page, message, buffers)

    def advice(self) -> str:
        return "Open a page."

    def nudge(self, silent_s: float) -> None:
        self.nudges.append(silent_s)

    def failure(self) -> str | None:
        return self.broken

    def close(self) -> None:
        """Nothing is held."""
