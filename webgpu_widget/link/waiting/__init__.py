"""How a cell waits for its own front end.

While a cell runs, ipykernel holds the front end's messages back, in a way that differs by version. Two mechanisms let through those that are for
us, and only those: `tap` (ipykernel 7, which reads all messages in a thread) and `pump` (ipykernel 6, which queues them on the main thread).
A WebSocket's messages come in a thread of their own and need neither.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

from webgpu_widget import errors
from webgpu_widget.link.waiting import _claim, pump, tap

__all__ = ["awaiting", "blocking", "check_host", "install"]

Step = Callable[["Future[Any]", float], None]


def install(kernel: Any, comm_id: str, receive: _claim.Receive) -> Callable[[], None]:
    """Have the custom messages of a comm delivered by ``receive`` even while a cell runs.

    Parameters
    ----------
    kernel : ipykernel.kernelbase.Kernel
        The running kernel.
    comm_id : str
        The comm's id.
    receive : callable
        Called with (content, buffers), in any thread.

    Returns
    -------
    callable
        Takes the claim back.
    """
    _claim.claims[comm_id] = receive
    if not tap.install(kernel):
        pump.install(kernel)
    return lambda: _claim.claims.pop(comm_id, None) and None


def check_host(kernel: Any) -> None:
    """Raise at once where no way of waiting inside a cell exists.

    Raises
    ------
    NoFrontendError
        In marimo and Pyodide, with what to write there instead.
    """
    if kernel is None:
        return
    if sys.platform == "emscripten":
        raise errors.NoFrontendError(
            "Python runs in the browser here (Pyodide) and its front end cannot answer while a cell runs: "
            "use a kernel that runs outside the browser"
        )
    if "marimo" in sys.modules and type(kernel).__module__.startswith("marimo"):
        raise errors.NoFrontendError(
            "marimo holds a front end's messages back until the cell ends: make the GPU with wg.GPU(transport='headless') or "
            "transport='page', which do not go through marimo"
        )


def _plain(future: Future[Any], seconds: float) -> None:
    with contextlib.suppress(TimeoutError, CancelledError):
        future.exception(timeout=seconds)


@contextlib.contextmanager
def blocking(kernel: Any) -> Iterator[Step]:
    """Give a function that waits for a future for at most some seconds, letting our messages in meanwhile."""
    drain = pump.drain_for(kernel)
    if drain is None:
        yield _plain
        return

    def step(future: Future[Any], seconds: float) -> None:
        pump.wait(future, seconds, drain)

    yield step


@contextlib.asynccontextmanager
async def awaiting(kernel: Any) -> AsyncIterator[Callable[[], float | None]]:
    """Give a function that lets our messages in and says how soon it wants to be called again (None: no need)."""
    drain = pump.drain_for(kernel)
    if drain is None:
        yield lambda: None
        return

    def step() -> float | None:
        drain()
        return pump.INTERVAL_S

    yield step
