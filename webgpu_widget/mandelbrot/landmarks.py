"""Places with a name."""

from __future__ import annotations

import functools
import importlib.resources
import json

from webgpu_widget.mandelbrot.view import View

__all__ = ["landmarks"]


@functools.cache
def landmarks() -> dict[str, View]:
    """Places worth going to.

    Returns
    -------
    dict
        name -> `View`, from the whole set to widths of 1e-1000.
    """
    text = importlib.resources.files("webgpu_widget").joinpath("mandelbrot/landmarks.json").read_text("utf-8")
    return {name: View.from_dict({"size": (800, 600), **fields}) for name, fields in json.loads(text).items()}
