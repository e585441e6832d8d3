"""A browser's pages through its debugging port: what a person does with a tab, and what no person can."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import pathlib
import threading
from typing import Any

import psutil
from processes import until
from tornado.websocket import websocket_connect

FLAG = "--remote-debugging-port=0"
ENGINE = "[...globalThis[Symbol.for('webgpu_widget')].values()][0].engine"
_ids = itertools.count(1)


def port_of(root: psutil.Process) -> int:
    """The debugging port of a browser that was started with `FLAG`."""
    [profile] = [part.split("=", 1)[1] for part in root.cmdline() if part.startswith("--user-data-dir=")]
    told = pathlib.Path(profile) / "DevToolsActivePort"
    until(lambda: told.is_file() and "\n" in told.read_text(), 10, "the debugging port")
    return int(told.read_text().splitlines()[0])


def _get(port: int, path: str, method: str = "GET") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        return connection.getresponse().read()
    finally:
        connection.close()


def pages(root: psutil.Process) -> list[dict[str, Any]]:
    """Its tabs."""
    found = json.loads(_get(port_of(root), "/json/list"))
    return [item for item in found if item["type"] == "page" and "webSocketDebuggerUrl" in item]


def page_of(root: psutil.Process) -> dict[str, Any]:
    """The tab that shows a page of ours."""
    until(lambda: any("127.0.0.1" in item["url"] for item in pages(root)), 10, "a page")
    return next(item for item in pages(root) if "127.0.0.1" in item["url"])


async def _send(url: str, method: str, params: dict[str, Any]) -> Any:
    socket = await websocket_connect(url, max_message_size=2**26)
    number = next(_ids)
    await socket.write_message(json.dumps({"id": number, "method": method, "params": params}))
    try:
        while (text := await asyncio.wait_for(socket.read_message(), 10)) is not None:
            message = json.loads(text)
            if message.get("id") == number:
                return message.get("result")
        return None
    finally:
        socket.close()
        with contextlib.suppress(TimeoutError):
            while await asyncio.wait_for(socket.read_message(), 5) is not None:
                pass


def send(root: psutil.Process, method: str, **params: Any) -> Any:
    """Give a command to the page; None when the page goes by it. Works beside a running event loop."""
    url, box = page_of(root)["webSocketDebuggerUrl"], []
    thread = threading.Thread(target=lambda: box.append(asyncio.run(_send(url, method, params))))
    thread.start()
    thread.join(20)
    return box[0] if box else None


def evaluate(root: psutil.Process, expression: str) -> Any:
    """Run JavaScript in the page."""
    return send(root, "Runtime.evaluate", expression=expression, awaitPromise=True)


def close_page(root: psutil.Process) -> None:
    """Close the tab, and keep the browser by another one."""
    number = page_of(root)["id"]
    _get(port_of(root), "/json/new?about:blank", "PUT")
    _get(port_of(root), f"/json/close/{number}")


def open_page(root: psutil.Process, url: str) -> None:
    """Open another tab."""
    _get(port_of(root), f"/json/new?{url}", "PUT")
