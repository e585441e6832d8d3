"""`page`: any browser that opens a link."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.link.transports._hub import Hub, Socket
from webgpu_widget.link.transports._names import server_context, warn_if_open
from webgpu_widget.link.transports.base import Transport

if TYPE_CHECKING:
    from webgpu_widget.link.connection import Connection

log = logging.getLogger("webgpu_widget.hub")
_NOBODY = object()
_RELOADS_IN_S = 2.0
"""From the fetching of a page to the goodbye of the one that it takes the place of."""


class SocketLink:
    """A socket of the hub as a link of a connection, for the one page that says hello on it."""

    def __init__(self, connection: Connection, socket: Socket) -> None:
        self._connection = connection
        self._socket = socket
        self._instance: Any = _NOBODY
        connection.open_link(socket.name, socket.send)

    def receive(self, message: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        """Pass a message on."""
        if message.get("instance") != self._instance:
            if (
                self._instance is not _NOBODY
                or message["kind"] != "hello"
                or not isinstance(message.get("instance"), str)
            ):
                log.warning(
                    "a page at %s spoke before its hello or in another's name, socket closed", self._socket.remote
                )
                self._socket.close("hello comes first")
                return
            self._instance = message["instance"]
        self._connection.receive(self._socket.name, message, buffers)

    def closed(self) -> None:
        """Pass the end on."""
        self._connection.close_link(self._socket.name)


class PageTransport(Transport):
    """Serve the page on a hub of its own and wait for a browser to open it.

    Parameters
    ----------
    host : str
        ``127.0.0.1`` unless other machines are to reach it (``0.0.0.0``).
    port : int
        0 picks a free one.
    token : str, optional
        Secret of the address; drawn when left out.
    certificate : (str, str), optional
        Paths of a certificate and its key, in PEM, for https.

    Raises
    ------
    FrontendError
        When it cannot listen there, or the certificate cannot be used.
    """

    name = "page"

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str | None = None,
        certificate: tuple[str, str] | None = None,
    ) -> None:
        self._own = (host, port, token, certificate) != ("127.0.0.1", 0, None, None)
        self._given = token
        secured = (
            "" if certificate is not None else ", and without a certificate all that goes by can be read on the way"
        )
        warn_if_open(
            host,
            "the page",
            f"every machine that reaches this one and knows the address with its token can compute for you, and see your data{secured}",
            stacklevel=2,
        )
        try:
            tls = None if certificate is None else server_context(certificate)
        except OSError as error:
            raise errors.FrontendError(str(error)) from error
        try:
            self._hub = Hub(host, port, tls) if self._own else Hub.shared()
        except OSError as error:
            raise errors.FrontendError(
                f"the page cannot be served on {host}:{port}: {error}; pass another port, or 0 for a free one"
            ) from error
        self._token: str | None = None

    def start(self, connection: Connection) -> None:
        """Make the endpoint."""
        self._token = self._hub.add_endpoint(lambda socket: SocketLink(connection, socket), self._given)

    @property
    def hub(self) -> Hub:
        """The hub that serves the page."""
        return self._hub

    @property
    def url(self) -> str | None:
        """The address to open; the token is in it."""
        return None if self._token is None else self._hub.page_url(self._token, public=True)

    def advice(self) -> str:
        """Say what to do. The address is not in it: what is said here ends up in saved notebooks and logs, and the token opens this GPU."""
        return f"Open gpu.url (print it: it is on {self._hub.public_netloc} and holds a secret token) in a browser with WebGPU and keep the page open."

    def comes_back(self, gone_at: float) -> bool:
        """Whether a browser has fetched the page again: it does before the page that it leaves says goodbye."""
        return self._hub.page_fetched_at > gone_at - _RELOADS_IN_S

    def close(self) -> None:
        """Withdraw the token."""
        if self._token is not None:
            self._hub.remove_endpoint(self._token)
            self._token = None
        if self._own:
            self._hub.close()
