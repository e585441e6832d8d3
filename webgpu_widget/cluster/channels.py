"""Data channels from browser to browser: opened at first need, signalled by the hub."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors

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


class Channels:
    """See the module.

    Parameters
    ----------
    ice_servers : sequence of dict
        ``RTCIceServer``s.
    """

    def __init__(self, ice_servers: Sequence[dict[str, Any]]) -> None:
        self._ice_servers = list(ice_servers)
        self._numbers = itertools.count(1)
        self.loop: asyncio.AbstractEventLoop | None = None
        """Where signals are passed on."""

    def transfer(self, name: str, array: GPUArray, source: Member, made: GPUArray, member: Member) -> None:
        """Bring an array's bytes to another browser, over a channel that is open."""
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

    def open(self, pair: Pair, source: Member, member: Member) -> None:
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

    def bare_rate(self, source: Member, member: Member, size_bytes: int, message_bytes: int) -> float:
        """Measure what an open channel carries with nothing around it, in bytes a second."""
        request = ask(
            source, "peer-bare", {"peer": member.id, "size_bytes": size_bytes, "message_bytes": message_bytes}
        )
        return size_bytes / (float(source.connection.wait(request, 120.0)["ms"]) / 1000)
