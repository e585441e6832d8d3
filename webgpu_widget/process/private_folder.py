"""Folders in the system's temporary folder that go with the process that made them, also when it was killed.

A folder holds a file that its owner keeps locked (`flock`): the lock ends with the last process that has it, however that one ends. Who makes a folder
removes those of the same user that nobody has locked any more. One that is collected without having been closed is only let go: a browser that still ends would
make it anew. Windows has no such lock; there a folder goes when it is closed, or when Python ends.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pathlib
import shutil
import stat
import sys
import tempfile
import weakref

from webgpu_widget.process.fork import tell_children

__all__ = ["PREFIX", "PrivateFolder", "sweep"]

PREFIX = "webgpu_widget-"
_OWNER = "owner.lock"
_FIRST_DESCRIPTOR = 20
"""Below are those that a shell is told to rearrange."""


class PrivateFolder:
    """A new folder that only this user can read.

    Parameters
    ----------
    kind : str
        What the name begins with, after `PREFIX`.

    Attributes
    ----------
    path : pathlib.Path
    lock : int or None
        Descriptor of the locked file. A child process that gets it counts as an owner too.
    """

    def __init__(self, kind: str = "") -> None:
        sweep()
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX + kind))
        self.lock = _lock_anew(self.path)
        self._open = True
        _open.add(self)
        tell_children(self)

    def close(self) -> None:
        """Remove it with all that is in it. May be called twice."""
        if self._open:
            _empty(self.path)
            self._let_go()

    def _let_go(self) -> None:
        self._open = False
        _open.discard(self)
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def __del__(self) -> None:
        if getattr(self, "_open", False):
            self._let_go()

    def forked(self, parent: int) -> None:  # noqa: ARG002
        """Leave it to the parent."""
        self._let_go()


_open: weakref.WeakSet[PrivateFolder] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for folder in list(_open):
        folder.close()


def _empty(path: pathlib.Path) -> None:
    """Remove a folder, its lock last and only when nothing else is left: what is interrupted is taken up by the next sweep."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(path)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != _OWNER:
                with contextlib.suppress(OSError):
                    pathlib.Path(entry.path).unlink()
        # A process of a browser that ends may still have written something.
        if all(entry.name == _OWNER for entry in os.scandir(path)):
            (path / _OWNER).unlink(missing_ok=True)
            path.rmdir()


if sys.platform == "win32":

    def _lock_anew(path: pathlib.Path) -> int | None:  # noqa: ARG001
        return None

    def sweep() -> None:
        """Do nothing: a folder says nothing of its owner here."""

else:
    import fcntl

    def _lock_anew(path: pathlib.Path) -> int | None:
        """Lock a new file and give it its name only then: a sweep never sees it unlocked."""
        unnamed = path / "owner.new"
        low = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        lock = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
        os.close(low)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # A file system without locks: the folder goes when it is closed, and no sweep touches it.
            os.close(lock)
            return None
        unnamed.rename(path / _OWNER)
        return lock

    def sweep() -> None:
        """Remove this user's folders whose owners have ended; touches nothing else, and follows no link."""
        place = tempfile.gettempdir()
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(place)):
                if entry.name.startswith(PREFIX):
                    with contextlib.suppress(OSError):
                        _remove_abandoned(pathlib.Path(entry.path))

    def _remove_abandoned(path: pathlib.Path) -> None:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(folder).st_uid != os.getuid():
                return
            lock = os.open(_OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            held = os.fstat(lock)
            if not stat.S_ISREG(held.st_mode) or held.st_uid != os.getuid():
                return
            # Raises while an owner, or another sweep, has it.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another sweep may have been through meanwhile.
            if os.path.samestat(held, (path / _OWNER).lstat()):
                _empty(path)
        finally:
            os.close(lock)
