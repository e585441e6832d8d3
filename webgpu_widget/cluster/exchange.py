"""Blocks in browsers: who has which, and the way by which the next one gets it.

A block goes to each browser that needs it once. The first gets it through the hub; the others from one that has it, over a WebRTC data channel that is opened
at first need and signalled by the hub, or through the hub again where no channel opens, one breaks, or the hub has been the faster way.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from webgpu_widget import errors, protocol
from webgpu_widget.array import GPUArray

if TYPE_CHECKING:
    from webgpu_widget._connection import Request
    from webgpu_widget.cluster.hub import Member

log = logging.getLogger("webgpu_widget.cluster")

Way = Literal["peer", "hub"]

_OPEN_MS = 8000
_RETRY_S = 60.0
_SLOWEST = 0.5e6
"""Bytes a second below which a transfer is given up, after a while."""
_PATIENCE_S = 10.0
_COPIES_BYTES = 1 << 30
_LEARN = 0.3
_PEER_RATE = 16e6
_HUB_RATE = 3e8
"""Bytes a second that are assumed before anything was seen (docs/cluster.md)."""
_TELLING_BYTES = 1 << 18
"""Shorter transfers tell of latency, not of bytes a second."""
_MEMORY_BYTES = 64 << 20


@dataclass
class Traffic:
    """What went one way.

    Attributes
    ----------
    transfers, bytes : int
        How many, and their bytes.
    seconds : float
        Sum of their times, waits included.
    """

    transfers: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def add(self, size_bytes: int, seconds: float) -> None:
        """Count one."""
        self.transfers += 1
        self.bytes += size_bytes
        self.seconds += seconds


@dataclass(eq=False)
class Block:
    """A block of an operand: its values in this process, and its copies in browsers."""

    name: str
    values: NDArray[Any]
    copies: dict[str, GPUArray] = field(default_factory=dict)
    coming: dict[str, Future[GPUArray]] = field(default_factory=dict)


class HubRate:
    """Bytes a second that the hub carries, over the time in which it has any to carry. Not its own lock.

    Transfers go on side by side, so that the time of one says how long it waited for the others, too.
    """

    def __init__(self) -> None:
        self.waiting_bytes = 0
        self._bytes, self._seconds = _MEMORY_BYTES / 16, _MEMORY_BYTES / 16 / _HUB_RATE
        self._since = 0.0

    def begin(self, size_bytes: int) -> None:
        """Take note of a transfer."""
        self._pass()
        self.waiting_bytes += size_bytes

    def end(self, size_bytes: int, *, ok: bool) -> None:
        """Take note of its end."""
        if self.waiting_bytes >= _TELLING_BYTES:
            self._pass()
            self._bytes += size_bytes if ok else 0
        self.waiting_bytes -= size_bytes
        if self._bytes > _MEMORY_BYTES:
            self._bytes, self._seconds = self._bytes / 2, self._seconds / 2

    def _pass(self) -> None:
        now = time.monotonic()
        if self.waiting_bytes >= _TELLING_BYTES:
            self._seconds += now - self._since
        self._since = now

    def seconds_for(self, size_bytes: int) -> float:
        """Return how long a transfer would take that begins now."""
        return (size_bytes + self.waiting_bytes) * self._seconds / self._bytes


class _Pair:
    """The channel between two browsers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open = False
        self.failed_at: float | None = None
        self.rate: float | None = None

    @property
    def hopeless(self) -> bool:
        return self.failed_at is not None and time.monotonic() - self.failed_at < _RETRY_S


def ask(
    member: Member,
    name: str,
    params: dict[str, Any],
    buffers: Sequence[Any] = (),
    on_progress: Callable[[dict[str, Any]], None] | None = None,
) -> Request:
    """Ask a browser's service, past its queue's lock: a large array on its way there must not hold up signalling."""
    request = member.connection.new_request(f"{name} of {member.id}", on_progress=on_progress)
    command = {"op": "service", "id": request.id, "name": name, "params": params}
    member.connection.submit([command], buffers, [request])
    return request


