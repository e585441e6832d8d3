// Reads chunks from the origin-private file system and hashes them, as bench/weights_ceiling.py asks.
const BLOCK_BYTES = 256 * 1024;
let folder;
let whole;

async function digest(bytes, block = BLOCK_BYTES) {
  const sums = new Uint8Array(32 * Math.ceil(bytes.byteLength / block));
  for (let at = 0; at < sums.byteLength; at += 32) {
    const begin = (at / 32) * block;
    sums.set(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.subarray(begin, begin + block))), at);
  }
  return crypto.subtle.digest("SHA-256", sums);
}

async function open(name, mode = "read-only") {
  const handle = await folder.getFileHandle(name, { create: mode !== "read-only" });
  return handle.createSyncAccessHandle({ mode });
}

const methods = {
  /** Write the same chunks as a file each and as one file. */
  async prepare({ count, chunk }) {
    folder = await navigator.storage.getDirectory();
    const bytes = new Uint8Array(chunk);
    for (let at = 0; at < chunk; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
    const one = await open("whole", "readwrite");
    for (let n = 0; n < count; n++) {
      const access = await open(`chunk${n}`, "readwrite");
      access.write(bytes, { at: 0 });
      access.close();
      one.write(bytes, { at: n * chunk });
    }
    one.close();
  },
  async folder() {
    folder = await navigator.storage.getDirectory();
  },
  /** Open and close; with `read`, and with `hash`, more. */
  async files({ from, to, chunk, read, hash }) {
    const buffer = new Uint8Array(chunk);
    for (let n = from; n < to; n++) {
      const access = await open(`chunk${n}`);
      if (read) access.read(buffer, { at: 0 });
      access.close();
      if (hash) await digest(buffer);
    }
  },
  async oneFile({ count, chunk }) {
    const buffer = new Uint8Array(chunk);
    const access = await open("whole");
    for (let n = 0; n < count; n++) access.read(buffer, { at: n * chunk });
    access.close();
  },
  async hash({ count, chunk, block }) {
    const buffer = new Uint8Array(chunk);
    for (let n = 0; n < count; n++) await digest(buffer, block);
  },
  /** One chunk for the page, in a buffer that it gives back. */
  async chunk({ n, chunk, hash, one, buffer = new ArrayBuffer(chunk) }) {
    if (one) whole ??= await open("whole");
    const access = one ? whole : await open(`chunk${n}`);
    const bytes = new Uint8Array(buffer);
    access.read(bytes, { at: one ? n * chunk : 0 });
    if (!one) access.close();
    if (hash) await digest(bytes);
    return buffer;
  },
};

onmessage = async ({ data: { id, method, args } }) => {
  try {
    const value = await methods[method](args);
    postMessage({ id, value }, value instanceof ArrayBuffer ? [value] : []);
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
};
