"""Every message between Python and the browser, written once.

``js/gen_protocol.py`` turns this module, `services` and `widgets` into ``js/src/protocol.gen.ts``; a test fails when they drift apart.
The messages are TypedDicts, not dataclasses: ten thousand dispatches in a cell are ten thousand dict displays,
which cost nothing to make and nothing to serialise, and mypy checks them all the same.

The contract
------------
*A message* is a JSON object with a ``kind`` and a list of binary buffers (little-endian, tight, described by the JSON).

*Hand-shake.* The browser speaks first: ``hello``, on every way in that it has, again whenever it is asked (``roll-call``).
Python answers ``welcome`` to the one instance that it elects as leader; other pages that show the same widget stay silent
(``standby``). A ``hello`` with another protocol version gets ``refuse``.

*Links.* A leader may have several links (the comm, and a WebSocket). The newest WebSocket carries everything while it is open.
``batch``, and every message from the browser that has a ``seq``, form two ordered, loss-free streams: the sender keeps a message
until the other side's ``ack`` covers it and sends it again, in order, on another link when a link breaks (``resume`` tells from
where); the receiver drops what it has and waits for what it misses.

*Flow.* ``ack`` is cumulative and means *dealt with*. A sender keeps at most ``WINDOW_BYTES`` of buffers without an ack.

*Requests.* A command with an ``id`` is a request. It gets one terminal reply, ``result`` or ``error``, whatever happens; after
``cancel`` it may get none. ``chunk`` messages with the same id come before the result. Replies carry the request's ``id`` on top,
as a string: ipykernel 7.4 routes a front end's message by ``content.id``.

*Order.* Commands run in the order they were sent. A command without an id that fails does not stop the batch; its error is kept
and becomes the answer to the next request (and to that one only); ``compile`` and ``get-device``, which nobody waits for in that
place, pass it on.

*Epochs.* All handles (buffers, textures, pipelines, programs) are integers that Python draws, and belong to one epoch of one
session. A session's first epoch is 1; the next begins when its device is lost, and handles from before are gone. A batch of an older epoch
than the device's gets ``error`` ``device-lost`` for its requests and is otherwise ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

PROTOCOL_VERSION = 1
CHUNK_BYTES = 4 * 1024 * 1024
"""Largest buffer in one message, either way. Jupyter's server closes a WebSocket on frames over 10 MiB."""
WINDOW_BYTES = 2 * CHUNK_BYTES
"""Most bytes of buffers on their way without an ack, each way, on the WebSocket."""
COMM_WINDOW_BYTES = 2 * CHUNK_BYTES
"""The same on the comm."""
BATCH_COMMANDS = 512
"""Python sends a batch when it holds this many commands."""
PROGRESS_INTERVAL_MS = 500
"""A browser at work says what it has finished at least this often."""

ErrorCode = Literal[
    "protocol-mismatch",
    "no-adapter",
    "device-lost",
    "out-of-memory",
    "limit",
    "shader",
    "binding",
    "validation",
    "cancelled",
    "unknown-handle",
    "weights",
    "integrity",
    "format",
    "quota",
    "internal",
]


# ---------------------------------------------------------------- reflection


class ScalarType(TypedDict):
    """f32, f16, i32, u32 or bool; ``atomic`` when it is atomic<T>."""

    type: Literal["scalar"]
    name: str
    size: int
    align: int
    atomic: bool


class VectorType(TypedDict):
    """A vecN of ``elem``."""

    type: Literal["vector"]
    elem: str
    count: int
    size: int
    align: int


class MatrixType(TypedDict):
    """A matCxR of ``elem``: columns of R, each padded to a vec4 where R is 3."""

    type: Literal["matrix"]
    elem: str
    columns: int
    rows: int
    size: int
    align: int


class ArrayType(TypedDict):
    """``count`` 0 means runtime-sized; ``stride`` in bytes."""

    type: Literal["array"]
    elem: TypeInfo
    count: int
    stride: int
    size: int
    align: int


class Member(TypedDict):
    """A struct's member at ``offset`` bytes."""

    name: str
    offset: int
    type: TypeInfo


class StructType(TypedDict):
    """A struct by WGSL's layout rules; ``size`` covers a runtime-sized tail with no element."""

    type: Literal["struct"]
    name: str
    members: list[Member]
    size: int
    align: int


class OpaqueType(TypedDict):
    """What has no bytes: textures and samplers, as written (``texture_2d<f32>``)."""

    type: Literal["opaque"]
    name: str
    format: str | None
    size: int
    align: int


