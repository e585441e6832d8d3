"""What a forked child must leave alone: browsers, sockets and folders that are its parent's.

Only the thread that forks lives on in the child. Locks of other threads may be held for ever there, a copied pipe keeps a browser alive that its owner has
let go, and what runs at the child's exit would end what the parent still uses. So each such object is told, in the child, before anything else runs.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Protocol

__all__ = ["Lock", "tell_children"]


class _Owned(Protocol):
    def forked(self, parent: int) -> None: ...


_owned: weakref.WeakValueDictionary[int, _Owned] = weakref.WeakValueDictionary()
_pid = os.getpid()


def tell_children(owned: _Owned) -> None:
    """Have ``owned.forked(parent's process id)`` called in every child that is forked from now on, for as long as the object lives.

    Parameters
    ----------
    owned : object
        Its method ``forked`` runs in the child, with no other thread: it takes no lock, waits for nothing, and only closes its copies of descriptors.
        What the child goes on to use calls this again there, for the child's own children.
    """
    _owned[id(owned)] = owned


class Lock:
    """A lock that nobody holds in a forked child, whoever held it in the parent."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        tell_children(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        # Who forked while it held the lock finds a free one in the child.
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._lock.locked()

    def forked(self, parent: int) -> None:  # noqa: ARG002
        """Be free."""
        self._lock = threading.Lock()
        tell_children(self)


def _in_child() -> None:
    global _pid
    parent, _pid = _pid, os.getpid()
    told = list(_owned.values())
    _owned.clear()
    for owned in told:
        owned.forked(parent)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
