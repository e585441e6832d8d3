/** From counts to pixels. */

export interface Coloring {
  /** Colours `#rrggbb` at equal distances. */
  readonly colors: readonly string[];
  readonly scale: "log" | "sqrt" | "linear";
  readonly cycle: number;
  readonly offset: number;
  readonly histogram: boolean;
}

const ENTRIES = 1024;
const BINS = 4096;
const TOP_LOG2 = 31;

/** One cycle of the palette as packed RGBA; a palette whose ends differ runs there and back. */
export function lookupTable(colors: readonly string[]): Uint32Array {
  let points = colors.map((color) => [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16)));
  const first = points[0] ?? [0, 0, 0];
  const last = points[points.length - 1] ?? first;
  if (points.length < 2) points = [first, first];
  if (first.some((value, i) => Math.abs(value - (last[i] ?? 0)) > 25)) points = [...points, ...points.slice(0, -1).reverse()];
  const table = new Uint32Array(ENTRIES);
  for (let i = 0; i < ENTRIES; i++) {
    const at = (i / ENTRIES) * (points.length - 1);
    const low = Math.floor(at);
    const a = points[low] ?? first;
    const b = points[low + 1] ?? a;
    const [r, g, blue] = a.map((value, k) => Math.round(value + ((b[k] ?? 0) - value) * (at - low)));
    table[i] = (255 << 24) | ((blue ?? 0) << 16) | ((g ?? 0) << 8) | (r ?? 0);
  }
  return table;
}

/** Ranks of log counts in bins that no view changes. */
export class Ranks {
  private constructor(private readonly cumulative: Float64Array) {}

  static of(smooth: Float32Array): Ranks {
    const counts = new Float64Array(BINS + 1);
    let total = 0;
    for (const value of smooth) {
      if (!Number.isFinite(value)) continue;
      const bin = Math.min(BINS - 1, Math.floor((Math.log2(Math.max(value, 0) + 1) * BINS) / TOP_LOG2));
      counts[bin + 1] = (counts[bin + 1] ?? 0) + 1;
      total++;
    }
    for (let i = 1; i <= BINS; i++) counts[i] = (counts[i] ?? 0) + (counts[i - 1] ?? 0);
    for (let i = 1; i <= BINS; i++) counts[i] = total ? (counts[i] ?? 0) / total : i / BINS;
    return new Ranks(counts);
  }

  /** Move a part of the way to other ranks, so that colours glide while the view moves. */
  toward(other: Ranks, part: number): Ranks {
    return new Ranks(this.cumulative.map((value, i) => value + ((other.cumulative[i] ?? 0) - value) * part));
  }

  rank(value: number): number {
    const at = Math.min(BINS - 1e-6, (Math.log2(Math.max(value, 0) + 1) * BINS) / TOP_LOG2);
    const low = Math.floor(at);
    const a = this.cumulative[low] ?? 0;
    return a + ((this.cumulative[low + 1] ?? 1) - a) * (at - low);
  }
}

/** A low count of the picture, from which log and sqrt begin; `Image.floor` in Python is the same. */
export function floorOf(smooth: Float32Array): number {
  const stride = Math.max(1, Math.floor(smooth.length / 4096));
  const some: number[] = [];
  for (let i = 0; i < smooth.length; i += stride) {
    const value = smooth[i] ?? Number.NaN;
    if (Number.isFinite(value)) some.push(value);
  }
  some.sort((a, b) => a - b);
  return Math.max(0, some[Math.floor(0.005 * some.length)] ?? 0);
}

/** Colour counts into packed RGBA; the set is black, and what is not known is not painted. */
export function colorize(smooth: Float32Array, target: Uint32Array, table: Uint32Array, how: Coloring, floor: number, ranks: Ranks | null): void {
  const { scale, cycle, offset } = how;
  for (let i = 0; i < smooth.length; i++) {
    const value = smooth[i] ?? Number.NaN;
    if (Number.isNaN(value)) {
      target[i] = 0xff000000;
      continue;
    }
    if (value === Number.POSITIVE_INFINITY) {
      target[i] = 0;
      continue;
    }
    let at: number;
    if (ranks) at = ranks.rank(value) * 0.999 * cycle;
    else if (scale === "log") at = Math.log2(Math.max(value - floor, 0) + 1) / 2 / cycle;
    else if (scale === "sqrt") at = Math.sqrt(Math.max(value - floor, 0)) / 8 / cycle;
    else at = Math.max(value, 0) / 64 / cycle;
    at += offset;
    at -= Math.floor(at);
    target[i] = table[Math.floor(at * ENTRIES) & (ENTRIES - 1)] ?? 0;
  }
}
