"""What every transport must do: functions of a GPU, run headless, in a page that a browser opens, and in a notebook with and without the lane."""

from __future__ import annotations

import asyncio
import threading

import numpy as np

import webgpu_widget as wg

SQUARE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * x[id.x]; }
}"""
ADD_ONE = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { x[id.x] += 1u; }
}"""


def says_what_it_is(gpu: wg.GPU) -> None:
    info = gpu.ready()
    assert info.limits["maxComputeInvocationsPerWorkgroup"] >= 128
    assert info.transport == gpu.transport
    assert info.name


def runs_in_one_call(gpu: wg.GPU) -> None:
    x = np.random.default_rng().standard_normal(1000).astype(np.float32)
    assert np.array_equal(gpu.run(SQUARE, x=x, y=wg.out(1000), threads=1000), x * x)


def keeps_bits_of_large_arrays(gpu: wg.GPU) -> None:
    # Odd size: no multiple of a chunk, of 8 or of 4 bytes per chunk border.
    x = np.random.default_rng().integers(0, 2**32, 3 * 2**20 + 7, dtype=np.uint32)
    assert np.array_equal(gpu.array(x).numpy(), x)


def the_callers_array_may_change_after_the_call(gpu: wg.GPU) -> None:
    x = np.random.default_rng().integers(0, 2**32, 2**21, dtype=np.uint32)
    before = x.copy()
    resident = gpu.array(x)
    x[:] = 0
    assert np.array_equal(resident.numpy(), before)


def loses_none_of_many_calls(gpu: wg.GPU) -> None:
    kernel = gpu.kernel(ADD_ONE, name="add_one")
    x = gpu.zeros(100, np.uint32)
    for _ in range(3000):
        kernel(x=x, threads=100)
    assert np.array_equal(x.numpy(), np.full(100, 3000))


def replays_a_program(gpu: wg.GPU) -> None:
    kernel = gpu.kernel(ADD_ONE, name="add_one")
    x = gpu.zeros(100, np.uint32)
    with gpu.record() as program:
        kernel(x=x, threads=100)
        kernel(x=x, threads=100)
    program.replay(times=500)
    assert np.array_equal(x.numpy(), np.full(100, 1000))


def keeps_order_of_writes_and_dispatches(gpu: wg.GPU) -> None:
    kernel = gpu.kernel(SQUARE)
    results = [kernel(x=np.full(8, i, np.float32), y=wg.out(8), threads=8) for i in range(200)]
    for i, result in enumerate(results):
        assert result.numpy()[0] == i * i


def gives_memory_back(gpu: wg.GPU) -> None:
    import gc

    gc.collect()
    before = gpu.memory()
    arrays = [gpu.array(np.ones(1000, np.float32)) for _ in range(10)]
    during = gpu.memory()
    assert during.buffers == before.buffers + 10
    assert during.bytes == before.bytes + 40_000
    arrays[0].free()
    assert gpu.memory().buffers == before.buffers + 9
    del arrays
    gc.collect()
    assert gpu.memory().buffers == before.buffers


def fails_by_name_and_goes_on(gpu: wg.GPU) -> None:
    try:
        gpu.kernel("fn main( {")
    except wg.ShaderError as error:
        assert error.line == 1
    else:
        raise AssertionError("a syntax error must raise")
    runs_in_one_call(gpu)


def awaits(gpu: wg.GPU) -> None:
    async def story() -> None:
        x = np.arange(64, dtype=np.float32)
        several = [gpu.run_async(SQUARE, x=x + i, y=wg.out(64), threads=64) for i in range(8)]
        for i, y in enumerate(await asyncio.gather(*several)):
            assert np.array_equal(y, (x + i) ** 2)
        assert (await gpu.ready_async()).name
        assert (await gpu.memory_async()).bytes >= 0
        await gpu.synchronize_async()

    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(story())
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    # In a thread: a notebook's own loop is running already.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert not failed, failed


def serves_several_threads(gpu: wg.GPU) -> None:
    kernel = gpu.kernel(SQUARE)
    wrong: list[object] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(10):
            x = rng.standard_normal(500).astype(np.float32)
            try:
                y = kernel(x=x, y=wg.out(500), threads=500).numpy()
            except Exception as error:  # noqa: BLE001
                wrong.append(error)
                return
            if not np.array_equal(y, x * x):
                wrong.append(y)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong, wrong[:1]


def profiles(gpu: wg.GPU) -> None:
    kernel = gpu.kernel(ADD_ONE + "// a text of its own", name="counted")
    x = gpu.zeros(100, np.uint32)
    with gpu.profile() as profile:
        for _ in range(5):
            kernel(x=x, threads=100)
    rows = {row.name: row for row in profile.rows}
    assert rows["counted"].dispatches == 5
    assert rows["counted"].wall_ms > 0
    assert (rows["counted"].gpu_ms is not None) == ("timestamp-query" in gpu.info.features)
    assert "counted" in repr(profile)
    assert "counted" in profile._repr_html_()


def tests_itself(gpu: wg.GPU) -> None:
    report = wg.selftest(gpu, areas=["weights", "arrays"], quick=True, progress=False)
    assert report.ok, report.text
    assert report.info.transport == gpu.transport
    assert f"transport   {gpu.transport}" in report.text


STORIES = [
    says_what_it_is,
    runs_in_one_call,
    keeps_bits_of_large_arrays,
    the_callers_array_may_change_after_the_call,
    loses_none_of_many_calls,
    replays_a_program,
    keeps_order_of_writes_and_dispatches,
    gives_memory_back,
    fails_by_name_and_goes_on,
    awaits,
    serves_several_threads,
    profiles,
    tests_itself,
]
