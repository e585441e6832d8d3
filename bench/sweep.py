"""Write a page with many variants of the matrix kernels, to be timed on one adapter.

python bench/sweep.py SET FOLDER                       then: python bench/browser.py FOLDER
python bench/sweep.py peers FOLDER ADAPTER SIZE,SIZE   for the page that build.mjs makes
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from record import program

from webgpu_widget.arrays.matmul import register, subgroup, tiled, vector
from webgpu_widget.arrays.matmul.params import FIELDS, Params
from webgpu_widget.arrays.matmul.register import Register
from webgpu_widget.arrays.matmul.subgroup import Subgroup
from webgpu_widget.arrays.matmul.tiled import Tiled
from webgpu_widget.arrays.matmul.vector import Vector

HERE = Path(__file__).parent
Job = dict[str, Any]


def strides(variant: Subgroup | Tiled | Register, m: int, n: int, k: int) -> tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(variant, Register):
        return (k, 1), (n, 1)
    transposed_a = variant.a_t if isinstance(variant, Subgroup) else variant.a.endswith("_t")
    transposed_b = variant.b_t if isinstance(variant, Subgroup) else variant.b.endswith("_t")
    return (1, m) if transposed_a else (k, 1), (1, k) if transposed_b else (n, 1)


def generated(variant: Subgroup | Tiled | Register) -> str:
    if isinstance(variant, Subgroup):
        return subgroup.generate(variant)
    return tiled.generate(variant) if isinstance(variant, Tiled) else register.generate(variant)


REDUCE = """
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: vec4u;
@compute @workgroup_size(256) fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = (wg.y * p.z + wg.x) * 256u + lid;
  if (i >= p.x) { return; }
  var sum = vec4f();
  for (var s = 0u; s < p.y; s += 1u) { sum += x[s * p.x + i]; }
  y[i] = sum;
}"""


def job(variant: Subgroup | Tiled | Register, m: int, n: int, k: int, splits: int = 1, **extra: Any) -> Job:
    half = isinstance(variant, Subgroup)
    source = generated(variant)
    (a_m, a_k), (b_k, b_n) = strides(variant, m, n, k)
    tiles_m, tiles_n = -(-m // variant.bm), -(-n // variant.bn)
    chunk = -(-k // (splits * variant.bk)) * variant.bk
    params = Params(
        m, n, k, chunk, tiles_m, tiles_n, 1, splits,
        0, a_m, a_k, 0, 0,
        0, b_k, b_n, 0, 0,
        0, n, 1, 0, 0, m * n if splits > 1 else 0, 0,
    )  # fmt: skip
    fields = asdict(params)
    target = "work" if splits > 1 else "out"
    steps = [
        {
            "wgsl": source,
            "buffers": ["a", "b", target],
            "params": [fields[name] for name in FIELDS],
            "workgroups": [tiles_n, tiles_m, splits],
        }
    ]
    if splits > 1:
        groups = -(-(m * n // 4) // 256)
        steps.append(
            {
                "wgsl": REDUCE,
                "buffers": ["work", "out"],
                "params": [m * n // 4, splits, groups, 0],
                "workgroups": [groups, 1, 1],
            }
        )
    words = [m * k, k * n, m * n * splits if splits > 1 else 0]
    if half:
        words[:2] = [w // 2 for w in words[:2]]
    name = variant.name + (f" split{splits}" if splits > 1 else "")
    return {"name": name, "size": [m, n, k], "half": half, "params": fields, "words": words, "steps": steps, **extra}


def vector_job(v: Vector, m: int, k: int, splits: int = 1, **extra: Any) -> Job:
    a_m, a_k = (1, m) if v.across else (k, 1)
    x = -(-m // v.outputs)
    chunk = -(-k // (splits * v.bk)) * v.bk
    params = Params(
        m, 1, k, chunk, 1, x, 1, splits, 0, a_m, a_k, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, m if splits > 1 else 0, 0
    )
    fields = asdict(params)
    steps = [
        {
            "wgsl": vector.generate(v),
            "buffers": ["a", "b", "work" if splits > 1 else "out"],
            "params": [fields[name] for name in FIELDS],
            "workgroups": [x, 1, splits],
        }
    ]
    if splits > 1:
        groups = -(-(m // 4) // 256)
        steps.append(
            {
                "wgsl": REDUCE,
                "buffers": ["work", "out"],
                "params": [m // 4, splits, groups, 0],
                "workgroups": [groups, 1, 1],
            }
        )
    words = [m * k, k, m * splits if splits > 1 else 0]
    return {
        "name": v.name + f" split{splits}",
        "size": [m, 1, k],
        "half": False,
        "params": fields,
        "words": words,
        "steps": steps,
        "bytes": 4 * m * k,
        **extra,
    }


def small() -> Iterator[Job]:
    yield job(Tiled(64, 64, 8, 8, 4), 128, 128, 64)
    yield job(Tiled(64, 64, 8, 8, 4), 256, 256, 256, splits=2)
    yield job(Tiled(64, 64, 8, 8, 8, lead=True), 128, 128, 72)
    for across in (False, True):
        yield vector_job(Vector(across), 512, 516)
        yield vector_job(Vector(across, rows=8, unroll=4), 512, 516, splits=4)
        yield vector_job(Vector(across, vec=False), 531, 517)
    for a in ("vec", "vec_t", "any", "any_t"):
        for b in ("vec", "vec_t", "any", "any_t"):
            yield job(Tiled(64, 64, 16, 8, 8, a=a, b=b, double=a < b), 128, 192, 64)
            vec = a.startswith("vec") and b.startswith("vec")
            sizes = (68, 132, 44) if "vec" in a + b else (67, 131, 43)
            yield job(Tiled(64, 64, 16, 8, 8, a=a, b=b, double=a > b, edge=True, vec_out=vec), *sizes)


V = TypeVar("V", Subgroup, Tiled, Subgroup | Tiled)


def valid(variants: Iterable[V]) -> list[V]:
    kept: list[V] = []
    for v in variants:
        try:
            generated(v)
        except ValueError:
            continue
        if v.workgroup_bytes <= 48 * 1024 and v.threads <= 1024:
            kept.append(v)
    return kept


COPY = """
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: vec4u;
@compute @workgroup_size(512) fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = (wg.y * groups.x + wg.x) * 2048u + lid + p.x;
  let a = x[i]; let b = x[i + 512u]; let c = x[i + 1024u]; let d = x[i + 1536u];
  y[i] = a; y[i + 512u] = b; y[i + 1024u] = c; y[i + 1536u] = d;
}"""


def copy_job() -> Job:
    """A copy of 1 GiB, whose result is checked as a product with one: the device's bandwidth by this API."""
    n = 1 << 28
    params = Params(1 << 14, 1 << 14, 1, 1, 1, 1, 1, 1, 0, 1 << 14, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1 << 14, 1, 0, 0, 0, 0)
    steps = [
        {"wgsl": COPY, "buffers": ["a", "out"], "params": [0] * 4, "workgroups": [32768, n // 4 // 2048 // 32768, 1]}
    ]
    return {
        "name": "copy 1 GiB",
        "size": [1 << 14, 1 << 14, 1],
        "half": False,
        "params": asdict(params),
        "words": [n, n, 0],
        "steps": steps,
        "bytes": 8 * n,
        "unchecked": True,
    }


def halves() -> Iterator[Job]:
    """Float16 tiles at 4096: sides of a subgroup, subgroups of a workgroup, depth, tiles read ahead, layouts, order of the tiles."""
    sides = [
        (64, 64, 2, 2),
        (64, 64, 2, 4),
        (64, 64, 4, 2),
        (64, 64, 1, 4),
        (80, 64, 2, 2),
        (96, 64, 2, 2),
        (64, 96, 2, 2),
    ]
    sides += [(64, 32, 2, 4), (32, 64, 4, 2), (64, 32, 2, 2), (64, 128, 2, 2), (64, 128, 1, 2)]
    top = Subgroup(64, 64, 2, 2, 32)
    variants = [Subgroup(*side, bk, ahead=ahead) for side in sides for bk in (16, 32, 64) for ahead in (0, 1, 2, 3)]
    variants += [replace(top, b_t=True), replace(top, a_t=True), replace(top, a_t=True, b_t=True)]
    variants += [replace(top, group=1), replace(top, group=4), replace(top, group=16)]
    for v in valid(variants):
        yield job(v, v.bm * (4096 // v.bm), v.bn * (4096 // v.bn), 4096, warm_ms=150)


def singles() -> Iterator[Job]:
    """Float32 tiles at 4096: sides, depth, buffers, layouts."""
    sides = [(128, 128, 8, 8), (128, 64, 8, 8), (64, 128, 8, 8), (128, 128, 8, 16), (128, 128, 16, 8), (64, 64, 8, 8)]
    sides += [(256, 64, 8, 8), (64, 256, 8, 8), (256, 128, 16, 8), (128, 256, 8, 16), (256, 128, 8, 16)]
    top = Tiled(128, 128, 8, 8, 16)
    variants = [
        Tiled(bm, bn, bk, tm, tn, double=double)
        for bm, bn, tm, tn in sides
        for bk in (4, 8, 16, 32)
        for double in (False, True)
    ]
    variants += [replace(top, wide=4), replace(top, pad=0), replace(top, group=16), replace(top, lead=True)]
    variants += [replace(top, a="vec_t"), replace(top, b="vec_t"), replace(top, edge=True)]
    for v in valid(variants):
        yield job(v, 4096, 4096, 4096, warm_ms=100)


def small_squares() -> Iterator[Job]:
    """Tiles and splits at 1024 and 2048, where filling the multiprocessors matters."""
    variants: list[Subgroup | Tiled] = [
        Tiled(64, 64, 16, 8, 8, double=False),
        Tiled(64, 64, 8, 8, 8),
        Tiled(64, 64, 16, 8, 4, double=False),
    ]
    variants += [Tiled(64, 64, 8, 8, 4), Tiled(64, 64, 16, 4, 4, double=False), Tiled(128, 64, 16, 8, 8, double=False)]
    variants += [
        Tiled(64, 128, 16, 8, 8, double=False),
        Tiled(128, 128, 16, 8, 8, double=False),
        Tiled(128, 128, 8, 8, 16),
    ]
    variants += [Subgroup(64, 64, 2, 2, 32), Subgroup(64, 32, 2, 2), Subgroup(32, 32, 2, 2), Subgroup(32, 64, 2, 2)]
    for v, size, splits in itertools.product(valid(variants), (1024, 2048), (1, 2, 3)):
        yield job(v, size, size, size, splits=splits, warm_ms=30)


def vectors() -> Iterator[Job]:
    """Matrix-vector products over 1 GiB, both ways, and a copy for comparison."""
    yield copy_job()
    for rows, threads, unroll in ((4, 256, 2), (8, 256, 2), (2, 256, 4), (4, 128, 4), (8, 128, 1), (16, 128, 1)):
        yield vector_job(Vector(rows=rows, threads=threads, unroll=unroll), 16384, 16384)
    for rows, threads, unroll in ((4, 256, 4), (8, 256, 4), (8, 256, 8), (16, 256, 4), (8, 512, 4)):
        for splits in (4, 8, 16):
            yield vector_job(Vector(True, rows=rows, threads=threads, unroll=unroll), 16384, 16384, splits=splits)


def launched(adapter: str) -> Iterator[Job]:
    """Shapes and layouts of every kind, as launched."""
    for m, n, k in (
        (1, 1, 1),
        (1, 257, 300),
        (257, 1, 300),
        (7, 5, 3),
        (67, 131, 43),
        (128, 192, 64),
        (130, 3, 1000),
        (3, 130, 1000),
        (260, 132, 68),
        (300, 300, 1),
        (33, 40, 2000),
    ):
        for a_t in (False, True):
            for b_t in (False, True):
                yield program(adapter, m, n, k, a_t=a_t, b_t=b_t)
        yield program(adapter, m, n, k, precision="f16")
        yield program(adapter, m, n, k, half=True, a_t=m > n, b_t=n > m)


def final() -> Iterator[Job]:
    """What `launch` queues on an NVIDIA adapter with matrix units: figures, then shapes that need padding and cropping."""
    yield {**copy_job(), "warm_ms": 300}
    for n in (4096, 8192):
        yield {**program("nvidia", n, n, n, half=True), "warm_ms": 300, "round_ms": 60}
        yield {**program("nvidia", n, n, n, precision="f16"), "warm_ms": 100, "round_ms": 60}
        yield {**program("nvidia", n, n, n), "warm_ms": 100, "round_ms": 100}
    for a_t, b_t in ((False, True), (True, False), (True, True)):
        yield {**program("nvidia", 4096, 4096, 4096, half=True, a_t=a_t, b_t=b_t), "warm_ms": 150, "round_ms": 40}
    yield {**job(Tiled(128, 128, 8, 8, 8), 8192, 8192, 8192), "warm_ms": 100, "round_ms": 100}
    for n in (1024, 2048):
        yield {**program("nvidia", n, n, n, half=True), "warm_ms": 50}
        yield {**program("nvidia", n, n, n, precision="f16"), "warm_ms": 50}
        yield {**program("nvidia", n, n, n), "warm_ms": 50}
    yield {**program("nvidia", 4096, 4096, 4096, a_t=True), "warm_ms": 100}
    yield {**program("nvidia", 4096, 4096, 4096, b_t=True), "warm_ms": 50}
    yield {**program("nvidia", 4097, 4099, 4093), "warm_ms": 50}
    yield {**program("nvidia", 4097, 4099, 4093, half=True), "warm_ms": 50}
    yield {**program("nvidia", 16384, 16, 16384), "warm_ms": 50}
    for m, n, a_t, b_t in (
        (16384, 1, False, False),
        (16384, 1, True, False),
        (1, 16384, False, False),
        (1, 16384, False, True),
    ):
        yield {**program("nvidia", m, n, 16384, a_t=a_t, b_t=b_t), "warm_ms": 50, "bytes": 4 * 16384**2}
    for m, n, k in ((67, 131, 43), (33, 40, 2000), (300, 300, 17), (1000, 50, 70)):
        for a_t, b_t in ((False, False), (True, True)):
            yield {
                **program("nvidia", m, n, k, half=m % 2 == 0, precision="f16", a_t=a_t, b_t=b_t),
                "rounds": 1,
                "round_ms": 1,
            }


def launched_swiftshader() -> Iterator[Job]:
    yield from launched("swiftshader")


def launched_plain() -> Iterator[Job]:
    yield from launched("plain-nvidia")


def cpu() -> Iterator[Job]:
    for v in (
        Register(8, 4, 2, edge=False),
        Register(8, 4, 2, edge=False, quad=True),
        Register(8, 8, 2, edge=False, quad=True),
        Register(16, 2, 2, edge=False, quad=True),
        Register(16, 4, 2, edge=False, quad=True),
        Register(16, 4, 1, edge=False, quad=True),
        Register(16, 4, 4, edge=False, quad=True),
        Register(16, 8, 1, edge=False, quad=True),
        Register(16, 8, 2, edge=False, quad=True),
        Register(32, 4, 1, edge=False, quad=True),
        Register(32, 8, 1, edge=False, quad=True),
        Register(16, 4, 2, 4, edge=False, quad=True),
        Register(16, 4, 2, 64, edge=False, quad=True),
        Register(8, 8, 1, edge=False),
        Register(16, 8, 1, edge=False),
    ):
        yield job(v, 256, 256, 256, round_ms=150, cpu=True)


def write(name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("index.html", "sweep.js"):
        shutil.copy(HERE / "page" / file, folder / file)
    jobs = list(globals()[name]())
    (folder / "jobs.json").write_text(json.dumps(jobs))
    print(len(jobs), "jobs")


if __name__ == "__main__":
    if sys.argv[1] == "peers":
        sizes = [int(n) for n in sys.argv[4].split(",")]
        jobs = [program(sys.argv[3], n, n, n) for n in sizes]
        (Path(sys.argv[2]) / "peers.json").write_text(json.dumps(jobs))
    else:
        write(sys.argv[1], Path(sys.argv[2]))
