/**
 * The exchange with Python as a state machine: messages in, messages and calls of the host out. No DOM, no GPU, no clock.
 * The rules are in the docstring of `webgpu_widget/link/protocol.py`; `webgpu_widget/link/session.py` is the twin.
 */
import {
  type Batch,
  CHUNK_BYTES,
  COMM_WINDOW_BYTES,
  type ErrorCode,
  type Hello,
  type Lane,
  PROTOCOL_VERSION,
  type ToBrowser,
  type ToPython,
  WINDOW_BYTES,
} from "./protocol.gen.js";
import type { Link } from "./transports/link.js";

export type Bytes = Uint8Array<ArrayBuffer>;
export type Role = "waiting" | "leader" | "standby" | "refused" | "closed";

/** What the session asks of its surroundings. */
export interface SessionHost {
  describe(): Pick<Hello, "host" | "loopback" | "visible" | "user_agent" | "no_gpu_reason">;
  /** Open the lane; its `opened`, `message` and `closed` come back to this session. */
  openLane(lane: Lane, instance: string): Link;
  after(delayMs: number, action: () => void): void;
  /** The next batch in order; `dealtWith` is called for it later. */
  batch(batch: Batch, buffers: readonly Bytes[]): void;
  /** All handles and requests from before are gone. */
  fresh(reason: string): void;
  cancel(ids: readonly string[]): void;
  reset(reason: string): void;
  close(): void;
  changed(): void;
  /** The kernel that the GPU is at work on, or those that it may be; empty when it has nothing to do. */
  workingOn(): string;
}

type Streamed = Extract<ToPython, { seq: number }>;
type Unnumbered<T> = T extends unknown ? Omit<T, "seq" | "instance"> : never;

interface Kept {
  readonly message: Streamed;
  readonly buffers: readonly Bytes[];
  readonly sizeBytes: number;
  /** Called when the buffers are needed no more. */
  readonly release: (() => void) | undefined;
}

interface Waiter {
  readonly sizeBytes: number;
  readonly settle: (granted: boolean) => void;
}

const ACK_BYTES = CHUNK_BYTES / 4;
const ACK_MESSAGES = 16;
const ACK_DELAY_MS = 200;
const GAP_MS = 1000;
const KEPT_CANCELLED = 256;

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** Whether a message holds what its kind needs. */
function isWellFormed(message: ToBrowser): boolean {
  switch (message.kind) {
    case "welcome":
      return typeof message.session === "string" && isCount(message.received) && (message.lane === null || typeof message.lane?.url === "string");
    case "ping":
      return isCount(message.nonce);
    case "batch":
      return isCount(message.seq) && Array.isArray(message.commands) && message.commands.every((command) => typeof command === "object" && command !== null);
    case "ack":
      return isCount(message.ack);
    case "resume":
      return isCount(message.received);
    case "cancel":
      return Array.isArray(message.ids) && message.ids.every((id) => typeof id === "string");
    default:
      return true;
  }
}

const total = (buffers: readonly { byteLength: number }[]): number => buffers.reduce((sum, buffer) => sum + buffer.byteLength, 0);

export class Session {
  role: Role = "waiting";
  /** What Python said when it refused. */
  refusal = "";
  private session: string | null = null;
  /** In order of preference: the comm first, the newest WebSocket last. */
  private readonly links: Link[] = [];
  private greeted: Link | undefined;
  private lane: Link | undefined;
  private laneUrl = "";
  private sent = 0;
  private kept: Kept[] = [];
  private keptBytes = 0;
  /** Credit given to chunks that are about to be sent. */
  private grantedBytes = 0;
  private waiters: Waiter[] = [];
  private received = 0;
  private dealt = 0;
  private acked = 0;
  private sinceAckBytes = 0;
  private readonly undealt: { readonly seq: number; readonly sizeBytes: number }[] = [];
  private readonly early = new Map<number, { readonly batch: Batch; readonly buffers: readonly Bytes[] }>();
  private readonly open = new Set<string>();
  private readonly cancelled = new Set<string>();
  private ackTimer = false;
  private gapTimer = false;
  /** Python has asked who is there, so it has given this session up: what is said before it welcomes would be taken for the next one's. */
  private muted = false;

  constructor(
    readonly instance: string,
    private readonly host: SessionHost,
  ) {}

  /** The link that carries everything now. */
  get link(): Link | undefined {
    return this.links.at(-1);
  }

  /** Requests without a terminal reply. */
  get requests(): ReadonlySet<string> {
    return this.open;
  }

  // ---------------------------------------------------------------- links

  /** Speak first on a link that is open. */
  hello(link: Link): void {
    if (this.role === "closed" || this.role === "refused") return;
    const { session, received, instance } = this;
    this.greeted = link;
    link.send({ kind: "hello", protocol_version: PROTOCOL_VERSION, instance, session, received, ...this.host.describe() }, []);
  }

