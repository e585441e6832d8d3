/** Const- and override-expressions as trees (WGSL, "Expression Grammar Summary"). */
import { Cursor, type TypeSyntax, WgslSyntaxError } from "./cursor.js";
import type { Token } from "./lexer.js";
import { float, integer, type Scalar, type ScalarType } from "./values.js";

export type Expression =
  | { readonly kind: "literal"; readonly value: Scalar }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "call"; readonly callee: TypeSyntax; readonly args: readonly Expression[] }
  | { readonly kind: "index"; readonly base: Expression; readonly index: Expression }
  | { readonly kind: "member"; readonly base: Expression; readonly name: string }
  | { readonly kind: "unary"; readonly op: string; readonly operand: Expression }
  | { readonly kind: "binary"; readonly op: string; readonly left: Expression; readonly right: Expression };

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

const SUFFIXES: Readonly<Record<string, ScalarType>> = { i: "i32", u: "u32", f: "f32", h: "f16" };

/** Tint takes expressions that are nested 128 deep. */
const MOST_NESTED = 128;

class ExpressionReader extends Cursor {
  private depth = 0;

  read(): Expression {
    const tree = this.binary(0);
    if (this.token.kind !== "end") throw new WgslSyntaxError(`unexpected ${this.token.text} in a constant expression`);
    return tree;
  }

  private operator(level: number): string | undefined {
    const allowed = PRECEDENCE[level] ?? [];
    const { text, start, template } = this.token;
    if (template) return undefined;
    const next = this.tokens[this.at + 1];
    const joined = text === ">" && next?.start === start + 1 && !next.template && (next.text === ">" || next.text === "=") ? `>${next.text}` : text;
    return allowed.includes(joined) ? joined : undefined;
  }

  private binary(level: number): Expression {
    if (level >= PRECEDENCE.length) return this.unary();
    let left = this.binary(level + 1);
    for (let op = this.operator(level); op !== undefined; op = this.operator(level)) {
      this.at += op === ">>" || op === ">=" ? 2 : 1;
      left = { kind: "binary", op, left, right: this.binary(level + 1) };
    }
    return left;
  }

  private unary(): Expression {
    const { text: op } = this.token;
    if (++this.depth > MOST_NESTED) throw new WgslSyntaxError(`a constant expression is nested more than ${MOST_NESTED} deep`);
    const signed = op === "-" || op === "!" || op === "~";
    if (signed) this.at++;
    const tree: Expression = signed ? { kind: "unary", op, operand: this.unary() } : this.parts(this.primary());
    this.depth--;
    return tree;
  }

  /** What follows a primary expression: indices and members. */
  private parts(base: Expression): Expression {
    let tree = base;
    for (;;) {
      if (this.accept("[")) {
        tree = { kind: "index", base: tree, index: this.binary(0) };
        this.expect("]");
      } else if (this.accept(".")) tree = { kind: "member", base: tree, name: this.name() };
      else return tree;
    }
  }

  private primary(): Expression {
    const { kind, text } = this.token;
    if (this.accept("(")) {
      const inner = this.binary(0);
      this.expect(")");
      return inner;
    }
    if (kind === "number") {
      this.at++;
      return { kind: "literal", value: literal(text) };
    }
    if (text === "true" || text === "false") {
      this.at++;
      return { kind: "literal", value: { kind: "scalar", type: "bool", value: text === "true" } };
    }
    const callee = this.type();
    if (!this.accept("(")) return { kind: "name", name: callee.name };
    const args: Expression[] = [];
    while (!this.is(")")) {
      args.push(this.binary(0));
      if (!this.accept(",")) break;
    }
    this.expect(")");
    return { kind: "call", callee, args };
  }
}

/** A number as written, with its type. */
export function literal(text: string): Scalar {
  const hex = /^0[xX]/.test(text);
  const fractional = (hex ? /[.pP]/ : /[.eE]/).test(text);
  const suffix = (hex ? (/[pP]/.test(text) ? /[fh]$/ : /[iu]$/) : /[iufh]$/).exec(text)?.[0];
  const body = suffix ? text.slice(0, -1) : text;
  const type = suffix ? SUFFIXES[suffix] : undefined;
  if (!fractional && suffix !== "f" && suffix !== "h") return integer(type ?? "abstract-int", BigInt(body));
  return float(type ?? "abstract-float", hex ? hexFloat(body) : Number(body));
}

function hexFloat(body: string): number {
  const [mantissa = "0", exponent = "0"] = body.slice(2).split(/[pP]/);
  const [whole = "", part = ""] = mantissa.split(".");
  return Number(BigInt(`0x${whole}${part}`)) * 2 ** (Number(exponent) - 4 * part.length);
}

/** Read an expression. */
export function parseExpression(tokens: readonly Token[]): Expression {
  return new ExpressionReader(tokens).read();
}
