"""Blocks in browsers: who has which, and the way by which the next one gets it.

A block goes to each browser that needs it once. The first gets it through the hub; the others from one that has it, over a WebRTC data channel that is opened
at first need and signalled by the hub, or through the hub again where no channel opens, one breaks, or the hub has been the faster way.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from webgpu_widget import errors
from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.cluster.channels import Channels, ask
from webgpu_widget.cluster.rates import PEER_RATE, TELLING_BYTES, HubRate, Pair, Traffic
from webgpu_widget.link import protocol, services

if TYPE_CHECKING:
    from webgpu_widget.cluster.hub import Member

log = logging.getLogger("webgpu_widget.cluster")

Way = Literal["peer", "hub"]

_PATIENCE_S = 10.0
_COPIES_BYTES = 1 << 30


@dataclass(eq=False)
class Block:
    """A block of an operand: its values in this process, and its copies in browsers."""

    name: str
    values: NDArray[Any]
    copies: dict[str, GPUArray] = field(default_factory=dict)
    coming: dict[str, Future[GPUArray]] = field(default_factory=dict)


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
        self.channels = Channels(ice_servers)
        self._lock = threading.Lock()
        self._pairs: dict[frozenset[str], Pair] = {}
        self._members: dict[str, Member] = {}
        self._held: dict[str, dict[Block, None]] = {}
        self._sending: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self.hub_rate = HubRate()
        self.present: Callable[[], Sequence[Member]] = tuple
        """The browsers that are there: a block is not kept to be passed on where there is but one."""

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
            if copy is not None and copy._memory.generation == member.device.generation:
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
                    ask(member, services.BLOCK_DROP, services.BlocksDropped(blocks=names))
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
                ask(other, services.PEER_CLOSE, services.PeerNamed(peer=member.id))
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

    def _pair(self, a: str, b: str) -> Pair:
        return self._pairs.setdefault(frozenset((a, b)), Pair())

    def _peer_is_faster(self, size_bytes: int, a: str, b: str) -> bool:
        known = [pair.rate for pair in self._pairs.values() if pair.rate is not None]
        rate = self._pair(a, b).rate or (float(np.mean(known)) if known else PEER_RATE)
        return size_bytes / rate < self.hub_rate.seconds_for(size_bytes)

    # ------------------------------------------------------------ the hub's way

    def _by_hub(self, block: Block, member: Member) -> GPUArray:
        began = time.monotonic()
        if self.way == "hub" or all(other is member for other in self.present()):
            # Nobody waits until it is there: what computes with it is queued behind it.
            made = member.gpu.array(block.values)
            member.device.queue.flush()
            with self._lock:
                self.traffic["hub"].add(block.values.nbytes, time.monotonic() - began)
            return made
        ok = False
        with self._lock:
            self.hub_rate.begin(block.values.nbytes)
        try:
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
        member.device.queue.flush()
        view = memoryview(cast("Any", np.ascontiguousarray(block.values))).cast("B")
        requests = [
            ask(
                member,
                services.BLOCK_PUT,
                services.BlockPut(block=block.name, buffer=made._memory.handle, offset=start, size_bytes=view.nbytes),
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
        if array._device is member.device:
            return array
        with self._lock:
            self._members[member.id] = member
            source = next((one for one in self._members.values() if one.device is array._device), None)
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
            self.channels.open(pair, source, member)
            began = time.monotonic()
            made = member.gpu.empty(array.shape, array.dtype)
            member.device.queue.flush()
            array._device.queue.flush()
            with self._lock:
                self._sending[source.id] = self._sending.get(source.id, 0) + 1
            try:
                self.channels.transfer(name, array, source, made, member)
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
            if array.nbytes >= TELLING_BYTES:
                pair.learn(array.nbytes / max(seconds, 1e-6))
        source.peer_bytes_out += array.nbytes
        member.peer_bytes_in += array.nbytes
        return made

    def bare_rate(self, source: Member, member: Member, size_bytes: int, message_bytes: int = 65536) -> float:
        """Measure what a channel carries with nothing around it, in bytes a second."""
        self.channels.open(self._pair(source.id, member.id), source, member)
        return self.channels.bare_rate(source, member, size_bytes, message_bytes)
