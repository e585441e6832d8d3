"""``wg.T5``: FLAN-T5 in the browser."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self, cast

import numpy as np

from webgpu_widget import errors
from webgpu_widget.device.default import as_device
from webgpu_widget.link.steps import Steps, drive
from webgpu_widget.nn.kernels import Kernels
from webgpu_widget.nn.streaming import whole
from webgpu_widget.t5.answers import Answers, T5Stats
from webgpu_widget.t5.checks import Checks
from webgpu_widget.t5.config import T5Config
from webgpu_widget.t5.encoder import Encoders
from webgpu_widget.t5.parts import Parts
from webgpu_widget.t5.source import Checkpoint, Tensors, find, open_tensors
from webgpu_widget.t5.tokenizer import Tokenizer

if TYPE_CHECKING:
    import os

    from webgpu_widget.device.device import Device
    from webgpu_widget.gpu import GPU
    from webgpu_widget.nn.formats import Format
    from webgpu_widget.t5.generate import Decoder

__all__ = ["T5", "T5Stats"]

_FORMATS = ("f32", "f16", "int8")


class T5(Checks, Answers):
    """A FLAN-T5 (or T5) checkpoint on the GPU of the notebook's browser; made by `from_pretrained`.

    Parameters
    ----------
    checkpoint : Checkpoint
        The files that were found.
    config : T5Config
        The model's shape.
    tokenizer : Tokenizer
        Text to ids and back.
    device : Device
        Where it lives.
    dtype : {"f32", "f16", "int8"}
        How matrices are stored.
    max_source_tokens : int
        Longest prompt that is taken.
    progress : bool
        Whether loading shows a bar.

    Attributes
    ----------
    config : T5Config
        The model's shape.
    tokenizer : Tokenizer
        Text to ids and back.
    stats : T5Stats
        Of the last generation.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        config: T5Config,
        tokenizer: Tokenizer,
        device: Device,
        dtype: Format,
        *,
        max_source_tokens: int,
        progress: bool,
    ) -> None:
        self._checkpoint, self._device, self._dtype, self._progress = checkpoint, device, dtype, progress
        self.config, self.tokenizer = config, tokenizer
        self.max_source_tokens = max_source_tokens
        self.stats = T5Stats()
        self._began = time.perf_counter()
        self._tensors: Tensors | None = None
        self._open()

    def _open(self) -> None:
        """Open the checkpoint for the page and device that there are now."""
        self._generation = self._device.queue.generation
        if self._tensors is not None:
            self._tensors.close()
        kernels = Kernels(self._device, self.config.sizes, self._dtype)
        self._tensors = open_tensors(self._checkpoint, self.config, self._device, self._dtype, progress=self._progress)
        self._parts: Parts = Parts(kernels, self.config, self._tensors)
        self._encoders = Encoders(self._parts)
        self._decoders: dict[tuple[int, int, int], Decoder] = {}

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        gpu: GPU | None = None,
        dtype: Format = "f32",
        progress: bool = True,
        *,
        max_source_tokens: int = 4096,
        wait: bool = True,
    ) -> Self:
        """Load a checkpoint.

        Parameters
        ----------
        source : str or path
            A folder with config.json, model.safetensors and tokenizer.json, or ``"hf:owner/name"``.
        gpu : GPU, optional
            Where it is to live; the default GPU when left out.
        dtype : {"f32", "f16", "int8"}
            How matrices are stored: "f32", "f16" (half the memory), or "int8" (a quarter; each row rounded to 255 steps).
            Arithmetic is float32 in all of them, so "f16" needs no ``shader-f16`` and gives the same where the adapter lacks it:
            the kernels unpack two float16 from each 32-bit word as they read.
        progress : bool
            Show a bar.
        max_source_tokens : int
            Longest prompt that is taken.
        wait : bool
            Return when all is loaded. Else return at once: the first call waits for what it needs, so that the encoder runs while
            the decoder loads.

        Raises
        ------
        FormatError
            When a file is missing, is not a T5's, or does not fit the others.
        WeightsError
            When there is no such checkpoint.
        FrontendError, DeviceError
            When there is no page or no GPU.

        Examples
        --------
        >>> import webgpu_widget as wg
        >>> t5 = wg.T5.from_pretrained("notebooks/tiny_t5", progress=False)
        >>> t5.generate("translate English to German: The house is wonderful.")
        'Das Haus ist wunderbar.'
        """
        if dtype not in _FORMATS:
            raise errors.DTypeError(f"dtype {dtype!r} is not one of {', '.join(map(repr, _FORMATS))}")
        if not isinstance(max_source_tokens, int) or max_source_tokens < 1:
            raise errors.ShapeError(
                f"max_source_tokens is {max_source_tokens!r}, but must be a whole number of at least 1"
            )
        checkpoint = find(source)
        config = T5Config.from_file(checkpoint.config)
        tokenizer = Tokenizer(checkpoint.tokenizer, config)
        made = cls(
            checkpoint, config, tokenizer, as_device(gpu), dtype, max_source_tokens=max_source_tokens, progress=progress
        )
        if wait:
            with made._freed_unless_whole():
                made.wait()
        return made

    @classmethod
    async def from_pretrained_async(
        cls,
        source: str | os.PathLike[str],
        gpu: GPU | None = None,
        dtype: Format = "f32",
        progress: bool = True,
        *,
        max_source_tokens: int = 4096,
        wait: bool = True,
    ) -> Self:
        """Coroutine twin of `from_pretrained`."""
        return await asyncio.to_thread(
            cls.from_pretrained, source, gpu, dtype, progress, max_source_tokens=max_source_tokens, wait=wait
        )

    # ------------------------------------------------------------ state

    def wait(self, timeout: float | None = 30.0) -> None:
        """Return when the whole model is on the GPU, with its kernels compiled.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence; None waits for ever.

        Raises
        ------
        WeightsError, IntegrityError
            When a file cannot be read, or is not what it says.
        FrontendError, DeviceError
            When the page or device is lost.
        """
        drive(whole(self._device, self._wait_steps()), timeout)

    def _wait_steps(self) -> Steps[None]:
        self._ready()
        # an encoding and a recording of one token compile the kernels
        start = np.full((1, 1), self.config.eos_token_id)
        self._encoders.encode(start, start != self.config.pad_token_id)
        with self._decoding(1, 1, 32, 64):
            pass
        yield from self._device.synchronize_steps()
        if self.stats.load_s is None:
            self.stats = replace(self.stats, load_s=time.perf_counter() - self._began)
        self._complete = self._generation

    def free(self) -> None:
        """Give the model's memory back; later use raises `ClosedError`. May be called twice."""
        self._closed = True
        self._decoders.clear()
        if self._tensors is not None:
            self._tensors.close()
        self._tensors, self._parts, self._encoders = None, cast("Parts", None), cast("Encoders", None)

    def __repr__(self) -> str:
        c = self.config
        return f"<T5 {self._checkpoint.name!r}: {c.num_layers}+{c.num_decoder_layers} layers of {c.d_model}, {self._dtype}>"
