"""What the way to the page costs: round trips and bytes, beside the bare thing on the same page in the same run.

    python bench/transport.py [--rounds 5] [--mib 64] [--json FILE] [--skip-lab] [--skip-page]

In a real JupyterLab: a bare anywidget echo and bare anywidget binary messages beside the comm, a bare WebSocket of the same stack (tornado) beside
the fast lane. In the hub's page (what `headless` opens): the page's own dispatch-and-map beside the round trip, a bare WebSocket beside bytes,
a loop written by hand beside a replayed program. Bare and ours take turns within each round; the figures are medians. Results of ours are
compared with NumPy's in the same run; where one differs, WRONG stands for the figure.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import platform
import statistics
import sys
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "lab"), str(ROOT / "bench")]

SQUARE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * x[id.x]; }
}"""

STEP = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * 0.5 + 1.0; }
}"""

# Written by hand, as a WebGPU programmer would: one device, prepared pipeline and bind groups, one encoder.
BY_HAND = """async ([square, step, repeats]) => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice();
  const n = 1000, bytes = 4 * n, S = GPUBufferUsage;
  const make = (usage) => device.createBuffer({ size: bytes, usage });
  const x = make(S.STORAGE | S.COPY_DST), y = make(S.STORAGE | S.COPY_SRC), out = make(S.MAP_READ | S.COPY_DST);
  const build = async (code) => device.createComputePipelineAsync({ layout: 'auto', compute: { module: device.createShaderModule({ code }), entryPoint: 'main' } });
  const one = await build(square), chain = await build(step);
  const group = (pipeline, a, b) => device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: { buffer: a } }, { binding: 1, resource: { buffer: b } }] });
  const g = group(one, x, y);
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
  const trips = [];
  for (let i = 0; i < repeats; i++) {
    const t = performance.now();
    device.queue.writeBuffer(x, 0, new Float32Array(n).fill(i));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(one); pass.setBindGroup(0, g); pass.dispatchWorkgroups(16); pass.end();
    encoder.copyBufferToBuffer(y, 0, out, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await out.mapAsync(GPUMapMode.READ); out.getMappedRange().slice(0); out.unmap();
    trips.push(performance.now() - t);
  }
  const big = 1 << 16, p = device.createBuffer({ size: 4 * big, usage: S.STORAGE }), q = device.createBuffer({ size: 4 * big, usage: S.STORAGE });
  const there = group(chain, p, q), back = group(chain, q, p), loops = [];
  for (let i = 0; i < 5; i++) {
    const t = performance.now();
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(chain);
    for (let k = 0; k < 1000; k++) { pass.setBindGroup(0, k % 2 ? back : there); pass.dispatchWorkgroups(big / 64); }
    pass.end();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    loops.push(performance.now() - t);
  }
  device.destroy();
  return [median(trips), median(loops)];
}"""


def median(values: list[float]) -> float:
    """The median, or nan when one of the results was wrong."""
    return math.nan if any(math.isnan(value) for value in values) else statistics.median(values)


def in_kernel() -> str:
    """Return the first cell: bare things and ours, as functions."""
    return (pathlib.Path(__file__).with_name("_in_kernel.py")).read_text()


def bench_lab(rounds: int, mib: int) -> dict[str, Any]:
    from _quiet_lab import QuietLab

    lab = QuietLab()
    try:
        lab.run(in_kernel())
        collected: dict[str, list[float]] = {}
        for _ in range(rounds):
            for key, value in lab.run(f"print(json.dumps(one_round({mib})))").items():
                collected.setdefault(key, []).append(value)
    finally:
        lab.close()
    return {key: median(values) for key, values in collected.items()}


def there_and_back(gpu: Any, data: Any) -> tuple[float, float]:
    """MiB a second to the page and back; nan for both when other bytes came back."""
    mib = data.nbytes / 2**20
    began = time.perf_counter()
    array = gpu.array(data)
    gpu.synchronize()
    up = mib / (time.perf_counter() - began)
    began = time.perf_counter()
    back = array.numpy()
    down = mib / (time.perf_counter() - began)
    array.free()
    return (up, down) if (back == data).all() else (math.nan, math.nan)


def bench_page(rounds: int, mib: int) -> dict[str, Any]:
    import numpy as np
    from _bare import BareSocket
    from lab_harness import FLAGS
    from playwright.sync_api import sync_playwright

    import webgpu_widget as wg

    program = os.environ.get("WEBGPU_WIDGET_BROWSER", "/usr/bin/chromium")
    collected: dict[str, list[float]] = {}

    def add(**values: float) -> None:
        for key, value in values.items():
            collected.setdefault(key, []).append(value)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        page = browser.new_page()
        gpu = wg.GPU(transport="page")
        page.goto(gpu.url or "")
        info = gpu.ready()
        bare = BareSocket()
        page.evaluate(bare.javascript())
        bare.wait()
        x = np.arange(1000, dtype=np.float32)
        data = np.arange(mib << 18, dtype=np.uint32)
        step = gpu.kernel(STEP)
        p, q = gpu.zeros(1 << 16), gpu.zeros(1 << 16)
        with gpu.record() as chain:
            step(x=p, y=q, threads=1 << 16)
            step(x=q, y=p, threads=1 << 16)
        for _ in range(rounds):
            hand_ms, loop_ms = page.evaluate(BY_HAND, [SQUARE, STEP, 40])
            trips = []
            for i in range(40):
                t = time.perf_counter()
                y = gpu.run(SQUARE, x=x + i, y=wg.out(x.shape), threads=x.size)
                trips.append(1e3 * (time.perf_counter() - t) if np.array_equal(y, (x + i) ** 2) else math.nan)
            replays = []
            p[...] = 0
            for _ in range(5):
                t = time.perf_counter()
                chain.replay(times=500)
                gpu.synchronize()
                replays.append(1e3 * (time.perf_counter() - t))
            # x / 2 + 1 comes to 2 - 2**-n from 0, and to 2 itself where float32 ends.
            if not np.array_equal(p.numpy(), np.full(1 << 16, 2, np.float32)):
                replays = [math.nan]
            add(hand_trip_ms=hand_ms, page_trip_ms=median(trips), hand_loop_ms=loop_ms, replay_ms=median(replays))
            add(bare_socket_echo_ms=bare.echo_ms(40))
            add(bare_socket_up=bare.up(mib), bare_socket_down=bare.down(mib))
            up, down = there_and_back(gpu, data)
            add(page_up=up, page_down=down)
        gpu.close()
        bare.close()
        browser.close()
    return {"adapter": info.name, **{key: median(values) for key, values in collected.items()}}


def row(what: str, ours: float, bare: float, unit: str, target: str, met: bool, ratio: str) -> str:
    if math.isnan(ours):
        return f"| {what} | WRONG | {bare:.1f} {unit} | | {target} | NO |"
    return f"| {what} | {ours:.1f} {unit} | {bare:.1f} {unit} | {ratio} | {target} | {'yes' if met else 'NO'} |"


def table(found: dict[str, Any]) -> list[str]:
    lines = ["| what | ours | bare | ratio | target | met |", "| --- | --- | --- | --- | --- | --- |"]

    def times(what: str, ours: str, bare: str, limit: float) -> None:
        if ours in found and bare in found:
            ratio = found[ours] / found[bare]
            lines.append(
                row(what, found[ours], found[bare], "ms", f"<= {limit:g}x", ratio <= limit, f"{ratio:.2f}x"),
            )

    def rates(what: str, ours: str, bare: str, limit: float) -> None:
        if ours in found and bare in found:
            ratio = found[ours] / found[bare]
            lines.append(
                row(what, found[ours], found[bare], "MiB/s", f">= {limit:g}x", ratio >= limit, f"{ratio:.2f}x"),
            )

    times("Lab, lane: run and read 1000 floats / bare anywidget echo", "lane_trip_ms", "bare_echo_ms", 1.5)
    times("Lab, comm: run and read 1000 floats / bare anywidget echo", "comm_trip_ms", "bare_echo_ms", 1.5)
    rates("Lab, comm: bytes to the browser / bare anywidget messages", "comm_up", "bare_comm_up", 0.8)
    rates("Lab, comm: bytes back / bare anywidget messages", "comm_down", "bare_comm_down", 0.8)
    rates("Lab, lane: bytes to the browser / bare WebSocket", "lane_up", "bare_socket_lab_up", 0.8)
    rates("Lab, lane: bytes back / bare WebSocket", "lane_down", "bare_socket_lab_down", 0.8)
    rates("Lab, lane: bytes to the browser / bare anywidget messages", "lane_up", "bare_comm_up", 5)
    rates("Lab, lane: bytes back / bare anywidget messages", "lane_down", "bare_comm_down", 5)
    if "page_trip_ms" in found:
        extra = found["page_trip_ms"] - found["hand_trip_ms"]
        lines.append(
            row(
                "headless: run and read 1000 floats / dispatch and map in the page",
                found["page_trip_ms"],
                found["hand_trip_ms"],
                "ms",
                "<= +3 ms",
                extra <= 3,
                f"+{extra:.1f} ms",
            ),
        )
    rates("headless: bytes to the browser / bare WebSocket", "page_up", "bare_socket_up", 0.8)
    rates("headless: bytes back / bare WebSocket", "page_down", "bare_socket_down", 0.8)
    times("1,000 chained dispatches: replayed / written by hand", "replay_ms", "hand_loop_ms", 1.3)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--skip-lab", action="store_true")
    parser.add_argument("--skip-page", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, Any] = {
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    }
    if not arguments.skip_page:
        found |= bench_page(arguments.rounds, arguments.mib)
    if not arguments.skip_lab:
        found |= bench_lab(arguments.rounds, arguments.mib)
    print(
        "\n".join(
            f"{key}: {'WRONG' if math.isnan(value) else f'{value:.2f}'}"
            if isinstance(value, float)
            else f"{key}: {value}"
            for key, value in found.items()
        )
    )
    print("\n".join(table(found)))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
