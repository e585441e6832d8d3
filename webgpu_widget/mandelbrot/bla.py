"""From a reference orbit to what perturb.wgsl reads: the orbit in f32, and the table of bilinear approximations."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.mandelbrot.orbit import Orbit

__all__ = [
    "BLOCK",
    "FIRST_LEVEL",
    "Merged",
    "Reference",
    "Scaled",
    "Table",
    "build_table",
    "fine_reference",
    "limbs",
    "limit_blocks",
    "merge_steps",
    "pack_reference",
    "table_of",
]

FIRST_LEVEL = 4
BLOCK = 1 << FIRST_LEVEL
"""Steps of the shortest table entry, and plain steps between two tests."""
ERROR_LOG2 = -24.0
"""A step is linear while the quadratic part is under 2**-24 of it."""
FINE_ERROR_LOG2 = -53.0
"""The same for refine.wgsl."""
LIMB_NOTHING = -0x20000000
"""Exponent of zero in refine.wgsl."""
MAX_LEVELS = 31
END = -4.0
NEAR_MARK = 2**20
MARKED = 2e10
"""How perturb.wgsl is told of the end of an orbit, and of points near the radius; and in ``orbit`` of all that ``packed`` has to be asked about."""
_NOTHING = -(2**30)
_NEVER = -(2**31)
"""Radius of an entry that may not be taken, not even by a delta of 0."""
_RADIUS = {False: 3, True: 9}
"""Column of a table's radius; of refine.wgsl's."""
_serial = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Scaled:
    """Complex numbers with exponents of their own: ``mantissa * 2**exponent``, the mantissa's larger part in [0.5, 1)."""

    mantissa: NDArray[np.complex128]
    exponent: NDArray[np.int64]

    @classmethod
    def of(cls, mantissa: NDArray[np.complex128], exponent: NDArray[np.int64] | int = 0) -> Scaled:
        """Normalise."""
        size = np.maximum(np.abs(mantissa.real), np.abs(mantissa.imag))
        _, shift = np.frexp(size)
        zero = size == 0
        scaled = np.ldexp(mantissa.real, -shift) + 1j * np.ldexp(mantissa.imag, -shift)
        return cls(scaled, np.where(zero, _NOTHING, np.maximum(exponent + shift.astype(np.int64), _NOTHING)))

    def __mul__(self, other: Scaled) -> Scaled:
        return Scaled.of(self.mantissa * other.mantissa, self.exponent + other.exponent)

    def __add__(self, other: Scaled) -> Scaled:
        top = np.maximum(self.exponent, other.exponent)
        parts = [a.mantissa * np.exp2(np.maximum(a.exponent - top, -1000).astype(np.float64)) for a in (self, other)]
        return Scaled.of(parts[0] + parts[1], top)

    def __getitem__(self, key: slice) -> Scaled:
        return Scaled(self.mantissa[key], self.exponent[key])

    def log2(self) -> NDArray[np.float64]:
        """Base-2 logarithm of the absolute value."""
        with np.errstate(divide="ignore"):
            return np.where(self.exponent <= _NOTHING, -np.inf, np.log2(np.abs(self.mantissa)) + self.exponent)


@dataclasses.dataclass(frozen=True)
class Reference:
    """A reference as the shader reads it.

    Parameters
    ----------
    packed : ndarray of float32, (points + BLOCK, 4)
        (2 Z 2**-w, limit, w); see perturb.wgsl.
    orbit : ndarray of float32, (a multiple of BLOCK, 2)
        2 Z of point m in row m + BLOCK - 1.
    limit : ndarray of float64, (points,)
        While ``|delta|`` is under it, no rebase and no escape can come.
    points : Scaled
        The same points, for the table.
    steps : ndarray of bool
        Whether the orbit goes on from this point.
    near : dict
        As in `Orbit`.
    start : int
        Where a new pixel begins: 1, or the first point of a Julia set's own orbit.
    serial : int
        Names it, for those who keep a copy.
    base : int
        The same for all references that differ in their limits only.
    """

    packed: NDArray[np.float32]
    orbit: NDArray[np.float32]
    limit: NDArray[np.float64]
    points: Scaled
    steps: NDArray[np.bool_]
    near: dict[int, tuple[float, int]]
    start: int
    serial: int = dataclasses.field(default_factory=lambda: next(_serial))
    base: int = dataclasses.field(default_factory=lambda: next(_serial))

    @property
    def limits(self) -> NDArray[np.float32]:
        """The part of ``packed`` that `limit_blocks` sets: limit and w at the first point of each block, (blocks, 2)."""
        return self.packed[1::BLOCK, 2:]


