"""What generations of all models share: that a failed one leaves nothing, and text as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from webgpu_widget.errors import DeviceError, DeviceLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from webgpu_widget.device.device import Device
    from webgpu_widget.link.steps import Wait

__all__ = ["Detokenizer", "whole"]

T = TypeVar("T")
R = TypeVar("R")


def whole(device: Device, steps: Generator[Wait | T, Any, R]) -> Generator[Wait | T, Any, R]:
    """Leave nothing of an operation that fails to the next call: what it has queued by then may need what it could not make."""
    try:
        return (yield from steps)
    except DeviceError as error:
        if not isinstance(error, DeviceLostError):
            yield from device.settle_steps()
        raise


class Detokenizer:
    """Text of a growing list of ids, as it comes: what is said is never taken back.

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
        new, self._said = text[len(self._said) :], text
        return new
