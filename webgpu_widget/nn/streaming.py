"""From the steps of a generation to what a caller reads: waiting for what they read, and text piece by piece."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from webgpu_widget.errors import DeviceError, DeviceLostError, WebGPUWidgetError
from webgpu_widget.nn.decoder import Chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from webgpu_widget.device.device import Device
    from webgpu_widget.nn.decoder import Work

__all__ = ["Pieces", "drive", "drive_async", "whole"]


def drive(device: Device, work: Work, timeout: float | None) -> Iterator[Chunk]:
    """Do work, waiting for what it reads."""
    with whole(device):
        yield from _drive(device, work, timeout)


@contextmanager
def whole(device: Device) -> Iterator[None]:
    """Leave nothing of a block that fails to the next call: what it has queued by then may need what it could not make."""
    try:
        yield
    except DeviceError as error:
        if not isinstance(error, DeviceLostError):
            device.settle()
        raise


def _drive(device: Device, work: Work, timeout: float | None) -> Iterator[Chunk]:
    item = next(work, None)
    while item is not None:
        if isinstance(item, Chunk):
            yield item
        else:
            try:
                device.wait(item.request, timeout)
            except BaseException as error:  # noqa: BLE001 - the work raises it again, unless it knows how to go on
                item = work.throw(error)
                continue
        item = next(work, None)


async def drive_async(device: Device, work: Work, timeout: float | None) -> AsyncIterator[Chunk]:
    """Coroutine twin of `drive`."""
    try:
        async for chunk in _drive_async(device, work, timeout):
            yield chunk
    except DeviceError as error:
        if not isinstance(error, DeviceLostError):
            await device.settle_async()
        raise


async def _drive_async(device: Device, work: Work, timeout: float | None) -> AsyncIterator[Chunk]:
    item = next(work, None)
    while item is not None:
        if isinstance(item, Chunk):
            yield item
        else:
            try:
                await device.wait_async(item.request, timeout)
            except WebGPUWidgetError as error:
                item = await asyncio.to_thread(work.throw, error)  # going on may mean to wait for the next page
                continue
            except BaseException as error:
                work.throw(error)
                raise
        item = next(work, None)


class Pieces:
    """Text of a growing list of ids, piece by piece: what is said is never taken back.

    Parameters
    ----------
    decode
        Makes text of ids.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._said = ""

    def upto(self, ids: Sequence[int], *, done: bool = False) -> str:
        """Return what is new in the text of all ids so far; a character that is incomplete waits for the rest, or the end."""
        text = self._decode(ids)
        if not text.startswith(self._said) or (text.endswith("\ufffd") and not done):
            return ""
        piece, self._said = text[len(self._said) :], text
        return piece
