"""How fast weights come in beside the bare way, and what they cost in memory.

    python bench/weights.py [--megabytes 300] [--rounds 3] [--parts routes,paced,files,memory] [--json FILE]

All in one page that nobody watches: a bare ``fetch`` of the same file with its ``writeBuffer``; ``load_weights`` by the hub's address without and with the
cache, from the cache, and by Python's messages beside bare messages (``Queue.write``) of the same bytes. Ratios are of the best rounds,
which alternate. Loopback is no network: ``paced`` loads by address from a server that sends 125 MB/s (1 Gbit/s), and from the cache. ``files`` is the same in a JupyterLab page, by the server's own ``/files/``. Memory is the resident set of the page's process
and of this one, sampled every 20 ms. After each load some tensors, drawn at random, are compared with the file; where one differs, WRONG stands for the rate.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
import psutil
from safetensors import safe_open
from safetensors.numpy import save_file

import webgpu_widget as wg
from webgpu_widget.link.transports._hub import Hub

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "lab"), str(ROOT / "bench")]
from _devtools import DevToolsPage  # noqa: E402
from _paced import PacedServer  # noqa: E402
from _quiet_lab import QuietLab  # noqa: E402

GIGABIT = 125e6  # bytes a second

BARE = """async ([url, size]) => {
  globalThis.bareDevice ??= await (await navigator.gpu.requestAdapter()).requestDevice(
    { requiredLimits: { maxBufferSize: (await navigator.gpu.requestAdapter()).limits.maxBufferSize } });
  const buffers = [];
  const take = (n) => { const b = bareDevice.createBuffer({ size: n, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST }); buffers.push(b); return b; };
  const began = performance.now();
  const bytes = await (await fetch(url, { cache: "no-store" })).arrayBuffer();
  const fetched = performance.now();
  for (let at = 0, n; size - at >= 4; at += n) {
    n = Math.min(2 ** 30, bareDevice.limits.maxBufferSize, size - at) & ~3;
    bareDevice.queue.writeBuffer(take(n), 0, bytes, at, n);
  }
  await bareDevice.queue.onSubmittedWorkDone();
  const ended = performance.now();
  for (const b of buffers) b.destroy();
  return [(ended - began) / 1000, (fetched - began) / 1000];
}"""

STREAM = """async ([url, size]) => {
  const began = performance.now();
  const buffers = [];
  const reader = (await fetch(url, { cache: "no-store" })).body.getReader({ mode: "byob" });
  let chunk = new ArrayBuffer(4 << 20), filled = 0;
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(chunk, filled, chunk.byteLength - filled));
    if (value) { chunk = value.buffer; filled += value.byteLength; }
    if (filled && (done || filled === chunk.byteLength)) {
      const target = bareDevice.createBuffer({ size: filled & ~3, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
      buffers.push(target);
      bareDevice.queue.writeBuffer(target, 0, chunk, 0, filled & ~3);
      filled = 0;
    }
    if (done) break;
  }
  await bareDevice.queue.onSubmittedWorkDone();
  for (const b of buffers) b.destroy();
  return (performance.now() - began) / 1000;
}"""


def make_file(path: Path, megabytes: int) -> None:
    """Write layers of 10 MB of float32, random enough that nothing compresses them, without holding them all."""
    rng = np.random.default_rng(0)
    columns = 1024
    rows = 10_000_000 // (4 * columns)
    count = max(10, megabytes // 10)
    block = rng.normal(size=(rows, columns)).astype(np.float32)
    if megabytes <= 400:
        save_file({f"layers.{n:03}.w": block + np.float32(n) for n in range(count)}, path)
        return
    size = block.nbytes
    header = {
        f"layers.{n:03}.w": {"dtype": "F32", "shape": list(block.shape), "data_offsets": [n * size, (n + 1) * size]}
        for n in range(count)
    }
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for n in range(count):
            file.write((block + np.float32(n)).tobytes())


class Peak:
    """Most resident bytes of some processes above where they began."""

    def __init__(self, **processes: psutil.Process) -> None:
        self.processes = processes
        self.begin = {name: process.memory_info().rss for name, process in processes.items()}
        self.most = dict(self.begin)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self) -> None:
        while not self.stop.wait(0.02):
            for name, process in self.processes.items():
                self.most[name] = max(self.most[name], process.memory_info().rss)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    @property
    def above(self) -> dict[str, float]:
        return {name: (self.most[name] - self.begin[name]) / 2**20 for name in self.most}


def page_process(page: DevToolsPage) -> psutil.Process:
    """The renderer that uses most memory and shows none of the browser's own pages."""
    tree = psutil.Process(page.browser.pid).children(recursive=True)
    lines = [(one, one.cmdline()) for one in tree if one.status() != psutil.STATUS_ZOMBIE]
    shown = [one for one, line in lines if "--type=renderer" in line and "--top-chrome-webui" not in line]
    return max(shown, key=lambda one: one.memory_info().rss)


