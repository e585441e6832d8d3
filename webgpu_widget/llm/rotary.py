"""The angles by which queries and keys turn with their position, in the scalings that stretch a context."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.errors import FormatError

if TYPE_CHECKING:
    from webgpu_widget.llm.config import Metadata

__all__ = ["Rotary"]

Array = np.ndarray[Any, Any]
SCALINGS = ("default", "linear", "llama3", "yarn", "dynamic")


@dataclass(frozen=True)
class Rotary:
    """Angle a position of each pair of a head's elements, in radians, and what the rotated vectors are multiplied by.

    Attributes
    ----------
    frequencies : tuple of float
        By pair.
    factor : float
        1 but for YaRN.
    is_interleaved : bool
        Whether pairs are neighbours; else they are half a head apart.
    """

    frequencies: tuple[float, ...]
    factor: float = 1.0
    is_interleaved: bool = False

    @classmethod
    def from_gguf(cls, m: Metadata, width: int, context: int, *, is_interleaved: bool) -> Rotary:
        """Read the keys ``rope.*`` of a GGUF file."""
        keys = {
            "rope_type": "scaling.type", "factor": "scaling.factor", "original_max_position_embeddings": "scaling.original_context_length",
            "attention_factor": "scaling.attn_factor",
        }  # fmt: skip
        found = {name: m.values.get(f"rope.{key}") for name, key in keys.items()}
        found["rope_type"] = "default" if found["rope_type"] in (None, "none") else found["rope_type"]
        base = m.number("rope.freq_base", 10_000.0)
        return cls._scaled(type(m)(found, m.where), base, width, context, is_interleaved=is_interleaved)

    @classmethod
    def from_hub(cls, m: Metadata, width: int, context: int) -> Rotary:
        """Read ``rope_parameters`` of a config.json, or ``rope_scaling`` and ``rope_theta`` of older ones."""
        found = m.get("rope_parameters", None) or m.get("rope_scaling", None) or {}
        if not isinstance(found, dict):
            raise FormatError(f"{m.where}: rope_parameters is {str(found)[:80]}, but must be a JSON object.")
        found = {"rope_type": found.get("type", "default"), **found}
        inner = type(m)(found, f"{m.where}: rope_parameters")
        if inner.get("partial_rotary_factor", m.get("partial_rotary_factor", 1.0)) != 1:
            raise FormatError(f"{m.where}: partial_rotary_factor is not 1; known are models whose heads turn whole.")
        base = inner.number("rope_theta", m.get("rope_theta", 10_000.0))
        return cls._scaled(inner, base, width, context, is_interleaved=False)

    @classmethod
    def _scaled(cls, m: Metadata, base: float, width: int, context: int, *, is_interleaved: bool) -> Rotary:
        kind = m.get("rope_type", "default")
        plain = base ** (-np.arange(0, width, 2) / width)
        if kind not in SCALINGS:
            raise FormatError(f"{m.where}: the scaling of positions is {kind!r}; known are {', '.join(SCALINGS)}.")
        factor = 1.0
        if kind == "linear":
            plain = plain / m.number("factor")
        elif kind == "llama3":
            plain = _llama3(plain, m)
        elif kind == "yarn":
            plain, factor = _yarn(plain, base, m, context)
        # "dynamic" begins beyond the context, and is plain within
        return cls(tuple(plain.tolist()), factor, is_interleaved)

    def divided(self, by: Array) -> Rotary:
        """Return it with each frequency divided by a number of its own, as a GGUF file's ``rope_freqs`` asks."""
        return Rotary(tuple((np.asarray(self.frequencies) / by).tolist()), self.factor, self.is_interleaved)

    def rotations(self, positions: int) -> Array:
        """Return cosine and sine of each pair's angle, (positions, pairs, 2) float32; angles in float64."""
        angles = np.arange(positions)[:, None] * np.asarray(self.frequencies)
        return (self.factor * np.stack([np.cos(angles), np.sin(angles)], -1)).astype(np.float32)


def _llama3(plain: Array, m: Metadata) -> Array:
    """Llama 3.1: long waves are stretched, short ones stay, those between are blended."""
    factor, low, high = (m.number(key) for key in ("factor", "low_freq_factor", "high_freq_factor"))
    waves = (
        m.number("original_max_position_embeddings") * plain / (2 * np.pi)
    )  # that fit the context it was trained for
    blend = np.clip((waves - low) / (high - low), 0, 1)
    return np.asarray((1 - blend) * plain / factor + blend * plain)


def _yarn(plain: Array, base: float, m: Metadata, context: int) -> tuple[Array, float]:
    """YaRN (Peng et al., 2023), as ``transformers`` has it."""
    factor, width = m.number("factor"), 2 * len(plain)
    trained = m.number("original_max_position_embeddings", context)

    def pair(turns: float) -> float:
        return width * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(base))

    low, high = pair(m.number("beta_fast", 32)), pair(m.number("beta_slow", 1))
    if m.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    stretched = np.clip((np.arange(len(plain)) - low) / max(high - low, 1e-3), 0, 1)
    blended = plain / factor * stretched + plain * (1 - stretched)

    def scale(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1 if factor > 1 else 1.0

    both = m.get("mscale", None), m.get("mscale_all_dim", None)
    default = scale(both[0]) / scale(both[1]) if all(both) else scale(1.0)
    return blended, m.number("attention_factor", default)
