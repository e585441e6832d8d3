/** Which names of the module's scope a declaration uses, by WGSL's scopes (WGSL, "Declaration and Scope"). */
import type { Token } from "./lexer.js";

/** Attributes whose arguments are words of their own, whatever the module declares by those names. */
const CONTEXT = new Set(["builtin", "interpolate", "diagnostic", "blend_src"]);

/** Whether an attribute's arguments are words of their own. */
export function namesContext(attribute: string): boolean {
  return CONTEXT.has(attribute);
}

/** All names that are not members. */
export function namesIn(tokens: readonly Token[]): Set<string> {
  const names = new Set<string>();
  tokens.forEach((token, index) => {
    if (token.kind === "name" && tokens[index - 1]?.text !== ".") names.add(token.text);
  });
  return names;
}

interface Scope {
  readonly names: Set<string>;
  /** The scope of a `for`, which holds its header's variable and ends with its body. */
  readonly loop: boolean;
}

/** Names that a function uses and does not declare itself: parameters and `let`, `var`, `const` hide the module's names in their scopes. */
export function usesOfFunction(tokens: readonly Token[]): Set<string> {
  return new FunctionReader(tokens).read();
}

class FunctionReader {
  private readonly uses = new Set<string>();
  private readonly parameters = new Set<string>();
  private readonly scopes: Scope[] = [];
  /** Declared by the statement that is being read; in scope from its end on. */
  private pending: string | undefined;
  private depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  read(): Set<string> {
    for (let at = 0; at < this.tokens.length; at++) {
      const token = this.tokens[at];
      if (!token) break;
      if (token.text === "@") at = this.attribute(at);
      else if (token.kind === "name") this.name(token.text, at);
      else this.symbol(token.text);
    }
    return this.uses;
  }

  /** Pass over an attribute's name, and over its arguments where they are words of their own. */
  private attribute(at: number): number {
    if (!namesContext(this.text(at + 1)) || this.text(at + 2) !== "(") return at + 1;
    let end = at + 2;
    while (end < this.tokens.length && this.text(end) !== ")") end++;
    return end;
  }

  private symbol(text: string): void {
    if (text === "(") this.depth++;
    else if (text === ")") this.depth--;
    else if (text === "{") this.scopes.push({ names: this.scopes.length === 0 ? this.parameters : new Set(), loop: false });
    else if (text === "}") {
      this.scopes.pop();
      if (this.scopes.at(-1)?.loop) this.scopes.pop();
    } else if (text === ";" && this.pending !== undefined) {
      this.scopes.at(-1)?.names.add(this.pending);
      this.pending = undefined;
    }
  }

  private name(text: string, at: number): void {
    const before = this.text(at - 1);
    if (before === ".") return;
    if (text === "for") this.scopes.push({ names: new Set(), loop: true });
    else if (this.scopes.length === 0 && this.depth === 1 && this.text(at + 1) === ":") this.parameters.add(text);
    else if (this.scopes.length > 0 && (before === "let" || before === "const" || before === "var" || this.endsVarTemplate(at - 1))) this.pending = text;
    else if (!this.scopes.some((scope) => scope.names.has(text))) this.uses.add(text);
  }

  /** Whether the token there is the `>` of `var<function>`. */
  private endsVarTemplate(at: number): boolean {
    if (this.text(at) !== ">") return false;
    let start = at - 1;
    while (start > 0 && /^[\w,]+$/.test(this.text(start))) start--;
    return this.text(start) === "<" && this.text(start - 1) === "var";
  }

  private text(at: number): string {
    return this.tokens[at]?.text ?? "";
  }
}
