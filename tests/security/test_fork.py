"""A fork while other threads are in the middle of everything: the child hangs at nothing, and takes nothing from its parent."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from safetensors.numpy import save_file

BEGIN = """
import gc, os, pathlib, signal, sys, tempfile, threading, time
import numpy as np
import webgpu_widget as wg
from webgpu_widget.process import interrupts
from webgpu_widget.process.private_folder import PREFIX
tempfile.tempdir = sys.argv[2]
gpu = wg.GPU(transport="headless")
kept = gpu.arange(4)
kept.numpy(timeout=60)
here = pathlib.Path(sys.argv[1])
"""
HOLD = """
LOCKS = (type(threading.Lock()), type(threading.RLock()), threading.Condition)

def every_lock():
    # Of the package's modules, classes and objects.
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("webgpu_widget")]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type) and value.__module__.startswith("webgpu_widget")}
    for owner in [*modules, *classes, *(one for one in gc.get_objects() if type(one) in classes)]:
        slots = {name for kind in type(owner).__mro__ for name in getattr(kind, "__slots__", ())}
        for name in {*getattr(owner, "__dict__", ()), *slots}:
            lock = getattr(owner, name, None)
            if isinstance(lock, (*LOCKS, interrupts.Lock)):
                yield f"{getattr(owner, '__name__', type(owner).__name__)}.{name}", getattr(lock, "_lock", lock)

held, let_go = threading.Event(), threading.Event()
names = []

def hold():
    taken = []
    try:
        for name, lock in every_lock():
            if lock.acquire(timeout=2):
                taken.append(lock)
                names.append(name)
    finally:
        held.set()
    let_go.wait()
    for lock in taken:
        lock.release()

holder = threading.Thread(target=hold, daemon=True)
holder.start()
held.wait()
child = os.fork()
if not child:
    signal.alarm(40)
    CHILD
    sys.exit(0)
let_go.set()
holder.join()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert status == 0, status
np.testing.assert_array_equal((kept * 2).numpy(), [0, 2, 4, 6])
AFTER
print("held", *sorted(set(names)))
"""
REFUSED = """
    def refused(use):
        try:
            use()
        except wg.ClosedError as error:
            assert f"belongs to the process {os.getppid()}" in str(error), error
        else:
            raise AssertionError(f"{use} was let through")
"""


def play(folder: pathlib.Path, before: str, child: str, after: str = "") -> str:
    """Run it in a process of its own; returns which locks were held."""
    forks = HOLD.replace("    CHILD", REFUSED + textwrap.indent(textwrap.dedent(child), "    "))
    script = BEGIN + textwrap.dedent(before) + forks.replace("AFTER", textwrap.dedent(after))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, folder, tempfile.gettempdir()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def _short(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have temporary files in a folder of the test's own; a short name, as browsers' sockets need."""
    with tempfile.TemporaryDirectory(prefix="wg", ignore_cleanup_errors=True) as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield


def test_locks_of_a_gpu_that_others_hold(tmp_path: pathlib.Path) -> None:
    said = play(
        tmp_path,
        "kernel = gpu.kernel('@group(0) @binding(0) var<storage, read_write> y: array<i32>; @compute @workgroup_size(1) fn main() { y[0] = 1; }')",
        """
        for use in (kept.numpy, lambda: (kept + 1).numpy(), lambda: gpu.zeros(3), lambda: gpu.array([1.0]), gpu.synchronize, gpu.memory,
                    lambda: kernel(y=kept, threads=1), lambda: gpu.ready(), lambda: gpu.kernel("@compute fn main() {}")):
            refused(use)
        del kept
        gc.collect()
        gpu.close()
        """,
    )
    for lock in ("Connection._lock", "Queue._lock", "Device._lock", "Runtime.lock", "Hub._shared_lock"):
        assert lock in said


def test_a_wait_of_another_thread_ends_in_the_child(tmp_path: pathlib.Path) -> None:
    play(
        tmp_path,
        """
        waiting = gpu._device.connection.new_request("a wait")
        gpu._device.connection._requests[waiting.id] = waiting
        gpu._device.connection._last_report = time.monotonic() + 1000
        """,
        """
        try:
            waiting.future.result(5)
        except wg.ClosedError:
            pass
        """,
    )