class Exchange:
    """See the module.

    Parameters
    ----------
    way : {"auto", "peer", "hub"}
        See `Cluster`.
    ice_servers : sequence of dict
        ``RTCIceServer``s.
    """

    def __init__(self, way: str, ice_servers: Sequence[dict[str, Any]]) -> None:
        if way not in {"auto", "peer", "hub"}:
            raise errors.ClusterError(f"exchange is {way!r}; it is 'auto', 'peer' or 'hub'")
        self.way = way
        self.traffic: dict[Way, Traffic] = {"peer": Traffic(), "hub": Traffic()}
        self.waited_s = 0.0
        self._ice_servers = list(ice_servers)
        self._lock = threading.Lock()
        self._pairs: dict[frozenset[str], _Pair] = {}
        self._members: dict[str, Member] = {}
        self._held: dict[str, dict[Block, None]] = {}
        self._sending: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self.hub_rate = HubRate()
        self.loop: asyncio.AbstractEventLoop | None = None

    # ------------------------------------------------------------ blocks

    def get(self, block: Block, member: Member) -> GPUArray:
        """Return the copy of a block in a browser, bringing it there first if need be.

        Raises
        ------
        FrontendError, DeviceError
            When that browser is lost meanwhile.
        """
        began = time.monotonic()
        try:
            return self._get(block, member)
        finally:
            with self._lock:
                self.waited_s += time.monotonic() - began

    def _get(self, block: Block, member: Member) -> GPUArray:
        mine: Future[GPUArray] | None = None
        with self._lock:
            self._members[member.id] = member
            copy = block.copies.get(member.id)
            if copy is not None and copy._memory.generation == member.gpu._queue.generation:
                held = self._held.setdefault(member.id, {})
                held.pop(block, None)
                held[block] = None
                return copy
            theirs = block.coming.get(member.id)
            if theirs is None:
                mine = block.coming[member.id] = Future()
        if mine is None:
            return cast("Future[GPUArray]", theirs).result(timeout=600)
        try:
            made = self._bring(block, member)
        except BaseException as error:
            with self._lock:
                block.coming.pop(member.id, None)
            mine.set_exception(error)
            raise
        with self._lock:
            block.coming.pop(member.id, None)
            block.copies[member.id] = made
            self._make_room(block, member)
        mine.set_result(made)
        return made

    def _make_room(self, block: Block, member: Member) -> None:
        """Forget copies that were not used for longest; tasks that compute with them keep them until they are done."""
        held = self._held.setdefault(member.id, {})
        held[block] = None
        total = sum(other.values.nbytes for other in held)
        for other in list(held):
            if total <= _COPIES_BYTES or other is block:
                break
            total -= other.values.nbytes
            del held[other]
            other.copies.pop(member.id, None)

    def missing_bytes(self, block: Block, member: Member) -> int:
        """Return what would have to be brought."""
        return 0 if member.id in block.copies or member.id in block.coming else block.values.nbytes

    def release(self, blocks: Sequence[Block]) -> None:
        """Forget blocks and their copies."""
        by_member: dict[str, list[str]] = {}
        with self._lock:
            for block in blocks:
                for name in block.copies:
                    by_member.setdefault(name, []).append(block.name)
                    self._held.get(name, {}).pop(block, None)
                block.copies.clear()
        for name, names in by_member.items():
            member = self._members[name]
            if member.state == "ready":
                try:
                    ask(member, "block-drop", {"blocks": names})
                except errors.WebGPUWidgetError:
                    log.debug("%s left while its blocks were dropped", name)

    def forget(self, member: Member) -> None:
        """Hear that a browser is gone."""
        with self._lock:
            for block in self._held.pop(member.id, {}):
                block.copies.pop(member.id, None)
            self._members.pop(member.id, None)
            others = [
                self._members[other]
                for pair in list(self._pairs)
                if member.id in pair
                for other in pair - {member.id}
                if self._pairs.pop(pair).open and other in self._members
            ]
        for other in others:
            try:
                ask(other, "peer-close", {"peer": member.id})
            except errors.WebGPUWidgetError:
                log.debug("%s left too", other.id)

    def _bring(self, block: Block, member: Member) -> GPUArray:
        source = self._source(block, member)
        if source is not None:
            made = self._by_peer(block.name, source[1], source[0], member)
            if made is not None:
                return made
        return self._by_hub(block, member)

    def _source(self, block: Block, member: Member) -> tuple[Member, GPUArray] | None:
        """Pick the browser to get a block from; None for the hub."""
        if self.way == "hub":
            return None
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            with self._lock:
                found = [
                    (self._sending.get(name, 0), name, copy)
                    for name, copy in block.copies.items()
                    if name in self._members and not self._pair(name, member.id).hopeless
                ]
                coming = [future for name, future in block.coming.items() if name != member.id]
                if found:
                    _, name, copy = min(found, key=lambda one: one[:2])
                    if self.way == "auto" and not self._peer_is_faster(block.values.nbytes, name, member.id):
                        return None
                    return self._members[name], copy
                # Who waits for each other's copy of it would wait for ever: the first to ask goes to the hub.
                first = next(iter(block.coming), member.id) == member.id
                if first or not coming or self.way == "auto" or time.monotonic() > deadline:
                    return None
            wait(coming[:1], timeout=0.5)

    def _pair(self, a: str, b: str) -> _Pair:
        return self._pairs.setdefault(frozenset((a, b)), _Pair())

    def _peer_is_faster(self, size_bytes: int, a: str, b: str) -> bool:
        known = [pair.rate for pair in self._pairs.values() if pair.rate is not None]
        rate = self._pair(a, b).rate or (float(np.mean(known)) if known else _PEER_RATE)
        return size_bytes / rate < self.hub_rate.seconds_for(size_bytes)

    # ------------------------------------------------------------ the hub's way

    def _by_hub(self, block: Block, member: Member) -> GPUArray:
        began = time.monotonic()
        ok = False
        with self._lock:
            self.hub_rate.begin(block.values.nbytes)
        try:
            if self.way == "hub":
                made = member.gpu.array(block.values)
                member.gpu._queue.flush()
            else:
                made = self._put(block, member)
            ok = True
        finally:
            with self._lock:
                self.hub_rate.end(block.values.nbytes, ok=ok)
        with self._lock:
            self.traffic["hub"].add(block.values.nbytes, time.monotonic() - began)
        return made

    @staticmethod
    def _put(block: Block, member: Member) -> GPUArray:
        """Send a block so that the browser keeps its bytes to pass them on."""
        made = member.gpu.empty(block.values.shape, block.values.dtype)
        member.gpu._queue.flush()
        view = memoryview(cast("Any", np.ascontiguousarray(block.values))).cast("B")
        requests = [
            ask(
                member,
                "block-put",
                {
                    "block": block.name,
                    "buffer": made._memory.handle,
                    "offset": start,
                    "size_bytes": view.nbytes,
                },
                [view[start : start + protocol.CHUNK_BYTES]],
            )
            for start in range(0, view.nbytes, protocol.CHUNK_BYTES)
        ]
        for request in requests:
            member.connection.wait(request, 60.0)
        return made

    # ------------------------------------------------------------ from browser to browser

    def move(self, array: GPUArray, member: Member) -> GPUArray:
        """Return an array on a browser's GPU: itself where it is there, else a copy that is brought over."""
        if array._gpu is member.gpu:
            return array
        with self._lock:
            self._members[member.id] = member
            source = next((one for one in self._members.values() if one.gpu is array._gpu), None)
            faster = source is not None and (
                self.way == "peer" or (self.way == "auto" and self._peer_is_faster(array.nbytes, source.id, member.id))
            )
        if source is not None and faster and not self._pair(source.id, member.id).hopeless and array.size:
            made = self._by_peer(f"array-{next(self._numbers)}", array, source, member)
            if made is not None:
                return made
        began = time.monotonic()
        try:
            values = array.numpy()
        except (errors.FrontendError, errors.ClosedError) as error:
            raise errors.ClusterError(
                f"the array was in a browser that is gone ({error}); compute it again, and return what is to survive its browser as NumPy"
            ) from error
        made = member.gpu.array(values)
        self.traffic["hub"].add(array.nbytes, time.monotonic() - began)
        return made

    def _by_peer(self, name: str, array: GPUArray, source: Member, member: Member) -> GPUArray | None:
        """Bring an array over a channel; None when that did not work, and the hub has to do it."""
        pair = self._pair(source.id, member.id)
        try:
            self._open(pair, source, member)
            began = time.monotonic()
            made = member.gpu.empty(array.shape, array.dtype)
            member.gpu._queue.flush()
            array._gpu._queue.flush()
            with self._lock:
                self._sending[source.id] = self._sending.get(source.id, 0) + 1
            try:
                self._transfer(name, array, source, made, member)
            finally:
                with self._lock:
                    self._sending[source.id] -= 1
        except errors.WebGPUWidgetError as error:
            if member.state == "gone" or member.gone.is_set():
                raise
            pair.failed_at, pair.open = time.monotonic(), False
            log.info("no way from %s to %s but the hub: %s", source.id, member.id, error)
            return None
        seconds = time.monotonic() - began
        with self._lock:
            self.traffic["peer"].add(array.nbytes, seconds)
            if array.nbytes >= _TELLING_BYTES:
                pair.rate = _learn(pair.rate, array.nbytes / max(seconds, 1e-6))
        source.peer_bytes_out += array.nbytes
        member.peer_bytes_in += array.nbytes
        return made

    def _transfer(self, name: str, array: GPUArray, source: Member, made: GPUArray, member: Member) -> None:
        size = array.nbytes + (-array.nbytes % 4)
        common = {"transfer": next(self._numbers), "block": name, "size_bytes": size}
        receiving = ask(member, "peer-receive", {**common, "peer": source.id, "buffer": made._memory.handle})
        sending = ask(source, "peer-send", {**common, "peer": member.id, "buffer": array._buffer().handle})
        self._both(member, receiving, source, sending, _PATIENCE_S + size / _SLOWEST)

    @staticmethod
    def _both(a: Member, first: Request, b: Member, second: Request, timeout_s: float) -> None:
        futures = [first.future, second.future]
        wait(futures, timeout=timeout_s, return_when=FIRST_EXCEPTION)
        failed = next((one.exception() for one in futures if one.done() and one.exception()), None)
        if failed is None and all(one.done() for one in futures):
            return
        a.connection.cancel(first)
        b.connection.cancel(second)
        raise failed or errors.ClusterError(f"{first.what} and {second.what} did not end in {timeout_s:.0f} s")

    def _open(self, pair: _Pair, source: Member, member: Member) -> None:
        """Open the channel of two browsers, once."""
        with pair.lock:
            if pair.open:
                return
            common = {"ice_servers": self._ice_servers, "timeout_ms": _OPEN_MS, "signals": []}
            answering = ask(
                source,
                "peer-open",
                {**common, "peer": member.id, "initiator": False},
                on_progress=self._relay(source, member),
            )
            offering = ask(
                member,
                "peer-open",
                {**common, "peer": source.id, "initiator": True},
                on_progress=self._relay(member, source),
            )
            self._both(member, offering, source, answering, _OPEN_MS / 1000 + 4)
            pair.open = True
            pair.failed_at = None

    def _relay(self, sender: Member, target: Member) -> Callable[[dict[str, Any]], None]:
        """Pass what one browser says to the other, outside of the sender's lock."""
        loop = self.loop

        def tell(signal: Any) -> None:
            try:
                ask(target, "peer-signal", {"peer": sender.id, "signals": [signal]})
            except errors.WebGPUWidgetError:
                log.debug("%s left while it was called by %s", target.id, sender.id)

        def heard(value: dict[str, Any]) -> None:
            if "signal" in value and loop is not None:
                loop.call_soon_threadsafe(tell, value["signal"])

        return heard

    def bare_rate(self, source: Member, member: Member, size_bytes: int, message_bytes: int = 65536) -> float:
        """Measure what a channel carries with nothing around it, in bytes a second."""
        self._open(self._pair(source.id, member.id), source, member)
        request = ask(
            source, "peer-bare", {"peer": member.id, "size_bytes": size_bytes, "message_bytes": message_bytes}
        )
        return size_bytes / (float(source.connection.wait(request, 120.0)["ms"]) / 1000)


def _learn(known: float | None, seen: float) -> float:
    return seen if known is None else (1 - _LEARN) * known + _LEARN * seen
