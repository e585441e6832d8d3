"""Run WGSL from a notebook cell, on the GPU of the browser that shows the notebook.

::

    import numpy as np
    import webgpu_widget as wg

    gpu = wg.GPU()
    y = gpu.run(wgsl, x=a, y=wg.out(a.shape), threads=a.size)

Names are loaded when they are first used, so that importing the package costs little more than NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.device import default
from webgpu_widget.errors import *  # noqa: F403

if TYPE_CHECKING:
    from webgpu_widget import linalg, mandelbrot, xp
    from webgpu_widget._selftest import selftest, selftest_async
    from webgpu_widget.arrays.activations import gelu, layer_norm, relu, rms_norm, silu, softmax
    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.arrays.einsum import einsum
    from webgpu_widget.arrays.fourier.functions import fft_convolve
    from webgpu_widget.arrays.matrix import add, matmul, multiply, subtract, transpose
    from webgpu_widget.cli.magic import load_ipython_extension
    from webgpu_widget.cluster import Cluster
    from webgpu_widget.gpu import GPU, AdapterInfo, MemoryInfo, default_gpu
    from webgpu_widget.kernels.bind import Out, out
    from webgpu_widget.kernels.kernel import Kernel
    from webgpu_widget.kernels.profile import Profile
    from webgpu_widget.kernels.program import Program
    from webgpu_widget.kernels.textures import out_texture, sampler, texture
    from webgpu_widget.llm import LanguageModel
    from webgpu_widget.mandelbrot.explorer import MandelbrotExplorer
    from webgpu_widget.t5 import T5
    from webgpu_widget.views.shader_view import ShaderView
    from webgpu_widget.views.show import show
    from webgpu_widget.weights import cache, inspect_weights, inspect_weights_async, load_weights, load_weights_async

__version__ = "0.1.0"

_HOMES = {
    "GPU": "gpu",
    "AdapterInfo": "device.device",
    "MemoryInfo": "device.device",
    "default_gpu": "gpu",
    "GPUArray": "arrays.array",
    "Kernel": "kernels.kernel",
    "Profile": "kernels.profile",
    "Program": "kernels.program",
    "Out": "kernels.bind",
    "out": "kernels.bind",
    "texture": "kernels.textures",
    "out_texture": "kernels.textures",
    "sampler": "kernels.textures",
    "load_ipython_extension": "cli.magic",
    "selftest": "_selftest",
    "selftest_async": "_selftest",
    "add": "arrays.matrix",
    "einsum": "arrays.einsum",
    "fft_convolve": "arrays.fourier.functions",
    "gelu": "arrays.activations",
    "layer_norm": "arrays.activations",
    "matmul": "arrays.matrix",
    "multiply": "arrays.matrix",
    "relu": "arrays.activations",
    "rms_norm": "arrays.activations",
    "silu": "arrays.activations",
    "softmax": "arrays.activations",
    "subtract": "arrays.matrix",
    "transpose": "arrays.matrix",
    "MandelbrotExplorer": "mandelbrot.explorer",
    "ShaderView": "views.shader_view",
    "show": "views.show",
    "cache": "weights",
    "inspect_weights": "weights",
    "inspect_weights_async": "weights",
    "load_weights": "weights",
    "load_weights_async": "weights",
    "LanguageModel": "llm",
    "T5": "t5",
    "Cluster": "cluster",
}
_MODULES = frozenset({"linalg", "mandelbrot", "xp"})

__all__ = [  # noqa: PLE0604
    "AdapterInfo",
    "Cluster",
    "GPU",
    "GPUArray",
    "Kernel",
    "LanguageModel",
    "MandelbrotExplorer",
    "MemoryInfo",
    "Out",
    "Profile",
    "Program",
    "ShaderView",
    "T5",
    "add",
    "cache",
    "default_gpu",
    "einsum",
    "fft_convolve",
    "gelu",
    "inspect_weights",
    "inspect_weights_async",
    "layer_norm",
    "linalg",
    "load_ipython_extension",
    "load_weights",
    "load_weights_async",
    "mandelbrot",
    "matmul",
    "multiply",
    "out",
    "out_texture",
    "relu",
    "rms_norm",
    "sampler",
    "selftest",
    "selftest_async",
    "show",
    "silu",
    "softmax",
    "subtract",
    "texture",
    "transpose",
    "xp",
    *errors.__all__,
]


def _gpus() -> Any:
    return importlib.import_module("webgpu_widget.gpu").GPU


default.register(_gpus, lambda: importlib.import_module("webgpu_widget.xp"))


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"webgpu_widget.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'webgpu_widget' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"webgpu_widget.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
