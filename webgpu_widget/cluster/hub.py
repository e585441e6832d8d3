"""Browsers that join: one endpoint of the hub, any number of pages, a GPU for each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from webgpu_widget.device.device import AdapterInfo, Device
from webgpu_widget.link.connection import Connection
from webgpu_widget.link.transports._hub import Socket
from webgpu_widget.link.transports._names import is_loopback
from webgpu_widget.link.transports.base import Transport

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU
    from webgpu_widget.link import services

log = logging.getLogger("webgpu_widget.cluster")

State = Literal["joining", "ready", "gone"]

_MAX_NAME = 64
_GRACE_S = 4.0
_GRACE_LOOPBACK_S = 1.5
_PING_AFTER_S = 2.0
_SILENT_S = 10.0


class AcceptedTransport(Transport):
    """A transport whose page is already there: links are opened by the roster."""

    name = "page"

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.gone = ""

    def start(self, connection: Connection) -> None:
        """Keep the connection for the roster."""
        self.connection = connection

    def advice(self) -> str:
        """Say what to do."""
        return "The browser joined and then fell silent: reload its page, or start another one."

    def failure(self) -> str | None:
        """Say why the page cannot come back, once it is given up."""
        return self.gone or None

    def close(self) -> None:
        """Nothing of its own to end."""


class Member:
    """A browser that joined, until it is gone.

    Attributes
    ----------
    id : str
        ``browser-3``; a page that comes back gets a new one.
    device : Device
        Its GPU.
    state : str
        ``joining``, ``ready`` or ``gone``.
    reason : str
        Why it is gone.
    label : str
        Which of the launched browsers its page is in; empty for others.
    tasks_done, tasks_failed, tasks_running : int
        Of tasks that ran with this GPU.
    bytes_in, bytes_out : int
        To the browser and from it, through the hub.
    peer_bytes_in, peer_bytes_out : int
        To and from other browsers, past the hub.
    busy_s : float
        Seconds in which at least one task ran.
    """

    def __init__(self, name: str, instance: str, remote: str, label: str = "") -> None:
        self.id = name
        self.label = label
        self.instance = instance
        self.remote = remote
        self.transport = AcceptedTransport()
        self.device = Device(self.transport)
        self.connection = self.device.connection
        self.state: State = "joining"
        self.reason = ""
        self.info: AdapterInfo | None = None
        self.doing = ""
        self.tasks_done = self.tasks_failed = self.tasks_running = 0
        self.bytes_in = self.bytes_out = 0
        self.peer_bytes_in = self.peer_bytes_out = 0
        self.busy_s = 0.0
        self.gone = threading.Event()
        self.address = ""
        """Its Dask worker's."""
        self.shown: services.WorkerShown | None = None
        """What its page was last told to show."""
        self._busy_since = 0.0
        self._lock = threading.Lock()
        self._linkless_at: float | None = None
        self._links: dict[str, Socket] = {}
        self._last_ping = 0.0

    @cached_property
    def gpu(self) -> GPU:
        """Its GPU, as users' functions get it: the same one for all of them."""
        return self.device.gpu

    # ------------------------------------------------------------ links

    def open_link(self, socket: Socket) -> None:
        """Take a socket into use."""

        def send(message: dict[str, Any], buffers: Sequence[Any]) -> None:
            self.bytes_in += sum(memoryview(item).nbytes for item in buffers)
            socket.send(message, buffers)

        with self._lock:
            self._links[socket.name] = socket
            self._linkless_at = None
        self.connection.open_link(socket.name, send)

    def receive(self, link: str, message: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        """Deal with a message of the page."""
        self.bytes_out += sum(item.nbytes for item in buffers)
        self.connection.receive(link, message, buffers)

    def close_link(self, link: str) -> None:
        """Say that a socket is gone; the page has some seconds to open another."""
        with self._lock:
            self._links.pop(link, None)
            if not self._links:
                self._linkless_at = time.monotonic()
        self.connection.close_link(link)

    def hang_up(self) -> None:
        """Close the page's sockets: one that was asleep finds out by that, and joins again."""
        with self._lock:
            sockets = list(self._links.values())
        for socket in sockets:
            socket.close("this browser was given up")

    def lost(self, now: float) -> str | None:
        """Ask the page for a sign of life when it has been silent, and say why it is lost, if it is."""
        if self.state == "gone":
            return None
        grace = _GRACE_LOOPBACK_S if is_loopback(self.remote) else _GRACE_S
        if self._linkless_at is not None:
            return "its browser was closed or ended" if now - self._linkless_at > grace else None
        silent = self.connection.silent_s(now)
        if silent > _SILENT_S:
            return f"it has not answered for {silent:.0f} s: asleep, frozen, or the network is gone"
        if silent > _PING_AFTER_S and now - self._last_ping > _PING_AFTER_S / 2:
            self._last_ping = now
            self.connection.ping()
        return None

    # ------------------------------------------------------------ tasks

    def begin(self, doing: str) -> None:
        """Count a task that starts."""
        with self._lock:
            self.doing = doing
            if self.tasks_running == 0:
                self._busy_since = time.monotonic()
            self.tasks_running += 1

    def end(self, *, ok: bool) -> None:
        """Count its end."""
        with self._lock:
            self.tasks_running -= 1
            if self.tasks_running == 0:
                self.busy_s += time.monotonic() - self._busy_since
                self.doing = ""
            if ok:
                self.tasks_done += 1
            else:
                self.tasks_failed += 1


class _Page:
    """Receiver of one socket: nobody until its hello."""

    def __init__(self, roster: Roster, socket: Socket) -> None:
        self._roster = roster
        self._socket = socket
        self._member: Member | None = None

    def receive(self, message: dict[str, Any], buffers: Sequence[memoryview]) -> None:
        if self._member is None:
            if message.get("kind") != "hello":
                log.warning("a page at %s spoke before its hello, socket closed", self._socket.remote)
                self._socket.close("hello comes first")
                return
            instance = message.get("instance")
            if not isinstance(instance, str) or not 0 < len(instance) <= _MAX_NAME:
                log.warning("a hello without a proper instance from %s, socket closed", self._socket.remote)
                self._socket.close("malformed hello")
                return
            self._member = self._roster.admit(instance, self._socket)
            if self._member is None:
                return
        elif message.get("instance") != self._member.instance:
            log.warning("%s spoke in another page's name; ignored", self._member.id)
            return
        self._member.receive(self._socket.name, message, buffers)

    def closed(self) -> None:
        if self._member is not None:
            self._member.close_link(self._socket.name)


class Roster:
    """All members, by the instance of their page.

    Parameters
    ----------
    on_join, on_gone : callable
        Called with a member, in the hub's or the watcher's thread; must not wait.
    """

    def __init__(self, on_join: Callable[[Member], None], on_gone: Callable[[Member], None]) -> None:
        self.members: dict[str, Member] = {}
        """By id, gone ones included."""
        self._by_instance: dict[str, Member] = {}
        self._banned: dict[str, str] = {}
        self._on_join = on_join
        self._on_gone = on_gone
        self._lock = threading.RLock()

    def accept(self, socket: Socket) -> _Page:
        """Take a new socket."""
        return _Page(self, socket)

    def admit(self, instance: str, socket: Socket) -> Member | None:
        """Return the member that speaks on a socket, a new one if need be; None for one that was dropped."""
        with self._lock:
            banned = self._banned.get(instance)
            if banned is not None:
                socket.send({"kind": "refuse", "instance": instance, "message": banned})
                socket.close("dropped")
                return None
            member = self._by_instance.get(instance)
            new = member is None or member.state == "gone"
            if member is None or new:
                member = Member(f"browser-{len(self.members) + 1}", instance, socket.remote, socket.label)
                self.members[member.id] = self._by_instance[instance] = member
                found = member
                member.connection.on_gone(
                    lambda kind, reason: self.give_up(found, reason) if kind == "page-lost" else None
                )
            member.open_link(socket)
        if new:
            self._on_join(member)
        return member

    def give_up(self, member: Member, reason: str) -> None:
        """Count a member as gone. May be called twice."""
        with self._lock:
            if member.state == "gone":
                return
            member.state = "gone"
            member.reason = member.transport.gone = reason
            if self._by_instance.get(member.instance) is member:
                del self._by_instance[member.instance]
        log.info("%s is gone: %s", member.id, reason)
        member.hang_up()
        self._on_gone(member)

    def drop(self, member: Member, reason: str) -> None:
        """Send a member away for good."""
        log.warning("%s (%s) is dropped: %s", member.id, member.remote, reason)
        with self._lock:
            self._banned[member.instance] = f"this browser was dropped from the cluster: {reason}"
            member.connection.send_away(self._banned[member.instance])
        self.give_up(member, f"dropped: {reason}")

    def watch(self) -> None:
        """Look after all members; to be called twice a second."""
        now = time.monotonic()
        for member in list(self._by_instance.values()):
            reason = member.lost(now)
            if reason is not None:
                self.give_up(member, reason)

    def present(self, state: State | None = None) -> list[Member]:
        """Return members that are not gone, or those in one state."""
        with self._lock:
            return [
                member
                for member in self._by_instance.values()
                if member.state != "gone" and (state is None or member.state == state)
            ]
