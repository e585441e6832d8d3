"""Work in many pieces: handed out as browsers ask for it, so that fast ones get more, and finished whatever happens to one of them.

Each piece is a Dask task. Dask runs it, sends it elsewhere when a browser is lost, and cancels it; what is decided here is only which browser is asked first,
when, and whether a piece that is long overdue is tried a second time.
"""

from __future__ import annotations

import itertools
import queue
import statistics
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.cluster.dask import GPU_RESOURCE, HALF, run_on_gpu

if TYPE_CHECKING:
    from distributed import Future

    from webgpu_widget.cluster.hub import Member
    from webgpu_widget.cluster.pool import Cluster

_WINDOW = 2
_TICK_S = 0.25
_OVERDUE = 3.0
_OVERDUE_S = 2.0


@dataclass(eq=False)
class Piece:
    """One task of many.

    Attributes
    ----------
    index : int
        Its place in the result.
    args : tuple
        What the function gets after the GPU.
    cost : float
        Estimated, in any unit; dear ones go first.
    """

    index: int
    args: tuple[Any, ...]
    cost: float = 1.0
    futures: dict[str, Future] = field(default_factory=dict)
    member: Member | None = None
    started: float = 0.0
    done: bool = False


Choose = Callable[["Member", Sequence[Piece]], int]
"""Which of the pending pieces, dearest first, a member gets: its position."""


