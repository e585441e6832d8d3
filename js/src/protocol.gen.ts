// Generated from webgpu_widget/link/protocol.py by gen_protocol.py. Do not edit.

export const PROTOCOL_VERSION = 1;

export const CHUNK_BYTES = 4194304;

export const WINDOW_BYTES = 8388608;

export const COMM_WINDOW_BYTES = 8388608;

export const BATCH_COMMANDS = 512;

export const PROGRESS_INTERVAL_MS = 500;

export type ErrorCode =
  | "protocol-mismatch"
  | "no-adapter"
  | "device-lost"
  | "out-of-memory"
  | "limit"
  | "shader"
  | "binding"
  | "validation"
  | "cancelled"
  | "unknown-handle"
  | "weights"
  | "integrity"
  | "format"
  | "quota"
  | "internal";

/** f32, f16, i32, u32 or bool; ``atomic`` when it is atomic<T>. */
export interface ScalarType {
  readonly type: "scalar";
  readonly name: string;
  readonly size: number;
  readonly align: number;
  readonly atomic: boolean;
}

/** A vecN of ``elem``. */
export interface VectorType {
  readonly type: "vector";
  readonly elem: string;
  readonly count: number;
  readonly size: number;
  readonly align: number;
}

/** A matCxR of ``elem``: columns of R, each padded to a vec4 where R is 3. */
export interface MatrixType {
  readonly type: "matrix";
  readonly elem: string;
  readonly columns: number;
  readonly rows: number;
  readonly size: number;
  readonly align: number;
}

/** ``count`` 0 means runtime-sized; ``stride`` in bytes. */
export interface ArrayType {
  readonly type: "array";
  readonly elem: TypeInfo;
  readonly count: number;
  readonly stride: number;
  readonly size: number;
  readonly align: number;
}

/** A struct's member at ``offset`` bytes. */
export interface Member {
  readonly name: string;
  readonly offset: number;
  readonly type: TypeInfo;
}

/** A struct by WGSL's layout rules; ``size`` covers a runtime-sized tail with no element. */
export interface StructType {
  readonly type: "struct";
  readonly name: string;
  readonly members: ReadonlyArray<Member>;
  readonly size: number;
  readonly align: number;
}

/** What has no bytes: textures and samplers, as written (``texture_2d<f32>``). */
export interface OpaqueType {
  readonly type: "opaque";
  readonly name: string;
  readonly format: string | null;
  readonly size: number;
  readonly align: number;
}

export type TypeInfo =
  | ScalarType
  | VectorType
  | MatrixType
  | ArrayType
  | StructType
  | OpaqueType;

export type BindingKind =
  | "uniform"
  | "storage"
  | "texture"
  | "storage-texture"
  | "sampler"
  | "immediate";

/** One ``var`` with @group and @binding, or ``var<immediate>``, for which both are -1. ``access`` is read, write or read_write. */
export interface BindingInfo {
  readonly name: string;
  readonly group: number;
  readonly binding: number;
  readonly kind: BindingKind;
  readonly access: "read" | "write" | "read_write";
  readonly type: TypeInfo;
}

/** One ``override``; ``id`` is its @id, when it has one; ``has_default`` says that it need not be set. */
export interface OverrideInfo {
  readonly name: string;
  readonly id: number | null;
  readonly type: string;
  readonly has_default: boolean;
}

/**
 * One @compute function.
 *
 * ``bindings`` indexes ``Reflection.bindings``: those that the entry point uses, itself or through what it calls.
 * ``workgroup_size`` is as written (numbers or names of overrides); the pipeline's own is in ``CompileResult``.
 */
export interface EntryPointInfo {
  readonly name: string;
  readonly workgroup_size: ReadonlyArray<string>;
  readonly bindings: ReadonlyArray<number>;
  readonly overrides: ReadonlyArray<string>;
}

/** What a WGSL module declares. */
export interface Reflection {
  readonly entry_points: ReadonlyArray<EntryPointInfo>;
  readonly bindings: ReadonlyArray<BindingInfo>;
  readonly structs: ReadonlyArray<StructType>;
  readonly overrides: ReadonlyArray<OverrideInfo>;
}

