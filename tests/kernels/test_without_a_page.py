"""Hosts without a page: IPython's shell, and pytest-xdist, whose workers have a browser each."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

SHELL = """
import numpy as np
import webgpu_widget as wg
gpu = wg.GPU()
x = gpu.array(np.arange(5, dtype=np.float32))
print("sum", float(x.sum()))
image = "fn image(position: vec2f) -> vec3f { return vec3f(0.5); }"
display(gpu, wg.ShaderView(image, (4, 4), gpu))
print("awaited", (await (2 * x).numpy_async()).tolist())
gpu.close()
display(gpu)
"""
TESTS = """
import numpy as np
import pytest
import webgpu_widget as wg

@pytest.mark.parametrize("n", range(4))
def test_sum(n, worker_id):
    gpu = wg.default_gpu()
    assert float(gpu.array(np.full(7, n, np.float32)).sum()) == 7 * n
    pid = gpu._device.transport.browser_pid
    print("computed by", worker_id, pid, gpu.transport)
"""


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "WEBGPU_WIDGET_TRANSPORT"}


def test_ipython_computes_and_shows_text(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--simple-prompt", "-c", SHELL]
    told = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=120
    )
    lines = told.stdout.splitlines()
    assert told.returncode == 0, told.stdout + told.stderr
    assert "sum 10.0" in lines
    assert "awaited [0.0, 2.0, 4.0, 6.0, 8.0]" in lines
    assert any(line.startswith("GPU(") and line.endswith(", transport='headless')") for line in lines[:-1]), (
        "a card is a line here"
    )
    assert "ShaderView(4 x 4 at 0.00 s)" in lines
    assert "GPU(closed, transport='headless')" in lines
    assert told.stderr == ""


@pytest.mark.long
def test_workers_of_xdist_have_a_browser_each(tmp_path: pathlib.Path) -> None:
    (tmp_path / "test_sums.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-n", "2", "-rP", "-p", "no:cacheprovider", str(tmp_path)]
    told = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=200
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "4 passed" in told.stdout
    found = set(re.findall(r"computed by (gw\d) (\d+) headless", told.stdout))
    assert {worker for worker, _ in found} == {"gw0", "gw1"}
    assert len({pid for _, pid in found}) == len(found) == 2, "one browser a worker, for all of its tests"
    for _, pid in found:
        assert not pathlib.Path(f"/proc/{pid}").exists(), "it has ended with its worker"
