"""WGSL files, the only place where WGSL lives; they go to the browser as text."""

from __future__ import annotations

import functools
from importlib import resources

__all__ = ["load"]


@functools.cache
def load(name: str) -> str:
    """Return a shader's text.

    Parameters
    ----------
    name : str
        Path below this folder without the ending: ``"array/repack"``.
    """
    return resources.files(__package__).joinpath(f"{name}.wgsl").read_text(encoding="utf-8")
