"""Loading in a real browser: routes, stages, conversions, budgets, splits."""

from __future__ import annotations

import asyncio
import gc
import time
from concurrent.futures import ThreadPoolExecutor

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file

import webgpu_widget as wg
from webgpu_widget._selftest.weights import blocks
from webgpu_widget.reference import weights as twin
from webgpu_widget.weights.budget import Budget
from webgpu_widget.weights.tensors import ENCODINGS

from .conftest import layers, same

QUICK = {"progress": False, "chunk_bytes": 64 * 1024}


def raw_safetensors(path, tensors):
    """Write dtypes that NumPy lacks: name -> (dtype, shape, bytes)."""
    import json

    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize("route", [None, "comm"])
def test_a_file_loads_by_each_route(clean, path, model, route):
    with wg.load_weights(path, clean, route=route, **QUICK) as weights:
        same(weights, model)
        weights.wait(timeout=30)
        report = weights.report
        assert report.route == ("comm" if route else "url")
        assert report.endpoint == ("" if route else "hub")
        assert report.bytes_moved == path.stat().st_size
        assert 0 < report.peak_buffer_bytes <= 64 * 2**20
        assert weights.progress.state == "done"
        assert weights.progress.fraction == 1


def test_a_second_load_moves_nothing(clean, path, model):
    for expected in ("url", "cache"):
        with wg.load_weights(path, clean, **QUICK) as weights:
            same(weights, model)
            weights.wait(timeout=30)
            assert weights.report.route == expected
    assert weights.report.bytes_moved == 0
    assert weights.report.bytes_from_cache == path.stat().st_size
    (entry,) = wg.cache.list(gpu=clean)
    assert entry.complete
    assert wg.cache.verify(gpu=clean)
    assert wg.cache.clear(path, gpu=clean) == path.stat().st_size
    assert wg.cache.list(gpu=clean) == []


def test_without_cache_nothing_is_kept(clean, path, model):
    with wg.load_weights(path, clean, cache=False, **QUICK) as weights:
        same(weights, model)
    assert wg.cache.list(gpu=clean) == []
    with wg.load_weights(path, clean, **QUICK) as weights:
        weights.wait(timeout=30)
    with wg.load_weights(path, clean, cache=False, **QUICK) as weights:
        weights.wait(timeout=30)
        assert weights.report.route == "url", "what others have kept is not read either"


def test_stages_come_in_order(clean, path):
    with wg.load_weights(path, clean, **QUICK) as weights:
        assert list(weights.stages) == ["embeddings", "layers.0", "layers.1", "layers.2", "layers.3", "head"]
        for stage in weights.stages:
            weights.wait(stage, timeout=30)
            assert stage.state == "ready"
        assert sum(stage.bytes for stage in weights.stages) == weights.plan.total_bytes


def test_a_tensor_asked_for_jumps_the_queue(clean, server, served, model):
    server.faults.bytes_per_second = 60_000
    url, _ = served
    with wg.load_weights(url, clean, cache=False, progress=False, chunk_bytes=16 * 1024) as weights:
        weights.pause()
        with ThreadPoolExecutor(1) as other:
            wanted = other.submit(weights.get_tensor, "layers.3.w")
            time.sleep(0.3)
            weights.resume()
            wanted.result(timeout=30)
        assert weights.stages[1].state == "loading", "it came before what was to come first"
        server.faults.bytes_per_second = 0
        same(weights, model)


def test_compute_while_the_rest_loads(clean, server, served, model):
    server.faults.bytes_per_second = 100_000
    url, _ = served
    with wg.load_weights(url, clean, cache=False, progress=False, chunk_bytes=16 * 1024) as weights:
        weights.wait(0, timeout=30)
        doubled = clean.run(
            "@group(0) @binding(0) var<storage, read> x: array<f32>;"
            "@group(0) @binding(1) var<storage, read_write> y: array<f32>;"
            "@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) i: vec3u) {"
            " if (i.x < arrayLength(&x)) { y[i.x] = 2 * x[i.x]; } }",
            x=weights["embed.weight"],
            y=wg.out(model["embed.weight"].shape),
            threads=model["embed.weight"].size,
        )
        assert weights.stages[-2].state == "loading"
        np.testing.assert_array_equal(doubled, 2 * model["embed.weight"])


def test_free_and_reload(clean, path, model):
    with wg.load_weights(path, clean, **QUICK) as weights:
        weights.wait(timeout=30)
        full = clean.memory().bytes
        held = weights["layers.1.w"]
        weights.free("layers.1")
        assert clean.memory().bytes == full - weights.stages[2].gpu_bytes
        with pytest.raises(wg.ClosedError):
            held.numpy()
        same(weights, model)
        np.testing.assert_array_equal(held.numpy(), model["layers.1.w"])
        assert weights.report.bytes_moved == path.stat().st_size, "the second time came from the cache"


