"""What shaders share, alone; and uniforms as the page lays them out."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import shaders
from webgpu_widget.kernels import layout
from webgpu_widget.shaders import source
from webgpu_widget.shaders.uniforms import Uniform, uniform

HEAD = "@group(0) @binding(0) var<storage, read> x: array<u32>;\n@group(0) @binding(1) var<storage, read_write> y: array<u32>;\n"
EACH = "@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = %s; }\n"
WITH_UNIFORMS = [name for name in shaders.names() if "var<uniform>" in shaders.load(name)]


def test_every_float16_becomes_its_float32(gpu):
    halves = np.arange(1 << 16, dtype=np.uint16)
    text = source.load("shared/half") + HEAD + EACH % "half_bits(x[id.x])"
    found = gpu.run(text, x=halves.astype(np.uint32), y=wg.out(1 << 16, np.uint32), threads=1 << 16).view(np.float32)
    wanted = halves.view(np.float16).astype(np.float32)
    assert np.array_equal(found, wanted, equal_nan=True)
    assert np.array_equal(np.signbit(found), np.signbit(wanted))


def test_float32_is_rounded_to_the_nearest_float16(gpu, rng):
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    ties = (halves[:-1] + halves[1:]) / 2
    beside = [np.nextafter(ties, np.float32(side)) for side in (0, np.inf)]
    x = np.concatenate(
        [halves, ties, *beside, rng.normal(size=2048).astype(np.float32), [65519, 65520, np.inf, np.nan]]
    )
    x = np.concatenate([x, -x]).astype(np.float32)
    text = source.load("shared/to_half") + HEAD + EACH % "half_of(x[id.x])"
    found = gpu.run(text, x=x.view(np.uint32), y=wg.out(x.size, np.uint32), threads=x.size)
    with np.errstate(over="ignore"):
        wanted = x.astype(np.float16)
    assert np.array_equal(found.astype(np.uint16).view(np.float16), wanted, equal_nan=True)


@pytest.mark.parametrize("team", ["team", "workgroup_team"])
def test_teams_agree_on_sums_and_maxima(gpu, rng, team):
    if team == "team" and "subgroups" not in gpu.info.features:
        pytest.skip("the adapter has no subgroups")
    front, shared = "", source.read(f"shared/{team}")
    if "enable" in shared:
        front, shared = "enable subgroups;\n", shared.replace("enable subgroups;\n", "")
    text = f"""{front}const WG: u32 = 64u;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
{shared}
@compute @workgroup_size(WG) fn main(@builtin(local_invocation_index) index: u32, place: Place) {{
  let members = members_of(place, index);
  let v = x[place.group.x * WG + index];
  let four = team_sum4(vec4f(v, 2.0 * v, 0.0, 1.0));
  y[place.group.x * WG + index] = vec4f(team_sum(v), team_max(v), four.y, select(-1.0, four.w, four.w == f32(members)));
}}"""
    x = rng.integers(-1000, 1000, 256).astype(np.float32)
    found = gpu.run(text, x=x, y=wg.out((256, 4)), workgroups=4)
    members = int(found[0, 3])
    assert members == 64 or team == "team"
    assert (found[:, 3] == members).all()
    teams = x.reshape(-1, members)
    assert np.array_equal(found[:, 1].reshape(-1, members), np.repeat(teams.max(1, keepdims=True), members, 1))
    assert np.array_equal(found[:, 0].reshape(-1, members), np.repeat(teams.sum(1, keepdims=True), members, 1))
    assert np.array_equal(found[:, 2], 2 * found[:, 0])


@pytest.mark.parametrize("name", WITH_UNIFORMS)
def test_a_uniform_is_packed_as_the_page_lays_it_out(gpu, rng, name):
    kernel = gpu.kernel(shaders.load(name), name=name)
    assert kernel.reflection is not None
    (kind,) = (item["type"] for item in kernel._result["reflection"]["bindings"] if item["kind"] == "uniform")
    made = uniform(name)
    assert [member["name"] for member in kind["members"]] == [field for field, _ in made.fields]
    values = {
        member["name"]: rng.integers(1, 1 << 20, member["type"]["size"] // 4).tolist() for member in kind["members"]
    }
    data = made.pack({key: value if len(value) > 1 else value[0] for key, value in values.items()})
    assert len(data) == kind["size"]
    for member in kind["members"]:
        wanted = values[member["name"]]
        form = layout.SCALARS[layout.scalar_name(member["type"])]
        assert np.frombuffer(data, form, len(wanted), member["offset"]).tolist() == wanted


def test_a_uniform_says_which_fields_are_wrong():
    made = Uniform((("count", "u32"), ("step", "vec2f"), ("low", "i32")))
    with pytest.raises(TypeError, match="step is missing, stepp is no field; .*count, step, low"):
        made.pack(count=1, stepp=(1, 2), low=0)
    with pytest.raises(TypeError, match="more is no field"):
        made.pack(count=1, step=(1, 2), low=0, more=3)
    assert made.pack(count=-1, step=(0, 0), low=-1)[:4] == b"\xff" * 4
    assert Uniform.read(made.wgsl) == made
    with pytest.raises(ValueError, match="type mat2x2f cannot be packed"):
        Uniform((("m", "mat2x2f"),)).pack(m=1)
    with pytest.raises(ValueError, match="no struct Params"):
        Uniform.read("fn main() { }")
