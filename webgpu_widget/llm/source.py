"""A GGUF file's tensors on the GPU, matrices as the file has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from webgpu_widget.errors import FormatError
from webgpu_widget.llm.config import Config
from webgpu_widget.nn.formats import FORMATS
from webgpu_widget.weights.formats import gguf
from webgpu_widget.weights.readers import LocalReader

if TYPE_CHECKING:
    from webgpu_widget.device.handles import Buffer
    from webgpu_widget.nn.formats import Format
    from webgpu_widget.nn.kernels import Kernels, Matrix

__all__ = ["File"]

_STORED: dict[str, Format] = {"F32": "f32", "F16": "f16", "Q4_0": "q4_0", "Q4_1": "q4_1", "Q8_0": "q8_0"}


class File:
    """A GGUF file of a language model, checked.

    Parameters
    ----------
    path
        Of the file.

    Raises
    ------
    FormatError
        When it is no such file, or a tensor is missing, of another shape, or in a format without kernels.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.reader = LocalReader(os.fspath(path))
        try:
            self._parse()
        except BaseException:
            self.reader.close()
            raise

    def _parse(self) -> None:
        parsed, where = gguf.parse(self.reader), self.reader.name
        self.metadata = parsed.metadata
        self.tensors = {tensor.name: tensor for tensor in parsed.tensors}
        name = "token_embd.weight"
        vocab = self.tensors[name].shape[0] if name in self.tensors and self.tensors[name].shape else 0
        self.config = Config.from_metadata(self.metadata, vocab, where=where)
        wanted = self.config.tensor_shapes()
        if self.has_head:
            wanted["output.weight"] = wanted[name]
        missing = [name for name in wanted if name not in self.tensors]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise FormatError(
                f"{where} lacks {', '.join(missing[:3])}{more}, which its metadata promise. Download it again."
            )
        for name, shape in wanted.items():
            self._check(name, shape)

    @property
    def has_head(self) -> bool:
        """Whether the vocabulary projection is a tensor of its own."""
        return "output.weight" in self.tensors

    def _check(self, name: str, shape: tuple[int, ...]) -> None:
        tensor, where = self.tensors[name], self.reader.name
        if tensor.shape != shape:
            raise FormatError(f"{where}: {name} has shape {tensor.shape}, but the metadata ask for {shape}.")
        allowed = _STORED if len(shape) == 2 else {"F32": "f32"}
        if tensor.dtype not in allowed:
            raise FormatError(
                f"{where}: {name} is stored as {tensor.dtype}; kernels read {', '.join(allowed)}. Take the file of the model in one of those."
            )

    def _raw(self, name: str) -> bytes:
        tensor = self.tensors[name]
        return self.reader.read(tensor.offset, tensor.bytes)

    def matrix(self, kernels: Kernels, *names: str) -> Matrix:
        """Bring matrices of equal width to the GPU, stacked.

        Raises
        ------
        FormatError
            When they are not all in one format.
        """
        first = self.tensors[names[0]]
        kinds = {self.tensors[name].dtype for name in names}
        if len(kinds) > 1:
            raise FormatError(
                f"{self.reader.name}: {', '.join(names)} are in {', '.join(sorted(kinds))}, but must be in one format."
            )
        stored, columns = _STORED[first.dtype], first.shape[1]
        rows = sum(self.tensors[name].shape[0] for name in names)
        raw = b"".join(map(self._raw, names))
        if len(raw) != rows * FORMATS[stored].row_bytes(columns):
            raise FormatError(
                f"{self.reader.name}: {names[0]} has rows of {columns}, which are not whole blocks of {first.dtype}."
            )
        return kernels.upload_matrix(raw, rows, columns, stored)

    def gain(self, kernels: Kernels, name: str) -> Buffer:
        """Bring a norm's gain to the GPU."""
        data = np.frombuffer(self._raw(name), np.float32)
        made = kernels.floats(data.size, "gain")
        kernels.queue.write(made, data)
        return made
