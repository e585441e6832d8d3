"""A notebook's front end without a browser: it runs cells on a real kernel and plays the page of its widgets.

One thread owns all sockets, as a page's event loop does. In ``subshell`` mode comm messages carry a subshell's id, as JupyterLab's do.
"""

from __future__ import annotations

import heapq
import itertools
import os
import pathlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import zmq
from fake_page import FakePage, Message
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclass(eq=False)
class Run:
    """A cell that was sent."""

    id: str
    done: threading.Event = field(default_factory=threading.Event)
    printed: threading.Event = field(default_factory=threading.Event)
    text: str = ""
    error: str = ""
    traceback: str = ""
    idle: bool = False
    replied: bool = False

    def wait(self, timeout: float = 30.0) -> Run:
        assert self.done.wait(timeout), f"the cell has not ended after {timeout} s; it printed {self.text!r}"
        return self

    def ok(self, timeout: float = 30.0) -> str:
        """Wait, fail if it raised, return what it printed."""
        self.wait(timeout)
        assert not self.error, self.traceback
        return self.text.strip()


class CommLink:
    """A comm, seen from the page."""

    kind = "comm"

    def __init__(self, front: FrontEnd, comm_id: str) -> None:
        self.front = front
        self.comm_id = comm_id

    def send(self, message: Message, buffers: Sequence[bytes]) -> None:
        content, parts = self.front.cross(message, buffers)
        self.front.comm_send(self.comm_id, {"method": "custom", "content": content}, parts)


