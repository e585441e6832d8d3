/** What the direct kernel needs, known without the kernel's help. */
import { log2Wide, toNumbers } from "./decimal.js";
import type { Plan } from "./renderer.js";
import type { View } from "./state.js";

/** As in work.py: a pixel is iterated directly while it is wider than 2^-18 of its coordinates, or as wide, but for what logarithms may differ in. */
const DIRECT_BITS = 18 + 1e-6;

/** As in kernels.py: a constant beyond 2 is on the radius itself, whatever f32 makes of its square. */
const MARGIN = 1 + 2 ** -21;

/** Null where a pixel is too small for f32. */
export function directPlan(view: View, size: readonly [number, number], maxIter: number, power: number, julia: readonly [string, string] | null): Plan | null {
  const center = toNumbers(view.point);
  const step = (view.width.mantissa / size[0]) * 10 ** view.width.exponent;
  const reach = Math.max(...center.map((part, i) => Math.abs(part) + ((size[i] ?? 0) * step) / 2), 0.5);
  if (log2Wide(view.width) - Math.log2(size[0]) < Math.log2(reach) - DIRECT_BITS) return null;
  const constant = julia ? ([Number(julia[0]), Number(julia[1])] as const) : null;
  const radius = constant ? Math.max(2, Math.hypot(...constant)) : 2;
  return {
    method: "direct",
    size,
    maxIter,
    power,
    julia: constant,
    radiusSquared: radius * radius * (radius > 2 ? MARGIN : 1),
    center,
    step,
    scale: 0,
    start: 0,
    offsets: [],
    levels: 0,
    highest: 0,
    key: "",
    reference: null,
    table: null,
    orbit: null,
  };
}
