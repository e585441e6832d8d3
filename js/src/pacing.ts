/** How much work goes into one submit, and how many submits are under way. */

/** A submit should take this long: short enough for progress, cancelling and the browser's watchdog, long enough to cost nothing. */
const TARGET_MS = 50;
/** What a dispatch of a pipeline that was never measured counts as. */
const UNKNOWN_MS = 3;
const MAX_DISPATCHES = 4096;
const MAX_IN_FLIGHT = 2;
const COALESCED_MS = 0.5;
const LEAST_FACTOR = 1 / 16;

/** What a pipeline was measured to cost. */
export interface Cost {
  msPerGroup: number | undefined;
  /** Number of the submit that `groups` belongs to. */
  serial: number;
  groups: number;
  dispatches: number;
}

export function newCost(): Cost {
  return { msPerGroup: undefined, serial: 0, groups: 0, dispatches: 0 };
}

interface Share {
  readonly cost: Cost;
  readonly groups: number;
  readonly expectedMs: number;
}

/** The work took `factor` times as long as expected. A busy page may report too late, seldom too early: trust a fall only by and by. */
function learn({ cost, groups, expectedMs }: Share, factor: number): void {
  if (groups > 0) cost.msPerGroup = (expectedMs / groups) * Math.max(factor, LEAST_FACTOR);
}

export class Pacer {
  private serial = 1;
  private expectedMs = 0;
  private count = 0;
  private costs: Cost[] = [];
  private readonly inFlight: Promise<void>[] = [];
  private lastDone = 0;

  /** @param finished called when a submit is done */
  constructor(
    private readonly queue: GPUQueue,
    private readonly finished: () => void,
  ) {}

  /** Whether the submit is long enough. */
  get full(): boolean {
    return this.expectedMs >= TARGET_MS || this.count >= MAX_DISPATCHES;
  }

  add(cost: Cost, groups: number): void {
    if (cost.serial !== this.serial) {
      cost.serial = this.serial;
      cost.groups = 0;
      cost.dispatches = 0;
      this.costs.push(cost);
    }
    cost.groups += groups;
    cost.dispatches++;
    this.count++;
    this.expectedMs += cost.msPerGroup === undefined ? UNKNOWN_MS : cost.msPerGroup * groups;
  }

  /** What was added has been submitted: learn how long it takes. */
  submitted(): void {
    const expectedMs = this.expectedMs;
    const shares = this.costs.map((cost): Share => {
      const { msPerGroup, groups, dispatches } = cost;
      return { cost, groups, expectedMs: msPerGroup === undefined ? UNKNOWN_MS * dispatches : msPerGroup * groups };
    });
    this.serial++;
    this.expectedMs = this.count = 0;
    this.costs = [];
    const started = performance.now();
    const done = this.queue.onSubmittedWorkDone().then(
      () => {
        this.inFlight.splice(this.inFlight.indexOf(done), 1);
        const now = performance.now();
        const took = now - Math.max(started, this.lastDone);
        // Two submits that are reported in one go say nothing about the second.
        const coalesced = started < this.lastDone && took < COALESCED_MS;
        this.lastDone = now;
        if (!coalesced) for (const share of shares) learn(share, took / expectedMs);
        this.finished();
      },
      () => undefined,
    );
    this.inFlight.push(done);
  }

  get working(): boolean {
    return this.inFlight.length > 0;
  }

  /** Wait for the oldest submit while too many are under way; undefined when there is no need to wait. */
  wait(): Promise<void> | undefined {
    return this.inFlight.length > MAX_IN_FLIGHT ? this.inFlight[0] : undefined;
  }
}
