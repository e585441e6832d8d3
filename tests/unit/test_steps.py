"""Operations that wait: one body, run by a thread that blocks and by a coroutine, alike to the last error."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import pathlib
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import webgpu_widget
from webgpu_widget.link.steps import (
    Beforehand,
    Call,
    Steps,
    Stream,
    Wait,
    call,
    drive,
    drive_async,
    following,
    iterate,
    iterate_async,
)
from webgpu_widget.process.caller import warn_caller

Drive = Callable[..., Any]


def awaited(steps: Steps[Any], timeout: float | None = 30.0) -> Any:
    return asyncio.run(drive_async(steps, timeout))


def collected(stream: Stream[Any], timeout: float | None = 30.0) -> list[Any]:
    async def collect() -> list[Any]:
        return [item async for item in iterate_async(stream, timeout)]

    return asyncio.run(collect())


both = pytest.mark.parametrize("run", [drive, awaited], ids=["blocking", "async"])
both_streams = pytest.mark.parametrize("collect", [lambda *a: list(iterate(*a)), collected], ids=["blocking", "async"])


class Told(Wait):
    """Comes at once, and says what timeout it was given."""

    def wait(self, timeout: float | None) -> Any:
        return "blocking", timeout

    async def wait_async(self, timeout: float | None) -> Any:
        await asyncio.sleep(0)
        return "async", timeout


class Failing(Wait):
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def wait(self, _timeout: float | None) -> Any:
        raise self.error

    async def wait_async(self, _timeout: float | None) -> Any:
        await asyncio.sleep(0)
        raise self.error


@both
def test_an_operation_returns_what_it_made_of_its_waits(run: Drive) -> None:
    def part() -> Steps[Any]:
        return (yield Told())

    def whole() -> Steps[Any]:
        first = yield from part()
        second = yield from call(lambda: 5)
        return first, second

    way = "blocking" if run is drive else "async"
    assert run(whole(), 7.0) == ((way, 7.0), 5)
    assert run(whole(), None) == ((way, None), 5)


@both
def test_one_that_waits_for_nothing_returns_as_well(run: Drive) -> None:
    def nothing() -> Steps[int]:
        yield from ()
        return 3

    assert run(nothing()) == 3


@both
@pytest.mark.parametrize("error", [ValueError("of its own"), KeyboardInterrupt()])
def test_an_error_is_raised_where_the_operation_waits_and_may_be_dealt_with_there(
    run: Drive, error: BaseException
) -> None:
    told: list[BaseException] = []

    def careful() -> Steps[Any]:
        try:
            yield Failing(error)
        except type(error) as met:
            told.append(met)
        return (yield from call(lambda: "went on"))

    assert run(careful()) == "went on"
    assert told == [error]


@both
def test_what_an_operation_raises_is_raised(run: Drive) -> None:
    freed: list[bool] = []

    def careless() -> Steps[None]:
        try:
            yield Failing(ValueError("of its own"))
        finally:
            freed.append(True)

    with pytest.raises(ValueError, match="of its own"):
        run(careless())
    assert freed == [True]


def test_the_end_of_an_iterator_is_no_result() -> None:
    def ended() -> Steps[None]:
        yield from call(lambda: next(iter([])))

    with pytest.raises(RuntimeError, match="StopIteration"):
        drive(ended())


@both
def test_a_coroutine_alone_does_beforehand_what_would_block_it(run: Drive) -> None:
    in_threads: list[bool] = []

    def steps() -> Steps[None]:
        yield Beforehand(lambda: in_threads.append(threading.current_thread() is not threading.main_thread()))

    run(steps())
    assert in_threads == ([] if run is drive else [True])


def test_a_task_that_is_cancelled_lets_go_of_what_a_ctrl_c_would() -> None:
    freed: list[str] = []

    class Forever(Wait):
        def wait(self, _timeout: float | None) -> Any:
            raise KeyboardInterrupt

        async def wait_async(self, _timeout: float | None) -> Any:
            await asyncio.Event().wait()

    def holding() -> Steps[None]:
        try:
            yield Forever()
        except BaseException as error:
            freed.append(type(error).__name__)
            raise

    async def cancel() -> None:
        task = asyncio.create_task(drive_async(holding()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(KeyboardInterrupt):
        drive(holding())
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel())
    assert freed == ["KeyboardInterrupt", "CancelledError"]


def test_what_a_thread_brings_for_a_task_that_is_cancelled_is_dropped() -> None:
    go, came, dropped = threading.Event(), asyncio.Event(), list[str]()

    def slow() -> str:
        go.wait(10)
        return "late"

    def drop(result: str) -> None:
        dropped.append(result)
        came.set()

    async def cancel() -> None:
        task = asyncio.create_task(Call(slow, drop).wait_async(None))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not dropped
        go.set()
        await came.wait()

    asyncio.run(asyncio.wait_for(cancel(), 10))
    assert dropped == ["late"]


@both_streams
def test_a_stream_gives_what_it_yields_between_its_waits(collect: Callable[..., list[Any]]) -> None:
    def stream() -> Stream[Any]:
        yield "first"
        yield (yield Told())[1]
        try:
            yield Failing(ValueError("lost"))
        except ValueError as error:
            yield str(error)

    def inner() -> Stream[Any]:
        work = stream()
        while (item := (yield from following(work))) is not None:
            yield item

    assert collect(stream(), 4.0) == ["first", 4.0, "lost"]
    assert collect(inner(), 4.0) == ["first", 4.0, "lost"]


def test_a_stream_that_is_left_is_closed_at_once() -> None:
    closed: list[str] = []

    def stream(name: str) -> Stream[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(name)

    for _ in iterate(stream("blocking")):
        break
    assert closed == ["blocking"]

    async def leave() -> None:
        items = iterate_async(stream("async"))
        async for _ in items:
            break
        await items.aclose()

    asyncio.run(leave())
    assert closed == ["blocking", "async"]


def test_a_warning_names_the_line_of_who_called_the_package() -> None:
    def steps() -> Steps[None]:
        yield from ()
        warn_caller("of a name of ours")

    ours = types.FunctionType(steps.__code__, {**globals(), "__name__": "webgpu_widget.somewhere"})
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        drive(ours())
        asyncio.run(drive_async(ours()))
    line = test_a_warning_names_the_line_of_who_called_the_package.__code__.co_firstlineno
    assert seen[0].filename == __file__
    assert seen[0].lineno > line
    assert "webgpu_widget" not in pathlib.Path(seen[1].filename).parts


def test_no_coroutine_twin_has_a_body_of_its_own() -> None:
    root = pathlib.Path(__file__).parents[2]
    pytest.importorskip("grimp")
    spec = importlib.util.spec_from_file_location("architecture", root / "tools" / "architecture.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    found = [
        f"{path.name}:{function.lineno} {function.name}"
        for path in pathlib.Path(webgpu_widget.__file__).parent.rglob("*.py")
        for function, _, _ in tool.copied_twins(ast.parse(path.read_text("utf-8")))
    ]
    assert not found
    copied = ast.parse(
        "def read(x):\n    'doc'\n    if x:\n        y = wait(x)\n    return y\n"
        "async def read_async(x):\n    if x:\n        y = await wait_async(x)\n    return y\n"
        "def ready(x):\n    return drive(steps(x))\n"
        "async def ready_async(x):\n    return await drive_async(steps(x))\n"
    )
    assert [function.name for function, _, _ in tool.copied_twins(copied)] == ["read_async"]
