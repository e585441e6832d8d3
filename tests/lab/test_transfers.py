"""Big arrays: bit for bit, with flat memory, the page alive, and over a lane that breaks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab_harness import Lab, Notebook
from test_first_cell import SETUP

HELPERS = """
import os, resource
from webgpu_widget.link.transports._hub import Hub

def heard(gpu):
    end = time.monotonic() + 5
    while not gpu._device.connection.on_lane and time.monotonic() < end:
        gpu.synchronize()
    return gpu._device.connection.on_lane

def break_lane():
    "Close the sockets as a network does: at once and without a word."
    hub = Hub.shared()
    def abort():
        for socket in list(hub.sockets):
            stream = socket._handler.ws_connection.stream
            stream.close()
    hub.loop.call_soon_threadsafe(abort)

class Peak:
    "Most memory that this process holds above what it held at the start, sampled every 5 ms."
    def __enter__(self):
        self.base = self.peak = self.now()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch); self.thread.start()
        return self
    def now(self):
        return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
    def watch(self):
        while not self.over.wait(0.005):
            self.peak = max(self.peak, self.now())
    def __exit__(self, *_):
        self.over.set(); self.thread.join()
        self.bytes = self.peak - self.base
"""
HEARTBEAT = """() => {
  clearInterval(window.__beat);
  let last = performance.now(); window.__gap = 0; window.__beats = 0;
  window.__beat = setInterval(() => { const now = performance.now(); window.__gap = Math.max(window.__gap, now - last); window.__beats++; last = now; }, 20);
}"""


@pytest.fixture(scope="module")
def shared(lab: Lab) -> Iterator[Notebook]:
    made = lab.notebook()
    made.run(SETUP + HELPERS).ok()
    yield made
    made.close()


@pytest.mark.long
@pytest.mark.parametrize("lane", [True, False], ids=["lane", "comm"])
def test_256_mib_each_way(shared: Notebook, lane: bool) -> None:
    shared.page.evaluate(HEARTBEAT)
    result = shared.run(
        f"""
os.environ["WEBGPU_WIDGET_LANE"] = "{int(lane)}"
gpu = wg.GPU()
gpu.ready(); time.sleep(0.3)
lane = heard(gpu) if {lane} else gpu._device.connection.on_lane
words = 64 << 20
data = np.arange(words, dtype=np.uint32)
data *= np.uint32(2654435761)
with Peak() as up:
    t = time.perf_counter()
    k = gpu.array(data)
    gpu.synchronize(timeout=60)
    up_s = time.perf_counter() - t
with Peak() as down:
    t = time.perf_counter()
    back = k.numpy(timeout=60)
    down_s = time.perf_counter() - t
same = bool(np.array_equal(back, data))
k.free(); del back
gpu.close()
del os.environ["WEBGPU_WIDGET_LANE"]
print(json.dumps(dict(lane=lane, same=same, up=256 / up_s, down=256 / down_s, up_extra=up.bytes / 2**20, down_extra=down.bytes / 2**20 - 256)))
""",
        timeout=240,
    ).value
    gap, beats = shared.page.evaluate("() => [window.__gap, window.__beats]")
    print(
        f"{'lane' if lane else 'comm'}: up {result['up']:.0f} MiB/s, down {result['down']:.0f} MiB/s; Python held {result['up_extra']:.0f} MiB more on the way up, "
        f"{result['down_extra']:.0f} MiB beyond the data on the way down; longest gap between the page's heartbeats {gap:.0f} ms of {beats} beats"
    )
    assert result["lane"] == lane
    assert result["same"]
    assert result["up_extra"] < 64
    assert result["down_extra"] < 64
    moved_ms = 1000 * (256 / result["up"] + 256 / result["down"])
    assert gap < max(2000, moved_ms / 10), "the page answers while bytes move"


@pytest.mark.long
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_lane_that_breaks_in_the_middle_of_64_mib(shared: Notebook, way: str) -> None:
    result = shared.run(
        f"""
gpu = wg.GPU()
gpu.ready()
lane = heard(gpu)
data = np.arange(16 << 20, dtype=np.uint32)
data *= np.uint32(2246822519)
session = gpu._device.connection._session
def breaker(begun):
    while not begun():
        time.sleep(0.001)
    break_lane()
if "{way}" == "up":
    before = session._sent
    thread = threading.Thread(target=breaker, args=(lambda: session._sent >= before + 5,)); thread.start()
    k = gpu.array(data)
    gpu.synchronize(timeout=60)
    thread.join()
else:
    k = gpu.array(data)
    gpu.synchronize(timeout=60)
    before = session._received
    thread = threading.Thread(target=breaker, args=(lambda: session._received >= before + 4,)); thread.start()
back = k.numpy(timeout=60)
thread.join()
print(json.dumps([lane, bool(np.array_equal(back, data)), session.epoch, gpu._device.connection.on_lane]))
gpu.close()
""",
        timeout=120,
    ).value
    lane, same, epoch, on_lane_after = result
    print(f"{way}: back on a lane afterwards: {on_lane_after}")
    assert lane
    assert same
    assert epoch == 1
