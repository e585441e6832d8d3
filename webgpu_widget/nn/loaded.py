"""What a model that lives in the browser does about its page: open its weights anew after a loss, wait until all is there, end."""

from __future__ import annotations

import asyncio
import traceback
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from webgpu_widget import errors
from webgpu_widget.link.steps import Beforehand, Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webgpu_widget.device.device import Device

__all__ = ["Loaded"]


class Loaded(ABC):
    """The life of a model; what it is made of is the model's own.

    ``_generation`` is the page's generation for which the weights were opened, ``_complete`` that for which all is loaded.
    """

    _device: Device
    _parts: Any
    _closed = False
    _complete = -1
    _generation: int

    @abstractmethod
    def _open(self) -> None:
        """Open the weights for the page and device that there are now."""

    @abstractmethod
    def wait(self, timeout: float | None = 30.0) -> None:
        """Return when the whole model is on the GPU, with its kernels compiled.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence; None waits for ever.

        Raises
        ------
        WeightsError, IntegrityError
            When a file cannot be read, or is not what it says.
        FrontendError, DeviceError
            When the page or device is lost.
        """

    async def wait_async(self, timeout: float | None = 30.0) -> None:
        """Coroutine twin of `wait`."""
        await asyncio.to_thread(self.wait, timeout)

    @abstractmethod
    def free(self) -> None:
        """Give the model's memory back; later use raises `ClosedError`. May be called twice."""

    @contextmanager
    def _freed_unless_whole(self) -> Iterator[None]:
        """Free the model where loading it fails: nobody has it, and what there is of it is in the way of a smaller one."""
        try:
            yield
        except BaseException as error:
            self.free()
            # Its variables hold that memory for as long as the error is kept.
            traceback.clear_frames(error.__traceback__)
            raise

    def _settle(self) -> Steps[None]:
        """Have a coroutine wait until all is there, since what follows would block it."""
        if self._closed or self._complete != self._device.queue.generation:
            yield Beforehand(self.wait)

    def _ready(self) -> Any:
        """Return the parts for the page and device that there are now."""
        if self._closed:
            raise errors.ClosedError(
                f"this model was freed; load it again with wg.{type(self).__name__}.from_pretrained()"
            )
        if self._generation != self._device.queue.generation:
            self._wait_for_device()
            self._open()
        return self._parts

    def _wait_for_device(self) -> None:
        """Wait for the page or device after the one that was lost; it may be on its way while the loss is still being told."""
        for _ in range(3):
            try:
                self._device.ready()
            except (errors.DeviceLostError, errors.FrontendLostError):
                continue
            return
        self._device.ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()
