"""``check=True``: indices out of bounds are told with variable, index, line, count and invocation; what is within bounds computes the same bits."""

from __future__ import annotations

import asyncio
import pathlib

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import shaders
from webgpu_widget.kernels.watched.instrument import instrument

HEAD = """@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
"""
SHIFT = (
    HEAD
    + """@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  y[id.x] = x[id.x + 1];
}"""
)


def faults(gpu, source, *, threads=1, **named):
    with pytest.raises(wg.BoundsError) as caught:
        gpu.run(source, threads=threads, check=True, **named)
    return caught.value.faults


def test_the_neighbour_of_the_last(gpu, rng):
    x = rng.standard_normal(64).astype(np.float32)
    with pytest.raises(wg.BoundsError) as caught:
        gpu.run(SHIFT, x=x, y=wg.out(64), threads=64, check=True)
    (fault,) = caught.value.faults
    assert (fault.variable, fault.text, fault.line, fault.column) == ("x", "x[id.x + 1]", 4, 13)
    assert (fault.index, fault.length, fault.count, fault.invocation) == ((64,), (64,), 1, (63, 0, 0))
    assert np.array_equal(caught.value.outputs[:63], x[1:])
    for word in ("line 4, column 13", "x[id.x + 1]", "index 64", "0 to 63", "1 time", "(63, 0, 0)"):
        assert word in str(caught.value)
    assert gpu.run(SHIFT, x=x, y=wg.out(64), threads=64).shape == (64,)


def body(text, before=""):
    return f"""{HEAD}{before}
@compute @workgroup_size(1) fn main() {{
  let i = u32(x[0]); let k = i32(x[1]); y[3] = x[2];
  {text}
}}"""


CASES = {
    "a write, counted once": ("y[i] = 1.0;", "y", "y[i]", (7,), (4,)),
    "a compound assignment": ("y[i] += 2.0;", "y", "y[i]", (7,), (4,)),
    "an increment": ("var a: array<i32, 5>; a[i]++; y[0] = f32(a[0]);", "a", "a[i]", (7,), (5,)),
    "below zero": ("var a: array<f32, 5>; y[0] = a[k];", "a", "a[k]", (-2,), (5,)),
    "a vector": ("let v = vec3f(x[0], 2.0, 3.0); y[0] = v[i];", "v", "v[i]", (7,), (3,)),
    "a matrix": ("var m: mat2x3f; y[0] = m[i][1];", "m", "m[i]", (7,), (2,)),
    "a matrix's column": ("var m: mat2x3f; y[0] = m[1][i];", "m", "m[1][i]", (7,), (3,)),
    "private and nested": ("nested[1][i] = 1.0;", "nested", "nested[1][i]", (7,), (3,)),
    "workgroup, counted by an override": ("tile[i] = 1.0;", "tile", "tile[i]", (7,), (6,)),
    "a constant table": ("y[0] = TABLE[i];", "TABLE", "TABLE[i]", (7,), (3,)),
    "a pointer": ("let p = &nested; (*p)[i][0] = 1.0;", "p", "(*p)[i]", (7,), (2,)),
    "the address of an element": ("let p = &y[i]; *p = 1.0;", "y", "y[i]", (7,), (4,)),
    "a parameter": ("var a: array<f32, 4>; y[0] = taken(&a, i);", "a", "a[at]", (7,), (4,)),
    "a member": ("var s: S; y[0] = s.links[i].y;", "s", "s.links[i]", (7,), (2,)),
    "inside another index": ("y[0] = x[u32(TABLE[i])];", "TABLE", "TABLE[i]", (7,), (3,)),
    "a condition": ("if (i < 9u && y[i] > 0.0) { y[0] = 1.0; }", "y", "y[i]", (7,), (4,)),
    "a loop's head": ("for (var j = 0u; y[i + j] > 1e9; j++) { y[0] = 1.0; }", "y", "y[i + j]", (7,), (4,)),
    "a name that hides another": ("let SIZE = 100u; var a: Row; a[i] = 1.0; y[0] = f32(SIZE) + a[0];", "a", "a[i]", (7,), (6,)),
    "an expression's value": ("y[0] = (vec2f(x[0]) * 2.0 + 1.0)[i];", "vec2f", "(vec2f(x[0]) * 2.0 + 1.0)[i]", (7,), (2,)),
    "what a function returns": ("y[0] = made()[i];", "made", "made()[i]", (7,), (4,)),
    "in a switch": ("switch i { case 1u, 2u: { y[0] = 1.0; } default: { y[i] = 2.0; } }", "y", "y[i]", (7,), (4,)),
    "bits seen as another type": ("y[0] = f32(bitcast<vec2u>(vec2f(x[0]))[i]);", "bitcast", "bitcast<vec2u>(vec2f(x[0]))[i]", (7,), (2,)),
    "a product of matrices": ("let m = mat2x3f() * mat4x2f(); y[0] = m[i].x;", "m", "m[i]", (7,), (4,)),
    "a number and a vector": ("let v = x[0] + 2.0 * vec2f(x[0]); y[0] = v[i];", "v", "v[i]", (7,), (2,)),
    "a swizzle": ("let v = vec4f(x[0]); y[0] = v.zyx[i];", "v", "v.zyx[i]", (7,), (3,)),
    "in a loop's end": ("loop { continuing { y[i] = 1.0; break if true; } }", "y", "y[i]", (7,), (4,)),
    "across comments": ("y[ /* y[9] */ i // ]\n ] = 1.0;", "y", "y[ /* y[9] */ i]", (7,), (4,)),
}  # fmt: skip
BEFORE = """override SIZE: u32 = 6;
alias Row = array<f32, SIZE + 0>;
struct S { a: f32, links: array<vec2f, 2> }
var<workgroup> tile: array<f32, SIZE>;
var<private> nested: array<array<f32, 3>, 2>;
const TABLE = array(1.0, 2.0, 3.0);
fn taken(a: ptr<function, array<f32, 4>>, at: u32) -> f32 { return a[at]; }
fn made() -> array<f32, 4> { return array<f32, 4>(); }
"""


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_index(gpu, name):
    text, variable, written, index, length = CASES[name]
    before = BEFORE
    if "Row" in text:
        before = BEFORE.replace("override SIZE: u32", "const SIZE: u32")
    (fault,) = faults(gpu, body(text, before), x=np.float32([7, -2, 0, 0]), y=wg.out(4))
    assert (fault.variable, fault.text, fault.index, fault.length, fault.count) == (variable, written, index, length, 1)
    assert gpu.run(body(text, before), x=np.float32([1, 1, 0, 0]), y=wg.out(4), threads=1, check=True).shape == (4,)


