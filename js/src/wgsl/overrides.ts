/** Overrides as Python sees them, and the values that a type takes. */
import type { OverrideInfo } from "../protocol.gen.js";
import type { Layouts } from "./layout.js";
import type { Declaration } from "./parse.js";

/** The first float that rounds to infinity. */
const HALF_OVERFLOW = 65520;
const RANGES: ReadonlyMap<string, readonly [number, number]> = new Map([
  ["u32", [0, 2 ** 32 - 1]],
  ["i32", [-(2 ** 31), 2 ** 31 - 1]],
]);

/** What an override is, for Python. */
export function overrideInfo(declaration: Declaration, layouts: Layouts): OverrideInfo {
  const key = layouts.overrideKey(declaration);
  return {
    name: declaration.name,
    id: key === declaration.name ? null : Number(key),
    type: layouts.overrideType(declaration),
    has_default: declaration.value !== undefined,
  };
}

/** Why a value cannot be that of an override, or undefined when it can. */
export function refusal(type: string, value: number): string | undefined {
  if (type === "bool") return value === 0 || value === 1 ? undefined : "it takes true or false";
  const range = RANGES.get(type);
  if (range) {
    const [low, high] = range;
    return Number.isInteger(value) && value >= low && value <= high ? undefined : `it takes whole numbers from ${low} to ${high}`;
  }
  if (type === "f16") return Math.abs(value) < HALF_OVERFLOW ? undefined : "it takes numbers from -65504 to 65504";
  return Number.isFinite(Math.fround(value)) ? undefined : "it takes numbers from -3.4028234663852886e38 to 3.4028234663852886e38";
}
