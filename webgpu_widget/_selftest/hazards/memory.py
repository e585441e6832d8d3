"""Indices outside, textures, compilers and clocks: groups 8, 9 and 11."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget import errors
from webgpu_widget._selftest.hazards.asking import Answer, answer, text
from webgpu_widget._selftest.probe import Probes
from webgpu_widget.kernels.bind import out
from webgpu_widget.kernels.textures import out_texture, sampler, texture

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = ["GROUPS"]

BOUNDS, TEXTURES, COMPILER = GROUPS = tuple(Probes(number) for number in (8, 9, 11))


# ------------------------------------------------------------ indices outside


def _outside(gpu: GPU, body: str, threads: int = 1) -> NDArray[np.uint32]:
    """Run statements on ``data``, eight words from 100 on, and ``seen``, four words; returns both."""
    source = f"""
@group(0) @binding(0) var<storage, read> at: array<u32>;
@group(0) @binding(1) var<storage, read_write> data: array<u32>;
@group(0) @binding(2) var<storage, read_write> seen: array<u32>;
@compute @workgroup_size(1) fn main() {{ {body} }}"""
    data = gpu.array(np.arange(100, 108, dtype=np.uint32))
    at = np.array([8, 1000, 2**30, 2**30 + 2], np.uint32)
    seen = gpu.run(source, at=at, data=data, seen=out(4, np.uint32), threads=threads)
    return np.concatenate([data.numpy(), seen])


@BOUNDS.probe("reading past the end of an array")
def _(gpu: GPU) -> Answer:
    seen = _outside(gpu, "for (var i = 0; i < 4; i++) { seen[i] = data[at[i]]; }")[8:]
    names = ("data[8] of 8", "data[1000] of 8", "data[2**30] of 8", "data[2**30 + 2] of 8")
    values = {name: _place(int(value)) for name, value in zip(names, seen, strict=True)}
    wrong = [f"{name} is {value}" for name, value in values.items() if value != "0"]
    return answer(wrong, values)


def _place(value: int) -> str:
    return f"element {value - 100}" if 100 <= value < 108 else str(value)


@BOUNDS.probe("writing past the end of an array")
def _(gpu: GPU) -> Answer:
    wrong, values = [], {}
    for i, index in enumerate(("8", "1000", "2**30", "2**30 + 2")):
        data = _outside(gpu, f"data[at[{i}]] = 7u; seen[0] = 1u;")[:8]
        hit = np.flatnonzero(data != np.arange(100, 108))
        name = f"data[{index}] = 7 of 8"
        values[name] = f"overwrites element {hit[0]}" if len(hit) else "nothing"
        if len(hit):
            wrong.append(f"{name} {values[name]}")
    return answer(wrong, values)


# ------------------------------------------------------------ textures


def _texel(gpu: GPU, kind: str, load: str, bound: Any, head: str = "") -> NDArray[np.float32]:
    source = f"""{head}
@group(0) @binding(0) var t: {kind};
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() {{ let c = vec4f({load}); for (var i = 0; i < 4; i++) {{ y[i] = c[i]; }} }}"""
    return np.asarray(gpu.run(source, t=bound, y=out(4), threads=1))


@TEXTURES.probe("loading outside a texture")
def _(gpu: GPU) -> Answer:
    image = np.full((2, 2, 4), 200, np.uint8)
    found = _texel(gpu, "texture_2d<f32>", "textureLoad(t, vec2i(9, -3), 0)", texture(image))
    told = ", ".join(text(value) for value in found)
    inside = np.allclose(found, 200 / 255, atol=1e-3)
    values = {"textureLoad(t, vec2i(9, -3), 0) of 2 x 2": told}
    if not found.any():
        return "right", values
    return f"differs: {'the edge' if inside else told}", values


def _stored(gpu: GPU, texture_format: str, value: str) -> NDArray[Any]:
    kind = "u32" if texture_format.endswith("uint") else "f32"
    source = f"""
