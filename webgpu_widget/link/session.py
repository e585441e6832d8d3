"""The exchange with one elected page as a state machine: messages in, messages and events out.

No I/O, no clock, no locks: ``connection`` brings those. The rules are in ``protocol``'s docstring; ``js/src/session.ts`` is the twin.
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from webgpu_widget.link import protocol

_EARLY_MESSAGES = 4096
_EARLY_BYTES = 4 * protocol.WINDOW_BYTES
_REPLIES: dict[str, dict[str, type]] = {
    "result": {"value": dict},
    "error": {"code": str, "message": str, "details": dict},
    "chunk": {"item": int, "offset": int, "total": int},
    "progress": {"value": dict},
}
"""What the replies to a request hold."""
_PARSED = 16
"""What parsed JSON takes in memory, in multiples of its text."""

Bytes = bytes | bytearray | memoryview
Message = dict[str, Any]

_DEPARTED = 64
"""Pages whose goodbye is remembered."""


@dataclass(slots=True)
class Outgoing:
    """A message to be handed to a link."""

    link: str
    message: Message
    buffers: Sequence[Bytes] = ()


@dataclass(slots=True)
class Event:
    """What happened, for the layer above.

    ``kind`` is ``result``, ``error``, ``chunk``, ``progress`` (message as received), ``connected`` (the hello), ``device-lost``,
    ``page-lost``, ``mismatch`` or ``pong``.
    """

    kind: str
    message: Message = field(default_factory=dict)
    buffers: Sequence[Bytes] = ()


@dataclass(slots=True)
class _Batch:
    """Commands under way: without a ``seq`` until they are first sent."""

    commands: list[Any]
    buffers: Sequence[Bytes]
    request_ids: tuple[str, ...]
    size_bytes: int
    epoch: int
    seq: int = 0


def buffer_bytes(buffers: Sequence[Bytes]) -> int:
    """Return the bytes in a message's buffers."""
    return sum(memoryview(item).nbytes for item in buffers)


