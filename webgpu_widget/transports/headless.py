"""`headless`: a Chromium that the package starts, and stops."""

from __future__ import annotations

import atexit
import logging
import weakref
from typing import TYPE_CHECKING

from webgpu_widget.transports._chromium import Browser
from webgpu_widget.transports.page import PageTransport

if TYPE_CHECKING:
    from webgpu_widget._connection import Connection

log = logging.getLogger("webgpu_widget")
_running: weakref.WeakSet[HeadlessTransport] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for transport in list(_running):
        transport.close()


class HeadlessTransport(PageTransport):
    """`page`, opened by a browser without a window."""

    name = "headless"

    def __init__(self) -> None:
        super().__init__()
        self._browser: Browser | None = None
        self._connection: Connection | None = None

    def start(self, connection: Connection) -> None:
        """Start the browser; it says hello in a second or two."""
        super().start(connection)
        self._connection = connection
        self._launch()
        _running.add(self)

    def _launch(self) -> None:
        url = self.url
        if url is not None:
            self._browser = Browser(url)

    def nudge(self, silent_s: float) -> None:  # noqa: ARG002
        """Start another browser when the first has ended after it had worked."""
        if self._browser is None or self._connection is None or not self._connection.hello:
            return
        failed = self._browser.failure()
        if failed is not None:
            log.warning("%s. Another one is started in its place", failed)
            self._browser.close()
            self._launch()

    def restart(self) -> bool:
        """Start the browser anew: a shader that never ends also holds up Chromium's GPU process, and with it every new device."""
        if self._browser is None:
            return False
        self._browser.close()
        self._launch()
        return True

    def failure(self) -> str | None:
        """Say why the browser has ended."""
        if self._browser is None or (self._connection is not None and self._connection.hello):
            return None
        return self._browser.failure()

    def obituary(self) -> str | None:
        """Say why the browser has ended."""
        return None if self._browser is None else self._browser.failure()

    @property
    def browser_pid(self) -> int | None:
        """Process id of the browser."""
        return None if self._browser is None else self._browser.pid

    def advice(self) -> str:
        """Say what to do."""
        program = self._browser.program if self._browser else "The browser"
        return f"{program} was started but its page did not come up; run `webgpu-widget doctor` to see what it says."

    def close(self) -> None:
        """End the browser."""
        super().close()
        _running.discard(self)
        if self._browser is not None:
            self._browser.close()
            self._browser = None
