"""How tokens are chosen: what a caller may ask, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from webgpu_widget.errors import PromptError
from webgpu_widget.shaders.uniforms import uniform

__all__ = ["MOST_BEAMS", "Settings", "checked", "seen_bits"]

MOST_BEAMS = 16


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
            sample=int(self.do_sample), top_k=self.top_k, seed=seed, top_p=self.top_p, temperature=self.temperature, floor=floor,
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
    """Return settings, or raise PromptError for one out of range; a seed of None is drawn anew."""

    def check(condition: bool, name: str, value: object, allowed: str) -> None:
        if not condition:
            raise PromptError(f"{name} is {value!r}, but must be {allowed}")

    check(
        isinstance(max_new_tokens, int) and max_new_tokens >= 1,
        "max_new_tokens",
        max_new_tokens,
        "a whole number of at least 1",
    )
    check(
        isinstance(num_beams, int) and 1 <= num_beams <= MOST_BEAMS,
        "num_beams",
        num_beams,
        f"a whole number from 1 to {MOST_BEAMS}",
    )
    check(num_beams == 1 or not do_sample, "do_sample", do_sample, "False where num_beams is more than 1")
    check(temperature > 0, "temperature", temperature, "more than 0; for the likeliest tokens pass do_sample=False")
    check(isinstance(top_k, int) and top_k >= 0, "top_k", top_k, "a whole number of at least 0 (0: all)")
    check(0 < top_p <= 1, "top_p", top_p, "more than 0 and at most 1")
    check(0 <= min_p <= 1, "min_p", min_p, "from 0 (no bound) to 1")
    check(0 < repetition_penalty < math.inf, "repetition_penalty", repetition_penalty, "more than 0 (1: none)")
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    chosen = (
        bool(do_sample),
        float(temperature),
        top_k,
        float(top_p),
        int(seed),
        float(min_p),
        float(repetition_penalty),
    )
    return Settings(max_new_tokens, num_beams, *chosen)
