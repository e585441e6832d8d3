"""The Mandelbrot set and its kin, from the whole to widths of 1e-1000.

::

    image = wg.mandelbrot.render(center=("-0.7436438870371587", "0.1318259042053120"), width="1e-10", max_iter=5000)
    image.rgba("lagoon")
"""

from __future__ import annotations

from webgpu_widget.mandelbrot.image import Image, Stats
from webgpu_widget.mandelbrot.landmarks import landmarks
from webgpu_widget.mandelbrot.numbers import ViewError
from webgpu_widget.mandelbrot.palette import Histogram, palette_colors
from webgpu_widget.mandelbrot.palette import names as palettes
from webgpu_widget.mandelbrot.render import automatic_iterations, render, render_async, render_view
from webgpu_widget.mandelbrot.saved import Saved, load
from webgpu_widget.mandelbrot.view import View, make_view

__all__ = [
    "Histogram",
    "Image",
    "Saved",
    "Stats",
    "View",
    "ViewError",
    "automatic_iterations",
    "landmarks",
    "load",
    "make_view",
    "palette_colors",
    "palettes",
    "render",
    "render_async",
    "render_view",
]
