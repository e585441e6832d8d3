"""What can go wrong, as types.

::

    WebGPUWidgetError
    ├── FrontendError
    │   ├── NoFrontendError          no page has answered
    │   ├── FrontendTimeoutError     a page is there, but silent (also a TimeoutError)
    │   ├── FrontendLostError        the page was closed or reloaded
    │   └── ProtocolMismatchError    page and package are of different versions
    ├── DeviceError
    │   ├── NoAdapterError           the browser has no WebGPU for this page (with the reason)
    │   ├── DeviceLostError          the GPU was reset; arrays from before are gone
    │   ├── OutOfMemoryError         also a MemoryError
    │   ├── LimitError               over a limit of the adapter (both numbers)
    │   └── BufferSizeError          a buffer beyond maxBufferSize (an OutOfMemoryError and a LimitError)
    ├── ShaderError                  WGSL that does not compile: source, line, column
    ├── BindingError                 arguments that do not fit the shader's variables
    │   └── BoundsError              indices beyond what a shader indexes, where it is watched
    ├── ShapeError                   also a ValueError
    ├── DTypeError                   also a TypeError
    │   └── RangeError               a number that its dtype does not have (also an OverflowError)
    ├── WeightsError
    │   ├── IntegrityError           bytes that are not what they should be
    │   ├── FormatError              a file that is not what it says
    │   └── QuotaError               the browser's storage is full
    ├── PromptError                  text that a model cannot take (also a ValueError)
    ├── ClusterError
    │   └── TaskTypeError            a task that cannot be called (also a TypeError)
    ├── ClosedError                  use after close() or free()
    └── CancelledError               cancelled by the caller

Each message says what happened, the values, what is allowed, and what to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = [
    "BindingError",
    "BoundsError",
    "BoundsFault",
    "BufferSizeError",
    "CancelledError",
    "ClosedError",
    "ClusterError",
    "DTypeError",
    "DeviceError",
    "DeviceLostError",
    "FormatError",
    "FrontendError",
    "FrontendLostError",
    "FrontendTimeoutError",
    "IntegrityError",
    "LimitError",
    "NoAdapterError",
    "NoFrontendError",
    "OutOfMemoryError",
    "PromptError",
    "ProtocolMismatchError",
    "QuotaError",
    "RangeError",
    "ShaderError",
    "ShapeError",
    "TaskTypeError",
    "UnsupportedError",
    "WebGPUWidgetError",
    "WeightsError",
]


class WebGPUWidgetError(Exception):
    """Base of all errors of this package."""


class FrontendError(WebGPUWidgetError):
    """The page that should run the work is the trouble."""


class NoFrontendError(FrontendError):
    """No page has answered."""


class FrontendTimeoutError(FrontendError, TimeoutError):
    """A page is there, but has finished nothing for ``timeout`` seconds."""


class FrontendLostError(FrontendError):
    """The page was closed or reloaded; what it held is gone."""

    _heard_at = math.inf
    """When the page was last heard, in seconds of `time.monotonic`, where that is long before it was given up."""


class ProtocolMismatchError(FrontendError):
    """The page runs another version of the package than Python does."""


class DeviceError(WebGPUWidgetError):
    """The GPU, or the browser's way to it, is the trouble."""


class NoAdapterError(DeviceError):
    """The browser has no WebGPU adapter for this page."""


class DeviceLostError(DeviceError):
    """The GPU was reset; arrays and kernels from before are gone."""


class OutOfMemoryError(DeviceError, MemoryError):
    """The GPU has no memory for a buffer."""

    def __new__(cls, *args: object) -> Self:
        """Make an error as any other: tblib, by which Dask sends errors, asks the class, and `MemoryError`'s own way is for it alone."""
        return BaseException.__new__(cls, *args)


class LimitError(DeviceError):
    """Something is over a limit of the adapter."""


class BufferSizeError(OutOfMemoryError, LimitError):
    """A buffer larger than the adapter makes any, whatever memory is free.

    Attributes
    ----------
    wanted_bytes : int
        How large it would have been.
    limit_bytes : int
        The adapter's ``maxBufferSize``.

    Parameters
    ----------
    what : str
        What needs the buffer, for the message.
    """

    def __init__(self, what: str, wanted_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{what} needs a buffer of {wanted_bytes} bytes, but this adapter's maxBufferSize is {limit_bytes}, whatever "
            "memory is free. Work on parts of it, each an array of its own, or use a smaller dtype such as float16."
        )
        self._what = what
        self.wanted_bytes = wanted_bytes
        self.limit_bytes = limit_bytes

    def __reduce__(self) -> Any:
        """Pickle what the error is made of, so that a worker of a cluster can raise it."""
        return type(self), (self._what, self.wanted_bytes, self.limit_bytes)


