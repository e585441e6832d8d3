/** Where a tensor's bytes go: straight into its buffer, or through kernels, piece by piece. */
import type { BufferRecord } from "../buffers.js";
import { EngineError } from "../errors.js";
import type { Gpu } from "../gpu.js";
import type { BindArg, ItemSpec } from "../protocol.gen.js";

const MAX_KEPT = 4;
const THREADS = 64;

/** Takes bytes of an item in any order, each once. */
export interface Sink {
  /** `size` bytes of `source` from `from`, for offset `at` of the item. */
  write(at: number, source: ArrayBuffer, from: number, size: number): void;
  readonly complete: boolean;
  dispose(): void;
}

/** Bytes at any offset into a buffer that takes whole words: split words wait for their other half. */
export class WordWriter {
  private readonly split = new Map<number, { readonly bytes: Uint8Array<ArrayBuffer>; have: number }>();

  constructor(
    private readonly total: number,
    private readonly put: (at: number, source: ArrayBuffer, from: number, size: number) => void,
  ) {}

  write(at: number, source: ArrayBuffer, from: number, size: number): void {
    const end = at + size;
    const first = Math.min(Math.ceil(at / 4) * 4, end);
    const last = Math.max(Math.floor(end / 4) * 4, first);
    for (let byte = at; byte < first; byte++) this.single(byte, source, from + byte - at);
    if (last > first) this.put(first, source, from + first - at, last - first);
    for (let byte = last; byte < end; byte++) this.single(byte, source, from + byte - at);
  }

  private single(at: number, source: ArrayBuffer, from: number): void {
    const word = Math.floor(at / 4) * 4;
    const found = this.split.get(word) ?? { bytes: new Uint8Array(4), have: 0 };
    this.split.set(word, found);
    found.bytes[at - word] = new Uint8Array(source, from, 1)[0] ?? 0;
    found.have++;
    if (found.have === Math.min(4, this.total - word)) {
      this.split.delete(word);
      this.put(word, found.bytes.buffer, 0, 4);
    }
  }
}

/** Write into a buffer, after whatever is recorded for it. */
function upload(gpu: Gpu, record: BufferRecord, at: number, source: ArrayBuffer, from: number, size: number): void {
  if (record.stamp === gpu.recorder.serial) gpu.recorder.flush();
  gpu.device.queue.writeBuffer(record.buffer, at, source, from, size);
}

class DirectSink implements Sink {
  private left: number;
  private readonly writer: WordWriter;

  constructor(gpu: Gpu, item: ItemSpec) {
    this.left = item.bytes;
    const handle = item.outs[0] ?? 0;
    this.writer = new WordWriter(item.bytes, (at, source, from, size) => upload(gpu, gpu.buffers.get(handle), at, source, from, size));
  }

  get complete(): boolean {
    return this.left === 0;
  }

  write(at: number, source: ArrayBuffer, from: number, size: number): void {
    this.writer.write(at, source, from, size);
    this.left -= size;
  }

  dispose(): void {
    this.left = -1;
  }
}

interface Piece {
  readonly scratch: BufferRecord;
  readonly writer: WordWriter;
  left: number;
}

/** GPU buffers for bytes on their way; handles below zero are no one else's. */
export class Scratch {
  private static handles = 0;
  private readonly free = new Map<number, BufferRecord[]>();
  private readonly all = new Set<BufferRecord>();

  constructor(private readonly gpu: Gpu) {}

  take(size: number): BufferRecord {
    const rounded = 2 ** Math.ceil(Math.log2(Math.max(256, size)));
    const kept = this.free.get(rounded)?.pop();
    if (kept) return kept;
    const record = this.gpu.buffers.create(--Scratch.handles, rounded, "weights on their way");
    this.all.add(record);
    return record;
  }

  give(record: BufferRecord): void {
    const kept = this.free.get(record.sizeBytes) ?? [];
    this.free.set(record.sizeBytes, kept);
    if (kept.length < MAX_KEPT) kept.push(record);
    else this.drop(record);
  }

  private drop(record: BufferRecord): void {
    this.all.delete(record);
    if (this.gpu.dead || this.gpu.buffers.find(record.handle) !== record) return;
    this.gpu.buffers.remove(record.handle);
    this.gpu.recorder.defer(() => record.buffer.destroy());
  }

  dispose(): void {
    for (const record of [...this.all]) this.drop(record);
    this.free.clear();
  }
}

