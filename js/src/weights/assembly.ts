/** Which items a chunk's bytes belong to, and what is still missing of them. */
import type { Gpu } from "../gpu.js";
import type { ItemSpec, LoadSpec } from "../protocol.gen.js";
import type { Bytes } from "../session.js";
import { makeSink, Scratch, type Sink } from "./sinks.js";

export class Assembly {
  /** Bytes that are in their buffers. */
  bytesDone = 0;
  private readonly missing = new Set<ItemSpec>();
  private readonly byFile: ItemSpec[][];
  private readonly sinks = new Map<number, Sink>();
  private readonly scratch: Scratch;

  constructor(
    private readonly gpu: Gpu,
    private readonly spec: LoadSpec,
    private readonly finished: (item: number) => void,
  ) {
    this.scratch = new Scratch(gpu);
    this.byFile = spec.files.map(() => []);
    for (const item of spec.items) {
      this.missing.add(item);
      this.byFile[item.file]?.push(item);
    }
    for (const list of this.byFile) list.sort((a, b) => a.offset - b.offset);
  }

  /** In the order of loading. */
  get remaining(): readonly ItemSpec[] {
    return [...this.missing];
  }

  /** The stage of the first that is missing, or -1. */
  get stage(): number {
    for (const { stage } of this.missing) return stage;
    return -1;
  }

  /** Items without bytes need nothing. */
  finishEmpty(): void {
    for (const item of this.remaining) if (item.bytes === 0) this.finish(item);
  }

  /** Write bytes from offset `begin` of a file into the buffers of the items that lie there. */
  place(file: number, begin: number, bytes: Bytes): void {
    const end = begin + bytes.byteLength;
    const items = this.byFile[file] ?? [];
    for (let at = firstAfter(items, begin); at < items.length; at++) {
      const item = items[at] as ItemSpec;
      if (item.offset >= end) break;
      const from = Math.max(begin, item.offset);
      const size = Math.min(end, item.offset + item.bytes) - from;
      if (size <= 0 || !this.missing.has(item)) continue;
      const sink = this.sinks.get(item.id) ?? makeSink(this.gpu, this.scratch, item, this.spec.piece_elements);
      this.sinks.set(item.id, sink);
      sink.write(from - item.offset, bytes.buffer, bytes.byteOffset + from - begin, size);
      this.bytesDone += size;
      if (sink.complete) this.finish(item);
    }
  }

  /** Items whose buffers are about to be freed. */
  drop(ids: readonly number[]): void {
    const dropped = new Set(ids);
    for (const item of this.remaining) {
      if (!dropped.has(item.id)) continue;
      this.missing.delete(item);
      this.sinks.get(item.id)?.dispose();
      this.sinks.delete(item.id);
    }
  }

  /** Nothing more comes: free what bytes on their way take. */
  dispose(): void {
    for (const sink of this.sinks.values()) sink.dispose();
    this.sinks.clear();
    this.scratch.dispose();
  }

  private finish(item: ItemSpec): void {
    this.missing.delete(item);
    this.sinks.delete(item.id);
    this.finished(item.id);
  }
}

/** Index of the first item that ends after `begin`; items are sorted and do not overlap. */
function firstAfter(items: readonly ItemSpec[], begin: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = items[middle] as ItemSpec;
    if (item.offset + item.bytes <= begin) low = middle + 1;
    else high = middle;
  }
  return low;
}
