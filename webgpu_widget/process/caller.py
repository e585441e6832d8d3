"""Warnings at the line of whoever called the package, however many of its own functions are in between."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_caller"]

_PACKAGE = __name__.split(".", maxsplit=1)[0]


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of something at the nearest line that is not the package's own."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".", maxsplit=1)[0] == _PACKAGE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
