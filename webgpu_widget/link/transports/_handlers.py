"""What the hub answers to requests: the page, the bundle, a file, a socket.

Each request is looked at before anything else is done for it: the name it asks for must be the hub's own, it may have no body, and a socket or a file needs its
secret. Nothing that is logged here holds a query or a path: that is where the secrets are.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import pathlib
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import tornado.web
import tornado.websocket

from webgpu_widget.link import codec
from webgpu_widget.link.transports._frames import Frames
from webgpu_widget.link.transports._names import is_loopback

if TYPE_CHECKING:
    from webgpu_widget.link.transports._hub import Hub, Receiver, Socket

log = logging.getLogger("webgpu_widget.hub")

STATIC = pathlib.Path(__file__).resolve().parents[2] / "static"
MAX_FRAME_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 8 * 1024 * 1024
"""Of a message without its buffers; the longest that a page sends are lists of its cache."""
_FIRST_WORD_S = 60.0
"""A socket on which nothing was said for so long is closed."""
_TOO_BIG = 1009
"""WebSocket's close code for it (RFC 6455, 7.4.1)."""
_MALFORMED = 1003

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
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


class Guarded(tornado.web.RequestHandler):
    """Whose host is checked, and whose failures are logged without what was asked for."""

    hub: Hub
    _why = ""

    def initialize(self, hub: Hub) -> None:
        """Keep the hub."""
        self.hub = hub

    def prepare(self) -> None:
        """Refuse what asks for a name that is not the hub's."""
        if not self.hub.answers_to(self.request.host):
            self.refuse(
                f"the request is for the host {self.request.host[:100]!r}, and this server answers to {self.hub.names}"
            )

    def refuse(self, why: str) -> None:
        """Refuse with 403."""
        self.hub.note_refusal(str(self.request.remote_ip), why)
        self._why = f", {why}"
        raise tornado.web.HTTPError(403)

    def set_default_headers(self) -> None:
        """Set what every answer has."""
        self.set_header("Server", "webgpu_widget")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        # Cross-origin isolation gives the page finer timers.
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")

    def write_error(self, status_code: int, **_: Any) -> None:
        """Say the status, and why a request was refused."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code}: {self._reason}{self._why}\n")

    def log_exception(
        self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Log a failure of ours; tornado's own words hold the whole address."""
        if isinstance(value, tornado.web.HTTPError) or value is None or typ is None:
            return
        place = self.request.path.split("/")[1][:20]
        log.error(
            "a %s request for /%s from %s failed",
            self.request.method,
            place,
            self.request.remote_ip,
            exc_info=(typ, value, tb),
        )


class NotFoundHandler(Guarded):
    """Everything else."""

    def prepare(self) -> None:
        """Say 404."""
        super().prepare()
        raise tornado.web.HTTPError(404)


class PageHandler(Guarded):
    """The page. It is no secret, and a reload comes without the token, which the page keeps to itself; the socket checks it."""

    def get(self) -> None:
        """Send it."""
        self.hub.page_fetched_at = time.monotonic()
        self.set_header("Content-Security-Policy", _CONTENT_POLICY)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(_PAGE)


class BundleHandler(Guarded):
    """The page's code."""

    def get(self) -> None:
        """Send it."""
        path = STATIC / "widget.js"
        if not path.is_file():
            raise tornado.web.HTTPError(404, reason="the bundle is not built; run: make build")
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.finish(path.read_bytes())


class FileHandler(Guarded, tornado.web.StaticFileHandler):
    """A file given by the program, under a secret name; Range and ETag as tornado does them."""

    def initialize(self, hub: Hub) -> None:  # type: ignore[override]
        """Keep the hub."""
        Guarded.initialize(self, hub)
        tornado.web.StaticFileHandler.initialize(self, path="/")

    def set_default_headers(self) -> None:
        """Let pages of this machine's notebook servers read it."""
        self.set_header("Server", "webgpu_widget")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        origin = self.request.headers.get("Origin", "")
        if _is_loopback_origin(origin):
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Access-Control-Allow-Headers", "Range, If-Range, If-Match")
            self.set_header("Access-Control-Expose-Headers", "ETag, Content-Range, Content-Length, Accept-Ranges")

    def options(self, *_: str) -> None:
        """Answer a preflight."""
        self.set_status(204)

    def parse_url_path(self, url_path: str) -> str:
        """Return the path behind a secret name."""
        path = self.hub.files.get(url_path)
        if path is None:
            raise tornado.web.HTTPError(404, reason="no such file is served")
        self.hub.trust(getattr(self.request.connection, "stream", None))
        return str(path)

    @classmethod
    def get_absolute_path(cls, root: str, path: str) -> str:  # noqa: ARG003
        """Return the path, which is absolute already."""
        return path

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:  # noqa: ARG002
        """Check that the file is still there."""
        if not pathlib.Path(absolute_path).is_file():
            raise tornado.web.HTTPError(404, reason="the file is gone")
        return absolute_path

    @classmethod
    def get_content_version(cls, abspath: str) -> str:
        """Return what changes with the file."""
        stat = pathlib.Path(abspath).stat()
        return hashlib.sha256(f"{abspath}:{stat.st_size}:{stat.st_mtime_ns}".encode()).hexdigest()[:32]


