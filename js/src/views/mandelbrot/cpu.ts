/** Coarse pictures by the page's own processor, in f64: there before any GPU, table or round trip is. */
import { log2Wide, toNumbers } from "./decimal.js";
import { OWN_DEEPEST } from "./orbit.js";
import type { Wanted } from "./references.js";
import type { Plan } from "./renderer.js";

const FAR_SQUARED = 65536;
const BLOCK = 16;
/** Until here f64 tells neighbouring pixels apart without a reference. */
const DIRECT_LOG2 = -40;
/** Sizes of a pixel to choose from. */
const GRAINS = [4, 6, 8, 12, 16, 24, 32];
const COARSEST = 32;

/** Whether the processor can do a view at all; `plan` is one with a reference. About 0, a step of a Julia set leaves no more than a power of the distance. */
export const canSketch = ({ view, power, julia }: Wanted, plan: Plan | null): boolean =>
  log2Wide(view.width) > DIRECT_LOG2 || (plan?.reference != null && view.width.exponent * (julia ? power : 1) >= OWN_DEEPEST);

/** The smooth count at some pixels from the middle; NaN where the limit was reached. */
type Pixel = (x: number, y: number) => number;

/** The count of a pixel that was given up: it may escape yet. */
export const UNKNOWN = Number.POSITIVE_INFINITY;

/** Smooth counts as perturb.wgsl and direct.wgsl give them; NaN for what does not escape. */
function smooth(n: number, squared: number, power: number): number {
  return n - Math.log2(Math.log2(squared) / 16) / Math.log2(power);
}

function direct({ view, maxIter, power, julia }: Wanted, step: number, count: { steps: number }): Pixel {
  const [cx, cy] = toNumbers(view.point);
  const fixed = julia ? julia.map(Number) : null;
  return (i, j) => {
    let [x, y] = [cx + i * step, cy + j * step];
    const [a, b] = fixed ? [fixed[0] ?? 0, fixed[1] ?? 0] : [x, y];
    if (!fixed && power === 2) {
      const q = (x - 0.25) ** 2 + y * y;
      if (q * (q + x - 0.25) < 0.25 * y * y || (x + 1) ** 2 + y * y < 0.0625) return Number.NaN;
    }
    let n = fixed ? 0 : 1;
    // Brent: who comes back to where he was never leaves.
    let [oldX, oldY, again] = [x, y, 8];
    for (; n <= maxIter + 8; n++) {
      const squared = x * x + y * y;
      if (squared > FAR_SQUARED) break;
      let [u, v] = [x, y];
      for (let k = 1; k < power; k++) [u, v] = [u * x - v * y, u * y + v * x];
      x = u + a;
      y = v + b;
      if (x === oldX && y === oldY) return Number.NaN;
      if (n === again) [oldX, oldY, again] = [x, y, 2 * again];
    }
    count.steps += n;
    const squared = x * x + y * y;
    return squared > FAR_SQUARED ? smooth(n, squared, power) : Number.NaN;
  };
}

/** A reference as f64 numbers; its ends are NaN in `go`. */
function decode(reference: ArrayBuffer): { re: Float64Array; im: Float64Array; end: Uint8Array } {
  const rows = new Float32Array(reference);
  const count = rows.length / 4 - BLOCK;
  const [re, im, end] = [new Float64Array(count), new Float64Array(count), new Uint8Array(count)];
  for (let m = 0; m < count; m++) {
    const exponent = rows[4 * m + 3] as number;
    const unit = exponent < 0 ? 2 ** (exponent - 1) : 0.5;
    re[m] = (rows[4 * m] as number) * unit;
    im[m] = (rows[4 * m + 1] as number) * unit;
    end[m] = (rows[4 * m + 2] as number) < -2 ? 1 : 0;
  }
  return { re, im, end };
}

let decoded: { key: string; arrays: ReturnType<typeof decode> } | null = null;

