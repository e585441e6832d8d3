"""A small HTTP and WebSocket server in a thread: the page, the bundle, files with Range, one socket per page.

It listens on loopback unless told otherwise. Every endpoint has a secret token; a request without it, for a name that is not the hub's, or from a foreign
origin, is refused and logged without the token. Before a token is shown nothing is read but a request's head, for a few seconds, from a few connections.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import pathlib
import secrets
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, ClassVar, Protocol
from urllib.parse import quote

import tornado.httpserver
import tornado.iostream
import tornado.web
import tornado.websocket

from webgpu_widget.link import codec
from webgpu_widget.link.transports import _names
from webgpu_widget.link.transports._handlers import (
    MAX_FRAME_BYTES,
    BundleHandler,
    FileHandler,
    NotFoundHandler,
    PageHandler,
    SocketHandler,
)
from webgpu_widget.process.fork import tell_children

log = logging.getLogger("webgpu_widget.hub")

_LAST_PORT = 65535
_MAX_HEAD_BYTES = 16 * 1024
"""Of a request: its first line and its headers."""
_HEAD_S = 15.0
"""For how long a connection may take to send a request's head, or do nothing."""
MAX_STRANGERS = 64
"""Connections that have shown no secret; a further one ends the oldest of them."""
MAX_SOCKETS = 512
_QUIET_S = 60.0
"""After which the same refusal is logged again."""
_MAX_NOTED = 64


