"""The GPU of a browser, as a widget and as a device."""

from __future__ import annotations

import contextlib
import pathlib
import sys
import threading
import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import anywidget
import traitlets

from webgpu_widget import errors
from webgpu_widget._connection import Connection
from webgpu_widget._creation import Creation
from webgpu_widget._fork import tell_children
from webgpu_widget._lazy.runtime import runtime_of
from webgpu_widget._losses import once_more, once_more_async
from webgpu_widget._queue import Queue
from webgpu_widget.kernel import Constants, Kernel, Threads, read_outputs, read_outputs_async, uses_gpu
from webgpu_widget.profile import Profile
from webgpu_widget.program import Program
from webgpu_widget.transports._choose import TransportName, make_transport
from webgpu_widget.transports.base import Transport

__all__ = ["GPU", "AdapterInfo", "MemoryInfo", "default_gpu"]

_BUNDLE = pathlib.Path(__file__).resolve().parent / "static" / "widget.js"


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


@dataclass(frozen=True)
class MemoryInfo:
    """What lives in the browser for a GPU: number of buffers, their bytes, and the most there have been."""

    buffers: int
    bytes: int
    peak_bytes: int


class GPU(Creation, anywidget.AnyWidget):
    """The GPU of a browser.

    Shown in a cell it is a live status card.

    Parameters
    ----------
    transport : {"auto", "comm", "page", "headless"}
        ``comm`` is the notebook's own page, ``headless`` a Chromium that the package starts and stops, ``page`` any browser that opens `url`. ``auto`` is
        ``comm`` inside a Jupyter kernel and ``headless`` elsewhere; the environment variable ``WEBGPU_WIDGET_TRANSPORT`` overrides it.
    host : str
        Of ``page``: where to listen. Loopback unless other machines shall reach it; browsers offer WebGPU there only by https, so pass a certificate then.
    port : int
        Of ``page``: 0 picks a free one.
    token : str, optional
        Of ``page``: secret of the address. With the same one and a fixed port, pages find this GPU again after Python was started anew.
    certificate : (str, str), optional
        Of ``page``: paths of a certificate and its key, in PEM, for https.

    Raises
    ------
    NoFrontendError
        When ``headless`` finds no browser.
    FrontendError
        When ``page`` cannot listen there, or the certificate cannot be used.

    Warns
    -----
    UserWarning
        When ``page`` listens where others than this machine's users reach it.

    Examples
    --------
    >>> import numpy as np
    >>> import webgpu_widget as wg
    >>> gpu = wg.GPU(transport="headless")
    >>> gpu.run('''
    ... @group(0) @binding(0) var<storage, read> x: array<f32>;
    ... @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    ... @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    ...   if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * x[id.x]; }
    ... }''', x=np.arange(4, dtype=np.float32), y=wg.out(4), threads=4)
    array([0., 1., 4., 9.], dtype=float32)
    >>> gpu.close()
    """

    # Text, not a path: anywidget watches a path's file, and what watches it holds the widget.
    _esm: ClassVar[Any] = (
        _BUNDLE.read_text(encoding="utf-8")
        if _BUNDLE.is_file()
        else "export default { render({ el }) { el.textContent = 'webgpu_widget: the bundle is not built'; } };"
    )

    gpu_id = traitlets.Unicode().tag(sync=True)
    transport = traitlets.Unicode().tag(sync=True)
    status = traitlets.Dict().tag(sync=True)
    _is_closed = True
    _is_shown = False

    def __init__(
        self,
        transport: TransportName | Transport = "auto",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        certificate: tuple[str, str] | None = None,
    ) -> None:
        if not _BUNDLE.is_file():
            raise errors.NoFrontendError(
                f"the browser's part is not built ({_BUNDLE.name} is missing): in a clone, run `make build`"
            )
        made = make_transport(transport, host, port, token, certificate)
        super().__init__(
            gpu_id=uuid.uuid4().hex, transport=made.name, status={"state": "waiting", "transport": made.name}
        )
        self._transport = made.bind(self)
        self._connection = Connection(self._transport)
        self._queue = Queue(self._connection)
        self._info: AdapterInfo | None = None
        self._info_lock = threading.Lock()
        self._kernels: weakref.WeakValueDictionary[Any, Kernel] = weakref.WeakValueDictionary()
        self._is_closed = False
        self._closed_because = "this GPU is closed"
        self._connection.on_gone(self._gone)
        self._transport.start(self._connection)
        self._flush_after_cells()
        tell_children(self)
        if self._transport.url is not None and self._transport.name == "page":
            self.status = {**self.status, "url": self._transport.url.split("?")[0]}

    def _flush_after_cells(self) -> None:
        from webgpu_widget.transports.comm import running_kernel

        kernel = running_kernel()
        events = getattr(getattr(kernel, "shell", None), "events", None)
        if events is not None:
            queue, connection = weakref.ref(self._queue), self._connection

            def cell_ended(*_: object) -> None:
                living = queue()
                if living is not None and not connection.closed:
                    living.flush()

            events.register("post_run_cell", cell_ended)
            connection.on_close(lambda: events.unregister("post_run_cell", cell_ended))

    def _gone(self, _kind: str, _reason: str) -> None:
        self._info = None
        self._kernels.clear()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else self._info.name if self._info is not None else "waiting for its page"
        return f"GPU({state}, transport={self._transport.name!r})"

    # ------------------------------------------------------------ state

    @property
    def url(self) -> str | None:
        """The address to open in a browser, for transport ``page``; the token is in it, so printing it into a notebook that is saved gives it away."""
        return self._transport.url

    @property
    def info(self) -> AdapterInfo:
        """The adapter; waits for the page at first use.

        Raises
        ------
        NoFrontendError, NoAdapterError
            With the reason and what to do.
        """
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
        self._open()
        found = self._info
        if found is None:
            found = self._keep_info(self._queue.request({"op": "get-device"}, "asking for the GPU", timeout))
        return found

    async def ready_async(self, timeout: float | None = 30.0) -> AdapterInfo:
        """Coroutine twin of `ready`."""
        self._open()
        found = self._info
        if found is None:
            found = self._keep_info(
                await self._queue.request_async({"op": "get-device"}, "asking for the GPU", timeout)
            )
        return found

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
            transport=self._transport.name,
            subgroup_matrix_configs=tuple(raw["subgroup_matrix_configs"]),
        )
        with self._info_lock:
            self._info = info
        if self._transport.name != "comm":
            self.status = {**self.status, "state": "ready", "adapter": info.name, "message": ""}
        return info

    def memory(self, timeout: float | None = 30.0) -> MemoryInfo:
        """Say what lives in the browser for this GPU."""
        self._open()
        runtime_of(self).pool.trim()
        return MemoryInfo(**self._queue.request({"op": "get-memory"}, "asking for the memory in use", timeout))

    async def memory_async(self, timeout: float | None = 30.0) -> MemoryInfo:
        """Coroutine twin of `memory`."""
        self._open()
        runtime_of(self).pool.trim()
        return MemoryInfo(
            **await self._queue.request_async({"op": "get-memory"}, "asking for the memory in use", timeout)
        )

    def synchronize(self, timeout: float | None = 30.0) -> None:
        """Return when all submitted work is done."""
        self._open()
        self._queue.request({"op": "synchronize"}, "waiting for submitted work", timeout)

    async def synchronize_async(self, timeout: float | None = 30.0) -> None:
        """Coroutine twin of `synchronize`."""
        self._open()
        await self._queue.request_async({"op": "synchronize"}, "waiting for submitted work", timeout)

    def profile(self) -> Profile:
        """Return a context manager whose ``rows`` say how long each kernel took."""
        self._open()
        return Profile(self)

    def record(self) -> Program:
        """Return a context manager that turns what happens inside into a `Program`; nothing runs meanwhile."""
        self._open()
        return Program(self)

    def close(self) -> None:
        """Free everything in the browser; later use raises `ClosedError`. May be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._connection.close()
            self._transport.close()
            if self._transport.name != "comm":
                self.status = {**self.status, "state": "closed"}
        super().close()

    def open(self) -> None:
        """Open the widget's comm: at once where it carries the work, else when the widget is first shown.

        A widget with a comm is kept alive by ipywidgets, and with this one its browser would be.
        """
        if self.transport == "comm" or self._is_shown:
            super().open()

    @property
    def model_id(self) -> str:
        """The id of the widget's model; asking for it shows the widget."""
        if self.comm is None:
            self._is_shown = True
            self.open()
        return str(super().model_id)

    def __del__(self) -> None:
        """End the browser of a GPU that nothing holds any more: in a thread, since a collector may call this anywhere."""
        # While Python ends no thread starts any more, and waiting for one would never end; what is left is closed by then.
        if self._is_closed or sys.is_finalizing():
            return
        self._is_closed = True
        with contextlib.suppress(RuntimeError):
            threading.Thread(target=_end, args=(self._connection, self._transport), daemon=True).start()

    def _open(self) -> None:
        if self._is_closed:
            raise errors.ClosedError(f"{self._closed_because}; make a new one with wg.GPU()")

    def forked(self, parent: int) -> None:
        """Be of no use in a forked child, and say so: the browser, and what is in it, is the parent's."""
        global _default_lock  # noqa: PLW0603
        self._is_closed = True
        self._closed_because = f"this GPU belongs to the process {parent}, which this one was forked from"
        self._info_lock = threading.Lock()
        self._connection.disown(self._closed_because)
        self._queue.disown()
        runtime_of(self).lock = threading.RLock()
        if getattr(_of_thread, "gpu", None) is self:
            _of_thread.gpu = None
        _default_lock = threading.Lock()

    def _same(self, other: GPU, where: str) -> None:
        """Raise when an array of this GPU is used with another."""
        if other is not self:
            raise errors.BindingError(f"{where} lives on another GPU: read it with .numpy() and pass that")

    # ------------------------------------------------------------ kernels

    def kernel(
        self,
        wgsl: str,
        name: str | None = None,
        entry_point: str | None = None,
        constants: Constants | None = None,
        timeout: float | None = 30.0,
    ) -> Kernel:
        """Compile WGSL once; the result is called with arrays and keeps its outputs in the browser.

        Parameters
        ----------
        wgsl : str
            A WGSL module.
        name : str, optional
            For messages and profiles; the entry point's name when left out.
        entry_point : str, optional
            The @compute function, where there are several. The call may override it.
        constants : mapping, optional
            Values of overrides, by name or ``@id``. The call may override them.
        timeout : float or None
            Seconds of silence.

        Returns
        -------
        Kernel
            The same object for the same arguments.

        Raises
        ------
        ShaderError
            With line, column and caret.
        """
        self._open()
        made = self._kernel(wgsl, name, entry_point, constants)
        if made._result is None:
            once_more(lambda: made._compile(timeout))
        return self._remember(made)

    async def kernel_async(
        self,
        wgsl: str,
        name: str | None = None,
        entry_point: str | None = None,
        constants: Constants | None = None,
        timeout: float | None = 30.0,
    ) -> Kernel:
        """Coroutine twin of `kernel`."""
        self._open()
        await self._connection.decide_async()
        made = self._kernel(wgsl, name, entry_point, constants)
        if made._result is None:
            await once_more_async(lambda: made._compile_async(timeout))
        return self._remember(made)

    @staticmethod
    def _kernel_key(kernel: Kernel) -> Any:
        return kernel.wgsl, kernel.name, kernel._entry_point, tuple(sorted(kernel._constants.items()))

    def _kernel(self, wgsl: str, name: str | None, entry_point: str | None, constants: Constants | None) -> Kernel:
        if not isinstance(wgsl, str):
            raise errors.BindingError(f"a kernel is made of WGSL text, not of {type(wgsl).__name__}")
        made = Kernel(self, wgsl, name or entry_point or "main", entry_point, constants)
        return self._kernels.get(self._kernel_key(made), made)

    def _remember(self, kernel: Kernel) -> Kernel:
        return self._kernels.setdefault(self._kernel_key(kernel), kernel)

    def run(
        self,
        wgsl: str,
        arguments: Mapping[str, Any] | None = None,
        /,
        *,
        threads: Threads | None = None,
        workgroups: Threads | None = None,
        constants: Constants | None = None,
        entry_point: str | None = None,
        timeout: float | None = 30.0,
        **named: Any,
    ) -> Any:
        """Run WGSL over NumPy arrays and return NumPy arrays, in the same cell.

        Parameters
        ----------
        wgsl : str
            A WGSL module.
        arguments, threads, workgroups, constants, entry_point, **named
            As in `Kernel.__call__`.
        timeout : float or None
            Seconds of silence; a page at work reports what it has finished, and each report starts the count again.

        Returns
        -------
        ndarray, dict of ndarray by name, or None
            One output, several, or none.

        Raises
        ------
        ShaderError, BindingError, DTypeError, ShapeError, LimitError, FrontendError, DeviceError
            Each says what happened, the values, what is allowed, and what to do.
        """

        def attempt() -> Any:
            kernel = self.kernel(wgsl, None, entry_point, constants, timeout)
            outputs = kernel(arguments, threads=threads, workgroups=workgroups, timeout=timeout, **named)
            return read_outputs(self, outputs, timeout)

        return attempt() if uses_gpu(arguments, named) else once_more(attempt)

    async def run_async(
        self,
        wgsl: str,
        arguments: Mapping[str, Any] | None = None,
        /,
        *,
        threads: Threads | None = None,
        workgroups: Threads | None = None,
        constants: Constants | None = None,
        entry_point: str | None = None,
        timeout: float | None = 30.0,
        **named: Any,
    ) -> Any:
        """Coroutine twin of `run`."""

        async def attempt() -> Any:
            kernel = await self.kernel_async(wgsl, None, entry_point, constants, timeout)
            outputs = kernel(arguments, threads=threads, workgroups=workgroups, timeout=timeout, **named)
            return await read_outputs_async(self, outputs, timeout)

        return await (attempt() if uses_gpu(arguments, named) else once_more_async(attempt))


def _end(connection: Connection, transport: Transport) -> None:
    connection.close()
    transport.close()


_default: GPU | None = None
_default_lock = threading.Lock()
_of_thread = threading.local()


def use_in_this_thread(gpu: GPU | None) -> None:
    """Make a GPU the default one of the calling thread: a worker's tasks find theirs by it."""
    _of_thread.gpu = gpu


def default_gpu() -> GPU:
    """Return the GPU that helpers use when none is passed; made at first use, and anew after it was closed."""
    global _default  # noqa: PLW0603
    mine: GPU | None = getattr(_of_thread, "gpu", None)
    if mine is not None:
        return mine
    with _default_lock:
        if _default is None or _default._is_closed:
            _default = GPU()
        return _default
