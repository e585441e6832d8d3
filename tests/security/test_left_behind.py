"""What is over when Python is over, however it ends; and what a forked child must leave alone."""

from __future__ import annotations

import fcntl
import os
import pathlib
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator

import numpy as np
import pytest
from stranger import until

from webgpu_widget.process import private_folder
from webgpu_widget.process.private_folder import PREFIX, PrivateFolder, _remove_abandoned, sweep

NOBODY = 65534
START = """
import os, sys, time
import numpy as np
import webgpu_widget as wg
gpu = wg.GPU(transport="headless")
kept = gpu.arange(4)
kept.numpy(timeout=60)
profile = gpu._device.transport._browser.profile
print(gpu._device.transport.browser_pid, profile, flush=True)
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A temporary folder of the test's own; a short name, as browsers' sockets need."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="wg"))
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def run(script: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", START + textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


@pytest.fixture
def sleeper(folder: pathlib.Path) -> Iterator[tuple[subprocess.Popen[str], int, pathlib.Path]]:
    process = run("time.sleep(120)")
    pid, profile = process.stdout.readline().split()
    yield process, int(pid), pathlib.Path(profile)
    process.kill()
    process.communicate()


def lives(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_browser_ends_with_python_and_its_profile_goes_at_the_next_start(
    sleeper: tuple[subprocess.Popen[str], int, pathlib.Path], folder: pathlib.Path, number: signal.Signals
) -> None:
    process, pid, profile = sleeper
    assert profile.parent == folder
    sweep()
    assert profile.is_dir(), "its owner lives"
    process.send_signal(number)
    process.wait(20)
    begun = time.monotonic()
    until(lambda: not lives(pid), 10)
    assert time.monotonic() - begun < 3
    assert profile.is_dir()
    # The lock is the last of its processes'.
    until(lambda: not PrivateFolder().close() and list(folder.iterdir()) == [], 10)


def test_nothing_is_left_after_an_ordinary_end(folder: pathlib.Path) -> None:
    process = run("")
    said, wrong = process.communicate(timeout=120)
    assert process.returncode == 0, wrong
    assert not lives(int(said.split()[0]))
    assert list(folder.iterdir()) == []


FORK = """
child = os.fork()
if not child:
    begun = time.monotonic()
    for use in (kept.numpy, gpu.synchronize, lambda: gpu.zeros(3), lambda: (kept + 1).numpy(), gpu.memory):
        try:
            use()
        except wg.ClosedError as error:
            assert "belongs to the process %d" % os.getppid() in str(error), error
        else:
            raise AssertionError("a child used its parent's GPU")
    assert time.monotonic() - begun < 2
    CHILD
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == STATUS
assert profile.is_dir()
np.testing.assert_array_equal(kept.numpy(), [0, 1, 2, 3])
np.testing.assert_array_equal((kept * 2).numpy(), [0, 2, 4, 6])
print("right", flush=True)
"""
MAKE_ITS_OWN = """
    own = wg.GPU(transport="headless")
    np.testing.assert_array_equal(own.arange(3).numpy(timeout=60), [0, 1, 2])
    own.close()
    sys.exit(0)
