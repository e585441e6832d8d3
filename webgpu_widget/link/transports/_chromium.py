"""Find a Chromium, start it without a window, and make sure that it ends."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import Collection, Iterator, Sequence

from webgpu_widget import errors
from webgpu_widget.link.transports._exit_reason import exit_reason
from webgpu_widget.process.fork import tell_children
from webgpu_widget.process.private_folder import PrivateFolder

_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
)
_PATHS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
_FLAGS = (
    "--headless",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--mute-audio",
    # Linux: WebGPU is off by default, and SwiftShader, the adapter of machines with no GPU, needs it too.
    "--enable-unsafe-webgpu",
)
_LINUX_GPU_FLAGS = (
    "--ignore-gpu-blocklist",
    "--use-vulkan=native",
    "--use-angle=vulkan",
    "--disable-vulkan-surface",
    "--enable-features=Vulkan,WebGPUService",
)
_LONG = 50
"""A socket's path has at most 103 characters, and Chromium adds up to 48 to that of the temporary folder."""
_HAS_PIPE = os.name == "posix"
# Chromium reads commands from descriptor 3 and ends when that closes: also when Python was killed.
_WITH_PIPES = 'exec 3<&0 4>&1 0</dev/null 1>&2; exec "$@"'


def find_browser() -> str:
    """Return the program to start.

    Raises
    ------
    NoFrontendError
        When there is none; ``WEBGPU_WIDGET_BROWSER`` names one.
    """
    named = os.environ.get("WEBGPU_WIDGET_BROWSER")
    if named:
        found = shutil.which(named)
        if found is None:
            raise errors.NoFrontendError(f"WEBGPU_WIDGET_BROWSER is {named!r}, which is not a program that can be run")
        return found
    for name in (*_NAMES, *_PATHS):
        found = shutil.which(name)
        if found is not None:
            return found
    raise errors.NoFrontendError(
        "no Chromium, Chrome or Edge was found to run the GPU work in. Install one (Debian and Ubuntu: apt-get install chromium), "
        "or set WEBGPU_WIDGET_BROWSER to its program, or use wg.GPU(transport='page') and open gpu.url in any browser with WebGPU"
    )


def flags() -> list[str]:
    """Return the command line flags for this machine; ``WEBGPU_WIDGET_BROWSER_FLAGS`` adds to them."""
    chosen = list(_FLAGS)
    if sys.platform == "linux":
        if os.geteuid() == 0:
            chosen.append("--no-sandbox")
        if pathlib.Path("/dev/nvidia0").exists() or any(pathlib.Path("/dev/dri").glob("renderD*")):
            chosen += _LINUX_GPU_FLAGS
    return chosen + shlex.split(os.environ.get("WEBGPU_WIDGET_BROWSER_FLAGS", ""))


@contextlib.contextmanager
def _on_cores(cores: Collection[int]) -> Iterator[None]:
    """Have what is started inside run on these cores: a child inherits the affinity of the thread that starts it."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _session_threads(session: int) -> Iterator[int]:
    """Yield the ids of all threads of a session's processes (Linux)."""
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            # pid (name) state parent group session ...: a name may hold spaces and brackets.
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                yield from (int(task.name) for task in (process / "task").iterdir())


def _door(folder: pathlib.Path, url: str) -> pathlib.Path:
    """Write a file that leads to a page."""
    door = folder / "start.html"
    door.touch(mode=0o600)
    door.write_text(f"<!doctype html><script>location.replace({json.dumps(url)})</script>\n", encoding="utf-8")
    return door


class Browser:
    """A running Chromium with one page.

    Where the page is, is a secret when there is a token in it, and every user of a machine may read every command line. So the address goes to the browser by the
    pipe that it takes commands from, or, where there is none (Windows), by a file in a folder that only this user can read.

    Parameters
    ----------
    url : str
        The page.
    extra_flags : sequence of str
        For this one, beside those of `flags`.
    cores : collection of int
        Cores that its processes are pinned to (Linux); all when empty.
    """

    def __init__(self, url: str, extra_flags: Sequence[str] = (), cores: Collection[int] = ()) -> None:
        self.program = find_browser()
        self._cores = frozenset(cores)
        self._folder = PrivateFolder()
        self.profile = self._folder.path
        self._log = self.profile / "browser.log"
        command = [self.program, *flags(), *extra_flags, f"--user-data-dir={self.profile}"]
        environment = dict(os.environ)
        if len(str(self.profile)) < _LONG:
            # Its own temporary files, and the socket by which it finds others of its profile, go with the profile.
            environment["TMPDIR"] = str(self.profile)
        library_path = os.environ.get("WEBGPU_WIDGET_BROWSER_LIBRARY_PATH")
        if library_path:
            environment["LD_LIBRARY_PATH"] = library_path
        with self._log.open("wb") as output, _on_cores(cores):
            if _HAS_PIPE:
                lock = self._folder.lock
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _WITH_PIPES, "sh", *command, "--remote-debugging-pipe", "--no-startup-window"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    start_new_session=True,
                    env=environment,
                    pass_fds=() if lock is None else (lock,),
                )
                self.open(url)
            else:
                self._process = subprocess.Popen(
                    [*command, _door(self.profile, url).as_uri()],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=environment,
                )
        _running.add(self)
        tell_children(self)

    def open(self, url: str) -> None:
        """Open a page, past the command line; returns at once. Needs the pipe."""
        command = {"id": 1, "method": "Target.createTarget", "params": {"url": url}}
        pipe = self._process.stdin
        # One that has ended already says why by `failure`.
        with contextlib.suppress(BrokenPipeError):
            if pipe is not None:
                pipe.write(json.dumps(command).encode() + b"\0")
                pipe.flush()

    def forked(self, parent: int) -> None:  # noqa: ARG002
        """Let go of the pipe's copies, which would keep the browser alive after its owner, and never end it from here."""
        _running.discard(self)
        self._let_go()
        self._process.returncode = 0

    def _let_go(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def pin(self) -> None:
        """Put every thread on the browser's cores again; to be called once its page has a device.

        SwiftShader's scheduler, marl, puts its workers on cores 0 to n - 1, where n is how many cores the process may use, whichever they are
        (``Thread::Affinity::all`` in marl's src/thread.cc): browsers that were given cores of their own would all compute on the first ones.
        """
        if self._cores:
            for thread in _session_threads(self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread, self._cores)

    def failure(self) -> str | None:
        """Say why it has ended, if it has."""
        status = self._process.poll()
        if status is None:
            return None
        text = ""
        with contextlib.suppress(OSError):
            text = self._log.read_text(errors="replace")
        return f"the browser {self.program} ended with status {status}. It said: {exit_reason(text)}"

    def close(self) -> None:
        """End it, for sure. May be called twice."""
        _running.discard(self)
        self._let_go()
        if self._process.poll() is None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._end_group(signal.SIGTERM)
                try:
                    self._process.wait(3)
                except subprocess.TimeoutExpired:
                    self._end_group(getattr(signal, "SIGKILL", signal.SIGTERM))
                    self._process.wait(5)
        self._folder.close()

    def kill(self) -> None:
        """End it at once: it hangs, or is stopped, or of no use."""
        if self._process.poll() is None:
            self._end_group(getattr(signal, "SIGKILL", signal.SIGTERM))
        self.close()

    def _end_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, number)
            else:
                self._process.terminate()


_running: weakref.WeakSet[Browser] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for browser in list(_running):
        browser.close()