def test_an_entry_point_that_has_its_ids_in_a_struct(gpu):
    source = (
        HEAD
        + """struct Ids { @builtin(local_invocation_index) at: u32, @builtin(global_invocation_id) all: vec3u }
fn put(at: u32) { y[at] = 1.0; }
@compute @workgroup_size(8) fn main(ids: Ids) { put(ids.all.x * 2u); }
@compute @workgroup_size(8) fn other(@builtin(local_invocation_index) at: u32) { put(at + 4u); }"""
    )
    (fault,) = faults(gpu, source, threads=8, entry_point="main", y=wg.out(8))
    assert (fault.count, fault.line, fault.variable) == (4, 4, "y")
    assert fault.index[0] == 2 * fault.invocation[0]
    (fault,) = faults(gpu, source, threads=8, entry_point="other", y=wg.out(8))
    assert (fault.count, fault.index[0]) == (4, fault.invocation[0] + 4)


def test_a_side_effect_in_an_index_happens_once(gpu):
    source = body(
        "y[next()] += 1.0; y[next()] = 5.0; y[3] = f32(n);",
        "var<private> n: u32;\nfn next() -> u32 { n++; return n - 1u; }",
    )
    y = gpu.run(source, x=np.zeros(4, np.float32), y=wg.out(4), threads=1, check=True)
    assert y.tolist() == [1, 5, 0, 2]


def test_texels(gpu, rng):
    source = """
@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var target_picture: texture_storage_2d<rgba8unorm, write>;
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3u) {
  textureStore(target_picture, id.xy, textureLoad(picture, vec2i(id.xy) - vec2i(1, 0), 0));
}"""
    picture = rng.integers(0, 255, (8, 8, 4)).astype(np.uint8)
    with pytest.raises(wg.BoundsError) as caught:
        gpu.run(
            source,
            picture=wg.texture(picture),
            target_picture=wg.out_texture((8, 8), "rgba8unorm"),
            threads=(8, 8),
            check=True,
        )
    (fault,) = caught.value.faults
    assert (fault.variable, fault.count, fault.length) == ("picture", 8, (8, 8))
    assert fault.index[0] == -1
    assert np.array_equal(caught.value.outputs[:, 1:], picture[:, :-1])


