"""Each shader of neural networks equals its twin, on teams of subgroups and of workgroups, in every number format: the cases of the selftest, and more."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from webgpu_widget import shaders
from webgpu_widget._selftest.nn import AREA
from webgpu_widget._selftest.nn_bench import SIZES
from webgpu_widget.nn.formats import FORMATS
from webgpu_widget.nn.fused import Fused
from webgpu_widget.nn.kernels import Kernels
from webgpu_widget.nn.shaders import variant
from webgpu_widget.reference import nn as reference
from webgpu_widget.reference import weights as stored_values
from webgpu_widget.shaders.source import imports

NAMES = [name.removeprefix("nn/") for name in shaders.names() if name.startswith("nn/")]


def kernels(gpu, sizes=SIZES, weights="f32", *, subgroups=None):
    """The kernels with teams that are subgroups or workgroups; None leaves it to the adapter."""
    made = Kernels(gpu._device, sizes, weights)
    if subgroups is not None:
        assert made.has_subgroups or not subgroups, "the adapter has no subgroups"
        made.has_subgroups = subgroups
    return made


class Bench:
    """Buffers in and out of NumPy."""

    def __init__(self, kernels):
        self.kernels, self.queue = kernels, kernels.queue

    def put(self, values):
        data = np.ascontiguousarray(values, np.uint32 if np.asarray(values).dtype.kind in "iub" else np.float32)
        buffer = self.queue.alloc(data.nbytes)
        self.queue.write(buffer, data)
        return buffer

    def poison(self, *shape):
        return self.put(np.full(shape, np.nan, np.float32))

    def get(self, buffer, shape, dtype=np.float32):
        return self.queue.read([(buffer, 0, 4 * int(np.prod(shape)))])[0].view(dtype).reshape(shape)

    def matrix(self, values, weights):
        array = self.kernels.device.gpu.array(values.astype(np.float16 if weights == "f16" else np.float32))
        return self.kernels.stack([array]), rounded(values, weights)


def error(found, wanted):
    assert found.shape == wanted.shape
    assert np.isfinite(found).all()
    return float(np.linalg.norm(found.astype(np.float64) - wanted) / np.linalg.norm(wanted))


def rounded(values, weights):
    if weights == "int8":
        steps, scale = reference.quantize_rows(values)
        return steps.astype(np.float64) * scale.astype(np.float64)[:, None]
    return values.astype(np.float16 if weights == "f16" else np.float32).astype(np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_compiles_without_a_word(gpu, name):
    teams = (True, False) if "subgroups" in gpu.info.features else (False,)
    used = imports(f"nn/{name}")
    for weights in FORMATS if "shared/packed" in used else ("f32",):
        makes_four = name in ("step_linear", "step_gate") and FORMATS[weights].values == 32
        for subgroups in teams if "shared/team" in used else teams[:1]:
            for outputs in (1, 4) if makes_four else (1,):
                source = variant(name, weights=weights, head=8, subgroups=subgroups, outputs=outputs)
                assert gpu._device.queue.compiled(gpu._device.queue.pipeline(source, name))["messages"] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_shader_has_a_twin(name):
    assert callable(getattr(reference, name))


@pytest.mark.parametrize("case", AREA.cases, ids=lambda case: f"{case.name} {case.label}")
def test_equals_its_twin(case_holds, case):
    case_holds(case)


@pytest.mark.parametrize("residual", [False, True])
def test_large_products_on_a_gpu_go_through_matmul(gpu, rng, residual):
    k = kernels(gpu)
    k.on_cpu = False
    b = Bench(k)
    x, w = rng.normal(size=(33, 20)), rng.normal(size=(132, 20))
    y = rng.normal(size=(33, 132)).astype(np.float32)
    matrix, exact = b.matrix(w, "f32")
    out = b.put(y) if residual else b.poison(33, 132)
    with gpu.profile() as profile:
        k.linear(b.put(x), matrix, out, 33, residual=residual)
        found = b.get(out, (33, 132))
    assert error(found, reference.linear(x, exact, y=y if residual else None)) < 1e-5
    assert all(row.name.startswith("matmul") for row in profile.rows)


@pytest.mark.parametrize(("stored", "rows"), [("q4_1", 64), ("q6_k", 70), ("q4_1", 63)])
def test_many_rows_on_a_gpu_multiply_what_is_decoded_once(gpu, rng, stored, rows):
    columns = FORMATS[stored].values
    k = kernels(gpu, replace(SIZES, vocab=132))
    k.on_cpu = False
    b = Bench(k)
    raw = rng.integers(0, 256, (132, FORMATS[stored].size_bytes), np.uint8)
    halves = slice(208, 210) if stored == "q6_k" else slice(0, 4)
    raw[:, halves] = rng.normal(size=(132, 2 if stored != "q6_k" else 1)).astype(np.float16).view(np.uint8)
    exact = getattr(stored_values, f"decode_{stored}")(raw.ravel(), 132 * columns).reshape(132, columns)
    x, out = rng.normal(size=(rows, columns)), b.poison(rows, 132)
    with gpu.profile() as profile:
        k.linear(b.put(x), k.upload_matrix(raw.tobytes(), 132, columns, stored), out, rows)
        found = b.get(out, (rows, 132))
    assert error(found, reference.linear(x, exact.astype(np.float64))) < 1e-5
    assert any(row.name.startswith("matmul") for row in profile.rows) == (rows >= 64)


@pytest.mark.parametrize(
    ("limits", "differs", "width"),
    [
        ((8, 1024, 49_152), {}, 512),
        ((8, 256, 16_384), {}, 256),  # what every adapter has
        ((8, 1024, 16_384), {"width": 1024, "head_width": 64}, 256),
        ((8, 1024, 16_384), {"width": 4096}, 0),
        ((7, 1024, 49_152), {}, 0),
        ((8, 1024, 49_152), {"kv_heads": 1}, 0),  # what the kernels in blocks do not do
        ((8, 1024, 49_152), {"scale": 0.125}, 0),
        ((8, 1024, 49_152), {"distance": 0}, 0),
    ],
)
def test_blocks_are_as_wide_as_the_adapter_has_room(limits, differs, width):
    names = (
        "maxStorageBuffersPerShaderStage",
        "maxComputeInvocationsPerWorkgroup",
        "maxComputeWorkgroupStorageSize",
    )
    info = SimpleNamespace(limits=dict(zip(names, limits, strict=True)))
    made = SimpleNamespace(
        sizes=replace(SIZES, **differs),
        device=SimpleNamespace(info=info),
        on_cpu=False,
        has_subgroups=True,
        widest=1024,
    )
    assert Fused(made).width == width
    made.has_subgroups = False
    assert Fused(made).width == 0


@pytest.mark.parametrize(("head", "name"), [(64, "nn/attention_tiled"), (68, "nn/attention")])
def test_heads_too_wide_for_registers_are_not_tiled(gpu, rng, head, name):
    b = Bench(kernels(gpu, replace(SIZES, head_width=head)))
    b.kernels.on_cpu = False
    q, kv, one = b.put(rng.normal(size=(3, head))), b.put(rng.normal(size=(2, 3, head))), b.put(np.ones(1, int))
    with gpu.profile() as profile:
        b.kernels.attention(q, kv, None, one, b.poison(3, head), (1, 1, 1), causal=False)
    assert [row.name for row in profile.rows] == [name]


def test_attention_puts_up_with_large_scores(gpu, rng):
    """Scores that grow from key to key: each tile moves the running softmax, and late keys hide early ones."""
    b = Bench(kernels(gpu))
    b.kernels.on_cpu = False
    q, kv = np.full((1, 1, 3, 8), 4.0), rng.normal(size=(1, 65, 2, 3, 8))
    kv[:, :, 0] += np.arange(65)[None, :, None, None]
    out = b.poison(1, 1, 3, 8)
    b.kernels.attention(b.put(q), b.put(kv), None, b.put(np.ones((1, 65))), out, (1, 1, 65), causal=False)
    wanted = reference.attention_tiled(q, kv[:, :, 0], kv[:, :, 1], None, np.ones((1, 65)), causal=False)
    # scores of 2,000 are rounded by 1e-4
    assert error(b.get(out, wanted.shape), wanted) < 1e-3


def draw(b, logits, settings, step=3, limit=64, ends=(1,)):
    """Run pick once over rows of logits; returns tokens, state and the embedded rows."""
    rows, vocab = logits.shape
    k = b.kernels
    table = np.arange(vocab)[:, None] * np.ones((1, 20))
    matrix, _ = b.matrix(table, k.weights)
    state = np.zeros(4 + rows, np.uint32)
    state[1], state[3] = step, limit
    packed = np.zeros(8, np.uint32)
    packed[:3] = settings[:3]
    packed[3:5] = np.array(settings[3:], np.float32).view(np.uint32)
    buffers = b.put(state), b.put(np.zeros((rows, 64), np.uint32)), b.poison(rows, 20)
    k.pick(b.put(logits), matrix, *buffers, b.put(packed), b.put(np.zeros((rows, vocab))), rows, 64, ends, 0)
    return (
        b.get(buffers[1], (rows, 64), np.uint32)[:, step],
        b.get(buffers[0], (4 + rows,), np.uint32),
        b.get(buffers[2], (rows, 20)),
    )


def test_pick_takes_the_largest_and_counts_the_step(gpu, rng):
    b = Bench(kernels(gpu))
    logits = rng.normal(size=(3, 37))
    logits[0, 1] = -9  # not the end token
    logits[1, 1] = 9  # the end token
    logits[2, [5, 30]] = 8  # equal ones: the smaller id
    tokens, state, x = draw(b, logits, (0, 0, 0, 1.0, 1.0))
    assert tokens.tolist() == [logits[0].argmax(), 1, 5]
    assert state.tolist() == [0, 4, 1 << 16, 64, 0, 1, 0]
    assert (x == tokens[:, None]).all()
    _, state, _ = draw(b, logits, (0, 0, 0, 1.0, 1.0), step=3, limit=4)
    assert state[0] == 1, "the most tokens stop it"


@pytest.mark.parametrize("ends", [(1,), (1, 5), (0, 5, 36), (2, 7, 1, 36)])
def test_any_of_several_tokens_ends_a_row(gpu, ends):
    b = Bench(kernels(gpu))
    logits = np.zeros((37, 37))
    np.fill_diagonal(logits, 3)  # row r takes token r
    tokens, state, _ = draw(b, logits, (0, 0, 0, 1.0, 1.0), ends=ends)
    assert tokens.tolist() == list(range(37))
    assert np.flatnonzero(state[4:]).tolist() == sorted(ends)


def test_pick_draws_by_probability(gpu):
    b = Bench(kernels(gpu, replace(SIZES, vocab=4)))
    share = np.array([0.1, 0.2, 0.3, 0.4])
    tokens, _, _ = draw(b, np.tile(np.log(share), (4000, 1)), (1, 0, 5, 1.0, 1.0))
    found = np.bincount(tokens, minlength=4) / 4000
    assert np.abs(found - share).max() < 4 * np.sqrt(0.25 / 4000)


def test_a_word_of_ones_draws_no_token_by_itself(gpu):
    """The largest word of 24 bits is a draw of 17.3, which 50 logits outweigh; as a draw of 1 - 2^-25 rounded to 1 it was infinite."""
    seed, token = 35881, 1
    assert reference.random_words(seed, 0, 3, np.array([token]))[0] >> 8 == 0xFFFFFF
    logits = np.zeros((1, 301), np.float32)
    b = Bench(kernels(gpu, replace(SIZES, vocab=301)))
    logits[0, token] = -50
    tokens, _, _ = draw(b, logits, (1, 0, seed, 1.0, 1.0))
    assert tokens[0] == reference.pick(logits[0], row=0, step=3, seed=seed) != token
    logits[0, token] = -1
    assert draw(b, logits, (1, 0, seed, 1.0, 1.0))[0][0] == token


@pytest.mark.parametrize("beams", [2, 3, 16])
def test_beam_follows_its_twin(gpu, rng, beams):
    """Logits that do not depend on the past: the twin and the kernel see the same, step by step."""
    k = kernels(gpu)
    b = Bench(k)
    sources, capacity, limit = 2, 12, 9
    rows = sources * beams
    matrix, _ = b.matrix(np.arange(37)[:, None] * np.ones((1, 20)), "f32")
    state = np.zeros(4 + rows, np.uint32)
    state[3] = limit
    scores = np.zeros((sources, 4, beams), np.float32)
    scores[:, 0, 1:], scores[:, 1], scores[:, 2] = -1e9, -1e9, np.arange(beams)
    origin = np.broadcast_to(np.arange(rows)[:, None], (2, rows, capacity))
    buffers = (
        b.put(state),
        b.put(np.zeros((3, rows, capacity), np.uint32)),
        b.put(scores),
        b.put(origin),
        b.poison(rows, 20),
    )
    twins = [reference.beam(beams, (1,), limit) for _ in range(sources)]
    for step in range(limit):
        logits = rng.normal(size=(rows, 37)).astype(np.float32) * 2
        k.beam(b.put(logits), matrix, *buffers, sources, beams, capacity, (1,))
        parents = [
            None
            if twin.done
            else twin.advance(reference.log_softmax(logits[i * beams : (i + 1) * beams].astype(np.float64)))
            for i, twin in enumerate(twins)
        ]
        tokens = b.get(buffers[1], (3, sources, beams, capacity), np.uint32)
        table = b.get(buffers[3], (2, rows, capacity), np.uint32)
        for i, (twin, parent) in enumerate(zip(twins, parents, strict=True)):
            if parent is not None and not twin.done:
                assert tokens[(step + 1) % 2, i, :, : step + 1].tolist() == twin.running
                assert (
                    table[(step + 1) % 2, i * beams : (i + 1) * beams, step].tolist() == (i * beams + parent).tolist()
                )
    kept = b.get(buffers[2], (sources, 4, beams))
    for i, twin in enumerate(twins):
        slots, lengths = kept[i, 2].astype(int), kept[i, 3].astype(int)
        hypotheses = [
            tokens[2, i, slot, :length].tolist() for slot, length in zip(slots, lengths, strict=True) if length
        ]
        assert hypotheses == [t for _, end, t in twin.finished if end]
        assert kept[i, 1][lengths > 0] == pytest.approx([s for s, end, _ in twin.finished if end], rel=1e-4)
    assert b.get(buffers[0], (4 + rows,), np.uint32)[0] == 1
