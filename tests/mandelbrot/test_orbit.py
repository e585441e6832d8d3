"""Reference orbits and what is made of them, against exact iteration."""

from __future__ import annotations

import math
import time

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpfr, mpq
from numpy.typing import NDArray

from webgpu_widget.mandelbrot import landmarks, make_view, work
from webgpu_widget.mandelbrot.bla import (
    BLOCK,
    Reference,
    Scaled,
    build_table,
    fine_reference,
    limbs,
    limit_blocks,
    pack_reference,
)
from webgpu_widget.mandelbrot.numbers import exact_point
from webgpu_widget.mandelbrot.orbit import OrbitCache, compute_orbit
from webgpu_widget.mandelbrot.points import copy_size, cycle_point, find_period, nucleus

pytestmark = pytest.mark.no_adapter

SEAHORSE = exact_point(("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"), "c")


@pytest.mark.parametrize("power", [2, 3, 4, 5])
def test_an_orbit_is_the_exact_one_rounded(power: int) -> None:
    point = mpq(-1, 10), mpq(1, 8)
    orbit = compute_orbit(point, 200, 200, power)
    re = im = mpq(0)
    with gmpy2.context(precision=400):
        z, c = gmpy2.mpc(0), gmpy2.mpc(mpfr(point[0]), mpfr(point[1]))
        for value in orbit.values:
            assert value == pytest.approx(complex(z), rel=1e-15, abs=1e-300)
            z = z**power + c
    assert (re, im) == (0, 0)
    assert len(orbit.values) == 201
    assert not orbit.escaped


def test_an_escaping_orbit_ends_with_its_first_point_outside() -> None:
    orbit = compute_orbit((mpq(1, 2), mpq(1, 2)), 1000, 100)
    assert orbit.escaped
    assert abs(orbit.values[-1]) > 2
    assert (np.abs(orbit.values[:-1]) <= 2).all()


def test_extended_is_as_computed_at_once() -> None:
    whole = compute_orbit(SEAHORSE, 30_000, 160)
    part = compute_orbit(SEAHORSE, 100, 160)
    part.extend(30_000)
    assert np.array_equal(whole.values, part.values)


def test_small_points_keep_their_exponent() -> None:
    view = landmarks()["Copy, 1e-300"]
    orbit = compute_orbit(view.point, 9_000, view.precision)
    period = find_period(view.point, -301 * math.log2(10), 10_000)
    mantissa, exponent = orbit.tiny[period]
    assert 0.5 <= max(abs(mantissa.real), abs(mantissa.imag)) < 1
    assert exponent < -400, "the centre of a copy comes back to nearly 0 after its period"


def test_a_hundred_thousand_steps_at_1e_minus_300_take_under_a_second() -> None:
    view = landmarks()["Copy, 1e-300"].replace(max_iter=100_000)
    cache = OrbitCache()
    begun = time.process_time()
    orbit = cache.get(view)
    took = time.process_time() - begun
    assert len(orbit.values) == 100_001
    assert took < 1, f"{took:.2f} s of processor time"


def test_the_cache_serves_neighbours_and_deeper_counts_and_nothing_else() -> None:
    cache = OrbitCache(capacity=2)
    view = make_view(SEAHORSE, "1e-20", (100, 100), 500)
    first = cache.get(view)
    assert cache.get(view.replace(center=(view.pixel(90, 5)))) is first
    assert cache.get(view.replace(max_iter=900)) is first
    assert len(first.values) == 901
    assert cache.computed == 1
    assert cache.get(view.replace(width="1e-60")) is not first, "it has not the bits"
    assert cache.get(view.replace(power=3)) is not first
    assert cache.computed == 3
    assert cache.get(view) is not first, "only two are kept"
    far = SEAHORSE[0] + mpq(1, 10**10), SEAHORSE[1]
    assert cache.get(view.replace(center=far)).point == exact_point(view.replace(center=far).center, "c")


