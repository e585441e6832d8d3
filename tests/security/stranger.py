"""What a stranger on this machine can do to a hub, and nothing that needs a secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import tornado.httpclient
import tornado.websocket

from webgpu_widget.link.transports._chromium import Browser


def command_lines() -> Iterator[str]:
    """Yield the command lines of all processes, as every user may read them."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            yield (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue


def token_of(url: str) -> str:
    return url.split("token=")[1]


async def join(url: str, host: str | None = None, **query: str) -> tornado.websocket.WebSocketClientConnection:
    """Open a socket as a page with this address would."""
    parts = urlsplit(url)
    more = "".join(f"&{key}={value}" for key, value in query.items())
    request = tornado.httpclient.HTTPRequest(
        f"ws://{parts.netloc}/ws?{parts.query}{more}", headers={} if host is None else {"Host": host}
    )
    return await tornado.websocket.websocket_connect(request)


async def leave(*pages: tornado.websocket.WebSocketClientConnection) -> None:
    """Close sockets, to the end."""
    for page in pages:
        page.close()
    for page in pages:
        with contextlib.suppress(TimeoutError):
            while await asyncio.wait_for(page.read_message(), 10) is not None:
                pass


def connect(netloc: str) -> socket.socket:
    parts = urlsplit(f"//{netloc}")
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def speak(netloc: str, request: bytes) -> bytes:
    """Send bytes and return all that comes back until the other side closes."""
    with connect(netloc) as made:
        made.sendall(request)
        answer = b""
        while piece := made.recv(65536):
            answer += piece
        return answer


class Pipe:
    """The commands of a browser's debugging pipe, with their answers."""

    def __init__(self, browser: Browser) -> None:
        self._process = browser._process
        self._count = 100
        self._page = self._answer(1)["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=self._page, flatten=True)["sessionId"]

    def call(self, method: str, **params: object) -> dict[str, str]:
        self._count += 1
        command: dict[str, object] = {"id": self._count, "method": method, "params": params}
        if not method.startswith(("Target", "Browser")):
            command["sessionId"] = self._session
        self._process.stdin.write(json.dumps(command).encode() + b"\0")
        self._process.stdin.flush()
        return self._answer(self._count)

    def _answer(self, number: int) -> dict[str, str]:
        while True:
            line = b""
            while not line.endswith(b"\0"):
                line += self._process.stdout.read(1)
            message = json.loads(line[:-1])
            if message.get("id") == number:
                return message["result"]


def until(what: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
