"""A session with a lock, a clock and links: what threads, cells and coroutines share.

Transports call `open_link`, `receive` and `close_link` from whatever thread they live in; callers wait for requests with `wait` (any thread)
or `wait_async` (any event loop). What ends a wait, besides the reply, is decided here: silence, a closed page, Ctrl-C.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.link.losses import Losses, lost_page, patience
from webgpu_widget.link.recovery import Recovery
from webgpu_widget.link.session import Bytes, Event, Message, Session
from webgpu_widget.link.steps import Beforehand, Steps, Wait
from webgpu_widget.process.interrupts import Lock, let_in

if TYPE_CHECKING:
    from webgpu_widget.link.transports.base import Transport

log = logging.getLogger("webgpu_widget")

_SLICE_S = 0.1
_PING_AFTER_S = 2.0
_LOST_AFTER_S = 10.0
_CONTEST_S = 1.5
_GAP_S = 1.0
_DECIDE_SLICE_S = 0.02
_GONE_AFTER_S = 1.0
"""A page that said goodbye, and of which nothing is known since, is not waited for any longer."""
_SLEPT_S = 2.0
"""A wait that has not looked at the clock for so long was itself stopped: the silence meanwhile is nobody's."""
_ADVICE = "What lived in that page's GPU memory is gone; run the cells that made it again"
_NO_GPU_LEFT = "the browser had no GPU any more and was started anew"
_REPORTS = frozenset({"result", "error", "chunk", "progress", "lost"})

Send = Callable[[Message, Sequence[Bytes]], None]


@dataclass(eq=False, slots=True)
class Request:
    """A command that has a terminal reply.

    ``future`` holds the result's value. ``on_chunk`` gets (item, offset, total, bytes) and ``on_progress`` a service's value, both in the
    thread that received the message: they must be quick and must not wait.
    """

    id: str
    what: str
    source: str = ""
    on_chunk: Callable[[int, int, int, Bytes], None] | None = None
    on_progress: Callable[[dict[str, Any]], None] | None = None
    future: Future[dict[str, Any]] = field(default_factory=Future)
    check: Callable[[], None] | None = None
    """Looks at what came, once the reply is there; raises when it is not what was asked for."""


@dataclass(slots=True)
class Answer(Wait):
    """The reply to a request that was submitted."""

    connection: Connection
    request: Request

    def wait(self, timeout: float | None) -> dict[str, Any]:
        """As `Connection.wait`."""
        return self.connection.wait(self.request, timeout)

    async def wait_async(self, timeout: float | None) -> dict[str, Any]:
        """As `Connection.wait_async`."""
        return await self.connection.wait_async(self.request, timeout)


Answered = Callable[[Request, BaseException | None, bool], None]


