"""Arrays beside programs: what shares memory with what a program reads and writes keeps the values that it should have."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg

INC = """
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&y)) { y[id.x] += 1.0; }
}"""

SHARED = {
    "copy": lambda x: x.copy(),
    "reshape": lambda x: x.reshape(x.size),
    "asarray": lambda x: wg.xp.asarray(x, copy=True),
    "astype": lambda x: x.astype(np.float32),
    "slice": lambda x: x[1:],
    "transpose": lambda x: x.T,
    "expression": lambda x: x + 0,
    "copy of a reshape": lambda x: x.reshape(1, -1).copy(),
}


@pytest.fixture
def inc(gpu):
    return gpu.kernel(INC, name="inc")


def numbers(gpu, rng, shape=(4, 6)):
    values = rng.integers(0, 50, shape).astype(np.float32)
    return gpu.array(values), values


@pytest.mark.parametrize("times", [0, 1, 2, 10])
@pytest.mark.parametrize("share", SHARED.values(), ids=SHARED.keys())
def test_what_shares_with_a_recorded_array_keeps_its_values(gpu, rng, inc, share, times):
    x, start = numbers(gpu, rng)
    other = share(x)
    want = share(wg.xp.asarray(start, device=gpu)).numpy()
    with gpu.record() as program:
        x += 1
        inc(y=x, threads=x.size)
    program.replay(times)
    np.testing.assert_array_equal(x.numpy(), start + 2 * times)
    np.testing.assert_array_equal(other.numpy(), want)


@pytest.mark.parametrize("share", SHARED.values(), ids=SHARED.keys())
def test_what_is_recorded_on_a_sharer_leaves_the_first_array(gpu, rng, inc, share):
    x, start = numbers(gpu, rng)
    other = share(x)
    want = other.numpy()
    other = share(x)
    with gpu.record() as program:
        other += 1
        inc(y=other, threads=other.size)
        total = other.sum() + x.sum()
    program.replay(3)
    np.testing.assert_array_equal(x.numpy(), start)
    np.testing.assert_array_equal(other.numpy(), want + 6)
    assert float(total) == start.sum() + (want + 6).sum()


@pytest.mark.parametrize("share", SHARED.values(), ids=SHARED.keys())
def test_what_is_made_in_the_block_is_made_anew(gpu, rng, inc, share):
    x, start = numbers(gpu, rng)
    before = share(gpu.array(start)).numpy()
    with gpu.record() as program:
        first = share(x)
        first += 1
        x += 2
        second = share(x).copy()
        inc(y=second, threads=second.size)
        third = share(x)
    for turn in range(1, 4):
        program.replay()
        np.testing.assert_array_equal(x.numpy(), start + 2 * turn)
        np.testing.assert_array_equal(first.numpy(), before + 2 * turn - 1)
        np.testing.assert_array_equal(second.numpy(), before + 2 * turn + 1)
        np.testing.assert_array_equal(third.numpy(), before + 2 * turn)
        third += 100
        np.testing.assert_array_equal(x.numpy(), start + 2 * turn)


def test_all_of_a_family_is_recorded(gpu, rng):
    x, start = numbers(gpu, rng)
    flat, transposed, copy = x.reshape(24), x.T, x.copy()
    with gpu.record() as program:
        x += 1
        flat += 2
        transposed += 3
        copy += x
    program.replay(2)
    for got, want in ((x, start + 2), (flat, start.ravel() + 4), (transposed, start.T + 6), (copy, start * 3 + 3)):
        np.testing.assert_array_equal(got.numpy(), want)


def test_a_program_reads_what_is_written_between_its_replays(gpu, rng):
    x, start = numbers(gpu, rng)
    copy, later = x.copy(), x * 2
    with gpu.record() as program:
        y = copy + 1
        z = later + 1
        w = x + 1
    program.replay()
    copy += 100
    later[...] = 7
    program.replay()
    np.testing.assert_array_equal(y.numpy(), start + 101)
    np.testing.assert_array_equal(z.numpy(), np.full_like(start, 8))
    np.testing.assert_array_equal(w.numpy(), start + 1)
    x += 10
    program.replay()
    np.testing.assert_array_equal(w.numpy(), start + 11)
    np.testing.assert_array_equal(y.numpy(), start + 101)


def test_host_data_of_the_block_is_the_same_at_each_replay(gpu, inc):
    values = np.arange(8, dtype=np.float32)
    add = gpu.kernel(
        "@group(0) @binding(0) var<storage, read_write> a: array<f32>;"
        "@group(0) @binding(1) var<storage, read_write> b: array<f32>;"
        "@compute @workgroup_size(8) fn main(@builtin(local_invocation_id) id: vec3u)"
        "{ a[id.x] += 1.0; b[id.x] = a[id.x]; }"
    )
    with gpu.record() as program:
        kept = gpu.array(values)
        changed, written = gpu.array(values), gpu.array(values)
        changed += 1
        inc(y=written, threads=8)
        filled = gpu.zeros(8)
        filled[2:] = values[:6]
        made = add(a=values, b=wg.out(8), threads=8)
    np.testing.assert_array_equal(kept.numpy(), values)
    kept += 1
    for _ in range(3):
        program.replay(2)
        np.testing.assert_array_equal(kept.numpy(), values)
        np.testing.assert_array_equal(changed.numpy(), values + 1)
        np.testing.assert_array_equal(written.numpy(), values + 1)
        np.testing.assert_array_equal(filled.numpy(), [0, 0, 0, 1, 2, 3, 4, 5])
        np.testing.assert_array_equal(made.numpy(), values + 1)
        kept *= 5


def test_programs_share_arrays(gpu, rng):
    x, start = numbers(gpu, rng)
    guest = x.copy()
    with gpu.record() as first:
        x += 1
        made = x * 2
    late = x.copy()
    with gpu.record() as second:
        x *= 2
        made += 1
        late += made
        seen = guest + x
    a, m, q = start, None, start
    for turn in ([first], [first, second], [second, first], [second]):
        for program in turn:
            program.replay(2)
            for _ in range(2):
                if program is first:
                    a = a + 1
                    m = a * 2
                else:
                    a = a * 2
                    m = m + 1
                    q = q + m
                    s = start + a
        np.testing.assert_array_equal(x.numpy(), a)
        np.testing.assert_array_equal(made.numpy(), m)
        np.testing.assert_array_equal(late.numpy(), q)
    np.testing.assert_array_equal(seen.numpy(), s)
    np.testing.assert_array_equal(guest.numpy(), start)


def test_copies_outlive_the_array_of_a_program(gpu, rng):
    x, start = numbers(gpu, rng)
    with gpu.record() as program:
        x += 1
        y = x * 2
    copy, pending = x.copy(), x + 0
    other = x.reshape(24)
    del x
    other += 5
    program.replay(2)
    np.testing.assert_array_equal(copy.numpy(), start)
    np.testing.assert_array_equal(pending.numpy(), start)
    np.testing.assert_array_equal(other.numpy(), start.ravel() + 5)
    np.testing.assert_array_equal(y.numpy(), (start + 2) * 2)


def test_a_program_of_a_freed_array_says_so(gpu, rng, inc):
    x, start = numbers(gpu, rng)
    y = x.copy()
    with gpu.record() as program, x * 2 as twice:
        y += twice
    program.replay(2)
    np.testing.assert_array_equal(y.numpy(), start * 5)
    y.free()
    with pytest.raises(wg.ClosedError, match="freed"):
        program.replay()
    with pytest.raises(wg.ClosedError, match="freed"):
        program.replay(0)
    np.testing.assert_array_equal((x + 1).numpy(), start + 1)


def test_a_replay_is_no_part_of_another_program(gpu, rng):
    x, start = numbers(gpu, rng)
    with gpu.record() as program:
        x += 1
    with pytest.raises(wg.WebGPUWidgetError, match="cannot be replayed while"), gpu.record():
        program.replay()
    program.replay()
    np.testing.assert_array_equal(x.numpy(), start + 1)


def test_a_block_that_fails_changes_nothing(gpu, rng):
    x, start = numbers(gpu, rng)
    copy = x.copy()
    with pytest.raises(ZeroDivisionError), gpu.record() as failed:
        x += 1
        x[1:] = copy[:-1]
        1 / 0  # noqa: B018 - it is to fail
    np.testing.assert_array_equal(x.numpy(), start)
    np.testing.assert_array_equal(copy.numpy(), start)
    with pytest.raises(wg.ClosedError, match="record it again"):
        failed.replay()
    with gpu.record() as program:
        x += 1
    program.replay(2)
    np.testing.assert_array_equal(x.numpy(), start + 2)


@pytest.mark.parametrize("share", [lambda x: x[...], lambda x: x[1:], lambda x: x.T[::-1], lambda x: x.reshape(-1)[3:]])
@pytest.mark.parametrize("forgotten", ["nowhere", "in the block", "after it", "between replays"])
def test_an_array_of_a_program_is_written_through_its_views_whoever_holds_it(gpu, rng, inc, share, forgotten):
    start = rng.integers(0, 50, (4, 6)).astype(np.float32)
    held = [gpu.array(start)]
    with gpu.record() as program:
        held[0] += 2
        view = share(held[0])
        sum_before = held[0].sum()
        copy = held[0].copy()
        if forgotten == "in the block":
            held.clear()
        inc(y=view, threads=view.size)
    if forgotten == "after it":
        held.clear()
    want = start.copy()
    for turn in range(3):
        program.replay(turn)
        for _ in range(turn):
            want += 2
            old = want.copy()
            part = share(want)
            part += 1
        if turn:
            np.testing.assert_array_equal(view.numpy(), share(want))
            np.testing.assert_array_equal(copy.numpy(), old)
            assert float(sum_before) == old.sum()
        if held:
            np.testing.assert_array_equal(held[0].numpy(), want)
        if turn == 1 and forgotten == "between replays":
            held.clear()


def test_a_view_of_what_a_program_alone_holds_is_written_with_it_or_refused(gpu, inc):
    x = gpu.zeros(4)
    with gpu.record() as program:
        x += 1
        seen = x.copy()
        view = x[1:]
    del x
    program.replay()
    with pytest.raises(wg.BindingError, match="written since"):
        inc(y=view, threads=3)
    program.replay()
    np.testing.assert_array_equal(seen.numpy(), np.full(4, 2))
    program.free()
    inc(y=view, threads=3)
    np.testing.assert_array_equal(view.numpy(), np.full(3, 3))


def test_a_program_gives_its_arrays_back(gpu):
    x = gpu.zeros(1 << 16)
    with gpu.record() as program:
        x += 1
    program.replay()
    x.numpy()
    held = gpu.memory().bytes
    del x
    gpu.synchronize()
    assert gpu.memory().bytes == held
    program.free()
    assert gpu.memory().bytes <= held - (4 << 16)
