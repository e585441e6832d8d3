import { describe, expect, it } from "vitest";
import golden from "../../tests/mandelbrot/orbits.json";
import { CpuRenderer, canSketch, UNKNOWN } from "../src/views/mandelbrot/cpu.js";
import { toNumbers } from "../src/views/mandelbrot/decimal.js";
import { References, type Wanted } from "../src/views/mandelbrot/references.js";
import type { Plan } from "../src/views/mandelbrot/renderer.js";
import { dragged, viewOf, zoomed } from "../src/views/mandelbrot/state.js";

const SEAHORSE = ["-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"] as const;
const going = new AbortController().signal;

function wantedAt(width: string, more: Partial<Wanted> = {}): Wanted {
  return { view: viewOf(...SEAHORSE, width), size: [64, 48], maxIter: 3000, power: 2, julia: null, ...more };
}

async function sketch(wanted: Wanted, own: boolean, limit = wanted.maxIter): Promise<number[]> {
  const plan = own ? await new References().ownPlan(wanted, () => false) : null;
  if (own) expect(plan?.reference).not.toBeNull();
  const all: number[] = [];
  for await (const { smooth } of new CpuRenderer().run(wanted, plan, { grain: 4, limit }, going)) all.push(...smooth);
  return all;
}

/** The smooth count of a pixel in exact arithmetic, cut to 300 bits. */
function exact({ view, size, maxIter }: Wanted, i: number, j: number): number {
  const bits = 300n;
  const fixed = (value: bigint): bigint => (value << bits) / 10n ** BigInt(view.point.digits);
  const at = (k: number): bigint => {
    // k / 2 pixels of 4 times the size, in units of 2^-bits
    const width = (BigInt(Math.round(view.width.mantissa * 1e6)) << bits) / 10n ** BigInt(6 - view.width.exponent);
    return (width * BigInt(k) * 4n) / BigInt(2 * size[0]);
  };
  const [a, b] = [fixed(view.point.re) + at(2 * i + 1 - size[0] / 4), fixed(view.point.im) + at(size[1] / 4 - 2 * j - 1)];
  let [x, y, n] = [a, b, 1];
  for (; n < maxIter + 8; n++) {
    const [re, im] = [Number(x >> 240n) * 2 ** -60, Number(y >> 240n) * 2 ** -60];
    if (re * re + im * im > 65536) return n - Math.log2(Math.log2(re * re + im * im) / 16);
    [x, y] = [((x * x - y * y) >> bits) + a, ((x * y) >> (bits - 1n)) + b];
  }
  return Number.NaN;
}

const alike = (a: number, b: number, tolerance: number): boolean => (Number.isNaN(a) ? Number.isNaN(b) : Math.abs(a - b) <= tolerance);

describe("a sketch", () => {
  it("gives the counts of exact arithmetic, from an orbit of the page's own", async () => {
    const seed = Math.floor(Math.random() * 1e9);
    console.log("seed", seed);
    const { center, width } = golden["Dendrite tip, 1e-60"];
    const wanted = wantedAt("1e-25", { view: viewOf(center[0] ?? "", center[1] ?? "", width), maxIter: 4000 });
    const got = await sketch(wanted, true);
    expect(got).toHaveLength(16 * 12);
    let same = 0;
    for (let k = 0; k < 24; k++) {
      const at = (seed + k * 7919) % got.length;
      if (alike(got[at] ?? 0, exact(wanted, at % 16, Math.floor(at / 16)), 0.01)) same++;
    }
    expect(same).toBe(24);
  });

  it("says the same with a reference and without one", async () => {
    // The reference is rounded to f32: on spirals, where neighbours differ by hundreds of counts, some pixels hang on more than that.
    const views: [Wanted, number][] = [
      [{ ...wantedAt("0.4"), view: viewOf("-1.9", "0.05", "0.4") }, 0.02],
      [wantedAt("1e-3"), 0.2],
      [wantedAt("1e-6"), 0.2],
    ];
    for (const [view, part] of views) {
      const [a, b] = [await sketch(view, false), await sketch(view, true)];
      expect(a.filter((value, k) => !alike(value, b[k] ?? 0, 0.02)).length, JSON.stringify(view.view.width)).toBeLessThan(part * a.length);
    }
  });

  it("leaves open what it gives up", async () => {
    const some = await sketch(wantedAt("1e-6"), false, 200);
    const all = await sketch(wantedAt("1e-6"), false);
    expect(some).toContain(UNKNOWN);
    expect(some.some(Number.isNaN)).toBe(false);
    some.forEach((value, k) => {
      if (value !== UNKNOWN) expect(value).toBeCloseTo(all[k] ?? 0, 9);
    });
  });

  it("knows what it cannot do", () => {
    expect(canSketch(wantedAt("1e-9"), null)).toBe(true);
    expect(canSketch(wantedAt("1e-20"), null)).toBe(false);
    const held = { reference: new ArrayBuffer(0) } as Plan;
    expect(canSketch(wantedAt("1e-200"), held)).toBe(true);
    // About 0 the first step of a Julia set leaves 1e-400 of it.
    expect(canSketch(wantedAt("1e-200", { julia: ["0", "1"] }), held)).toBe(false);
    expect(canSketch(wantedAt("1e-120", { julia: ["0", "1"] }), held)).toBe(true);
    expect(References.canOwn(wantedAt("1e-200"))).toBe(true);
    expect(References.canOwn(wantedAt("1e-300"))).toBe(false);
    expect(References.canOwn(wantedAt("1e-20", { power: 3 }))).toBe(false);
  });
});

