"""A view: which part of which set, at what size, to full precision."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, quote

import gmpy2
from gmpy2 import mpfr, mpq

from webgpu_widget.errors import DTypeError
from webgpu_widget.mandelbrot.numbers import ViewError, decimal_text, exact, exact_point, log2_abs

__all__ = ["FORMULAS", "MAX_ITER", "MAX_PIXELS", "MIN_WIDTH_LOG10", "Formula", "View", "make_view"]

Formula = Literal["mandelbrot", "burning_ship"]
FORMULAS: tuple[Formula, ...] = ("mandelbrot", "burning_ship")
MAX_ITER = 2**31 - 1024
"""Largest ``max_iter``: counts have 31 bits, and a pixel runs a little on to its smooth count."""
MAX_PIXELS = 2**28
"""Largest number of pixels of a picture."""
MIN_WIDTH_LOG10 = -10_000
"""Depth at which a view is refused: reference orbits take minutes there."""
MOST_GIVEN = 40_000
"""Bits of a centre's own digits that count, some 12,000 digits."""
LINK_VERSION = 1
MOST_LINK = 200_000
"""Characters of a link; one of the greatest depth has some 25,000."""


@dataclasses.dataclass(frozen=True)
class View:
    """A rectangle of the plane and how to iterate it.

    Parameters
    ----------
    center : tuple of str
        Real and imaginary part, decimal.
    width : str
        Width of the picture in the plane, decimal.
    size : tuple of int
        (width, height) in pixels.
    max_iter : int
        Most iterations.
    power : int
        The exponent in z**power + c, 2 to 5.
    julia : tuple of str or None
        The constant of a Julia set; None for the parameter plane.
    formula : {"mandelbrot", "burning_ship"}
        The burning ship takes |re| and |im| of z before it squares.
    """

    center: tuple[str, str]
    width: str
    size: tuple[int, int]
    max_iter: int
    power: int = 2
    julia: tuple[str, str] | None = None
    formula: Formula = "mandelbrot"

    @functools.cached_property
    def point(self) -> tuple[mpq, mpq]:
        """The centre, exactly."""
        return exact(self.center[0], "center"), exact(self.center[1], "center")

    @functools.cached_property
    def constant(self) -> tuple[mpq, mpq] | None:
        """The constant of a Julia set, exactly."""
        return None if self.julia is None else (exact(self.julia[0], "julia"), exact(self.julia[1], "julia"))

    @functools.cached_property
    def spacing(self) -> mpq:
        """Distance of two neighbouring pixels, exactly."""
        return exact(self.width, "width") / self.size[0]

    @functools.cached_property
    def log2_spacing(self) -> float:
        """Base-2 logarithm of the spacing."""
        return log2_abs(self.spacing)

    @property
    def precision(self) -> int:
        """Bits that an orbit of this view needs.

        About 0, a step of a Julia set leaves no more of a pixel than its power: what is added to it must be known as well as that.
        Where the centre is that of a pixel, its count is that of the centre itself, which may be given to far under a pixel: on the nucleus of
        a copy that is much smaller, or on a point that comes to a cycle which repels. So all of its digits count, and those of the constant.
        """
        needed = math.ceil(-self.log2_spacing * (self.power if self.julia else 1)) + 48 + self.max_iter.bit_length()
        if self.size[0] % 2 and self.size[1] % 2:
            given = max(part.denominator.bit_length() for part in (*self.point, *(self.constant or ()))) + 48
            needed = max(needed, min(MOST_GIVEN, given))
        return max(64, needed)

    def pixel(self, column: int, row: int) -> tuple[mpq, mpq]:
        """Point of the plane at the middle of a pixel, exactly.

        Parameters
        ----------
        column, row : int
            Counted from the top left.

        Returns
        -------
        tuple of gmpy2.mpq
            Real and imaginary part.
        """
        width, height = self.size
        re, im = self.point
        return (
            re + (mpq(2 * column + 1, 2) - mpq(width, 2)) * self.spacing,
            im + (mpq(height, 2) - mpq(2 * row + 1, 2)) * self.spacing,
        )

    def replace(self, **changes: Any) -> View:
        """Make a view that differs in some fields, checked as `make_view` checks.

        Parameters
        ----------
        **changes : object
            Values of fields by their names.

        Raises
        ------
        ViewError
            When they make no view.
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return make_view(**{**fields, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as JSON can hold them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Undo `to_dict`; unknown keys are ignored.

        Parameters
        ----------
        fields : dict
            At least ``center`` and ``width``.

        Returns
        -------
        View
            Checked as `make_view` checks.

        Raises
        ------
        ViewError, DTypeError
            What cannot be a view.
        """
        if not isinstance(fields, dict) or not {"center", "width"} <= fields.keys():
            raise ViewError(f"{str(fields)[:80]!r} has no center and width; pass what to_dict() gave")
        known = {field.name for field in dataclasses.fields(cls)}
        view = make_view(**{key: value for key, value in fields.items() if key in known})
        return cls(**{field.name: getattr(view, field.name) for field in dataclasses.fields(view)})

    @property
    def link(self) -> str:
        """The view as one line of text, to full precision; `from_link` reads it."""
        parts = {
            "v": str(LINK_VERSION),
            "re": self.center[0],
            "im": self.center[1],
            "w": self.width,
            "n": str(self.max_iter),
            "size": f"{self.size[0]}x{self.size[1]}",
        }
        if self.power != 2:
            parts["p"] = str(self.power)
        if self.julia:
            parts["jre"], parts["jim"] = self.julia
        if self.formula != "mandelbrot":
            parts["f"] = self.formula
        return "#" + "&".join(f"{key}={quote(value)}" for key, value in parts.items())

    @classmethod
    def from_link(cls, link: str) -> Self:
        """Read what `link` wrote; a whole URL with the link as its fragment will do.

        Parameters
        ----------
        link : str
            ``#v=1&re=...``.

        Returns
        -------
        View
            Checked as `make_view` checks.

        Raises
        ------
        ViewError
            What is no such link.
        """
        if not isinstance(link, str) or len(link) > MOST_LINK:
            raise ViewError(
                f"the link is {str(link)[:80]!r}, of type {type(link).__name__}; pass a text of at most {MOST_LINK} characters, like '#v=1&re=-0.75&im=0&w=3&n=1000'"
            )
        # A plus sign is one, as the page reads it: exponents have it.
        parts = dict(parse_qsl(link.rpartition("#")[2].replace("+", "%2B"), keep_blank_values=True))
        if parts.get("v") != str(LINK_VERSION) or not {"re", "im", "w"} <= parts.keys():
            raise ViewError(
                f"{link[:80]!r} is no link of version {LINK_VERSION}; it should look like '#v=1&re=-0.75&im=0&w=3&n=1000'"
            )
        width, across, height = parts.get("size", "800x600").partition("x")
        if not across or ("jre" in parts) != ("jim" in parts):
            raise ViewError(
                f"{link[:80]!r} has a size {parts.get('size')!r} and a julia of {parts.get('jre')!r}, {parts.get('jim')!r}; "
                "a size is like 800x600, and jre and jim come together"
            )
        fields: dict[str, Any] = {
            "center": (parts["re"], parts["im"]),
            "width": parts["w"],
            "size": (_whole(width, "size"), _whole(height, "size")),
            "max_iter": _whole(parts.get("n", "1000"), "n"),
            "power": _whole(parts.get("p", "2"), "p"),
            "julia": (parts["jre"], parts["jim"]) if "jre" in parts else None,
            "formula": parts.get("f", "mandelbrot"),
        }
        return cls.from_dict(fields)


