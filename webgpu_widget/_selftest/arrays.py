"""The array shaders against their twins: scans, sorting, searching, scattering, random bits and factorisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from webgpu_widget import linalg, xp
from webgpu_widget._selftest.case import Area, Bench, differing, units
from webgpu_widget.arrays.fourier.plan import stages
from webgpu_widget.arrays.lazy import places, search
from webgpu_widget.arrays.lazy.node import node_of
from webgpu_widget.arrays.lazy.runtime import runtime_of
from webgpu_widget.arrays.lazy.statistics import scan
from webgpu_widget.kernels import relayout
from webgpu_widget.kernels.bind import repack
from webgpu_widget.linalg import _factor, _solve
from webgpu_widget.link.protocol import TypeInfo
from webgpu_widget.reference import array as twin

__all__ = ["AREA"]

AREA = Area("arrays")
EPS = float(np.finfo(np.float32).eps)
ROUNDINGS = 16
"""A sum of 1,009 in parts of 31 has chains of sixty; chance leaves a tenth of it."""
SIZES = (1, 63, 64, 65, 1009)
SIDES = (1, 31, 32, 33, 47)


@AREA.case("array/scan", "roundings", ROUNDINGS, size=SIZES)
def running_sums(bench: Bench, size: int) -> float:
    """A rounding is that of the sum of the terms' sizes so far."""
    x = bench.rng.normal(size=(2, size, 3)).astype(np.float32)
    found = bench.read(scan(runtime_of(bench.device), bench.node(x), 1, "sum"))
    return units(found, x.astype(np.float64).cumsum(1), EPS * np.abs(x).astype(np.float64).cumsum(1))


@AREA.case("array/scan", "elements", 0, size=SIZES)
def running_products(bench: Bench, size: int) -> float:
    """Integers modulo 2**32."""
    x = bench.rng.integers(-3, 4, (size, 2)).astype(np.int32)
    x[x == 0] = 1
    found = bench.read(scan(runtime_of(bench.device), bench.node(x), 0, "prod"))
    return differing(found, twin.scan(x, 0, product=True))


@AREA.case("array/merge", "elements", 0, size=SIZES)
def sorting(bench: Bench, size: int) -> float:
    """Keys and where they came from, equal ones in their order."""
    keys = bench.rng.integers(0, 20, (3, size)).astype(np.uint32)
    found, index = (bench.read(node) for node in search.sort_keys(runtime_of(bench.device), bench.node(keys)))
    wanted, places = keys.copy(), np.tile(np.arange(size, dtype=np.uint32), (3, 1))
    width = 1
    while width < size:
        wanted, places = twin.merge(wanted, places, width)
        width *= 2
    return differing(found, wanted) + differing(index, places)


@AREA.case("array/search", "elements", 0, size=SIZES, side=("left", "right"))
def searching(bench: Bench, size: int, side: Any) -> float:
    """Where values belong among ascending keys, equal ones among them."""
    keys = np.sort(bench.rng.integers(0, 30, size)).astype(np.uint32)
    wanted = bench.rng.integers(0, 40, 2 * size + 1).astype(np.uint32)
    found = xp.searchsorted(bench.gpu.array(keys), bench.gpu.array(wanted), side=side).numpy()
    return differing(found, twin.search(keys, wanted, right=side == "right"))


@AREA.case("array/compress", "elements", 0, size=SIZES)
def compressing(bench: Bench, size: int) -> float:
    """Indices of what is true."""
    mask = bench.rng.random(size) < 0.5
    return differing(bench.read(places.flat_nonzero(bench.gpu.array(mask))), twin.compress(mask))


@AREA.case("array/scatter", "elements", 0, size=SIZES)
def scattering(bench: Bench, size: int) -> float:
    """Values put into places, several into one: the last stays."""
    place = bench.rng.integers(0, size, 3 * size).astype(np.int32)
    value = bench.rng.normal(size=3 * size).astype(np.float32)
    y = bench.gpu.zeros(size)
    y[bench.gpu.array(place)] = bench.gpu.array(value)
    return differing(y.numpy(), twin.scatter(np.zeros(size, np.float32), place, value))


@AREA.case("array/philox", "elements", 0, size=(*SIZES, 1023), seed=(0, -1, 2**40 + 3))
def random_bits(bench: Bench, size: int, seed: int) -> float:
    """The same bits on every adapter."""
    return differing(xp.random.bits(size, seed, device=bench.gpu).numpy(), twin.philox(size, seed))


@AREA.case("array/product", "elements", 0, dtype=(np.int32, np.uint32), shape=((1, 1, 1), (4, 1, 4), (7, 13, 9)))
def integer_products(bench: Bench, dtype: Any, shape: tuple[int, int, int]) -> float:
    """Modulo 2**32."""
    m, n, k = shape
    a = bench.rng.integers(0, 2**31, (2, m, k)).astype(dtype)
    b = bench.rng.integers(0, 2**31, (k, n)).astype(dtype)
    return differing((bench.gpu.array(a) @ bench.gpu.array(b)).numpy(), twin.product(a, b))


