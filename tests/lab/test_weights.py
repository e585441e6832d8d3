"""Weights in a real JupyterLab: by the server's own files, by the hub, by the comm alone; and a page reloaded in the middle."""

from __future__ import annotations

import json

import pytest
from lab_harness import Lab, Notebook

SETUP = """
import json, os, tempfile, time
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
import webgpu_widget as wg

def model(seed, count=12):
    rng = np.random.default_rng(seed)
    return {f"layers.{n}.w": rng.normal(size=(256, 1024)).astype(np.float32) for n in range(count)}

def check(weights, tensors):
    for name, value in tensors.items():
        np.testing.assert_array_equal(weights[name].numpy(), value)
    weights.wait(timeout=60)
    return weights.report

gpu = wg.GPU()
wg.cache.clear(gpu=gpu)
"""


def load(where: str, **more: object) -> str:
    options = {"progress": False, **more}
    return f"""
folder = {where}
tensors = model({len(where)})
path = folder / "m.safetensors"
save_file(tensors, path)
weights = wg.load_weights(path, gpu, **{options!r})
report = check(weights, tensors)
print(json.dumps([report.route, report.endpoint, report.bytes_moved - path.stat().st_size, report.peak_buffer_bytes, gpu._device.connection.on_lane]))
weights.cancel()
again = wg.load_weights(path, gpu, **{options!r})
report = check(again, tensors)
print(json.dumps([report.route, report.bytes_moved]))
again.cancel()
"""


def values(cell: object) -> list[list[object]]:
    return [json.loads(line) for line in cell.ok().text.splitlines() if line.startswith("[")]  # type: ignore[attr-defined]


def test_each_route(notebook: Notebook) -> None:
    notebook.run(SETUP).ok()
    first, second = values(notebook.run(load("Path.cwd()")))
    assert first[:3] == ["files", first[1], 0]
    assert first[1].startswith("http://127.0.0.1")
    assert 0 < first[3] <= 64 * 2**20
    assert second == ["cache", 0]
    first, second = values(notebook.run(load("Path(tempfile.mkdtemp())")))
    assert first[:3] == ["url", "hub", 0], "outside of the server's root"
    assert second == ["cache", 0]
    first, second = values(notebook.run(load("Path(tempfile.mkdtemp())", route="comm")))
    assert first[:3] == ["comm", "", 0]
    assert second == ["cache", 0]


@pytest.mark.long
def test_a_folder_with_a_name(notebook: Notebook) -> None:
    notebook.run(SETUP).ok()
    odd = '(Path.cwd() / "models #1 (ä)")'
    first, _ = values(notebook.run(f"{odd}.mkdir()\n" + load(odd)))
    assert first[0] == "files"


@pytest.mark.long
def test_the_comm_alone(lab: Lab) -> None:
    notebook = lab.notebook()
    notebook.run("import os; os.environ['WEBGPU_WIDGET_LANE'] = '0'\n" + SETUP).ok()
    first, second = values(notebook.run(load("Path(tempfile.mkdtemp())", route="comm")))
    assert first[:3] == ["comm", "", 0]
    assert first[4] is False
    assert second == ["cache", 0]
    notebook.close()


@pytest.mark.long
def test_a_page_reloaded_in_the_middle(notebook: Notebook) -> None:
    """The kernel keeps the load, the page the chunks: nothing begins anew."""
    notebook.run(SETUP).ok()
    cell = notebook.run(
        """
tensors = model(9, count=24)
path = Path.cwd() / "reloaded.safetensors"
save_file(tensors, path)
weights = wg.load_weights(path, gpu, progress=False)
weights.wait(1, timeout=30)
weights.pause()
print(json.dumps(weights.progress.bytes_moved))
""",
    )
    before = cell.value
    assert before >= 2 * 2**20
    notebook.reload()
    cell = notebook.run(
        """
weights.resume()
report = check(weights, tensors)
print(json.dumps([report.bytes_from_cache, report.bytes_moved - path.stat().st_size]))
weights.cancel()
""",
    )
    cached, extra = cell.value
    assert cached >= before - 3 * 2**20
    assert extra <= 6 * 2**20


@pytest.mark.long
@pytest.mark.parametrize("button", ["Pause", "Cancel"])
def test_the_bar_has_buttons(notebook: Notebook, button: str) -> None:
    notebook.run(SETUP).ok()
    index = notebook.start(
        """
tensors = model(3, count=24)
path = Path.cwd() / "bar.safetensors"
save_file(tensors, path)
import webgpu_widget.weights.opening as opening
weights = wg.load_weights(path, gpu, route="comm", chunk_bytes=65536)
weights._driver._send_chunk = (lambda send: lambda *args: (time.sleep(0.05), send(*args)))(weights._driver._send_chunk)
""",
    )
    notebook.page.get_by_role("button", name=button).click()
    notebook.wait(index).ok()
    state = {"Pause": "paused", "Cancel": "cancelled"}[button]
    cell = notebook.run(
        f"""
end = time.monotonic() + 10
while weights.progress.state != {state!r} and time.monotonic() < end:
    time.sleep(0.02)
print(json.dumps(weights.progress.state))
weights.cancel()
""",
    )
    assert cell.value == state
