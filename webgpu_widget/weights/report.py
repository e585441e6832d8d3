"""How a load goes, and how it went."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

__all__ = ["LoadReport", "Progress", "Rate", "Stage"]


class Stage(str):  # noqa: SLOT000  it has attributes
    """A stage's name, which also knows how it is.

    Attributes
    ----------
    bytes : int
        In the files.
    gpu_bytes : int
        On the GPU.
    tensors : tuple of str
    state : str
        ``absent``, ``loading`` or ``ready``.
    """

    bytes: int
    gpu_bytes: int
    tensors: tuple[str, ...]
    state: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a load.

    Attributes
    ----------
    state : str
        ``loading``, ``paused``, ``done``, ``failed`` or ``cancelled``.
    bytes_done, bytes_total : int
        In their buffers, of all that was asked for.
    bytes_moved, bytes_from_cache : int
        Where they came from.
    bytes_per_second : float
        Over the last seconds; of the whole load when it is done.
    seconds_left : float or None
        None while it cannot be told.
    stage : str
        The first that is not complete; empty at the end.
    route : str
        ``url``, ``files``, ``comm`` or ``cache``.
    """

    state: str
    bytes_done: int
    bytes_total: int
    bytes_moved: int
    bytes_from_cache: int
    bytes_per_second: float
    seconds_left: float | None
    stage: str
    route: str

    @property
    def fraction(self) -> float:
        """Done, from 0 to 1."""
        return self.bytes_done / self.bytes_total if self.bytes_total else 1.0

    def __str__(self) -> str:
        left = "" if self.seconds_left is None or self.state != "loading" else f", {self.seconds_left:.0f} s left"
        hits = f", {self.bytes_from_cache / 1e6:.1f} MB from cache" if self.bytes_from_cache else ""
        stage = f", stage {self.stage}" if self.stage else ""
        rate = f" at {self.bytes_per_second / 1e6:.1f} MB/s" if self.bytes_per_second else ""
        return (
            f"{self.state}: {self.bytes_done / 1e6:.1f} of {self.bytes_total / 1e6:.1f} MB "
            f"({self.fraction:.0%}){rate}{left}{stage}, by {self.route}{hits}"
        )


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load has cost so far.

    Attributes
    ----------
    bytes_moved : int
        Over the wire.
    bytes_from_cache : int
        From the browser's storage, or shared with another load of the same file.
    seconds : float
        From the call to the last byte (or until now).
    bytes_per_second : float
    peak_buffer_bytes : int
        Most bytes held outside the GPU at once, in the page.
    route : str
        ``url`` (the browser fetched an address), ``files`` (the Jupyter server's files), ``comm`` (Python sent the bytes), or
        ``cache`` (nothing moved).
    endpoint : str
        Which server: ``hub`` for the package's own on this machine, otherwise the address without its path; empty for comm.
    warnings : tuple of str
        Such as a full storage, or one that does not answer: the load goes on without the cache.
    """

    bytes_moved: int
    bytes_from_cache: int
    seconds: float
    bytes_per_second: float
    peak_buffer_bytes: int
    route: str
    endpoint: str
    warnings: tuple[str, ...]


class Rate:
    """Bytes a second over the last few seconds.

    Parameters
    ----------
    window_s : float
    """

    def __init__(self, window_s: float = 3.0) -> None:
        self._window_s = window_s
        self._points: deque[tuple[float, int]] = deque()

    def add(self, total: int, now: float | None = None) -> None:
        """Say how many bytes there are now."""
        now = time.monotonic() if now is None else now
        self._points.append((now, total))
        while len(self._points) > 2 and now - self._points[1][0] > self._window_s:
            self._points.popleft()

    @property
    def bytes_per_second(self) -> float:
        """The rate."""
        if len(self._points) < 2:
            return 0.0
        (t0, b0), (t1, b1) = self._points[0], self._points[-1]
        return max(0, b1 - b0) / (t1 - t0) if t1 > t0 else 0.0
