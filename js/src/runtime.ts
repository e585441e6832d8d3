/** One session with its engine: what a widget's model, or a hub's page, brings to life. */
import { type Glimpse, glimpse, noGpuReason } from "./device.js";
import { Engine } from "./engine.js";
import { hostName, randomId } from "./host.js";
import { Session, type SessionHost } from "./session.js";
import type { Link, LinkEvents } from "./transports/link.js";
import { WebSocketLink } from "./transports/websocket.js";

const REGISTRY = Symbol.for("webgpu_widget");

/** Engines on this page by the id of their GPU, so that other widgets find them. */
export function registry(): Map<string, Runtime> {
  const page = globalThis as { [REGISTRY]?: Map<string, Runtime> };
  page[REGISTRY] ??= new Map();
  return page[REGISTRY];
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

export class Runtime implements LinkEvents {
  readonly session: Session;
  readonly engine: Engine;
  /** What is known of the adapter before the first call. */
  seen: Glimpse = {};
  private looked = false;
  private readonly listeners = new Set<() => void>();

  /** @param host name of the front end, where it is known */
  constructor(
    private readonly host = hostName(),
    beyondRepair?: (reason: string) => void,
  ) {
    const changed = (): void => {
      for (const listener of this.listeners) listener();
    };
    const surroundings: SessionHost = {
      describe: () => ({
        host: this.host,
        loopback: isLoopback(location.hostname),
        visible: document.visibilityState === "visible",
        user_agent: navigator.userAgent,
        no_gpu_reason: noGpuReason(),
      }),
      openLane: (lane, instance) => new WebSocketLink(`${lane.url}?${new URLSearchParams({ token: lane.token, instance })}`, this),
      after: (delayMs, action) => {
        setTimeout(action, delayMs);
      },
      batch: (batch, buffers) => this.engine.enqueue(batch, buffers),
      workingOn: () => this.engine.workingOn,
      fresh: () => this.engine.clear(),
      cancel: (ids) => this.engine.cancel(ids),
      reset: (reason) => this.engine.reset(reason),
      close: () => this.engine.clear(),
      changed,
    };
    this.session = new Session(randomId(), surroundings);
    this.engine = new Engine(this.session, changed, beyondRepair);
  }

  /** Be told when something to show has changed; returns the way to stop that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Look for an adapter, so that what is shown is true before the first call. */
  look(): void {
    if (this.looked) return;
    this.looked = true;
    const reason = noGpuReason();
    if (reason !== null) {
      this.seen = { problem: reason };
      return;
    }
    void glimpse().then((seen) => {
      this.seen = seen;
      for (const listener of this.listeners) listener();
    });
  }

  opened(link: Link): void {
    this.session.hello(link);
  }

  message(link: Link, message: Parameters<LinkEvents["message"]>[1], buffers: Parameters<LinkEvents["message"]>[2]): void {
    this.session.receive(link, message, buffers);
  }

  closed(link: Link): void {
    this.session.linkClosed(link);
  }

  /** Say goodbye and free everything. */
  destroy(): void {
    this.session.bye();
    this.engine.clear();
  }
}
