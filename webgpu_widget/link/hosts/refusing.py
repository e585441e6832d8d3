"""Hosts whose front end cannot answer while a cell runs: a GPU on its comm is refused when it is made."""

from __future__ import annotations

from webgpu_widget.link.hosts.base import Host
from webgpu_widget.link.hosts.jupyter import Jupyter


class Marimo(Host):
    """A cell of marimo, which hands a front end's messages on between cells alone."""

    transport = "comm"
    refusal = (
        "marimo holds its front end's messages back until the cell ends, so the page that shows this notebook cannot compute for a cell: "
        "make the GPU with wg.GPU(transport='headless'), a Chromium on the machine where this Python runs, or with "
        "wg.GPU(transport='page') and open gpu.url in a browser; the environment variable WEBGPU_WIDGET_TRANSPORT=headless says it for all"
    )


class Pyodide(Jupyter):
    """A kernel that is a page's own thread."""

    refusal = (
        "Python runs in the browser here (Pyodide) and its front end cannot answer while a cell runs: "
        "use a kernel that runs outside the browser"
    )