class FrontEnd:
    """See the module.

    Parameters
    ----------
    overlay : pathlib.Path
        Folder that goes first on the kernel's path: the ipykernel to use.
    subshells : bool
        Whether comm messages go to a subshell.

    Attributes
    ----------
    pages_when : str
        ``opened``: a model has a page as soon as its comm is open, as in JupyterLab; ``shown``: when an output has its view, as in Colab.
    cross : callable
        What becomes of a message's content and buffers on their way between page and kernel, either way.
    displays : list of (str, dict)
        Kind and content of what was displayed, and of what took its place.
    """

    def __init__(self, overlay: pathlib.Path, *, subshells: bool, env: dict[str, str] | None = None) -> None:
        self.manager = KernelManager()
        self.manager._kernel_spec = KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="overlay",
            language="python",
            interrupt_mode="signal",
        )
        environment = {key: value for key, value in os.environ.items() if not key.startswith("WEBGPU_WIDGET_")}
        environment |= {"PYTHONPATH": os.pathsep.join([str(overlay), str(ROOT), str(ROOT / "tests")])}
        environment |= {"PYTHONWARNINGS": "ignore", "PYDEVD_DISABLE_FILE_VALIDATION": "1"} | (env or {})
        self.manager.start_kernel(env=environment, stdout=None, stderr=None)
        self.client = self.manager.client()
        self.client.start_channels(hb=False, stdin=False)
        self.client.wait_for_ready(timeout=60)
        time.sleep(
            0.3
        )  # before 7.4 a request that meets a reply on its way may never be read (see link/hosts/ipykernel7.py): let them go out
        self.pages: dict[str, list[FakePage]] = {}
        self.make_pages = 1
        self.pages_when = "opened"
        self.cross: Callable[[Message, Sequence[Any]], tuple[Message, Sequence[Any]]] = lambda content, buffers: (
            content,
            buffers,
        )
        self.displays: list[tuple[str, Message]] = []
        self.page_options: dict[str, Any] = {"loopback": False}
        self.statuses: dict[str, list[str]] = {}
        self.comm_messages = 0
        self.subshell_id: str | None = None
        self._subshell_known = threading.Event()
        self._runs: dict[str, Run] = {}
        self._actions: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._wake_out, self._wake_in = os.pipe()
        self._over = False
        self.crashes: list[BaseException] = []
        self._thread = threading.Thread(target=self._loop, name="front end", daemon=True)
        self._thread.start()
        if subshells:
            self._do(lambda: self._send("control", "create_subshell_request", {}))
            assert self._subshell_known.wait(10), "the kernel made no subshell"

    # ------------------------------------------------------------ the loop

    def _do(self, action: Callable[[], None]) -> None:
        self._actions.append(action)
        os.write(self._wake_in, b".")

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run later, in the loop."""
        self._do(lambda: heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), action)))

    def call(self, action: Callable[[], Any]) -> Any:
        """Run in the loop and return its value."""
        done, box = threading.Event(), []

        def go() -> None:
            box.append(action())
            done.set()

        self._do(go)
        assert done.wait(10)
        return box[0]

    def _loop(self) -> None:
        sockets = {name: getattr(self.client, f"{name}_channel").socket for name in ("iopub", "shell", "control")}
        poller = zmq.Poller()
        for socket in sockets.values():
            poller.register(socket, zmq.POLLIN)
        poller.register(self._wake_out, zmq.POLLIN)
        while not self._over:
            due = None if not self._timers else max(0.0, 1e3 * (self._timers[0][0] - time.monotonic()))
            ready = dict(poller.poll(due))
            if self._wake_out in ready:
                os.read(self._wake_out, 4096)
            while self._actions:
                self._safely(self._actions.popleft())
            while self._timers and self._timers[0][0] <= time.monotonic():
                self._safely(heapq.heappop(self._timers)[2])
            for name, socket in sockets.items():
                while socket in ready and socket.poll(0):
                    _, message = self.client.session.recv(socket, mode=zmq.NOBLOCK, copy=False)
                    if message is not None:
                        self._safely(lambda name=name, message=message: self._received(name, message))

    def _safely(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - shown by the fixture: the loop must go on
            self.crashes.append(error)

    def _send(
        self, channel: str, kind: str, content: Message, buffers: Sequence[Any] = (), subshell: bool = False
    ) -> str:
        message = self.client.session.msg(kind, content)
        if subshell and self.subshell_id is not None:
            message["header"]["subshell_id"] = self.subshell_id
        socket = getattr(self.client, f"{channel}_channel").socket
        self.client.session.send(socket, message, buffers=list(buffers))
        return str(message["header"]["msg_id"])

    def comm_send(self, comm_id: str, data: Message, buffers: Sequence[Any] = ()) -> None:
        """Send on a comm, from the loop."""
        key = self._send("shell", "comm_msg", {"comm_id": comm_id, "data": data}, buffers, subshell=True)
        self.statuses[key] = []

    def _received(self, channel: str, message: Message) -> None:
        kind, content = message["msg_type"], message["content"]
        parent = message["parent_header"].get("msg_id", "")
        run = self._runs.get(parent)
        if channel == "control" and kind == "create_subshell_reply":
            self.subshell_id = content["subshell_id"]
            self._subshell_known.set()
        elif kind == "status" and parent in self.statuses:
            self.statuses[parent].append(content["execution_state"])
        elif kind == "comm_open" and content["target_name"] == "jupyter.widget":
            self._opened(content)
        elif kind == "comm_msg" and content["data"].get("method") == "custom":
            self.comm_messages += 1
            link_pages = self.pages.get(content["comm_id"], [])
            for page in list(link_pages):
                page.receive(page.comm_link, *self.cross(content["data"]["content"], message["buffers"]))
        elif kind in {"display_data", "update_display_data"}:
            self.displays.append((kind, content))
            view = content["data"].get("application/vnd.jupyter.widget-view+json")
            if view is not None and self.pages_when == "shown" and view["model_id"] in self.pages:
                self.add_page(view["model_id"])
        elif run is not None:
            self._about(run, channel, kind, content)

    def _about(self, run: Run, channel: str, kind: str, content: Message) -> None:
        if kind == "stream":
            run.text += content["text"]
            run.printed.set()
        elif kind == "execute_result":
            run.text += content["data"].get("text/plain", "")
        elif kind == "error":
            run.error = f"{content['ename']}: {content['evalue']}"
            run.traceback = "\n".join(content["traceback"])
        elif kind == "status" and content["execution_state"] == "idle":
            run.idle = True
        elif channel == "shell" and kind == "execute_reply":
            run.replied = True
        if run.idle and run.replied:
            run.done.set()

    def _opened(self, content: Message) -> None:
        if "gpu_id" not in content["data"].get("state", {}):
            return
        self.pages[content["comm_id"]] = []
        for _ in range(self.make_pages if self.pages_when == "opened" else 0):
            self.add_page(content["comm_id"])

    # ------------------------------------------------------------ for tests

    def add_page(self, comm_id: str) -> FakePage:
        """Another tab shows the widget; call in the loop."""
        page = FakePage(self.after, **self.page_options)
        page.comm_link = CommLink(self, comm_id)
        self.pages[comm_id].append(page)
        page.hello(page.comm_link)
        return page

    @property
    def comm_id(self) -> str:
        """The newest widget's comm."""
        return next(reversed(self.pages))

    @property
    def page(self) -> FakePage:
        """The first page of the newest widget."""
        return self.pages[self.comm_id][0]

    def start(self, source: str) -> Run:
        """Send a cell."""
        box: list[Run] = []

        def go() -> None:
            content = {
                "code": source,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": False,
                "stop_on_error": False,
            }
            run = Run(self._send("shell", "execute_request", content))
            self._runs[run.id] = run
            box.append(run)

        self.call(go)
        return box[0]

    def run(self, source: str, timeout: float = 30.0) -> str:
        """Run a cell that must not raise; returns what it printed."""
        return self.start(source).ok(timeout)

    def close(self) -> None:
        self._over = True
        os.write(self._wake_in, b".")
        self._thread.join(5)
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        os.close(self._wake_in)
        os.close(self._wake_out)
