/** What is wrong with a view, and where in its source. */
import { EngineError } from "../../errors.js";

export interface Problem {
  readonly message: string;
  /** Counted from 1; 0 where it has no place. */
  readonly line: number;
  readonly column: number;
}

const MOST_LINES = 8;

/** The first lines of a compiler's message: what is wrong, without all the overloads that do not fit. */
function brief(message: string): string {
  const lines = message.split("\n");
  return lines.length <= MOST_LINES ? message : `${lines.slice(0, MOST_LINES).join("\n")}\n…`;
}

export function problemOf(error: unknown): Problem {
  const message = error instanceof Error ? error.message : String(error);
  const { line, column } = (error instanceof EngineError ? error.details : {}) as { line?: number; column?: number };
  return { message: brief(message.replace(/^shader view: /, "")), line: line ?? 0, column: column ?? 0 };
}

/** The line of a source that has a problem, one before it, and a caret under the place. */
export function excerpt(source: string, { line, column }: Problem): string {
  const lines = source.split("\n");
  const found = lines[line - 1];
  if (line < 1 || found === undefined) return "";
  const width = String(line).length;
  const before = lines[line - 2];
  const rows = before === undefined ? [] : [`${String(line - 1).padStart(width)} │ ${before}`];
  rows.push(`${line} │ ${found}`);
  // Tabs stay tabs, so that the caret is under its place.
  if (column > 0) rows.push(`${" ".repeat(width)} │ ${found.slice(0, column - 1).replace(/[^\t]/g, " ")}^`);
  return rows.join("\n");
}
