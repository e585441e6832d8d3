"""Weights in the GPU's memory, stage by stage: usable before the last byte, and moved over the wire once.

``inspect_weights`` reads headers, ``load_weights`` loads in the background, ``cache`` is the browser's copy on disk.
"""

from __future__ import annotations

from webgpu_widget.weights import cache
from webgpu_widget.weights.arrays import QuantizedArray, SplitArray
from webgpu_widget.weights.loader import Weights
from webgpu_widget.weights.opening import load_weights, load_weights_async
from webgpu_widget.weights.plan import Fits, Plan, inspect_weights, inspect_weights_async
from webgpu_widget.weights.report import LoadReport, Progress, Stage
from webgpu_widget.weights.tensors import TensorInfo

__all__ = [
    "Fits",
    "LoadReport",
    "Plan",
    "Progress",
    "QuantizedArray",
    "SplitArray",
    "Stage",
    "TensorInfo",
    "Weights",
    "cache",
    "inspect_weights",
    "inspect_weights_async",
    "load_weights",
    "load_weights_async",
]
