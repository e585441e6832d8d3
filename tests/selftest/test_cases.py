"""The cases of the selftest that no other test goes through."""

from __future__ import annotations

import pytest

from webgpu_widget._selftest import areas_of

CASES = [case for area in areas_of(["mandelbrot", "products", "reductions"]) for case in area]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name} {case.label}")
def test_the_gpu_is_as_exact_as_it_should_be(case_holds, case):
    case_holds(case)
