import type { Token } from "./lexer.js";

/** Numbers and booleans: all that array counts, attributes, workgroup sizes and overrides are made of. */
export type Value = number | boolean;

/** Looks up a module-scope `const` or `override`. */
export type Lookup = (name: string) => Value;

/** The value cannot be told from the module's text alone. */
export class NotConstantError extends Error {}

const PRECEDENCE: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["==", "!="],
  ["<", ">", "<=", ">="],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];

const FUNCTIONS: Readonly<Record<string, (...values: number[]) => number>> = {
  abs: Math.abs,
  ceil: Math.ceil,
  clamp: (x = 0, low = 0, high = 0) => Math.min(Math.max(x, low), high),
  countLeadingZeros: (x = 0) => Math.clz32(x),
  exp2: (x = 0) => 2 ** x,
  f16: (x = 0) => x,
  f32: (x = 0) => Math.fround(x),
  firstLeadingBit: (x = 0) => 31 - Math.clz32(x),
  floor: Math.floor,
  i32: (x = 0) => x | 0,
  log2: Math.log2,
  max: Math.max,
  min: Math.min,
  pow: Math.pow,
  round: Math.round,
  sqrt: Math.sqrt,
  trunc: Math.trunc,
  u32: (x = 0) => Math.trunc(x) >>> 0,
};

/** Whether a literal or a result is an integer for `/`: WGSL divides integers towards zero. */
interface Typed {
  readonly value: Value;
  readonly float: boolean;
}

class Evaluator {
  private at = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly lookup: Lookup,
  ) {}

  run(): Typed {
    const result = this.binary(0);
    if (this.at < this.tokens.length) throw new NotConstantError(`unexpected ${this.peek()} in a constant expression`);
    return result;
  }

  private peek(ahead = 0): string {
    return this.tokens[this.at + ahead]?.text ?? "";
  }

  private operator(level: number): string | undefined {
    const allowed = PRECEDENCE[level] ?? [];
    const text = this.peek();
    const [first, second] = [this.tokens[this.at], this.tokens[this.at + 1]];
    if (text === ">" && first && second && second.start === first.start + 1) {
      if (second.text === ">") return allowed.includes(">>") ? ">>" : undefined;
      if (second.text === "=") return allowed.includes(">=") ? ">=" : undefined;
    }
    return allowed.includes(text) ? text : undefined;
  }

  private binary(level: number): Typed {
    if (level >= PRECEDENCE.length) return this.unary();
    let left = this.binary(level + 1);
    for (let op = this.operator(level); op !== undefined; op = this.operator(level)) {
      this.at += op === ">>" || op === ">=" ? 2 : 1;
      left = apply(op, left, this.binary(level + 1));
    }
    return left;
  }

  private unary(): Typed {
    const text = this.peek();
    if (text === "-" || text === "!" || text === "~") {
      this.at++;
      const { value, float } = this.unary();
      if (text === "!") return { value: !value, float: false };
      return { value: text === "-" ? -Number(value) : ~Number(value), float };
    }
    return this.primary();
  }

  private primary(): Typed {
    const token = this.tokens[this.at++];
    if (!token) throw new NotConstantError("a constant expression ends too early");
    if (token.text === "(") {
      const inner = this.binary(0);
      this.expect(")");
      return inner;
    }
    if (token.kind === "number") return literal(token.text);
    if (token.text === "true" || token.text === "false") return { value: token.text === "true", float: false };
    if (token.kind !== "name") throw new NotConstantError(`unexpected ${token.text} in a constant expression`);
    if (this.peek() === "(") return this.call(token.text);
    const value = this.lookup(token.text);
    return { value, float: typeof value === "number" && !Number.isInteger(value) };
  }

  private call(name: string): Typed {
    const args: Typed[] = [];
    this.expect("(");
    while (this.peek() !== ")") {
      args.push(this.binary(0));
      if (this.peek() !== ",") break;
      this.at++;
    }
    this.expect(")");
    if (name === "select" && args.length === 3) return (args[2]?.value ? args[1] : args[0]) ?? { value: 0, float: false };
    if (name === "bool") return { value: Boolean(args[0]?.value), float: false };
    const known = FUNCTIONS[name];
    if (!known) throw new NotConstantError(`${name}() is not evaluated here`);
    const float = name === "f32" || name === "f16" || (name !== "u32" && name !== "i32" && args.some((arg) => arg.float));
    return { value: known(...args.map((arg) => Number(arg.value))), float };
  }

  private expect(text: string): void {
    if (this.peek() !== text) throw new NotConstantError(`expected ${text}, found ${this.peek()} in a constant expression`);
    this.at++;
  }
}

function literal(text: string): Typed {
  const hex = /^0[xX]/.test(text);
  const suffix = hex ? /[iu]$/.exec(text)?.[0] : /[iufh]$/.exec(text)?.[0];
  const body = suffix ? text.slice(0, -1) : text;
  const float = suffix === "f" || suffix === "h" || (!suffix && (hex ? /[.pP]/ : /[.eE]/).test(body));
  if (hex && float) {
    const [mantissa = "0", exponent = "0"] = body.slice(2).split(/[pP]/);
    const [whole = "", part = ""] = mantissa.split(".");
    return { value: Number.parseInt(`${whole}${part}` || "0", 16) * 2 ** (Number(exponent) - 4 * part.length), float };
  }
  return { value: Number(body), float };
}

function apply(op: string, left: Typed, right: Typed): Typed {
  const [a, b] = [Number(left.value), Number(right.value)];
  const float = left.float || right.float;
  const number = (value: number): Typed => ({ value, float });
  const truth = (value: boolean): Typed => ({ value, float: false });
  switch (op) {
    case "+":
      return number(a + b);
    case "-":
      return number(a - b);
    case "*":
      return number(a * b);
    case "/":
      return number(float ? a / b : Math.trunc(a / b));
    case "%":
      return number(a % b);
    case "<<":
      return number(a * 2 ** b);
    case ">>":
      return number(Math.floor(a / 2 ** b));
    case "&":
      return typeof left.value === "boolean" ? truth(left.value && Boolean(right.value)) : number((a & b) >>> 0);
    case "|":
      return typeof left.value === "boolean" ? truth(left.value || Boolean(right.value)) : number((a | b) >>> 0);
    case "^":
      return number((a ^ b) >>> 0);
    case "&&":
      return truth(Boolean(left.value) && Boolean(right.value));
    case "||":
      return truth(Boolean(left.value) || Boolean(right.value));
    case "==":
      return truth(a === b);
    case "!=":
      return truth(a !== b);
    case "<":
      return truth(a < b);
    case ">":
      return truth(a > b);
    case "<=":
      return truth(a <= b);
    default:
      return truth(a >= b);
  }
}

/** Evaluate a constant or override expression. */
export function evaluate(tokens: readonly Token[], lookup: Lookup): Value {
  return new Evaluator(tokens, lookup).run().value;
}
