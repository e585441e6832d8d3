"""The kernels of a picture and how they are run, slice by slice.

`run` is an operation of `link.steps`, so that the blocking and the async renderer share it.
"""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from webgpu_widget import shaders
from webgpu_widget.link.steps import Steps
from webgpu_widget.mandelbrot.bla import FIRST_LEVEL, Scaled, Table, fine_reference, limbs
from webgpu_widget.mandelbrot.tile import Tile
from webgpu_widget.mandelbrot.view import View
from webgpu_widget.mandelbrot.work import (
    BAND_BYTES,
    GROUP,
    ROW_GROUPS,
    TILE,
    TURN,
    Prepared,
    Progress,
    Slices,
    make_table,
    scaled,
)
from webgpu_widget.shaders.uniforms import uniform

__all__ = [
    "Kernel",
    "Refiner",
    "Runnable",
    "fine_parts",
    "fine_table",
    "make_kernel",
    "make_refiner",
    "radius_of",
    "run",
    "workgroups",
]


MARGIN = 1 + 2.0**-21
"""The constant of a Julia set beyond 2 is on its radius itself, whatever f32 makes of its square; 0 comes to it in a step."""


class Runnable(Protocol):
    """What `run` needs of a kernel."""

    @property
    def queue(self) -> Any:
        """Where commands go."""
        ...

    @property
    def view(self) -> View:
        """The picture."""
        ...

    @property
    def tile(self) -> Tile:
        """What is drawn of it."""
        ...

    @property
    def pipeline(self) -> Any:
        """The compiled kernel."""
        ...

    @property
    def data(self) -> list[Any]:
        """Buffers between the list and the state."""
        ...

    @property
    def planes(self) -> int:
        """Words of a pixel in the result."""
        ...

    @property
    def state_planes(self) -> int:
        """Words of a pixel in the state."""
        ...

    @property
    def list_words(self) -> int:
        """Words of a pixel in the list; 0 for a kernel that takes the whole picture."""
        ...

    def params(self, first: int, count: int, shift: tuple[float, float], budget: int, *, fresh: bool) -> bytes:
        """Pack the uniform of a dispatch."""
        ...

    def listing(self, pixels: NDArray[np.uint32], shift: tuple[float, float]) -> NDArray[Any]:
        """Give the list's words for some pixels."""
        ...


@dataclasses.dataclass(frozen=True)
class Kernel:
    """Pipeline and buffers of direct.wgsl or perturb.wgsl for a tile of one view."""

    queue: Any
    view: View
    prepared: Prepared
    pipeline: Any
    data: list[Any]
    derivative: bool
    listed: bool
    part: Tile | None = None

    @property
    def tile(self) -> Tile:
        """As `Runnable` says."""
        return self.part or Tile(0, 0, *self.view.size)

    @property
    def planes(self) -> int:
        """As `Runnable` says."""
        return 3 if self.derivative else 2

    @property
    def state_planes(self) -> int:
        """As `Runnable` says."""
        if self.prepared.method == "direct":
            return 6 if self.derivative else 5
        return 9 if self.derivative else 6

    @property
    def list_words(self) -> int:
        """As `Runnable` says."""
        return int(self.listed)

    def listing(self, pixels: NDArray[np.uint32], shift: tuple[float, float]) -> NDArray[Any]:  # noqa: ARG002
        """Give the list's words for some pixels."""
        return pixels

    def params(self, first: int, count: int, shift: tuple[float, float], budget: int, *, fresh: bool) -> bytes:
        """Pack the uniform of a dispatch."""
        view, prepared = self.view, self.prepared
        radius = radius_of(view)
        step = scaled(view.spacing, prepared.scale)
        values: dict[str, Any] = {
            "size": self.tile.size,
            "first": first,
            "count": count,
            "step": (step, -step),
            "shift": _added(shift, self.tile.shift(view.size)),
            "max_iter": view.max_iter,
            "budget": budget,
            "fresh": int(fresh),
            "row_groups": ROW_GROUPS,
        }
        if prepared.method == "direct":
            return uniform("mandelbrot/direct").pack(
                **values,
                center=[float(part) for part in view.point],
                julia=[float(part) for part in view.constant or (0, 0)],
                radius_squared=radius * radius * (MARGIN if radius > 2 else 1),
                unused=0,
            )
        return uniform("mandelbrot/perturb").pack(
            **values,
            **_levels(prepared.table),
            offset=[scaled(part, prepared.scale) for part in prepared.offset],
            scale=prepared.scale,
            radius_squared=radius * radius,
            start=prepared.orbit.start,
            zero=0,
        )


def _levels(table: Table | None) -> dict[str, Any]:
    """Return what uniforms say of a table: how many levels, the largest radius, and where each level begins."""
    offsets = table.offsets if table else [0]
    return {
        "levels": len(offsets) - 1,
        "highest": table.highest if table else -(2**30),
        "level_offsets": offsets + [0] * (32 - len(offsets)),
    }


