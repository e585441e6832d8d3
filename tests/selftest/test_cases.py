"""Every case of the selftest, on this adapter."""

from __future__ import annotations

import pytest
from selftest_cases import CASES

from webgpu_widget._selftest.case import Unavailable


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name} {case.label}")
def test_the_gpu_is_as_exact_as_it_should_be(gpu, seed, case):
    if missing := [feature for feature in case.needs if feature not in gpu.info.features]:
        assert case.name.endswith(("on matrix units", "product register")), missing
        return
    try:
        error = case.measure(gpu, seed)
    except Unavailable as why:
        print(why)
        return
    assert error <= case.allowed, f"{error:g} {case.unit}, where {case.allowed:g} is allowed"
