"""A GPU in some browser, as everything but a notebook knows it: a connection, a queue, and what the adapter is."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.device.default import gpu_over
from webgpu_widget.device.queue import Queue
from webgpu_widget.link.connection import Connection, Request
from webgpu_widget.link.steps import Steps, drive
from webgpu_widget.process.fork import tell_children

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU
    from webgpu_widget.link.transports.base import Transport

__all__ = ["AdapterInfo", "Device", "MemoryInfo"]


_ASKING = "asking for the GPU"
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("HeadlessChrome", "Chromium"),
    ("Chrome", "Chrome"),
    ("Firefox", "Firefox"),
    ("Version", "Safari"),
)
"""Marks of user agents, those of browsers that also bear another's mark first."""


@dataclass(frozen=True)
class AdapterInfo:
    """The browser's adapter.

    Attributes
    ----------
    vendor, architecture, device, description : str
        As the browser tells them; often only the first two.
    is_fallback : bool
        Whether a CPU does the work (SwiftShader).
    features : frozenset of str
        Those that the device was made with (``shader-f16``, ``subgroups``, ...), and WGSL's language features.
    limits : dict
        WebGPU's limits, all at the adapter's maximum.
    user_agent : str
        The browser.
    transport : str
        ``comm``, ``page`` or ``headless``.
    subgroup_matrix_configs : tuple of dict
        The matrix units that subgroups have, as the browser tells them; empty where it tells none.
    """

    vendor: str
    architecture: str
    device: str
    description: str
    is_fallback: bool
    features: frozenset[str]
    limits: dict[str, int]
    user_agent: str
    transport: str
    subgroup_matrix_configs: tuple[dict[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """What to call it: ``nvidia hopper``, ``google swiftshader``."""
        return (
            " ".join(part for part in (self.vendor, self.architecture or self.device) if part)
            or self.description
            or "unnamed adapter"
        )

    @property
    def browser(self) -> str:
        """The browser's name and version, as its user agent tells them: ``Chrome 156``, ``Firefox 153``."""
        for mark, name in _BROWSERS:
            found = re.search(mark + r"/(\d+)", self.user_agent)
            if found:
                return f"{name} {found[1]}"
        return self.user_agent


@dataclass(frozen=True)
class MemoryInfo:
    """What lives in the browser for a GPU.

    Attributes
    ----------
    buffers : int
        How many buffers there are.
    bytes : int
        What they take together.
    peak_bytes : int
        The most that they have taken.
    """

    buffers: int
    bytes: int
    peak_bytes: int


class Device:
    """The GPU of a browser: what arrays, kernels and all that is built of them work on.

    It lives for as long as anything holds it: arrays, kernels, and the `GPU` that a user made. When nothing does, its browser is let go.

    Parameters
    ----------
    transport : Transport
        The way to its page; started here.

    Attributes
    ----------
    transport, connection, queue
        What carries messages, what waits for replies, what takes commands.
    known : AdapterInfo or None
        `info` where it is known already, without waiting.
    last_known : AdapterInfo or None
        The same, kept after a loss or the end.
    status : dict
        What its card shows: state, adapter, address.
    closed : bool
        Whether it was closed; `check_open` raises then.
    kernels : WeakValueDictionary
        Those compiled for it, by what they were made of.
    runtime
        The state of its arrays, once there are any.
    """

    closed = True

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.connection = Connection(transport)
        self.queue = Queue(self.connection)
        self.known: AdapterInfo | None = None
        self.last_known: AdapterInfo | None = None
        self.kernels: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()
        self.runtime: Any = None
        self._lock = threading.Lock()
        self._because = "this GPU is closed"
        self._gpu: weakref.ref[GPU] | None = None
        self._before_count: list[Callable[[], None]] = []
        self.closed = False
        self.connection.on_gone(self._gone)
        self.connection.on_answered(self._answered)
        transport.start(self.connection)
        self.status = {"state": "waiting", "transport": transport.name}
        if transport.url is not None and transport.name == "page":
            self.status["url"] = transport.url.split("?")[0]  # without the token
        tell_children(self)

    def _gone(self, _kind: str, _reason: str) -> None:
        self.known = None
        self.kernels.clear()

    def __repr__(self) -> str:
        state = "closed" if self.closed else self.known.name if self.known is not None else "waiting for its page"
        return f"GPU({state}, transport={self.transport.name!r})"

    @property
    def gpu(self) -> GPU:
        """The user's GPU of this device; a new one over it when nobody holds one any more."""
        with self._lock:
            gpu = self._gpu() if self._gpu is not None else None
            if gpu is None:
                gpu = gpu_over(self)
                self._gpu = weakref.ref(gpu)
            return gpu

    def shown_by(self, gpu: GPU) -> None:
        """Have this GPU be the user's, and hear of changes by its ``device_changed``."""
        self._gpu = weakref.ref(gpu)

    def _tell(self, **status: str) -> None:
        self.status = {**self.status, **status}
        gpu = self._gpu() if self._gpu is not None else None
        if gpu is not None:
            gpu.device_changed()

    def _answered(self, request: Request, error: BaseException | None, waiting: bool) -> None:
        """Have a card that is shown follow what became of a request."""
        gpu = self._gpu() if self._gpu is not None else None
        if gpu is None or not gpu._is_watched or self.closed or request.what == _ASKING:
            return
        gone = isinstance(error, errors.FrontendError | errors.DeviceError)
        if self.known is None and waiting and not gone:
            with contextlib.suppress(errors.WebGPUWidgetError):
                self.ready()
        if isinstance(error, errors.WebGPUWidgetError):
            self._tell(state="no answer" if gone else "ready", message=f"{type(error).__name__}: {error}")
        elif error is None and (self.status["state"] != "ready" or self.status.get("message")):
            self._tell(state="ready", message="")

    # ------------------------------------------------------------ state

    @property
    def generation(self) -> int:
        """How often all that lived in the browser was lost: what was made in another generation is gone."""
        return self.queue.generation

    @property
    def info(self) -> AdapterInfo:
        """The adapter; waits for the page at first use. Raises as `ready`."""
        return self.ready()

    def ready(self, timeout: float | None = 30.0) -> AdapterInfo:
        """Wait for a page with a GPU; returns `info`.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence; None waits for ever.

        Raises
        ------
        NoFrontendError, NoAdapterError
            With the reason and what to do.
        """
        self.check_open()
        return self.known or drive(self.ready_steps(), timeout)

    def ready_steps(self) -> Steps[AdapterInfo]:
        """As `ready`."""
        self.check_open()
        found = self.known
        return found or self._keep_info((yield from self.queue.request_steps({"op": "get-device"}, _ASKING)))

    def _keep_info(self, raw: dict[str, Any]) -> AdapterInfo:
        info = AdapterInfo(
            vendor=raw["vendor"],
            architecture=raw["architecture"],
            device=raw["device"],
            description=raw["description"],
            is_fallback=raw["is_fallback"],
            features=frozenset(raw["features"]) | frozenset(raw["wgsl_features"]),
            limits={key: int(value) for key, value in raw["limits"].items()},
            user_agent=raw["user_agent"],
            transport=self.transport.name,
            subgroup_matrix_configs=tuple(raw["subgroup_matrix_configs"]),
        )
        with self._lock:
            self.known = self.last_known = info
        self._tell(
            state="ready",
            adapter=info.name + (" (on the CPU)" if info.is_fallback else ""),
            browser=info.browser,
            message="",
        )
        return info

    def before_count(self, callback: Callable[[], None]) -> None:
        """Have ``callback()`` called before memory is counted: whoever keeps buffers for later use gives them back then."""
        self._before_count.append(callback)

    def memory(self, timeout: float | None = 30.0) -> MemoryInfo:
        """Say what lives in the browser."""
        return drive(self.memory_steps(), timeout)

    def memory_steps(self) -> Steps[MemoryInfo]:
        """As `memory`."""
        self.check_open()
        for callback in self._before_count:
            callback()
        told = yield from self.queue.request_steps({"op": "get-memory"}, "asking for the memory in use")
        return MemoryInfo(**told)

    def synchronize(self, timeout: float | None = 30.0) -> None:
        """Return when all submitted work is done."""
        drive(self.synchronize_steps(), timeout)

    def synchronize_steps(self) -> Steps[None]:
        """As `synchronize`."""
        self.check_open()
        yield from self.queue.request_steps({"op": "synchronize"}, "waiting for submitted work")

    def settle_steps(self) -> Steps[None]:
        """Wait for what is queued and drop what it says: after a call that has failed, whose other commands would fail the next one."""
        # What WebGPU says outside of scopes comes while the first is waited for, and is the second's.
        for _ in range(2):
            with contextlib.suppress(errors.WebGPUWidgetError):
                yield from self.synchronize_steps()

    # ------------------------------------------------------------ requests

    def wait(self, request: Request, timeout: float | None = 30.0) -> dict[str, Any]:
        """Wait for the reply to a request that was started on the queue; see `Connection.wait`."""
        return self.connection.wait(request, timeout)

    def wait_steps(self, request: Request) -> Steps[dict[str, Any]]:
        """As `wait`."""
        return self.connection.wait_steps(request)

    def cancel(self, request: Request) -> None:
        """Give up a request."""
        self.connection.cancel(request)

    def on_gone(self, callback: Callable[[str, str], None]) -> None:
        """Have ``callback(kind, reason)`` called when all that lived in the browser is lost; see `Connection.on_gone`."""
        self.connection.on_gone(callback)

    # ------------------------------------------------------------ its end

    def check_open(self) -> None:
        """Raise `ClosedError` when it was closed."""
        if self.closed:
            raise errors.ClosedError(f"{self.closed_because}; make a new one with wg.GPU()")

    @property
    def closed_because(self) -> str:
        """What is said of one that is closed."""
        return self._because

    def check_same(self, device: Device, where: str) -> None:
        """Raise when what lives on this device is used with another."""
        if device is not self:
            raise errors.BindingError(f"{where} lives on another GPU: read it with .numpy() and pass that")

    def close(self) -> None:
        """Free everything in the browser; later use raises `ClosedError`. May be called twice."""
        if not self.closed:
            self.closed = True
            self.connection.close()
            self.transport.close()
            self._tell(state="closed")

    def forked(self, parent: int) -> None:
        """Be of no use in a forked child, and say so: the browser, and what is in it, is the parent's."""
        self.closed = True
        self._because = f"this GPU belongs to the process {parent}, which this one was forked from"
        self._lock = threading.Lock()
        self.connection.disown(self._because)
        self.queue.disown()

    def __del__(self, _ending: Callable[[], bool] = sys.is_finalizing) -> None:
        """End the browser of a device that nothing holds any more: in a thread, since a collector may call this anywhere."""
        # While Python ends no thread starts any more, and waiting for one would never end; what is left is closed by then. The
        # function is held here, because a module's names are gone at the very end.
        if self.closed or _ending():
            return
        self.closed = True
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=_end, args=(self.connection, self.transport), daemon=True).start()


def _end(connection: Connection, transport: Transport) -> None:
    connection.close()
    transport.close()
