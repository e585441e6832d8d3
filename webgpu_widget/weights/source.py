"""From what a caller names to files, tensors and a way to read them."""

from __future__ import annotations

import hashlib
import os
import urllib.parse
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from webgpu_widget.errors import FormatError, IntegrityError, WeightsError
from webgpu_widget.process.private_folder import PrivateFolder
from webgpu_widget.weights.formats import gguf, npz, safetensors
from webgpu_widget.weights.formats.foreign import refuse_foreign
from webgpu_widget.weights.formats.gguf_split import check_parts, part_count, part_names, place_in_name
from webgpu_widget.weights.hub import hub_cached, hub_headers, hub_listing
from webgpu_widget.weights.readers import HttpReader, LocalReader, NoSuchFileError

if TYPE_CHECKING:
    from collections.abc import Callable

    from webgpu_widget.weights.formats import Parsed
    from webgpu_widget.weights.tensors import TensorInfo

__all__ = ["Source", "SourceFile", "open_source"]

_SUFFIXES = (".safetensors", ".gguf", ".npz")
_SOURCES = f"a path to {', '.join(_SUFFIXES)}, an http(s) URL, or 'hf:owner/name'"
MAX_INDEX_BYTES = 100_000_000
_MISSING_NAMED = 8
_STEP_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class SourceFile:
    """One file of a source.

    Attributes
    ----------
    name : str
    reader : LocalReader or HttpReader
    key : str
        Names this very content in the browser's cache: a hash of where it is, its length, its validator and its header.
    folder : PrivateFolder or None
        Holds the file when it was made by this package, from compressed members; removed on close, or by the next process when this one is killed.
    sha256 : str
        Of the whole file, where the origin tells it; otherwise empty. 128 digits are its SHA-512.
    """

    name: str
    reader: LocalReader | HttpReader
    key: str
    folder: PrivateFolder | None = None
    sha256: str = ""

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.reader.size

    @property
    def url(self) -> str | None:
        """Where a browser may fetch it, if anywhere."""
        return self.reader.url if isinstance(self.reader, HttpReader) else None

    @property
    def path(self) -> Path | None:
        """Where it lies on this machine, if it does."""
        return self.reader.path if isinstance(self.reader, LocalReader) else None


@dataclass(slots=True)
class Source:
    """An opened source: its files stay open until ``close``.

    Attributes
    ----------
    name : str
        As the caller gave it.
    format : str
        ``safetensors``, ``gguf`` or ``npz``.
    files : list of SourceFile
    tensors : list of TensorInfo
        In file order; no stages yet.
    metadata : dict
        The files' own key-value pairs.
    """

    name: str
    format: str
    files: list[SourceFile]
    tensors: list[TensorInfo]
    metadata: dict[str, Any] = field(default_factory=dict)
    on_close: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """Close the files and remove temporary ones."""
        for call in self.on_close:
            call()
        self.on_close.clear()
        for file in self.files:
            file.reader.close()
            if file.folder is not None:
                file.folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(source: str | os.PathLike[str]) -> Source:
    """Find the files of a source and read their headers; no tensor is read.

    Parameters
    ----------
    source : str or path
        A ``.safetensors`` file or its index, a ``.gguf`` file (of a split model any part) or an ``.npz`` file, a folder with one of them; an http(s) URL of one;
        ``hf:owner/name`` or ``hf:owner/name/file``.

    Returns
    -------
    Source

    Raises
    ------
    FormatError
        A file is not what it says.
    WeightsError
        There is no such file, or the server refuses.
    """
    if not isinstance(source, str | os.PathLike):
        raise WeightsError(f"the source is {source!r} of type {type(source).__name__}; pass {_SOURCES}")
    text = os.fspath(source)
    if text.startswith(("http://", "https://")):
        return _open_url(text, text)
    if text.startswith("hf:"):
        return _open_hub(text)
    path = Path(text).expanduser()
    if path.is_dir():
        path = _in_folder(path)
    if not path.is_file():
        raise WeightsError(f"{str(path)!r}: no such file; a source is {_SOURCES}")
    return _open_files(text, path.name, lambda name: LocalReader(path.parent / name), str(path.parent.absolute()))


