"""Work in many pieces: handed out as browsers ask for it, so that fast ones get more, and finished whatever happens to one of them.

Each piece is a Dask task. Dask runs it, sends it elsewhere when a browser is lost, and cancels it; what is decided here is only which browser is asked first,
when, and whether a piece that is long overdue is tried a second time.

A graph costs Dask and its client much more than one more task in it, so pieces go out in graphs: all that browsers have room for, after a short wait for more of them to
have room. The second piece of each browser fills that wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import statistics
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dask.base import annotate
from distributed.client import done_callback

from webgpu_widget import errors
from webgpu_widget.cluster.dask import GPU_RESOURCE, HALF, run_on_gpu

if TYPE_CHECKING:
    from distributed import Future

    from webgpu_widget.cluster.hub import Member
    from webgpu_widget.cluster.pool import Cluster

T = TypeVar("T")

_WINDOW = 2
_TICK_S = 0.25
_GATHER = 0.01
"""Share of a piece's usual time that is waited for more browsers to have room."""
_GATHER_S = 0.1
_GRAPH = 128
"""Most pieces in a graph."""
_RECENT = 64
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
        Estimated, in any unit; costly ones go first.
    tries : dict
        Futures on their way by key, each with the browser that it was meant for.
    started : float
        When the first of them was handed out.
    """

    index: int
    args: tuple[Any, ...]
    cost: float = 1.0
    tries: dict[str, tuple[Future[Any], Member]] = field(default_factory=dict)
    started: float = 0.0
    done: bool = False


def run_piece(fn: Callable[..., T], args: tuple[Any, ...]) -> T:
    """Run a piece in a task."""
    return run_on_gpu(fn, *args)


Choose = Callable[["Member", Sequence[Piece]], int]
"""Which of the pending pieces, dearest first, a member gets: its position."""
OnResult = Callable[[Piece, Any], None]


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

    Attributes
    ----------
    overdue : float
        How many times the usual time a piece may take before an idle browser tries it too.
    second_tries : int
        How often that happened.
    graphs : int
        In how many graphs pieces were given to Dask.
    all_handed_out_at : float
        When (`time.monotonic`) the last piece was first handed out.
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
        self._events: queue.SimpleQueue[tuple[Piece, Future[Any]] | None] = queue.SimpleQueue()
        self._pending: list[Piece] = []
        self._running: dict[Piece, None] = {}
        self._load: Counter[str] = Counter()
        self._listening: set[asyncio.Task[None]] = set()
        self._rates: deque[float] = deque(maxlen=_RECENT)
        self.overdue = _OVERDUE
        self.second_tries = 0
        self.graphs = 0
        self.all_handed_out_at = 0.0

    def run(self, pieces: Iterable[Piece], on_result: OnResult, timeout: float | None = 60.0) -> None:
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
        self._pending = sorted(pieces, key=lambda piece: -piece.cost)
        last_seen = looked_at = time.monotonic()
        self._cluster._listeners.append(self._wake)
        try:
            while self._pending or self._running:
                self._cluster._open()
                members = self._cluster._roster.present("ready")
                now = time.monotonic()
                if members:
                    last_seen = now
                    self._hand_out(members)
                elif timeout is not None and now - last_seen > timeout:
                    raise errors.ClusterError(
                        f"no browser is left, and none has joined for {timeout:g} s; {len(self._pending) + len(self._running)} pieces are not done. "
                        "Start one with cluster.launch() or open cluster.url"
                    )
                self._take(on_result)
                if now - looked_at > _TICK_S:
                    looked_at = now
                    self._rescue()
                    if not self._pending:
                        self._try_again(members)
        finally:
            self._cluster._listeners.remove(self._wake)
            self._cancel([future for piece in self._running for future, _ in piece.tries.values()])

    def _wake(self) -> None:
        self._events.put(None)

    def _cancel(self, futures: list[Future[Any]]) -> None:
        if futures:
            self._cluster.client.cancel(futures)

    # ------------------------------------------------------------ handing out

    def _hand_out(self, members: Sequence[Member]) -> None:
        handed: list[tuple[Piece, Member]] = []
        # One for each before a second for any.
        for level in range(_WINDOW):
            for member in members:
                if not self._pending:
                    break
                if self._load[member.id] == level:
                    piece = self._pending.pop(self._choose(member, self._pending))
                    self._running[piece] = None
                    self._load[member.id] += 1
                    handed.append((piece, member))
        # The first of a thousand is not kept waiting for the last.
        for start in range(0, len(handed), _GRAPH):
            self._submit(handed[start : start + _GRAPH])
        if not self._pending and not self.all_handed_out_at:
            self.all_handed_out_at = time.monotonic()

    def _submit(self, handed: Sequence[tuple[Piece, Member]]) -> None:
        """Give pieces to Dask, in one graph, in this order of priority."""
        self.graphs += 1
        keys = [f"{self._name}-{self._batch}-{piece.index}-{next(self._numbers)}" for piece, _ in handed]
        # Our own scheduler has no workers but browsers, so naming one is enough, and looking through the resources of a thousand is saved.
        # On another one, which has workers of other kinds, a hint that may be overruled would send the task to one without a GPU.
        own = self._cluster._room.scheduler is not None
        where = {key: [member.address] for key, (_, member) in zip(keys, handed, strict=True)}
        hint = annotate(workers=where.__getitem__, allow_other_workers=True) if own else contextlib.nullcontext()
        with hint:
            futures = self._cluster.client.map(
                partial(run_piece, self._fn),
                [piece.args for piece, _ in handed],
                key=keys,
                resources=None if own else {GPU_RESOURCE: HALF},
                retries=self._retries,
                pure=False,
            )
        now = time.monotonic()
        for key, (piece, member), future in zip(keys, handed, futures, strict=True):
            if not piece.tries:
                piece.started = now
            piece.tries[key] = (future, member)
        self._cluster._room.soon(self._listen, [piece for piece, _ in handed], futures)

    def _listen(self, pieces: Sequence[Piece], futures: Sequence[Future[Any]]) -> None:
        """Have the end of futures told; on the client's loop, past the thread that their own callbacks run in."""
        for piece, future in zip(pieces, futures, strict=True):
            self._listening.add(told := asyncio.create_task(self._tell(piece, future)))
            told.add_done_callback(self._listening.discard)

    async def _tell(self, piece: Piece, future: Future[Any]) -> None:
        await done_callback(future, lambda done: self._events.put((piece, done)))

    def _forget(self, piece: Piece, key: str) -> Future[Any]:
        future, member = piece.tries.pop(key)
        self._load[member.id] -= 1
        return future

    def _again(self, piece: Piece) -> None:
        """Queue a piece anew when nothing of it is under way."""
        if not piece.tries:
            del self._running[piece]
            self._pending.insert(0, piece)

    def _try_again(self, members: Sequence[Member]) -> None:
        """Give an idle browser a piece that is long overdue elsewhere: throttled, asleep, or hung."""
        if not self._rates:
            return
        usual = self.overdue * _WINDOW * self._usual()
        now = time.monotonic()
        late = [
            piece
            for piece in self._running
            if len(piece.tries) == 1 and now - piece.started > max(_OVERDUE_S, usual * piece.cost)
        ]
        for member in members:
            if self._load[member.id]:
                continue
            mine = [piece for piece in late if all(other is not member for _, other in piece.tries.values())]
            if not mine:
                continue
            piece = min(mine, key=lambda piece: piece.started)
            late.remove(piece)
            self._load[member.id] += 1
            self._submit([(piece, member)])
            self.second_tries += 1

    def _usual(self) -> float:
        """Return the seconds that a unit of cost has usually taken of late."""
        return statistics.median(self._rates) if self._rates else 0.0

    def _rescue(self) -> None:
        """Take back what no worker was left for when its own was lost: Dask does not look again at a task that was meant for one that is gone."""
        scheduler = self._cluster._room.scheduler
        if scheduler is None:
            return
        stuck = [
            (piece, key)
            for piece in self._running
            for key, (_, member) in piece.tries.items()
            if member.state == "gone" and getattr(scheduler.tasks.get(key), "state", "") == "no-worker"
        ]
        self._cancel([self._forget(piece, key) for piece, key in stuck])
        for piece, _ in stuck:
            if piece in self._running:
                self._again(piece)

    # ------------------------------------------------------------ taking in

    def _gather(self) -> None:
        """Wait for more to happen while browsers have a second piece, so that the next ones go out in one graph."""
        if self._pending:
            time.sleep(min(_GATHER_S, _GATHER * self._usual() * self._pending[0].cost))

    def _take(self, on_result: OnResult) -> None:
        """Wait a little for something to happen, and deal with all that has."""
        ended: list[tuple[Piece, Future[Any]]] = []
        try:
            event = self._events.get(timeout=_TICK_S)
            self._gather()
            while True:
                if event is not None and not event[0].done and event[1].key in event[0].tries:
                    self._forget(event[0], event[1].key)
                    ended.append(event)
                event = self._events.get_nowait()
        except queue.Empty:
            pass
        finished = [(piece, future) for piece, future in ended if future.status == "finished"]
        for piece, future in ended:
            if future.status == "error":
                future.result()
            elif future.status != "finished":
                # Cancelled, or its data was lost with a worker before it came here.
                self._again(piece)
        values = self._cluster._room.values([future for _, future in finished], self._cluster.client)
        surplus: list[Future[Any]] = []
        for (piece, _), value in zip(finished, values, strict=True):
            if piece.done:
                continue
            piece.done = True
            del self._running[piece]
            self._rates.append((time.monotonic() - piece.started) / max(piece.cost, 1e-9))
            surplus += [self._forget(piece, key) for key in list(piece.tries)]
            on_result(piece, value)
        self._cancel(surplus)
        self._cluster._room.soon(_release, [future for _, future in ended])


def _release(futures: Sequence[Future[Any]]) -> None:
    """Forget futures; on the client's loop, for from elsewhere each would wake it."""
    for future in futures:
        future.release()
