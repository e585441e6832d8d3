"""An array as a picture: once, or for as long as it changes."""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.arrays.values import refuse_masked
from webgpu_widget.errors import BindingError, DTypeError, ShapeError
from webgpu_widget.mandelbrot.palette import palette_colors
from webgpu_widget.views.shader_view import ShaderView, png

__all__ = ["Picture", "colored", "show"]

_BAD = (128, 128, 128)
"""The colour of NaN, which no map of colours has in its middle alone."""
_LEAST_SIDE = 384
"""Small arrays are magnified by a whole factor, to about so many pixels on their longer side."""
_MOST_SIDE = 1536
"""Large ones are drawn by means over blocks, to at most so many."""
_COUNTED = 1 << 22
"""More elements have their range found on the GPU."""

_MEAN = """
const ROWS = {rows}u;
const COLUMNS = {columns}u;
const CHANNELS = {channels}u;
const ZOOM = {zoom}u;
const BLOCK = {block}u;

fn is_nan(x: f32) -> bool {{
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}}

// The sum of the elements under a pixel, and how many they are; of those that are NaN none counts.
fn sum_at(position: vec2f, channel: u32) -> vec2f {{
  let corner = vec2u(position) / ZOOM * BLOCK;
  var sum = 0.0;
  var count = 0.0;
  for (var row = corner.y; row < min(corner.y + BLOCK, ROWS); row++) {{
    for (var column = corner.x; column < min(corner.x + BLOCK, COLUMNS); column++) {{
      let value = f32(values[(row * COLUMNS + column) * CHANNELS + channel]);
      if (!is_nan(value)) {{
        sum += value;
        count += 1.0;
      }}
    }}
  }}
  return vec2f(sum, count);
}}
"""
_MAPPED = """
fn image(position: vec2f) -> vec3f {
  let found = sum_at(position, 0u);
  let value = found.x / max(found.y, 1.0);
  if (found.y == 0.0 || is_nan(value)) {
    return vec3f(128.0 / 255.0);
  }
  let last = arrayLength(&colors) / 3u - 1u;
  let at = clamp((value - vmin) / (vmax - vmin), 0.0, 1.0) * f32(last);
  let low = 3u * min(u32(at), last - 1u);
  let part = at - f32(low / 3u);
  return mix(vec3f(colors[low], colors[low + 1u], colors[low + 2u]), vec3f(colors[low + 3u], colors[low + 4u], colors[low + 5u]), part);
}
"""
_COLORED = """
fn image(position: vec2f) -> vec4f {
  var color = vec4f(0.0, 0.0, 0.0, 1.0);
  for (var channel = 0u; channel < CHANNELS; channel++) {
    let found = sum_at(position, channel);
    color[channel] = found.x / max(found.y, 1.0) / most;
  }
  return select(color, vec4f(color.rrr, 1.0), CHANNELS == 1u);
}
"""


class Picture:
    """An array as a picture, as it was when it was shown.

    Attributes
    ----------
    rgba : ndarray of uint8, (height, width, 4)
        The pixels, one an element.
    """

    def __init__(self, rgba: NDArray[np.uint8]) -> None:
        self.rgba = rgba

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Write it as PNG; returns the file.

        Parameters
        ----------
        path : path
            Where.
        """
        target = pathlib.Path(path)
        target.write_bytes(png(self.rgba, level=6))
        return target

    def __repr__(self) -> str:
        block = self._block
        reduced = f", shown by means over blocks of {block} x {block}" if block > 1 else ""
        return f"Picture({self.rgba.shape[1]} x {self.rgba.shape[0]}{reduced})"

    @property
    def _block(self) -> int:
        """Elements on a side of what becomes a pixel where it is shown: a page has no use for more pixels than a screen has."""
        return -(-max(self.rgba.shape[:2]) // _MOST_SIDE)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from PIL import Image

        shown = self.rgba
        if self._block > 1:
            shown = np.asarray(Image.fromarray(shown).reduce(self._block))
        zoom = max(1, _LEAST_SIDE // max(shown.shape[:2]))
        return {"image/png": png(shown.repeat(zoom, 0).repeat(zoom, 1), level=6), "text/plain": repr(self)}


def _channels(shape: tuple[int, ...]) -> int:
    """Return the number of channels, 0 for an array of values."""
    if 0 in shape or not (len(shape) == 2 or (len(shape) == 3 and shape[2] in {1, 3, 4})):
        raise ShapeError(
            f"an array of shape {shape} is no picture: it is (height, width), or (height, width, channels) with 1, 3 or 4 channels"
        )
    return shape[2] if len(shape) == 3 else 0


def _finite_range(array: Any) -> tuple[float, float]:
    """Return the least and the greatest number of an array; 0 and 1 where it has none."""
    if isinstance(array, GPUArray) and array.size > _COUNTED:
        low, high = float(array.min()), float(array.max())
        if np.isfinite([low, high]).all():
            return low, high
    values = np.asarray(array)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _ends(array: Any, vmin: Any, vmax: Any) -> tuple[float, float]:
    """Return the numbers with the first and the last colour, the first below the last; those not given are the array's own, where they leave room."""
    low, high = _number("vmin", vmin), _number("vmax", vmax)
    if low is not None and high is not None and not low < high:
        raise BindingError(f"vmin is {vmin} and vmax {vmax}; vmin is below vmax")
    if low is None or high is None:
        least, most = _finite_range(array)
        if low is None:
            low = least if high is None or least < high else high - max(1.0, abs(high))
        if high is None:
            high = most if most > low else low + max(1.0, abs(low))
    return low, high


