"""Float16: every operation rounds, as in NumPy, alone and inside a fused chain."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.special import erf

import webgpu_widget as wg
from webgpu_widget import xp
from webgpu_widget.arrays.lazy import elementwise, launch, library, reduce, transposed
from webgpu_widget.arrays.lazy.dtypes import FLOAT16, FLOAT32
from webgpu_widget.arrays.lazy.elementwise import Form
from webgpu_widget.arrays.lazy.likeness import Seen
from webgpu_widget.arrays.lazy.program import Apply, Instruction, Load
from webgpu_widget.arrays.lazy.reduce_codegen import ReduceForm
from webgpu_widget.arrays.lazy.runtime import Runtime, runtime_of
from webgpu_widget.arrays.lazy.transposed import TransposedForm

EVERY = np.arange(65536, dtype=np.uint16).view(np.float16)
FINITE = EVERY[np.isfinite(EVERY)]


def pairs(rng, count):
    """Fresh float16 operands of every exponent, among them values whose sum or quotient is near a tie."""
    x, y = rng.choice(EVERY, (2, count))
    near = rng.integers(0, count, count // 4)
    with np.errstate(all="ignore"):
        x[near] = (y[near].astype(np.float32) * rng.integers(1, 4096, near.size) / 2048).astype(np.float16)
    return x, y


def same_bits(got, want):
    nan = np.isnan(want)
    np.testing.assert_array_equal(np.isnan(got), nan)
    np.testing.assert_array_equal(got[~nan].view(np.uint16), want[~nan].view(np.uint16))


@pytest.mark.parametrize(
    "name", ["add", "subtract", "multiply", "divide", "maximum", "minimum", "copysign", "nextafter"]
)
def test_operations_have_numpys_bits(gpu, rng, name):
    x, y = pairs(rng, 200_000)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x, y)
    got = getattr(xp, name)(gpu.array(x), gpu.array(y)).numpy()
    assert got.dtype == np.float16
    if name in ("maximum", "minimum"):
        # Which of two zeros is larger is free.
        np.testing.assert_array_equal(got, want)
    else:
        same_bits(got, want)


@pytest.mark.parametrize("name", ["sqrt", "square", "negative", "abs", "reciprocal", "floor", "ceil", "trunc", "round"])
def test_functions_of_every_value_have_numpys_bits(gpu, name):
    a = gpu.array(EVERY)
    with np.errstate(all="ignore"):
        want = getattr(np, {"round": "rint"}.get(name, name))(EVERY)
    same_bits((1 / a if name == "reciprocal" else getattr(xp, name)(a)).numpy(), want)


def test_a_nan_keeps_its_sign_where_it_is_moved_or_asked_for(gpu):
    x = np.array([0x7E00, 0xFE00, 0x7E01, 0xFFFF, 0x3C00, 0xBC00, 0x7C00, 0xFC00] * 33, np.uint16).view(np.float16)
    a, one = gpu.array(x), gpu.array(np.ones(x.size, np.float16))
    moved = xp.concat([a.reshape(8, -1).T, a.reshape(8, -1).T], axis=1).numpy()
    for got, want in (
        (xp.copysign(one, a).numpy(), np.copysign(np.float16(1), x)),
        (xp.signbit(a).numpy(), np.signbit(x)),
        (xp.signbit(-a).numpy(), np.signbit(-x)),
        (np.signbit((-a).numpy()), np.signbit(-x)),
        (np.signbit(xp.where(a > 0, one, a).numpy()), np.signbit(np.where(x > 0, np.float16(1), x))),
        (np.signbit(moved), np.signbit(np.concatenate([x.reshape(8, -1).T] * 2, axis=1))),
        (np.signbit(a.astype(np.float32).numpy()), np.signbit(x)),
    ):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(("name", "kept"), [("copysign", True), ("maximum", True), ("add", False)])
def test_native_conversions_keep_signs_where_they_matter(name, kept):
    code = (*LOAD[:2], Apply(name, "h", (0, 1)))
    form = Form(code, (0, 1), (), (FLOAT16, FLOAT16), (2,), (FLOAT16,), 0, 1, 1, placed=False, flight=2, native=True)
    source = elementwise.elementwise_source(form)
    assert ("bitcast<u32>(vec2<f16>(x, x))" in source) == kept
    assert ("bitcast<vec2<f16>>((bits" in source) == kept


@pytest.mark.parametrize("name", ["exp", "log", "sin", "tanh", "expm1", "log1p"])
def test_functions_are_rounded_from_float32(gpu, name):
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(FINITE.astype(np.float64))
        want = exact.astype(np.float16)
    got = getattr(xp, name)(gpu.array(FINITE)).numpy()
    # A float32 result within some units of its last place of a tie may go either way: one value in about 2**12.
    differs = (got.view(np.uint16) != want.view(np.uint16)) & ~(np.isnan(got) & np.isnan(want))
    assert differs.mean() < 2e-3
    with np.errstate(all="ignore"):
        np.testing.assert_array_less(
            np.abs(got[differs].astype(np.float64) - exact[differs]),
            0.501 * np.spacing(np.abs(want[differs])).astype(float),
        )


def test_chains_round_after_each_operation(gpu, rng):
    x, y = (rng.normal(size=50_001).astype(np.float16) for _ in range(2))
    a, b = gpu.array(x), gpu.array(y)
    runtime = runtime_of(gpu._device)
    before = runtime.dispatches
    got = ((a * b + a) * 0.3 - b / 7) * a
    values = got.numpy()
    assert runtime.dispatches == before + 1
    same_bits(values, ((x * y + x) * np.float16(0.3) - y / np.float16(7)) * x)
    # What is beyond float16 is infinite at once, though float32 would hold it and come back.
    big = np.array([60000, -60000, 300], np.float16)
    with np.errstate(over="ignore"):
        same_bits(((gpu.array(big) * 2) / 4).numpy(), big * np.float16(2) / np.float16(4))
    single = rng.normal(size=1000).astype(np.float32)
    same_bits((gpu.array(single).astype(np.float16) * 3).numpy(), single.astype(np.float16) * np.float16(3))
    np.testing.assert_array_equal(
        (gpu.array(single).astype(np.float16).astype(np.float32) - gpu.array(single)).numpy(),
        single.astype(np.float16).astype(np.float32) - single,
    )
    whole = rng.integers(-70_000, 70_000, 1000).astype(np.int32)
    with np.errstate(over="ignore"):
        same_bits((gpu.array(whole).astype(np.float16) + 1).numpy(), whole.astype(np.float16) + np.float16(1))


def test_reductions_of_chains(gpu, rng):
    x = rng.normal(size=(40, 300)).astype(np.float16)
    a = gpu.array(x)
    np.testing.assert_array_equal((a * a).max(axis=1).numpy(), (x * x).max(axis=1))
    want = (x * x).astype(np.float64).sum(axis=1)
    np.testing.assert_allclose((a * a).sum(axis=1).numpy(), want, rtol=2**-11 + 1e-6)
    # The squares of the distances are beyond float16, their mean is not.
    scaled = (x * np.float16(100)).astype(np.float64)
    np.testing.assert_allclose((a * 100).var(axis=1).numpy(), scaled.var(axis=1), rtol=2**-11 + 1e-5)


def test_layers_are_rounded_once(gpu, rng):
    x = (rng.normal(size=(7, 64)) * 1000).astype(np.float16)
    weight = rng.normal(size=64).astype(np.float16)
    a, wide = gpu.array(x), x.astype(np.float64)
    centred = wide - wide.mean(1, keepdims=True)
    shifted = np.exp(wide - wide.max(1, keepdims=True))
    for got, want in (
        (wg.rms_norm(a), wide / np.sqrt((wide**2).mean(1, keepdims=True))),
        (wg.rms_norm(a, weight), wide / np.sqrt((wide**2).mean(1, keepdims=True)) * weight),
        (wg.layer_norm(a, weight, weight), centred / np.sqrt((centred**2).mean(1, keepdims=True)) * weight + weight),
        (wg.softmax(a), shifted / shifted.sum(1, keepdims=True)),
        (wg.silu(a / 300), (x / np.float16(300)) / (1 + np.exp(-(x / np.float16(300)).astype(np.float64)))),
        (wg.gelu(a), wide * 0.5 * (1 + erf(wide * 0.5**0.5))),
    ):
        assert got.dtype == np.float16
        # Half a unit of float16, 2**-12 of the value or 2**-25, and the errors of float32: where erf is near -1, 2**-24 of x.
        np.testing.assert_allclose(got.numpy(), want, rtol=2**-11, atol=2e-6)
    assert wg.rms_norm(a, weight.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("wrong", [1 - 2.0**-22, 1 + 2.0**-22])
def test_quotients_and_roots_are_right_though_wgsls_are_not(gpu, rng, wrong):
    """WGSL allows quotients and roots to be wrong by some units of float32; here all are."""
    x, y = (np.abs(rng.choice(FINITE, 20_000)).astype(np.float32) for _ in range(2))
    x, y = x[(x > 0) & (y > 0)], y[(x > 0) & (y > 0)]
    text = library.needed("h_divide h_sqrt h_rounded")
    text = text.replace("let q = f_divide(x, y);", f"let q = f_divide(x, y) * {wrong!r};")
    text = text.replace("let root = f_sqrt(x);", f"let root = f_sqrt(x) * {wrong!r};")
    assert text.count(repr(wrong)) == 2
    text += """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> z: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = arrayLength(&x);
  if (id.x < n) {
    z[id.x] = h_rounded(h_divide(x[id.x], y[id.x]));
    z[id.x + n] = h_rounded(h_sqrt(x[id.x]));
  }
}"""
    got = gpu.run(text, x=x, y=y, z=wg.out((2, x.size)), threads=x.size)
    with np.errstate(over="ignore", under="ignore"):
        same_bits(got[0].astype(np.float16), x.astype(np.float16) / y.astype(np.float16))
        same_bits(got[1].astype(np.float16), np.sqrt(x.astype(np.float16)))


LOAD: tuple[Instruction, ...] = (Load(0, FLOAT16), Load(1, FLOAT16), Apply("multiply", "h", (0, 1)))


@pytest.mark.parametrize("components", [1, 4])
def test_native_storage_is_well_formed(gpu, components):
    """Where an adapter has no f16, f32 stands for it: what is left to the compiler is the same."""
    steps = (1, 1) if components == 4 else ()
    dtypes = (FLOAT16, FLOAT16)
    forms = [
        elementwise.elementwise_source(
            Form(LOAD, (0, 1), steps, dtypes, (2, 0), (FLOAT16, FLOAT16), 0, 2, components, placed, 2, native=True)
        )
        for placed in (False, True)
    ]
    forms += [
        elementwise.elementwise_source(
            Form(
                LOAD,
                (0, 1),
                steps,
                dtypes,
                (2,),
                (FLOAT16,),
                0,
                2,
                components,
                placed=True,
                flight=2,
                native=True,
                own=1,
            )
        )
    ]
    if components == 4:
        ways = ("across", "along")
        forms.append(
            transposed.transposed_source(
                TransposedForm(LOAD, (0, 1), ways, dtypes, (2,), (FLOAT16,), 0, 2, native=True)
            )
        )
    forms += [
        reduce.reduce_source(
            ReduceForm(
                *("sum", FLOAT16, LOAD, (0, 1), dtypes, 2, 0, 1, 1, components, steps, "thread", 64, 4),
                partial=False,
                final=True,
                native=True,
                wide=wide,
            )
        )
        for wide in {False, components == 4}
    ]
    for source in forms:
        assert source.startswith("enable f16;\n")
        assert ("vec4<f16>" if components == 4 else "array<f16>") in source
        stand_in = re.sub(r"\bf16\b", "f32", source.replace("enable f16;\n", ""))
        assert gpu.kernel(source if "shader-f16" in gpu.info.features else stand_in) is not None


def test_storage_is_native_where_the_adapter_has_it(gpu, monkeypatch):
    runtime = runtime_of(gpu._device)
    assert runtime.has_f16 == ("shader-f16" in gpu.info.features and "Firefox/" not in gpu.info.user_agent)
    monkeypatch.setattr(Runtime, "dispatch", lambda *_: None)
    for native in (False, True):
        made = []
        monkeypatch.setattr(runtime, "_pipelines", {})
        monkeypatch.setattr(runtime.queue, "pipeline", lambda source, made=made, **_: made.append(source))
        monkeypatch.setattr(Runtime, "has_f16", native)
        monkeypatch.setattr(runtime, "seen", Seen(runtime, 0))
        a = gpu.array(np.ones((6, 8), np.float16))
        b = gpu.array(np.ones((6, 7), np.float16))
        for part in (a + a, b + b[0], a.T * 2):
            part._buffer()
        a[1:3, 2:] = 0
        xp.concat([b, b], axis=1)
        assert made
        assert {"enable f16;" in source for source in made} == {native}
    assert launch.itemsize(FLOAT16) == 2
    assert launch.itemsize(FLOAT32) == 4
