"""Each conversion kernel against its NumPy twin, at sizes around a workgroup: the cases of the selftest."""

from __future__ import annotations

from pathlib import Path

import pytest

import webgpu_widget as wg
from webgpu_widget._selftest.weights import AREA
from webgpu_widget.reference import weights as twin
from webgpu_widget.weights.convert import kernel_source

FOLDER = Path(wg.__file__).parent / "shaders" / "weights"
NAMES = sorted(path.stem for path in FOLDER.glob("*.wgsl"))


@pytest.mark.parametrize("name", NAMES)
def test_compiles_without_a_word(gpu, name):
    kernel = gpu.kernel(kernel_source(name), name=name)
    assert hasattr(twin, name), "every kernel has a twin of its name"
    assert kernel.reflection is not None
    assert kernel_source(name).startswith("// ")


@pytest.mark.parametrize("case", AREA.cases, ids=lambda case: f"{case.name} {case.label}")
def test_equals_its_twin(case_holds, case):
    case_holds(case)