TypeInfo = ScalarType | VectorType | MatrixType | ArrayType | StructType | OpaqueType

BindingKind = Literal["uniform", "storage", "texture", "storage-texture", "sampler", "immediate"]


class BindingInfo(TypedDict):
    """One ``var`` with @group and @binding, or ``var<immediate>``, for which both are -1. ``access`` is read, write or read_write."""

    name: str
    group: int
    binding: int
    kind: BindingKind
    access: Literal["read", "write", "read_write"]
    type: TypeInfo


class OverrideInfo(TypedDict):
    """One ``override``; ``id`` is its @id, when it has one; ``has_default`` says that it need not be set."""

    name: str
    id: int | None
    type: str
    has_default: bool


class EntryPointInfo(TypedDict):
    """One @compute function.

    ``bindings`` indexes ``Reflection.bindings``: those that the entry point uses, itself or through what it calls.
    ``workgroup_size`` is as written (numbers or names of overrides); the pipeline's own is in ``CompileResult``.
    """

    name: str
    workgroup_size: list[str]
    bindings: list[int]
    overrides: list[str]


class Reflection(TypedDict):
    """What a WGSL module declares."""

    entry_points: list[EntryPointInfo]
    bindings: list[BindingInfo]
    structs: list[StructType]
    overrides: list[OverrideInfo]


class CompilationMessage(TypedDict):
    """From ``getCompilationInfo()``: ``line`` and ``column`` count from 1, 0 where unknown."""

    severity: Literal["error", "warning", "info"]
    message: str
    line: int
    column: int
    length: int


# ---------------------------------------------------------------- device


class DeviceInfo(TypedDict):
    """The adapter and the device that the engine runs on."""

    epoch: int
    vendor: str
    architecture: str
    device: str
    description: str
    is_fallback: bool
    features: list[str]
    wgsl_features: list[str]
    limits: dict[str, int]
    subgroup_matrix_configs: list[dict[str, Any]]
    user_agent: str


# ---------------------------------------------------------------- commands (Python -> browser, inside a batch)

DataRef = list[int]
"""[buffer index in this message, byte offset, byte length]"""


class CreateBuffer(TypedDict):
    """A zero-filled storage buffer (storage, copy source and destination, indirect)."""

    op: Literal["create-buffer"]
    buffer: int
    size_bytes: int
    label: NotRequired[str]


class WriteBuffer(TypedDict):
    """``offset`` and length in bytes, both multiples of 4."""

    op: Literal["write-buffer"]
    buffer: int
    offset: int
    data: DataRef


class ClearBuffer(TypedDict):
    """Set bytes to zero."""

    op: Literal["clear-buffer"]
    buffer: int
    offset: int
    size_bytes: int


class CopyBuffer(TypedDict):
    """Copy between two buffers; offsets and size are multiples of 4."""

    op: Literal["copy-buffer"]
    source: int
    source_offset: int
    target: int
    target_offset: int
    size_bytes: int


class FreeBuffer(TypedDict):
    """Give the memory back once what is queued before has run."""

    op: Literal["free-buffer"]
    buffer: int


class CreateTexture(TypedDict):
    """``dimension`` is the view's. ``size`` is [width, height, depth or layers]; the sides of a cube are six layers."""

    op: Literal["create-texture"]
    texture: int
    format: str
    dimension: Literal["1d", "2d", "2d-array", "cube", "cube-array", "3d"]
    size: list[int]
    mip_levels: int
    storage: bool


class WriteTexture(TypedDict):
    """Texels of one mip level, rows tight; ``origin`` is [x, y, z] and ``size`` [width, height, depth]."""

    op: Literal["write-texture"]
    texture: int
    mip_level: int
    origin: list[int]
    size: list[int]
    bytes_per_row: int
    data: DataRef


class FreeTexture(TypedDict):
    """As free-buffer."""

    op: Literal["free-texture"]
    texture: int


class BufferArg(TypedDict):
    """A buffer, or a part of it (``size_bytes`` 0: to its end)."""

    group: int
    binding: int
    buffer: int
    offset: NotRequired[int]
    size_bytes: NotRequired[int]


class UniformArg(TypedDict):
    """Bytes of a uniform, carried by the message."""

    group: int
    binding: int
    uniform: DataRef


class TextureArg(TypedDict):
    """A texture's whole view."""

    group: int
    binding: int
    texture: int


class SamplerArg(TypedDict):
    """A sampler by its description (``filter``, ``address``); the engine keeps one of each."""

    group: int
    binding: int
    sampler: dict[str, str]


