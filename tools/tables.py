"""Write the tables of docs/weights.md and docs/wgsl.md: what of files is decoded, and what of WGSL is taken.

::

    python tools/tables.py            # writes both; the second needs a browser
    python tools/tables.py weights    # one of them
"""

from __future__ import annotations

import pathlib
import sys

import webgpu_widget as wg
from webgpu_widget.weights.convert import Rules
from webgpu_widget.weights.tensors import ENCODINGS, TensorInfo

DOCS = pathlib.Path(__file__).parents[1] / "docs"
MAIN = "@compute @workgroup_size(1) fn main() {{ {} }}"
STORAGE = "@group(0) @binding(0) var<storage, read_write> x: {};"
TEXTURE = "@group(0) @binding(0) var t: {};"
READ = MAIN.format("_ = textureDimensions(t);")

NONE = "nothing: a call is refused, since no array is one"
TEXELS = "texel_buffer<rgba8unorm, read>"
GIVEN = {
    "texture_multisampled_2d<f32>": NONE,
    "texture_external": NONE,
    TEXELS: "nothing: a call is refused, since WebGPU has no binding for it yet",
}

SAMPLES: dict[str, tuple[str, str]] = {
    "storage: arrays of scalars, vectors, matrices": (
        "arrays",
        STORAGE.format("array<mat3x3f>") + MAIN.format("x[0][1] = vec3f(1);"),
    ),
    "storage: structs, nested, with arrays": (
        "dicts, structured arrays, `gpu.array` of these",
        "struct A { a: f32, b: array<vec3f, 2> } struct S { a: array<A, 2>, n: u32 }"
        + STORAGE.format("array<S>")
        + MAIN.format("x[0].n = 1u;"),
    ),
    "storage: a struct with a runtime-sized tail": (
        "a dict, `wg.out(tail=n)`",
        "struct S { n: atomic<u32>, items: array<u32> }" + STORAGE.format("S") + MAIN.format("x.items[0] = 1u;"),
    ),
    "uniform": (
        "numbers, arrays, dicts",
        "struct S { a: vec3f, b: f32 } @group(0) @binding(0) var<uniform> x: S;" + MAIN.format("_ = x.a;"),
    ),
    "`var<immediate>`": ("as a uniform", "var<immediate> x: vec4f;" + MAIN.format("_ = x;")),
    "overrides, by name and by `@id`, in counts and workgroup sizes": (
        "`constants=`",
        "const I = 3; @id(I) override n: u32 = 4; var<workgroup> w: array<f32, n * 2>; @compute @workgroup_size(n) fn main() { w[0] = 1; }",
    ),
    "composite constants in counts": (
        "",
        "const v = vec3(4, 2, 3); const a = array(1, 2); "
        + STORAGE.format("array<f32, v.x + a[1] + countOneBits(7u)>")
        + MAIN.format("x[0] = 1;"),
    ),
    "several entry points": (
        "`entry_point=`",
        STORAGE.format("array<f32>")
        + MAIN.format("x[0] = 1;")
        + "@compute @workgroup_size(1) fn other() { x[0] = 2; }",
    ),
    "aliases, and names that hide others": (
        "",
        "alias V = vec4f; "
        + STORAGE.format("array<V>")
        + MAIN.format("for (var x = 0; x < 2; x++) {{ }} x[0] = V(1);"),
    ),
    **{
        f"`{kind}`": (GIVEN.get(kind, "`wg.texture`"), TEXTURE.format(kind) + READ)
        for kind in (
            "texture_1d<f32>",
            "texture_2d<f32>",
            "texture_2d<u32>",
            "texture_2d_array<f32>",
            "texture_3d<f32>",
            "texture_cube<f32>",
            "texture_depth_2d",
            "texture_multisampled_2d<f32>",
            "texture_external",
            TEXELS,
        )
    },
    **{
        f"`{kind}`": ("`wg.out_texture`, `wg.texture`", TEXTURE.format(kind) + READ)
        for kind in (
            "texture_storage_2d<rgba8unorm, write>",
            "texture_storage_2d<r32float, read_write>",
            "texture_storage_3d<rgba16float, write>",
        )
    },
    "`enable f16`": ("", "enable f16; " + STORAGE.format("array<f16>") + MAIN.format("x[0] = 1h;")),
    "`enable subgroups`": (
        "",
        "enable subgroups; " + STORAGE.format("array<f32>") + MAIN.format("x[0] = subgroupAdd(1.0);"),
    ),
    "`requires buffer_view`": (
        "uint32 arrays",
        "requires buffer_view; @group(0) @binding(0) var<storage, read> x: buffer;" + MAIN.format("_ = &x;"),
    ),
    "`enable subgroup_size_control`": (
        "",
        "enable subgroups; enable subgroup_size_control; @compute @workgroup_size(32) @subgroup_size(32) fn main() {}",
    ),
}
"""What is tried, how it is given, and a module with it."""


