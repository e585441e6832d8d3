"""What the cases of neural networks share: small sizes, and kernels with their matrices."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from webgpu_widget._selftest.case import Area, Bench, Unavailable
from webgpu_widget.nn.formats import FORMATS as STORAGES
from webgpu_widget.nn.formats import Format
from webgpu_widget.nn.kernels import Kernels, Matrix
from webgpu_widget.nn.sizes import Activation, Sizes
from webgpu_widget.reference import weights as stored_values

__all__ = ["ACTIVATIONS", "AREA", "FORMATS", "RELATIVE", "SIZES", "TEAMS", "Kind", "NNBench", "Teams"]

AREA = Area("nn")
RELATIVE = "relative"
"""Length of the error beside the length of the result."""
FORMATS: tuple[Format, ...] = ("f32", "f16", "int8")
SIZES = Sizes(
    vocab=37,
    width=20,
    heads=3,
    head_width=8,
    hidden=28,
    activation="gelu_new",
    is_gated=True,
    epsilon=1e-6,
    distance=128,
)
_SCALES: dict[Format, tuple[int, int]] = {
    "q4_0": (0, 1), "q4_1": (0, 2), "q8_0": (0, 1), "q4_k": (0, 2), "q5_k": (0, 2), "q6_k": (208, 1),
}  # fmt: skip
"""Where the float16 of a block begin, and how many there are."""
Teams = Literal["subgroups", "workgroups"]
TEAMS: tuple[Teams, ...] = ("subgroups", "workgroups")
Kind = tuple[bool, Activation]
ACTIVATIONS: tuple[Kind, ...] = ((True, "gelu_new"), (False, "relu"), (True, "silu"))


class NNBench:
    """Kernels for sizes, with their matrices.

    Parameters
    ----------
    bench : Bench
        Buffers and random numbers.
    sizes : Sizes
        Of the model.
    weights : {"f32", "f16", "int8"}
        Format of the matrices.
    teams : {"subgroups", "workgroups"}, optional
        What shares an output; as the adapter has them when left out.
    """

    def __init__(
        self, bench: Bench, sizes: Sizes = SIZES, weights: Format = "f32", *, teams: Teams | None = None
    ) -> None:
        self.kernels = Kernels(bench.device, sizes, weights)
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
            # As they were rounded there: a tie may go either way, and nn/quantize_rows says whether the rest is right.
            words = self.get(made.words, (made.rows, made.columns // 4), np.uint32)
            largest = self.get(made.scale, (made.rows,)).astype(np.float64)
            return made, words.view(np.int8) * (largest / 127)[:, None]
        return made, stored.astype(np.float64)

    def blocks(self, rows: int, columns: int, stored: Format) -> tuple[Matrix, NDArray[np.float64]]:
        """Upload a matrix of random blocks as GGUF has them; returns it with its values. Scales are of all sizes, subnormal ones too."""
        storage = STORAGES[stored]
        count = rows * columns // storage.values
        raw = self.bench.rng.integers(0, 256, (count, storage.size_bytes), np.uint8)
        at, scales = _SCALES[stored]
        raw[:, at : at + 2 * scales] = (
            (self.normal(size=(count, scales)) * 2.0 ** self.bench.rng.integers(-22, 3, (count, 1)))
            .astype(np.float16)
            .view(np.uint8)
        )
        values = getattr(stored_values, f"decode_{stored}")(raw.ravel(), rows * columns)
        return self.kernels.upload_matrix(raw.tobytes(), rows, columns, stored), np.asarray(values, np.float64).reshape(
            rows, columns
        )