"""


@pytest.mark.parametrize(
    ("child", "status"),
    [
        ("sys.exit(3)", 3),
        ("os._exit(4)", 4),
        ("del gpu, kept; sys.exit(5)", 5),
        ("gpu.close(); sys.exit(6)", 6),
        (MAKE_ITS_OWN.strip(), 0),
    ],
    ids=["exit", "_exit", "collected", "closed", "its own"],
)
def test_a_forked_child_leaves_its_parents_browser_alone(folder: pathlib.Path, child: str, status: int) -> None:
    process = run(FORK.replace("CHILD", child).replace("STATUS", str(status)))
    said, wrong = process.communicate(timeout=180)
    assert process.returncode == 0, wrong
    assert "right" in said
    assert "refused" not in wrong
    assert list(folder.iterdir()) == []


def test_a_child_that_lives_on_keeps_neither_browser_nor_profile(folder: pathlib.Path) -> None:
    process = run(
        """
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        print(child, flush=True)
        os.kill(os.getpid(), 9)
        """
    )
    said = process.stdout.read(0) + process.stdout.readline() + process.stdout.readline()
    pid, profile, child = said.split()
    try:
        process.wait(20)
        until(lambda: not lives(int(pid)), 10)
        until(lambda: not sweep() and not pathlib.Path(profile).exists(), 10)
        assert lives(int(child))
    finally:
        os.kill(int(child), signal.SIGKILL)
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(folder: pathlib.Path, tmp_path: pathlib.Path, method: str) -> None:
    script = tmp_path / "many.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import multiprocessing, sys
            import numpy as np
            import webgpu_widget as wg

            def work(n):
                return wg.default_gpu().arange(n).numpy(timeout=60).sum()

            if __name__ == "__main__":
                inherited = wg.default_gpu().arange(9)
                assert inherited.numpy(timeout=60).sum() == 36
                with multiprocessing.get_context({method!r}).Pool(1) as pool:
                    assert pool.map(work, [3, 4]) == [3, 6]
                assert inherited.numpy().sum() == 36
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", script],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    until(lambda: not sweep() and list(folder.iterdir()) == [], 20)


def test_a_cluster_is_left_alone_too(folder: pathlib.Path) -> None:
    process = run(
        """
        cluster = wg.Cluster()
        cluster.launch(1)
        cluster.wait(1, timeout=120)
        assert cluster.submit(lambda gpu: gpu.arange(3).numpy().sum()).result(60) == 3
        child = os.fork()
        if not child:
            try:
                cluster.submit(lambda gpu: 1)
            except wg.ClosedError as error:
                assert "belongs to the process" in str(error)
                sys.exit(7)
        begun = time.monotonic()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert time.monotonic() - begun < 3
        assert cluster.submit(lambda gpu: gpu.arange(4).numpy().sum()).result(60) == 6
        cluster.close()
        """
    )
    _, wrong = process.communicate(timeout=240)
    assert process.returncode == 0, wrong
    assert list(folder.iterdir()) == []


# ------------------------------------------------------------ the sweep alone


def abandoned(folder: pathlib.Path, name: str) -> pathlib.Path:
    made = folder / f"{PREFIX}{name}"
    (made / "Default").mkdir(parents=True)
    (made / "Default" / "weights").write_bytes(b"x")
    (made / "owner.lock").touch()
    return made


def test_only_what_is_abandoned_and_ours_is_swept(folder: pathlib.Path) -> None:
    live = PrivateFolder()
    gone = [abandoned(folder, name) for name in ("gone", "dask-gone")]
    outside = folder / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (gone[0] / "link").symlink_to(outside)
    (gone[0] / "Default" / "link").symlink_to(outside)
    untouched = [folder / "other-owner", folder / f"{PREFIX}no-lock", folder / f"{PREFIX}file", outside / "kept"]
    untouched[0].mkdir()
    (untouched[0] / "owner.lock").touch()
    untouched[1].mkdir()
    untouched[2].touch()
    link = folder / f"{PREFIX}link"
    (outside / "owner.lock").touch()
    link.symlink_to(outside)
    strange = abandoned(folder, "strange")
    (strange / "owner.lock").unlink()
    os.mkfifo(strange / "owner.lock")
    linked = abandoned(folder, "linked")
    (linked / "owner.lock").unlink()
    (linked / "owner.lock").symlink_to(outside / "owner.lock")
    sweep()
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in (*untouched, link, strange, linked, live.path))
    live.close()
    live.close()
    assert not live.path.exists()


def test_another_users_folder_is_not_touched(folder: pathlib.Path) -> None:
    theirs = abandoned(folder, "theirs")
    folder.chmod(0o1777)
    if os.getuid() == 0:
        for path in (theirs, *theirs.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        sweep()
        assert theirs.is_dir()
        # Nor does that user touch ours, though it may write in it, and does sweep its own.
        ours = abandoned(folder, "ours")
        for path in (ours, ours / "Default"):
            path.chmod(0o777)
        (ours / "owner.lock").chmod(0o666)
        code = f"""
            import os, tempfile
            from webgpu_widget.process.private_folder import sweep
            # Only now: that user may not read where Python is installed.
            os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
            tempfile.tempdir = {str(folder)!r}
            sweep()
            print("swept")
            """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], check=False, capture_output=True, text=True, cwd=folder
        )
        assert done.stdout == "swept\n", done.stderr
        assert (ours / "Default" / "weights").is_file()
        assert not theirs.exists()
    else:
        # Without the means to give a file away: a folder that says to be another's.
        real = os.getuid()
        os_getuid = private_folder.os.getuid
        try:
            private_folder.os.getuid = lambda: real + 1
            sweep()
        finally:
            private_folder.os.getuid = os_getuid
        assert theirs.is_dir()


@pytest.mark.parametrize("whose", ["the folder", "the lock"])
def test_a_folder_or_a_lock_of_another_user_is_enough(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """Who owns the folder may have put a file of ours in it, and who may write in ours may have put theirs."""
    partly = abandoned(folder, "partly")
    theirs = partly.stat().st_ino if whose == "the folder" else (partly / "owner.lock").stat().st_ino
    fstat = os.fstat

    def told(descriptor: int) -> os.stat_result:
        fields = list(fstat(descriptor))
        if fields[stat.ST_INO] == theirs:
            fields[stat.ST_UID] += 1
        return os.stat_result(fields)

    monkeypatch.setattr(private_folder.os, "fstat", told)
    sweep()
    assert (partly / "Default" / "weights").is_file()
    monkeypatch.undo()
    _remove_abandoned(partly)
    assert not partly.exists()


def test_a_link_in_the_place_of_a_folder_or_its_lock_is_not_followed(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    aim = abandoned(tmp_path, "aim")
    link = folder / f"{PREFIX}link"
    link.symlink_to(aim)
    with pytest.raises(OSError, match="Not a directory|Too many levels"):
        _remove_abandoned(link)
    held = abandoned(folder, "held")
    (held / "owner.lock").unlink()
    (held / "owner.lock").symlink_to(aim / "owner.lock")
    with pytest.raises(OSError, match="Too many levels"):
        _remove_abandoned(held)
    assert (aim / "Default" / "weights").is_file()


def test_a_pipe_in_the_place_of_a_lock_holds_no_sweep_up(folder: pathlib.Path) -> None:
    strange = abandoned(folder, "strange")
    (strange / "owner.lock").unlink()
    os.mkfifo(strange / "owner.lock")
    code = f"import tempfile; tempfile.tempdir = {str(folder)!r}\nfrom webgpu_widget.process.private_folder import sweep\nsweep()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert strange.is_dir()


def test_a_lock_that_was_exchanged_while_it_was_taken_ends_nothing(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another sweep has removed the folder, and a new owner has made it again."""
    again = abandoned(folder, "again")
    flock = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        flock(descriptor, how)
        (again / "owner.lock").unlink()
        (again / "owner.lock").touch()

    monkeypatch.setattr(private_folder.fcntl, "flock", late)
    _remove_abandoned(again)
    assert (again / "Default" / "weights").is_file()


