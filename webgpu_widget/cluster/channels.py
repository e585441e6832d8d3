"""Data channels from browser to browser: opened at first need, signalled by the hub."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.link import services
from webgpu_widget.link.services import A, P, R, Service
from webgpu_widget.link.wire import Schema

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.cluster.hub import Member
    from webgpu_widget.cluster.rates import Pair
    from webgpu_widget.link.connection import Request

__all__ = ["Channels", "ask"]

log = logging.getLogger("webgpu_widget.cluster")

_OPEN_MS = 8000
_SLOWEST = 0.5e6
"""Bytes a second below which a transfer is given up, after a while."""
_PATIENCE_S = 10.0


def ask(
    member: Member,
    service: Service[P, A, R],
    params: P,
    buffers: Sequence[Any] = (),
    on_report: Callable[[R], None] | None = None,
) -> Request:
    """Ask a browser's service, past its queue's lock: a large array on its way there must not hold up signalling."""
    on_progress = None if on_report is None else service.reports(on_report)
    request = member.connection.new_request(f"{service.name} of {member.id}", on_progress=on_progress)
    member.connection.submit([service.command(params, request.id)], buffers, [request])
    return request


_ICE_SERVER: Schema[services.IceServer] = Schema(services.IceServer)


def _ice_server(given: object) -> services.IceServer:
    if not _ICE_SERVER.matches(given):
        raise errors.ClusterError(
            f"ice_servers has {given!r:.200}; each is a dict with urls, a text or a list of texts, and with username and credential where that server asks for them"
        )
    return given


class Channels:
    """See the module.

    Parameters
    ----------
    ice_servers : sequence of dict
        ``RTCIceServer``s.
    """

    def __init__(self, ice_servers: Sequence[dict[str, Any]]) -> None:
        self._ice_servers = [_ice_server(one) for one in ice_servers]
        self._numbers = itertools.count(1)
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where signals are passed on."""

    def transfer(self, name: str, array: GPUArray, source: Member, made: GPUArray, member: Member) -> None:
        """Bring an array's bytes to another browser, over a channel that is open."""
        size = array.nbytes + (-array.nbytes % 4)
        transfer = next(self._numbers)

        def side(peer: Member, buffer: int) -> services.BlockMoved:
            return {"transfer": transfer, "block": name, "size_bytes": size, "peer": peer.id, "buffer": buffer}

        receiving = ask(member, services.PEER_RECEIVE, side(source, made._memory.handle))
        sending = ask(source, services.PEER_SEND, side(member, array._buffer().handle))
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

    def open(self, pair: Pair, source: Member, member: Member) -> None:
        """Open the channel of two browsers, once."""
        with pair.lock:
            if pair.open:
                return
            answering = self._call(source, member, initiator=False)
            offering = self._call(member, source, initiator=True)
            self._both(member, offering, source, answering, _OPEN_MS / 1000 + 4)
            pair.open = True
            pair.failed_at = None

    def _call(self, caller: Member, called: Member, *, initiator: bool) -> Request:
        params: services.PeerOpen = {
            "peer": called.id,
            "initiator": initiator,
            "ice_servers": self._ice_servers,
            "timeout_ms": _OPEN_MS,
            "signals": [],
        }
        return ask(caller, services.PEER_OPEN, params, on_report=self._relay(caller, called))

    def _relay(self, sender: Member, target: Member) -> Callable[[services.PeerSaid], None]:
        """Pass what one browser says to the other, outside of the sender's lock."""
        loop = self.loop

        def tell(signal: services.PeerSignal) -> None:
            try:
                ask(target, services.PEER_SIGNAL, services.PeerHears(peer=sender.id, signals=[signal]))
            except errors.WebGPUWidgetError:
                log.debug("%s left while it was called by %s", target.id, sender.id)

        def heard(said: services.PeerSaid) -> None:
            if loop is not None:
                loop.call_soon_threadsafe(tell, said["signal"])

        return heard

    def bare_rate(self, source: Member, member: Member, size_bytes: int, message_bytes: int) -> float:
        """Measure what an open channel carries with nothing around it, in bytes a second."""
        params: services.PeerBare = {"peer": member.id, "size_bytes": size_bytes, "message_bytes": message_bytes}
        request = ask(source, services.PEER_BARE, params)
        return size_bytes / (services.PEER_BARE.answer(source.connection.wait(request, 120.0))["ms"] / 1000)
