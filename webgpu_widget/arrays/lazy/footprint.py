"""An index space cut into boxes whose share of every buffer fits one binding.

A buffer may be larger than what a kernel may bind of it (``maxStorageBufferBindingSize``). What walks over it, an access of an
expression or the place of a result, is linear in the index, so a box of the index space touches a range of the buffer that is
known without running anything; that range is bound, with the walk's offset counted from its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webgpu_widget.device.handles import Buffer, Span

_ALIGNED = 128
"""Elements: with two bytes or with four, WebGPU's coarsest alignment of a binding's offset (256 bytes)."""

Box = tuple[tuple[int, int], ...]
"""``(start, stop)`` along each axis."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Where an index falls in an array: ``offset + sum(stride * index)``, in elements."""

    offset: int
    strides: tuple[int, ...]

    def within(self, box: Box) -> Walk:
        """Return the walk of a box, whose indices begin at 0."""
        offset = self.offset + sum(start * step for (start, _), step in zip(box, self.strides, strict=True))
        return Walk(offset, self.strides)

    def reach(self, sides: Sequence[int]) -> tuple[int, int]:
        """Return the least and the greatest element that an index space of `sides` touches."""
        low = high = self.offset
        for side, stride in zip(sides, self.strides, strict=True):
            step = (side - 1) * stride
            low, high = low + min(step, 0), high + max(step, 0)
        return low, high


@dataclass(frozen=True, slots=True)
class Bound:
    """A buffer of a kernel, with all that walks over it."""

    buffer: Buffer
    itemsize: int
    walks: tuple[Walk, ...]

    def window(self, sides: Sequence[int]) -> tuple[int, int]:
        """Return (offset, bytes) of the part to bind for an index space of `sides`."""
        reaches = [walk.reach(sides) for walk in self.walks]
        low = max(0, min(low for low, _ in reaches))
        high = max(high for _, high in reaches)
        start = low // _ALIGNED * _ALIGNED * self.itemsize
        end = min(self.buffer.size_bytes, -(-(high + 1) * self.itemsize // 16) * 16)
        return start, end - start

    def bind(self, sides: Sequence[int], limit: int) -> tuple[Buffer | Span, int]:
        """Return what to bind, and how many elements are left out before it: the whole buffer where it fits."""
        if self.buffer.size_bytes <= limit:
            return self.buffer, 0
        start, size = self.window(sides)
        return (self.buffer, start, size), start // self.itemsize

    def within(self, box: Box) -> Bound:
        """Return the buffer with the walks of a box."""
        return Bound(self.buffer, self.itemsize, tuple(walk.within(box) for walk in self.walks))


def sides_of(box: Box) -> tuple[int, ...]:
    """Return how long a box is along each axis."""
    return tuple(stop - start for start, stop in box)


def boxes(sides: Sequence[int], bounds: Sequence[Bound], limit: int, *, ordered: bool = False) -> Iterator[Box]:
    """Yield boxes that cover an index space once, each of which fits.

    Parameters
    ----------
    sides
        Of the index space.
    bounds
        The buffers. One without a walk must fit as a whole.
    limit
        Bytes of a binding.
    ordered
        Every box must be a run of the index space in C order that begins at an even index; else the axis along which the
        buffer that does not fit is walked furthest is halved.

    Raises
    ------
    ValueError
        Where an ordered box cannot begin at an even index.
    """
    wide = [bound for bound in bounds if bound.buffer.size_bytes > limit]
    stack: list[Box] = [tuple((0, side) for side in sides)]
    while stack:
        box = stack.pop()
        here = sides_of(box)
        axis = _axis_to_cut(box, wide, limit, ordered=ordered) if wide else None
        if axis is None:
            yield box
            continue
        start, side = box[axis][0], here[axis]
        half = side // 2
        # Vectors, and words with two float16, must not be cut through.
        unit = 1024 if side >= 4096 else 4 if side >= 8 else 1
        half = half // unit * unit
        if ordered:
            inner = 1
            for s in here[axis + 1 :]:
                inner *= s
            if inner % 2 and half % 2:
                half += 1
            if not 0 < half < side:
                raise ValueError(f"an index space of {tuple(sides)} has no cut at an even index")
        halves = ((start + half, start + side), (start, start + half))
        stack += [(*box[:axis], part, *box[axis + 1 :]) for part in halves]


def _axis_to_cut(box: Box, bounds: Sequence[Bound], limit: int, *, ordered: bool) -> int | None:
    """Return the axis along which a box must be cut, None where it fits."""
    sides = sides_of(box)
    for bound in bounds:
        if bound.within(box).window(sides)[1] <= limit:
            continue
        long = [axis for axis, side in enumerate(sides) if side > 1]
        if ordered:
            return long[0]
        return max(long, key=lambda axis: max((sides[axis] - 1) * abs(walk.strides[axis]) for walk in bound.walks))
    return None
