"""How tokens are chosen: what a caller may ask, checked."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from webgpu_widget.errors import PromptError
from webgpu_widget.shaders.uniforms import uniform

__all__ = ["MOST_BEAMS", "MOST_SCALE", "Settings", "checked", "seen_bits"]

MOST_BEAMS = 16
MOST_SCALE = 1e6
"""Logits are divided and multiplied by numbers from 1 / MOST_SCALE to this: far beyond, float32 has no room for them, and another token would be taken."""


@dataclass(frozen=True)
class Settings:
    """How tokens are chosen. ``top_k`` 0, ``top_p`` 1 and ``min_p`` 0 leave all tokens in; a ``repetition_penalty`` of 1 changes nothing."""

    max_new_tokens: int = 64
    num_beams: int = 1
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def pack(self) -> bytes:
        """Return them as the kernel that picks reads them."""
        seed = (self.seed ^ self.seed >> 32) & 0xFFFFFFFF
        floor = min(self.temperature * math.log(self.min_p), -1e-30) if self.min_p else 0.0
        return uniform("nn/pick", "Settings").pack(
            sample=int(self.do_sample), top_k=min(self.top_k, 0xFFFFFFFF), seed=seed, top_p=self.top_p, temperature=self.temperature, floor=floor,
            penalty=self.repetition_penalty,
        )  # fmt: skip


def seen_bits(ids: np.ndarray[Any, Any], vocab: int) -> np.ndarray[Any, Any]:
    """Return which tokens stand in rows of ids, a bit each: (rows, ceil(vocab / 32)) u32."""
    bits = np.zeros((len(ids), -(-vocab // 32) * 32), np.uint8)
    np.put_along_axis(bits, np.asarray(ids, np.int64), 1, 1)
    return np.packbits(bits, axis=1, bitorder="little").view("<u4")


def checked(
    max_new_tokens: int,
    num_beams: int,
    do_sample: bool,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int | None,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
) -> Settings:
    """Return settings, or raise PromptError for one that is no such number or out of range; a seed of None is drawn anew."""
    tokens = _whole("max_new_tokens", max_new_tokens, 1, None, "a whole number of at least 1")
    beams = _whole("num_beams", num_beams, 1, MOST_BEAMS, f"a whole number from 1 to {MOST_BEAMS}")
    if beams > 1 and do_sample:
        raise _refused("do_sample", do_sample, "False where num_beams is more than 1")
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    return Settings(
        tokens,
        beams,
        bool(do_sample),
        _real(
            "temperature",
            temperature,
            lambda t: 1 / MOST_SCALE <= t <= MOST_SCALE,
            f"from {1 / MOST_SCALE:g} to {MOST_SCALE:g}; for the likeliest tokens pass do_sample=False",
        ),
        _whole("top_k", top_k, 0, None, "a whole number of at least 0 (0: all)"),
        _real("top_p", top_p, lambda p: 0 < p <= 1, "more than 0 and at most 1"),
        _whole("seed", seed, None, None, "a whole number, or None for another each time"),
        _real("min_p", min_p, lambda p: 0 <= p <= 1, "from 0 (no bound) to 1"),
        _real(
            "repetition_penalty",
            repetition_penalty,
            lambda p: 1 / MOST_SCALE <= p <= MOST_SCALE,
            f"from {1 / MOST_SCALE:g} to {MOST_SCALE:g} (1: none)",
        ),
    )


def _refused(name: str, value: object, allowed: str) -> PromptError:
    return PromptError(f"{name} is {value!r:.80}, but must be {allowed}")


def _whole(name: str, value: Any, least: int | None, most: int | None, allowed: str) -> int:
    """Return a whole number of Python's or NumPy's as an int."""
    try:
        number = operator.index(value)
    except TypeError:
        raise _refused(name, value, allowed) from None
    if (least is not None and number < least) or (most is not None and number > most):
        raise _refused(name, value, allowed)
    return number


def _real(name: str, value: Any, fits: Callable[[float], bool], allowed: str) -> float:
    if isinstance(value, (str, bytes)):
        raise _refused(name, value, allowed)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _refused(name, value, allowed) from None
    if not fits(number):
        raise _refused(name, value, allowed)
    return number