BESIDE = {
    "a layer": ("texture_2d_array<f32>", "textureLoad(t, vec2u(id.x, 0u), i32(id.x) - 1, 0)", "layer", -1, 3),
    "a layer that is written": (
        "texture_storage_2d_array<r32float, write>",
        "vec4f(); textureStore(t, vec2u(), id.x, vec4f(1))",
        "layer",
        3,
        3,
    ),
    "a level": ("texture_2d<f32>", "textureLoad(t, vec2u(), id.x)", "level", 3, 3),
    "a level by a formula": ("texture_2d<f32>", "textureLoad(t, vec2u(), 2u - id.x * 2u + id.x)", "level", -1, 3),
    "a level of the call's own": ("texture_2d<f32>", "textureLoad(t, vec2u(), next())", "level", 3, 3),
    "a level that the compiler knows": ("texture_2d<f32>", "textureLoad(t, vec2u(), NEGATIVE)", "level", -1, 3),
    "a level of an array": ("texture_2d_array<f32>", "textureLoad(t, vec2u(), 0, 3 - id.x)", "level", 3, 3),
    "coordinates of a level": (
        "texture_2d<f32>",
        "textureLoad(t, vec2u(id.x / 3u * 2u, 0u), calls - 1u)",
        "index",
        (2, 0),
        (2, 2),
    ),
    "coordinates that the compiler knows": (
        "texture_2d<f32>",
        "textureLoad(t, vec2(-1, 0), 0)",
        "index",
        (-1, 0),
        (4, 4),
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_layers_and_levels_of_textures(gpu, name):
    kind, expression, what, index, length = BESIDE[name]
    source = f"""
const NEGATIVE = -1;
var<private> calls: u32 = 2u;
fn next() -> u32 {{ calls++; return calls; }}
@group(0) @binding(0) var t: {kind};
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) {{
  let found = {expression};
  y[id.x] = found.x + 10.0 * f32(calls);
}}"""
    array = "array" in kind
    picture = np.ones((3, 4, 4, 1) if array else (4, 4, 1), np.float32)
    if "storage" in kind:
        given = wg.out_texture((3, 4, 4), "r32float", "2d-array")
    else:
        given = wg.texture(picture, dimension="2d-array" if array else "2d", mips="level" in name)
    with pytest.raises(wg.BoundsError, match=f"{what} .* of 't', which takes") as caught:
        gpu.run(source, t=given, y=wg.out(4), threads=4, check=True)
    faults = [fault for fault in caught.value.faults if fault.what == what]
    (fault,) = faults
    assert (fault.index, fault.length) == tuple(v if isinstance(v, tuple) else (v,) for v in (index, length))
    assert fault.count == (4 if "compiler" in name or "own" in name else 1)
    if name == "a level of the call's own":
        assert (caught.value.outputs // 10 == 3).all(), (
            "the expression is evaluated once, whatever is read beyond the end"
        )


def test_layers_and_levels_that_are_there_pass(gpu):
    source = """
@group(0) @binding(0) var t: texture_2d_array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3u) {
  let level = id.x % textureNumLevels(t);
  y[id.x] = textureLoad(t, textureDimensions(t, level) - 1u, id.x % textureNumLayers(t), level).x;
}"""
    picture = np.arange(3, dtype=np.float32)[:, None, None, None] * np.ones((3, 4, 4, 1), np.float32)
    given = wg.texture(picture, dimension="2d-array", mips=True)
    y = gpu.run(source, t=given, y=wg.out(8), threads=8, check=True)
    assert y.tolist() == [i % 3 for i in range(8)]


def test_kernels_programs_coroutines_and_a_gpu_that_checks(gpu, rng):
    x = gpu.array(rng.standard_normal(64).astype(np.float32))
    kernel = gpu.kernel(SHIFT, check=True)
    assert kernel is gpu.kernel(SHIFT, check=True)
    assert kernel is not gpu.kernel(SHIFT)
    with pytest.raises(wg.BoundsError) as caught:
        kernel(x=x, y=wg.out(64), threads=64)
    assert np.array_equal(caught.value.outputs.numpy()[:63], x.numpy()[1:])
    with gpu.record() as program:
        y = kernel(x=x, y=wg.out(64), threads=64)
    for _ in range(2):
        with pytest.raises(wg.BoundsError) as caught:
            program.replay(3)
        assert caught.value.faults[0].count == 3
    assert np.array_equal(y.numpy()[:63], x.numpy()[1:])
    with pytest.raises(wg.BoundsError):
        asyncio.run(gpu.run_async(SHIFT, x=x, y=wg.out(64), threads=64, check=True))
    gpu._check = True
    try:
        with pytest.raises(wg.BoundsError):
            gpu.run(SHIFT, x=x, y=wg.out(64), threads=64)
        assert gpu.run(SHIFT, x=x, y=wg.out(64), threads=64, check=False).shape == (64,)
    finally:
        del gpu._check


FOLDER = pathlib.Path(__file__).parent / "algorithms"
SOURCES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.wgsl"))}
SOURCES |= {name: shaders.load(name) for name in shaders.names()}


@pytest.mark.parametrize("name", SOURCES)
def test_whole_shaders_are_read_and_compile_watched(gpu, name):
    source = SOURCES[name]
    if "@compute" not in source:
        source = f"{source}\n@compute @workgroup_size(1) fn main() {{}}\n"
    kernel = gpu.kernel(source, name=name)
    slots = tuple((item["group"], item["binding"]) for item in kernel.reflection.bindings.values())
    watched = instrument(source, slots)
    assert watched.unread == 0
    assert gpu.kernel(watched.source, name=name) is not None


def test_a_watched_shader_gives_the_same_bits(gpu, rng):
    source = (
        HEAD
        + """var<workgroup> tile: array<f32, 64>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) at: u32) {
  tile[at] = x[min(id.x, arrayLength(&x) - 1)];
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < 64; i++) { sum += sin(tile[i]) * tile[(i + at) % 64]; }
  if (id.x < arrayLength(&y)) { y[id.x] = sum; }
}"""
    )
    x = rng.standard_normal(1000).astype(np.float32)
    plain, watched = (gpu.run(source, x=x, y=wg.out(1000), threads=1000, check=check) for check in (False, True))
    assert np.array_equal(plain.view(np.uint32), watched.view(np.uint32))
