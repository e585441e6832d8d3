"""`page`: any browser that opens a link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.transports._hub import Hub, Socket
from webgpu_widget.transports.base import Transport

if TYPE_CHECKING:
    from webgpu_widget._connection import Connection


class SocketLink:
    """A socket of the hub as a link of a connection."""

    def __init__(self, connection: Connection, socket: Socket) -> None:
        self._connection = connection
        self._socket = socket
        connection.open_link(socket.name, socket.send)

    def receive(self, message: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        """Pass a message on."""
        self._connection.receive(self._socket.name, message, buffers)

    def closed(self) -> None:
        """Pass the end on."""
        self._connection.close_link(self._socket.name)


class PageTransport(Transport):
    """Serve the page on a hub of its own and wait for a browser to open it.

    Parameters
    ----------
    host : str
        ``127.0.0.1`` unless other machines shall reach it (``0.0.0.0``).
    port : int
        0 picks a free one.

    Raises
    ------
    FrontendError
        When it cannot listen there.
    """

    name = "page"

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._own = (host, port) != ("127.0.0.1", 0)
        try:
            self._hub = Hub(host, port) if self._own else Hub.shared()
        except OSError as error:
            raise errors.FrontendError(
                f"the page cannot be served on {host}:{port}: {error}; pass another port, or 0 for a free one"
            ) from error
        self._token: str | None = None

    def start(self, connection: Connection) -> None:
        """Make the endpoint."""
        self._token = self._hub.add_endpoint(lambda socket: SocketLink(connection, socket))

    @property
    def url(self) -> str | None:
        """The address to open; the token is in it."""
        return None if self._token is None else self._hub.page_url(self._token)

    def advice(self) -> str:
        """Say what to do."""
        return f"Open {self.url} in a browser with WebGPU and keep the page open."

    def close(self) -> None:
        """Withdraw the token."""
        if self._token is not None:
            self._hub.remove_endpoint(self._token)
            self._token = None
        if self._own:
            self._hub.close()
