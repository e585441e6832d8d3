"""Write a page with many variants of the matrix kernels, to be timed on one adapter.

python bench/sweep.py SET FOLDER        then: python bench/browser.py FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

from record import program
from webgpu_widget._matmul import register, subgroup, tiled, vector
from webgpu_widget._matmul.params import FIELDS, Params
from webgpu_widget._matmul.register import Register
from webgpu_widget._matmul.subgroup import Subgroup
from webgpu_widget._matmul.tiled import Tiled
from webgpu_widget._matmul.vector import Vector

HERE = Path(__file__).parent


def strides(variant, m, n, k):
    if isinstance(variant, Register):
        return (k, 1), (n, 1)
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
    source = {Subgroup: subgroup, Tiled: tiled, Register: register}[type(variant)].generate(variant)
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


def vector_job(v, m, k, splits=1, **extra):
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


def small():
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
        for sm, sn, wm, wn in (
            (64, 64, 2, 2),
            (64, 64, 2, 4),
            (64, 64, 4, 2),
            (64, 32, 2, 4),
            (64, 128, 2, 2),
            (32, 64, 4, 2),
            (64, 64, 4, 4),
            (128, 64, 2, 2),
        ):
            f16.append(Subgroup(sm, sn, wm, wn, bk))
    f16 += [replace(v, double=True) for v in f16[:5]]
    f16 += [
        replace(f16[0], ahead=False),
        replace(f16[0], b_t=True),
        replace(f16[0], a_t=True),
        replace(f16[1], group=1),
        replace(f16[1], group=4),
        replace(f16[1], bk=16),
    ]
    f16 += [
        Subgroup(64, 64, 2, 2, 16, direct=True),
        Subgroup(64, 64, 2, 2, 16, direct=True, b_t=True),
        Subgroup(64, 64, 2, 2, 32, direct=True),
    ]
    for v in f16:
        yield job(v, 4096, 4096, 4096)
    for v in f32:
        yield job(v, 4096, 4096, 4096)
    for v in (
        Tiled(64, 64, 8, 8, 4),
        Tiled(64, 64, 16, 8, 4),
        Tiled(64, 64, 16, 4, 4),
        Tiled(128, 64, 8, 8, 8),
        Tiled(128, 128, 8, 8, 8),
        Tiled(64, 64, 16, 8, 8),
        Tiled(64, 128, 16, 8, 8),
    ):
        for size in (1024, 2048):
            for splits in (1, 2, 4):
                yield job(v, size, size, size, splits=splits, rounds=5)
    for v in (f32[0], f32[3], f16[0], f16[1]):
        yield job(v, 8192, 8192, 8192)


def valid(variants):
    kept = []
    for v in variants:
        try:
            {Subgroup: subgroup, Tiled: tiled}[type(v)].generate(v)
        except ValueError:
            continue
        if v.workgroup_bytes <= 48 * 1024 and v.threads <= 1024:
            kept.append(v)
    return kept


def second():
    tiles = [
        (128, 128, 8, 8),
        (128, 64, 8, 8),
        (64, 128, 8, 8),
        (128, 128, 8, 16),
        (128, 128, 16, 8),
        (64, 64, 8, 8),
        (256, 64, 8, 8),
        (64, 256, 8, 8),
        (256, 128, 16, 8),
        (128, 256, 8, 16),
        (96, 128, 8, 8),
        (128, 96, 8, 8),
        (192, 128, 12, 8),
    ]
    f32 = []
    for bm, bn, tm, tn in tiles:
        for bk in (16, 32):
            f32.append(Tiled(bm, bn, bk, tm, tn, double=False))
        f32.append(Tiled(bm, bn, 8, tm, tn, double=True))
        f32.append(Tiled(bm, bn, 16, tm, tn, double=True))
    base = Tiled(128, 128, 32, 8, 8, double=False)
    also = Tiled(128, 64, 16, 8, 8, double=False)
    for one in (base, also):
        f32 += [
            replace(one, lead=True),
            replace(one, wide=16),
            replace(one, wide=4),
            replace(one, pad=0),
            replace(one, pad=2),
            replace(one, group=4),
            replace(one, group=16),
            replace(one, group=1),
        ]
        f32 += [
            replace(one, a="vec_t"),
            replace(one, b="vec_t"),
            replace(one, edge=True),
            replace(one, edge=True, a="any", b="any", vec_out=False),
            replace(one, a="any", b="any"),
        ]
    f16 = []
    for sm, sn, wm, wn in (
        (64, 64, 2, 2),
        (64, 64, 2, 4),
        (64, 64, 4, 2),
        (64, 64, 1, 2),
        (64, 64, 2, 1),
        (64, 64, 1, 4),
        (96, 64, 2, 2),
        (64, 96, 2, 2),
        (64, 32, 2, 4),
        (32, 64, 4, 2),
        (64, 64, 3, 2),
        (48, 64, 2, 2),
        (80, 64, 2, 2),
    ):
        for bk in (16, 32, 64):
            f16 += [Subgroup(sm, sn, wm, wn, bk), Subgroup(sm, sn, wm, wn, bk, double=True)]
    top = Subgroup(64, 64, 2, 2, 32)
    f16 += [
        replace(top, b_t=True),
        replace(top, a_t=True),
        replace(top, a_t=True, b_t=True),
        replace(top, group=1),
        replace(top, group=4),
        replace(top, group=16),
        replace(top, ahead=False),
        replace(top, direct=True, bk=16),
    ]
    for v in valid(f16):
        if 4096 % v.bm == 0 and 4096 % v.bn == 0:
            yield job(v, 4096, 4096, 4096)
        else:
            yield job(v, v.bm * (4096 // v.bm), v.bn * (4096 // v.bn), 4096)
    for v in valid(f32):
        yield job(v, v.bm * (4096 // v.bm), v.bn * (4096 // v.bn), 4096)
    for v in valid([top, replace(top, wn=4), replace(top, wm=4), base, also, replace(base, bk=16)]):
        yield job(v, 8192, 8192, 8192)
    for v in valid(
        [
            Tiled(64, 64, 8, 8, 8, double=True),
            Tiled(64, 64, 16, 8, 8, double=False),
            Tiled(64, 64, 16, 8, 8),
            Tiled(64, 64, 16, 8, 4, double=False),
            Tiled(64, 64, 8, 8, 4),
            Tiled(64, 64, 32, 8, 8, double=False),
            Tiled(64, 64, 32, 4, 4, double=False),
            Tiled(128, 64, 16, 8, 8, double=False),
            Tiled(64, 128, 16, 8, 8, double=False),
            Tiled(128, 128, 16, 8, 8, double=False),
            Tiled(128, 128, 32, 8, 8, double=False),
            Tiled(64, 32, 16, 4, 4, double=False),
            Tiled(128, 64, 32, 8, 8, double=False),
        ]
    ):
        for size in (1024, 2048):
            for splits in (1, 2, 3):
                yield job(v, size, size, size, splits=splits, round_ms=20)
    for v in valid(
        [
            top,
            replace(top, wm=1),
            replace(top, wm=1, wn=1, bk=16),
            Subgroup(64, 32, 2, 4),
            Subgroup(32, 32, 2, 2),
            Subgroup(32, 64, 2, 2),
        ]
    ):
        for size in (1024, 2048):
            for splits in (1, 2):
                yield job(v, size, size, size, splits=splits, round_ms=20)
    for rows, threads, unroll in (
        (4, 256, 2),
        (4, 256, 4),
        (8, 256, 1),
        (8, 256, 2),
        (2, 256, 4),
        (1, 256, 8),
        (1, 256, 16),
        (4, 128, 4),
        (2, 512, 4),
        (8, 512, 2),
        (2, 128, 8),
        (1, 128, 8),
    ):
        yield vector_job(Vector(rows=rows, threads=threads, unroll=unroll), 16384, 16384)
    for rows, threads, unroll in (
        (4, 256, 4),
        (8, 256, 4),
        (8, 256, 8),
        (16, 256, 4),
        (4, 256, 8),
        (4, 128, 8),
        (16, 512, 8),
    ):
        for splits in (8, 32):
            yield vector_job(Vector(True, rows=rows, threads=threads, unroll=unroll), 16384, 16384, splits=splits)


COPY = """
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: vec4u;
@compute @workgroup_size(512) fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lid: u32) {
  let i = (wg.y * groups.x + wg.x) * 2048u + lid + p.x;
  let a = x[i]; let b = x[i + 512u]; let c = x[i + 1024u]; let d = x[i + 1536u];
  y[i] = a; y[i + 512u] = b; y[i + 1024u] = c; y[i + 1536u] = d;
}"""


def copy_job():
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


def third():
    yield copy_job()
    f16 = []
    for sm, sn, wm, wn in (
        (64, 64, 2, 2),
        (64, 64, 2, 4),
        (64, 64, 4, 2),
        (64, 64, 1, 4),
        (80, 64, 2, 2),
        (96, 64, 2, 2),
        (64, 96, 2, 2),
        (64, 32, 2, 4),
        (32, 64, 4, 2),
        (64, 32, 2, 2),
        (64, 128, 2, 2),
        (64, 128, 1, 2),
    ):
        for bk in (16, 32, 64):
            f16 += [Subgroup(sm, sn, wm, wn, bk), Subgroup(sm, sn, wm, wn, bk, double=True)]
    top = Subgroup(64, 64, 2, 2, 32)
    f16 += [
        replace(top, b_t=True),
        replace(top, a_t=True),
        replace(top, a_t=True, b_t=True),
        replace(top, group=1),
        replace(top, group=4),
        replace(top, group=16),
        replace(top, ahead=False),
        replace(top, direct=True, bk=16),
    ]
    for v in valid(f16):
        yield job(v, v.bm * (4096 // v.bm), v.bn * (4096 // v.bn), 4096, round_ms=15)
    tiles = [
        (128, 128, 8, 8),
        (128, 64, 8, 8),
        (64, 128, 8, 8),
        (128, 128, 8, 16),
        (128, 128, 16, 8),
        (64, 64, 8, 8),
        (256, 64, 8, 8),
        (64, 256, 8, 8),
        (256, 128, 16, 8),
        (128, 256, 8, 16),
        (256, 128, 8, 16),
    ]
    f32 = []
    for bm, bn, tm, tn in tiles:
        f32 += [Tiled(bm, bn, bk, tm, tn, double=False) for bk in (8, 16, 32)]
        f32 += [Tiled(bm, bn, bk, tm, tn, double=True) for bk in (4, 8, 16)]
    best = Tiled(128, 128, 8, 8, 16)
    f32 += [
        replace(best, wide=4),
        replace(best, pad=0),
        replace(best, group=16),
        replace(best, a="vec_t"),
        replace(best, b="vec_t"),
        replace(best, edge=True),
        replace(best, lead=True),
    ]
    for v in valid(f32):
        yield job(v, 4096, 4096, 4096, round_ms=25)
    for v in valid(
        [
            top,
            replace(top, group=4),
            replace(top, group=16),
            best,
            Tiled(128, 128, 32, 8, 8, double=False),
            Tiled(128, 64, 16, 8, 8, double=False),
        ]
    ):
        yield job(v, 8192, 8192, 8192, round_ms=100)
    for v in valid(
        [
            Tiled(64, 64, 8, 8, 8, double=True),
            Tiled(64, 64, 16, 8, 8, double=False),
            Tiled(64, 64, 16, 8, 4, double=False),
            Tiled(64, 64, 8, 8, 4),
            Tiled(64, 64, 16, 4, 4, double=False),
            Tiled(128, 64, 16, 8, 8, double=False),
            Tiled(64, 128, 16, 8, 8, double=False),
            Tiled(128, 128, 16, 8, 8, double=False),
            Tiled(128, 128, 8, 8, 16),
        ]
    ):
        for size in (1024, 2048):
            for splits in (1, 2, 3):
                yield job(v, size, size, size, splits=splits, round_ms=10)
    for v in valid(
        [top, Subgroup(64, 32, 2, 4), Subgroup(64, 32, 2, 2), Subgroup(32, 32, 2, 2), Subgroup(32, 64, 2, 2)]
    ):
        for size in (1024, 2048):
            yield job(v, size, size, size, round_ms=10)
    for rows, threads, unroll in (
        (4, 256, 2),
        (8, 256, 1),
        (8, 256, 2),
        (2, 256, 4),
        (4, 128, 4),
        (8, 128, 1),
        (16, 128, 1),
        (4, 128, 2),
        (8, 64, 2),
    ):
        yield vector_job(Vector(rows=rows, threads=threads, unroll=unroll), 16384, 16384)
    for rows, threads, unroll in ((4, 256, 4), (8, 256, 4), (8, 256, 8), (16, 256, 4), (8, 512, 4)):
        for splits in (4, 8, 16):
            yield vector_job(Vector(True, rows=rows, threads=threads, unroll=unroll), 16384, 16384, splits=splits)
    for v in (Tiled(128, 16, 16, 8, 4, wide=4, double=False), Tiled(128, 16, 32, 8, 4, wide=4, double=False)):
        yield job(v, 16384, 16, 16384)


def launched(adapter):
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


def launched_swiftshader():
    yield from launched("swiftshader")


def launched_plain():
    yield from launched("plain-nvidia")


def cpu():
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


def write(name, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("index.html", "sweep.js"):
        shutil.copy(HERE / "page" / file, folder / file)
    jobs = list(globals()[name]())
    (folder / "jobs.json").write_text(json.dumps(jobs))
    print(len(jobs), "jobs")


if __name__ == "__main__":
    if sys.argv[1] == "peers":
        chosen = eval(sys.argv[3])  # noqa: S307 - a bench's own command line: {size: variant}
        jobs = [job(v, n, n, n) for n, v in chosen.items()]
        (Path(sys.argv[2]) / "peers.json").write_text(json.dumps(jobs))
    else:
        write(sys.argv[1], sys.argv[2])
