"""Arrays of two GPUs: what would mix them is refused, at the call, whatever the function."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp

INC = """
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&y)) { y[id.x] += 1.0; }
}"""


def _takes_two(function):
    try:
        return list(inspect.signature(function).parameters)[1:2] == ["x2"]
    except (TypeError, ValueError):
        return False


PAIRS = {
    f"{space.__name__}.{name}": getattr(space, name)
    for space in (xp, xp.linalg)
    for name in dir(space)
    if not name.startswith("_") and not name.endswith("_async") and _takes_two(getattr(space, name))
}

# a and b are the identity of 2 x 2, float32, on two GPUs; i and m are 1-D indices and a mask on the second.
CALLS = {
    "a[i]": lambda a, b, i, m: a[i],
    "a[0-d]": lambda a, b, i, m: a[i[0]],
    "a[i, i]": lambda a, b, i, m: a[i, i],
    "a[:, i]": lambda a, b, i, m: a[:, i],
    "a[None, i]": lambda a, b, i, m: a[None, i],
    "a[m]": lambda a, b, i, m: a[m],
    "a[m, 0]": lambda a, b, i, m: a[m, 0],
    "a[b > 0]": lambda a, b, i, m: a[b > 0],
    "a[0-d mask]": lambda a, b, i, m: a[m[0]],
    "a[i] = 0": lambda a, b, i, m: a.__setitem__(i, 0),
    "a[0-d] = 0": lambda a, b, i, m: a.__setitem__(i[0], 0),
    "a[:, i] = 0": lambda a, b, i, m: a.__setitem__((slice(None), i), 0),
    "a[m] = 0": lambda a, b, i, m: a.__setitem__(m, 0),
    "a[m] = [1, 2]": lambda a, b, i, m: a.__setitem__(m, np.ones(2, np.float32)),
    "a[b > 0] = 0": lambda a, b, i, m: a.__setitem__(b > 0, 0),
    "a[...] = b": lambda a, b, i, m: a.__setitem__(..., b),
    "a[0] = b[0]": lambda a, b, i, m: a.__setitem__(0, b[0]),
    "a[[0]] = b[0]": lambda a, b, i, m: a.__setitem__([0], b[0]),
    "a += b": lambda a, b, i, m: a.__iadd__(b),
    "a @= b": lambda a, b, i, m: a.__imatmul__(b),
    "take": lambda a, b, i, m: xp.take(a, i, axis=0),
    "take_along_axis": lambda a, b, i, m: xp.take_along_axis(a, i[None], axis=0),
    "repeat": lambda a, b, i, m: xp.repeat(a, i, axis=0),
    "searchsorted": lambda a, b, i, m: xp.searchsorted(a[0], b[0]),
    "searchsorted with a sorter": lambda a, b, i, m: xp.searchsorted(a[0], a[0], sorter=i),
    "where's condition": lambda a, b, i, m: xp.where(m, a, a),
    "where's second": lambda a, b, i, m: xp.where(a > 0, b, 0),
    "where's third": lambda a, b, i, m: xp.where(a > 0, a, b),
    "clip's minimum": lambda a, b, i, m: xp.clip(a, b),
    "clip's maximum": lambda a, b, i, m: xp.clip(a, max=b),
    "clip's both": lambda a, b, i, m: xp.clip(a, 0, b),
    "concat": lambda a, b, i, m: xp.concat([a, b]),
    "stack": lambda a, b, i, m: xp.stack([a, b]),
    "diff's front": lambda a, b, i, m: xp.diff(a, prepend=b),
    "diff's end": lambda a, b, i, m: xp.diff(a, append=b),
    "meshgrid": lambda a, b, i, m: xp.meshgrid(a[0], b[0]),
    "broadcast_arrays": lambda a, b, i, m: xp.broadcast_arrays(a, b),
    "matmul": lambda a, b, i, m: wg.matmul(a, b),
    "matmul into another": lambda a, b, i, m: wg.matmul(a, a, out=b),
    "einsum": lambda a, b, i, m: wg.einsum("ij,jk->ik", a, b),
    "layer_norm": lambda a, b, i, m: wg.layer_norm(a, b[0]),
    "rms_norm": lambda a, b, i, m: wg.rms_norm(a, b[0]),
    "a kernel": lambda a, b, i, m: a.device.kernel(INC)(y=b, threads=4),
    "run": lambda a, b, i, m: a.device.run(INC, y=b, threads=4),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_arrays_of_two_gpus_are_refused(gpu, other_gpu, call):
    a, b = (g.array(np.eye(2, dtype=np.float32)) for g in (gpu, other_gpu))
    i, m = other_gpu.array(np.array([1, 0], np.int32)), other_gpu.array(np.array([True, False]))
    with pytest.raises(wg.BindingError, match="another GPU|different GPUs"):
        call(a, b, i, m)
    np.testing.assert_array_equal(a.numpy(), np.eye(2))
    np.testing.assert_array_equal(b.numpy(), np.eye(2))


@pytest.mark.parametrize("function", PAIRS.values(), ids=PAIRS.keys())
def test_functions_of_two_arrays_refuse_two_gpus(gpu, other_gpu, function):
    refused = False
    for dtype in (np.float32, np.int32, np.bool_):
        for shape in ((2, 2), (3,)):
            a, b = (g.array(np.ones(shape, dtype)) for g in (gpu, other_gpu))
            try:
                function(a, b)
            except wg.BindingError as error:
                assert "GPU" in str(error)
                refused = True
            except (TypeError, ValueError):
                pass
            else:
                pytest.fail(f"{np.dtype(dtype).name}, {shape} was let through")
    assert refused


def test_bringing_an_array_over_is_right(gpu, other_gpu, rng):
    values = rng.normal(size=(3, 4)).astype(np.float32)
    a = gpu.array(values)
    for b in (a.to_device(other_gpu), other_gpu.array(a), xp.asarray(a, device=other_gpu)):
        assert b.device is other_gpu
        np.testing.assert_array_equal(b.numpy(), values)
    count = other_gpu.array(np.int32(2))
    np.testing.assert_array_equal(xp.repeat(a, count, axis=0).numpy(), np.repeat(values, 2, axis=0))


@pytest.mark.parametrize(
    "work",
    [
        lambda b, _: b + 1,
        lambda b, _: b.sum(),
        lambda b, _: b.numpy(),
        lambda b, _: b.__setitem__(0, 1),
        lambda b, _: b.device.zeros(3),
        lambda b, _: b.device.array([1, 2]),
        lambda b, _: b.device.kernel(INC)(y=b, threads=3),
        lambda b, _: b.device.run(INC, y=np.zeros(3, np.float32), threads=3),
        lambda b, a: b.to_device(a.device),
        lambda b, a: wg.xp.asarray(a, device=b.device),
    ],
)
def test_work_on_another_gpu_is_refused_in_the_block(gpu, other_gpu, work):
    a, b = gpu.ones(3), other_gpu.ones(3)
    b.numpy()
    with pytest.raises(wg.WebGPUWidgetError, match="record"), gpu.record():
        work(b, a)
    np.testing.assert_array_equal(b.numpy(), [1, 1, 1])


def test_two_gpus_record_at_once(gpu, other_gpu):
    a, b = gpu.zeros(3), other_gpu.zeros(3)
    with gpu.record() as first, other_gpu.record() as second:
        a += 1
        b += 2
    with gpu.record() as third, pytest.raises(wg.BindingError, match="another"):
        second.replay()
    first.replay(2)
    second.replay(3)
    third.replay()
    np.testing.assert_array_equal(a.numpy(), [2, 2, 2])
    np.testing.assert_array_equal(b.numpy(), [6, 6, 6])
