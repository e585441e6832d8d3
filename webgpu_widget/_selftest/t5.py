"""The T5's kernels against their twins, in each format of weights, and a small model's logits and tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from webgpu_widget._selftest.case import Area, Bench, Unavailable, differing, relative, units
from webgpu_widget.reference import t5 as twin
from webgpu_widget.t5 import forward
from webgpu_widget.t5.blocks import Blocks
from webgpu_widget.t5.config import T5Config
from webgpu_widget.t5.generate import Decoder, Settings
from webgpu_widget.t5.kernels import Kernels, Matrix
from webgpu_widget.t5.parts import Parts
from webgpu_widget.t5.shaders import Format

__all__ = ["AREA", "CONFIG", "T5Bench"]

AREA = Area("t5")
RELATIVE = "relative"
"""Length of the error beside the length of the result."""
FORMATS: tuple[Format, ...] = ("f32", "f16", "int8")
CONFIG = T5Config(
    vocab_size=37,
    d_model=20,
    d_kv=8,
    d_ff=28,
    num_heads=3,
    num_layers=1,
    num_decoder_layers=1,
    is_gated=True,
    activation="gelu_new",
)
Kind = tuple[bool, Literal["relu", "gelu_new", "silu"]]
ACTIVATIONS: tuple[Kind, ...] = ((True, "gelu_new"), (False, "relu"), (True, "silu"))


class T5Bench:
    """Kernels of a configuration, with their matrices.

    Parameters
    ----------
    bench : Bench
        Buffers and random numbers.
    config : T5Config
        Sizes.
    weights : {"f32", "f16", "int8"}
        Format of the matrices.
    subgroups : bool, optional
        Whether teams are subgroups; as the adapter has them when left out.
    """

    def __init__(
        self, bench: Bench, config: T5Config = CONFIG, weights: Format = "f32", *, subgroups: bool | None = None
    ) -> None:
        self.kernels = Kernels(bench.gpu, config, weights)
        if subgroups and not self.kernels.has_subgroups:
            raise Unavailable("no subgroups")
        if subgroups is not None:
            self.kernels.has_subgroups = subgroups
        self.bench, self.weights = bench, weights
        self.normal, self.put, self.poison, self.get = bench.rng.normal, bench.put, bench.poison, bench.get

    def state(self, stopped: int = 0, step: int = 0) -> Any:
        """Make the words that say whether work has ended, and which step it is."""
        words = np.zeros(8, np.uint32)
        words[:2] = stopped, step
        return self.put(words)

    def matrix(self, values: NDArray[Any]) -> tuple[Matrix, NDArray[np.float64]]:
        """Upload a matrix; returns it with what its format makes of it."""
        stored = values.astype(np.float16 if self.weights == "f16" else np.float32)
        made = self.kernels.stack([self.bench.gpu.array(stored)])
        if self.weights == "int8":
            return made, twin.quantized({"w": values})["w"]
        return made, stored.astype(np.float64)


# ------------------------------------------------------------ many rows


@AREA.case("t5/linear", RELATIVE, 1e-5, weights=FORMATS, shape=((1, 1, 4), (5, 31, 20), (33, 37, 132)))
def linear(bench: Bench, weights: Format, shape: tuple[int, int, int]) -> float:
    """A product of rows, alone and added to what is there."""
    rows, outputs, width = shape
    b = T5Bench(bench, weights=weights)
    x, y = b.normal(size=(rows, width)), b.normal(size=(rows, outputs)).astype(np.float32)
    matrix, exact = b.matrix(b.normal(size=(outputs, width)))
    out, added = b.poison(rows, outputs), b.put(y)
    b.kernels.linear(b.put(x), matrix, out, rows, factor=0.25)
    b.kernels.linear(b.put(x), matrix, added, rows, residual=True)
    return max(
        relative(b.get(out, (rows, outputs)), twin.linear(x, exact, factor=0.25)),
        relative(b.get(added, (rows, outputs)), twin.linear(x, exact, y=y)),
    )


@AREA.case("t5/rms_norm", RELATIVE, 1e-5, subgroups=(True, False), rows=(1, 17, 64))
def norms(bench: Bench, subgroups: bool, rows: int) -> float:
    """Rows to a root mean square of one."""
    b = T5Bench(bench, subgroups=subgroups)
    x, gain, out = b.normal(size=(rows, 20)), b.normal(size=20), b.poison(rows, 20)
    b.kernels.norm(b.put(x), b.put(gain), out, rows)
    return relative(b.get(out, (rows, 20)), twin.rms_norm(x, gain))


@AREA.case("t5/embed", RELATIVE, 1e-6, weights=FORMATS)
def embedding(bench: Bench, weights: Format) -> float:
    """Rows of a table by number."""
    b = T5Bench(bench, weights=weights)
    ids, out = bench.rng.integers(0, 37, 11), b.poison(11, 20)
    matrix, exact = b.matrix(b.normal(size=(37, 20)))
    b.kernels.embed(b.put(ids), 11, matrix, out)
    return relative(b.get(out, (11, 20)), twin.embed(ids, exact))


@AREA.case("t5/quantize_rows", "elements off by one", 1, subgroups=(True, False))
def quantised(bench: Bench, subgroups: bool) -> float:
    """Rows rounded to 8 bits: only a tie may round otherwise."""
    b = T5Bench(bench, weights="int8", subgroups=subgroups)
    first, second = (b.normal(size=(rows, 12)).astype(np.float32) for rows in (5, 18))
    second[4] = 0
    made = b.kernels.stack([bench.gpu.array(first), bench.gpu.array(second)])
    values, scale = twin.quantize_rows(np.concatenate([first, second]))
    found = b.get(made.words, (23, 3), np.uint32).view(np.int8).reshape(23, 12).astype(int)
    scales = np.where(scale == 1, 1, scale * 127).astype(np.float64)
    if np.abs(found - values).max() > 1 or units(b.get(made.scale, (23,)), scales, 1e-6 * scales) > 1:
        return np.inf
    return float((found != values).sum())


@AREA.case("t5/gate", RELATIVE, 2e-5, kind=ACTIVATIONS)
def gates(bench: Bench, kind: Kind) -> float:
    """The feed-forward's activation, with a gate or without."""
    is_gated, activation = kind
    b = T5Bench(bench, replace(CONFIG, is_gated=is_gated, activation=activation))
    wide, h = b.normal(size=(3, 56 if is_gated else 28)), b.poison(3, 28)
    b.kernels.gate(b.put(wide), h, 3)
    return relative(b.get(h, (3, 28)), twin.gate(wide, is_gated=is_gated, activation=activation))


