"""Which device is used when none is named, and how a user's GPU and its device find each other.

Nothing here makes a widget: the package says at its top, by `register`, how that is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from webgpu_widget import errors
from webgpu_widget.process.fork import tell_children

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.gpu import GPU

T = TypeVar("T")

__all__ = ["as_device", "default_device", "gpu_over", "namespace", "register", "use_in_this_thread"]


class HasDevice(Protocol):
    """What users hold."""

    @property
    def _device(self) -> Device: ...


class _Defaults:
    """The default GPU of the process, those of threads, and what makes a GPU."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.of_thread = threading.local()
        self.gpu: HasDevice | None = None
        self.kind: Callable[[], type[GPU]] | None = None
        self.namespace: Callable[[], ModuleType] | None = None
        tell_children(self)

    def forked(self, _parent: int) -> None:
        """Forget, in a forked child, a lock that another thread may hold and the device of a thread that is the parent's."""
        self.lock = threading.Lock()
        self.of_thread = threading.local()
        tell_children(self)


_defaults = _Defaults()


def register(kind: Callable[[], type[GPU]], namespace: Callable[[], ModuleType]) -> None:
    """Say what returns the class of GPUs and the namespace of arrays, which are loaded at first use."""
    _defaults.kind, _defaults.namespace = kind, namespace


def namespace() -> ModuleType:
    """Return `webgpu_widget.xp`, which arrays name as theirs."""
    return _whole(_defaults.namespace)()


def _whole(registered: Callable[[], T] | None) -> Callable[[], T]:
    if registered is None:
        raise errors.WebGPUWidgetError("webgpu_widget was not imported whole: import it before its modules")
    return registered


def gpu_over(device: Device) -> GPU:
    """Make a GPU over a device; see `Device.gpu`."""
    return _whole(_defaults.kind)()._over(device)


def use_in_this_thread(device: Device | None) -> None:
    """Make a device the default one of the calling thread: a worker's tasks find theirs by it."""
    _defaults.of_thread.device = device


def default_device() -> Device:
    """Return the device that helpers use when none is passed: the thread's, else that of a GPU made at first use, and anew after it was closed."""
    mine: Device | None = getattr(_defaults.of_thread, "device", None)
    if mine is not None:
        return mine
    with _defaults.lock:
        if _defaults.gpu is None or _defaults.gpu._device.closed:
            _defaults.gpu = _whole(_defaults.kind)()()
        return _defaults.gpu._device


def as_device(gpu: HasDevice | Device | None) -> Device:
    """Return the device of a GPU; a device as it is, and the default one for None.

    Raises
    ------
    BindingError
        For what is neither.
    """
    if gpu is None:
        return default_device()
    device = getattr(gpu, "_device", gpu)
    if not hasattr(device, "queue"):
        raise errors.BindingError(
            f"{gpu!r:.80} is no GPU: pass a webgpu_widget.GPU, or leave it out for wg.default_gpu()"
        )
    return cast("Device", device)
