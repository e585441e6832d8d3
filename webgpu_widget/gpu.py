"""The GPU of a browser, as a widget: what users hold of a device."""

from __future__ import annotations

import pathlib
import uuid
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import traitlets

from webgpu_widget import errors
from webgpu_widget.device.default import default_device
from webgpu_widget.device.device import AdapterInfo, Device, MemoryInfo
from webgpu_widget.kernels.creation import Creation
from webgpu_widget.kernels.kernel import Constants, Kernel, Threads, read_outputs, uses_gpu
from webgpu_widget.kernels.profile import Profile
from webgpu_widget.kernels.program import Program
from webgpu_widget.link import hosts
from webgpu_widget.link.losses import once_more
from webgpu_widget.link.steps import Steps, drive, drive_async
from webgpu_widget.link.transports._choose import TransportName, make_transport
from webgpu_widget.link.transports.base import Transport
from webgpu_widget.shown import pictures
from webgpu_widget.shown.widget import PicturedWidget

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["GPU", "AdapterInfo", "MemoryInfo", "default_gpu"]

_BUNDLE = pathlib.Path(__file__).resolve().parent / "static" / "widget.js"


class GPU(Creation, PicturedWidget):
    """The GPU of a browser.

    Shown in a cell it is a live status card.

    Parameters
    ----------
    transport : {"auto", "comm", "page", "headless"}
        ``comm`` is the notebook's own page, ``headless`` a Chromium that the package starts and stops, ``page`` any browser that opens `url`. ``auto`` is
        ``comm`` inside a Jupyter kernel and ``headless`` elsewhere; the environment variable ``WEBGPU_WIDGET_TRANSPORT`` overrides it.
    host : str
        Of ``page``: where to listen. Loopback unless other machines are to reach it; browsers offer WebGPU there only by https, so pass a certificate then.
    port : int
        Of ``page``: 0 picks a free one.
    token : str, optional
        Of ``page``: secret of the address. With the same one and a fixed port, pages find this GPU again after Python was started anew.
    certificate : (str, str), optional
        Of ``page``: paths of a certificate and its key, in PEM, for https.
    check : bool
        Whether kernels watch their indices, unless `kernel` or `run` says otherwise.

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
    _device: Device
    _is_shown = False
    _check = False

    def __init__(
        self,
        transport: TransportName | Transport = "auto",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        certificate: tuple[str, str] | None = None,
        check: bool = False,
    ) -> None:
        if not _BUNDLE.is_file():
            raise errors.NoFrontendError(
                f"the browser's part is not built ({_BUNDLE.name} is missing): in a clone, run `make build`"
            )
        made = make_transport(transport, host, port, token, certificate)
        self._start(made.name)
        self._check = check
        self._device = Device(made.bind(self))
        self._device.shown_by(self)
        self.device_changed()
        self._flush_after_cells()

    @classmethod
    def _over(cls, device: Device) -> GPU:
        """Return a GPU of a device that is there already."""
        self = cls.__new__(cls)
        self._device = device
        self._start(device.transport.name)
        self.device_changed()
        return self

    def _start(self, transport: str) -> None:
        super().__init__(
            gpu_id=uuid.uuid4().hex, transport=transport, status={"state": "waiting", "transport": transport}
        )

    def _flush_after_cells(self) -> None:
        queue, connection = weakref.ref(self._device.queue), self._device.connection

        def cell_ended() -> None:
            living = queue()
            if living is not None and not connection.closed:
                living.flush()

        connection.on_close(hosts.here().after_cells(cell_ended))

    def device_changed(self) -> None:
        """Show what the device tells of itself; a notebook's own page knows it before Python does, and shows it."""
        if self.transport != "comm":
            self.status = self._device.status
        self._picture_changed()

    @property
    def _is_watched(self) -> bool:
        """Whether somebody has asked for the card."""
        return self._is_shown or bool(self._outputs)

    def __repr__(self) -> str:
        return repr(self._device)

    def _draw_picture(self) -> Image.Image:
        """Draw the card as Python knows it."""
        device, last = self._device, self._device.last_known
        state, message = device.status["state"], device.status.get("message", "")
        facts = [("Connection", device.transport.name)]
        if last is not None:
            facts = [("Adapter", device.status["adapter"]), ("Browser", last.browser), *facts]
        mood: pictures.Mood = (
            "over" if device.closed else "bad" if message else "good" if device.known is not None else "wait"
        )
        footer = "" if device.closed else "As it was when the notebook was saved. Run the cell again to compute."
        return pictures.card("WebGPU", state, mood, facts, message, footer=footer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ state

    @property
    def url(self) -> str | None:
        """The address to open in a browser, for transport ``page``; the token is in it, so printing it into a notebook that is saved gives it away."""
        return self._device.transport.url

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
        return self._device.ready(timeout)

    async def ready_async(self, timeout: float | None = 30.0) -> AdapterInfo:
        """Coroutine twin of `ready`."""
        return await drive_async(self._device.ready_steps(), timeout)

    def memory(self, timeout: float | None = 30.0) -> MemoryInfo:
        """Say what lives in the browser for this GPU: a `MemoryInfo`.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence; None waits for ever.

        Raises
        ------
        ClosedError, FrontendError, DeviceError
            When the GPU is closed, or the page or device lost.
        """
        return self._device.memory(timeout)

    async def memory_async(self, timeout: float | None = 30.0) -> MemoryInfo:
        """Coroutine twin of `memory`."""
        return await drive_async(self._device.memory_steps(), timeout)

    def synchronize(self, timeout: float | None = 30.0) -> None:
        """Return when all submitted work is done.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence; None waits for ever.

        Raises
        ------
        ClosedError, FrontendError, DeviceError
            When the GPU is closed, or the page or device lost.
        """
        self._device.synchronize(timeout)

    async def synchronize_async(self, timeout: float | None = 30.0) -> None:
        """Coroutine twin of `synchronize`."""
        await drive_async(self._device.synchronize_steps(), timeout)

    def profile(self) -> Profile:
        """Return a context manager whose ``rows`` say how long each kernel took."""
        self._device.check_open()
        return Profile(self._device)

    def record(self) -> Program:
        """Return a context manager that turns what happens inside into a `Program`; nothing runs meanwhile."""
        self._device.check_open()
        return Program(self._device)

    def close(self) -> None:
        """Free everything in the browser; later use raises `ClosedError`. May be called twice."""
        if hasattr(self, "_device"):
            self._device.close()
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
        """Leave the device to what else holds it, arrays and kernels; a widget's own ``__del__`` would close it under them."""

    # ------------------------------------------------------------ kernels

    def kernel(
        self,
        wgsl: str,
        name: str | None = None,
        entry_point: str | None = None,
        constants: Constants | None = None,
        timeout: float | None = 30.0,
        *,
        check: bool | None = None,
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
        check : bool, optional
            Whether calls watch the index expressions of the WGSL, by default as the GPU was told: each call waits until it has run, and raises `BoundsError`
            where an index of an array, a vector, a matrix or a texture's coordinates was out of bounds. What the kernel computes stays the same.

        Returns
        -------
        Kernel
            The same object for the same arguments.

        Raises
        ------
        ShaderError
            With line, column and caret.
        """
        return drive(self._kernel_steps(wgsl, name, entry_point, constants, check), timeout)

    async def kernel_async(
        self,
        wgsl: str,
        name: str | None = None,
        entry_point: str | None = None,
        constants: Constants | None = None,
        timeout: float | None = 30.0,
        *,
        check: bool | None = None,
    ) -> Kernel:
        """Coroutine twin of `kernel`."""
        return await drive_async(self._kernel_steps(wgsl, name, entry_point, constants, check), timeout)

    def _kernel_steps(
        self,
        wgsl: str,
        name: str | None,
        entry_point: str | None,
        constants: Constants | None,
        check: bool | None,
    ) -> Steps[Kernel]:
        self._device.check_open()
        yield from self._device.connection.decide_steps()
        if not isinstance(wgsl, str):
            raise errors.BindingError(f"a kernel is made of WGSL text, not of {type(wgsl).__name__}")
        watched = self._check if check is None else bool(check)
        made = Kernel(self._device, wgsl, name or entry_point or "main", entry_point, constants, check=watched)
        key = made.wgsl, made.name, made._entry_point, tuple(sorted(made._constants.items())), made._check
        made = self._device.kernels.get(key, made)
        if made._result is None:
            yield from once_more(made._compile_steps)
        return self._device.kernels.setdefault(key, made)

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
        check: bool | None = None,
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
        check : bool, optional
            Whether to watch the indices, as in `kernel`.

        Returns
        -------
        ndarray, dict of ndarray by name, or None
            One output, several, or none.

        Raises
        ------
        ShaderError, BindingError, DTypeError, ShapeError, LimitError, FrontendError, DeviceError
            Each says what happened, the values, what is allowed, and what to do.
        BoundsError
            With ``check``: when an index was out of bounds.
        """
        return drive(
            self._run_steps(wgsl, arguments, named, threads, workgroups, constants, entry_point, timeout, check),
            timeout,
        )

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
        check: bool | None = None,
        **named: Any,
    ) -> Any:
        """Coroutine twin of `run`."""
        return await drive_async(
            self._run_steps(wgsl, arguments, named, threads, workgroups, constants, entry_point, timeout, check),
            timeout,
        )

    def _run_steps(
        self,
        wgsl: str,
        arguments: Mapping[str, Any] | None,
        named: dict[str, Any],
        threads: Threads | None,
        workgroups: Threads | None,
        constants: Constants | None,
        entry_point: str | None,
        timeout: float | None,
        check: bool | None,
    ) -> Steps[Any]:
        def attempt() -> Steps[Any]:
            kernel = yield from self._kernel_steps(wgsl, None, entry_point, constants, check)
            given = kernel._given(arguments, named)
            outputs, notes = kernel._call(given, threads, workgroups, None, None, timeout)
            values = yield from read_outputs(self._device, outputs)
            if notes is not None:
                yield from notes.check_steps(values)
            return values

        return attempt() if uses_gpu(arguments, named) else once_more(attempt)


def default_gpu() -> GPU:
    """Return the GPU that helpers use when none is passed; made at first use, and anew after it was closed."""
    return default_device().gpu
