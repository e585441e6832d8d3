"""`Cluster`: what a user holds."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib.util
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from webgpu_widget import errors
from webgpu_widget.link import services
from webgpu_widget.link.steps import drive_async
from webgpu_widget.link.transports._hub import Hub
from webgpu_widget.link.transports._names import server_context, warn_if_open
from webgpu_widget.process.fork import tell_children

if importlib.util.find_spec("distributed") is None:
    raise errors.ClusterError(
        "a cluster needs Dask's scheduler, which is not installed: pip install 'webgpu_widget[cluster]'"
    )

from webgpu_widget.cluster.channels import ask
from webgpu_widget.cluster.dask import GPU_RESOURCE, Room, check_callable, run_on_gpu
from webgpu_widget.cluster.exchange import Exchange
from webgpu_widget.cluster.hub import Member, Roster
from webgpu_widget.cluster.info import WorkerInfo, row
from webgpu_widget.cluster.launched import Launched

if TYPE_CHECKING:
    import numpy as np
    from distributed import Client, Future, Security
    from numpy.typing import NDArray

    from webgpu_widget.cluster.views import LiveTable, Table
    from webgpu_widget.mandelbrot.image import Image

T = TypeVar("T")

_WATCH_S = 0.5
_JOIN_S = 60.0
_running: weakref.WeakSet[Cluster] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for cluster in list(_running):
        cluster.close()


class Cluster:
    """Browsers as workers of a Dask cluster.

    Any browser that opens `url` joins: it gets a GPU here and a Dask worker with ``resources={"webgpu": 1}``. Its tasks go elsewhere when it leaves.

    Parameters
    ----------
    host : str
        Where to listen. ``"0.0.0.0"`` lets other machines in; browsers offer WebGPU there only by https, so pass a certificate.
    port : int
        0 picks a free one.
    scheduler : str, optional
        Address of a running Dask scheduler to join; one in this process when left out. Workers for it listen on this machine's end of the route to it alone:
        on loopback for one on loopback, and over a network only with TLS, since a Dask worker runs the code of whoever reaches it.
    security : distributed.Security, optional
        Dask's certificates, for a scheduler at a ``tls://`` address; what Dask is configured with when left out.
    token : str, optional
        Secret of the address. With the same one and a fixed port, pages rejoin after this process was started again.
    certificate : (str, str), optional
        Paths of a certificate and its key, in PEM, for https.
    exchange : {"auto", "peer", "hub"}
        How blocks go from browser to browser: ``peer`` by WebRTC and by the hub where no channel opens, ``hub`` always by the hub, ``auto`` by the way that has
        been faster between the two.
    ice_servers : sequence of dict
        ``RTCIceServer``s for browsers that do not see each other directly; none by default.
    dashboard_address : str, optional
        Where Dask's dashboard listens, as ``"127.0.0.1:8787"``; needs bokeh. It asks for no password. Without it Dask serves no HTTP at all.

    Raises
    ------
    ClusterError
        When the port is taken, the certificate cannot be read, Dask is not installed, the scheduler does not answer, or it could be joined only by letting
        strangers in.

    Examples
    --------
    >>> import webgpu_widget as wg
    >>> with wg.Cluster() as cluster:
    ...     cluster.launch(1)
    ...     cluster.wait(1)
    ...     cluster.submit(lambda gpu, x: float(gpu.array([x]).numpy()[0]) + 1, 2.0).result()
    3.0
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        scheduler: str | None = None,
        security: Security | None = None,
        token: str | None = None,
        certificate: tuple[str, str] | None = None,
        exchange: str = "auto",
        ice_servers: Sequence[dict[str, Any]] = (),
        dashboard_address: str | None = None,
    ) -> None:
        self._closed = False
        self._closed_because = "this cluster is closed"
        self._client: Client | None = None
        self._launched = Launched()
        self._joined = threading.Condition()
        self._listeners: list[Callable[[], None]] = []
        self._tables: set[LiveTable] = set()
        warn_if_open(
            host,
            "the cluster",
            "every machine that reaches this one and knows the address with its token can compute for you, and see the data of the tasks that it runs",
            stacklevel=2,
        )
        try:
            tls = None if certificate is None else server_context(certificate)
        except OSError as error:
            raise errors.ClusterError(str(error)) from error
        self._exchange = Exchange(exchange, ice_servers)
        self._roster = Roster(self._on_join, self._on_gone)
        self._exchange.present = self._roster.present
        try:
            self._hub = Hub(host, port, tls)
        except OSError as error:
            raise errors.ClusterError(
                f"the cluster cannot listen on {host}:{port}: {error}; pass another port, or 0"
            ) from error
        self._token = self._hub.add_endpoint(self._roster.accept, token)
        try:
            self._room = Room(scheduler, dashboard_address, security)
        except errors.ClusterError:
            self._hub.close()
            raise
        except (OSError, ValueError, TimeoutError) as error:
            self._hub.close()
            raise errors.ClusterError(f"Dask's scheduler could not be started: {error}") from error
        self._exchange.channels.loop = self._room.loop
        self._room.start(self._watch())
        _running.add(self)
        tell_children(self)

    # ------------------------------------------------------------ members

    def _on_join(self, member: Member) -> None:
        self._room.start(self._join(member))

    async def _join(self, member: Member) -> None:
        try:
            member.info = await drive_async(member.device.ready_steps(), _JOIN_S)
            await asyncio.to_thread(self._launched.pin, member.label)
            await self._room.add_worker(member, self._exchange.move, self._roster.drop)
        except (errors.WebGPUWidgetError, OSError, ValueError) as error:
            self._roster.give_up(member, str(error))
            return
        if member.state == "joining":
            member.state = "ready"
        self._changed()

    def _on_gone(self, member: Member) -> None:
        if self._closed:
            member.gone.set()
            return
        self._room.start(self._leave(member))

    async def _leave(self, member: Member) -> None:
        self._exchange.forget(member)
        # Told to the scheduler first, so that it sends the tasks elsewhere; only then do they fail here.
        await self._room.remove_worker(member, expected=member.tasks_running == 0)
        member.connection.page_gone(member.reason)
        await asyncio.to_thread(member.device.close)
        self._changed()

    async def _watch(self) -> None:
        while not self._closed:
            self._roster.watch()
            for shown in list(self._tables):
                shown.refresh()
            self._tell_pages()
            await asyncio.sleep(_WATCH_S)

    def _tell_pages(self) -> None:
        """Have each browser show what it does, when that has changed."""
        for member in self._roster.present("ready"):
            shown: services.WorkerShown = {
                "name": member.id,
                "doing": member.doing,
                "tasks_done": member.tasks_done,
                "tasks_failed": member.tasks_failed,
                "busy_s": round(member.busy_s, 1),
                "bytes_in": member.bytes_in >> 16 << 16,
                "bytes_out": member.bytes_out >> 16 << 16,
                "peer_bytes_in": member.peer_bytes_in,
                "peer_bytes_out": member.peer_bytes_out,
            }
            if shown != member.shown:
                member.shown = shown
                with contextlib.suppress(errors.WebGPUWidgetError):
                    ask(member, services.WORKER_VIEW, shown)

    def _changed(self) -> None:
        with self._joined:
            self._joined.notify_all()
        for listener in list(self._listeners):
            listener()

    # ------------------------------------------------------------ what users call

    @property
    def url(self) -> str:
        """The address that a browser opens to join; the token is in it, so printing it into a notebook that is saved gives it away."""
        self._open()
        return self._hub.page_url(self._token, public=True)

    def launch(
        self, n: int = 1, *, cores: int | Sequence[Collection[int]] | None = None, flags: Sequence[str] = ()
    ) -> None:
        """Start browsers without a window on this machine, each its own process; returns at once.

        Parameters
        ----------
        n : int
            How many.
        cores : int or sequence of collections of int, optional
            Pin each browser to this many cores of its own, or to the cores given for it (Linux). Not pinned when left out.
        flags : sequence of str
            More command line flags for Chromium.

        Raises
        ------
        ClusterError
            When there are not enough cores to pin to.
        NoFrontendError
            When no browser is installed.
        """
        self._open()
        if not isinstance(n, int) or n < 1:
            raise errors.ClusterError(f"launch({n!r}): start at least one browser; n is a whole number")
        self._launched.start(self._hub, self._roster.accept, n, cores, flags)

    def wait(self, n: int = 1, timeout: float | None = 60.0) -> None:
        """Return when browsers are ready.

        Parameters
        ----------
        n : int
            How many at least.
        timeout : float or None
            Seconds to wait in all; None waits for ever.

        Raises
        ------
        ClusterError
            When there are fewer after that time, with what became of the others.
        """
        self._open()
        end = None if timeout is None else time.monotonic() + timeout
        with self._joined:
            while len(self._roster.present("ready")) < n:
                self._open()
                if end is not None and time.monotonic() > end:
                    raise errors.ClusterError(
                        f"{len(self._roster.present('ready'))} of {n} browsers are ready after {timeout:g} s.{self._troubles()} "
                        "Open cluster.url in a browser, or start one here with cluster.launch()"
                    )
                self._joined.wait(0.1)

    async def wait_async(self, n: int = 1, timeout: float | None = 60.0) -> None:
        """Coroutine twin of `wait`."""
        await asyncio.to_thread(self.wait, n, timeout)

    def _troubles(self) -> str:
        ended = self._launched.failures()
        gone = [f"{member.id}: {member.reason}" for member in self._roster.members.values() if member.state == "gone"]
        return "".join(f" {text}." for text in (*ended[-2:], *gone[-2:]))

    @property
    def workers(self) -> list[WorkerInfo]:
        """The browsers that have joined, those that are gone at the end; shows as a table."""
        from webgpu_widget.cluster.views import Table

        rows = [row(member) for member in self._roster.members.values()]
        return Table(sorted(rows, key=lambda one: one.state == "gone"))

    @property
    def client(self) -> Client:
        """An ordinary ``dask.distributed.Client`` of the scheduler."""
        self._open()
        if self._client is None:
            self._client = self._room.client()
        return self._client

    def submit(self, fn: Callable[..., T], /, *args: Any, retries: int = 0, **kwargs: Any) -> Future[Any]:
        """Run ``fn(gpu, *args, **kwargs)`` with the GPU of one of the browsers.

        Parameters
        ----------
        fn : callable
            Gets the GPU first. It runs in a thread of this process (or of the one that the browser joined) and may return anything: what is to
            survive its browser is returned as NumPy arrays, a `GPUArray` stays where it was made.
        *args, **kwargs : object
            Futures among them are waited for; a `GPUArray` of another browser is brought over.
        retries : int
            How often to try again when ``fn`` raises; not passed on to it. A browser that is lost needs none: its tasks go elsewhere.

        Returns
        -------
        distributed.Future

        Raises
        ------
        TaskTypeError
            When ``fn`` cannot be called.
        """
        name = check_callable(fn, "cluster.submit")
        return self.client.submit(
            run_on_gpu,
            fn,
            *args,
            key=f"{name}-{uuid.uuid4().hex[:12]}",
            resources={GPU_RESOURCE: 1},
            retries=retries,
            **kwargs,
        )

    def map(self, fn: Callable[..., T], items: Iterable[Any], *, retries: int = 0) -> list[Future[Any]]:
        """Run ``fn(gpu, item)`` for each item, as `submit` does.

        Parameters
        ----------
        fn : callable
            Gets the GPU first, then the item.
        items : iterable
            What is worked on.
        retries : int
            How often to try an item again when ``fn`` raises.

        Returns
        -------
        list of distributed.Future
            In the order of the items.

        Raises
        ------
        TaskTypeError
            When ``fn`` cannot be called.
        """
        name = check_callable(fn, "cluster.map")
        batch = uuid.uuid4().hex[:12]
        values = list(items)
        made: list[Future[Any]] = self.client.map(
            partial(run_on_gpu, fn),
            values,
            key=[f"{name}-{batch}-{i}" for i in range(len(values))],
            resources={GPU_RESOURCE: 1},
            retries=retries,
            pure=False,
        )
        return made

    # ------------------------------------------------------------ work in many pieces

    def mandelbrot(
        self,
        center: Any = ("-0.75", "0"),
        width: Any = 3,
        size: tuple[int, int] = (800, 600),
        max_iter: int = 1000,
        tile: int | None = None,
        *,
        progress: bool | Callable[[float], None] = False,
        live: bool = False,
    ) -> Image:
        """Compute the Mandelbrot set by tiles.

        Tiles that cost most, by an estimate, go first, and a browser gets the next one when it has done one. A tile is computed alike
        whoever computes it: the picture is the same, bit for bit, with one browser or ten, and when some are lost, as long as their adapters are of one kind.

        Parameters
        ----------
        center : complex, or pair of reals
            Middle of the picture, as of `mandelbrot.render`; text keeps all its digits.
        width : real
            Width of the picture in the plane.
        size : tuple of int
            (width, height) in pixels.
        max_iter : int
            Most iterations of a pixel.
        tile : int, optional
            Pixels a side of a tile; 256 when left out, and up to 1,024 where few GPUs share a large picture.
        progress : bool or callable
            True shows a bar; a callable gets the part that is done.
        live : bool
            Show the picture in the notebook as its tiles arrive.

        Returns
        -------
        webgpu_widget.mandelbrot.Image
            As of `mandelbrot.render`.
        """
        from webgpu_widget.cluster import mandelbrot as tiled
        from webgpu_widget.cluster.views import LivePicture

        self._open()
        shown = LivePicture(size) if live else None
        try:
            return tiled.render(
                self, center, width, size, max_iter, tile, progress, None if shown is None else shown.add
            )
        finally:
            if shown is not None:
                shown.finish()

    async def mandelbrot_async(
        self,
        center: Any = ("-0.75", "0"),
        width: Any = 3,
        size: tuple[int, int] = (800, 600),
        max_iter: int = 1000,
        tile: int | None = None,
        *,
        progress: bool | Callable[[float], None] = False,
        live: bool = False,
    ) -> Image:
        """Coroutine twin of `mandelbrot`."""
        return await asyncio.to_thread(
            self.mandelbrot, center, width, size, max_iter, tile, progress=progress, live=live
        )

    def matmul(
        self, a: Any, b: Any, block: int = 1024, *, progress: bool | Callable[[float], None] = False
    ) -> NDArray[np.float32]:
        """Multiply two matrices by blocks.

        Operands may be larger than one browser's GPU: a browser keeps the blocks that it used last. Each block of the result is checked against
        the operands before it is taken, and computed elsewhere when it is wrong.

        Parameters
        ----------
        a : array_like of float32, (M, K)
            Left operand, in this process or in a file that NumPy maps.
        b : array_like of float32, (K, N)
            Right operand.
        block : int
            Rows and columns of a block.
        progress : bool or callable
            True shows a bar; a callable gets the part that is done.

        Returns
        -------
        ndarray of float32, (M, N)

        Raises
        ------
        ShapeError, DTypeError
            When the operands do not fit.
        ClusterError
            When there is no browser left.
        """
        from webgpu_widget.cluster.matmul import matmul

        self._open()
        return matmul(self, a, b, block, progress)

    async def matmul_async(
        self, a: Any, b: Any, block: int = 1024, *, progress: bool | Callable[[float], None] = False
    ) -> NDArray[np.float32]:
        """Coroutine twin of `matmul`."""
        return await asyncio.to_thread(self.matmul, a, b, block, progress=progress)

    def table(self) -> Any:
        """Return `workers` as a widget that follows the cluster."""
        from webgpu_widget.cluster.views import LiveTable

        shown = LiveTable(lambda: cast("Table", self.workers), self._word)
        self._tables.add(shown)
        return shown.widget

    def _word(self) -> str:
        ready, launched = len(self._roster.present("ready")), len(self._roster.members)
        if self._closed:
            return f"closed; {launched} browser{'' if launched == 1 else 's'} took part"
        return (
            f"{ready} browser{'' if ready == 1 else 's'} ready"
            if launched
            else "no browser yet: open cluster.url in one, or cluster.launch()"
        )

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.table()._repr_mimebundle_(**options)

    def _ipython_display_(self) -> None:
        self.table()._ipython_display_()

    # ------------------------------------------------------------ the end

    def _open(self) -> None:
        if self._closed:
            raise errors.ClosedError(f"{self._closed_because}; make a new one with wg.Cluster()")

    def forked(self, parent: int) -> None:
        """Be of no use in a forked child, and say so.

        Parameters
        ----------
        parent : int
            Process that this one was forked from.
        """
        self._closed = True
        self._closed_because = f"this cluster belongs to the process {parent}, which this one was forked from"
        _running.discard(self)
        self._room.forked()
        if self._client is not None:
            # Dask's own exit would wait for a loop that does not run here.
            self._client.status = "closed"

    def close(self) -> None:
        """Send the browsers away, end those that were launched, and stop Dask. May be called twice."""
        if self._closed:
            return
        self._closed = True
        _running.discard(self)
        if self._client is not None:
            with contextlib.suppress(TimeoutError, OSError):
                self._client.close(timeout=5)
        members = self._roster.present()
        for member in members:
            member.gone.set()
        self._room.close()
        for member in members:
            member.device.close()
        self._hub.remove_endpoint(self._token)
        self._hub.close()
        self._launched.close()
        for member in members:
            member.state, member.reason = "gone", "the cluster was closed"
        self._changed()
        for shown in list(self._tables):
            shown.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._roster.present('ready'))} browsers"
        return f"Cluster({self._hub.netloc}, {state})"