@dataclasses.dataclass(frozen=True)
class Merged:
    """A table before its radii, which alone depend on how far a view reaches.

    Parameters
    ----------
    packed : ndarray of uint32, (entries, 8 or 24)
        As in `Table`, with no radius in it.
    offsets : list of int
        First entry of each level, and the end.
    single : ndarray of float64, (steps,)
        Base-2 logarithm of each step's own radius.
    sizes : list of pair of ndarray of float64
        For each halving: base-2 logarithms of |A| and |B| of the first of two that are merged.
    fine : bool
        For refine.wgsl.
    serial : int
        Names it, for those who keep a copy.
    """

    packed: NDArray[np.uint32]
    offsets: list[int]
    single: NDArray[np.float64]
    sizes: list[tuple[NDArray[np.float64], NDArray[np.float64]]]
    fine: bool
    serial: int = dataclasses.field(default_factory=lambda: next(_serial))


@dataclasses.dataclass(frozen=True)
class Table:
    """Bilinear approximations over 2**level steps, level by level from FIRST_LEVEL.

    Parameters
    ----------
    packed : ndarray of uint32, (entries, 8 or 24)
        As perturb.wgsl reads them, or refine.wgsl. It may have more levels than ``offsets``: those have no radius.
    offsets : list of int
        First entry of each level, and the end.
    highest : int
        Largest radius exponent.
    base : int
        Serial of the `Merged` that it comes from.
    serial : int
        Names it, for those who keep a copy.
    """

    packed: NDArray[np.uint32]
    offsets: list[int]
    highest: int
    base: int
    serial: int = dataclasses.field(default_factory=lambda: next(_serial))

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.offsets) - 1

    @property
    def radii(self) -> NDArray[np.uint32]:
        """The part of ``packed`` that depends on the reach, (entries,)."""
        return self.packed[:, _RADIUS[self.packed.shape[1] > 8]]


