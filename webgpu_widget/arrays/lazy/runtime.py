"""What turns expressions into dispatches on one GPU."""

from __future__ import annotations

import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from webgpu_widget.arrays.lazy import launch
from webgpu_widget.arrays.lazy.dtypes import nbytes_allocated
from webgpu_widget.arrays.lazy.likeness import Likeness, Seen, likeness
from webgpu_widget.arrays.lazy.node import Node, Storage, size_of
from webgpu_widget.arrays.lazy.ops import OPS
from webgpu_widget.arrays.lazy.pool import Pool
from webgpu_widget.arrays.lazy.sharing import Sharing
from webgpu_widget.arrays.lazy.trace import Access, Trace, companions, narrow_parts
from webgpu_widget.device.limits import SAFE_BINDING_BYTES, SAFE_BUFFER_BYTES
from webgpu_widget.errors import BufferSizeError, ClosedError, LimitError
from webgpu_widget.process import interrupts
from webgpu_widget.process.fork import Lock, tell_children
from webgpu_widget.shaders.uniforms import pack_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from webgpu_widget.arrays.lazy.dtypes import DType
    from webgpu_widget.device.device import AdapterInfo, Device
    from webgpu_widget.device.handles import Buffer

Launch = TypeVar("Launch")

_making = Lock()
_MOST_PLANS = 4096
_FEW_BUFFERS = 4
"""Every kernel may bind as many, in WebGPU's compatibility mode too."""
MOST_WEIGHT = 128
"""An expression of more operations than this is computed before more is added to it."""