@pytest.fixture
def _no_budget_afterwards(clean):
    yield
    Budget.of(clean._device).limit_bytes = None


@pytest.mark.usefixtures("_no_budget_afterwards")
def test_a_model_larger_than_the_budget_streams(clean, path, model):
    stage = layers(1)["layers.0.w"].nbytes + 1024
    others = clean.memory().bytes  # of models that other tests keep
    with wg.load_weights(path, clean, budget_bytes=2 * stage, **QUICK) as weights:
        for _ in range(2):
            same(weights, model)
            assert clean.memory().bytes - others <= 2 * stage
        assert weights.report.bytes_moved == path.stat().st_size
        other = path.with_name("other.safetensors")
        save_file(layers(1, seed=5), other)
        with wg.load_weights(other, clean, **QUICK) as second:
            same(second, layers(1, seed=5))
            same(weights, model)
            assert clean.memory().bytes - others <= 2 * stage
        with pytest.raises(wg.WeightsError, match="budget"):
            wg.load_weights(path, clean, budget_bytes=1000, **QUICK)


def test_a_tensor_larger_than_a_binding_is_split(clean, tmp_path):
    value = np.arange(1000 * 96, dtype=np.float32).reshape(1000, 96) / 8
    path = tmp_path / "big.npz"
    np.savez(path, big=value, half=value.astype(np.float16)[:, :33])
    with wg.load_weights(path, clean, max_binding_bytes=100_000, **QUICK) as weights:
        big = weights["big"]
        assert len(big.parts) == 4
        assert big.rows == (260, 260, 260, 220)
        np.testing.assert_array_equal(big.numpy(), value)
        np.testing.assert_array_equal(weights["half"].numpy(), value.astype(np.float16)[:, :33])
    with wg.load_weights(path, clean, max_binding_bytes=100_000, quantize="int8", **QUICK) as weights:
        assert np.abs(weights["big"].numpy() - value).max() <= value.max() / 250
    with pytest.raises(wg.LimitError, match="row"):
        wg.load_weights(path, clean, max_binding_bytes=300, **QUICK)


# ---------------------------------------------------------------- conversions


