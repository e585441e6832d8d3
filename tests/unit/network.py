"""A page and Python on two links, with a network in between that is as bad as it likes and a clock of its own."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from fake_page import FakePage, Message

from webgpu_widget.link.session import Event, Session


class Wire:
    """One link. Whole messages, in order, each after its own delay; what is under way when it breaks is lost.

    Parameters
    ----------
    network : Network
        The clock and the two ends.
    name : str
        ``comm`` or the socket's name.
    """

    def __init__(self, network: Network, name: str) -> None:
        self.network = network
        self.name = name
        self.kind = "comm" if name == "comm" else "websocket"
        self.broken = False
        self.duplicate = 0.0
        self._free_at = {"up": 0.0, "down": 0.0}

    def send(self, message: Message, buffers: Sequence[bytes]) -> None:
        """The page speaks."""
        self._carry("up", message, [bytes(item) for item in buffers])

    def to_page(self, message: Message, buffers: Sequence[Any]) -> None:
        """Python speaks."""
        self._carry("down", message, [bytes(item) for item in buffers])

    def _carry(self, way: str, message: Message, buffers: list[bytes]) -> None:
        if self.broken:
            return
        network = self.network
        message = json.loads(json.dumps(message))
        copies = 2 if network.random.random() < self.duplicate else 1
        for _ in range(copies):
            at = max(network.now + network.random.uniform(0, 0.02), self._free_at[way])
            self._free_at[way] = at
            network.at(at, lambda: self._arrive(way, message, buffers))

    def _arrive(self, way: str, message: Message, buffers: list[bytes]) -> None:
        if self.broken:
            return
        if way == "up":
            self.network.session.receive(self.name, message, buffers)
        else:
            for page in self.network.pages:
                page.receive(self, message, buffers)
        self.network.settle()


class Network:
    """See the module.

    Parameters
    ----------
    seed : int
        Of delays, duplicates and losses.
    lane : bool
        Whether Python offers a socket.
    """

    def __init__(self, seed: int, *, lane: bool = True) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.now = 0.0
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._socket_numbers = itertools.count(1)
        self.session = Session((lambda _hello: {"url": "ws://lane", "token": "t"}) if lane else None)
        self.wires: dict[str, Wire] = {"comm": Wire(self, "comm")}
        self.pages: list[FakePage] = []
        self.events: list[Event] = []

    # ------------------------------------------------------------ the clock

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._actions, (when, next(self._order), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self.at(self.now + seconds, action)

    def run(self, seconds: float | None = None) -> None:
        """Let time pass: some seconds, or until nothing more happens."""
        end = float("inf") if seconds is None else self.now + seconds
        while self._actions and self._actions[0][0] <= end:
            self.now, _, action = heapq.heappop(self._actions)
            action()
            self.settle()
        if seconds is not None:
            self.now = end

    def step(self) -> bool:
        """Let the next thing happen; returns False when there is none."""
        if not self._actions:
            return False
        self.now, _, action = heapq.heappop(self._actions)
        action()
        self.settle()
        return True

    def settle(self) -> None:
        """Hand out what Python wants to send."""
        while out := self.session.take_outgoing():
            for outgoing in out:
                wire = self.wires.get(outgoing.link)
                if wire is not None:
                    wire.to_page(outgoing.message, outgoing.buffers)
        self.events += self.session.take_events()

    # ------------------------------------------------------------ the ends

    def add_page(self) -> FakePage:
        """Open a page; it says hello on the comm."""
        page = FakePage(self.after, loopback=True)
        page.open_lane = lambda _lane: self._open_lane(page)
        self.pages.append(page)
        page.hello(self.wires["comm"])
        return page

    def _open_lane(self, page: FakePage) -> Wire:
        wire = Wire(self, f"ws-{next(self._socket_numbers)}")
        self.wires[wire.name] = wire
        self.after(self.random.uniform(0.01, 0.1), lambda: page.hello(wire))
        return wire

    def break_lane(self, page: FakePage) -> None:
        """The newest socket is gone; each end hears of it in its own time."""
        lanes = [wire for wire in self.wires.values() if wire.kind == "websocket" and not wire.broken]
        if lanes:
            wire = lanes[-1]
            wire.broken = True
            self.after(self.random.uniform(0, 0.5), lambda: self.session.link_closed(wire.name))
            self.after(self.random.uniform(0, 0.5), lambda: page.link_closed(wire))

    @property
    def lane(self) -> str | None:
        """The socket that carries everything now."""
        return None if self.session.link in {None, "comm"} else self.session.link

    def taken(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    def ids(self, kind: str) -> list[str]:
        return [event.message["id"] for event in self.taken(kind)]
