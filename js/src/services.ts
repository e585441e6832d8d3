/** Handlers of `service` commands: the parts above the engine register them by name. */
import type { Engine } from "./engine.js";
import type { Service, Services } from "./protocol.gen.js";
import type { Bytes } from "./session.js";

export type ServiceName = keyof Services;

export interface ServiceContext<N extends ServiceName = ServiceName> {
  /** Aborted when Python cancels the request, or the device or the session is gone. */
  readonly signal: AbortSignal;
  /** Buffers of the message that carried the command. */
  readonly buffers: readonly Bytes[];
  /** Tell Python how far the work is; each call starts Python's timeout again. */
  progress(value: Services[N]["report"]): void;
  /** Send bytes (CHUNK_BYTES at most), waiting for credit; they must not change until `release` is called. False: nobody wants more. */
  sendChunk(item: number, offset: number, total: number, bytes: Bytes, release?: () => void): Promise<boolean>;
}

export type ServiceHandler<N extends ServiceName> = (
  engine: Engine,
  params: Services[N]["params"],
  context: ServiceContext<N>,
) => Promise<Services[N]["answer"]>;

interface Registered<N extends ServiceName> {
  readonly handler: ServiceHandler<N>;
  /** Whether it answers with what has failed on the GPU since the last request, and does nothing then. */
  readonly takesErrors: boolean;
}

/** A command whose name is that of a service, with what Python asks that service. */
export type Asked<N extends ServiceName = ServiceName> = { [M in N]: Service & { readonly name: M; readonly params: Services[M]["params"] } }[N];

const services: { [N in ServiceName]?: Registered<N> } = {};

/** Register the handler of a service that works with what commands before it have made: it fails with these. */
export function registerService<N extends ServiceName>(name: N, handler: ServiceHandler<N>): void {
  Object.assign(services, { [name]: { handler, takesErrors: true } satisfies Registered<N> });
}

/** Register the handler of a service that asks nothing of the GPU, or that nobody waits for: errors of others must not end in its answer, and it is done all the same. */
export function registerMessage<N extends ServiceName>(name: N, handler: ServiceHandler<N>): void {
  Object.assign(services, { [name]: { handler, takesErrors: false } satisfies Registered<N> });
}

/** Whether a command asks a service of this page. */
export function isAsked(command: Service): command is Asked {
  return Object.hasOwn(services, command.name);
}

/** Whether a service answers with what has failed on the GPU before. */
export function takesErrors(name: ServiceName): boolean {
  return services[name]?.takesErrors ?? true;
}

/** Have a service do what it is asked. */
export function serve<N extends ServiceName>(engine: Engine, { name, params }: Asked<N>, context: ServiceContext<N>): Promise<Services[N]["answer"]> {
  const found: Registered<N> | undefined = services[name];
  return found ? found.handler(engine, params, context) : Promise.reject(new TypeError(`nobody has registered ${name}`));
}

export function serviceNames(): string[] {
  return Object.keys(services).sort();
}
