"""A page of the embedded Chromium in which a bench calls functions, by the DevTools protocol.

The domain `Network` is left alone. Where it is listened to, as Playwright does, the browser reports every frame of a page's WebSockets and they
slow down about tenfold.
"""

from __future__ import annotations

import base64
import itertools
import json
import pathlib
import time
import urllib.request
from typing import Any

from websocket import WebSocketException, create_connection

from webgpu_widget.link.transports._chromium import Browser
from webgpu_widget.link.transports._exit_reason import exit_reason


class PageLostError(RuntimeError):
    """The page, or its browser, has ended or says nothing more."""


class DevToolsPage:
    """A browser with one page.

    Parameters
    ----------
    url : str
    flags : tuple of str
        More of the command line.
    timeout : float
        Seconds to wait for any one answer.
    """

    def __init__(self, url: str, flags: tuple[str, ...] = (), timeout: float = 600) -> None:
        self.browser = Browser(url, ("--remote-debugging-port=0", "--remote-allow-origins=*", *flags))
        self.profile = pathlib.Path(self.browser.profile)
        self._count = itertools.count(1)
        try:
            self._socket = create_connection(self._address(), timeout=timeout)
            self.command("Inspector.enable")  # it tells of a crash
            self.command("Page.enable")  # and of questions that a page asks
        except BaseException:
            self.browser.close()
            raise

    def _address(self) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end and not self.browser.failure():
            try:
                port = (self.profile / "DevToolsActivePort").read_text().split()[0]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                    pages = [one for one in json.loads(answer.read()) if one["type"] == "page"]
                if pages:
                    return str(pages[0]["webSocketDebuggerUrl"])
            except (OSError, IndexError):
                pass
            time.sleep(0.1)
        raise PageLostError(self._why("the browser has opened no page in 60 s"))

    def said(self) -> str:
        """What of the browser's output tells most."""
        return exit_reason((self.profile / "browser.log").read_text(errors="replace"))

    def _why(self, what: str) -> str:
        for _ in range(20):  # the socket breaks before the process has ended
            if self.browser.failure():
                what = f"the browser has ended ({what})"
                break
            time.sleep(0.1)
        return f"{what}. The browser said: {self.said()}"

    def tell(self, method: str, **params: Any) -> int:
        """Send a command and do not wait; returns its number."""
        number = next(self._count)
        try:
            self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        except (OSError, WebSocketException) as error:
            raise PageLostError(self._why(f"{method}: {error}")) from error
        return number

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result.

        Raises
        ------
        PageLostError
            When the page crashes, or does not answer in time.
        RuntimeError
            When the browser refuses it.
        """
        number = self.tell(method, **params)
        while True:
            try:
                reply = json.loads(self._socket.recv())
            except (OSError, ValueError, WebSocketException) as error:
                raise PageLostError(self._why(f"{method}: {error}")) from error
            if reply.get("method") == "Page.javascriptDialogOpening":
                # A notebook that is not saved asks whether it may be left.
                self.tell("Page.handleJavaScriptDialog", accept=True)
            if reply.get("method") == "Inspector.targetCrashed":
                raise PageLostError(self._why(f"{method}: the page has crashed"))
            if reply.get("id") == number:
                break
        if "error" in reply:
            raise RuntimeError(f"{method}: {json.dumps(reply['error'])[:2000]}")
        return dict(reply["result"])

    def evaluate(self, function: str, argument: Any = None) -> Any:
        """Call a JavaScript function, wait for its promise, and return what it gives as JSON does."""
        reply = self.command(
            "Runtime.evaluate",
            expression=f"({function})({json.dumps(argument)})",
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in reply:
            raise RuntimeError(json.dumps(reply["exceptionDetails"])[:2000])
        return reply["result"].get("value")

    def wait_for(self, function: str, argument: Any = None, timeout: float = 60) -> Any:
        """Call a function until what it returns is true, and return that; None when it is late."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                found = self.evaluate(function, argument)
            except PageLostError:
                raise
            except RuntimeError:
                found = None  # between two documents
            if found:
                return found
            time.sleep(0.05)
        return None

    def screenshot(self, path: pathlib.Path) -> None:
        """Write what the page shows as a PNG."""
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """End the browser."""
        self._socket.close()
        self.browser.close()
