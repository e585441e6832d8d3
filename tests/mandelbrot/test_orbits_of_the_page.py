"""orbits.json, which the page's tests read, is what gmpy2 gives."""

from __future__ import annotations

import pytest
from make_orbits import PATH, make

pytestmark = pytest.mark.no_adapter


def test_the_rows_that_the_page_is_tested_with_are_those_of_gmpy2() -> None:
    assert PATH.read_text() == make(), "write it anew: python tests/mandelbrot/make_orbits.py"
