import { describe, expect, it } from "vitest";
import { edges, LIST_WORDS, listing } from "../src/views/mandelbrot/refine.js";
import type { Plan } from "../src/views/mandelbrot/renderer.js";

const plan = (change: Partial<Plan>): Plan => ({
  method: "bla",
  size: [40, 30],
  max_iter: 100,
  power: 2,
  julia: null,
  radius_squared: 4,
  center: [0, 0],
  step: 0.75,
  scale: -70,
  start: 1,
  offsets: [],
  levels: 0,
  highest: 0,
  key: "",
  reference: null,
  table: null,
  orbit: null,
  ...change,
});

/** What the limbs of a part say, in units of 2^-56. */
const told = (words: Int32Array, at: number): bigint => [0, 2, 4, 6].reduce((sum, word) => (sum << 14n) + BigInt(words[at + word] as number), 0n);

describe("the pixels that are refined", () => {
  it("are those that differ from a neighbour by more than two counts, or in being inside", () => {
    expect([...edges(Float32Array.of(1, 1.5, 4, 1, 1.2, Number.NaN), 3)]).toEqual([1, 2, 4, 5]);
    expect([...edges(Float32Array.of(1, 3, 5, 7), 2)]).toEqual([0, 1, 2, 3]);
    expect([...edges(Float32Array.of(1, 3, 3, 5), 2)]).toEqual([]);
    expect([...edges(Float32Array.of(1, 9, 9, 9), 1)]).toEqual([0, 1]);
    expect([...edges(Float32Array.of(Number.NaN, Number.NaN, 1), 3)]).toEqual([1, 2]);
    expect([...edges(Float32Array.of(1), 1)]).toEqual([]);
  });

  it("have their distance from the reference in limbs of 14 bits", () => {
    let state = Math.floor(Math.random() * 2 ** 32);
    console.log("seed", state);
    const random = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32 + state / 2 ** 64;
    };
    const pixels = Uint32Array.from({ length: 300 }, (_, i) => 4 * i);
    for (let run = 0; run < 4; run++) {
      const made = plan({ center: [1e3 * (random() - 0.5) ** 5, 1e-3 * (random() - 0.5)], step: 0.5 + 0.5 * random() });
      const words = listing(made, pixels);
      pixels.forEach((pixel, i) => {
        const at = LIST_WORDS * i;
        const point = [made.center[0] + ((pixel % 40) - 19.5) * made.step, made.center[1] + (14.5 - Math.floor(pixel / 40)) * made.step];
        const unit = 2 ** (56 - (words[at + 8] as number) + made.scale);
        const parts = point.map((_, k) => Number(told(words, at + k)));
        const larger = Math.max(...parts.map(Math.abs));
        const limbs = words.subarray(at + 2, at + 8);
        // Rounded to a whole number of units, so exact where a double has no finer digits.
        const off = Math.max(...point.map((part, k) => Math.abs((parts[k] as number) - part * unit)));
        expect([larger >= 2 ** 55, larger <= 2 ** 56, off <= 0.5, limbs.every((limb) => Math.abs(limb) <= 8192)], `pixel ${pixel}`).toEqual([
          true,
          true,
          true,
          true,
        ]);
      });
    }
  });

  it("may be the reference itself", () => {
    const words = listing(plan({ size: [1, 1] }), Uint32Array.of(0));
    expect([...words]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, -0x20000000, 0, 0, 0]);
  });
});