def make_view(
    center: Any,
    width: Any,
    size: tuple[int, int] = (800, 600),
    max_iter: int = 1000,
    power: int = 2,
    julia: Any = None,
    formula: str = "mandelbrot",
) -> View:
    """Check what a user wrote and make it a `View`.

    Parameters
    ----------
    center, width, julia : number
        As `numbers.exact` and `numbers.exact_point` take them.
    size : tuple of int
        (width, height) in pixels.
    max_iter, power : int
        Most iterations; exponent.
    formula : str
        One of `FORMULAS`.

    Returns
    -------
    View
        With every number as decimal text that is exact to far under a pixel.

    Raises
    ------
    ViewError
        A number that is not finite, a width that is not positive, a size or count out of range.
    DTypeError
        Something that is not a number.
    """
    wide = exact(width, "width")
    if wide <= 0:
        raise ViewError(
            f"width is {width}, which is not positive; pass the width of the picture in the plane, such as 3 or '1e-25'"
        )
    if log2_abs(wide) < MIN_WIDTH_LOG10 * math.log2(10):
        raise ViewError(f"width is {decimal_text(wide, 3)}; the deepest supported is 1e{MIN_WIDTH_LOG10}")
    if wide > 1000:
        raise ViewError(f"width is {decimal_text(wide, 6)}; everything is inside |z| <= 2, so at most 1000 is allowed")
    columns, rows = _size(size)
    steps = _integer(max_iter, "max_iter", 1, MAX_ITER)
    exponent = _integer(power, "power", 2, 5)
    if formula not in FORMULAS:
        raise ViewError(f"formula is {formula!r}; it must be one of {', '.join(FORMULAS)}")
    digits = max(17, math.ceil(-log2_abs(wide / columns) / math.log2(10)) + 8)
    point = exact_point(center, "center")
    if max(abs(point[0]), abs(point[1])) > 1000:
        raise ViewError(
            f"center is {decimal_text(point[0], 6)}, {decimal_text(point[1], 6)}; everything is inside |z| <= 2, so at most 1000 is allowed"
        )
    constant = None
    if julia is not None:
        re, im = exact_point(julia, "julia")
        if max(abs(re), abs(im)) > 1000:
            raise ViewError(
                f"julia is {decimal_text(re, 6)}, {decimal_text(im, 6)}; beyond |c| = 2 the set is dust, so at most 1000 is allowed"
            )
        # A pixel about 0 is its power away from the constant after a step.
        constant = _text(re, digits * exponent), _text(im, digits * exponent)
    return View(
        center=(_text(point[0], digits), _text(point[1], digits)),
        width=width.strip() if isinstance(width, str) else decimal_text(wide, 17),
        size=(columns, rows),
        max_iter=steps,
        power=exponent,
        julia=constant,
        formula=formula,
    )


