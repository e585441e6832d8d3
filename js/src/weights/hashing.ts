/**
 * Digests of chunks, made beside the thread that moves them.
 *
 * `crypto.subtle.digest` does its work on the thread that calls it (Chromium 156), about a millisecond a megabyte: a loader that hashes by itself fetches
 * and hashes in turns. Buffers go to a hasher and come back by transfer, without a copy.
 */
import type { Bytes } from "../session.js";
import { HASH_MS, patient } from "./patience.js";
import { chunkDigest } from "./store.js";

export interface Hashed {
  readonly digest: string;
  /** The bytes that were given: their buffer has moved here. */
  readonly bytes: Bytes;
}

interface Order {
  readonly id: number;
  readonly bytes: Bytes;
}

interface Hasher {
  readonly port: MessagePort;
  readonly waiting: Map<number, (hashed: Hashed) => void>;
}

/** Hashers worth having: one thread moves bytes and one is the page's. */
export function hasherCount(cores: number): number {
  return Math.max(1, Math.min(3, cores - 2));
}

async function hash(bytes: Bytes): Promise<Hashed> {
  return { digest: await chunkDigest(bytes), bytes };
}

/** Be a hasher: digest what comes by a port. */
export function serveHashes(port: MessagePort): void {
  port.onmessage = async ({ data: { id, bytes } }: MessageEvent<Order>) => {
    port.postMessage({ id, ...(await hash(bytes)) }, [bytes.buffer]);
  };
  port.postMessage(null); // it lives
}

/** The hashers that have come to life; none at first, and then the caller's thread does it. */
export class Hashers {
  private readonly hashers: Hasher[] = [];
  private ids = 0;

  add(port: MessagePort): void {
    const hasher: Hasher = { port, waiting: new Map() };
    port.onmessage = ({ data }: MessageEvent<(Hashed & { readonly id: number }) | null>) => {
      if (data === null) {
        this.hashers.push(hasher);
        return;
      }
      hasher.waiting.get(data.id)?.(data);
      hasher.waiting.delete(data.id);
    };
  }

  /** Digest a chunk; its buffer is detached until it comes back with the digest. */
  digest(bytes: Bytes): Promise<Hashed> {
    let idlest: Hasher | undefined;
    for (const hasher of this.hashers) if (!idlest || hasher.waiting.size < idlest.waiting.size) idlest = hasher;
    if (!idlest) return hash(bytes);
    const { port, waiting } = idlest;
    const hashed = new Promise<Hashed>((resolve) => {
      const order: Order = { id: ++this.ids, bytes };
      waiting.set(order.id, resolve);
      port.postMessage(order, [bytes.buffer]);
    });
    return patient(hashed, "the worker that hashes", HASH_MS);
  }
}
