"""A JupyterLab page in a browser that nobody watches: Playwright hears every WebSocket frame and slows sockets about tenfold.

Cells are run by a client of the kernel; the page that shows the notebook gets their widgets all the same.
"""

from __future__ import annotations

import json
import pathlib
import tempfile
import time
import urllib.request
from typing import Any

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from lab_server import TOKEN, LabServer

from webgpu_widget.link.transports._chromium import Browser


class QuietLab:
    """A server, a page with a notebook, and a client of its kernel."""

    def __init__(self) -> None:
        self.server = LabServer(pathlib.Path(tempfile.mkdtemp(prefix="bench-")))
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
        made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(made, self.server.notebooks / "bench.ipynb")
        self.browser = Browser(f"http://127.0.0.1:{self.server.port}/lab/tree/bench.ipynb?token={TOKEN}")
        self.client = BlockingKernelClient(connection_file=str(self._connection_file()))
        self.client.load_connection_file()
        self.client.start_channels(hb=False)  # a kernel that starts slowly would be called dead
        self.client.wait_for_ready(timeout=60)
        time.sleep(3)

    def _connection_file(self) -> pathlib.Path:
        end = time.monotonic() + 90
        while time.monotonic() < end:
            url = f"http://127.0.0.1:{self.server.port}/api/sessions?token={TOKEN}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                sessions = json.loads(answer.read())
            if sessions:
                return self.server.folder / "runtime" / f"kernel-{sessions[0]['kernel']['id']}.json"
            time.sleep(0.3)
        raise RuntimeError(
            "the page has not started its kernel: " + (self.browser.failure() or self.server.log()[-500:])
        )

    def run(self, code: str, timeout: float = 300) -> Any:
        """Run code; returns its last printed line as JSON, if it printed."""
        printed: list[str] = []

        def heard(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])
            elif message["msg_type"] == "error":
                printed.append("\n".join(message["content"]["traceback"]))

        reply = self.client.execute_interactive(code, timeout=timeout, output_hook=heard)
        text = "".join(printed)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(text)
        lines = text.strip().splitlines()
        return json.loads(lines[-1]) if lines else None

    def close(self) -> None:
        """End all three."""
        self.client.stop_channels()
        self.browser.close()
        self.server.close()
