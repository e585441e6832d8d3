"""The small passes around a product: repacking operands, adding partial sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webgpu_widget import shaders
from webgpu_widget.device.limits import SAFE_WORKGROUPS
from webgpu_widget.shaders.uniforms import uniform

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer, Span
    from webgpu_widget.device.queue import Queue

_SHORT = 128
"""Columns; shorter rows would leave most of a workgroup idle."""


def fold(count: int) -> tuple[int, int]:
    """Return (x, y) workgroups with ``x * y >= count`` and both in the limit."""
    y = max(1, -(-count // SAFE_WORKGROUPS))
    return max(1, -(-count // y)), y


@dataclass(frozen=True, slots=True)
class View:
    """A batch of matrices in a buffer: sizes and element strides of (outer, inner, rows, cols)."""

    buffer: Buffer
    sizes: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]
    offset: int
    half: bool

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return 2 if self.half else 4

    def reach(self) -> tuple[int, int]:
        """Return the least and the greatest element that the view touches."""
        low = high = self.offset
        for size, stride in zip(self.sizes, self.strides, strict=True):
            step = (size - 1) * stride
            low, high = low + min(step, 0), high + max(step, 0)
        return low, high

    def is_run(self) -> bool:
        """Whether the elements lie one after another in C order."""
        step = 1
        for size, stride in zip(reversed(self.sizes), reversed(self.strides), strict=True):
            if size > 1 and stride != step:
                return False
            step *= size
        return True

    def bytes_spanned(self) -> int:
        """Bytes from the first to the last element touched, with room for the alignment of a binding's ends (256 and 16 bytes)."""
        low, high = self.reach()
        return (high - low + 1) * self.itemsize + 272

    def window(self, limit: int, alignment: int = 256) -> tuple[Buffer | Span, int]:
        """Return what to bind and the element offset within it; the whole buffer when the limit allows."""
        if self.buffer.size_bytes <= limit:
            return self.buffer, self.offset
        low, high = self.reach()
        start = low * self.itemsize // alignment * alignment
        end = min(self.buffer.size_bytes, -(-(high + 1) * self.itemsize // 16) * 16)
        return (self.buffer, start, end - start), self.offset - start // self.itemsize


def tight(buffer: Buffer, sizes: tuple[int, int, int, int], *, half: bool = False) -> View:
    """Return the view of a whole C-ordered batch."""
    _, inner, rows, cols = sizes
    return View(buffer, sizes, (inner * rows * cols, rows * cols, cols, 1), 0, half)


def convert(
    queue: Queue, x: View, y: View, *, through_half: bool = False, add: bool = False, limit: int = 1 << 62
) -> None:
    """Queue ``y = x``, y of the same sizes or padded with zeros.

    Parameters
    ----------
    queue
        Where to.
    x
        Any view.
    y
        A view of any strides when float32; tight, from the start of its buffer, when float16.
    through_half
        Round to float16 on the way from float32 to float32.
    add
        Add to y (float32), instead of writing it.
    limit
        Bytes of a binding.
    """
    outer, inner, out_rows, out_cols = y.sizes
    total = outer * inner * out_rows * out_cols
    if y.half and not x.half and x.sizes == y.sizes and x.is_run() and total % 8 == x.offset % 4 == 0:
        _round_half(queue, x, y, total // 8, limit)
        return
    # A row's own division is the workgroup's; where rows are short, or half a word too long, all of them are one line.
    lines = outer * inner * out_rows
    if out_cols < _SHORT or (y.half and out_cols % 2):
        lines = 1
    words = -(-total // lines // (2 if y.half else 1))
    pipe = queue.pipeline(
        shaders.load("matrix/convert"),
        "matmul convert",
        None,
        {"X_HALF": float(x.half), "Y_HALF": float(y.half), "ROUND": float(through_half), "ADD": float(add)},
    )
    bound_x, x_offset = x.window(limit)
    bound_y, y_offset = y.window(limit)
    params = uniform("matrix/convert").pack(
        **_strides("x", x, x_offset),
        **_strides("y", y, y_offset),
        rows=x.sizes[2],
        cols=x.sizes[3],
        out_rows=out_rows,
        out_cols=out_cols,
        inner=inner,
        lines=lines,
        words=words,
        total=total,
    )
    groups = (min(SAFE_WORKGROUPS, -(-words // 256)), min(SAFE_WORKGROUPS, lines), 1)
    queue.dispatch(pipe, [(0, 0, bound_x), (0, 1, bound_y), (1, 0, params)], groups)


def _strides(name: str, view: View, offset: int) -> dict[str, int]:
    """Return the fields of convert.wgsl's uniform that say where a view's elements lie."""
    outer, inner, row, col = view.strides
    places = {"offset": offset, "outer": outer, "inner": inner, "row": row, "col": col}
    return {f"{name}_{key}": value for key, value in places.items()}


def _round_half(queue: Queue, x: View, y: View, count: int, limit: int) -> None:
    bound_x, x_offset = x.window(limit)
    pipe = queue.pipeline(shaders.load("matrix/round_half"), "matmul round", None, None)
    params = uniform("matrix/round_half").pack(count=count, x_offset=x_offset // 4)
    queue.dispatch(pipe, [(0, 0, bound_x), (0, 1, y.buffer), (1, 0, params)], (*fold(-(-count // 256)), 1))


def reduce_splits(
    queue: Queue, partial: Buffer, out: Buffer | Span, offset: int, count: int, splits: int, *, accumulate: bool
) -> None:
    """Queue ``out = sum of splits`` (plus out, when accumulating) over `count` elements from element `offset`."""
    pipe = queue.pipeline(
        shaders.load("matrix/reduce_splits"), "matmul reduce", None, {"ACCUMULATE": float(accumulate)}
    )
    params = uniform("matrix/reduce_splits").pack(count=count, splits=splits, y_offset=offset)
    queue.dispatch(pipe, [(0, 0, partial), (0, 1, out), (1, 0, params)], (*fold(-(-count // 256)), 1))
