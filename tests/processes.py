"""The processes of a browser that this process launched, by pid, and what a fault does to them."""

from __future__ import annotations

import contextlib
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator

import psutil

import webgpu_widget as wg


def browser(gpu: wg.GPU) -> psutil.Process:
    """The launched browser's own process."""
    pid = gpu._device.transport.browser_pid
    assert pid is not None
    return psutil.Process(pid)


def children(root: psutil.Process, kind: str) -> list[psutil.Process]:
    """Its processes of a kind: ``gpu-process`` or ``renderer``."""
    found = []
    for process in root.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if f"--type={kind}" in process.cmdline():
                found.append(process)
    return found


def wait_for_children(root: psutil.Process, kind: str, timeout: float = 10.0) -> list[psutil.Process]:
    """The same, once there are any."""
    until(lambda: bool(children(root, kind)), timeout, f"a {kind} of {root.pid}")
    return children(root, kind)


def alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def kill(processes: list[psutil.Process]) -> None:
    """End processes at once, and see that they are gone. Whose child one is reaps it."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    until(lambda: not any(map(alive, processes)), 5, "the end of killed processes")


def family(root: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [root, *root.children(recursive=True)]
    return []


@contextlib.contextmanager
def stopped(root: psutil.Process) -> Iterator[None]:
    """A browser that gets no processor meanwhile, as in a machine that sleeps."""
    held = family(root)
    for process in held:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in held:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def until(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Wait for something."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {timeout:g} s"
        time.sleep(0.02)


def living_children() -> set[int]:
    """Pids below this process that are no zombies."""
    return {process.pid for process in psutil.Process().children(recursive=True) if alive(process)}


def ancestors(pid: int) -> set[int]:
    """Pids of the processes above one; none when it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return {process.pid for process in psutil.Process(pid).parents()}
    return set()


@contextlib.contextmanager
def own_temporary_folder() -> Iterator[None]:
    """Have temporary files in a folder of one's own: what others leave in the common one is not ours to count."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def profiles() -> set[pathlib.Path]:
    """Folders of browsers in the temporary folder."""
    return set(pathlib.Path(tempfile.gettempdir()).glob("webgpu_widget-*"))
