"""What a caller holds while a model comes in, and afterwards."""

from __future__ import annotations

import difflib
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.arrays.lazy.node import node_of
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.errors import CancelledError, DTypeError, WebGPUWidgetError, WeightsError
from webgpu_widget.link.connection import Request
from webgpu_widget.link.steps import Steps, drive, drive_async
from webgpu_widget.process.fork import tell_children
from webgpu_widget.weights.arrays import QuantizedArray, SplitArray
from webgpu_widget.weights.budget import Budget
from webgpu_widget.weights.convert import check_loadable, split
from webgpu_widget.weights.driver import Driver
from webgpu_widget.weights.plan import stage_name
from webgpu_widget.weights.report import LoadReport, Progress, Stage
from webgpu_widget.weights.scaling import multiply

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.gpu import GPU
    from webgpu_widget.weights.convert import Part, Rules, Target
    from webgpu_widget.weights.plan import Plan
    from webgpu_widget.weights.routes import Route
    from webgpu_widget.weights.source import Source
    from webgpu_widget.weights.tensors import TensorInfo

__all__ = ["Weights"]

Loaded = GPUArray | QuantizedArray | SplitArray


class Item:
    """One buffer's worth of a tensor, on its way or there."""

    __slots__ = ("buffers", "entry", "id", "loaded", "part")

    def __init__(self, number: int, entry: Entry, part: Part) -> None:
        self.id = number
        self.entry = entry
        self.part = part
        self.buffers: list[Buffer] = []
        self.loaded = False


class Entry:
    """One tensor."""

    __slots__ = ("checked", "flag", "items", "scaled", "target", "tensor", "value")

    def __init__(self, tensor: TensorInfo, target: Target) -> None:
        self.tensor = tensor
        self.target = target
        self.items: list[Item] = []
        self.value: Loaded | None = None
        self.flag = -1
        self.checked = False
        self.scaled = False

    @property
    def arrived(self) -> bool:
        """Whether all its bytes are in their buffers."""
        return all(item.loaded for item in self.items)

    @property
    def loaded(self) -> bool:
        """Whether it is what it is to be."""
        return self.arrived and (self.scaled or not self.tensor.scale)

    def stale(self, generation: int) -> bool:
        """Whether its buffers were freed, or belong to a page or device that is gone."""
        return any(buffer.freed or buffer.generation != generation for item in self.items for buffer in item.buffers)


