"""What the cases of neural networks share: small sizes, and kernels with their matrices."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from webgpu_widget._selftest.case import Area, Bench, Unavailable
from webgpu_widget.nn.kernels import Kernels, Matrix
from webgpu_widget.nn.shaders import Format
from webgpu_widget.t5.config import T5Config

__all__ = ["ACTIVATIONS", "AREA", "CONFIG", "FORMATS", "RELATIVE", "Kind", "NNBench"]

AREA = Area("nn")
RELATIVE = "relative"
"""Length of the error beside the length of the result."""
FORMATS: tuple[Format, ...] = ("f32", "f16", "int8")
CONFIG = T5Config(
    vocab_size=37,
    d_model=20,
    d_kv=8,
    d_ff=28,
    num_heads=3,
    num_layers=1,
    num_decoder_layers=1,
    is_gated=True,
    activation="gelu_new",
)
Teams = Literal["subgroups", "workgroups"]
TEAMS: tuple[Teams, ...] = ("subgroups", "workgroups")
Kind = tuple[bool, Literal["relu", "gelu_new", "silu"]]
ACTIVATIONS: tuple[Kind, ...] = ((True, "gelu_new"), (False, "relu"), (True, "silu"))


class NNBench:
    """Kernels of a configuration, with their matrices.

    Parameters
    ----------
    bench : Bench
        Buffers and random numbers.
    config : T5Config
        Sizes.
    weights : {"f32", "f16", "int8"}
        Format of the matrices.
    teams : {"subgroups", "workgroups"}, optional
        What shares an output; as the adapter has them when left out.
    """

    def __init__(
        self, bench: Bench, config: T5Config = CONFIG, weights: Format = "f32", *, teams: Teams | None = None
    ) -> None:
        self.kernels = Kernels(bench.device, config, weights)
        if teams == "subgroups" and not self.kernels.has_subgroups:
            raise Unavailable("no subgroups")
        self.kernels.has_subgroups &= teams != "workgroups"
        self.bench, self.weights = bench, weights
        self.normal, self.put, self.poison, self.get = bench.rng.normal, bench.put, bench.poison, bench.get

    def state(self, stopped: int = 0, step: int = 0) -> Any:
        """Make the words that say whether work has ended, and which step it is."""
        words = np.zeros(8, np.uint32)
        words[:2] = stopped, step
        return self.put(words)

    def matrix(self, values: NDArray[Any]) -> tuple[Matrix, NDArray[np.float64]]:
        """Upload a matrix; returns it with what its format makes of it."""
        stored = values.astype(np.float16 if self.weights == "f16" else np.float32)
        made = self.kernels.stack([self.bench.gpu.array(stored)])
        if self.weights == "int8":
            # As they were rounded there: a tie may go either way, and t5/quantize_rows says whether the rest is right.
            words = self.get(made.words, (made.rows, made.columns // 4), np.uint32)
            largest = self.get(made.scale, (made.rows,)).astype(np.float64)
            return made, words.view(np.int8) * (largest / 127)[:, None]
        return made, stored.astype(np.float64)
