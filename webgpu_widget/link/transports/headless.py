"""`headless`: a Chromium that the package starts, and stops."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from webgpu_widget.link.transports._chromium import Browser
from webgpu_widget.link.transports.page import PageTransport, SocketLink

if TYPE_CHECKING:
    from webgpu_widget.link.connection import Connection

log = logging.getLogger("webgpu_widget")
_MOST_DEVICE_LOSSES = 2
"""Chromium gives no adapter any more once its GPU process has ended twice."""
_STARTS_IN_S = 30.0
_RELOADS_IN_S = 2.0
_MOST_IN_VAIN = 2


class HeadlessTransport(PageTransport):
    """`page`, opened by a browser without a window."""

    name = "headless"

    reconnect_s = 0.5
    starts_pages = True
    page_ended = "the page in the browser that this process had started crashed"

    def __init__(self) -> None:
        super().__init__()
        self._browser: Browser | None = None
        self._connection: Connection | None = None
        self._device_losses = 0
        self._due_at = 0.0
        """When the browser has had its time to show a page."""
        self._in_vain = 0
        """Browsers in a row that never showed one."""

    def start(self, connection: Connection) -> None:
        """Start the browser; it says hello in a second or two."""
        self._connection = connection
        self._launch()

    def _launch(self) -> None:
        """Start a browser for a token of its own, which admits its page alone; the token of one before it opens nothing any more."""
        connection = self._connection
        if connection is None:
            return
        if self._token is not None:
            self._hub.remove_endpoint(self._token)
        self._token = self._hub.add_endpoint(lambda socket: SocketLink(connection, socket), one_page=True)
        self._device_losses = 0
        self._due_at = time.monotonic() + _STARTS_IN_S
        self._in_vain += 1
        self._browser = Browser(self._hub.page_url(self._token))

    def _replace(self, why: str) -> None:
        if self._browser is not None:
            log.warning("%s. Another one is started in its place", why)
            self._browser.kill()
            self._launch()

    def connected(self, hello: dict[str, Any]) -> None:
        """Hear that its page leads."""
        super().connected(hello)
        self._in_vain = 0

    def page_lost(self, *, left: bool) -> None:
        """Give a page that was reloaded its time to come back, and any other one none."""
        if self._in_vain == 0:
            self._due_at = time.monotonic() + (_RELOADS_IN_S if left else 0)

    def device_lost(self) -> None:
        """Count."""
        self._device_losses += 1

    def worn_out(self) -> str | None:
        """Say so when the device was lost too often."""
        if self._device_losses < _MOST_DEVICE_LOSSES:
            return None
        return f"the browser lost its GPU {self._device_losses} times and was started anew"

    def _trouble(self) -> str | None:
        """Say why no page is to be expected of the browser any more."""
        if self._browser is None:
            return None
        ended = self._browser.failure()
        if ended is not None or time.monotonic() < self._due_at:
            return ended
        return f"the browser {self._browser.program} shows no page any more"

    def revive(self) -> None:
        """Start another browser in the place of one that shows no page any more."""
        trouble = self.worn_out() or self._trouble()
        if trouble is not None:
            self._replace(trouble)

    def nudge(self, silent_s: float) -> None:  # noqa: ARG002
        """Do the same in the middle of a wait, but not for ever."""
        trouble = self._trouble()
        if trouble is not None and self._in_vain < _MOST_IN_VAIN:
            self._replace(trouble)

    def restart(self) -> bool:
        """Start the browser anew: a shader that never ends also holds up Chromium's GPU process, and with it every new device."""
        if self._browser is None:
            return False
        self._browser.kill()
        self._launch()
        return True

    def failure(self) -> str | None:
        """Say why the browser has ended, when more of them will not help."""
        return None if self._browser is None or self._in_vain < _MOST_IN_VAIN else self._browser.failure()

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
        if self._browser is not None:
            self._browser.close()
            self._browser = None
