"""Every shader of the arrays against its NumPy twin, the cases of the selftest; and by itself."""

from __future__ import annotations

import re

import pytest

from webgpu_widget import shaders
from webgpu_widget._selftest import arrays, library
from webgpu_widget.reference import array as twins

SHADERS = [name.removeprefix("array/") for name in shaders.names() if name.startswith("array/")]
OURS = [name for name in SHADERS if name != "repack"]


def entries(source):
    return re.findall(r"@compute[^\n]*\n(?:@[^\n]*\n)?fn (\w+)|@compute @workgroup_size\(\d+\) fn (\w+)", source)


@pytest.mark.parametrize("name", OURS)
def test_compiles_with_no_message(gpu, name):
    source = shaders.load(f"array/{name}")
    assert hasattr(twins, name)
    names = [a or b for a, b in entries(source)]
    if not names:
        # A library.
        source = f"{source}\n@compute @workgroup_size(1) fn main() {{}}\n"
        names = ["main"]
    for entry in names:
        kernel = gpu.kernel(source, name=f"{name}_{entry}", entry_point=entry)
        assert kernel.reflection is not None
        assert not kernel._result["messages"]


@pytest.mark.parametrize("case", [*arrays.AREA, *library.AREA], ids=lambda case: f"{case.name} {case.label}")
def test_equals_its_twin(case_holds, case):
    case_holds(case)