@AREA.case("array/repack", "elements", 0, count=SIZES)
def padded_elements(bench: Bench, count: int) -> float:
    """Matrices of two columns of three, which WGSL pads to four, from NumPy's tight order and back; the padding stays."""
    tight, padded = (bench.rng.integers(0, 2**32, (count, size), np.uint32) for size in (6, 8))
    matrix: TypeInfo = {"type": "matrix", "elem": "f32", "columns": 2, "rows": 3, "size": 32, "align": 16}
    kind: TypeInfo = {"type": "array", "elem": matrix, "count": 0, "stride": 32, "size": 32, "align": 16}
    first, second = bench.gpu.array(tight), bench.gpu.array(padded)
    buffers = first._buffer(), second._buffer_for_writing()
    repack(bench.device, kind, *buffers, count, "m", padded_first=False)
    by_rows, by_columns = (6, 2, 1), (8, 1, 4)
    wanted = twin.repack(tight.ravel(), padded.ravel(), (count, 3, 2), by_rows, by_columns)
    wrong = differing(second.numpy().ravel(), wanted)
    emptied = bench.gpu.array(np.zeros_like(tight))
    repack(bench.device, kind, second._buffer(), emptied._buffer_for_writing(), count, "m", padded_first=True)
    return wrong + differing(emptied.numpy(), tight)


@AREA.case("array/relayout", "elements", 0, count=SIZES)
def moved_records(bench: Bench, count: int) -> float:
    """Records of fourteen halves of a word to records of twelve, of which some stay as they are."""
    source = bench.rng.integers(0, 2**16, (count, 14)).astype(np.uint16)
    target = bench.rng.integers(0, 2**16, (count, 12)).astype(np.uint16)
    places = np.where(bench.rng.random(12) < 0.25, relayout.KEEP, bench.rng.integers(0, 14, 12)).astype(np.uint32)
    words, found = (bench.gpu.array(part.view(np.uint32)) for part in (source, target))
    relayout.move(bench.device, words._buffer(), 28, found._buffer_for_writing(), places, count)
    return differing(found.numpy().view(np.uint16), twin.relayout(source, places, target))


# ------------------------------------------------------------ factorisations: residuals, in roundings of the largest element


@AREA.case("array/lu", "roundings a row", 8, side=SIDES)
def pivoting(bench: Bench, side: int) -> float:
    """``P a = L U`` with no element of L above 1; and the twin's factors, where a tie has not made another pivot."""
    a = bench.rng.normal(size=(side, side)).astype(np.float32)
    found, pivots = (bench.read(node) for node in _solve.decompose(runtime_of(bench.device), bench.node(a)))
    exact = found.astype(np.float64)
    low, high = np.tril(exact, -1) + np.eye(side), np.triu(exact)
    moved = a.astype(np.float64)
    for row, other in enumerate(pivots.tolist()):
        moved[[row, other]] = moved[[other, row]]
    wanted, places = twin.lu(a.astype(np.float64))
    if np.abs(low).max() > 1 + 4 * EPS:
        return np.inf
    residual = float(np.abs(low @ high - moved).max() / (EPS * side * np.abs(a).max()))
    if (pivots != places).any():
        return residual
    # Rounding in a factor grows with the condition of what it is divided by; the residual does not.
    return max(residual, units(found, wanted, 64 * EPS * side * np.linalg.cond(a.astype(np.float64))))


@AREA.case("array/triangular", "roundings a row", 4, side=SIDES, lower=(True, False), unit=(False, True))
def substitution(bench: Bench, side: int, lower: bool, unit: bool) -> float:
    """``a x = b``, from the first row or from the last."""
    rng, runtime = bench.rng, runtime_of(bench.device)
    low = np.tril(rng.normal(size=(side, side))) / 8 + 4 * np.sqrt(side) * np.eye(side)
    matrix = np.ascontiguousarray(low if lower else low.T, np.float32)
    b = rng.normal(size=(side, 3)).astype(np.float32)
    x = bench.gpu.array(b) * 1
    runtime.materialise(node_of(x))
    _solve.triangular(runtime, bench.node(matrix), node_of(x), lower=lower, unit=unit)
    wanted = twin.triangular(matrix.astype(np.float64), b.astype(np.float64), lower=lower, unit=unit)
    return units(x.numpy(), wanted, EPS * side * np.abs(wanted).max())


@AREA.case("array/cholesky", "roundings a row", 4, side=SIDES)
def square_roots(bench: Bench, side: int) -> float:
    """``a = L L.T``."""
    low = np.tril(bench.rng.normal(size=(side, side))) + 4 * np.sqrt(side) * np.eye(side)
    a = (low @ low.T).astype(np.float32)
    wanted = twin.cholesky(a.astype(np.float64))
    return units(linalg.cholesky(bench.gpu.array(a)).numpy(), wanted, EPS * side * np.abs(wanted).max())