def _origin_netloc(origin: str) -> str:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc if parts.scheme in {"http", "https"} else ""


def _is_loopback_origin(origin: str) -> bool:
    netloc = _origin_netloc(origin)
    return bool(netloc) and is_loopback(netloc)


class SocketHandler(Guarded, tornado.websocket.WebSocketHandler):
    """A page's socket."""

    receiver: Receiver | None = None
    socket: Socket
    _heard = False
    _over = False

    def check_origin(self, origin: str) -> bool:
        """Take pages that the hub served itself, and, on loopback, those of this machine's notebook servers."""
        netloc = _origin_netloc(origin)
        # The host was checked: a name that resolves here and is not ours has been refused already.
        return bool(netloc) and (
            netloc == self.request.host or (is_loopback(netloc) and is_loopback(self.request.host))
        )

    def prepare(self) -> None:
        """Refuse a socket without a token, and all but the first page where one alone is let in."""
        super().prepare()
        origin = self.request.headers.get("Origin")
        if origin is not None and not self.check_origin(origin):
            self.refuse(f"a socket from a page of the foreign origin {origin[:100]!r}")
        endpoint = self.hub.endpoints.get(self._query("token"))
        if endpoint is None:
            self.refuse("a socket with a wrong or missing token")
        else:
            why = endpoint.claim(self._query("page"), self._query("instance"))
            if why is not None:
                self.refuse(why)

    def _query(self, name: str) -> str:
        # get_query_argument raises an error that holds the value, when that is no UTF-8.
        values = self.request.query_arguments.get(name, [])
        return values[-1].decode(errors="replace") if values else ""

    def open(self, *_: str, **__: str) -> None:
        """Hand the socket to its endpoint."""
        endpoint = self.hub.endpoints.get(self._query("token"))
        if endpoint is None:  # it was closed meanwhile, by another thread
            self.close(4003, "this GPU is closed")
            return
        why = self.hub.full()
        if why is not None:
            self.hub.note_refusal(str(self.request.remote_ip), why)
            self.close(4003, why[:100])
            return
        self.set_nodelay(True)
        self.socket = self.hub.opened(self, endpoint, self._query("instance"))
        asyncio.get_running_loop().call_later(_FIRST_WORD_S, self._expect_a_word)
        self.receiver = endpoint.on_open(self.socket)

    def end(self, code: int, reason: str) -> None:
        """Close it, and hear nothing more that its page still sends."""
        self._over = True
        self.close(code, reason)

    def _expect_a_word(self) -> None:
        if not self._heard:
            self.close(4003, f"nothing was said for {_FIRST_WORD_S:.0f} s")

    def on_message(self, message: str | bytes | memoryview) -> None:
        """Pass a frame on as a message."""
        if self.receiver is None or self._over:
            return
        self._heard = True
        try:
            if isinstance(message, str):
                raise ValueError("a text frame where only binary frames are sent")  # noqa: TRY301, TRY004
            if int.from_bytes(message[:4], "little") > MAX_HEADER_BYTES:
                raise ValueError(f"the frame's header is over {MAX_HEADER_BYTES} bytes")  # noqa: TRY301
            decoded = codec.decode(message)
            if type(decoded[0].get("kind")) is not str:
                raise ValueError("a message whose kind is no text")  # noqa: TRY301
        except ValueError as error:
            log.warning("a malformed frame from %s, socket closed: %s", self.request.remote_ip, error)
            self.end(_MALFORMED, "malformed frame")
            return
        try:
            self.receiver.receive(*decoded)
        except Exception:
            # Not left to tornado, whose log would hold the address with its token.
            log.exception("a message from %s could not be dealt with, socket closed", self.request.remote_ip)
            self.end(_MALFORMED, "a message that cannot be dealt with")

    def get_websocket_protocol(self) -> tornado.websocket.WebSocketProtocol | None:
        """Return tornado's with a reader of ours, and a word in the log where a message that is too big is refused without one."""
        made = super().get_websocket_protocol()
        if isinstance(made, tornado.websocket.WebSocketProtocol13):
            made = Frames.of(made)
            close = made.close

            def told(code: int | None = None, reason: str | None = None) -> None:
                if code == _TOO_BIG:
                    log.warning("a frame over %d bytes from %s, socket closed", MAX_FRAME_BYTES, self.request.remote_ip)
                close(code, reason)

            made.close = told  # type: ignore[method-assign]
        return made

    def on_close(self) -> None:
        """Tell the receiver."""
        if self.receiver is not None:
            self.hub.closed(self.socket)
            self.receiver.closed()
            self.receiver = None
