import type { EngineError } from "./errors.js";

/** Errors of commands that answer nothing, kept for the request that follows them. */
export interface Claim {
  /** The first error since the request before; undefined when all went well. Waits for what WebGPU says about work already submitted. */
  settle(): Promise<EngineError | undefined>;
  /** The first error known already. */
  readonly error: EngineError | undefined;
}

class Page implements Claim {
  error: EngineError | undefined;
  readonly pending = new Set<Promise<void>>();

  async settle(): Promise<EngineError | undefined> {
    while (this.pending.size > 0) await Promise.all(this.pending);
    return this.error;
  }
}

/** A command without an id that fails becomes the answer of the next request, and of that one only. */
export class Ledger {
  private page = new Page();

  /** @param heard is told of every error. */
  constructor(private readonly heard: (error: EngineError) => void) {}

  keep(error: EngineError): void {
    this.page.error ??= error;
    this.heard(error);
  }

  /** Watch an error scope whose outcome comes later; `explain` makes the error of it. */
  watch(scope: Promise<GPUError | null>, explain: (error: GPUError) => EngineError): void {
    const page = this.page;
    const settled = scope
      .then((found) => {
        if (!found) return;
        const error = explain(found);
        page.error ??= error;
        this.heard(error);
      })
      // A scope is refused only when the device is lost, and that has its own way to Python.
      .catch(() => undefined)
      .finally(() => page.pending.delete(settled));
    page.pending.add(settled);
  }

  /** Hand everything since the last claim to one request. */
  claim(): Claim {
    const page = this.page;
    this.page = new Page();
    return page;
  }
}