def make_kernel(
    queue: Any,
    view: View,
    prepared: Prepared,
    *,
    derivative: bool = False,
    listed: bool = False,
    shared: Kernel | None = None,
    fallback: bool = False,
    tile: Tile | None = None,
) -> Kernel:
    """Compile the kernel of a view and upload its reference.

    Parameters
    ----------
    queue : Queue
        Where the commands go.
    view, prepared : View and Prepared
        What to draw.
    derivative : bool
        Whether the distance estimate is wanted.
    listed : bool
        Whether the pixels come as a list.
    shared : Kernel, optional
        One of the same view, whose uploaded reference is used.
    fallback : bool
        Whether the adapter is a processor.
    tile : Tile, optional
        What to draw of it; all when left out.

    Returns
    -------
    Kernel
        Ready for `run`.
    """
    constants: dict[str, float] = {
        "POWER": view.power,
        "JULIA": int(view.julia is not None),
        "DERIVATIVE": int(derivative),
        "LISTED": int(listed),
    }
    if prepared.method == "direct":
        constants |= {"SHIP": int(view.formula == "burning_ship"), "LADDER": int(not fallback)}
        return Kernel(
            queue,
            view,
            prepared,
            queue.pipeline(shaders.load("mandelbrot/direct"), "mandelbrot direct", None, constants),
            [],
            derivative,
            listed,
            tile,
        )
    constants |= {"TABLE": int(prepared.table is not None), "TURN": TURN[fallback]}
    data: list[Any] = [] if shared is None else shared.data
    if not shared:
        table = prepared.table.packed if prepared.table else np.zeros((1, 8), np.uint32)
        for array in (prepared.orbit.packed, table, prepared.orbit.orbit):
            buffer = queue.alloc(array.nbytes, "mandelbrot reference")
            queue.write(buffer, np.ascontiguousarray(array))
            data.append(buffer)
        data.append(data[-1])  # the orbit in pairs
    pipeline = queue.pipeline(shaders.load("mandelbrot/perturb"), "mandelbrot perturb", None, constants)
    return Kernel(queue, view, prepared, pipeline, data, derivative, listed, tile)


