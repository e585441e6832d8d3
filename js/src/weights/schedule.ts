/** Which chunk next: in the order of the items, unless a tensor is wanted at once. No I/O. */
import type { ItemSpec } from "../protocol.gen.js";
import { chunkCount, type FileSpec } from "./files.js";

export interface Ref {
  readonly file: number;
  readonly index: number;
}

/** `idle` chunks are to be fetched, `cached` ones to be read; `busy` is under way; `unneeded` has nothing for this load. */
export type State = "unneeded" | "idle" | "cached" | "busy" | "done";

export class Schedule {
  private readonly states: State[][];
  private readonly order: Ref[] = [];
  private head = 0;
  private urgent: Ref[] = [];
  private left = 0;

  constructor(
    private readonly files: readonly FileSpec[],
    private readonly items: readonly ItemSpec[],
  ) {
    this.states = files.map((file) => new Array<State>(chunkCount(file)).fill("unneeded"));
    for (const item of items) {
      for (const ref of this.chunksOf(item)) {
        if (this.state(ref) !== "unneeded") continue;
        this.set(ref, "idle");
        this.order.push(ref);
        this.left++;
      }
    }
  }

  get finished(): boolean {
    return this.left === 0;
  }

  get hasUrgent(): boolean {
    return this.urgent.some((ref) => this.open(ref));
  }

  private *chunksOf(item: ItemSpec): Generator<Ref> {
    const file = this.files[item.file];
    if (!file || item.bytes === 0) return;
    const last = Math.floor((item.offset + item.bytes - 1) / file.chunk_bytes);
    for (let index = Math.floor(item.offset / file.chunk_bytes); index <= last; index++) yield { file: item.file, index };
  }

  state({ file, index }: Ref): State {
    return this.states[file]?.[index] ?? "unneeded";
  }

  private set({ file, index }: Ref, state: State): void {
    const row = this.states[file];
    if (row) row[index] = state;
  }

  private open(ref: Ref): boolean {
    const state = this.state(ref);
    return state === "idle" || state === "cached";
  }

  /** The cache holds these chunks. */
  cached(file: number, indexes: Iterable<number>): void {
    for (const index of indexes) if (this.state({ file, index }) === "idle") this.set({ file, index }, "cached");
  }

  /** The cache gives no more chunks of a file: they are to be fetched. */
  uncached(file: number): void {
    this.states[file]?.forEach((state, index) => {
      if (state === "cached") this.set({ file, index }, "idle");
    });
    this.head = 0;
  }

  /** Load these items before all others. */
  prioritise(ids: readonly number[]): void {
    const wanted = new Set(ids);
    const refs = this.items.filter((item) => wanted.has(item.id)).flatMap((item) => [...this.chunksOf(item)]);
    // Busy ones stay in the list: a run that holds them may give them back.
    this.urgent = [...refs, ...this.urgent].filter((ref) => this.open(ref) || this.state(ref) === "busy");
  }

  /** Whether a chunk is wanted at once. */
  isUrgent(ref: Ref): boolean {
    return this.urgent.some((other) => other.file === ref.file && other.index === ref.index);
  }

  /** Only these items are still wanted. */
  keepOnly(items: readonly ItemSpec[]): void {
    const needed = this.states.map(() => new Set<number>());
    for (const item of items) for (const { file, index } of this.chunksOf(item)) needed[file]?.add(index);
    for (const ref of this.order) if (this.open(ref) && !needed[ref.file]?.has(ref.index)) this.done(ref);
  }

  /** Chunks that are to be fetched, in the order in which they are taken. */
  get idle(): Ref[] {
    return [...new Set([...this.urgent, ...this.order])].filter((ref) => this.state(ref) === "idle");
  }

  /** Whether a file has chunks that are to be fetched or read. */
  wants(file: number): boolean {
    return this.states[file]?.some((state) => state === "idle" || state === "cached") ?? false;
  }

  /** Mark a chunk busy if it is wanted: it comes, whatever was to be next. */
  claim(ref: Ref): void {
    if (this.open(ref)) this.set(ref, "busy");
  }

  /** The next chunk of a kind, marked busy. */
  take(kind: "idle" | "cached"): Ref | undefined {
    const found = this.urgent.find((ref) => this.state(ref) === kind) ?? this.inOrder(kind);
    if (found) this.set(found, "busy");
    return found;
  }

  private inOrder(kind: State): Ref | undefined {
    while (this.head < this.order.length && this.state(this.order[this.head] as Ref) === "done") this.head++;
    for (let at = this.head; at < this.order.length; at++) {
      const ref = this.order[at] as Ref;
      if (this.state(ref) === kind) return ref;
    }
    return undefined;
  }

  /** A run from a taken chunk on, of at most `most` chunks to be fetched together, all marked busy; ends where `taken` says that another has one. */
  extend(ref: Ref, most: number, taken: (ref: Ref) => boolean): Ref[] {
    const urgent = this.isUrgent(ref);
    const run = [ref];
    while (run.length < most) {
      const next = { file: ref.file, index: ref.index + run.length };
      if (this.state(next) !== "idle" || taken(next) || (urgent && !this.isUrgent(next))) break;
      this.set(next, "busy");
      run.push(next);
    }
    return run;
  }

  /** All chunks of a file that are still to be fetched, marked busy: for a server that sends whole files only. */
  takeWhole(ref: Ref): Ref[] {
    const run: Ref[] = [];
    this.states[ref.file]?.forEach((state, index) => {
      if (state !== "idle" && index !== ref.index) return;
      this.set({ file: ref.file, index }, "busy");
      run.push({ file: ref.file, index });
    });
    return run;
  }

  done(ref: Ref): void {
    const state = this.state(ref);
    if (state === "done" || state === "unneeded") return;
    this.set(ref, "done");
    this.left--;
  }

  /** It did not come: to be fetched (again). */
  giveBack(ref: Ref): void {
    if (this.state(ref) !== "busy") return;
    this.set(ref, "idle");
    this.head = 0;
  }
}
