/** Reference orbits of z^2 + c in the page, as BigInt in fixed point: for when the kernel is busy, or a round trip away. */
import { log2Wide, type Point } from "./decimal.js";
import type { View } from "./state.js";

/** The deepest width, as a power of ten: a processor's f64 holds distances of points there, and the orbit takes under a second. */
export const OWN_DEEPEST = -280;
/** As in bla.py and orbit.py. */
const BLOCK = 16;
const MARKED = 2e10;
const END = -4;
const NEAR_MARK = 2 ** 20;
const NEAR = 3.996;
const FAR = 5;
const TINY = 2 ** -24;

const size = (value: bigint): bigint => (value < 0n ? -value : value);

/** Mantissa in [0.5, 1) and exponent of value 2^-bits. */
function split(value: bigint, bits: number, exponent?: number): [number, number] {
  const hex = size(value).toString(16);
  const length = exponent === undefined ? 4 * (hex.length - 1) + (32 - Math.clz32(Number.parseInt(hex[0] ?? "0", 16))) : exponent + bits;
  if (value === 0n) return [0, 0];
  const shift = Math.max(0, length - 64);
  return [Number(value >> BigInt(shift)) * 2 ** (shift - length), length - bits];
}

/** Bits after the point that a view needs, as in view.py, with room to zoom in by 2^32. */
export function bitsFor(view: View, columns: number, maxIter: number): number {
  return Math.max(64, Math.ceil(Math.log2(columns) - log2Wide(view.width)) + 48 + Math.ceil(Math.log2(maxIter + 1))) + 32;
}

export class OwnOrbit {
  /** (2 Z 2^-w, mark, w) of each point, as bla.py packs them, but without limits and without the end's mark. */
  private rows = new Float32Array(4 * 1024);
  private count = 1;
  private x = 0n;
  private y = 0n;
  private readonly cx: bigint;
  private readonly cy: bigint;
  private readonly one: bigint;
  escaped = false;

  constructor(
    readonly point: Point,
    readonly bits: number,
  ) {
    this.one = 1n << BigInt(bits);
    const ten = 10n ** BigInt(point.digits);
    this.cx = (point.re * this.one) / ten;
    this.cy = (point.im * this.one) / ten;
  }

  /** Steps that are there. */
  get length(): number {
    return this.count - 1;
  }

  /** Iterate on, for at most some milliseconds; whether `length` steps are there, or the end. */
  extend(length: number, milliseconds = Number.POSITIVE_INFINITY): boolean {
    const until = performance.now() + milliseconds;
    const bits = BigInt(this.bits);
    const down = BigInt(this.bits - 64);
    const unit = 2 ** -64;
    for (let k = 1; this.length < length && !this.escaped; k++) {
      if ((k & 63) === 0 && performance.now() > until) return false;
      const { x, y } = this;
      this.y = ((x * y) >> (bits - 1n)) + this.cy;
      this.x = ((x * x - y * y) >> bits) + this.cx;
      this.push(Number(this.x >> down) * unit, Number(this.y >> down) * unit);
    }
    return true;
  }

  private push(re: number, im: number): void {
    if (4 * this.count === this.rows.length) {
      const more = new Float32Array(2 * this.rows.length);
      more.set(this.rows);
      this.rows = more;
    }
    const at = 4 * this.count++;
    let [x, y, mark, exponent] = [re, im, 0, 0];
    if (Math.max(Math.abs(re), Math.abs(im)) < TINY) {
      const larger = size(this.x) > size(this.y) ? this.x : this.y;
      [, exponent] = split(larger, this.bits);
      [x, y] = [split(this.x, this.bits, exponent)[0], split(this.y, this.bits, exponent)[0]];
    } else if (re * re + im * im >= FAR) {
      this.escaped = true;
    } else if (re * re + im * im >= NEAR) {
      const [mantissa, power] = split(4n * this.one * this.one - this.x * this.x - this.y * this.y, 2 * this.bits);
      [mark, exponent] = [-1 - 0.5 * mantissa, NEAR_MARK + power];
    }
    this.rows.set([2 * x, 2 * y, mark, exponent], at);
  }

  /** What perturb.wgsl reads: the reference, and the same points for its fast loops. */
  pack(): { reference: Float32Array<ArrayBuffer>; orbit: Float32Array<ArrayBuffer> } {
    const { count, rows } = this;
    const reference = new Float32Array(4 * (count + BLOCK));
    reference.set(rows.subarray(0, 4 * count));
    reference.set([END, 0], 4 * count - 2);
    const orbit = new Float32Array(2 * BLOCK * (Math.floor(count / BLOCK) + 3)).fill(MARKED);
    for (let m = 0; m < count; m++) {
      const marked = (reference[4 * m + 2] ?? 0) < 0 || reference[4 * m + 3] !== 0;
      if (!marked) orbit.set(reference.subarray(4 * m, 4 * m + 2), 2 * (m + BLOCK - 1));
    }
    return { reference, orbit };
  }
}