def test_a_profile_is_not_swept_while_its_browser_lives_on(
    sleeper: tuple[subprocess.Popen[str], int, pathlib.Path],
) -> None:
    """It has the lock too: where Python was killed, the browser ends a moment later."""
    process, pid, profile = sleeper
    os.kill(pid, signal.SIGSTOP)
    try:
        process.kill()
        process.wait(20)
        sweep()
        assert (profile / "owner.lock").is_file()
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: not lives(pid), 10)
    until(lambda: sweep() or not profile.exists(), 10)


def test_a_folder_that_is_being_made_is_never_swept(folder: pathlib.Path) -> None:
    """Many processes start and sweep at once, and each must find its own folder whole."""
    code = (
        f"import tempfile; tempfile.tempdir = {str(folder)!r}\n"
        "from webgpu_widget.process.private_folder import PrivateFolder\n"
        "for _ in range(150):\n"
        "    made = PrivateFolder(); (made.path / 'kept').touch(); other = PrivateFolder()\n"
        "    assert (made.path / 'kept').exists() and (made.path / 'owner.lock').exists()\n"
        "    other.close(); made.close()\n"
    )
    racing = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [process.wait(120) for process in racing] == [0] * 4
    assert list(folder.iterdir()) == []


def test_a_folder_whose_lock_somebody_holds_stays(folder: pathlib.Path) -> None:
    held = abandoned(folder, "held")
    with (held / "owner.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sweep()
        assert (held / "Default" / "weights").is_file()
    sweep()
    assert not held.exists()


def test_weights_that_were_unpacked_go_with_their_source(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A compressed file is unpacked beside the browsers' profiles, and goes as they do."""
    file = tmp_path / "w.npz"
    np.savez_compressed(file, a=np.ones(1000, np.float32))
    code = f"from webgpu_widget.weights.source import open_source; made = open_source({str(file)!r}); import os; {{}}"
    for end, left in (
        ("made.close()", 0),
        ("pass", 0),
        ("os.fork() or os._exit(0); made.close()", 0),
        ("os.kill(os.getpid(), 9)", 1),
    ):
        subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code.format(end)], check=False)
        assert len(list(folder.iterdir())) == left, end
    sweep()
    assert list(folder.iterdir()) == []
