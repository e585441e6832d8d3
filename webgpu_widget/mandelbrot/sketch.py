"""A small picture of a view by NumPy: for a notebook's file, where no page and no GPU has drawn it."""

from __future__ import annotations

import numpy as np

from webgpu_widget.mandelbrot.image import Image, Stats
from webgpu_widget.mandelbrot.numbers import exact
from webgpu_widget.mandelbrot.view import View

__all__ = ["NARROWEST", "sketch"]

NARROWEST = 1e-9
"""Width under which 200 pixels would need more than float64 has."""
_COLUMNS = 200
_MOST = 2000
_RADIUS = 2.0**8


def sketch(view: View) -> Image | None:
    """Compute a view of at most 200 columns and 2000 iterations in float64.

    Parameters
    ----------
    view : View
        Its size says the shape.

    Returns
    -------
    Image or None
        None where the view is narrower than `NARROWEST`.
    """
    width = float(exact(view.width, "width"))
    if width < NARROWEST:
        return None
    columns, rows = view.size
    small = view.replace(
        size=(_COLUMNS, max(1, round(_COLUMNS * rows / columns))), max_iter=max(1, min(view.max_iter, _MOST))
    )
    columns, rows = small.size
    x = float(exact(view.center[0], "center")) + ((np.arange(columns) + 0.5) / columns - 0.5) * width
    y = float(exact(view.center[1], "center")) + (0.5 - (np.arange(rows) + 0.5) / rows) * width * rows / columns
    points = (x[None, :] + 1j * y[:, None]).ravel()
    fixed = None if view.julia is None else complex(*(float(exact(part, "julia")) for part in view.julia))
    z, c = (np.zeros_like(points), points) if fixed is None else (points.copy(), np.full_like(points, fixed))
    iterations = np.full(points.size, small.max_iter, np.uint32)
    smooth = np.full(points.size, np.nan, np.float32)
    escaped_at = max(2.0, abs(fixed)) if fixed is not None else 2.0
    left = np.arange(points.size)
    for n in range(1, small.max_iter + 64):
        if not left.size:
            break
        z = z**view.power + c
        size = np.abs(z)
        first = (size > escaped_at) & (iterations[left] == small.max_iter) & (n < small.max_iter)
        iterations[left[first]] = n
        far = size > _RADIUS
        gone = left[far]
        inside = iterations[gone] < small.max_iter
        fraction = np.log(np.log(size[far]) / np.log(_RADIUS)) / np.log(view.power)
        smooth[gone[inside]] = (n - fraction)[inside]
        stay = ~far & ((n < small.max_iter) | (iterations[left] < small.max_iter))
        left, z, c = left[stay], z[stay], c[stay]
    shape = (rows, columns)
    stats = Stats(int(iterations.sum()), 0.0, 0)
    return Image(small, "direct", iterations.reshape(shape), smooth.reshape(shape), None, stats)
