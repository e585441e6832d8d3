/** Places as the explorer writes them for people: no more digits than can be seen, and a true minus sign. */
import { formatRounded, formatWide, log2Wide } from "./decimal.js";
import type { View } from "./state.js";

const LONGEST = 16;
const KEPT = 13;

const short = (text: string): string => (text.length > LONGEST ? `${text.slice(0, KEPT)}…` : text);

/** re + im i. */
export function complexText(re: string, im: string): string {
  return `${re} ${im.startsWith("-") ? "-" : "+"} ${im.replace(/^-/, "")}i`.replaceAll("-", "−");
}

/** Middle and width of a view, and how much larger than in the first view everything is. The middle to about a thousandth of the width. */
export function placeText({ point, width }: View): string {
  const places = Math.max(0, 3 - width.exponent);
  const text = (value: bigint): string => {
    const all = formatRounded(value, point.digits, places);
    return all.startsWith("-") ? `-${short(all.slice(1))}` : short(all);
  };
  const wide = formatWide({ ...width, mantissa: Number(width.mantissa.toPrecision(4)) }).replace("-", "−");
  const magnified = Math.log10(3.5) - log2Wide(width) * Math.LOG10E * Math.LN2;
  return `${complexText(text(point.re), text(point.im))} · width ${wide}${magnified > 1.2 ? ` · 10^${magnified.toFixed(1)}×` : ""}`;
}
