"""What the page does above the engine: each service by its name, with what it is asked, what it answers and what it reports on the way.

``js/gen_protocol.py`` makes the interface ``Services`` of this module, by which ``js/src/services.ts`` knows what a handler gets and gives.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

from webgpu_widget.link import protocol
from webgpu_widget.link.widgets import ViewFrame, ViewInput
from webgpu_widget.link.wire import Schema

log = logging.getLogger("webgpu_widget")

P = TypeVar("P", bound=Mapping[str, object])
A = TypeVar("A", bound=Mapping[str, object])
R = TypeVar("R", bound=Mapping[str, object])


class Service(Generic[P, A, R]):
    """A service of the page.

    Parameters
    ----------
    name : str
    params, answer, report : type
        TypedDicts; what it is asked, what it answers, and what its progress carries (`Nothing` where it does not report).
    """

    def __init__(self, name: str, params: type[P], answer: type[A], report: type[R]) -> None:
        self.name = name
        self.params: Schema[P] = Schema(params)
        self._answer: Schema[A] = Schema(answer)
        self._report: Schema[R] = Schema(report)

    def command(self, params: P, request: str = "") -> protocol.Service:
        """Return the command that asks it; ``request`` is its id."""
        return {"op": "service", "id": request, "name": self.name, "params": params}

    def answer(self, value: object) -> A:
        """Return what a request was answered, looked at.

        Raises
        ------
        FrontendError
            When it is something else.
        """
        return self._answer.check(value, f"the page's answer to {self.name}")

    def reports(self, heard: Callable[[R], None]) -> Callable[[dict[str, Any]], None]:
        """Return what a request calls with the values of its progress: ``heard`` gets those that are this service's."""

        def hear(value: dict[str, Any]) -> None:
            if self._report.matches(value):
                heard(value)
            elif value:  # of the engine's own account it is empty
                log.warning("a malformed report of %s was dropped", self.name)

        return hear


class Nothing(TypedDict):
    """No field at all."""


# ---------------------------------------------------------------- weights


class FileSpec(TypedDict):
    """One file of a source.

    ``key`` names this content in the cache. ``url`` is where to fetch it (None: Python sends the chunks), ``ranges`` whether that server honours Range,
    ``validator`` its ETag or Last-Modified, "" when it shows none. ``verify``: compare cached chunks with their hashes. ``sha256`` is of the whole file, in
    hex, where its server gives it and it is to be checked, else ""; 128 digits are its SHA-512. ``digests`` is the name under which Python sends the hash of
    each chunk to this load, "" where it cannot.
    """

    key: str
    name: str
    size: int
    chunk_bytes: int
    url: str | None
    ranges: bool
    validator: str
    cache: bool
    verify: bool
    sha256: str
    digests: str


class ItemSpec(TypedDict):
    """One buffer's worth of a tensor: ``count`` elements from ``bytes`` bytes at ``offset`` of file ``file``.

    ``outs`` are the target buffers: the values, and for int8 and int4 the scales. ``decode`` and ``encode`` are pipelines, 0 for none. A block of
    ``block_elements`` takes ``block_bytes`` in the file. An encoded element has ``out_bits`` bits, and ``grouped`` ones a scale for each 32. ``flag`` is
    [buffer, index] that a checking decoder raises.
    """

    id: int
    stage: int
    file: int
    offset: int
    bytes: int
    count: int
    outs: list[int]
    decode: int
    encode: int
    block_elements: int
    block_bytes: int
    out_bits: int
    grouped: bool
    flag: tuple[int, int] | None


class LoadSpec(TypedDict):
    """``piece_elements`` are converted by one dispatch; after ``stall_s`` seconds without any progress the load is given up."""

    job: str
    files: list[FileSpec]
    items: list[ItemSpec]
    piece_elements: int
    stall_s: float


class LoadProgress(TypedDict):
    """What has happened since the last report: ``done`` items are in their buffers now.

    ``want`` are chunks that Python is to send, as [file, index]; ``hash`` those whose hashes it is to send, as [file, first index, count].
    """

    job: str
    done: list[int]
    want: list[tuple[int, int]]
    hash: list[tuple[int, int, int]]
    bytes_done: int
    bytes_moved: int
    bytes_from_cache: int
    peak_buffer_bytes: int
    stage: int
    paused: bool
    warnings: list[str]


LoadAction = Literal["pause", "resume", "cancel", "prioritise", "drop"]


class LoadControl(TypedDict):
    """Steer a load; ``items`` are those to prioritise or to drop."""

    job: str
    action: LoadAction
    items: list[int]


class LoadFound(TypedDict):
    """Whether the load was still there."""

    found: bool


class ChunkSent(TypedDict):
    """Buffer 0 is chunk ``index`` of a load's file; ``digest`` its hash, "" where it is not to be checked."""

    job: str
    file: int
    index: int
    digest: str


class DigestsSent(TypedDict):
    """Hashes of a file's chunks from ``first`` on, for the load that knows them as ``name``."""

    job: str
    name: str
    first: int
    digests: list[str]


class Probe(TypedDict):
    """Try where the page can fetch a file.

    ``urls`` are addresses as they are; ``path`` and ``resolved`` the parts of its path and ``home`` those of the user's folder, for a Jupyter server that
    serves it, else empty. Of the file its size, some of its bytes as [offset, hex] (the first lie at 0), and when it was written (seconds, 0 unknown).
    """

    urls: list[str]
    path: list[str]
    resolved: list[str]
    home: list[str]
    size: int
    samples: list[tuple[int, str]]
    modified: int


class ProbeAnswer(TypedDict):
    """The first address that gives the file's bytes, None where none does; and what did not work, and why."""

    url: str | None
    ranges: bool
    validator: str
    tried: list[str]


