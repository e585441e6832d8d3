"""Square float32 products on one page in one run: this package's kernels beside tfjs, onnxruntime-web and jax-js; then NumPy, and PyTorch where it is.

    cd bench && npm ci && cd .. && python bench/matmul.py [SIZE,SIZE ...] [--adapter nvidia]

Products are chained and a value of the last is read. Each library's first product is checked against float64. CHROMIUM and CHROMIUM_FLAGS choose the browser (bench/browser.py).
On a CPU adapter the table also says how much one second of processor time gives, which other work on the machine does not distort.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from browser import collect
from record import ADAPTERS, program

HERE = Path(__file__).parent


def numpy_gflops(n: int) -> float:
    a = np.random.default_rng().standard_normal((n, n)).astype(np.float32)
    b = a * np.float32((3 / n) ** 0.5)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        a = a @ b
        times.append(time.perf_counter() - start)
    return 2 * n**3 / sorted(times[1:])[1] / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="?", default="256,512,1024")
    parser.add_argument("--adapter", choices=sorted(ADAPTERS), default="swiftshader", help="whose kernels to launch")
    parser.add_argument("--limit", type=float, default=600, help="seconds to wait for the page")
    options = parser.parse_args()
    sizes = [int(n) for n in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["node", str(HERE / "build.mjs"), folder], check=True)  # noqa: S607 - node is the bench's own need
        jobs = [program(options.adapter, n, n, n) for n in sizes]
        (Path(folder) / "peers.json").write_text(json.dumps(jobs))
        query = f"sizes={options.sizes}&round_ms=300" + ("&cpu" if options.adapter == "swiftshader" else "")
        if collect(folder, query, options.limit) is None:
            raise SystemExit("the page posted nothing in time")
    for n in sizes:
        if n <= 4096:
            print(f"{n:5} NumPy        {numpy_gflops(n):10.2f} GFLOP/s")
    subprocess.run(["python3", str(HERE / "torch_peer.py")], check=False)  # noqa: S607 - the machine's Python may have PyTorch


if __name__ == "__main__":
    main()
