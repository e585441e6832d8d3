"""Where a view was taken from: what a kernel writes to it is written there as well, as in NumPy.

Arrays are values, and a view (a slice, a reshape, a transpose) has memory of its own once it is computed. It remembers the arrays
that it was taken from, and how; that keeps nothing alive.
"""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from webgpu_widget.arrays.lazy.footprint import Walk
from webgpu_widget.arrays.lazy.node import c_strides, node_of, size_of
from webgpu_widget.arrays.lazy.region import write_region
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.lazy.trace import collapse
from webgpu_widget.device.queue import RECORDERS
from webgpu_widget.errors import BindingError

if TYPE_CHECKING:
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.lazy.node import Dim, Shape

_MOST_LINKS = 16


class Link(NamedTuple):
    """One step from a view to what it was taken from.

    Parameters
    ----------
    parent, version, shape
        The array, its state then, and its shape.
    dims
        For each axis of it, where its index comes from in the view's index space; None for a reshape.
    program
        Which recording it happened in, 0 for none.
    """

    parent: weakref.ref[GPUArray]
    version: int
    shape: Shape
    dims: tuple[Dim, ...] | None
    program: int


class Target(NamedTuple):
    """A part of an array that a kernel writes: where its elements lie, from a view's index on."""

    array: GPUArray
    walk: Walk
    sides: Shape


def part_of(view: GPUArray, parent: GPUArray, dims: tuple[Dim, ...] | None) -> GPUArray:
    """Return the view, with a note of where it was taken from."""
    program = runtime_of(parent._device).sharing.serial if RECORDERS else 0
    link = Link(weakref.ref(parent), parent._version, parent.shape, dims, program)
    older = parent._origin
    view._origin = (link,) if older is None else _shortened(link, older)
    return view


def _shortened(link: Link, older: tuple[Link, ...]) -> tuple[Link, ...]:
    """Return the links of a view of a view, without those that lead through what is gone."""
    first = older[0]
    if len(older) > 1 and first.dims is None and older[1].dims is None and first.parent() is None:
        older = older[1:]
    return (link, *older)[:_MOST_LINKS]


def targets(array: GPUArray, where: str) -> list[Target]:
    """Return what a kernel that writes to an array writes: the array, and the parts of others that it is a view of.

    Raises
    ------
    BindingError
        When one of these was written since, or the view shows an element twice.
    """
    found = [Target(array, Walk(0, c_strides(array.shape)), array.shape)]
    links = array._origin
    if links is None:
        return found
    if len(links) == _MOST_LINKS:
        raise BindingError(
            f"{where} is a view of a view of a view and so on: pass a copy() of it, which is written alone."
        )
    shapes = [array.shape, *(link.shape for link in links)]
    for i, link in enumerate(links[: _views(links, shapes)]):
        parent = link.parent()
        if parent is None or parent._freed:
            continue
        walk = _walk(links[: i + 1], shapes)
        if walk is None or any(s == 0 and side > 1 for s, side in zip(walk.strides, array.shape, strict=True)):
            raise BindingError(
                f"{where} is written, but it is a broadcast or transposed view of shape {array.shape} of an array of shape {parent.shape}, "
                "where its elements have no places of their own: pass a copy() of it, which is written alone."
            )
        _check(link, parent, where)
        found.append(Target(parent, walk, array.shape))
    return found


def _check(link: Link, parent: GPUArray, where: str) -> None:
    runtime = runtime_of(parent._device)
    if link.version != parent._version:
        raise BindingError(
            f"{where} is a view of an array of shape {parent.shape} that was written since; arrays are values, so that the view has what was there before. "
            "Take the view anew, as in k(x=a[1:]), to write to the array as it is now; or pass a copy() of the view, which is written alone."
        )
    if runtime.recording and link.program != runtime.sharing.serial:
        raise BindingError(
            f"{where} is a view of an array of shape {parent.shape} from before gpu.record(), whose replays would not see what is written there between them. "
            "Take the view inside the with block; or pass a copy() of it, which is written alone."
        )


