"""Kinds of views whose counts hang on what is far under a pixel, drawn at random, against exact iteration of all their pixels."""

from __future__ import annotations

import math

import gmpy2
import numpy as np
import pytest
from exactly import copy_by_a_tip, escapes, tip_exactly
from gmpy2 import mpc, mpfr, mpq

import webgpu_widget as wg
from webgpu_widget.mandelbrot import View, make_view
from webgpu_widget.mandelbrot.lines import beside_an_axis, count_exactly
from webgpu_widget.mandelbrot.orbit import compute_orbit
from webgpu_widget.mandelbrot.render import render_tile, render_view
from webgpu_widget.mandelbrot.tile import Tile


@pytest.fixture
def draw() -> np.random.Generator:
    seed = int(np.random.default_rng().integers(2**32))
    print("seed", seed)
    return np.random.default_rng(seed)


def assert_exact(gpu: wg.GPU, view: View, *methods: str, least: float = 1.0) -> None:
    wanted = escapes(view)[0].reshape(view.size[1], view.size[0])
    for method in methods:
        made = render_view(view, gpu, method=method, timeout=120).iterations
        assert np.mean(made == wanted) >= least, (method, made, wanted)


def beyond_two(power: int, excess: int, angle: float | None, width: str) -> View:
    size = 2 + mpq(1, 10**excess)
    c = (-size, mpq(0)) if angle is None else (size * mpq(math.cos(angle)), size * mpq(math.sin(angle)))
    return make_view((0, 0), width, (9, 7), 200, power, c)


@pytest.mark.parametrize(
    ("power", "excess", "width"), [(2, 3, "1e-20"), (4, 12, "2.9"), (3, 40, "2.9"), (2, 8, "1e-40"), (5, 20, "1e-10")]
)
def test_a_julia_set_of_a_constant_beyond_two(gpu: wg.GPU, power: int, excess: int, width: str) -> None:
    """0 comes to the constant, which is on the radius itself; what is beside 0, to a little before it or beyond."""
    view = beyond_two(power, excess, None, width)
    assert_exact(gpu, view, "perturbation", "bla", *(["direct"] if width == "2.9" else []))
    # Not on the real axis: |c|**2 is no number of f32, and of no float.
    assert_exact(gpu, beyond_two(power, excess, 2.0, width), "perturbation", *(["direct"] if width == "2.9" else []))


@pytest.mark.long
def test_julia_sets_of_random_constants_beyond_two(gpu: wg.GPU, draw: np.random.Generator) -> None:
    for _ in range(3):
        power, excess = int(draw.integers(2, 4)), int(draw.integers(0, 50))
        view = beyond_two(power, excess, float(draw.uniform(0.1, 6.1)), f"1e-{draw.integers(3, 60)}")
        assert_exact(gpu, view, "bla", least=0.98)


@pytest.mark.no_adapter
def test_an_orbit_tells_its_distance_from_a_radius_beyond_two() -> None:
    c = mpq(-21, 10), mpq(1, 7)
    orbit = compute_orbit((mpq(0), mpq(0)), 40, 100, 2, c)
    assert orbit.near[1] == (0.0, 0), "the constant is on the radius"
    beside = compute_orbit((mpq(1, 10**12), mpq(0)), 40, 150, 2, c)
    square = c[0] ** 2 + c[1] ** 2
    z = c[0] + mpq(1, 10**24), c[1]
    wanted = float(square - z[0] ** 2 - z[1] ** 2)
    mantissa, exponent = beside.near[1]
    assert math.ldexp(mantissa, exponent) == pytest.approx(wanted, rel=1e-12)
    assert orbit.escaped
    assert abs(orbit.values[-1]) ** 2 >= 1.25 * float(square) > abs(orbit.values[-2]) ** 2


@pytest.mark.parametrize(("power", "period", "wider"), [(4, 258, 164), (2, 130, 40), (3, 100, 60)])
def test_the_nucleus_of_a_copy_much_smaller_than_a_pixel(gpu: wg.GPU, power: int, period: int, wider: int) -> None:
    """The middle pixel is the nucleus, which never escapes; a point as near to it as a thousandth of a pixel may."""
    center, size = copy_by_a_tip(power, period)
    view = make_view(center, 6 * size * 10**wider, (9, 7), 12 * period, power)
    assert escapes(view)[0].reshape(7, 9)[3, 4] == 12 * period
    assert_exact(gpu, view, "perturbation", "bla", least=0.98)
    made = render_view(view, gpu, timeout=120).iterations
    assert made[3, 4] == 12 * period


