"""orbits.json, which the page's tests read, is what gmpy2 gives."""

from __future__ import annotations

from make_orbits import PATH, make


def test_the_rows_that_the_page_is_tested_with_are_those_of_gmpy2() -> None:
    assert PATH.read_text() == make(), "write it anew: python tests/mandelbrot/make_orbits.py"