@AREA.case("t5/gate", RELATIVE, 1e-6)
def large_inputs(bench: Bench) -> float:
    """GELU of 10,000 is 10,000, where a naive tanh overflows."""
    b = T5Bench(bench, replace(CONFIG, d_ff=4))
    h = b.poison(1, 4)
    b.kernels.gate(b.put(np.array([[-1e4, -30, 30, 1e4, 1, 1, 1, 1]])), h, 1)
    return relative(b.get(h, (4,)), np.array([0, 0, 30, 1e4]))


@AREA.case(
    "t5/{name}", RELATIVE, 1e-5, name=("attention", "attention_tiled"), shape=((1, True), (33, True), (7, False), (71, True))
)  # fmt: skip
def attention(bench: Bench, name: str, shape: tuple[int, bool]) -> float:
    """All queries of a batch, with position bias and a mask, causal or not."""
    queries, causal = shape
    b = T5Bench(bench, replace(CONFIG, relative_attention_max_distance=6))
    b.kernels.on_cpu = name == "attention"
    qkv, bias = b.normal(size=(2, queries, 3, 3, 8)), b.normal(size=(3, 13))
    mask = bench.rng.integers(0, 2, (2, queries))
    mask[:, 0] = 1
    mask[1] = 0 if not causal else mask[1]  # nothing to look at gives zeros
    out, data = b.poison(2, queries, 3, 8), b.put(qkv)
    size = (2, queries, queries)
    b.kernels.attention(data, data, b.put(bias), b.put(mask), out, size, parts=(3, 3), causal=causal, biased=True)
    wanted = getattr(twin, name)(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2], bias, mask, causal=causal)
    return relative(b.get(out, (2, queries, 3, 8)), wanted)


