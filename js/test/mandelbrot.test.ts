import { describe, expect, it } from "vitest";
import choices from "../../tests/mandelbrot/choices.json" with { type: "json" };
import { floorOf, lookupTable, Ranks } from "../src/views/mandelbrot/colors.js";
import {
  difference,
  formatFixed,
  formatWide,
  parseFixed,
  parseWide,
  pointTexts,
  ratio,
  scaleWide,
  shiftPoint,
  toNumbers,
  wide,
} from "../src/views/mandelbrot/decimal.js";
import { directPlan, isDirect } from "../src/views/mandelbrot/direct.js";
import { withText } from "../src/views/mandelbrot/png.js";
import { automaticIterations, dragged, History, HOME, linkOf, parseLink, placed, same, viewOf, zoomed } from "../src/views/mandelbrot/state.js";

const DEEP = viewOf(`-0.7${"4".repeat(1200)}`, "1e-1100", "2.5e-1150");

describe("numbers of any depth", () => {
  it("reads and writes widths far beyond doubles", () => {
    expect(parseWide("2.5e-1150")).toEqual({ mantissa: 2.5, exponent: -1150 });
    expect(formatWide(parseWide("0.00025e-1146"))).toBe("2.5e-1150");
    expect(formatWide(wide(3.5))).toBe("3.5");
    expect(formatWide(wide(0.02))).toBe("0.02");
    expect(ratio(parseWide("1e-1000"), parseWide("4e-1001"))).toBeCloseTo(2.5, 12);
    expect(formatWide(scaleWide(parseWide("1e-1000"), 0.5))).toBe("5e-1001");
  });

  it.each(["", "x", "1e", "0", "-1", "0x10", "1e-99999999", "nan"])("refuses the width %s", (text) => {
    expect(() => parseWide(text)).toThrow(RangeError);
  });

  it("keeps all digits of a point", () => {
    expect(parseFixed("-1.25e-3", 6)).toBe(-1250n);
    expect(formatFixed(-1250n, 6)).toBe("-0.00125");
    const [re] = pointTexts(DEEP.point, DEEP.width);
    expect(re.startsWith(`-0.7${"4".repeat(1100)}`)).toBe(true);
    expect(toNumbers(DEEP.point)[0]).toBeCloseTo(-0.7444444, 7);
  });

  it("moves a point by parts of the width and measures it back", () => {
    const moved = shiftPoint(DEEP.point, 0.125, -0.25, DEEP.width);
    const [dx, dy] = difference(DEEP.point, moved, DEEP.width);
    expect(dx).toBeCloseTo(0.125, 10);
    expect(dy).toBeCloseTo(-0.25, 10);
  });
});

describe("views", () => {
  it("zooms about a point and lays the old picture where it belongs", () => {
    const next = zoomed(DEEP, 0.5, 100, 40, 800);
    const at = placed(DEEP, next, 800);
    expect(at.scale).toBeCloseTo(2, 12);
    // What was at (100, 40) still is.
    expect(at.x + 100 * at.scale).toBeCloseTo(100, 6);
    expect(at.y + 40 * at.scale).toBeCloseTo(40, 6);
    const back = placed(DEEP, dragged(DEEP, 30, -20, 800), 800);
    expect(back.x).toBeCloseTo(30, 6);
    expect(back.y).toBeCloseTo(-20, 6);
  });

  it("goes through a link", () => {
    const { view, maxIter } = parseLink(linkOf(DEEP, 1234, 2, null));
    expect(same(view, DEEP)).toBe(true);
    expect(maxIter).toBe(1234);
    expect(() => parseLink("#v=2")).toThrow(RangeError);
  });

  it("remembers the way", () => {
    const history = new History();
    history.push(HOME);
    history.push(HOME);
    expect(history.canBack).toBe(false);
    history.push(DEEP);
    expect(history.move(-1)).toBe(HOME);
    expect(history.canForward).toBe(true);
    history.push(zoomed(HOME, 0.5, 0, 0, 100));
    expect(history.canForward).toBe(false);
  });

  it("iterates directly only where f32 resolves a pixel", () => {
    expect(directPlan(HOME, [800, 600], 100, 2, null)?.method).toBe("direct");
    expect(directPlan(viewOf("-0.75", "0", "1e-3"), [800, 600], 100, 2, null)).toBeNull();
    expect(directPlan(DEEP, [800, 600], 100, 2, null)).toBeNull();
    expect(automaticIterations(DEEP.width)).toBeGreaterThan(100_000);
  });
});

describe("what Python and the page choose alike", () => {
  it.each(choices.iterations)("iterations at the width %s: %i", (width, count) => {
    expect(automaticIterations(parseWide(width as string))).toBe(count);
  });

  it.each(choices.direct)("(%s, %s), %s wide, %i x %i: direct is %s", (re, im, width, columns, rows, direct) => {
    const view = viewOf(re as string, im as string, width as string);
    expect(isDirect(view, [columns as number, rows as number])).toBe(direct);
  });
});

describe("colours", () => {
  it("has no seam", () => {
    const table = lookupTable(["#000000", "#ff8000"]);
    expect(table[0]).toBe(0xff000000);
    expect(table[512]).toBe(0xff0080ff);
    expect(table[1023]).toBeLessThan(0xff000400);
  });

  it("ranks counts and finds their floor", () => {
    const smooth = Float32Array.from({ length: 1000 }, (_, i) => (i % 10 === 0 ? Number.NaN : 100 + i));
    expect(floorOf(smooth)).toBeCloseTo(105, 0);
    const ranks = Ranks.of(smooth);
    expect(ranks.rank(90)).toBeLessThan(0.01);
    expect(ranks.rank(1200)).toBeCloseTo(1, 2);
    expect(ranks.rank(600)).toBeCloseTo(0.5, 1);
  });
});

it("puts text into a PNG", () => {
  const png = new Uint8Array(8 + 25 + 12);
  const out = withText(png, "key", "value");
  const view = new DataView(out.buffer);
  expect(out.length).toBe(png.length + 12 + "key value".length);
  expect(view.getUint32(33)).toBe(9);
  expect(new TextDecoder().decode(out.slice(37, 41))).toBe("tEXt");
  expect(new TextDecoder().decode(out.slice(41, 50))).toBe("key\0value");
});
