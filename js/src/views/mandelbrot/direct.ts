/** What the direct kernel needs, known without the kernel's help. */
import { log2Wide, toNumbers } from "./decimal.js";
import type { Plan } from "./renderer.js";
import type { View } from "./state.js";

/** As in work.py: f32 tells a pixel from its neighbours while it is wider than 2^-18 of its coordinates, or as wide, but for what logarithms may differ in. */
const DIRECT_BITS = 18 + 1e-6;
/** And its counts are left as they are while it is wider than 2^-15 of them; below, they serve until the picture is at rest. */
const AUTO_BITS = 15 + 1e-6;

/** Whether a pixel is as wide as 2^-bits of its coordinates. */
function wideEnough(view: View, size: readonly [number, number], bits: number): boolean {
  const step = stepOf(view, size);
  const reach = Math.max(...toNumbers(view.point).map((part, i) => Math.abs(part) + ((size[i] ?? 0) * step) / 2), 0.5);
  return log2Wide(view.width) - Math.log2(size[0]) >= Math.log2(reach) - bits;
}

const stepOf = (view: View, size: readonly [number, number]): number => (view.width.mantissa / size[0]) * 10 ** view.width.exponent;

/** Whether a picture is drawn directly, and has no other counts at rest: what `choose_method` chooses. */
export const isDirect = (view: View, size: readonly [number, number]): boolean => wideEnough(view, size, AUTO_BITS);

/** As in kernels.py: a constant beyond 2 is on the radius itself, whatever f32 makes of its square. */
const MARGIN = 1 + 2 ** -21;

/** Null where a pixel is too small for f32. */
export function directPlan(view: View, size: readonly [number, number], maxIter: number, power: number, julia: readonly [string, string] | null): Plan | null {
  if (!wideEnough(view, size, DIRECT_BITS)) return null;
  const constant = julia ? ([Number(julia[0]), Number(julia[1])] as const) : null;
  const radius = constant ? Math.max(2, Math.hypot(...constant)) : 2;
  return {
    method: "direct",
    size,
    max_iter: maxIter,
    power,
    julia: constant,
    radius_squared: radius * radius * (radius > 2 ? MARGIN : 1),
    center: toNumbers(view.point),
    step: stepOf(view, size),
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