def test_plain_types_become_what_webgpu_has(clean, tmp_path):
    rng = np.random.default_rng(2)
    integers = {
        name: rng.integers(0, 100, 77).astype(name) for name in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    }
    tensors = {
        **integers,
        "negative": -np.arange(5, dtype=np.int64),
        "f2": rng.normal(size=(5, 7)).astype(np.float16),
        "f4": rng.normal(size=(5, 7)).astype(np.float32),
        "bool": rng.integers(0, 2, 33).astype(bool),
        "scalar": np.array(3.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "large": np.array([1 << 40]),
        "double": rng.normal(size=5),
    }
    path = tmp_path / "plain.npz"
    np.savez(path, **tensors)
    with wg.load_weights(path, clean, **QUICK) as weights:
        for name in [*integers, "negative", "f2", "f4", "bool", "scalar", "empty"]:
            np.testing.assert_array_equal(weights[name].numpy(), tensors[name], err_msg=name)
        assert weights["i8"].dtype == np.int32
        assert weights["f2"].dtype == np.float16
        assert weights["bool"].dtype == np.bool_
        with pytest.raises(wg.DTypeError, match="cannot hold"):
            weights["large"]
        with pytest.raises(wg.DTypeError, match="float64"):
            weights["double"]
        with pytest.raises(KeyError, match="scalar"):
            weights["scalr"]
    with wg.load_weights(path, clean, dtype="f32", **QUICK) as weights:
        np.testing.assert_array_equal(weights["double"].numpy(), tensors["double"].astype(np.float32))
        np.testing.assert_array_equal(weights["f2"].numpy(), tensors["f2"].astype(np.float32))
    with wg.load_weights(path, clean, dtype={"f4": "f16"}, **QUICK) as weights:
        np.testing.assert_array_equal(weights["f4"].numpy(), tensors["f4"].astype(np.float16))


def test_every_16_bit_float(clean, tmp_path):
    bits = np.arange(65536, dtype=np.uint16)
    path = raw_safetensors(
        tmp_path / "halves.safetensors",
        {
            "odd": ("U8", (3,), b"abc"),  # puts all that follows at odd offsets
            "bf16": ("BF16", (65536,), bits.tobytes()),
            "f16": ("F16", (65536,), bits.tobytes()),
            "e4m3": ("F8_E4M3", (256,), bytes(range(256))),
            "e5m2": ("F8_E5M2", (256,), bytes(range(256))),
        },
    )
    raw = bits.view(np.uint8)
    with wg.load_weights(path, clean, dtype="f32", progress=False, chunk_bytes=4096) as weights:
        np.testing.assert_array_equal(weights["bf16"].numpy(), twin.decode_bf16(raw, 65536))
        np.testing.assert_array_equal(weights["f16"].numpy(), twin.decode_f16(raw, 65536))
        np.testing.assert_array_equal(weights["e4m3"].numpy(), twin.decode_f8_e4m3(np.arange(256, dtype=np.uint8), 256))
        np.testing.assert_array_equal(weights["e5m2"].numpy(), twin.decode_f8_e5m2(np.arange(256, dtype=np.uint8), 256))
    with wg.load_weights(path, clean, dtype={"bf16": "f16"}, progress=False, chunk_bytes=4096) as weights:
        with np.errstate(over="ignore"):
            expected = twin.decode_bf16(raw, 65536).astype(np.float16)
        np.testing.assert_array_equal(weights["bf16"].numpy(), expected)
        np.testing.assert_array_equal(weights["f16"].numpy().view(np.uint16), bits)


@pytest.mark.parametrize("bits", ["int8", "int4"])
def test_quantised_as_it_arrives(clean, tmp_path, bits):
    rng = np.random.default_rng(3)
    tensors = {
        "w": rng.normal(size=(70, 96)).astype(np.float32),
        "norm": np.ones(96, np.float32),
        "odd": np.ones((4, 30), np.float32),
    }
    path = tmp_path / "q.safetensors"
    save_file(tensors, path)
    with wg.load_weights(path, clean, quantize=bits, **QUICK) as weights:
        got = weights["w"]
        assert got.dtype == bits
        assert got.shape == (70, 96)
        packed, scales = getattr(twin, f"encode_{bits}")(tensors["w"].reshape(-1))
        np.testing.assert_allclose(got.scales.numpy().reshape(-1), scales, rtol=1e-6)
        assert np.mean(got.packed.numpy().reshape(-1) != packed) < 0.01, "only ties may differ"
        expected = getattr(twin, f"dequantize_{bits}")(got.packed.numpy().reshape(-1), got.scales.numpy().reshape(-1))
        np.testing.assert_array_equal(got.numpy().reshape(-1), expected)
        np.testing.assert_array_equal(weights["norm"].numpy(), tensors["norm"])
        np.testing.assert_array_equal(weights["odd"].numpy(), tensors["odd"])


def test_gguf_is_dequantised_on_the_gpu(clean, tmp_path, rng):
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "test")
    kinds = [name for name, encoding in ENCODINGS.items() if encoding.kind == "quantised"]
    raws = {}
    for kind in kinds:
        raws[kind] = blocks(rng, kind.lower(), 6).reshape(3, -1)
        writer.add_tensor(kind, raws[kind], raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.add_tensor("f32", np.arange(12, dtype=np.float32).reshape(3, 4))
    writer.add_tensor("f16", np.arange(12, dtype=np.float16).reshape(3, 4))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with wg.load_weights(path, clean, **QUICK) as weights:
        for kind in kinds:
            expected = gguf.dequantize(raws[kind], gguf.GGMLQuantizationType[kind])
            got = weights[kind].numpy()
            assert got.shape == expected.shape
            # a fused multiply-add may round once where NumPy rounds twice
            np.testing.assert_allclose(got, expected, rtol=2e-7, atol=np.abs(expected).max() * 2e-7, err_msg=kind)
        np.testing.assert_array_equal(weights["f32"].numpy(), np.arange(12).reshape(3, 4))
        np.testing.assert_array_equal(weights["f16"].numpy(), np.arange(12).reshape(3, 4))


@pytest.mark.parametrize("limit", [None, 2048])
def test_blocks_stay_as_the_file_has_them_where_asked(clean, tmp_path, rng, limit):
    path, raws = tmp_path / "model.gguf", {}
    writer = gguf.GGUFWriter(path, "test")
    for kind in ("Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q5_K", "Q6_K"):
        raws[kind] = blocks(rng, kind.lower(), 15).reshape(3, -1)  # of Q8_0, Q4_0 and Q6_K no whole words
        writer.add_tensor(kind, raws[kind], raw_dtype=gguf.GGMLQuantizationType[kind])
    raws["bf16"] = rng.integers(0, 256, (3, 2 * 7), np.uint8)
    writer.add_tensor("bf16", raws["bf16"], raw_dtype=gguf.GGMLQuantizationType.BF16)
    plain = rng.normal(size=(3, 4)).astype(np.float32)
    writer.add_tensor("f32", plain)
    writer.add_tensor("f16", plain.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with wg.load_weights(path, clean, dtype="stored", max_binding_bytes=limit, **QUICK) as weights:
        for kind, raw in raws.items():
            got = weights[kind]
            parts = [got] if isinstance(got, wg.GPUArray) else got.parts
            rows = [part.numpy().view(np.uint8)[: part.nbytes // raw.shape[1] * raw.shape[1]] for part in parts]
            assert all(part.dtype == np.uint32 and part.ndim == 1 for part in parts)
            assert b"".join(row.tobytes() for row in rows) == raw.tobytes(), kind
        np.testing.assert_array_equal(weights["f32"].numpy(), plain)
        np.testing.assert_array_equal(weights["f16"].numpy(), plain.astype(np.float16))
    with pytest.raises(wg.errors.DTypeError, match="'f32', 'f16' or 'stored'"):
        wg.load_weights(path, clean, dtype="bf16", **QUICK)


def test_many_pieces(clean, tmp_path):
    """More elements than one dispatch converts, with a tail."""
    rng = np.random.default_rng(4)
    count = (1 << 21) + 12345
    bits = rng.integers(0, 1 << 15, count, np.uint16)
    path = raw_safetensors(tmp_path / "long.safetensors", {"w": ("BF16", (count,), bits.tobytes())})
    with wg.load_weights(path, clean, progress=False) as weights:
        np.testing.assert_array_equal(weights["w"].numpy(), twin.decode_bf16(bits.view(np.uint8), count))


def test_deflated_npz(clean, tmp_path, model):
    path = tmp_path / "packed.npz"
    np.savez_compressed(path, **model, fortran=np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)))
    with wg.load_weights(path, clean, **QUICK) as weights:
        same(weights, model)
        np.testing.assert_array_equal(weights["fortran"].numpy(), np.arange(12).reshape(3, 4))


def test_shards(clean, tmp_path, model):
    import json

    names = list(model)
    for number in (0, 1):
        save_file({name: model[name] for name in names[number::2]}, tmp_path / f"part-{number}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    places = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(names)}
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    for source in (index, tmp_path):
        with wg.load_weights(source, clean, **QUICK) as weights:
            same(weights, model)


# ---------------------------------------------------------------- coroutines, pause, plan


def test_coroutines(clean, path, model):
    from webgpu_widget.weights import cache, load_weights_async

    async def run():
        weights = await load_weights_async(path, clean, **QUICK)
        await weights.wait_async(timeout=30)
        array = await weights.get_tensor_async("layers.2.w")
        np.testing.assert_array_equal(await array.numpy_async(), model["layers.2.w"])
        assert (await cache.quota_async(gpu=clean)).available_bytes > 0
        weights.cancel()

    asyncio.run(run())


def test_plan_fits(clean, path):
    plan = wg.inspect_weights(path, gpu=clean)
    assert plan.fits
    assert plan.gpu_bytes == plan.total_bytes
    assert "layers.3" in repr(plan)
    assert "<table>" in plan._repr_html_()
    from webgpu_widget.weights.plan import check_fits

    limits = clean.ready().limits
    tight = check_fits(plan, limits, available_bytes=1000)
    assert not tight
    assert tight.limits
    assert "uncached" in tight.notes[0]
    small = check_fits(plan, {**limits, "maxBufferSize": 10_000}, available_bytes=10**9)
    assert any("parts" in note for note in small.notes)


def test_pause_and_resume(clean, server, served, model):
    server.faults.bytes_per_second = 300_000
    url, _ = served
    with wg.load_weights(url, clean, cache=False, progress=False, chunk_bytes=16 * 1024) as weights:
        weights.wait(0, timeout=30)
        weights.pause()
        time.sleep(0.2)
        before = weights.progress
        time.sleep(0.6)
        after = weights.progress
        assert after.state == "paused"
        assert after.bytes_done == before.bytes_done
        server.faults.bytes_per_second = 0
        weights.resume()
        same(weights, model)


@pytest.mark.parametrize("loaded", ["whole", "in the middle"])
def test_memory_that_nobody_holds_is_given_back_at_once(clean, server, served, model, loaded):
    """Without a collection of Python's garbage, which may be long in coming."""
    url, _ = served
    before = clean.memory().buffers
    gc.collect()
    gc.disable()
    try:
        weights = wg.load_weights(url, clean, cache=False, progress=False)
        if loaded == "whole":
            weights.wait()
        held = weights["head.weight"]
        del weights
        np.testing.assert_array_equal(held.numpy(), model["head.weight"])
        assert clean.memory().buffers == before + 1
        del held
        assert clean.memory().buffers == before
    finally:
        gc.enable()
