"""The error of a bad call is that call's own: typed, with its cause, and the next call is right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import webgpu_widget as wg

X = np.float32([1, 2, 3])
SQUARE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * x[id.x]; }
}"""
Y = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;"
serial = itertools.count()


@pytest.fixture(autouse=True)
def next_calls_work(gpu):
    yield
    fresh = f"const SERIAL = {next(serial)};" + SQUARE  # a pipeline that is not in the cache
    for source in (SQUARE, fresh):
        assert np.array_equal(gpu.run(source, x=X, y=wg.out(3), threads=3), X * X)
    gpu.synchronize()


def main(body, size="1"):
    return f"@compute @workgroup_size({size}) fn main() {{ {body} }}"


def one(group, binding):
    return f"@group({group}) @binding({binding}) var<storage, read_write> y: array<f32>; {main('y[0] = 1.0;')}"


def many(kind, count, body):
    return "".join(f"@group(0) @binding({i}) {kind.format(i)}" for i in range(count)) + main(
        "".join(body.format(i) for i in range(count))
    )


def run(gpu, source, **arguments):
    return gpu.run(source, **{"workgroups": 1, **arguments})


def freed(gpu):
    array = gpu.array(X)
    array.free()
    return array


# By name: what is called, the error's type, and words of its message. Limits come from the adapter: `limits`.
BAD = {
    "two variables on one slot": (
        lambda g, limits: run(
            g,
            "@group(0) @binding(0) var<storage, read> a: array<f32>; @group(0) @binding(0) var<storage, read_write> b: array<f32>;"
            + main("b[0] = a[0];"),
            a=X,
            b=wg.out(3),
        ),
        (wg.ShaderError, wg.BindingError),  # the browser's compiler may say it first
        r"@group\(0\).*@binding\(0\)",
    ),
    "two uniforms on one slot": (
        lambda g, limits: g.kernel(
            f"@group(0) @binding(1) var<uniform> a: f32; @group(0) @binding(1) var<uniform> b: u32; {Y}"
            + main("y[0] = a + f32(b);")
        ),
        (wg.ShaderError, wg.BindingError),
        r"@group\(0\).*@binding\(1\)",
    ),
    "a texture and a sampler on one slot": (
        lambda g, limits: g.kernel(
            f"@group(1) @binding(0) var t: texture_2d<f32>; @group(1) @binding(0) var s: sampler; {Y}"
            + main("y[0] = textureSampleLevel(t, s, vec2f(), 0.0).x;")
        ),
        (wg.ShaderError, wg.BindingError),
        r"@group\(1\).*@binding\(0\)",
    ),
    "a group too many": (
        lambda g, limits: run(g, one(limits["maxBindGroups"], 0), y=wg.out(1)),
        wg.LimitError,
        "y.*maxBindGroups",
    ),
    "a binding too many": (
        lambda g, limits: run(g, one(0, limits["maxBindingsPerBindGroup"]), y=wg.out(1)),
        wg.LimitError,
        "y.*maxBindingsPerBindGroup",
    ),
    "a group far beyond": (lambda g, limits: g.kernel(one(4000, 0)), wg.LimitError, "maxBindGroups"),
    "a binding far beyond": (lambda g, limits: g.kernel(one(0, 500000)), wg.LimitError, "maxBindingsPerBindGroup"),
    "too many storage buffers": (
        lambda g, limits: g.kernel(
            many("var<storage, read_write> b{}: f32;", limits["maxStorageBuffersPerShaderStage"] + 1, "b{} = 1.0;")
        ),
        wg.LimitError,
        "maxStorageBuffersPerShaderStage",
    ),
    "too many uniforms": (
        lambda g, limits: g.kernel(
            many("var<uniform> b{}: f32;", limits["maxUniformBuffersPerShaderStage"] + 1, "_ = b{};")
        ),
        wg.LimitError,
        "maxUniformBuffersPerShaderStage",
    ),
    "too many textures": (
        lambda g, limits: g.kernel(
            many(
                "var b{}: texture_2d<f32>;",
                limits["maxSampledTexturesPerShaderStage"] + 1,
                "_ = textureLoad(b{}, vec2u(), 0);",
            )
        ),
        wg.LimitError,
        "maxSampledTexturesPerShaderStage",
    ),
    "too many storage textures": (
        lambda g, limits: g.kernel(
            many(
                "var b{}: texture_storage_2d<rgba8unorm, write>;",
                limits["maxStorageTexturesPerShaderStage"] + 1,
                "textureStore(b{}, vec2u(), vec4f());",
            )
        ),
        wg.LimitError,
        "maxStorageTexturesPerShaderStage",
    ),
    "too many samplers": (
        lambda g, limits: g.kernel(
            "@group(1) @binding(0) var t: texture_2d<f32>;"
            + many(
                "var b{}: sampler;",
                limits["maxSamplersPerShaderStage"] + 1,
                "_ = textureSampleLevel(t, b{}, vec2f(), 0.0);",
            )
        ),
        wg.LimitError,
        "maxSamplersPerShaderStage",
    ),
    **{
        f"a workgroup too large in {axis}": (
            lambda g, limits, at=at, axis=axis: g.kernel(
                main(
                    "",
                    ", ".join(str(limits[f"maxComputeWorkgroupSize{axis}"] + 1) if i == at else "1" for i in range(3)),
                )
            ),
            wg.LimitError,
            f"maxComputeWorkgroupSize{axis}|maxComputeInvocations",
        )
        for at, axis in enumerate("XYZ")
    },
    "a workgroup of too many": (
        lambda g, limits: g.kernel(main("", f"{limits['maxComputeInvocationsPerWorkgroup']}, 2")),
        wg.LimitError,
        "maxComputeInvocationsPerWorkgroup",
    ),
    "a workgroup too large by an override": (
        lambda g, limits: g.kernel(
            "override N = 1u;" + main("", "N"), constants={"N": limits["maxComputeWorkgroupSizeX"] + 1}
        ),
        wg.LimitError,
        "maxCompute",
    ),
    "an empty workgroup": (lambda g, limits: g.kernel(main("", "0")), wg.ShaderError, "workgroup_size"),
    "an empty workgroup by an override": (
        lambda g, limits: g.kernel("override N = 1u;" + main("", "N"), constants={"N": 0}),
        wg.WebGPUWidgetError,
        "(?i)workgroup|zero|greater",
    ),
    "too much workgroup memory": (
        lambda g, limits: g.kernel(
            f"var<workgroup> tile: array<vec4f, {limits['maxComputeWorkgroupStorageSize'] // 16 + 1}>; {Y}"
            + main("tile[0].x = 1.0; y[0] = tile[1].x;")
        ),
        wg.WebGPUWidgetError,
        "(?i)workgroup",
    ),
    "no entry point": (lambda g, limits: g.kernel("const A = 1;"), wg.ShaderError, "no @compute entry point"),
    "a missing entry point": (lambda g, limits: g.kernel(SQUARE, entry_point="mian"), wg.BindingError, "mian.*main"),
    "no choice of two entry points": (
        lambda g, limits: run(g, Y + main("y[0] = 1.0;") + main("").replace("main", "other"), y=wg.out(1)),
        wg.BindingError,
        "main, other",
    ),
    "an override that is not there": (
        lambda g, limits: g.kernel(SQUARE, constants={"N": 1}),
        wg.BindingError,
        "no override N",
    ),
    "an override without a value": (
        lambda g, limits: run(g, f"override N: u32; {Y}" + main("y[0] = f32(N);"), y=wg.out(1)),
        wg.BindingError,
        "N has no default",
    ),
    "an override with a fraction": (
        lambda g, limits: g.kernel(f"override N: u32; {Y}" + main("y[0] = f32(N);"), constants={"N": 1.7}),
        wg.BindingError,
        "N is u32, and 1.7",
    ),
    "an override between false and true": (
        lambda g, limits: g.kernel(f"override N = true; {Y}" + main("y[0] = f32(N);"), constants={"N": 0.5}),
        wg.BindingError,
        "N is bool, and 0.5",
    ),
    "an override below its range": (
        lambda g, limits: g.kernel(f"override N: u32; {Y}" + main("y[0] = f32(N);"), constants={"N": -1}),
        wg.BindingError,
        "N is u32, and -1",
    ),
    "an override beyond its range": (
        lambda g, limits: g.kernel(f"override N = 3; {Y}" + main("y[0] = f32(N);"), constants={"N": 2**31}),
        wg.BindingError,
        "N is i32, and 2147483648",
    ),
    "an override that overflows": (
        lambda g, limits: g.kernel(f"override N = 3.0; {Y}" + main("y[0] = N;"), constants={"N": 1e39}),
        wg.BindingError,
        r"N is f32, and 1e\+39",
    ),
    "an override whose zero has a sign": (
        lambda g, limits: g.kernel(f"override N = 3.0; {Y}" + main("y[0] = N;"), constants={"N": -0.0}),
        wg.BindingError,
        "'N' is -0.0.*a uniform, which keeps it",
    ),
    "an override that is no number": (
        lambda g, limits: g.kernel(f"override N = 3.0; {Y}" + main("y[0] = N;"), constants={"N": float("nan")}),
        wg.BindingError,
        "'N' is nan",
    ),
    "an override that no float holds": (
        lambda g, limits: g.kernel(f"override N = 3.0; {Y}" + main("y[0] = N;"), constants={"N": 10**400}),
        wg.BindingError,
        "'N' is 1000",
    ),
    "an override that is a text": (
        lambda g, limits: g.kernel(f"override N = 3.0; {Y}" + main("y[0] = N;"), constants={"N": "3"}),
        wg.BindingError,
        "'N' is '3'",
    ),
    "an override given twice": (
        lambda g, limits: g.kernel(f"@id(7) override N = 3.0; {Y}" + main("y[0] = N;"), constants={"N": 1, 7: 2}),
        wg.BindingError,
        "N is given twice",
    ),
    "an override that makes a constant overflow": (
        lambda g, limits: g.kernel(f"override N = 3u; {Y}" + main("y[0] = f32(N / (N - 1u));"), constants={"N": 1}),
        wg.WebGPUWidgetError,
        "(?i)1 / 0|zero",
    ),
    "an output of a variable for reading": (
        lambda g, limits: run(g, SQUARE, x=wg.out(3), y=wg.out(3)),
        wg.BindingError,
        "'x'.*read_write",
    ),
    "one array read and written": (
        lambda g, limits: run(g, SQUARE, **dict.fromkeys("xy", g.array(X))),
        wg.BindingError,
        "same array",
    ),
    "a sampler for an array": (
        lambda g, limits: run(g, SQUARE, x=wg.sampler(), y=wg.out(3)),
        wg.WebGPUWidgetError,
        "'x'",
    ),
    "a texture for an array": (
        lambda g, limits: run(g, SQUARE, x=wg.texture(np.zeros((2, 2, 4), np.uint8)), y=wg.out(3)),
        wg.WebGPUWidgetError,
        "'x'",
    ),
    "an array on the GPU for a uniform": (
        lambda g, limits: run(
            g, f"@group(0) @binding(1) var<uniform> u: vec4f; {Y}" + main("y[0] = u.x;"), u=g.zeros(4), y=wg.out(1)
        ),
        wg.BindingError,
        "'u'.*uniform",
    ),
    "a binding too large": (
        lambda g, limits: run(g, Y + main("y[0] = 1.0;"), y=wg.out(limits["maxStorageBufferBindingSize"] // 4 + 1)),
        wg.LimitError,
        "maxStorageBufferBindingSize|maxBufferSize",
    ),
    "a buffer too large": (
        lambda g, limits: g.zeros(limits["maxBufferSize"] // 4 + 1).numpy(),
        wg.LimitError,
        "maxBufferSize",
    ),
    "a uniform too large": (
        lambda g, limits: run(
            g,
            f"@group(0) @binding(1) var<uniform> u: array<vec4f, {limits['maxUniformBufferBindingSize'] // 16 + 1}>; {Y}"
            + main("y[0] = u[0].x;"),
            u=np.zeros((limits["maxUniformBufferBindingSize"] // 16 + 1, 4), np.float32),
            y=wg.out(1),
        ),
        wg.WebGPUWidgetError,
        "(?i)uniform",
    ),
    "an array too small": (
        lambda g, limits: run(
            g,
            f"@group(0) @binding(1) var<storage, read> x: array<vec4f>; {Y}" + main("y[0] = x[0].x;"),
            x=X,
            y=wg.out(1),
        ),
        wg.ShapeError,
        "'x'",
    ),
    "too many workgroups": (
        lambda g, limits: run(
            g, SQUARE, x=X, y=wg.out(3), workgroups=(1, limits["maxComputeWorkgroupsPerDimension"] + 1)
        ),
        wg.LimitError,
        "workgroups",
    ),
    "a texture too wide": (
        lambda g, limits: run(
            g,
            f"@group(0) @binding(1) var t: texture_2d<f32>; {Y}" + main("y[0] = textureLoad(t, vec2u(), 0).x;"),
            t=wg.texture(np.zeros((1, limits["maxTextureDimension2D"] + 1, 1), np.uint8)),
            y=wg.out(1),
        ),
        wg.LimitError,
        "maxTextureDimension2D",
    ),
    "too many layers": (
        lambda g, limits: run(
            g,
            f"@group(0) @binding(1) var t: texture_2d_array<f32>; {Y}"
            + main("y[0] = textureLoad(t, vec2u(), 0, 0).x;"),
            t=wg.texture(np.zeros((limits["maxTextureArrayLayers"] + 1, 1, 1, 1), np.uint8), dimension="2d-array"),
            y=wg.out(1),
        ),
        wg.LimitError,
        "maxTextureArrayLayers",
    ),
    "a texture too deep": (
        lambda g, limits: run(
            g,
            f"@group(0) @binding(1) var t: texture_3d<f32>; {Y}" + main("y[0] = textureLoad(t, vec3u(), 0).x;"),
            t=wg.texture(np.zeros((limits["maxTextureDimension3D"] + 1, 1, 1, 1), np.uint8), dimension="3d"),
            y=wg.out(1),
        ),
        wg.LimitError,
        "maxTextureDimension3D",
    ),
    "a float texture for whole numbers": (
        lambda g, limits: run(
            g,
            f"@group(0) @binding(1) var t: texture_2d<u32>; {Y}" + main("y[0] = f32(textureLoad(t, vec2u(), 0).x);"),
            t=wg.texture(np.zeros((2, 2, 4), np.uint8)),
            y=wg.out(1),
        ),
        wg.WebGPUWidgetError,
        "(?i)sample type|uint|float",
    ),
    "a storage texture of another format": (
        lambda g, limits: run(
            g,
            "@group(0) @binding(0) var t: texture_storage_2d<r32float, write>;"
            + main("textureStore(t, vec2u(), vec4f());"),
            t=wg.out_texture((2, 2), "rgba8unorm"),
        ),
        wg.BindingError,
        "r32float",
    ),
    "a syntax error": (lambda g, limits: g.kernel("fn main( {"), wg.ShaderError, "line 1"),
    "a type error": (lambda g, limits: g.kernel(Y + main("y[0] = 1u;")), wg.ShaderError, "u32"),
    "a name that is not there": (lambda g, limits: g.kernel(Y + main("y[0] = oops;")), wg.ShaderError, "oops"),
    "a name declared twice": (lambda g, limits: g.kernel("const a = 1; const a = 2;" + main("")), wg.ShaderError, "a"),
    "a reserved word": (lambda g, limits: g.kernel(main("let async = 1;")), wg.ShaderError, "async"),
    "an unknown extension": (
        lambda g, limits: g.kernel("enable no_such_thing;" + main("")),
        wg.ShaderError,
        "no_such_thing",
    ),
    "no workgroup size": (lambda g, limits: g.kernel("@compute fn main() {}"), wg.ShaderError, "workgroup_size"),
    "a store to what is read": (
        lambda g, limits: g.kernel("@group(0) @binding(0) var<storage, read> y: array<f32>;" + main("y[0] = 1.0;")),
        wg.ShaderError,
        "read",
    ),
    "a bool in memory": (
        lambda g, limits: g.kernel(
            "@group(0) @binding(0) var<storage, read_write> y: array<bool>;" + main("y[0] = true;")
        ),
        wg.ShaderError,
        "bool",
    ),
    "a runtime-sized array in the middle": (
        lambda g, limits: g.kernel(
            "struct S { a: array<f32>, b: f32 } @group(0) @binding(0) var<storage, read_write> y: S;"
            + main("y.b = 1.0;")
        ),
        wg.ShaderError,
        "(?i)runtime",
    ),
    "a recursion": (lambda g, limits: g.kernel("fn f() { f(); }" + main("f();")), wg.ShaderError, "(?i)cycl|recurs"),
    "a division by zero": (lambda g, limits: g.kernel(main("let a = 1 / 0;")), wg.ShaderError, "(?i)zero|divi"),
    "no binding": (
        lambda g, limits: g.kernel("var<storage, read_write> y: array<f32>;" + main("y[0] = 1.0;")),
        wg.ShaderError,
        "(?i)binding|group",
    ),
    "sampling by derivatives": (
        lambda g, limits: g.kernel(
            f"@group(0) @binding(1) var t: texture_2d<f32>; @group(0) @binding(2) var s: sampler; {Y}"
            + main("y[0] = textureSample(t, s, vec2f()).x;")
        ),
        wg.ShaderError,
        "textureSample",
    ),
    "a freed array": (
        lambda g, limits: run(g, SQUARE, x=freed(g), y=wg.out(3)),
        wg.ClosedError,
        "freed",
    ),
    "a missing argument": (lambda g, limits: run(g, SQUARE, x=X), wg.BindingError, "'y' is missing"),
    "an unknown argument": (lambda g, limits: run(g, SQUARE, x=X, y=wg.out(3), z=X), wg.BindingError, "'z'"),
    "a double array": (lambda g, limits: run(g, SQUARE, x=X.astype(float), y=wg.out(3)), wg.DTypeError, "float64"),
}


@pytest.mark.parametrize("name", BAD)
def test_its_own_error_and_no_other(gpu, name):
    call, error, words = BAD[name]
    with pytest.raises(error, match=words) as caught:
        call(gpu, gpu.info.limits)
    assert "due to a previous error" not in str(caught.value)
    assert type(caught.value) is not wg.WebGPUWidgetError


def test_a_call_overrides_the_kernels_constant_by_either_name(gpu):
    source = f"@id(7) override N = 3.0; {Y}" + main("y[0] = N;")
    for first, second in (("N", 7), (7, "N"), ("N", "N"), ("7", 7)):
        kernel = gpu.kernel(source, constants={first: 1})
        assert kernel(y=wg.out(1), threads=1, constants={second: 2}).numpy() == [2]
        assert kernel(y=wg.out(1), threads=1).numpy() == [1]
