/** What refine.wgsl needs: the pixels that neighbours differ from, as 56-bit numbers. The same as in image.py, bla.py and kernels.py, to the bit. */
import type { FinePlan } from "../../protocol.gen.js";
import type { Plan } from "./renderer.js";

/** The parts of a reference for refine.wgsl; they come from the kernel. */
export interface Fine extends FinePlan {
  readonly reference: ArrayBuffer;
  readonly table: ArrayBuffer;
  /** What 56 bits do not tell from an axis, counted by the kernel with all digits: indices and smooth counts. */
  readonly exact: { readonly pixels: Uint32Array; readonly smooth: Float32Array };
}

/** Words of a pixel in the list and in the state of refine.wgsl. */
export const LIST_WORDS = 12;
export const STATE_WORDS = 11;
/** Pixels that differ from a neighbour by more counts than this are computed again. */
const LEAST = 2;
const INSIDE = Math.fround(-1e30);
/** Exponent of zero. */
const NOTHING = -0x20000000;

/** Pixels that differ from a neighbour, or in being inside. */
export function edges(smooth: Float32Array, columns: number): Uint32Array {
  const value = smooth.map((count) => (Number.isNaN(count) ? INSIDE : count));
  const marked = new Uint8Array(value.length);
  const compare = (a: number, b: number): void => {
    if (Math.abs(Math.fround((value[a] as number) - (value[b] as number))) > LEAST) marked[a] = marked[b] = 1;
  };
  for (let i = 0; i < value.length; i++) {
    if ((i + 1) % columns) compare(i, Math.min(i + 1, value.length - 1));
    if (i + columns < value.length) compare(i, i + columns);
  }
  const found = new Uint32Array(marked.reduce((sum, mark) => sum + mark, 0));
  let at = 0;
  marked.forEach((mark, i) => {
    if (mark) found[at++] = i;
  });
  return found;
}

/** The binary exponent of a positive number: 2^(k - 1) <= value < 2^k. */
function exponentOf(value: number): number {
  let k = Math.floor(Math.log2(value)) + 1;
  if (value >= 2 ** k) k++;
  else if (value < 2 ** (k - 1)) k--;
  return k;
}

function roundToEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

/** A part of at most 1 as four limbs of 14 bits, at every second word. */
function writeLimbs(part: number, into: Int32Array, at: number): void {
  let rest = roundToEven(part * 2 ** 56);
  for (let word = at + 6; word > at; word -= 2) {
    const up = Math.floor((rest + 8192) / 16384);
    into[word] = rest - 16384 * up;
    rest = up;
  }
  into[at] = rest;
}

/** Distance of each pixel from the reference point. */
export function listing(plan: Plan, pixels: Uint32Array): Int32Array<ArrayBuffer> {
  const { size, center, step, scale } = plan;
  const [columns, rows] = size;
  const words = new Int32Array(LIST_WORDS * pixels.length);
  pixels.forEach((pixel, i) => {
    const re = center[0] + ((pixel % columns) + 0.5 - columns / 2) * step;
    const im = center[1] + (rows / 2 - 0.5 - Math.floor(pixel / columns)) * step;
    const larger = Math.max(Math.abs(re), Math.abs(im));
    const shift = larger ? exponentOf(larger) : 0;
    const at = LIST_WORDS * i;
    writeLimbs(re * 2 ** -shift, words, at);
    writeLimbs(im * 2 ** -shift, words, at + 1);
    words[at + 8] = larger ? Math.max(scale + shift, NOTHING) : NOTHING;
  });
  return words;
}

export function fineParams(plan: Plan, fine: Fine, count: number, budget: number, fresh: boolean, rowGroups: number): ArrayBuffer {
  const words = new Uint32Array(44);
  words.set([count, plan.max_iter, budget, fresh ? 1 : 0, rowGroups, fine.start, fine.levels, fine.highest >>> 0]);
  new Float32Array(words.buffer)[8] = plan.radius_squared;
  words.set(fine.offsets, 12);
  return words.buffer;
}
