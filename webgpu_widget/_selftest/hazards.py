"""How this adapter computes where adapters differ: one small WGSL module a question.

Each answer is ``right``, by WGSL's text or by IEEE 754, or ``differs: ...`` with what was seen. Most of the differences are allowed by
WGSL, and none of the package's kernels hangs on them; a user's own WGSL may. ``docs/adapters.md`` has them side by side, and what to
write instead.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget import errors
from webgpu_widget._bind import out
from webgpu_widget._selftest.probe import Probe, Probes
from webgpu_widget.textures import out_texture, sampler, texture

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = ["PROBES", "each"]

Answer = tuple[str, dict[str, str]]
COUNT = 4096
_TYPES = {"i32": np.int32, "u32": np.uint32, "f32": np.float32}

INTEGERS, HALVES, SUMS, FUSED, DIVISION = Probes(1), Probes(2), Probes(3), Probes(4), Probes(5)
FUNCTIONS, SUBNORMAL, BOUNDS, TEXTURES, NANS, COMPILER = (Probes(n) for n in (6, 7, 8, 9, 10, 11))


def each(
    gpu: GPU, expressions: Sequence[str], inputs: dict[str, NDArray[Any]], result: str = "f32", head: str = ""
) -> list[NDArray[Any]]:
    """Evaluate WGSL expressions over columns of numbers, which the compiler cannot know.

    Parameters
    ----------
    gpu : GPU
        Where.
    expressions : sequence of str
        Of the columns' names.
    inputs : dict of ndarray
        Columns of one length, float32, int32 or uint32.
    result : {"f32", "i32", "u32"}
        Type of the expressions.
    head : str
        What the module needs beside it.

    Returns
    -------
    list of ndarray
        A column for each expression, each from a kernel of its own.
    """
    kinds = {np.dtype(kind): name for name, kind in _TYPES.items()}
    lines = [
        f"@group(0) @binding({i}) var<storage, read> {name}_: array<{kinds[x.dtype]}>;"
        for i, (name, x) in enumerate(inputs.items())
    ]
    loads = " ".join(f"let {name} = {name}_[i];" for name in inputs)
    count = len(next(iter(inputs.values())))
    bound = {f"{name}_": x for name, x in inputs.items()}
    found = []
    for expression in expressions:
        source = f"""{head}
{chr(10).join(lines)}
@group(0) @binding({len(lines)}) var<storage, read_write> result_: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {{
  let i = id.x;
  if (i >= arrayLength(&result_)) {{ return; }}
  {loads}
  result_[i] = bitcast<u32>({result}({expression}));
}}"""
        words = gpu.run(source, bound, result_=out(count, np.uint32), threads=count)
        found.append(np.asarray(words).view(_TYPES[result]))
    return found


def singles(values: Sequence[float]) -> NDArray[np.float32]:
    """Make a column of float32."""
    return np.array(values, np.float32)


def text(value: Any) -> str:
    """Write a number down: short, and NaN with its bits."""
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    return str(int(value))


def _told(wrong: Sequence[str], values: dict[str, str]) -> Answer:
    return (f"differs: {'; '.join(wrong)}" if wrong else "right"), values


def _shares(gpu: GPU, cases: dict[str, Any], inputs: dict[str, NDArray[Any]], result: str, head: str = "") -> Answer:
    """Compare expressions with NumPy over many rows; what differs is told with an example."""
    wrong, values = [], {}
    for (expression, wanted), found in zip(cases.items(), each(gpu, list(cases), inputs, result, head), strict=True):
        off = np.flatnonzero((found != wanted) & ~(np.isnan(found) & np.isnan(wanted)))
        values[expression] = f"{len(off)} of {len(found)} rows differ"
        if len(off):
            at = off[0]
            given = ", ".join(f"{name} = {text(x[at])}" for name, x in inputs.items())
            wrong.append(
                f"{expression} in {len(off) / len(found):.0%} of rows ({given}: {text(found[at])}, not {text(wanted[at])})"
            )
    return _told(wrong, values)


def _table(gpu: GPU, cases: Sequence[tuple[str, tuple[float, ...], float]]) -> Answer:
    """Evaluate expressions of x (and y) at single points; what is not what is wanted is told."""
    wrong, values = [], {}
    for expression, given, wanted in cases:
        inputs = {name: np.array([value], np.float32) for name, value in zip("xyz", given, strict=False)}
        ((found,),) = each(gpu, [expression], inputs)
        name = expression
        for letter, value in zip("xyz", given, strict=False):
            name = name.replace(f"({letter}", f"({text(value)}").replace(f"{letter})", f"{text(value)})")
            name = name.replace(f" {letter} ", f" {text(value)} ").replace(f", {letter}", f", {text(value)}")
            name = name if not name.startswith(f"{letter} ") else text(value) + name[1:]
            name = name if not name.endswith(f" {letter}") else name[:-1] + text(value)
        values[name] = text(found)
        single = np.float32(wanted)
        close = found == single or (np.isnan(found) and np.isnan(single))
        if not close and np.isfinite(single) and single != 0:
            close = abs(float(found) - wanted) <= 2e-5 * abs(wanted)
        if not close:
            wrong.append(f"{name} is {text(found)}, not {text(single)}")
    return _told(wrong, values)


# ------------------------------------------------------------ 1. integers


def _pairs(count: int = COUNT) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(7)
    return {name: rng.integers(-30000, 30000, count).astype(np.int32) for name in "ab"}


@INTEGERS.probe("max and clamp of integers over abs")
def _(gpu: GPU) -> Answer:
    given = _pairs()
    a, b = np.abs(given["a"]), np.abs(given["b"])
    return _shares(
        gpu,
        {
            "max(abs(a), b)": np.maximum(a, given["b"]),
            "max(abs(a), abs(b))": np.maximum(a, b),
            "max(max(a, -a), max(b, -b))": np.maximum(a, b),
            "select(abs(b), abs(a), abs(a) > abs(b))": np.maximum(a, b),
            "clamp(abs(a), abs(b), 40000)": np.clip(a, b, 40000),
        },
        given,
        "i32",
    )


@INTEGERS.probe("max of u32(abs(a)), and other ways around it")
def _(gpu: GPU) -> Answer:
    given = _pairs()
    a, b = np.abs(given["a"]), np.abs(given["b"])
    return _shares(
        gpu,
        {
            "max(u32(abs(a)), u32(abs(b)))": np.maximum(a, b),
            "max(select(-a, a, a > 0), select(-b, b, b > 0))": np.maximum(a, b),
            "min(abs(a), abs(b))": np.minimum(a, b),
            "abs(a) + abs(b)": a + b,
        },
        given,
        "i32",
    )


@INTEGERS.probe("remainder of integers with signs")
def _(gpu: GPU) -> Answer:
    given = _pairs()
    given["b"][given["b"] == 0] = 1
    wanted = np.fmod(given["a"], given["b"])
    quotient = (given["a"] / given["b"]).astype(np.int32)
    return _shares(gpu, {"a % b": wanted, "a / b": quotient}, given, "i32")


# ------------------------------------------------------------ 2. float16


def _floats(count: int = COUNT) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(8)
    return {name: rng.normal(size=count).astype(np.float32) for name in "xy"}


@HALVES.probe("float32 to float16 and back by pack2x16float")
def _(gpu: GPU) -> Answer:
    given = _floats()
    rounded = given["x"].astype(np.float16).astype(np.float32)
    return _shares(gpu, {"unpack2x16float(pack2x16float(vec2f(x, 0))).x": rounded}, {"x": given["x"]}, "f32")


@HALVES.probe("quantizeToF16")
def _(gpu: GPU) -> Answer:
    given = _floats()
    rounded = given["x"].astype(np.float16).astype(np.float32)
    return _shares(gpu, {"quantizeToF16(x)": rounded}, {"x": given["x"]}, "f32")


@HALVES.probe("float32 to float16 and back by f16", "shader-f16")
def _(gpu: GPU) -> Answer:
    given = _floats()
    rounded = given["x"].astype(np.float16).astype(np.float32)
    return _shares(gpu, {"f32(f16(x))": rounded}, {"x": given["x"]}, "f32", "enable f16;")


@HALVES.probe("pack2x16float, the word stored")
def _(gpu: GPU) -> Answer:
    x = np.concatenate([_floats()["x"], singles([65519, 65504, 1e-7, 6e-8])])
    wanted = x.astype(np.float16).view(np.uint16).astype(np.uint32)
    return _shares(gpu, {"pack2x16float(vec2f(x, 0))": wanted}, {"x": x}, "u32")


@HALVES.probe("pack2x16float beyond float16, beside its neighbour")
def _(gpu: GPU) -> Answer:
    x = singles([65520, 70000, 1e30, np.inf, -np.inf, -70000])
    wanted = x.astype(np.float16).view(np.uint16).astype(np.uint32) | np.uint32(0x3C000000)
    return _shares(gpu, {"pack2x16float(vec2f(x, 1))": wanted}, {"x": x}, "u32")


# ------------------------------------------------------------ 3. reassociation, and comparisons of NaN


@SUMS.probe("sums keep their order")
def _(gpu: GPU) -> Answer:
    x, y = np.full(4, 1e8, np.float32), singles([1, 2, 3, 0.5])
    given = {"x": x, "y": y}
    return _shares(
        gpu,
        {"(x + y) - x": (x + y) - x, "(x + y) + -x": (x + y) + -x, "y + (x - (x + y))": y + (x - (x + y))},
        given,
        "f32",
    )


@SUMS.probe("x - x and x / x of what is not finite")
def _(gpu: GPU) -> Answer:
    x = singles([np.nan, np.inf, 0, 2])
    return _shares(
        gpu, {"x - x": x * 0, "x / x": singles([np.nan, np.nan, np.nan, 1]), "x * 0.0": x * 0}, {"x": x}, "f32"
    )


@SUMS.probe("comparisons see a NaN")
def _(gpu: GPU) -> Answer:
    x = singles([np.nan, 1, np.inf])
    cases = {
        "select(0u, 1u, x != x)": np.isnan(x),
        "select(0u, 1u, !(x == x))": np.isnan(x),
        "select(0u, 1u, x < 0 || x >= 0)": (x < 0) | (x >= 0),
        "select(0u, 1u, !(x < 1e38))": ~(x < 1e38),
        "select(0u, 1u, (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u)": np.isnan(x),
    }
    return _shares(gpu, {key: value.astype(np.uint32) for key, value in cases.items()}, {"x": x}, "u32")


@SUMS.probe("max and min of a NaN")
def _(gpu: GPU) -> Answer:
    given = {"x": singles([np.nan, 1]), "y": singles([1, np.nan])}
    wanted = singles([1, 1])
    answer, values = _shares(gpu, {"max(x, y)": wanted, "min(x, y)": wanted}, given, "f32")
    return answer, values


# ------------------------------------------------------------ 4. contraction


@FUSED.probe("a product and a sum round twice")
def _(gpu: GPU) -> Answer:
    rng = np.random.default_rng(9)
    given = {name: rng.normal(size=COUNT).astype(np.float32) for name in "xyz"}
    twice = given["x"] * given["y"] + given["z"]
    return _shares(gpu, {"x * y + z": twice}, given, "f32")


@FUSED.probe("fma rounds once")
def _(gpu: GPU) -> Answer:
    rng = np.random.default_rng(9)
    given = {name: rng.normal(size=COUNT).astype(np.float32) for name in "xyz"}
    # Products of float32 are exact in float64; the sum's own rounding there is far below float32's, save once in 2**29 rows.
    once = (given["x"].astype(np.float64) * given["y"] + given["z"]).astype(np.float32)
    return _shares(gpu, {"fma(x, y, z)": once}, given, "f32")


# ------------------------------------------------------------ 5. division, remainder, roots


@DIVISION.probe("remainder of floats")
def _(gpu: GPU) -> Answer:
    return _table(
        gpu,
        [
            ("x % y", (1e9, 3.0), float(np.fmod(np.float32(1e9), np.float32(3)))),
            ("x % y", (1e20, 7.0), float(np.fmod(np.float32(1e20), np.float32(7)))),
            ("x % y", (6.0, 0.1), float(np.fmod(np.float32(6), np.float32(0.1)))),
            ("x % y", (-7.5, 2.0), -1.5),
        ],
    )


@DIVISION.probe("division by what is huge or subnormal")
def _(gpu: GPU) -> Answer:
    return _table(gpu, [("x / y", (3e38, 3e38), 1.0), ("x / y", (1.0, 3e38), 0.0), ("x / y", (1e-30, 1e-40), 1e10)])


def _ulps(gpu: GPU, expression: str, given: dict[str, NDArray[Any]], exact: NDArray[np.float64]) -> Answer:
    """Say how far from rounded correctly."""
    (found,) = each(gpu, [expression], given)
    single = exact.astype(np.float32)
    off = np.abs(found.astype(np.float64) - exact) / np.spacing(np.abs(single)).astype(np.float64)
    share = float(np.mean(found != single))
    told = {expression: f"{off.max():.2f} ulp at worst, {share:.0%} not rounded correctly"}
    return ("right" if share == 0 else f"differs: {told[expression]}"), told


@DIVISION.probe("a quotient is rounded correctly")
def _(gpu: GPU) -> Answer:
    given = _floats(65536)
    return _ulps(gpu, "x / y", given, given["x"].astype(np.float64) / given["y"])


@DIVISION.probe("a root is rounded correctly")
def _(gpu: GPU) -> Answer:
    x = np.abs(_floats(65536)["x"])
    return _ulps(gpu, "sqrt(x)", {"x": x}, np.sqrt(x.astype(np.float64)))


@DIVISION.probe("a reciprocal is rounded correctly")
def _(gpu: GPU) -> Answer:
    x = _floats(65536)["x"]
    return _ulps(gpu, "1.0 / x", {"x": x}, 1 / x.astype(np.float64))


# ------------------------------------------------------------ 6. functions at special values


@FUNCTIONS.probe("pow")
def _(gpu: GPU) -> Answer:
    return _table(
        gpu,
        [
            ("pow(x, y)", (-2.0, 2.0), 4.0),
            ("pow(x, y)", (0.0, 0.0), 1.0),
            ("pow(x, y)", (-8.0, 3.0), -512.0),
            ("pow(x, y)", (0.0, 2.0), 0.0),
            ("pow(x, y)", (1.0, np.inf), 1.0),
        ],
    )


@FUNCTIONS.probe("log and exp")
def _(gpu: GPU) -> Answer:
    return _table(
        gpu,
        [
            ("log(x)", (0.0,), -np.inf),
            ("log(x)", (-1.0,), np.nan),
            ("log2(x)", (0.0,), -np.inf),
            ("log(x)", (np.inf,), np.inf),
            ("exp(x)", (100.0,), np.inf),
            ("exp(x)", (-200.0,), 0.0),
            ("exp(x)", (-np.inf,), 0.0),
        ],
    )


@FUNCTIONS.probe("hyperbolic functions")
def _(gpu: GPU) -> Answer:
    return _table(
        gpu,
        [
            ("tanh(x)", (100.0,), 1.0),
            ("tanh(x)", (1e-4,), 1e-4),
            ("sinh(x)", (1e-4,), 1e-4),
            ("asinh(x)", (-1e4,), -9.903487),
            ("acosh(x)", (0.5,), np.nan),
            ("atanh(x)", (1.0,), np.inf),
        ],
    )


@FUNCTIONS.probe("trigonometry")
def _(gpu: GPU) -> Answer:
    exact = {x: float(np.sin(x)) for x in (1e3, 1e6, 1e10)}
    return _table(
        gpu,
        [
            *(("sin(x)", (x,), value) for x, value in exact.items()),
            ("cos(x)", (1e6,), float(np.cos(1e6))),
            ("tan(x)", (1e6,), float(np.tan(1e6))),
            ("atan2(x, y)", (-0.0, -1.0), -np.pi),
            ("atan2(x, y)", (0.0, -1.0), np.pi),
            ("asin(x)", (2.0,), np.nan),
        ],
    )


@FUNCTIONS.probe("rounding and sign")
def _(gpu: GPU) -> Answer:
    return _table(
        gpu,
        [
            ("round(x)", (2.5,), 2.0),
            ("round(x)", (-0.5,), 0.0),
            ("sign(x)", (np.nan,), np.nan),
            ("fract(x)", (-1e-9,), 1.0),
            ("floor(x)", (-1e-9,), -1.0),
            ("sqrt(x)", (-1.0,), np.nan),
            ("length(vec2f(x, y))", (1e30, 1e30), 1.4142135e30),
            ("normalize(vec2f(x, y)).x", (0.0, 0.0), np.nan),
            ("f32(i32(x))", (3e9,), 2147483648.0),
            ("f32(u32(x))", (-1.0,), 0.0),
        ],
    )


# ------------------------------------------------------------ 7. subnormals


@SUBNORMAL.probe("subnormal numbers")
def _(gpu: GPU) -> Answer:
    small = float(np.float32(1e-40))
    return _table(
        gpu,
        [
            ("abs(x)", (-small,), small),
            ("max(x, y)", (small, 0.0), small),
            ("x + y", (small, small), 2 * small),
            ("x * y", (small, 1.0), small),
            ("x * y", (1e-20, 1e-20), small),
            ("ceil(x)", (small,), 1.0),
            ("floor(x)", (-small,), -1.0),
            ("sign(x)", (small,), 1.0),
            ("select(0.0, 1.0, x > 0)", (small,), 1.0),
        ],
    )


@SUBNORMAL.probe("frexp and modf of infinity")
def _(gpu: GPU) -> Answer:
    return _table(
        gpu,
        [
            ("frexp(x).fract", (8.0,), 0.5),
            ("frexp(x).fract", (np.inf,), np.inf),
            ("modf(x).fract", (np.inf,), 0.0),
            ("modf(x).whole", (np.inf,), np.inf),
            ("ldexp(x, i32(y))", (1e30, 100.0), np.inf),
            ("ldexp(x, i32(y))", (1.0, -130.0), 2.0**-130),
        ],
    )


# ------------------------------------------------------------ 8. indices outside


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
    return _told(wrong, values)


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
    return _told(wrong, values)


# ------------------------------------------------------------ 9. textures


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
    given = (
        np.float32([float(value.split("v", maxsplit=1)[0].rstrip(" *") or 1)])
        if "v" not in value
        else np.ones(1, np.float32)
    )
    return np.asarray(gpu.run(source, t=out_texture((1, 1), texture_format), x=given, threads=1))


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
    return _told(wrong, values)


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


# ------------------------------------------------------------ 10. NaN


@NANS.probe("a NaN keeps its bits when it is copied")
def _(gpu: GPU) -> Answer:
    x = np.array([0x7FC00001, 0xFFC12345, 0x7F800001], np.uint32).view(np.float32)
    cases = {"bitcast<u32>(x)": x.view(np.uint32), "bitcast<u32>(select(x, 0.0, x == 5))": x.view(np.uint32)}
    return _shares(gpu, cases, {"x": x}, "u32")


@NANS.probe("a NaN keeps its sign through float16 and negation")
def _(gpu: GPU) -> Answer:
    x = np.array([0x7FC00000, 0xFFC00000], np.uint32).view(np.float32)
    sign = np.array([0, 1], np.uint32)
    cases = {
        "pack2x16float(vec2f(x, 0)) >> 15u": sign,
        "bitcast<u32>(-x) >> 31u": 1 - sign,
        "bitcast<u32>(x + 1.0) >> 31u": sign,
    }
    return _shares(gpu, cases, {"x": x}, "u32")


# ------------------------------------------------------------ 11. compilers and clocks


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


PROBES: list[Probe] = [
    probe
    for group in (INTEGERS, HALVES, SUMS, FUSED, DIVISION, FUNCTIONS, SUBNORMAL, BOUNDS, TEXTURES, NANS, COMPILER)
    for probe in group.probes
]
