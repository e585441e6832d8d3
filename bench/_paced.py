"""A file server that sends no faster than a network would."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import pathlib

_BLOCK_BYTES = 128 * 1024


class PacedServer:
    """Serve one file on loopback, all connections together at a given rate.

    Parameters
    ----------
    path : path
    bytes_per_second : float
    """

    def __init__(self, path: pathlib.Path, bytes_per_second: float) -> None:
        self._path = path
        self._rate = bytes_per_second
        self._free_at = 0.0
        self._lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_OPTIONS(self) -> None:
                self._begin(204, 0)

            def do_GET(self) -> None:
                size = outer._path.stat().st_size
                wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
                begin, end = (int(wanted[1]), min(int(wanted[2]) + 1, size)) if wanted else (0, size)
                self._begin(206 if wanted else 200, end - begin, f"bytes {begin}-{end - 1}/{size}")
                with contextlib.suppress(ConnectionError), outer._path.open("rb") as file:
                    file.seek(begin)
                    while begin < end:
                        block = file.read(min(_BLOCK_BYTES, end - begin))
                        outer._wait(len(block))
                        self.wfile.write(block)
                        begin += len(block)

            def _begin(self, status: int, length: int, content_range: str = "") -> None:
                self.send_response(status)
                for name in ("Origin", "Headers"):
                    self.send_header(f"Access-Control-Allow-{name}", "*")
                self.send_header("Access-Control-Expose-Headers", "*")
                self.send_header("ETag", '"one"')
                self.send_header("Content-Length", str(length))
                if status == 206:
                    self.send_header("Content-Range", content_range)
                self.end_headers()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/{path.name}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _wait(self, size: int) -> None:
        """Wait for these bytes' turn; what an idle wire did not carry is not made up for."""
        with self._lock:
            begin = max(self._free_at, time.monotonic())
            self._free_at = begin + size / self._rate
        time.sleep(max(0.0, begin - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
