"""What a caller asks of a generation, checked, and what it took."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from webgpu_widget.errors import PromptError
from webgpu_widget.nn.decoder import MOST_BEAMS, Settings

__all__ = ["Clock", "T5Stats", "checked"]


@dataclass(frozen=True)
class T5Stats:
    """What the last generation took.

    Attributes
    ----------
    load_s
        From ``from_pretrained`` to the last tensor on the GPU; None while parts still load.
    prefill_ms
        Encoder, the source's keys and values, and the first chunk of tokens.
    tokens
        Generated, of all rows, end tokens included.
    tokens_per_second
        Over the whole of the generation, prefill included.
    decode_tokens_per_second
        Over what came after the first chunk; None when nothing did.
    dispatches_per_token
        Of a recorded step.
    """

    load_s: float | None = None
    prefill_ms: float = 0.0
    tokens: int = 0
    tokens_per_second: float = 0.0
    decode_tokens_per_second: float | None = None
    dispatches_per_token: int = 0


class Clock:
    """Times one generation, from when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._first: tuple[float, int] | None = None

    def stats(self, tokens: int, dispatches: int, before: T5Stats) -> T5Stats:
        """Return the stats now that there are so many tokens; ``before`` has what does not change."""
        now = time.perf_counter()
        self._first = first, early = self._first or (now, tokens)
        return replace(
            before,
            prefill_ms=1e3 * (first - self._began),
            tokens=tokens,
            tokens_per_second=tokens / (now - self._began),
            decode_tokens_per_second=(tokens - early) / (now - first) if tokens > early and now > first else None,
            dispatches_per_token=dispatches,
        )


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
