"""`comm`: the notebook page itself, through the widget's comm; with a fast lane where page and kernel share a machine.

The lane is the hub's WebSocket on loopback. The page opens it when it was itself served from a loopback host; its address and token go through
the comm, never through a trait, so they are not in a saved notebook. It carries everything while it is open; when it breaks, or never opens (a
remote hub, an SSH tunnel), the comm carries everything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from webgpu_widget.link.transports.base import Transport

if TYPE_CHECKING:
    import anywidget

    from webgpu_widget.link.connection import Connection
    from webgpu_widget.link.hosts import Host
    from webgpu_widget.link.protocol import Lane

_DISPLAY_AFTER_S = 2.0
_CALL_EVERY_S = 3.0


class CommTransport(Transport):
    """The widget's own comm.

    Parameters
    ----------
    widget : anywidget.AnyWidget
        Whose custom messages carry the protocol.
    host : Host
        Where it is shown.
    """

    name = "comm"

    def __init__(self, widget: anywidget.AnyWidget, host: Host) -> None:
        self.host = host
        self._widget = widget
        self._connection: Connection | None = None
        self._release: Callable[[], None] | None = None
        self._token: str | None = None
        self._displayed = False
        self._called_at = 0.0
        self._send = host.sender(widget)

    def start(self, connection: Connection) -> None:
        """Claim the comm's messages and listen."""
        self._connection = connection
        comm = self._widget.comm
        if comm is not None:
            self._release = self.host.claim(comm.comm_id, self._receive)
        # What comes while no cell runs, in hosts where nothing was installed.
        self._widget.on_msg(lambda _widget, content, buffers: self._receive(content, buffers))
        connection.open_link("comm", self._send)
        self._send({"kind": "roll-call"}, ())

    def _receive(self, content: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        if self._connection is not None:
            self._connection.receive("comm", content, buffers)

    def address_for_page(self, url: str) -> str:
        """Return the whole address: the notebook's page was served by another server."""
        return url

    def offer_lane(self, hello: dict[str, Any]) -> Lane | None:  # noqa: ARG002
        """Offer the hub's socket, once per GPU, unless ``WEBGPU_WIDGET_LANE=0``."""
        if not _environment_flag("WEBGPU_WIDGET_LANE", default=True) or self._connection is None:
            return None
        from webgpu_widget.link.transports._hub import Hub
        from webgpu_widget.link.transports.page import SocketLink

        connection = self._connection
        hub = Hub.shared()
        if self._token is None:
            self._token = hub.add_endpoint(lambda socket: SocketLink(connection, socket))
        return {"url": f"ws://{hub.netloc}/ws", "token": self._token}

    def nudge(self, silent_s: float) -> None:
        """Ask again who is there, and show the widget: some hosts run a widget's code only when it is displayed."""
        if silent_s - self._called_at > _CALL_EVERY_S or silent_s < self._called_at:
            self._called_at = silent_s
            self._send({"kind": "roll-call"}, ())
        if silent_s > _DISPLAY_AFTER_S and not self._displayed:
            self._displayed = True
            self.host.show(self._widget)

    def advice(self) -> str:
        """Say what to do in this host."""
        return (
            "The work runs in the page that shows this notebook: open the notebook in a browser, and in hosts that run a widget only once it is "
            "shown (VS Code, Colab) put `gpu` on the last line of an earlier cell. Where no browser shows the notebook (nbval, nbconvert, papermill), "
            "set WEBGPU_WIDGET_TRANSPORT=headless, or use wg.GPU(transport='headless')."
        )

    def close(self) -> None:
        """Give the claim and the token back."""
        if self._release is not None:
            self._release()
            self._release = None
        if self._token is not None:
            from webgpu_widget.link.transports._hub import Hub

            with contextlib.suppress(Exception):
                Hub.shared().remove_endpoint(self._token)
            self._token = None


def _environment_flag(name: str, default: bool) -> bool:
    """Read a yes/no environment variable (``0``, ``no``, ``false`` and ``off`` are no)."""
    value = os.environ.get(name)
    return default if value is None else value.strip().lower() not in {"", "0", "no", "false", "off"}
