"""Where a checkpoint is, and its tensors on the GPU."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from webgpu_widget.errors import FormatError, WeightsError
from webgpu_widget.nn import layers
from webgpu_widget.nn.staged import StagedTensors

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.nn.formats import Format
    from webgpu_widget.t5.config import T5Config

__all__ = ["Checkpoint", "Tensors", "find"]


class Tensors(layers.Tensors, Protocol):
    """The tensors of a T5."""

    has_head: bool
    """Whether the vocabulary projection is a tensor of its own."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's files: ``weights`` is what a loader of weights takes."""

    name: str
    config: Path
    tokenizer: Path
    weights: Path | str


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
    config, tokenizer, weights = (folder / name for name in ("config.json", "tokenizer.json", "model.safetensors"))
    if not weights.is_file() and (index := folder / "model.safetensors.index.json").is_file():
        weights = index
    missing = [path.name for path in (config, tokenizer, weights) if not path.is_file()]
    if missing:
        raise FormatError(
            f"{folder} lacks {' and '.join(missing)}. A T5 checkpoint is a folder with config.json, tokenizer.json, and model.safetensors or, of a model "
            "in several files, model.safetensors.index.json."
        )
    return Checkpoint(folder.name, config, tokenizer, weights)


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

    return Checkpoint(repository, get("config.json"), get("tokenizer.json"), text)


_EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""What the one embedding of both stacks is called: by T5 itself, and by checkpoints that were saved stack by stack (MADLAD-400)."""


class LoadedTensors(StagedTensors):
    """Tensors that come in stages: the encoder's first layer, the embedding, the other layers in the order of use."""

    def __init__(
        self, checkpoint: Checkpoint, config: T5Config, device: Device, weights: Format, *, progress: bool
    ) -> None:
        from webgpu_widget.weights import inspect_weights, load_weights

        plan = inspect_weights(checkpoint.weights, gpu=device.gpu)
        found = {tensor.name: tensor.shape for tensor in plan.tensors if not tensor.scale_of}
        shared = next((name for name in _EMBEDDINGS if name in found), _EMBEDDINGS[0])
        if shared in found:
            found[_EMBEDDINGS[0]] = found[shared]
        config.check_tensors(found, where=str(checkpoint.weights))
        self.has_head = "lm_head.weight" in found
        wanted = config.tensor_shapes(has_head=self.has_head)
        meant = {shared if name == _EMBEDDINGS[0] else name: name for name in wanted}
        for tensor in plan.tensors:
            if tensor.name in meant and tensor.encoding.kind in ("integer", "bool"):
                raise FormatError(
                    f"{checkpoint.weights}: {tensor.name} has the dtype {tensor.dtype}, but a weight must be of floats: what these whole numbers "
                    "are to be multiplied by is not known here. Use the checkpoint that it was made of, with dtype='int8' to have it small."
                )
        last = 3 + config.num_layers + config.num_decoder_layers

        def stage(stored: str) -> int:
            if stored not in meant:
                return last  # a duplicate of the embedding, say: never asked for
            name = meant[stored]
            head, _, rest = name.partition(".block.")
            number = int(rest.split(".")[0]) if rest else 0
            if head == "encoder":
                return number + 1 if number else 0
            if head == "decoder":
                return 2 + config.num_layers + number
            return {"shared.weight": 1, "encoder.final_layer_norm.weight": 1 + config.num_layers}.get(name, last - 1)

        loaded = load_weights(
            checkpoint.weights,
            device.gpu,
            stages=stage,
            dtype={
                "*layer_norm*": "f32",
                "*relative_attention_bias*": "f32",
                "*": "f16" if weights == "f16" else "f32",
            },
            progress=progress,
        )
        super().__init__(loaded, {_EMBEDDINGS[0]: shared}, {stored: stage(stored) for stored in meant})


def open_tensors(
    checkpoint: Checkpoint, config: T5Config, device: Device, weights: Format, *, progress: bool
) -> Tensors:
    """Begin to load a checkpoint's tensors, checked against its config."""
    return LoadedTensors(checkpoint, config, device, weights, progress=progress)
