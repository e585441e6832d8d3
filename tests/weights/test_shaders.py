"""Each conversion kernel against its NumPy twin, at sizes around a workgroup: the cases of the selftest."""

from __future__ import annotations

import pytest

from webgpu_widget import shaders
from webgpu_widget._selftest.weights import AREA
from webgpu_widget.reference import weights as twin

NAMES = [name.removeprefix("weights/") for name in shaders.names() if name.startswith("weights/")]


@pytest.mark.parametrize("name", NAMES)
def test_compiles_without_a_word(gpu, name):
    kernel = gpu.kernel(shaders.load(f"weights/{name}"), name=name)
    assert hasattr(twin, name), "every kernel has a twin of its name"
    assert kernel.reflection is not None
    assert shaders.load(f"weights/{name}").startswith("// ")


@pytest.mark.parametrize("case", AREA.cases, ids=lambda case: f"{case.name} {case.label}")
def test_equals_its_twin(case_holds, case):
    case_holds(case)
