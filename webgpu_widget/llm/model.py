"""``wg.LanguageModel``: a decoder-only language model in the browser."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self, cast

from webgpu_widget import errors
from webgpu_widget.device.default import as_device
from webgpu_widget.link.steps import Steps, drive
from webgpu_widget.llm.answers import Answers
from webgpu_widget.llm.checks import Checks
from webgpu_widget.llm.decoder import Decoder, Parts
from webgpu_widget.llm.source import Checkpoint, Tensors, find
from webgpu_widget.nn.kernels import Kernels
from webgpu_widget.nn.sampling import Settings
from webgpu_widget.nn.stats import Stats
from webgpu_widget.nn.streaming import whole

if TYPE_CHECKING:
    import os

    from webgpu_widget.device.device import Device
    from webgpu_widget.gpu import GPU
    from webgpu_widget.nn.formats import Format

__all__ = ["LanguageModel"]

DTYPES = (None, "f32", "f16", "int8")


class LanguageModel(Checks, Answers):
    """A language model of the Llama family on the GPU of the notebook's browser; made by `from_pretrained`.

    Parameters
    ----------
    checkpoint : Checkpoint
        The files that were found.
    device : Device
        Where it lives.
    dtype : {"f32", "f16", "int8"} or None
        How matrices are stored; None: as the file has them.
    context : int or None
        Most positions of a text and its answer; None: the model's own.
    progress : bool
        Whether loading shows a bar.

    Attributes
    ----------
    config : Config
        The model's shape.
    tokenizer : Tokenizer
        Text to ids and back.
    stats : Stats
        Of the last generation.
    """

    def __init__(
        self, checkpoint: Checkpoint, device: Device, dtype: Format | None, context: int | None, *, progress: bool
    ) -> None:
        self._checkpoint, self._device, self._dtype, self._progress = checkpoint, device, dtype, progress
        self.config, self.tokenizer = checkpoint.config.within(context), checkpoint.tokenizer
        self.stats = Stats()
        self._began = time.perf_counter()
        self._tensors: Tensors | None = None
        self._open()

    def _open(self) -> None:
        """Open the checkpoint for the page and device that there are now."""
        self._generation = self._device.queue.generation
        if self._tensors is not None:
            self._tensors.close()
        kernels = Kernels(self._device, self.config.sizes, self._dtype or "f32")
        self._tensors = Tensors(self._checkpoint, self._device, self._dtype, progress=self._progress)
        self._parts = Parts(kernels, self.config, self._tensors, has_head=self._checkpoint.has_head)
        self._decoder: Decoder | None = None

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        gpu: GPU | None = None,
        dtype: Format | None = None,
        context: int | None = None,
        progress: bool = True,
        *,
        wait: bool = True,
    ) -> Self:
        """Load a checkpoint: Llama 2 and 3, SmolLM2, Mistral, Qwen2 or Qwen3.

        Parameters
        ----------
        source : str or path
            A ``.gguf`` file or its URL, a folder with config.json, tokenizer.json and model.safetensors, or ``"hf:owner/name"`` of such a folder,
            ``"hf:owner/name/file.gguf"`` of such a file.
        gpu : GPU, optional
            Where it is to live; the default GPU when left out.
        dtype : {"f32", "f16", "int8"}, optional
            How matrices are stored: left out, as the file has them (GGUF's quantised blocks are decoded inside the products), else "f32", "f16",
            or "int8" (each row rounded to 255 steps). Arithmetic is float32 in all of them.
        context : int, optional
            Most positions of a text and its answer; the model's own when left out. Memory is taken by what is used, and not by this.
        progress : bool
            Show a bar.
        wait : bool
            Return when all is loaded. Else return at once: `logits` runs the first layers while the last ones load.

        Returns
        -------
        LanguageModel

        Raises
        ------
        FormatError
            When a file is missing, is no model of those kinds, or does not fit the others.
        WeightsError
            When there is no such checkpoint.
        DTypeError, ShapeError
            For another dtype, or a context that the model does not have.
        FrontendError, DeviceError
            When there is no page or no GPU.
        """
        if dtype not in DTYPES:
            raise errors.DTypeError(f"dtype {dtype!r} is not one of {', '.join(map(repr, DTYPES))}")
        made = cls(find(source), as_device(gpu), dtype, context, progress=progress)
        if wait:
            with made._freed_unless_whole():
                made.wait()
        return made

    @classmethod
    async def from_pretrained_async(
        cls,
        source: str | os.PathLike[str],
        gpu: GPU | None = None,
        dtype: Format | None = None,
        context: int | None = None,
        progress: bool = True,
        *,
        wait: bool = True,
    ) -> Self:
        """Coroutine twin of `from_pretrained`."""
        return await asyncio.to_thread(cls.from_pretrained, source, gpu, dtype, context, progress, wait=wait)

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
        texts = [[self.tokenizer.ends[0]] * 2]
        decoder = self._lend(texts, 2)  # two tokens compile the kernels
        decoder.start(texts, Settings(1))
        decoder.replay(1)
        yield from self._device.synchronize_steps()
        self._decoder = decoder
        if self.stats.load_s is None:
            self.stats = replace(self.stats, load_s=time.perf_counter() - self._began)
        self._complete = self._generation

    def free(self) -> None:
        """Give the model's memory back; later use raises `ClosedError`. May be called twice."""
        self._closed = True
        self._decoder = None
        if self._tensors is not None:
            self._tensors.close()
        self._tensors, self._parts = None, cast("Parts", None)

    def __repr__(self) -> str:
        c = self.config
        stored = self._dtype or "as stored"
        return f"<LanguageModel {self._checkpoint.name!r}: {c.layers} layers of {c.width}, {stored}>"