SCALED = """
Small floats (F8) of a safetensors file are multiplied by the scales beside them as they load; `tensor.scale` of a plan names these. `x.weight` is scaled by
`x.weight_scale_inv` (DeepSeek, Qwen), `x.weight_scale` (compressed-tensors, FBGEMM, ModelOpt), `x.scale_weight` (ComfyUI) or `x.scale`, a tensor of any
other name by that with `_scale` or `_scale_inv` behind it. Scales are one number, one a row, or one a block: of 128 elements along an axis where
that gives as many scales as there are, else of equal parts. Others are refused by their name. With `dtype="f16"` the product is rounded once more; with
`quantize=` a group's scale takes it up.

F6 is listed and not decoded: neither the format nor a writer that we know says in which order the bits of four elements lie in three bytes.
"""


def weights_table() -> str:
    """Return docs/weights.md."""
    lines = [
        "# What of weights files is decoded",
        "",
        "Made by `python tools/tables.py weights`. Every other kind is listed by `wg.inspect_weights` and refused by its name; the rest of the file loads.",
        "",
        "| in the file | elements a block | bytes a block | on the GPU, unless asked otherwise |",
        "| --- | --- | --- | --- |",
    ]
    for encoding in ENCODINGS.values():
        target = Rules().target(TensorInfo("x", encoding.name, (encoding.block_elements,), 0, "", 0, 0))
        becomes = target.dtype or ("float32, with `dtype='f32'`" if encoding.kind == "float" else "listed, not decoded")
        lines.append(f"| {encoding.name} | {encoding.block_elements} | {encoding.block_bytes} | {becomes} |")
    lines += ["", *SCALED.strip().splitlines()]
    return "\n".join(lines) + "\n"


def tried(gpu: wg.GPU, source: str) -> str:
    """Return what compiling a module says: "yes", or why not."""
    try:
        gpu.kernel(source, entry_point="main")
    except wg.WebGPUWidgetError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = lines[1] if isinstance(error, wg.ShaderError) and len(lines) > 1 else lines[0]
        return f"no: {said.replace('|', '/'):.160}"
    return "yes"


def wgsl_table(gpu: wg.GPU) -> str:
    """Return docs/wgsl.md."""
    info = gpu.info
    browser = next((part for part in info.user_agent.split() if "Chrome/" in part), info.user_agent)
    made = f"Made by `python tools/tables.py wgsl`, here on {info.name} with {browser.replace('Headless', '')}."
    said = f"{made} A module that compiles is reflected; its variables are arguments by name."
    head = ["| in the module | taken | given as |", "| --- | --- | --- |"]
    lines = ["# What of WGSL is taken", "", said, "", *head]
    lines += [f"| {what} | {tried(gpu, source)} | {given} |" for what, (given, source) in SAMPLES.items()]
    return "\n".join(lines) + "\n" + BESIDE_DAWN


BESIDE_DAWN = """
## Beside Dawn

`make wgsl WGSL_OPTIONS="FOLDER ..."` compares the reflection with Dawn itself: of each entry point a pipeline is made with the layout that the reflection says
(buffers with their sizes, textures with their kinds, samplers, immediates), which Dawn must take, and one with each binding left out, which it must refuse.
On 2026-12-01, with the npm package in `js/test/dawn/package-lock.json`:

| modules | Dawn refuses | entry points | bindings left out | wrong |
| --- | --- | --- | --- | --- |
| the package's own: 82 | 0 | 99 | 388 | 0 |
| public, of 11 repositories (wgpu, naga, webgpu-samples, vello, learn-wgpu, wgmath, compute-shader-101, GPUPrefixSums, webgpu-ocean, Splash, burn): 648 | 183 | 144 | 241 | 0 |
| Dawn's own tests, those with a compute shader: 10,752 | 7 | 8,576 | 10,319 | 0 |

What Dawn refuses is written for a preprocessor, or for another compiler. 2,173 more entry points of Dawn's tests are left out: 640 use texel buffers, for which
a layout has no word, and the others ask for formats or sizes that the device of its null backend has not, whatever the layout.
"""


def main(wanted: list[str]) -> None:
    """Write the tables that are asked for."""
    if not wanted or "weights" in wanted:
        (DOCS / "weights.md").write_text(weights_table())
    if not wanted or "wgsl" in wanted:
        with_gpu = wg.GPU(transport="headless")
        (DOCS / "wgsl.md").write_text(wgsl_table(with_gpu))
        with_gpu.close()


if __name__ == "__main__":
    main(sys.argv[1:])
