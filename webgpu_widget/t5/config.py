"""What a T5 checkpoint's config.json says, checked, and the tensors that it promises."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from webgpu_widget.errors import FormatError
from webgpu_widget.nn.sizes import Activation, Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FEED_FORWARD: dict[str, tuple[bool, Activation]] = {
    "relu": (False, "relu"),
    "gelu_new": (False, "gelu_new"),
    "silu": (False, "silu"),
    "gated-relu": (True, "relu"),
    "gated-gelu": (True, "gelu_new"),
    "gated-gelu_new": (True, "gelu_new"),
    "gated-silu": (True, "silu"),
}
_MODEL_TYPES = ("t5", "mt5")
_SIZES = ("vocab_size", "d_model", "d_kv", "d_ff", "num_heads", "num_layers")


@dataclass(frozen=True)
class T5Config:
    """The shape of a T5 v1.0 or v1.1 (FLAN) model.

    Names are those of the hub's config.json. ``is_gated`` and ``activation`` are what ``feed_forward_proj`` says:
    "gated-gelu" means a gate with the tanh form of GELU. With ``scale_decoder_outputs`` the decoder's output is scaled by
    ``d_model ** -0.5``. With ``tie_word_embeddings`` a checkpoint need not have an ``lm_head.weight``, and without one the shared
    embedding is the head; where there is one, it is the head.

    Transformers up to 4 saves ``tie_word_embeddings`` alone, which means both; from 5 on it saves that as true for every T5, and
    ``scale_decoder_outputs`` beside it.
    """

    vocab_size: int
    d_model: int
    d_kv: int
    d_ff: int
    num_heads: int
    num_layers: int
    num_decoder_layers: int
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    layer_norm_epsilon: float = 1e-6
    is_gated: bool = False
    activation: Activation = "relu"
    tie_word_embeddings: bool = True
    scale_decoder_outputs: bool | None = None
    pad_token_id: int = 0
    eos_token_id: int = 1
    decoder_start_token_id: int = 0

    @property
    def output_factor(self) -> float:
        """What the decoder's output is multiplied by before the head."""
        scaled = self.tie_word_embeddings if self.scale_decoder_outputs is None else self.scale_decoder_outputs
        return self.d_model**-0.5 if scaled else 1.0

    @property
    def inner(self) -> int:
        """Width of all heads together."""
        return self.num_heads * self.d_kv

    @property
    def sizes(self) -> Sizes:
        """What the kernels must know; scores are not scaled."""
        return Sizes(
            vocab=self.vocab_size,
            width=self.d_model,
            heads=self.num_heads,
            head_width=self.d_kv,
            hidden=self.d_ff,
            activation=self.activation,
            is_gated=self.is_gated,
            epsilon=self.layer_norm_epsilon,
            distance=self.relative_attention_max_distance,
        )

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, where: str = "config.json") -> T5Config:
        """Check a parsed config.json.

        Parameters
        ----------
        raw
            The parsed JSON.
        where
            What to call it in errors.

        Raises
        ------
        FormatError
            When it is not a T5 encoder-decoder, or a size is missing or out of range.
        """
        kind = raw.get("model_type")
        if kind not in _MODEL_TYPES:
            raise FormatError(
                f"{where} is not a T5 model: model_type is {kind!r}, allowed are 't5' (T5 v1.0, v1.1, FLAN-T5) and 'mt5'. "
                "Pass the folder or hub name of a T5 checkpoint, for example 'hf:google/flan-t5-small'."
            )
        if raw.get("quantization_config") is not None:
            raise FormatError(
                f"{where} has a quantization_config ({raw['quantization_config']!s:.80}), and weights that are quantised so are not decoded here. "
                "Use the checkpoint that it was made of, with dtype='int8' to have it small."
            )
        values: dict[str, Any] = {}
        for name in _SIZES:
            values[name] = _positive(raw, name, where)
        values["num_decoder_layers"] = (
            values["num_layers"]
            if raw.get("num_decoder_layers") is None
            else _positive(raw, "num_decoder_layers", where)
        )
        for name in ("relative_attention_num_buckets", "relative_attention_max_distance"):
            if name in raw:
                values[name] = _positive(raw, name, where)
        for name in ("d_model", "d_kv", "d_ff"):
            if values[name] % 4:
                raise FormatError(
                    f"{where}: {name} is {values[name]}, but must be a multiple of 4 (the kernels read four values at a time)."
                )
        projection = str(raw.get("feed_forward_proj", "relu"))
        if projection not in _FEED_FORWARD:
            allowed = ", ".join(_FEED_FORWARD)
            raise FormatError(f"{where}: feed_forward_proj is {projection!r}; allowed are {allowed}.")
        values["is_gated"], values["activation"] = gate, activation = _FEED_FORWARD[projection]
        for name, meant in (("is_gated_act", gate), ("dense_act_fn", activation)):
            if raw.get(name, meant) != meant:
                raise FormatError(
                    f"{where}: {name} is {raw[name]!r}, but feed_forward_proj is {projection!r}, which means {meant!r}. Correct the one that is wrong."
                )
        values["layer_norm_epsilon"] = _epsilon(raw, where)
        values["tie_word_embeddings"] = _flag(raw, "tie_word_embeddings", where) is not False
        values["scale_decoder_outputs"] = _flag(raw, "scale_decoder_outputs", where)
        for name, default in (("pad_token_id", 0), ("eos_token_id", 1), ("decoder_start_token_id", 0)):
            value = raw.get(name, default)
            value = default if value is None else value
            if not isinstance(value, int) or not 0 <= value < values["vocab_size"]:
                raise FormatError(
                    f"{where}: {name} is {value!r}, but must be an id below vocab_size {values['vocab_size']}."
                )
            values[name] = value
        return cls(**values)

    @classmethod
    def from_file(cls, path: Path) -> T5Config:
        """Read and check a config.json.

        Raises
        ------
        FormatError
            When the file is missing, is no JSON object, or is not a T5's.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FormatError(
                f"{path} does not exist. A T5 checkpoint is a folder with config.json, model.safetensors and tokenizer.json."
            ) from None
        except ValueError as error:
            raise FormatError(f"{path} is not JSON: {error}. Download the checkpoint again.") from error
        if not isinstance(raw, dict):
            raise FormatError(f"{path} holds a JSON {type(raw).__name__}, but must hold an object.")
        if raw.get("decoder_start_token_id") is None:
            raw["decoder_start_token_id"] = _start_of_generation(path.with_name("generation_config.json"))
        return cls.from_dict(raw, where=str(path))

    def tensor_shapes(self, *, has_head: bool = False) -> dict[str, tuple[int, ...]]:
        """Return the tensors that the model needs, with their shapes, encoder first; `has_head` says that the file has ``lm_head.weight``."""
        d, inner, ff = self.d_model, self.inner, self.d_ff
        shapes: dict[str, tuple[int, ...]] = {"shared.weight": (self.vocab_size, d)}

        def attention(prefix: str, name: str) -> None:
            for part in "qkv":
                shapes[f"{prefix}.{name}.{part}.weight"] = (inner, d)
            shapes[f"{prefix}.{name}.o.weight"] = (d, inner)
            shapes[f"{prefix}.layer_norm.weight"] = (d,)

        for stack, count in (("encoder", self.num_layers), ("decoder", self.num_decoder_layers)):
            shapes[f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (
                self.relative_attention_num_buckets,
                self.num_heads,
            )
            for i in range(count):
                block = f"{stack}.block.{i}.layer"
                attention(f"{block}.0", "SelfAttention")
                if stack == "decoder":
                    attention(f"{block}.1", "EncDecAttention")
                last = f"{block}.{2 if stack == 'decoder' else 1}"
                for part in ("wi_0", "wi_1") if self.is_gated else ("wi",):
                    shapes[f"{last}.DenseReluDense.{part}.weight"] = (ff, d)
                shapes[f"{last}.DenseReluDense.wo.weight"] = (d, ff)
                shapes[f"{last}.layer_norm.weight"] = (d,)
            shapes[f"{stack}.final_layer_norm.weight"] = (d,)
        if has_head or not self.tie_word_embeddings:
            shapes["lm_head.weight"] = (self.vocab_size, d)
        return shapes

    def check_tensors(self, found: Mapping[str, tuple[int, ...]], *, where: str) -> None:
        """Compare the tensors of a file with those that the model needs.

        Raises
        ------
        FormatError
            Naming the first missing tensors, the first of another shape with both shapes, or one that stands beside a weight
            and changes what it means, as a scale or a bias does.
        """
        wanted = self.tensor_shapes(has_head="lm_head.weight" in found)
        missing = [name for name in wanted if name not in found]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise FormatError(
                f"{where} lacks {', '.join(missing[:3])}{more}, which this config.json promises "
                f"({self.num_layers} encoder and {self.num_decoder_layers} decoder layers, "
                f"{'tied' if self.tie_word_embeddings else 'untied'} embeddings). Use the config.json that belongs to the weights."
            )
        for name, shape in wanted.items():
            if tuple(found[name]) != shape:
                raise FormatError(
                    f"{where}: {name} has shape {tuple(found[name])}, but config.json asks for {shape}. "
                    "Use the config.json that belongs to the weights."
                )
        layers = {name.removesuffix("weight") for name in wanted}
        for name in found:
            of = next((name[: at + 1] for at, c in enumerate(name) if c == "." and name[: at + 1] in layers), "")
            if of and name not in wanted:
                raise FormatError(
                    f"{where} holds {name} beside {of}weight, which a T5 does not have: the weights are quantised, adapted or another model's. "
                    "Use the checkpoint that it was made of."
                )


def _flag(raw: Mapping[str, Any], name: str, where: str) -> bool | None:
    value = raw.get(name)
    if value is not None and not isinstance(value, bool):
        raise FormatError(f"{where}: {name} is {value!r}, but must be true or false.")
    return value


def _epsilon(raw: Mapping[str, Any], where: str) -> float:
    value = raw.get("layer_norm_epsilon", 1e-6)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise FormatError(f"{where}: layer_norm_epsilon is {value!r}, but must be a number of at least 0.")
    return float(value)


def _start_of_generation(path: Path) -> int | None:
    """Return the start token that a generation_config.json names, where transformers 5 keeps it; None without one."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise FormatError(f"{path} is not JSON: {error}. Download the checkpoint again.") from error
    return raw.get("decoder_start_token_id") if isinstance(raw, dict) else None


def _positive(raw: Mapping[str, Any], name: str, where: str) -> int:
    value = raw.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        state = "is missing" if name not in raw else f"is {value!r}"
        raise FormatError(f"{where}: {name} {state}, but must be a whole number of at least 1.")
    return value