  linkClosed(link: Link): void {
    if (link === this.lane) {
      this.lane = undefined;
      this.laneUrl = "";
    }
    const index = this.links.indexOf(link);
    if (index < 0) return;
    const wasActive = link === this.link;
    this.links.splice(index, 1);
    if (wasActive) this.say({ kind: "resume", received: this.received });
    this.host.changed();
  }

  /** The page goes away. */
  bye(): void {
    if (this.role === "closed") return;
    (this.link ?? this.greeted)?.send({ kind: "bye", instance: this.instance }, []);
    this.end("closed");
  }

  private end(role: Role): void {
    this.role = role;
    this.lane?.close();
    this.lane = undefined;
    this.laneUrl = "";
    this.links.length = 0;
    this.forget();
    this.host.changed();
  }

  /** Begin both streams anew. */
  private forget(): void {
    this.sent = this.received = this.dealt = this.acked = this.keptBytes = this.grantedBytes = this.sinceAckBytes = 0;
    const kept = this.kept;
    this.kept = [];
    for (const { release } of kept) release?.();
    this.undealt.length = 0;
    this.early.clear();
    this.open.clear();
    this.cancelled.clear();
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) waiter.settle(false);
  }

  // ---------------------------------------------------------------- inputs

  receive(link: Link, message: ToBrowser, buffers: readonly Bytes[]): void {
    if (this.role === "closed" || typeof message !== "object" || message === null) return;
    if (message.kind === "roll-call") {
      this.muted = this.role === "leader";
      this.hello(link);
      return;
    }
    if (message.instance !== this.instance) return;
    if (!isWellFormed(message)) {
      console.error("webgpu_widget: a malformed message from Python was dropped", message.kind);
      return;
    }
    switch (message.kind) {
      case "welcome":
        this.welcome(link, message.session, message.received, message.lane);
        break;
      case "standby":
        if (this.role === "leader") this.host.fresh("another page leads");
        this.end("standby");
        this.session = null;
        break;
      case "refuse":
        this.refusal = message.message;
        this.end("refused");
        break;
      case "ping":
        link.send({ kind: "pong", instance: this.instance, nonce: message.nonce, working_on: this.host.workingOn() }, []);
        break;
      case "batch":
        if (this.role === "leader") this.stream(message, buffers);
        break;
      case "ack":
        this.prune(message.ack);
        break;
      case "resume":
        this.resumed(link, message.received);
        break;
      case "cancel":
        this.cancel(message.ids);
        break;
      case "reset":
        this.host.reset(message.reason);
        break;
      case "close":
        this.end("closed");
        this.host.close();
        break;
    }
  }

  private welcome(link: Link, session: string, received: number, lane: Lane | null): void {
    if (session !== this.session) {
      const led = this.session !== null;
      this.forget();
      for (const old of this.links.splice(0)) if (old !== link && old.kind === "websocket") old.close();
      if (this.lane !== link) {
        this.lane = undefined;
        this.laneUrl = "";
      }
      this.session = session;
      this.role = "leader";
      this.host.fresh(led ? "Python began a new session" : "");
    }
    this.role = "leader";
    const index = this.links.indexOf(link);
    if (index >= 0) this.links.splice(index, 1);
    // The comm never outranks a WebSocket that is still open.
    if (link.kind === "comm") this.links.unshift(link);
    else this.links.push(link);
    this.prune(received);
    const wasMuted = this.muted;
    this.muted = false;
    if (wasMuted || link === this.link) this.resend();
    if (lane && link.kind === "comm" && lane.url !== this.laneUrl) {
      this.lane?.close();
      this.laneUrl = lane.url;
      this.lane = this.host.openLane(lane, this.instance);
    }
    this.host.changed();
  }

  private resumed(link: Link, received: number): void {
    const index = this.links.indexOf(link);
    if (index < 0) return;
    if (link !== this.link) {
      for (const newer of this.links.splice(index + 1)) {
        newer.close();
        if (newer === this.lane) this.lane = undefined;
      }
      this.say({ kind: "resume", received: this.received });
      this.host.changed();
    }
    this.prune(received);
    this.resend();
  }

  private stream(batch: Batch, buffers: readonly Bytes[]): void {
    if (batch.seq <= this.received) {
      this.ack();
      return;
    }
    this.early.set(batch.seq, { batch, buffers });
    for (let next = this.early.get(this.received + 1); next; next = this.early.get(this.received + 1)) {
      this.early.delete(++this.received);
      this.undealt.push({ seq: this.received, sizeBytes: total(next.buffers) });
      for (const command of next.batch.commands) if ("id" in command) this.open.add(command.id);
      this.host.batch(next.batch, next.buffers);
    }
    if (this.early.size > 0) this.watchGap();
  }

  /** What is missing may be lost, not late: ask for it again. */
  private watchGap(): void {
    if (this.gapTimer) return;
    this.gapTimer = true;
    const { received, session } = this;
    this.host.after(GAP_MS, () => {
      this.gapTimer = false;
      if (this.early.size === 0 || session !== this.session) return;
      if (received === this.received) this.say({ kind: "resume", received });
      this.watchGap();
    });
  }

  private cancel(ids: readonly string[]): void {
    for (const id of ids) {
      this.open.delete(id);
      this.cancelled.add(id);
    }
    for (const id of this.cancelled) {
      if (this.cancelled.size <= KEPT_CANCELLED) break;
      this.cancelled.delete(id);
    }
    this.host.cancel(ids);
  }

  /** Whether a request was given up before, or while, it was dealt with. */
  isCancelled(id: string): boolean {
    return this.cancelled.has(id);
  }

  // ---------------------------------------------------------------- outputs

  /** A batch has been dealt with; batches are dealt with in order. */
  dealtWith(seq: number): void {
    for (let first = this.undealt[0]; first && first.seq <= seq; first = this.undealt[0]) {
      this.undealt.shift();
      this.dealt = first.seq;
      this.sinceAckBytes += first.sizeBytes;
    }
    if (this.sinceAckBytes >= ACK_BYTES || this.dealt - this.acked >= ACK_MESSAGES) this.ack();
    else if (!this.ackTimer && this.dealt > this.acked) {
      this.ackTimer = true;
      this.host.after(ACK_DELAY_MS, () => {
        this.ackTimer = false;
        if (this.dealt > this.acked) this.ack();
      });
    }
  }

  private ack(): void {
    this.acked = this.dealt;
    this.sinceAckBytes = 0;
    this.say({ kind: "ack", ack: this.dealt });
  }

  /** The terminal reply of a request; a second one, or one after `cancel`, goes nowhere. */
  result(id: string, value: object): void {
    if (this.open.delete(id)) this.push({ kind: "result", id, value }, []);
  }

  error(id: string, code: ErrorCode, message: string, details: Readonly<Record<string, unknown>>): void {
    if (this.open.delete(id)) this.push({ kind: "error", id, code, message, details }, []);
  }

  /**
   * Bytes of a request, once there is credit for them. Resolves to false when nobody wants them any more.
   * They must not be changed until `release` is called.
   */
  async chunk(id: string, item: number, offset: number, totalBytes: number, bytes: Bytes, release?: () => void): Promise<boolean> {
    const sizeBytes = bytes.byteLength;
    if (this.open.has(id) && (this.waiters.length > 0 || !this.hasCredit(sizeBytes))) {
      const granted = await new Promise<boolean>((settle) => {
        this.waiters.push({ sizeBytes, settle });
      });
      if (!granted) {
        release?.();
        return false;
      }
      this.grantedBytes -= Math.min(sizeBytes, this.grantedBytes);
    }
    if (this.open.has(id)) this.push({ kind: "chunk", id, item, offset, total: totalBytes }, [bytes], release);
    else {
      release?.();
      this.grant();
    }
    return this.open.has(id);
  }

  progress(id: string, done: number, value: object): void {
    if (this.role === "leader") this.push({ kind: "progress", id, done, value }, []);
  }

  lost(epoch: number, reason: string): void {
    if (this.role === "leader") this.push({ kind: "lost", id: "", epoch, reason }, []);
  }

  private hasCredit(sizeBytes: number): boolean {
    const window = this.link?.kind === "websocket" ? WINDOW_BYTES : COMM_WINDOW_BYTES;
    const under = this.keptBytes + this.grantedBytes;
    return under === 0 || under + sizeBytes <= window;
  }

  /** Let waiting chunks go, first come first served, as far as there is credit. */
  private grant(): void {
    for (let first = this.waiters[0]; first && this.hasCredit(first.sizeBytes); first = this.waiters[0]) {
      this.waiters.shift();
      this.grantedBytes += first.sizeBytes;
      first.settle(true);
    }
  }

  private push(body: Unnumbered<Streamed>, buffers: readonly Bytes[], release?: () => void): void {
    if (this.role !== "leader") return;
    const message = { ...body, instance: this.instance, seq: ++this.sent } as Streamed;
    const sizeBytes = total(buffers);
    this.kept.push({ message, buffers, sizeBytes, release });
    this.keptBytes += sizeBytes;
    if (!this.muted) this.link?.send(message, buffers);
  }

  private say(body: { kind: "ack"; ack: number } | { kind: "resume"; received: number }): void {
    if (this.role === "leader" && !this.muted) this.link?.send({ ...body, instance: this.instance }, []);
  }

  private prune(ack: number): void {
    let count = 0;
    for (const { message, sizeBytes, release } of this.kept) {
      if (message.seq > ack) break;
      this.keptBytes -= sizeBytes;
      release?.();
      count++;
    }
    if (count > 0) this.kept.splice(0, count);
    this.grant();
  }

  private resend(): void {
    for (const { message, buffers } of this.kept) this.link?.send(message, buffers);
  }
}
