"""Kernels that write to views: what they write is seen in the arrays that the views were taken from, as in NumPy."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp

# Each element is doubled, and its place in the kernel's argument added.
STEP = """
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&y)) { y[id.x] = 2.0 * y[id.x] + f32(id.x); }
}"""
TWO = """
@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, MODE> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&sum)) { sum[id.x] = a[id.x] + b[id.x]; a[id.x] = 100.0; WRITE }
}"""


def stepped(values):
    return (2 * values + np.arange(values.size, dtype=np.float32).reshape(values.shape)).astype(np.float32)


def step_numpy(view):
    """Do what the kernel does; `view` is whatever NumPy makes of the expression, a view or a copy."""
    view[...] = stepped(view)


@pytest.fixture
def step(gpu):
    return gpu.kernel(STEP, name="step")


VIEWS = {
    "slice": lambda c: c[1:],
    "part": lambda c: c[1:3, 2:5],
    "steps": lambda c: c[::2, ::3],
    "backwards": lambda c: c[::-1, 4:1:-1],
    "row": lambda c: c[2],
    "column": lambda c: c[:, 1],
    "element": lambda c: c[1:2, 2:3],
    "new axis": lambda c: c[None, 1],
    "ellipsis": lambda c: c[...],
    "slice of a slice": lambda c: c[1:][1:, 1:][:, ::2],
    "reshape": lambda c: c.reshape(3, 8),
    "flat": lambda c: c.reshape(-1),
    "part of a reshape": lambda c: c.reshape(2, 3, 4)[1, :, 1:3],
    "reshape of a slice": lambda c: c[1:3].reshape(2, 2, 3),
    "reshape of columns": lambda c: c[:, 1].reshape(2, 2),
    "reshape of a reshape": lambda c: c.reshape(2, 12).reshape(8, 3)[::2],
    "transpose": lambda c: c.T,
    "part of a transpose": lambda c: c.T[1:4, ::-1],
    "transposed twice": lambda c: c.T.T.reshape(-1)[5:],
    "copying reshape": lambda c: c.T.reshape(-1),
    "copying reshape of columns": lambda c: c[:, :4].reshape(-1),
    "copy": lambda c: c[1:].copy(),
    "index array": lambda c: c[np.array([0, 2])],
    "mask": lambda c: c[np.array([True, False, True, True])],
    "expression": lambda c: c[1:] + 0,
    "squeezed": lambda c: c[1:2].squeeze(0) if isinstance(c, np.ndarray) else xp.squeeze(c[1:2], 0),
    "expanded": lambda c: np.expand_dims(c[1:], 1) if isinstance(c, np.ndarray) else xp.expand_dims(c[1:], axis=1),
    "flipped": lambda c: np.flip(c, 1) if isinstance(c, np.ndarray) else xp.flip(c, axis=1),
    "moved": lambda c: np.moveaxis(c, 0, 1) if isinstance(c, np.ndarray) else xp.moveaxis(c, 0, 1),
    "tile": lambda c: np.tile(c, (1, 1)) if isinstance(c, np.ndarray) else xp.tile(c, (1, 1)),
    "repeat": lambda c: np.repeat(c, 1, 0) if isinstance(c, np.ndarray) else xp.repeat(c, 1, axis=0),
    "roll": lambda c: np.roll(c, 0, 0) if isinstance(c, np.ndarray) else xp.roll(c, 0, axis=0),
    "ravel": lambda c: c.ravel(),
    "transpose in order": lambda c: c.transpose(0, 1),
}


@pytest.mark.parametrize("state", ["own", "lazy", "shared", "held by a program"])
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_what_is_written_to_a_view_is_seen(gpu, rng, step, view, state):
    want = rng.integers(0, 50, (4, 6)).astype(np.float32)
    c = gpu.array(want)
    if state == "lazy":
        c = c * 1
    guest, old = (c.copy(), want.copy()) if state == "shared" else (None, None)
    if state == "held by a program":
        with gpu.record() as program:
            c += 1
        program.replay()
        want += 1
    for _ in range(2):
        step(y=view(c), threads=24)
        step_numpy(view(want))
        np.testing.assert_array_equal(c.numpy(), want)
    if guest is not None:
        np.testing.assert_array_equal(guest.numpy(), old)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_a_held_view_is_written_with_its_array(gpu, rng, step, view):
    want = rng.integers(0, 50, (4, 6)).astype(np.float32)
    c = gpu.array(want)
    held, like = view(c), view(want)
    held.numpy()
    for _ in range(3):
        step(y=held, threads=24)
        step_numpy(like)
        np.testing.assert_array_equal(held.numpy(), like)
        np.testing.assert_array_equal(c.numpy(), want)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_views_are_written_by_replays(gpu, rng, step, view):
    want = rng.integers(0, 9, (4, 6)).astype(np.float32)
    c = gpu.array(want)
    if view is VIEWS["mask"]:
        view = VIEWS["index array"]
    with gpu.record() as program:
        c += 1
        held = view(c)
        step(y=held, threads=24)
        step(y=view(c), threads=24)
    program.replay(3)
    for _ in range(3):
        want += 1
        like = view(want)
        step_numpy(like)
        seen = like.copy()
        step_numpy(view(want))
    np.testing.assert_array_equal(c.numpy(), want)
    np.testing.assert_array_equal(held.numpy(), seen)


def test_all_that_a_view_came_through_is_written(gpu, step):
    c = gpu.zeros((2, 4))
    flat = c.reshape(8)
    back = flat[::-1]
    part = back[:3]
    bystander = c[1]
    step(y=part, threads=3)
    np.testing.assert_array_equal(part.numpy(), [0, 1, 2])
    np.testing.assert_array_equal(back.numpy(), [0, 1, 2, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(flat.numpy(), [0, 0, 0, 0, 0, 2, 1, 0])
    np.testing.assert_array_equal(c.numpy(), [[0, 0, 0, 0], [0, 2, 1, 0]])
    np.testing.assert_array_equal(bystander.numpy(), np.zeros(4))
    step(y=back, threads=8)
    np.testing.assert_array_equal(c.numpy().reshape(-1)[::-1], back.numpy())
    np.testing.assert_array_equal(flat.numpy()[::-1], back.numpy())
    with pytest.raises(wg.BindingError, match="written since"):
        step(y=part, threads=3)


def test_a_view_of_what_was_written_since_is_refused(gpu, step):
    writes = (
        lambda c: c.__setitem__(0, 5),
        lambda c: c.__iadd__(1),
        lambda c: c.__setitem__(np.array([0, 1]), 5),
        lambda c: c.__setitem__(np.arange(8) > 5, 5),
        lambda c: step(y=c, threads=8),
        lambda c: step(y=c[:2], threads=2),
    )
    for write in writes:
        c = gpu.zeros(8)
        view = c[4:]
        write(c)
        before = c.numpy()
        with pytest.raises(wg.BindingError, match="written since"):
            step(y=view, threads=4)
        np.testing.assert_array_equal(c.numpy(), before)
        np.testing.assert_array_equal(view.numpy(), np.zeros(4))
        copy = view.copy()
        step(y=copy, threads=4)
        np.testing.assert_array_equal(copy.numpy(), [0, 1, 2, 3])
        np.testing.assert_array_equal(c.numpy(), before)


def test_a_view_of_what_a_replay_may_have_written_is_refused(gpu, step):
    c = gpu.zeros(8)
    with gpu.record() as program:
        c += 1
    view = c[4:]
    program.replay()
    older = c[:2]
    with pytest.raises(wg.BindingError, match="written since"):
        step(y=view, threads=4)
    with pytest.raises(wg.BindingError, match="from before"), gpu.record():
        step(y=view.copy(), threads=4)
        step(y=gpu.zeros(2)[1:], threads=1)
        step(y=older, threads=4)
    np.testing.assert_array_equal(c.numpy(), np.ones(8))


def test_a_view_that_was_assigned_to_is_an_array_of_its_own(gpu, step):
    c = gpu.zeros(8)
    view = c[4:]
    view += 1
    step(y=view, threads=4)
    np.testing.assert_array_equal(view.numpy(), [2, 3, 4, 5])
    np.testing.assert_array_equal(c.numpy(), np.zeros(8))


def test_views_of_what_is_gone_are_arrays_of_their_own(gpu, step):
    view = (gpu.zeros(8) + 1)[4:]
    step(y=view, threads=4)
    np.testing.assert_array_equal(view.numpy(), [2, 3, 4, 5])
    c = gpu.ones(8)
    view = c[4:]
    c.free()
    step(y=view, threads=4)
    np.testing.assert_array_equal(view.numpy(), [2, 3, 4, 5])


def test_broadcast_views_are_refused(gpu, step):
    c = gpu.zeros((1, 4))
    for view in (xp.broadcast_to(c, (3, 4)), xp.broadcast_arrays(c, gpu.zeros((2, 4)))[0]):
        with pytest.raises(wg.BindingError, match="broadcast"):
            step(y=view, threads=12)
        step(y=view.copy(), threads=12)
    x, _ = xp.meshgrid(gpu.zeros(3), gpu.zeros(2))
    step(y=x, threads=6)
    np.testing.assert_array_equal(x.numpy(), [[0, 1, 2], [3, 4, 5]])


def test_two_views_of_one_array(gpu):
    both = gpu.kernel(TWO.replace("MODE", "read_write").replace("WRITE", "b[id.x] = 200.0;"))
    one = gpu.kernel(TWO.replace("MODE", "read").replace("WRITE", ""))
    c = gpu.array(np.arange(8, dtype=np.float32))
    total = both(a=c[:4], b=c[4:], sum=wg.out(4), threads=4)
    np.testing.assert_array_equal(total.numpy(), [4, 6, 8, 10])
    np.testing.assert_array_equal(c.numpy(), [100] * 4 + [200] * 4)
    c = gpu.array(np.arange(8, dtype=np.float32))
    both(a=c[::2], b=c[::-2], sum=wg.out(4), threads=4)
    np.testing.assert_array_equal(c.numpy(), [100, 200] * 4)
    # What is only read has the values of before the call.
    c = gpu.array(np.arange(8, dtype=np.float32))
    for a, b in ((lambda: c[:4], lambda: c[2:6]), (lambda: c[4:], lambda: c)):
        seen = b().numpy()[:4] + a().numpy()
        np.testing.assert_array_equal(one(a=a(), b=b(), sum=wg.out(4), threads=4).numpy(), seen)
    np.testing.assert_array_equal(c.numpy(), [100] * 8)
    for a, b in ((c[:4], c[3:7]), (c, c[4:]), (c[::2], c[2:]), (c[:4], c[3::-1]), (c.reshape(8)[1:5], c[2:])):
        with pytest.raises(wg.BindingError, match="elements in common"):
            both(a=a, b=b, sum=wg.out(4), threads=4)


def test_a_copy_beside_the_array_of_a_program(gpu):
    one = gpu.kernel(TWO.replace("MODE", "read").replace("WRITE", ""))
    c = gpu.array(np.arange(4, dtype=np.float32))
    with gpu.record() as program:
        c += 1
    program.replay()
    np.testing.assert_array_equal(one(a=c, b=c.copy(), sum=wg.out(4), threads=4).numpy(), [2, 4, 6, 8])
    np.testing.assert_array_equal(c.numpy(), [100] * 4)


def test_run_and_its_coroutine_write_to_views(gpu):
    c = gpu.zeros(8)
    gpu.run(STEP, y=c[4:], threads=4)
    np.testing.assert_array_equal(c.numpy(), [0, 0, 0, 0, 0, 1, 2, 3])
    asyncio.run(gpu.run_async(STEP, y=c[:4].reshape(2, 2), threads=4))
    np.testing.assert_array_equal(c.numpy(), [0, 1, 2, 3, 0, 1, 2, 3])


def test_padded_elements_and_other_dtypes_are_written_to_views(gpu):
    c = gpu.zeros((5, 3))
    gpu.run(
        "@group(0) @binding(0) var<storage, read_write> v: array<vec3f>;"
        "@compute @workgroup_size(8) fn main(@builtin(local_invocation_id) id: vec3u)"
        "{ if (id.x < arrayLength(&v)) { v[id.x] = vec3f(f32(id.x), 1, 2); } }",
        v=c[1:4],
        threads=3,
    )
    np.testing.assert_array_equal(c.numpy(), [[0, 0, 0], [0, 1, 2], [1, 1, 2], [2, 1, 2], [0, 0, 0]])
    for dtype in (np.int32, np.uint32, np.bool_):
        x = gpu.zeros((3, 3), dtype)
        gpu.run(STEP.replace("f32", "i32" if dtype is np.int32 else "u32").replace("2.0", "2"), y=x[:, 1], threads=3)
        np.testing.assert_array_equal(x.numpy()[:, 1], np.array([0, 1, 2], np.int32).astype(dtype))
        assert x.numpy()[:, ::2].sum() == 0


@pytest.mark.parametrize("state", ["own", "lazy", "shared", "recorded"])
@pytest.mark.parametrize(
    "view",
    [lambda c: c[1:4], lambda c: c[::-1][:3], lambda c: c.T[:3, :6], lambda c: c.reshape(4, 9)[:3, ::2][:, :4]],
    ids=["slice", "backwards", "transpose", "reshape"],
)
def test_a_product_goes_into_a_view(gpu, rng, view, state):
    want = rng.integers(0, 9, (6, 6)).astype(np.float32)
    c = gpu.array(want)
    if state == "lazy":
        c = c * 1
    guest, old = (c.copy(), want.copy()) if state == "shared" else (None, None)
    part = view(want)
    left, right = rng.integers(0, 9, (3, 3)).astype(np.float32), rng.integers(0, 9, part.shape).astype(np.float32)
    if state == "recorded":
        with gpu.record() as program:
            assert (made := wg.matmul(left, right, out=view(c))).shape == part.shape
            c += 1
        program.replay(2)
        want += 1
    else:
        made = wg.matmul(left, right, out=view(c))
    part[...] = left @ right
    want += state == "recorded"
    np.testing.assert_array_equal(made.numpy(), left @ right)
    np.testing.assert_array_equal(c.numpy(), want)
    if guest is not None:
        np.testing.assert_array_equal(guest.numpy(), old)


def test_a_product_into_a_view_that_it_reads(gpu, rng):
    want = rng.integers(0, 9, (5, 5)).astype(np.float32)
    c = gpu.array(want)
    wg.matmul(c[:4, :4], c[:4, 1:], out=c[1:, 1:])
    want[1:, 1:] = want[:4, :4] @ want[:4, 1:]
    np.testing.assert_array_equal(c.numpy(), want)


def test_a_product_goes_into_no_view_of_old_values_or_shared_elements(gpu):
    c = gpu.zeros((3, 3))
    old = c[:2, :2]
    c += 1
    with pytest.raises(wg.BindingError, match="written since"):
        wg.matmul(gpu.eye(2), gpu.ones((2, 2)), out=old)
    line = gpu.zeros((1, 2))
    with pytest.raises(wg.BindingError, match="broadcast"):
        wg.matmul(gpu.eye(2), gpu.ones((2, 2)), out=xp.broadcast_to(line, (2, 2)))
    assert not line.numpy().any()