function perturbed({ maxIter, power, julia }: Wanted, plan: Plan, reference: ArrayBuffer, step: number, count: { steps: number }): Pixel {
  if (decoded?.key !== plan.key) decoded = { key: plan.key, arrays: decode(reference) };
  const { re, im, end } = decoded.arrays;
  const unit = 2 ** plan.scale;
  const [ox, oy] = [plan.center[0] * unit, plan.center[1] * unit];
  return (i, j) => {
    let [dx, dy] = [ox + i * step, oy + j * step];
    const [ax, ay] = julia ? [0, 0] : [dx, dy];
    let m = plan.start;
    let n = julia ? 0 : 1;
    let [x, y] = [0, 0];
    for (; n <= maxIter + 8; n++) {
      const [Zx, Zy] = [re[m] as number, im[m] as number];
      x = Zx + dx;
      y = Zy + dy;
      const squared = x * x + y * y;
      if (squared > FAR_SQUARED) break;
      let [hx, hy] = [x + Zx, y + Zy];
      // Sizes, not squares: those of both may be under all doubles.
      if (end[m] === 1 || Math.max(Math.abs(x), Math.abs(y)) < Math.max(Math.abs(dx), Math.abs(dy))) {
        [dx, dy, m] = [x, y, 0];
        [hx, hy] = [x, y];
        if (power > 2) for (let k = 2; k < power; k++) [hx, hy] = [hx * x - hy * y, hx * y + hy * x];
      } else if (power > 2) {
        // z^(p-1) + z^(p-2) Z + ... + Z^(p-1)
        let [px, py] = [Zx, Zy];
        for (let k = 2; k < power; k++) {
          [px, py] = [px * Zx - py * Zy, px * Zy + py * Zx];
          [hx, hy] = [hx * x - hy * y + px, hx * y + hy * x + py];
        }
      }
      [dx, dy] = [hx * dx - hy * dy + ax, hx * dy + hy * dx + ay];
      m++;
    }
    count.steps += n;
    const squared = x * x + y * y;
    return squared > FAR_SQUARED ? smooth(n, squared, power) : Number.NaN;
  };
}

export class CpuRenderer {
  /** Steps a millisecond, and of a pixel, of the last sketches: what to expect. */
  private readonly rate = { direct: 1e5, perturbed: 5e4 };
  private typical = 0.3;

  /** The smallest pixel for which a sketch takes no more than some milliseconds; and where that would be large, at how many steps to give up. */
  grain(wanted: Wanted, plan: Plan | null, milliseconds: number): { grain: number; limit: number } {
    const steps = milliseconds * this.rate[plan ? "perturbed" : "direct"];
    const pixels = wanted.size[0] * wanted.size[1];
    const found = GRAINS.find((grain) => (pixels * this.typical * wanted.maxIter) / (grain * grain) < steps);
    return found
      ? { grain: found, limit: wanted.maxIter }
      : { grain: COARSEST, limit: Math.min(wanted.maxIter, Math.max(500, (steps * COARSEST ** 2) / pixels)) };
  }

  /** Compute at 1/grain of the size; hands out rows, and lets the page breathe every few milliseconds. */
  async *run(
    wanted: Wanted,
    plan: Plan | null,
    { grain, limit }: { grain: number; limit: number },
    signal: AbortSignal,
  ): AsyncGenerator<{ first: number; smooth: Float32Array }, void, void> {
    const [columns, rows] = [Math.max(1, Math.ceil(wanted.size[0] / grain)), Math.max(1, Math.ceil(wanted.size[1] / grain))];
    const { width } = wanted.view;
    const step = (width.mantissa * 10 ** width.exponent) / columns;
    const count = { steps: 0 };
    const pixel = plan?.reference
      ? perturbed({ ...wanted, maxIter: limit }, plan, plan.reference, step, count)
      : direct({ ...wanted, maxIter: limit }, step, count);
    const given = limit < wanted.maxIter ? UNKNOWN : Number.NaN;
    let spent = 0;
    let done = 0;
    while (done < rows && !signal.aborted) {
      const begun = performance.now();
      const first = done;
      const values: number[] = [];
      do {
        for (let i = 0; i < columns; i++) {
          const value = pixel(i + 0.5 - columns / 2, rows / 2 - done - 0.5);
          values.push(Number.isNaN(value) ? given : value);
        }
        done++;
      } while (done < rows && performance.now() - begun < 6);
      spent += performance.now() - begun;
      yield { first: first * columns, smooth: Float32Array.from(values) };
      if (done < rows) await new Promise((resolve) => setTimeout(resolve));
    }
    const kind = plan ? "perturbed" : "direct";
    this.rate[kind] = Math.max(1e3, 0.5 * this.rate[kind] + (0.5 * count.steps) / Math.max(1, spent));
    if (limit === wanted.maxIter) this.typical = 0.5 * this.typical + (0.5 * count.steps) / (done * columns) / wanted.maxIter;
  }
}
