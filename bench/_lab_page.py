"""A JupyterLab page whose notebook's cells are run by the page itself, without Playwright."""

from __future__ import annotations

import pathlib
import tempfile
import time
from typing import Any

import nbformat
from _devtools import DevToolsPage, PageLostError
from lab_scripts import ADD_AND_RUN, CELL, KERNEL_STATUS
from lab_server import TOKEN, LabServer

SIZE = "--window-size=1280,900"
_START = f"""async (source) => {{
  const index = await ({ADD_AND_RUN})(source);
  if (window.watch) watch.run = performance.now();
  const {{ outputs }} = window.jupyterapp.shell.currentWidget.content.widgets[index].model;
  outputs.changed.connect(() => {{ if (window.watch) watch.output ||= performance.now(); }});
  return index;
}}"""


class LabPage:
    """A server and a browser with one page.

    Parameters
    ----------
    flags : tuple of str
        More of the browser's command line.
    """

    def __init__(self, flags: tuple[str, ...] = ()) -> None:
        self.server = LabServer(pathlib.Path(tempfile.mkdtemp(prefix="bench-")))
        try:
            self.page = DevToolsPage("about:blank", (SIZE, *flags), timeout=45)
        except BaseException:
            self.server.close()
            raise
        self._count = 0

    def notebook(self, timeout: float = 40) -> None:
        """Open a new notebook, in the same page, and wait for its kernel."""
        self._count += 1
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
        made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        name = f"bench{self._count}.ipynb"
        nbformat.write(made, self.server.notebooks / name)
        address = f"http://127.0.0.1:{self.server.port}/lab/workspaces/w{self._count}/tree/{name}?token={TOKEN}"
        # JupyterLab's current widget is one that had the focus.
        self.page.command("Emulation.setFocusEmulationEnabled", enabled=True)
        self.page.command("Page.navigate", url=address)
        if not self.page.wait_for(f"() => {KERNEL_STATUS} === 'idle'", timeout=timeout):
            raise PageLostError(
                f"no kernel after {timeout:.0f} s. The browser: {self.page.said()}\nThe server: {self.server.log()[-1500:]}"
            )

    def run(self, source: str, timeout: float = 60) -> str:
        """Run a cell at the end, and return what it has printed."""
        index = self.page.evaluate(_START, source)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            cell = self.page.evaluate(CELL, index)
            if cell and cell["state"] == "idle" and cell["count"] is not None:
                for output in cell["outputs"]:
                    if output["output_type"] == "error":
                        raise RuntimeError(f"{output['ename']}: {output['evalue']}")
                return "".join(str(output.get("text", "")) for output in cell["outputs"])
            time.sleep(0.05)
        raise PageLostError(f"the cell has not ended after {timeout:.0f} s: {source[:200]}")

    def explorer(self, watch: str, arguments: dict[str, Any]) -> None:
        """Show an explorer in a new notebook; ``watch`` is evaluated before it."""
        self.notebook()
        self.run("import webgpu_widget as wg")
        self.page.evaluate(watch)
        self.run(f"wg.MandelbrotExplorer(**{arguments!r})")

    def close(self) -> None:
        """End both."""
        self.page.close()
        self.server.close()
