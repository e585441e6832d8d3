"""FLAN-T5 in the browser: see :class:`webgpu_widget.T5`."""

from __future__ import annotations