@AREA.case("t5/attention_tiled", RELATIVE, 1e-5, shape=((1, 1, 8), (5, 31, 64), (33, 70, 64), (2, 200, 12)))
def closed_keys(bench: Bench, shape: tuple[int, int, int]) -> float:
    """What the mask hides is not looked at, NaN or not."""
    queries, keys, head = shape
    b = T5Bench(bench, replace(CONFIG, d_kv=head))
    b.kernels.on_cpu = False
    q, kv = b.normal(size=(2, queries, 3, head)), b.normal(size=(2, keys, 2, 3, head))
    mask = bench.rng.integers(0, 2, (2, keys))
    mask[:, -1] = 1
    wanted = twin.attention_tiled(q, kv[:, :, 0], kv[:, :, 1], None, mask, causal=False)
    kv[mask == 0] = np.nan
    out, bias = b.poison(2, queries, 3, head), b.put(np.zeros(3))
    size = (2, queries, keys)
    b.kernels.attention(b.put(q), b.put(kv), bias, b.put(mask), out, size, parts=(1, 2), causal=False, biased=False)
    return relative(b.get(out, wanted.shape), wanted)


# ------------------------------------------------------------ one step


@AREA.case(
    "t5/step_linear", RELATIVE, 1e-5, subgroups=(True, False), weights=FORMATS, size=((1, 4), (15, 20), (67, 132))
)
def step_linear(bench: Bench, subgroups: bool, weights: Format, size: tuple[int, int]) -> float:
    """A step's product, with a norm before it, added, and left out once work has ended."""
    outputs, width = size
    b = T5Bench(bench, weights=weights, subgroups=subgroups)
    x, gain, y = b.normal(size=(3, width)), b.normal(size=width), b.normal(size=(3, outputs)).astype(np.float32)
    matrix, exact = b.matrix(b.normal(size=(outputs, width)))
    running, stopped = b.state(), b.state(stopped=1)
    out, added, kept = b.poison(3, outputs), b.put(y), b.put(y)
    k = b.kernels
    k.step_linear(b.put(x), b.put(gain), matrix, running, out, 3, factor=0.5)
    k.step_linear(b.put(x), None, matrix, running, added, 3, residual=True)
    k.step_linear(b.put(x), None, matrix, stopped, kept, 3)
    if differing(b.get(kept, (3, outputs)), y):
        return np.inf
    return max(
        relative(b.get(out, (3, outputs)), twin.step_linear(x, gain, exact, factor=0.5)),
        relative(b.get(added, (3, outputs)), twin.step_linear(x, None, exact, y=y)),
    )


@AREA.case("t5/step_gate", RELATIVE, 2e-5, subgroups=(True, False), weights=FORMATS, kind=ACTIVATIONS)
def step_gate(bench: Bench, subgroups: bool, weights: Format, kind: Kind) -> float:
    """Norm, both products of the feed-forward's first half, activation and gate."""
    is_gated, activation = kind
    config = replace(CONFIG, is_gated=is_gated, activation=activation)
    b = T5Bench(bench, config, weights, subgroups=subgroups)
    x, gain, out = b.normal(size=(3, 20)), b.normal(size=20), b.poison(3, 28)
    matrix, exact = b.matrix(b.normal(size=(56 if is_gated else 28, 20)))
    b.kernels.step_gate(b.put(x), b.put(gain), matrix, b.state(), out, 3)
    return relative(b.get(out, (3, 28)), twin.step_gate(x, gain, exact, is_gated=is_gated, activation=activation))


