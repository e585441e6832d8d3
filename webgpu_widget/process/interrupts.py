"""Ctrl-C, and what must not be done by halves.

Python raises KeyboardInterrupt in the main thread between any two of its steps. In the middle of sending commands that would lose some of them, or leave a
buffer in the browser that nobody knows of. So an interrupt that comes inside ``with HELD_BACK``, or while the main thread holds a `Lock`, waits until that is
left, or until the thread waits for the browser (`let_in`). Other threads are never interrupted, and pass through here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.signal makes enums of what it gets and returns, which takes ten times as long
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any

__all__ = ["HELD_BACK", "Lock", "let_in"]

_SLICE_S = 0.05


class _MainThread:
    """What the main thread holds, and the interrupt that waits meanwhile. Only that thread calls this."""

    def __init__(self) -> None:
        self.ident = threading.main_thread().ident
        self.depth = 0
        self._handler: Callable[[int, FrameType | None], Any] | None = None
        """The one that is in place where nothing is held."""
        self._came: tuple[int, FrameType | None] | None = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = (number, frame)

    def begin(self) -> None:
        """Have interrupts wait."""
        if self.depth == 0:
            handler = _signal.getsignal(_signal.SIGINT)
            # Without a handler of Python's an interrupt is ignored, or ends the process.
            self._handler = handler if callable(handler) else None
            if self._handler is not None:
                _signal.signal(_signal.SIGINT, self._note)
        self.depth += 1

    def end(self) -> None:
        """Undo one `begin`; after the last one, let in what came."""
        self.depth = max(self.depth - 1, 0)  # 0 already where an interrupt broke `let_in` off
        if self.depth == 0 and self._handler is not None:
            _signal.signal(_signal.SIGINT, self._handler)
            if self._came is not None:
                self.deliver()

    def deliver(self) -> None:
        """Do what an interrupt does here, if one came."""
        came, self._came = self._came, None
        if came is not None and self._handler is not None:
            self._handler(*came)

    def in_child(self) -> None:
        """Begin anew in a forked child, whose only thread is its main one."""
        if self.depth and self._handler is not None:
            _signal.signal(_signal.SIGINT, self._handler)
        self.ident, self.depth, self._came = threading.get_ident(), 0, None


_main = _MainThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_main.in_child)


_NOTHING_HELD = nullcontext()


def let_in() -> AbstractContextManager[None]:
    """Let interrupts in at once in this block, whatever the thread holds: it waits for something that may be long in coming."""
    return _let_in() if _main.depth and threading.get_ident() == _main.ident else _NOTHING_HELD


@contextmanager
def _let_in() -> Iterator[None]:
    held, _main.depth = _main.depth, 1
    try:
        _main.end()
        yield
    finally:
        _main.begin()
        _main.depth = held


class _HeldBack:
    """A block in which no interrupt comes; it may be entered again inside."""

    __slots__ = ()

    def __enter__(self) -> None:
        if threading.get_ident() == _main.ident:
            # Inside another such block no interrupt comes between these steps.
            if _main.depth:
                _main.depth += 1
            else:
                _main.begin()

    def __exit__(self, *_: object) -> None:
        if threading.get_ident() == _main.ident:
            if _main.depth > 1:
                _main.depth -= 1
            else:
                _main.end()


HELD_BACK = _HeldBack()


class Lock:
    """A lock that a thread may take several times over, and under which no interrupt comes."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if threading.get_ident() != _main.ident:
            self._lock.acquire()
            return
        if _main.depth:
            _main.depth += 1
        else:
            _main.begin()
        try:
            while not self._lock.acquire(blocking=False) and not self._lock.acquire(timeout=_SLICE_S):
                _main.deliver()
        except BaseException:
            _main.end()
            raise

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if threading.get_ident() == _main.ident:
            if _main.depth > 1:
                _main.depth -= 1
            else:
                _main.end()
