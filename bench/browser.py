"""Open a folder's index.html in headless Chromium and collect what the page posts.

    python bench/browser.py FOLDER [QUERY]

The page posts lines to /log, printed at once, and its result to /done, printed as JSON (or written to ``RESULT``). CHROMIUM, CHROMIUM_FLAGS and
CHROMIUM_LIBRARY_PATH choose the browser; LIMIT_S bounds the wait (300). Only the standard library is used, so it runs on a bare machine.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any


class Server(http.server.ThreadingHTTPServer):
    """A server that keeps what the page posts."""

    def __init__(self, folder: Path | str) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.posted = threading.Event()
        self.body = b""
        self.profile = ""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the folder, isolated, and takes the page's posts."""

    server: Server
    extensions_map = {  # noqa: RUF012 - as the base class has it
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_args: object) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def do_GET(self) -> None:
        if self.path != "/cpu":
            super().do_GET()
            return
        body = str(cpu_seconds(self.server.profile)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()
        if self.path == "/log":
            print(body.decode(), flush=True)
        else:
            self.server.body = body
            self.server.posted.set()


def cpu_seconds(profile: str) -> float:
    """Return the processor time that the browser's GPU process has used: on a shared machine it tells kernels apart where the wall clock cannot."""
    total = 0.0
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes()
            if process.name.isdigit() and b"--type=gpu-process" in words and profile.encode() in words:
                fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            continue
    return total


def collect(folder: Path | str, query: str = "", limit_s: float = 300.0) -> Any:
    """Return the JSON that the page in `folder` posts to /done, or None when it posts nothing in time."""
    server = Server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = shlex.split(os.environ.get("CHROMIUM_FLAGS", "--headless --no-sandbox --enable-unsafe-webgpu"))
    environment = dict(os.environ)
    if "CHROMIUM_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["CHROMIUM_LIBRARY_PATH"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        server.profile = profile
        command = [
            os.environ.get("CHROMIUM", "chromium"),
            *flags,
            "--no-first-run",
            "--disable-background-networking",
            "--enable-logging=stderr",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            f"http://127.0.0.1:{server.server_address[1]}/index.html?{query}",
        ]
        log = Path(profile) / "browser.log"
        with log.open("wb") as err:
            browser = subprocess.Popen(command, stdout=err, stderr=err, env=environment)
            try:
                arrived = server.posted.wait(limit_s)
            finally:
                browser.terminate()
                try:
                    browser.wait(10)
                except subprocess.TimeoutExpired:
                    browser.kill()
        if not arrived:
            print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
    server.shutdown()
    return json.loads(server.body) if arrived else None


def main() -> int:
    result = collect(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "", float(os.environ.get("LIMIT_S", "300")))
    text = json.dumps(result)
    if "RESULT" in os.environ:
        Path(os.environ["RESULT"]).write_text(text)
    elif result is None or "failed" in result:
        print(text)
    return 0 if result is not None else 1


if __name__ == "__main__":
    raise SystemExit(main())
