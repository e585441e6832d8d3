/** Overrides: their types, also where only a default value says it, and the values that a type takes. */
import type { OverrideInfo } from "../protocol.gen.js";
import { overrideKey } from "./layout.js";
import type { Token } from "./lexer.js";
import type { Declaration } from "./parse.js";

/** Finds a declaration of the module's scope. */
export type Find = (name: string) => Declaration | undefined;

const CONCRETE = new Set(["bool", "i32", "u32", "f32", "f16"]);
const SUFFIXES: Readonly<Record<string, string>> = { i: "i32", u: "u32", f: "f32", h: "f16" };
const TEMPLATED = /^(vec[234]|array|bitcast)$/;
const LOGICAL = new Set(["==", "!=", "<", "<=", "&&", "||", "!"]);
/** The first float that rounds to infinity. */
const HALF_OVERFLOW = 65520;
const RANGES: Readonly<Record<string, readonly [number, number]>> = { u32: [0, 2 ** 32 - 1], i32: [-(2 ** 31), 2 ** 31 - 1] };

/** What an override is, for Python. */
export function overrideInfo(declaration: Declaration, find: Find): OverrideInfo {
  const key = overrideKey(declaration);
  return {
    name: declaration.name,
    id: key === declaration.name ? null : Number(key),
    type: overrideType(declaration, find),
    has_default: declaration.value !== undefined,
  };
}

/** The type of an override: as declared, or that of its default value, with abstract numbers made concrete. */
export function overrideType(declaration: Declaration, find: Find): string {
  const type = declaredType(declaration, find);
  return type === "abstract-float" ? "f32" : type === "abstract-int" ? "i32" : type;
}

function declaredType(declaration: Declaration, find: Find): string {
  const { type } = declaration;
  if (!type) return expressionType(declaration.value ?? [], find);
  const alias = find(type.name);
  return alias?.kind === "alias" ? declaredType(alias, find) : type.name;
}

/** The type of a scalar expression: the first part that has a concrete one decides, since WGSL converts abstract numbers alone. */
function expressionType(tokens: readonly Token[], find: Find): string {
  let abstract = "abstract-int";
  let concrete: string | undefined;
  const take = (type: string): void => {
    if (CONCRETE.has(type)) concrete ??= type;
    else if (type === "abstract-float") abstract = type;
  };
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at];
    if (!token) break;
    const { text, kind } = token;
    if (kind === "name" && TEMPLATED.test(text) && tokens[at + 1]?.text === "<") {
      const [elem, end] = [tokens[at + 2]?.text ?? "", tokens.findIndex((found, index) => index > at && found.text === ">")];
      take(elem);
      at = end < 0 ? tokens.length : end;
      continue;
    }
    if (LOGICAL.has(text) || (text === ">" && !isShift(tokens, at))) return "bool";
    if (kind === "number") take(literalType(text));
    else if (text === "true" || text === "false") take("bool");
    else if (text === "(" || (kind === "name" && tokens[at + 1]?.text === "(")) {
      const open = text === "(" ? at : at + 1;
      const close = closing(tokens, open);
      const inner = tokens.slice(open + 1, close);
      if (CONCRETE.has(text)) take(text);
      else if (text === "select") take(expressionType(inner.slice(0, lastComma(inner)), find));
      else take(expressionType(inner, find));
      at = close;
    } else if (kind === "name") {
      const declared = find(text);
      if (declared?.kind === "override") take(overrideType(declared, find));
      else if (declared) take(declaredType(declared, find));
    }
  }
  return concrete ?? abstract;
}

function literalType(text: string): string {
  const hex = /^0[xX]/.test(text);
  const suffix = hex && !/[pP]/.test(text) ? /[iu]$/.exec(text)?.[0] : /[iufh]$/.exec(text)?.[0];
  return SUFFIXES[suffix ?? ""] ?? ((hex ? /[.pP]/ : /[.eE]/).test(text) ? "abstract-float" : "abstract-int");
}

/** Whether the `>` there is half of a shift. */
function isShift(tokens: readonly Token[], at: number): boolean {
  const start = tokens[at]?.start ?? 0;
  const touches = (other: Token | undefined, by: number): boolean => other?.text === ">" && other.start === start + by;
  return touches(tokens[at + 1], 1) || touches(tokens[at - 1], -1);
}

function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    if (tokens[at]?.text === "(") depth++;
    else if (tokens[at]?.text === ")" && --depth === 0) return at;
  }
  return tokens.length;
}

function lastComma(tokens: readonly Token[]): number {
  let [depth, found] = [0, tokens.length];
  tokens.forEach(({ text }, at) => {
    if (text === "(") depth++;
    else if (text === ")") depth--;
    else if (text === "," && depth === 0 && at < tokens.length - 1) found = at;
  });
  return found;
}

/** Why a value cannot be that of an override, or undefined when it can. */
export function refusal(type: string, value: number): string | undefined {
  if (type === "bool") return value === 0 || value === 1 ? undefined : "it takes true or false";
  const range = RANGES[type];
  if (range) {
    const [low, high] = range;
    return Number.isInteger(value) && value >= low && value <= high ? undefined : `it takes whole numbers from ${low} to ${high}`;
  }
  if (type === "f16") return Math.abs(value) < HALF_OVERFLOW ? undefined : "it takes numbers from -65504 to 65504";
  return Number.isFinite(Math.fround(value)) ? undefined : "it takes numbers from -3.4028234663852886e38 to 3.4028234663852886e38";
}
