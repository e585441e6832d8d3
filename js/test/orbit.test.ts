import { describe, expect, it } from "vitest";
import golden from "../../tests/mandelbrot/orbits.json";
import { bitsFor, OwnOrbit } from "../src/views/mandelbrot/orbit.js";
import { viewOf } from "../src/views/mandelbrot/state.js";

interface Case {
  center: [string, string];
  width: string;
  escaped: boolean;
  length: number;
  rows: Record<string, [number, number, number, number]>;
}

const cases = golden as unknown as Record<string, Case>;

describe.each(Object.entries(cases))("the page's own orbit of %s", (_, known) => {
  const view = viewOf(...known.center, known.width);

  it("is that of gmpy2, rounded to f32", () => {
    const orbit = new OwnOrbit(view.point, bitsFor(view, 800, 40_000));
    orbit.extend(700);
    expect([orbit.length, orbit.escaped]).toEqual([known.length, known.escaped]);
    const { reference, orbit: hot } = orbit.pack();
    for (const [m, row] of Object.entries(known.rows)) {
      const got = [...reference.subarray(4 * Number(m), 4 * Number(m) + 4)];
      // Both round a point that is right to 2^-60 or better, so they differ where it lies between two f32: by one unit.
      got.forEach((number, i) => {
        const known = row[i] ?? Number.NaN;
        expect(Math.abs(number - known), `point ${m}: ${got} and ${row}`).toBeLessThanOrEqual(2 ** -23 * Math.abs(known));
      });
      const marked = row[2] !== 0 || row[3] !== 0;
      expect([...hot.subarray(2 * (Number(m) + 15), 2 * (Number(m) + 16))], `point ${m}`).toEqual(
        marked ? [Math.fround(2e10), Math.fround(2e10)] : got.slice(0, 2),
      );
    }
  });

  it("goes on where it stopped", () => {
    const whole = new OwnOrbit(view.point, bitsFor(view, 800, 40_000));
    whole.extend(500);
    const parts = new OwnOrbit(view.point, bitsFor(view, 800, 40_000));
    while (!parts.extend(500, 0));
    expect(parts.pack()).toEqual(whole.pack());
  });
});