describe("references", () => {
  it("serve views near them, and say where a view lies from their point", async () => {
    const wanted = wantedAt("1e-25");
    const references = new References();
    const plan = await references.ownPlan(wanted, () => false);
    if (!plan) throw new Error("no plan");
    expect(plan.center).toEqual([0, 0]);
    expect(references.plan(wanted), "the page's own one is not the kernel's").toBeNull();
    references.take(wanted, { ...plan, key: "k" }, { point: wanted.view.point, reach: -70, finest: -150, length: 5000 });
    expect(references.key).toBe("k");
    const near = { ...wanted, view: dragged(zoomed(wanted.view, 0.5, 0, 0, 64), -16, 8, 64) };
    const at = references.plan(near);
    const pixel = Math.log2(0.5e-25 / 64);
    expect((at?.plan.center[0] ?? 0) * 2 ** ((at?.plan.scale ?? 0) - pixel)).toBeCloseTo(16, 6);
    expect((at?.plan.center[1] ?? 0) * 2 ** ((at?.plan.scale ?? 0) - pixel)).toBeCloseTo(8, 6);
    expect((at?.plan.step ?? 0) * 2 ** ((at?.plan.scale ?? 0) - pixel)).toBeCloseTo(1, 9);
    expect(at?.best).toBe(false);
    for (const [reason, change] of Object.entries({
      "too few steps": { maxIter: 6000 },
      "another map": { power: 3 },
      "wider than the table's reach": { view: viewOf(...SEAHORSE, "1e-20") },
      "deeper than its precision": { view: viewOf(...SEAHORSE, "1e-50") },
      "far away": { view: viewOf("-0.7436", "0.13", "1e-25") },
    })) {
      expect(references.plan({ ...wanted, ...change }), reason).toBeNull();
    }
    expect(toNumbers(wanted.view.point)[0]).toBeCloseTo(-0.7436, 3);
  });

  it("keep the big parts that are not sent again", async () => {
    const wanted = wantedAt("1e-25");
    const references = new References();
    const plan = await references.ownPlan(wanted, () => false);
    if (!plan) throw new Error("no plan");
    const serves = { point: wanted.view.point, reach: -70, finest: -150, length: null };
    references.take(wanted, { ...plan, key: "k" }, serves);
    const again = references.take(wanted, { ...plan, key: "k", reference: null, table: null, orbit: null }, serves);
    expect(again.reference).toBe(plan.reference);
    const table = new ArrayBuffer(32 * 3);
    references.take(wanted, { ...plan, key: "k", table }, serves);
    const nothing = { reference: null, table: null, orbit: null };
    const other = references.take(wanted, { ...plan, ...nothing, key: "l" }, serves, {
      limits: Float32Array.of(0.5, 0.125, 0.25, 0.0625),
      radii: Uint32Array.of(7, 8, 9),
    });
    const rows = new Float32Array(other.reference ?? new ArrayBuffer(0));
    expect([rows.subarray(6, 8), rows.subarray(4 * 17 + 2, 4 * 17 + 4)].map((part) => [...part])).toEqual([
      [0.5, 0.125],
      [0.25, 0.0625],
    ]);
    expect([...new Uint32Array(other.table ?? new ArrayBuffer(0))].filter((value) => value)).toEqual([7, 8, 9]);
    expect(other.orbit).toBe(plan.orbit);
    expect(
      new Uint32Array(table).some((value) => value),
      "the parts that were here are as they were",
    ).toBe(false);
  });
});
