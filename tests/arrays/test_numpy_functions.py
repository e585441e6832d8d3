"""What NumPy's own functions, and Python's copying and pickling, make of arrays on the GPU."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import webgpu_widget as wg

REDUCTIONS = {
    "sum": {"axis": 1},
    "prod": {"axis": 0, "keepdims": True},
    "max": {"axis": (0, 1)},
    "min": {},
    "mean": {"axis": 1, "dtype": np.float32},
    "std": {"axis": 0, "ddof": 1},
    "var": {"keepdims": True},
    "any": {"axis": 0},
    "all": {},
    "argmax": {"axis": 1},
    "argmin": {},
    "cumsum": {"axis": 0},
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_of_numpy_is_computed_on_the_gpu(gpu, rng, name):
    a = rng.uniform(0.5, 2, (5, 7)).astype(np.float32)
    function, options = getattr(np, name), REDUCTIONS[name]
    got = function(gpu.array(a), **options)
    assert isinstance(got, wg.GPUArray)
    want = function(a.astype(np.float64), **{**options, **({"dtype": None} if "dtype" in options else {})})
    # 35 float32 roundings at most on the way to a sum or a product.
    np.testing.assert_allclose(got.numpy(), want, rtol=35 * 6e-8)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_out_is_refused(gpu, name):
    with pytest.raises(TypeError, match="out= is not supported"):
        getattr(gpu.ones((2, 2)), name)(out=np.zeros(2, np.float32))


def test_membership(gpu):
    x = gpu.array(np.float32([[1, 2], [3, np.nan]]))
    assert 3 in x
    assert 4 not in x
    assert x[1, 1] not in x, "NaN equals nothing"
    assert 1 not in gpu.zeros((0,))


@pytest.mark.parametrize("function", [copy.copy, copy.deepcopy])
def test_copies_do_not_change_with_the_array(gpu, function):
    x = gpu.ones(3)
    y = function({"x": x})["x"] if function is copy.deepcopy else function(x)
    x[...] = 2
    np.testing.assert_array_equal(y.numpy(), [1, 1, 1])


def test_pickling_says_what_to_do_instead(gpu):
    with pytest.raises(TypeError, match=r"Pickle x\.numpy\(\)"):
        pickle.dumps(gpu.ones(3))
    with pytest.raises(TypeError, match="GPU belongs to this process and its page"):
        pickle.dumps(gpu)
