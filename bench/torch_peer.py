"""PyTorch on CUDA, where it is: square products (TF32 off), a device copy, a matrix-vector product; chained, synchronised, medians."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any


def main() -> None:
    try:
        import torch
    except ImportError:
        print("no torch here")
        return
    if not torch.cuda.is_available():
        print("torch has no CUDA here")
        return
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    print(f"torch {torch.__version__} on {torch.cuda.get_device_name()}")

    def timed(run: Callable[[], Any], flops: float, what: str, unit: float = 1e12, name: str = "TFLOP/s") -> None:
        for _ in range(3):
            run()
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        count = max(3, min(500, int(0.1 / (time.perf_counter() - start))))
        rounds = []
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(count):
                run()
            torch.cuda.synchronize()
            rounds.append((time.perf_counter() - start) / count)
        seconds = statistics.median(rounds)
        rows.append({"name": what, "ms": seconds * 1e3, "rate": flops / seconds / unit})
        print(f"{flops / seconds / unit:9.2f} {name} {seconds * 1e3:9.3f} ms  {what}", flush=True)

    rows: list[dict[str, Any]] = []
    for n in (1024, 2048, 4096, 8192):
        for dtype in (torch.float32, torch.float16):
            a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
            out = torch.empty_like(a)
            timed(partial(torch.mm, a, b, out=out), 2 * n**3, f"torch {n} {dtype}")
    a, x = torch.randn(16384, 16384, device="cuda"), torch.randn(16384, device="cuda")
    y = torch.empty_like(a)
    timed(lambda: y.copy_(a), 8 * a.numel(), "torch copy of 1 GiB", 1e9, "GB/s")
    timed(lambda: torch.mul(a, 1.5, out=y), 8 * a.numel(), "torch y = 1.5 x on 1 GiB", 1e9, "GB/s")
    timed(a.sum, 4 * a.numel(), "torch sum of 1 GiB", 1e9, "GB/s")
    timed(lambda: torch.mv(a, x), 4 * a.numel(), "torch matrix-vector 16384", 1e9, "GB/s")
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(rows, file)


if __name__ == "__main__":
    main()