BindArg = BufferArg | UniformArg | TextureArg | SamplerArg


class Dispatch(TypedDict):
    """Run a compiled pipeline. ``indirect`` is [buffer, byte offset] and replaces ``workgroups``."""

    op: Literal["dispatch"]
    pipeline: int
    workgroups: list[int]
    args: list[BindArg]
    indirect: NotRequired[list[int]]


class RunProgram(TypedDict):
    """Replay a program ``times`` times."""

    op: Literal["run-program"]
    program: int
    times: int


class CreateProgram(TypedDict):
    """Keep commands (dispatch, copy-buffer, clear-buffer, write-buffer) for replay; nothing runs."""

    op: Literal["create-program"]
    program: int
    commands: list[Command]


class FreeProgram(TypedDict):
    """Forget a program."""

    op: Literal["free-program"]
    program: int


class FreePipeline(TypedDict):
    """Forget a pipeline."""

    op: Literal["free-pipeline"]
    pipeline: int


class Compile(TypedDict):
    """Request. Compile one entry point with constants as ``pipeline``; answers CompileResult, or error ``shader``.

    Constants that the module does not declare are error ``binding``. Where the pipeline is not determined yet (no
    ``entry_point`` but several @compute functions, or an override without default and value), only the module is
    checked: the result has ``entry_point`` "" and ``workgroup_size`` [].
    """

    op: Literal["compile"]
    id: str
    pipeline: int
    source: str
    label: str
    entry_point: str | None
    constants: dict[str, float]


class ReadSpec(TypedDict):
    """A byte range of a buffer (offset and size multiples of 4)."""

    buffer: int
    offset: int
    size_bytes: int


class Read(TypedDict):
    """Request. Bytes of buffers, as ``chunk`` messages, then ``result`` ``{}``."""

    op: Literal["read"]
    id: str
    reads: list[ReadSpec]


class ReadTexture(TypedDict):
    """Request. Mip level 0 of a texture, rows tight, as ``chunk`` messages of item 0, then ``result`` ``{}``."""

    op: Literal["read-texture"]
    id: str
    texture: int


class Synchronize(TypedDict):
    """Request. ``result`` ``{}`` once all that was queued before has run."""

    op: Literal["synchronize"]
    id: str


class GetDevice(TypedDict):
    """Request. DeviceInfo, waiting for the adapter; or error ``no-adapter``."""

    op: Literal["get-device"]
    id: str


class GetMemory(TypedDict):
    """Request. MemoryResult."""

    op: Literal["get-memory"]
    id: str


class ProfileStart(TypedDict):
    """Begin to record a row per kernel."""

    op: Literal["profile-start"]


class ProfileStop(TypedDict):
    """Request. ProfileResult since profile-start."""

    op: Literal["profile-stop"]
    id: str


class Service(TypedDict):
    """Request. For the parts above the engine (weights, cache, views, clusters): `services` has their names, and what each is asked."""

    op: Literal["service"]
    id: str
    name: str
    params: Mapping[str, object]


Command = (
    CreateBuffer
    | WriteBuffer
    | ClearBuffer
    | CopyBuffer
    | FreeBuffer
    | CreateTexture
    | WriteTexture
    | FreeTexture
    | Dispatch
    | RunProgram
    | CreateProgram
    | FreeProgram
    | FreePipeline
    | Compile
    | Read
    | ReadTexture
    | Synchronize
    | GetDevice
    | GetMemory
    | ProfileStart
    | ProfileStop
    | Service
)


# ---------------------------------------------------------------- results


class CompileResult(TypedDict):
    """Answer to compile. ``workgroup_size`` and ``entry_point`` are those of the pipeline made."""

    entry_point: str
    workgroup_size: list[int]
    reflection: Reflection
    messages: list[CompilationMessage]


class MemoryResult(TypedDict):
    """What lives in the browser for this GPU."""

    buffers: int
    bytes: int
    peak_bytes: int


class ProfileRow(TypedDict):
    """``gpu_ms`` None without timestamp-query."""

    name: str
    dispatches: int
    gpu_ms: float | None
    wall_ms: float


class ProfileResult(TypedDict):
    """Rows by kernel, longest first."""

    rows: list[ProfileRow]


# ---------------------------------------------------------------- Python -> browser


class Lane(TypedDict):
    """Where the hub's WebSocket listens on loopback; the token opens it once per instance."""

    url: str
    token: str


