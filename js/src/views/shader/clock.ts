/** The time of a view: goes on while it plays and is seen. Milliseconds in, seconds out. */
export class Clock {
  /** Frames drawn since the start. */
  frame = 0;
  /** Seconds between the last two frames. */
  delta = 1 / 60;
  private last: number | undefined;

  constructor(public time = 0) {}

  /** A frame is drawn at `now`. The first one after a stop goes on from where it was. */
  tick(now: number): void {
    if (this.last !== undefined) {
      this.delta = Math.max(0, now - this.last) / 1000;
      this.time += this.delta;
      this.frame++;
    }
    this.last = now;
  }

  /** Time stands still until the next tick. */
  stop(): void {
    this.last = undefined;
  }

  seek(time: number): void {
    this.time = Math.max(0, time);
    this.frame = Math.round(this.time * 60);
    this.stop();
  }
}

/** Frames a second, over the last second. */
export class Rate {
  private readonly at: number[] = [];

  tick(now: number): void {
    this.at.push(now);
    while (now - (this.at[0] ?? now) > 1000) this.at.shift();
  }

  get perSecond(): number {
    const [first] = this.at;
    const last = this.at.at(-1);
    return first === undefined || last === undefined || last <= first ? 0 : ((this.at.length - 1) * 1000) / (last - first);
  }

  clear(): void {
    this.at.length = 0;
  }
}

const COARSEST = 16;

/**
 * Which part of its size a picture is drawn at, so that a frame takes about `budgetMs`: a power of two.
 *
 * @param now the present one
 * @param ms what a frame takes at that
 */
export function nextCoarse(now: number, ms: number, budgetMs: number): number {
  if (ms > 1.5 * budgetMs) return Math.min(COARSEST, now * 2);
  // Four times the pixels: only where that fits, with room to spare.
  if (5 * ms < budgetMs) return Math.max(1, now / 2);
  return now;
}
