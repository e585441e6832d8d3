"""What a CPU adapter takes for a product, tiny T5 and a picture: processor time of the GPU's process, beside an older build in the same run.

    python bench/processor.py --beside /tmp/old             # bench/small.py says how to have it

Wall-clock figures on a machine that others load are worth nothing; the processor time of the browser's GPU process, where SwiftShader computes, is little
distorted by them. Every turn's result is checked: the product and the picture against float64, T5 against the answer that NumPy's twin gives.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from _builds import builds, options, serve, table

TINY = Path(__file__).parents[1] / "notebooks" / "tiny_t5"
PROMPT, ANSWER = "translate English to German: The house is wonderful.", "Das Haus ist wunderbar."
PICTURE: dict[str, Any] = {"center": (-0.75, 0.0), "width": 3.0, "size": (256, 192), "max_iter": 1000}
WORKS = {"product 512": 8, "tiny T5": 6, "Mandelbrot 256 x 192": 6}
"""How often each is done in a turn: the system counts processor time in hundredths of a second."""


def gpu_process_s() -> float:
    """Return the processor time of the GPU processes of this process's browsers."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
                words = (process / "cmdline").read_bytes()
            except OSError:
                continue
            parents[int(process.name)] = int(fields[1])
            if b"--type=gpu-process" in words:
                used[int(process.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_mine(pid: int) -> bool:
        while pid in parents and pid != os.getpid():
            pid = parents[pid]
        return pid == os.getpid()

    return sum(seconds for pid, seconds in used.items() if is_mine(pid))


def counts() -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the picture's counts in float64."""
    width, height = PICTURE["size"]
    step = PICTURE["width"] / width
    x = PICTURE["center"][0] + (np.arange(width) + 0.5 - width / 2) * step
    y = PICTURE["center"][1] + (height / 2 - np.arange(height) - 0.5) * step
    c = x + 1j * y[:, None]
    z, made = np.zeros_like(c), np.full(c.shape, PICTURE["max_iter"])
    for n in range(1, PICTURE["max_iter"]):
        left = made == PICTURE["max_iter"]
        z = np.where(left, z * z + c, 0)
        made[left & (abs(z) > 2)] = n
    return made


def work() -> None:
    """Be the process of a build."""
    import webgpu_widget as wg

    gpu = wg.GPU(transport="headless")
    model = wg.T5.from_pretrained(TINY, gpu, progress=False)
    a, b = (np.random.default_rng(seed).standard_normal((512, 512), np.float32) for seed in (1, 2))
    wide, sizes = a.astype(float) @ b, abs(a).astype(float) @ abs(b)
    there = gpu.array(a), gpu.array(b)
    wanted = counts()

    def product(times: int) -> bool:
        for _ in range(times):
            last = there[0] @ there[1]
        return bool((abs(last.numpy(timeout=60) - wide) <= 513 * 2.0**-24 * sizes).all())

    def answer(times: int) -> bool:
        return all(model.generate(PROMPT) == ANSWER for _ in range(times))

    def picture(times: int) -> bool:
        made = [wg.mandelbrot.render(**PICTURE, gpu=gpu).iterations for _ in range(times)]
        # Direct float32: counts near the boundary drift from the exact ones.
        return all((one == wanted).mean() > 0.98 for one in made)

    table = dict(zip(WORKS, (product, answer, picture), strict=True))

    def turn(name: str) -> dict[str, Any]:
        gpu.synchronize()
        began = gpu_process_s()
        right = table[name](WORKS[name])
        return {"ms": 1e3 * (gpu_process_s() - began) / WORKS[name], "right": right}

    serve({"package": str(Path(wg.__file__).parent), "adapter": gpu.info.name}, turn)
    gpu.close()


def main() -> None:
    """Print a row of each work."""
    parser = options(__doc__, 9)
    parser.add_argument("--only", default="", help="a part of the names of works")
    args = parser.parse_args()
    if args.work:
        work()
        return
    made = builds(__file__, args.beside)
    print(
        f"load {os.getloadavg()[0]:.1f}; ms of the GPU process's processor time, median (least) of {args.turns} turns"
    )
    names = [name for name in WORKS if args.only in name]
    for build in made:
        for name in names:
            build.turn(name)
    table(made, names, args.turns, "ms")


if __name__ == "__main__":
    main()
