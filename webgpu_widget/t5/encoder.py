"""The encoder recorded and replayed: on a GPU, queueing its kernels one by one takes longer than running them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget.kernels.program import Program
from webgpu_widget.t5 import forward
from webgpu_widget.t5.forward import Encoded, Encoding

if TYPE_CHECKING:
    from webgpu_widget.t5.parts import Parts

__all__ = ["Encoders", "RecordedEncoder", "source_width"]

_MOST_ROWS = 4096
"""Of a recording. What is larger runs long enough to be queued layer by layer, so that a slow GPU reports each."""
_KEPT = 8
_KEPT_BYTES = 96 * 1024 * 1024


def source_width(tokens: int) -> int:
    """Width of a recorded program's source: like ones share a program; what is padded is masked."""
    return -(-tokens // 32) * 32


class RecordedEncoder:
    """The encoder's program for one shape of source.

    Parameters
    ----------
    parts
        The model.
    batch, source
        Shape of the ids.
    """

    def __init__(self, parts: Parts, batch: int, source: int) -> None:
        parts.load_encoder()  # what still has to be moved cannot be moved while recording
        self.encoding = Encoding(parts, batch, source)
        self.encoding.layer(0)  # products are measured here, since they cannot be while recording
        self.program = Program(parts.kernels.device)
        with self.program:
            self.encoding.embed()
            for i in range(parts.config.num_layers):
                self.encoding.layer(i)
            self.encoding.end()
        self.dispatches = self.program.stats["dispatches"]

    def encode(self, ids: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> Encoded:
        """Encode ids (batch, source) with a mask; what comes back holds until the next call."""
        self.encoding.write(ids, mask)
        self.program.replay()
        return self.encoding.encoded


class Encoders:
    """Encodes sources of any shape; on a GPU by recorded programs.

    The last 8 shapes are kept while their buffers take 96 MiB at most in all: one of 512 tokens takes 22 MB for flan-t5-base, 12 MB for small.

    Parameters
    ----------
    parts
        The model.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.recorded: dict[tuple[int, int], RecordedEncoder] = {}

    def encode(self, ids: np.ndarray[Any, Any], mask: np.ndarray[Any, Any]) -> Encoded:
        """Run the encoder over ids (batch, source); the mask is 0 at padding.

        The source that comes back may be wider than the ids: it is masked there. It holds until the next call.
        """
        batch, source = ids.shape
        width = source_width(source)
        if self._parts.kernels.on_cpu or batch * width > _MOST_ROWS:
            return forward.encode(self._parts, ids, mask)
        padding = ((0, 0), (0, width - source))
        ids = np.pad(ids, padding, constant_values=self._parts.config.pad_token_id)
        return self._recorded(batch, width).encode(ids, np.pad(mask, padding))

    def _recorded(self, batch: int, source: int) -> RecordedEncoder:
        found = self.recorded.pop((batch, source), None) or RecordedEncoder(self._parts, batch, source)
        room = _KEPT_BYTES - found.encoding.size_bytes
        while self.recorded and (len(self.recorded) >= _KEPT or self._size_bytes() > room):
            self.recorded.pop(next(iter(self.recorded)))
        self.recorded[batch, source] = found
        return found

    def _size_bytes(self) -> int:
        return sum(one.encoding.size_bytes for one in self.recorded.values())
