"""What a host is, and the one that drives nothing: a script, a test, a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Protocol

from webgpu_widget.link.hosts._claim import Receive

Send = Callable[[Mapping[str, object], Sequence[Any]], None]
Step = Callable[["Future[Any]", float], None]


class Output(Protocol):
    """What was displayed under a cell."""

    def update(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Show something else in its place, by MIME types; from any thread."""


class Host:
    """Where Python code runs: how its cells wait, how a widget speaks with its page, and when cells end.

    Attributes
    ----------
    has_page : bool
        Whether a page shows what is displayed here, and messages come from it over comms.
    transport : str
        What ``auto`` means here: ``comm`` or ``headless``.
    refusal : str
        Why ``comm`` cannot be used here, and what to write instead; empty where it can.
    is_watched : bool
        Whether somebody will see what is displayed here while Python runs: outputs of nbconvert and papermill are read when the kernel is gone.
    """

    has_page = False
    is_watched = True
    transport = "headless"
    refusal = "transport 'comm' needs a Jupyter kernel, and this code runs in none: use 'headless' or 'page'"

    def claim(self, comm_id: str, receive: Receive) -> Callable[[], None]:  # noqa: ARG002
        """Have the custom messages of a comm delivered by ``receive`` even while a cell runs.

        Parameters
        ----------
        comm_id : str
            The comm's id.
        receive : callable
            Called with (content, buffers), in any thread.

        Returns
        -------
        callable
            Takes the claim back.
        """
        return lambda: None

    def sender(self, widget: Any) -> Send:
        """Return a function that sends a widget's custom messages, from any thread; it never waits for the page."""
        return lambda message, buffers: widget.send(message, list(buffers))

    def show(self, widget: Any) -> None:
        """Display a widget under the cell that runs; nothing happens where nobody looks."""

    def display(self, data: dict[str, Any], metadata: dict[str, Any]) -> Output:
        """Display something, by MIME types, under the cell that runs; only where `has_page`."""
        raise NotImplementedError

    def after_cells(self, callback: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002
        """Have ``callback()`` called when a cell has ended; returns what ends that."""
        return lambda: None

    def blocking(self) -> contextlib.AbstractContextManager[Step]:
        """Give a function that waits for a future for at most some seconds, letting our messages in meanwhile."""
        return _WAITING

    @contextlib.asynccontextmanager
    async def awaiting(self) -> AsyncIterator[Callable[[], float | None]]:
        """Give a function that lets our messages in and says how soon it wants to be called again (None: no need)."""
        yield lambda: None


def _wait(future: Future[Any], seconds: float) -> None:
    try:  # noqa: SIM105 - each call that reads passes here, and `suppress` takes five times as long
        future.exception(timeout=seconds)
    except (TimeoutError, CancelledError):
        pass


_WAITING: contextlib.AbstractContextManager[Step] = contextlib.nullcontext(_wait)