def _open_url(name: str, url: str, headers: dict[str, str] | None = None) -> Source:
    parts = urllib.parse.urlsplit(url)
    folder, _, file = parts.path.rpartition("/")

    def reader(member: str) -> HttpReader:
        path = f"{folder}/{member if member == file else urllib.parse.quote(member)}"
        return HttpReader(urllib.parse.urlunsplit(parts._replace(path=path, fragment="")), headers)

    return _open_files(name, file, reader, f"{parts.scheme}://{parts.netloc}{folder}")


def _open_files(name: str, first: str, reader: Callable[[str], LocalReader | HttpReader], place: str) -> Source:
    if safetensors.is_index(urllib.parse.unquote(first)):
        return _open_sharded(name, first, reader, place)
    opened = reader(first)
    try:
        kind, parsed = _parse(opened)
        files = [_source_file(opened.name, place, opened, parsed)]
        tensors = list(parsed.tensors)
        if kind == "gguf" and part_count(parsed, opened.name) > 1:
            opened.close()
            return _open_parts(name, opened.name, reader, place)
        if parsed.indirect:
            _check_whole(files[0])
            unpacked, more = _unpack(opened, parsed, files[0].key)
            files.append(unpacked)
            tensors += [replace(tensor, file=1) for tensor in more]
    except BaseException:
        opened.close()
        raise
    return Source(name, kind, files, tensors, parsed.metadata)


def _open_sharded(name: str, index: str, reader: Callable[[str], LocalReader | HttpReader], place: str) -> Source:
    opened = reader(index)
    if opened.size > MAX_INDEX_BYTES:
        opened.close()
        raise FormatError(f"{opened.name}: an index of {opened.size} bytes (at most {MAX_INDEX_BYTES})")
    try:
        wanted = safetensors.parse_index(opened.read(0, opened.size), opened.name)
    finally:
        opened.close()
    result = Source(name, "safetensors", [], [])
    try:
        for shard in dict.fromkeys(wanted.values()):
            file = _open_shard(reader, shard, index)
            try:
                parsed = safetensors.parse(file)
            except BaseException:
                file.close()
                raise
            result.files.append(_source_file(shard, place, file, parsed))
            held = {tensor.name: tensor for tensor in parsed.tensors}
            for tensor, place_of in wanted.items():
                if place_of == shard:
                    if tensor not in held:
                        raise FormatError(  # noqa: TRY301
                            f"{index}: says that {shard} holds {tensor[:80]!r}, but it does not"
                        )
                    result.tensors.append(replace(held[tensor], file=len(result.files) - 1))
            result.metadata.update(parsed.metadata)
    except BaseException:
        result.close()
        raise
    result.tensors.sort(key=lambda tensor: (tensor.file, tensor.offset))
    return result


def _open_parts(name: str, part: str, reader: Callable[[str], LocalReader | HttpReader], place: str) -> Source:
    """Open all parts of a split GGUF, of which one is known."""
    names = part_names(part)
    result = Source(name, "gguf", [], [])
    parts: list[Parsed] = []
    missing: list[str] = []
    try:
        for number, member in enumerate(names):
            if len(missing) == _MISSING_NAMED:  # a header may claim many thousands
                missing.append("...")
                break
            try:
                file = reader(member)
            except (FileNotFoundError, NoSuchFileError):
                missing.append(member)
                continue
            try:
                parsed = gguf.parse(file)
                result.files.append(_source_file(file.name, place, file, parsed))
            except BaseException:
                file.close()
                raise
            parts.append(parsed)
            result.tensors += [replace(tensor, file=number) for tensor in parsed.tensors]
        if missing:
            raise FormatError(  # noqa: TRY301  what has been opened is closed below
                f"{part} is one of {len(names)} parts of a model, of which {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing "
                "in the same folder; fetch what is missing"
            )
        check_parts(parts, names)
    except BaseException:
        result.close()
        raise
    result.metadata.update(parts[0].metadata)
    return result


def _open_shard(reader: Callable[[str], LocalReader | HttpReader], shard: str, index: str) -> LocalReader | HttpReader:
    try:
        return reader(shard)
    except (FileNotFoundError, NoSuchFileError):
        raise FormatError(f"{index} names the shard {shard}, which is not beside it; fetch the missing file") from None


