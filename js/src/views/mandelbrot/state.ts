/** What the explorer shows, and where it has been. */
import {
  difference,
  formatWide,
  holdPoint,
  log2Wide,
  type Point,
  parsePoint,
  parseWide,
  pointTexts,
  ratio,
  scaleWide,
  shiftPoint,
  type Wide,
} from "./decimal.js";

export const DEEPEST = -9_990;

export interface View {
  readonly point: Point;
  readonly width: Wide;
}

export const HOME: View = { point: { re: -75n * 10n ** 22n, im: 0n, digits: 24 }, width: { mantissa: 3.5, exponent: 0 } };

export function viewOf(re: string, im: string, width: string): View {
  const wide = parseWide(width);
  return { point: parsePoint(re, im, wide), width: wide };
}

/** The view after the picture was dragged by (dx, dy) pixels. */
export function dragged(view: View, dx: number, dy: number, columns: number): View {
  return { ...view, point: shiftPoint(view.point, -dx / columns, dy / columns, view.width) };
}

/** The view after zooming by `factor` (under 1: in) with the point at (x, y) held; x and y in pixels from the middle, y down. */
export function zoomed(view: View, factor: number, x: number, y: number, columns: number): View {
  const width = scaleWide(view.width, factor);
  return { point: holdPoint(view.point, x / columns, -y / columns, view.width, width), width };
}

/** Where a picture of `from` lies in a view of `to`: its middle in pixels from the middle, and its size factor. */
export function placed(from: View, to: View, columns: number): { x: number; y: number; scale: number } {
  const [dx, dy] = difference(to.point, from.point, to.width);
  return { x: dx * columns, y: -dy * columns, scale: ratio(from.width, to.width) };
}

export function same(a: View, b: View): boolean {
  const [dx, dy] = difference(a.point, b.point, a.width);
  return dx === 0 && dy === 0 && formatWide(a.width) === formatWide(b.width);
}

const MAX_ITER = 2 ** 31 - 1024;

/** Most of what is seen at a width escapes within this. The same number as in render.py: what logarithms may differ in is rounded away, and the rest is exact. */
export function automaticIterations(width: Wide): number {
  const depth = Math.max(0, 2 - Math.round(log2Wide(width) * 65536) / 65536) * 0.30103;
  return Math.floor(Math.min(MAX_ITER, 256 + 180 * depth + 6 * (depth * Math.sqrt(depth))));
}

export function linkOf(view: View, maxIter: number, power: number, julia: readonly string[] | null): string {
  const [re, im] = pointTexts(view.point, view.width);
  const parts = [`v=1`, `re=${re}`, `im=${im}`, `w=${formatWide(view.width)}`, `n=${maxIter}`];
  if (power !== 2) parts.push(`p=${power}`);
  if (julia) parts.push(`jre=${julia[0]}`, `jim=${julia[1]}`);
  return `#${parts.join("&")}`;
}

export function parseLink(link: string): { view: View; maxIter: number | null } {
  const parts = new URLSearchParams(link.slice(link.lastIndexOf("#") + 1).replaceAll("+", "%2B"));
  const [re, im, w] = [parts.get("re"), parts.get("im"), parts.get("w")];
  if (parts.get("v") !== "1" || !re || !im || !w) throw new RangeError("this is no link of version 1; it looks like #v=1&re=-0.75&im=0&w=3&n=1000");
  const count = Number(parts.get("n"));
  return { view: viewOf(re, im, w), maxIter: Number.isInteger(count) && count > 0 ? count : null };
}

/** Back and forward. */
export class History {
  private readonly past: View[] = [];
  private at = -1;

  push(view: View): void {
    const now = this.past[this.at];
    if (now && same(now, view)) return;
    this.past.splice(this.at + 1, this.past.length, view);
    if (this.past.length > 500) this.past.shift();
    this.at = this.past.length - 1;
  }

  get canBack(): boolean {
    return this.at > 0;
  }

  get canForward(): boolean {
    return this.at < this.past.length - 1;
  }

  move(step: -1 | 1): View | null {
    const view = this.past[this.at + step];
    if (view) this.at += step;
    return view ?? null;
  }
}
