"""A page of the embedded Chromium in which a bench calls functions, by the DevTools protocol.

Only `Runtime` is used. Where `Network` is listened to, as Playwright does, the browser reports every frame of a page's WebSockets and they slow
down about tenfold.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import time
import urllib.request
from typing import Any

from websocket import create_connection

from webgpu_widget.transports._chromium import Browser


class DevToolsPage:
    """A browser with one page.

    Parameters
    ----------
    url : str
    flags : tuple of str
        More of the command line.
    """

    def __init__(self, url: str, flags: tuple[str, ...] = ()) -> None:
        self.browser = Browser(url, ("--remote-debugging-port=0", "--remote-allow-origins=*", *flags))
        self.profile = pathlib.Path(self.browser._profile.name)
        self._count = itertools.count(1)
        self._socket = create_connection(self._address(), timeout=600)

    def _address(self) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                port = (self.profile / "DevToolsActivePort").read_text().split()[0]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                    pages = [one for one in json.loads(answer.read()) if one["type"] == "page"]
                if pages:
                    return str(pages[0]["webSocketDebuggerUrl"])
            except (OSError, IndexError):
                pass
            time.sleep(0.1)
        raise RuntimeError(self.browser.failure() or "the browser has opened no page in 60 s")

    def evaluate(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function, wait for its promise, and return what it gives as JSON does."""
        number = next(self._count)
        params = {
            "expression": f"({function})({json.dumps(argument)})",
            "awaitPromise": True,
            "returnByValue": True,
            "userGesture": True,
        }
        self._socket.send(json.dumps({"id": number, "method": "Runtime.evaluate", "params": params}))
        while True:
            reply = json.loads(self._socket.recv())
            if reply.get("id") == number:
                break
        if "error" in reply or "exceptionDetails" in reply["result"]:
            raise RuntimeError(json.dumps(reply.get("error") or reply["result"]["exceptionDetails"])[:2000])
        return reply["result"]["result"].get("value")

    def close(self) -> None:
        """End the browser."""
        self._socket.close()
        self.browser.close()
