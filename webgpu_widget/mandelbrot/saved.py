"""Reading the files that `Image.save` and the explorer write. Nothing in them is believed, and none costs more than a file of its size may."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import pathlib
import warnings
import zipfile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from webgpu_widget.errors import FormatError, WebGPUWidgetError
from webgpu_widget.mandelbrot.image import FORMAT, KEY, Extra, Image, Stats
from webgpu_widget.mandelbrot.view import MAX_PIXELS, View

__all__ = ["Saved", "load"]

MOST_TEXT = 1 << 20
"""Bytes of a file's parameters; a view at the greatest depth has some 50,000."""
DENSEST = 1100
"""Bytes that a byte of deflate may stand for: 1032, and a little."""
METHODS = ("direct", "perturbation", "bla")


@dataclasses.dataclass(frozen=True)
class Saved:
    """What a file of `Image.save` keeps.

    Parameters
    ----------
    view : View
        The view; ``wg.mandelbrot.render(**saved.view.to_dict())`` computes it again.
    colors : dict
        Arguments of `Image.rgba`.
    rgba : ndarray of uint8 or None
        The pixels, from a PNG.
    image : Image or None
        The counts, from an npz.
    """

    view: View
    colors: dict[str, Any]
    rgba: NDArray[np.uint8] | None = None
    image: Image | None = None


class _DamagedError(Exception):
    """What is wrong with a file, in words."""


def load(path: str | os.PathLike[str]) -> Saved:
    """Read a file that `Image.save` or the explorer wrote.

    Parameters
    ----------
    path : path
        A ``.png`` or ``.npz``.

    Returns
    -------
    Saved
        Its view, colours and pixels or counts.

    Raises
    ------
    FormatError
        The file is damaged, or has no parameters inside.
    OSError
        There is no such file, or it may not be read.
    """
    target = pathlib.Path(path)
    data = target.read_bytes()
    try:
        return _npz(data) if target.suffix.lower() == ".npz" else _png(data)
    except _DamagedError as error:
        raise FormatError(f"{target} {error}") from None
    except Exception as error:
        # Whatever zipfile, NumPy and Pillow raise on damage: there is no list of it.
        said = str(error) if isinstance(error, WebGPUWidgetError) else f"{type(error).__name__}: {error}"
        raise FormatError(f"{target} is damaged ({said[:200]}); save the picture again") from error


def _png(data: bytes) -> Saved:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of pictures that are large; whether one is too large for its file is asked below.
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            picture = Pillow.open(io.BytesIO(data), formats=["PNG"])
    except UnidentifiedImageError:
        raise _DamagedError(
            "is no picture that Pillow can read; pass a PNG that save() or the explorer wrote"
        ) from None
    with picture:
        width, height = picture.size
        if width * height > min(MAX_PIXELS, 8 * DENSEST * len(data)):
            raise _DamagedError(
                f"says that it has {width} x {height} pixels, more than {len(data)} bytes can hold; save it again"
            )
        rgba = np.asarray(picture.convert("RGBA"))
        text = getattr(picture, "text", {}).get(KEY)
    if text is None:
        raise _DamagedError(
            "has no parameters of a Mandelbrot picture inside; only PNGs that save() or the explorer wrote do"
        )
    fields = _fields(text)
    return Saved(View.from_dict(fields["view"]), fields["colors"], rgba=rgba)


def _npz(data: bytes) -> Saved:
    with zipfile.ZipFile(io.BytesIO(data)) as files:
        if "parameters.npy" not in files.namelist():
            raise _DamagedError("has no parameters of a Mandelbrot picture inside")
        fields = _fields(str(_array(files, "parameters", None, ())))
        view = View.from_dict(fields["view"])
        method = fields.get("method")
        if method not in METHODS:
            raise _DamagedError(f"was computed by {str(method)[:40]!r}, which is none of {', '.join(METHODS)}")
        shape = view.size[1], view.size[0]
        distance = _array(files, "distance", np.float32, shape) if "distance.npy" in files.namelist() else None
        image = Image(
            view,
            method,
            _array(files, "iterations", np.uint32, shape),
            _array(files, "smooth", np.float32, shape),
            distance,
            _stats(fields.get("stats")),
            _extra(files, math.prod(shape)) if "extra_pixels.npy" in files.namelist() else None,
        )
    return Saved(view, fields["colors"], image=image)


def _extra(files: zipfile.ZipFile, count: int) -> Extra:
    pixels = _array(files, "extra_pixels", np.uint32, (None,))
    if pixels.size and int(pixels.max()) >= count:
        raise _DamagedError(f"has samples of pixel {int(pixels.max())}, and has {count} pixels; save it again")
    return Extra(pixels, _array(files, "extra_smooth", np.float32, (None, len(pixels))))


def _array(files: zipfile.ZipFile, name: str, dtype: DTypeLike | None, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Read an array whose header says what is expected, None for any size, and no more than what is there."""
    info = files.getinfo(f"{name}.npy")
    with files.open(info) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        got, _, kind = read(file)
        fits = len(got) == len(shape) and all(b in {None, a} for a, b in zip(got, shape, strict=True))
        if not fits or (kind.kind != "U" if dtype is None else kind != np.dtype(dtype)):
            raise _DamagedError(f"has {name} of {kind} {got}, which does not fit its view; save it again")
        length = math.prod(got) * kind.itemsize
        if length > (4 * MOST_TEXT if dtype is None else 4 * 256 * MAX_PIXELS) or length > DENSEST * info.compress_size:
            raise _DamagedError(f"says that {name} has {length} bytes, which cannot be; save it again")
        raw = file.read(length)
        if len(raw) < length or file.read(1):
            raise _DamagedError(f"has {name} of another length than it says; save it again")
    return np.frombuffer(bytearray(raw), kind).reshape(got)


def _stats(fields: Any) -> Stats:
    names = {field.name for field in dataclasses.fields(Stats)}
    if not isinstance(fields, dict) or not {"iterations", "seconds", "slices"} <= fields.keys() <= names:
        raise _DamagedError("says nothing sensible of what it took; save it again")
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in fields.values()):
        raise _DamagedError("has words where it should say what it took; save it again")
    return Stats(**fields)


def _fields(text: str) -> dict[str, Any]:
    if len(text) > MOST_TEXT:
        raise _DamagedError(f"has parameters of {len(text)} characters; at most {MOST_TEXT} are read")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    known = isinstance(fields, dict) and fields.get("format") == FORMAT and isinstance(fields.get("view"), dict)
    if not known or not isinstance(fields.get("colors"), dict):
        raise _DamagedError(f"has parameters that are not of format {FORMAT}; save the picture again with this version")
    return dict(fields)
