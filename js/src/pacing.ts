/** How much work goes into one submit, and how many submits are under way. */

/** A submit should take this long: short enough for progress, cancelling and the browser's watchdog, long enough to cost nothing. */
const TARGET_MS = 50;
/** What a dispatch of a pipeline that was never measured counts as. */
const UNKNOWN_MS = 3;
const MAX_DISPATCHES = 4096;
const MAX_IN_FLIGHT = 2;
const COALESCED_MS = 0.5;
const LEAST_FACTOR = 1 / 16;

/** A lost device ends what is under way, as it seems, a little before it is said to be lost: what had taken long and ended so lately did not end by itself. */
const END_BY_LOSS_MS = 250;
const LONG_MS = 1000;
const MAX_NAMED = 8;

/** What a pipeline was measured to cost. */
export interface Cost {
  /** Whether a submit with it has ever ended. */
  proven: boolean;
  msPerGroup: number | undefined;
  /** Number of the submit that `groups` belongs to. */
  serial: number;
  groups: number;
  dispatches: number;
}

export function newCost(): Cost {
  return { proven: false, msPerGroup: undefined, serial: 0, groups: 0, dispatches: 0 };
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

/** A submit that is under way, or seemed to end lately. */
interface Submit {
  readonly kernels: readonly string[];
  endedAt: number | undefined;
}

function nameAll(kernels: readonly string[]): string {
  const names = kernels.slice(0, MAX_NAMED).map((kernel) => `'${kernel}'`);
  if (names.length <= 1) return names[0] ?? "a copy or a write";
  return `one of ${names.join(", ")}${kernels.length > MAX_NAMED ? ` and ${kernels.length - MAX_NAMED} more` : ""}`;
}

export class Pacer {
  private serial = 1;
  private expectedMs = 0;
  private count = 0;
  private costs: Cost[] = [];
  private readonly inFlight: Promise<void>[] = [];
  private submits: Submit[] = [];
  private alone = false;
  private lastDone = 0;

  /** @param finished called when a submit is done */
  constructor(
    private readonly queue: GPUQueue,
    private readonly finished: () => void,
  ) {}

  /** Whether the submit is long enough. */
  get full(): boolean {
    return this.alone || this.expectedMs >= TARGET_MS || this.count >= MAX_DISPATCHES;
  }

  /** Whether a dispatch begins a submit of its own: a kernel that has never ended may be the one that never does. */
  wantsOwn(cost: Cost): boolean {
    return this.count > 0 && !cost.proven;
  }

  /** The kernel that the oldest submit without an end is at work on, or those that it may be; empty when nothing is under way. */
  oldest(): string {
    const since = performance.now() - END_BY_LOSS_MS;
    const found = this.submits.find(({ endedAt }) => endedAt === undefined || endedAt > since);
    return found ? nameAll(found.kernels) : "";
  }

  add(cost: Cost, groups: number): void {
    if (cost.serial !== this.serial) {
      cost.serial = this.serial;
      cost.groups = 0;
      cost.dispatches = 0;
      this.costs.push(cost);
    }
    this.alone ||= !cost.proven;
    cost.groups += groups;
    cost.dispatches++;
    this.count++;
    this.expectedMs += cost.msPerGroup === undefined ? UNKNOWN_MS : cost.msPerGroup * groups;
  }

  /** What was added, of these kernels, has been submitted: learn how long it takes. */
  submitted(kernels: readonly string[]): void {
    const submit: Submit = { kernels, endedAt: undefined };
    this.submits.push(submit);
    const expectedMs = this.expectedMs;
    const shares = this.costs.map((cost): Share => {
      const { msPerGroup, groups, dispatches } = cost;
      return { cost, groups, expectedMs: msPerGroup === undefined ? UNKNOWN_MS * dispatches : msPerGroup * groups };
    });
    this.serial++;
    this.expectedMs = this.count = 0;
    this.alone = false;
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
        this.ended(submit, took, now);
        for (const { cost } of shares) cost.proven = true;
        if (!coalesced) for (const share of shares) learn(share, took / expectedMs);
        this.finished();
      },
      () => undefined,
    );
    this.inFlight.push(done);
  }

  private ended(submit: Submit, tookMs: number, now: number): void {
    if (tookMs > LONG_MS) submit.endedAt = now;
    this.submits = this.submits.filter((other) => (other === submit ? tookMs > LONG_MS : other.endedAt === undefined || now - other.endedAt < END_BY_LOSS_MS));
  }

  get working(): boolean {
    return this.inFlight.length > 0;
  }

  /** Wait for the oldest submit while too many are under way; undefined when there is no need to wait. */
  wait(): Promise<void> | undefined {
    return this.inFlight.length > MAX_IN_FLIGHT ? this.inFlight[0] : undefined;
  }
}