class Runtime:
    """The state of arrays on one GPU: pool, pipelines, limits. Get it by `runtime_of`."""

    def __init__(self, device: Device) -> None:
        self._device = weakref.ref(device)
        self.queue = device.queue
        self.pool = Pool(self.queue)
        self.lock = interrupts.Lock()
        self.dispatches = 0
        self.sharing = Sharing(self)
        self._pipelines: dict[object, Any] = {}
        self._plans: dict[object, Any] = {}
        self.seen = Seen(self, SAFE_BINDING_BYTES)
        self.binding_bytes: int | None = None
        """A smaller `max_binding_bytes` than the adapter's, for tests."""
        device.before_count(self.pool.trim)
        tell_children(self)

    def forked(self, _parent: int) -> None:
        """Let go, in a forked child, of a lock that another thread may have held."""
        self.lock = interrupts.Lock()
        self.pool.forked()

    @property
    def device(self) -> Device:
        """The GPU, which its arrays keep alive."""
        device = self._device()
        if device is None:
            raise ClosedError("this GPU is gone: nothing held it any more; make a new one with wg.GPU()")
        return device

    # ------------------------------------------------------------ the adapter

    @property
    def info(self) -> AdapterInfo | None:
        """The adapter's info where it is known; never waits for the browser."""
        return self.device.known

    @property
    def most_buffers(self) -> int:
        """Storage buffers that one kernel may bind."""
        info = self.info
        return 8 if info is None else min(16, int(info.limits.get("maxStorageBuffersPerShaderStage", 8)))

    @property
    def is_fallback(self) -> bool:
        """Whether kernels run on a CPU: barriers and workgroup memory cost much there. True where it is not known."""
        info = self.info
        return True if info is None else bool(info.is_fallback)

    @property
    def max_binding_bytes(self) -> int:
        """How much of a buffer one binding may show; what every adapter allows where this one's limit is not known yet."""
        if self.binding_bytes is not None:
            return self.binding_bytes
        info = self.info
        return SAFE_BINDING_BYTES if info is None else int(info.limits["maxStorageBufferBindingSize"])

    @property
    def has_subgroups(self) -> bool:
        """Whether kernels may exchange values inside subgroups."""
        info = self.info
        return info is not None and "subgroups" in info.features

    @property
    def has_f16(self) -> bool:
        """Whether buffers may be of WGSL's f16."""
        info = self.info
        # Firefox's compiler, naga, cannot look at the bits of an f16 (https://github.com/gfx-rs/wgpu, 29: "Unable to cast"), which signs of NaN need.
        return info is not None and "shader-f16" in info.features and "Firefox/" not in info.user_agent

    @property
    def traits(self) -> tuple[object, ...]:
        """What decides which kernels an expression gets."""
        return self.info, self.binding_bytes, self.is_fallback, self.has_f16, self.has_subgroups

    # ------------------------------------------------------------ memory

    def allocate(self, size: int, dtype: DType) -> Storage:
        """Return storage for `size` elements; its content is undefined."""
        nbytes = nbytes_allocated(size, dtype)
        if nbytes > SAFE_BUFFER_BYTES:
            self.check_bytes(nbytes, f"An array of {size} {dtype.name}")
        storage = Storage(self, self.pool.take(nbytes))
        self.pool.lend(storage)
        return storage

    def scratch(self, words: int) -> Buffer:
        """Return memory for what one kernel leaves for the next one; to be given back to the pool as soon as both are queued."""
        if 4 * words > SAFE_BUFFER_BYTES:
            self.check_bytes(4 * words, f"What is between two passes, {words} words,")
        return self.pool.take(4 * words)

    def check_bytes(self, nbytes: int, what: str) -> None:
        """Raise `BufferSizeError` if the adapter cannot have a buffer of the size."""
        if nbytes <= SAFE_BUFFER_BYTES:
            return
        largest = self.device.info.limits["maxBufferSize"]
        if nbytes > largest:
            raise BufferSizeError(what, nbytes, largest)

    def check_binding(self, nbytes: int, what: str) -> None:
        """Raise if a kernel that needs a whole buffer of the size cannot bind it."""
        if nbytes <= min(SAFE_BINDING_BYTES, self.max_binding_bytes):
            return
        if self.binding_bytes is None and self.info is None:
            self.device.ready()
        largest = self.max_binding_bytes
        if nbytes > largest:
            raise LimitError(
                f"{what} needs {nbytes} bytes in one binding, but this adapter's maxStorageBufferBindingSize is {largest}. "
                "Elementwise operations, reductions and products work on arrays of any size; for others, take parts: x[begin:end]."
            )

    def check_open(self) -> None:
        """Raise if the GPU is closed."""
        device = self.device
        if device.closed:
            raise ClosedError(
                f"{device.closed_because}: its arrays cannot be used any more here. Make a new wg.GPU() and new arrays."
            )

    # ------------------------------------------------------------ kernels

    def pipeline(self, key: object, make: Any, label: str, entry_point: str | None = None) -> Any:
        """Return the pipeline for a key, its source made by ``make()`` at first use."""
        found = self._pipelines.get(key)
        if found is None:
            found = self.queue.pipeline(make(), label=label, entry_point=entry_point)
            self._pipelines[key] = found
        return found

    def plan(self, key: object, make: Callable[[], Iterable[Launch]]) -> tuple[Launch, ...]:
        """Return the launches of an expression, made at first use of its key."""
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            found = self._plans[key] = tuple(make())
        return found

    def dispatch(
        self, pipeline: Any, buffers: Sequence[Any], words: Sequence[int], groups: int | tuple[int, int, int]
    ) -> None:
        """Queue a dispatch: `buffers` are the bindings of group 0 in order, `words` the uniform of group 1."""
        fits = SAFE_BINDING_BYTES if self.binding_bytes is None else min(SAFE_BINDING_BYTES, self.binding_bytes)
        whole = True
        for buffer in buffers:
            if isinstance(buffer, tuple):
                whole = False
            elif buffer.size_bytes > fits:
                self.check_binding(buffer.size_bytes, f"The kernel {pipeline_label(pipeline)!r}")
        uniform = pack_words(words) if words else b""
        workgroups = (groups, 1, 1) if isinstance(groups, int) else groups
        self.dispatches += 1
        if whole:
            self.queue.dispatch_whole(pipeline, buffers, uniform, workgroups)
        else:
            args = [(0, i, buffer) for i, buffer in enumerate(buffers)]
            self.queue.dispatch(pipeline, [*args, (1, 0, uniform)] if uniform else args, workgroups)

    def dispatch_bound(
        self, pipeline: Any, buffers: dict[int, Any], words: Sequence[int], groups: int | tuple[int, int, int]
    ) -> None:
        """As `dispatch`, with the bindings of group 0 by number."""
        for buffer in buffers.values():
            if not isinstance(buffer, tuple):
                self.check_binding(buffer.size_bytes, f"The kernel {pipeline_label(pipeline)!r}")
        args = [(0, i, buffer) for i, buffer in buffers.items()]
        if words:
            args.append((1, 0, pack_words(words)))
        self.dispatches += 1
        self.queue.dispatch(pipeline, args, (groups, 1, 1) if isinstance(groups, int) else groups)

    def clear(self, storage: Storage) -> None:
        """Queue filling a storage with zeros."""
        buffer = storage.buffer
        assert buffer is not None  # noqa: S101 - it was just allocated
        self.queue.clear(buffer, 0, buffer.size_bytes)

    def copy(self, node: Node, target: Storage) -> None:
        """Queue copying a materialised node's bytes to another storage, by a kernel (which is faster than the copy command)."""
        trace = Trace(node.shape)
        self.run_elementwise(trace, [trace.value(node)], [node.dtype], [target])

    # ------------------------------------------------------------ materialising

    def materialise(self, node: Node) -> Storage:
        """Return the storage of a node, computing it if it has none."""
        if node.storage is None:
            with self.lock:
                self._compute_once(node)
        storage = node.storage
        assert storage is not None  # noqa: S101 - set by _compute
        if storage.buffer is None:
            raise ClosedError("The array was freed. Keep a copy() of what is needed later.")
        return storage

    def buffer(self, node: Node) -> Buffer:
        """Return the buffer of a node, computing it if it has none."""
        buffer = self.materialise(node).buffer
        assert buffer is not None  # noqa: S101 - checked by materialise
        return buffer

    def _compute_once(self, node: Node) -> None:
        if node.storage is not None:
            return
        if node.serial > self.sharing.serial or not self.queue.recording:
            self._compute(node)
        else:
            # What is older than the program runs at once: its replays need the result only.
            with self.outside():
                self._compute(node)

    def _compute(self, root: Node) -> None:
        self.check_open()
        alike = likeness(root)
        roots = [root]
        if alike is None:
            for part in narrow_parts(root, size_of(root.shape)):
                self.materialise(part)
            roots += companions(root, self.most_buffers)
        elif self._compute_alike(root, alike):
            return
        trace = Trace(root.shape)
        results = [trace.value(n) for n in roots]
        storages = [self.allocate(size_of(n.shape), n.dtype) for n in roots]
        if size_of(root.shape):
            queued = self.run_elementwise(trace, results, [n.dtype for n in roots], storages)
            if alike is not None and queued is not None and alike.agrees(trace):
                self.seen.keep(alike.key, queued)
        for node, storage in zip(roots, storages, strict=True):
            node.materialised(storage)

    def _compute_alike(self, root: Node, alike: Likeness) -> bool:
        """Compute a node by the kernels of an expression like it; False where none is known."""
        queued: launch.Dispatches | None = self.seen.find(alike.key, alike.buffers)
        if queued is None:
            return False
        storage = self.allocate(size_of(root.shape), root.dtype)
        buffers = [*alike.buffers, storage.buffer]
        for pipeline, words, groups in queued:
            self.dispatch(pipeline, buffers, (*words, *alike.consts), groups)
        root.materialised(storage)
        return True

    def run_elementwise(
        self,
        trace: Trace,
        results: Sequence[int],
        dtypes: Sequence[DType],
        storages: Sequence[Storage],
        region: Access | None = None,
    ) -> launch.Dispatches | None:
        """Queue what stores values of a trace: see `launch.run_elementwise`."""
        return launch.run_elementwise(self, trace, results, dtypes, storages, region)

    # ------------------------------------------------------------ programs

    @property
    def recording(self) -> bool:
        """Whether commands become a program now instead of running."""
        return self.queue.recording

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Let commands run at once, though a program is recorded."""
        queue = self.queue
        if not queue.recording:
            yield
            return
        with queue._lock:
            recording, queue._recording = queue._recording, None
            try:
                yield
            finally:
                queue._recording = recording

    # ------------------------------------------------------------ limits of an expression

    def admit(self, node: Node) -> Node:
        """Return the node, after computing operands of it where the expression grew over a limit."""
        if node.weight <= MOST_WEIGHT and (node.leaves < _FEW_BUFFERS or node.leaves < self.most_buffers):
            return node
        with self.lock:
            while True:
                weight, leaves = _measure(node)
                if weight <= MOST_WEIGHT and leaves < self.most_buffers:
                    node.weight, node.leaves = weight, leaves
                    return node
                pending = [n for n in _operands(node) if n.storage is None and n.op not in ("const", "iota")]
                if not pending:
                    return node
                key = (lambda n: n.leaves) if leaves >= self.most_buffers else (lambda n: n.weight)
                self.materialise(max(pending, key=key))

    # ------------------------------------------------------------ reading and writing

    def upload(self, array: np.ndarray[Any, Any], dtype: DType) -> Storage:
        """Return storage with a host array's elements (already of `dtype`, as `to_storage` gives them)."""
        storage = self.allocate(array.size, dtype)
        storage.constant = self.recording
        if array.size and storage.buffer is not None:
            self.queue.write(storage.buffer, array.view(np.uint8))
        return storage


def _operands(node: Node) -> tuple[Node, ...]:
    """Return the operands of an operation, those of a view being its base's own."""
    return tuple(n.inputs[0] if n.op == "view" and n.storage is None else n for n in node.inputs)


def _measure(root: Node) -> tuple[int, int]:
    """Return how many operations and how many buffers an expression really has, shared parts counted once."""
    seen: set[int] = set()
    storages: set[int] = set()
    weight = 0
    stack = [root]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.storage is not None:
            storages.add(id(node.storage))
            continue
        weight += OPS[node.op].cost if node.op in OPS else 1
        stack += node.inputs
    return weight, len(storages)


def pipeline_label(pipeline: Any) -> str:
    """Return a pipeline's name, for messages."""
    return str(getattr(pipeline, "label", pipeline))


def runtime_of(device: Device) -> Runtime:
    """Return the array state of a GPU, made at first use."""
    found: Runtime | None = device.runtime
    return found or _make(device)


def _make(device: Device) -> Runtime:
    with _making:
        if device.runtime is None:
            device.runtime = Runtime(device)
        made: Runtime = device.runtime
    return made
