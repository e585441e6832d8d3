"""What will be loaded, in which stages, and whether it fits: no tensor moves for this."""

from __future__ import annotations

import asyncio
import fnmatch
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from webgpu_widget.device.default import as_device
from webgpu_widget.errors import LimitError, WebGPUWidgetError, WeightsError
from webgpu_widget.weights.convert import Rules, split
from webgpu_widget.weights.scales import paired
from webgpu_widget.weights.source import open_source

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from webgpu_widget.device.device import Device
    from webgpu_widget.gpu import GPU
    from webgpu_widget.weights.source import Source
    from webgpu_widget.weights.tensors import TensorInfo

    Stages = str | Sequence[Sequence[str]] | Callable[[str], object]

__all__ = ["Fits", "Plan", "assign_stages", "inspect_weights", "inspect_weights_async", "make_plan"]

_SPLIT = re.compile(r"[./]")
_NUMBERED = re.compile(r"(?:layers?|blocks?|blk|h)_?(\d+)")
_FIRST = re.compile(r"emb|wte|wpe|(^|[._/])shared([._/]|$)|tok_|rope", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fits:
    """Whether a plan fits; true in a condition when it does.

    Attributes
    ----------
    limits : bool
        No tensor is too large for the adapter. One larger than a binding is split, which is fine.
    quota : bool
        The browser's storage has room to keep the files; without it they load, uncached.
    gpu_bytes : int
        What the loaded tensors take. WebGPU does not tell how much memory a GPU has.
    available_bytes : int
        What the browser's storage still gives this site.
    notes : tuple of str
        What is worth knowing, in words.
    """

    limits: bool
    quota: bool
    gpu_bytes: int
    available_bytes: int
    notes: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.limits and self.quota


@dataclass(frozen=True, slots=True)
class Plan:
    """What a source holds.

    Attributes
    ----------
    source : str
        As it was named.
    format : str
        ``safetensors``, ``gguf`` or ``npz``.
    tensors : tuple of TensorInfo
        By stage, in the order in which they load.
    stages : tuple of str
    total_bytes : int
        In the files; what has to move.
    metadata : dict
        The files' own key-value pairs.
    files : tuple of str
    """

    source: str
    format: str
    tensors: tuple[TensorInfo, ...]
    stages: tuple[str, ...]
    total_bytes: int
    metadata: dict[str, Any]
    files: tuple[str, ...]
    _rules: Rules
    _gpu: GPU | Device | None

    @property
    def title(self) -> str:
        """The source, without the folders of a local path."""
        return (
            self.source
            if self.source.startswith(("http://", "https://", "hf:"))
            else re.split(r"[/\\]", self.source.rstrip("/"))[-1]
        )

    def stage_bytes(self, stage: str) -> int:
        """Bytes of one stage in the files."""
        return sum(tensor.bytes for tensor in self.tensors if tensor.stage == stage)

    @property
    def gpu_bytes(self) -> int:
        """Bytes that all tensors take on the GPU, after conversion."""
        total = 0
        for tensor in self.tensors:
            target = self._rules.target(tensor)
            total += 0 if target.refused else target.size_bytes(tensor.size)
        return total

    @property
    def fits(self) -> Fits:
        """Compare with the adapter's limits and the browser's storage; waits for a front end."""
        from webgpu_widget.weights import cache

        device = as_device(self._gpu)
        return check_fits(self, device.ready().limits, cache.quota(gpu=device.gpu).available_bytes)

    def __repr__(self) -> str:
        lines = [f"{self.title}: {self.format}, {len(self.tensors)} tensors, {self.total_bytes:,} bytes"]
        lines += [f"  {name}: {count} tensors, {size:,} bytes ({kinds})" for name, count, size, kinds in self._rows()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{count}</td><td>{size:,}</td><td>{html.escape(kinds)}</td></tr>"
            for name, count, size, kinds in self._rows()
        )
        title = f"{html.escape(self.title)}: {self.format}, {len(self.tensors)} tensors, {self.total_bytes:,} bytes"
        head = "<tr><th>stage</th><th>tensors</th><th>bytes</th><th>stored as</th></tr>"
        return f"<div><b>{title}</b><table>{head}{rows}</table></div>"

    def _rows(self) -> list[tuple[str, int, int, str]]:
        rows = []
        for stage in self.stages:
            held = [tensor for tensor in self.tensors if tensor.stage == stage]
            kinds = ", ".join(sorted({f"{tensor.dtype}, scaled" if tensor.scale else tensor.dtype for tensor in held}))
            rows.append((stage, len(held), sum(tensor.bytes for tensor in held), kinds))
        return rows


def inspect_weights(
    source: str | os.PathLike[str],
    *,
    stages: Stages | None = None,
    dtype: Any = None,
    quantize: Any = None,
    gpu: GPU | None = None,
) -> Plan:
    """Read the headers of a weights source: names, types, shapes, sizes and stages. No tensor moves.

    Parameters
    ----------
    source : str or path
        A ``.safetensors`` file or its index, a ``.gguf`` or ``.npz`` file, or a folder with one of them; an http(s) URL of one;
        ``"hf:owner/name"`` or ``"hf:owner/name/file"``.
    stages, dtype, quantize
        As for `load_weights`.
    gpu : GPU, optional
        For ``fits``; the default GPU when left out, asked only when ``fits`` is read.

    Returns
    -------
    Plan

    Raises
    ------
    FormatError
        A file is not what it says.
    WeightsError
        There is no such file, or the server refuses.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.npz"
    >>> np.savez(path, **{"layer.0.w": np.zeros((2, 3), np.float32), "layer.1.w": np.zeros(4, np.float16)})
    >>> [(t.name, t.dtype, t.shape, t.bytes, t.stage) for t in inspect_weights(path).tensors]
    [('layer.0.w', 'F32', (2, 3), 24, 'layer.0'), ('layer.1.w', 'F16', (4,), 8, 'layer.1')]
    """
    with open_source(source) as opened:
        return make_plan(opened, stages, Rules(dtype, quantize), gpu)


async def inspect_weights_async(
    source: str | os.PathLike[str],
    *,
    stages: Stages | None = None,
    dtype: Any = None,
    quantize: Any = None,
    gpu: GPU | None = None,
) -> Plan:
    """Coroutine twin of `inspect_weights`."""
    return await asyncio.to_thread(inspect_weights, source, stages=stages, dtype=dtype, quantize=quantize, gpu=gpu)


def make_plan(source: Source, stages: Stages | None, rules: Rules, gpu: GPU | Device | None) -> Plan:
    """Lay out an opened source in stages."""
    held = paired(source.tensors) if source.format == "safetensors" else source.tensors
    by_name = assign_stages([tensor.name for tensor in held if not tensor.scale_of], stages)
    order = {name: index for index, name in enumerate(dict.fromkeys(by_name.values()))}
    # Scales come with what they scale.
    tensors = [replace(tensor, stage=by_name[tensor.scale_of or tensor.name]) for tensor in held]
    tensors.sort(key=lambda tensor: (order[tensor.stage], tensor.file, tensor.offset))
    total = sum(tensor.bytes for tensor in tensors)
    files = tuple(file.name for file in source.files)
    return Plan(source.name, source.format, tuple(tensors), tuple(order), total, source.metadata, files, rules, gpu)


def check_fits(plan: Plan, limits: dict[str, int], available_bytes: int) -> Fits:
    """Compare a plan with an adapter's limits and the storage that is left."""
    limit = min(limits["maxBufferSize"], limits["maxStorageBufferBindingSize"])
    notes, good = [], True
    for tensor in plan.tensors:
        target = plan._rules.target(tensor)
        if target.refused:
            notes.append(target.refused)
            continue
        try:
            parts = split(tensor, target, limit)
        except LimitError as error:
            notes.append(str(error))
            good = False
            continue
        if len(parts) > 1:
            notes.append(
                f"{tensor.name!r} is larger than one binding ({limit:,} bytes): {len(parts)} parts along axis 0"
            )
    quota = plan.total_bytes <= available_bytes
    if not quota:
        notes.append(
            f"the browser's storage has {available_bytes:,} bytes left, {plan.total_bytes:,} are needed to keep this: it loads "
            "uncached; wg.cache.clear() makes room"
        )
    return Fits(good, quota, plan.gpu_bytes, available_bytes, tuple(notes))


# ---------------------------------------------------------------- stages


def assign_stages(names: list[str], stages: Stages | None) -> dict[str, str]:
    """Give each tensor its stage.

    Parameters
    ----------
    names : list of str
    stages : "layers", list of lists of str, callable or None
        ``"layers"`` (None is the same): embeddings, then each numbered layer, then what is left. A list of lists of name
        patterns (``fnmatch``): the first that matches takes the tensor; what none matches comes last, as ``rest``; the stages
        are called ``"0"``, ``"1"`` and so on. A callable gets a name and returns a stage; stages come in the order of
        numbers if all are numbers, otherwise as they first appear.

    Returns
    -------
    dict of str to str
        In the order of the stages.
    """
    if stages is None or (isinstance(stages, str) and stages == "layers"):
        keys = _by_layer(names)
    elif callable(stages):
        made = {name: _stage_of(stages, name) for name in names}
        if all(isinstance(value, int) for value in made.values()):
            made = dict(sorted(made.items(), key=lambda item: item[1]))  # type: ignore[arg-type,return-value]
        order = {value: index for index, value in enumerate(dict.fromkeys(made.values()))}
        keys = {name: ((order[value],), str(value)) for name, value in made.items()}
    else:
        groups = _patterns(stages)
        keys = {name: _by_pattern(name, groups) for name in names}
    return {name: key[1] for name, key in sorted(keys.items(), key=lambda item: item[1][0])}


def _stage_of(stages: Callable[[str], object], name: str) -> object:
    made = stages(name)
    try:
        hash(made)
    except TypeError:
        raise WeightsError(f"stages: the callable gave {made!r} for {name!r}; a stage is a number or a str") from None
    return made


def _patterns(stages: Any) -> list[list[str]]:
    """Return lists of name patterns, where that is what ``stages`` is."""
    if isinstance(stages, Iterable) and not isinstance(stages, (str, bytes)):
        groups = [list(item) if isinstance(item, Iterable) and not isinstance(item, str) else [item] for item in stages]
        if all(isinstance(pattern, str) for group in groups for pattern in group):
            return groups
    raise WeightsError(f"stages={stages!r}: must be 'layers', a list of lists of name patterns, or a callable")


def _by_pattern(name: str, groups: list[list[str]]) -> tuple[tuple[int, ...], str]:
    for index, patterns in enumerate(groups):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            return (index,), str(index)
    return (len(groups),), "rest"


def _by_layer(names: list[str]) -> dict[str, tuple[tuple[int, ...], str]]:
    found = {name: _layer(name) for name in names}
    holders = sorted(dict.fromkeys(_holder(item[0]) for item in found.values() if item), key=_rank)
    lists = list(dict.fromkeys(item[0] for item in found.values() if item))
    keys: dict[str, tuple[tuple[int, ...], str]] = {}
    for name, item in found.items():
        if item:
            prefix, number = item
            stage = f"{prefix}.{number}" if prefix else str(number)
            keys[name] = ((1, holders.index(_holder(prefix)), 0, lists.index(prefix), number), stage)
        elif _FIRST.search(name) and lists:
            keys[name] = ((0,), "embeddings")
        else:
            inside = [holder for holder in holders if holder and name.startswith(f"{holder}.")]
            holder = max(inside, key=len, default="")
            keys[name] = ((1, holders.index(holder), 1), holder) if holder else ((2,), "head" if lists else "all")
    return keys


def _layer(name: str) -> tuple[str, int] | None:
    parts = _SPLIT.split(name)
    for index, part in enumerate(parts[:-1]):
        if part.isdecimal() and part.isascii() and len(part) < 9:
            return ".".join(parts[:index]), int(part)
        numbered = _NUMBERED.fullmatch(part)
        if numbered and len(numbered[1]) < 9:
            return ".".join([*parts[:index], part[: -len(numbered[1])].rstrip("_")]), int(numbered[1])
    return None


def _holder(prefix: str) -> str:
    return prefix.rpartition(".")[0]


def _rank(holder: str) -> int:
    """Put encoders before decoders, whatever the alphabet says; the sort is stable."""
    return 0 if re.search("encoder|vision|audio", holder) else 2 if "decoder" in holder else 1


def stage_name(stage: object, stages: tuple[str, ...]) -> str:
    """Find the stage that a caller means, by name or index."""
    if str(stage) in stages:
        return str(stage)
    if isinstance(stage, int) and -len(stages) <= stage < len(stages):
        return stages[stage]
    raise WebGPUWidgetError(f"stage {stage!r}: there are {', '.join(map(repr, stages[:20]))}")