def _parse(reader: LocalReader | HttpReader) -> tuple[str, Parsed]:
    head = reader.read(0, min(8, reader.size))
    if head[:4] == b"GGUF":
        return "gguf", gguf.parse(reader)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "npz", npz.parse(reader)
    suffix = Path(reader.name).suffix
    if suffix == ".gguf":
        return "gguf", gguf.parse(reader)
    if suffix == ".npz":
        return "npz", npz.parse(reader)
    refuse_foreign(head, reader.name, reader.size)
    return "safetensors", safetensors.parse(reader)


def _source_file(name: str, place: str, reader: LocalReader | HttpReader, parsed: Parsed) -> SourceFile:
    sha256 = reader.sha256 if isinstance(reader, HttpReader) else ""
    digest = hashlib.sha256()
    for part in (place, reader.name, str(reader.size), reader.validator, *([sha256] if sha256 else [])):
        digest.update(part.encode() + b"\0")
    digest.update(hashlib.sha256(parsed.header_bytes).digest())
    return SourceFile(name, reader, digest.hexdigest()[:40], sha256=sha256)


def _check_whole(file: SourceFile) -> None:
    """Read a file whose members Python unpacks once through, where its server gives its SHA-256 or SHA-512."""
    if not file.sha256:
        return
    digest = hashlib.sha512() if len(file.sha256) == 128 else hashlib.sha256()
    for begin in range(0, file.size, _STEP_BYTES):
        digest.update(file.reader.read(begin, min(_STEP_BYTES, file.size - begin)))
    if digest.hexdigest() != file.sha256:
        raise IntegrityError(
            f"{file.name}: has the SHA-{8 * digest.digest_size} {digest.hexdigest()}, but its server says {file.sha256}: it is damaged there or on the way; load it again"
        )


def _unpack(reader: LocalReader | HttpReader, parsed: Parsed, key: str) -> tuple[SourceFile, list[TensorInfo]]:
    folder = PrivateFolder("weights-")
    path = folder.path / "unpacked.bin"
    try:
        with path.open("w+b") as target:
            tensors = npz.unpack(reader, parsed.indirect, target)
        file = SourceFile(
            f"{reader.name} (unpacked)",
            LocalReader(path),
            hashlib.sha256(key.encode()).hexdigest()[:40],
            folder=folder,
        )
    except BaseException:
        folder.close()
        raise
    return file, tensors


def _in_folder(folder: Path) -> Path:
    return folder / _choose(sorted(entry.name for entry in folder.iterdir()), str(folder))


def _choose(names: list[str], where: str) -> str:
    for name in ("model.safetensors", "model.safetensors.index.json"):
        if name in names:
            return name
    indexes = [name for name in names if safetensors.is_index(name)]
    found = indexes or _models([name for name in names if name.endswith(_SUFFIXES)], where)
    if len(found) != 1:
        listed = ", ".join(found[:8]) or "none"
        raise WeightsError(f"{where}: {len(found)} weights files ({listed}); name the one to load")
    return found[0]


def _models(names: list[str], where: str) -> list[str]:
    """Of files, those to open: the parts of a split GGUF are one; a part of anything else without its index is none."""
    models: dict[str, str] = {}
    for name in names:
        found = place_in_name(name)
        split = found is not None and found[1] > 1 and not name.endswith(".npz")
        if split and not name.endswith(".gguf"):
            raise WeightsError(
                f"{where}: {name} is a part of a model, and its index (*.safetensors.index.json) is not there; fetch the index, or name the one file to load"
            )
        models.setdefault(name[: -len("00001-of-00001.gguf")] + name[-len("00001.gguf") :] if split else name, name)
    return list(models.values())


# ---------------------------------------------------------------- the Hugging Face hub


def _open_hub(text: str) -> Source:
    parts = text[3:].split("/")
    if len(parts) < 2 or not all(parts) or any(part in (".", "..") for part in parts):
        raise WeightsError(f"{text!r}: write 'hf:owner/name' or 'hf:owner/name/file'")
    repo, name = "/".join(parts[:2]), "/".join(parts[2:])
    cached = hub_cached(repo, name)
    if cached is not None:
        source = open_source(cached)
        source.name = text
        return source
    base = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    headers = hub_headers()
    if not name:
        name = _choose(hub_listing(base, repo, headers), text)
    return _open_url(text, f"{base}/{repo}/resolve/main/{urllib.parse.quote(name)}", headers)
