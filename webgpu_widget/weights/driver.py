"""The thread behind a ``Weights``: starts loads in the page, gives it hashes and chunks, and starts again what was lost.

Messages from the page arrive with the connection's lock held, so they only note what happened; this thread acts on it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import threading
import time
import uuid
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from webgpu_widget import shaders
from webgpu_widget.errors import (
    CancelledError,
    ClosedError,
    DeviceLostError,
    FrontendError,
    FrontendLostError,
    IntegrityError,
    WebGPUWidgetError,
)
from webgpu_widget.link import services
from webgpu_widget.process.fork import Lock
from webgpu_widget.weights.convert import PIECE_ELEMENTS
from webgpu_widget.weights.digest import chunk_digest
from webgpu_widget.weights.readers import HttpReader
from webgpu_widget.weights.report import LoadReport, Progress, Rate
from webgpu_widget.weights.routes import chunk_bytes_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from webgpu_widget.device.device import Device
    from webgpu_widget.link.connection import Request
    from webgpu_widget.weights.loader import Item, Weights
    from webgpu_widget.weights.routes import Route
    from webgpu_widget.weights.source import Source

__all__ = ["Driver"]

_OUT_BITS = {"encode_f16": 16, "encode_int8": 8, "encode_int4": 4}
_RELOADS = 5
_STALL_S = 600.0  # longer than a server that fails gets, with all attempts and waits
_SENDERS = max(2, min(4, (os.cpu_count() or 2) // 2))  # they read and hash, which needs no lock of Python
_DIGESTS_AT_ONCE = 4
_COUNTS = ("bytes_done", "bytes_moved", "bytes_from_cache")
_LOST = (DeviceLostError, FrontendLostError)


class _Job:
    """One ``weights.load`` in the page."""

    def __init__(self, number: str, items: list[Item]) -> None:
        self.id = number
        self.items = items
        self.bytes_total = sum(item.part.bytes for item in items)
        self.counts = dict.fromkeys(_COUNTS, 0)
        self.request: Request | None = None
        self.ended = False
        self.first: set[tuple[int, int]] = set()  # chunks, by file and index, whose hashes are wanted before others

    @property
    def over(self) -> bool:
        """Whether the page does nothing more for it."""
        return self.ended or self.request is None or self.request.future.done()


_Chunk = tuple[_Job, int, int]  # of a job, a file's number and an index in it


def _later(chunk: _Chunk) -> bool:
    job, *place = chunk
    return tuple(place) not in job.first


def _after(chunk: _Chunk, steps: int) -> _Chunk:
    job, file, index = chunk
    return job, file, index + steps


def _digests_name(job: _Job, file: int) -> str:
    """Name the hashes of a file for one load: another load of the same file gets its own."""
    return f"{job.id}/{file}"


class Driver:
    """See the module.

    Parameters
    ----------
    weights : Weights
        Held weakly: when its owner lets it go, the load ends.
    device
    source : Source
    routes : list of Route
        One a file.
    options : mapping
        ``cache``, ``verify``, ``chunk_bytes``.
    """

    def __init__(
        self, weights: Weights, device: Device, source: Source, routes: list[Route], options: Mapping[str, Any]
    ) -> None:
        self._weights = weakref.ref(weights)
        self._device = device
        self._source = source
        self._routes = routes
        self._verify = bool(options["verify"])
        self._cache = bool(options["cache"])
        self._chunk_bytes = [int(options.get("chunk_bytes") or chunk_bytes_for(file.size)) for file in source.files]
        self._keys = [
            f"{file.key}-{chunk.bit_length():x}" for file, chunk in zip(source.files, self._chunk_bytes, strict=True)
        ]
        self._stage_numbers = {name: number for number, name in enumerate(weights.plan.stages)}
        self._prefix = uuid.uuid4().hex[:8]
        self._numbers = itertools.count(1)
        self._jobs: dict[str, _Job] = {}
        self._past = dict.fromkeys((*_COUNTS, "bytes_total"), 0)
        self._peak = 0
        self._warnings: dict[str, None] = {}
        self._rate = Rate()
        self._started = time.monotonic()
        self._finished: float | None = None
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._digests: dict[tuple[int, int], str] = {}
        self._digest_work: deque[_Chunk] = deque()
        self._reloads = 0
        self._distrusted = False
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()
        self.paused = False
        self.listeners: list[Callable[[], None]] = []

    # ------------------------------------------------------------ from any thread

    def start(self, items: list[Item]) -> None:
        """Have the page load items into their buffers."""
        job = _Job(f"{self._prefix}-{next(self._numbers)}", items)
        with self._lock:
            self._jobs[job.id] = job
            self._finished = None
            if self._thread is None:
                self._thread = threading.Thread(target=_run, args=(weakref.ref(self), self._events), daemon=True)
                self._thread.name = "webgpu_widget weights"
                self._thread.start()
        # The work goes on while a gpu.record() of this thread records.
        job.request = self._device.queue.ask(
            services.LOAD, self._spec(job), "loading weights", on_report=lambda report: self._heard(job, report)
        )
        job.request.future.add_done_callback(lambda future: self._events.put(("ended", (job, future))))
        if self.paused:
            self._control(job, "pause")

    def _spec(self, job: _Job) -> services.LoadSpec:
        return {
            "job": job.id,
            "files": [self._file_spec(job, number) for number in range(len(self._source.files))],
            "items": [self._item_spec(item) for item in job.items],
            "piece_elements": PIECE_ELEMENTS,
            "stall_s": _STALL_S,
        }

    def _file_spec(self, job: _Job, number: int) -> services.FileSpec:
        file, route = self._source.files[number], self._routes[number]
        return {
            "key": self._keys[number],
            "name": file.name,
            "size": file.size,
            "chunk_bytes": self._chunk_bytes[number],
            "url": route.url,
            "ranges": route.ranges,
            "validator": route.validator,
            "cache": self._cache,
            "verify": self._verify,
            "sha256": file.sha256 if self._verify else "",
            "digests": _digests_name(job, number) if self._verify and self._has_digests(number) else "",
        }

    def _has_digests(self, number: int) -> bool:
        """Whether Python can tell what the bytes should be before they come."""
        return self._source.files[number].path is not None and self._routes[number].url is not None

    def _item_spec(self, item: Item) -> services.ItemSpec:
        target, tensor = item.entry.target, item.entry.tensor
        weights = self._weights()
        flags = None if weights is None else weights._flags
        return {
            "id": item.id,
            "stage": self._stage_numbers[tensor.stage],
            "file": tensor.file,
            "offset": item.part.offset,
            "bytes": item.part.bytes,
            "count": item.part.elements,
            "outs": [buffer.handle for buffer in item.buffers],
            "decode": self._pipeline(target.decode),
            "encode": self._pipeline(target.encode),
            "block_elements": tensor.encoding.block_elements,
            "block_bytes": tensor.encoding.block_bytes,
            "out_bits": _OUT_BITS.get(target.encode or "", 32),
            "grouped": target.dtype in ("int8", "int4"),
            "flag": (flags.handle, item.entry.flag) if flags is not None and item.entry.flag >= 0 else None,
        }

    def _pipeline(self, name: str | None) -> int:
        return 0 if name is None else self._device.queue.pipeline(shaders.load(f"weights/{name}"), name).handle

    def _chunks(self, items: list[Item]) -> set[tuple[int, int]]:
        """Find the chunks that items lie in."""
        found: set[tuple[int, int]] = set()
        for item in items:
            if item.part.bytes:
                file = item.entry.tensor.file
                size = self._chunk_bytes[file]
                last = (item.part.offset + item.part.bytes - 1) // size
                found.update((file, index) for index in range(item.part.offset // size, last + 1))
        return found

    def prioritise(self, items: list[Item]) -> None:
        """Have these items come first."""
        wanted = {item.id for item in items}
        for job in self._running():
            if wanted & {item.id for item in job.items}:
                self._control(job, "prioritise", sorted(wanted))
                if self._verify:
                    self._events.put(("digests first", (job, self._chunks(items))))

    def drop(self, items: list[Item]) -> None:
        """Have nothing more written into these items' buffers."""
        dropped = {item.id for item in items}
        for job in self._running():
            if dropped & {item.id for item in job.items}:
                self._control(job, "drop", sorted(dropped))

    def pause(self, *, paused: bool) -> None:
        """Stop or go."""
        self.paused = paused
        for job in self._running():
            self._control(job, "pause" if paused else "resume")

    def _control(self, job: _Job, action: services.LoadAction, items: list[int] | None = None) -> None:
        params: services.LoadControl = {"job": job.id, "action": action, "items": items or []}
        self._device.queue.ask(services.CONTROL, params, "steering a load")

    def _running(self) -> list[_Job]:
        with self._lock:
            return [job for job in self._jobs.values() if not job.ended and job.request is not None]

    def stop(self) -> None:
        """Give everything up."""
        self._stopped = True
        for job in self._running():
            if job.request is not None:
                self._device.cancel(job.request)
            # Break the circle through the request's callbacks: buffers are freed when the last array goes, not at the next collection.
            job.items, job.request = [], None
        self._events.put(("stop", None))
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def reload_later(self) -> None:
        """Load again what was there: the device or page is gone. Called with the connection's lock held."""
        self._events.put(("reload", None))

    def scale_later(self) -> None:
        """Multiply what has arrived by its scales. Called with the connection's lock held."""
        self._events.put(("scale", None))

    # ------------------------------------------------------------ from the page

    def _heard(self, job: _Job, report: services.LoadProgress) -> None:
        """Note a report. Called with the connection's lock held."""
        weights = self._weights()
        if weights is None or job.ended:
            return
        with self._lock:
            moved, cached = report["bytes_moved"], report["bytes_from_cache"]
            job.counts.update(bytes_done=report["bytes_done"], bytes_moved=moved, bytes_from_cache=cached)
            self._peak = max(self._peak, report["peak_buffer_bytes"])
            self._warnings.update(dict.fromkeys(report["warnings"]))
            self._rate.add(self._total("bytes_done"))
        if report["done"]:
            self._reloads = 0
            weights._arrived(report["done"])
        for file, index in report["want"]:
            self._events.put(("want", (job, file, index)))
        for file, first, count in report["hash"]:
            self._events.put(("digests", [(job, file, first + step) for step in range(count)]))
        self._events.put(("tick", None))

    # ------------------------------------------------------------ the thread

    def _step(self, kind: str, value: Any) -> None:
        try:
            if kind == "want":
                with contextlib.suppress(RuntimeError):  # stopped meanwhile
                    self._sender().submit(self._step, "send", value)
            elif kind == "send":
                self._send_chunk(*value)
                return
            elif kind == "digests":
                self._digest_work = deque(sorted([*self._digest_work, *value], key=_later))
            elif kind == "digests first":
                job, chunks = value
                job.first |= chunks
                self._digest_work = deque(sorted(self._digest_work, key=_later))
            elif kind == "digest":
                self._send_digests()
            elif kind == "ended":
                self._end(*value)
            elif kind == "reload":
                self._reload()
            elif kind == "scale":
                self._scale()
            self._tell()
        except _LOST:
            pass  # the next page or device gets it: a reload is on its way
        except (WebGPUWidgetError, OSError, ValueError) as error:
            self._give_up(error)

    def _sender(self) -> ThreadPoolExecutor:
        """Give the threads that read, hash and send chunks."""
        if self._stopped:
            raise RuntimeError("stopped")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_SENDERS, "webgpu_widget weights")
        return self._pool

    def _tell(self) -> None:
        for listener in list(self.listeners):
            listener()

    def _send_chunk(self, job: _Job, file: int, index: int) -> None:
        if job.ended or self._stopped:
            return
        data = self._read(file, index)
        digest = chunk_digest(data) if self._verify else ""
        params: services.ChunkSent = {"job": job.id, "file": file, "index": index, "digest": digest}
        self._device.queue.ask(services.CHUNK, params, "sending weights", buffers=[data])

    def _read(self, file: int, index: int) -> bytes:
        size = self._chunk_bytes[file]
        reader = self._source.files[file].reader
        return reader.read(index * size, min(size, reader.size - index * size))

    def _send_digests(self) -> None:
        """Hash a few of the chunks that the page is going to fetch, and tell it."""
        runs: list[tuple[_Chunk, list[str]]] = []
        for _ in range(min(_DIGESTS_AT_ONCE, len(self._digest_work))):
            job, file, index = self._digest_work.popleft()
            if job.over:
                continue
            if (file, index) not in self._digests:
                self._digests[file, index] = chunk_digest(self._read(file, index))
            digest = self._digests[file, index]
            if runs and _after(runs[-1][0], len(runs[-1][1])) == (job, file, index):
                runs[-1][1].append(digest)
            else:
                runs.append(((job, file, index), [digest]))
        for (job, file, first), digests in runs:
            name = _digests_name(job, file)
            params: services.DigestsSent = {"job": job.id, "name": name, "first": first, "digests": digests}
            self._device.queue.ask(services.DIGESTS, params, "sending hashes")

    def _end(self, job: _Job, future: Any) -> None:
        error = future.exception()
        if error is None:
            try:
                self._heard(job, services.LOAD.answer(future.result()))
            except FrontendError as malformed:
                error = malformed
            else:
                error = self._replaced()
        with self._lock:
            job.ended = True
            self._jobs.pop(job.id, None)
            for name in _COUNTS:
                self._past[name] += job.counts[name]
            self._past["bytes_total"] += job.bytes_total if error is None else job.counts["bytes_done"]
            if not self._jobs:
                self._finished = time.monotonic()
        weights = self._weights()
        if weights is not None:
            weights._wake()
        if isinstance(error, IntegrityError) and job.counts["bytes_from_cache"] and not self._distrusted:
            # What an earlier load had kept was wrong, and has been dropped: once more, without it.
            self._distrusted = True
            left = [item for item in job.items if not item.loaded and not any(buffer.freed for buffer in item.buffers)]
            self.start(left)
            return
        if error is not None and not isinstance(error, (*_LOST, CancelledError, ClosedError)):
            self._give_up(error)

    def _replaced(self) -> WebGPUWidgetError | None:
        """Look once more at addresses whose page cannot see whether they were replaced."""
        for file, route in zip(self._source.files, self._routes, strict=True):
            reader = file.reader
            if isinstance(reader, HttpReader) and reader.validator and route.url is not None and not route.validator:
                try:
                    reader.recheck()
                except IntegrityError as error:
                    return error
        return None

    def _reload(self) -> None:
        weights = self._weights()
        if weights is None or self._stopped:
            return
        self._reloads += 1
        if self._reloads > _RELOADS:
            raise DeviceLostError(
                f"the GPU or its page was lost {_RELOADS} times while {weights.plan.source} was loading"
            )
        self._digest_work = deque(chunk for chunk in self._digest_work if not chunk[0].over)
        weights._reload()

    def _scale(self) -> None:
        weights = self._weights()
        if weights is not None and not self._stopped:
            weights._scale()

    def _give_up(self, error: BaseException) -> None:
        weights = self._weights()
        if weights is not None:
            weights._fail(error)
        for job in self._running():
            if job.request is not None:
                self._device.cancel(job.request)
        self._tell()

    # ------------------------------------------------------------ accounts

    def _total(self, name: str) -> int:
        extra = sum(job.bytes_total if name == "bytes_total" else job.counts[name] for job in self._jobs.values())
        return self._past[name] + extra

    def _route(self) -> str:
        if self._total("bytes_moved") == 0 and self._total("bytes_from_cache") > 0:
            return "cache"
        return self._routes[0].kind if self._routes else "comm"

    def progress(self, state: str, stage: str) -> Progress:
        """Describe a moment, with the state and stage that the caller knows."""
        with self._lock:
            done, total = self._total("bytes_done"), self._total("bytes_total")
            rate = {"loading": self._rate.bytes_per_second, "done": done / self._seconds}.get(state, 0.0)
            left = (total - done) / rate if rate > 0 else None
            moved, cached = self._total("bytes_moved"), self._total("bytes_from_cache")
            return Progress(state, done, total, moved, cached, rate, left, stage, self._route())

    @property
    def _seconds(self) -> float:
        return max(1e-9, (self._finished or time.monotonic()) - self._started)

    def report(self) -> LoadReport:
        """Say what it has cost so far."""
        with self._lock:
            seconds = self._seconds
            route = self._routes[0] if self._routes else None
            return LoadReport(
                self._total("bytes_moved"),
                self._total("bytes_from_cache"),
                seconds,
                self._total("bytes_done") / seconds,
                self._peak,
                self._route(),
                route.endpoint if route else "",
                tuple(self._warnings),
            )


def _run(driver: weakref.ref[Driver], events: queue.SimpleQueue[tuple[str, Any]]) -> None:
    """Deal with events until told to stop; hashes are made when there is nothing else."""
    while True:
        held = driver()
        if held is None:
            return
        busy = bool(held._digest_work)
        del held
        try:
            kind, value = events.get(block=not busy)
        except queue.Empty:
            kind, value = "digest", None
        held = driver()
        if held is None or kind == "stop":
            return
        held._step(kind, value)
        del held