class ShaderError(WebGPUWidgetError):
    """WGSL that does not compile.

    Attributes
    ----------
    source : str
        The WGSL text.
    line, column : int
        Where the first error is, counted from 1; 0 where unknown.
    """

    def __init__(self, message: str, source: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.source = source
        self.line = line
        self.column = column

    def _render_traceback_(self) -> list[str]:
        """Show the message alone in IPython: the place is a line of WGSL, not of Python."""
        return [f"{type(self).__name__}: {self}"]


class BindingError(WebGPUWidgetError):
    """Arguments that do not fit the shader's variables."""


@dataclass(frozen=True)
class BoundsFault:
    """An index expression of a shader that was out of bounds.

    Attributes
    ----------
    variable : str
        What is indexed: a variable, a parameter, a texture.
    text : str
        The expression as written.
    line, column : int
        Where it is in the WGSL, counted from 1.
    index, length : tuple of int
        What it asked for the first time, and how many there are: one number, or for a texture's coordinates one an axis.
    count : int
        How often it was out of bounds.
    invocation : (int, int, int)
        ``global_invocation_id`` of the first time.
    what : str
        ``index``, or what a texture is chosen from besides: ``layer`` of an array, mip ``level``, ``sample``.
    """

    variable: str
    text: str
    line: int
    column: int
    index: tuple[int, ...]
    length: tuple[int, ...]
    count: int
    invocation: tuple[int, int, int]
    what: str = "index"


class BoundsError(BindingError):
    """A shader's index was out of bounds, in a call with ``check=True``; what such an access gives differs between adapters.

    Attributes
    ----------
    faults : list of BoundsFault
        One for each index expression.
    outputs
        What the call would have returned.
    """

    def __init__(self, message: str, faults: Sequence[BoundsFault] = (), outputs: Any = None) -> None:
        super().__init__(message)
        self.faults = list(faults)
        self.outputs = outputs

    def __reduce__(self) -> Any:
        """Leave out the outputs, which may live in a browser."""
        return type(self), (str(self), self.faults)


class ShapeError(WebGPUWidgetError, ValueError):
    """Shapes that do not fit."""


class DTypeError(WebGPUWidgetError, TypeError):
    """A dtype that does not fit, or that WebGPU does not have."""


class UnsupportedError(WebGPUWidgetError, TypeError):
    """A function of NumPy, or a keyword of one, that arrays on the GPU do not have."""


class RangeError(DTypeError, OverflowError):
    """A number that its dtype does not have: an integer out of bounds, a finite float that would become infinite."""


class WeightsError(WebGPUWidgetError):
    """Weights cannot be loaded."""


class IntegrityError(WeightsError):
    """Bytes that are not what they should be."""


class FormatError(WeightsError):
    """A file that is not what it says."""


class QuotaError(WeightsError):
    """The browser's storage is full."""


class PromptError(WebGPUWidgetError, ValueError):
    """Text that a model cannot take: empty, or longer than it may be."""


class ClusterError(WebGPUWidgetError):
    """The cluster cannot do what was asked."""


class TaskTypeError(ClusterError, TypeError):
    """A task that cannot be called."""


class ClosedError(WebGPUWidgetError):
    """Use after ``close()`` or ``free()``."""


class CancelledError(WebGPUWidgetError):
    """Cancelled by the caller."""


_BY_CODE: dict[str, type[WebGPUWidgetError]] = {
    "protocol-mismatch": ProtocolMismatchError,
    "no-adapter": NoAdapterError,
    "device-lost": DeviceLostError,
    "out-of-memory": OutOfMemoryError,
    "limit": LimitError,
    "shader": ShaderError,
    "binding": BindingError,
    "validation": BindingError,
    "cancelled": CancelledError,
    "unknown-handle": DeviceLostError,
    "weights": WeightsError,
    "integrity": IntegrityError,
    "format": FormatError,
    "quota": QuotaError,
    "internal": WebGPUWidgetError,
}


def from_wire(code: str, message: str, details: dict[str, Any], source: str = "", name: str = "") -> WebGPUWidgetError:
    """Make the exception that a wire error stands for.

    Parameters
    ----------
    code : str
        One of ``protocol.ErrorCode``.
    message : str
        What the browser said.
    details : dict
        By code; ``shader`` has ``messages``, ``line`` and ``column``.
    source, name : str
        WGSL text and kernel name of a compile request.

    Returns
    -------
    WebGPUWidgetError
        To be raised by the caller.
    """
    if code == "shader":
        return shader_error(message, details, source, name)
    return _BY_CODE.get(code, WebGPUWidgetError)(message)


def shader_error(message: str, details: dict[str, Any], source: str, name: str) -> ShaderError:
    """Lay out compile errors with their lines and a caret under the place."""
    lines = source.splitlines()
    found = _compile_errors(details.get("messages"))
    title = f"the WGSL of kernel {name!r} does not compile" if name else "the WGSL does not compile"
    if not found:
        return ShaderError(f"{title}: {message}", source)
    parts = [f"{title}: {len(found)} error{'s' if len(found) > 1 else ''}"]
    for item in found:
        line, column = item["line"], item["column"]
        said, *more = item["message"].strip().splitlines() or [""]
        parts.append(f"\n  line {line}, column {column}: {said}")
        if 0 < line <= len(lines):
            text = lines[line - 1]
            caret = "".join("\t" if char == "\t" else " " for char in text[: column - 1])
            width = max(1, min(item["length"], len(text) - column + 1))
            parts.append(f"    {line:>4} | {text}")
            parts.append(f"         | {caret}{'^' * width}")
        parts += [f"    {text}" for text in more if text.strip()]
    first = found[0]
    return ShaderError("\n".join(parts), source, first["line"], first["column"])


def _compile_errors(messages: Any) -> list[dict[str, Any]]:
    """Return the errors among a compiler's messages, without what is none."""
    fields = {"severity": str, "message": str, "line": int, "column": int, "length": int}
    items = messages if isinstance(messages, list) else []
    return [
        item
        for item in items
        if isinstance(item, dict)
        and all(type(item.get(name)) is kind for name, kind in fields.items())
        and item["severity"] == "error"
    ]
