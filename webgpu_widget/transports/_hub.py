"""A small HTTP and WebSocket server in a thread: the page, the bundle, files with Range, one socket per page.

It listens on loopback unless told otherwise. Every endpoint has a secret token; a request without it, or from a foreign origin, is refused and
logged without the token.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import itertools
import logging
import pathlib
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import tornado.httpserver
import tornado.web
import tornado.websocket

from webgpu_widget import _codec

log = logging.getLogger("webgpu_widget.hub")

STATIC = pathlib.Path(__file__).resolve().parent.parent / "static"
MAX_FRAME_BYTES = 64 * 1024 * 1024
_LAST_PORT = 65535
_TOO_BIG = 1009
"""WebSocket's close code for it (RFC 6455, 7.4.1)."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>webgpu_widget</title>
<link rel="icon" href="data:,">
<main id="app"></main>
<script type="module">
import { connectPage } from "./widget.js";
connectPage();
</script>
</html>
"""


_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; connect-src *; "
    "worker-src 'self' blob:; img-src * data: blob:; frame-ancestors 'none'"
)


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

    def __init__(self, hub: Hub, handler: _SocketHandler) -> None:
        self._hub = hub
        self._handler = handler
        self.name = f"ws-{next(self._numbers)}"
        self.remote = str(handler.request.remote_ip)
        self.label = handler.get_query_argument("browser", "")

    def send(self, message: dict[str, Any], buffers: Sequence[_codec.Bytes] = ()) -> None:
        """Send a message; returns at once."""
        frame = _codec.encode(message, buffers)
        self._hub.loop.call_soon_threadsafe(self._write, frame)

    def _write(self, frame: bytes) -> None:
        try:
            sent = self._handler.write_message(frame, binary=True)
        except tornado.websocket.WebSocketClosedError:
            return
        sent.add_done_callback(lambda future: future.cancelled() or future.exception())

    def close(self, reason: str = "") -> None:
        """Close it."""
        self._hub.loop.call_soon_threadsafe(self._handler.close, 1000, reason[:100])


def is_loopback(host: str) -> bool:
    """Say whether a host name or address (with or without port) means this machine."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class _Base(tornado.web.RequestHandler):
    hub: Hub

    def initialize(self, hub: Hub) -> None:
        self.hub = hub

    def set_default_headers(self) -> None:
        self.set_header("Server", "webgpu_widget")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        # Cross-origin isolation gives the page finer timers.
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")

    def write_error(self, status_code: int, **_: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {self._reason}\n")

    def refuse(self, why: str) -> None:
        """Refuse with 403."""
        log.warning("refused %s %s from %s: %s", self.request.method, self.request.path, self.request.remote_ip, why)
        raise tornado.web.HTTPError(403, reason=why)


class _PageHandler(_Base):
    def get(self) -> None:
        # The page itself is no secret and a reload comes without the token, which the page keeps to itself; the socket checks it.
        self.set_header("Content-Security-Policy", _CONTENT_POLICY)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(_PAGE)


class _BundleHandler(_Base):
    def get(self) -> None:
        path = STATIC / "widget.js"
        if not path.is_file():
            raise tornado.web.HTTPError(404, reason="the bundle is not built; run: make build")
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.finish(path.read_bytes())


class _FileHandler(tornado.web.StaticFileHandler):
    """A file given by the program, under a secret name; Range and ETag as tornado does them."""

    hub: Hub

    def initialize(self, hub: Hub) -> None:  # type: ignore[override]
        self.hub = hub
        super().initialize(path="/")

    def set_default_headers(self) -> None:
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        origin = self.request.headers.get("Origin", "")
        if is_loopback(urlsplit(origin).netloc):
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Access-Control-Allow-Headers", "Range, If-Range, If-Match")
            self.set_header("Access-Control-Expose-Headers", "ETag, Content-Range, Content-Length, Accept-Ranges")

    def options(self, *_: str) -> None:
        self.set_status(204)

    def parse_url_path(self, url_path: str) -> str:
        path = self.hub.files.get(url_path)
        if path is None:
            raise tornado.web.HTTPError(404, reason="no such file is served")
        return str(path)

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:  # noqa: ARG003
        return path

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:  # noqa: ARG002
        if not pathlib.Path(absolute_path).is_file():
            raise tornado.web.HTTPError(404, reason="the file is gone")
        return absolute_path

    @classmethod
    def get_content_version(cls, abspath: str) -> str:
        stat = pathlib.Path(abspath).stat()
        return hashlib.sha256(f"{abspath}:{stat.st_size}:{stat.st_mtime_ns}".encode()).hexdigest()[:32]


class _SocketHandler(tornado.websocket.WebSocketHandler):
    hub: Hub
    receiver: Receiver | None = None
    socket: Socket

    def initialize(self, hub: Hub) -> None:
        self.hub = hub

    def check_origin(self, origin: str) -> bool:
        netloc = urlsplit(origin).netloc
        allowed = netloc == self.request.host or (is_loopback(netloc) and is_loopback(self.request.host))
        if not allowed:
            log.warning("refused a socket from the foreign origin %r", origin)
        return allowed

    def prepare(self) -> None:
        if self.get_query_argument("token", "") not in self.hub.endpoints:
            log.warning("refused a socket from %s: wrong or missing token", self.request.remote_ip)
            raise tornado.web.HTTPError(403, reason="wrong or missing token")

    def open(self, *_: str, **__: str) -> None:
        on_open = self.hub.endpoints.get(self.get_query_argument("token", ""))
        if on_open is None:
            self.close(4003, "this GPU is closed")
            return
        self.set_nodelay(True)
        self.socket = Socket(self.hub, self)
        self.hub.sockets.add(self.socket)
        self.receiver = on_open(self.socket)

    def on_message(self, message: str | bytes) -> None:
        if self.receiver is None:
            return
        try:
            if isinstance(message, str):
                raise ValueError("a text frame where only binary frames are sent")  # noqa: TRY301, TRY004
            decoded = _codec.decode(message)
        except ValueError as error:
            log.warning("a malformed frame from %s, socket closed: %s", self.request.remote_ip, error)
            self.close(1003, "malformed frame")
            return
        self.receiver.receive(*decoded)

    def get_websocket_protocol(self) -> tornado.websocket.WebSocketProtocol | None:
        # tornado refuses a frame that is too big without telling the handler or the log.
        made = super().get_websocket_protocol()
        if made is not None:
            close = made.close

            def told(code: int | None = None, reason: str | None = None) -> None:
                if code == _TOO_BIG:
                    log.warning("a frame over %d bytes from %s, socket closed", MAX_FRAME_BYTES, self.request.remote_ip)
                close(code, reason)

            made.close = told  # type: ignore[method-assign]
        return made

    def on_close(self) -> None:
        if self.receiver is not None:
            self.hub.sockets.discard(self.socket)
            self.receiver.closed()
            self.receiver = None


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
        self.endpoints: dict[str, OnOpen] = {}
        self.files: dict[str, pathlib.Path] = {}
        self.sockets: set[Socket] = set()
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready, port), name="webgpu_widget hub", daemon=True)
        self._thread.start()
        self.port = ready.result(timeout=10)

    def _run(self, ready: Future[int], port: int) -> None:
        asyncio.run(self._serve(ready, port))

    async def _serve(self, ready: Future[int], port: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        here = {"hub": self}
        application = tornado.web.Application(
            [
                (r"/", _PageHandler, here),
                (r"/widget\.js", _BundleHandler, here),
                (r"/ws", _SocketHandler, here),
                (r"/file/(.*)", _FileHandler, here),
            ],
            log_function=lambda handler: None,  # noqa: ARG005
            websocket_max_message_size=MAX_FRAME_BYTES,
        )
        try:
            # Closes the socket when it cannot be bound; tornado's own function leaves that to the collector.
            listening = socket.create_server(
                (self.host, port), family=socket.AF_INET6 if ":" in self.host else socket.AF_INET, backlog=128
            )
        except OSError as error:
            ready.set_exception(error)
            return
        server = tornado.httpserver.HTTPServer(application, ssl_options=self._tls, max_buffer_size=2 * MAX_FRAME_BYTES)
        listening.setblocking(False)
        server.add_sockets([listening])
        ready.set_result(listening.getsockname()[1])
        await self._stop.wait()
        server.stop()
        for opened in list(self.sockets):
            opened._handler.close(1001, "the hub is closing")
        await server.close_all_connections()

    @property
    def netloc(self) -> str:
        """``host:port`` to open on this machine."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "", "::"} else self.host  # noqa: S104
        return f"{host}:{self.port}"

    def add_endpoint(self, on_open: OnOpen, token: str | None = None) -> str:
        """Make a token, or take the one given; ``on_open`` is called in the hub's thread for each socket that brings it."""
        token = token or secrets.token_urlsafe(24)
        self.endpoints[token] = on_open
        return token

    def remove_endpoint(self, token: str) -> None:
        """Forget a token."""
        self.endpoints.pop(token, None)

    def page_url(self, token: str) -> str:
        """Return the address of the page for an endpoint."""
        return f"{'http' if self._tls is None else 'https'}://{self.netloc}/?token={token}"

    def serve_file(self, path: str | pathlib.Path) -> str:
        """Serve a file with Range and ETag under a secret address, which is returned."""
        path = pathlib.Path(path).resolve(strict=True)
        name = f"{secrets.token_urlsafe(24)}/{path.name}"
        self.files[name] = path
        return f"http://{self.netloc}/file/{name}"

    def stop_serving(self, url: str) -> None:
        """Take back what `serve_file` gave."""
        self.files.pop(url.split("/file/", 1)[-1], None)

    def close(self) -> None:
        """Stop listening and close all sockets."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            if threading.current_thread() is not self._thread:
                self._thread.join(timeout=5)
