"""How a length is taken apart: into passes over memory, and each pass into butterflies."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "LARGEST_PRIME",
    "MANY_LINES",
    "Limits",
    "convolution_length",
    "good_length",
    "half_of",
    "is_smooth",
    "passes",
    "pitch",
    "stages",
]

LARGEST_PRIME = 13
"""Lengths with a larger prime factor are transformed by Bluestein's convolution."""
_LARGEST_RADIX = 16
MANY_LINES = 8
"""A pass of several takes so many neighbouring lines at a time at least: 64 bytes, what memory moves at a time; of packed real ones twice as many."""


class Limits(NamedTuple):
    """What an adapter lets a workgroup have.

    Parameters
    ----------
    memory_bytes
        Of workgroup memory.
    threads
        Invocations.
    cpu
        Whether kernels run on a CPU, where a barrier costs as much as a pass over memory.
    """

    memory_bytes: int = 16384
    threads: int = 256
    cpu: bool = True

    def fits(self, length: int, lines: int, each_bytes: int = 8) -> bool:
        """Whether so many lines of a pass fit into a workgroup; with 4 bytes for each element, its stages exchange one part of the numbers after the other."""
        return lines * pitch(length) * each_bytes <= self.memory_bytes


def pitch(length: int) -> int:
    """Return the elements that a line takes in workgroup memory: one in 17 is left out, so that strides of 16 meet all banks."""
    return (length + length // 16) | 1


def half_of(length: int, inner: int) -> int:
    """Return how many lines a pass over real numbers makes of `length`: the first half, and on a GPU's long lines as many more as begin the next row at a multiple of 32 bytes."""
    half = length // 2 + 1
    unit = 4 // math.gcd(4, inner)
    return -(-half // unit) * unit if length > 2 * _LARGEST_RADIX else half


@lru_cache(maxsize=1024)
def factors(n: int) -> tuple[int, ...]:
    """Return the prime factors, in order."""
    found = []
    prime = 2
    while prime * prime <= n:
        while n % prime == 0:
            found.append(prime)
            n //= prime
        prime += 1
    return (*found, n) if n > 1 else tuple(found)


def is_smooth(n: int) -> bool:
    """Whether a length has butterflies alone."""
    return not n > 1 or factors(n)[-1] <= LARGEST_PRIME


def _divisors(n: int) -> list[int]:
    found = {1}
    for prime in factors(n):
        found |= {d * prime for d in found}
    return sorted(found)


@lru_cache(maxsize=1024)
def stages(length: int) -> tuple[int, ...]:
    """Return the radices of a pass, at most 16: as few as can be, then as small a sum as can be, the largest first."""
    if length <= _LARGEST_RADIX:
        return (length,)
    best: tuple[int, ...] | None = None
    for radix in _divisors(length):
        if not 1 < radix <= _LARGEST_RADIX:
            continue
        rest = stages(length // radix)
        found = tuple(sorted((radix, *rest), reverse=True))
        if best is None or (len(found), sum(found)) < (len(best), sum(best)):
            best = found
    if best is None:
        msg = f"{length} has a prime factor above {_LARGEST_RADIX}"
        raise AssertionError(msg)
    return best


@lru_cache(maxsize=1024)
def passes(n: int, limits: Limits, beside: int = 1) -> tuple[int, ...]:
    """Return the lengths of the passes over memory, whose product is `n`: one where a workgroup holds enough lines, else near each other.

    Parameters
    ----------
    n
        Points of the transform, without large prime factors.
    limits
        Of the adapter. A CPU has no workgroup to hold a line: each pass is one butterfly.
    beside
        How many lines lie side by side: then elements of one are far apart, and memory moves those of neighbours with them.
    """
    if limits.cpu:
        return stages(n)
    if n <= _LARGEST_RADIX or limits.fits(n, min(beside, MANY_LINES)):
        return (n,)
    most = next(d for d in (1024, 512, 256, 128, 64) if limits.fits(d, MANY_LINES, 4))
    count = max(2, math.ceil(math.log(n) / math.log(most) - 1e-9))
    while True:
        found = _split(n, count, most)
        if found is not None:
            return found
        count += 1


def _split(n: int, count: int, most: int) -> tuple[int, ...] | None:
    """Return `count` factors of at most `most`, the first ones near the root; None where there are none."""
    if count == 1:
        return (n,) if n <= most else None
    root = n ** (1 / count)
    for first in sorted((d for d in _divisors(n) if 1 < d <= most), key=lambda d: abs(math.log(d / root))):
        rest = _split(n // first, count - 1, most)
        if rest is not None:
            return tuple(sorted((first, *rest), reverse=True))
    return None


@lru_cache(maxsize=1024)
def convolution_length(n: int) -> int:
    """Return the length of a cyclic convolution in which `n` points do not meet their other ends: 2 n - 1 or more."""
    return good_length(2 * n - 1)


@lru_cache(maxsize=1024)
def good_length(least: int) -> int:
    """Return a length of `least` or little more that has small prime factors alone, and 16 among its factors where it is long."""
    if least <= _LARGEST_RADIX:
        return least if is_smooth(least) else _LARGEST_RADIX
    best = 1 << (least - 1).bit_length()
    for odd in (3, 5, 9, 15, 25, 27, 45):
        unit = -(-least // odd)
        best = min(best, odd * max(16, 1 << (unit - 1).bit_length()))
    return best