class CacheEntry(TypedDict):
    """A cached file: ``used`` last at (milliseconds since 1970)."""

    key: str
    name: str
    size: int
    bytes: int
    chunks: int
    complete: bool
    used: float


class CacheListing(TypedDict):
    """What is cached, the last used first."""

    entries: list[CacheEntry]


class CacheKeys(TypedDict):
    """Files by their keys; None for all."""

    keys: list[str] | None


class CacheFreed(TypedDict):
    """What was given back."""

    freed_bytes: int


class BadChunk(TypedDict):
    """A chunk that was damaged, and has been dropped."""

    key: str
    chunk: int


class CacheVerdict(TypedDict):
    """Chunks compared with their digests, what these hold, and those that differ."""

    checked: int
    bytes: int
    bad: list[BadChunk]


class StorageQuota(TypedDict):
    """How much the page may store and stores; zeros where the browser does not say."""

    quota_bytes: int
    used_bytes: int
    persisted: bool


LOAD = Service("weights.load", LoadSpec, LoadProgress, LoadProgress)
CONTROL = Service("weights.control", LoadControl, LoadFound, Nothing)
CHUNK = Service("weights.chunk", ChunkSent, Nothing, Nothing)
DIGESTS = Service("weights.digests", DigestsSent, Nothing, Nothing)
PROBE = Service("weights.probe", Probe, ProbeAnswer, Nothing)
CACHE_LIST = Service("cache.list", Nothing, CacheListing, Nothing)
CACHE_CLEAR = Service("cache.clear", CacheKeys, CacheFreed, Nothing)
CACHE_VERIFY = Service("cache.verify", CacheKeys, CacheVerdict, Nothing)
CACHE_QUOTA = Service("cache.quota", Nothing, StorageQuota, Nothing)

# ---------------------------------------------------------------- browsers of a cluster


class IceServer(TypedDict):
    """As WebRTC's RTCIceServer."""

    urls: str | list[str]
    username: NotRequired[str]
    credential: NotRequired[str]


class SessionDescription(TypedDict):
    """An offer or an answer of WebRTC."""

    type: Literal["offer", "answer", "pranswer", "rollback"]
    sdp: str


class IceCandidate(TypedDict):
    """A way to a browser, as WebRTC's RTCIceCandidate has it."""

    candidate: str
    sdp_mid: str | None
    sdp_m_line_index: int | None
    username_fragment: str | None


class PeerSignal(TypedDict):
    """What one browser says to another before they have a channel: one of the two."""

    description: SessionDescription | None
    candidate: IceCandidate | None


class PeerOpen(TypedDict):
    """Open a channel to the browser ``peer``; ``signals`` are what it has said already."""

    peer: str
    initiator: bool
    ice_servers: list[IceServer]
    timeout_ms: int
    signals: list[PeerSignal]


class Took(TypedDict):
    """How long it took."""

    ms: float


class PeerSaid(TypedDict):
    """To be told to the other browser."""

    signal: PeerSignal


class PeerHears(TypedDict):
    """What ``peer`` has said."""

    peer: str
    signals: list[PeerSignal]


class PeerNamed(TypedDict):
    """A browser to which there is a channel."""

    peer: str


class BlockMoved(TypedDict):
    """A block that goes from ``buffer`` to ``peer``, or comes from there."""

    transfer: int
    block: str
    size_bytes: int
    peer: str
    buffer: int


class PeerBare(TypedDict):
    """Send ``size_bytes`` of zeros in messages of ``message_bytes``."""

    peer: str
    size_bytes: int
    message_bytes: int


class BlockPut(TypedDict):
    """Buffer 0 is a part of a block of ``size_bytes``, from ``offset`` on."""

    block: str
    buffer: int
    offset: int
    size_bytes: int


class BlocksDropped(TypedDict):
    """Blocks by their names."""

    blocks: list[str]


class WorkerShown(TypedDict):
    """What a browser shows of itself."""

    name: str
    doing: str
    tasks_done: int
    tasks_failed: int
    busy_s: float
    bytes_in: int
    bytes_out: int
    peer_bytes_in: int
    peer_bytes_out: int


PEER_OPEN = Service("peer-open", PeerOpen, Took, PeerSaid)
PEER_SIGNAL = Service("peer-signal", PeerHears, Nothing, Nothing)
PEER_CLOSE = Service("peer-close", PeerNamed, Nothing, Nothing)
PEER_RECEIVE = Service("peer-receive", BlockMoved, Took, Nothing)
PEER_SEND = Service("peer-send", BlockMoved, Nothing, Nothing)
PEER_BARE = Service("peer-bare", PeerBare, Took, Nothing)
BLOCK_PUT = Service("block-put", BlockPut, Nothing, Nothing)
BLOCK_DROP = Service("block-drop", BlocksDropped, Nothing, Nothing)
WORKER_VIEW = Service("worker-view", WorkerShown, Nothing, Nothing)

# ---------------------------------------------------------------- views of shaders


class Picture(TypedDict):
    """A picture of a view at 1/coarse of the frame's size, as chunks of item 0: rows of RGBA."""

    source: str
    inputs: dict[str, ViewInput]
    values: dict[str, Any]
    frame: ViewFrame
    coarse: int


class PictureDrawn(TypedDict):
    """Its size; ``nan`` of its pixels are none, and magenta."""

    nan: int
    width: int
    height: int


class RowsDrawn(TypedDict):
    """Rows that are drawn, of how many."""

    done: int
    of: int


DRAW = Service("view.draw", Picture, PictureDrawn, RowsDrawn)