@group(0) @binding(0) var t: texture_storage_2d<{texture_format}, write>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@compute @workgroup_size(1) fn main() {{ let v = x[0]; textureStore(t, vec2u(0), vec4<{kind}>({value})); }}"""
    return np.asarray(gpu.run(source, t=out_texture((1, 1), texture_format), x=np.ones(1, np.float32), threads=1))


@TEXTURES.probe("what a storage texture makes of values")
def _(gpu: GPU) -> Answer:
    wrong, values = [], {}
    for texture_format, value, wanted in (
        ("rgba8unorm", "vec4f(0.5 * v)", 128),
        ("rgba8unorm", "vec4f(-1.0 * v)", 0),
        ("rgba16float", "vec4f(70000.0 * v)", np.inf),
        ("rgba16float", "vec4f(65504.0 * v)", 65504),
        ("rgba8uint", "vec4u(u32(300.0 * v))", 255),
    ):
        found = _stored(gpu, texture_format, value).reshape(-1)[0]
        name = f"{value.replace(' * v', '').replace('(u32(', '(').replace('))', ')')} in {texture_format}"
        values[name] = text(found)
        if found != wanted:
            wrong.append(f"{name} is {text(found)}, not {text(np.float64(wanted))}")
    return answer(wrong, values)


@TEXTURES.probe("weights of a linear sampler")
def _(gpu: GPU) -> Answer:
    count = 4096
    source = """
@group(0) @binding(0) var t: texture_2d<f32>;
@group(0) @binding(1) var s: sampler;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i < arrayLength(&y)) { y[i] = textureSampleLevel(t, s, vec2f(0.25 + 0.5 * f32(i) / f32(arrayLength(&y)), 0.5), 0.0).x; }
}"""
    image = np.zeros((1, 2, 4), np.float16)
    image[0, 1] = 1
    found = gpu.run(source, t=texture(image), s=sampler(), y=out(count), threads=count)
    distinct = len(np.unique(found))
    values = {"distinct results of 4,096 places between two texels": str(distinct)}
    return ("right" if distinct > count * 0.9 else f"differs: {distinct} weights between two texels"), values


@TEXTURES.probe("storage formats")
def _(gpu: GPU) -> Answer:
    values = {}
    for texture_format, access in (
        ("rgba8unorm", "write"), ("rgba8unorm", "read_write"), ("r8unorm", "write"), ("rg16float", "write"), ("rgb10a2unorm", "write"), ("bgra8unorm", "write"),
    ):  # fmt: skip
        source = f"""
@group(0) @binding(0) var t: texture_storage_2d<{texture_format}, {access}>;
@compute @workgroup_size(1) fn main() {{ textureStore(t, vec2u(0), vec4f(1)); }}"""
        try:
            gpu.kernel(source)
        except errors.WebGPUWidgetError:
            values[f"{texture_format}, {access}"] = "no"
        else:
            values[f"{texture_format}, {access}"] = "yes"
    lacking = [name for name, there in values.items() if there == "no"]
    return (f"differs: lacks {'; '.join(lacking)}" if lacking else "right"), values


# ------------------------------------------------------------ compilers and clocks


@COMPILER.probe("seconds to compile 16 KiB of workgroup memory")
def _(gpu: GPU) -> Answer:
    return _compiled(
        gpu,
        "var<workgroup> shared_: array<f32, 4096>;",
        "shared_[i] = y[i]; workgroupBarrier(); y[i] = shared_[255u - i];",
    )


@COMPILER.probe("seconds to compile a small kernel")
def _(gpu: GPU) -> Answer:
    return _compiled(gpu, "", "y[i] = y[i] * 2.0;")


def _compiled(gpu: GPU, head: str, body: str) -> Answer:
    unlike = np.random.default_rng().integers(2**31)  # what a browser has compiled before, it does not compile again
    source = f"""{head}
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(256) fn main(@builtin(local_invocation_index) i: u32) {{ {body} if (y[0] == {unlike}.0) {{ y[1] = 0.0; }} }}"""
    y = gpu.array(np.arange(256, dtype=np.float32))
    gpu.synchronize()
    began = time.perf_counter()
    gpu.run(source, y=y, workgroups=1)
    y.numpy()
    spent = time.perf_counter() - began
    values = {"seconds": f"{spent:.2f}"}
    return ("right" if spent < 1 else f"differs: {spent:.1f} s"), values


@COMPILER.probe("timestamps", "timestamp-query")
def _(gpu: GPU) -> Answer:
    y = gpu.zeros(1 << 20)
    with gpu.profile() as profile:
        (y + 1).numpy()
    times = [row.gpu_ms for row in profile.rows]
    known = [time_ms for time_ms in times if time_ms is not None]
    values = {"gpu_ms of 2**20 additions": ", ".join(f"{value:.4f}" for value in known) or "none"}
    return ("right" if known else "differs: none came"), values
