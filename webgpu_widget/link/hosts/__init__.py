"""How code waits for its own front end, speaks with it and shows things there: a class for each host, and which one this is.

While a cell runs, ipykernel holds the front end's messages back, in a way that differs by version. Two mechanisms let through those that are for
us, and only those: `ipykernel7` (which reads all messages in a thread) and `ipykernel6` (which queues them on the main thread).
A WebSocket's messages come in a thread of their own and need neither. Other hosts are refused, or have no front end.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from webgpu_widget.link.hosts import ipykernel6, ipykernel7
from webgpu_widget.link.hosts.base import Host
from webgpu_widget.link.hosts.jupyter import Ipykernel6, Ipykernel7, Jupyter
from webgpu_widget.link.hosts.refusing import Marimo, Pyodide

__all__ = ["Host", "here"]


def here() -> Host:
    """Return the host that this code runs in; a forked child of one runs in none."""
    kernel = _running_kernel()
    if kernel is None:
        return Marimo() if _in_marimo() else Host()
    if sys.platform == "emscripten":
        return Pyodide(kernel)
    if ipykernel7.fits(kernel):
        return Ipykernel7(kernel)
    return Ipykernel6(kernel) if ipykernel6.fits(kernel) else Jupyter(kernel)


def _running_kernel() -> Any:
    module = sys.modules.get("IPython")
    kernel = None if module is None else getattr(module.get_ipython(), "kernel", None)
    home = getattr(getattr(kernel, "session", None), "pid", None)
    return kernel if home in {None, os.getpid()} else None


def _in_marimo() -> bool:
    """Whether a cell of marimo runs, in its editor, as an app or in an export; a notebook run as a script is one like any other."""
    module = sys.modules.get("marimo")
    return module is not None and bool(module.running_in_notebook())
