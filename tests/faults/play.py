"""Play one cell: begin the state, let the fault strike in the middle of it, and look at all that follows."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import psutil
from inside import ended
from kernels import kernel_place
from places import Place, open_cluster, place
from processes import ancestors, living_children, own_temporary_folder, profiles, until
from states import STATES
from strikes import FAULTS, IN_THE_CALL
from table import Cell

import webgpu_widget as wg

NEXT_S = 30.0
"""Far beyond what it takes on a quiet machine, which the table shows."""


@dataclass
class Outcome:
    """What came of a cell."""

    first: str = ""
    first_s: float = 0.0
    next_s: float = 0.0
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.first} {self.first_s:.1f} s, then right {self.next_s:.1f} s"


@dataclass
class _Belongings:
    """What this process holds."""

    children: set[int]
    profiles: set[object]
    threads: set[str]
    descriptors: int

    @classmethod
    def now(cls) -> _Belongings:
        gc.collect()
        names = {thread.name for thread in threading.enumerate()}
        return cls(living_children(), set(profiles()), names, psutil.Process().num_fds())

    def more_than(self, before: _Belongings) -> list[str]:
        # What a browser from before starts now and then (a spare renderer, say) is that browser's own business.
        children = {pid for pid in self.children - before.children if not before.children & ancestors(pid)}
        found = [f"processes {sorted(children)}"] if children else []
        found += [f"profiles {self.profiles - before.profiles}"] if self.profiles - before.profiles else []
        found += [f"threads {self.threads - before.threads}"] if self.threads - before.threads else []
        if self.descriptors > before.descriptors + _SPARE_DESCRIPTORS:
            found.append(f"{self.descriptors} descriptors after {before.descriptors}")
        return found


_SPARE_DESCRIPTORS = 3
"""An event loop's and a log's, opened at first use."""


def _settled(before: _Belongings) -> list[str]:
    """What is left after a little while."""
    with contextlib.suppress(AssertionError):
        until(lambda: not _Belongings.now().more_than(before), 10, "nothing left over")
    return _Belongings.now().more_than(before)


def _strike_meanwhile(place: Place, cell: Cell, rng: np.random.Generator) -> str:
    """Work, have the fault strike when the work is under way, and say how the work ended."""
    strike, _ = FAULTS[cell.fault]
    if cell.fault in IN_THE_CALL:
        return ended(lambda: strike(place))
    work = STATES[cell.state](place, rng)
    struck, busy = threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def hit() -> None:
        try:
            assert busy.wait(60), "the state never began"
            time.sleep(float(rng.uniform(0, 0.2)))
            strike(place)
        except BaseException as error:  # noqa: BLE001 - told below, in the thread of the test
            failed.append(error)
        finally:
            struck.set()

    hitter = threading.Thread(target=hit)
    hitter.start()
    try:
        how = ended(lambda: work(struck, busy))
    finally:
        hitter.join(90)
    if failed:
        raise failed[0]
    return how


def _allowed(transport: str, fault: str) -> set[str]:
    _, kinds = FAULTS[fault]
    if fault == "kernel restarted":
        return {"ended"}
    names = {kind.__name__ for kind in kinds}
    if "FrontendLostError" in names:
        names.add("Told")
    if transport == "headless":
        names.discard("NoFrontendError")  # it starts a browser by itself
    if fault == "out of memory":
        return names | {"BufferSizeError"}
    return names if fault == "endless shader" else names | {"right"}


def play(cell: Cell, rng: np.random.Generator) -> Outcome:
    """Play it; raises AssertionError when it does not end well."""
    with own_temporary_folder():
        if cell.transport == "cluster":
            return _play_cluster(cell, rng)
        return _play_in_kernel(cell, rng) if cell.in_kernel else _play(cell, rng)


def _play(cell: Cell, rng: np.random.Generator) -> Outcome:
    before = _Belongings.now()
    outcome = Outcome()
    with place(cell.transport) as where:
        assert where.call(rng)
        begun = time.monotonic()
        outcome.first = _strike_meanwhile(where, cell, rng)
        outcome.first_s = time.monotonic() - begun
        assert outcome.first in _allowed(cell.transport, cell.fault), f"ended with {outcome.first}"
        where.help(cell.fault)
        begun = time.monotonic()
        assert where.call(rng), "the next call is wrong"
        outcome.next_s = time.monotonic() - begun
        assert outcome.next_s < NEXT_S, f"the next call took {outcome.next_s:.1f} s"
        gc.collect()
        # What loads in the background lets go in its own thread.
        gpu = where.gpu
        until(lambda: gpu.memory().buffers == 0, 10, "no buffer left on the GPU")
    outcome.left = _settled(before)
    assert not outcome.left, f"left over: {outcome.left}"
    return outcome


def _play_in_kernel(cell: Cell, rng: np.random.Generator) -> Outcome:
    before = _Belongings.now()
    outcome = Outcome()
    with kernel_place(cell.transport, rng) as where:
        where.call()
        strike, _ = FAULTS[cell.fault]
        outside = None if cell.fault in IN_THE_CALL else lambda: strike(where)
        outcome.first, outcome.first_s = where.work(cell.state, cell.fault, outside)
        assert outcome.first in _allowed(cell.transport, cell.fault), f"ended with {outcome.first}; {where}"
        where.help(cell.fault)
        outcome.next_s = where.call()
        assert outcome.next_s < NEXT_S, f"the next call took {outcome.next_s:.1f} s; {where}"
        until(lambda: where.buffers() == 0, 10, "no buffer left on the GPU")
    outcome.left = _settled(before)
    assert not outcome.left, f"left over: {outcome.left}"
    return outcome


class _Launched:
    """One of a cluster's browsers, for faults that take a place."""

    transport = "cluster"

    def __init__(self, root: psutil.Process) -> None:
        self.root = root


def _square(gpu: wg.GPU, x: float) -> float:
    return float((gpu.array(np.float32([x])) * x).numpy()[0])


def _play_cluster(cell: Cell, rng: np.random.Generator) -> Outcome:
    before = _Belongings.now()
    outcome = Outcome()
    cluster = open_cluster(2)
    try:
        pids = [one.pid for one in cluster._launched.browsers]
        victim = _Launched(psutil.Process(pids[int(rng.integers(2))]))
        strike, _ = FAULTS[cell.fault]
        hitter = threading.Timer(0.3, strike, [victim])
        hitter.start()
        begun = time.monotonic()
        if cell.state == "cluster map":
            items = [float(value) for value in rng.integers(1, 1000, 60)]
            got = cluster.client.gather(cluster.map(_square, items))
            assert got == [value * value for value in items], "a task's answer is wrong"
        else:
            a, b = (rng.integers(-4, 5, (512, 512)).astype(np.float32) for _ in range(2))
            assert np.array_equal(cluster.matmul(a, b, block=128), a @ b), "the product is wrong"
        hitter.join(90)
        outcome.first, outcome.first_s = "right", time.monotonic() - begun
        begun = time.monotonic()
        assert cluster.submit(_square, 3.0).result(NEXT_S) == 9.0
        outcome.next_s = time.monotonic() - begun
    finally:
        cluster.close()
    del cluster
    outcome.left = [item for item in _settled(before) if item.startswith(("processes", "profiles"))]
    assert not outcome.left, f"left over: {outcome.left}"
    return outcome