class Receiver(Protocol):
    """What an endpoint makes of one open socket."""

    def receive(self, message: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        """Deal with a message; in the hub's thread, so be quick."""

    def closed(self) -> None:
        """Hear that the socket is gone."""


OnOpen = Callable[["Socket"], Receiver]


class Socket:
    """One open WebSocket, usable from any thread."""

    _numbers = itertools.count(1)

    def __init__(self, hub: Hub, handler: SocketHandler, endpoint: Endpoint, instance: str) -> None:
        self._hub = hub
        self._handler = handler
        self.endpoint = endpoint
        self.instance = instance
        self.name = f"ws-{next(self._numbers)}"
        self.remote = str(handler.request.remote_ip)
        self.label = endpoint.label

    def send(self, message: dict[str, Any], buffers: Sequence[codec.Bytes] = ()) -> None:
        """Send a message; returns at once."""
        frame = codec.encode(message, buffers)
        self._hub.loop.call_soon_threadsafe(self._write, frame)

    def _write(self, frame: bytes) -> None:
        try:
            sent = self._handler.write_message(frame, binary=True)
        except tornado.websocket.WebSocketClosedError:
            return
        sent.add_done_callback(lambda future: future.cancelled() or future.exception())

    def close(self, reason: str = "") -> None:
        """Close it."""
        self._hub.loop.call_soon_threadsafe(self._handler.end, 1000, reason[:100])


class Endpoint:
    """What a token opens.

    Parameters
    ----------
    on_open : callable
        Called in the hub's thread for each socket.
    one_page : bool
        Whether the token is for one page: the first that shows it, and that page again after a reload. A page proves that it is the same one by a secret that it
        drew itself and keeps for its tab.
    label : str
        Which browser the token was made for.
    """

    def __init__(self, on_open: OnOpen, *, one_page: bool = False, label: str = "") -> None:
        self.on_open = on_open
        self.label = label
        self.sockets: set[Socket] = set()
        self._one_page = one_page
        self._page: str | None = None

    def claim(self, page: str, instance: str) -> str | None:
        """Say why a page is not let in; None when it is.

        Parameters
        ----------
        page : str
            The page's secret.
        instance : str
            Which load of the page it is.
        """
        if not self._one_page:
            return None
        if self._page is None:
            self._page = page
        if not secrets.compare_digest(self._page.encode(), page.encode()):
            return "another page came with a token that was made for one page"
        if any(opened.instance != instance for opened in self.sockets):
            return "a second page came with a token whose page is open"
        return None


class _Server(tornado.httpserver.HTTPServer):
    """tornado's, with a limit on connections that have shown no secret."""

    hub: Hub

    def handle_stream(self, stream: tornado.iostream.IOStream, address: tuple[Any, ...]) -> None:
        """Take a new connection."""
        self.hub.took(stream)
        super().handle_stream(stream, address)


class Hub:
    """A server for any number of endpoints.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        0 picks a free one.
    tls : ssl.SSLContext, optional
        For https.

    Raises
    ------
    OSError
        When it cannot listen there.
    """

    _shared: ClassVar[Hub | None] = None
    _shared_lock: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def shared(cls) -> Hub:
        """Return the process's hub on loopback, started at first use."""
        with cls._shared_lock:
            if cls._shared is None:
                cls._shared = cls()
            return cls._shared

    def __init__(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        if not isinstance(port, int) or not 0 <= port <= _LAST_PORT:
            raise OSError(f"the port is {port!r}, but ports are whole numbers from 0 to {_LAST_PORT}")
        self.host = host
        self._tls = tls
        self.endpoints: dict[str, Endpoint] = {}
        self.files: dict[str, pathlib.Path] = {}
        self.page_fetched_at = -math.inf
        self.sockets: set[Socket] = set()
        self._streams: weakref.WeakSet[tornado.iostream.IOStream] = weakref.WeakSet()
        self._strangers: dict[tornado.iostream.IOStream, None] = {}
        self._noted: dict[tuple[str, str], float] = {}
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready, port), name="webgpu_widget hub", daemon=True)
        self._thread.start()
        self.port = ready.result(timeout=10)
        tell_children(self)

    def _run(self, ready: Future[int], port: int) -> None:
        asyncio.run(self._serve(ready, port))

    async def _serve(self, ready: Future[int], port: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        here = {"hub": self}
        application = tornado.web.Application(
            [
                (r"/", PageHandler, here),
                (r"/widget\.js", BundleHandler, here),
                (r"/ws", SocketHandler, here),
                (r"/file/(.*)", FileHandler, here),
            ],
            default_handler_class=NotFoundHandler,
            default_handler_args=here,
            log_function=lambda handler: None,  # noqa: ARG005
            websocket_max_message_size=MAX_FRAME_BYTES,
        )
        try:
            # Closes the socket when it cannot be bound; tornado's own function leaves that to the collector.
            self._listening = socket.create_server(
                (self.host, port), family=socket.AF_INET6 if ":" in self.host else socket.AF_INET, backlog=128
            )
        except OSError as error:
            ready.set_exception(error)
            return
        server = _Server(
            application,
            ssl_options=self._tls,
            max_buffer_size=2 * MAX_FRAME_BYTES,
            max_header_size=_MAX_HEAD_BYTES,
            max_body_size=0,
            idle_connection_timeout=_HEAD_S,
        )
        server.hub = self
        self._listening.setblocking(False)
        server.add_sockets([self._listening])
        ready.set_result(self._listening.getsockname()[1])
        await self._stop.wait()
        server.stop()
        for opened in list(self.sockets):
            opened._handler.close(1001, "the hub is closing")
        await server.close_all_connections()

    # ------------------------------------------------------------ who may come in, in the hub's thread

    def took(self, stream: tornado.iostream.IOStream) -> None:
        """Count a new connection among those that have shown no secret."""
        self._streams.add(stream)
        self._strangers[stream] = None
        if len(self._strangers) > MAX_STRANGERS:
            for one in [one for one in self._strangers if one.closed()]:
                del self._strangers[one]
        while len(self._strangers) > MAX_STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.close()

    def trust(self, stream: Any) -> None:
        """Count a connection no more: it has shown a secret. The system finds out when its other end is gone without a word."""
        self._strangers.pop(stream, None)
        if not stream.closed():
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def full(self) -> str | None:
        """Say why no more sockets are taken, if so."""
        return None if len(self.sockets) < MAX_SOCKETS else f"{MAX_SOCKETS} sockets are open, and no more are taken"

    def opened(self, handler: SocketHandler, endpoint: Endpoint, instance: str) -> Socket:
        """Count a socket in."""
        made = Socket(self, handler, endpoint, instance)
        self.sockets.add(made)
        endpoint.sockets.add(made)
        self.trust(getattr(handler.ws_connection, "stream", None))
        return made

    def closed(self, gone: Socket) -> None:
        """Count a socket out."""
        self.sockets.discard(gone)
        gone.endpoint.sockets.discard(gone)

    def note_refusal(self, remote: str, why: str) -> None:
        """Log that something was refused; the same again only after a while, so that nobody fills a log."""
        now = time.monotonic()
        if now - self._noted.get((remote, why), -_QUIET_S) < _QUIET_S:
            return
        if len(self._noted) >= _MAX_NOTED:
            self._noted.clear()
        self._noted[remote, why] = now
        log.warning("refused a request from %s: %s", remote, why)

    @property
    def names(self) -> str:
        """Which hosts it answers to, in words."""
        if _names.is_loopback(self.host):
            return "localhost and 127.0.0.1"
        return "this machine's addresses and its own name" + ("" if _names.is_any(self.host) else f", and {self.host}")

    def answers_to(self, host: str) -> bool:
        """Say whether a Host header names this server.

        On loopback that is a name of loopback. On an open interface it is also any address, this machine's own name and the host that was given; over TLS any name:
        there the certificate says whose it is, and a name that only resolves here has none.
        """
        name = _names.hostname(host)
        if not name:
            return False
        if _names.is_loopback(name) or name == self.host.lower():
            return True
        if _names.is_loopback(self.host):
            return False
        return self._tls is not None or _names.is_address(name) or name in _names.own_names()

    # ------------------------------------------------------------ for the program

    @property
    def netloc(self) -> str:
        """``host:port`` to open on this machine."""
        local = "::1" if self.host == "::" else "127.0.0.1" if _names.is_any(self.host) else self.host
        return _names.with_port(local, self.port)

    @property
    def public_netloc(self) -> str:
        """``host:port`` to open on another machine, where it listens to others."""
        if not _names.is_any(self.host):
            return self.netloc
        address = _names.outward_address("2001:db8::1" if self.host == "::" else "192.0.2.1")
        return self.netloc if address is None else _names.with_port(address, self.port)

    def add_endpoint(
        self, on_open: OnOpen, token: str | None = None, *, one_page: bool = False, label: str = ""
    ) -> str:
        """Make a token, or take the one given; see `Endpoint`."""
        token = token or secrets.token_urlsafe(24)
        self.endpoints[token] = Endpoint(on_open, one_page=one_page, label=label)
        return token

    def remove_endpoint(self, token: str) -> None:
        """Forget a token."""
        self.endpoints.pop(token, None)

    def page_url(self, token: str, *, public: bool = False) -> str:
        """Return the address of the page for an endpoint, to be opened on this machine, or on others."""
        return f"{self._scheme}://{self.public_netloc if public else self.netloc}/?token={quote(token, safe='')}"

    @property
    def _scheme(self) -> str:
        return "http" if self._tls is None else "https"

    def serve_file(self, path: str | pathlib.Path) -> str:
        """Serve a file with Range and ETag under a secret address, which is returned."""
        path = pathlib.Path(path).resolve(strict=True)
        name = f"{secrets.token_urlsafe(24)}/{path.name}"
        self.files[name] = path
        return f"{self._scheme}://{self.netloc}/file/{name}"

    def stop_serving(self, url: str) -> None:
        """Take back what `serve_file` gave."""
        self.files.pop(url.split("/file/", 1)[-1], None)

    def close(self) -> None:
        """Stop listening and close all sockets."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            if threading.current_thread() is not self._thread:
                self._thread.join(timeout=5)

    def forked(self, parent: int) -> None:  # noqa: ARG002
        """Close the copies of sockets, past their objects: the parent's event loop is to notice nothing."""
        for held in (self._listening, *(stream.socket for stream in self._streams)):
            descriptor = held.detach() if held is not None else -1
            if descriptor >= 0:
                os.close(descriptor)
        Hub._shared = None
        Hub._shared_lock = threading.Lock()
