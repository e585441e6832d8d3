"""Where a language model's files are, and its tensors on the GPU, coming in stages."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from webgpu_widget.errors import FormatError, WeightsError
from webgpu_widget.llm.config import Config, gguf_name
from webgpu_widget.llm.tokenizer import Tokenizer
from webgpu_widget.nn.formats import FORMATS
from webgpu_widget.nn.staged import StagedTensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webgpu_widget.device.device import Device
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.nn.formats import Format
    from webgpu_widget.nn.kernels import Kernels, Matrix
    from webgpu_widget.weights.plan import Plan

__all__ = ["Checkpoint", "Tensors", "find"]

STORED: dict[str, Format] = {name.upper(): name for name in FORMATS if name != "int8"}
_FOLDER = "a folder with config.json, tokenizer.json and model.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A language model's files, read but for the tensors: ``weights`` is what a loader of weights takes, ``names`` its tensors' by those of GGUF."""

    name: str
    weights: str | Path
    plan: Plan
    names: Mapping[str, str]
    config: Config
    tokenizer: Tokenizer

    @property
    def has_head(self) -> bool:
        """Whether the vocabulary projection is a tensor of its own."""
        return not self.config.is_tied and "output.weight" in self.names


def find(source: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint's config, tokenizer and list of tensors.

    Parameters
    ----------
    source
        A ``.gguf`` file or its URL, a folder with config.json, tokenizer.json and safetensors, or ``"hf:owner/name"`` of either.

    Raises
    ------
    WeightsError
        When there is no such file.
    FormatError
        When a file is missing, is no language model of a known kind, or does not fit the others.
    """
    from webgpu_widget.weights import inspect_weights

    text = os.fspath(source)
    is_folder = (text.startswith("hf:") and text.count("/") == 1) or Path(text).expanduser().is_dir()
    if not is_folder:
        plan = inspect_weights(source)
        if plan.format != "gguf":
            raise FormatError(f"{text!r} is a {plan.format} file; pass a .gguf file, or {_FOLDER}.")
        return _from_gguf(text, plan)
    return _from_folder(text)


def _from_gguf(text: str, plan: Plan) -> Checkpoint:
    shapes = {tensor.name: tensor.shape for tensor in plan.tensors}
    vocab = (shapes.get("token_embd.weight") or (0,))[0]
    config = Config.from_gguf(plan.metadata, vocab, where=plan.title)
    tokenizer = Tokenizer.from_gguf(plan.metadata, vocab, where=plan.title)
    return _checked(Checkpoint(plan.title, text, plan, {name: name for name in shapes}, config, tokenizer))


def _from_folder(text: str) -> Checkpoint:
    from webgpu_widget.weights import inspect_weights

    files = _hub_files(text) if text.startswith("hf:") else _local_files(Path(text).expanduser())
    config_path = files("config.json")
    config = Config.from_hub(_json(config_path), where=str(config_path))
    extra = {name: _json(path) for name in ("tokenizer_config", "generation_config") if (path := files(f"{name}.json", needed=False))}  # fmt: skip
    template = files("chat_template.jinja", needed=False)
    if template:
        extra.setdefault("tokenizer_config", {})["chat_template"] = template.read_text("utf-8")
    tokenizer = Tokenizer.from_file(cast("Path", files("tokenizer.json")), config, extra)
    weights: str | Path = text if text.startswith("hf:") else Path(text).expanduser()
    plan = inspect_weights(weights)
    names = {gguf_name(tensor.name): tensor.name for tensor in plan.tensors}
    return _checked(Checkpoint(plan.title, weights, plan, names, config, tokenizer))


def _local_files(folder: Path) -> Any:
    def get(name: str, *, needed: bool = True) -> Path | None:
        path = folder / name
        if path.is_file():
            return path
        if needed:
            raise FormatError(f"{folder} lacks {name}. A language model is a .gguf file, or {_FOLDER}.")
        return None

    return get


def _hub_files(text: str) -> Any:
    repository = text.removeprefix("hf:")
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise WeightsError(f"{text!r} needs the package huggingface_hub: pip install 'webgpu_widget[hub]'.") from error

    def get(name: str, *, needed: bool = True) -> Path | None:
        try:
            return Path(hf_hub_download(repository, name, local_files_only=True))
        except LocalEntryNotFoundError:
            pass
        try:
            return Path(hf_hub_download(repository, name))
        except (EntryNotFoundError, HfHubHTTPError, OSError) as error:
            if not needed:
                return None
            raise WeightsError(
                f"{name} of {text!r} cannot be fetched: {error}. Check the name, the network, and the token of a private model."
            ) from error

    return get


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no JSON: {error}. Download it again.") from error
    if not isinstance(found, dict):
        raise FormatError(f"{path} is no JSON object. Download it again.")
    return found


def _checked(made: Checkpoint) -> Checkpoint:
    """Compare the tensors with what the config promises."""
    found, where = {tensor.name: tensor for tensor in made.plan.tensors}, made.name
    wanted = made.config.tensor_shapes()
    if made.has_head:
        wanted["output.weight"] = wanted["token_embd.weight"]
    missing = [name for name in wanted if name not in made.names]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise FormatError(
            f"{where} lacks {', '.join(missing[:3])}{more}, which its config promises. Download it again."
        )
    for name, shape in wanted.items():
        tensor = found[made.names[name]]
        if tensor.shape != shape:
            raise FormatError(f"{where}: {tensor.name} has shape {tensor.shape}, but the config asks for {shape}.")
        if tensor.dtype not in STORED and tensor.encoding.kind in ("unknown", "integer", "bool"):
            raise FormatError(
                f"{where}: {tensor.name} is stored as {tensor.dtype}; kernels read {', '.join(STORED)}. Take the model in one of those."
            )
    return made


class Tensors(StagedTensors):
    """A checkpoint's tensors, coming in stages: the embedding, the layers in their order, the rest. A stage is given back when all of it is released.

    Parameters
    ----------
    checkpoint
        Whose they are.
    device
        Where they go.
    dtype
        None to keep matrices as the file has them.
    progress
        Whether to show a bar.
    """

    def __init__(self, checkpoint: Checkpoint, device: Device, dtype: Format | None, *, progress: bool) -> None:
        from webgpu_widget.weights import load_weights

        self._checkpoint, self.dtype = checkpoint, dtype
        names, layers = checkpoint.names, checkpoint.config.layers
        self._plan = {tensor.name: tensor for tensor in checkpoint.plan.tensors}
        wanted = [*checkpoint.config.tensor_shapes(), *(["output.weight"] if checkpoint.has_head else [])]
        wanted += ["rope_freqs.weight"] if "rope_freqs.weight" in names else []
        stages = {names[name]: _stage(name, layers) for name in dict.fromkeys(wanted)}
        kept = {None: "stored", "f16": "f16"}.get(dtype, "f32")
        rules = {tensor.name: "f32" for tensor in checkpoint.plan.tensors if not self._is_matrix(tensor.name)}
        loaded = load_weights(
            checkpoint.weights,
            device.gpu,
            stages=lambda name: stages.get(name, layers + 2),
            dtype={**rules, "*": kept},
            progress=progress,
        )
        super().__init__(loaded, names, stages)

    def _is_matrix(self, name: str) -> bool:
        tensor = self._plan[name]
        return len(tensor.shape) == 2 and (self.dtype is not None or tensor.dtype in STORED)

    def __contains__(self, name: str) -> bool:
        return name in self._checkpoint.names

    def format(self, name: str) -> Format:
        """Return what a matrix becomes on the GPU."""
        if self.dtype is not None:
            return self.dtype
        return STORED.get(self._plan[self._checkpoint.names[name]].dtype, "f32")

    def matrix(self, kernels: Kernels, *names: str) -> Matrix:
        """Stack matrices of one format and width into memory of their own, with their biases if the first has one."""
        arrays, columns = [self[name] for name in names], self._shape(names[0])[1]
        if self.dtype == "int8":
            made = kernels.stack(arrays)
        else:
            made = kernels.gather(arrays, [self._shape(name)[0] for name in names], columns, self.format(names[0]))
        self.release(names)
        biases = [name.replace(".weight", ".bias") for name in names]
        if biases[0] not in self._checkpoint.config.tensor_shapes():
            return made
        return kernels.with_bias(made, self.vector(kernels, *biases))

    def vector(self, kernels: Kernels, *names: str) -> Buffer:
        """Bring vectors together, float32."""
        arrays = [self[name] for name in names]
        made = kernels.floats(sum(array.size for array in arrays), "gains")
        at = 0
        for array in arrays:
            kernels.queue.copy(array._buffer(), 0, made, at, array.nbytes)
            at += array.nbytes
        self.release(names)
        return made

    def numpy(self, name: str) -> np.ndarray[Any, Any]:
        """Read a small tensor."""
        found: np.ndarray[Any, Any] = self[name].numpy()
        self.release([name])
        return found

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._plan[self._checkpoint.names[name]].shape


def _stage(name: str, layers: int) -> int:
    if name.startswith("blk."):
        return 1 + int(name.split(".")[1])
    return 0 if name.startswith(("token_embd", "rope_freqs")) else layers + 1
