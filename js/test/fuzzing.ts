/** Input that nobody meant, and what a parser may do with it: give a value, or a typed error, at a cost that the input's size bounds. */
import fc from "fast-check";
import { expect } from "vitest";
import { EngineError } from "../src/errors.js";
import { LoadError } from "../src/weights/errors.js";

/** WEBGPU_WIDGET_SEED repeats a run; WEBGPU_WIDGET_FUZZ_RUNS tries so many inputs of each kind. */
declare const SEED: string;
declare const FUZZ_RUNS: string;

export const seed = SEED ? Number(SEED) : Math.floor(Math.random() * 2 ** 31);
export const numRuns = FUZZ_RUNS ? Number(FUZZ_RUNS) : 200;
export const options = { seed, numRuns };
const SLOW_MS = 5000;
type ErrorClass = abstract new (...args: never[]) => Error;

/** What a parser gives, or undefined where it refuses with an error of these kinds; all else fails the test, and so does what takes long. */
export function tried<T>(parse: () => T, ...refusals: ErrorClass[]): T | undefined {
  const begun = performance.now();
  try {
    return parse();
  } catch (error) {
    if (!refusals.some((kind) => error instanceof kind)) throw error;
    return undefined;
  } finally {
    expect(performance.now() - begun).toBeLessThan(SLOW_MS);
  }
}

/** A text or bytes with one to four parts cut out, doubled or replaced. */
export function changed(samples: readonly string[], words: readonly string[]): fc.Arbitrary<string> {
  const word = fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 6 }));
  const change = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(24), word, fc.nat(3));
  return fc.tuple(fc.constantFrom(...samples), fc.array(change, { maxLength: 4 })).map(([sample, changes]) =>
    changes.reduce((text, [part, length, put, kind]) => {
      const at = Math.floor(part * text.length);
      const middle = [put, "", text.slice(at, at + length).repeat(2), put + text.slice(at, at + length)][kind] ?? "";
      return text.slice(0, at) + middle + text.slice(at + length);
    }, sample),
  );
}

/** How an asynchronous load or transfer ended: whole, or with the code of its error; all else fails the test. */
export async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "whole";
  } catch (error) {
    if (error instanceof EngineError || error instanceof LoadError) return error.code;
    throw error;
  }
}

export function say(): void {
  console.log(`seed ${seed}, ${numRuns} inputs each`);
}
