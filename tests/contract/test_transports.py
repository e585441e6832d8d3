"""The stories on the transports that need no notebook."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator

import pytest
from stories import STORIES

import webgpu_widget as wg
from webgpu_widget.link.transports._chromium import Browser


@pytest.fixture(scope="module", params=["headless", "page"])
def transport_gpu(request: pytest.FixtureRequest, gpu: wg.GPU) -> Iterator[wg.GPU]:
    if request.param == "headless":
        yield gpu
        return
    made = wg.GPU(transport="page", port=0)
    browser = Browser(made.url)
    yield made
    made.close()
    browser.close()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_transport(transport_gpu: wg.GPU, story) -> None:
    story(transport_gpu)


def test_gpu_made_before_its_page_exists_works_when_the_page_comes() -> None:
    made = wg.GPU(transport="page")
    browser = None
    try:
        kernel_source = "@group(0) @binding(0) var<storage, read_write> y: array<u32>; @compute @workgroup_size(1) fn main() { y[0] = 7u; }"
        y = made.zeros(1, "uint32")
        browser = Browser(made.url)
        made.kernel(kernel_source)(y=y, threads=1)
        assert y.numpy()[0] == 7
    finally:
        made.close()
        if browser is not None:
            browser.close()


def test_page_that_is_closed_mid_wait_is_said_and_another_one_takes_over() -> None:
    made = wg.GPU(transport="page")
    first = Browser(made.url)
    try:
        made.ready()
        kept = made.zeros(4)
        kept.numpy()
        first.close()
        with pytest.raises(wg.FrontendLostError, match="closed or reloaded"):
            kept.numpy()
        second = Browser(made.url)
        try:
            STORIES[1](made)
            with pytest.raises(wg.FrontendLostError, match="gone"):
                kept.numpy()
        finally:
            second.close()
    finally:
        made.close()
        first.close()


def test_browser_that_dies_after_it_had_worked_is_replaced_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    import os
    import signal

    made = wg.GPU(transport="headless")
    try:
        kept = made.zeros(4)
        kept.numpy()
        pid = made._device.transport.browser_pid
        os.killpg(pid, signal.SIGKILL)
        with pytest.raises(wg.FrontendLostError, match=r"ended with status -9. It said: .* is gone; run the cells"):
            kept.numpy()
        STORIES[1](made)
        assert made._device.transport.browser_pid != pid
    finally:
        made.close()
    told = [record.getMessage() for record in caplog.records if "Another one is started" in record.getMessage()]
    assert len(told) == 1
    assert "ended with status -9. It said: " in told[0]


def test_browser_ends_with_its_gpu_and_with_python(tmp_path) -> None:
    import os
    import signal
    import subprocess
    import sys
    import time

    script = "import webgpu_widget as wg, time\ngpu = wg.GPU(transport='headless'); gpu.ready(); print(gpu._device.transport.browser_pid, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if "Z" in (pathlib_status(pid) or ""):
            return
        time.sleep(0.1)
    raise AssertionError("the browser outlived a killed Python")


def pathlib_status(pid: int) -> str | None:
    import pathlib

    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


@pytest.mark.parametrize("port", [-1, 65536, "80", "taken"])
def test_port_that_cannot_be_listened_on(port: object, recwarn: pytest.WarningsRecorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        asked = taken.getsockname()[1] if port == "taken" else port
        with pytest.raises(wg.FrontendError, match="pass another port, or 0"):
            wg.GPU(transport="page", port=asked)  # type: ignore[arg-type]
        with pytest.raises(wg.ClusterError, match="pass another port, or 0"):
            wg.Cluster(port=asked)  # type: ignore[arg-type]
    gc.collect()  # What was half made goes without a word; a warning of an exception in __del__ would be an error.
    assert not recwarn.list
