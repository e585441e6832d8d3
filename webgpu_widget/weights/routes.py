"""How a file's bytes get into the page: the best way that works, found by trying."""

from __future__ import annotations

import pathlib
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webgpu_widget.device.device import Device
    from webgpu_widget.link import services
    from webgpu_widget.weights.source import SourceFile

__all__ = ["Route", "chunk_bytes_for", "probe_params", "route_from"]

_SAMPLE_BYTES = 64
_SMALLEST_CHUNK = 256 * 1024
_LARGEST_CHUNK = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """How one file is read by the page.

    Attributes
    ----------
    kind : str
        ``url``, ``files`` or ``comm``.
    endpoint : str
        ``hub``, an origin, or nothing.
    url : str or None
        What the page fetches; None when Python sends the bytes.
    ranges : bool
        Whether that server honours Range.
    validator : str
        ETag or Last-Modified as the page saw it.
    tried : tuple of str
        What did not work, and why.
    """

    kind: str
    endpoint: str = ""
    url: str | None = None
    ranges: bool = True
    validator: str = ""
    tried: tuple[str, ...] = ()


def chunk_bytes_for(size: int) -> int:
    """Bytes of a chunk: a power of two, about a hundredth of the file, from 256 KiB to 4 MiB."""
    wanted = _SMALLEST_CHUNK
    while wanted < _LARGEST_CHUNK and wanted * 128 < size:
        wanted *= 2
    return wanted


def probe_params(file: SourceFile, device: Device, served: str | None, *, by_python: bool = False) -> services.Probe:
    """Say what has the page try where it can fetch a file.

    Parameters
    ----------
    file : SourceFile
    device
    served : str or None
        The hub's address for it.
    by_python : bool
        Offer no address at all.
    """
    in_notebook = device.transport.name == "comm"
    path = file.path
    by_server = path is not None and in_notebook and not by_python
    urls = [url for url in (file.url, served) if url is not None and not by_python]
    return {
        "urls": urls,
        "path": _parts(path.absolute()) if path is not None and by_server else [],
        "resolved": _parts(path.resolve()) if path is not None and by_server else [],
        "home": _parts(pathlib.Path.home()) if by_server else [],
        "size": file.size,
        "samples": _samples(file),
        "modified": 0 if path is None else int(path.stat().st_mtime),
    }


def _parts(path: pathlib.Path) -> list[str]:
    return [part for part in path.parts if part != path.anchor]


def _samples(file: SourceFile) -> list[tuple[int, str]]:
    """Bytes by which the page tells the file from another of its name: of a local one also from the middle and the end."""
    size = min(_SAMPLE_BYTES, file.size)
    places = [0] if file.path is None else sorted({0, (file.size - size) // 2, file.size - size})
    return [(place, file.reader.read(place, size).hex()) for place in places]


def route_from(reply: services.ProbeAnswer, file: SourceFile, served: str | None) -> Route:
    """Read the page's answer."""
    url, tried = reply["url"], tuple(reply["tried"])
    if url is None:
        return Route("comm", tried=tried)
    parts = urllib.parse.urlsplit(url)
    if served is not None and parts.path == urllib.parse.urlsplit(served).path:
        kind, endpoint = "url", "hub"
    else:
        kind, endpoint = ("url" if file.url is not None else "files"), f"{parts.scheme}://{parts.netloc}"
    return Route(kind, endpoint, url, reply["ranges"], reply["validator"], tried)
