/** Errors that may cross from the worker to the page. */

export type LoadCode = "weights" | "integrity" | "quota" | "cancelled" | "internal";

export class LoadError extends Error {
  constructor(
    readonly code: LoadCode,
    message: string,
  ) {
    super(message);
    this.name = "LoadError";
  }
}

export function asLoadError(thrown: unknown): LoadError {
  if (thrown instanceof LoadError) return thrown;
  if (thrown instanceof DOMException && thrown.name === "AbortError") return new LoadError("cancelled", "the load was cancelled");
  return new LoadError("internal", thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown));
}
