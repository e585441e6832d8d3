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

/** Bytes that were handed to the GPU's process and may still lie there: they stay in the ring until it has dealt with them. */
export class Drain {
  private since = 0;
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly ring: Ring,
    private readonly limit: number,
  ) {}

  /** Count `size` bytes, already taken from the ring, as handed over. Does not wait. */
  handedOver(queue: GPUQueue, size: number): void {
    this.since += size;
    if (this.since >= this.limit) this.ask(queue);
  }

  private ask(queue: GPUQueue): void {
    const bytes = this.since;
    this.since = 0;
    if (bytes === 0) return;
    this.last = queue.onSubmittedWorkDone().then(
      () => this.ring.give(bytes),
      () => this.ring.give(bytes),
    );
  }

  /** Nothing more comes: wait for what is counted. */
  async end(queue: GPUQueue): Promise<void> {
    this.ask(queue);
    await this.last;
  }
}
