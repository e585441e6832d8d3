"""Pictures of views, for readers of a notebook without its kernel: cards of text, and pictures with a line below."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image, PngImagePlugin

__all__ = ["PICTURE_KEY", "STRIP", "card", "film_strip", "framed", "page_width", "png", "table"]

PICTURE_KEY = "webgpu_widget.view"
"""Keyword of a picture's text chunk that says which view it is of: by it a page finds the place of a live view."""

Mood = Literal["good", "bad", "wait", "over"]

_SCALE = 2
"""Pixels of a picture in one of the page: screens are finer than CSS's pixels."""
_WIDTH = 640
_EDGE = 14
_GAP = 4
STRIP = 5
"""Frames of a film that stand side by side."""
_INK, _SOFT, _LINE, _BACK = "#1f2328", "#59636e", "#d1d9e0", "#ffffff"
_MOODS: dict[Mood, str] = {"good": "#1a7f37", "bad": "#cf222e", "wait": "#9a6700", "over": "#8c959f"}


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size * _SCALE)


def _cut(text: str, font: Any, room: float) -> str:
    """Return a text, shortened in its middle where it is longer than its room."""
    if font.getlength(text) <= room:
        return text
    kept = len(text)
    while kept > 2 and font.getlength(text[: kept // 2] + "..." + text[-(kept // 2) :]) > room:
        kept -= 2
    return text[: kept // 2] + "..." + text[-(kept // 2) :]


def _lines(text: str, font: Any, room: float, most: int) -> list[str]:
    """Break a text into at most so many lines."""
    made: list[str] = []
    for given in text.splitlines():
        line = ""
        for word in given.split(" "):
            longer = f"{line} {word}" if line else word
            if line and font.getlength(longer) > room:
                made.append(line)
                longer = word
            line = longer
        made.append(line)
    if len(made) > most:
        made = [*made[: most - 1], "..."]
    return [_cut(line, font, room) for line in made]


def png(image: Image.Image, view: str = "") -> bytes:
    """Return a picture as a PNG, with the view it is of in a text chunk."""
    from PIL import PngImagePlugin

    info: PngImagePlugin.PngInfo = PngImagePlugin.PngInfo()
    if view:
        info.add_text(PICTURE_KEY, view)
    target = io.BytesIO()
    image.save(target, "PNG", pnginfo=info, optimize=True)
    return target.getvalue()


def _sheet(height: int, width: int = _WIDTH) -> tuple[Any, Any]:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width * _SCALE, height * _SCALE), _BACK)
    draw = ImageDraw.Draw(image)
    image.info["scale"] = _SCALE
    draw.rectangle((0, 0, image.width - 1, image.height - 1), outline=_LINE, width=_SCALE)
    return image, draw


def page_width(image: Image.Image) -> int:
    """Return how wide a picture is on a page, in CSS's pixels."""
    return image.width // int(image.info.get("scale", 1))


def card(
    title: str,
    state: str,
    mood: Mood,
    facts: Sequence[tuple[str, str]] = (),
    message: str = "",
    part: float | None = None,
    footer: str = "",
    strip: Image.Image | None = None,
) -> Image.Image:
    """Draw a card: a title with its state, named facts, a message, how much is done, and what has been made.

    Parameters
    ----------
    title, state : str
        The first line.
    mood : {"good", "bad", "wait", "over"}
        The colour of its dot.
    facts : sequence of (str, str)
        Names and values, two a row.
    message : str
        Below them, in the colour of trouble.
    part : float, optional
        From 0 to 1: drawn as a bar.
    footer : str
        The last line, small.
    strip : PIL.Image.Image, optional
        Below all of that, as it is; with alpha.

    Returns
    -------
    PIL.Image.Image
        640 pixels of the page wide; of 256 colours where there is a strip.
    """
    unit, large, small, plain = _SCALE, _font(14), _font(11), _font(13)
    room = (_WIDTH - 2 * _EDGE) * unit
    column = room // 2
    text = _lines(message, plain, room, 8) if message else []
    rows = -(-len(facts) // 2)
    height = (
        2 * _EDGE
        + 20
        + 38 * rows
        + (20 * len(text) + 6 if text else 0)
        + (18 if part is not None else 0)
        + (16 if footer else 0)
        + (0 if strip is None else -(-strip.height // unit))
    )
    image, draw = _sheet(height)
    top = _EDGE * unit
    left = _EDGE * unit
    draw.ellipse((left, top + 4 * unit, left + 9 * unit, top + 13 * unit), fill=_MOODS[mood])
    draw.text((left + 17 * unit, top), title, _INK, large)
    after = left + 17 * unit + large.getlength(title) + 10 * unit
    draw.text((after, top), _cut(state, large, image.width - after - left), _SOFT, large)
    top += 26 * unit
    if part is not None:
        draw.rectangle((left, top, left + room, top + 6 * unit), fill=_LINE)
        draw.rectangle((left, top, left + round(room * min(1.0, max(0.0, part))), top + 6 * unit), fill=_MOODS[mood])
        top += 18 * unit
    for i, (name, value) in enumerate(facts):
        x = left + column * (i % 2)
        draw.text((x, top), name, _SOFT, small)
        draw.text((x, top + 14 * unit), _cut(value, plain, column - 10 * unit), _INK, plain)
        if i % 2 or i == len(facts) - 1:
            top += 38 * unit
    for line in text:
        draw.text((left, top), line, _MOODS["bad"], plain)
        top += 20 * unit
    if footer:
        draw.text((left, top), _cut(footer, small, room), _SOFT, small)
        top += 16 * unit
    if strip is None:
        return image
    image.paste(strip, (left, top), strip)
    return _few_colours(image)


def _few_colours(image: Image.Image) -> Image.Image:
    """Return a picture of 256 colours at most, which is a third as long in a file."""
    from PIL import Image as Pillow

    made = image.quantize(256, dither=Pillow.Dither.NONE)
    made.info.update(image.info)
    return made


def film_strip(frames: Sequence[NDArray[np.uint8]]) -> Image.Image:
    """Put frames of a film, (height, width, 3), side by side, as large as a card has room for and never enlarged; what is between them is clear."""
    from PIL import Image as Pillow

    wide = ((_WIDTH - 2 * _EDGE) * _SCALE - (STRIP - 1) * _GAP) // STRIP
    small = [Pillow.fromarray(frame) for frame in frames]
    for one in small:
        one.thumbnail((wide, 2 * wide), Pillow.Resampling.BOX)
    made = Pillow.new("RGBA", (sum(one.width + _GAP for one in small) - _GAP, small[0].height))
    x = 0
    for one in small:
        made.paste(one, (x, 0))
        x += one.width + _GAP
    return made


def table(title: str, state: str, head: Sequence[str], rows: Sequence[Sequence[str]], footer: str) -> Image.Image:
    """Draw a table: a title with its state, names of columns, rows of text, all columns after the third right-aligned, and a small last line."""
    unit, large, small, plain = _SCALE, _font(14), _font(11), _font(12)
    shown = rows[:20]
    more = len(rows) - len(shown)
    gap = 14 * unit
    widths = [
        min(240 * unit, max([small.getlength(name), *(plain.getlength(row[i]) for row in shown)])) + gap
        for i, name in enumerate(head)
    ]
    width = max(_WIDTH * unit, round(sum(widths)) + 2 * _EDGE * unit)
    height = 2 * _EDGE + 30 + 18 + 22 * len(shown) + (22 if more else 0) + 18
    image, draw = _sheet(height, -(-width // unit))
    left, top = _EDGE * unit, _EDGE * unit
    draw.text((left, top), title, _INK, large)
    draw.text((left + large.getlength(title) + 10 * unit, top), state, _SOFT, large)
    top += 30 * unit

    def line(cells: Sequence[str], font: Any, colour: str) -> None:
        x = float(left)
        for i, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
            text = _cut(cell, font, wide - gap)
            draw.text((x if i < 3 else x + wide - gap - font.getlength(text), top), text, colour, font)
            x += wide

    line(head, small, _SOFT)
    top += 18 * unit
    for row in shown:
        draw.line((left, top, image.width - left, top), fill=_LINE, width=1)
        top += 3 * unit
        line(row, plain, _INK)
        top += 19 * unit
    if more:
        draw.text((left, top), f"and {more} more", _SOFT, plain)
        top += 22 * unit
    draw.text((left, top + 4 * unit), footer, _SOFT, small)
    return image


def framed(image: Image.Image, line: str) -> Image.Image:
    """Put a line of text below a picture; both become a picture of 256 colours at most, and 640 pixels wide at most."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    made = image.convert("RGB")
    made.thumbnail((_WIDTH, 2 * _WIDTH))
    font: Any = ImageFont.load_default(13)
    text = _lines(line, font, made.width - 16, 3)
    whole = Pillow.new("RGB", (made.width, made.height + 10 + 18 * len(text)), _BACK)
    whole.paste(made, (0, 0))
    draw = ImageDraw.Draw(whole)
    for i, part in enumerate(text):
        draw.text((8, made.height + 5 + 18 * i), part, _SOFT, font)
    return _few_colours(whole)
