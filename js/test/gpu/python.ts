import { type Batch, CHUNK_BYTES, type Command, type ToBrowser, type ToPython } from "../../src/protocol.gen.js";
import { Runtime } from "../../src/runtime.js";
import type { Link } from "../../src/transports/link.js";

type Asked = Command extends infer C ? (C extends { id: string } ? Omit<C, "id"> : never) : never;
type Told = Command extends infer C ? (C extends { id: string } ? never : C) : never;

export interface Answer {
  value: Record<string, unknown>;
  items: Uint8Array<ArrayBuffer>[];
}

/** The error of a request, as Python sees it. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly details: Record<string, unknown>,
  ) {
    super(message);
  }
}

interface Waiting {
  items: Uint8Array<ArrayBuffer>[];
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

/** The other side of the protocol in the same page, on a link that is a pair of function calls. */
export class FakePython {
  readonly runtime: Runtime;
  readonly link: Link;
  readonly seen: ToPython[] = [];
  instance = "";
  epoch = 1;
  private seq = 0;
  private handles = 0;
  private ids = 0;
  private received = 0;
  private readonly waiting = new Map<string, Waiting>();
  private readonly sizes = new Map<number, number>();
  private commands: Command[] = [];
  private buffers: Uint8Array<ArrayBuffer>[] = [];

  constructor(beyondRepair?: (reason: string) => void) {
    this.runtime = new Runtime("test", beyondRepair);
    this.link = { kind: "websocket", send: (message, buffers) => this.receive(message, buffers), close: () => undefined };
    this.runtime.opened(this.link);
  }

  handle(): number {
    return ++this.handles;
  }

  deliver(message: ToBrowser, buffers: Uint8Array<ArrayBuffer>[] = []): void {
    this.runtime.message(this.link, message, buffers);
  }

  private receive(message: ToPython, buffers: readonly Uint8Array<ArrayBuffer>[]): void {
    this.seen.push(message);
    if (message.kind === "hello") {
      this.instance = message.instance;
      this.deliver({ kind: "welcome", instance: this.instance, protocol_version: 1, session: "s", received: this.received, lane: null });
      return;
    }
    if ("seq" in message) {
      if (message.seq !== this.received + 1) throw new Error(`message ${message.seq} after ${this.received}`);
      this.received = message.seq;
      if (buffers.length > 0 || this.received % 16 === 0) queueMicrotask(() => this.deliver({ kind: "ack", instance: this.instance, ack: this.received }));
    }
    if (message.kind === "lost") this.epoch = message.epoch;
    if (!("id" in message)) return;
    const waiting = this.waiting.get(message.id);
    if (!waiting) return;
    if (message.kind === "chunk") {
      const bytes = buffers[0] ?? new Uint8Array(0);
      const item = waiting.items[message.item] ?? new Uint8Array(message.total);
      waiting.items[message.item] = item;
      if (bytes.byteLength > CHUNK_BYTES) throw new Error(`a chunk of ${bytes.byteLength} bytes`);
      item.set(bytes, message.offset);
    } else if (message.kind === "result") {
      this.waiting.delete(message.id);
      waiting.resolve({ value: { ...message.value }, items: waiting.items });
    } else if (message.kind === "error") {
      this.waiting.delete(message.id);
      waiting.reject(new Refused(message.code, message.message, message.details));
    }
  }

  /** Record a command. */
  tell(command: Told, ...data: Uint8Array<ArrayBuffer>[]): void {
    this.commands.push(command);
    this.buffers.push(...data);
  }

  /** Keep bytes for the batch and return their reference. */
  data(bytes: ArrayBufferView<ArrayBuffer>): [number, number, number] {
    this.buffers.push(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return [this.buffers.length - 1, 0, bytes.byteLength];
  }

  send(): void {
    const batch: Batch = { kind: "batch", instance: this.instance, seq: ++this.seq, epoch: this.epoch, commands: this.commands };
    const { buffers } = this;
    this.commands = [];
    this.buffers = [];
    this.deliver(batch, buffers);
  }

  /** Send a batch that was made elsewhere. */
  sendBatch(batch: Batch, buffers: Uint8Array<ArrayBuffer>[]): void {
    if (this.commands.length > 0) this.send();
    this.deliver({ ...batch, instance: this.instance, seq: ++this.seq, epoch: this.epoch }, buffers);
  }

  ask(command: Asked): Promise<Answer> {
    const id = `r${++this.ids}`;
    this.commands.push({ ...command, id } as Command);
    const answer = new Promise<Answer>((resolve, reject) => this.waiting.set(id, { items: [], resolve, reject }));
    this.send();
    return answer;
  }

  buffer(sizeBytes: number): number {
    const buffer = this.handle();
    this.sizes.set(buffer, sizeBytes);
    this.tell({ op: "create-buffer", buffer, size_bytes: sizeBytes });
    return buffer;
  }

  array(values: ArrayBufferView<ArrayBuffer>): number {
    const buffer = this.buffer(values.byteLength);
    this.tell({ op: "write-buffer", buffer, offset: 0, data: this.data(values) });
    return buffer;
  }

  /** Compile without waiting. */
  kernel(
    source: string,
    constants: Record<string, number> = {},
    label = "kernel",
    entryPoint: string | null = null,
  ): { pipeline: number; compiled: Promise<Answer> } {
    const pipeline = this.handle();
    const compiled = this.ask({ op: "compile", pipeline, source, label, entry_point: entryPoint, constants });
    compiled.catch(() => undefined);
    return { pipeline, compiled };
  }

  async read(...buffers: number[]): Promise<Uint8Array<ArrayBuffer>[]> {
    return (await this.ask({ op: "read", reads: buffers.map((buffer) => ({ buffer, offset: 0, size_bytes: this.sizes.get(buffer) ?? 4 })) })).items;
  }

  async floats(buffer: number): Promise<number[]> {
    const [bytes] = await this.read(buffer);
    return [...new Float32Array(bytes?.buffer ?? new ArrayBuffer(0))];
  }
}