def test_a_child_makes_its_own_of_everything_while_others_hold_its_parents(tmp_path: pathlib.Path) -> None:
    said = play(
        tmp_path,
        """
        wg.default_gpu().arange(2).numpy()
        a = wg.xp.ones((64, 64))
        (a @ a).numpy()
        wg.mandelbrot.render(("-0.743643887037151", "0.131825904205330"), "1e-16", size=(16, 8), max_iter=300, gpu=gpu)
        """,
        """
        own = wg.default_gpu()
        b = wg.xp.asarray(np.eye(64, dtype=np.float32))
        np.testing.assert_array_equal((b @ b).numpy(timeout=60), np.eye(64))
        image = wg.mandelbrot.render(("-0.743643887037151", "0.131825904205330"), "1e-16", size=(16, 8), max_iter=300)
        assert image.iterations.shape == (8, 16)
        own.close()
        """,
    )
    assert "Lock._lock" in said


@pytest.mark.parametrize("end", ["free", "drop", "exit"])
def test_weights_and_what_they_unpacked_stay_the_parents(tmp_path: pathlib.Path, end: str) -> None:
    np.savez_compressed(tmp_path / "w.npz", a=np.arange(1000, dtype=np.float32))
    save_file({"a": np.arange(1000, dtype=np.float32)}, tmp_path / "w.safetensors")
    ends = {
        "free": "refused(weights.free); refused(other.free)",
        "drop": "del weights, other; gc.collect()",
        "exit": "pass",
    }
    said = play(
        tmp_path,
        """
        weights = wg.load_weights(here / "w.npz", gpu, progress=False)
        other = wg.load_weights(here / "w.safetensors", gpu, progress=False)
        for one in (weights, other):
            np.testing.assert_array_equal(one["a"].numpy(timeout=60), np.arange(1000))

        def folders():
            return pathlib.Path(tempfile.gettempdir()).glob(f"{PREFIX}*")

        unpacked = {path.name for path in folders()}
        assert len(unpacked) == 2, "the browser's profile, and what was compressed"
        """,
        f"""
        refused(lambda: weights["a"].numpy())
        refused(lambda: wg.load_weights(here / "w.safetensors", gpu, progress=False))
        {ends[end]}
        """,
        """
        assert {path.name for path in folders()} == unpacked
        """,
    )
    assert "Weights._lock" in said


def test_a_cluster_whose_locks_others_hold(tmp_path: pathlib.Path) -> None:
    play(
        tmp_path,
        """
        cluster = wg.Cluster()
        cluster.launch(1)
        cluster.wait(1, timeout=120)
        assert cluster.submit(lambda gpu: 1).result(60) == 1
        [worker] = cluster._room.workers.values()
        assert os.path.isdir(worker.local_directory)
        """,
        """
        eye = np.eye(2, dtype=np.float32)
        for use in (lambda: cluster.submit(lambda gpu: 1), lambda: cluster.map(abs, [1]), lambda: cluster.matmul(eye, eye), lambda: cluster.wait(1)):
            refused(use)
        repr(cluster)
        cluster.close()
        del cluster
        gc.collect()
        """,
        """
        assert os.path.isdir(worker.local_directory), "a child's exit has removed what a worker works in"
        assert cluster.submit(lambda gpu: 2).result(60) == 2
        cluster.close()
        """,
    )


def test_a_childs_own_child_hangs_at_nothing_either(tmp_path: pathlib.Path) -> None:
    play(
        tmp_path,
        "from webgpu_widget.process.fork import Lock\nlock = Lock()",
        """
        other = threading.Thread(target=lambda: (lock.__enter__(), held.set(), let_go.wait()), daemon=True)
        held.clear()
        other.start()
        held.wait()
        grandchild = os.fork()
        if not grandchild:
            signal.alarm(20)
            with lock:
                wg.mandelbrot.work.orbits.clear()
            try:
                kept.numpy()
            except wg.ClosedError:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0
        """,
    )


def test_a_fork_with_a_lock_of_ones_own(tmp_path: pathlib.Path) -> None:
    play(
        tmp_path,
        "from webgpu_widget.process.fork import Lock\nlock = Lock()",
        """
        with lock:
            grandchild = os.fork()
        with lock:
            pass
        if not grandchild:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0
        """,
    )


def test_a_child_that_lives_on_keeps_no_port_of_its_parents(tmp_path: pathlib.Path) -> None:
    script = BEGIN + textwrap.dedent(
        """
        port = gpu._device.transport.hub.port
        born, bear = os.pipe()
        child = os.fork()
        if not child:
            os.write(bear, b"!")
            time.sleep(60)
            os._exit(0)
        os.read(born, 1)  # a fork returns here before the child has let go of what it inherits
        print(child, port, flush=True)
        sys.stdin.read()
        os.kill(os.getpid(), 9)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, tmp_path, tempfile.gettempdir()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child, port = map(int, process.stdout.readline().split())
    try:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
        listening = {
            at.laddr.port for at in psutil.Process(child).net_connections("tcp") if at.status == psutil.CONN_LISTEN
        }
        assert port not in listening
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
