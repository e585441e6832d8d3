"""The expression graph without a browser: a queue that only writes down what it is told."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from written import FakeDevice

import webgpu_widget as wg
from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.arrays.lazy import codegen, create, library
from webgpu_widget.arrays.lazy.node import broadcast_shapes
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.lazy.trace import collapse


@pytest.fixture
def fake():
    return FakeDevice()


def floats(gpu, *shape):
    return create.from_host(gpu, np.zeros(shape, np.float32))


def count(gpu):
    return len(gpu.queue.dispatched)


def test_a_chain_is_one_kernel(fake):
    a, b, c = (floats(fake, 8, 8) for _ in range(3))
    y = (a * b + c).astype(np.float32) * 2 - a
    assert count(fake) == 0
    y._buffer()
    assert count(fake) == 1
    y._buffer()
    assert count(fake) == 1


def test_a_chain_into_a_sum_is_at_most_two(fake):
    a, b, c = (floats(fake, 1000, 1000) for _ in range(3))
    (a * b + c).sum()._buffer()
    assert 1 <= count(fake) <= 2


def test_common_parts_are_computed_once(fake):
    a, b = floats(fake, 16), floats(fake, 16)
    y = wg.xp.exp(a * b) + wg.xp.exp(a * b)
    y._buffer()
    source = fake.queue.sources[-1]
    body = source[source.index("fn f(") :]
    assert body.count("f_exp(") == 1
    assert sum(line.count("= (v") and "*" in line for line in body.splitlines()) == 1


def test_scalars_and_shapes_do_not_make_new_kernels(fake):
    for n, k in ((8, 0.5), (16, 0.25), (64, 3.0)):
        (floats(fake, n) * k)._buffer()
    assert len(fake.queue.sources) == 1
    for shape in ((3, 5), (7, 9)):
        (floats(fake, *shape).T + 1)._buffer()
    assert len(fake.queue.sources) == 2


def test_a_loop_keeps_to_three_arrays(fake):
    size = 4096 * 4
    x, y = floats(fake, 4096), floats(fake, 4096)
    for _ in range(1000):
        x = x * 0.5 + y
    x._buffer()
    gc.collect()
    assert fake.queue.peak <= 3 * size
    assert count(fake) < 100


def test_what_was_launched_once_is_launched_again_as_it_was(fake):
    for _ in range(2):
        a = floats(fake, 6, 10)
        (a * 2 + a[0]).sum(axis=0)._buffer()
        (a[:, 1:] - 1)._buffer()
        (a + 3).max()._buffer()
    dispatched = fake.queue.dispatched
    half = len(dispatched) // 2
    for (one, args, groups), (two, more, same) in zip(dispatched[:half], dispatched[half:], strict=True):
        assert (one, groups) == (two, same)
        assert [v for g, _, v in args if g == 1] == [v for g, _, v in more if g == 1]
    assert len(fake.queue.sources) == half


def test_plans_hold_no_memory(fake):
    a = floats(fake, 4096)
    (a + 1)._buffer()
    a.sum()._buffer()
    a.reshape(64, 64).max(axis=0)._buffer()
    del a
    gc.collect()
    runtime_of(fake).pool.trim()
    fake.queue.dispatched.clear()
    gc.collect()
    assert fake.queue.live == 0


def test_a_loop_over_large_arrays_makes_no_fresh_ones(fake):
    side = 2**27
    runtime_of(fake).binding_bytes = 2**31
    x, y = create.empty(fake, side), create.empty(fake, side)
    for turn in range(10):
        x = x * 0.5 + y
        x._buffer()
        if turn == 2:
            made = next(fake.queue.handles)
    assert next(fake.queue.handles) == made + 1
    assert fake.queue.peak <= 4 * 4 * side
    fresh = [create.empty(fake, n) for n in (side, side, side, side // 2)]
    del x, fresh
    gc.collect()
    runtime_of(fake).pool._collect()
    assert runtime_of(fake).pool.idle_bytes <= 3 * 4 * side
    larger = [create.empty(fake, 2 * side) for _ in range(3)]
    del larger
    gc.collect()
    runtime_of(fake).pool._collect()
    assert runtime_of(fake).pool.idle_bytes <= 2 * 8 * side


def test_repeated_squaring_is_counted_by_what_it_shares(fake):
    x = floats(fake, 4)
    for _ in range(60):
        x = x * x
    assert count(fake) == 0
    x._buffer()
    assert count(fake) == 1


def test_more_operands_than_bindings_are_split(fake):
    arrays = [floats(fake, 4) for _ in range(30)]
    total = arrays[0]
    for a in arrays[1:]:
        total = total + a
    total._buffer()
    for _, args, _ in fake.queue.dispatched:
        assert sum(g == 0 for g, _, _ in args) <= 8


def test_what_two_results_share_is_stored_by_the_first_kernel(fake):
    a, b = floats(fake, 8), floats(fake, 8)
    shared = wg.xp.sin(a) * b
    one, two = shared + 1, shared - 1
    one._buffer()
    two._buffer()
    assert count(fake) == 2
    assert "f_sin(" not in fake.queue.sources[1][fake.queue.sources[1].index("fn f(") :]


def test_a_second_reduction_stores_the_expression_first(fake):
    a = floats(fake, 8)
    y = wg.xp.exp(a)
    y.sum()
    assert count(fake) == 1
    y.max()
    assert count(fake) == 3


def test_what_is_broadcast_is_computed_once_beforehand(fake):
    row, matrix = floats(fake, 64), floats(fake, 64, 64)
    (matrix * wg.xp.exp(row))._buffer()
    assert count(fake) == 2
    (matrix * (row + 1))._buffer()
    assert count(fake) == 3


def test_heavy_kernels_are_not_written_out_four_times(fake):
    x = floats(fake, 64)
    wg.xp.sin(wg.xp.exp(wg.xp.tan(wg.xp.cos(x))))._buffer()
    source = fake.queue.sources[-1]
    assert source.count(" f(q0[") == 1
    (x + 1)._buffer()
    assert fake.queue.sources[-1].count(" f(q0[") == 4


def test_packed_kernels_have_no_index_arithmetic(fake):
    (floats(fake, 4, 8) + floats(fake, 4, 8))._buffer()
    assert "vec4<f32>" in fake.queue.sources[-1]
    assert "%" not in fake.queue.sources[-1]
    (floats(fake, 4, 8) + floats(fake, 8))._buffer()
    assert "%" in fake.queue.sources[-1]


def test_large_arrays_fold_over_the_limit_of_workgroups(fake):
    runtime_of(fake).binding_bytes = 2**31
    (create.empty(fake, (65536, 4096)) + 1)._buffer()
    assert fake.queue.dispatched[-1][2] == (65535, 1, 1)


def test_arrays_over_the_adapters_limit_are_refused_at_the_call(fake):
    with pytest.raises(wg.LimitError, match="2,147,483,648|2147483648"):
        create.empty(fake, (65536, 65536))


def test_a_kernel_that_writes_leaves_what_others_captured(fake):
    a = floats(fake, 8)
    later = a + 1
    old = a._buffer()
    new = a._buffer_for_writing()
    assert new is not old
    later._buffer()
    bound = [v for g, b, v in fake.queue.dispatched[-1][1] if g == 0 and b == 0]
    assert bound == [old]


def test_a_kernel_that_writes_does_not_copy_what_nobody_reads(fake):
    a = floats(fake, 8)
    later = a + 1
    later._buffer()
    del later
    assert a._buffer_for_writing() is a._buffer()
    assert count(fake) == 1


def test_copies_views_and_reshapes_are_values(fake):
    for make in (lambda a: a.copy(), lambda a: a.reshape(2, 4), lambda a: a[::2], lambda a: a.T):
        a = floats(fake, 8)
        other = make(a)
        before = a._buffer()
        assert a._buffer_for_writing() is not before
        assert other.size


def test_freeing_computes_what_depends_on_it(fake):
    a = floats(fake, 8)
    later = a * 2
    a.free()
    assert count(fake) == 1
    later._buffer()
    with pytest.raises(wg.ClosedError, match="freed"):
        a + 1


def test_arrays_in_cycles_of_garbage_give_their_memory_back_once(fake):
    for _ in range(3):
        cycle = [floats(fake, 64)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        a = floats(fake, 64) + 1
        assert not a._buffer().freed


def test_freed_memory_goes_back_at_once(fake):
    live = fake.queue.live
    a = floats(fake, 1024)
    with a:
        pass
    assert fake.queue.live == live


def test_pooled_memory_goes_back_when_asked(fake):
    a = floats(fake, 1024)
    assert fake.queue.live == 4096
    del a
    gc.collect()
    runtime_of(fake).pool.trim()
    assert fake.queue.live == 0


def test_arrays_of_another_gpu_are_refused(fake):
    other = FakeDevice()
    with pytest.raises(wg.BindingError, match="different GPUs"):
        floats(fake, 3) + floats(other, 3)


def test_a_closed_gpu_is_refused_at_the_call(fake):
    a = floats(fake, 3)
    fake.closed = True
    with pytest.raises(wg.ClosedError, match="closed"):
        a + 1


@pytest.mark.parametrize(
    ("groups", "strides", "sides", "merged"),
    [
        ([(3, 4)], [[4, 1], [4, 1]], [[12]], [[1], [1]]),
        ([(3, 4)], [[4, 1], [0, 1]], [[3, 4]], [[4, 1], [0, 1]]),
        ([(3, 1, 4)], [[4, 0, 1]], [[12]], [[1]]),
        ([(2, 3), (4,)], [[12, 4, 1]], [[6], [4]], [[4, 1]]),
        ([(), (4, 5)], [[5, 1]], [[], [20]], [[1]]),
        ([(1, 1)], [[0, 0]], [[]], [[]]),
    ],
)
def test_axes_merge_where_every_access_allows(groups, strides, sides, merged):
    assert collapse(groups, strides) == (sides, merged)


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(wg.ShapeError, match=r"\(2, 3\) and \(4,\)"):
        broadcast_shapes("add", (2, 3), (4,))
    assert broadcast_shapes("add", (2, 1), (3,), ()) == (2, 3)
    assert broadcast_shapes("add", (0, 1), (1, 5)) == (0, 5)


def test_a_kernel_takes_only_the_functions_that_it_needs():
    text = library.needed("let y = f_tan(x);")
    assert "fn f_reduce" in text
    assert "fn f_pow" not in text
    assert library.needed("let y = x + 1.0;") == ""


def test_uniform_words_are_vec4s():
    assert [codegen.slot(i) for i in (0, 3, 4, 9)] == ["p[0].x", "p[0].w", "p[1].x", "p[2].y"]


def test_arrays_of_kernels_take_part(fake):
    buffer = fake.queue.alloc(20)
    a = GPUArray(fake, buffer, (5,), np.float32)
    (a + 1)._buffer()
    assert count(fake) == 1
    assert a._buffer() is buffer