class Flow:
    """Pieces on their way through a cluster.

    Parameters
    ----------
    cluster : Cluster
        Where they run.
    fn : callable
        Called as ``fn(gpu, *piece.args)`` in tasks.
    choose : callable, optional
        Picks the piece that a member gets; the dearest one when left out.
    retries : int
        How often a piece that raises is tried again.
    """

    def __init__(
        self, cluster: Cluster, fn: Callable[..., Any], choose: Choose | None = None, retries: int = 1
    ) -> None:
        self._cluster = cluster
        self._fn = fn
        self._choose = choose or (lambda _member, _pending: 0)
        self._retries = retries
        self._name = getattr(fn, "__name__", type(fn).__name__).strip("_")
        self._batch = uuid.uuid4().hex[:10]
        self._numbers = itertools.count()
        self._events: queue.SimpleQueue[tuple[Piece, Future] | None] = queue.SimpleQueue()
        self._rates: list[float] = []
        self.second_tries = 0

    def run(
        self,
        pieces: Iterable[Piece],
        on_result: Callable[[Piece, Any], None],
        timeout: float | None = 60.0,
    ) -> None:
        """Run all pieces; returns when each has had its one result.

        Parameters
        ----------
        pieces : iterable of Piece
            What to do.
        on_result : callable
            Called with a piece and its value, in this thread, once for each piece.
        timeout : float or None
            Seconds without a browser after which it is given up.

        Raises
        ------
        ClusterError
            When there is no browser for ``timeout`` seconds.
        """
        pending = sorted(pieces, key=lambda piece: -piece.cost)
        running: list[Piece] = []
        last_seen = time.monotonic()
        self._cluster._listeners.append(self._wake)
        try:
            while pending or running:
                self._cluster._open()
                if self._cluster._roster.present("ready"):
                    last_seen = time.monotonic()
                    self._hand_out(pending, running)
                elif timeout is not None and time.monotonic() - last_seen > timeout:
                    raise errors.ClusterError(
                        f"no browser is left, and none has joined for {timeout:g} s; {len(pending) + len(running)} pieces are not done. "
                        "Start one with cluster.launch() or open cluster.url"
                    )
                self._take(pending, running, on_result)
                self._rescue(pending, running)
        finally:
            self._cluster._listeners.remove(self._wake)
            left = [future for piece in running for future in piece.futures.values()]
            if left:
                self._cluster.client.cancel(left)

    def _wake(self) -> None:
        self._events.put(None)

    # ------------------------------------------------------------ handing out

    def _hand_out(self, pending: list[Piece], running: list[Piece]) -> None:
        members = self._cluster._roster.present("ready")
        load = {member.id: 0 for member in members}
        for piece in running:
            if piece.member is not None and piece.member.id in load:
                load[piece.member.id] += len(piece.futures)
        # One for each before a second for any.
        for level in range(_WINDOW):
            for member in members:
                if pending and load[member.id] == level:
                    piece = pending.pop(self._choose(member, pending))
                    running.append(piece)
                    self._submit(piece, member)
                    load[member.id] += 1
        if not pending:
            self._try_again(members, load, running)

    def _submit(self, piece: Piece, member: Member) -> None:
        key = f"{self._name}-{self._batch}-{piece.index}-{next(self._numbers)}"
        own = self._cluster._room.scheduler is not None
        future = self._cluster.client.submit(
            run_on_gpu,
            self._fn,
            *piece.args,
            key=key,
            resources={GPU_RESOURCE: HALF},
            retries=self._retries,
            # On a scheduler with other workers too, a hint that may be overruled would send the task to one without a GPU.
            workers=[member.address] if own else None,
            allow_other_workers=own,
            pure=False,
        )
        if not piece.futures:
            piece.member = member
            piece.started = time.monotonic()
        piece.futures[key] = future
        future.add_done_callback(lambda done: self._events.put((piece, done)))

    def _try_again(self, members: Sequence[Member], load: dict[str, int], running: Sequence[Piece]) -> None:
        """Give an idle browser a piece that is long overdue elsewhere: throttled, asleep, or hung."""
        if not self._rates:
            return
        rate = statistics.median(self._rates)
        now = time.monotonic()
        for member in members:
            if load[member.id]:
                continue
            overdue = [
                piece
                for piece in running
                if len(piece.futures) == 1
                and piece.member is not member
                and now - piece.started > max(_OVERDUE_S, _OVERDUE * _WINDOW * rate * piece.cost)
            ]
            if not overdue:
                return
            self._submit(min(overdue, key=lambda piece: piece.started), member)
            load[member.id] += 1
            self.second_tries += 1

    # ------------------------------------------------------------ taking in

    def _take(self, pending: list[Piece], running: list[Piece], on_result: Callable[[Piece, Any], None]) -> None:
        """Wait a little for something to happen, and deal with all that has."""
        try:
            event = self._events.get(timeout=_TICK_S)
        except queue.Empty:
            return
        while True:
            if event is not None:
                self._finished(*event, pending, running, on_result)
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return

    def _rescue(self, pending: list[Piece], running: list[Piece]) -> None:
        """Take back what no worker was left for when its own was lost: Dask does not look again at a task that was meant for one that is gone."""
        scheduler = self._cluster._room.scheduler
        if scheduler is None:
            return
        for piece in list(running):
            stuck = [key for key in piece.futures if getattr(scheduler.tasks.get(key), "state", "") == "no-worker"]
            if piece.member is not None and piece.member.state == "gone" and stuck:
                self._cluster.client.cancel([piece.futures.pop(key) for key in stuck])
                if not piece.futures:
                    running.remove(piece)
                    pending.insert(0, piece)

    def _finished(
        self,
        piece: Piece,
        future: Future,
        pending: list[Piece],
        running: list[Piece],
        on_result: Callable[[Piece, Any], None],
    ) -> None:
        if piece.done or future.key not in piece.futures:
            return
        del piece.futures[future.key]
        try:
            value = future.result()
        except CancelledError:
            # Its data was lost with a worker before it came here.
            if not piece.futures:
                running.remove(piece)
                pending.insert(0, piece)
            return
        piece.done = True
        running.remove(piece)
        self._rates.append((time.monotonic() - piece.started) / max(piece.cost, 1e-9))
        if piece.futures:
            self._cluster.client.cancel(list(piece.futures.values()))
            piece.futures.clear()
        on_result(piece, value)
