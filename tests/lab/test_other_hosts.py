"""The programs that show or run notebooks beside JupyterLab: Notebook 7, Voila, papermill and nbconvert, each as it is, on one notebook.

They are installed in an environment of their own; WEBGPU_WIDGET_HOSTS_PYTHON names the interpreter of one that is there already.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator

import nbformat
import pytest
from lab_harness import Lab
from lab_server import ROOT, TOKEN, free_port
from PIL import Image

pytestmark = [pytest.mark.playwright, pytest.mark.no_adapter, pytest.mark.long]

PROGRAMS = ("notebook", "voila", "papermill", "nbconvert")
SUM = "import numpy as np\nimport webgpu_widget as wg\ngpu = wg.GPU()\nprint('sum', float(gpu.array(np.arange(1000, dtype=np.float32)).sum()))\ngpu"
EXPLORER = "explorer = wg.MandelbrotExplorer(height=240)\nexplorer.layout.width = '240px'\nexplorer"
SHADER = "view = wg.ShaderView('fn image(p: vec2f, time: f32) -> vec3f { return vec3f(p / 64.0, fract(time)); }', size=(64, 64), gpu=gpu)\nview"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with all of them, and with this package's dependencies."""
    named = os.environ.get("WEBGPU_WIDGET_HOSTS_PYTHON")
    folder = pathlib.Path(named).parents[1] if named else tmp_path_factory.mktemp("hosts") / "environment"
    found = str(folder / "bin" / "python")
    if not named:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([found, "-m", "pip", "install", "--quiet", *PROGRAMS, "anywidget"], check=True, timeout=280)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    (site / "dependencies.pth").write_text(f"import sys; sys.path.append({sysconfig.get_paths()['purelib']!r})\n")
    # The widgets' part for the page is looked for in the environment of the program.
    for kind in ("labextensions", "nbextensions"):
        for one in (pathlib.Path(sys.prefix) / "share" / "jupyter" / kind).iterdir():
            shutil.copytree(one, folder / "share" / "jupyter" / kind / one.name, dirs_exist_ok=True)
    told = subprocess.run([found, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
    print({one["name"]: one["version"] for one in json.loads(told.stdout) if one["name"] in PROGRAMS})
    return found


@pytest.fixture
def story(tmp_path: pathlib.Path) -> pathlib.Path:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (SUM, EXPLORER, SHADER)])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "story.ipynb"
    nbformat.write(made, path)
    return path


def environment(folder: pathlib.Path, **more: str) -> dict[str, str]:
    """As in a new account, with the source tree as the package."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("WEBGPU_WIDGET_", "JUPYTER", "JPY_"))
    }
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    return kept | {name: str(folder / value) for name, value in own.items()} | {"PYTHONPATH": str(ROOT), **more}


def ran(command: list[str], folder: pathlib.Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = environment(folder, **more)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=240)


@contextlib.contextmanager
def serving(command: list[str], port: int, folder: pathlib.Path, **more: str) -> Iterator[None]:
    """A server, until it answers, and its end."""
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment(folder, **more), stdout=log, stderr=log, start_new_session=True
        )
        try:
            end = time.monotonic() + 90
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=2).close()
                    break
                assert server.poll() is None, (folder / "server.log").read_text()[-3000:]
                assert time.monotonic() < end, (folder / "server.log").read_text()[-3000:]
                time.sleep(0.3)
            yield
        finally:
            # Its kernels with it, which it waits for longer than a test does.
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait(10)


def outputs(path: pathlib.Path) -> list[list[dict[str, object]]]:
    return [cell["outputs"] for cell in json.loads(path.read_text())["cells"]]


def test_papermill_computes_headless_and_keeps_pictures(python: str, story: pathlib.Path) -> None:
    command = [python, "-m", "papermill", "story.ipynb", "done.ipynb", "-k", "python3"]
    told = ran(command, story.parent, WEBGPU_WIDGET_TRANSPORT="headless")
    assert told.returncode == 0, told.stderr[-3000:]
    done = outputs(story.parent / "done.ipynb")
    assert "sum 499500.0" in json.dumps(done[0])
    for cell in done:
        assert set(cell[-1]["data"]) == {"image/png", "text/plain"}  # type: ignore[call-overload]
    assert "_esm" not in (story.parent / "done.ipynb").read_text(), "the file keeps no model, and no module of one"


@pytest.mark.parametrize("program", ["papermill", "nbconvert"])
def test_without_a_browser_they_are_told_at_once(python: str, story: pathlib.Path, program: str) -> None:
    command = {
        "papermill": [python, "-m", "papermill", "story.ipynb", "done.ipynb", "-k", "python3"],
        "nbconvert": [python, "-m", "nbconvert", "--to", "html", "--execute", "story.ipynb"],
    }[program]
    told = ran(command, story.parent)
    assert told.returncode != 0
    assert f"{program} runs this notebook" in told.stderr
    assert "WEBGPU_WIDGET_TRANSPORT=headless" in told.stderr


def test_nbconvert_makes_a_page_with_pictures(lab: Lab, python: str, story: pathlib.Path) -> None:
    command = [python, "-m", "nbconvert", "--to", "html", "--execute", "story.ipynb"]
    told = ran(command, story.parent, WEBGPU_WIDGET_TRANSPORT="headless")
    assert told.returncode == 0, told.stderr[-3000:]
    page = lab.browser.new_page()
    page.route("http*://**", lambda route: route.abort())  # nothing beside the file
    page.goto((story.parent / "story.html").as_uri())
    widths = page.evaluate("() => [...document.querySelectorAll('img')].map((image) => image.naturalWidth)")
    assert len(widths) == 3
    assert min(widths) > 1
    assert "sum 499500.0" in page.locator("body").inner_text()
    page.close()


WHERE_PLAYWRIGHT_LOOKS = """
from playwright.sync_api import Error, sync_playwright
with sync_playwright() as made:
    try:
        made.chromium.launch().close()
    except Error as error:
        print(str(error).split(" at ")[1].splitlines()[0])
