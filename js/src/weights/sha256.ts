/** SHA-256 (FIPS 180-4) of bytes that come in parts, which `crypto.subtle.digest` cannot take. */

export function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

/** The first 32 bits of the fractions of roots of the first primes. */
function fractions(count: number, root: (prime: number) => number): Int32Array {
  return Int32Array.from(primes(count), (prime) => Math.floor((root(prime) % 1) * 2 ** 32) | 0);
}

const K = fractions(64, Math.cbrt);
const INITIAL = fractions(8, Math.sqrt);

/** A hash of blocks, of which the last one ends in the length (Merkle and Damgård's construction). */
export abstract class BlockHash {
  private readonly rest: Uint8Array<ArrayBuffer>;
  private length = 0;

  /** The length takes an eighth of a block. */
  constructor(private readonly size: number) {
    this.rest = new Uint8Array(size);
  }

  /** Take the next bytes. */
  update(bytes: Uint8Array): void {
    let at = 0;
    const { size } = this;
    const begun = this.length % size;
    this.length += bytes.byteLength;
    if (begun > 0) {
      at = Math.min(size - begun, bytes.byteLength);
      this.rest.set(bytes.subarray(0, at), begun);
      if (begun + at < size) return;
      this.block(new DataView(this.rest.buffer), 0);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (; at + size <= bytes.byteLength; at += size) this.block(view, at);
    this.rest.set(bytes.subarray(at));
  }

  /** The digest in hex; nothing can be added afterwards. */
  end(): string {
    const bits = this.length * 8;
    const last = this.size / 8;
    const padding = new Uint8Array(this.size - ((this.length + last) % this.size) + last);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.byteLength - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padding.byteLength - 4, bits >>> 0);
    this.update(padding);
    return Array.from(this.words(), (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  protected abstract block(view: DataView, at: number): void;
  protected abstract words(): Iterable<number>;
}

export class Sha256 extends BlockHash {
  private readonly state = Int32Array.from(INITIAL);
  private readonly schedule = new Int32Array(64);

  constructor() {
    super(64);
  }

  protected words(): Iterable<number> {
    return this.state;
  }

  protected block(view: DataView, at: number): void {
    const { schedule: words, state } = this;
    for (let t = 0; t < 16; t++) words[t] = view.getInt32(at + 4 * t);
    for (let t = 16; t < 64; t++) {
      const x = words[t - 15] as number;
      const y = words[t - 2] as number;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      words[t] = ((words[t - 16] as number) + s0 + (words[t - 7] as number) + s1) | 0;
    }
    let a = state[0] as number;
    let b = state[1] as number;
    let c = state[2] as number;
    let d = state[3] as number;
    let e = state[4] as number;
    let f = state[5] as number;
    let g = state[6] as number;
    let h = state[7] as number;
    for (let t = 0; t < 64; t++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (K[t] as number) + (words[t] as number)) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] = (state[0] as number) + a;
    state[1] = (state[1] as number) + b;
    state[2] = (state[2] as number) + c;
    state[3] = (state[3] as number) + d;
    state[4] = (state[4] as number) + e;
    state[5] = (state[5] as number) + f;
    state[6] = (state[6] as number) + g;
    state[7] = (state[7] as number) + h;
  }
}