def _number(name: str, value: Any) -> float | None:
    try:
        if value is None or math.isfinite(number := float(value)):
            return None if value is None else number
    except (TypeError, ValueError):
        pass
    raise BindingError(f"{name} is {value!r:.80}; it is a finite number, or left out")


def _map_of(cmap: str | Sequence[str]) -> NDArray[np.float32]:
    colors = palette_colors(cmap)
    return np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors], np.float32) / np.float32(255)


def colored(
    values: NDArray[Any],
    cmap: str | Sequence[str] = "magma",
    vmin: float | None = None,
    vmax: float | None = None,
) -> NDArray[np.uint8]:
    """Colour an array in NumPy.

    Parameters
    ----------
    values : ndarray, (height, width) or (height, width, 1, 3 or 4)
        Numbers, or colours.
    cmap, vmin, vmax
        As in `show`.

    Returns
    -------
    ndarray of uint8, (height, width, 4)
        RGBA.
    """
    channels = _channels(values.shape)
    rgba = np.full((*values.shape[:2], 4), 255, np.uint8)
    if channels:
        scaled = np.nan_to_num(values.astype(np.float64)) * (1.0 if values.dtype.kind in "iu" else 255.0)
        rgba[..., : max(3, channels)] = np.clip(np.rint(scaled), 0, 255)
        return rgba
    low, high = _ends(values, vmin, vmax)
    table = _map_of(cmap)
    at = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * (len(table) - 1)
    known = ~np.isnan(at)
    for channel in range(3):
        mapped = np.interp(np.where(known, at, 0), np.arange(len(table)), table[:, channel]) * 255
        rgba[..., channel] = np.where(known, np.rint(mapped), _BAD[channel])
    return rgba


def show(
    array: Any,
    cmap: str | Sequence[str] = "magma",
    vmin: float | None = None,
    vmax: float | None = None,
    *,
    live: bool = False,
) -> Picture | ShaderView:
    """Show an array as a picture.

    Parameters
    ----------
    array : array_like or GPUArray
        (height, width) numbers, which become colours by ``cmap``; or (height, width, channels) with 1, 3 or 4 channels, which are colours: from 0 to 1, or
        to 255 where they are integers.
    cmap : str or sequence of str
        One of the palettes of `mandelbrot.render`'s pictures (magma, viridis, twilight, ...), a colour map of matplotlib where that is installed, or
        colours as ``#rrggbb``.
    vmin, vmax : float, optional
        Numbers with the first and the last colour; the array's least and greatest finite ones, as they are now, when left out. NaN, and what is masked, is grey.
    live : bool
        Whether to follow a GPUArray: the picture is drawn anew in the browser whenever it changes, by assignment, by a kernel or by a replay, and nothing of
        it comes to Python. ``u_vmin`` and ``u_vmax`` of the view are traits. Arrays with more than 1,536 rows or columns are drawn by means over blocks.

    Returns
    -------
    Picture or ShaderView
        To be shown by a cell; a picture of more than 1,536 rows or columns by means over blocks, while `Picture.rgba` and its file have all of it.

    Raises
    ------
    ShapeError, DTypeError, BindingError
        When the array is no picture; when ``vmin`` is not below ``vmax``; when ``live`` is asked of what is no GPUArray.

    Examples
    --------
    >>> import numpy as np
    >>> import webgpu_widget as wg
    >>> wg.show(np.eye(3), cmap="gray").rgba[:, :, 0].tolist()
    [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    """
    if isinstance(array, np.ma.MaskedArray) and array.dtype.kind in "fiub" and array.ndim == 2:
        array = np.ma.filled(array.astype(np.float64), np.nan)
    refuse_masked(array, "the picture")
    if not isinstance(array, GPUArray):
        array = np.asarray(array)
    channels = _channels(array.shape)
    if array.dtype.kind not in "fiub":
        raise DTypeError(
            f"an array of {array.dtype.name} is no picture: show its real part, its angle or its absolute values"
        )
    if not live:
        return Picture(colored(np.asarray(array), cmap, vmin, vmax))
    if not isinstance(array, GPUArray):
        raise BindingError(
            f"live=True follows a GPUArray, and this is {type(array).__name__}: pass gpu.array(...), and assign to that"
        )
    return _followed(array, channels, cmap, vmin, vmax)


def _followed(
    array: GPUArray, channels: int, cmap: str | Sequence[str], vmin: float | None, vmax: float | None
) -> ShaderView:
    rows, columns = array.shape[:2]
    longest = max(rows, columns)
    zoom, block = max(1, _LEAST_SIDE // longest), -(-longest // _MOST_SIDE)
    source = _MEAN.format(rows=rows, columns=columns, channels=max(1, channels), zoom=zoom, block=block)
    size = (-(-columns // block) * zoom, -(-rows // block) * zoom)
    gpu = array.device
    if channels:
        most = 1.0 if array.dtype.kind == "f" else 255.0
        return ShaderView(source + _COLORED, size, gpu, values=array, most=most)
    low, high = _ends(array, vmin, vmax)
    colors = _map_of(cmap).ravel()
    return ShaderView(source + _MAPPED, size, gpu, values=array, colors=colors, vmin=low, vmax=high)
