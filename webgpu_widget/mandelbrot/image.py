"""A computed picture: counts first, colours from them as often as one likes."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.mandelbrot.lines import beside_an_axis
from webgpu_widget.mandelbrot.numbers import ViewError
from webgpu_widget.mandelbrot.palette import Histogram, colors, lookup_table, positions
from webgpu_widget.mandelbrot.view import View

__all__ = ["FORMAT", "KEY", "Extra", "Image", "Stats"]

KEY = "webgpu_widget.mandelbrot"
"""Keyword of the PNG's text chunk."""
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Stats:
    """What a picture took.

    Parameters
    ----------
    iterations : int
        Sum of the counts of all samples.
    seconds : float
        From the call to the counts in NumPy, without the reference orbit.
    slices : int
        Dispatches.
    orbit_steps : int
        Length of the reference orbit; 0 for direct.
    orbit_seconds : float
        Time for the orbit and its table, near 0 when one from before served.
    table_levels : int
        Levels of the BLA table; 0 without.
    refined : int
        Pixels done again with 56-bit numbers.
    exact : int
        Pixels done again with all digits, since 56 bits do not tell them from an axis that they lie beside.
    samples : int
        Samples computed, pixels and extra ones.
    """

    iterations: int
    seconds: float
    slices: int
    orbit_steps: int = 0
    orbit_seconds: float = 0.0
    table_levels: int = 0
    refined: int = 0
    samples: int = 0
    exact: int = 0

    @property
    def iterations_per_second(self) -> float:
        """Counted iterations, skipped ones included, over the seconds."""
        return self.iterations / self.seconds if self.seconds else 0.0


@dataclasses.dataclass(frozen=True)
class Extra:
    """Further samples of some pixels.

    Parameters
    ----------
    pixels : ndarray of uint32, (n,)
        Indices, row by row.
    smooth : ndarray of float32, (samples - 1, n)
        Their counts.
    """

    pixels: NDArray[np.uint32]
    smooth: NDArray[np.float32]


def writable(path: str | os.PathLike[str]) -> pathlib.Path:
    """Return where a picture is to be written.

    Parameters
    ----------
    path : path
        Ends in ``.png`` or ``.npz``, in a folder that is there.

    Raises
    ------
    ViewError
        When no picture can be written there.
    """
    target = pathlib.Path(path)
    if target.suffix.lower() not in (".png", ".npz"):
        raise ViewError(f"{target.name} ends in {target.suffix!r}; a picture is saved as .png or .npz")
    folder = target.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        what = "cannot be written to" if folder.is_dir() else "is not there"
        raise ViewError(f"{target.name} cannot be saved: the folder {folder} {what}. Make it, or choose another")
    return target


