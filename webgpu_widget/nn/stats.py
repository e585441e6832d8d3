"""What a generation took."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TypeVar

__all__ = ["Clock", "Stats"]


@dataclass(frozen=True)
class Stats:
    """What the last generation took.

    Attributes
    ----------
    load_s
        From the call that loads to the last tensor on the GPU; None while parts still load.
    prefill_ms
        The prompt, and the first chunk of tokens.
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


AnyStats = TypeVar("AnyStats", bound=Stats)


class Clock:
    """Times one generation, from when it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._first: tuple[float, int] | None = None

    def stats(self, tokens: int, dispatches: int, before: AnyStats) -> AnyStats:
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