class Connection:
    """The session of one transport, with a lock, a clock and its links: what threads, cells and coroutines share."""

    def __init__(self, transport: Transport) -> None:
        self._lock = Lock()
        self._transport = transport
        self._session = Session(transport.offer_lane)
        self._links: dict[str, Send] = {}
        self._requests: dict[str, Request] = {}
        self._ids = itertools.count(1)
        self._connected = threading.Event()
        self._last_report = time.monotonic()
        self._last_sign = time.monotonic()
        self._last_ping = 0.0
        self._contested_at: float | None = None
        self._linkless_at: float | None = None
        self._goodbye_at: float | None = None
        self._recoveries = 0
        self._gap_since: float | None = None
        self._mismatch: str | None = None
        self._closed: str | None = None
        self._on_gone: list[Callable[[], Callable[[str, str], None] | None]] = []
        self._on_close: list[Callable[[], None]] = []
        self.generation = 0
        """How many losses there were; see `Losses`."""
        self._watched_at = time.monotonic()
        self._had_device = False
        self._recovery = Recovery(starts_pages=transport.starts_pages)
        self._last_label = ""
        self._working_on: str | None = None
        self.hello: Message = {}
        self._on_answered: weakref.WeakMethod[Answered] | None = None

    # ------------------------------------------------------------ for transports

    def open_link(self, name: str, send: Send) -> None:
        """Take a link into use; the page's hello on it comes by `receive`."""
        with self._lock:
            self._links[name] = send

    def close_link(self, name: str) -> None:
        """Say that a link is gone. Its messages in flight are sent again on another link, or fail with the page."""
        with self._lock:
            self._links.pop(name, None)
            if self._session.link_closed(name) and self._closed is None:
                self._linkless_at = time.monotonic()
            self._settle()

    def receive(self, link: str, message: Message, buffers: Sequence[Bytes] = ()) -> None:
        """Deal with one message."""
        with self._lock:
            now = time.monotonic()
            kind = message.get("kind")
            if message.get("instance") == self._session.instance:
                self._last_sign = now
                self._contested_at = None
                if kind in _REPORTS:
                    self._reported(now)
            elif kind == "hello" and self.connected:
                self._contested_at = now
            try:
                self._session.receive(link, message, buffers)
            except (KeyError, TypeError, ValueError, OverflowError):
                log.warning("a malformed %r message from the browser was dropped", kind, exc_info=True)
            if self._session.advanced:
                self._session.advanced = False
                self._reported(now)
            if self._session.link is not None:
                self._linkless_at = None
            self._settle()

    def _reported(self, now: float) -> None:
        """Note that the page has finished something."""
        self._last_report = now
        self._working_on = None
        self._recoveries = 0

    @property
    def heard_at(self) -> float:
        """When the page that leads, or that led last, was last heard; in seconds of `time.monotonic`."""
        return self._last_sign

    def silent_s(self, now: float) -> float:
        """Return for how many seconds nothing has come from the page, at a time of `time.monotonic`."""
        return now - self._last_sign

    def ping(self) -> None:
        """Ask the page for a sign of life."""
        with self._lock:
            self._session.ping()
            self._settle()

    def send_away(self, message: str) -> None:
        """Tell the page that it is refused, and why."""
        with self._lock:
            self._session.refuse(message)
            self._settle()

    def page_gone(self, reason: str) -> None:
        """Say that the page cannot come back (its browser has ended)."""
        with self._lock:
            self._session.lose_page(reason, left=True)
            self._settle()

    def on_gone(self, callback: Callable[[str, str], None]) -> None:
        """Have ``callback(kind, reason)`` called when handles have become invalid: ``page-lost`` or ``device-lost``.

        A bound method does not keep its object alive.
        """
        bound = getattr(callback, "__self__", None) is not None
        self._on_gone.append(weakref.WeakMethod(callback) if bound else lambda: callback)

    def on_answered(self, callback: Answered) -> None:
        """Have a bound method called as ``callback(request, error or None, waiting)`` when a wait has ended, by the thread that waited.

        ``waiting`` says whether that thread may wait for more: in a coroutine it may not. The method does not keep its object alive.
        """
        self._on_answered = weakref.WeakMethod(callback)

    # ------------------------------------------------------------ for the queue

    @property
    def connected(self) -> bool:
        """Whether a page leads now."""
        return self._session.instance is not None

    @property
    def on_lane(self) -> bool:
        """Whether a WebSocket carries the traffic."""
        return self._session.link not in (None, "comm")

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait in Python for credit or a page."""
        return self._session.pending_bytes

    def new_request(self, what: str, **fields: Any) -> Request:
        """Make a request; its command carries ``id``."""
        return Request(id=f"r{next(self._ids)}", what=what, **fields)

    def submit(
        self,
        commands: list[Any],
        buffers: Sequence[Bytes],
        requests: Sequence[Request] = (),
        label: str = "",
        generation: int | None = None,
    ) -> bool:
        """Send commands; those with requests get replies. Never waits.

        Returns
        -------
        bool
            False, and nothing is sent, when the ``generation`` of handles that they were composed for is over.
        """
        with self._lock:
            self._check_open()
            self._decide_contest()
            if generation is not None and generation != self.generation:
                return False
            self._last_label = label or self._last_label
            now = time.monotonic()
            if not self._requests:
                self._last_report = now
            for request in requests:
                self._requests[request.id] = request
            self._session.submit(commands, buffers, tuple(request.id for request in requests))
            self._settle()
        return True

    def refuse(self, requests: Sequence[Request], losses: Losses, generation: int) -> None:
        """Fail requests that were composed for a generation that is over."""
        for request in requests:
            if not request.future.done():
                request.future.set_exception(losses.error(generation, request.what, _ADVICE))

    @property
    def in_doubt(self) -> bool:
        """Whether the page that leads may be gone already (all its links are, or another page says hello), or its device may."""
        return self._recovery.due or self._linkless_at is not None or self._contested_at is not None

    def decide(self) -> None:
        """Settle whether the page that leads is still there and of use; takes as long as it has to come back in.

        A cell's comm cannot be heard while Python waits here, so what concerns that is settled by the waits for replies.
        """
        while self._undecided() and not self._transport.host.has_page:
            with let_in():
                time.sleep(_DECIDE_SLICE_S)
        if self._recovery.due:
            self._recovery.prove(self)

    def decide_steps(self) -> Steps[None]:
        """Have a coroutine wait for `decide` before it composes anything: the queue calls that, and would block it."""
        if self.in_doubt:
            yield Beforehand(self.decide)

    def _undecided(self) -> bool:
        with self._lock:
            if self._closed is None and self.connected:
                worn = self._transport.worn_out()
                if worn is not None:
                    self._session.lose_page(worn, left=True)
                    self._settle()
                else:
                    self._decide_links(time.monotonic())
                    self._decide_contest()
            open_question = self._linkless_at is not None or self._contested_at is not None
            return self._closed is None and self.connected and open_question

    @property
    def hopeless(self) -> bool:
        """Whether no page can come any more."""
        return self._transport.failure() is not None

    def start_anew(self, reason: str) -> None:
        """Replace the page that leads, where that is in our hands."""
        if self._transport.restart():
            with self._lock:
                self._session.lose_page(reason, left=True)
                self._settle()

    def _decide_links(self, now: float) -> bool:
        """Give up a page that has had no link for too long, or whose browser has ended."""
        if self._linkless_at is None:
            return False
        ended = self._transport.obituary()
        if ended is None and now - self._linkless_at <= self._transport.reconnect_s:
            return False
        self._session.lose_page(ended or self._transport.page_ended)
        self._settle()
        return True

    def cancel(self, request: Request, error: BaseException | None = None) -> None:
        """Give up a request."""
        with self._lock:
            if self._requests.pop(request.id, None) is not None:
                self._session.cancel([request.id])
                self._settle()
        if not request.future.done():
            request.future.set_exception(error or errors.CancelledError(f"{request.what} was cancelled"))

    def close(self, reason: str = "this GPU is closed") -> None:
        """End it: pending requests fail, later ones are refused."""
        with self._lock:
            if self._closed is not None:
                return
            self._session.close()
            self._closed = reason
            self._settle()
            self._links.clear()
        for callback in self._on_close:
            callback()

    @property
    def closed(self) -> bool:
        """Whether it was ended."""
        return self._closed is not None

    def on_close(self, callback: Callable[[], None]) -> None:
        """Have ``callback()`` called when it is ended."""
        self._on_close.append(callback)

    def disown(self, reason: str) -> None:
        """End it in a forked child without a word to the page. Another thread may have held the lock, so there is a new one."""
        self._lock = Lock()
        self._closed = reason
        self._links = {}
        for request in self._requests.values():
            request.future = Future()
            request.future.set_exception(errors.ClosedError(f"{request.what}: {reason}"))
        self._requests = {}

    def _check_open(self) -> None:
        if self._closed is not None:
            raise errors.ClosedError(f"{self._closed}; make a new one with wg.GPU()")

    # ------------------------------------------------------------ taking messages in

    def _settle(self) -> None:
        """Tell what happened and hand out what the session wants to send: a loss is told before the next page is spoken to. Called with the lock held."""
        for event in self._session.take_events():
            self._happened(event)
        for outgoing in self._session.take_outgoing():
            send = self._links.get(outgoing.link)
            if send is None:
                continue
            try:
                send(outgoing.message, outgoing.buffers)
            except Exception:
                log.warning("the link %s failed and is given up", outgoing.link, exc_info=True)
                self._links.pop(outgoing.link, None)
                if self._session.link_closed(outgoing.link):
                    self._linkless_at = time.monotonic()
        if self._session._out or self._session._events:
            self._settle()

    def _happened(self, event: Event) -> None:
        message = event.message
        request = self._requests.get(str(message.get("id")))
        if event.kind == "connected":
            self.hello = message
            self._contested_at = self._linkless_at = self._goodbye_at = None
            self._last_report = time.monotonic()
            self._connected.set()
            self._transport.connected(message)
        elif event.kind == "mismatch":
            self._mismatch = message["reason"]
        elif event.kind == "page-lost":
            self._connected.clear()
            self._contested_at = self._linkless_at = None
            self._goodbye_at = time.monotonic() if message["left"] else None
            self._gone("page-lost", message["reason"])
            self._fail(message["ids"], message["reason"])
            self._transport.page_lost(left=message["left"])
        elif event.kind == "pong":
            self._working_on = message.get("working_on")
        elif event.kind == "device-lost":
            self._gone("device-lost", message["reason"])
            self._transport.device_lost()
            self._recovery.begin()
        elif request is None:
            return
        elif event.kind == "result":
            del self._requests[request.id]
            self._had_device = True
            request.future.set_result(message["value"])
        elif event.kind == "error":
            del self._requests[request.id]
            if message["code"] == "no-adapter" and self._had_device and self._transport.restart():
                self._had_device = False
                self._recovery.begin(hung=True)
                self._session.lose_page(_NO_GPU_LEFT, left=True)
                request.future.set_exception(errors.FrontendLostError(f"{request.what}: {_NO_GPU_LEFT}. {_ADVICE}"))
                return
            error = errors.from_wire(
                message["code"], message["message"], message["details"], request.source, request.what
            )
            request.future.set_exception(error)
        elif event.kind == "chunk" and request.on_chunk is not None:
            request.on_chunk(
                message["item"], message["offset"], message["total"], event.buffers[0] if event.buffers else b""
            )
        elif event.kind == "progress" and request.on_progress is not None:
            request.on_progress(message["value"])

    def _gone(self, kind: str, reason: str) -> None:
        self.generation += 1
        for reference in list(self._on_gone):
            callback = reference()
            if callback is None:
                self._on_gone.remove(reference)
            else:
                callback(kind, reason)

    def _fail(self, ids: Sequence[str], reason: str) -> None:
        for key in ids:
            request = self._requests.pop(key, None)
            if request is not None and not request.future.done():
                request.future.set_exception(
                    errors.ClosedError(f"{request.what}: {self._closed}")
                    if self._closed is not None
                    else lost_page(f"{request.what}: {reason}. {_ADVICE}", self._last_sign),
                )

    # ------------------------------------------------------------ waiting

    def wait(self, request: Request, timeout: float | None = 30.0) -> dict[str, Any]:
        """Block until the reply is there.

        Parameters
        ----------
        request : Request
            One that was submitted.
        timeout : float or None
            Seconds of silence after which it is given up; None waits for ever.

        Raises
        ------
        NoFrontendError, FrontendTimeoutError, FrontendLostError
            When no page answers, or it falls silent, or is closed.
        WebGPUWidgetError
            What the browser reported.
        """
        with _Awaited(self, request, waiting=True), self._transport.host.blocking() as step:
            while True:
                with let_in():
                    step(request.future, _SLICE_S)
                if request.future.done():
                    break
                self._watch(request, timeout)
        return self._value(request, waiting=True)

    async def wait_async(self, request: Request, timeout: float | None = 30.0) -> dict[str, Any]:
        """Coroutine twin of `wait`."""
        with _Awaited(self, request, waiting=False):
            future = asyncio.wrap_future(request.future)
            try:
                async with self._transport.host.awaiting() as drain:
                    while not future.done():
                        await asyncio.wait({future}, timeout=drain() or _SLICE_S)
                        self._watch(request, timeout)
            finally:
                # asyncio logs an exception that nobody asked its future for.
                if not future.cancel() and not future.cancelled():
                    future.exception()
        return self._value(request, waiting=False)

    def wait_steps(self, request: Request) -> Steps[dict[str, Any]]:
        """Return the reply to a request: what `wait` and `wait_async` do, as a part of an operation."""
        value: dict[str, Any] = yield Answer(self, request)
        return value

    def _value(self, request: Request, *, waiting: bool) -> dict[str, Any]:
        """Return the result, or raise the error from here: a user's traceback shows no futures."""
        error = request.future.exception()
        self._tell_answered(request, error, waiting=waiting)
        if error is not None:
            raise error
        if request.check is not None:
            request.check()
        return request.future.result()

    def _tell_answered(self, request: Request, error: BaseException | None, *, waiting: bool) -> None:
        callback = self._on_answered() if self._on_answered is not None else None
        if callback is not None:
            callback(request, error, waiting)

    def wait_for_credit(self, limit_bytes: int, timeout: float | None = 30.0) -> None:
        """Block until no more than ``limit_bytes`` wait in Python to be sent."""
        if self.pending_bytes <= limit_bytes:
            return
        request = Request("", "sending an array to the browser")
        self._await_begins()
        with self._transport.host.blocking() as step:
            while self.pending_bytes > limit_bytes:
                self._check_open()
                with let_in():
                    step(request.future, 0.0005 if self.connected else 0.01)
                self._watch(request, timeout)

    def _await_begins(self) -> None:
        self._last_report = self._watched_at = time.monotonic()
        if self.connected:
            return
        with self._lock:
            if not self.connected and self._closed is None:
                self._transport.revive()

    def _forgive_sleep(self, now: float) -> None:
        """Leave out of every silence the time in which this process was stopped: what came meanwhile has not been read yet."""
        slept, self._watched_at = now - self._watched_at, now
        if slept > _SLEPT_S:
            self._last_report += slept
            self._last_sign += slept
            self._linkless_at = None if self._linkless_at is None else self._linkless_at + slept
            self._contested_at = None if self._contested_at is None else self._contested_at + slept

    def _watch(self, request: Request, timeout: float | None) -> None:
        """Raise, or give the page up, when the silence has lasted too long."""
        if request.future.done():
            return
        with self._lock:
            now = time.monotonic()
            self._forgive_sleep(now)
            silent = now - self._last_report
            if self._mismatch is not None and not self.connected:
                raise errors.ProtocolMismatchError(self._mismatch)
            if self._decide_links(now):
                pass
            elif not self.connected:
                failed = self._transport.failure()
                if failed is not None:
                    raise errors.NoFrontendError(failed)
                self._transport.nudge(silent)
            elif self._decide_contest() or self._ask_for_missing(now):
                pass
            elif silent > _ping_after(timeout) and now - self._last_ping > _ping_after(timeout) / 2:
                self._last_ping = now
                self._session.ping()
                # Messages may have died with a dropped socket: ask again, less and less often.
                if silent > 2 * _PING_AFTER_S * 2**self._recoveries:
                    self._recoveries += 1
                    self._session.recover()
            if self.connected and silent > _LOST_AFTER_S and now - self._last_sign > _LOST_AFTER_S:
                self._session.lose_page(
                    f"the page has not answered for {now - self._last_sign:.0f} s: it was closed, or the network is gone"
                )
            self._settle()
            if request.future.done():
                return
            timeout = timeout if self.connected else self._hurried(timeout)
            if timeout is not None and silent > timeout:
                raise self._timed_out(request, timeout)

    def _hurried(self, timeout: float | None) -> float | None:
        """Return how long a page that is not there is waited for: in a second try, no longer than one takes to come back."""
        hurry = patience()
        if hurry is None or self._transport.starts_pages:
            return timeout
        if self._goodbye_at is not None and not self._transport.comes_back(self._goodbye_at):
            hurry = min(hurry, _GONE_AFTER_S)
        return hurry if timeout is None else min(timeout, hurry)

    def _ask_for_missing(self, now: float) -> bool:
        """Ask for a message that later ones have overtaken, when it is lost and not late."""
        if not self._session.misses:
            self._gap_since = None
        elif self._gap_since is None:
            self._gap_since = now
        elif now - self._gap_since > _GAP_S:
            self._gap_since = now
            self._session.recover()
            return True
        return False

    def _decide_contest(self) -> bool:
        """Another page said hello: the leader, pinged then, has had its time to answer."""
        if self._contested_at is None or time.monotonic() - self._contested_at < _CONTEST_S:
            return False
        self._contested_at = None
        self._session.lose_page("the page was closed or reloaded, and another one took over")
        self._settle()
        return True

    def _timed_out(self, request: Request, timeout: float) -> errors.FrontendError:
        if not self.connected:
            return errors.NoFrontendError(f"no browser page answered for {timeout:g} s. {self._transport.advice()}")
        doing = ""
        if self._working_on:
            doing = f" The oldest kernel that has not finished is {self._working_on}: if its loop never ends, mend it;"
        elif self._working_on is None and self._last_label:
            doing = f" The last kernel sent was {self._last_label!r}: if its loop never ends, mend it;"
        if self._transport.restart():
            self._recovery.begin(hung=self._had_device)
            self._had_device = False
            self._session.lose_page(f"nothing finished for {timeout:g} s, so the browser was started anew", left=True)
        else:
            self._session.reset(f"nothing finished for {timeout:g} s")
        self._settle()
        return errors.FrontendTimeoutError(
            f"{request.what}: the page is there, but its GPU has finished nothing for {timeout:g} s.{doing} "
            "if the work is only long, pass a larger timeout (None waits for ever). The GPU is being reset; arrays from before are gone"
        )


class _Awaited:
    """A block that waits for a request, and gives it up when it is broken off. A class, since each call that reads passes here."""

    __slots__ = ("_connection", "_request", "_waiting")

    def __init__(self, connection: Connection, request: Request, *, waiting: bool) -> None:
        self._connection, self._request, self._waiting = connection, request, waiting

    def __enter__(self) -> None:
        self._connection._await_begins()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            self._connection.cancel(self._request)
            self._connection._tell_answered(self._request, error, waiting=self._waiting)


def _ping_after(timeout: float | None) -> float:
    """Return the seconds of silence after which the page is asked what it does: in time to say it in the error."""
    return _PING_AFTER_S if timeout is None else min(_PING_AFTER_S, timeout / 3)
