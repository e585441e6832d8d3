"""What lies between the ids and the text: encoder output, logits, cross-attention, for checking and for pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget import errors
from webgpu_widget.link.steps import Steps, drive, drive_async
from webgpu_widget.nn.loaded import Loaded
from webgpu_widget.nn.prompts import rows_of_ids
from webgpu_widget.t5 import forward

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.t5.config import T5Config
    from webgpu_widget.t5.encoder import Encoders
    from webgpu_widget.t5.parts import Parts

__all__ = ["Checks"]


def _floats(data: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = data.view(np.float32).reshape(shape)
    return values


class Checks(Loaded):
    """The part of `T5` that takes and returns arrays."""

    config: T5Config
    _device: Device
    _parts: Parts
    _encoders: Encoders

    def _ids(self, ids: Any, what: str) -> np.ndarray[Any, Any]:
        return rows_of_ids(ids, what, self.config.vocab_size)

    def _mask(self, ids: np.ndarray[Any, Any], mask: Any) -> np.ndarray[Any, Any]:
        if mask is None:
            found: np.ndarray[Any, Any] = ids != self.config.pad_token_id
            return found
        values: np.ndarray[Any, Any] = np.asarray(mask)
        values = values[None] if values.ndim == 1 else values
        if values.shape != ids.shape:
            raise errors.ShapeError(
                f"attention_mask has shape {values.shape}, but input_ids have {ids.shape}; they must be the same"
            )
        opened: np.ndarray[Any, Any] = values != 0
        return opened

    def _read(self, buffers: list[Buffer], shape: tuple[int, ...]) -> Steps[list[np.ndarray[Any, Any]]]:
        """Read arrays of float32 of one shape."""
        data = yield from self._device.queue.read_steps([(buffer, 0, 4 * math.prod(shape)) for buffer in buffers])
        return [floats.view(np.float32).reshape(shape) for floats in data]

    def encode(self, input_ids: Any, attention_mask: Any = None, timeout: float | None = 30.0) -> np.ndarray[Any, Any]:
        """Return the encoder's output.

        Parameters
        ----------
        input_ids : array_like of int, (batch, source)
            Ids of tokens; one row may be 1-D.
        attention_mask : array_like, (batch, source), optional
            0 where a token is to be ignored; left out: where it is the pad.
        timeout : float or None
            Seconds of silence.

        Returns
        -------
        ndarray
            (batch, source, d_model) float32.
        """
        return drive(self._encode_steps(input_ids, attention_mask), timeout)

    async def encode_async(
        self, input_ids: Any, attention_mask: Any = None, timeout: float | None = 30.0
    ) -> np.ndarray[Any, Any]:
        """Coroutine twin of `encode`."""
        return await drive_async(self._encode_steps(input_ids, attention_mask), timeout)

    def _encode_steps(self, input_ids: Any, attention_mask: Any) -> Steps[np.ndarray[Any, Any]]:
        yield from self._settle()
        ids = self._ids(input_ids, "input_ids")
        self._ready()
        encoded = self._encoders.encode(ids, self._mask(ids, attention_mask))
        (rows,) = yield from self._read([encoded.states], (encoded.batch, encoded.source, self.config.d_model))
        return rows[:, : ids.shape[1]]

    def logits(
        self, input_ids: Any, decoder_input_ids: Any, attention_mask: Any = None, timeout: float | None = 30.0
    ) -> np.ndarray[Any, Any]:
        """Return the logits after each of the given decoder inputs.

        Parameters
        ----------
        input_ids, decoder_input_ids : array_like of int, (batch, source) and (batch, target)
            Ids of tokens; one row may be 1-D. The decoder's begin with the start token (0).
        attention_mask : array_like, (batch, source), optional
            0 where a source token is to be ignored; left out: where it is the pad.
        timeout : float or None
            Seconds of silence.

        Returns
        -------
        ndarray
            (batch, target, vocab) float32.
        """
        return drive(self._logits_steps(input_ids, decoder_input_ids, attention_mask), timeout)

    async def logits_async(
        self, input_ids: Any, decoder_input_ids: Any, attention_mask: Any = None, timeout: float | None = 30.0
    ) -> np.ndarray[Any, Any]:
        """Coroutine twin of `logits`."""
        return await drive_async(self._logits_steps(input_ids, decoder_input_ids, attention_mask), timeout)

    def _logits_steps(self, input_ids: Any, decoder_input_ids: Any, attention_mask: Any) -> Steps[np.ndarray[Any, Any]]:
        yield from self._settle()
        ids, target, parts = self._pair(input_ids, decoder_input_ids)
        logits = forward.decode(parts, self._encoders.encode(ids, self._mask(ids, attention_mask)), target)
        (values,) = yield from self._read([logits], (*target.shape, self.config.vocab_size))
        return values

    def cross_attention(
        self, input_ids: Any, decoder_input_ids: Any, attention_mask: Any = None, timeout: float | None = 30.0
    ) -> np.ndarray[Any, Any]:
        """Return where the decoder looks in the source.

        Parameters
        ----------
        input_ids, decoder_input_ids, attention_mask, timeout
            As in `logits`.

        Returns
        -------
        ndarray
            (layers, batch, heads, target, source) float32; the last axis sums to 1.
        """
        return drive(self._cross_attention_steps(input_ids, decoder_input_ids, attention_mask), timeout)

    async def cross_attention_async(
        self, input_ids: Any, decoder_input_ids: Any, attention_mask: Any = None, timeout: float | None = 30.0
    ) -> np.ndarray[Any, Any]:
        """Coroutine twin of `cross_attention`."""
        return await drive_async(self._cross_attention_steps(input_ids, decoder_input_ids, attention_mask), timeout)

    def _cross_attention_steps(
        self, input_ids: Any, decoder_input_ids: Any, attention_mask: Any
    ) -> Steps[np.ndarray[Any, Any]]:
        yield from self._settle()
        ids, target, parts = self._pair(input_ids, decoder_input_ids)
        seen: list[Any] = []
        encoded = self._encoders.encode(ids, self._mask(ids, attention_mask))
        forward.decode(parts, encoded, target, seen=seen)
        shape = (len(ids), self.config.num_heads, target.shape[1], encoded.source)
        return np.stack([layer[..., : ids.shape[1]] for layer in (yield from self._read(seen, shape))])

    def _pair(self, input_ids: Any, decoder_input_ids: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], Parts]:
        ids, target = self._ids(input_ids, "input_ids"), self._ids(decoder_input_ids, "decoder_input_ids")
        if len(ids) != len(target):
            raise errors.ShapeError(
                f"input_ids have {len(ids)} rows and decoder_input_ids {len(target)}; they must be the same"
            )
        return ids, target, self._ready()