def pack_reference(orbit: Orbit, critical: Orbit | None = None) -> Reference:
    """Lay out a reference for the shader.

    Parameters
    ----------
    orbit : Orbit
        The reference point's orbit.
    critical : Orbit, optional
        For a Julia set: the orbit of 0 under the same map, which pixels rebase to.

    Returns
    -------
    Reference
        With the critical orbit first, when there are two, and the other one where a table entry begins.
    """
    if critical is None:
        scaled = _scaled(orbit)
        ends = [len(orbit.values) - 1]
        start = 1
        near = dict(orbit.near)
    else:
        first = _scaled(critical)
        gap = (1 - len(first.exponent)) % BLOCK
        filler = Scaled(np.ones(gap, np.complex128), np.zeros(gap, np.int64))
        start = len(first.exponent) + gap
        parts = [first, filler, _scaled(orbit)]
        scaled = Scaled(np.concatenate([p.mantissa for p in parts]), np.concatenate([p.exponent for p in parts]))
        ends = [*range(len(critical.values) - 1, start), len(scaled.exponent) - 1]
        near = {**critical.near, **{start + index: value for index, value in orbit.near.items()}}
    size = np.exp2(scaled.log2().clip(-1000, 10))
    # |Z|**(power - 1) is at least 2**-24 of the others: f32 multiplies a delta by it without underflow.
    shown = scaled.exponent >= math.ceil(-23 / (orbit.power - 1))
    exponent = np.where(shown | (scaled.exponent <= _NOTHING), 0, scaled.exponent)
    values = 2 * scaled.mantissa * np.where(shown, np.exp2(np.maximum(scaled.exponent, -30).astype(np.float64)), 1.0)
    limit = np.where(shown, np.maximum(np.minimum(0.5 * size, 2.0 - size) * 0.999, 0.0), 0.0)
    mark = np.zeros(len(size))
    for index, (mantissa, power) in near.items():
        mark[index], exponent[index] = -1 - 0.5 * mantissa, NEAR_MARK + power
    mark[ends], exponent[ends] = END, 0
    limit[mark < 0] = 0
    packed = np.zeros((len(size) + BLOCK, 4), np.float32)
    packed[: len(size)] = np.stack([values.real, values.imag, mark, exponent], axis=1)
    hot = np.full(((len(size) // BLOCK + 3) * BLOCK, 2), MARKED, np.float32)
    hot[BLOCK - 1 : len(size) + BLOCK - 1] = np.where(
        ((mark < 0) | (exponent != 0))[:, None], np.float32(MARKED), packed[: len(size), :2]
    )
    steps = np.ones(len(size), bool)
    steps[ends] = False
    return Reference(packed, hot, limit, scaled, steps, near, start)


def limit_blocks(reference: Reference, power: int, log2_dc: float) -> Reference:
    """Find how large delta may be at the start of a block for none of its steps to need a test.

    Parameters
    ----------
    reference : Reference
        As packed.
    power : int
        Exponent of the map.
    log2_dc : float
        As in `build_table`.

    Returns
    -------
    Reference
        With these limits in ``packed``.

    Notes
    -----
    From the block's end back: ``|delta'| <= p (|Z| + |delta|)**(p - 1) |delta| + |dc|`` must be under the limit that follows.
    For w the limit of each point is 2**-24 ``|Z|``: half of the last place of 2 Z, so that f32 rounds 2 Z + delta to 2 Z, in its larger part at least.
    """
    size = np.exp2(reference.points.log2().clip(-1000, 10))
    limits = _at_starts(reference.limit, size, power, log2_dc)
    faint = _at_starts(np.minimum(reference.limit, 2.0**-24 * size), size, power, log2_dc)
    packed = reference.packed.copy()
    starts = packed[1 : 1 + len(limits) * BLOCK : BLOCK]
    # The shader compares max(|re|, |im|).
    limits, faint = (math.sqrt(0.5) * these[: len(starts)] for these in (limits, faint))
    # Elsewhere w is the exponent of a tiny Z, or a mark.
    plain = (starts[:, 2] >= 0) & (starts[:, 3] >= 0) & (starts[:, 3] < 1)
    starts[:, 2] = np.where(starts[:, 2] < 0, starts[:, 2], limits)
    starts[:, 3] = np.where(plain, faint, starts[:, 3])
    return dataclasses.replace(reference, packed=packed, serial=next(_serial))


def _at_starts(
    limit: NDArray[np.float64], size: NDArray[np.float64], power: int, log2_dc: float
) -> NDArray[np.float64]:
    """Return how large delta may be at the start of each block for it to stay under the limit of each point in it."""
    blocks = -(-len(limit) // BLOCK)
    limit, size = (np.pad(these[1:], (0, blocks * BLOCK - len(these) + 1)) for these in (limit, size))
    dc = 2.0**log2_dc if log2_dc > -1000 else 0.0
    least = np.full(blocks, 1e30)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for at in range(BLOCK - 1, -1, -1):
            here, z = limit[at::BLOCK], size[at::BLOCK]
            left = np.maximum(least - dc, 0.0)
            most = np.fmin(here, left / (power * z ** (power - 1)))
            least = np.fmin(here, left / (power * (z + most) ** (power - 1)))
    return least


def merge_steps(reference: Reference, power: int, *, fine: bool = False) -> Merged:
    """Merge single steps into longer and longer ones.

    Parameters
    ----------
    reference : Reference
        The orbit.
    power : int
        Exponent of the map.
    fine : bool
        For refine.wgsl: 56-bit coefficients, and radii for an error that is as small.

    Returns
    -------
    Merged
        All that does not depend on the view.
    """
    error_log2 = FINE_ERROR_LOG2 if fine else ERROR_LOG2
    pack = _pack_fine if fine else _pack
    z = reference.points[slice(1, None)]
    a = z
    for _ in range(power - 2):
        a = a * z
    a = Scaled.of(a.mantissa * power, a.exponent)
    b = Scaled.of(np.ones(len(z.exponent), np.complex128))
    single = np.where(reference.steps[1:], z.log2() + error_log2 + 1 - math.log2(power - 1), -np.inf)
    # A step that may be the one that escapes is not skipped.
    single[[index - 1 for index in reference.near if index]] = -np.inf
    blocks: list[NDArray[Any]] = []
    sizes: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    offsets = [0]
    for level in range(1, FIRST_LEVEL + MAX_LEVELS):
        pairs = len(a.exponent) // 2
        if pairs == 0:
            break
        x, y = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
        sizes.append((a[x].log2(), b[x].log2()))
        b = a[y] * b[x] + b[y]
        a = a[y] * a[x]
        if level >= FIRST_LEVEL:
            blocks.append(pack(a, b))
            offsets.append(offsets[-1] + pairs)
    packed = np.concatenate(blocks) if blocks else np.zeros((1, 24 if fine else 8), np.uint32)
    return Merged(packed, offsets, single, sizes, fine)


def table_of(merged: Merged, log2_dc: float) -> Table:
    """Give merged steps their radii.

    Parameters
    ----------
    merged : Merged
        The steps.
    log2_dc : float
        Base-2 logarithm of the largest distance of a pixel from the reference point; -inf for a Julia set.

    Returns
    -------
    Table
        Without levels when no entry of the first level has a radius.

    Notes
    -----
    One step is ``A = p Z**(p-1)``, ``B = 1``, good while ``|delta| < 2 eps |Z| / (p - 1)``. Two steps x, then y, merge to
    ``A = Ay Ax``, ``B = Ay Bx + By``, good while ``|delta| < min(Rx, (Ry - |Bx| |dc|) / |Ax|)``.
    """
    radius = merged.single
    packed = merged.packed.copy()
    column = packed[:, _RADIUS[merged.fine]]
    column[:] = np.int32(_NEVER).view(np.uint32)
    offsets, highest = [0], _NOTHING
    for level, (a, b) in enumerate(merged.sizes, 1):
        x, y = slice(0, 2 * len(a), 2), slice(1, 2 * len(a), 2)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if log2_dc > -math.inf:
                lost = np.exp2(np.minimum(b + log2_dc - radius[y], 1.0))
                left = np.where(lost < 1, radius[y] + np.log2(1 - np.minimum(lost, 1)) - a, -np.inf)
            else:
                left = radius[y] - a
        radius = np.fmin(radius[x], np.where(np.isnan(left), -np.inf, left))
        if level < FIRST_LEVEL:
            continue
        if not np.isfinite(radius).any():
            break
        # The shader compares the exponent of max(|re|, |im|), which may be sqrt(2) short of |delta|.
        whole = np.where(np.isfinite(radius), np.floor(radius - 0.5), _NEVER).astype(np.int32)
        highest = max(highest, int(whole.max()))
        column[offsets[-1] : offsets[-1] + len(whole)] = whole.view(np.uint32)
        offsets.append(offsets[-1] + len(whole))
    return Table(packed, offsets, highest, merged.serial)


def build_table(reference: Reference, power: int, log2_dc: float, *, fine: bool = False) -> Table:
    """`merge_steps`, then `table_of`."""
    return table_of(merge_steps(reference, power, fine=fine), log2_dc)


def _pack(a: Scaled, b: Scaled) -> NDArray[np.uint32]:
    packed = np.zeros((len(a.exponent), 8), np.uint32)
    for column, part in ((0, a), (4, b)):
        packed[:, column] = part.mantissa.real.astype(np.float32).view(np.uint32)
        packed[:, column + 1] = part.mantissa.imag.astype(np.float32).view(np.uint32)
        packed[:, column + 2] = part.exponent.astype(np.int32).view(np.uint32)
    return packed


def _pack_fine(a: Scaled, b: Scaled) -> NDArray[np.uint32]:
    return np.concatenate([limbs(a), limbs(b)], axis=1).view(np.uint32)


def limbs(numbers: Scaled, last: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
    """Write numbers as refine.wgsl reads them.

    Parameters
    ----------
    numbers : Scaled
        n numbers.
    last : ndarray of int32, (n,), optional
        The mark; 0 when left out.

    Returns
    -------
    ndarray of int32, (n, 12)
        (a.re, a.im, b.re, b.im, c.re, c.im, d.re, d.im, exponent, mark, 0, 0): the value is
        (a 2**-14 + b 2**-28 + c 2**-42 + d 2**-56) 2**exponent, with b, c and d from -2**13 to 2**13.
    """
    packed = np.zeros((len(numbers.exponent), 12), np.int32)
    for column, part in enumerate((numbers.mantissa.real, numbers.mantissa.imag)):
        rest = np.rint(part * 2.0**56).astype(np.int64)
        for limb in (6, 4, 2):
            low = ((rest + 8192) & 16383) - 8192
            packed[:, limb + column] = low
            rest = (rest - low) >> 14
        packed[:, column] = rest
    packed[:, 8] = np.maximum(numbers.exponent, LIMB_NOTHING)
    if last is not None:
        packed[:, 9] = last
    return packed


def fine_reference(reference: Reference) -> NDArray[np.int32]:
    """Write a reference as refine.wgsl reads it: 2 Z and its mark, (points, 12)."""
    twice = Scaled(reference.points.mantissa, reference.points.exponent + 1)
    packed = limbs(twice, (~reference.steps).astype(np.int32))
    for index, (mantissa, exponent) in reference.near.items():
        packed[index, 9:] = 2 | packed[index, 9], int(np.float32(mantissa).view(np.int32)), max(exponent, LIMB_NOTHING)
    return packed


def _scaled(orbit: Orbit) -> Scaled:
    scaled = Scaled.of(orbit.values)
    for index, (mantissa, exponent) in orbit.tiny.items():
        scaled.mantissa[index] = mantissa
        scaled.exponent[index] = exponent
    return scaled