def test_an_orbit_can_be_given_up() -> None:
    calls = []

    def stop(done: int, wanted: int) -> None:
        calls.append((done, wanted))
        raise KeyboardInterrupt

    cache = OrbitCache()
    with pytest.raises(KeyboardInterrupt):
        cache.get(make_view(SEAHORSE, "1e-20", (10, 10), 100_000), proceed=stop)
    assert calls == [(20_000, 100_000)]
    assert len(cache.get(make_view(SEAHORSE, "1e-20", (10, 10), 1000)).values) == 1001


def test_scaled_numbers_beyond_doubles() -> None:
    a = Scaled.of(np.array([3 + 4j, 0, 1e-300]), np.array([-5000, 7, -100]))
    product = a * a
    assert product.mantissa[0] * 2.0 ** float(product.exponent[0] + 10000) == pytest.approx((3 + 4j) ** 2)
    assert product.mantissa[1] == 0
    total = a + Scaled.of(np.array([1j, 2, 1e-300]), np.array([-5000, 0, -100]))
    assert total.mantissa[0] * 2.0 ** float(total.exponent[0] + 5000) == pytest.approx(3 + 5j)
    assert total.log2()[1] == 1
    assert np.isneginf(a.log2()[1])


def test_limbs_hold_56_bits() -> None:
    rng = np.random.default_rng(3)
    numbers = Scaled.of(rng.uniform(-1, 1, 100) + 1j * rng.uniform(-1, 1, 100), rng.integers(-3000, 10, 100))
    rows = limbs(numbers).astype(np.float64)
    for part, values in enumerate((numbers.mantissa.real, numbers.mantissa.imag)):
        total = sum(rows[:, 2 * k + part] * 2.0 ** (-14 * (k + 1)) for k in range(4))
        assert np.abs(total - values).max() <= 2.0**-53
        assert np.abs(rows[:, 2 + part : 8 : 2]).max() <= 8192
    assert np.array_equal(rows[:, 8], numbers.exponent)


@pytest.mark.parametrize(("power", "error"), [(2, 1e-6), (3, 1e-6)])
def test_a_table_entry_does_what_its_steps_do(power: int, error: float) -> None:
    point = SEAHORSE if power == 2 else (mpq(-1, 10), mpq(3, 4))
    orbit = compute_orbit(point, 700, 200, power)
    reference = pack_reference(orbit)
    table = build_table(reference, power, -100.0)
    assert table.levels > 2
    words = table.packed
    for level in range(table.levels):
        for k in range(min(3, table.offsets[level + 1] - table.offsets[level])):
            entry = words[table.offsets[level] + k]
            radius = int(entry[3].view(np.int32))
            if radius < -(2**29):
                continue
            a = complex(*entry[:2].view(np.float32)) * mpq(2) ** int(entry[2].view(np.int32))
            b = complex(*entry[4:6].view(np.float32)) * mpq(2) ** int(entry[6].view(np.int32))
            m, steps = 1 + k * (BLOCK << level), BLOCK << level
            dc = 2.0**-101
            with gmpy2.context(precision=300):
                delta = gmpy2.mpc(0.6, 0.7) * mpfr(2) ** (radius - 1)
                wanted = delta
                for z in orbit.values[m : m + steps]:
                    wanted = (gmpy2.mpc(z) + wanted) ** power - gmpy2.mpc(z) ** power + dc
                got = gmpy2.mpc(a) * delta + gmpy2.mpc(b) * dc
                assert abs(got - wanted) < error * steps * abs(wanted)


def test_fine_references_mark_the_end() -> None:
    reference = pack_reference(compute_orbit((mpq(1, 2), mpq(1, 2)), 100, 100))
    rows = fine_reference(reference)
    assert rows[-1, 9] == 1
    assert not rows[:-1, 9].any()
    assert reference.packed[len(rows) - 1, 2] < 0


