"""Layers over many rows at once, and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.arrays.array import GPUArray
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.nn.kernels import Kernels, Matrix

__all__ = ["Attention", "FeedForward", "Parts", "Rows", "Tensors"]


class Tensors(Protocol):
    """Tensors by name; asking for one waits for that one."""

    def __getitem__(self, name: str) -> GPUArray: ...

    def release(self, names: Sequence[str]) -> None:
        """Give back tensors whose values are elsewhere now."""

    def close(self) -> None:
        """Stop loading and give everything back."""


AnyTensors = TypeVar("AnyTensors", bound=Tensors)


@dataclass(frozen=True)
class Attention:
    """A norm's gain, the stacked projections that read its output, and the output projection."""

    gain: Buffer
    into: Matrix
    out: Matrix


@dataclass(frozen=True)
class FeedForward:
    """A norm's gain, the stacked projections into the hidden width (the gated one first), and the one out of it."""

    gain: Buffer
    into: Matrix
    out: Matrix


class Parts(Generic[AnyTensors]):
    """A model's matrices and norms in the kernels' format, each made when it is first wanted.

    Parameters
    ----------
    kernels
        What brings matrices into their format.
    tensors
        The checkpoint's tensors by name; asking for one waits for that one alone.
    """

    def __init__(self, kernels: Kernels, tensors: AnyTensors) -> None:
        self.kernels, self.tensors = kernels, tensors
        self._gains: dict[str, Buffer] = {}

    def matrix(self, *names: str) -> Matrix:
        """Stack tensors into memory of their own, and give theirs back."""
        made = self.kernels.stack([self.tensors[name] for name in names])
        self.tensors.release(names)
        return made

    def gain(self, name: str) -> Buffer:
        """Return a norm's gain, float32."""
        if name not in self._gains:
            array = self.tensors[name]
            made = self._gains[name] = self.kernels.queue.alloc(array.nbytes, label="gain")
            self.kernels.queue.copy(array._buffer(), 0, made, 0, array.nbytes)
            self.tensors.release([name])
        return self._gains[name]


class Rows:
    """Rows on their way through layers: ``x`` holds them, and each method queues what a part of a layer adds to them.

    Parameters
    ----------
    kernels
        Of the model.
    rows
        How many, in all of the batch.
    """

    def __init__(self, kernels: Kernels, rows: int) -> None:
        self.kernels, self.rows = kernels, rows
        s = kernels.sizes
        self.x = kernels.floats(rows * s.width, "states")
        self.normed = kernels.floats(rows * s.width, "normed rows")
        self.qkv = kernels.floats(rows * (s.q_width + s.kv_width), "queries, keys and values")
        self.context = kernels.floats(rows * s.q_width, "context")
        self.wide = kernels.floats(rows * s.hidden * (2 if s.is_gated else 1), "feed-forward")
        self.inner = kernels.floats(rows * s.hidden, "feed-forward")

    @property
    def size_bytes(self) -> int:
        """Memory of the buffers."""
        buffers = (self.x, self.normed, self.qkv, self.context, self.wide, self.inner)
        return sum(buffer.size_bytes for buffer in buffers)

    def norm(self, gain: Buffer) -> None:
        """RMSNorm of the rows, into ``normed``."""
        self.kernels.norm(self.x, gain, self.normed, self.rows)

    def project(self, part: Attention) -> None:
        """Norm and projections of an attention, into ``qkv``."""
        self.norm(part.gain)
        self.kernels.linear(self.normed, part.into, self.qkv, self.rows)

    def attend(
        self, part: Attention, kv: Buffer | None, bias: Buffer | None, mask: Buffer, shape: tuple[int, int, int], *, causal: bool = False
    ) -> None:  # fmt: skip
        """Attention over what `project` made, as in `Kernels.attention`, and its output projection."""
        self.kernels.attention(self.qkv, kv, bias, mask, self.context, shape, causal=causal)
        self.kernels.linear(self.context, part.out, self.x, self.rows, residual=True)

    def feed_forward(self, part: FeedForward) -> None:
        """Norm, both projections and the activation between them."""
        self.norm(part.gain)
        self.kernels.linear(self.normed, part.into, self.wide, self.rows)
        self.kernels.gate(self.wide, self.inner, self.rows)
        self.kernels.linear(self.inner, part.out, self.x, self.rows, residual=True)