def _views(links: tuple[Link, ...], shapes: list[Shape]) -> int:
    """Return how many links lead to what NumPy would show and not copy."""
    walk: Walk | None = Walk(0, c_strides(shapes[-1]))
    count = len(links)
    for i in reversed(range(len(links))):
        assert walk is not None  # noqa: S101 - set below
        walk = _seen(walk, shapes[i + 1], links[i].dims, shapes[i])
        if walk is None:
            count, walk = i, Walk(0, c_strides(shapes[i]))
    return count


def _walk(links: tuple[Link, ...], shapes: list[Shape]) -> Walk | None:
    """Return where a view's elements lie in the array that the last link leads to; None where no strides say it."""
    walk: Walk | None = Walk(0, c_strides(shapes[len(links)]))
    for i in reversed(range(len(links))):
        if walk is not None:
            walk = _seen(walk, shapes[i + 1], links[i].dims, shapes[i])
    return walk


def _seen(walk: Walk, shape: Shape, dims: tuple[Dim, ...] | None, sides: Shape) -> Walk | None:
    """Return the walk of a view of what is walked; None for a reshape that needs a copy."""
    if dims is None:
        return _reshaped(walk, shape, sides)
    offset, strides = walk.offset, [0] * len(sides)
    for stride, (start, source, step) in zip(walk.strides, dims, strict=True):
        offset += stride * start
        if source >= 0:
            strides[source] += stride * step
    return Walk(offset, tuple(strides))


def _reshaped(walk: Walk, shape: Shape, sides: Shape) -> Walk | None:
    if not size_of(shape):
        return Walk(walk.offset, c_strides(sides))
    (runs,), (steps,) = collapse([shape], [list(walk.strides)])
    strides = [0] * len(sides)
    axis = len(sides) - 1
    # Each run of one stride must be cut into sides as it is.
    for run, step in zip(reversed(runs), reversed(steps), strict=True):
        length = 1
        while length < run and axis >= 0:
            strides[axis] = step * length if sides[axis] > 1 else 0
            length *= sides[axis]
            axis -= 1
        if length != run:
            return None
    return Walk(walk.offset, tuple(strides))


def write_through(written: list[Target]) -> None:
    """Queue writing what a kernel wrote to a view into what it was taken from; it goes on to be a view of these."""
    view = written[0].array
    arrays = [target.array for target in written]
    origins = [array._origin for array in arrays]
    for parent, walk, _ in written[1:]:
        runtime = runtime_of(parent._device)
        write_region(runtime, parent._storage_for_writing(), walk, node_of(view))
    known = {id(array): array._version for array in arrays}
    for array, links in zip(arrays, origins, strict=True):
        array._origin = links and tuple(
            link._replace(version=known.get(id(link.parent()), link.version)) for link in links
        )


def assign_through(array: GPUArray, values: GPUArray, where: str) -> None:
    """Give an array the values of another of its shape, and so the arrays that it is a view of; see `targets` for what is refused."""
    links, written = array._origin, targets(array, where)
    array[...] = values
    if len(written) > 1:
        array._origin = links
        write_through(written)


def overlap(first: Target, second: Target) -> bool:
    """Whether two kernels' arguments that are written have an element in common."""
    return first.array is second.array and np.shares_memory(_dummy(first), _dummy(second))


class _Dummy:
    """An array at an address that nobody reads."""

    def __init__(self, address: int, target: Target) -> None:
        self.__array_interface__ = {
            "data": (address + target.walk.offset, False),
            "shape": target.sides,
            "strides": target.walk.strides,
            "typestr": "|i1",
            "version": 3,
        }


def _dummy(target: Target) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.asarray(_Dummy(1 << 20, target))


def check_apart(written: list[tuple[str, list[Target]]], name: str) -> None:
    """Raise `BindingError` where two arguments of a kernel are written and lie, in part, in the same place."""
    for (key, mine), (other, theirs) in itertools.combinations(written, 2):
        if any(overlap(a, b) for a in mine for b in theirs):
            raise BindingError(
                f"kernel {name!r}: {key!r} and {other!r} are written and are parts of one array that have elements in common: "
                "pass parts that lie apart, or a copy() of one of them."
            )