def load(path: Any, gpu: wg.GPU, file: Path | None = None, **options: Any) -> tuple[float, Any, Any]:
    """Seconds of a load (nan when what was loaded is not what is in the file), its report, and the progress at its first stage."""
    began = time.perf_counter()
    weights = wg.load_weights(path, gpu, progress=False, **options)
    weights.wait(weights.stages[0], timeout=300)
    first = weights.progress
    weights.wait(timeout=300)
    seconds = time.perf_counter() - began
    report = weights.report
    assert report.peak_buffer_bytes <= 64 * 2**20, report
    right = is_right(weights, path if file is None else file)
    weights.cancel()
    gpu.synchronize()
    return seconds if right else math.nan, report, first


def best_of(*seconds: float) -> float:
    """The shortest, or nan when one of the loads was not right."""
    return math.nan if any(math.isnan(one) for one in seconds) else min(seconds)


def shown(result: Any) -> Any:
    """A result for JSON, with WRONG where a load was not right."""
    if isinstance(result, dict):
        return {name: shown(value) for name, value in result.items()}
    return "WRONG" if isinstance(result, float) and math.isnan(result) else result


def is_right(weights: wg.Weights, file: Path, sample: int = 3) -> bool:
    """Whether some tensors, drawn at random, are those of the file, bit for bit."""
    with safe_open(file, "numpy") as tensors:
        names = np.random.default_rng().choice(sorted(tensors.keys()), sample, replace=False)
        return all(np.array_equal(weights[name].numpy(timeout=120), tensors.get_tensor(name)) for name in names)


def messages(gpu: wg.GPU, path: Path) -> float:
    """Seconds for the same bytes by the queue's own messages into buffers of 4 MiB."""
    size = path.stat().st_size
    buffers = []
    began = time.perf_counter()
    with path.open("rb") as file:
        for _ in range(0, size, 4 * 2**20):
            piece = file.read(4 * 2**20)
            buffers.append(gpu._device.queue.alloc(len(piece)))
            gpu._device.queue.write(buffers[-1], piece)
    gpu.synchronize(timeout=120)
    seconds = time.perf_counter() - began
    at = int(np.random.default_rng().integers(len(buffers)))
    (raw,) = gpu._device.queue.read([(buffers[at], 0, buffers[at].size_bytes)], timeout=120)
    with path.open("rb") as file:
        file.seek(at * 4 * 2**20)
        right = bytes(raw).startswith(file.read(4 * 2**20))
    for buffer in buffers:
        buffer.free()
    return seconds if right else math.nan


def routes(gpu: wg.GPU, page: DevToolsPage, path: Path, rounds: int) -> dict[str, Any]:
    size = path.stat().st_size
    url = Hub.shared().serve_file(path)
    local = "/" + url.split("/", 3)[3]
    times: dict[str, float] = {}

    def note(name: str, seconds: float) -> None:
        times[name] = best_of(times.get(name, math.inf), seconds)

    first_stage = []
    for _ in range(rounds):
        whole, fetched = page.evaluate(BARE, [local, size])
        note("bare fetch().arrayBuffer()", fetched)
        note("bare fetch().arrayBuffer() + writeBuffer", whole)
        note("bare streamed fetch + writeBuffer", page.evaluate(STREAM, [local, size]))
        seconds, _, first = load(path, gpu, cache=False, verify=False)
        note("url, no cache, no hashes", seconds)
        first_stage.append((first.bytes_moved + first.bytes_from_cache) / size)
        note("url, no cache", load(path, gpu, cache=False)[0])
        wg.cache.clear(gpu=gpu)
        note("url, into the cache", load(path, gpu)[0])
        seconds, report, _ = load(path, gpu)
        assert report.route == "cache", report
        note("from the cache", seconds)
        wg.cache.clear(gpu=gpu)
        note("comm, no cache", load(path, gpu, cache=False, route="comm")[0])
        note("comm, no cache, no hashes", load(path, gpu, cache=False, route="comm", verify=False)[0])
        note("bare messages", messages(gpu, path))
    rates = {name: size / seconds / 1e6 for name, seconds in times.items()}
    bare = max(rates["bare fetch().arrayBuffer() + writeBuffer"], rates["bare streamed fetch + writeBuffer"])
    ratios = {
        "url, no cache / best bare fetch + writeBuffer": rates["url, no cache"] / bare,
        "url, no cache / arrayBuffer + writeBuffer": rates["url, no cache"]
        / rates["bare fetch().arrayBuffer() + writeBuffer"],
        "from the cache / first load": rates["from the cache"] / rates["url, into the cache"],
        "comm / bare messages": rates["comm, no cache"] / rates["bare messages"],
        "comm without hashes / bare messages": rates["comm, no cache, no hashes"] / rates["bare messages"],
        "url without hashes / best bare fetch + writeBuffer": rates["url, no cache, no hashes"] / bare,
    }
    return {"MB_per_second": rates, "ratios": ratios, "moved_when_first_stage_was_usable": min(first_stage)}


