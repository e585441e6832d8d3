"""Traits that hold numbers of full precision as text."""

from __future__ import annotations

from typing import Any

import traitlets

from webgpu_widget.errors import WebGPUWidgetError
from webgpu_widget.mandelbrot.numbers import decimal_text, exact, exact_point, log2_abs
from webgpu_widget.mandelbrot.palette import palette_colors
from webgpu_widget.mandelbrot.view import MIN_WIDTH_LOG10, make_view

__all__ = ["PaletteTrait", "PointTrait", "WidthTrait"]


class _Checked(traitlets.TraitType[Any, Any]):
    """Converts what is set, and raises a TraitError that carries the reason."""

    def convert(self, value: Any) -> Any:
        """Make the value that is kept."""
        raise NotImplementedError

    def validate(self, obj: Any, value: Any) -> Any:
        """As traitlets calls it."""
        if value is None and self.allow_none:
            return None
        try:
            return self.convert(value)
        except WebGPUWidgetError as error:
            raise traitlets.TraitError(f"{type(obj).__name__}.{self.name}: {error}") from error


class PointTrait(_Checked):
    """A point of the plane, kept as two decimal texts; takes what `exact_point` takes."""

    info_text = "a complex number, or a pair of real numbers or decimal texts"

    def convert(self, value: Any) -> list[str]:
        """Keep texts as they are, and write numbers exactly."""
        if isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(part, str) for part in value):
            exact_point(value, "the point")
            return [value[0].strip(), value[1].strip()]
        return list(make_view(value, 3).center)


class WidthTrait(_Checked):
    """A width, kept as decimal text."""

    info_text = "a positive real number or decimal text"

    def convert(self, value: Any) -> str:
        """Keep text as it is, and write numbers exactly."""
        number = exact(value, "width")
        make_view(0, value)
        digits = 17 if log2_abs(number) > MIN_WIDTH_LOG10 * 4 else 3
        return value.strip() if isinstance(value, str) else decimal_text(number, digits)


class PaletteTrait(_Checked):
    """A palette's name, or its colours."""

    info_text = "a palette's name, or a list of colours like '#0b4f6c'"

    def convert(self, value: Any) -> str | list[str]:
        """Check that the palette exists."""
        colors = palette_colors(value)
        return value if isinstance(value, str) else colors
