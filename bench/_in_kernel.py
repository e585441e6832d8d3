"""The cell that `transport.py` runs first in a notebook: bare anywidget and bare WebSocket, and ours, as functions."""

import json  # noqa: F401 - for the cells that follow
import math
import os
import pathlib
import statistics
import sys
import threading
import time

import anywidget
import numpy as np
from IPython import get_ipython

import webgpu_widget as wg
from webgpu_widget.link import hosts

sys.path.insert(0, str(pathlib.Path(wg.__file__).resolve().parents[1] / "bench"))
from _bare import BareSocket

SQUARE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * x[id.x]; }
}"""
MIB = 1024 * 1024
kernel = get_ipython().kernel
bare_socket = BareSocket()


class Bare(anywidget.AnyWidget):
    """Echoes, swallows and sends binary messages: what anywidget itself can do."""

    _esm = """
export default { initialize({ model }) {
  const chunks = new Map();
  model.on("msg:custom", (message, buffers) => {
    if (message.do === "echo") model.send(message, undefined, buffers);
    else if (message.do === "swallow") model.send({ do: "swallowed" });
    else if (message.do === "give") {
      if (!chunks.has(message.bytes)) chunks.set(message.bytes, new ArrayBuffer(message.bytes));
      for (let i = 0; i < message.count; i++) model.send({ do: "given" }, undefined, [chunks.get(message.bytes).slice(0)]);
    } else if (message.do === "open") (OPEN)();
  });
  model.send({ do: "hello" });
} };""".replace("OPEN", bare_socket.javascript())


class Talk:
    """Waits for the bare widget's messages inside a cell, as our own does."""

    def __init__(self) -> None:
        self.widget = Bare()
        self.came = threading.Semaphore(0)
        hosts.here().claim(self.widget.comm.comm_id, lambda _content, _buffers: self.came.release())
        assert self.came.acquire(timeout=20), "the bare widget did not say hello"

    def echo_ms(self, count: int) -> float:
        taken = []
        payload = bytes(4000)
        for _ in range(count):
            t = time.perf_counter()
            self.widget.send({"do": "echo", "n": 1}, [payload])
            self.came.acquire()
            taken.append(1e3 * (time.perf_counter() - t))
        return statistics.median(taken)

    def up(self, mib: int, size: int) -> float:
        payload = bytes(size)
        count, window = mib * MIB // size, max(2, 8 * MIB // size)
        t = time.perf_counter()
        for i in range(count):
            if i >= window:
                self.came.acquire()
            self.widget.send({"do": "swallow"}, [payload])
        for _ in range(min(window, count)):
            self.came.acquire()
        return mib / (time.perf_counter() - t)

    def down(self, mib: int, size: int) -> float:
        count, window = mib * MIB // size, max(2, 8 * MIB // size)
        t = time.perf_counter()
        for i in range(count):
            if i >= window:
                self.came.acquire()
            self.widget.send({"do": "give", "bytes": size, "count": 1})
        for _ in range(min(window, count)):
            self.came.acquire()
        return mib / (time.perf_counter() - t)


talk = Talk()
talk.widget.send({"do": "open"})
bare_socket.wait()

lane_gpu = wg.GPU()
lane_gpu.ready()
end = time.monotonic() + 5
while not lane_gpu._device.connection.on_lane and time.monotonic() < end:
    lane_gpu.synchronize()
assert lane_gpu._device.connection.on_lane
os.environ["WEBGPU_WIDGET_LANE"] = "0"
comm_gpu = wg.GPU()
comm_gpu.ready()
time.sleep(0.5)
assert not comm_gpu._device.connection.on_lane
x = np.arange(1000, dtype=np.float32)


def trip_ms(gpu: wg.GPU, count: int) -> float:
    taken, right = [], True
    for i in range(count):
        values = x + np.float32(i)
        t = time.perf_counter()
        y = gpu.run(SQUARE, x=values, y=wg.out(x.shape), threads=x.size)
        taken.append(1e3 * (time.perf_counter() - t))
        right = right and np.array_equal(y, values * values)
    return statistics.median(taken) if right else math.nan


def bytes_of(gpu: wg.GPU, mib: int) -> tuple[float, float]:
    data = np.arange(mib * MIB // 4, dtype=np.uint32)
    t = time.perf_counter()
    array = gpu.array(data)
    gpu.synchronize()
    up = mib / (time.perf_counter() - t)
    t = time.perf_counter()
    back = array.numpy()
    down = mib / (time.perf_counter() - t)
    array.free()
    return (up, down) if np.array_equal(back, data) else (math.nan, math.nan)


def one_round(mib: int) -> dict[str, float]:
    """Measure each thing once, bare and ours in turns."""
    found = {}
    found["bare_echo_ms"] = talk.echo_ms(40)
    found["lane_trip_ms"] = trip_ms(lane_gpu, 40)
    found["comm_trip_ms"] = trip_ms(comm_gpu, 40)
    found["bare_comm_up"] = max(talk.up(mib, size) for size in (MIB, 4 * MIB))
    found["comm_up"], found["comm_down"] = bytes_of(comm_gpu, mib)
    found["bare_comm_down"] = max(talk.down(mib, size) for size in (MIB, 4 * MIB))
    found["bare_socket_lab_up"] = bare_socket.up(mib)
    found["lane_up"], found["lane_down"] = bytes_of(lane_gpu, mib)
    found["bare_socket_lab_down"] = bare_socket.down(mib)
    return found
