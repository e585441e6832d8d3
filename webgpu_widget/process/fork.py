"""What a forked child must leave alone: browsers, sockets and folders that are its parent's.

Only the thread that forks lives on in the child. Locks of other threads may be held for ever there, a copied pipe keeps a browser alive that its owner has
let go, and what runs at the child's exit would end what the parent still uses. So each such object is told, in the child, before anything else runs.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["tell_children"]


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
    """
    _owned[id(owned)] = owned


def _in_child() -> None:
    global _pid
    parent, _pid = _pid, os.getpid()
    for owned in list(_owned.values()):
        owned.forked(parent)
    _owned.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
