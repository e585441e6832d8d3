/** Chunks that some load of this page is fetching: a second load waits for them instead of fetching them again. */
import type { Bytes } from "../session.js";

interface InFlight {
  readonly promise: Promise<Bytes>;
  shared: boolean;
}

/** What a load owes to others for a chunk that it is fetching: to settle it. */
export interface Share {
  /** Whether another load reads the same buffer. */
  readonly shared: boolean;
  succeed(bytes: Bytes): void;
  fail(error: unknown): void;
}

export const NO_SHARE: Share = { shared: false, succeed: () => undefined, fail: () => undefined };

const inFlight = new Map<string, InFlight>();

/** Whether some load is fetching a chunk. */
export function isInFlight(key: string): boolean {
  return inFlight.has(key);
}

/** A chunk that another load is fetching, if one is; rejects when that load gives it up. */
export function join(key: string): Promise<Bytes> | undefined {
  const other = inFlight.get(key);
  if (other) other.shared = true;
  return other?.promise;
}

/** Say that a chunk is being fetched. `ended` is called when it is settled. */
export function announce(key: string, ended: (share: Share) => void): Share {
  let resolve: (bytes: Bytes) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<Bytes>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined);
  const entry: InFlight = { promise, shared: false };
  inFlight.set(key, entry);
  const end = (): void => {
    if (inFlight.get(key) === entry) inFlight.delete(key);
    ended(share);
  };
  const share: Share = {
    get shared() {
      return entry.shared;
    },
    succeed(bytes) {
      resolve(bytes);
      end();
    },
    fail(error) {
      reject(error);
      end();
    },
  };
  return share;
}