def test_points_are_found_by_newton() -> None:
    center = nucleus(exact_point(-1.75 + 0j, "c"), 3, -400)
    with gmpy2.context(precision=500):
        c = mpfr(center[0])
        assert abs((c * c + c) ** 2 + c) < mpfr(2) ** -420
    assert find_period(exact_point(-1.7549 + 0j, "c"), -12, 100) == 3
    unit, scale = copy_size(center, 3, -20)
    assert unit == pytest.approx(1, abs=1e-9)
    assert 2**scale == pytest.approx(0.019035515913132, rel=1e-6)
    tip = cycle_point(exact_point(-0.1011 + 0.9563j, "c"), 4, 1, -300)
    assert complex(float(tip[0]), float(tip[1])) == pytest.approx(-0.10109636384562216 + 0.9562865108091415j, abs=1e-15)


def limited(power: int, width: str, log2_dc: float) -> tuple[np.random.Generator, Reference, NDArray[np.complex128]]:
    """A reference with block limits, its points, and dice whose seed is printed."""
    seed = int(np.random.default_rng().integers(2**32))
    print("seed", seed)
    random = np.random.default_rng(seed)
    center = ("-0.743643887037158704", "0.131825904205311970") if power == 2 else ("0.2", "0.3")
    view = make_view(center, width, (64, 48), 1500, power)
    reference = limit_blocks(pack_reference(OrbitCache().get(view)), power, log2_dc)
    z = reference.points.mantissa * np.exp2(reference.points.exponent.clip(-1000).astype(float))
    return random, reference, z


@pytest.mark.parametrize("power", [2, 3])
def test_under_a_block_limit_no_step_needs_a_test(power: int) -> None:
    random, reference, z = limited(power, "1e-9", -30.0)
    tried = 0
    for first in range(1, len(z) - BLOCK, BLOCK):
        limit = float(reference.packed[first, 2])
        if limit <= 0:
            continue
        tried += 1
        angle, other = np.exp(2j * np.pi * random.random((2, 200)))
        # The limit is for the larger part, so |delta| is up to sqrt(2) of it.
        delta, dc = math.sqrt(2) * limit * angle * random.random(200) ** 0.1, 2.0**-30 * other
        for m in range(first, first + BLOCK):
            here = z[m] + delta
            assert (np.abs(here) >= np.abs(delta)).all(), "a rebase was due"
            assert (np.abs(here) <= 2).all(), "an escape was missed"
            delta = here**power - z[m] ** power + dc
    assert tried > 10


@pytest.mark.parametrize("power", [2, 3, 5])
def test_under_a_faint_limit_f32_does_not_see_delta_beside_z(power: int) -> None:
    random, reference, z = limited(power, "1e-20", -67.0)
    assert np.array_equal(reference.limits, reference.packed[1::BLOCK, 2:])
    tried = 0
    for first in range(1, len(z) - BLOCK, BLOCK):
        limit, faint = reference.packed[first, 2:].astype(float)
        assert faint <= max(limit, 0) or faint >= 2**19, "a limit under the other one, or a mark"
        if not 0 < faint < 1:
            continue
        tried += 1
        angle, other = np.exp(2j * np.pi * random.random((2, 200)))
        delta, dc = math.sqrt(2) * faint * angle * random.random(200) ** 0.1, 2.0**-67 * other
        for m in range(first, first + BLOCK):
            assert (np.abs(delta) <= 2.0**-24 * abs(z[m])).all()
            delta = power * z[m] ** (power - 1) * delta + dc
    assert tried > 10


def test_another_reach_merges_no_step_again(monkeypatch: pytest.MonkeyPatch) -> None:
    merged: list[int] = []
    merge = work.merge_steps
    monkeypatch.setattr(work, "merge_steps", lambda *a, **k: (merged.append(1), merge(*a, **k))[1])
    deep = make_view((0, 1), "1e-30", (100, 80), 4000)
    tables = []
    for width in ("1e-30", "1e-26", "1e-22", "1e-30"):
        prepared = work.prepare(deep.replace(width=width), "bla")
        fresh = build_table(prepared.orbit, 2, prepared.reach)
        assert prepared.table is not None
        assert np.array_equal(prepared.table.packed, fresh.packed)
        assert (prepared.table.offsets, prepared.table.highest) == (fresh.offsets, fresh.highest)
        tables.append(prepared.table)
    assert len(merged) == 1
    assert tables[3] is tables[0]
    assert not np.array_equal(tables[0].radii, tables[2].radii)