/** From ``getCompilationInfo()``: ``line`` and ``column`` count from 1, 0 where unknown. */
export interface CompilationMessage {
  readonly severity: "error" | "warning" | "info";
  readonly message: string;
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

/** The adapter and the device that the engine runs on. */
export interface DeviceInfo {
  readonly epoch: number;
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly is_fallback: boolean;
  readonly features: ReadonlyArray<string>;
  readonly wgsl_features: ReadonlyArray<string>;
  readonly limits: Readonly<Record<string, number>>;
  readonly subgroup_matrix_configs: ReadonlyArray<Readonly<Record<string, unknown>>>;
  readonly user_agent: string;
}

export type DataRef =
  | ReadonlyArray<number>;

/** A zero-filled storage buffer (storage, copy source and destination, indirect). */
export interface CreateBuffer {
  readonly op: "create-buffer";
  readonly buffer: number;
  readonly size_bytes: number;
  readonly label?: string;
}

/** ``offset`` and length in bytes, both multiples of 4. */
export interface WriteBuffer {
  readonly op: "write-buffer";
  readonly buffer: number;
  readonly offset: number;
  readonly data: DataRef;
}

/** Set bytes to zero. */
export interface ClearBuffer {
  readonly op: "clear-buffer";
  readonly buffer: number;
  readonly offset: number;
  readonly size_bytes: number;
}

/** Copy between two buffers; offsets and size are multiples of 4. */
export interface CopyBuffer {
  readonly op: "copy-buffer";
  readonly source: number;
  readonly source_offset: number;
  readonly target: number;
  readonly target_offset: number;
  readonly size_bytes: number;
}

/** Give the memory back once what is queued before has run. */
export interface FreeBuffer {
  readonly op: "free-buffer";
  readonly buffer: number;
}

/** ``dimension`` is the view's. ``size`` is [width, height, depth or layers]; the sides of a cube are six layers. */
export interface CreateTexture {
  readonly op: "create-texture";
  readonly texture: number;
  readonly format: string;
  readonly dimension: "1d" | "2d" | "2d-array" | "cube" | "cube-array" | "3d";
  readonly size: ReadonlyArray<number>;
  readonly mip_levels: number;
  readonly storage: boolean;
}

/** Texels of one mip level, rows tight; ``origin`` is [x, y, z] and ``size`` [width, height, depth]. */
export interface WriteTexture {
  readonly op: "write-texture";
  readonly texture: number;
  readonly mip_level: number;
  readonly origin: ReadonlyArray<number>;
  readonly size: ReadonlyArray<number>;
  readonly bytes_per_row: number;
  readonly data: DataRef;
}

/** As free-buffer. */
export interface FreeTexture {
  readonly op: "free-texture";
  readonly texture: number;
}

/** A buffer, or a part of it (``size_bytes`` 0: to its end). */
export interface BufferArg {
  readonly group: number;
  readonly binding: number;
  readonly buffer: number;
  readonly offset?: number;
  readonly size_bytes?: number;
}

/** Bytes of a uniform, carried by the message. */
export interface UniformArg {
  readonly group: number;
  readonly binding: number;
  readonly uniform: DataRef;
}

/** A texture's whole view. */
export interface TextureArg {
  readonly group: number;
  readonly binding: number;
  readonly texture: number;
}

/** A sampler by its description (``filter``, ``address``); the engine keeps one of each. */
export interface SamplerArg {
  readonly group: number;
  readonly binding: number;
  readonly sampler: Readonly<Record<string, string>>;
}

export type BindArg =
  | BufferArg
  | UniformArg
  | TextureArg
  | SamplerArg;

/** Run a compiled pipeline. ``indirect`` is [buffer, byte offset] and replaces ``workgroups``. */
export interface Dispatch {
  readonly op: "dispatch";
  readonly pipeline: number;
  readonly workgroups: ReadonlyArray<number>;
  readonly args: ReadonlyArray<BindArg>;
  readonly indirect?: ReadonlyArray<number>;
}

/** Replay a program ``times`` times. */
export interface RunProgram {
  readonly op: "run-program";
  readonly program: number;
  readonly times: number;
}

/** Keep commands (dispatch, copy-buffer, clear-buffer, write-buffer) for replay; nothing runs. */
export interface CreateProgram {
  readonly op: "create-program";
  readonly program: number;
  readonly commands: ReadonlyArray<Command>;
}

/** Forget a program. */
export interface FreeProgram {
  readonly op: "free-program";
  readonly program: number;
}

/** Forget a pipeline. */
export interface FreePipeline {
  readonly op: "free-pipeline";
  readonly pipeline: number;
}

/**
 * Request. Compile one entry point with constants as ``pipeline``; answers CompileResult, or error ``shader``.
 *
 * Constants that the module does not declare are error ``binding``. Where the pipeline is not determined yet (no
 * ``entry_point`` but several @compute functions, or an override without default and value), only the module is
 * checked: the result has ``entry_point`` "" and ``workgroup_size`` [].
 */
export interface Compile {
  readonly op: "compile";
  readonly id: string;
  readonly pipeline: number;
  readonly source: string;
  readonly label: string;
  readonly entry_point: string | null;
  readonly constants: Readonly<Record<string, number>>;
}

/** A byte range of a buffer (offset and size multiples of 4). */
export interface ReadSpec {
  readonly buffer: number;
  readonly offset: number;
  readonly size_bytes: number;
}

/** Request. Bytes of buffers, as ``chunk`` messages, then ``result`` ``{}``. */
export interface Read {
  readonly op: "read";
  readonly id: string;
  readonly reads: ReadonlyArray<ReadSpec>;
}

/** Request. Mip level 0 of a texture, rows tight, as ``chunk`` messages of item 0, then ``result`` ``{}``. */
export interface ReadTexture {
  readonly op: "read-texture";
  readonly id: string;
  readonly texture: number;
}

/** Request. ``result`` ``{}`` once all that was queued before has run. */
export interface Synchronize {
  readonly op: "synchronize";
  readonly id: string;
}

/** Request. DeviceInfo, waiting for the adapter; or error ``no-adapter``. */
export interface GetDevice {
  readonly op: "get-device";
  readonly id: string;
}

/** Request. MemoryResult. */
export interface GetMemory {
  readonly op: "get-memory";
  readonly id: string;
}

/** Begin to record a row per kernel. */
export interface ProfileStart {
  readonly op: "profile-start";
}

/** Request. ProfileResult since profile-start. */
export interface ProfileStop {
  readonly op: "profile-stop";
  readonly id: string;
}

/** Request. For the parts above the engine (weights, cache, explorer): ``name`` picks the handler, ``params`` are its own. */
export interface Service {
  readonly op: "service";
  readonly id: string;
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export type Command =
  | CreateBuffer
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
  | Service;

/** Answer to compile. ``workgroup_size`` and ``entry_point`` are those of the pipeline made. */
export interface CompileResult {
  readonly entry_point: string;
  readonly workgroup_size: ReadonlyArray<number>;
  readonly reflection: Reflection;
  readonly messages: ReadonlyArray<CompilationMessage>;
}

/** What lives in the browser for this GPU. */
export interface MemoryResult {
  readonly buffers: number;
  readonly bytes: number;
  readonly peak_bytes: number;
}

/** ``gpu_ms`` None without timestamp-query. */
export interface ProfileRow {
  readonly name: string;
  readonly dispatches: number;
  readonly gpu_ms: number | null;
  readonly wall_ms: number;
}

/** Rows by kernel, longest first. */
export interface ProfileResult {
  readonly rows: ReadonlyArray<ProfileRow>;
}

/** Where the hub's WebSocket listens on loopback; the token opens it once per instance. */
export interface Lane {
  readonly url: string;
  readonly token: string;
}

/** Tell the instance that it leads. ``lane`` offers the WebSocket where the page itself comes from loopback. */
export interface Welcome {
  readonly kind: "welcome";
  readonly instance: string;
  readonly protocol_version: number;
  readonly session: string;
  readonly received: number;
  readonly lane: Lane | null;
}

/** Another instance leads; keep quiet until a roll-call. */
export interface Standby {
  readonly kind: "standby";
  readonly instance: string;
}

/** The versions differ; show ``message`` in the view. */
export interface Refuse {
  readonly kind: "refuse";
  readonly instance: string;
  readonly message: string;
}

/** Who is there? Every instance answers hello. */
export interface RollCall {
  readonly kind: "roll-call";
}

/** Are you alive? Answer pong at once, before any work. */
export interface Ping {
  readonly kind: "ping";
  readonly instance: string;
  readonly nonce: number;
}

/** Commands to run in order. ``id`` repeats the last request's, for ipykernel's routing of the reply. */
export interface Batch {
  readonly kind: "batch";
  readonly instance: string;
  readonly seq: number;
  readonly epoch: number;
  readonly id?: string;
  readonly commands: ReadonlyArray<Command>;
}

/** All messages up to ``ack`` are dealt with. */
export interface AckToBrowser {
  readonly kind: "ack";
  readonly instance: string;
  readonly ack: number;
}

/** Give up these requests; runs ahead of queued work. */
export interface Cancel {
  readonly kind: "cancel";
  readonly instance: string;
  readonly ids: ReadonlyArray<string>;
}

/** Destroy the device (a shader never ends) and begin a new epoch; runs ahead of queued work. */
export interface Reset {
  readonly kind: "reset";
  readonly instance: string;
  readonly reason: string;
}

/** A link broke: Python has all messages up to ``received``; send the later ones again on this link. */
export interface ResumeToBrowser {
  readonly kind: "resume";
  readonly instance: string;
  readonly received: number;
}

/** The GPU object is closed: free everything. */
export interface Close {
  readonly kind: "close";
  readonly instance: string;
}

export type ToBrowser =
  | Welcome
  | Standby
  | Refuse
  | RollCall
  | Ping
  | Batch
  | AckToBrowser
  | Cancel
  | Reset
  | ResumeToBrowser
  | Close;

/**
 * A page is there. ``session`` and ``received`` are set when it has led this session before.
 *
 * ``no_gpu_reason`` is what can be said without asking for an adapter (no secure context, no navigator.gpu).
 */
export interface Hello {
  readonly kind: "hello";
  readonly protocol_version: number;
  readonly instance: string;
  readonly session: string | null;
  readonly received: number;
  readonly host: string;
  readonly loopback: boolean;
  readonly visible: boolean;
  readonly user_agent: string;
  readonly no_gpu_reason: string | null;
}

/** Answer to ping. ``working_on`` names the kernel that the GPU is at work on, or those that it may be; empty when it has nothing to do. */
export interface Pong {
  readonly kind: "pong";
  readonly instance: string;
  readonly nonce: number;
  readonly working_on: string;
}

/** The page is being closed or the model disposed. */
export interface Bye {
  readonly kind: "bye";
  readonly instance: string;
}

/** All batches up to ``ack`` are dealt with. */
export interface AckToPython {
  readonly kind: "ack";
  readonly instance: string;
  readonly ack: number;
}

/** The other link broke: the browser has all batches up to ``received``. */
export interface ResumeToPython {
  readonly kind: "resume";
  readonly instance: string;
  readonly received: number;
}

/** Terminal reply to request ``id``. */
export interface Result {
  readonly kind: "result";
  readonly instance: string;
  readonly seq: number;
  readonly id: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Terminal reply. ``details`` by code: shader {messages, line, column}; limit {limit, wanted, allowed}. */
export interface Error {
  readonly kind: "error";
  readonly instance: string;
  readonly seq: number;
  readonly id: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Bytes of item ``item`` of request ``id`` from ``offset``, of ``total``; the bytes are buffer 0. */
export interface Chunk {
  readonly kind: "chunk";
  readonly instance: string;
  readonly seq: number;
  readonly id: string;
  readonly item: number;
  readonly offset: number;
  readonly total: number;
}

/** Work goes on: all batches up to ``done`` have run on the GPU; ``value`` is a service's own report for request ``id``. */
export interface Progress {
  readonly kind: "progress";
  readonly instance: string;
  readonly seq: number;
  readonly id: string;
  readonly done: number;
  readonly value: Readonly<Record<string, unknown>>;
}

/** The device was lost; ``epoch`` is the new one, and handles from before are gone. */
export interface Lost {
  readonly kind: "lost";
  readonly instance: string;
  readonly seq: number;
  readonly id: string;
  readonly epoch: number;
  readonly reason: string;
}

export type ToPython =
  | Hello
  | Pong
  | Bye
  | AckToPython
  | ResumeToPython
  | Result
  | Error
  | Chunk
  | Progress
  | Lost;
