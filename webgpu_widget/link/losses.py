"""Losses of the page or its device: which there were, as errors, and what is simply tried once more after one."""

from __future__ import annotations

import contextlib
import contextvars
import math
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from webgpu_widget import errors
from webgpu_widget.link.steps import Steps

T = TypeVar("T")

LOST = (errors.DeviceLostError, errors.FrontendLostError)
_INNOCENT_S = 5.0
"""Work that a page did for longer may be why the GPU was lost, and is not given to the next one unasked."""
_COMES_BACK_S = 8.0
_patience: contextvars.ContextVar[float | None] = contextvars.ContextVar("patience", default=None)


def patience() -> float | None:
    """Return for how many seconds a page that is not there is waited for, where that is less than the caller's timeout; else None."""
    return _patience.get()


@contextlib.contextmanager
def _second_try(lost: Exception) -> Iterator[None]:
    """Wait for a page no longer than one takes to come back, and tell what was lost when none does."""
    token = _patience.set(_COMES_BACK_S)
    try:
        yield
    except errors.NoFrontendError:
        raise lost from None
    finally:
        _patience.reset(token)


class Losses:
    """What ended each generation of handles, in order.

    A generation is the time between two losses: handles of an earlier one than the newest are gone.
    """

    def __init__(self) -> None:
        self._told: list[tuple[str, str, float]] = []

    @property
    def generation(self) -> int:
        """How many losses there were."""
        return len(self._told)

    def add(self, kind: str, reason: str, heard_at: float) -> None:
        """Note a loss: ``page-lost`` or ``device-lost``, and when the page was last heard."""
        self._told.append((kind, reason, heard_at))

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
        kind, reason, heard_at = self._told[generation]
        message = f"{before}: {reason}. {advice}"
        return errors.DeviceLostError(message) if kind == "device-lost" else lost_page(message, heard_at)


def lost_page(message: str, heard_at: float) -> errors.FrontendLostError:
    """Make the error for a page that was last heard at a time of `time.monotonic`."""
    error = errors.FrontendLostError(message)
    error._heard_at = heard_at
    return error


def _worked_s(begun: float, lost: Exception) -> float:
    """Return for how many seconds a page may have worked on what it was given: until it was last heard, however long it took to be sure that it is gone."""
    return min(time.monotonic(), getattr(lost, "_heard_at", math.inf)) - begun


def once_more(attempt: Callable[[], Steps[T]], kinds: tuple[type[Exception], ...] = LOST) -> Steps[T]:
    """Do an operation that uses nothing of the GPU's, and once more if page or device were lost as it began.

    Parameters
    ----------
    attempt : callable
        Makes the operation, which composes and waits anew each time.
    kinds : tuple of types
        The losses after which it is worth another try.

    Raises
    ------
    DeviceLostError, FrontendLostError
        When the loss came late enough to be its own doing, a second time, or no page comes after it.
    """
    begun = time.monotonic()
    try:
        return (yield from attempt())
    except kinds as error:
        if _worked_s(begun, error) > _INNOCENT_S:
            raise
        lost = error
    with _second_try(lost):
        return (yield from attempt())
