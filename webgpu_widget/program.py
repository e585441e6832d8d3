"""Programs: commands recorded once, kept in the browser, replayed by one message."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from webgpu_widget import errors
from webgpu_widget._handles import Recording

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = ["Program"]


class Program:
    """What happened on the GPU inside ``with gpu.record() as program:``.

    Inside the block nothing runs: dispatches, copies and clears are collected. Arrays from NumPy are uploaded once, and outputs of `out` are set to
    zero at each replay, as in a call. Reading inside the block is an error.
    """

    def __init__(self, gpu: GPU) -> None:
        self._gpu = gpu
        self._context: AbstractContextManager[Recording] | None = None
        self._recording: Recording | None = None
        self._handle: int | None = None
        self._generation = -1

    def __enter__(self) -> Self:
        self._context = self._gpu._queue.record()
        self._recording = self._context.__enter__()
        self._gpu._record_begins()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._context is not None:
            self._gpu._record_ends()
            self._context.__exit__(kind, error, trace)
            self._context = None
        if kind is None and self._recording is not None:
            self._handle = self._gpu._queue.create_program(self._recording)
            self._generation = self._gpu._queue.generation

    def replay(self, times: int = 1) -> None:
        """Run the program ``times`` times, by one message; does not wait.

        Raises
        ------
        ClosedError, DeviceLostError, FrontendLostError
            When it was freed, or is gone with its page or device.
        """
        count = times.__index__() if hasattr(times, "__index__") else -1
        if count < 0:
            raise errors.WebGPUWidgetError(f"replay(times={times!r}): times is a whole number of at least 0")
        queue = self._gpu._queue
        if self._handle is None:
            raise errors.ClosedError("the program was freed, or its with block has not ended well: record it again")
        if self._generation != queue.generation:
            kind, reason = queue.gone
            error = errors.DeviceLostError if kind == "device-lost" else errors.FrontendLostError
            raise error(f"the program is gone from the browser: {reason}. Record it again")
        if count:
            self._gpu._replay_begins()
            queue.run_program(self._handle, count)

    @property
    def stats(self) -> dict[str, int]:
        """How many of each command it holds: dispatches, copies, clears."""
        commands = self._recording.commands if self._recording is not None else []
        count = {"dispatches": "dispatch", "copies": "copy-buffer", "clears": "clear-buffer"}
        return {name: sum(item["op"] == op for item in commands) for name, op in count.items()}

    def free(self) -> None:
        """Forget it in the browser, and let its arrays go."""
        if self._handle is not None:
            self._gpu._queue.discard("free-program", "program", self._handle, self._generation)
            self._handle = None
            self._recording = None

    def __del__(self) -> None:
        self.free()

    def __repr__(self) -> str:
        return f"Program({', '.join(f'{value} {name}' for name, value in self.stats.items() if value)})"
