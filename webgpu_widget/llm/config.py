"""What a checkpoint says of a language model, checked, and the tensors that it promises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.errors import FormatError
from webgpu_widget.llm.rotary import Rotary
from webgpu_widget.nn.sizes import Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Config"]

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
_ABSENT = object()
_HUB = {
    "embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
    "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "q_norm": "attn_q_norm", "k_norm": "attn_k_norm",
}  # fmt: skip


class Metadata:
    """Values of a checkpoint, asked for by name and kind."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self.where = values, where

    def get(self, key: str, default: Any = _ABSENT) -> Any:
        """Return a value; what is None counts as left out."""
        value = self.values.get(key)
        value = default if value is None else value
        if value is _ABSENT:
            raise FormatError(f"{self.where}: {key} is missing. It is no whole language model; download it again.")
        return value

    def whole(self, key: str, default: Any = _ABSENT) -> int:
        """Return a whole number of at least 1."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise FormatError(f"{self.where}: {key} is {value!r}, but must be a whole number of at least 1.")
        return value

    def number(self, key: str, default: Any = _ABSENT) -> float:
        """Return a number above 0."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
            raise FormatError(f"{self.where}: {key} is {value!r}, but must be a number above 0.")
        return float(value)


@dataclass(frozen=True)
class Config:
    """The shape of a language model.

    Attributes
    ----------
    architecture : str
        One of ``ARCHITECTURES``.
    layers, width, heads, kv_heads, head_width, hidden, vocab : int
        Sizes: of the stack, of a row between layers, of attention, of the feed-forward's inside, of the vocabulary.
    context : int
        Most positions.
    rotary : Rotary
        How queries and keys turn with their position.
    epsilon : float
        Of RMSNorm.
    biased : str
        Which of q, k, v and o have biases.
    has_head_norms : bool
        Whether the heads of queries and keys are normed.
    windows : tuple of int or None
        How many of the last positions each layer sees; None: all.
    is_tied : bool or None
        Whether the embedding is the head; None: where no tensor is.
    ends : tuple of int
        Tokens that end a text, where the checkpoint's config says so.
    """

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    hidden: int
    vocab: int
    context: int
    rotary: Rotary
    epsilon: float
    biased: str = ""
    has_head_norms: bool = False
    windows: tuple[int | None, ...] = ()
    is_tied: bool | None = None
    ends: tuple[int, ...] = ()

    @classmethod
    def from_gguf(cls, values: Mapping[str, Any], vocab: int, *, where: str) -> Config:
        """Check the metadata of a GGUF file.

        Parameters
        ----------
        values
            Its key-value pairs.
        vocab
            Rows of its embedding.
        where
            What to call it in errors.

        Raises
        ------
        FormatError
            When its architecture is not known, a size is missing or out of range, or it asks for what is not done.
        """
        kind = _known(values.get("general.architecture"), "general.architecture", where)
        m = Metadata({key.removeprefix(f"{kind}."): value for key, value in values.items()}, f"{where}: {kind}.*")
        heads, width, layers = m.whole("attention.head_count"), m.whole("embedding_length"), m.whole("block_count")
        head_width = m.whole("attention.key_length", max(1, width // heads))
        window, most = m.values.get("attention.sliding_window"), m.whole("context_length")
        made = cls(
            architecture=kind,
            layers=layers,
            width=width,
            heads=heads,
            kv_heads=m.whole("attention.head_count_kv", heads),
            head_width=head_width,
            hidden=m.whole("feed_forward_length"),
            vocab=vocab,
            context=most,
            rotary=Rotary.from_gguf(m, head_width, most, is_interleaved=kind == "llama"),
            epsilon=m.number("attention.layer_norm_rms_epsilon"),
            biased="qkv" if kind == "qwen2" else "",
            has_head_norms=kind == "qwen3",
            windows=(window if isinstance(window, int) and window > 0 else None,) * layers,
        )
        rotated = m.whole("rope.dimension_count", head_width)
        values_width = m.whole("attention.value_length", head_width)
        if rotated != head_width or values_width != head_width:
            raise FormatError(
                f"{where}: heads of {head_width}, of values {values_width}, of which {rotated} turn; known are models whose heads are alike and turn whole."
            )
        return made._fitting(where)

    @classmethod
    def from_hub(cls, values: Mapping[str, Any], *, where: str) -> Config:
        """Check a config.json as ``transformers`` writes it.

        Parameters
        ----------
        values
            Its keys and values.
        where
            What to call it in errors.

        Raises
        ------
        FormatError
            As `from_gguf`.
        """
        kind = _known(values.get("model_type"), "model_type", where)
        m = Metadata(values, where)
        if m.get("hidden_act", "silu") != "silu" or m.get("mlp_bias", False):
            raise FormatError(
                f"{where}: hidden_act is {values.get('hidden_act')!r} and mlp_bias {values.get('mlp_bias')!r}; known are 'silu' and no bias."
            )
        heads, width, layers = m.whole("num_attention_heads"), m.whole("hidden_size"), m.whole("num_hidden_layers")
        most = m.whole("max_position_embeddings", 2048)
        head_width = m.whole("head_dim", max(1, width // heads))
        ends = m.get("eos_token_id", ())
        attention_bias = "qkvo" if m.get("attention_bias", False) else ""
        return cls(
            architecture=kind,
            layers=layers,
            width=width,
            heads=heads,
            kv_heads=m.whole("num_key_value_heads", heads),
            head_width=head_width,
            hidden=m.whole("intermediate_size"),
            vocab=m.whole("vocab_size"),
            context=most,
            rotary=Rotary.from_hub(m, head_width, most),
            epsilon=m.number("rms_norm_eps", 1e-6),
            biased="qkv" if kind == "qwen2" else attention_bias,
            has_head_norms=kind == "qwen3",
            windows=_windows(m, kind, layers),
            is_tied=bool(m.get("tie_word_embeddings", False)),
            ends=tuple(ends) if isinstance(ends, list) else (ends,) if isinstance(ends, int) else (),
        )._fitting(where)

    def _fitting(self, where: str) -> Config:
        step = 4 if self.rotary.is_interleaved else 8
        if self.head_width % step or self.width % 4 or self.hidden % 4 or self.heads % self.kv_heads:
            raise FormatError(
                f"{where}: heads of {self.head_width}, {self.heads} for {self.kv_heads} of keys and values, rows of {self.width} and {self.hidden}: "
                f"heads must be a multiple of {step} wide, rows of 4, and heads of keys and values shared evenly."
            )
        return self

    def within(self, context: int | None) -> Config:
        """Return it with a shorter context.

        Raises
        ------
        ShapeError
            For a context that the model does not have.
        """
        from webgpu_widget.errors import ShapeError

        if context is None:
            return self
        if isinstance(context, bool) or not isinstance(context, int) or not 1 <= context <= self.context:
            raise ShapeError(
                f"context is {context!r}, but must be a whole number from 1 to {self.context}, the positions that the model has"
            )
        return replace(self, context=context)

    @property
    def sizes(self) -> Sizes:
        """What the kernels must know."""
        return Sizes(
            vocab=self.vocab,
            width=self.width,
            heads=self.heads,
            head_width=self.head_width,
            hidden=self.hidden,
            activation="silu",
            is_gated=True,
            epsilon=self.epsilon,
            kv_heads=self.kv_heads,
            scale=self.head_width**-0.5,
        )

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the tensors that the model needs, by their names in GGUF, with their shapes; ``output.weight`` may be there too."""
        q, kv, d = self.heads * self.head_width, self.kv_heads * self.head_width, self.width
        shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (self.vocab, d), "output_norm.weight": (d,)}
        if self.is_tied is False:
            shapes["output.weight"] = (self.vocab, d)
        rows = {"q": q, "k": kv, "v": kv, "output": d}
        for i in range(self.layers):
            parts: dict[str, tuple[int, ...]] = {
                "attn_norm.weight": (d,), "ffn_norm.weight": (d,), "attn_output.weight": (d, q),
                "ffn_gate.weight": (self.hidden, d), "ffn_up.weight": (self.hidden, d), "ffn_down.weight": (d, self.hidden),
            }  # fmt: skip
            parts |= {f"attn_{part}.weight": (rows[part], d) for part in "qkv"}
            parts |= {f"attn_{part}.bias": (count,) for part, count in rows.items() if part[0] in self.biased}
            if self.has_head_norms:
                parts |= {f"attn_{part}_norm.weight": (self.head_width,) for part in "qk"}
            shapes |= {f"blk.{i}.{name}": shape for name, shape in parts.items()}
        return shapes


def gguf_name(name: str) -> str:
    """Return a hub checkpoint's tensor name as GGUF has it; what is no part of a language model keeps its own."""
    parts = name.removeprefix("model.").split(".")
    if len(parts) < 2 or parts[-2] not in _HUB:
        return name
    block = f"blk.{parts[1]}." if parts[0] == "layers" else ""
    return f"{block}{_HUB[parts[-2]]}.{parts[-1]}"


def _known(kind: object, key: str, where: str) -> str:
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise FormatError(
            f"{where}: {key} is {kind!r}; known are {', '.join(map(repr, ARCHITECTURES))}. Pass a model of one of those, for example SmolLM2."
        )
    return kind


def _windows(m: Metadata, kind: str, layers: int) -> tuple[int | None, ...]:
    size = m.values.get("sliding_window")
    if size is None or (kind.startswith("qwen") and not m.get("use_sliding_window", False)) or kind == "llama":
        return (None,) * layers
    size = m.whole("sliding_window")
    default = ["sliding_attention"] * layers
    if kind.startswith("qwen"):
        full = m.get("max_window_layers", 28)
        default = ["full_attention" if i < full else "sliding_attention" for i in range(layers)]
    kinds = m.get("layer_types", default)
    if not isinstance(kinds, list) or len(kinds) != layers or set(kinds) - {"sliding_attention", "full_attention"}:
        raise FormatError(
            f"{m.where}: layer_types is {str(kinds)[:80]}, but must be 'sliding_attention' or 'full_attention' for each of {layers} layers."
        )
    return tuple(size if found == "sliding_attention" else None for found in kinds)
