/** SHA-512 (FIPS 180-4) of bytes that come in parts. A word is two of 32 bits, the high one first. */
import { BlockHash, primes } from "./sha256.js";

/** The first 64 bits of the fractions of roots of the first primes. */
function fractions(count: number, degree: bigint): Int32Array {
  const found = new Int32Array(2 * count);
  primes(count).forEach((prime, n) => {
    const power = BigInt(prime) << (64n * degree);
    let root = 0n;
    for (let bit = 1n << 72n; bit > 0n; bit >>= 1n) if ((root | bit) ** degree <= power) root |= bit;
    found[2 * n] = Number(BigInt.asIntN(32, root >> 32n));
    found[2 * n + 1] = Number(BigInt.asIntN(32, root));
  });
  return found;
}

const K = fractions(80, 3n);
const INITIAL = fractions(8, 2n);
const TWO_32 = 2 ** 32;

export class Sha512 extends BlockHash {
  private readonly state = Int32Array.from(INITIAL);
  private readonly schedule = new Int32Array(160);

  constructor() {
    super(128);
  }

  protected words(): Iterable<number> {
    return this.state;
  }

  protected block(view: DataView, at: number): void {
    const { schedule: w, state } = this;
    for (let t = 0; t < 32; t++) w[t] = view.getInt32(at + 4 * t);
    for (let t = 32; t < 160; t += 2) {
      const xh = w[t - 30] as number;
      const xl = w[t - 29] as number;
      const yh = w[t - 4] as number;
      const yl = w[t - 3] as number;
      // Rotated by 1 and 8, and shifted by 7; rotated by 19 and 61, and shifted by 6.
      const s0h = ((xh >>> 1) | (xl << 31)) ^ ((xh >>> 8) | (xl << 24)) ^ (xh >>> 7);
      const s0l = ((xl >>> 1) | (xh << 31)) ^ ((xl >>> 8) | (xh << 24)) ^ ((xl >>> 7) | (xh << 25));
      const s1h = ((yh >>> 19) | (yl << 13)) ^ ((yl >>> 29) | (yh << 3)) ^ (yh >>> 6);
      const s1l = ((yl >>> 19) | (yh << 13)) ^ ((yh >>> 29) | (yl << 3)) ^ ((yl >>> 6) | (yh << 26));
      const low = ((w[t - 31] as number) >>> 0) + ((w[t - 13] as number) >>> 0) + (s0l >>> 0) + (s1l >>> 0);
      w[t] = (w[t - 32] as number) + (w[t - 14] as number) + s0h + s1h + ((low / TWO_32) | 0);
      w[t + 1] = low;
    }
    let ah = state[0] as number;
    let al = state[1] as number;
    let bh = state[2] as number;
    let bl = state[3] as number;
    let ch = state[4] as number;
    let cl = state[5] as number;
    let dh = state[6] as number;
    let dl = state[7] as number;
    let eh = state[8] as number;
    let el = state[9] as number;
    let fh = state[10] as number;
    let fl = state[11] as number;
    let gh = state[12] as number;
    let gl = state[13] as number;
    let hh = state[14] as number;
    let hl = state[15] as number;
    for (let t = 0; t < 160; t += 2) {
      // Rotated by 14, 18 and 41; by 28, 34 and 39.
      const s1h = ((eh >>> 14) | (el << 18)) ^ ((eh >>> 18) | (el << 14)) ^ ((el >>> 9) | (eh << 23));
      const s1l = ((el >>> 14) | (eh << 18)) ^ ((el >>> 18) | (eh << 14)) ^ ((eh >>> 9) | (el << 23));
      const s0h = ((ah >>> 28) | (al << 4)) ^ ((al >>> 2) | (ah << 30)) ^ ((al >>> 7) | (ah << 25));
      const s0l = ((al >>> 28) | (ah << 4)) ^ ((ah >>> 2) | (al << 30)) ^ ((ah >>> 7) | (al << 25));
      const choice = ((el & fl) ^ (~el & gl)) >>> 0;
      const low1 = (hl >>> 0) + (s1l >>> 0) + choice + ((K[t + 1] as number) >>> 0) + ((w[t + 1] as number) >>> 0);
      const high1 = hh + s1h + ((eh & fh) ^ (~eh & gh)) + (K[t] as number) + (w[t] as number) + ((low1 / TWO_32) | 0);
      const low2 = (s0l >>> 0) + (((al & bl) ^ (al & cl) ^ (bl & cl)) >>> 0);
      const high2 = s0h + ((ah & bh) ^ (ah & ch) ^ (bh & ch)) + ((low2 / TWO_32) | 0);
      const lowE = (dl >>> 0) + (low1 >>> 0);
      const lowA = (low1 >>> 0) + (low2 >>> 0);
      hh = gh;
      hl = gl;
      gh = fh;
      gl = fl;
      fh = eh;
      fl = el;
      eh = (dh + high1 + ((lowE / TWO_32) | 0)) | 0;
      el = lowE | 0;
      dh = ch;
      dl = cl;
      ch = bh;
      cl = bl;
      bh = ah;
      bl = al;
      ah = (high1 + high2 + ((lowA / TWO_32) | 0)) | 0;
      al = lowA | 0;
    }
    const v = [ah, al, bh, bl, ch, cl, dh, dl, eh, el, fh, fl, gh, gl, hh, hl];
    for (let k = 0; k < 16; k += 2) {
      const low = ((state[k + 1] as number) >>> 0) + ((v[k + 1] as number) >>> 0);
      state[k] = (state[k] as number) + (v[k] as number) + ((low / TWO_32) | 0);
      state[k + 1] = low;
    }
  }
}