class Weights(Mapping[str, Loaded]):
    """A model's tensors, coming into the GPU's memory stage by stage.

    Made by `load_weights`. A mapping from name to array: reading a tensor waits for that tensor alone, and lets it jump the queue.

    A tensor is a ``GPUArray``; with ``quantize=`` a ``QuantizedArray``; when larger than one binding a ``SplitArray`` of rows.
    When the device is lost or the page reloaded, what was loaded is loaded again from the browser's cache, into the same arrays.
    """

    def __init__(
        self, source: Source, plan: Plan, rules: Rules, device: Device, routes: list[Route], options: Mapping[str, Any]
    ) -> None:
        self.plan = plan
        self._device = device
        self._source = source
        self._lock = threading.RLock()
        self._waiters: list[tuple[Callable[[], bool], Request]] = []
        self._failed: BaseException | None = None
        self._cancelled = False
        self._budget = Budget.of(device)
        if options.get("budget_bytes") is not None:
            self._budget.limit_bytes = int(options["budget_bytes"])
        limits = device.ready().limits
        limit = min(limits["maxBufferSize"], limits["maxStorageBufferBindingSize"])
        if options.get("max_binding_bytes"):
            limit = min(limit, int(options["max_binding_bytes"]))
        self._entries: dict[str, Entry] = {}
        self._items: list[Item] = []
        flags = 0
        for tensor in plan.tensors:
            entry = self._entries[tensor.name] = Entry(tensor, rules.target(tensor))
            if entry.target.refused:
                continue
            for part in split(tensor, entry.target, limit):
                item = Item(len(self._items), entry, part)
                self._items.append(item)
                entry.items.append(item)
            if entry.target.checked:
                entry.flag = flags
                flags += 1
        self._flag_count = flags
        self._flags: Buffer | None = None
        self._stages: dict[str, Stage] = {name: self._make_stage(name) for name in plan.stages}
        runtime_of(device)  # made here and not in the thread that receives
        self._driver = Driver(self, device, source, routes, options)
        self._finalizer = weakref.finalize(self, _let_go, self._driver, source, self._budget, id(self), self._items)
        tell_children(self)
        device.on_gone(self._gone)
        self._begin()

    def forked(self, parent: int) -> None:  # noqa: ARG002
        """Leave the load and its temporary files to the parent; the GPU says so to who asks for a tensor."""
        self._finalizer.detach()
        self._lock = threading.RLock()

    def _make_stage(self, name: str) -> Stage:
        stage = Stage(name)
        held = [entry for entry in self._entries.values() if entry.tensor.stage == name]
        stage.tensors = tuple(entry.tensor.name for entry in held)
        stage.bytes = sum(entry.tensor.bytes for entry in held)
        stage.gpu_bytes = sum(entry.target.size_bytes(entry.tensor.size) for entry in held if not entry.target.refused)
        stage.state = "absent"
        return stage

    # ------------------------------------------------------------ loading

    def _begin(self) -> None:
        """Start with the stages that the budget takes, in order; the others come when asked for."""
        chosen: list[str] = []
        total = 0
        for name, stage in self._stages.items():
            total += stage.gpu_bytes
            if chosen and self._budget.limit_bytes is not None and total > self._budget.limit_bytes:
                break
            chosen.append(name)
        self._load(chosen)

    def _load(self, names: list[str]) -> None:
        """Begin to load stages that are absent, or whose buffers are gone."""
        generation = self._device.queue.generation
        wanted = []
        with self._lock:
            for name in names:
                stage = self._stages[name]
                stale = any(self._entries[tensor].stale(generation) for tensor in stage.tensors)
                if stage.state == "absent" or stale:
                    stage.state = "loading"
                    wanted.append(name)
        items: list[Item] = []
        for name in wanted:
            self._budget.reserve(self, name, self._stages[name].gpu_bytes)
            items += [item for tensor in self._stages[name].tensors for item in self._entries[tensor].items]
        if items:
            self._allocate(items)
            self._driver.start(items)
        with self._lock:
            self._settle_stages(wanted)

    def _allocate(self, items: list[Item]) -> None:
        queue = self._device.queue
        with self._lock:
            for item in items:
                item.loaded = item.entry.scaled = False
                sizes = item.entry.target.buffer_bytes(item.part.elements)
                item.buffers = [queue.alloc(size, label=item.entry.tensor.name) for size in sizes]
            if self._flag_count and (self._flags is None or self._flags.generation != queue.generation):
                self._flags = queue.alloc(4 * self._flag_count, label="weights that do not fit")

    def _arrived(self, numbers: list[int]) -> None:
        """Items are in their buffers. Called with the connection's lock held."""
        with self._lock:
            for number in numbers:
                item = self._items[number]
                item.loaded = True
                if item.entry.loaded:
                    self._complete(item.entry)
                if item.entry.arrived and (item.entry.tensor.scale or item.entry.tensor.scale_of):
                    self._driver.scale_later()
            self._settle_stages(list(dict.fromkeys(self._items[number].entry.tensor.stage for number in numbers)))
        self._wake()

    def _scale(self) -> None:
        """Multiply what has arrived by the scales beside it, where these have arrived too. Called by the driver."""
        with self._lock:
            waiting = [
                (entry, self._entries[entry.tensor.scale])
                for entry in self._entries.values()
                if entry.tensor.scale and entry.items and entry.arrived and not entry.scaled
            ]
        for entry, scales in waiting:
            # Not with the lock held: what composes commands may wait for the connection, which calls `_arrived`.
            with self._lock:
                if not scales.arrived or scales.stale(self._device.queue.generation):
                    continue
                given = [(item, item.buffers) for item in entry.items]
                (by,) = scales.items[0].buffers
            try:
                for item, buffers in given:
                    multiply(self._device, entry.tensor, entry.target, item.part, buffers, by)
            except WebGPUWidgetError:
                if entry.stale(self._device.queue.generation) or by.freed:
                    continue  # freed meanwhile: it comes here again when it has been loaded again
                raise
            with self._lock:
                if entry.arrived and all(item.buffers is buffers for item, buffers in given):
                    entry.scaled = True
                    self._complete(entry)
                    self._settle_stages([entry.tensor.stage])
        self._wake()

    def _settle_stages(self, names: list[str]) -> None:
        for name in names:
            stage = self._stages[name]
            if stage.state == "loading" and all(self._entries[tensor].loaded for tensor in stage.tensors):
                stage.state = "ready"

    def _complete(self, entry: Entry) -> None:
        """Make the tensor's array, or give the array that the caller holds its new memory."""
        made = [self._array(entry, item) for item in entry.items]
        if entry.value is None:
            entry.value = made[0] if len(made) == 1 else SplitArray(made, entry.tensor.shape)
            return
        old = entry.value.parts if isinstance(entry.value, SplitArray) else (entry.value,)
        for before, after in zip(old, made, strict=True):
            if isinstance(before, QuantizedArray) and isinstance(after, QuantizedArray):
                _renew(before.packed, after.packed)
                _renew(before.scales, after.scales)
            elif isinstance(before, GPUArray) and isinstance(after, GPUArray):
                _renew(before, after)

    def _array(self, entry: Entry, item: Item) -> GPUArray | QuantizedArray:
        shape, dtype = item.part.shape, entry.target.dtype
        if entry.target.block is not None:
            shape = (entry.target.size_bytes(item.part.elements) // 4,)
        if dtype in ("int8", "int4"):
            bits = 8 if dtype == "int8" else 4
            packed = GPUArray(self._device, item.buffers[0], (*shape[:-1], shape[-1] * bits // 32), np.uint32)
            scales = GPUArray(self._device, item.buffers[1], (*shape[:-1], shape[-1] // 32), np.float32)
            return QuantizedArray(packed, scales, shape, bits)
        return GPUArray(self._device, item.buffers[0], shape, np.dtype(dtype))

    def _gone(self, _kind: str, _reason: str) -> None:
        """Load again what was loaded: handles have become invalid. Called with the connection's lock held."""
        if not self._cancelled and self._failed is None:
            self._driver.reload_later()

    def _reload(self) -> None:
        """Load what was there when the device or page went. Called by the driver."""
        generation = self._device.queue.generation
        with self._lock:
            names = [
                name
                for name, stage in self._stages.items()
                if stage.state != "absent" and any(self._entries[tensor].stale(generation) for tensor in stage.tensors)
            ]
            for name in names:  # not those that a caller has asked for anew meanwhile
                self._stages[name].state = "absent"
                for tensor in self._stages[name].tensors:
                    self._entries[tensor].checked = False
                    for item in self._entries[tensor].items:
                        item.loaded = False
        self._load(names)

    # ------------------------------------------------------------ waiting

    def _wake(self) -> None:
        with self._lock:
            ready = [pair for pair in self._waiters if self._failed is not None or pair[0]()]
            self._waiters = [pair for pair in self._waiters if pair not in ready]
        for _, request in ready:
            if not request.future.done():
                if self._failed is not None:
                    request.future.set_exception(self._failed)
                else:
                    request.future.set_result({})

    def _waiter(self, done: Callable[[], bool], what: str) -> Request:
        request = Request("", what)
        with self._lock:
            self._waiters.append((done, request))
        self._wake()
        return request

    def _fail(self, error: BaseException) -> None:
        """Have everyone who waits, and will wait, hear of it."""
        with self._lock:
            self._failed = self._failed or error
        self._wake()

    def _usable(self) -> None:
        if self._failed is not None:
            raise self._failed
        self._device.check_open()

    def _want(self, name: str) -> tuple[Entry, Request | None]:
        """Find a tensor and, if it is not there, have it come first."""
        entry = self._entries.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self._entries, 3, 0.4)
            hint = f"; near it: {', '.join(near)}" if near else f"; there are {len(self._entries)} tensors"
            raise KeyError(f"{name!r} is not in {self.plan.source}{hint}")
        check_loadable(entry.tensor, entry.target)
        self._usable()
        stage = entry.tensor.stage
        self._budget.touch(self, stage)
        generation = self._device.queue.generation
        with self._lock:
            if self._stages[stage].state != "absent" and entry.loaded and not entry.stale(generation):
                return entry, None
        self._load([stage])
        with self._lock:
            if entry.loaded and not entry.stale(generation):
                return entry, None
        self._driver.prioritise(
            [*entry.items, *(self._entries[entry.tensor.scale].items if entry.tensor.scale else [])]
        )
        return entry, self._waiter(lambda: entry.loaded, f"loading {name!r}")

    def _check_flag(self, entry: Entry, flags: np.ndarray[Any, Any]) -> None:
        if flags.view(np.uint32)[entry.flag]:
            raise DTypeError(
                f"{entry.tensor.name!r} is {entry.tensor.dtype} with values that {entry.target.dtype} cannot hold; "
                "WebGPU has no 64-bit integers: read this tensor with NumPy"
            )
        entry.checked = True

    def get_tensor(self, name: str, timeout: float | None = 30.0) -> Loaded:
        """Return one tensor, waiting for it alone; it jumps the queue.

        Parameters
        ----------
        name : str
        timeout : float or None
            Seconds of silence.

        Raises
        ------
        KeyError
            There is no such tensor.
        DTypeError, FormatError
            It cannot be loaded: float64 without ``dtype=``, 64-bit integers that do not fit, an encoding without a kernel.
        IntegrityError, WeightsError, CancelledError
            The load failed, or was cancelled.
        """
        return drive(self._get_tensor_steps(name), timeout)

    async def get_tensor_async(self, name: str, timeout: float | None = 30.0) -> Loaded:
        """Coroutine twin of `get_tensor`."""
        return await drive_async(self._get_tensor_steps(name), timeout)

    def _get_tensor_steps(self, name: str) -> Steps[Loaded]:
        entry, request = self._want(name)
        if request is not None:
            yield from self._device.wait_steps(request)
        if entry.flag >= 0 and not entry.checked and self._flags is not None:
            (flags,) = yield from self._device.queue.read_steps([(self._flags, 0, 4 * self._flag_count)])
            self._check_flag(entry, flags)
        if entry.value is None:
            raise WeightsError(f"{entry.tensor.name!r} was taken off the GPU while it was being read; read it again")
        return entry.value

    def _stage_waiter(self, stage: object) -> Request:
        self._usable()
        if stage is None:
            names = [name for name, item in self._stages.items() if item.state != "absent"]
        else:
            names = [stage_name(stage, self.plan.stages)]
            self._budget.touch(self, names[0])
        self._load(names)
        what = "loading the weights" if stage is None else f"loading stage {names[0]!r}"
        return self._waiter(lambda: all(self._stages[name].state != "loading" for name in names), what)

    def wait(self, stage: object = None, timeout: float | None = None) -> None:
        """Wait for a stage, or for all that are being loaded.

        Parameters
        ----------
        stage : str or int, optional
            Its name or number; a stage that is not there is loaded.
        timeout : float or None
            Seconds of silence; None waits for ever.

        Raises
        ------
        IntegrityError, WeightsError, CancelledError
            The load failed, or was cancelled.
        """
        self._device.wait(self._stage_waiter(stage), timeout)

    async def wait_async(self, stage: object = None, timeout: float | None = None) -> None:
        """Coroutine twin of `wait`."""
        await drive_async(self._device.wait_steps(self._stage_waiter(stage)), timeout)

    # ------------------------------------------------------------ mapping

    def __getitem__(self, name: str) -> Loaded:
        return self.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __repr__(self) -> str:
        return (
            f"Weights({self.plan.title!r}, {len(self._entries)} tensors in {len(self._stages)} stages, {self.progress})"
        )

    # ------------------------------------------------------------ state

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in their order: names that know their bytes, tensors and state."""
        return tuple(self._stages.values())

    @property
    def progress(self) -> Progress:
        """How far it is."""
        with self._lock:
            state = "loading" if any(stage.state == "loading" for stage in self._stages.values()) else "done"
            if self._cancelled:
                state = "cancelled"
            elif self._failed is not None:
                state = "failed"
            elif state == "loading" and self._driver.paused:
                state = "paused"
            stage = next((name for name, item in self._stages.items() if item.state == "loading"), "")
        return self._driver.progress(state, stage)

    @property
    def report(self) -> LoadReport:
        """What it has cost so far."""
        return self._driver.report()

    @property
    def device(self) -> GPU:
        """The GPU that it is on."""
        return self._device.gpu

    def pause(self) -> None:
        """Stop moving bytes; what is there stays usable."""
        self._driver.pause(paused=True)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._driver.pause(paused=False)

    def cancel(self) -> None:
        """Give the load up and all its memory back; later use raises `CancelledError`. What is cached stays."""
        if self._cancelled:
            return
        self._cancelled = True
        self._driver.stop()
        self._fail(CancelledError(f"loading {self.plan.source} was cancelled"))
        with self._lock:
            items = list(self._items)
            for stage in self._stages.values():
                stage.state = "absent"
        self._release(items)
        if self._flags is not None:
            self._flags.free()
        self._finalizer()
        self._device.queue.flush()

    close = cancel

    def free(self, stage: object = None) -> None:
        """Give a stage's memory back (or all); it is loaded again, from the cache if it can, when asked for.

        Arrays of it that are still held raise `ClosedError` until then.
        """
        names = list(self._stages) if stage is None else [stage_name(stage, self.plan.stages)]
        for name in names:
            self._budget.release(self, name)
            self._evict(name)
        self._device.queue.flush()

    def _evict(self, stage: str) -> None:
        with self._lock:
            held = self._stages[stage]
            if held.state == "absent":
                return
            loading = held.state == "loading"
            held.state = "absent"
            items = [item for tensor in held.tensors for item in self._entries[tensor].items]
        if loading:
            self._driver.drop([item for item in items if not item.loaded])
        self._release(items)
        self._wake()

    def _release(self, items: list[Item]) -> None:
        with self._lock:
            for item in items:
                item.loaded = False
                for buffer in item.buffers:
                    buffer.free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()


def _renew(array: GPUArray, made: GPUArray) -> None:
    """Give an array that callers hold the memory of one made anew."""
    array._rebind(node_of(made))
    array._freed = False


def _let_go(driver: Driver, source: Source, budget: Budget, owner: int, items: list[Item]) -> None:
    driver.stop()
    budget.release_id(owner, None)
    source.close()
    # An item and its tensor hold each other: what nobody else holds is freed now, and not at the next collection.
    for item in items:
        item.buffers, item.entry.value = [], None
