"""Zoom films."""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from gmpy2 import mpq
from numpy.typing import NDArray

from webgpu_widget.errors import WebGPUWidgetError
from webgpu_widget.mandelbrot.image import Image
from webgpu_widget.mandelbrot.numbers import ViewError, decimal_text, exact, log2_abs
from webgpu_widget.mandelbrot.palette import Histogram
from webgpu_widget.mandelbrot.render import automatic_iterations, render_view
from webgpu_widget.mandelbrot.view import View
from webgpu_widget.shown.panel import meter
from webgpu_widget.shown.pictures import STRIP, film_strip

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = ["animate", "frames", "widths"]

CALM = 0.15
"""How far the histogram and the floor of a film move toward those of a new frame."""


def widths(start: Any, end: Any, count: int) -> list[str]:
    """Widths from ``start`` to ``end`` at equal factors, as text.

    Parameters
    ----------
    start, end : real
        First and last width.
    count : int
        How many.

    Returns
    -------
    list of str
        The last one is ``end`` itself.
    """
    first, last = exact(start, "start"), exact(end, "width")
    steps = np.linspace(log2_abs(first), log2_abs(last), count)
    texts = [decimal_text(mpq(2 ** float(step % 1)) * mpq(2) ** math.floor(step), 17) for step in steps]
    return [*texts[:-1], decimal_text(last, 17)]


def frames(
    view: View, gpu: GPU | None, *, count: int, start: Any = 3, samples: int = 1, automatic: bool = True
) -> Iterator[Image]:
    """Render the pictures of a zoom, one by one.

    Parameters
    ----------
    view : View
        The last picture.
    gpu : GPU or None
        Where to render.
    count : int
        Number of pictures.
    start : real
        First width.
    samples : int
        As in `render`.
    automatic : bool
        Whether ``max_iter`` grows with the depth, up to that of the view.

    Yields
    ------
    Image
        A picture.
    """
    for text in widths(start, view.width, count):
        suggested = 2 * automatic_iterations(log2_abs(exact(text, "width")))
        frame = view.replace(width=text, max_iter=min(view.max_iter, suggested) if automatic else view.max_iter)
        yield render_view(frame, gpu, samples=samples, refine=False)


class Writer(Protocol):
    """What takes the frames of a film, (height, width, 3), and ends its file."""

    def add(self, rgb: NDArray[np.uint8]) -> None:
        """Append a frame."""

    def close(self) -> None:
        """End the file."""


class _Gif:
    def __init__(self, path: pathlib.Path, rate: float) -> None:
        self.path, self.rate = path, rate
        self.pictures: list[Any] = []

    def add(self, rgb: NDArray[np.uint8]) -> None:
        from PIL import Image as Pillow

        self.pictures.append(
            Pillow.fromarray(rgb).quantize(256, method=Pillow.Quantize.FASTOCTREE, dither=Pillow.Dither.NONE)
        )

    def close(self) -> None:
        first, *rest = self.pictures
        first.save(
            self.path, save_all=True, append_images=rest, duration=round(1000 / self.rate), loop=0, optimize=False
        )


class _Mp4:
    def __init__(self, path: pathlib.Path, rate: float, size: tuple[int, int]) -> None:
        try:
            import imageio_ffmpeg
        except ImportError:
            raise WebGPUWidgetError(
                "writing mp4 needs imageio-ffmpeg: `pip install imageio-ffmpeg`, or write a .gif"
            ) from None
        self.stream = imageio_ffmpeg.write_frames(str(path), size, fps=rate, quality=8, macro_block_size=2)
        self.stream.send(None)

    def add(self, rgb: NDArray[np.uint8]) -> None:
        self.stream.send(np.ascontiguousarray(rgb))

    def close(self) -> None:
        self.stream.close()


