"""%%wgsl in an IPython shell."""

from __future__ import annotations

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

import webgpu_widget as wg

TWICE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { if (id.x < arrayLength(&x)) { y[id.x] = 2.0 * x[id.x]; } }
"""


@pytest.fixture
def shell(gpu):
    made = InteractiveShell()
    made.run_line_magic("load_ext", "webgpu_widget")
    made.user_ns["gpu"] = gpu
    return made


def test_cell_becomes_a_kernel(shell):
    shell.run_cell_magic("wgsl", "twice", TWICE)
    kernel = shell.user_ns["twice"]
    assert isinstance(kernel, wg.Kernel)
    assert np.array_equal(kernel(x=np.float32([1, 2]), y=wg.out(2), threads=2).numpy(), [2, 4])


def test_gpu_by_expression(shell, gpu):
    shell.user_ns.clear()
    shell.user_ns["mine"] = {"a": gpu}
    shell.run_cell_magic("wgsl", "twice --gpu mine['a']", TWICE)
    assert shell.user_ns["twice"].name == "twice"
    shell.user_ns["number"] = 3
    with pytest.raises(wg.BindingError, match="int"):
        shell.run_cell_magic("wgsl", "twice --gpu number", TWICE)


def test_compile_error_shows_the_place_and_no_python(shell):
    result = shell.run_cell("%%wgsl broken\n@compute @workgroup_size(1) fn main() { let a = nothing; }", silent=True)
    assert isinstance(result.error_in_exec, wg.ShaderError)
    assert result.error_in_exec.line == 1
    shown = "\n".join(result.error_in_exec._render_traceback_())
    assert "^" in shown
    assert ".py" not in shown


@pytest.mark.parametrize("line", ["", "two words", "1name", "name --gup x", "class"])
def test_wrong_line_says_the_usage(shell, line):
    with pytest.raises(wg.BindingError, match="usage: %%wgsl NAME"):
        shell.run_cell_magic("wgsl", line, TWICE)
