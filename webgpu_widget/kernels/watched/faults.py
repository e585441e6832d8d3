"""What a watched kernel noted: read back, and raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget import errors
from webgpu_widget.kernels.watched.instrument import WORDS
from webgpu_widget.link.steps import Steps, drive

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.device.queue import Queue
    from webgpu_widget.kernels.watched.instrument import Place, Watched

__all__ = ["Notes"]

_MOST_SHOWN = 8


class Notes:
    """The notes of a call, or of a recorded call's replays.

    Parameters
    ----------
    queue : Queue
        Where the kernel runs.
    watched : Watched
        Its text.
    name : str
        The kernel's.
    """

    def __init__(self, queue: Queue, watched: Watched, name: str) -> None:
        self._queue = queue
        self._watched = watched
        self._name = name
        self.buffer: Buffer = queue.alloc(4 * WORDS * max(1, len(watched.places)))

    def check(self, timeout: float | None, outputs: Any = None) -> None:
        """Wait for the call, and raise `BoundsError` for what it noted."""
        drive(self.check_steps(outputs), timeout)

    def check_steps(self, outputs: Any = None) -> Steps[None]:
        """As `check`."""
        what = f"checking the indices of kernel {self._name!r}"
        data = yield from self._queue.read_steps([(self.buffer, 0, self.buffer.size_bytes)], what)
        notes = data[0].view(np.uint32).reshape(-1, WORDS)
        found = [
            _fault(place, note) for place, note in zip(self._watched.places, notes.tolist(), strict=False) if note[0]
        ]
        if not found:
            return
        self._queue.clear(self.buffer)
        raise errors.BoundsError(self._message(found), found, outputs)

    def _message(self, found: list[errors.BoundsFault]) -> str:
        total = sum(fault.count for fault in found)
        were = "index was" if total == 1 else "indices were"
        places = f"{len(found)} place{'s' * (len(found) > 1)}"
        lines = [f"kernel {self._name!r}: {total} {were} out of bounds, at {places} of its WGSL"]
        lines += [_line(fault) for fault in found[:_MOST_SHOWN]]
        if len(found) > _MOST_SHOWN:
            lines.append(f"  and {len(found) - _MOST_SHOWN} more, in the error's faults")
        lines.append(
            "  What is read or written there differs between adapters: compare the index with the length first, as in if (i < arrayLength(&x)) { ... }. "
            "The call has run; its outputs are the error's outputs"
        )
        return "\n".join(lines)


def _fault(place: Place, note: list[int]) -> errors.BoundsFault:
    axes = place.axes
    first = note[7], note[8], note[9]
    return errors.BoundsFault(
        place.variable,
        place.text,
        place.line,
        place.column,
        tuple(_signed(n) for n in note[1 : 1 + axes]),
        tuple(note[4 : 4 + axes]),
        note[0],
        first,
        place.what,
    )


def _line(fault: errors.BoundsFault) -> str:
    return (
        f"  line {fault.line}, column {fault.column}: {fault.text}: {fault.what} {_said(fault.index)} of {fault.variable!r}, which takes "
        f"{_range(fault.length)}; {fault.count} time{'s' * (fault.count > 1)}, first noted in invocation {fault.invocation}"
    )


def _signed(index: int) -> int:
    """Return an index as it was meant: what is beyond 2**31 went below 0, since nothing is that large."""
    return index - (1 << 32) if index >= 1 << 31 else index


def _said(numbers: tuple[int, ...]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else str(numbers)


def _range(length: tuple[int, ...]) -> str:
    parts = [f"0 to {n - 1}" if n else "none" for n in length]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
