"""The browser's copy of weights, in its origin-private file system.

It belongs to the address that the page was loaded from (a Jupyter server, say) and to that browser's profile: another port is
another cache, and a browser that ``transport="headless"`` starts forgets it when it ends.
"""

from __future__ import annotations

import builtins
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webgpu_widget.device.default import as_device
from webgpu_widget.link import services
from webgpu_widget.link.steps import Steps, call, drive, drive_async

if TYPE_CHECKING:
    from webgpu_widget.gpu import GPU

__all__ = [
    "CacheEntry",
    "CacheQuota",
    "CacheReport",
    "clear",
    "clear_async",
    "list",
    "list_async",
    "quota",
    "quota_async",
    "verify",
    "verify_async",
]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One cached file.

    Attributes
    ----------
    name : str
        The file's name.
    key : str
        Names this content: where it is, its length, validator and header.
    size : int
        Of the whole file.
    bytes : int
        Of it that is cached.
    complete : bool
        Whether that is the whole file.
    """

    name: str
    key: str
    size: int
    bytes: int
    complete: bool


@dataclass(frozen=True, slots=True)
class CacheQuota:
    """How much this page may store and stores, all of its site's data together.

    Attributes
    ----------
    quota_bytes, used_bytes : int
        How much it may store, and stores.
    persisted : bool
        Whether the browser keeps it when its disk gets full.
    """

    quota_bytes: int
    used_bytes: int
    persisted: bool

    @property
    def available_bytes(self) -> int:
        """What is left."""
        return max(0, self.quota_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True)
class CacheReport:
    """What ``verify`` found; true in a condition when all was good.

    Attributes
    ----------
    checked : int
        Chunks compared with their digests.
    bytes : int
        What these hold.
    bad : tuple of (str, int)
        File key and chunk number of what was damaged, and has been dropped: the next load fetches it again.
    """

    checked: int
    bytes: int
    bad: tuple[tuple[str, int], ...]

    def __bool__(self) -> bool:
        return not self.bad


def _keys(source: str | os.PathLike[str] | None) -> builtins.list[str] | None:
    from webgpu_widget.weights.source import open_source

    if source is None:
        return None
    with open_source(source) as opened:
        return [file.key for file in opened.files]


def list(*, gpu: GPU | None = None, timeout: float | None = 30.0) -> builtins.list[CacheEntry]:  # noqa: A001
    """Say what is cached, the last used first.

    Parameters
    ----------
    gpu : GPU, optional
        Whose browser; the default GPU's when left out.
    timeout : float or None
        Seconds of silence.
    """
    return drive(_list_steps(gpu), timeout)


async def list_async(*, gpu: GPU | None = None, timeout: float | None = 30.0) -> builtins.list[CacheEntry]:
    """Coroutine twin of `list`."""
    return await drive_async(_list_steps(gpu), timeout)


def _list_steps(gpu: GPU | None) -> Steps[builtins.list[CacheEntry]]:
    reply = yield from as_device(gpu).queue.ask_steps(services.CACHE_LIST, services.Nothing(), "listing the cache")
    return [
        CacheEntry(item["name"], item["key"], item["size"], item["bytes"], item["complete"])
        for item in reply["entries"]
    ]


def clear(source: str | os.PathLike[str] | None = None, *, gpu: GPU | None = None, timeout: float | None = 30.0) -> int:
    """Drop one source's files from the cache, or everything.

    Parameters
    ----------
    source : str or path, optional
        As for ``load_weights``; its files are opened to find their keys.
    gpu, timeout
        As for `list`.

    Returns
    -------
    int
        Bytes given back.
    """
    return drive(_clear_steps(source, gpu), timeout)


async def clear_async(
    source: str | os.PathLike[str] | None = None, *, gpu: GPU | None = None, timeout: float | None = 30.0
) -> int:
    """Coroutine twin of `clear`."""
    return await drive_async(_clear_steps(source, gpu), timeout)


def _clear_steps(source: str | os.PathLike[str] | None, gpu: GPU | None) -> Steps[int]:
    keys = yield from call(lambda: _keys(source))
    reply = yield from as_device(gpu).queue.ask_steps(
        services.CACHE_CLEAR, services.CacheKeys(keys=keys), "clearing the cache"
    )
    return reply["freed_bytes"]


def verify(
    source: str | os.PathLike[str] | None = None, *, gpu: GPU | None = None, timeout: float | None = 300.0
) -> CacheReport:
    """Compare every cached chunk with its digest and drop the damaged ones.

    Parameters
    ----------
    source, gpu, timeout
        As for `clear`.
    """
    return drive(_verify_steps(source, gpu), timeout)


async def verify_async(
    source: str | os.PathLike[str] | None = None, *, gpu: GPU | None = None, timeout: float | None = 300.0
) -> CacheReport:
    """Coroutine twin of `verify`."""
    return await drive_async(_verify_steps(source, gpu), timeout)


def _verify_steps(source: str | os.PathLike[str] | None, gpu: GPU | None) -> Steps[CacheReport]:
    keys = yield from call(lambda: _keys(source))
    reply = yield from as_device(gpu).queue.ask_steps(
        services.CACHE_VERIFY, services.CacheKeys(keys=keys), "verifying the cache"
    )
    return CacheReport(reply["checked"], reply["bytes"], tuple((item["key"], item["chunk"]) for item in reply["bad"]))


def quota(*, gpu: GPU | None = None, timeout: float | None = 30.0) -> CacheQuota:
    """Say how much the browser lets this page store.

    Parameters
    ----------
    gpu, timeout
        As for `list`.
    """
    return drive(_quota_steps(gpu), timeout)


async def quota_async(*, gpu: GPU | None = None, timeout: float | None = 30.0) -> CacheQuota:
    """Coroutine twin of `quota`."""
    return await drive_async(_quota_steps(gpu), timeout)


def _quota_steps(gpu: GPU | None) -> Steps[CacheQuota]:
    reply = yield from as_device(gpu).queue.ask_steps(
        services.CACHE_QUOTA, services.Nothing(), "asking for the storage quota"
    )
    return CacheQuota(reply["quota_bytes"], reply["used_bytes"], reply["persisted"])
