"""The commands of one GPU: recorded, batched, sent; only reading waits.

Everything above (kernels, arrays, matrices, pictures, models) speaks to the browser through this. It is safe to use from several threads; commands
run in the order in which they were added.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from webgpu_widget import errors
from webgpu_widget.device.handles import Arg, Buffer, Bytes, Lease, Pipeline, Recording, Sampler, Span, Texture
from webgpu_widget.link import protocol, wire
from webgpu_widget.link.connection import Connection, Request
from webgpu_widget.link.losses import Losses, once_more
from webgpu_widget.link.services import A, P, R, Service
from webgpu_widget.link.steps import Steps, drive
from webgpu_widget.process.interrupts import HELD_BACK

RECORDERS: dict[int, list[Queue]] = {}
"""The queues that threads record on, by the thread's identity."""

_BLOB_BYTES = 1024 * 1024
_INLINE_BYTES = 64 * 1024
_KEPT_PIPELINES = 1024
"""Pipelines that are kept for their next use though nobody holds them."""
_STATELESS = frozenset({"get-device", "get-memory", "synchronize"})

PipelineKey = tuple[str, str | None, tuple[tuple[str, float], ...]]


class Reply:
    """Byte arrays that the chunks of a reply fill, each from its beginning on and without a gap."""

    def __init__(self, what: str, sizes: Sequence[int]) -> None:
        self.what = what
        self.arrays: list[np.ndarray[Any, Any]] = [np.empty(size, np.uint8) for size in sizes]
        self._filled = [0] * len(sizes)
        self._wrong = False

    def take(self, item: int, offset: int, _total: int, data: Bytes) -> None:
        """Put a chunk in its place."""
        chunk = np.frombuffer(data, np.uint8)
        known = 0 <= item < len(self.arrays)
        if not known or self._filled[item] != offset or offset + chunk.size > self.arrays[item].size:
            self._wrong = True
            return
        self._filled[item] += chunk.size
        self.arrays[item][offset : offset + chunk.size] = chunk

    def check(self) -> None:
        """Raise when a page that says it is done has not sent the bytes it was asked for."""
        for got, array in zip(self._filled, self.arrays, strict=True):
            if self._wrong or got != array.size:
                sent = "chunks that do not fit" if self._wrong else f"{got} bytes"
                raise errors.FrontendError(
                    f"{self.what}: the page sent {sent} where {array.size} bytes were asked for; reload it"
                )


