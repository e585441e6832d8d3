// Generated from webgpu_widget/link by gen_protocol.py. Do not edit.

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

/** Request. For the parts above the engine (weights, cache, views, clusters): `services` has their names, and what each is asked. */
export interface Service {
  readonly op: "service";
  readonly id: string;
  readonly name: string;
  readonly params: object;
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
  readonly value: object;
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
  readonly value: object;
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

/** By these a page finds the place of a view: `shown.widget.PicturedWidget`. ``_page`` is what a page says of itself, ``_heard`` what Python answers. */
export interface PlaceState {
  readonly _picture_id: string;
  readonly _page: string;
  readonly _heard: string;
}

/** What the card of a GPU shows. */
export interface CardStatus {
  readonly state?: string;
  readonly adapter?: string;
  readonly transport?: string;
  readonly message?: string;
  readonly url?: string;
}

/** `GPU`. */
export interface CardState extends PlaceState {
  readonly gpu_id: string;
  readonly transport: "comm" | "page" | "headless";
  readonly status: CardStatus;
}

/** A bar or a table: which of them ``kind`` says. */
export interface PanelState extends PlaceState {
  readonly kind: "bar" | "table";
  readonly title: string;
  readonly state: string;
}

/** `shown.panel.Bar`: ``fraction`` is from 0 to 1, and ``strip`` a picture below it, as PNG; empty where there is none. */
export interface BarState extends PanelState {
  readonly fraction: number;
  readonly text: string;
  readonly steerable: boolean;
  readonly strip: DataView | Uint8Array;
}

/** `shown.panel.TablePanel`. */
export interface TableState extends PanelState {
  readonly columns: ReadonlyArray<string>;
  readonly rows: ReadonlyArray<ReadonlyArray<string>>;
}

/** From a bar: one of its buttons was pressed. */
export interface Steer {
  readonly action: "pause" | "resume" | "cancel";
}

/** The last picture that was finished; ``refined`` pixels were done again, None where they are not yet. Empty before the first. */
export interface ExplorerStatus {
  readonly state?: string;
  readonly method?: string;
  readonly text?: string;
  readonly adapter?: string;
  readonly iterations?: number;
  readonly seconds?: number;
  readonly iterations_per_second?: number;
  readonly refined?: number | null;
  readonly size?: readonly [number, number];
  readonly max_iter?: number;
  readonly center?: readonly [string, string];
  readonly width?: string;
}

/** `MandelbrotExplorer`. ``_colors`` are those of ``palette``. */
export interface ExplorerState extends PlaceState {
  readonly center: readonly [string, string];
  readonly width: string;
  readonly max_iter: number;
  readonly auto_iterations: boolean;
  readonly palette: string | ReadonlyArray<string>;
  readonly scale: "log" | "sqrt" | "linear";
  readonly cycle: number;
  readonly offset: number;
  readonly histogram: boolean;
  readonly power: number;
  readonly julia: readonly [string, string] | null;
  readonly height: number;
  readonly status: ExplorerStatus;
  readonly _colors: ReadonlyArray<string>;
}

/** A view that a page asks about: numbers of full precision are decimal texts. */
export interface ExplorerView {
  readonly center: readonly [string, string];
  readonly width: string;
  readonly size: readonly [number, number];
  readonly max_iter: number;
  readonly power: number;
  readonly julia: readonly [string, string] | null;
}

/** A page begins. Answer: `ExplorerWelcome`. */
export interface ExplorerHello {
  readonly id: string;
  readonly kind: "hello";
}

/**
 * What does a view need? ``have`` is the key of the reference that the page holds; ``exact``: about the view's own centre, as `render` has it.
 *
 * Answer: `ExplorerPrepared`.
 */
export interface ExplorerPrepare {
  readonly id: string;
  readonly kind: "prepare";
  readonly view: ExplorerView;
  readonly have: string;
  readonly exact: boolean;
}

/** What does refine.wgsl need beside the exact plan? ``have`` is the key of what the page holds of the kind. Answer: `ExplorerFine`. */
export interface ExplorerRefine {
  readonly id: string;
  readonly kind: "refine";
  readonly view: ExplorerView;
  readonly have: string;
}

/** A picture by the kernel's GPU; its size is in ``view``, 1/coarse of the page's. Answer: `ExplorerDrawn`. */
export interface ExplorerDraw {
  readonly id: string;
  readonly kind: "draw";
  readonly view: ExplorerView;
  readonly coarse: number;
}

/** What the page shows, a PNG in buffer 0, for the notebook's file. No answer. */
export interface ExplorerPicture {
  readonly id: string;
  readonly kind: "picture";
}

/** Question ``id`` is given up. No answer, to either. */
export interface ExplorerCancel {
  readonly id: string;
  readonly kind: "cancel";
}

export type ExplorerQuestion =
  | ExplorerHello
  | ExplorerPrepare
  | ExplorerRefine
  | ExplorerDraw
  | ExplorerPicture
  | ExplorerCancel;

/** WGSL by the names of the package's shaders. */
export interface ExplorerShaders {
  readonly direct: string;
  readonly perturb: string;
  readonly refine: string;
}

/** A place with its link. */
export interface Landmark {
  readonly name: string;
  readonly link: string;
}

/** ``remote``: the kernel must compute, since its GPU is not this page's; ``adapter`` is that GPU's. */
export interface ExplorerWelcome {
  readonly id: string;
  readonly kind: "welcome";
  readonly shaders: ExplorerShaders;
  readonly palettes: Readonly<Record<string, ReadonlyArray<string>>>;
  readonly landmarks: ReadonlyArray<Landmark>;
  readonly remote: boolean;
  readonly adapter: string;
}

/**
 * What a picture needs beside the shaders and the parts of its reference, which ``key`` names.
 *
 * ``center`` and ``step`` (of one pixel) are those of the plane for ``direct``, else in units of 2^scale, the centre from the reference's point.
 * ``offsets`` are the first entries of the table's ``levels``, filled up to 32.
 */
export interface ExplorerPlan {
  readonly method: "direct" | "perturbation" | "bla";
  readonly size: readonly [number, number];
  readonly max_iter: number;
  readonly power: number;
  readonly julia: readonly [number, number] | null;
  readonly radius_squared: number;
  readonly center: readonly [number, number];
  readonly step: number;
  readonly scale: number;
  readonly start: number;
  readonly offsets: ReadonlyArray<number>;
  readonly levels: number;
  readonly highest: number;
  readonly key: string;
}

/**
 * Which views a reference serves besides.
 *
 * ``point`` is where it is, with ``digits`` digits. ``reach`` is the base-2 logarithm of the largest distance from it for which table and limits are right
 * (None: any), ``finest`` that of the smallest pixel that its precision is enough for; ``length`` is its steps (None: it has escaped, and serves any number).
 */
export interface ExplorerServes {
  readonly point: readonly [string, string];
  readonly digits: number;
  readonly reach: number | null;
  readonly finest: number;
  readonly length: number | null;
}

/** The plan, and the method in words. Buffers: reference, table and orbit; none, where the page has them; or limits and radii, which differ from what it has. */
export interface ExplorerPrepared {
  readonly id: string;
  readonly kind: "prepared";
  readonly plan: ExplorerPlan;
  readonly serves: ExplorerServes;
  readonly text: string;
}

/** The parts of a reference for refine.wgsl; ``offsets`` as in `ExplorerPlan`. */
export interface FinePlan {
  readonly key: string;
  readonly start: number;
  readonly offsets: ReadonlyArray<number>;
  readonly levels: number;
  readonly highest: number;
}

/** Buffers: indices and smooth counts of pixels that 56 bits do not tell from an axis; then reference and table, unless the page has them. */
export interface ExplorerFine {
  readonly id: string;
  readonly kind: "fine";
  readonly fine: FinePlan;
}

/** Buffers: iterations and smooth counts. */
export interface ExplorerDrawn {
  readonly id: string;
  readonly kind: "drawn";
  readonly text: string;
  readonly method: string;
  readonly refined: number;
}

/** A question has no answer, and why; ``line`` and ``column`` of a view's source count from 1, 0 where it has no place. */
export interface Failed {
  readonly id: string;
  readonly kind: "error";
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

export type ExplorerAnswer =
  | ExplorerWelcome
  | ExplorerPrepared
  | ExplorerFine
  | ExplorerDrawn
  | Failed;

/** A name of a view's WGSL that is a uniform; of all inputs ``type`` is how it is declared where the WGSL does not do it. */
export interface UniformInput {
  readonly kind: "uniform";
  readonly type: string;
}

/** A buffer that is read. */
export interface ArrayInput {
  readonly kind: "array";
  readonly type: string;
  readonly buffer: number;
  readonly size_bytes: number;
}

/** A texture. */
export interface TextureInput {
  readonly kind: "texture";
  readonly type: string;
  readonly texture: number;
}

/** A sampler by its description. */
export interface SamplerInput {
  readonly kind: "sampler";
  readonly type: string;
  readonly sampler: Readonly<Record<string, string>>;
}

export type ViewInput =
  | UniformInput
  | ArrayInput
  | TextureInput
  | SamplerInput;

/**
 * What a frame sets by itself. Sizes and the mouse are in pixels of the whole picture, from the upper left corner.
 *
 * ``mouse`` is where it is while a button is down, or was last; and where it was pressed, negative once it is up again.
 */
export interface ViewFrame {
  readonly time: number;
  readonly delta: number;
  readonly frame: number;
  readonly size: readonly [number, number];
  readonly mouse: readonly [number, number, number, number];
}

/** How a view goes in the page; empty before it has begun. */
export interface ViewStatus {
  readonly frames_per_second?: number;
  readonly adapter?: string;
  readonly coarse?: number;
  readonly nan_pixels?: number;
  readonly compile_ms?: number;
  readonly first_frame_ms?: number | null;
}

/** `ShaderView`; beside these a trait ``u_NAME`` for each of ``uniforms``. */
export interface ViewState extends PlaceState {
  readonly source: string;
  readonly playing: boolean;
  readonly time: number;
  readonly size: readonly [number, number];
  readonly mouse: readonly [number, number, number, number];
  readonly error: string;
  readonly status: ViewStatus;
  readonly view_id: string;
  readonly gpu_id: string;
  readonly transport: "comm" | "page" | "headless";
  readonly uniforms: ReadonlyArray<string>;
  readonly _inputs: Readonly<Record<string, ViewInput>>;
}

/** A picture by the kernel's GPU, at 1/coarse of its size; ``values`` are those of the uniforms, as the page has them. Answer: `ViewDrawn`. */
export interface ViewDraw {
  readonly id: string;
  readonly kind: "draw";
  readonly frame: ViewFrame;
  readonly values: Readonly<Record<string, unknown>>;
  readonly coarse: number;
}

/** Buffer 0 is a PNG; ``nan`` pixels of it are none. */
export interface ViewDrawn {
  readonly id: string;
  readonly kind: "drawn";
  readonly nan: number;
  readonly adapter: string;
}

export type ViewAnswer =
  | ViewDrawn
  | Failed;

/** No field at all. */
export type Nothing = Readonly<Record<string, never>>;

/**
 * One file of a source.
 *
 * ``key`` names this content in the cache. ``url`` is where to fetch it (None: Python sends the chunks), ``ranges`` whether that server honours Range,
 * ``validator`` its ETag or Last-Modified, "" when it shows none. ``verify``: compare cached chunks with their hashes. ``sha256`` is of the whole file, in
 * hex, where its server gives it and it is to be checked, else ""; 128 digits are its SHA-512. ``digests`` is the name under which Python sends the hash of
 * each chunk to this load, "" where it cannot.
 */
export interface FileSpec {
  readonly key: string;
  readonly name: string;
  readonly size: number;
  readonly chunk_bytes: number;
  readonly url: string | null;
  readonly ranges: boolean;
  readonly validator: string;
  readonly cache: boolean;
  readonly verify: boolean;
  readonly sha256: string;
  readonly digests: string;
}

/**
 * One buffer's worth of a tensor: ``count`` elements from ``bytes`` bytes at ``offset`` of file ``file``.
 *
 * ``outs`` are the target buffers: the values, and for int8 and int4 the scales. ``decode`` and ``encode`` are pipelines, 0 for none. A block of
 * ``block_elements`` takes ``block_bytes`` in the file. An encoded element has ``out_bits`` bits, and ``grouped`` ones a scale for each 32. ``flag`` is
 * [buffer, index] that a checking decoder raises.
 */
export interface ItemSpec {
  readonly id: number;
  readonly stage: number;
  readonly file: number;
  readonly offset: number;
  readonly bytes: number;
  readonly count: number;
  readonly outs: ReadonlyArray<number>;
  readonly decode: number;
  readonly encode: number;
  readonly block_elements: number;
  readonly block_bytes: number;
  readonly out_bits: number;
  readonly grouped: boolean;
  readonly flag: readonly [number, number] | null;
}

/** ``piece_elements`` are converted by one dispatch; after ``stall_s`` seconds without any progress the load is given up. */
export interface LoadSpec {
  readonly job: string;
  readonly files: ReadonlyArray<FileSpec>;
  readonly items: ReadonlyArray<ItemSpec>;
  readonly piece_elements: number;
  readonly stall_s: number;
}

/**
 * What has happened since the last report: ``done`` items are in their buffers now.
 *
 * ``want`` are chunks that Python is to send, as [file, index]; ``hash`` those whose hashes it is to send, as [file, first index, count].
 */
export interface LoadProgress {
  readonly job: string;
  readonly done: ReadonlyArray<number>;
  readonly want: ReadonlyArray<readonly [number, number]>;
  readonly hash: ReadonlyArray<readonly [number, number, number]>;
  readonly bytes_done: number;
  readonly bytes_moved: number;
  readonly bytes_from_cache: number;
  readonly peak_buffer_bytes: number;
  readonly stage: number;
  readonly paused: boolean;
  readonly warnings: ReadonlyArray<string>;
}

export type LoadAction =
  | "pause"
  | "resume"
  | "cancel"
  | "prioritise"
  | "drop";

/** Steer a load; ``items`` are those to prioritise or to drop. */
export interface LoadControl {
  readonly job: string;
  readonly action: LoadAction;
  readonly items: ReadonlyArray<number>;
}

/** Whether the load was still there. */
export interface LoadFound {
  readonly found: boolean;
}

/** Buffer 0 is chunk ``index`` of a load's file; ``digest`` its hash, "" where it is not to be checked. */
export interface ChunkSent {
  readonly job: string;
  readonly file: number;
  readonly index: number;
  readonly digest: string;
}

/** Hashes of a file's chunks from ``first`` on, for the load that knows them as ``name``. */
export interface DigestsSent {
  readonly job: string;
  readonly name: string;
  readonly first: number;
  readonly digests: ReadonlyArray<string>;
}

/**
 * Try where the page can fetch a file.
 *
 * ``urls`` are addresses as they are; ``path`` and ``resolved`` the parts of its path and ``home`` those of the user's folder, for a Jupyter server that
 * serves it, else empty. Of the file its size, some of its bytes as [offset, hex] (the first lie at 0), and when it was written (seconds, 0 unknown).
 */
export interface Probe {
  readonly urls: ReadonlyArray<string>;
  readonly path: ReadonlyArray<string>;
  readonly resolved: ReadonlyArray<string>;
  readonly home: ReadonlyArray<string>;
  readonly size: number;
  readonly samples: ReadonlyArray<readonly [number, string]>;
  readonly modified: number;
}

/** The first address that gives the file's bytes, None where none does; and what did not work, and why. */
export interface ProbeAnswer {
  readonly url: string | null;
  readonly ranges: boolean;
  readonly validator: string;
  readonly tried: ReadonlyArray<string>;
}

/** A cached file: ``used`` last at (milliseconds since 1970). */
export interface CacheEntry {
  readonly key: string;
  readonly name: string;
  readonly size: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly complete: boolean;
  readonly used: number;
}

/** What is cached, the last used first. */
export interface CacheListing {
  readonly entries: ReadonlyArray<CacheEntry>;
}

/** Files by their keys; None for all. */
export interface CacheKeys {
  readonly keys: ReadonlyArray<string> | null;
}

/** What was given back. */
export interface CacheFreed {
  readonly freed_bytes: number;
}

/** A chunk that was damaged, and has been dropped. */
export interface BadChunk {
  readonly key: string;
  readonly chunk: number;
}

/** Chunks compared with their digests, what these hold, and those that differ. */
export interface CacheVerdict {
  readonly checked: number;
  readonly bytes: number;
  readonly bad: ReadonlyArray<BadChunk>;
}

/** How much the page may store and stores; zeros where the browser does not say. */
export interface StorageQuota {
  readonly quota_bytes: number;
  readonly used_bytes: number;
  readonly persisted: boolean;
}

/** As WebRTC's RTCIceServer. */
export interface IceServer {
  readonly urls: string | ReadonlyArray<string>;
  readonly username?: string;
  readonly credential?: string;
}

/** An offer or an answer of WebRTC. */
export interface SessionDescription {
  readonly type: "offer" | "answer" | "pranswer" | "rollback";
  readonly sdp: string;
}

/** A way to a browser, as WebRTC's RTCIceCandidate has it. */
export interface IceCandidate {
  readonly candidate: string;
  readonly sdp_mid: string | null;
  readonly sdp_m_line_index: number | null;
  readonly username_fragment: string | null;
}

/** What one browser says to another before they have a channel: one of the two. */
export interface PeerSignal {
  readonly description: SessionDescription | null;
  readonly candidate: IceCandidate | null;
}

/** Open a channel to the browser ``peer``; ``signals`` are what it has said already. */
export interface PeerOpen {
  readonly peer: string;
  readonly initiator: boolean;
  readonly ice_servers: ReadonlyArray<IceServer>;
  readonly timeout_ms: number;
  readonly signals: ReadonlyArray<PeerSignal>;
}

/** How long it took. */
export interface Took {
  readonly ms: number;
}

/** To be told to the other browser. */
export interface PeerSaid {
  readonly signal: PeerSignal;
}

/** What ``peer`` has said. */
export interface PeerHears {
  readonly peer: string;
  readonly signals: ReadonlyArray<PeerSignal>;
}

/** A browser to which there is a channel. */
export interface PeerNamed {
  readonly peer: string;
}

/** A block that goes from ``buffer`` to ``peer``, or comes from there. */
export interface BlockMoved {
  readonly transfer: number;
  readonly block: string;
  readonly size_bytes: number;
  readonly peer: string;
  readonly buffer: number;
}

/** Send ``size_bytes`` of zeros in messages of ``message_bytes``. */
export interface PeerBare {
  readonly peer: string;
  readonly size_bytes: number;
  readonly message_bytes: number;
}

/** Buffer 0 is a part of a block of ``size_bytes``, from ``offset`` on. */
export interface BlockPut {
  readonly block: string;
  readonly buffer: number;
  readonly offset: number;
  readonly size_bytes: number;
}

/** Blocks by their names. */
export interface BlocksDropped {
  readonly blocks: ReadonlyArray<string>;
}

/** What a browser shows of itself. */
export interface WorkerShown {
  readonly name: string;
  readonly doing: string;
  readonly tasks_done: number;
  readonly tasks_failed: number;
  readonly busy_s: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly peer_bytes_in: number;
  readonly peer_bytes_out: number;
}

/** A picture of a view at 1/coarse of the frame's size, as chunks of item 0: rows of RGBA. */
export interface Picture {
  readonly source: string;
  readonly inputs: Readonly<Record<string, ViewInput>>;
  readonly values: Readonly<Record<string, unknown>>;
  readonly frame: ViewFrame;
  readonly coarse: number;
}

/** Its size; ``nan`` of its pixels are none, and magenta. */
export interface PictureDrawn {
  readonly nan: number;
  readonly width: number;
  readonly height: number;
}

/** Rows that are drawn, of how many. */
export interface RowsDrawn {
  readonly done: number;
  readonly of: number;
}

/** What each service is asked, answers and reports, by its name. */
export interface Services {
  readonly "weights.load": { readonly params: LoadSpec; readonly answer: LoadProgress; readonly report: LoadProgress };
  readonly "weights.control": { readonly params: LoadControl; readonly answer: LoadFound; readonly report: Nothing };
  readonly "weights.chunk": { readonly params: ChunkSent; readonly answer: Nothing; readonly report: Nothing };
  readonly "weights.digests": { readonly params: DigestsSent; readonly answer: Nothing; readonly report: Nothing };
  readonly "weights.probe": { readonly params: Probe; readonly answer: ProbeAnswer; readonly report: Nothing };
  readonly "cache.list": { readonly params: Nothing; readonly answer: CacheListing; readonly report: Nothing };
  readonly "cache.clear": { readonly params: CacheKeys; readonly answer: CacheFreed; readonly report: Nothing };
  readonly "cache.verify": { readonly params: CacheKeys; readonly answer: CacheVerdict; readonly report: Nothing };
  readonly "cache.quota": { readonly params: Nothing; readonly answer: StorageQuota; readonly report: Nothing };
  readonly "peer-open": { readonly params: PeerOpen; readonly answer: Took; readonly report: PeerSaid };
  readonly "peer-signal": { readonly params: PeerHears; readonly answer: Nothing; readonly report: Nothing };
  readonly "peer-close": { readonly params: PeerNamed; readonly answer: Nothing; readonly report: Nothing };
  readonly "peer-receive": { readonly params: BlockMoved; readonly answer: Took; readonly report: Nothing };
  readonly "peer-send": { readonly params: BlockMoved; readonly answer: Nothing; readonly report: Nothing };
  readonly "peer-bare": { readonly params: PeerBare; readonly answer: Took; readonly report: Nothing };
  readonly "block-put": { readonly params: BlockPut; readonly answer: Nothing; readonly report: Nothing };
  readonly "block-drop": { readonly params: BlocksDropped; readonly answer: Nothing; readonly report: Nothing };
  readonly "worker-view": { readonly params: WorkerShown; readonly answer: Nothing; readonly report: Nothing };
  readonly "view.draw": { readonly params: Picture; readonly answer: PictureDrawn; readonly report: RowsDrawn };
}
