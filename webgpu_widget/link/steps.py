"""Operations that wait, written once for callers that block and for those that await.

Such an operation is a generator. It yields each `Wait`, and goes on with what came of it, or with the error, which is raised where it waits: a Ctrl-C and a
cancelled task too, so that both let go of the same. `drive` runs it to its end in the caller's thread, `drive_async` in a coroutine, with the timeout of all
its waits; ``yield from`` makes one operation of several. The body that ``read`` and ``read_async`` share is called ``read_steps``.
"""

from __future__ import annotations

import asyncio
import types
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = [
    "Beforehand",
    "Call",
    "Steps",
    "Stream",
    "Wait",
    "call",
    "drive",
    "drive_async",
    "following",
    "iterate",
    "iterate_async",
]

T = TypeVar("T")


class Wait(ABC):
    """What an operation waits for."""

    __slots__ = ()

    @abstractmethod
    def wait(self, timeout: float | None) -> Any:
        """Block until it is there, and return it; ``timeout`` is in seconds of silence."""

    @abstractmethod
    async def wait_async(self, timeout: float | None) -> Any:
        """Coroutine twin of `wait`."""


Steps = Generator[Wait, Any, T]
"""An operation that returns a T."""
Stream = Generator[Wait | T, Any, None]
"""An operation that yields T, which is no `Wait` and not None, between its waits."""


@dataclass(frozen=True, slots=True)
class Call(Wait):
    """The result of a function that takes long or blocks: a coroutine has it called in a thread.

    Parameters
    ----------
    function : callable
        Takes nothing.
    drop : callable, optional
        Gets a result that came when nobody waited for it any more, as a thread cannot be cancelled.
    """

    function: Callable[[], Any]
    drop: Callable[[Any], None] | None = None

    def wait(self, timeout: float | None) -> Any:  # noqa: ARG002 - a function of the caller's is not given up
        """As `Wait.wait`."""
        return self.function()

    async def wait_async(self, timeout: float | None) -> Any:  # noqa: ARG002 - as above
        """As `Wait.wait_async`."""
        running = asyncio.ensure_future(asyncio.to_thread(self.function))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(self._left)
            raise

    def _left(self, running: asyncio.Future[Any]) -> None:
        # asyncio logs an exception that nobody asked its future for.
        if not running.cancelled() and running.exception() is None and self.drop is not None:
            self.drop(running.result())


@dataclass(frozen=True, slots=True)
class Beforehand(Wait):
    """A function that blocks, which a coroutine has called in a thread before its own steps would; a thread meets the wait in these steps."""

    function: Callable[[], Any]

    def wait(self, timeout: float | None) -> None:
        """As `Wait.wait`."""

    async def wait_async(self, timeout: float | None) -> None:
        """As `Wait.wait_async`."""
        await Call(self.function).wait_async(timeout)


def call(function: Callable[[], T], drop: Callable[[T], None] | None = None) -> Steps[T]:
    """Call a function that takes long or blocks: see `Call`."""
    result: T = yield Call(function, drop)
    return result


def _run(steps: Steps[T], wait: Callable[[Wait], Generator[Any, Any, Any]]) -> Generator[Any, Any, T]:
    """Run an operation; one that is broken off between two waits, as by Ctrl-C, lets go of what it holds."""
    with closing(steps):
        try:
            item = next(steps)
            while True:
                try:
                    result = yield from wait(item)
                except BaseException as error:  # noqa: BLE001 - the operation raises it again, unless it knows how to go on
                    item = steps.throw(error)
                else:
                    item = steps.send(result)
        except StopIteration as ended:
            value: T = ended.value
            return value


@types.coroutine
def _awaited(run: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    return (yield from run)


def drive(steps: Steps[T], timeout: float | None = 30.0) -> T:
    """Run an operation to its end, blocking where it waits.

    Parameters
    ----------
    steps : generator
        The operation; it is closed afterwards.
    timeout : float or None
        Seconds of silence after which any of its waits is given up; None waits for ever.

    Returns
    -------
    T
        What the operation returns. What it raises is raised.
    """
    results: list[T] = []
    for _ in _run_blocking(steps, timeout, results):
        raise RuntimeError("an operation that blocks was suspended")
    return results[0]


def _run_blocking(steps: Steps[T], timeout: float | None, results: list[T]) -> Generator[None, None, None]:
    """Do as `_run`, in the caller's thread and with nothing around it: each call that reads pays for this.

    A generator that yields nothing, since in a function an ``except StopIteration`` that is broken off by Ctrl-C leaves the result with the thread.
    """
    try:
        item = next(steps)
        while True:
            try:
                result = item.wait(timeout)
            except BaseException as error:  # noqa: BLE001 - as in `_run`
                item = steps.throw(error)
            else:
                item = steps.send(result)
    except StopIteration as ended:
        results.append(ended.value)
    finally:
        steps.close()
    yield from ()


async def drive_async(steps: Steps[T], timeout: float | None = 30.0) -> T:
    """Coroutine twin of `drive`."""
    return await _awaited(_run(steps, lambda item: item.wait_async(timeout).__await__()))


def following(stream: Stream[T]) -> Steps[T | None]:
    """Go on in a stream to the next that it yields; None at its end."""
    try:
        item = next(stream)
        while isinstance(item, Wait):
            try:
                result = yield item
            except BaseException as error:  # noqa: BLE001 - the stream raises it again, unless it knows how to go on
                item = stream.throw(error)
            else:
                item = stream.send(result)
    except StopIteration:
        return None
    return item


def iterate(stream: Stream[T], timeout: float | None = 30.0) -> Iterator[T]:
    """Yield what a stream yields, blocking where it waits; it is closed when the iteration ends or is left.

    Parameters
    ----------
    stream : generator
        The operation.
    timeout : float or None
        Seconds of silence after which any of its waits is given up; None waits for ever.
    """
    with closing(stream):
        yield from iter(lambda: drive(following(stream), timeout), None)


async def iterate_async(stream: Stream[T], timeout: float | None = 30.0) -> AsyncIterator[T]:
    """Coroutine twin of `iterate`: ``async for``."""
    with closing(stream):
        while (item := await drive_async(following(stream), timeout)) is not None:
            yield item
