"""What lies between the ids and the text: logits, hidden states, attention, for checking and for pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget import errors
from webgpu_widget.link.steps import Steps, drive, drive_async
from webgpu_widget.llm.decoder import Parts, run
from webgpu_widget.nn.cache import Cache, rounded
from webgpu_widget.nn.loaded import Loaded
from webgpu_widget.nn.prompts import rows_of_ids
from webgpu_widget.nn.streaming import whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.llm.config import Config
    from webgpu_widget.nn.layers import Rows

__all__ = ["Checks"]

Array = np.ndarray[Any, Any]


class Checks(Loaded):
    """The part of `LanguageModel` that takes ids and returns arrays."""

    config: Config
    _device: Device
    _parts: Parts

    def _ids(self, ids: Any) -> Array:
        values = rows_of_ids(ids, "ids", self.config.vocab)
        if values.shape[1] > self.config.context:
            raise errors.PromptError(
                f"the text has {values.shape[1]} tokens, but the model's context is {self.config.context}; shorten it."
            )
        return values

    def _run(self, ids: Array, seen: Callable[[Rows], None] | None = None) -> tuple[Parts, Rows]:
        parts, (batch, count) = self._ready(), ids.shape
        cache = Cache(parts.kernels, 1, batch, rounded(count))
        return parts, run(parts, ids, cache, parts.rotations(count), seen=seen)

    def logits(self, input_ids: Any, timeout: float | None = 30.0) -> Array:
        """Return the logits after each token of a text.

        Parameters
        ----------
        input_ids : array_like of int, (batch, tokens)
            Ids of tokens; one row may be 1-D.
        timeout : float or None
            Seconds of silence.

        Returns
        -------
        ndarray
            (batch, tokens, vocab) float32.

        Raises
        ------
        ShapeError, DTypeError, PromptError
            For what are no ids of the model, or more than its context.
        """
        return drive(whole(self._device, self._logits_steps(input_ids)), timeout)

    async def logits_async(self, input_ids: Any, timeout: float | None = 30.0) -> Array:
        """Coroutine twin of `logits`."""
        return await drive_async(whole(self._device, self._logits_steps(input_ids)), timeout)

    def _logits_steps(self, input_ids: Any) -> Steps[Array]:
        yield from self._settle()
        ids = self._ids(input_ids)
        parts, rows = self._run(ids)
        rows.norm(parts.gain)
        out = parts.kernels.floats(ids.size * self.config.vocab, "logits")
        parts.kernels.linear(rows.normed, parts.head, out, ids.size)
        (data,) = yield from self._device.queue.read_steps([(out, 0, out.size_bytes)])
        return _floats(data, (*ids.shape, self.config.vocab))

    def _kept(self, ids: Array, which: str, first: int = 0, what: str = "reading back") -> Steps[list[Array]]:
        """Run the layers, and read what a buffer of the rows held before the first layer, number 0, and after each."""
        kept: list[Buffer] = []
        queue = self._device.queue

        def keep(rows: Rows) -> None:
            buffer = getattr(rows, which)
            kept.append(queue.alloc(buffer.size_bytes, label="kept"))
            queue.copy(buffer, 0, kept[-1], 0, buffer.size_bytes)

        self._run(ids, keep)
        return (yield from queue.read_steps([(buffer, 0, buffer.size_bytes) for buffer in kept[first:]], what))

    def hidden_states(self, input_ids: Any, timeout: float | None = 30.0) -> Array:
        """Return the rows before the first layer and after each, before the last norm.

        Parameters
        ----------
        input_ids, timeout
            As in `logits`.

        Returns
        -------
        ndarray
            (layers + 1, batch, tokens, width) float32.
        """
        ids = self._ids(input_ids)
        found = drive(whole(self._device, self._kept(ids, "x")), timeout)
        return np.stack([_floats(data, (*ids.shape, self.config.width)) for data in found])

    def attention(self, input_ids: Any, timeout: float | None = 30.0) -> Array:
        """Return how much each token looks at those before it.

        Parameters
        ----------
        input_ids, timeout
            As in `logits`.

        Returns
        -------
        ndarray
            (layers, batch, heads, tokens, tokens) float32: shares of the last axis for the query of the one before, which sum to 1.
        """
        ids, c = self._ids(input_ids), self.config
        found = drive(whole(self._device, self._kept(ids, "qkv", first=1)), timeout)
        distance = np.arange(ids.shape[1])[:, None] - np.arange(ids.shape[1])
        shares = []
        for window, data in zip(c.windows, found, strict=True):
            heads = _floats(data, (*ids.shape, c.heads + 2 * c.kv_heads, c.head_width))
            keys = np.repeat(heads[:, :, c.heads : c.heads + c.kv_heads], c.heads // c.kv_heads, 2)
            scores = c.head_width**-0.5 * np.einsum("bihd,bjhd->bhij", heads[:, :, : c.heads], keys)
            is_open = (distance >= 0) & (distance < (window or ids.shape[1]))
            e = np.where(is_open, np.exp(scores - np.where(is_open, scores, -np.inf).max(-1, keepdims=True)), 0)
            shares.append(e / e.sum(-1, keepdims=True))
        return np.stack(shares)


def _floats(data: Array, shape: tuple[int, ...]) -> Array:
    values: Array = data.view(np.float32).reshape(shape)
    return values
