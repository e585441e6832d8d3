import { Cursor, type TypeSyntax, WgslSyntaxError } from "./cursor.js";
import { type Token, tokenize } from "./lexer.js";
import { namesContext, namesIn, usesOfFunction } from "./uses.js";

/** An attribute such as `@binding(0)`, with its arguments as token lists. */
export interface Attribute {
  readonly name: string;
  readonly args: readonly (readonly Token[])[];
}

export interface MemberSyntax {
  readonly name: string;
  readonly attributes: readonly Attribute[];
  readonly type: TypeSyntax;
}

export interface Declaration {
  readonly kind: "struct" | "alias" | "const" | "override" | "var" | "fn";
  readonly name: string;
  readonly attributes: readonly Attribute[];
  /** Names of the module scope that it refers to (locals of a function left out). */
  readonly uses: ReadonlySet<string>;
  readonly type?: TypeSyntax;
  readonly members?: readonly MemberSyntax[];
  readonly value?: readonly Token[];
  /** Of `var<...>`: address space, then access. */
  readonly template?: readonly string[];
  /** Of a function: what stands between its name and its body; see `parseSignature`. */
  readonly signature?: readonly Token[];
}

/** What a function takes and returns. */
export interface Signature {
  readonly parameters: readonly MemberSyntax[];
  readonly returns: TypeSyntax | undefined;
}

class Parser extends Cursor {
  readonly declarations: Declaration[] = [];

  private attributes(): Attribute[] {
    const found: Attribute[] = [];
    while (this.accept("@")) {
      const name = this.name();
      const args: Token[][] = [];
      if (this.accept("(")) {
        while (!this.is(")") && this.token.kind !== "end") {
          args.push(this.until(",", ")"));
          this.accept(",");
        }
        this.expect(")");
      }
      found.push({ name, args });
    }
    return found;
  }

  private add(kind: Declaration["kind"], name: string, attributes: readonly Attribute[], from: number, more: Partial<Declaration>): void {
    const tokens = this.tokens.slice(from, this.at);
    const uses = kind === "fn" ? usesOfFunction(tokens) : namesIn(more.members ? more.members.flatMap(memberTokens) : tokens);
    for (const used of namesIn(attributes.flatMap(attributeTokens))) uses.add(used);
    uses.delete(name);
    this.declarations.push({ kind, name, attributes, uses, ...more });
  }

  private struct(attributes: readonly Attribute[]): void {
    const name = this.name();
    const from = this.at;
    this.expect("{");
    const members = this.members("}");
    this.expect("}");
    this.accept(";");
    this.add("struct", name, attributes, from, { members });
  }

  /** Members of a struct, or parameters of a function. */
  private members(close: string): MemberSyntax[] {
    const members: MemberSyntax[] = [];
    while (!this.is(close)) {
      const attributes = this.attributes();
      const name = this.name();
      this.expect(":");
      members.push({ name, attributes, type: this.type() });
      if (!this.accept(",")) break;
    }
    return members;
  }

  private variable(kind: "const" | "override" | "var", attributes: readonly Attribute[]): void {
    const template: string[] = [];
    if (kind === "var" && this.accept("<")) {
      while (!this.accept(">")) {
        template.push(this.name());
        this.accept(",");
      }
    }
    const name = this.name();
    const from = this.at;
    const type = this.accept(":") ? this.type() : undefined;
    const value = this.accept("=") ? this.until(";") : undefined;
    this.expect(";");
    this.add(kind, name, attributes, from, { template, ...(type && { type }), ...(value && { value }) });
  }

  private fn(attributes: readonly Attribute[]): void {
    const name = this.name();
    const from = this.at;
    const signature = this.until("{");
    this.skipBrackets();
    this.add("fn", name, attributes, from, { signature });
  }

  signature(): Signature {
    this.expect("(");
    const parameters = this.members(")");
    this.expect(")");
    if (!this.accept("->")) return { parameters, returns: undefined };
    this.attributes();
    return { parameters, returns: this.type() };
  }

  parse(): Declaration[] {
    while (this.token.kind !== "end") {
      if (this.accept(";")) continue;
      const attributes = this.attributes();
      const keyword = this.name();
      if (keyword === "struct") this.struct(attributes);
      else if (keyword === "fn") this.fn(attributes);
      else if (keyword === "const" || keyword === "override" || keyword === "var") this.variable(keyword, attributes);
      else if (keyword === "alias") {
        const name = this.name();
        const from = this.at;
        this.expect("=");
        const type = this.type();
        this.expect(";");
        this.add("alias", name, attributes, from, { type });
      } else if (["enable", "requires", "diagnostic", "const_assert"].includes(keyword)) {
        this.until(";");
        this.expect(";");
      } else throw new WgslSyntaxError(`${keyword} begins no declaration`);
    }
    return this.declarations;
  }
}

/** What an attribute's arguments say, where they are expressions; `@builtin(position)` names nothing that a module declares. */
function attributeTokens({ name, args }: Attribute): Token[] {
  return namesContext(name) ? [] : args.flat();
}

/** What a member refers to: its own name is no use of that name. */
function memberTokens({ attributes, type }: MemberSyntax): Token[] {
  return [...attributes.flatMap(attributeTokens), ...type.tokens];
}

/** Read what a module declares. Bodies of functions are only searched for names, so that new syntax in them does no harm. */
export function parseModule(source: string): Declaration[] {
  return new Parser(tokenize(source)).parse();
}

/** Read what a function takes and returns. */
export function parseSignature(tokens: readonly Token[]): Signature {
  return new Parser(tokens).signature();
}