@AREA.case("array/householder", "roundings a row", 4, shape=((1, 1), (7, 5), (5, 7), (40, 33)))
def reflections(bench: Bench, shape: tuple[int, int]) -> float:
    """``a = Q R`` by reflections; Q is orthogonal."""
    a = bench.rng.normal(size=shape).astype(np.float32)
    q, r = (part.numpy().astype(np.float64) for part in linalg.qr(bench.gpu.array(a)))
    room = EPS * max(shape)
    lost = np.abs(q.T @ q - np.eye(q.shape[1])).max() / room
    if np.abs(np.tril(r, -1)).max(initial=0.0) > 0:
        return np.inf
    return float(max(lost, np.abs(q @ r - a).max() / (room * np.abs(a).max())))


@AREA.case("array/householder", "roundings a row", 4, shape=((1, 1), (7, 5), (5, 7)))
def reflectors(bench: Bench, shape: tuple[int, int]) -> float:
    """The twin's vectors and factors."""
    a = bench.rng.normal(size=shape).astype(np.float32)
    found, factor = (bench.read(node) for node in _factor._reflections(runtime_of(bench.device), bench.node(a)))
    wanted, factors = twin.householder(a.astype(np.float64))
    size = 32 * EPS * max(1.0, np.abs(wanted).max())
    return max(units(found, wanted, size), units(factor, factors, size))


@AREA.case("array/jacobi", "roundings a row", 8, side=(2, 3, 8, 13, 33))
def eigenvalues(bench: Bench, side: int) -> float:
    """Of a symmetric matrix, with orthogonal vectors."""
    m = bench.rng.normal(size=(side, side))
    a = (m + m.T).astype(np.float32)
    values, vectors = (part.numpy().astype(np.float64) for part in linalg.eigh(bench.gpu.array(a)))
    diagonal, _ = twin.jacobi(a.astype(np.float64), 12)
    wanted = np.sort(np.diag(diagonal))
    room = EPS * side
    lost = np.abs(vectors.T @ vectors - np.eye(side)).max() / room
    residual = np.abs(a @ vectors - vectors * values).max() / (room * np.abs(wanted).max())
    return float(max(lost, residual, units(values, wanted, room * np.abs(wanted).max())))


@AREA.case("array/jacobi", "roundings a row", 8, shape=((5, 3), (3, 7), (20, 20)))
def singular_values(bench: Bench, shape: tuple[int, int]) -> float:
    """The product of the three factors."""
    a = bench.rng.normal(size=shape).astype(np.float32)
    u, s, vh = (part.numpy().astype(np.float64) for part in linalg.svd(bench.gpu.array(a), full_matrices=False))
    return float(np.abs(u * s @ vh - a).max() / (EPS * max(shape) * np.linalg.norm(a.astype(np.float64), 2)))


LENGTHS = (1, 2, 7, 16, 60, 1000, 1024, 2187, 8192)


def _off(found: Any, wanted: Any, points: int) -> float:
    """The relative error in the L2 norm, in the error that is allowed: 1.5e-7 for each doubling."""
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted) / (1.5e-7 * max(1.0, np.log2(points))))


@AREA.case("generated/fourier, complex", "of the bound", 1, points=LENGTHS)
def fourier(bench: Bench, points: int) -> float:
    """Both directions, along a contiguous axis and across."""
    x = (bench.rng.normal(size=(3, points)) + 1j * bench.rng.normal(size=(3, points))).astype(np.complex64)
    a = bench.gpu.array(x)
    lengths = stages(points)
    wanted = twin.fourier(x, lengths)
    there = _off(xp.fft.fft(a).numpy(), wanted, points)
    across = _off(xp.fft.fft(a.T, axis=0).numpy(), wanted.T, points)
    back = _off(xp.fft.ifft(a).numpy(), twin.fourier(x.conj(), lengths).conj() / points, points)
    return max(there, across, back)


@AREA.case("generated/fourier, real", "of the bound", 1, points=LENGTHS)
def fourier_of_real_numbers(bench: Bench, points: int) -> float:
    """Half a spectrum, and the numbers of half a one."""
    x = bench.rng.normal(size=(3, points)).astype(np.float32)
    half = twin.fourier(x, stages(points))[:, : points // 2 + 1]
    there = _off(xp.fft.rfft(bench.gpu.array(x)).numpy(), half, points)
    back = _off(xp.fft.irfft(bench.gpu.array(half.astype(np.complex64)), n=points).numpy(), x, points)
    return max(there, back)


@AREA.case("generated/fourier, any length", "of the bound", 1, points=(17, 1009))
def fourier_of_prime_lengths(bench: Bench, points: int) -> float:
    """By the convolution with a chirp."""
    x = (bench.rng.normal(size=(3, points)) + 1j * bench.rng.normal(size=(3, points))).astype(np.complex64)
    found = xp.fft.fft(bench.gpu.array(x)).numpy()
    return _off(found, twin.fourier(x, (points,)), points)
