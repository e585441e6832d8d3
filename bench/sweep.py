"""Write a page with many variants of the matrix kernels, to be timed on one adapter.

    python bench/sweep.py SET FOLDER        then: python bench/browser.py FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

from webgpu_widget.matmul import subgroup, tiled
from webgpu_widget.matmul.params import FIELDS, Params
from webgpu_widget.matmul.subgroup import Subgroup
from webgpu_widget.matmul.tiled import Tiled

HERE = Path(__file__).parent


def strides(variant, m, n, k):
    turned_a = variant.a_t if isinstance(variant, Subgroup) else variant.a.endswith("_t")
    turned_b = variant.b_t if isinstance(variant, Subgroup) else variant.b.endswith("_t")
    return (1, m) if turned_a else (k, 1), (1, k) if turned_b else (n, 1)


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


def job(variant, m, n, k, splits=1, **extra):
    half = isinstance(variant, Subgroup)
    source = (subgroup if half else tiled).generate(variant)
    (a_m, a_k), (b_k, b_n) = strides(variant, m, n, k)
    tiles_m, tiles_n = -(-m // variant.bm), -(-n // variant.bn)
    chunk = -(-k // (splits * variant.bk)) * variant.bk
    params = Params(
        m, n, k, chunk, tiles_m, tiles_n, 1, splits,
        0, a_m, a_k, 0, 0,
        0, b_k, b_n, 0, 0,
        0, n, 0, 0, m * n if splits > 1 else 0, 0,
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
        steps.append({"wgsl": REDUCE, "buffers": ["work", "out"], "params": [m * n // 4, splits, groups, 0], "workgroups": [groups, 1, 1]})
    words = [m * k, k * n, m * n * splits if splits > 1 else 0]
    if half:
        words[:2] = [w // 2 for w in words[:2]]
    name = variant.name + (f" split{splits}" if splits > 1 else "")
    return {"name": name, "size": [m, n, k], "half": half, "params": fields, "words": words, "steps": steps, **extra}


def small():
    yield job(Tiled(64, 64, 8, 8, 4), 128, 128, 64)
    yield job(Tiled(64, 64, 8, 8, 4), 256, 256, 256, splits=2)
    for a in ("vec", "vec_t", "any", "any_t"):
        for b in ("vec", "vec_t", "any", "any_t"):
            yield job(Tiled(64, 64, 16, 8, 8, a=a, b=b, double=a < b), 128, 192, 64)
            vec = a.startswith("vec") and b.startswith("vec")
            sizes = (68, 132, 44) if vec else (67, 131, 43)
            yield job(Tiled(64, 64, 16, 8, 8, a=a, b=b, double=a > b, edge=True, vec_out=vec), *sizes)


def first():
    f32 = []
    for bk in (8, 16):
        for double in (True, False):
            for wide in (8, 16, 4):
                f32.append(Tiled(128, 128, bk, 8, 8, wide=wide, double=double))
            f32.append(Tiled(128, 64, bk, 8, 8, double=double))
            f32.append(Tiled(256, 128, bk, 8, 16, double=double))
            f32.append(Tiled(128, 256, bk, 8, 16, double=double))
            f32.append(Tiled(256, 128, bk, 16, 8, double=double, wide=8))
            f32 += [Tiled(256, 128, 16, 8, 8, double=double)] if bk == 16 else []
            f32.append(Tiled(64, 64, bk, 8, 4, double=double))
    f32.append(Tiled(128, 128, 8, 8, 8, pad=0))
    f32.append(Tiled(128, 128, 8, 8, 8, group=1))
    f32.append(Tiled(128, 128, 8, 8, 8, group=16))
    f32.append(Tiled(128, 128, 32, 8, 8, double=False))
    f32.append(Tiled(128, 128, 8, 8, 8, a="vec_t"))
    f32.append(Tiled(128, 128, 8, 8, 8, b="vec_t"))
    f32.append(Tiled(128, 128, 8, 8, 8, edge=True))
    f32.append(Tiled(128, 128, 8, 8, 8, edge=True, a="any", b="any"))
    f16 = []
    for bk in (32, 64):
        for sm, sn, wm, wn in ((64, 64, 2, 2), (64, 64, 2, 4), (64, 64, 4, 2), (64, 32, 2, 4), (64, 128, 2, 2), (32, 64, 4, 2), (64, 64, 4, 4), (128, 64, 2, 2)):
            f16.append(Subgroup(sm, sn, wm, wn, bk))
    f16 += [replace(v, double=True) for v in f16[:5]]
    f16 += [replace(f16[0], ahead=False), replace(f16[0], b_t=True), replace(f16[0], a_t=True), replace(f16[1], group=1), replace(f16[1], group=4), replace(f16[1], bk=16)]
    f16 += [Subgroup(64, 64, 2, 2, 16, direct=True), Subgroup(64, 64, 2, 2, 16, direct=True, b_t=True), Subgroup(64, 64, 2, 2, 32, direct=True)]
    for v in f16:
        yield job(v, 4096, 4096, 4096)
    for v in f32:
        yield job(v, 4096, 4096, 4096)
    for v in (Tiled(64, 64, 8, 8, 4), Tiled(64, 64, 16, 8, 4), Tiled(64, 64, 16, 4, 4), Tiled(128, 64, 8, 8, 8), Tiled(128, 128, 8, 8, 8), Tiled(64, 64, 16, 8, 8), Tiled(64, 128, 16, 8, 8)):
        for size in (1024, 2048):
            for splits in (1, 2, 4):
                yield job(v, size, size, size, splits=splits, rounds=5)
    for v in (f32[0], f32[3], f16[0], f16[1]):
        yield job(v, 8192, 8192, 8192)


def write(name, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("index.html", "sweep.js"):
        shutil.copy(HERE / "page" / file, folder / file)
    jobs = list(globals()[name]())
    (folder / "jobs.json").write_text(json.dumps(jobs))
    print(len(jobs), "jobs")


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2])
