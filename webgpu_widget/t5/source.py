"""Where a checkpoint is, and its tensors on the GPU."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from safetensors import safe_open

from webgpu_widget.array import GPUArray
from webgpu_widget.errors import FormatError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webgpu_widget.gpu import GPU
    from webgpu_widget.t5.config import T5Config
    from webgpu_widget.t5.shaders import Format

__all__ = ["Checkpoint", "Tensors", "find"]


class Tensors(Protocol):
    """Tensors by name; asking for one waits for that one."""

    def __getitem__(self, name: str) -> GPUArray: ...

    def release(self, names: Sequence[str]) -> None:
        """Give back tensors whose values are elsewhere now."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's files: ``weights`` is what a loader of weights takes."""

    name: str
    config: Path
    tokenizer: Path
    weights: Path


def find(source: str | os.PathLike[str]) -> Checkpoint:
    """Find the files of a checkpoint.

    Parameters
    ----------
    source
        A folder with config.json, model.safetensors and tokenizer.json, or ``"hf:owner/name"``, whose local copy is used first.

    Raises
    ------
    WeightsError
        When there is no such folder, or the hub cannot be asked.
    FormatError
        When a file is missing.
    """
    text = os.fspath(source)
    if text.startswith("hf:"):
        return _from_hub(text)
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise WeightsError(
            f"{text!r} is no folder. Pass a folder with config.json, model.safetensors and tokenizer.json, or 'hf:owner/name'."
        )
    files = {name: folder / name for name in ("config.json", "tokenizer.json", "model.safetensors")}
    missing = [name for name, path in files.items() if not path.is_file()]
    if missing:
        raise FormatError(
            f"{folder} lacks {' and '.join(missing)}. A T5 checkpoint is a folder with config.json, model.safetensors and tokenizer.json."
        )
    return Checkpoint(folder.name, files["config.json"], files["tokenizer.json"], files["model.safetensors"])


def _from_hub(text: str) -> Checkpoint:
    repository = text.removeprefix("hf:")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise WeightsError(f"{text!r} is no hub name; write 'hf:owner/name', for example 'hf:google/flan-t5-small'.")
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise WeightsError(f"{text!r} needs the package huggingface_hub: pip install 'webgpu_widget[hub]'.") from error

    def get(name: str) -> Path:
        try:
            return Path(hf_hub_download(repository, name, local_files_only=True))
        except LocalEntryNotFoundError:
            pass
        try:
            return Path(hf_hub_download(repository, name))
        except (HfHubHTTPError, OSError) as error:
            raise WeightsError(
                f"{name} of {text!r} cannot be fetched: {error}. Check the name, the network, and the token of a private model."
            ) from error

    return Checkpoint(repository, get("config.json"), get("tokenizer.json"), get("model.safetensors"))


class FileTensors:
    """Tensors of a safetensors file, moved when asked for."""

    def __init__(self, path: Path, config: T5Config, gpu: GPU, weights: Format) -> None:
        self._gpu = gpu
        self._dtype = np.float16 if weights == "f16" else np.float32
        try:
            self._file: Any = safe_open(path, framework="numpy")
        except Exception as error:  # safetensors' own type is not public
            raise FormatError(f"{path} is not a safetensors file: {error}. Download it again.") from error
        config.check_tensors(
            {name: tuple(self._file.get_slice(name).get_shape()) for name in self._file.keys()}, where=str(path)
        )  # noqa: SIM118

    def __getitem__(self, name: str) -> GPUArray:
        values = self._file.get_tensor(name)
        dtype = self._dtype if values.ndim == 2 and "relative_attention_bias" not in name else np.float32
        return self._gpu.array(np.ascontiguousarray(values.astype(dtype, copy=False)))

    def release(self, names: Sequence[str]) -> None:
        """Nothing is kept."""


def open_tensors(checkpoint: Checkpoint, config: T5Config, gpu: GPU, weights: Format, *, progress: bool) -> Tensors:
    """Open a checkpoint's tensors, checked against its config."""
    del progress
    return FileTensors(checkpoint.weights, config, gpu, weights)
