"""As on a hub: the server below /user/NAME/, behind a proxy with a long way and a narrow one, and no loopback between page and kernel."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest
from lab_harness import Lab, Notebook
from lab_server import LabServer
from playwright.sync_api import Playwright
from slow_proxy import SlowProxy

pytestmark = pytest.mark.long

WAY_S = 0.04
BYTES_PER_SECOND = 5e6
WEIGHTS = pathlib.Path(__file__).parents[2] / "notebooks" / "tiny_t5" / "model.safetensors"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, playwright: Playwright) -> Iterator[tuple[Notebook, SlowProxy, Lab]]:
    """A notebook as it is seen from afar."""
    folder = tmp_path_factory.mktemp("hub")
    server = LabServer(folder, {"WEBGPU_WIDGET_LANE": "0"}, base_url="/user/ada/")
    shutil.copy(WEIGHTS, server.notebooks / "model.safetensors")
    proxy = SlowProxy(server.port, WAY_S, BYTES_PER_SECOND)
    server.seen_at = proxy.port
    try:
        lab = Lab(server, playwright)
        notebook = lab.notebook()
        notebook.run("import json, time\nimport numpy as np\nimport webgpu_widget as wg\ngpu = wg.GPU()\ngpu", 120).ok()
        yield notebook, proxy, lab
        lab.close()
    finally:
        proxy.close()
        server.close()


def test_a_round_trip_takes_the_way_and_little_more(hub: tuple[Notebook, SlowProxy, Lab]) -> None:
    notebook, _, _ = hub
    found = notebook.run(
        "gpu.ready()\ntimes = []\nfor _ in range(7):\n    begun = time.perf_counter()\n    gpu.synchronize()\n"
        "    times.append(time.perf_counter() - begun)\nprint(json.dumps([gpu.info.transport, sorted(times)[3]]))",
        120,
    ).value
    print("median round trip", found[1])
    assert found[0] == "comm"
    assert 2 * WAY_S <= found[1] < 2 * WAY_S + 0.4


def test_a_large_array_comes_back_whole(hub: tuple[Notebook, SlowProxy, Lab]) -> None:
    notebook, proxy, _ = hub
    before = list(proxy.passed)
    found = notebook.run(
        "seed = int(time.time())\nx = np.random.default_rng(seed).standard_normal(2**24).astype(np.float32)\n"
        "begun = time.perf_counter()\ny = (gpu.array(x) + np.float32(1)).numpy(timeout=120)\n"
        "print(json.dumps([bool(np.array_equal(y, x + np.float32(1))), time.perf_counter() - begun, seed]))",
        400,
    ).value
    print("64 MiB there and back in", found[1], "s; seed", found[2])
    assert found[0]
    there, back = (now - then for now, then in zip(proxy.passed, before, strict=True))
    assert 2**26 <= back < 1.5 * 2**26
    assert 2**26 <= there < 1.5 * 2**26


def test_weights_come_by_the_servers_files_below_the_users_address(hub: tuple[Notebook, SlowProxy, Lab]) -> None:
    notebook, _, lab = hub
    lab.messages.clear()
    found = notebook.run(
        "weights = wg.load_weights('model.safetensors', gpu=gpu, cache=False)\nweights.wait(timeout=120)\n"
        "from safetensors.numpy import load_file\n"
        "name = 'shared.weight'\nright = bool(np.array_equal(weights[name].numpy(timeout=120), load_file('model.safetensors')[name]))\n"
        "print(json.dumps([weights.report.route, right, weights.report.bytes_per_second]))",
        240,
    ).value
    print("weights at", found[2] / 1e6, "MB/s")
    assert found[:2] == ["files", True]
    assert not [line for line in lab.messages if "404" in line]


def test_the_explorer_draws_deep_and_keeps_its_picture(hub: tuple[Notebook, SlowProxy, Lab]) -> None:
    notebook, _, _ = hub
    notebook.run(
        "e = wg.MandelbrotExplorer(center=('-0.743643887037158704752191506114774', '0.131825904205311970493132056385139'), width='1e-20', height=300)\ne"
    ).ok()
    notebook.page.wait_for_selector(".wgmb[data-state=idle]", timeout=120_000)
    notebook.page.wait_for_timeout(4000)
    found = notebook.run("print(json.dumps([e.status['method'], e._shown is not None]))").value
    assert found[0] in {"bla", "perturbation"}
    assert found[1]
