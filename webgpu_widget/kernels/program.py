"""Programs: commands recorded once, kept in the browser, replayed by one message."""

from __future__ import annotations

import weakref
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from webgpu_widget import errors
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.device.handles import Recording
from webgpu_widget.kernels.watched.faults import Notes

if TYPE_CHECKING:
    from webgpu_widget.arrays.lazy.node import Storage
    from webgpu_widget.arrays.lazy.value import Value
    from webgpu_widget.device.device import Device

__all__ = ["Program"]


class Program:
    """What happened on the GPU inside ``with gpu.record() as program:``.

    Inside the block nothing runs: dispatches, copies and clears are collected. Each replay does what the block did, with the arrays as they are then:

    - Arrays that are older than the block are read and written where they are, and live as long as the program; copies and slices of them that were made
      outside keep their values.
    - Arrays made in the block are made anew. Before the first replay their values are undefined.
    - NumPy arrays are uploaded once, and begin with the same values at each replay; outputs of `out` begin with zeros.

    Reading inside the block is an error, and so is work on another GPU that does not record as well, and a replay of another program.

    Parameters
    ----------
    device : Device
        What is recorded; `GPU.record` passes its own.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._context: AbstractContextManager[Recording] | None = None
        self._recording: Recording | None = None
        self._handle: int | None = None
        self._generation = -1
        self._storages: list[weakref.ref[Storage]] = []
        self._arrays: list[Value] = []
        self._notes: list[Notes] = []

    def __enter__(self) -> Self:
        self._context = self._device.queue.record()
        self._recording = self._context.__enter__()
        runtime_of(self._device).sharing.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        context, self._context = self._context, None
        if context is None or self._recording is None:
            return
        sharing = runtime_of(self._device).sharing
        try:
            if kind is None:
                sharing.end()
        finally:
            context.__exit__(kind, error, trace)
            claimed = sharing.claimed()
        if kind is None:
            self._arrays = claimed
            self._storages = sharing.storages_of(self._recording.buffers)
            self._handle = self._device.queue.create_program(self._recording, self)
            self._generation = self._recording.generation
            self._notes = [item for item in self._recording.holds if isinstance(item, Notes)]

    def replay(self, times: int = 1) -> None:
        """Run the program ``times`` times, by one message; does not wait, unless kernels in it were made with ``check=True``.

        Parameters
        ----------
        times : int
            How often, 0 or more.

        Raises
        ------
        ClosedError, DeviceLostError, FrontendLostError
            When it or an array of it was freed, or is gone with its page or device.
        BoundsError
            When an index of a kernel made with ``check=True`` was out of bounds.
        WebGPUWidgetError
            While this thread records another program.
        """
        count = times.__index__() if hasattr(times, "__index__") else -1
        if count < 0:
            raise errors.WebGPUWidgetError(f"replay(times={times!r}): times is a whole number of at least 0")
        queue = self._device.queue
        if self._handle is None or self._recording is None:
            raise errors.ClosedError("the program was freed, or its with block has not ended well: record it again")
        if self._generation != queue.generation:
            raise queue.losses.error(self._generation, "the program is gone from the browser", "Record it again")
        if any(buffer.freed for buffer in self._recording.buffers):
            raise errors.ClosedError(
                "an array that the program reads or writes was freed; nothing can be replayed any more: record it again with other arrays"
            )
        queue.check_replay()
        if count:
            runtime_of(self._device).sharing.before_replay(self._storages)
            queue.run_program(self._handle, count, self._generation)
            for notes in self._notes:
                notes.check(30.0)

    @property
    def stats(self) -> dict[str, int]:
        """How many of each command it holds: dispatches, copies, clears."""
        commands = self._recording.commands if self._recording is not None else []
        count = {"dispatches": "dispatch", "copies": "copy-buffer", "clears": "clear-buffer"}
        return {name: sum(item["op"] == op for item in commands) for name, op in count.items()}

    def free(self) -> None:
        """Forget it in the browser, and let its arrays go."""
        if self._handle is not None:
            self._device.queue.take_back(self._handle)
            self._handle = None
            self._recording = None
            self._arrays.clear()
            self._notes.clear()

    def __repr__(self) -> str:
        return f"Program({', '.join(f'{value} {name}' for name, value in self.stats.items() if value)})"
