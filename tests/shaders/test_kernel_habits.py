"""What people do with kernels and GPUs out of habit: Tab and help(), positional arrays, pickling, ``with``."""

from __future__ import annotations

import inspect
import pickle
import warnings

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.kernels.kernel import normal_constants

SOURCE = """
struct Params { scale: f32, shift: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> other: array<vec2u>;
@compute @workgroup_size(8, 4) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * params.scale + params.shift; }
}
@compute @workgroup_size(1) fn unused() { y[0] = f32(other[0].x); }"""


@pytest.fixture
def kernel(gpu):
    return gpu.kernel(SOURCE, "affine", entry_point="main")


def test_the_signature_has_the_variables_with_their_types(kernel):
    found = inspect.signature(kernel)
    shown = {name: one.annotation for name, one in found.parameters.items() if one.annotation is not one.empty}
    assert shown == {"x": "array<f32>", "y": "array<f32>", "params": "Params"}
    assert list(found.parameters)[3:] == ["threads", "workgroups", "constants", "entry_point", "timeout"]
    assert all(one.kind is one.KEYWORD_ONLY for one in found.parameters.values())


def test_one_line_says_what_it_takes(kernel):
    assert (
        repr(kernel) == "Kernel('affine': x: array<f32>, y: inout array<f32>, params: Params; workgroups of 8 x 4 x 1)"
    )


def test_arrays_by_position_are_refused_with_the_call_that_was_meant(gpu, kernel, rng):
    x = rng.standard_normal(5).astype(np.float32)
    meant = r"by position.*affine\(x=\.\.\., y=\.\.\., params=\.\.\., threads="
    for given in ((x, wg.out(5)), (gpu.array(x),), (5,), ({"x": x}, wg.out(5))):
        with pytest.raises(wg.BindingError, match=meant):
            kernel(*given, threads=5)
    with pytest.raises(wg.BindingError, match="by position"):
        gpu.run(SOURCE, x, threads=5, entry_point="main")
    named = {"x": x, "y": wg.out(5), "params": {"scale": 2, "shift": 1}}
    np.testing.assert_allclose(kernel(named, threads=5).numpy(), 2 * x + 1, rtol=2**-22, atol=2**-22)


def test_a_call_of_which_nothing_comes_back_says_so(gpu, kernel, rng):
    x = rng.standard_normal(5).astype(np.float32)
    rest = {"x": x, "params": {"scale": 2, "shift": 1}, "threads": 5}
    said = (
        r"'affine': nothing of this call comes back, since 'y' is written .* y=wg\.out\(shape, dtype\), or y=gpu\.array"
    )
    with pytest.warns(UserWarning, match=said) as seen:
        assert kernel(y=np.zeros(5, np.float32), **rest) is None
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = gpu.zeros(5)
        assert kernel(y=kept, **rest) is None
        np.testing.assert_array_equal(kernel(y=wg.out(5), **rest).numpy(), kept.numpy())
        gpu.run("@compute @workgroup_size(1) fn main() {}", threads=1)


@pytest.mark.no_adapter
def test_constants_are_a_dict():
    with pytest.raises(wg.BindingError, match=r"constants are \[4\]; pass a dict"):
        normal_constants([4])  # type: ignore[arg-type]


def test_a_kernel_pickles_by_its_source(kernel, rng):
    again = pickle.loads(pickle.dumps(kernel))  # noqa: S301 - made in this line
    assert (again.wgsl, again.name, repr(again)) == (kernel.wgsl, kernel.name, repr(kernel))
    x = rng.standard_normal(70).astype(np.float32)
    found = again(x=x, y=wg.out(70), params={"scale": 3, "shift": 0}, threads=70).numpy()
    assert np.array_equal(found, 3 * x)
    again._device.gpu.close()


def test_with_closes_the_gpu(rng):
    x = rng.standard_normal(7).astype(np.float32)
    with wg.GPU(transport="headless") as own:
        assert np.array_equal(own.array(x).numpy(), x)
    with pytest.raises(wg.ClosedError):
        own.array(x)
    with pytest.raises(ZeroDivisionError), wg.GPU(transport="headless") as own:
        raise ZeroDivisionError
    with pytest.raises(wg.ClosedError):
        own.ready()


@pytest.mark.no_adapter
def test_outputs_take_the_dtypes_that_arrays_take():
    for given, meant in (
        (float, "f4"),
        (int, "i4"),
        (bool, "?"),
        (complex, "c8"),
        (">f4", "f4"),
        (np.dtype(">u4"), "u4"),
    ):
        assert wg.out(3, given).dtype == np.dtype(meant)
    for wrong in ("float33", 3, object()):
        with pytest.raises(wg.DTypeError, match="is no dtype; pass np.float32"):
            wg.out(3, wrong)
