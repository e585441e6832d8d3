"""Numbers of full precision: exact in, exact out."""

from __future__ import annotations

import decimal
import fractions
import math

import gmpy2
import mpmath
import numpy as np
import pytest
from gmpy2 import mpq
from hypothesis import given
from hypothesis import strategies as st

import webgpu_widget as wg
from webgpu_widget.mandelbrot import View, ViewError, make_view
from webgpu_widget.mandelbrot.numbers import decimal_text, exact, exact_point, log2_abs

pytestmark = pytest.mark.no_adapter

THIRD = fractions.Fraction(1, 3)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_the_rational_that_it_is(value: float) -> None:
    assert fractions.Fraction(
        int(exact(value, "x").numerator), int(exact(value, "x").denominator)
    ) == fractions.Fraction(value)


@given(st.integers(-(10**30), 10**30), st.integers(-400, 400))
def test_decimal_text_is_read_to_its_last_digit(digits: int, exponent: int) -> None:
    assert exact(f"{digits}e{exponent}", "x") == mpq(digits) * mpq(10) ** exponent


@given(st.integers(-(10**30), 10**30), st.integers(-1200, 40))
def test_what_is_written_is_read_back(digits: int, exponent: int) -> None:
    value = mpq(digits) * mpq(10) ** exponent
    assert exact(decimal_text(value, 31), "x") == value


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (3, mpq(3)),
        (np.float32(0.1), mpq(*float(np.float32(0.1)).as_integer_ratio())),
        (np.int64(7), mpq(7)),
        (decimal.Decimal("1e-400"), mpq(1, gmpy2.mpz(10) ** 400)),
        (THIRD, mpq(1, 3)),
        (gmpy2.mpq(1, 3), mpq(1, 3)),
        (gmpy2.mpz(5), mpq(5)),
        (gmpy2.mpfr("0.5"), mpq(1, 2)),
        (mpmath.mpf("-0.375"), mpq(-3, 8)),
        (" +.5e1 ", mpq(5)),
    ],
)
def test_numbers_of_other_libraries(value: object, wanted: mpq) -> None:
    assert exact(value, "x") == wanted


def test_points() -> None:
    assert exact_point(1 - 0.5j, "c") == (1, mpq(-1, 2))
    assert exact_point(("0.1", decimal.Decimal("-0.2")), "c") == (mpq(1, 10), mpq(-1, 5))
    assert exact_point(gmpy2.mpc("0.5+0.25j"), "c") == (mpq(1, 2), mpq(1, 4))
    assert exact_point(mpmath.mpc(0.5, 0.25), "c") == (mpq(1, 2), mpq(1, 4))
    assert exact_point(2, "c") == (2, 0)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nan",
        "one",
        "1e",
        "0x10",
        "1+2j",
        "inf",
        "--1",
        math.nan,
        math.inf,
        -math.inf,
        decimal.Decimal("NaN"),
        gmpy2.mpfr("nan"),
    ],
)
def test_what_is_not_finite_is_refused_by_name(value: object) -> None:
    with pytest.raises(ViewError, match="width"):
        exact(value, "width")


@pytest.mark.parametrize("value", [None, True, [1], b"1", object(), 1j])
def test_what_is_no_number_is_refused_by_type(value: object) -> None:
    with pytest.raises(wg.DTypeError, match="width"):
        exact(value, "width")


def test_log2_beyond_floats() -> None:
    assert log2_abs(mpq(1, gmpy2.mpz(2) ** 5000)) == -5000
    assert log2_abs(-(gmpy2.mpz(2) ** mpq(4000).numerator) * mpq(1)) == 4000
    assert log2_abs(mpq(0)) == -math.inf


def test_pixels_lie_where_the_formula_says() -> None:
    view = make_view(("-0.75", "0.1"), "3", (7, 4))
    for column, row in [(0, 0), (6, 3), (3, 2)]:
        wanted = complex(-0.75, 0.1) + ((column + 0.5) / 7 - 0.5) * 3 + 1j * (0.5 - (row + 0.5) / 4) * 3 * 4 / 7
        re, im = view.pixel(column, row)
        assert complex(float(re), float(im)) == pytest.approx(wanted, abs=1e-15)
    deep = make_view(("-0.75", "0.1"), "1e-1000", (7, 4))
    assert deep.pixel(0, 0)[0] - mpq(-3, 4) == mpq(-3, 7) / gmpy2.mpz(10) ** 1000


def test_a_view_keeps_all_digits_and_goes_through_text() -> None:
    digits = "-0.7" + "4364388703715870475219150611477" * 40
    view = make_view((digits, "1e-900"), "3.5e-1001", (640, 480), 5000, 3, ("0.1", "0.2"))
    assert view.center == (digits, "1e-900")
    assert View.from_link(view.link) == view
    assert View.from_link("https://example.org/lab?x=1" + view.link) == view
    assert View.from_dict(view.to_dict()) == view


@pytest.mark.parametrize("link", ["", "#v=2&re=0&im=0&w=1", "#v=1&re=0&im=0", "nonsense"])
def test_a_broken_link_says_what_one_looks_like(link: str) -> None:
    with pytest.raises(ViewError, match="looks? like|look like"):
        View.from_link(link)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"width": 0}, ViewError, "not positive"),
        ({"width": -1}, ViewError, "not positive"),
        ({"width": "nan"}, ViewError, "width"),
        ({"width": "1e-20000"}, ViewError, "deepest"),
        ({"width": 1e9}, ViewError, "1000"),
        ({"center": math.nan}, ViewError, "center"),
        ({"center": (1, 2, 3)}, ViewError, "3 parts"),
        ({"center": "here"}, ViewError, "center"),
        ({"center": 1e9}, ViewError, "center"),
        ({"size": (0, 10)}, ViewError, "width in size"),
        ({"size": (10, 70000)}, ViewError, "height in size"),
        ({"size": (65536, 65536)}, ViewError, "pixels"),
        ({"size": 10}, wg.DTypeError, "size"),
        ({"size": (10.5, 10)}, wg.DTypeError, "size"),
        ({"max_iter": 0}, ViewError, "max_iter"),
        ({"max_iter": 2**31}, ViewError, "max_iter"),
        ({"max_iter": 1.5}, wg.DTypeError, "max_iter"),
        ({"max_iter": True}, wg.DTypeError, "max_iter"),
        ({"power": 1}, ViewError, "power"),
        ({"power": 6}, ViewError, "power"),
        ({"formula": "newton"}, ViewError, "formula"),
        ({"julia": math.inf}, ViewError, "julia"),
    ],
)
def test_bad_views_are_refused_with_their_reason(change: dict[str, object], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        make_view(**{"center": 0, "width": 3, **change})  # type: ignore[arg-type]


def test_a_point_in_an_array_without_axes() -> None:
    assert exact_point(np.array(0.5 - 2j), "c") == (mpq(1, 2), mpq(-2))
    assert exact_point(np.array("-0.75"), "c") == (mpq(-3, 4), mpq(0))