class Welcome(TypedDict):
    """Tell the instance that it leads. ``lane`` offers the WebSocket where the page itself comes from loopback."""

    kind: Literal["welcome"]
    instance: str
    protocol_version: int
    session: str
    received: int
    lane: Lane | None


class Standby(TypedDict):
    """Another instance leads; keep quiet until a roll-call."""

    kind: Literal["standby"]
    instance: str


class Refuse(TypedDict):
    """The versions differ; show ``message`` in the view."""

    kind: Literal["refuse"]
    instance: str
    message: str


class RollCall(TypedDict):
    """Who is there? Every instance answers hello."""

    kind: Literal["roll-call"]


class Ping(TypedDict):
    """Are you alive? Answer pong at once, before any work."""

    kind: Literal["ping"]
    instance: str
    nonce: int


class Batch(TypedDict):
    """Commands to run in order. ``id`` repeats the last request's, for ipykernel's routing of the reply."""

    kind: Literal["batch"]
    instance: str
    seq: int
    epoch: int
    id: NotRequired[str]
    commands: list[Command]


class AckToBrowser(TypedDict):
    """All messages up to ``ack`` are dealt with."""

    kind: Literal["ack"]
    instance: str
    ack: int


class Cancel(TypedDict):
    """Give up these requests; runs ahead of queued work."""

    kind: Literal["cancel"]
    instance: str
    ids: list[str]


class Reset(TypedDict):
    """Destroy the device (a shader never ends) and begin a new epoch; runs ahead of queued work."""

    kind: Literal["reset"]
    instance: str
    reason: str


class ResumeToBrowser(TypedDict):
    """A link broke: Python has all messages up to ``received``; send the later ones again on this link."""

    kind: Literal["resume"]
    instance: str
    received: int


class Close(TypedDict):
    """The GPU object is closed: free everything."""

    kind: Literal["close"]
    instance: str


ToBrowser = (
    Welcome | Standby | Refuse | RollCall | Ping | Batch | AckToBrowser | Cancel | Reset | ResumeToBrowser | Close
)


# ---------------------------------------------------------------- browser -> Python


class Hello(TypedDict):
    """A page is there. ``session`` and ``received`` are set when it has led this session before.

    ``no_gpu_reason`` is what can be said without asking for an adapter (no secure context, no navigator.gpu).
    """

    kind: Literal["hello"]
    protocol_version: int
    instance: str
    session: str | None
    received: int
    host: str
    loopback: bool
    visible: bool
    user_agent: str
    no_gpu_reason: str | None


class Pong(TypedDict):
    """Answer to ping. ``working_on`` names the kernel that the GPU is at work on, or those that it may be; empty when it has nothing to do."""

    kind: Literal["pong"]
    instance: str
    nonce: int
    working_on: str


class Bye(TypedDict):
    """The page is being closed or the model disposed."""

    kind: Literal["bye"]
    instance: str


class AckToPython(TypedDict):
    """All batches up to ``ack`` are dealt with."""

    kind: Literal["ack"]
    instance: str
    ack: int


class ResumeToPython(TypedDict):
    """The other link broke: the browser has all batches up to ``received``."""

    kind: Literal["resume"]
    instance: str
    received: int


class Result(TypedDict):
    """Terminal reply to request ``id``."""

    kind: Literal["result"]
    instance: str
    seq: int
    id: str
    value: Mapping[str, object]


class Error(TypedDict):
    """Terminal reply. ``details`` by code: shader {messages, line, column}; limit {limit, wanted, allowed}."""

    kind: Literal["error"]
    instance: str
    seq: int
    id: str
    code: ErrorCode
    message: str
    details: dict[str, Any]


class Chunk(TypedDict):
    """Bytes of item ``item`` of request ``id`` from ``offset``, of ``total``; the bytes are buffer 0."""

    kind: Literal["chunk"]
    instance: str
    seq: int
    id: str
    item: int
    offset: int
    total: int


class Progress(TypedDict):
    """Work goes on: all batches up to ``done`` have run on the GPU; ``value`` is a service's own report for request ``id``."""

    kind: Literal["progress"]
    instance: str
    seq: int
    id: str
    done: int
    value: Mapping[str, object]


class Lost(TypedDict):
    """The device was lost; ``epoch`` is the new one, and handles from before are gone."""

    kind: Literal["lost"]
    instance: str
    seq: int
    id: str
    epoch: int
    reason: str


ToPython = Hello | Pong | Bye | AckToPython | ResumeToPython | Result | Error | Chunk | Progress | Lost
