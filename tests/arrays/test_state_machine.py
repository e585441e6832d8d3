"""Random programs of arrays, views, kernels, recordings and replays on two GPUs, against NumPy.

The model of a recording is a list of statements, which a replay executes anew. WEBGPU_WIDGET_PROGRAMS says how many programs the long test runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

import webgpu_widget as wg
from webgpu_widget import xp

FEW = 25
PROGRAMS = int(os.environ.get("WEBGPU_WIDGET_PROGRAMS", "100"))

STEP = """
@group(0) @binding(0) var<storage, read_write> y: array<i32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&y)) { y[id.x] = 3 * y[id.x] + i32(id.x); }
}"""
MOVE = """
@group(0) @binding(0) var<storage, read> now: array<i32>;
@group(0) @binding(1) var<storage, read_write> next: array<i32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&next)) { next[id.x] = 2 * next[id.x] + now[(id.x + 1) % arrayLength(&now)]; }
}"""

# Functions of a GPUArray or a NumPy array. With NumPy they give views.
VIEWS: list[Callable[[Any], Any]] = [
    lambda x: x[...],
    lambda x: x[1:] if x.ndim else x[...],
    lambda x: x[::-1] if x.ndim else x[None],
    lambda x: x[:2] if x.ndim else x[...],
    lambda x: x[0] if x.ndim > 1 and len(x) else x[...],
    lambda x: x[..., ::2] if x.ndim else x[...],
    lambda x: x.T,
    lambda x: x.reshape(-1),
    lambda x: x.reshape(2, -1) if x.size and x.size % 2 == 0 else x[...],
    lambda x: x.reshape(-1, 1)[1:, 0],
]
COPIES: list[Callable[[Any], Any]] = [
    lambda x: x.copy(),
    lambda x: x.astype(np.int32),
    lambda x: x.copy() if isinstance(x, np.ndarray) else xp.asarray(x, copy=True),
    lambda x: x + 0,
    lambda x: x * 2 - 1,
    lambda x: x.copy().reshape(-1),
    lambda x: np.asarray(x.sum(dtype=np.int32)) if isinstance(x, np.ndarray) else x.sum(),
    lambda x: x[np.array([0, 0, -1])] if x.ndim and len(x) else x + 1,
    lambda x: (
        np.concatenate([x, x]) if isinstance(x, np.ndarray) and x.ndim else xp.concat([x, x]) if x.ndim else x + 2
    ),
]
# Parts of an array that are written from another part of the same shape.
MOVES: list[tuple[Any, Callable[[Any], Any]]] = [
    (slice(None, None, -1), lambda x: x),
    (..., lambda x: x[::-1]),
    (slice(1, None), lambda x: x[:-1]),
    (slice(None, -1), lambda x: x[1:]),
    (slice(None), lambda x: x[0]),
    (slice(None, None, -1), lambda x: x.reshape(-1).reshape(x.shape)),
    (slice(1, None), lambda x: x[0] + x[-1]),
]


@dataclass
class Variable:
    """An array, and its name in the model."""

    name: int
    array: wg.GPUArray
    where: int
    origin: tuple[int, Callable[[Any], Any]] | None = None


class Parent(NamedTuple):
    """What a view is of, how it gives the view, and whether it is there still."""

    name: int
    how: Callable[[Any], Any]
    alive: bool


@dataclass
class Recorded:
    """A program, and its statements. They know arrays by name alone, and keep none alive."""

    program: Any
    where: int
    body: list[Callable[[], None]] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    made: set[int] = field(default_factory=set)
    written: list[int] = field(default_factory=list)


index = st.integers(0, 63)
numbers = st.lists(st.integers(-9, 9), min_size=6, max_size=6)


class Arrays(RuleBasedStateMachine):
    """Everything is done to the GPU's arrays, and to `values` by name, at once or by replays."""

    def __init__(self, gpus: tuple[wg.GPU, wg.GPU]) -> None:
        super().__init__()
        self.gpus = gpus
        self.kernels = [(gpu.kernel(STEP, name="step"), gpu.kernel(MOVE, name="move")) for gpu in gpus]
        self.values: dict[int, np.ndarray] = {}
        self.origins: dict[int, tuple[int, Callable[[Any], Any]]] = {}
        self.variables: list[Variable] = []
        self.programs: list[Recorded] = []
        self.recording: Recorded | None = None
        self.freed: set[int] = set()
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.names = 0

    # ------------------------------------------------------------ the model

    def do(self, statement: Callable[[], None], *names: int) -> None:
        """Execute a statement of the model, now or by replays; what it reads or writes is named."""
        if self.recording is None:
            statement()
        else:
            self.recording.body.append(statement)
            self.recording.used.update(names)

    def known(self, where: int | None = None) -> list[Variable]:
        """Return the variables that have a value here."""
        made = self.recording.made if self.recording is not None else set()
        where = self.recording.where if self.recording is not None else where
        return [v for v in self.variables if (v.name in self.values or v.name in made) and where in (None, v.where)]

    def pick(self, number: int, like: Variable | None = None) -> Variable | None:
        """Return a variable, of the shape and GPU of another."""
        found = self.known(None if like is None else like.where)
        if like is not None:
            found = [v for v in found if v.array.shape == like.array.shape]
        return found[number % len(found)] if found else None

    def make(self, array: wg.GPUArray, where: int, value: Callable[..., Any], *names: int, origin: Any = None) -> None:
        """Note a new array; `value` gives the model's, from the values of the arrays that are named."""
        self.names += 1
        name = self.names
        self.variables.append(Variable(name, array, where))
        self.shapes[name] = array.shape
        if origin is not None:
            self.origins[name] = origin
        if self.recording is not None:
            self.recording.made.add(name)

        def statement() -> None:
            self.values[name] = np.array(value(*(self.values[other] for other in names)), np.int32)

        self.do(statement, *names)

    def write(self, name: int, change: Callable[..., None], *names: int) -> None:
        """Note a change in place, from the values of the arrays that are named."""

        def statement() -> None:
            fresh = self.values[name].copy()
            change(fresh, *(self.values[other] for other in names))
            self.values[name] = fresh

        self.note(name)
        self.do(statement, name, *names)

    def note(self, name: int) -> None:
        """Note that an array is written, by a program if one is recorded."""
        if self.recording is not None:
            self.recording.written.append(name)

    def place(self, number: int) -> int:
        """Return which GPU to work on."""
        return number % 2 if self.recording is None else self.recording.where

    # ------------------------------------------------------------ arrays

    @initialize(values=numbers)
    def begin(self, values: list[int]) -> None:
        for number in range(4):
            self.create(number, 0, values)

    @rule(number=index, kind=st.integers(0, 4), values=numbers)
    def create(self, number: int, kind: int, values: list[int]) -> None:
        where = self.place(number)
        gpu = self.gpus[where]
        shape = ((6,), (2, 3), (3, 2), (1, 6))[number % 4]
        data = np.array(values, np.int32).reshape(shape)
        if kind == 0:
            self.make(gpu.array(data), where, lambda: data)
        elif kind == 1:
            self.make(gpu.zeros(shape, dtype=np.int32), where, lambda: np.zeros(shape, np.int32))
        elif kind == 2:
            self.make(gpu.full(shape, values[0], dtype=np.int32) + 1, where, lambda: np.full(shape, values[0] + 1))
        elif kind == 3:
            self.make(gpu.arange(6, dtype=np.int32), where, lambda: np.arange(6))
        else:
            made = self.kernels[where][1](now=data, next=wg.out(shape, np.int32), threads=6)
            self.make(made, where, lambda: np.roll(data.ravel(), -1).reshape(shape))

    @rule(number=index, how=st.sampled_from(COPIES))
    def copy(self, number: int, how: Callable[[Any], Any]) -> None:
        if (x := self.pick(number)) is not None:
            self.make(how(x.array), x.where, how, x.name)

    @rule(number=index, how=st.sampled_from(VIEWS))
    def view(self, number: int, how: Callable[[Any], Any]) -> None:
        if (x := self.pick(number)) is not None:
            self.make(how(x.array), x.where, how, x.name, origin=(x.name, how))

    @rule(first=index, second=index, sign=st.sampled_from([1, -1]))
    def combine(self, first: int, second: int, sign: int) -> None:
        if (x := self.pick(first)) is not None and (y := self.pick(second, x)) is not None:
            made = x.array + y.array if sign > 0 else x.array - y.array
            self.make(made, x.where, lambda a, b: a + sign * b, x.name, y.name)

    @rule(number=index, kind=st.sampled_from(["forget", "forget", "free", "drop"]))
    def remove(self, number: int, kind: str) -> None:
        if kind == "drop" and self.programs:
            self.programs.pop(number % len(self.programs)).program.free()
        elif (x := self.pick(number)) is not None:
            if kind == "free":
                x.array.free()
                self.freed.add(x.name)
            self.variables.remove(x)

    # ------------------------------------------------------------ writing

    @rule(first=index, second=index, how=st.integers(0, 4), scalar=st.integers(-3, 3))
    def assign(self, first: int, second: int, how: int, scalar: int) -> None:
        x = self.pick(first)
        y = None if x is None else self.pick(second, x)
        if x is None or y is None:
            return
        self.origins.pop(x.name, None)
        target = x.array
        if how == 0:
            target[...] = y.array
            self.write(x.name, lambda v, other: v.__setitem__(..., other), y.name)
        elif how == 1:
            target[...] = y.array * 2 + target
            self.write(x.name, lambda v, other: v.__setitem__(..., other * 2 + v), y.name)
        elif how == 2:
            target += y.array
            self.write(x.name, lambda v, other: v.__setitem__(..., v + other), y.name)
        elif how == 3:
            target -= scalar
            self.write(x.name, lambda v: v.__setitem__(..., v - scalar))
        else:
            target[...] = scalar
            self.write(x.name, lambda v: v.__setitem__(..., scalar))

    @rule(number=index, move=st.sampled_from(MOVES), add=st.booleans())
    def move(self, number: int, move: tuple[Any, Callable[[Any], Any]], add: bool) -> None:
        x = self.pick(number)
        if x is None or not x.array.ndim or not len(x.array):
            return
        key, how = move
        # Who is given nothing stays a view.
        if np.empty(x.array.shape, np.int8)[key].size:
            self.origins.pop(x.name, None)
        if add:
            x.array[key] += how(x.array)
        else:
            x.array[key] = how(x.array)
        self.write(x.name, lambda v: v.__setitem__(key, how(v.copy()) + (v[key] if add else 0)))

    @rule(first=index, second=index, reverse=st.booleans())
    def assign_part(self, first: int, second: int, reverse: bool) -> None:
        x = self.pick(first)
        y = None if x is None else self.pick(second, x)
        if x is None or y is None or not x.array.ndim or not len(x.array):
            return
        if x.array.size:
            self.origins.pop(x.name, None)
        places = np.array([0, -1] if reverse else [-1])
        x.array[places] = y.array[:1]
        self.write(x.name, lambda v, other: v.__setitem__(places, other[:1].copy()), y.name)

    # ------------------------------------------------------------ kernels

    def parents(self, name: int) -> list[Parent]:
        """Return what one is a view of, and that of, to the oldest, or to where NumPy needs a copy, as for a reshape of a transposed view.

        What is older than a program, and used by it, is there for it.
        """
        alive = {v.name for v in self.variables}
        for recorded in (*self.programs, self.recording):
            if recorded is not None:
                alive |= recorded.used - recorded.made - self.freed
        found = []
        while name in self.origins:
            name, how = self.origins[name]
            found.append(Parent(name, how, name in alive))
        view = np.empty(self.shapes[name], np.int8)
        for at in reversed(range(len(found))):
            part = np.asarray(found[at].how(view))
            if not np.shares_memory(part, view):
                found, part = found[:at], part.copy()
            view = part
        return found

    def shown(self, name: int, parents: list[Parent]) -> dict[int, np.ndarray]:
        """Return the arrays that NumPy would show through a view, by name: views of one memory, from the oldest that is there to the view."""
        names = [name, *(parent.name for parent in parents)]
        oldest = max((at for at, parent in enumerate(parents, 1) if parent.alive), default=0)
        view = np.zeros(self.shapes[names[-1]], np.int32)
        found: dict[int, np.ndarray] = {}
        for at in range(len(parents), -1, -1):
            if at < len(parents):
                view = np.asarray(parents[at].how(view))
            if at == oldest:
                view[...] = self.values[names[at]]
            if at in {oldest, 0} or (at < oldest and parents[at - 1].alive):
                found[names[at]] = view
        return found

    def step(self, name: int) -> Callable[[], None]:
        """Return the statement of a kernel that writes to an array and to what it is a view of, as it is now."""
        parents = self.parents(name)

        def statement() -> None:
            found = self.shown(name, parents)
            v = self.values[name]
            found[name][...] = 3 * v + np.arange(v.size, dtype=np.int32).reshape(v.shape)
            self.values.update({key: view.copy() for key, view in found.items()})

        return statement

    @rule(number=index)
    def run(self, number: int) -> None:
        if (x := self.pick(number)) is None or not x.array.size:
            return
        statement = self.step(x.name)
        origin = self.origins.get(x.name)
        try:
            self.kernels[x.where][0](y=x.array, threads=x.array.size)
        except wg.BindingError:
            # The view is of what was written since.
            assert origin is not None
            return
        if self.recording is None:
            for name, view in self.shown(x.name, self.parents(x.name)).items():
                np.testing.assert_array_equal(view, self.values[name], "a view of old values was written")
        self.note(x.name)
        self.do(statement, x.name, *(parent.name for parent in self.parents(x.name) if parent.alive))

    @rule(number=index, how=st.sampled_from(VIEWS))
    def run_on_part(self, number: int, how: Callable[[Any], Any]) -> None:
        x = self.pick(number)
        if x is None or not (part := how(x.array)).size or x.name in self.origins:
            return
        # NumPy's 0-d parts are no views.
        if not part.ndim and x.array.ndim:
            return
        self.kernels[x.where][0](y=part, threads=part.size)

        def change(v: np.ndarray) -> None:
            seen = how(v)
            seen[...] = 3 * seen + np.arange(seen.size, dtype=np.int32).reshape(seen.shape)

        self.write(x.name, change)

    @rule(first=index, second=index)
    def run_on_two(self, first: int, second: int) -> None:
        x = self.pick(first)
        y = None if x is None else self.pick(second, x)
        if x is None or y is None or x is y or not x.array.size or y.name in self.origins:
            return
        self.kernels[x.where][1](now=x.array, next=y.array, threads=x.array.size)

        def change(v: np.ndarray, now: np.ndarray) -> None:
            v[...] = 2 * v + np.roll(now.ravel(), -1).reshape(v.shape)

        self.write(y.name, change, x.name)

    @precondition(lambda self: self.recording is not None)
    @rule(number=index, values=numbers)
    def run_on_host_data(self, number: int, values: list[int]) -> None:
        """Upload in the block, and write to that at once."""
        self.create(number, 0, values)
        self.run(self.known().index(self.variables[-1]))

    @precondition(lambda self: self.recording is not None)
    @rule(number=index, how=st.sampled_from(VIEWS))
    def run_on_orphan(self, number: int, how: Callable[[Any], Any]) -> None:
        """Write in the block to a view of what nobody holds any more."""
        x = self.pick(number)
        if x is None:
            return
        self.view(number, how)
        view = self.variables[-1]
        self.variables.remove(x)
        del x
        self.run(self.known().index(view))

    # ------------------------------------------------------------ programs

    @precondition(lambda self: self.recording is None)
    @rule(number=index)
    def record(self, number: int) -> None:
        where = number % 2
        self.recording = Recorded(self.gpus[where].record(), where)
        self.recording.program.__enter__()

    @precondition(lambda self: self.recording is not None and len(self.recording.body) > 2)
    @rule(times=st.integers(0, 3))
    def end(self, times: int) -> None:
        recorded, self.recording = self.recording, None
        assert recorded is not None
        recorded.program.__exit__(None, None, None)
        self.programs.append(recorded)
        self.again(recorded, times)

    @precondition(lambda self: self.programs)
    @rule(number=index, times=st.integers(0, 3))
    def replay(self, number: int, times: int) -> None:
        recorded = self.programs[number % len(self.programs)]
        if self.recording is not None:
            try:
                recorded.program.replay(times)
            except (wg.WebGPUWidgetError, wg.BindingError):
                return
            raise AssertionError("a replay inside a recording was let through")
        self.again(recorded, times)

    def beside(self, number: int, how: Callable[[Any], Any]) -> tuple[Recorded, Variable | None]:
        """Return a program, and an expression of an array that it writes."""
        recorded = self.programs[number % len(self.programs)]
        found = [v for v in self.known(recorded.where) if v.name in recorded.written]
        if not found:
            return recorded, None
        x = found[number % len(found)]
        self.make(how(x.array), x.where, how, x.name)
        return recorded, self.variables[-1]

    @precondition(lambda self: self.programs and self.recording is None)
    @rule(number=index, how=st.sampled_from(COPIES), times=st.integers(1, 3))
    def replay_beside(self, number: int, how: Callable[[Any], Any], times: int) -> None:
        """Replay a program while there are copies of what it writes."""
        recorded, _ = self.beside(number, how)
        self.again(recorded, times)

    @precondition(lambda self: self.programs and self.recording is None)
    @rule(number=index, how=st.sampled_from(COPIES))
    def record_beside(self, number: int, how: Callable[[Any], Any]) -> None:
        """Record a program that writes to a copy of what another writes, and replay that one."""
        recorded, x = self.beside(number, how)
        if x is None or not x.array.size:
            return
        self.record(x.where)
        self.assign(self.known().index(x), 0, 3, 1)
        self.end(1)
        if recorded in self.programs:
            self.again(recorded, 2)

    def again(self, recorded: Recorded, times: int) -> None:
        """Replay a program, and look at all that it may have changed."""
        try:
            recorded.program.replay(times)
        except wg.ClosedError:
            assert self.freed
            self.programs.remove(recorded)
            return
        for _ in range(times):
            for statement in recorded.body:
                statement()
        self.look(recorded.where)

    def look(self, where: int | None = None) -> None:
        """Compare all arrays with the model."""
        for v in self.known(where):
            np.testing.assert_array_equal(v.array.numpy(), self.values[v.name])

    # ------------------------------------------------------------ looking

    @rule(number=index, second=index)
    def read(self, number: int, second: int) -> None:
        self.mix(number, second)
        x = self.pick(number)
        if x is None:
            return
        if self.recording is None:
            np.testing.assert_array_equal(x.array.numpy(), self.values[x.name])
        elif x.array.size:
            try:
                x.array.numpy()
            except wg.WebGPUWidgetError:
                return
            raise AssertionError("an array was read inside a recording")

    def mix(self, first: int, second: int) -> None:
        """Try what two GPUs must refuse."""
        pairs = [[v for v in self.variables if v.where == where and v.array.ndim] for where in (0, 1)]
        if not all(pairs):
            return
        x, y = pairs[0][first % len(pairs[0])].array, pairs[1][second % len(pairs[1])].array
        for mixed in (lambda: x[y], lambda: x.__setitem__(y, 0), lambda: xp.where(y > 0, x, 0)):
            try:
                mixed()
            except wg.BindingError:
                continue
            raise AssertionError("arrays of two GPUs were mixed")

    def teardown(self) -> None:
        if self.recording is not None:
            self.recording.program.__exit__(None, None, None)
            self.recording = None
        self.look()


@pytest.mark.timeout(3600)  # shrinking a program that fails takes minutes
@pytest.mark.parametrize("programs", [FEW, pytest.param(PROGRAMS, marks=pytest.mark.long)], ids=["few", "more"])
def test_random_programs_do_as_numpy_does(gpu, other_gpu, rng, programs):
    drawn = hypothesis.seed(int(rng.integers(2**32)))(lambda: Arrays((gpu, other_gpu)))
    # int32 wraps around, in NumPy's scalars with a warning.
    with np.errstate(over="ignore"):
        run_state_machine_as_test(
            drawn,
            settings=hypothesis.settings(
                max_examples=programs,
                stateful_step_count=60,
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(hypothesis.HealthCheck),
            ),
        )