class Session:
    """One side of the protocol.

    Parameters
    ----------
    offer_lane : callable, optional
        Called with a hello that came over a comm from a page on a loopback host; returns the ``Lane`` to offer, or None.
    """

    def __init__(self, offer_lane: Callable[[Message], protocol.Lane | None] | None = None) -> None:
        self._offer_lane = offer_lane
        self._out: list[Outgoing] = []
        self._events: list[Event] = []
        self.instance: str | None = None
        self.session = ""
        self.epoch = 1
        self._session_before: str | None = None
        self._links: list[str] = []
        self._heard_on: set[str] = set()
        self._candidates: dict[str, tuple[str, Message]] = {}
        self._departed: deque[str] = deque(maxlen=_DEPARTED)
        self._queue: deque[_Batch] = deque()
        self.pending_bytes = 0
        """Bytes of buffers that wait here for credit, or for a page."""
        self._requests: set[str] = set()
        self._nonce = 0
        self._start_streams()

    def _start_streams(self) -> None:
        self._sent = 0
        self._unacked: deque[_Batch] = deque()
        self._unacked_bytes = 0
        self._received = 0
        self._acked = 0
        self._early: dict[int, tuple[Message, Sequence[Bytes]]] = {}
        self._early_bytes = 0
        self._since_ack_bytes = 0
        self.advanced = False

    # ------------------------------------------------------------ outputs

    def take_outgoing(self) -> list[Outgoing]:
        """Return and forget the messages to be sent now, in order."""
        out, self._out = self._out, []
        return out

    def take_events(self) -> list[Event]:
        """Return and forget what happened since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def link(self) -> str | None:
        """The link that carries everything now: the newest WebSocket, else the comm."""
        return self._links[-1] if self._links else None

    @property
    def misses(self) -> bool:
        """Whether later messages of the page are here and earlier ones are not."""
        return bool(self._early)

    @property
    def requests(self) -> frozenset[str]:
        """Ids of requests without a terminal reply."""
        return frozenset(self._requests)

    # ------------------------------------------------------------ inputs from Python

    def submit(self, commands: list[Any], buffers: Sequence[Bytes], request_ids: tuple[str, ...] = ()) -> None:
        """Queue a batch; it goes out as soon as there is a page and credit."""
        self._requests.update(request_ids)
        batch = _Batch(commands, buffers, request_ids, buffer_bytes(buffers), self.epoch)
        self._queue.append(batch)
        self.pending_bytes += batch.size_bytes
        self._send_waiting()

    def cancel(self, ids: Sequence[str]) -> None:
        """Give up requests: no reply is expected any more."""
        self._requests.difference_update(ids)
        self._send("cancel", ids=list(ids))

    def reset(self, reason: str) -> None:
        """Ask the page for a new device. The next epoch begins here at once: what is submitted from now on is meant for it."""
        if self.instance is not None:
            self._send("reset", reason=reason)
            self.epoch += 1
            self._events.append(Event("device-lost", {"epoch": self.epoch, "reason": reason}))

    def close(self) -> None:
        """Tell the page to free everything."""
        self._send("close")
        self.lose_page("the GPU object was closed", left=True)

    def ping(self) -> int:
        """Ask the page for a sign of life; returns the nonce of the pong to come."""
        self._nonce += 1
        self._send("ping", nonce=self._nonce)
        return self._nonce

    def refuse(self, message: str) -> None:
        """Tell the page that leads that it is sent away, and why."""
        self._send("refuse", message=message)

    def recover(self) -> None:
        """Ask the page to send again what may have been lost on the way, and do the same."""
        self._send("resume", received=self._received)
        self._resend()

    def lose_page(self, reason: str, *, left: bool = False) -> None:
        """Give up the leader: its requests fail, and a candidate takes over if there is one.

        A page that has not ``left`` may only have slept: it is asked to say hello once it hears that.
        """
        if self.instance is None:
            return
        self.instance = None
        if not left:
            self._out += [Outgoing(link, {"kind": "roll-call"}) for link in self._links]
        self._links.clear()
        self._queue.clear()
        self.pending_bytes = 0
        self._fail_requests(reason, left=left)
        self._start_streams()
        if self._candidates:
            instance = next(reversed(self._candidates))
            link, hello = self._candidates.pop(instance)
            self._elect(link, hello)

    def _fail_requests(self, reason: str, *, left: bool) -> None:
        ids = sorted(self._requests)
        self._requests.clear()
        self._events.append(Event("page-lost", {"reason": reason, "ids": ids, "left": left}))

    # ------------------------------------------------------------ inputs from links

    def link_closed(self, link: str) -> bool:
        """Take a link out. Returns True when the leader has no link left (the caller decides how long to wait)."""
        self._candidates = {key: value for key, value in self._candidates.items() if value[0] != link}
        if link not in self._links:
            return False
        was_active = link == self.link
        self._links.remove(link)
        if self._links and was_active:
            self._send("resume", received=self._received)
        return not self._links

    def receive(self, link: str, message: Message, buffers: Sequence[Bytes] = ()) -> None:
        """Deal with one message from the browser.

        The leader is heard on every link that it has said hello on in this session, also on one that was given up here and not yet there. On others something of
        the session before may still be on its way.
        """
        kind = message.get("kind")
        instance = message.get("instance")
        if kind == "hello":
            self._hello(link, message)
        elif kind == "bye":
            self._candidates.pop(str(instance), None)
            self._departed.append(str(instance))
            if instance == self.instance:
                self.lose_page("the page was closed or reloaded", left=True)
        elif instance != self.instance or link not in self._heard_on:
            return
        elif kind == "pong":
            self._events.append(Event("pong", message))
        elif kind == "ack":
            self._ack(int(message["ack"]))
        elif kind == "resume":
            if link in self._links:
                self._resumed(link, int(message["received"]))
        else:
            self._stream(message, buffers)

    def _hello(self, link: str, hello: Message) -> None:
        instance = str(hello["instance"])
        if hello.get("protocol_version") != protocol.PROTOCOL_VERSION:
            text = (
                f"the page runs protocol {hello.get('protocol_version')} of webgpu_widget and Python runs {protocol.PROTOCOL_VERSION}: "
                "reload the page; if that does not help, restart the kernel"
            )
            self._out.append(Outgoing(link, {"kind": "refuse", "instance": instance, "message": text}))
            self._events.append(Event("mismatch", {"reason": text}))
        elif instance in self._departed:
            return  # a link that was slower than the goodbye on another
        elif self.instance is None:
            self._elect(link, hello)
        elif instance == self.instance:
            if hello.get("session") not in (self.session, self._session_before, None):
                self.lose_page("the page started anew", left=True)
                self._elect(link, hello)
                return
            if link in self._links:
                self._links.remove(link)
            self._heard_on.add(link)
            # The comm never outranks a WebSocket that is still open.
            position = 0 if link == "comm" else len(self._links)
            self._links.insert(position, link)
            self._welcome(link, hello)
            if hello.get("session") == self.session and self.link == link:
                self._ack(int(hello.get("received", 0)))
                self._resend()
        else:
            self._candidates[instance] = (link, hello)
            self._out.append(Outgoing(link, {"kind": "standby", "instance": instance}))
            self.ping()

    def _elect(self, link: str, hello: Message) -> None:
        self.instance = str(hello["instance"])
        self._candidates.pop(self.instance, None)
        # What it says on its other links before it hears the welcome has this in it.
        self._session_before = hello.get("session")
        self.session = uuid.uuid4().hex[:16]
        self.epoch = 1
        self._links = [link]
        self._heard_on = {link}
        self._start_streams()
        self._welcome(link, hello)
        self._events.append(Event("connected", hello))
        self._send_waiting()

    def _welcome(self, link: str, hello: Message) -> None:
        lane = self._offer_lane(hello) if self._offer_lane and link == "comm" and hello.get("loopback") else None
        self._out.append(
            Outgoing(
                link,
                {
                    "kind": "welcome",
                    "instance": self.instance,
                    "protocol_version": protocol.PROTOCOL_VERSION,
                    "session": self.session,
                    "received": self._received,
                    "lane": lane,
                },
            ),
        )

    def _resumed(self, link: str, received: int) -> None:
        """Send again what the browser misses: a link broke."""
        if link != self.link:
            for newer in self._links[self._links.index(link) + 1 :]:
                self._links.remove(newer)
            self._send("resume", received=self._received)
        self._ack(received)
        self._resend()

    def _stream(self, message: Message, buffers: Sequence[Bytes]) -> None:
        seq = int(message.get("seq", 0))
        if seq <= self._received:
            self._send_ack()
            return
        if seq != self._received + 1 and not self._has_room(seq, message, buffers):
            return
        self._early[seq] = (message, buffers)
        while (following := self._early.pop(self._received + 1, None)) is not None:
            self._received += 1
            self._since_ack_bytes += buffer_bytes(following[1])
            self._deal_with(*following)
        # Small replies may stay unacked for a while (the page keeps them); bytes are what its window counts.
        if self._since_ack_bytes >= protocol.CHUNK_BYTES // 4 or self._received - self._acked >= 16:
            self._send_ack()

    def _has_room(self, seq: int, message: Message, buffers: Sequence[Bytes]) -> bool:
        """Say whether a message that has overtaken others can be kept until they come; one that cannot is asked for again with them.

        An honest page has no more under way than its window; what another one sends beyond that fills no memory.
        """
        if not self._early:
            self._early_bytes = 0
        if seq in self._early:
            return False
        size = buffer_bytes(buffers) + _PARSED * len(json.dumps(message))
        if len(self._early) >= _EARLY_MESSAGES or self._early_bytes + size > _EARLY_BYTES:
            return False
        self._early_bytes += size
        return True

    def _send_ack(self) -> None:
        self._acked = self._received
        self._since_ack_bytes = 0
        self._send("ack", ack=self._received)

    def _deal_with(self, message: Message, buffers: Sequence[Bytes]) -> None:
        kind = str(message["kind"])
        if kind == "lost":
            if int(message["epoch"]) > self.epoch:
                self.epoch = int(message["epoch"])
                reason = str(message.get("reason", "the page did not say why"))
                self._events.append(Event("device-lost", {**message, "reason": reason}))
            return
        fields = _REPLIES[kind]
        key = str(message["id"])
        for name, needed in fields.items():
            if not isinstance(message.get(name), needed):
                # Whoever waits for the reply is not left waiting.
                text = f"the page's {kind} has the {name} {str(message.get(name))[:80]!r}: reload the page"
                kind, message = "error", {"id": key, "code": "internal", "message": text, "details": {}}
                break
        if kind in {"result", "error"}:
            if key not in self._requests:
                return
            self._requests.discard(key)
        self._events.append(Event(kind, message, buffers))

    # ------------------------------------------------------------ the stream to the browser

    def _send(self, kind: str, **fields: object) -> None:
        if self.instance is not None and self.link is not None:
            self._out.append(Outgoing(self.link, {"kind": kind, "instance": self.instance, **fields}))

    def _window(self) -> int:
        return protocol.COMM_WINDOW_BYTES if self.link == "comm" else protocol.WINDOW_BYTES

    def _send_waiting(self) -> None:
        """Send queued batches while there is a page and credit."""
        while self._queue and self.link is not None and self.instance is not None:
            size = self._queue[0].size_bytes
            if self._unacked_bytes and self._unacked_bytes + size > self._window():
                return
            batch = self._queue.popleft()
            self.pending_bytes -= size
            self._sent += 1
            batch.seq = self._sent
            self._unacked.append(batch)
            self._unacked_bytes += size
            self._send_batch(batch)

    def _send_batch(self, batch: _Batch) -> None:
        message: Message = {
            "kind": "batch",
            "instance": self.instance,
            "seq": batch.seq,
            "epoch": batch.epoch,
            "commands": batch.commands,
        }
        if batch.request_ids:
            message["id"] = batch.request_ids[-1]
        link = self.link
        if link is not None:
            self._out.append(Outgoing(link, message, batch.buffers))

    def _ack(self, ack: int) -> None:
        while self._unacked and self._unacked[0].seq <= ack:
            self._unacked_bytes -= self._unacked.popleft().size_bytes
            self.advanced = True
        self._send_waiting()

    def _resend(self) -> None:
        for batch in self._unacked:
            self._send_batch(batch)
