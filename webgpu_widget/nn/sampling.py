"""How tokens are chosen: what a caller may ask, checked."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from webgpu_widget.errors import PromptError

__all__ = ["MOST_BEAMS", "Settings", "checked"]

MOST_BEAMS = 16


@dataclass(frozen=True)
class Settings:
    """How tokens are chosen. ``top_k`` 0 and ``top_p`` 1 leave all tokens in."""

    max_new_tokens: int = 64
    num_beams: int = 1
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def pack(self) -> bytes:
        """Return them as the kernel that picks reads them."""
        seed = (self.seed ^ self.seed >> 32) & 0xFFFFFFFF
        return struct.pack("<3I2f", self.do_sample, self.top_k, seed, self.top_p, self.temperature)


def checked(
    max_new_tokens: int,
    num_beams: int,
    do_sample: bool,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int | None,
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
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    return Settings(max_new_tokens, num_beams, bool(do_sample), float(temperature), top_k, float(top_p), int(seed))
