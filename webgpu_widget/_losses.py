"""Losses of the page or its device: which there were, as errors, and what is simply tried once more after one."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from webgpu_widget import errors

T = TypeVar("T")

LOST = (errors.DeviceLostError, errors.FrontendLostError)
_INNOCENT_S = 5.0
"""Work that was under way for longer may be why the GPU was lost, and is not given to the next one unasked."""


class Losses:
    """What ended each generation of handles, in order.

    A generation is the time between two losses: handles of an earlier one than the newest are gone.
    """

    def __init__(self) -> None:
        self._told: list[tuple[str, str]] = []

    @property
    def generation(self) -> int:
        """How many losses there were."""
        return len(self._told)

    def add(self, kind: str, reason: str) -> None:
        """Note a loss: ``page-lost`` or ``device-lost``."""
        self._told.append((kind, reason))

    def error(self, generation: int, before: str, advice: str) -> errors.WebGPUWidgetError:
        """Make the error for something of a generation that is over.

        Parameters
        ----------
        generation : int
            Its generation; how that ended decides the type.
        before, advice : str
            What the message says before and after the reason.

        Returns
        -------
        DeviceLostError or FrontendLostError
        """
        kind, reason = self._told[generation]
        error = errors.DeviceLostError if kind == "device-lost" else errors.FrontendLostError
        return error(f"{before}: {reason}. {advice}")


def once_more(attempt: Callable[[], T], kinds: tuple[type[Exception], ...] = LOST) -> T:
    """Call a function that uses nothing of the GPU's, and once more if page or device were lost as it began.

    Parameters
    ----------
    attempt : callable
        Composes and waits anew at each call.
    kinds : tuple of types
        The losses after which it is worth another try.

    Raises
    ------
    DeviceLostError, FrontendLostError
        When the loss came late enough to be its own doing, or a second time.
    """
    begun = time.monotonic()
    try:
        return attempt()
    except kinds:
        if time.monotonic() - begun > _INNOCENT_S:
            raise
    return attempt()


async def once_more_async(attempt: Callable[[], Awaitable[T]]) -> T:
    """Coroutine twin of `once_more`."""
    begun = time.monotonic()
    try:
        return await attempt()
    except LOST:
        if time.monotonic() - begun > _INNOCENT_S:
            raise
    return await attempt()
