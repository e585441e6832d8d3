/** Coordinates of any depth: a point is two BigInts in units of 10^-digits, a width is a mantissa and a power of ten. */

/** mantissa * 10^exponent with 1 <= mantissa < 10. */
export interface Wide {
  readonly mantissa: number;
  readonly exponent: number;
}

export interface Point {
  readonly re: bigint;
  readonly im: bigint;
  readonly digits: number;
}

/** There is one way to match a run of digits, so that a long text that is no number costs what it is long. */
const NUMBER = /^([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:e([+-]?\d{1,7}))?$/i;
/** Characters of a number, and powers of ten that one is read to, as in numbers.py. */
const MOST_DIGITS = 50_000;
const MOST_EXPONENT = 100_000;

export function wide(value: number, exponent = 0): Wide {
  if (!(value > 0)) throw new RangeError(`${value} is not positive`);
  const shift = Math.floor(Math.log10(value));
  let mantissa = value / 10 ** shift;
  let whole = exponent + shift;
  if (mantissa >= 10) {
    mantissa /= 10;
    whole += 1;
  } else if (mantissa < 1) {
    mantissa *= 10;
    whole -= 1;
  }
  return { mantissa, exponent: whole };
}

function split(text: string): { sign: string; whole: string; part: string; exponent: number } {
  if (text.length > MOST_DIGITS) throw new RangeError(`a number of ${text.length} characters; at most ${MOST_DIGITS} are read`);
  const match = NUMBER.exec(text.trim().replaceAll("−", "-"));
  if (!match) throw new RangeError(`“${text.slice(0, 40)}” is no decimal number`);
  const exponent = Number(match[5] ?? 0);
  if (Math.abs(exponent) > MOST_EXPONENT)
    throw new RangeError(`“${text.slice(0, 40)}” is near 1e${exponent}; powers of ten from -${MOST_EXPONENT} to ${MOST_EXPONENT} are read`);
  return { sign: match[1] === "-" ? "-" : "", whole: match[2] ?? "", part: match[3] ?? match[4] ?? "", exponent };
}

export function parseWide(text: string): Wide {
  const { sign, whole, part, exponent } = split(text);
  const digits = (whole + part).replace(/^0+/, "");
  if (sign || digits === "") throw new RangeError(`the width “${text}” is not positive`);
  const leading = whole.length - (whole + part).length + digits.length; // 0.digits * 10^leading
  return wide(Number(`0.${digits.slice(0, 20)}`), exponent + leading);
}

export function formatWide(width: Wide): string {
  const mantissa = Number(width.mantissa.toPrecision(15));
  return width.exponent >= -4 && width.exponent <= 3 ? String(Number((mantissa * 10 ** width.exponent).toPrecision(15))) : `${mantissa}e${width.exponent}`;
}

export const log2Wide = (width: Wide): number => Math.log2(width.mantissa) + width.exponent * Math.LOG2E * Math.LN10;
export const scaleWide = (width: Wide, factor: number): Wide => wide(width.mantissa * factor, width.exponent);
export const ratio = (a: Wide, b: Wide): number => (a.mantissa / b.mantissa) * 10 ** (a.exponent - b.exponent);

/** Digits after the point that a view of this width needs, with room to zoom a while. */
export const digitsFor = (width: Wide): number => Math.max(24, 24 - width.exponent);

export function parseFixed(text: string, digits: number): bigint {
  const { sign, whole, part, exponent } = split(text);
  const shift = exponent - part.length + digits;
  const all = BigInt(whole + part || "0");
  const value = shift >= 0 ? all * 10n ** BigInt(shift) : all / 10n ** BigInt(-shift);
  return sign ? -value : value;
}

/** Decimal places that a text gives. */
export function placesOf(text: string): number {
  const { part, exponent } = split(text);
  return Math.max(0, part.length - exponent);
}

export function formatFixed(value: bigint, digits: number): string {
  const sign = value < 0n ? "-" : "";
  const text = (value < 0n ? -value : value).toString().padStart(digits + 1, "0");
  const part = text.slice(text.length - digits).replace(/0+$/, "");
  return sign + text.slice(0, text.length - digits) + (part ? `.${part}` : "");
}

export function rescale(point: Point, digits: number): Point {
  if (digits === point.digits) return point;
  const move = (value: bigint): bigint => (digits > point.digits ? value * 10n ** BigInt(digits - point.digits) : value / 10n ** BigInt(point.digits - digits));
  return { re: move(point.re), im: move(point.im), digits };
}

/** A value, rounded to so many digits after the point. */
export function formatRounded(value: bigint, digits: number, places: number): string {
  if (digits <= places) return formatFixed(value, digits);
  const unit = 10n ** BigInt(digits - places);
  const half = value < 0n ? -unit / 2n : unit / 2n;
  return formatFixed((value + half) / unit, places);
}

/** fraction * width in units of 10^-digits; of -fraction exactly the opposite. */
function fixed(fraction: number, width: Wide, digits: number): bigint {
  const scaled = BigInt(Math.sign(fraction) * Math.round(Math.abs(fraction) * width.mantissa * 1e15));
  const shift = digits + width.exponent - 15;
  return shift >= 0 ? scaled * 10n ** BigInt(shift) : scaled / 10n ** BigInt(-shift);
}

/** The point that lies (dx, dy) widths to the right and up. */
export function shiftPoint(point: Point, dx: number, dy: number, width: Wide): Point {
  const p = rescale(point, Math.max(point.digits, digitsFor(width)));
  return { re: p.re + fixed(dx, width, p.digits), im: p.im + fixed(dy, width, p.digits), digits: p.digits };
}

/**
 * The middle of a view that had one width and has another, where the point (dx, dy) widths to the right and up of it stays. The two shifts depend on
 * nothing but their width, and not on its last three digits, which many small steps change: who comes back to a width comes back to the place, exactly.
 */
export function holdPoint(point: Point, dx: number, dy: number, from: Wide, to: Wide): Point {
  const steady = (width: Wide): Wide => ({ ...width, mantissa: Number(width.mantissa.toPrecision(13)) });
  return shiftPoint(shiftPoint(point, dx, dy, steady(from)), -dx, -dy, steady(to));
}

/** value / width as a number, for a BigInt in units of 10^-digits. */
function inWidths(value: bigint, digits: number, width: Wide): number {
  const text = (value < 0n ? -value : value).toString();
  const head = Number(text.slice(0, 17));
  const exponent = text.length - Math.min(17, text.length) - digits - width.exponent;
  const size = exponent > 300 ? Number.POSITIVE_INFINITY : (head / width.mantissa) * 10 ** exponent;
  return value < 0n ? -size : size;
}

/** How far b lies from a, in widths: right and up. */
export function difference(a: Point, b: Point, width: Wide): [number, number] {
  const digits = Math.max(a.digits, b.digits);
  const p = rescale(a, digits);
  const q = rescale(b, digits);
  return [inWidths(q.re - p.re, digits, width), inWidths(q.im - p.im, digits, width)];
}

export function toNumbers(point: Point): [number, number] {
  const one: Wide = { mantissa: 1, exponent: 0 };
  return [inWidths(point.re, point.digits, one), inWidths(point.im, point.digits, one)];
}

export function parsePoint(re: string, im: string, width: Wide): Point {
  const digits = Math.max(digitsFor(width), Math.min(20_000, Math.max(placesOf(re), placesOf(im))));
  return { re: parseFixed(re, digits), im: parseFixed(im, digits), digits };
}

/** Decimal texts of a point, cut where a view of this width no longer sees. */
export function pointTexts(point: Point, width: Wide): [string, string] {
  const p = point.digits > digitsFor(width) + 40 ? rescale(point, digitsFor(width)) : point;
  return [formatFixed(p.re, p.digits), formatFixed(p.im, p.digits)];
}
