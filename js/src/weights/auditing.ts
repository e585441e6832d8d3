/**
 * A file whose server gives its SHA-256, or its SHA-512 alone: nothing of it is handed out, nor trusted in the cache, before all of it was seen to be right.
 *
 * The digest is of the whole file, and is made of its bytes in their order. So the first load brings such a file from its beginning to its end; from then
 * on the digests of its chunks are known (for the cache, see `checked.json`), and any chunk can be checked by itself.
 */

import type { FileSpec } from "./files.js";
import { chunkCount } from "./files.js";
import { type BlockHash, Sha256 } from "./sha256.js";
import { Sha512 } from "./sha512.js";

/** What came of it: "" where the file is right, else the digest that it has. */
export interface Verdict {
  readonly found: string;
  readonly warning: string;
}

/** A file on its way through the hash. */
export class Whole {
  readonly digests: string[] = [];
  private readonly hash: BlockHash;
  private next = 0;

  constructor(private readonly file: FileSpec) {
    this.hash = file.sha256.length === 128 ? new Sha512() : new Sha256();
  }

  /** Take a chunk; they must come in order, each once. */
  add(index: number, bytes: Uint8Array): void {
    if (index !== this.next) return;
    this.next++;
    this.hash.update(bytes);
  }

  /** The digest of what has come; "" where it is what the server says. */
  end(): string {
    if (this.next !== chunkCount(this.file)) return "unknown: not all of it has come";
    const found = this.hash.end();
    return found === this.file.sha256 ? "" : found;
  }
}

/** Loads of this page that are bringing a file for the first time, by its key: others wait, and then need not. */
const underWay = new Map<string, Promise<void>>();

/** The load of this page that is bringing a file, if one is. */
export function auditOf(key: string): Promise<void> | undefined {
  return underWay.get(key);
}

/** Say that this load brings a file; call what is returned when it does so no longer. */
export function claim(key: string): () => void {
  let settle: () => void = () => undefined;
  const claimed = new Promise<void>((resolve) => {
    settle = resolve;
  });
  underWay.set(key, claimed);
  return () => {
    if (underWay.get(key) === claimed) underWay.delete(key);
    settle();
  };
}
