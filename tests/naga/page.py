"""A page whose GPU is llvmpipe, and the transport that reaches it in this process."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fake_page import FakePage, Message

import webgpu_widget as wg
from webgpu_widget.link import protocol
from webgpu_widget.link.transports.base import Transport

from . import guard
from .device import open_device
from .engine import Engine
from .pipelines import Pipelines
from .reflector import CommandError, Reflector

if TYPE_CHECKING:
    from webgpu_widget.link.connection import Connection


class NagaPage(FakePage):
    """The fake page with a GPU in it, or rather two: they differ in what lies behind their buffers, and must read the same."""

    def __init__(
        self, after: Callable[[float, Callable[[], None]], None], reflector: Reflector, *, subgroups: bool
    ) -> None:
        self._subgroups = subgroups
        self._device, self._info = None, {}
        self._reflector = reflector
        self._reported = time.monotonic()
        self.compiled: list[Message] = []
        self.dispatched: set[str] = set()
        self.trespasses: list[str] = []
        super().__init__(after)

    def _fresh(self) -> None:
        self.error = None
        self._engines: list[Engine] = []

    def _open(self) -> list[Engine]:
        """Return the engines, on a device that is opened at first need."""
        if self._device is None:
            try:
                self._device, self._info = open_device(subgroups=self._subgroups)
            except RuntimeError as error:
                raise CommandError("no-adapter", str(error)) from error
        if not self._engines:
            self._pipelines = Pipelines(self._device, self._info, self._reflector)
            self._pipelines.compiled, self._pipelines.dispatched = self.compiled, self.dispatched
            self._engines = [Engine(self._device, self._info, self._pipelines, fill) for fill in guard.FILLS.values()]
        return self._engines

    def _run(self, batch: Message, data: list[bytes]) -> None:
        for command in batch["commands"]:
            key = command.get("id")
            if max(batch["epoch"], 1) < self.epoch:
                if key:
                    self._fail(key, "device-lost", "the device that this command was meant for is gone")
                continue
            try:
                if key:
                    self._request(command)
                else:
                    for engine in self._open():
                        engine.command(command, data)
            except Exception as error:  # noqa: BLE001 - every failure becomes a reply
                refused = (
                    error
                    if isinstance(error, CommandError)
                    else CommandError("internal", f"{type(error).__name__}: {error}")
                )
                if key:
                    self._refuse(key, refused)
                elif self.error is None:
                    self.error = refused
            self._report(key or "")
        self._dealt_with(batch["seq"], sum(map(len, data)))

    def _report(self, key: str) -> None:
        """Say that work goes on, when none has been said for a while."""
        if time.monotonic() - self._reported > protocol.PROGRESS_INTERVAL_MS / 1000:
            for engine in self._engines:
                engine.finish()
            self._reported = time.monotonic()
            self._push({"kind": "progress", "id": key, "done": self.dealt, "value": {}}, [])

    def _refuse(self, key: str, refused: CommandError) -> None:
        if key in self.open:
            self.open.discard(key)
            error = {
                "kind": "error",
                "id": key,
                "code": refused.code,
                "message": str(refused),
                "details": refused.details,
            }
            self._push(error, [])

    def _request(self, command: Message) -> None:
        key, op, engines = command["id"], command["op"], self._open()
        if op == "compile":
            self._result(key, self._pipelines.compile(command))
            return
        if op == "get-device":
            self._result(key, {"epoch": self.epoch, **self._info})
            return
        value: Message = {}
        outputs: list[bytes] | None = None
        if op == "read":
            outputs = self._same([engine.read(command["reads"]) for engine in engines])
        elif op == "read-texture":
            outputs = self._same([[engine.read_texture(command["texture"])] for engine in engines])
        elif op == "profile-stop":
            value = {"rows": engines[0].profile()}
        elif op == "get-memory":
            value = engines[0].memory
        elif op == "synchronize":
            for engine in engines:
                engine.finish()
                self.trespasses += engine.inspect_zones()
        else:
            raise CommandError("internal", f"this front end has no {op}")
        if self.error is not None:
            refused, self.error = self.error, None
            self._refuse(key, refused)
        elif outputs is None:
            self._result(key, value)
        else:
            self._send_chunks(key, outputs)

    def _same(self, answers: list[list[bytes]]) -> list[bytes]:
        """Return what all engines read."""
        for number, (first, *others) in enumerate(zip(*answers, strict=True)):
            for other in others:
                if first != other:
                    a, b = (np.frombuffer(item + bytes(-len(item) % 4), np.uint32) for item in (first, other))
                    where = np.flatnonzero(a != b)
                    self.trespasses.append(
                        f"{where.size} of {a.size} words of read {number} depend on what lies behind a buffer, the first at word {where[0]}: "
                        f"{a[where[0]]:#x} with {' and '.join(guard.FILLS)} there is {b[where[0]]:#x}"
                    )
        return answers[0]


class NagaTransport(Transport):
    """A page in this process, on a thread of its own; another thread answers pings while it works.

    Parameters
    ----------
    subgroups : bool
        Whether the page has the feature, which no browser with naga has yet.
    """

    name = "naga"
    kind = "websocket"

    def __init__(self, *, subgroups: bool = False) -> None:
        self._subgroups = subgroups
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._pings: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._threads: list[threading.Thread] = []

    def start(self, connection: Connection) -> None:
        """Open the page."""
        self._connection = connection
        connection.open_link(self.name, self._to_page)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._work, self._answer_pings)]
        for thread in self._threads:
            thread.start()

    def _to_page(self, message: Message, buffers: Sequence[Any]) -> None:
        if message["kind"] == "ping":
            self._pings.put(message)
        else:
            self._inbox.put((message, [bytes(item) for item in buffers]))

    def send(self, message: Message, buffers: Sequence[bytes]) -> None:
        """The page speaks."""
        self._connection.receive(self.name, message, [memoryview(item) for item in buffers])

    def _answer_pings(self) -> None:
        while (ping := self._pings.get()) is not None:
            self.send({"kind": "pong", "instance": ping["instance"], "nonce": ping["nonce"], "working_on": ""}, [])

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), action))

    def _work(self) -> None:
        reflector = Reflector()
        self.page = NagaPage(self._after, reflector, subgroups=self._subgroups)
        try:
            self._serve(self.page)
        except Exception as error:
            self._connection.page_gone(f"the front end over wgpu-py ended: {error!r}")
            raise
        finally:
            reflector.close()

    def _serve(self, page: NagaPage) -> None:
        page.hello(self)
        while True:
            wait = self._later[0][0] - time.monotonic() if self._later else None
            try:
                item = self._inbox.get(timeout=None if wait is None else max(wait, 0))
            except queue.Empty:
                heapq.heappop(self._later)[2]()
                continue
            if item is None:
                return
            page.receive(self, *item)

    def advice(self) -> str:
        """Nothing is to be done."""
        return "The front end over wgpu-py runs in this process."

    def close(self) -> None:
        """End the threads."""
        self._inbox.put(None)
        self._pings.put(None)
        for thread in self._threads:
            thread.join(10)
        self._threads = []


def naga_gpu(*, subgroups: bool = False) -> wg.GPU:
    """Return a GPU on naga and llvmpipe, with guard zones behind its buffers."""
    return wg.GPU(transport=NagaTransport(subgroups=subgroups))


def trespasses(gpu: wg.GPU) -> list[str]:
    """Return, and forget, what kernels have read or written behind their buffers."""
    gpu.synchronize()
    page = gpu._device.transport.page
    found, page.trespasses[:] = list(page.trespasses), []
    return found
