"""Last of the run on naga: every shader of the package was compiled by it and ran on llvmpipe, in the tests before."""

from __future__ import annotations

import re
from pathlib import Path

from webgpu_widget import shaders
from webgpu_widget.shaders.source import read

FOLDER = Path(shaders.__file__).parent
SHARED = [f"shared/{path.stem}" for path in sorted((FOLDER / "shared").glob("*.wgsl"))]
GENERATED = {
    "a register product": "Made by webgpu_widget.arrays.matmul.register",
    "a tiled product": "Made by webgpu_widget.arrays.matmul.tiled",
    "a product with a vector": "Made by webgpu_widget.arrays.matmul.vector",
    "an array's operation": "fn main(",
    "a pass of a transform": "Made by webgpu_widget.arrays.fourier.kernel",
}
ONLY_WITH_SUBGROUPS = {
    *("nn/fused_cross", "nn/fused_gate", "nn/fused_self", "nn/fused_rotary"),
    *("shared/fused_attention", "shared/whole"),
}
"""What the package sends only to adapters with subgroups."""


def missing(text: str, ran: set[str]) -> list[str]:
    """Names of what never ran: a kernel is known by its first line, a library by its functions, each of which must be in some kernel."""
    if "@compute" in text:
        first = text.partition("\n")[0]
        return [] if any(first in source for source in ran) else [first]
    names = re.findall(r"^fn (\w+)\(", text, re.MULTILINE)
    return [name for name in names if not any(f"fn {name}(" in source for source in ran)]


def test_every_shader_ran(gpu, request):
    ran = gpu._device.transport.page.dispatched
    if request.config.getoption("--naga") == "subgroups":
        names = [name for name in shaders.names() if "enable subgroups;" in shaders.load(name)]
        names += [name for name in ONLY_WITH_SUBGROUPS if name in SHARED]
    else:
        names = [name for name in (*shaders.names(), *SHARED) if name not in ONLY_WITH_SUBGROUPS]
    lacking = {name: missing(read(name), ran) for name in names}
    lacking = {name: what for name, what in lacking.items() if what}
    assert not lacking, "never ran on naga: put a test that runs it into tests/naga/*.txt"


def test_every_generator_ran(gpu, request):
    ran = gpu._device.transport.page.dispatched
    if request.config.getoption("--naga") == "plain":
        assert [name for name, mark in GENERATED.items() if not any(mark in source for source in ran)] == []
        assert not any("enable subgroups" in source for source in ran)
    else:
        assert any("subgroupShuffleXor" in source for source in ran), "no reduction by subgroups"
        assert any("quadSwapX" in source for source in ran), "no product that exchanges by quads"
