"""A file server on loopback that can be told to misbehave, and that counts what it sends."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Faults:
    """How the server misbehaves; each is off by default."""

    ranges: bool = True
    etag: str | None = '"one"'
    cors: bool = True
    statuses: list[int] = field(default_factory=list)  # answered first, one a request, before any success
    error_code: str | None = None
    retry_after: str | None = None
    cut_at: set[int] = field(default_factory=set)  # absolute offsets at which the connection ends, each once
    flip_at: set[int] = field(default_factory=set)  # absolute offsets of bytes that are sent inverted
    flip_times: int = 10**9
    extra_length: int = 0  # added to Content-Length and the total of Content-Range
    shift: int = 0  # added to the begin of ranges that are answered
    bytes_per_second: float = 0.0
    redirect: str | None = None
    redirect_headers: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(
        default_factory=dict
    )  # sent with each file, in place of the server's own of that name
    only_after: int = 0  # faults in statuses apply to requests beyond this offset only


class FileServer:
    """Serves a dict of path to bytes (or a file's path)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults = Faults()
        self.log: list[tuple[str, int, int]] = []
        self.sent = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_OPTIONS(self) -> None:
                self.send_response(204)
                self.cors()
                self.send_header("Content-Length", "0")
                self.end_headers()

            def cors(self) -> None:
                if outer.faults.cors:
                    self.send_header("Access-Control-Allow-Origin", "*")
                    self.send_header("Access-Control-Allow-Headers", "*")
                    self.send_header("Access-Control-Expose-Headers", "*")

            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError):
                    outer.answer(self)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        faults = self.faults
        path = handler.path.lstrip("/").split("?")[0]
        data = self.files.get(path)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        begin = int(wanted[1]) if wanted and faults.ranges else 0
        with self.lock:
            status = faults.statuses.pop(0) if faults.statuses and begin >= faults.only_after else 200
        if faults.redirect and data is None and path != "here":
            handler.send_response(302)
            handler.send_header("Location", faults.redirect)
            for name, value in faults.redirect_headers.items():
                handler.send_header(name, value)
            handler.cors()
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if data is None or status != 200:
            handler.send_response(404 if data is None else status)
            handler.cors()
            if faults.retry_after is not None:
                handler.send_header("Retry-After", faults.retry_after)
            if faults.error_code is not None:
                handler.send_header("X-Error-Code", faults.error_code)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        end = min(int(wanted[2]) + 1, len(data)) if wanted and faults.ranges else len(data)
        begin += faults.shift
        handler.send_response(206 if wanted and faults.ranges else 200)
        handler.cors()
        if faults.etag is not None:
            handler.send_header("ETag", faults.etag)
        if wanted and faults.ranges:
            handler.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data) + faults.extra_length}")
        if "Content-Length" not in faults.headers:
            handler.send_header("Content-Length", str(end - begin + faults.extra_length))
        for name, value in faults.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        self.send(handler, path, data, begin, end)

    def send(self, handler: http.server.BaseHTTPRequestHandler, path: str, data: bytes, begin: int, end: int) -> None:
        faults = self.faults
        at = begin
        step = 16 * 1024 if faults.bytes_per_second else 256 * 1024
        try:
            while at < end:
                stop = min(at + step, end)
                cut = min(
                    (place for place in faults.cut_at if at <= place < stop or place == stop == end), default=None
                )
                if cut is not None:
                    stop = cut
                block = bytearray(data[at:stop])
                with self.lock:
                    for place in faults.flip_at:
                        if at <= place < stop and faults.flip_times > 0:
                            block[place - at] ^= 0xFF
                            faults.flip_times -= 1
                handler.wfile.write(block)
                at = stop
                if cut is not None:
                    faults.cut_at.discard(cut)
                    handler.wfile.flush()
                    handler.close_connection = True
                    handler.connection.close()
                    return
                if faults.bytes_per_second:
                    time.sleep(step / faults.bytes_per_second)
        finally:
            with self.lock:
                self.sent += at - begin
                self.log.append((path, begin, at))
