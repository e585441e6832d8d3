/** Reference orbits that the page holds: the kernel's last one, and one of its own. Plans of views that they serve need no round trip. */
import type { ExplorerServes } from "../../protocol.gen.js";
import { difference, log2Wide, type Point } from "./decimal.js";
import { bitsFor, OWN_DEEPEST, OwnOrbit } from "./orbit.js";
import type { Plan } from "./renderer.js";
import type { View } from "./state.js";

/** What the kernel says of an orbit beside the plan. */
export interface Serves extends Pick<ExplorerServes, "reach" | "finest" | "length"> {
  readonly point: Point;
}

/** What differs for another reach of the same orbit. */
export interface Change {
  /** Limit and w of the first point of each block. */
  readonly limits: Float32Array;
  /** Of each table entry, as bits. */
  readonly radii: Uint32Array;
}

/** A view with all that decides how it is computed. */
export interface Wanted {
  readonly view: View;
  readonly size: readonly [number, number];
  readonly maxIter: number;
  readonly power: number;
  readonly julia: readonly [string, string] | null;
}

/** A kept orbit serves views whose centre is within this many widths of its point; as in orbit.py. */
const REACH = 256;
const BLOCK = 16;
const NO_TABLE = new ArrayBuffer(32);

const mapOf = (wanted: Wanted): string => `${wanted.power} ${wanted.julia?.join(" ") ?? ""}`;

/** Where the view lies from a point, in units of 2^scale, and the logarithm of the largest distance of a pixel from it. */
function placement(wanted: Wanted, point: Point): { center: [number, number]; step: number; scale: number; spacing: number; needed: number } | null {
  const { view, size } = wanted;
  const [dx, dy] = difference(point, view.point, view.width);
  if (!(Math.max(Math.abs(dx), Math.abs(dy)) <= REACH)) return null;
  const spacing = log2Wide(view.width) - Math.log2(size[0]);
  const scale = Math.ceil(spacing);
  const step = 2 ** (spacing - scale);
  const center: [number, number] = [dx * size[0] * step, dy * size[0] * step];
  const far = Math.max(...center.map((part, i) => Math.abs(part) + ((size[i] ?? 0) * step) / 2));
  return { center, step, scale, spacing, needed: Math.log2(far) + scale + 0.51 };
}

/** Copies with other limits and radii: what is on the GPU under the old key stays what it is. */
function changed(reference: ArrayBuffer, table: ArrayBuffer, { limits, radii }: Change): { reference: ArrayBuffer; table: ArrayBuffer } {
  const [rows, entries] = [new Float32Array(reference.slice(0)), new Uint32Array(table.slice(0))];
  for (let block = 0; 2 * block < limits.length; block++) rows.set(limits.subarray(2 * block, 2 * block + 2), 4 * (1 + BLOCK * block) + 2);
  radii.forEach((radius, entry) => {
    entries[8 * entry + 3] = radius;
  });
  return { reference: rows.buffer, table: entries.buffer };
}

export class References {
  private held: { plan: Plan; serves: Serves; map: string } | null = null;
  private own: OwnOrbit | null = null;
  private count = 0;

  /** Key of the kernel's reference that is here. */
  get key(): string {
    return this.held?.plan.key ?? "";
  }

  /** Keep what the kernel sent; of the big parts only what is not here. */
  take(wanted: Wanted, plan: Plan, serves: Serves, change: Change | null = null): Plan {
    const known = this.held?.plan;
    let whole = plan;
    if (!plan.reference && known?.reference && known.table) {
      const { reference, table, orbit } = known;
      whole = { ...plan, reference, table, orbit };
      if (change) whole = { ...whole, ...changed(reference, table, change) };
    }
    this.held = { plan: whole, serves, map: mapOf(wanted) };
    return whole;
  }

  /** A plan from the kernel's reference; `best`: the kernel would send no better one. Null where it does not serve. */
  plan(wanted: Wanted): { plan: Plan; best: boolean } | null {
    const { held } = this;
    if (!held || held.map !== mapOf(wanted)) return null;
    const { reach, finest, length, point } = held.serves;
    const at = placement(wanted, point);
    if (!at || (reach !== null && at.needed > reach) || at.spacing < finest || (length !== null && length < wanted.maxIter)) return null;
    const { center, step, scale } = at;
    return { plan: { ...held.plan, size: wanted.size, max_iter: wanted.maxIter, center, step, scale }, best: reach === null || at.needed > reach - 8 };
  }

  /** Whether an orbit of the page's own can serve. */
  static canOwn({ view, power, julia }: Wanted): boolean {
    return power === 2 && !julia && view.width.exponent >= OWN_DEEPEST;
  }

  /** A plan from an orbit of the page's own, computed a few milliseconds at a time; null when there is none, or `enough` says so. */
  async ownPlan(wanted: Wanted, enough: () => boolean): Promise<Plan | null> {
    if (!References.canOwn(wanted)) return null;
    const bits = bitsFor(wanted.view, wanted.size[0], wanted.maxIter);
    if (!this.own || !placement(wanted, this.own.point) || this.own.bits < bits - 32) {
      this.own = new OwnOrbit(wanted.view.point, bits);
      this.count++;
    }
    const { own } = this;
    while (!own.extend(wanted.maxIter, 6)) {
      await new Promise((resolve) => setTimeout(resolve));
      if (enough()) return null;
    }
    const at = placement(wanted, own.point);
    if (!at) return null;
    const { reference, orbit } = own.pack();
    const { center, step, scale } = at;
    return {
      method: "perturbation",
      size: wanted.size,
      max_iter: wanted.maxIter,
      power: 2,
      julia: null,
      radius_squared: 4,
      center,
      step,
      scale,
      start: 1,
      offsets: new Array(32).fill(0),
      levels: 0,
      highest: -(2 ** 30),
      key: `own-${this.count}-${own.length}`,
      reference: reference.buffer,
      table: NO_TABLE,
      orbit: orbit.buffer,
    };
  }
}
