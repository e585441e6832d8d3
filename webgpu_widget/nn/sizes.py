"""What the kernels must know of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Activation", "Sizes"]

Activation = Literal["relu", "gelu_new", "silu"]
"""ReLU, GELU in its tanh form, or SiLU."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a transformer's layers; a model's own config makes one.

    Attributes
    ----------
    vocab : int
        Tokens.
    width : int
        Of a row between layers; a multiple of 4.
    heads, head_width : int
        Attention heads, and the width of each, a multiple of 4.
    hidden : int
        Width of the feed-forward's inside.
    activation, is_gated
        Of the feed-forward; with a gate its first half is multiplied by the second.
    epsilon : float
        Added to RMSNorm's mean square.
    kv_heads : int or None
        Heads of keys and values, each shared by as many query heads as there are to one (grouped-query attention); None: as many as ``heads``.
    scale : float
        Of the scores before the softmax.
    distance : int
        From how far on keys share a position bias; 0 without biases.
    """

    vocab: int
    width: int
    heads: int
    head_width: int
    hidden: int
    activation: Activation
    is_gated: bool
    epsilon: float
    kv_heads: int | None = None
    scale: float = 1.0
    distance: int = 0

    def __post_init__(self) -> None:
        if self.heads % self.kept_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kept_heads} heads of keys and values evenly")

    @property
    def kept_heads(self) -> int:
        """Heads of keys and values."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def q_width(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_width

    @property
    def kv_width(self) -> int:
        """Width of a row's keys and values together."""
        return 2 * self.kept_heads * self.head_width
