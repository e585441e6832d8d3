"""What the metadata of a GGUF file says of a language model, checked, and the tensors that it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.errors import FormatError
from webgpu_widget.nn.sizes import Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Config"]

ARCHITECTURES = ("llama",)
_ABSENT = object()


class _Metadata:
    """Values of a GGUF file, asked for by name and kind."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values, self.where = values, where

    def whole(self, key: str, default: Any = _ABSENT) -> int:
        value = self.values.get(key, default)
        if value is _ABSENT:
            raise FormatError(f"{self.where}: {key} is missing. It is no whole language model; download it again.")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise FormatError(f"{self.where}: {key} is {value!r}, but must be a whole number of at least 1.")
        return value

    def number(self, key: str, default: Any = _ABSENT) -> float:
        value = self.values.get(key, default)
        if value is _ABSENT:
            raise FormatError(f"{self.where}: {key} is missing. It is no whole language model; download it again.")
        if not isinstance(value, int | float) or not 0 < value < np.inf:
            raise FormatError(f"{self.where}: {key} is {value!r}, but must be a number above 0.")
        return float(value)


@dataclass(frozen=True)
class Config:
    """The shape of a language model.

    Attributes
    ----------
    layers, width, heads, kv_heads, head_width, hidden, vocab : int
        Sizes: of the stack, of a row between layers, of attention, of the feed-forward's inside, of the vocabulary.
    context : int
        Most positions.
    rope_base : float
        Of the geometric series of angles.
    epsilon : float
        Of RMSNorm.
    """

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    hidden: int
    vocab: int
    context: int
    rope_base: float
    epsilon: float

    @classmethod
    def from_metadata(cls, values: Mapping[str, Any], vocab: int, *, where: str) -> Config:
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
        kind = values.get("general.architecture")
        if kind not in ARCHITECTURES:
            raise FormatError(
                f"{where}: general.architecture is {kind!r}; known are {', '.join(map(repr, ARCHITECTURES))}. "
                "Pass the GGUF file of a Llama-like model, for example SmolLM2."
            )
        scaling = values.get(f"{kind}.rope.scaling.type", "none")
        if scaling != "none":
            raise FormatError(f"{where}: {kind}.rope.scaling.type is {scaling!r}; known is 'none'.")
        m = _Metadata(values, where)
        heads, width = m.whole(f"{kind}.attention.head_count"), m.whole(f"{kind}.embedding_length")
        made = cls(
            layers=m.whole(f"{kind}.block_count"),
            width=width,
            heads=heads,
            kv_heads=m.whole(f"{kind}.attention.head_count_kv", heads),
            head_width=m.whole(f"{kind}.attention.key_length", max(1, width // heads)),
            hidden=m.whole(f"{kind}.feed_forward_length"),
            vocab=vocab,
            context=m.whole(f"{kind}.context_length"),
            rope_base=m.number(f"{kind}.rope.freq_base", 10_000.0),
            epsilon=m.number(f"{kind}.attention.layer_norm_rms_epsilon"),
        )
        turned = m.whole(f"{kind}.rope.dimension_count", made.head_width)
        if turned != made.head_width or made.head_width % 4 or width % 4 or heads % made.kv_heads:
            raise FormatError(
                f"{where}: heads of {made.head_width}, {turned} of them turned, {heads} for {made.kv_heads} of keys and values, rows of {width}: "
                "widths must be multiples of 4, whole heads turned, and heads of keys and values shared evenly."
            )
        return made

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

    def turns(self) -> np.ndarray[Any, Any]:
        """Return cosine and sine of each pair's angle, (context, head width / 2, 2) float32; angles in float64."""
        series = self.rope_base ** (-np.arange(0, self.head_width, 2) / self.head_width)
        angles = np.arange(self.context)[:, None] * series
        return np.stack([np.cos(angles), np.sin(angles)], -1).astype(np.float32)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the tensors that the model needs, with their shapes; ``output.weight`` may be there too."""
        q, kv, d = self.heads * self.head_width, self.kv_heads * self.head_width, self.width
        shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (self.vocab, d), "output_norm.weight": (d,)}
        for i in range(self.layers):
            shapes |= {
                f"blk.{i}.attn_norm.weight": (d,),
                f"blk.{i}.attn_q.weight": (q, d),
                f"blk.{i}.attn_k.weight": (kv, d),
                f"blk.{i}.attn_v.weight": (kv, d),
                f"blk.{i}.attn_output.weight": (d, q),
                f"blk.{i}.ffn_norm.weight": (d,),
                f"blk.{i}.ffn_gate.weight": (self.hidden, d),
                f"blk.{i}.ffn_up.weight": (self.hidden, d),
                f"blk.{i}.ffn_down.weight": (d, self.hidden),
            }
        return shapes
