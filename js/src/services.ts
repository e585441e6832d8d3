/** Handlers of `service` commands: the parts above the engine register them by name. */
import type { Engine } from "./engine.js";
import type { Bytes } from "./session.js";

export interface ServiceContext {
  /** Aborted when Python cancels the request, or the device or the session is gone. */
  readonly signal: AbortSignal;
  /** Buffers of the message that carried the command. */
  readonly buffers: readonly Bytes[];
  /** Tell Python how far the work is; each call starts Python's timeout again. */
  progress(value: Readonly<Record<string, unknown>>): void;
  /** Send bytes (CHUNK_BYTES at most), waiting for credit; they must not change until `release` is called. False: nobody wants more. */
  sendChunk(item: number, offset: number, total: number, bytes: Bytes, release?: () => void): Promise<boolean>;
}

export type ServiceHandler = (engine: Engine, params: Readonly<Record<string, unknown>>, context: ServiceContext) => Promise<Record<string, unknown>>;

const handlers = new Map<string, ServiceHandler>();

/** Register the handler of a service. */
export function registerService(name: string, handler: ServiceHandler): void {
  handlers.set(name, handler);
}

export function findService(name: string): ServiceHandler | undefined {
  return handlers.get(name);
}

export function serviceNames(): string[] {
  return [...handlers.keys()].sort();
}
