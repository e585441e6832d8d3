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

export interface Service {
  readonly handler: ServiceHandler;
  /** Whether it answers with what has failed on the GPU since the last request, and does nothing then. */
  readonly takesErrors: boolean;
}

const services = new Map<string, Service>();

/** Register the handler of a service that works with what commands before it have made: it fails with these. */
export function registerService(name: string, handler: ServiceHandler): void {
  services.set(name, { handler, takesErrors: true });
}

/** Register the handler of a service that asks nothing of the GPU, or that nobody waits for: errors of others must not end in its answer, and it is done all the same. */
export function registerMessage(name: string, handler: ServiceHandler): void {
  services.set(name, { handler, takesErrors: false });
}

export function findService(name: string): Service | undefined {
  return services.get(name);
}

export function serviceNames(): string[] {
  return [...services.keys()].sort();
}
