"""A real JupyterLab in a real Chromium, driven like a person drives it: type a cell, run it, read what is under it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import nbformat
from lab_scripts import ADD_AND_RUN, ALL_CELLS, CELL, KERNEL_STATUS, RUN_ALL
from lab_server import TOKEN, LabServer
from playwright.sync_api import Browser, BrowserContext, Page, Playwright
from playwright.sync_api import Error as PlaywrightError

FLAGS = (
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-dev-shm-usage",
)

# Devices that the page's code has asked for, so that a test can lose them.
_KEEP_DEVICES = """
  window.testDevices = [];
  if (window.GPUAdapter) {
    const request = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (descriptor) {
      const device = await request.call(this, descriptor);
      window.testDevices.push(device);
      return device;
    };
  }
"""


@dataclass(frozen=True)
class Cell:
    """What is under a cell that has run."""

    outputs: list[dict[str, Any]]

    @property
    def text(self) -> str:
        """Everything printed and the text of results."""
        parts = []
        for output in self.outputs:
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            parts.append("".join(text) if isinstance(text, list) else text)
        return "".join(parts)

    @property
    def error(self) -> str | None:
        """``Name: message`` of the exception, if one was raised."""
        for output in self.outputs:
            if output["output_type"] == "error":
                return f"{output['ename']}: {output['evalue']}"
        return None

    def ok(self) -> Cell:
        """Fail unless the cell raised nothing."""
        assert self.error is None, "\n".join(
            line for output in self.outputs for line in output.get("traceback", [output.get("evalue", "")])
        )
        return self

    @property
    def value(self) -> Any:
        """The last printed line as JSON; a card that was shown beside it is no line."""
        printed = Cell([output for output in self.ok().outputs if output["output_type"] == "stream"]).text
        return json.loads(printed.strip().splitlines()[-1])


class Notebook:
    """A notebook open in a page."""

    def __init__(self, lab: Lab, page: Page, path: pathlib.Path) -> None:
        self.lab = lab
        self.page = page
        self.path = path

    def start(self, source: str) -> int:
        """Type a cell at the end and run it; returns its index at once."""
        return int(self.page.evaluate(ADD_AND_RUN, source))

    def wait(self, index: int, timeout: float = 60.0) -> Cell:
        """Wait for a started cell to end."""
        end = time.monotonic() + timeout
        cell: dict[str, Any] = {}
        while time.monotonic() < end:
            cell = self.page.evaluate(CELL, index)
            if cell is not None and cell["state"] == "idle" and cell["count"] is not None:
                time.sleep(0.05)  # outputs may trail the state by a message
                return Cell(self.page.evaluate(CELL, index)["outputs"])
            self.page.wait_for_timeout(30)
        raise AssertionError(f"cell {index} has not ended after {timeout} s: {cell}")

    def run(self, source: str, timeout: float = 60.0) -> Cell:
        """Type a cell, run it, wait for its end."""
        return self.wait(self.start(source), timeout)

    def run_all(self, may_raise: Collection[int], timeout: float) -> dict[int, Cell]:
        """Run all cells by JupyterLab's own command; returns those with code, by index.

        The command's promise is no news of the end: it is kept when the first cell raises, tagged or not, while the others go on. Nor is an idle
        kernel, which says so between two cells. Each cell's count is: it comes with the cell's reply, after its last output.
        """
        self.page.evaluate(RUN_ALL)
        end = time.monotonic() + timeout
        while True:
            cells = {int(index): cell for index, cell in self.page.evaluate(ALL_CELLS).items()}
            done = {index: Cell(cell["outputs"]) for index, cell in cells.items() if cell["count"] is not None}
            for index, cell in done.items():
                assert cell.error is None or index in may_raise, f"cell {index} raised {cell.error}"
            if len(done) == len(cells):
                return done
            left = sorted(cells.keys() - done.keys())
            assert time.monotonic() < end, f"cells {left} have not ended after {timeout} s"
            self.page.wait_for_timeout(250)

    def wait_for_text(self, index: int, text: str, timeout: float = 30.0) -> None:
        """Wait until a running cell has printed something."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            cell = self.page.evaluate(CELL, index)
            if cell is not None and text in Cell(cell["outputs"]).text:
                return
            self.page.wait_for_timeout(30)
        raise AssertionError(f"cell {index} has not printed {text!r} after {timeout} s")

    def wait_for_kernel(self, timeout: float = 120.0) -> None:
        self.page.wait_for_function(f"() => {KERNEL_STATUS} === 'idle'", timeout=timeout * 1000)

    def interrupt(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")

    def restart(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.wait_for_kernel()

    def save(self) -> dict[str, Any]:
        """Save and return the file's content."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        return json.loads(self.path.read_text())

    def reload(self) -> None:
        """Reload the page, as F5 does."""
        self.save()
        self.page.reload()
        self.wait_for_kernel()

    def close(self) -> None:
        """Close the page and end the kernel."""
        with contextlib.suppress(PlaywrightError):  # the page, or the notebook in it, may be gone already
            self.page.evaluate("() => window.jupyterapp.shell.currentWidget?.sessionContext?.shutdown()")
        self.page.close()


class Lab:
    """A server with a browser.

    Parameters
    ----------
    server : LabServer
        The running JupyterLab.
    playwright : Playwright
        Starts the system's Chromium.
    """

    def __init__(self, server: LabServer, playwright: Playwright, flags: tuple[str, ...] = FLAGS) -> None:
        self.server = server
        program = os.environ.get("WEBGPU_WIDGET_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
        self.browser: Browser = playwright.chromium.launch(executable_path=program, args=list(flags))
        self.context: BrowserContext = self.browser.new_context(viewport={"width": 1280, "height": 900})
        self.context.set_default_timeout(60_000)
        self.context.add_init_script(_KEEP_DEVICES)
        self._count = 0
        self.messages: list[str] = []

    def notebook(
        self, cells: list[str] | None = None, name: str | None = None, may_raise: Collection[int] = ()
    ) -> Notebook:
        """Write a notebook and open it; the cells that may raise are tagged so."""
        self._count += 1
        path = self.server.notebooks / (name or f"story{self._count}.ipynb")
        if not path.exists():
            made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells or [""]])
            for index in may_raise:
                made.cells[index].metadata["tags"] = ["raises-exception"]
            made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
            nbformat.write(made, path)
        return self.open(path)

    def open(self, path: pathlib.Path) -> Notebook:
        """Open a notebook in a page of its own."""
        page = self.context.new_page()
        page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text[:400]}"))
        page.on("pageerror", lambda error: self.messages.append(f"pageerror: {str(error)[:400]}"))
        notebook = Notebook(self, page, path)
        workspace = f"w{self._count}-{time.monotonic_ns()}"
        page.goto(
            f"http://127.0.0.1:{self.server.seen_at}{self.server.base_url}lab/workspaces/{workspace}/tree/{path.name}?token={TOKEN}",
            wait_until="domcontentloaded",
        )
        notebook.wait_for_kernel()
        return notebook

    def close(self) -> None:
        self.browser.close()