class Image:
    """Counts of a view.

    Parameters
    ----------
    view : View
        What was computed.
    method : {"direct", "perturbation", "bla"}
        How.
    iterations : ndarray of uint32, (height, width)
        First n with |z_n| > 2, counted from z_0 = 0; ``max_iter`` where it did not escape.
        (For a Julia set z_0 is the pixel, and the radius is max(2, |c|).)
    smooth : ndarray of float32, (height, width)
        The real number at which |z| passes 2**8; NaN inside. The n-th iterate lies at |z| = 2**8 where it is n.
    distance : ndarray of float32 or None
        Estimated distance to the set, in pixels; NaN inside. Asked for with ``render(distance=True)``.
    stats : Stats
        What it took.
    extra : Extra or None
        Further samples at edges.
    """

    def __init__(
        self,
        view: View,
        method: str,
        iterations: NDArray[np.uint32],
        smooth: NDArray[np.float32],
        distance: NDArray[np.float32] | None,
        stats: Stats,
        extra: Extra | None = None,
    ) -> None:
        self.view = view
        self.method = method
        self.iterations = iterations
        self.smooth = smooth
        self.distance = distance
        self.stats = stats
        self.extra = extra

    def __repr__(self) -> str:
        width, height = self.view.size
        rate = self.stats.iterations_per_second
        doubt = "" if self.doubtful_row is None else f", row {self.doubtful_row} doubtful"
        return (
            f"<mandelbrot.Image {width}x{height}, width {self.view.width}, max_iter {self.view.max_iter}, {self.method}, "
            f"{self.stats.seconds:.3g} s, {rate / 1e9:.3g} Giter/s{doubt}>"
        )

    @property
    def doubtful_row(self) -> int | None:
        """Row whose counts may be those of the real axis, which it lies beside: by less than 2**-46 of a pixel, and yet not on it; None where there is none.

        Only of pictures with ``refine=False``: else such a row is counted with all digits, as ``stats.exact`` tells.
        """
        if self.method == "direct" or self.stats.exact:
            return None
        return next((line for axis, line in beside_an_axis(self.view) if axis == 0), None)

    def _repr_png_(self) -> bytes:
        return self._png(self.rgba(), {})

    @functools.cached_property
    def histogram(self) -> Histogram:
        """How the counts are spread; pass it to `rgba` of another picture to keep its colours."""
        return Histogram.of(self.smooth)

    @functools.cached_property
    def floor(self) -> float:
        """A low count of the picture, from which the scales ``log`` and ``sqrt`` begin."""
        flat = self.smooth.reshape(-1)
        some = flat[:: max(1, flat.size // 4096)]
        some = np.sort(some[np.isfinite(some)])
        return float(max(0.0, some[int(0.005 * some.size)])) if some.size else 0.0

    def rgba(
        self,
        palette: str | Sequence[str] = "twilight",
        *,
        scale: str = "log",
        cycle: float | None = None,
        offset: float = 0.0,
        floor: float | None = None,
        histogram: bool | Histogram = False,
        inside: str = "#000000",
        edge: float = 0.0,
    ) -> NDArray[np.uint8]:
        """Colour the counts; nothing is computed again.

        Parameters
        ----------
        palette : str or sequence of str
            A name (`palettes` lists them; matplotlib's too where it is installed), or colours ``#rrggbb``.
        scale : {"log", "sqrt", "linear"}
            What runs along the palette; ``log`` and ``sqrt`` of what the count is over ``floor``.
        cycle : float, optional
            Length of the palette on that scale (2 for log2, 8 for sqrt, 64 counts); with a histogram, times the palette is run through.
        offset : float
            Where on the palette 0 is, in palettes.
        floor : float, optional
            Count at which ``log`` and ``sqrt`` begin; `floor` of this picture when left out.
        histogram : bool or Histogram
            Colour by rank: of this picture, or of the given one.
        inside : str
            Colour of the set.
        edge : float
            Darkens pixels nearer to the set than this many pixels; needs the distance.

        Returns
        -------
        ndarray of uint8, (height, width, 4)
            sRGB with alpha 255.

        Raises
        ------
        ViewError
            An unknown palette or scale, or ``edge`` without the distance.
        """
        ranks = self.histogram if histogram is True else histogram or None
        table = lookup_table(palette)
        mapped = functools.partial(
            positions,
            scale=scale,
            cycle=cycle,
            offset=offset,
            floor=self.floor if floor is None else float(floor),
            histogram=ranks,
        )
        shown = colors(mapped(self.smooth), table, inside)
        if self.extra is not None and len(self.extra.pixels):
            flat = shown.reshape(-1, 3)
            more = colors(mapped(self.extra.smooth), table, inside)
            # The mean of light, not of sRGB's numbers; gamma 2 is near enough.
            flat[self.extra.pixels] = np.sqrt((flat[self.extra.pixels] ** 2 + (more**2).sum(0)) / (len(more) + 1))
        if edge:
            if self.distance is None:
                raise ViewError("edge needs the distance to the set: render with distance=True")
            near = np.clip(np.nan_to_num(self.distance, nan=np.inf) / edge, 0, 1)
            shown = shown * np.sqrt(near)[..., None].astype(np.float32)
        result = np.full((*self.smooth.shape, 4), 255, np.uint8)
        result[..., :3] = np.round(shown * 255)
        return result

    def save(self, path: str | os.PathLike[str], palette: str | Sequence[str] = "twilight", **options: Any) -> None:
        """Write a PNG that keeps the view and the colours, or an ``.npz`` that keeps the counts too.

        Parameters
        ----------
        path : path
            Ends in ``.png`` or ``.npz``.
        palette, **options
            As in `rgba`.
        """
        target = writable(path)
        fields: dict[str, Any] = {"palette": palette if isinstance(palette, str) else list(palette)}
        fields |= {key: value for key, value in options.items() if not isinstance(value, Histogram)}
        if target.suffix.lower() == ".png":
            target.write_bytes(self._png(self.rgba(palette, **options), fields))
        else:
            arrays: dict[str, Any] = {"iterations": self.iterations, "smooth": self.smooth}
            if self.distance is not None:
                arrays["distance"] = self.distance
            if self.extra is not None:
                arrays |= {"extra_pixels": self.extra.pixels, "extra_smooth": self.extra.smooth}
            np.savez_compressed(target, parameters=np.array(self._parameters(fields)), **arrays)

    def _parameters(self, fields: dict[str, Any]) -> str:
        return json.dumps(
            {
                "format": FORMAT,
                "view": self.view.to_dict(),
                "method": self.method,
                "colors": fields,
                "stats": dataclasses.asdict(self.stats),
            }
        )

    def _png(self, rgba: NDArray[np.uint8], fields: dict[str, Any]) -> bytes:
        import io

        from PIL import Image as Pillow
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text(KEY, self._parameters(fields))
        data = io.BytesIO()
        Pillow.fromarray(rgba).save(data, "PNG", pnginfo=info)
        return data.getvalue()


def edges(smooth: NDArray[np.float32], least: float = 1.0) -> NDArray[np.uint32]:
    """Find the pixels that differ from a neighbour by more than ``least`` counts, or in being inside."""
    inside = np.isnan(smooth)
    value = np.where(inside, np.float32(-1e30), smooth)
    marked = np.zeros(smooth.shape, bool)
    for axis in (0, 1):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in (0, 1))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in (0, 1))
        differs = np.abs(value[high] - value[low]) > least
        marked[high] |= differs
        marked[low] |= differs
    return np.flatnonzero(marked).astype(np.uint32)


def jitter(sample: int) -> tuple[float, float]:
    """Place of the n-th extra sample in its pixel: the R2 sequence, which fills the square evenly at any length."""
    plastic = 1.324717957244746
    return math.fmod(0.5 + sample / plastic, 1.0) - 0.5, math.fmod(0.5 + sample / plastic**2, 1.0) - 0.5
