"""Dask in this process: a scheduler, a worker for each browser, a client, on a loop in a thread of its own.

Where the scheduler is our own it speaks Dask's in-process protocol: no port is opened, unless Dask's dashboard is asked for, and what tasks return is handed
over as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

import dask
from dask.sizeof import sizeof
from distributed import Client, Reschedule, Scheduler, Security, get_worker
from distributed.batched import BatchedSend
from distributed.comm.core import CommClosedError
from distributed.comm.inproc import InProc
from distributed.threadpoolexecutor import ThreadPoolExecutor
from distributed.utils import silence_logging_cmgr
from tornado.ioloop import IOLoop

from webgpu_widget import errors
from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.cluster.reach import QuietScheduler, QuietWorker, host_for
from webgpu_widget.device.default import use_in_this_thread
from webgpu_widget.link.losses import once_more
from webgpu_widget.link.steps import call, drive
from webgpu_widget.process.private_folder import PrivateFolder

if TYPE_CHECKING:
    from webgpu_widget.cluster.hub import Member

log = logging.getLogger("webgpu_widget.cluster")
T = TypeVar("T")

GPU_RESOURCE = "webgpu"
HALF = 0.5
"""What one of two tasks that share a browser asks for: while one is read back, the other computes."""
_ALLOWED_FAILURES = 8
_LOCAL = "127.0.0.1:0"
_GONE_S = 15.0
# A worker is a thread of this process, so it has no memory of its own to watch, and sampling its stacks a hundred times a second is not for free.
# Nor is it to look at the clock fifty times a second for each worker, all on one loop, and at the system's counters twice.
_CONFIG = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.spill": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.cycle": "10s",
    "distributed.admin.system-monitor.interval": "10s",
}


class GarbageError(errors.ClusterError):
    """A browser returned what no correct one returns."""


def _size_of(array: GPUArray) -> int:
    return array.nbytes


# So that the scheduler knows what it costs to compute elsewhere.
sizeof.register(GPUArray, _size_of)


class _PromptSend(BatchedSend):
    """Dask's stream of messages, for one that stays in this process: what is sent goes out in the loop's next round.

    Dask's own waits some milliseconds for more to send, in a coroutine that each message wakes twice. Over a network that is worth it; here it took as long as
    what the messages are about.
    """

    _due = False

    def send(self, *msgs: Any) -> None:
        """Send messages; returns at once."""
        if self.comm is not None and self.comm.closed():
            raise CommClosedError(f"{self.comm!r} is closed")
        self.message_count += len(msgs)
        self.buffer.extend(msgs)
        if not self._due:
            self._due = True
            self.loop.add_callback(self._flush)

    def _flush(self) -> None:
        self._due = False
        if self.comm is None or self.comm.closed() or not self.buffer:
            return
        payload, self.buffer = self.buffer, []
        self.batch_count += 1
        # It only puts the messages into the other side's queue: it has nothing to wait for.
        writing = self.comm.write(payload)
        with contextlib.suppress(StopIteration, CommClosedError):
            writing.send(None)
            raise RuntimeError("an in-process comm waited for something while it wrote")


def send_promptly(stream: BatchedSend) -> None:
    """Have a stream that has begun send without delay, where both ends are in this process.

    It is not made by us, so it is changed as it stands; a Dask whose streams are built in another way keeps its own.
    """
    known = ("buffer", "batch_count", "comm", "loop", "message_count")
    if type(stream) is BatchedSend and isinstance(stream.comm, InProc) and all(hasattr(stream, name) for name in known):
        stream.__class__ = _PromptSend


class BrowserThreadPoolExecutor(ThreadPoolExecutor):
    """Threads whose default GPU is a browser's, also for tasks that are Dask's own and know of no cluster.

    Dask tells executors that share its memory by ``ThreadPoolExecutor`` in the name of their type.
    """

    def __init__(self, member: Member) -> None:
        super().__init__(2, thread_name_prefix=member.id)
        self._member = member

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Run a function in a thread."""

        def with_gpu() -> Any:
            use_in_this_thread(self._member.device)
            try:
                return fn(*args, **kwargs)
            except (SystemExit, KeyboardInterrupt) as error:
                # Dask lets these two through, and they would end the loop of the whole cluster.
                raise _as_failure(error) from error

        return super().submit(with_gpu)


class BrowserWorker(QuietWorker):
    """A Dask worker whose tasks run in threads of this process and compute in a browser."""

    member: Member
    move: Callable[[GPUArray, Member], GPUArray]
    drop: Callable[[Member, str], None]