class ConvertSink implements Sink {
  private readonly pieces = new Map<number, Piece>();
  private done = 0;
  private readonly count: number;
  private readonly pieceBytes: number;

  constructor(
    private readonly gpu: Gpu,
    private readonly scratch: Scratch,
    private readonly item: ItemSpec,
    private readonly pieceElements: number,
  ) {
    this.pieceBytes = (pieceElements / item.block_elements) * item.block_bytes;
    this.count = Math.ceil(item.bytes / this.pieceBytes);
  }

  get complete(): boolean {
    return this.done === this.count;
  }

  write(first: number, source: ArrayBuffer, from: number, size: number): void {
    for (let done = 0; done < size; ) {
      const at = first + done;
      const index = Math.floor(at / this.pieceBytes);
      const begin = index * this.pieceBytes;
      const total = Math.min(this.pieceBytes, this.item.bytes - begin);
      const part = Math.min(size - done, begin + total - at);
      const piece = this.pieces.get(index) ?? this.start(total);
      this.pieces.set(index, piece);
      piece.writer.write(at - begin, source, from + done, part);
      piece.left -= part;
      if (piece.left === 0) {
        this.pieces.delete(index);
        this.convert(index, piece.scratch);
        this.scratch.give(piece.scratch);
        this.done++;
      }
      done += part;
    }
  }

  private start(total: number): Piece {
    const scratch = this.scratch.take(total);
    const writer = new WordWriter(total, (at, source, from, size) => upload(this.gpu, scratch, at, source, from, size));
    return { scratch, writer, left: total };
  }

  private convert(index: number, raw: BufferRecord): void {
    const { item, gpu } = this;
    const first = index * this.pieceElements;
    const count = Math.min(this.pieceElements, item.count - first);
    const params = new Uint8Array(new Uint32Array([count, item.flag?.[1] ?? 0, 0, 0]).buffer);
    const flags: BindArg[] = item.flag ? [{ group: 0, binding: 2, buffer: item.flag[0] ?? 0 }] : [];
    if (!item.encode) {
      const out = { group: 0, binding: 1, buffer: item.outs[0] ?? 0, offset: first * 4, size_bytes: count * 4 };
      this.run(item.decode, count, [{ group: 0, binding: 0, buffer: raw.handle }, out, ...flags], params);
      gpu.recorder.flush();
      return;
    }
    let values = raw;
    if (item.decode) {
      values = this.scratch.take(count * 4);
      const decoded = { group: 0, binding: 1, buffer: values.handle, offset: 0, size_bytes: count * 4 };
      this.run(item.decode, count, [{ group: 0, binding: 0, buffer: raw.handle }, decoded, ...flags], params);
    }
    const bytes = Math.ceil((count * item.out_bits) / 32) * 4;
    const args: BindArg[] = [
      { group: 0, binding: 0, buffer: values.handle },
      { group: 0, binding: 1, buffer: item.outs[0] ?? 0, offset: (first * item.out_bits) / 8, size_bytes: bytes },
    ];
    if (item.grouped) args.push({ group: 0, binding: 2, buffer: item.outs[1] ?? 0, offset: first / 8, size_bytes: count / 8 });
    this.run(item.encode, item.grouped ? count / 32 : Math.ceil(count / 2), args, params);
    gpu.recorder.flush();
    if (values !== raw) this.scratch.give(values);
  }

  private run(pipeline: number, invocations: number, args: BindArg[], params: Uint8Array<ArrayBuffer>): void {
    const { recorder, pipelines } = this.gpu;
    const compiled = pipelines.get(pipeline);
    if (compiled instanceof Promise) throw new EngineError("internal", "a conversion kernel was used before it was compiled");
    const groups = Math.ceil(invocations / THREADS);
    const x = Math.min(groups, 32768);
    const uniform: BindArg = { group: 1, binding: 0, uniform: [0, 0, params.byteLength] };
    recorder.dispatch(compiled, pipelines.label(pipeline), [x, Math.ceil(groups / x), 1], [...args, uniform], [params]);
  }

  dispose(): void {
    for (const piece of this.pieces.values()) this.scratch.give(piece.scratch);
    this.pieces.clear();
  }
}

export function makeSink(gpu: Gpu, scratch: Scratch, item: ItemSpec, pieceElements: number): Sink {
  return item.decode || item.encode ? new ConvertSink(gpu, scratch, item, pieceElements) : new DirectSink(gpu, item);
}
