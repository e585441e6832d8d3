"""FLAN-T5 in the browser: see :class:`webgpu_widget.T5`."""

from __future__ import annotations

from webgpu_widget.t5.config import T5Config
from webgpu_widget.t5.model import T5, T5Stats

__all__ = ["T5", "T5Config", "T5Stats"]
