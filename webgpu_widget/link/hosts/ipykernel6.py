"""ipykernel 6: taking our messages out of the kernel's queue while a cell waits.

ipykernel 6 reads the shell socket on the main thread's event loop into ``kernel.msg_queue``, which nobody empties while a cell runs. A waiting cell
flushes the socket into the queue itself, takes out what is ours and puts the rest back in order.

Another thread may not touch the socket. It asks the main thread to do it, by a signal that is ignored by default (SIGURG): Python runs the handler on
the main thread between two bytecodes, also when that sits in ``Thread.join`` or ``time.sleep``. Only while a cell runs; otherwise the event
loop delivers the messages by itself.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from webgpu_widget.link.hosts._claim import claim

INTERVAL_S = 0.002


class _Drain:
    """What empties the queue of one kernel."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.in_cell = threading.current_thread() is threading.main_thread()
        self._draining = False
        events = getattr(getattr(kernel, "shell", None), "events", None)
        if events is not None:
            events.register("pre_run_cell", self._cell_begins)
            events.register("post_run_cell", self._cell_ends)
        self._can_signal = self.in_cell and hasattr(signal, "SIGURG") and hasattr(signal, "pthread_kill")
        if self._can_signal:
            signal.signal(signal.SIGURG, self._signalled)

    def _cell_begins(self, *_: Any) -> None:
        self.in_cell = True

    def _cell_ends(self, *_: Any) -> None:
        self.in_cell = False

    def _signalled(self, *_: Any) -> None:
        if self.in_cell:
            self._drain_here()

    def _drain_here(self) -> None:
        if self._draining:
            return
        self._draining = True
        try:
            self.kernel.shell_stream.flush()
            queue, kept = self.kernel.msg_queue, []
            while queue.qsize():
                item = queue.get_nowait()
                arguments = item[2]
                if not (arguments and claim(self.kernel, arguments[0])):
                    kept.append(item)
            for item in kept:
                queue.put_nowait(item)
        finally:
            self._draining = False

    def drain(self) -> None:
        """Deliver our messages now; from any thread."""
        if threading.current_thread() is threading.main_thread():
            self._drain_here()
        elif self.in_cell and self._can_signal:
            main = threading.main_thread().ident
            if main is not None:
                signal.pthread_kill(main, signal.SIGURG)


def fits(kernel: Any) -> bool:
    """Whether the kernel has such a queue."""
    return hasattr(kernel, "msg_queue") and hasattr(kernel, "shell_stream")


def install(kernel: Any) -> Callable[[], None]:
    """Make what empties the kernel's queue, once; returns the function that delivers our messages."""
    if getattr(kernel, "_webgpu_widget_drain", None) is None:
        kernel._webgpu_widget_drain = _Drain(kernel)
    drain: Callable[[], None] = kernel._webgpu_widget_drain.drain
    return drain


def wait(future: Future[Any], seconds: float, drain: Callable[[], None]) -> None:
    """Wait for a future for at most some seconds, draining meanwhile."""
    end = time.monotonic() + seconds
    while not future.done():
        drain()
        remaining = end - time.monotonic()
        if remaining <= 0:
            return
        with contextlib.suppress(TimeoutError, CancelledError):
            future.exception(timeout=min(INTERVAL_S, remaining))
