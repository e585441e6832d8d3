"""Shader views without a notebook: each form of WGSL, what can be given to it, and what is refused, pixel by pixel."""

from __future__ import annotations

import base64
import io
import pathlib
import warnings
from typing import Any

import numpy as np
import pytest
import traitlets
from numpy.typing import NDArray
from PIL import Image

import webgpu_widget as wg

SIZE = (7, 5)


def bytes_of(values: Any) -> NDArray[np.int64]:
    """Colours from 0 to 1 as a texture of rgba8unorm keeps them."""
    return np.rint(np.clip(np.asarray(values, np.float64), 0, 1) * 255).astype(np.int64)


def near(picture: NDArray[np.uint8], expected: Any) -> None:
    """Compare with a tolerance of one step: WebGPU lets unorm round either way at a half, and adapters do."""
    assert np.abs(picture.astype(np.int64) - bytes_of(expected)).max() <= 1


def centres(size: tuple[int, int] = SIZE) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The middles of pixels, x and y, upper row first."""
    return np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)


BODY = "return vec4f(x / 8.0, y / 8.0, fract(t), 1.0);"
FORMS = {
    "image": f"fn image(position: vec2f, time: f32) -> vec4f {{ let x = position.x; let y = position.y; let t = time; {BODY} }}",
    "main": f"fn main(time: f32, p: vec2<f32>) -> vec4<f32> {{ let x = p.x; let y = p.y; let t = time; {BODY} }}",
    "rgb": "fn image(position: vec2f) -> vec3f { return vec3f(position / 8.0, fract(iTime)); }",
    "shadertoy": f"fn mainImage(fragCoord: vec2f) -> vec4f {{ let x = fragCoord.x; let y = iResolution.y - fragCoord.y; let t = iTime; {BODY} }}",
    "fragment": f"@fragment fn draw(@builtin(position) at: vec4f) -> @location(0) vec4f {{ let x = at.x; let y = at.y; let t = iTime; {BODY} }}",
    "compute": """
        @group(0) @binding(3) var picture: texture_storage_2d<rgba8unorm, write>;
        @compute @workgroup_size(4, 4) fn draw(@builtin(global_invocation_id) id: vec3u) {
          if (all(id.xy < textureDimensions(picture))) {
            let p = vec2f(id.xy) + 0.5;
            textureStore(picture, id.xy, vec4f(p / 8.0, fract(iTime), 1.0));
          }
        }""",
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_draws_the_same_picture(gpu: wg.GPU, form: str) -> None:
    view = wg.ShaderView(FORMS[form], SIZE, gpu)
    x, y = centres()
    for time in (0.0, 2.25):
        near(view.frame(time), np.stack([x / 8, y / 8, np.full_like(x, time % 1), np.ones_like(x)], axis=-1))
    assert view.frame(size=(3, 2)).shape == (2, 3, 4)


def test_uniforms_are_traits_and_come_as_their_types(gpu: wg.GPU) -> None:
    struct = "struct Params { scale: f32, offsets: array<vec4f, 2>, turn: mat2x3f }"
    source = f"""{struct}
    @group(0) @binding(0) var<uniform> params: Params;
    @group(1) @binding(4) var<uniform> declared: f32;
    fn image(position: vec2f) -> vec4f {{
      let moved = matrix * vec2f(1.0, 2.0) + params.turn * vec2f(0.25, 0.5);
      if (count == -3 && flag == 1u && pair.y == 4.0 && params.offsets[1].z == 7.0 && declared == 2.0) {{
        return vec4f(color.rgb * level * params.scale, moved.y);
      }}
      return vec4f(0.0);
    }}"""
    matrix = np.array([[0.5, 0.25], [0.125, 0.0], [0.0, 0.0]])
    params = {"scale": 0.5, "offsets": np.arange(8.0).reshape(2, 4) + 1, "turn": np.array([[0, 0], [1, 0.5], [0, 0]])}
    view = wg.ShaderView(
        source,
        (2, 1),
        gpu,
        params=params,
        declared=2,
        count=-3,
        flag=True,
        pair=(3, 4),
        color="#ff8000",
        level=0.5,
        matrix=matrix,
    )
    near(view.frame(), np.full((1, 2, 4), [0.25, 128 / 255 / 4, 0, 0.125 + 0.5]))
    view.u_color = "#0000ff"
    view.u_level = np.float32(1.0)
    near(view.frame(), np.full((1, 2, 4), [0, 0, 0.5, 0.625]))
    assert view.has_trait("u_declared")
    assert isinstance(view.u_declared, float), "the WGSL says f32"
    for name, wrong in {"u_level": float("nan"), "u_count": 2**31, "u_pair": [1, 2, 3], "u_color": "red"}.items():
        with pytest.raises(traitlets.TraitError, match=name):
            setattr(view, name, wrong)
    with pytest.raises(AttributeError, match=r"no uniform u_lvel; it has .*u_level"):
        view.u_lvel = 1.0


def test_arrays_textures_and_samplers_of_the_gpu_are_bound_by_name(gpu: wg.GPU, rng: np.random.Generator) -> None:
    heights = rng.random(7).astype(np.float32)
    texels = rng.integers(0, 256, (5, 7, 4)).astype(np.uint8)
    resident = gpu.array(np.arange(5, dtype=np.int32))
    view = wg.ShaderView(
        """fn image(position: vec2f) -> vec4f {
          let at = vec2u(position);
          let sampled = textureSample(picture, nearest, position / vec2f(7.0, 5.0));
          return vec4f(heights[at.x], f32(rows[at.y]) / 4.0, sampled.xy);
        }""",
        SIZE,
        heights=heights,
        rows=resident,
        picture=wg.texture(texels),
        nearest=wg.sampler("nearest"),
    )
    assert view.gpu is gpu, "the GPU of the array that it was given"
    near(
        view.frame(),
        np.stack(
            [
                np.broadcast_to(heights, (5, 7)),
                np.broadcast_to(np.arange(5)[:, None] / 4, (5, 7)),
                texels[..., 0] / 255,
                texels[..., 1] / 255,
            ],
            axis=-1,
        ),
    )


def test_a_view_sees_what_is_assigned_to_its_arrays_and_copies_do_not(gpu: wg.GPU, rng: np.random.Generator) -> None:
    values = rng.random(7).astype(np.float32)
    x = gpu.array(values)
    before = x.copy()
    view = wg.ShaderView("fn image(p: vec2f) -> vec3f { return vec3f(x[u32(p.x)]); }", SIZE, x=x)
    pending = x + 1
    near(view.frame()[0, :, 0], values)
    x[...] = 1 - x
    near(view.frame()[0, :, 0], 1 - values)
    kernel = gpu.kernel(
        "@group(0) @binding(0) var<storage, read_write> x: array<f32>;\n"
        "@compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3u) { if (id.x < arrayLength(&x)) { x[id.x] = 0.5 * x[id.x]; } }"
    )
    kernel(x=x, threads=7)
    near(view.frame()[0, :, 0], (1 - values) / 2)
    with gpu.record() as program:
        x[...] = x * 0.5
    program.replay(2)
    near(view.frame()[0, :, 0], (1 - values) / 8)
    np.testing.assert_array_equal(before.numpy(), values)
    np.testing.assert_allclose(pending.numpy(), values + 1, rtol=1e-6)
    x.free()
    with pytest.raises(wg.ClosedError, match="freed"):
        view.frame()


BAD = {
    "no function": ("fn other() -> f32 { return 1.0; }", wg.BindingError, "nothing to draw; it declares other"),
    "wrong parameter": ("fn image(p: vec3f) -> vec4f { return vec4f(p, 1.0); }", wg.BindingError, "takes p: vec3f"),
    "wrong return": (
        "fn image(p: vec2f) -> f32 { return p.x; }",
        wg.BindingError,
        "returns f32; a colour is a vec4f or a vec3f",
    ),
    "not WGSL": ("fn image(p: vec2f) -> vec4f {\n  return nothing;\n}", wg.ShaderError, "line 2, column 10"),
    "unreadable": ("fn image(p: vec2f -> vec4f { return vec4f(1.0); }", wg.ShaderError, "line 1"),
    "two entry points": (
        "@fragment fn a() -> @location(0) vec4f { return vec4f(1.0); }\n@fragment fn b() -> @location(0) vec4f { return vec4f(1.0); }",
        wg.BindingError,
        "2 @fragment entry points, a, b",
    ),
    "no texture": ("@compute @workgroup_size(1) fn main() { }", wg.BindingError, "this one writes none"),
    "nothing bound": (
        "@group(0) @binding(0) var<storage, read> more: array<f32>;\nfn image(p: vec2f) -> vec3f { return vec3f(more[0]); }",
        wg.BindingError,
        r"nothing is bound to more .*pass more=",
    ),
    "no value": (
        "@group(0) @binding(0) var<uniform> gain: f32;\nfn image(p: vec2f) -> vec3f { return vec3f(gain); }",
        wg.BindingError,
        "the uniform gain has no value",
    ),
    "written": (
        "@group(0) @binding(0) var<storage, read_write> x: array<f32>;\nfn image(p: vec2f) -> vec3f { x[0] = 1.0; return vec3f(x[1]); }",
        wg.BindingError,
        "a view reads",
    ),
    "other numbers": (
        "@group(0) @binding(0) var<storage, read> x: array<u32>;\nfn image(p: vec2f) -> vec3f { return vec3f(f32(x[0])); }",
        wg.BindingError,
        "x is declared as u32, and the array has f32",
    ),
    "padded": (
        "@group(0) @binding(0) var<storage, read> x: array<vec3f>;\nfn image(p: vec2f) -> vec3f { return x[0]; }",
        wg.BindingError,
        "pads to 16 bytes",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_drawn_is_refused_with_what_to_do(gpu: wg.GPU, case: str) -> None:
    source, error, said = BAD[case]
    view = wg.ShaderView(source, SIZE, gpu, x=np.ones(8, np.float32))
    with pytest.raises(error, match=said):
        view.frame()
    view.source = "fn image() -> vec3f { return vec3f(x[0]); }"
    near(view.frame(), np.ones((5, 7, 4)))


def test_sizes_beyond_the_adapter_and_arguments_that_no_view_takes_are_refused(gpu: wg.GPU) -> None:
    source = "fn image(p: vec2f) -> vec3f { return vec3f(1.0); }"
    view = wg.ShaderView(source, SIZE, gpu)
    most = gpu.info.limits["maxTextureDimension2D"]
    with pytest.raises(wg.LimitError, match=f"{2 * most} x 4 pixels.*{most}"):
        view.frame(size=(2 * most, 4))
    assert view.frame().shape == (5, 7, 4), "it goes on"
    for size in [(0, 4), (3.5, 4), (4,), "ab"]:
        with pytest.raises(wg.ShapeError, match="two whole numbers"):
            wg.ShaderView(source, size, gpu)  # type: ignore[arg-type]
    for wrong in [{"x": {"a": 1}}, {"x": "red"}, {"x": np.ones(9)}, {"x": object()}]:
        with pytest.raises(wg.BindingError, match="x"):
            wg.ShaderView(source, SIZE, gpu, **wrong)
    many = {f"n{i}": float(i) for i in range(16)}
    crowded = wg.ShaderView(f"fn image() -> vec3f {{ return vec3f({' + '.join(many)}); }}", SIZE, gpu, **many)
    with pytest.raises(wg.LimitError, match="share a struct"):
        crowded.frame()


def test_pixels_that_are_nan_are_magenta_and_counted(gpu: wg.GPU) -> None:
    view = wg.ShaderView(
        "fn image(p: vec2f) -> vec3f { return vec3f(bitcast<f32>(select(0u, bits, p.x < 2.0))); }",
        SIZE,
        gpu,
        bits=0x7FC00000,
    )
    view.source = view.source.replace("bits,", "u32(bits),")
    with pytest.warns(RuntimeWarning, match="10 of 7 x 5 pixels are NaN"):
        picture = view.frame()
    near(picture[:, :2], np.full((5, 2, 4), [1, 0, 1, 1]))
    near(picture[:, 2:, :3], np.zeros((5, 5, 3)))


def test_the_saved_form_has_a_picture_and_a_line_and_no_secret(gpu: wg.GPU) -> None:
    view = wg.ShaderView(FORMS["image"], (1400, 300), gpu, gain=1.0)
    bundle = view._repr_mimebundle_()
    assert bundle is not None
    data, _ = bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == "ShaderView(1400 x 300 at 0.00 s, gain=1.0)"
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.size == (467, 100)
    broken = wg.ShaderView("fn image(", SIZE, gpu)._repr_mimebundle_()
    assert broken is not None
    # A page puts the live view, which says what is wrong, where its picture is.
    assert Image.open(io.BytesIO(base64.b64decode(broken[0]["image/png"]))).width == 2 * broken[1]["image/png"]["width"]


def test_stepping_pauses_and_goes_by_sixtieths(gpu: wg.GPU) -> None:
    view = wg.ShaderView(FORMS["image"], SIZE, gpu)
    view.step(3)
    assert not view.playing
    assert view.time == pytest.approx(0.05)
    view.step(-9)
    assert view.time == 0
    view.play()
    assert view.playing
    with pytest.raises(traitlets.TraitError, match="finite"):
        view.time = float("inf")


def test_a_page_without_the_gpu_gets_pictures_from_the_kernel(gpu: wg.GPU) -> None:
    view = wg.ShaderView("fn image(p: vec2f) -> vec3f { return vec3f(gain); }", SIZE, gpu, gain=0.5)
    said: list[tuple[dict[str, Any], Any]] = []
    view._say = lambda message, buffers: said.append((message, buffers))
    frame = {"time": 0.0, "delta": 0.016, "frame": 0, "size": [7, 5], "mouse": [0, 0, 0, 0]}
    view._answer({"id": "1", "kind": "draw", "frame": frame, "values": {"gain": 1.0}, "coarse": 2})
    view.source = "fn image(p: vec2f) -> vec3f { return nothing; }"
    view._answer({"id": "2", "kind": "draw", "frame": frame, "values": {"gain": 1.0}, "coarse": 1})
    (drawn, [png]), (failed, _) = said
    assert drawn["id"] == "1"
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert picture.shape == (3, 4, 3)
    assert (picture == 255).all(), "the page's value of the uniform, which may be newer"
    assert (failed["line"], failed["message"]) == (1, "unresolved value 'nothing'")


@pytest.mark.ffmpeg
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # the reader of imageio-ffmpeg leaves its pipes open
def test_a_film_has_its_frames(gpu: wg.GPU, tmp_path: pathlib.Path) -> None:
    import imageio_ffmpeg

    view = wg.ShaderView("fn image(p: vec2f, time: f32) -> vec3f { return vec3f(time); }", (33, 17), gpu)
    path = view.film(tmp_path / "dawn.mp4", 1.0, fps=8, progress=False)
    reader = imageio_ffmpeg.read_frames(str(path))
    about = next(reader)
    assert about["size"] == (32, 16)
    means = [np.frombuffer(frame, np.uint8).mean() for frame in reader]
    assert len(means) == 8
    np.testing.assert_allclose(means, np.arange(8) / 8 * 255, atol=6)  # limited range, and a codec that loses
    with pytest.raises(wg.WebGPUWidgetError, match=r"\.avi"):
        view.film(tmp_path / "dawn.avi", 1.0)


def test_a_closed_gpu_says_so(gpu: wg.GPU) -> None:
    del gpu
    own = wg.GPU(transport="headless")
    view = wg.ShaderView("fn image(p: vec2f) -> vec3f { return vec3f(1.0); }", SIZE, own)
    own.close()
    with pytest.raises(wg.ClosedError):
        view.frame()
    with pytest.raises(wg.ClosedError):
        wg.ShaderView("fn image(p: vec2f) -> vec3f { return vec3f(1.0); }", SIZE, own)
    with warnings.catch_warnings():
        view.close()