@dataclasses.dataclass(frozen=True)
class Refiner:
    """Pipeline and buffers of refine.wgsl for a tile of one view."""

    queue: Any
    view: View
    tile: Tile
    prepared: Prepared
    table: Table | None
    pipeline: Any
    data: list[Any]
    planes: int = 2
    state_planes: int = 11
    list_words: int = 12

    def listing(self, pixels: NDArray[np.uint32], shift: tuple[float, float]) -> NDArray[Any]:
        """Distance of each pixel from the reference point, in limbs."""
        view, prepared = self.view, self.prepared
        width, height = view.size
        step = scaled(view.spacing, prepared.scale)
        re, im = (scaled(part, prepared.scale) for part in prepared.offset)
        columns = self.tile.width
        column = (pixels % columns).astype(np.float64) + self.tile.left
        row = (pixels // columns).astype(np.float64) + self.tile.top
        points = (
            re + (column + 0.5 - width / 2 + shift[0]) * step + 1j * (im + (height / 2 - 0.5 - row - shift[1]) * step)
        )
        return limbs(Scaled.of(points, prepared.scale))

    def params(self, first: int, count: int, shift: tuple[float, float], budget: int, *, fresh: bool) -> bytes:  # noqa: ARG002
        """Pack the uniform of a dispatch."""
        return uniform("mandelbrot/refine").pack(
            **_levels(self.table),
            count=count,
            max_iter=self.view.max_iter,
            budget=budget,
            fresh=int(fresh),
            row_groups=ROW_GROUPS,
            start=self.prepared.orbit.start,
            radius_squared=radius_of(self.view) ** 2,
            unused=0,
            unused_too=(0, 0),
        )


def fine_table(view: View, prepared: Prepared) -> Table | None:
    """Build the table of refine.wgsl, where a view has one."""
    table = make_table(prepared.orbit, view.power, prepared.reach, fine=True) if prepared.method == "bla" else None
    return table if table is not None and table.levels else None


def fine_parts(prepared: Prepared, table: Table | None) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
    """Give the reference and the table as refine.wgsl reads them."""
    return fine_reference(prepared.orbit), table.packed if table else np.zeros((1, 24), np.uint32)


def make_refiner(queue: Any, view: View, prepared: Prepared, tile: Tile | None = None) -> Refiner:
    """Compile refine.wgsl for a view that was prepared for perturbation, and upload its reference.

    Parameters
    ----------
    queue : Queue
        Where the commands go.
    view, prepared : View and Prepared
        What to draw.
    tile : Tile, optional
        The rectangle that the list counts in; the whole picture when left out.

    Returns
    -------
    Refiner
        Ready for `run` with a list of pixels.
    """
    table = fine_table(view, prepared)
    constants = {
        "POWER": view.power,
        "JULIA": int(view.julia is not None),
        "TABLE": int(table is not None),
        "FIRST_LEVEL": FIRST_LEVEL,
    }
    data = []
    for array in fine_parts(prepared, table):
        buffer = queue.alloc(array.nbytes, "mandelbrot reference")
        queue.write(buffer, np.ascontiguousarray(array))
        data.append(buffer)
    pipeline = queue.pipeline(shaders.load("mandelbrot/refine"), "mandelbrot refine", None, constants)
    return Refiner(queue, view, tile or Tile(0, 0, *view.size), prepared, table, pipeline, data)


def _added(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return one[0] + other[0], one[1] + other[1]


def radius_of(view: View) -> float:
    """Radius beyond which a point has escaped: 2, or the size of a Julia set's constant, if larger."""
    return 2.0 if view.constant is None else max(2.0, math.hypot(*(float(part) for part in view.constant)))


def workgroups(columns: int, count: int, *, listed: bool) -> tuple[int, int, int]:
    """Give the shape of a dispatch over ``count`` pixels: a workgroup has 64 of a list, or 8 x 8 of a picture so many columns wide."""
    groups = math.ceil(count / GROUP)
    if not listed:
        groups = math.ceil(columns / TILE) * math.ceil(math.ceil(count / columns) / TILE)
    return min(groups, ROW_GROUPS), math.ceil(groups / ROW_GROUPS), 1


def run(
    kernel: Runnable,
    slices: Slices,
    pixels: NDArray[np.uint32] | None = None,
    shift: tuple[float, float] = (0.0, 0.0),
    progress: Progress | None = None,
) -> Steps[NDArray[np.uint32]]:
    """Compute a picture, or the listed pixels of it, slice by slice.

    Parameters
    ----------
    kernel : Kernel
        What to run.
    slices : Slices
        Kept from picture to picture.
    pixels : ndarray of uint32, optional
        Indices of the pixels wanted, for a kernel that is ``listed``.
    shift : tuple of float
        Of the sample in its pixel, -0.5 to 0.5 each way.
    progress : callable, optional
        Called with the part that is done, 0 to 1.

    Returns
    -------
    ndarray of uint32, (2 or 3, pixels)
        The result planes of the shader.
    """
    queue, view, columns = kernel.queue, kernel.view, kernel.tile.width
    total = columns * kernel.tile.height if pixels is None else len(pixels)
    planes, state_planes = kernel.planes, kernel.state_planes
    # Few pixels a slice with many steps each, since to begin and end one costs a processor a hundred; not so few that slices are many.
    band = min(
        total,
        BAND_BYTES // (4 * max(state_planes, kernel.list_words)),
        max(int(slices.steps / slices.first), 8192),
    )
    if kernel.list_words == 0:
        # Whole rows of tiles, where a row is short enough.
        rows = TILE * columns
        band = min(total, band // rows * rows or band)
    state = queue.alloc(4 * state_planes * band, "mandelbrot state")
    result = queue.alloc(4 * planes * band, "mandelbrot result")
    remaining = queue.alloc(4, "mandelbrot remaining")
    listing = queue.alloc(max(4, 4 * band * kernel.list_words), "mandelbrot list")
    buffers = [listing, *kernel.data, state, result, remaining]
    answer = np.empty((planes, total), np.uint32)
    try:
        for first in range(0, total, band):
            count = min(band, total - first)
            if pixels is not None:
                queue.write(listing, np.ascontiguousarray(kernel.listing(pixels[first : first + count], shift)))
            left, done, budget, seconds = count, 0, 0, 0.0
            planes_read = (result, 0, 4 * planes * count)
            raw: list[Any] = []
            shape = workgroups(columns, count, listed=kernel.list_words > 0)
            while left:
                budget = slices.budget(left, budget, seconds)
                uniform = kernel.params(first, count, shift, budget, fresh=done == 0)
                done += budget
                queue.clear(remaining, 0, 4)
                queue.dispatch(
                    kernel.pipeline, [*((0, i, buffer) for i, buffer in enumerate(buffers)), (1, 0, uniform)], shape
                )
                begun = time.perf_counter()
                # After as many steps as any pixel may have, none should be left: the result comes with the proof, without another wait.
                last = done >= view.max_iter and not slices.doubtful
                (number, *raw) = yield from queue.read_steps([(remaining, 0, 4), *([planes_read] if last else [])])
                seconds = time.perf_counter() - begun
                before, left = left, int(np.frombuffer(number, np.uint32)[0])
                slices.learn(seconds, before, left, moved=last)
                if progress is not None:
                    progress((first + count - left) / total)
            (plane_bytes,) = raw or (yield from queue.read_steps([planes_read]))
            answer[:, first : first + count] = np.frombuffer(plane_bytes, np.uint32).reshape(planes, count)
    finally:
        for buffer in (state, result, remaining, listing):
            buffer.free()
    return answer