def _as_failure(error: BaseException) -> errors.ClusterError:
    """Make an exception that fails a task alone of one that would end more."""
    return errors.ClusterError(
        f"the task raised {error!r}, which ends programs, coroutines or generators; here it only fails the task: return, or raise another exception"
    )


def run_on_gpu(fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call ``fn(gpu, *args, **kwargs)`` in a task, with the GPU of the browser whose Dask worker runs it.

    Arrays of other browsers' GPUs among the arguments are brought over first. When the browser is lost meanwhile, the task goes elsewhere.
    When only its device is, the task is tried once more there.

    Raises
    ------
    ClusterError
        When the Dask worker that runs this has no browser.
    """
    worker = get_worker()
    if not isinstance(worker, BrowserWorker):
        raise errors.ClusterError(
            f"the Dask worker {worker.name!r} has no browser: submit with resources={{'{GPU_RESOURCE}': 1}}, as cluster.submit does"
        )
    member = worker.member
    member.begin(getattr(fn, "__name__", type(fn).__name__))
    ok = False

    def attempt() -> T:
        brought = [worker.move(value, member) if isinstance(value, GPUArray) else value for value in args]
        try:
            return fn(member.gpu, *brought, **kwargs)
        except StopIteration as error:
            # No future takes it: https://docs.python.org/3/library/asyncio-future.html#asyncio.Future.set_exception
            raise _as_failure(error) from error

    try:
        # The browser is still there and has a new device.
        value = drive(once_more(lambda: call(attempt), (errors.DeviceLostError,)))
        ok = True
    except GarbageError as error:
        worker.drop(member, str(error))
    except (errors.FrontendTimeoutError, errors.NoAdapterError):
        raise
    except (errors.FrontendError, errors.ClosedError) as error:
        if type(error) is errors.FrontendError:
            worker.drop(member, str(error))
        elif not member.gone.wait(_GONE_S):
            # Not this browser's end: the function used something else that is closed.
            raise
    except Exception:
        raise
    except BaseException as error:
        raise _as_failure(error) from error
    else:
        return value
    finally:
        member.end(ok=ok)
    member.gone.wait(_GONE_S)
    raise Reschedule


def check_callable(fn: Any, where: str) -> str:
    """Return a task's name, or refuse what cannot be called.

    Raises
    ------
    TaskTypeError
        When it cannot be called.
    """
    if not callable(fn):
        raise errors.TaskTypeError(
            f"{where} got {fn!r} of type {type(fn).__name__}, but a task is a function that takes the GPU first: pass the function itself, and its arguments after it"
        )
    return str(getattr(fn, "__name__", type(fn).__name__))


class Room:
    """The loop, the scheduler and the workers.

    Parameters
    ----------
    scheduler : str, optional
        Address of a scheduler to join; a new one when left out.
    dashboard_address : str, optional
        Where Dask's dashboard listens, when it is wanted.
    security : distributed.Security, optional
        For a scheduler to join; what Dask is configured with when left out.

    Raises
    ------
    ClusterError
        When a worker for that scheduler could not listen without letting strangers in.
    """

    def __init__(
        self,
        scheduler: str | None = None,
        dashboard_address: str | None = None,
        security: Security | None = None,
    ) -> None:
        self._given = scheduler
        self._dashboard = dashboard_address
        self._security = Security() if security is None else security
        self._host = None if scheduler is None else host_for(scheduler, self._security)
        self.scheduler: Scheduler | None = None
        self.workers: dict[str, BrowserWorker] = {}
        self._folder = PrivateFolder("dask-")
        self._config = {**_CONFIG, "temporary-directory": str(self._folder.path)}
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="webgpu_widget cluster", daemon=True)
        self._thread.start()
        ready.result(timeout=60)

    def _run(self, ready: Future[None]) -> None:
        with silence_logging_cmgr(logging.CRITICAL):
            asyncio.run(self._main(ready))

    async def _main(self, ready: Future[None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.io_loop = IOLoop.current()
        self._stop = asyncio.Event()
        try:
            if self._given is None:
                with dask.config.set(self._config):
                    if self._dashboard is None:
                        self.scheduler = QuietScheduler(protocol="inproc://", dashboard=False)
                    else:
                        self.scheduler = Scheduler(
                            protocol="inproc://", dashboard=True, dashboard_address=self._dashboard
                        )
                self.scheduler.allowed_failures = _ALLOWED_FAILURES
                await self.scheduler
                self.address = self.scheduler.address
            else:
                self.address = self._given
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            ready.set_exception(error)
            return
        ready.set_result(None)
        await self._stop.wait()

    def forked(self) -> None:
        """Keep a forked child's exit from removing the workers' folders."""
        for worker in self.workers.values():
            finalizer = getattr(getattr(worker, "_workdir", None), "_finalizer", None)
            if finalizer is not None:
                finalizer.detach()

    def call(self, work: Coroutine[Any, Any, T], timeout: float | None = 60) -> T:
        """Run a coroutine on the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine on the loop and forget it; its errors are logged."""

        def done(future: Future[Any]) -> None:
            if not future.cancelled() and future.exception() is not None:
                log.error("the cluster's own work failed", exc_info=future.exception())

        with contextlib.suppress(RuntimeError):
            asyncio.run_coroutine_threadsafe(work, self.loop).add_done_callback(done)

    def soon(self, work: Callable[..., None], *args: Any) -> None:
        """Call a function on the loop."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(work, *args)

    def client(self) -> Client:
        """Make a client on the same loop."""
        security = None if self._given is None else self._security
        return Client(self.address, loop=self.io_loop, set_as_default=True, timeout=30, security=security)

    def values(self, futures: Sequence[Any], client: Client) -> list[Any]:
        """Return what finished tasks returned: looked up where it lies in this process, else asked for through the client."""
        found: dict[str, Any] = {}
        if self.scheduler is not None:
            for future in futures:
                task = self.scheduler.tasks.get(future.key)
                for state in list(task.who_has or ()) if task is not None else ():
                    worker = self.workers.get(str(state.name))
                    if worker is not None and future.key in worker.data:
                        found[future.key] = worker.data[future.key]
        rest = [future for future in futures if future.key not in found]
        if rest:
            found.update(zip((future.key for future in rest), client.gather(rest), strict=True))
        return [found[future.key] for future in futures]

    async def add_worker(
        self,
        member: Member,
        move: Callable[[GPUArray, Member], GPUArray],
        drop: Callable[[Member, str], None],
    ) -> None:
        """Start the Dask worker of a member."""
        inproc = self.scheduler is not None
        with dask.config.set(self._config):
            worker = BrowserWorker(
                self.address,
                name=member.id,
                nthreads=2,
                executor=BrowserThreadPoolExecutor(member),
                resources={GPU_RESOURCE: 1},
                memory_limit=0,
                local_directory=str(self._folder.path),
                dashboard_address=_LOCAL,
                protocol="inproc://" if inproc else None,
                host=self._host,
                security=None if inproc else self._security,
                nanny=None,
            )
        worker.serves_http = self._dashboard is not None
        worker.member = member
        worker.move = move
        worker.drop = drop
        self.workers[member.id] = worker
        await worker
        member.address = worker.address
        if self.scheduler is not None:
            send_promptly(worker.batched_stream)
            send_promptly(self.scheduler.stream_comms[worker.address])
        if member.state == "gone":
            await self.remove_worker(member, expected=True)

    async def remove_worker(self, member: Member, *, expected: bool) -> None:
        """Close the Dask worker of a member that is gone: its tasks go elsewhere."""
        worker = self.workers.get(member.id)
        if worker is not None and not member.address:
            # Still starting: add_worker looks once more when it has started.
            return
        self.workers.pop(member.id, None)
        if worker is None:
            member.gone.set()
            return
        if self.scheduler is not None:
            await self.scheduler.remove_worker(
                member.address, stimulus_id=f"browser-gone-{member.id}", expected=expected, close=False
            )
            member.gone.set()
        await worker.close(timeout=2, executor_wait=False, nanny=False, reason=member.reason)
        member.gone.set()

    def close(self) -> None:
        """Close workers and scheduler, and end the thread."""
        if not self._thread.is_alive():
            return
        with contextlib.suppress(TimeoutError, RuntimeError):
            self.call(self._close(), timeout=20)
        self._thread.join(timeout=10)
        self._folder.close()

    async def _close(self) -> None:
        workers = list(self.workers.values())
        self.workers.clear()
        await asyncio.gather(
            *(worker.close(timeout=2, executor_wait=False, nanny=False) for worker in workers), return_exceptions=True
        )
        if self.scheduler is not None:
            await self.scheduler.close()
        self._stop.set()
