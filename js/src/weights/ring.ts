/** A budget for bytes outside the GPU, shared by all loads of the page. */

export class Ring {
  private held = 0;
  private readonly waiting: { readonly size: number; resolve(): void }[] = [];
  peak = 0;

  constructor(private readonly limit: number) {}

  /** Wait for room; one taker is always let in, however much it wants. */
  async take(size: number): Promise<void> {
    if (this.waiting.length > 0 || (this.held > 0 && this.held + size > this.limit)) {
      await new Promise<void>((resolve) => this.waiting.push({ size, resolve }));
    } else this.add(size);
  }

  /** Measure the peak anew. */
  restart(): void {
    this.peak = this.held;
  }

  give(size: number): void {
    this.held -= size;
    for (let next = this.waiting[0]; next && (this.held === 0 || this.held + next.size <= this.limit); next = this.waiting[0]) {
      this.waiting.shift();
      this.add(next.size);
      next.resolve();
    }
  }

  private add(size: number): void {
    this.held += size;
    this.peak = Math.max(this.peak, this.held);
  }
}

/** Bytes that were handed to the GPU's process and may still lie there: waits for it when they are many. */
export class Drain {
  private since = 0;

  constructor(
    private readonly ring: Ring,
    private readonly limit: number,
  ) {}

  /** Count `size` bytes, already taken from the ring, as handed over. */
  async handedOver(queue: GPUQueue, size: number): Promise<void> {
    this.since += size;
    if (this.since < this.limit) return;
    const bytes = this.since;
    this.since = 0;
    await queue.onSubmittedWorkDone().catch(() => undefined);
    this.ring.give(bytes);
  }

  /** Nothing more comes: give back what is counted. */
  async end(queue: GPUQueue): Promise<void> {
    const bytes = this.since;
    this.since = 0;
    if (bytes === 0) return;
    await queue.onSubmittedWorkDone().catch(() => undefined);
    this.ring.give(bytes);
  }
}