def film_writer(
    target: pathlib.Path, seconds: float, rate: float, size: tuple[int, int]
) -> tuple[Writer, int, tuple[int, int]]:
    """Begin a film.

    Parameters
    ----------
    target : pathlib.Path
        Ends in ``.mp4`` or ``.gif``.
    seconds, rate : float
        Length, and frames a second.
    size : (int, int)
        Width and height.

    Returns
    -------
    (Writer, int, (int, int))
        What takes the frames, how many there are, and their size, which is even for mp4.

    Raises
    ------
    ViewError
        Another ending, or a length that is not positive.
    """
    kind = target.suffix.lower()
    if kind not in {".mp4", ".gif"}:
        raise ViewError(f"{target.name} ends in {target.suffix!r}; films are written as .mp4 or .gif")
    if not (math.isfinite(seconds) and seconds > 0 and math.isfinite(rate) and 0 < rate <= 240):
        raise ViewError(
            f"seconds is {seconds} and frames_per_second {rate}; both must be positive, the rate at most 240"
        )
    wide, high = size
    if kind == ".mp4":
        wide, high = wide - wide % 2, high - high % 2
    writer: Writer = _Gif(target, rate) if kind == ".gif" else _Mp4(target, rate, (wide, high))
    return writer, max(2, round(seconds * rate)), (wide, high)


def write(
    writer: Writer,
    pictures: Iterable[NDArray[np.uint8]],
    count: int,
    title: str,
    progress: bool | Callable[[float], None],
) -> None:
    """Write a film, and show how far it is and some of its frames.

    Parameters
    ----------
    writer : Writer
        Takes the frames.
    pictures : iterable of ndarray of uint8, (height, width, 3)
        The frames.
    count : int
        How many there are.
    title : str
        Of the bar.
    progress : bool or callable
        Whether to show it; or called with the part that is done.
    """
    shown = set(np.linspace(1, count, STRIP).round().astype(int).tolist())
    kept: list[NDArray[np.uint8]] = []
    with meter(progress, title) as tell:
        for number, picture in enumerate(pictures, 1):
            writer.add(picture)
            if number in shown:
                kept.append(picture)
                tell.show(film_strip(kept))
            tell(number / count)
        writer.close()


def animate(
    view: View,
    path: str | os.PathLike[str],
    gpu: GPU | None = None,
    *,
    seconds: float = 10.0,
    frames_per_second: float = 30.0,
    size: tuple[int, int] | None = None,
    start: Any = 3,
    samples: int = 1,
    colors: dict[str, Any] | None = None,
    progress: bool | Callable[[float], None] = True,
) -> pathlib.Path:
    """Write a film that zooms to a view.

    Parameters
    ----------
    view : View
        Where it ends.
    path : path
        Ends in ``.mp4`` (needs imageio-ffmpeg) or ``.gif``.
    gpu : GPU, optional
        Where to render.
    seconds, frames_per_second : float
        Length and rate.
    size : tuple of int, optional
        (width, height), even for mp4; the view's when left out.
    start : real
        First width.
    samples : int
        Samples a pixel at edges.
    colors : dict, optional
        Arguments of `Image.rgba`. With ``histogram`` the ranks glide from frame to frame.
    progress : bool or callable
        Whether to show a bar; or called with the part that is done.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ViewError
        Another ending, or a length that is not positive.
    """
    target = pathlib.Path(path)
    writer, count, (wide, high) = film_writer(target, seconds, frames_per_second, size or view.size)
    shown = view.replace(size=(wide, high))
    title = f"film {target.name}, {count} frames of {wide} x {high}"
    coloured = _coloured(frames(shown, gpu, count=count, start=start, samples=samples), colors or {"palette": "lagoon"})
    write(writer, coloured, count, title, progress)
    return target


def _coloured(images: Iterable[Image], colors: dict[str, Any]) -> Iterator[NDArray[np.uint8]]:
    """Colour a film's pictures, so that what the colours are relative to glides from one to the next."""
    how = dict(colors)
    by_rank = bool(how.pop("histogram", False))
    ranks: Histogram | None = None
    floor: float | None = None
    for image in images:
        if by_rank:
            ranks = image.histogram if ranks is None else ranks.blend(image.histogram, CALM)
        floor = image.floor if floor is None else floor + CALM * (image.floor - floor)
        yield image.rgba(**how, floor=floor, histogram=ranks or False)[..., :3]
