"""After work that hung a GPU: whether the next device is one that lasts.

A browser that is killed while a shader spins leaves that work to the driver, and some drivers end it only after a minute or two (NVIDIA's on Linux do).
Until then a new browser finds no adapter, or loses its device as soon as it has one. So after such a loss a page has to prove its device, by a few
bytes there and back, before anything is composed for it. One that cannot is replaced, after longer and longer pauses, for as long as a driver may need.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.process.fork import Lock
from webgpu_widget.process.interrupts import let_in

if TYPE_CHECKING:
    from webgpu_widget.link.connection import Connection

log = logging.getLogger("webgpu_widget")

_LETS_GO_S = 120.0
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 16.0
_SILENCE_S = 30.0
_FAILS = (
    errors.NoAdapterError,
    errors.DeviceLostError,
    errors.FrontendLostError,
    errors.FrontendTimeoutError,
    errors.NoFrontendError,
)
_HANDLE = 0  # the queue's begin at 1

_hung_until = 0.0
"""Until when the driver may still hold on to what hung in any browser of this process."""


class Recovery:
    """Whether the page of a connection has to prove its device, and until when it is given other chances."""

    def __init__(self, *, starts_pages: bool) -> None:
        self._possible = starts_pages
        self._lock = Lock()
        self._until = _hung_until
        self.due = starts_pages and time.monotonic() < _hung_until

    def begin(self, *, hung: bool = False) -> None:
        """Ask for a proof: a device was lost, or with ``hung`` a browser was killed with work in it that did not end."""
        global _hung_until  # noqa: PLW0603 - one driver serves every browser of this process
        if not self._possible or self._lock.locked():
            return
        self.due = True
        self._until = time.monotonic() + _LETS_GO_S
        if hung:
            _hung_until = self._until

    def prove(self, connection: Connection) -> None:
        """Return when the page has a device that lasts.

        Raises
        ------
        DeviceLostError
            When no page got one in the time that drivers need.
        NoFrontendError
            When browsers do not even start.
        """
        with self._lock:
            pause = _FIRST_PAUSE_S
            while self.due and not connection.closed:
                try:
                    _round_trip(connection)
                except _FAILS as error:
                    if connection.hopeless:
                        raise
                    self._next_page(connection, pause, error)
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
                else:
                    self.due = False

    def _next_page(self, connection: Connection, pause_s: float, error: errors.WebGPUWidgetError) -> None:
        left = self._until - time.monotonic()
        if left > 0:
            log.warning(
                "The GPU was lost, and a new page has none that lasts (%s). Its driver may still be ending the work that hung: "
                "trying another browser in %.2g s, for %.0f s more at most",
                error,
                min(pause_s, left),
                left,
            )
            with let_in():
                time.sleep(min(pause_s, left))
        connection.start_anew("no device lasted in the browser, so it was started anew")
        if left <= 0:
            raise errors.DeviceLostError(
                f"the GPU was lost, and no new browser has got a device that lasts in the {_LETS_GO_S:g} s since: {error}. "
                "The driver may still be ending work that hung, or be held by another process (nvidia-smi lists them on NVIDIA's): "
                "end those, or wait, and call again; each call tries another browser"
            ) from None


def _round_trip(connection: Connection) -> None:
    """Ask for a device, and bring four bytes to it and back."""
    what = "asking the new page for a GPU that lasts"
    opened, read = connection.new_request(what), connection.new_request(what, on_chunk=lambda *_: None)
    commands: list[Any] = [
        {"op": "create-buffer", "buffer": _HANDLE, "size_bytes": 4},
        {"op": "write-buffer", "buffer": _HANDLE, "offset": 0, "data": [0, 0, 4]},
        {"op": "read", "id": read.id, "reads": [{"buffer": _HANDLE, "offset": 0, "size_bytes": 4}]},
        {"op": "free-buffer", "buffer": _HANDLE},
    ]
    generation = connection.generation
    connection.submit([{"op": "get-device", "id": opened.id}], [], [opened])
    connection.wait(opened, _SILENCE_S)
    if not connection.submit(commands, [b"last"], [read], generation=generation):
        raise errors.DeviceLostError(f"{what}: it was lost at once")
    connection.wait(read, _SILENCE_S)
