"""The transform of a few values in registers, as WGSL statements."""

from __future__ import annotations

import cmath
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Statements"]


def _number(value: float) -> str:
    return repr(float(value))


class Statements:
    """Statements that compute values, each with a name of its own.

    Parameters
    ----------
    prefix
        Of the names.
    """

    def __init__(self, prefix: str) -> None:
        self.lines: list[str] = []
        self._prefix = prefix

    def value(self, text: str) -> str:
        """Add a value; return its name."""
        name = f"{self._prefix}{len(self.lines)}"
        self.lines.append(f"let {name} = {text};")
        return name

    def rotated(self, value: str, power: int, length: int) -> str:
        """Return a value times exp(-2 pi i power / length)."""
        power %= length
        if power == 0:
            return value
        if 8 * power % length == 0:
            eighth = 8 * power // length
            half = _number(math.sqrt(0.5))
            text = {
                1: f"vec2<f32>({value}.x + {value}.y, {value}.y - {value}.x) * {half}",
                2: f"vec2<f32>({value}.y, -{value}.x)",
                3: f"vec2<f32>({value}.y - {value}.x, -{value}.x - {value}.y) * {half}",
                4: f"-{value}",
                5: f"vec2<f32>(-{value}.x - {value}.y, {value}.x - {value}.y) * {half}",
                6: f"vec2<f32>(-{value}.y, {value}.x)",
                7: f"vec2<f32>({value}.x - {value}.y, {value}.x + {value}.y) * {half}",
            }[eighth]
            return self.value(text)
        root = cmath.exp(-2j * math.pi * power / length)
        return self.value(f"cmul({value}, vec2<f32>({_number(root.real)}, {_number(root.imag)}))")

    def powers(self, count: int, root: Callable[[int], str], first: str = "") -> list[str]:
        """Return the powers 0 ... `count` - 1 of a root of unity, each times `first`; those of less than 4 steps from a table's are products.

        Parameters
        ----------
        count
            At most 16.
        root
            Gives WGSL for a power that a table has.
        first
            A value; 1 when left out.
        """
        low, high = [first], [""]
        one = ""
        for _ in range(1, min(4, count)):
            one = one or self.value(root(1))
            low.append(self._product(low[-1], one))
        for power in range(4, count, 4):
            high.append(self.value(root(4)) if power == 4 else self._product(high[-1], high[1]))
        return [self._product(low[power % 4], high[power // 4]) for power in range(count)]

    def _product(self, a: str, b: str) -> str:
        """Return a product, in which an empty factor is 1."""
        return self.value(f"cmul({a}, {b})") if a and b else a or b

    def times(self, values: Sequence[str], factors: Sequence[str]) -> list[str]:
        """Return values times factors, of which an empty one is 1."""
        return [self._product(value, factor) for value, factor in zip(values, factors, strict=True)]

    def transform(self, values: Sequence[str]) -> list[str]:
        """Return the transform of some values: by two and by primes, combined as Cooley and Tukey (1965) have it."""
        n = len(values)
        if n == 1:
            return list(values)
        if n == 2:
            a, b = values
            return [self.value(f"{a} + {b}"), self.value(f"{a} - {b}")]
        inner = next(p for p in range(2, n + 1) if n % p == 0)
        if inner == n:
            return self._prime(values)
        inner = 4 if n % 4 == 0 and n > 4 else inner
        outer = n // inner
        columns = [self.transform(values[j::outer]) for j in range(outer)]
        result = [""] * n
        for k in range(inner):
            row = [self.rotated(columns[j][k], j * k, n) for j in range(outer)]
            for m, value in enumerate(self.transform(row)):
                result[k + inner * m] = value
        return result

    def _prime(self, values: Sequence[str]) -> list[str]:
        """Return the transform of an odd prime number of values, by sums and differences of those at equal distances from the ends."""
        n = len(values)
        half = range(1, (n + 1) // 2)
        sums = {t: self.value(f"{values[t]} + {values[n - t]}") for t in half}
        differences = {t: self.value(f"{values[t]} - {values[n - t]}") for t in half}
        result = [self.value(" + ".join([values[0], *sums.values()]))] + [""] * (n - 1)
        for k in half:
            angles = {t: 2 * math.pi * (k * t % n) / n for t in half}
            even = self.value(" + ".join([values[0], *(f"{_number(math.cos(angles[t]))} * {sums[t]}" for t in half)]))
            odd = self.value(" + ".join(f"{_number(math.sin(angles[t]))} * {differences[t]}" for t in half))
            result[k] = self.value(f"vec2<f32>({even}.x + {odd}.y, {even}.y - {odd}.x)")
            result[n - k] = self.value(f"vec2<f32>({even}.x - {odd}.y, {even}.y + {odd}.x)")
        return result
