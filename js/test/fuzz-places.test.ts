/** Numbers and links to places, as people type and paste them. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { formatFixed, parseFixed, parseWide } from "../src/views/mandelbrot/decimal.js";
import { complexText, placeText } from "../src/views/mandelbrot/place.js";
import { linkOf, parseLink, type View, viewOf } from "../src/views/mandelbrot/state.js";
import { changed, options, say, tried } from "./fuzzing.js";

beforeEach(say);

const DIGITS = ["9".repeat(400), "e", "e-99999", "E+7", "e9999999", "-", "−", ".", "0", "_", " ", "inf", "nan", "0x", "&", "#", "=", "%", "%e2"];
const LINKS = ["#v=1&re=-0.75&im=0&w=3&n=1000", "#v=1&re=-1.99999911758766165543764649311537154663&im=1e-30&w=4.2e-37&n=2000&p=3&jre=0&jim=1"];

describe("numbers and links", () => {
  it("are read, or refused by a RangeError", () => {
    const numbers = fc.oneof(changed(["-0.75", "1e-25", "123456789.000000001", "+.5e+3"], DIGITS), fc.string());
    fc.assert(
      fc.property(numbers, (text) => {
        const width = tried(() => parseWide(text), RangeError);
        if (width) expect(width.mantissa >= 1 && width.mantissa < 10 && Number.isInteger(width.exponent)).toBe(true);
        tried(() => parseFixed(text, 24), RangeError);
        tried(() => placeText(viewOf(text, text, "1e-30")), RangeError);
        complexText(text, text);
      }),
      options,
    );
    fc.assert(
      fc.property(fc.oneof(changed(LINKS, DIGITS), fc.string()), (link) => {
        const found: { view: View; maxIter: number | null } | undefined = tried(() => parseLink(link), RangeError, URIError);
        if (found) tried(() => parseLink(linkOf(found.view, found.maxIter ?? 1, 2, null)));
      }),
      options,
    );
  });

  it("are written as they are read", () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.nat(400), (value, digits) => {
        expect(parseFixed(formatFixed(value, digits), digits)).toBe(value);
      }),
      options,
    );
  });

  it.each(["9".repeat(49_000), "1.".padEnd(49_000, "1"), `.${"3".repeat(49_000)}`])("cost what they are long, though they are none", (digits) => {
    for (const end of ["x", "..", "e", "e--1", " 1"]) tried(() => parseFixed(digits + end, 24), RangeError);
  });

  it.each(["1e9999999", "1e-9999999", "3e100001", `0.${"0".repeat(60_000)}1`])("of another size than any view has are refused: %s", (text) => {
    for (const read of [(): unknown => parseWide(text), () => parseFixed(text, 24), () => viewOf("0", "0", text), () => viewOf(text, "0", "1")]) {
      expect(() => tried(read)).toThrow(RangeError);
    }
  });
});
