import type { Token } from "./lexer.js";

/** A type or a function as written: `array<vec4f, N>` is name `array` with two arguments. An argument that is an expression has only tokens. */
export interface TypeSyntax {
  readonly name: string;
  readonly args: readonly TypeSyntax[];
  readonly tokens: readonly Token[];
}

/** The module's text does not follow WGSL's grammar. A browser's own message is better than this one. */
export class WgslSyntaxError extends Error {}

const OPENERS: ReadonlyMap<string, string> = new Map([
  ["(", ")"],
  ["[", "]"],
  ["{", "}"],
]);
/** WGSL lets composite types be nested 15 deep. */
const MOST_NESTED_TYPES = 64;
const END: Token = { kind: "end", text: "", start: 0, template: undefined };

/** A place in a list of tokens, and the steps that all readers of WGSL take from it. */
export class Cursor {
  protected at = 0;
  private nested = 0;

  constructor(protected readonly tokens: readonly Token[]) {}

  protected get token(): Token {
    return this.tokens[this.at] ?? END;
  }

  protected is(text: string): boolean {
    return this.token.text === text && this.token.kind !== "end";
  }

  protected accept(text: string): boolean {
    if (!this.is(text)) return false;
    this.at++;
    return true;
  }

  protected expect(text: string): void {
    if (!this.accept(text)) throw new WgslSyntaxError(`expected ${text}, found ${this.token.text || "the end"}`);
  }

  protected name(): string {
    const { kind, text } = this.token;
    if (kind !== "name") throw new WgslSyntaxError(`expected a name, found ${text || "the end"}`);
    this.at++;
    return text;
  }

  /** Tokens up to one of `stops` outside of brackets and template lists; the stop is not taken. */
  protected until(...stops: string[]): Token[] {
    const start = this.at;
    while (this.token.kind !== "end" && !stops.includes(this.token.text)) {
      if (this.opens()) this.skipBrackets();
      else this.at++;
    }
    return this.tokens.slice(start, this.at);
  }

  /** Past the bracket that closes the one here, however deep others are nested in it. */
  protected skipBrackets(): void {
    const closers: string[] = [];
    do {
      const { template, text } = this.token;
      const close = template === "open" ? ">" : OPENERS.get(text);
      if (close !== undefined) closers.push(close);
      else if (text === closers.at(-1) && (text !== ">" || template === "close")) closers.pop();
      this.at++;
    } while (closers.length > 0 && this.token.kind !== "end");
  }

  private opens(): boolean {
    return this.token.template === "open" || OPENERS.has(this.token.text);
  }

  private closesTemplate(): boolean {
    return this.token.template === "close";
  }

  /** A name with its template arguments. */
  protected type(): TypeSyntax {
    const start = this.at;
    const name = this.name();
    const args: TypeSyntax[] = [];
    if (++this.nested > MOST_NESTED_TYPES) throw new WgslSyntaxError(`types are nested more than ${MOST_NESTED_TYPES} deep`);
    if (this.token.template === "open") {
      this.at++;
      while (!this.closesTemplate()) {
        args.push(this.templateArgument());
        if (!this.accept(",")) break;
      }
      this.expect(">");
    }
    this.nested--;
    return { name, args, tokens: this.tokens.slice(start, this.at) };
  }

  private templateArgument(): TypeSyntax {
    const start = this.at;
    if (this.token.kind === "name") {
      const type = this.type();
      if (this.is(",") || this.closesTemplate()) return type;
      this.at = start;
    }
    while (this.token.kind !== "end" && !this.is(",") && !this.closesTemplate()) {
      if (this.opens()) this.skipBrackets();
      else this.at++;
    }
    return { name: "", args: [], tokens: this.tokens.slice(start, this.at) };
  }
}