"""


def test_nbconvert_makes_a_pdf_with_pictures(python: str, story: pathlib.Path) -> None:
    """By webpdf, whose Playwright finds this machine's Chromium where it would look for its own."""
    browsers = {"PLAYWRIGHT_BROWSERS_PATH": str(story.parent / "browsers")}
    place = ran([python, "-c", WHERE_PLAYWRIGHT_LOOKS], story.parent, **browsers).stdout.strip()
    program = os.environ.get("WEBGPU_WIDGET_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    pathlib.Path(place).parent.mkdir(parents=True)
    pathlib.Path(place).write_text(f'#!/bin/sh\nexec {program} --headless "$@"\n')
    pathlib.Path(place).chmod(0o755)
    command = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "story.ipynb", "--output", "executed.ipynb"]
    told = ran(command, story.parent, WEBGPU_WIDGET_TRANSPORT="headless")
    assert told.returncode == 0, told.stderr[-3000:]
    command = [python, "-m", "nbconvert", "--to", "webpdf", "--disable-chromium-sandbox", "executed.ipynb"]
    told = ran(command, story.parent, **browsers)
    assert told.returncode == 0, told.stderr[-3000:]
    made = (story.parent / "executed.pdf").read_bytes()
    # Skia writes each picture as an object with its size, uncompressed but for its pixels.
    images = re.findall(rb"/Subtype /Image\s+/Width (\d+)\s+/Height (\d+)", made)
    stored = [
        Image.open(io.BytesIO(base64.b64decode(str(cell[-1]["data"]["image/png"])))).size  # type: ignore[index]
        for cell in outputs(story.parent / "executed.ipynb")
    ]
    assert sorted((int(width), int(height)) for width, height in images) == sorted(stored)