def of_the_middle(view: View, bits: int) -> int:
    """The count of the centre itself."""
    with gmpy2.context(precision=bits):
        z, c = (mpc(*map(mpfr, part)) for part in (view.point, view.constant or view.point))
        limit = max(mpfr(4), gmpy2.norm(c)) if view.constant else mpfr(4)
        count = 0 if view.constant else 1
        while count < view.max_iter and gmpy2.norm(z) <= limit:
            z, count = z**view.power + c, count + 1
        return count


@pytest.mark.parametrize(("power", "bits", "width"), [(3, 2000, "1e-62"), (2, 1000, "1e-20"), (5, 1500, "1e-9")])
def test_a_centre_on_a_point_that_repels_counts_with_all_its_digits(
    gpu: wg.GPU, draw: np.random.Generator, power: int, bits: int, width: str
) -> None:
    """It stays by a fixed point for as many steps as its digits tell, and leaves then, in a Julia set and at a tip of the set."""
    with gmpy2.context(precision=bits):
        c = mpc(complex(*draw.uniform(-0.7, 0.7, 2)))
        z = max((mpc(root) for root in np.roots([1, *[0] * (power - 2), -1, complex(c)])), key=abs)
        for _ in range(bits.bit_length()):
            z -= (z**power + c - z) / (power * z ** (power - 1) - 1)
        center, constant = (tuple(mpq(*part.as_integer_ratio()) for part in (n.real, n.imag)) for n in (z, c))
    julia = make_view(center, width, (7, 5), 4000, power, constant)
    tip = make_view(tip_exactly(power, bits), width, (5, 5), 4000, power)
    about_zero = make_view((0, 0), width, (5, 5), 4000, power, tip_exactly(power, bits))
    for view in (julia, tip, about_zero):
        wanted = of_the_middle(view, 4 * bits)
        for method in ("perturbation", "bla"):
            made = render_view(view, gpu, method=method, timeout=120).iterations
            assert made[view.size[1] // 2, view.size[0] // 2] == wanted, (view, method)


@pytest.mark.parametrize(("off", "row"), [("0", None), ("1e-44", 2), ("-1e-36", 2), ("1e-30", None), ("2.1e-22", None)])
def test_a_row_beside_the_real_axis_is_counted_with_all_digits_where_56_bits_do_not_tell_it_apart(
    gpu: wg.GPU, off: str, row: int | None
) -> None:
    view = make_view(("-1.745287410983661273901", off), "1e-20", (9, 5), 1500)
    wanted, distance = (plane.reshape(5, 9) for plane in escapes(view))
    made = render_view(view, gpu, timeout=120, distance=True)
    assert np.array_equal(made.iterations, wanted)
    assert made.stats.exact == (0 if row is None else 9)
    assert made.doubtful_row is None
    quick = render_view(view, gpu, timeout=120, refine=False)
    assert quick.doubtful_row == row
    assert ("row 2 doubtful" in repr(quick)) == (row is not None)
    if row is not None:
        assert np.allclose(made.distance[row], distance[row], rtol=1e-5, equal_nan=True)
        # Beside rows that are not counted so: the same function.
        plain = make_view(("-1.745287410983661273901", "3e-20"), "1e-20", (9, 5), 1500)
        counts, smooth, _ = count_exactly(plain, np.arange(45, dtype=np.uint32))
        known = render_view(plain, gpu, timeout=120)
        assert np.array_equal(counts.reshape(5, 9), known.iterations)
        assert np.allclose(smooth.reshape(5, 9), known.smooth, atol=2e-3, equal_nan=True)


def test_a_column_beside_the_imaginary_axis_of_an_odd_power(gpu: wg.GPU) -> None:
    """z**3 + c keeps it. Of the pixels beside it, all that is known is what 56 bits leave."""
    view = make_view(("1e-44", "1.0878"), "1e-20", (5, 7), 1500, 3)
    assert beside_an_axis(view) == [(1, 2)]
    assert beside_an_axis(view.replace(power=2)) == []
    assert render_view(view, gpu, timeout=120).stats.exact == 7
    assert_exact(gpu, view, "bla")


@pytest.mark.parametrize(("size", "exact"), [((9, 7), 19), ((8, 7), 7), ((8, 6), 12)])
@pytest.mark.parametrize(
    ("period", "wider"),
    [(130, 17), pytest.param(72, 30, marks=pytest.mark.long), pytest.param(130, 14, marks=pytest.mark.long)],
)
def test_a_column_and_diagonals_through_a_nucleus_on_the_real_axis(
    gpu: wg.GPU, period: int, wider: int, size: tuple[int, int], exact: int
) -> None:
    """At the middle, half a pixel and a whole one beside it, and at a corner of four pixels: there two diagonals alone come by it."""
    center, copy = copy_by_a_tip(2, period)
    width = 6 * copy * mpq(10) ** wider
    view = make_view(center, width, size, 12 * period)
    assert_exact(gpu, view, "perturbation", "bla")
    if size != (8, 7):
        assert render_view(view, gpu, timeout=120).stats.exact == exact
    beside = make_view((center[0] + width / size[0], center[1]), width, size, 12 * period)
    assert_exact(gpu, beside, "bla")


@pytest.mark.parametrize(("power", "period"), [(4, 130), (3, 130)])
def test_a_pixel_on_a_nucleus_that_is_not_the_reference(gpu: wg.GPU, power: int, period: int) -> None:
    """But for the 17 digits that the width has."""
    center, copy = copy_by_a_tip(power, period)
    width = 6 * copy * mpq(10) ** 30
    view = make_view((center[0] + width / 16, center[1]), width, (8, 7), 12 * period, power)
    assert render_view(view, gpu, timeout=120).stats.exact == 1
    assert_exact(gpu, view, "bla")


def test_a_picture_that_hangs_on_no_such_line_counts_none(gpu: wg.GPU) -> None:
    center, copy = copy_by_a_tip(2, 72)
    assert render_view(make_view(center, 6 * copy, (9, 7), 864), gpu, timeout=120).stats.exact == 0
    assert render_view(make_view(("-1.7490863748149414", 0), "1e-12", (9, 7), 2000), gpu, timeout=120).stats.exact == 0


@pytest.mark.long
def test_random_copies(gpu: wg.GPU, draw: np.random.Generator) -> None:
    for _ in range(3):
        power, period = int(draw.integers(2, 6)), int(draw.integers(40, 200))
        center, size = copy_by_a_tip(power, period)
        width = 6 * size * 10 ** int(draw.choice([0, 0, 3, 9, 15]))
        away = [mpq(float(draw.uniform(-0.4, 0.4))) * width * int(draw.integers(2)) for _ in range(2)]
        columns, rows = [(1, 1), (7, 3), (9, 7), (8, 5)][int(draw.integers(4))]
        view = make_view((center[0] + away[0], center[1] + away[1]), width, (columns, rows), 12 * period, power)
        assert_exact(gpu, view, "bla", least=0.95)
        tile = Tile(columns // 3, rows // 3, columns - columns // 3, rows - rows // 3)
        whole, part = render_view(view, gpu, timeout=120), render_tile(view, tile, gpu._device, timeout=120)
        assert np.array_equal(part.smooth, whole.smooth[tile.where], equal_nan=True)
        assert np.array_equal(part.iterations, whole.iterations[tile.where])


@pytest.mark.long
def test_julia_sets_at_random_points(gpu: wg.GPU, draw: np.random.Generator) -> None:
    for _ in range(3):
        power, deep = int(draw.integers(2, 6)), int(draw.integers(15, 200))
        constant = tip_exactly(power, 1600) if draw.integers(2) else copy_by_a_tip(power, 60)[0]
        center = (f"{draw.uniform(-3, 3):.3f}e-{deep + 1}", f"{draw.uniform(-3, 3):.3f}e-{deep + 1}")
        view = make_view(center, f"1e-{deep}", (7, 5), 1200, power, constant)
        assert_exact(gpu, view, "bla", least=0.95)