@AREA.case("t5/step_self", RELATIVE, 1e-5, subgroups=(True, False), at=((1, 0), (3, 1), (2, 9)))
def step_self(bench: Bench, subgroups: bool, at: tuple[int, int]) -> float:
    """Self-attention of a new position, its key and value kept."""
    rows, step = at
    b = T5Bench(bench, replace(CONFIG, relative_attention_max_distance=5), subgroups=subgroups)
    capacity, shape = 12, (rows, 3, 12, 8)
    qkv, bias = b.normal(size=(rows, 3, 3, 8)), b.normal(size=(3, 11))
    keys, values = b.normal(size=shape), b.normal(size=shape)
    origin = bench.rng.integers(0, rows, (2, rows, capacity))
    buffers = b.put(keys), b.put(values), b.poison(rows, 24)
    b.kernels.step_self(b.put(qkv), b.put(bias), b.put(origin), b.state(step=step), *buffers, rows, capacity)
    wanted = twin.step_self(qkv, bias, keys, values, origin[step % 2], step)
    return max(
        relative(b.get(buffers[2], (rows, 24)), wanted),
        relative(b.get(buffers[0], shape), keys),
        relative(b.get(buffers[1], shape), values),
    )


@AREA.case("t5/step_cross", RELATIVE, 1e-5, subgroups=(True, False), size=((1, 1), (13, 2), (33, 1)))
def step_cross(bench: Bench, subgroups: bool, size: tuple[int, int]) -> float:
    """Cross-attention of a new position."""
    source, beams = size
    b = T5Bench(bench, subgroups=subgroups)
    q, kv, mask = _cross(bench, source, beams)
    out = b.poison(2 * beams, 24)
    b.kernels.step_cross(b.put(q), b.put(kv), b.put(mask), b.state(), out, 2 * beams, source, beams)
    return relative(b.get(out, (2 * beams, 24)), twin.step_cross(q, kv, mask, beams))


@AREA.case("t5/attention_weights", RELATIVE, 1e-5, size=((1, 1), (13, 2), (33, 1)))
def shares(bench: Bench, size: tuple[int, int]) -> float:
    """Cross-attention's probabilities."""
    source, beams = size
    b = T5Bench(bench)
    q, kv, mask = _cross(bench, source, beams)
    out = b.poison(2, 3, beams, source)
    b.kernels.attention_weights(b.put(q), b.put(kv), b.put(mask), out, (2, beams, source))
    wanted = twin.attention_weights(q.reshape(2, beams, 3, 8), kv, mask)
    return relative(b.get(out, (2, 3, beams, source)), wanted)


