import type { ErrorCode } from "./protocol.gen.js";

/** An error that goes to Python with its code; everything else that is thrown becomes `internal`. */
export class EngineError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.name = "EngineError";
  }
}

/** Give any thrown value a code. */
export function asEngineError(thrown: unknown): EngineError {
  if (thrown instanceof EngineError) return thrown;
  if (thrown instanceof DOMException && thrown.name === "AbortError") {
    return new EngineError("cancelled", "the request was cancelled");
  }
  if (thrown instanceof Error) return new EngineError("internal", `${thrown.name}: ${thrown.message}`, { stack: thrown.stack ?? "" });
  return new EngineError("internal", String(thrown));
}

/** Say that a limit of the device is exceeded, with both numbers. */
export function limitError(what: string, limit: string, wanted: number, allowed: number): EngineError {
  return new EngineError("limit", `${what}: ${wanted} wanted, and this adapter's ${limit} is ${allowed}`, { limit, wanted, allowed });
}