def test_notebook_7_computes_in_the_page(lab: Lab, python: str, story: pathlib.Path) -> None:
    port = free_port()
    command = [python, "-m", "notebook", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    options = [f"--IdentityProvider.token={TOKEN}", "--JupyterNotebookApp.expose_app_in_browser=True"]
    with serving([*command, *options], port, story.parent):
        page = lab.context.new_page()
        page.goto(f"http://127.0.0.1:{port}/notebooks/story.ipynb?token={TOKEN}", wait_until="domcontentloaded")
        status = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status"
        page.wait_for_function(f"() => {status} === 'idle'", timeout=120_000)
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        page.wait_for_selector(".wgmb[data-state=idle]", state="attached", timeout=120_000)
        page.wait_for_selector(".wgsv[data-state=playing]", state="attached", timeout=60_000)
        card = page.locator(".webgpu-widget-status")
        page.wait_for_function(
            "() => document.querySelector('.webgpu-widget-status')?.textContent.includes('swiftshader')"
        )
        assert "comm" in str(card.text_content()) or "WebSocket" in str(card.text_content())
        assert "sum 499500.0" in page.locator("body").inner_text()
        # As in JupyterLab: pictures in the file, live views where they are.
        end = time.monotonic() + 30
        while True:
            page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
            page.wait_for_timeout(500)
            kept = [cell[-1]["data"] for cell in outputs(story) if cell]
            if len(kept) == 3 and all(set(data) == {"image/png", "text/plain"} for data in kept):  # type: ignore[call-overload]
                break
            assert time.monotonic() < end, kept
        page.screenshot(path=str(story.parent / "notebook7.png"))
        page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.goto(f"http://127.0.0.1:{port}/notebooks/story.ipynb?token={TOKEN}", wait_until="domcontentloaded")
        page.wait_for_function(
            "() => document.querySelectorAll(\"img[src^='data:image/png']\").length === 3", timeout=60_000
        )
        assert "Error displaying widget" not in page.locator("body").inner_text()
        page.close()


def test_voila_shows_live_views_of_what_a_headless_browser_computed(lab: Lab, python: str, story: pathlib.Path) -> None:
    port = free_port()
    command = [python, "-m", "voila", "story.ipynb", "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    address = f"http://127.0.0.1:{port}/"
    with serving(command, port, story.parent, WEBGPU_WIDGET_TRANSPORT="headless"):
        page = lab.browser.new_page()
        page.goto(address, timeout=120_000)
        page.wait_for_selector(".wgmb[data-state=idle]", state="attached", timeout=120_000)
        page.wait_for_selector(".wgsv[data-state=playing]", state="attached", timeout=60_000)
        assert "sum 499500.0" in page.locator("body").inner_text()
        assert "swiftshader" in str(page.locator(".webgpu-widget-status").first.text_content())
        page.screenshot(path=str(story.parent / "voila.png"))
        page.close()


def test_voila_without_one_says_what_to_set(lab: Lab, python: str, story: pathlib.Path) -> None:
    port = free_port()
    command = [python, "-m", "voila", "story.ipynb", "--no-browser", f"--port={port}", "--show_tracebacks=True"]
    address = f"http://127.0.0.1:{port}/"
    with serving(command, port, story.parent):
        page = lab.browser.new_page()
        page.goto(address, timeout=120_000)
        page.wait_for_function("() => document.body.innerText.includes('WEBGPU_WIDGET_TRANSPORT=headless')")
        page.close()


MARIMO = """
import marimo
app = marimo.App()

@app.cell
def computed():
    import numpy as np
    import webgpu_widget as wg
    gpu = wg.GPU("headless")
    total = float(gpu.array(np.arange(1000, dtype=np.float32)).sum())
    gpu
    return (gpu, total, wg)

@app.cell
def said(total):
    f"sum {total}"
    return

@app.cell
def explored(gpu, wg):
    explorer = wg.MandelbrotExplorer(height=240, gpu=gpu)
    explorer
    return (explorer,)

@app.cell
def drawn(gpu, wg):
    view = wg.ShaderView("fn image(p: vec2f, time: f32) -> vec3f { return vec3f(p / 64.0, fract(time)); }", size=(64, 64), gpu=gpu)
    view
    return (view,)

if __name__ == "__main__":
    app.run()
"""


def test_marimo_shows_live_views_of_what_a_headless_browser_computed(lab: Lab, tmp_path: pathlib.Path) -> None:
    (tmp_path / "story.py").write_text(MARIMO)
    port = free_port()
    command = [sys.executable, "-m", "marimo", "run", "story.py", "--headless", "--no-token", "--host=127.0.0.1"]
    with serving([*command, f"--port={port}"], port, tmp_path):
        page = lab.browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/", timeout=120_000)
        page.wait_for_selector(".wgmb[data-state=idle]", state="attached", timeout=120_000)
        page.wait_for_selector(".wgsv[data-state=playing]", state="attached", timeout=60_000)
        page.screenshot(path=str(pathlib.Path(os.environ.get("WEBGPU_WIDGET_SCREENSHOTS", tmp_path)) / "marimo.png"))
        page.get_by_text("sum 499500.0").wait_for(state="attached")
        card = page.locator(".webgpu-widget-status")
        assert "ready" in str(card.first.text_content())
        assert "swiftshader" in str(card.first.text_content())
        # marimo shows a widget inside a shadow, with styles of its own.
        assert card.first.evaluate("(card) => getComputedStyle(card).borderRadius") == "6px"
        inside = "(element) => { const [a, b] = [element, element.closest('.wgsv, .wgmb')].map((e) => e.getBoundingClientRect()); return a.right <= b.right && a.bottom <= b.bottom; }"
        assert page.locator(".wgsv button").last.evaluate(inside), "a small view has all of its buttons"
        assert page.locator(".wgmb-status").evaluate(inside), "a low explorer has its line"
        page.close()