class Queue:
    """See the module.

    Parameters
    ----------
    connection : Connection
        Where batches go.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.generation = 0
        self.composing = 0
        """The generation for which commands are composed now: behind `generation` until the next one begins."""
        self.losses = Losses()
        self._lock = threading.RLock()
        self._handles = itertools.count(1)
        self._commands: list[Any] = []
        self._blob = bytearray()
        self._requests: list[Request] = []
        self._label = ""
        self._leases: dict[int, Lease] = {}
        # Filled as objects are collected, in any thread at any time: no lock there.
        self._ended: deque[Lease] = deque()
        self._pipelines: weakref.WeakValueDictionary[PipelineKey, Pipeline] = weakref.WeakValueDictionary()
        self._recent: OrderedDict[PipelineKey, Pipeline] = OrderedDict()
        self._recording: Recording | None = None
        connection.on_gone(self._on_gone)

    def _on_gone(self, kind: str, reason: str) -> None:
        # Called with the connection's lock held: takes none of its own.
        self.losses.add(kind, reason, self.connection.heard_at)
        self.generation += 1

    def disown(self) -> None:
        """Let go of a lock that another thread may have held when this process was forked."""
        self._lock = threading.RLock()

    def check(self, item: Buffer | Texture | Pipeline, what: str = "the array") -> None:
        """Raise when a handle is not usable any more."""
        if getattr(item, "freed", False):
            raise errors.ClosedError(f"{what} was freed; nothing can be done with it any more")
        if item.generation != self.generation:
            raise self.losses.error(item.generation, f"{what} is gone from the browser", "Make it again")

    def check_recorders(self) -> None:
        """Raise when this thread records a program on other GPUs, which cannot hold work of this one."""
        recorders = RECORDERS.get(threading.get_ident(), ())
        if recorders and self not in recorders:
            raise errors.BindingError(
                "gpu.record() records on one GPU, and this is work on another: its replays could not repeat it. "
                "Do it before the with block or after it, or record on both: with a.record() as p, b.record() as q"
            )

    # ------------------------------------------------------------ adding commands

    def lend(self, owner: object, command: dict[str, Any], handle: int, generation: int | None = None) -> None:
        """Have a command given when an object is collected, or by `take_back`: it lets go what ``handle`` names.

        Parameters
        ----------
        owner : object
            Stands for it.
        command : dict
            Lets it go.
        handle : int
            Its number.
        generation : int, optional
            What the number belongs to; by default what is composed now.
        """
        lease = Lease(owner, self._ended.append)
        lease.command, lease.handle = command, handle
        lease.generation = self.composing if generation is None else generation
        self._leases[handle] = lease

    def take_back(self, handle: int) -> None:
        """Give the command of `lend` now; safe in a finalizer."""
        lease = self._leases.get(handle)
        if lease is not None:
            self._ended.append(lease)

    def _collect(self) -> None:
        while self._ended:
            # An interrupt between two of these steps makes them all anew: letting go twice does no harm.
            lease = self._ended[0]
            if lease.handle in self._leases and lease.generation == self.composing:
                self._commands.append(lease.command)
            self._leases.pop(lease.handle, None)
            self._ended.popleft()

    def begin(self) -> None:
        """See that there is no doubt about the page, before what lives in it is chosen for use."""
        if self.composing != self.generation or self.connection.in_doubt:
            with self._lock:
                self._fresh()

    def _fresh(self) -> None:
        """See that what is composed from here on is meant for a page that is there; to be called first, with the lock held.

        A loss that is told later leaves `composing` behind, and with it all that was composed meanwhile.
        """
        connection = self.connection
        if self.composing == self.generation and not connection.in_doubt:
            return
        connection.decide()
        if self.composing != self.generation:
            ended, self.composing = self.composing, self.generation
            self._commands.clear()
            self._blob.clear()
            self._pipelines.clear()
            self._recent.clear()
            connection.refuse(self._requests, self.losses, ended)
            self._requests.clear()

    def _add(self, command: Any) -> None:
        if self._ended:
            self._collect()
        self._commands.append(command)
        if len(self._commands) >= protocol.BATCH_COMMANDS or len(self._blob) >= _BLOB_BYTES:
            self.flush()

    def _store(self, blob: bytearray, data: Bytes) -> list[int]:
        """Put bytes into a blob, aligned; returns their DataRef."""
        start = len(blob)
        if start % 8:
            blob.extend(bytes(-start % 8))
            start = len(blob)
        blob.extend(data)
        end = len(blob)
        if end % 4:
            blob.extend(bytes(-end % 4))
            end = len(blob)
        return [0, start, end - start]

    def tell(self, command: dict[str, Any]) -> None:
        """Add a command that has neither handle nor reply."""
        with self._lock:
            self._fresh()
            self._add(command)

    def flush(self) -> None:
        """Send what has been recorded."""
        with self._lock, HELD_BACK:
            self._flush()

    def _flush(self) -> None:
        """As `flush`, with the lock held and interrupts held back."""
        self._collect()
        if not self._commands:
            return
        commands, self._commands = self._commands, []
        blob, self._blob = self._blob, bytearray()
        requests, self._requests = self._requests, []
        self._hand_over(commands, [blob] if blob else [], requests)

    def _submit(self, commands: list[Any], buffers: Sequence[Bytes], requests: Sequence[Request] = ()) -> None:
        with HELD_BACK:
            self._hand_over(commands, buffers, requests)

    def _hand_over(self, commands: list[Any], buffers: Sequence[Bytes], requests: Sequence[Request]) -> None:
        """Send commands, unless the page or device that they were composed for is gone."""
        if not self.connection.submit(commands, buffers, requests, self._label, self.composing):
            self.connection.refuse(requests, self.losses, self.composing)

    def alloc(self, size_bytes: int, label: str = "") -> Buffer:
        """Make a zero-filled buffer (of at least 4 bytes, a multiple of 4)."""
        size_bytes = max(4, size_bytes + (-size_bytes % 4))
        with self._lock:
            self._fresh()
            buffer = Buffer(self, next(self._handles), size_bytes)
            command: protocol.CreateBuffer = {"op": "create-buffer", "buffer": buffer.handle, "size_bytes": size_bytes}
            if label:
                command["label"] = label
            self._add(command)
            return buffer

    def write(self, buffer: Buffer, data: Any, offset: int = 0, timeout: float | None = 30.0) -> None:
        """Copy bytes into a buffer.

        Parameters
        ----------
        buffer : Buffer
            The target.
        data : bytes-like
            C-contiguous. Sizes that are no multiple of 4 are filled up with zeros.
        offset : int
            In bytes, a multiple of 4.
        timeout : float or None
            Seconds of silence while large data waits for credit.
        """
        view = memoryview(data).cast("B") if memoryview(data).nbytes else memoryview(b"")
        if view.nbytes == 0:
            return
        if RECORDERS:
            self.check_recorders()
        with self._lock:
            self._fresh()
            self.check(buffer)
            if view.nbytes <= _INLINE_BYTES:
                self._add(
                    {
                        "op": "write-buffer",
                        "buffer": buffer.handle,
                        "offset": offset,
                        "data": self._store(self._blob, view),
                    }
                )
                return
            self.flush()
            for chunk in self._chunks(view, timeout):
                command = {
                    "op": "write-buffer",
                    "buffer": buffer.handle,
                    "offset": offset,
                    "data": [0, 0, len(chunk)],
                }
                self.check(buffer)
                self._submit([command], [chunk])
                offset += len(chunk)

    def _chunks(self, view: memoryview, timeout: float | None) -> Iterator[bytes]:
        """Cut large data, each chunk copied only once there is credit for it: the caller may change its array afterwards."""
        for start in range(0, view.nbytes, protocol.CHUNK_BYTES):
            self.connection.wait_for_credit(0, timeout)
            chunk = bytes(view[start : start + protocol.CHUNK_BYTES])
            yield chunk + bytes(-len(chunk) % 4)

    def clear(self, buffer: Buffer, offset: int = 0, size_bytes: int | None = None) -> None:
        """Set bytes to zero (all, when no size is given)."""
        size = buffer.size_bytes - offset if size_bytes is None else size_bytes
        self._record({"op": "clear-buffer", "buffer": buffer.handle, "offset": offset, "size_bytes": size}, [buffer])

    def copy(self, source: Buffer, source_offset: int, target: Buffer, target_offset: int, size_bytes: int) -> None:
        """Copy between two buffers; offsets and size in bytes, multiples of 4."""
        self._record(
            {
                "op": "copy-buffer",
                "source": source.handle,
                "source_offset": source_offset,
                "target": target.handle,
                "target_offset": target_offset,
                "size_bytes": size_bytes,
            },
            [source, target],
        )

    def _record(self, command: Any, holds: Sequence[Buffer | Texture]) -> None:
        if RECORDERS:
            self.check_recorders()
        with self._lock:
            self._fresh()
            for item in holds:
                self.check(item)
            recording = self._recorder()
            if recording is None:
                self._add(command)
            else:
                recording.add(command, holds)

    def _recorder(self) -> Recording | None:
        recording = self._recording
        return recording if recording is not None and recording.thread == threading.get_ident() else None

    @property
    def recorder(self) -> Recording | None:
        """What this thread's commands become a program of, where they do."""
        return self._recorder()

    @property
    def recording(self) -> bool:
        """Whether this thread's commands become a program now."""
        recording = self._recording
        return recording is not None and recording.thread == threading.get_ident()

    # ------------------------------------------------------------ pipelines and dispatch

    def pipeline(
        self, source: str, label: str = "", entry_point: str | None = None, constants: dict[str, float] | None = None
    ) -> Pipeline:
        """Return the pipeline of a source, entry point and constants, compiled once.

        Does not wait: errors in trusted WGSL surface at the next read. `Kernel` asks for `result` at once.
        """
        key = (source, entry_point, tuple(sorted((constants or {}).items())))
        with self._lock:
            self._fresh()
            found = self._pipelines.get(key)
            if found is not None:
                self._keep(key, found)
                return found
            label = label or "wgsl-" + hashlib.sha256(source.encode()).hexdigest()[:8]
            made = Pipeline(self, next(self._handles), source, label, entry_point, dict(constants or {}))
            request = made.request = self.connection.new_request(label, source=source)
            command: protocol.Compile = {
                "op": "compile",
                "id": request.id,
                "pipeline": made.handle,
                "source": source,
                "label": label,
                "entry_point": entry_point,
                "constants": made.constants,
            }
            with HELD_BACK:
                self._requests.append(request)
                self._add(command)
            self._pipelines[key] = made
            self._keep(key, made)
            return made

    def _keep(self, key: PipelineKey, pipeline: Pipeline) -> None:
        """Hold the pipelines that were used last; the others live as long as somebody else holds them."""
        self._recent[key] = pipeline
        self._recent.move_to_end(key)
        if len(self._recent) > _KEPT_PIPELINES:
            self._recent.popitem(last=False)

    def forget(self, pipeline: Pipeline) -> None:
        """Drop a pipeline that failed, so that the same text is tried anew."""
        with self._lock:
            for key, value in list(self._pipelines.items()):
                if value is pipeline:
                    del self._pipelines[key]
                    self._recent.pop(key, None)

    def compiled(self, pipeline: Pipeline, timeout: float | None = 30.0) -> protocol.CompileResult:
        """Wait for a pipeline; returns what the browser said of it.

        Raises
        ------
        ShaderError
            With lines and columns.
        """
        return pipeline.result or drive(self.compiled_steps(pipeline), timeout)

    def compiled_steps(self, pipeline: Pipeline) -> Steps[protocol.CompileResult]:
        """As `compiled`."""
        if pipeline.request is None:
            raise errors.WebGPUWidgetError(f"pipeline {pipeline.label!r} was never sent")
        if pipeline.result is None:
            self.flush()
            try:
                pipeline.result = wire.compile_result((yield from self.connection.wait_steps(pipeline.request)))
            except errors.WebGPUWidgetError:
                self.forget(pipeline)
                raise
        return pipeline.result

    def dispatch(self, pipeline: Pipeline, args: Sequence[Arg], workgroups: Sequence[int]) -> None:
        """Run a pipeline over ``workgroups`` (x, y, z), with arguments by (group, binding)."""
        if RECORDERS:
            self.check_recorders()
        with self._lock:
            self._fresh()
            recording = self._recorder()
            blob = self._blob if recording is None else recording.blob
            if pipeline.generation != self.composing:
                pipeline = self.pipeline(pipeline.source, pipeline.label, pipeline.entry_point, pipeline.constants)
            generation = self.generation
            bound: list[Any] = []
            for group, binding, value in args:
                if isinstance(value, Buffer):
                    if value.freed or value.generation != generation:
                        self.check(value)
                    bound.append({"group": group, "binding": binding, "buffer": value.handle})
                elif isinstance(value, tuple):
                    buffer, offset, size = value
                    self.check(buffer)
                    bound.append(
                        {
                            "group": group,
                            "binding": binding,
                            "buffer": buffer.handle,
                            "offset": offset,
                            "size_bytes": size,
                        }
                    )
                elif isinstance(value, Texture):
                    self.check(value, "the texture")
                    bound.append({"group": group, "binding": binding, "texture": value.handle})
                elif isinstance(value, Sampler):
                    bound.append({"group": group, "binding": binding, "sampler": value.description})
                else:
                    bound.append({"group": group, "binding": binding, "uniform": self._store(blob, value)})
            command = {"op": "dispatch", "pipeline": pipeline.handle, "workgroups": list(workgroups), "args": bound}
            if recording is None:
                self._label = pipeline.label
                self._add(command)
            else:
                recording.add(command, [pipeline, *(value for _, _, value in args)])

    def dispatch_whole(
        self, pipeline: Pipeline, buffers: Sequence[Buffer], uniform: bytes, workgroups: Sequence[int]
    ) -> None:
        """As `dispatch`, with whole buffers as group 0 in order, and a uniform, unless it is empty, as binding 0 of group 1."""
        if RECORDERS:
            self.check_recorders()
        with self._lock:
            self._fresh()
            if self._recording is not None or pipeline.generation != self.composing:
                args: list[Arg] = [(0, i, buffer) for i, buffer in enumerate(buffers)]
                self.dispatch(pipeline, [*args, (1, 0, uniform)] if uniform else args, workgroups)
                return
            generation = self.generation
            bound: list[Any] = []
            for i, buffer in enumerate(buffers):
                if buffer.freed or buffer.generation != generation:
                    self.check(buffer)
                bound.append({"group": 0, "binding": i, "buffer": buffer.handle})
            if uniform:
                bound.append({"group": 1, "binding": 0, "uniform": self._store(self._blob, uniform)})
            self._label = pipeline.label
            self._add({"op": "dispatch", "pipeline": pipeline.handle, "workgroups": [*workgroups], "args": bound})

    # ------------------------------------------------------------ textures

    def create_texture(
        self,
        texture_format: str,
        dimension: str,
        size: tuple[int, int, int],
        *,
        mip_levels: int = 1,
        storage: bool = False,
    ) -> Texture:
        """Make a texture; ``size`` is (width, height, depth or layers)."""
        with self._lock:
            self._fresh()
            texture = Texture(self, next(self._handles), texture_format, size)
            self._add(
                {
                    "op": "create-texture",
                    "texture": texture.handle,
                    "format": texture_format,
                    "dimension": dimension,
                    "size": list(size),
                    "mip_levels": mip_levels,
                    "storage": storage,
                },
            )
            return texture

    def write_texture(self, texture: Texture, texels: np.ndarray[Any, Any], timeout: float | None = 30.0) -> None:
        """Fill mip level 0 from texels of shape (depth, height, row bytes), uint8."""
        depth, height, row_bytes = texels.shape
        width = texture.size[0]
        rows = max(1, protocol.CHUNK_BYTES // max(1, row_bytes))
        if RECORDERS:
            self.check_recorders()
        with self._lock:
            self._fresh()
            self.check(texture, "the texture")
            self.flush()
            for layer in range(depth):
                for top in range(0, height, rows):
                    self.connection.wait_for_credit(0, timeout)
                    chunk = texels[layer, top : top + rows].tobytes()
                    count = min(rows, height - top)
                    command = {
                        "op": "write-texture",
                        "texture": texture.handle,
                        "mip_level": 0,
                        "origin": [0, top, layer],
                        "size": [width, count, 1],
                        "bytes_per_row": row_bytes,
                        "data": [0, 0, len(chunk)],
                    }
                    self.check(texture, "the texture")
                    self._submit([command], [chunk])

    # ------------------------------------------------------------ requests

    def start(
        self,
        command: Mapping[str, object],
        what: str,
        *,
        on_chunk: Callable[[int, int, int, Bytes], None] | None = None,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
        buffers: Sequence[Bytes] = (),
        uses: Sequence[Buffer | Texture] = (),
        source: str = "",
    ) -> Request:
        """Send a request after all that was recorded; returns at once. Where it compiles WGSL, ``source`` is quoted in what is wrong with that.

        Raises
        ------
        ClosedError, DeviceLostError, FrontendLostError
            When what it ``uses`` is gone.
        """
        with self._lock:
            self._fresh()
            for item in uses:
                self.check(item, "the texture" if isinstance(item, Texture) else "the array")
            if self.recording:
                raise errors.WebGPUWidgetError(
                    f"{what}: nothing can be read while gpu.record() records, since nothing has run; do it after the with block"
                )
            request = self.connection.new_request(what, on_chunk=on_chunk, on_progress=on_progress, source=source)
            if buffers:
                self.flush()
                self._submit([{**command, "id": request.id}], buffers, [request])
            else:
                with HELD_BACK:
                    self._requests.append(request)
                    self._add({**command, "id": request.id})
                    self._flush()
            return request

    def ask(
        self,
        service: Service[P, A, R],
        params: P,
        what: str,
        *,
        on_report: Callable[[R], None] | None = None,
        **options: Any,
    ) -> Request:
        """Ask a service, as `start` does; ``on_report`` gets what its progress carries, in the thread that received it."""
        on_progress = None if on_report is None else service.reports(on_report)
        return self.start(service.command(params), what, on_progress=on_progress, **options)

    def ask_steps(self, service: Service[P, A, R], params: P, what: str) -> Steps[A]:
        """Ask a service and wait for its answer."""
        return service.answer((yield from self.request_steps(service.command(params), what)))

    def request(
        self, command: Mapping[str, object], what: str = "", timeout: float | None = 30.0, **options: Any
    ) -> dict[str, Any]:
        """Send a request and wait for its result; again after a loss, when it asks for nothing that could be lost."""
        return drive(self.request_steps(command, what, **options), timeout)

    def request_steps(self, command: Mapping[str, object], what: str = "", **options: Any) -> Steps[dict[str, Any]]:
        """As `request`."""

        def ask() -> Steps[dict[str, Any]]:
            yield from self.connection.decide_steps()
            request = self.start(command, what or str(command["op"]), **options)
            return (yield from self.connection.wait_steps(request))

        return once_more(ask) if command["op"] in _STATELESS else ask()

    def start_read(
        self, spans: Sequence[Span], what: str = "reading back"
    ) -> tuple[Request, list[np.ndarray[Any, Any]]]:
        """Begin to read bytes of buffers; the arrays, one per span, are filled when the request is done."""
        if RECORDERS:
            self.check_recorders()
        reads = []
        for buffer, offset, size in spans:
            padded = size + (-size % 4)
            if offset % 4 or offset + padded > buffer.size_bytes:
                raise errors.LimitError(
                    f"{size} bytes at {offset} cannot be read from a buffer of {buffer.size_bytes} bytes; offsets are multiples of 4"
                )
            reads.append({"buffer": buffer.handle, "offset": offset, "size_bytes": padded})

        reply = Reply(what, [read["size_bytes"] for read in reads])
        uses = [buffer for buffer, _, _ in spans]
        request = self.start({"op": "read", "reads": reads}, what, on_chunk=reply.take, uses=uses)
        request.check = reply.check
        return request, [array[:size] for array, (_, _, size) in zip(reply.arrays, spans, strict=True)]

    def read(
        self, spans: Sequence[Span], timeout: float | None = 30.0, what: str = "reading back"
    ) -> list[np.ndarray[Any, Any]]:
        """Read bytes of buffers; returns one uint8 array per span."""
        return drive(self.read_steps(spans, what), timeout)

    def read_steps(self, spans: Sequence[Span], what: str = "reading back") -> Steps[list[np.ndarray[Any, Any]]]:
        """As `read`."""
        request, results = self.start_read(spans, what)
        yield from self.connection.wait_steps(request)
        return results

    def start_texture_read(self, texture: Texture, size_bytes: int) -> tuple[Request, np.ndarray[Any, Any]]:
        """Begin to read mip level 0; the array is filled when the request is done."""
        if RECORDERS:
            self.check_recorders()
        reply = Reply("reading a texture", [size_bytes])
        command = {"op": "read-texture", "texture": texture.handle}
        request = self.start(command, "reading a texture", on_chunk=reply.take, uses=[texture])
        request.check = reply.check
        return request, reply.arrays[0]

    # ------------------------------------------------------------ record and replay

    @contextmanager
    def record(self) -> Iterator[Recording]:
        """Collect this thread's dispatches, copies and clears instead of sending them."""
        with self._lock:
            if self._recording is not None:
                raise errors.WebGPUWidgetError("gpu.record() is already recording; end that with block first")
            self._fresh()
            recording = self._recording = Recording(threading.get_ident(), self.composing)
        queues = RECORDERS.setdefault(recording.thread, [])
        queues.append(self)
        try:
            yield recording
        finally:
            queues.remove(self)
            if not queues:
                del RECORDERS[recording.thread]
            with self._lock:
                self._recording = None

    def check_replay(self) -> None:
        """Raise when this thread records: a replay would not be part of the program."""
        if RECORDERS:
            self.check_recorders()
        if self.recording:
            raise errors.WebGPUWidgetError(
                "A program cannot be replayed while gpu.record() records: it would not be part of the new one. "
                "Replay it before or after the with block, or call in the block what it was recorded from"
            )

    def create_program(self, recording: Recording, owner: object) -> int:
        """Send a recording as a program, which lives as long as its owner; returns its handle. It is gone with the generation of the recording."""
        with self._lock:
            self.flush()
            handle = next(self._handles)
            self.lend(owner, {"op": "free-program", "program": handle}, handle, recording.generation)
            command = {"op": "create-program", "program": handle, "commands": recording.commands}
            if recording.generation == self.composing:
                self._submit([command], [bytes(recording.blob)] if recording.blob else [])
            return handle

    def run_program(self, handle: int, times: int, generation: int) -> None:
        """Replay a program of a generation; does not wait.

        Raises
        ------
        DeviceLostError, FrontendLostError
            When it is gone.
        """
        with self._lock:
            self._fresh()
            if generation != self.composing:
                raise self.losses.error(generation, "the program is gone from the browser", "Record it again")
            self._add({"op": "run-program", "program": handle, "times": times})
            self.flush()
