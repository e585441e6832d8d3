import { describe, expect, it } from "vitest";
import { difference, formatWide, pointTexts, ratio } from "../src/views/mandelbrot/decimal.js";
import { dragged, HOME, type View, viewOf, zoomed } from "../src/views/mandelbrot/state.js";

describe("in and out again about one point", () => {
  const seed = Math.floor(Math.random() * 1e9);
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const there = (view: View, steps: readonly number[], x: number, y: number): View => steps.reduce((now, step) => zoomed(now, Math.exp(step), x, y, 831), view);

  it("ends where it began, by wheel or in the small steps of a pad, and by a drag", () => {
    console.log("seed", seed);
    for (let run = 0; run < 60; run++) {
      const [x, y] = [831 * (random() - 0.5), 500 * (random() - 0.5)];
      const size = run % 2 ? 0.01 : 0.5;
      const steps = Array.from({ length: run % 2 ? 800 : 60 }, () => -size * (0.2 + random()));
      const inside = there(HOME, steps, x, y);
      const home = there(
        inside,
        steps.map((step) => -step),
        x,
        y,
      );
      expect(pointTexts(home.point, home.width), `seed ${seed}, run ${run}`).toEqual(["-0.75", "0"]);
      expect(ratio(home.width, HOME.width)).toBeCloseTo(1, 11);
      const moved = dragged(dragged(inside, x, y, 831), -x, -y, 831);
      expect(moved.point).toEqual(inside.point);
    }
  });

  it("keeps the point under the cursor, and all digits, at depth", () => {
    const deep = viewOf(`-0.7${"4".repeat(1200)}`, "1e-1100", "2.5e-1150");
    for (let run = 0; run < 20; run++) {
      const [x, y] = [831 * (random() - 0.5), 500 * (random() - 0.5)];
      const factor = Math.exp(random() - 0.5);
      const next = zoomed(deep, factor, x, y, 831);
      const [dx, dy] = difference(deep.point, next.point, deep.width);
      // Pixels: what the width's 13 digits leave is 1e-12 of 831.
      expect(dx * 831 + x * factor - x, `seed ${seed}, run ${run}`).toBeCloseTo(0, 8);
      expect(-dy * 831 + y * factor - y).toBeCloseTo(0, 8);
      const back = zoomed(next, 1 / factor, x, y, 831);
      expect(pointTexts(back.point, back.width)).toEqual(pointTexts(deep.point, deep.width));
      expect(formatWide(back.width)).toBe("2.5e-1150");
      expect(zoomed(deep, factor, 0, 0, 831).point.re).toBe(deep.point.re);
    }
  });
});