def to_mpfr(value: mpq, precision: int) -> mpfr:
    """Round a rational to ``precision`` bits."""
    with gmpy2.context(precision=precision):
        return mpfr(value)


def _text(value: mpq, digits: int) -> str:
    """All digits of a decimal number, however many it has past the pixel's; a binary one to far under a pixel."""
    whole = max(0, math.ceil(log2_abs(value) / math.log2(10))) if value else 0
    text = decimal_text(value, digits + whole + 2)
    return (
        text if exact(text, "center") == value else decimal_text(value, max(digits + 40, int(_decimal_digits(value))))
    )


def _decimal_digits(value: mpq) -> int:
    bottom = value.denominator
    twos = gmpy2.bit_scan1(bottom) or 0
    rest, fives = gmpy2.remove(bottom >> twos, 5)
    # A finite decimal is kept whole as long as it is of a sane length.
    return int(min(max(twos, fives) + 20, 20_000)) if rest == 1 else 0


def _size(size: Any) -> tuple[int, int]:
    try:
        columns, rows = size
    except (TypeError, ValueError):
        raise DTypeError(f"size is {size!r}; pass (width, height) in pixels, such as (800, 600)") from None
    columns, rows = _integer(columns, "the width in size", 1, 2**16), _integer(rows, "the height in size", 1, 2**16)
    if columns * rows > MAX_PIXELS:
        raise ViewError(
            f"size is {columns} x {rows}, {columns * rows} pixels; at most {MAX_PIXELS} are allowed; render it in parts"
        )
    return columns, rows


def _whole(text: str, name: str) -> int:
    """Read a number of a link."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise ViewError(f"{name} of the link is {text[:40]!r}; it must be a whole number in digits, such as 1000")
    return int(text)


def _integer(value: Any, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise DTypeError(f"{name} is {value!r} of type {type(value).__name__}; pass an int from {low} to {high}")
    number = int(value.__index__())
    if not low <= number <= high:
        raise ViewError(f"{name} is {number}; it must be from {low} to {high}")
    return number
