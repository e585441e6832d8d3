"""A small T5 as a whole: logits over given tokens, and steps in the browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget._selftest.case import Area, Bench, relative
from webgpu_widget._selftest.nn_bench import FORMATS, RELATIVE
from webgpu_widget.nn.formats import Format
from webgpu_widget.nn.kernels import Kernels
from webgpu_widget.nn.sampling import Settings
from webgpu_widget.reference import t5 as twin
from webgpu_widget.t5 import forward
from webgpu_widget.t5.config import T5Config
from webgpu_widget.t5.generate import Decoder
from webgpu_widget.t5.parts import Parts

__all__ = ["AREA"]

AREA = Area("t5")
CONFIG = T5Config(
    vocab_size=37,
    d_model=20,
    d_kv=8,
    d_ff=28,
    num_heads=3,
    num_layers=2,
    num_decoder_layers=2,
    is_gated=True,
    activation="gelu_new",
)


# ------------------------------------------------------------ a whole model


class _Tensors(Mapping[str, Any]):
    """A checkpoint's tensors, as a model asks for them."""

    def __init__(self, bench: Bench, values: Mapping[str, NDArray[Any]], weights: Format) -> None:
        dtype = np.float16 if weights == "f16" else np.float32
        self.has_head = "lm_head.weight" in values
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
    config = replace(CONFIG, tie_word_embeddings=weights != "f32")
    values = random_weights(bench.rng, config)
    if weights == "int8":  # whole steps: halfway between two the GPU may round otherwise than the twin
        values = twin.quantized(values)
    stored = {
        name: x.astype(np.float16 if weights == "f16" and x.ndim == 2 and "bias" not in name else np.float32)
        for name, x in values.items()
    }
    seen = {name: x.astype(np.float64) for name, x in stored.items()}
    parts = Parts(Kernels(bench.device, config.sizes, weights), config, _Tensors(bench, values, weights))
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
    decoder.replay(12)
    room = decoder.cache.capacity
    tokens = bench.get(decoder.tokens, (2, room), np.uint32)[:, :12].astype(np.int64)
    given = np.concatenate([np.full((2, 1), config.decoder_start_token_id), tokens[:, :-1]], 1)
    wanted = twin.logits(seen, config, ids, given)
    below = wanted.max(-1) - np.take_along_axis(wanted, tokens[..., None], -1)[..., 0]
    for row, ended in enumerate(tokens == config.eos_token_id):
        below[row, int(ended.argmax()) + 1 if ended.any() else 12 :] = 0
    return float(below.max() / np.abs(wanted).max())
