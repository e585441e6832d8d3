"""Ctrl-C at every line of the package that a story runs through: nothing that was composed is lost, nothing stays in the browser, and the next call is right."""

from __future__ import annotations

import gc
import linecache
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest
from direct import Direct
from fake_page import COUNT, SQUARE

import webgpu_widget as wg
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.process import interrupts

PACKAGE = str(pathlib.Path(wg.__file__).parent)
TWICE = 2
"""How often the story's program is replayed."""


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """As in a terminal: a shell's background jobs ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.collect()
    gc.freeze()  # each story collects, and what all of pytest holds is no part of it
    yield
    gc.unfreeze()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


class Story:
    """Kernel calls, uploads, reads and a program, with what they should come to."""

    def __init__(self) -> None:
        self.way = Direct()
        self.gpu = wg.GPU(self.way)
        self.square, self.count = self.gpu.kernel(SQUARE), self.gpu.kernel(COUNT)
        self.x = np.arange(1, 9, dtype=np.float32)
        self.gpu.run(SQUARE, x=self.x, y=wg.out(8), threads=8)
        # Composed and not yet sent.
        self.kept = self.gpu.array(self.x)
        self.n = self.gpu.array(np.zeros(1, np.uint32))
        self.before = self.told = 0

    def play(self) -> None:
        self.before = self.told
        for _ in range(2):
            y = self.square(x=self.kept, y=wg.out(8), threads=8)
            assert np.array_equal(y.numpy(), self.x * self.x)
        self.count(n=self.n, threads=1)
        self.told = self.before + 1
        large = np.arange(40_000, dtype=np.uint32)
        assert np.array_equal(self.gpu.array(large).numpy()[-3:], large[-3:])
        with self.gpu.record() as program:
            self.count(n=self.n, threads=1)
        program.replay(TWICE)
        self.told = self.before + 1 + TWICE
        assert self.n.numpy()[0] == self.told

    def assert_whole(self) -> None:
        """See that what there was is there, that nothing else is, and that calls are right."""
        gc.collect()
        assert np.array_equal(self.kept.numpy(), self.x), "an array has lost its content"
        counted = int(self.n.numpy()[0])
        assert counted - self.before in {0, 1, 1 + TWICE}
        assert counted >= self.told, "a call that had returned was lost"
        self.before = self.told = counted
        assert np.array_equal(self.gpu.run(SQUARE, x=self.x, y=wg.out(8), threads=8), self.x * self.x)
        runtime_of(self.gpu._device).pool.trim()
        gc.collect()
        self.gpu.synchronize()
        assert len(self.way.pages[0].buffers) == 2, f"{len(self.way.pages[0].buffers)} buffers where two are held"
        assert not self.way.pages[0].programs, "a program that nobody holds"
        assert not self.gpu._device.connection._requests, "a request is open for ever"
        assert interrupts._main.depth == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def begins_or_ends_a_recording(frame: FrameType | None) -> bool:
    """Not struck: what comes as ``__exit__`` itself is entered leaves a recording open, and no code of that method can help it."""
    while frame is not None:
        if frame.f_code.co_qualname in {"Program.__enter__", "Program.__exit__"}:
            return True
        frame = frame.f_back
    return False


def takes_or_lets_go_of_a_lock(frame: FrameType) -> bool:
    """Not struck: the line of a ``with`` and a lock. Python runs no signal's handler between taking a lock and what may let go of it, where tracing asks to."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno or 0).split()
    return line[:1] == ["with"] and "lock" in line[1]


def steps_until(work: Callable[[], None], strikes_at: int, *, opcodes: bool = False) -> int:
    """Run work, with an interrupt before one of the package's lines; returns how many there were."""
    count = 0

    def look(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count, strikes_at
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = opcodes
        if event == ("opcode" if opcodes else "line"):
            count += 1
            if count == strikes_at and (begins_or_ends_a_recording(frame) or takes_or_lets_go_of_a_lock(frame)):
                strikes_at += 1
            elif count == strikes_at:
                signal.raise_signal(signal.SIGINT)
        return look

    sys.settrace(look)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


def strike_everywhere(rng: np.random.Generator, most: int, *, opcodes: bool) -> None:
    story = Story()
    story.play()
    count = steps_until(story.play, 0, opcodes=opcodes)
    story.assert_whole()
    assert count > 2000
    raised = 0
    for step in rng.permutation(count)[:most] + 1:
        try:
            steps_until(story.play, int(step), opcodes=opcodes)
        except KeyboardInterrupt:
            raised += 1
        try:
            story.assert_whole()
        except AssertionError as error:
            raise AssertionError(f"Ctrl-C at step {step}: {error}") from error
    # Not each run has as many steps, and Python swallows what a weak dictionary's own callbacks raise.
    assert raised > 0.8 * most
    story.gpu.close()


def test_an_interrupt_at_any_line(rng: np.random.Generator) -> None:
    strike_everywhere(rng, 60, opcodes=False)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("opcodes", [False, True], ids=["lines", "opcodes"])
def test_an_interrupt_anywhere(rng: np.random.Generator, opcodes: bool) -> None:
    strike_everywhere(rng, 200, opcodes=opcodes)


def test_an_interrupt_inside_a_lock_waits_until_it_is_let_go() -> None:
    lock, done = interrupts.Lock(), []
    with pytest.raises(KeyboardInterrupt), lock:
        with lock:
            signal.raise_signal(signal.SIGINT)
        done.append(1)
    assert done == [1]


def test_an_interrupt_comes_where_the_browser_is_waited_for() -> None:
    lock, done = interrupts.Lock(), []
    with pytest.raises(KeyboardInterrupt), lock, interrupts.let_in():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    assert not done
    with lock:
        pass


def test_an_interrupt_ends_the_wait_for_a_lock_of_another_thread() -> None:
    lock, held, over = interrupts.Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            over.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt), lock:
        pytest.fail("taken twice")
    over.set()
    thread.join()
    with lock:
        pass


def test_a_lock_changes_nothing_where_interrupts_are_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.Lock():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_forked_under_a_lock_can_be_interrupted() -> None:
    with interrupts.Lock():
        pid = os.fork()
        if pid == 0:
            os._exit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)
    assert os.waitpid(pid, 0)[1] == 0
