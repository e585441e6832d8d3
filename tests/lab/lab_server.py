"""`jupyter lab` on loopback, with settings and directories of its own. Needs no browser and no Playwright."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "token-of-the-lab-tests"  # noqa: S105


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LabServer:
    """`jupyter lab` on a port of its own, with empty settings and directories.

    Parameters
    ----------
    folder : pathlib.Path
        For all of them.
    env : dict, optional
        More of the environment.
    base_url : str
        Below which it serves, as a hub's servers do.

    Attributes
    ----------
    seen_at : int
        The port at which browsers find it: another one, where there is a proxy.
    """

    def __init__(self, folder: pathlib.Path, env: dict[str, str] | None = None, base_url: str = "/") -> None:
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        self.port = self.seen_at = free_port()
        self.base_url = base_url
        settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(
            json.dumps({"fetchNews": "false", "checkForUpdates": False})
        )
        widgets = folder / "settings" / "@jupyter-widgets" / "jupyterlab-manager"
        widgets.mkdir(parents=True)
        (widgets / "plugin.jupyterlab-settings").write_text(json.dumps({"saveState": True}))
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("WEBGPU_WIDGET_", "JUPYTER", "JPY_"))
        }
        environment |= {
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "IPYTHONDIR": str(folder / "ipython"),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "",
        }
        environment |= env or {}
        self._log = (folder / "lab.log").open("wb")
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                "--ip=127.0.0.1",
                f"--port={self.port}",
                f"--IdentityProvider.token={TOKEN}",
                f"--ServerApp.root_dir={self.notebooks}",
                f"--ServerApp.base_url={base_url}",
                "--LabApp.expose_app_in_browser=True",
            ],
            env=environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.base_url}api", timeout=2).close()
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.2)
            else:
                return
        self.close()
        raise RuntimeError("JupyterLab did not come up:\n" + self.log()[-4000:])

    def log(self) -> str:
        return (self.folder / "lab.log").read_text(errors="replace")

    def close(self) -> None:
        """End it with its kernels."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(5)
        self._log.close()
