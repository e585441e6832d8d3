/** WGSL tokens: enough to read what a module declares, and to find the names that a function's body uses. */

export type TokenKind = "name" | "number" | "symbol" | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  readonly start: number;
  /** Whether a `<` or `>` begins or ends a template list, as in `vec3<f32>`, rather than comparing or shifting. */
  readonly template: "open" | "close" | undefined;
}

// Two-character operators that matter to constant expressions. `>>` is left as two tokens, because it also closes templates.
const PAIRS = new Set(["<<", "<=", "==", "!=", "&&", "||", "->", "::"]);
const NAME = /[\p{XID_Start}_][\p{XID_Continue}]*/uy;
const NUMBER = /0[xX][0-9a-fA-F]*(?:\.[0-9a-fA-F]*)?(?:[pP][+-]?\d+)?[iufh]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[iufh]?/y;

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function skipBlockComment(source: string, start: number): number {
  let depth = 1;
  let at = start + 2;
  while (at < source.length && depth > 0) {
    const pair = source.slice(at, at + 2);
    if (pair === "/*") depth++;
    else if (pair === "*/") depth--;
    else {
      at++;
      continue;
    }
    at += 2;
  }
  return at;
}

/** Cut WGSL into tokens; comments (nested ones too) and white space are dropped. The last token is `end`. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < source.length) {
    const char = source.charAt(at);
    if (/\s/.test(char)) {
      at++;
      continue;
    }
    const pair = source.slice(at, at + 2);
    if (pair === "//") {
      while (at < source.length && !/[\n\v\f\r\u0085\u2028\u2029]/.test(source.charAt(at))) at++;
      continue;
    }
    if (pair === "/*") {
      at = skipBlockComment(source, at);
      continue;
    }
    const name = match(NAME, source, at);
    const text = name ?? match(NUMBER, source, at) ?? (PAIRS.has(pair) ? pair : char);
    const kind = name !== undefined ? "name" : /^\.?\d/.test(text) ? "number" : "symbol";
    tokens.push({ kind, text, start: at, template: undefined });
    at += text.length;
  }
  tokens.push({ kind: "end", text: "", start: source.length, template: undefined });
  return withTemplates(tokens);
}

/** Tell the `<` and `>` of template lists from those that compare and shift (WGSL, "Template Lists", the discovery algorithm). */
function withTemplates(tokens: Token[]): Token[] {
  let open: { readonly at: number; readonly depth: number }[] = [];
  let depth = 0;
  tokens.forEach((token, at) => {
    const { text } = token;
    if (text === "<" && tokens[at - 1]?.kind === "name") open.push({ at, depth });
    else if (text === ">" && open.at(-1)?.depth === depth) {
      const begin = open.pop()?.at ?? at;
      tokens[begin] = { ...(tokens[begin] ?? token), template: "open" };
      tokens[at] = { ...token, template: "close" };
    } else if (text === "(" || text === "[") depth++;
    else if (text === ")" || text === "]") {
      open = open.filter((candidate) => candidate.depth < depth);
      depth = Math.max(0, depth - 1);
    } else if (text === "&&" || text === "||") open = open.filter((candidate) => candidate.depth < depth);
    else if (text === ";" || text === "{" || text === ":" || isAssignment(tokens, at)) {
      open = [];
      depth = 0;
    }
  });
  return tokens;
}

/** Whether the `=` there assigns, rather than being the end of a `>=`. */
function isAssignment(tokens: readonly Token[], at: number): boolean {
  const [before, token] = [tokens[at - 1], tokens[at]];
  return token?.text === "=" && !(before?.text === ">" && before.template === undefined && before.start + 1 === token.start);
}