def paced(gpu: wg.GPU, path: Path, rounds: int) -> dict[str, float]:
    """A first load by a wire of 1 Gbit/s, and the loads from the cache that follow it."""
    size = path.stat().st_size
    first = cached = float("inf")
    with PacedServer(path, GIGABIT) as server:
        for _ in range(rounds):
            wg.cache.clear(gpu=gpu)
            seconds, report, _ = load(server.url, gpu, path)
            assert report.bytes_moved >= size, report
            first = best_of(first, seconds)
            seconds, report, _ = load(server.url, gpu, path)
            assert report.route == "cache", report
            cached = best_of(cached, seconds)
    wg.cache.clear(gpu=gpu)
    return {
        "first_load_by_a_wire_of_125_MB_per_second": size / first / 1e6,
        "from_the_cache_MB_per_second": size / cached / 1e6,
        "from_the_cache_/_first_load_by_that_wire": first / cached,
    }


_IN_LAB = """
import json, os, pathlib, sys, threading
sys.path[:0] = [{bench!r}]
import anywidget
import webgpu_widget as wg
from webgpu_widget.link import hosts
from weights import BARE, STREAM, best_of, load

class Bare(anywidget.AnyWidget):
    _esm = '''export default {{ initialize({{ model }}) {{
      const bare = {bare}, stream = {stream};
      model.on("msg:custom", async ({{ url, size }}) => {{
        const [whole] = await bare([url, size]);
        model.send({{ whole, streamed: await stream([url, size]) }});
      }});
      model.send({{}});
    }} }};'''

widget, heard, found = Bare(), threading.Semaphore(0), []
hosts.here().claim(widget.comm.comm_id, lambda content, _buffers: (found.append(content), heard.release()))
assert heard.acquire(timeout=20)
path = pathlib.Path("model.safetensors")
gpu = wg.GPU()
gpu.ready()
best = {{}}
for _ in range({rounds}):
    widget.send({{"url": "/files/model.safetensors", "size": path.stat().st_size}})
    assert heard.acquire(timeout=300)
    for checked in (False, True):
        seconds, report, _ = load(path, gpu, cache=False, verify=checked)
        assert report.route == "files", report
        found[-1]["checked" if checked else "unchecked"] = seconds
    best = {{name: best_of(seconds, best.get(name, seconds)) for name, seconds in found[-1].items()}}
print(json.dumps(best))
"""


def files(path: Path, rounds: int) -> dict[str, Any]:
    """The Jupyter server's own files, beside bare fetches of the same address in the same page."""
    lab = QuietLab()
    try:
        shutil.copy(path, lab.server.notebooks / path.name)
        bench = str(ROOT / "bench")
        best = lab.run(_IN_LAB.format(bench=bench, bare=BARE, stream=STREAM, rounds=rounds), 900)
    finally:
        lab.close()
    megabytes = path.stat().st_size / 1e6
    bare = min(best["whole"], best["streamed"])
    return {
        "files_MB_per_second": {name: megabytes / seconds for name, seconds in best.items()},
        "files_ratios": {
            "files / best bare fetch + writeBuffer": bare / best["checked"],
            "files / arrayBuffer + writeBuffer": best["whole"] / best["checked"],
            "files without hashes / best bare fetch + writeBuffer": bare / best["unchecked"],
        },
    }


def memory(gpu: wg.GPU, page: DevToolsPage, path: Path) -> dict[str, Any]:
    found = {}
    ways: dict[str, dict[str, Any]] = {
        "url, into the cache": {},
        "from the cache": {},
        "comm": {"cache": False, "route": "comm"},
    }
    for name, options in ways.items():
        page.evaluate("() => globalThis.gc?.()")
        with Peak(page=page_process(page), python=psutil.Process()) as peak:
            seconds, report, _ = load(path, gpu, **options)
        assert report.route == ("comm" if name == "comm" else "cache" if "from" in name else "url"), report
        found[name] = {**peak.above, "peak_buffer_bytes": report.peak_buffer_bytes / 2**20, "seconds": seconds}
    wg.cache.clear(gpu=gpu)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default="routes,paced,files,memory")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="weights-bench-"))
    path = folder / "model.safetensors"
    result: dict[str, Any] = {}
    try:
        make_file(path, given.megabytes)
        gpu = wg.GPU(transport="page")
        assert gpu.url is not None
        page = DevToolsPage(gpu.url, ("--js-flags=--expose-gc",))
        result |= {
            "adapter": gpu.ready(timeout=60).name,
            "megabytes": path.stat().st_size / 1e6,
            "load": os.getloadavg()[0],
            "cores": os.cpu_count(),
        }
        if "routes" in given.parts:
            result |= routes(gpu, page, path, given.rounds)
        if "paced" in given.parts:
            result["paced"] = paced(gpu, path, given.rounds)
        if "memory" in given.parts:
            result["memory_MiB_above_the_beginning"] = memory(gpu, page, path)
        page.close()
        gpu.close()
        if "files" in given.parts:
            result |= files(path, given.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        text = json.dumps(shown(result), indent=2)  # also what there is when a later part fails
        print(text)
        if given.json:
            given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
