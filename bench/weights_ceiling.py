"""What this machine's browser can do with chunks from its storage, part by part: the ceiling of a load from the cache.

    python bench/weights_ceiling.py [--megabytes 100] [--rounds 3] [--json FILE]

A bare page keeps chunks of 4 MiB in the origin-private file system, brings them back, hashes them as `chunk_digest` does, and gives them to the GPU: each part
alone, and together. A row has the best rate of the rounds, which alternate, and the least processor time of the browser's processes, in seconds a GB: other
programs on the machine disturb that less than the rate.
"""

from __future__ import annotations

import argparse
import collections
import http.server
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]
from _devtools import DevToolsPage  # noqa: E402

CHUNK_BYTES = 4 * 2**20

# `o` has the count of chunks and their bytes.
ROWS = {
    "open and close": "timed(() => workers[0]('files', { ...o, from: 0, to: o.count }))",
    "open, read": "timed(() => workers[0]('files', { ...o, from: 0, to: o.count, read: true }))",
    "read, all in one file": "timed(() => workers[0]('oneFile', o))",
    "digest": "timed(() => workers[0]('hash', o))",
    "digest of whole chunks": "timed(() => workers[0]('hash', { ...o, block: o.chunk }))",
    "open, read, digest": "timed(() => workers[0]('files', { ...o, from: 0, to: o.count, read: true, hash: true }))",
    "open, read, digest; 2 threads": """timed(() => Promise.all([0, 1].map((n) =>
        workers[n]('files', { ...o, from: n * (o.count >> 1), to: n ? o.count : o.count >> 1, read: true, hash: true }))))""",
    "writeBuffer": "upload({ ...o, threads: 0, way: 'writeBuffer' })",
    "mapped staging buffers": "upload({ ...o, threads: 0, way: 'staging' })",
    "mappedAtCreation": "upload({ ...o, threads: 0, way: 'mappedAtCreation' })",
    "open, read, writeBuffer": "upload({ ...o, threads: 1, way: 'writeBuffer' })",
    "open, read, digest, writeBuffer": "upload({ ...o, threads: 1, way: 'writeBuffer', hash: true })",
    "open, read, digest, writeBuffer; 2 threads": "upload({ ...o, threads: 2, way: 'writeBuffer', hash: true })",
    "the same, all in one file": "upload({ ...o, threads: 2, way: 'writeBuffer', hash: true, one: true })",
    "the same with staging buffers": "upload({ ...o, threads: 2, way: 'staging', hash: true, one: true })",
}


def processor_seconds(pid: int) -> collections.Counter[str]:
    """Seconds that a browser's processes have used, by kind."""
    spent: collections.Counter[str] = collections.Counter()
    root = psutil.Process(pid)
    for one in [root, *root.children(recursive=True)]:
        try:
            line, times = one.cmdline(), one.cpu_times()
        except psutil.Error:
            continue
        kinds = [word.split("=")[1] for word in line if word.startswith("--type=")]
        spent[kinds[0] if kinds else "browser"] += times.user + times.system
    return spent


class Blank(http.server.BaseHTTPRequestHandler):
    """An empty page: storage needs an origin."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, *_: object) -> None:
        pass


def open_page(server: http.server.ThreadingHTTPServer) -> DevToolsPage:
    page = DevToolsPage(f"http://127.0.0.1:{server.server_port}/")
    while not page.evaluate("() => location.port && document.readyState === 'complete'"):
        time.sleep(0.1)
    page.evaluate(
        (HERE / "page" / "ceiling_page.js").read_text().strip().removesuffix(";"),
        (HERE / "page" / "ceiling_worker.js").read_text(),
    )
    return page


def measure(page: DevToolsPage, options: dict[str, int], rounds: int) -> dict[str, dict[str, float]]:
    page.evaluate("async (o) => { await workers[0]('prepare', o); await workers[1]('folder', {}); }", options)
    size = options["count"] * options["chunk"]
    rates: dict[str, list[float]] = collections.defaultdict(list)
    spent: dict[str, list[dict[str, float]]] = collections.defaultdict(list)
    for _ in range(rounds):
        for name, script in ROWS.items():
            before = processor_seconds(page.browser.pid)
            rates[name].append(size / page.evaluate(f"(o) => {script}", options) / 1e6)
            after = processor_seconds(page.browser.pid)
            spent[name].append({kind: (after[kind] - before[kind]) / size * 1e9 for kind in after})
    rows = {}
    for name in ROWS:
        least = min(spent[name], key=lambda one: sum(one.values()))
        parts = {kind: round(value, 2) for kind, value in least.items() if value >= 0.05}
        rows[name] = {"MB_per_second": round(max(rates[name])), "cpu_s_per_GB": round(sum(least.values()), 2), **parts}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = open_page(server)
    try:
        options = {"count": given.megabytes * 10**6 // CHUNK_BYTES, "chunk": CHUNK_BYTES}
        rows = measure(page, options, given.rounds)
        result: dict[str, Any] = {"load": os.getloadavg()[0], "cores": os.cpu_count(), "rows": rows}
    finally:
        page.close()
        server.shutdown()
    for name, row in rows.items():
        print(f"{name:45}{row}")
    print("load", result["load"])
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
