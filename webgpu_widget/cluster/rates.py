"""What has gone which way, and how fast: by the hub, and between two browsers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

__all__ = ["PEER_RATE", "TELLING_BYTES", "HubRate", "Pair", "Traffic"]

PEER_RATE = 16e6
_HUB_RATE = 3e8
"""Bytes a second that are assumed before anything was seen (docs/cluster.md)."""
TELLING_BYTES = 1 << 18
"""Shorter transfers tell of latency, not of bytes a second."""
_MEMORY_BYTES = 64 << 20
_LEARN = 0.3
_RETRY_S = 60.0


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
        if self.waiting_bytes >= TELLING_BYTES:
            self._pass()
            self._bytes += size_bytes if ok else 0
        self.waiting_bytes -= size_bytes
        if self._bytes > _MEMORY_BYTES:
            self._bytes, self._seconds = self._bytes / 2, self._seconds / 2

    def _pass(self) -> None:
        now = time.monotonic()
        if self.waiting_bytes >= TELLING_BYTES:
            self._seconds += now - self._since
        self._since = now

    def seconds_for(self, size_bytes: int) -> float:
        """Return how long a transfer would take that begins now."""
        return (size_bytes + self.waiting_bytes) * self._seconds / self._bytes


class Pair:
    """The channel between two browsers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open = False
        self.failed_at: float | None = None
        self.rate: float | None = None

    @property
    def hopeless(self) -> bool:
        """Whether no channel opened, or one broke, a short time ago."""
        return self.failed_at is not None and time.monotonic() - self.failed_at < _RETRY_S

    def learn(self, seen: float) -> None:
        """Take note of the bytes a second of a transfer."""
        self.rate = seen if self.rate is None else (1 - _LEARN) * self.rate + _LEARN * seen