def _cross(bench: Bench, source: int, beams: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    q, kv = bench.rng.normal(size=(2 * beams, 3, 8)), bench.rng.normal(size=(2, source, 2, 3, 8))
    mask = bench.rng.integers(0, 2, (2, source))
    mask[:, 0] = 1
    return q, kv, mask


# ------------------------------------------------------------ one step in blocks, which need subgroups


def _in_blocks(bench: Bench, config: T5Config, weights: Format) -> tuple[T5Bench, Blocks]:
    b = T5Bench(bench, config, weights, subgroups=True)
    if bench.gpu.info.limits["maxStorageBuffersPerShaderStage"] < 8:
        raise Unavailable("a stage has fewer than 8 storage buffers")
    return b, Blocks(b.kernels)


@AREA.case("t5/block_self", RELATIVE, 1e-5, weights=FORMATS, at=((1, 0), (3, 1), (2, 9), (2, 70)))
def block_self(bench: Bench, weights: Format, at: tuple[int, int]) -> float:
    """Self-attention from the norm to the output projection."""
    rows, step = at
    b, blocks = _in_blocks(bench, replace(CONFIG, relative_attention_max_distance=5), weights)
    capacity, cache = step + 2, b.normal(size=(2, rows, 3, step + 2, 8))
    x, gain, bias = b.normal(size=(rows, 20)), b.normal(size=20), b.normal(size=(3, 11))
    (into, exact_into), (output, exact_output) = (
        b.matrix(b.normal(size=(72, 20)) / 4),
        b.matrix(b.normal(size=(20, 24))),
    )
    origin = bench.rng.integers(0, rows, (2, rows, capacity))
    kept, slots = b.put(cache), b.poison(rows, 4, 20)
    block = blocks.block(b.put(gain), into, output, b.put(bias))
    for state in (b.state(step=step), b.state(stopped=1)):
        blocks.step_self(b.put(x), block, b.put(origin), state, kept, slots, rows, capacity)
    keys, values = cache
    wanted = twin.block_self(x, gain, exact_into, exact_output, bias, keys, values, origin[step % 2], step)
    return max(relative(b.get(slots, (rows, 4, 20)), wanted), relative(b.get(kept, cache.shape), cache))


@AREA.case("t5/block_cross", RELATIVE, 1e-5, weights=FORMATS, size=((1, 1), (13, 2), (130, 1)))
def block_cross(bench: Bench, weights: Format, size: tuple[int, int]) -> float:
    """Cross-attention from the norm to the output projection."""
    source, beams = size
    rows = 2 * beams
    b, blocks = _in_blocks(bench, CONFIG, weights)
    x, gain, kv = b.normal(size=(rows, 4, 20)), b.normal(size=20), b.normal(size=(2, source, 2, 3, 8))
    (query, exact_query), (output, exact_output) = (
        b.matrix(b.normal(size=(24, 20)) / 4),
        b.matrix(b.normal(size=(20, 24))),
    )
    mask = bench.rng.integers(0, 2, (2, source))
    mask[:, -1] = 1
    mask[1] = 0 if source == 130 else mask[1]  # nothing to look at gives zeros
    out, block = b.poison(rows, 4, 20), blocks.block(b.put(gain), query, output)
    for state in (b.state(), b.state(stopped=1)):
        blocks.step_cross(b.put(x), block, b.put(kv), b.put(mask), state, out, rows, source, beams)
    wanted = twin.block_cross(x, gain, exact_query, exact_output, kv, mask, beams)
    return relative(b.get(out, (rows, 4, 20)), wanted)


@AREA.case("t5/block_gate", RELATIVE, 2e-5, weights=FORMATS, kind=ACTIVATIONS)
def block_gate(bench: Bench, weights: Format, kind: Kind) -> float:
    """The feed-forward's first half, of rows in slots."""
    is_gated, activation = kind
    b, blocks = _in_blocks(bench, replace(CONFIG, is_gated=is_gated, activation=activation), weights)
    x, gain = b.normal(size=(3, 4, 20)), b.normal(size=20)
    matrix, exact = b.matrix(b.normal(size=(56 if is_gated else 28, 20)))
    h, row = b.poison(3, 28), b.poison(3, 20)
    for state in (b.state(), b.state(stopped=1)):
        blocks.step_gate(b.put(x), b.put(gain), matrix, state, h, row, 3)
    wanted, rows = twin.block_gate(x, gain, exact, is_gated=is_gated, activation=activation)
    return max(relative(b.get(h, (3, 28)), wanted), relative(b.get(row, (3, 20)), rows))


# ------------------------------------------------------------ choosing tokens


def draw(b: T5Bench, logits: NDArray[Any], settings: tuple[float, ...], step: int = 3) -> NDArray[np.uint32]:
    """Run pick once over rows of logits; ``settings`` are sampling, top_k, seed, top_p and temperature."""
    rows, vocab = logits.shape
    matrix, _ = b.matrix(np.arange(vocab)[:, None] * np.ones((1, 20)))
    state, packed = np.zeros(4 + rows, np.uint32), np.zeros(8, np.uint32)
    state[1], state[3] = step, 64
    packed[:3] = settings[:3]
    packed[3:5] = np.array(settings[3:], np.float32).view(np.uint32)
    tokens = b.put(np.zeros((rows, 64), np.uint32))
    b.kernels.pick(b.put(logits), matrix, b.put(state), tokens, b.poison(rows, 20), b.put(packed), rows, 64)
    return b.get(tokens, (rows, 64), np.uint32)[:, step]


@AREA.case("t5/pick", "tokens", 0)
def largest(bench: Bench) -> float:
    """The largest logit; of equal ones the first."""
    b = T5Bench(bench)
    logits = b.normal(size=(3, 37)).astype(np.float32)
    logits[2, [5, 30]] = 8
    return differing(draw(b, logits, (0, 0, 0, 1.0, 1.0)), logits.argmax(1))


@AREA.case("t5/pick", "of 40 tokens", 2, choice=((0, 1.0, 1.0), (5, 1.0, 0.7), (0, 0.6, 1.3), (9, 0.8, 2.0)))
def drawn(bench: Bench, choice: tuple[int, float, float]) -> float:
    """Draws by the twin's random numbers: rounding may turn a near tie, but never take what is not allowed."""
    top_k, top_p, temperature = choice
    b = T5Bench(bench, replace(CONFIG, vocab_size=301))
    logits = b.normal(size=(40, 301)).astype(np.float32) * 3
    logits[:, 1] = -50
    tokens = draw(b, logits, (1, top_k, 77, top_p, temperature))
    options: dict[str, Any] = {"temperature": temperature, "top_k": top_k}
    wanted = [twin.pick(row, row=i, step=3, seed=77, top_p=top_p, **options) for i, row in enumerate(logits)]
    for row, token in zip(logits, tokens, strict=True):
        if not twin.allowed(row, top_p=min(1.0, top_p + 1e-4), **options)[token]:
            return np.inf
    return float((tokens != wanted).sum())


@AREA.case("t5/beam", "tokens", 0, beams=(2, 3, 16))
def beams(bench: Bench, beams: int) -> float:
    """Nine steps of beam search, of logits that do not depend on the past."""
    b = T5Bench(bench)
    sources, capacity, limit = 2, 12, 9
    rows = sources * beams
    matrix, _ = b.matrix(np.arange(37)[:, None] * np.ones((1, 20)))
    state = np.zeros(4 + rows, np.uint32)
    state[3] = limit
    scores = np.zeros((sources, 4, beams), np.float32)
    scores[:, 0, 1:], scores[:, 1], scores[:, 2] = -1e9, -1e9, np.arange(beams)
    origin = np.broadcast_to(np.arange(rows)[:, None], (2, rows, capacity))
    noted = np.zeros((3, rows, capacity), np.uint32)
    buffers = b.put(state), b.put(noted), b.put(scores), b.put(origin), b.poison(rows, 20)
    twins = [twin.beam(beams, 1, limit) for _ in range(sources)]
    wrong = 0.0
    for step in range(limit):
        logits = b.normal(size=(rows, 37)).astype(np.float32) * 2
        b.kernels.beam(b.put(logits), matrix, *buffers, sources, beams, capacity)
        tokens = b.get(buffers[1], (3, sources, beams, capacity), np.uint32)
        for i, one in enumerate(twins):
            if one.done:
                continue
            one.advance(twin.log_softmax(logits[i * beams : (i + 1) * beams].astype(np.float64)))
            if not one.done:
                wrong += differing(tokens[(step + 1) % 2, i, :, : step + 1], one.running)
    kept = b.get(buffers[2], (sources, 4, beams))
    for i, one in enumerate(twins):
        slots, lengths = kept[i, 2].astype(int), kept[i, 3].astype(int)
        ended = [tokens[2, i, slot, :length].tolist() for slot, length in zip(slots, lengths, strict=True) if length]
        wrong += ended != [t for _, end, t in one.finished if end]
    return wrong + (b.get(buffers[0], (4 + rows,), np.uint32)[0] != 1)


# ------------------------------------------------------------ a whole model


class _Tensors(Mapping[str, Any]):
    """A checkpoint's tensors, as a model asks for them."""

    def __init__(self, bench: Bench, values: Mapping[str, NDArray[Any]], weights: Format) -> None:
        dtype = np.float16 if weights == "f16" else np.float32
        self._made = {
            name: bench.gpu.array(x.astype(dtype if x.ndim == 2 and "bias" not in name else np.float32))
            for name, x in values.items()
        }

    def __getitem__(self, name: str) -> Any:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def release(self, names: Any) -> None:
        """Keep what a model has taken: it is small."""

    def close(self) -> None:
        """As above."""


def random_weights(rng: np.random.Generator, config: T5Config) -> dict[str, NDArray[np.float64]]:
    """Make a checkpoint of random numbers, with the hub's names, whose logits lie apart."""
    width, inner = config.d_model, config.inner
    made: dict[str, NDArray[np.float64]] = {"shared.weight": rng.normal(size=(config.vocab_size, width))}
    for stack, layers in (("encoder", config.num_layers), ("decoder", config.num_decoder_layers)):
        made[f"{stack}.final_layer_norm.weight"] = rng.uniform(0.5, 1.5, width)
        made[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = rng.normal(
            size=(config.relative_attention_num_buckets, config.num_heads)
        )
        kinds = ["SelfAttention", *(["EncDecAttention"] if stack == "decoder" else [])]
        for i in range(layers):
            block = f"{stack}.block.{i}.layer"
            for j, kind in enumerate(kinds):
                made[f"{block}.{j}.layer_norm.weight"] = rng.uniform(0.5, 1.5, width)
                for part in "qkv":
                    made[f"{block}.{j}.{kind}.{part}.weight"] = rng.normal(size=(inner, width)) / 4
                made[f"{block}.{j}.{kind}.o.weight"] = rng.normal(size=(width, inner)) / 4
            made[f"{block}.{len(kinds)}.layer_norm.weight"] = rng.uniform(0.5, 1.5, width)
            for name in ("wi_0", "wi_1") if config.is_gated else ("wi",):
                made[f"{block}.{len(kinds)}.DenseReluDense.{name}.weight"] = rng.normal(size=(config.d_ff, width)) / 4
            made[f"{block}.{len(kinds)}.DenseReluDense.wo.weight"] = rng.normal(size=(width, config.d_ff)) / 4
    if not config.tie_word_embeddings:
        made["lm_head.weight"] = rng.normal(size=(config.vocab_size, width))
    return made


def _model(bench: Bench, weights: Format) -> tuple[Parts, dict[str, NDArray[np.float64]], T5Config]:
    config = replace(CONFIG, num_layers=2, num_decoder_layers=2, tie_word_embeddings=weights != "f32")
    values = random_weights(bench.rng, config)
    stored = {
        name: x.astype(np.float16 if weights == "f16" and x.ndim == 2 and "bias" not in name else np.float32)
        for name, x in values.items()
    }
    seen = {name: x.astype(np.float64) for name, x in stored.items()}
    parts = Parts(Kernels(bench.gpu, config, weights), _Tensors(bench, values, weights))
    return parts, twin.quantized(seen) if weights == "int8" else seen, config


def _sources(bench: Bench, config: T5Config) -> NDArray[np.int64]:
    ids = bench.rng.integers(2, config.vocab_size, (2, 13))
    ids[1, 9:] = config.pad_token_id
    return ids


@AREA.case("generated/t5 model", RELATIVE, 3e-5, weights=FORMATS)
def logits(bench: Bench, weights: Format) -> float:
    """Two layers of encoder and decoder over given tokens."""
    parts, seen, config = _model(bench, weights)
    ids, given = _sources(bench, config), bench.rng.integers(2, config.vocab_size, (2, 7))
    encoded = forward.encode(parts, ids, ids != config.pad_token_id)
    found = bench.get(forward.decode(parts, encoded, given), (2, 7, config.vocab_size))
    return relative(found, twin.logits(seen, config, ids, given))


@AREA.case("generated/t5 model", "of the largest logit", 1e-3, weights=FORMATS)
def greedy(bench: Bench, weights: Format) -> float:
    """Twelve steps in the browser: how far the logits of the tokens taken lie below the largest ones."""
    parts, seen, config = _model(bench, weights)
    ids = _sources(bench, config)
    mask = ids != config.pad_token_id
    decoder = Decoder(parts, 2, 1, ids.shape[1], 12)
    decoder.start(forward.encode(parts, ids, mask), Settings(max_new_tokens=12))
    decoder.program.replay(12)
    tokens = bench.get(decoder.tokens, (2, 12), np.uint32).astype(np.int64)
    given = np.concatenate([np.full((2, 1), config.decoder_start_token_id), tokens[:, :-1]], 1)
    wanted = twin.logits(seen, config, ids, given)
    below = wanted.max(-1) - np.take_along_axis(wanted, tokens[..., None], -1)[..., 0]
    for row, ended in enumerate(tokens == config.eos_token_id):
        below[row, int(ended.argmax()) + 1 if ended.any() else 12 :] = 0
    return float(below.max() / np.abs(wanted).max())
