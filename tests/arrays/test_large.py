"""Arrays larger than one binding, shown with a small limit, and the kernels that only large arrays get."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp
from webgpu_widget.arrays.lazy import launch
from webgpu_widget.arrays.lazy.footprint import Bound, Walk, boxes, sides_of
from webgpu_widget.arrays.lazy.likeness import Seen
from webgpu_widget.arrays.lazy.runtime import Runtime, runtime_of
from webgpu_widget.arrays.lazy.transposed import TransposedForm

LIMIT = 64 * 1024


@pytest.fixture
def narrow(gpu, monkeypatch):
    """A GPU of which a kernel may bind no more than 64 KiB of a buffer; each dispatch is looked at."""
    runtime = runtime_of(gpu._device)
    monkeypatch.setattr(runtime, "binding_bytes", LIMIT)
    run = gpu._device.queue.dispatch

    def checked(pipeline, args, workgroups):
        for group, _, value in args:
            if group == 0:
                buffer, offset, size = value if isinstance(value, tuple) else (value, 0, value.size_bytes)
                assert size <= LIMIT, f"{pipeline.label} binds {size} bytes"
                assert offset % 256 == 0
                assert offset + size <= buffer.size_bytes
        return run(pipeline, args, workgroups)

    monkeypatch.setattr(gpu._device.queue, "dispatch", checked)
    return gpu


@pytest.fixture
def hardware(gpu, monkeypatch):
    """A GPU that gets the kernels of hardware adapters, whatever the size."""
    monkeypatch.setattr(Runtime, "is_fallback", False)
    monkeypatch.setattr(launch, "_FEW_UNITS", 1)
    runtime = runtime_of(gpu._device)
    monkeypatch.setattr(runtime, "seen", Seen(runtime, 1 << 30))
    return gpu


class FakeBuffer:
    def __init__(self, size_bytes):
        self.size_bytes = size_bytes


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("shape", [(100_000,), (300, 400), (400, 6, 50), (2, 60_000), (7, 1, 16_384)])
def test_boxes_cover_everything_once_and_fit(rng, shape, ordered):
    order = rng.permutation(len(shape))
    transposed = np.arange(np.prod(shape)).reshape([shape[i] for i in order]).transpose(np.argsort(order))
    walks = [
        Walk(0, tuple(s // 8 for s in a.strides))
        for a in (np.empty(shape), np.broadcast_to(np.empty(shape[-1]), shape))
    ]
    if not ordered:
        walks.append(Walk(0, tuple(s // transposed.itemsize for s in transposed.strides)))
    size = 4 * int(np.prod(shape))
    bounds = [Bound(FakeBuffer(size), 4, (walk,)) for walk in walks]
    seen = np.zeros(shape, int)
    for box in boxes(shape, bounds, LIMIT, ordered=ordered):
        seen[tuple(slice(*side) for side in box)] += 1
        for bound in bounds:
            start, nbytes = bound.within(box).window(sides_of(box))
            assert start % 256 == 0
            assert nbytes <= LIMIT
        if ordered:
            first = np.ravel_multi_index([start for start, _ in box], shape)
            last = np.ravel_multi_index([stop - 1 for _, stop in box], shape)
            assert last - first + 1 == np.prod(sides_of(box))
            assert first % 2 == 0
    assert (seen == 1).all()


@pytest.mark.parametrize("shape", [(100_000,), (100_001,), (300, 401), (12, 80, 100)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint32, np.bool_, np.float16])
def test_chains_of_arrays_larger_than_a_binding(narrow, rng, shape, dtype):
    x, y = (rng.integers(0, 50, shape).astype(dtype) for _ in range(2))
    a, b = narrow.array(x), narrow.array(y)
    if dtype is np.bool_:
        np.testing.assert_array_equal(((a & b) | ~a).numpy(), (x & y) | ~x)
        return
    np.testing.assert_array_equal((a * 2 + b).numpy(), x * dtype(2) + y)
    np.testing.assert_array_equal((a > b).numpy(), x > y)
    np.testing.assert_array_equal(a[::-1].numpy(), x[::-1])


def test_operands_that_are_broadcast_or_transposed(narrow, rng):
    x = rng.normal(size=(300, 400)).astype(np.float32)
    row, column = x[0].copy(), x[:, :1].copy()
    a = narrow.array(x)
    np.testing.assert_array_equal((a + narrow.array(row)).numpy(), x + row)
    np.testing.assert_array_equal((narrow.array(column) - a).numpy(), column - x)
    square = rng.normal(size=(256, 256)).astype(np.float32)
    s = narrow.array(square)
    np.testing.assert_array_equal((s.T + s).numpy(), square.T + square)
    np.testing.assert_array_equal((s[::-1, ::2] * 2).numpy(), square[::-1, ::2] * 2)
    long = rng.normal(size=70_000).astype(np.float32)
    v = narrow.array(long)
    np.testing.assert_array_equal(xp.broadcast_to(v, (3, 70_000)).copy().numpy(), np.broadcast_to(long, (3, 70_000)))
    np.testing.assert_array_equal((v[:300, None] + v[None, :400]).numpy(), long[:300, None] + long[:400])


def test_parts_and_joins(narrow, rng):
    x = rng.normal(size=(300, 400)).astype(np.float32)
    a = narrow.array(x)
    np.testing.assert_array_equal(xp.concat([a, a], axis=1).numpy(), np.concatenate([x, x], 1))
    np.testing.assert_array_equal(xp.roll(a, 7, axis=0).numpy(), np.roll(x, 7, 0))
    a[10:290, 3:] = 1.5
    x[10:290, 3:] = 1.5
    np.testing.assert_array_equal(a.numpy(), x)
    np.testing.assert_array_equal(a[5:200].numpy(), x[5:200])


def test_several_results_of_one_kernel(narrow, rng):
    x = rng.normal(size=100_000).astype(np.float32)
    a = narrow.array(x)
    shared = xp.exp(a)
    flags, twice = shared > 1, shared * 2
    np.testing.assert_array_equal(flags.numpy(), np.exp(x.astype(np.float64)) > 1)
    np.testing.assert_allclose(twice.numpy(), 2 * np.exp(x.astype(np.float64)), rtol=1e-6)


def test_what_cannot_be_cut_is_refused_at_the_call(narrow):
    a = narrow.zeros(100_000) + 1
    for use in (
        lambda: a[narrow.array([1, 2, 3])],
        lambda: xp.sort(a),
        lambda: xp.cumulative_sum(a),
        lambda: xp.nonzero(a),
        lambda: xp.searchsorted(a, narrow.array([1.0])),
    ):
        with pytest.raises(wg.LimitError, match="400000 bytes in one binding.*65536"):
            use()


def test_expressions_that_read_in_too_many_far_places_are_refused(narrow, monkeypatch):
    monkeypatch.setattr(Runtime, "most_buffers", 8)  # what every adapter allows
    a = narrow.zeros((400, 400)) + 1
    total = a
    for k in range(8):
        total = total + a[k : k + 1, :] + a.T[:, k : k + 1]
    np.testing.assert_array_equal((a + a.T + a[::-1]).numpy(), np.full((400, 400), 3))
    spread = a
    for steps in ((-1, 1), (1, -1), (-1, -1)):
        flipped = a[:: steps[0], :: steps[1]]
        spread = spread + flipped + flipped.T
    with pytest.raises(wg.LimitError, match="in [0-9]+ places.*bindings"):
        (spread + a.T + total).numpy()


def test_buffers_beyond_the_adapters_limit_are_refused_at_the_call(gpu):
    largest = gpu.info.limits["maxBufferSize"]
    side = largest // 4 + 1
    for make in (
        lambda: gpu.zeros(side),
        lambda: gpu.empty((2, side)),
        lambda: xp.broadcast_to(gpu.ones(1), (side,)).copy().numpy(),
        lambda: gpu.run(
            "@group(0) @binding(0) var<storage, read_write> y: array<f32>; @compute @workgroup_size(1) fn main() { y[0] = 1.0; }",
            y=wg.out(side),
            threads=1,
        ),
    ):
        with pytest.raises(wg.BufferSizeError, match=f"{largest}") as caught:
            make()
        assert caught.value.limit_bytes == largest
        assert caught.value.wanted_bytes > largest
        assert isinstance(caught.value, (wg.LimitError, wg.OutOfMemoryError, MemoryError))


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint32])
@pytest.mark.parametrize("shape", [(100_000,), (70_001,), (300, 401), (2, 60_000), (60_000, 2), (12, 80, 100)])
def test_reductions_of_arrays_larger_than_a_binding(narrow, rng, shape, dtype):
    x = rng.integers(0, 1000, shape).astype(dtype)
    a = narrow.array(x)
    axes = [None, *range(len(shape)), *([(0, 2)] if len(shape) == 3 else [])]
    for axis in axes:
        # Sums of up to 120,000 integers below 1,000 stay below 2**27: float32 rounds them to 2**-24 of their size, blockwise.
        np.testing.assert_allclose(a.sum(axis).numpy(), x.sum(axis, dtype=np.float64), rtol=1e-6)
        np.testing.assert_array_equal(a.max(axis).numpy(), x.max(axis))
        np.testing.assert_array_equal((a + 1).min(axis).numpy(), x.min(axis) + 1)
        if not isinstance(axis, tuple):
            np.testing.assert_array_equal(a.argmax(axis).numpy(), x.argmax(axis))
            np.testing.assert_array_equal(a.argmin(axis).numpy(), x.argmin(axis))
    np.testing.assert_allclose(a.T.sum(0).numpy(), x.T.sum(0, dtype=np.float64), rtol=1e-6)
    assert bool((a >= 0).all())


def test_reductions_of_expressions_of_several_large_arrays(narrow, rng):
    x, y = (rng.normal(size=(250, 320)).astype(np.float32) for _ in range(2))
    a, b = narrow.array(x), narrow.array(y)
    wide = x.astype(np.float64) * y + x[:1]
    np.testing.assert_allclose(float((a * b + a[:1]).sum()), wide.sum(), rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose((a * b + a[:1]).mean(0).numpy(), wide.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(a.var(1).numpy(), x.var(1, dtype=np.float64), rtol=1e-5)
    rows = xp.exp(a - a.max(axis=1, keepdims=True))
    soft = rows / rows.sum(axis=1, keepdims=True)
    want = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(soft.numpy(), want / want.sum(1, keepdims=True), rtol=2e-6)


@pytest.mark.parametrize("size", [1, 255, 1024, 4096, 5000, 65_536 + 3, 70_001])
def test_units_in_flight(hardware, rng, size):
    x, y = (rng.normal(size=size).astype(np.float32) for _ in range(2))
    a, b = hardware.array(x), hardware.array(y)
    np.testing.assert_array_equal((a + b).numpy(), x + y)
    np.testing.assert_array_equal((a > b).numpy(), x > y)
    h = x.astype(np.float16)
    np.testing.assert_array_equal((hardware.array(h) * 2).numpy(), h * np.float16(2))
    np.testing.assert_array_equal((a[::-1] - b).numpy(), x[::-1] - y)


@pytest.mark.parametrize("shape", [(64, 256), (65, 256), (9, 7, 44), (33, 35)])
def test_vectors_along_the_last_axis_of_several(hardware, rng, shape):
    x = rng.normal(size=shape).astype(np.float32)
    a = hardware.array(x)
    row, column = rng.normal(size=shape[-1]).astype(np.float32), rng.normal(size=(*shape[:-1], 1)).astype(np.float32)
    got = a * hardware.array(row) - hardware.array(column)
    # One rounding for each operation, or one for both where the compiler makes an fma of them.
    want = x.astype(np.float64) * row - column
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal((a[..., ::-1] + a[:1]).numpy(), x[..., ::-1] + x[:1])
    np.testing.assert_array_equal((a[1:, ..., 4:] + hardware.array(row[4:])).numpy(), x[1:, ..., 4:] + row[4:])


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_, np.float16])
@pytest.mark.parametrize(
    ("rows", "columns"), [(32, 32), (64, 132), (132, 68), (36, 200), (1100, 72), (30, 64), (33, 64)]
)
def test_operands_that_lie_across(hardware, rng, dtype, rows, columns):
    x, y, z = (rng.integers(0, 50, shape).astype(dtype) for shape in ((columns, rows), (rows, columns), (3, rows)))
    a, b, c = (hardware.array(v) for v in (x, y, z))
    if dtype is np.bool_:
        np.testing.assert_array_equal((a.T ^ b).numpy(), x.T ^ y)
        return
    np.testing.assert_array_equal(a.T.copy().numpy(), x.T)
    np.testing.assert_array_equal((a.T + b).numpy(), x.T + y)
    np.testing.assert_array_equal((b[:, ::-1] - a.T).numpy(), y[:, ::-1] - x.T)
    np.testing.assert_array_equal((a.T * b[:1] + c[1][:, None]).numpy(), x.T * y[:1] + z[1][:, None])
    np.testing.assert_array_equal((b[:, :1] < a.T).numpy(), y[:, :1] < x.T)
    places = xp.arange(columns, device=hardware) % 2 + xp.arange(rows, device=hardware)[:, None] % 3
    want = np.arange(columns) % 2 + np.arange(rows)[:, None] % 3
    np.testing.assert_array_equal((places.astype(dtype) + a.T).numpy(), want.astype(dtype) + x.T)


def test_operands_that_lie_across_go_in_blocks_of_any_number_of_axes(hardware, rng):
    runtime = runtime_of(hardware._device)
    x = rng.normal(size=(5, 36, 3, 68)).astype(np.float32)
    y = rng.normal(size=(5, 68, 3, 36)).astype(np.float32)
    a, b = hardware.array(x), hardware.array(y)
    runtime._plans.clear()
    before = sum(isinstance(form, TransposedForm) for form in runtime._pipelines)
    got = xp.permute_dims(a, (0, 3, 2, 1)) - b
    twice = got * 2
    np.testing.assert_array_equal(twice.numpy(), (x.transpose(0, 3, 2, 1) - y) * np.float32(2))
    np.testing.assert_array_equal(got.numpy(), x.transpose(0, 3, 2, 1) - y)
    assert sum(isinstance(form, TransposedForm) for form in runtime._pipelines) > before
    b[1:3, 4:, :, 4:] = xp.permute_dims(a, (0, 3, 2, 1))[2:4, :64, :, 4:]
    y[1:3, 4:, :, 4:] = x.transpose(0, 3, 2, 1)[2:4, :64, :, 4:]
    np.testing.assert_array_equal(b.numpy(), y)


def test_blocks_of_arrays_larger_than_a_binding(narrow, hardware, rng):
    x, y = (rng.normal(size=(256, 256)).astype(np.float32) for _ in range(2))
    np.testing.assert_array_equal((narrow.array(x).T + narrow.array(y)).numpy(), x.T + y)


@pytest.mark.parametrize("shape", [(64, 64), (9, 44), (33, 35), (5000,)])
def test_programs_write_in_place(hardware, rng, shape):
    start, other = (rng.integers(0, 50, shape).astype(np.float32) for _ in range(2))
    x, y, z = (hardware.array(v) for v in (start, other, np.ascontiguousarray(other.T)))
    with hardware.record() as program:
        x[...] = x * 0.5 + y
        x[...] = z.T - x
    assert program.stats["dispatches"] == 2, program.stats
    want = start
    for _ in range(3):
        program.replay()
        want = other - (want * np.float32(0.5) + other)
    np.testing.assert_array_equal(x.numpy(), want)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint32, np.bool_, np.float16])
@pytest.mark.parametrize(("shape", "axis"), [((300, 64), 0), ((5, 37, 36), 1), ((7, 40, 8), (0, 1)), ((70, 12), 0)])
def test_four_results_together(hardware, rng, dtype, shape, axis):
    x, y = (rng.integers(0, 3, shape).astype(dtype) for _ in range(2))
    a, b = hardware.array(x), hardware.array(y)
    if dtype is np.bool_:
        np.testing.assert_array_equal((a | b).all(axis).numpy(), (x | y).all(axis))
        np.testing.assert_array_equal(a.any(axis).numpy(), x.any(axis))
        return
    # Sums of less than 2**11 small integers are exact, also in float16.
    np.testing.assert_array_equal(a.sum(axis).numpy(), x.sum(axis, dtype=np.float64))
    np.testing.assert_array_equal((a * b[..., :1] + a[:1]).sum(axis).numpy(), (x * y[..., :1] + x[:1]).sum(axis))
    np.testing.assert_array_equal(a.max(axis).numpy(), x.max(axis))
    np.testing.assert_array_equal((a + 1).min(axis).numpy(), x.min(axis) + 1)
    np.testing.assert_allclose(a.astype(np.float32).mean(axis).numpy(), x.mean(axis, dtype=np.float64), rtol=1e-6)
    row = x[:1, ..., 1:].copy()
    np.testing.assert_array_equal((a[..., 1:] + hardware.array(row)).sum(axis).numpy(), (x[..., 1:] + row).sum(axis))


def test_four_results_together_keep_nan_and_infinity(hardware, rng):
    x = rng.normal(size=(130, 40)).astype(np.float32)
    x[rng.integers(0, 130, 9), rng.integers(0, 40, 9)] = np.nan
    x[rng.integers(0, 130, 9), rng.integers(0, 40, 9)] = -np.inf
    a = hardware.array(x)
    runtime = runtime_of(hardware._device)
    np.testing.assert_array_equal(a.max(0).numpy(), x.max(0))
    np.testing.assert_array_equal(a.min(0).numpy(), x.min(0))
    assert any(getattr(form, "wide", False) for form in runtime._pipelines)
