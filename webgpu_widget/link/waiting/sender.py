"""Sending a widget's custom messages from any thread."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Sequence
from typing import Any

__all__ = ["Sender"]


class Sender:
    """Sends for a widget, also from threads that run no cell.

    Parameters
    ----------
    widget : ipywidgets.Widget
        Whose messages they are.
    kernel : ipykernel.kernelbase.Kernel or None
        The running kernel.
    """

    def __init__(self, widget: Any, kernel: Any) -> None:
        self._widget = widget
        self._kernel = kernel
        self._parent: dict[str, Any] = {}
        with contextlib.suppress(LookupError, AttributeError):
            self._parent = kernel.get_parent()

    def send(self, message: dict[str, Any], buffers: Sequence[Any] = ()) -> None:
        """Send; never waits for the page."""
        try:
            self._widget.send(message, list(buffers))
        except LookupError:
            # ipykernel 7.0 knows no parent message, and so sends nothing, in threads that run no cell.
            contextvars.copy_context().run(self._send_for_cell, message, buffers)

    def _send_for_cell(self, message: dict[str, Any], buffers: Sequence[Any]) -> None:
        self._kernel._shell_parent.set(self._parent)
        self._widget.send(message, list(buffers))
