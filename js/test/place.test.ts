import { describe, expect, it } from "vitest";
import { formatRounded, parseFixed } from "../src/views/mandelbrot/decimal.js";
import { complexText, placeText } from "../src/views/mandelbrot/place.js";
import { viewOf } from "../src/views/mandelbrot/state.js";

describe("places for people", () => {
  it.each([
    ["-0.75", "0", "4.856", "−0.75 + 0i · width 4.856"],
    ["-0.75", "-0.00000000000000001", "4.856", "−0.75 + 0i · width 4.856"],
    ["-0.75", "-0.00049", "3.5", "−0.75 + 0i · width 3.5"],
    ["-0.75", "-0.0005", "3.5", "−0.75 − 0.001i · width 3.5"],
    ["0.99996", "-0.99996", "3.5", "1 − 1i · width 3.5"],
    ["-0.0000001", "1", "64", "0 + 1i · width 64"],
    ["-0.74364388703715", "-0.13182590420531", "1.5e-7", "−0.743643887 − 0.1318259042i · width 1.5e−7 · 10^7.4×"],
    ["-1.99999911758766165543764649311537154663", "1e-30", "4.2e-37", "−1.99999911758… + 0.00000000000…i · width 4.2e−37 · 10^36.9×"],
  ])("writes %s, %s at %s", (re, im, width, text) => {
    expect(placeText(viewOf(re, im, width))).toBe(text);
  });

  it("writes one kind of minus, also in exponents, and reads it", () => {
    expect(complexText("-1.5", "-2.0000e-9")).toBe("−1.5 − 2.0000e−9i");
    expect(complexText("1.0000e-9", "3.0000e-9")).toBe("1.0000e−9 + 3.0000e−9i");
    expect(parseFixed("−1.25e−3", 6)).toBe(-1250n);
  });

  it("rounds to the nearest, halves away from zero", () => {
    expect([1250n, 1249n, -1250n, -1249n].map((value) => formatRounded(value, 4, 2))).toEqual(["0.13", "0.12", "-0.13", "-0.12"]);
    expect(formatRounded(-4n, 3, 2)).toBe("0");
    expect(formatRounded(15n, 1, 0)).toBe("2");
    expect(formatRounded(15n, 1, 8)).toBe("1.5");
  });
});
